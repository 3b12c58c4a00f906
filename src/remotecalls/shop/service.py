"""The shop itself: what each operation means, over any repository."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal

from remotecalls.shop.domain import (
    Customer,
    CustomerExists,
    CustomerNotFound,
    InsufficientFunds,
    Order,
    OrderNotFound,
    check_change,
    check_customer_id,
    check_page,
)
from remotecalls.shop.repository import MemoryRepository, Repository

STREAM_PAGE = 50


class Shop:
    """The service behind every binding. Safe to call from many threads at once.

    The methods are those of `ShopClient`, which documents them, without the network: each
    answers at once or raises a `ShopError`.
    """

    def __init__(self, repository: Repository | None = None) -> None:
        self._repository = repository or MemoryRepository()

    @property
    def repository(self) -> Repository:
        """Where the customers and orders are kept."""
        return self._repository

    def add_customer(self, customer_id: int, name: str, balance: Decimal) -> Customer:
        """Open an account."""
        customer = Customer(customer_id, name, balance)
        with self._repository.transaction():
            if self._repository.customer(customer_id):
                raise CustomerExists(f"customer {customer_id} exists already")
            self._repository.put_customer(customer)
        return customer

    def get_customer(self, customer_id: int) -> Customer:
        """Look a customer up."""
        with self._repository.snapshot():
            return self._customer(customer_id)

    def update_balance(self, customer_id: int, change: Decimal) -> Customer:
        """Add `change` to the balance, or take it away if it is negative."""
        check_change(change)
        with self._repository.transaction():
            return self._pay(customer_id, change)

    def replace_customer(self, before: Customer, after: Customer) -> bool:
        """Put a customer in the place of one that nobody may have changed in the meantime.

        Returns:
            Whether `before` was still what the shop holds; if it was not, nothing was changed.

        Raises:
            CustomerNotFound: no customer has the id of `before`.
            ValueError: the two are not the same customer.
        """
        if before.customer_id != after.customer_id:
            raise ValueError("a customer is replaced by a later state of the same customer")
        with self._repository.transaction():
            if self._customer(before.customer_id) != before:
                return False
            self._repository.put_customer(after)
        return True

    def list_customers(self, after: int = 0, limit: int = 50) -> list[Customer]:
        """One page of customers in the order of their ids."""
        check_page(after, limit)
        with self._repository.snapshot():
            return self._repository.customers(after, limit)

    def place_order(self, customer_id: int, item: str, quantity: int, unit_price: Decimal) -> Order:
        """Order an item and pay for it from the balance."""
        with self._repository.transaction():
            order = Order(self._repository.next_order_id(), customer_id, item, quantity, unit_price)
            self._pay(customer_id, -order.total)
            self._repository.add_order(order)
        return order

    def get_order(self, customer_id: int, order_id: int) -> Order:
        """Look an order of a customer up.

        Raises:
            CustomerNotFound: no customer has this id.
            OrderNotFound: the customer has no such order.
        """
        found = self.list_orders(customer_id, order_id - 1, 1)
        if not found or found[0].order_id != order_id:
            raise OrderNotFound(f"customer {customer_id} has no order {order_id}")
        return found[0]

    def list_orders(self, customer_id: int, after: int = 0, limit: int = 50) -> list[Order]:
        """One page of a customer's orders, oldest first, beginning after the number `after`.

        Raises:
            CustomerNotFound: no customer has this id.
        """
        with self._repository.snapshot():
            self._customer(customer_id)
            return self._repository.orders(customer_id, after, limit)

    def first_orders(self, customer_ids: Sequence[int], limit: int = 50) -> dict[int, list[Order]]:
        """For each of these customers, at most `limit` orders, oldest first, in one snapshot."""
        with self._repository.snapshot():
            return self._repository.first_orders(customer_ids, limit)

    def stream_orders(self, customer_id: int) -> Iterator[Order]:
        """All orders of a customer, oldest first, fetched a page at a time.

        No transaction stays open between two pages, however slowly the caller takes them.
        """
        self.get_customer(customer_id)
        return self._orders(customer_id)

    def _orders(self, customer_id: int) -> Iterator[Order]:
        after = 0
        while True:
            with self._repository.snapshot():
                page = self._repository.orders(customer_id, after, STREAM_PAGE)
            if not page:
                return
            yield from page
            after = page[-1].order_id

    def _customer(self, customer_id: int) -> Customer:
        check_customer_id(customer_id)
        customer = self._repository.customer(customer_id)
        if customer is None:
            raise CustomerNotFound(f"there is no customer {customer_id}")
        return customer

    def _pay(self, customer_id: int, change: Decimal) -> Customer:
        before = self._customer(customer_id)
        balance = before.balance + change
        if balance < 0:
            raise InsufficientFunds(
                f"customer {customer_id} has {before.balance}, which does not cover {-change}"
            )
        after = Customer(customer_id, before.name, balance)
        self._repository.put_customer(after)
        return after
