"""What a row of a table means, in whichever database it stands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from remotecalls.shop.domain import Customer, Order, from_cents


def customer_of(row: Sequence[Any]) -> Customer:
    """The customer in (customer_id, name, balance in cents)."""
    customer_id, name, cents = row
    return Customer(customer_id, name, from_cents(cents))


def order_of(row: Sequence[Any]) -> Order:
    """The order in (order_id, customer_id, item, quantity, unit price in cents)."""
    order_id, customer_id, item, quantity, cents = row
    return Order(order_id, customer_id, item, quantity, from_cents(cents))
