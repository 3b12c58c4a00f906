"""The service as its callers see it, whatever protocol lies between."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Protocol

from remotecalls.shop.domain import Customer, Order


class ShopClient(Protocol):
    """A client of the shop: the same methods, the same errors, through every binding.

    Each call ends by the deadline that the client was connected with. It raises a `ShopError` if
    the shop refused, and a `TransportError` if the call failed between the two programs.
    """

    async def add_customer(self, customer_id: int, name: str, balance: Decimal) -> Customer:
        """Open an account.

        Raises:
            CustomerExists: the id is taken.
            InvalidArgument: a value breaks a rule of the domain.
        """
        ...

    async def get_customer(self, customer_id: int) -> Customer:
        """Look a customer up.

        Raises:
            CustomerNotFound: no customer has this id.
        """
        ...

    async def update_balance(self, customer_id: int, change: Decimal) -> Customer:
        """Add `change` to the balance, or take it away if it is negative. Not idempotent.

        Raises:
            CustomerNotFound: no customer has this id.
            InsufficientFunds: the balance would fall below zero.
            InvalidArgument: the amount is not exact, or the balance would pass its maximum.
        """
        ...

    async def list_customers(self, after: int = 0, limit: int = 50) -> list[Customer]:
        """One page of customers in the order of their ids, beginning after the id `after`.

        Raises:
            InvalidArgument: `limit` is outside 1..100.
        """
        ...

    async def place_order(
        self, customer_id: int, item: str, quantity: int, unit_price: Decimal
    ) -> Order:
        """Order an item and pay for it from the balance. Not idempotent.

        Raises:
            CustomerNotFound: no customer has this id.
            InsufficientFunds: the balance does not cover the total.
            InvalidArgument: a value breaks a rule of the domain.
        """
        ...

    def stream_orders(self, customer_id: int) -> AsyncIterator[Order]:
        """All orders of a customer, oldest first, as they arrive.

        The deadline holds for each order, counted from the one before. Whoever stops early closes
        the iterator (`contextlib.aclosing`).

        Raises:
            CustomerNotFound: no customer has this id.
        """
        ...
