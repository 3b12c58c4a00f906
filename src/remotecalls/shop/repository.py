"""Where the shop keeps its customers and orders: the interface, and one that forgets."""

from __future__ import annotations

import threading
from bisect import bisect_right, insort
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from remotecalls.shop.domain import Customer, Order


class Repository(Protocol):
    """Storage of customers and orders.

    Every other method is called inside `transaction()`, or inside `snapshot()` if it changes
    nothing. Transactions do not overlap: each sees the ones before it, complete. One that raises
    leaves no change behind.

    Attributes:
        may_wait: whether a method may wait for a disk or for another process. An event loop calls
            such a repository in a thread.
    """

    @property
    def may_wait(self) -> bool:
        """See the class."""
        ...

    def transaction(self) -> AbstractContextManager[None]:
        """Begin; commit at the end of the block, roll back if the block raises."""
        ...

    def snapshot(self) -> AbstractContextManager[None]:
        """Read the state between two transactions, the same for the whole of the block."""
        ...

    def customer(self, customer_id: int) -> Customer | None:
        """The customer with this id, if there is one."""
        ...

    def put_customer(self, customer: Customer) -> None:
        """Store a customer, in place of the one with the same id."""
        ...

    def customers(self, after: int, limit: int) -> list[Customer]:
        """At most `limit` customers with ids above `after`, in the order of their ids."""
        ...

    def next_order_id(self) -> int:
        """The number that the next order gets."""
        ...

    def add_order(self, order: Order) -> None:
        """Store a new order."""
        ...

    def orders(self, customer_id: int, after: int, limit: int) -> list[Order]:
        """At most `limit` orders of one customer with ids above `after`, oldest first."""
        ...

    def first_orders(self, customer_ids: Sequence[int], limit: int) -> dict[int, list[Order]]:
        """For each of these customers, at most `limit` orders, oldest first; one question for all.

        A customer without orders, or who is not there, has an empty list.
        """
        ...


class MemoryRepository:
    """A repository in this process's memory. One lock makes its transactions one at a time."""

    may_wait = False

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._customers: dict[int, Customer] = {}
        self._customer_ids: list[int] = []
        self._orders: dict[int, list[Order]] = {}
        self._last_order_id = 0
        self._undo: list[tuple[Customer | None, Customer] | Order] = []

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Begin; commit at the end of the block, roll back if the block raises."""
        with self._lock:
            try:
                yield
            except BaseException:
                self._roll_back()
                raise
            finally:
                self._undo.clear()

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Read the state between two transactions, the same for the whole of the block."""
        with self._lock:
            yield

    def customer(self, customer_id: int) -> Customer | None:
        """The customer with this id, if there is one."""
        return self._customers.get(customer_id)

    def put_customer(self, customer: Customer) -> None:
        """Store a customer, in place of the one with the same id."""
        before = self._customers.get(customer.customer_id)
        self._undo.append((before, customer))
        if before is None:
            insort(self._customer_ids, customer.customer_id)
        self._customers[customer.customer_id] = customer

    def customers(self, after: int, limit: int) -> list[Customer]:
        """At most `limit` customers with ids above `after`, in the order of their ids."""
        first = bisect_right(self._customer_ids, after)
        return [self._customers[key] for key in self._customer_ids[first : first + limit]]

    def next_order_id(self) -> int:
        """The number that the next order gets."""
        return self._last_order_id + 1

    def add_order(self, order: Order) -> None:
        """Store a new order."""
        self._undo.append(order)
        self._orders.setdefault(order.customer_id, []).append(order)
        self._last_order_id = order.order_id

    def orders(self, customer_id: int, after: int, limit: int) -> list[Order]:
        """At most `limit` orders of one customer with ids above `after`, oldest first."""
        orders = self._orders.get(customer_id, [])
        first = bisect_right(orders, after, key=lambda order: order.order_id)
        return orders[first : first + limit]

    def first_orders(self, customer_ids: Sequence[int], limit: int) -> dict[int, list[Order]]:
        """For each of these customers, at most `limit` orders, oldest first."""
        return {each: self._orders.get(each, [])[:limit] for each in customer_ids}

    def _roll_back(self) -> None:
        for change in reversed(self._undo):
            match change:
                case Order():
                    self._orders[change.customer_id].pop()
                    self._last_order_id = change.order_id - 1
                case (None, new):
                    del self._customers[new.customer_id]
                    self._customer_ids.remove(new.customer_id)
                case (old, _):
                    self._customers[old.customer_id] = old
