"""A repository in an SQLite file, or in an SQLite database that lives as long as the process."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from remotecalls.shop.domain import Customer, Order, to_cents
from remotecalls.shop.rows import customer_of, order_of

# Money is stored as a whole number of cents: SQLite's NUMERIC would turn it into a float.
SCHEMA = """
CREATE TABLE IF NOT EXISTS customers (
    customer_id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    balance_cents INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS orders (
    order_id INTEGER PRIMARY KEY,
    customer_id INTEGER NOT NULL REFERENCES customers,
    item TEXT NOT NULL,
    quantity INTEGER NOT NULL,
    unit_price_cents INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS orders_of_customer ON orders (customer_id, order_id);
"""


class SQLiteRepository:
    """A repository on one SQLite connection, shared by threads under one lock.

    Args:
        path: the database file, made if it is missing; `:memory:` for none.
        busy_timeout: seconds to wait for another process's transaction to end.

    Attributes:
        path: as it was given.
        may_wait: whether the database is in a file.

    Raises:
        sqlite3.OperationalError: the file cannot be opened, or stays locked too long.
    """

    def __init__(self, path: Path | str = ":memory:", busy_timeout: float = 5.0) -> None:
        self.path = path
        self.may_wait = str(path) != ":memory:"
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(
            path, timeout=busy_timeout, isolation_level=None, check_same_thread=False
        )
        self._connection.execute("PRAGMA foreign_keys = ON")
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.executescript(SCHEMA)

    def close(self) -> None:
        """Close the database. What was committed stays in the file."""
        with self._lock:
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Begin; commit at the end of the block, roll back if the block raises."""
        # IMMEDIATE takes the write lock now: a transaction that reads, decides and then writes
        # would otherwise fail half-way when another process wrote in between.
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Read the state between two transactions, the same for the whole of the block."""
        # DEFERRED takes no write lock: with a write-ahead log, readers in other processes neither
        # wait for a writer nor make one wait.
        with self._lock:
            self._connection.execute("BEGIN DEFERRED")
            try:
                yield
            finally:
                self._connection.execute("ROLLBACK")

    def customer(self, customer_id: int) -> Customer | None:
        """The customer with this id, if there is one."""
        row = self._connection.execute(
            "SELECT customer_id, name, balance_cents FROM customers WHERE customer_id = ?",
            (customer_id,),
        ).fetchone()
        return customer_of(row) if row else None

    def put_customer(self, customer: Customer) -> None:
        """Store a customer, in place of the one with the same id."""
        self._connection.execute(
            "INSERT INTO customers VALUES (?, ?, ?) ON CONFLICT (customer_id)"
            " DO UPDATE SET name = excluded.name, balance_cents = excluded.balance_cents",
            (customer.customer_id, customer.name, to_cents(customer.balance)),
        )

    def customers(self, after: int, limit: int) -> list[Customer]:
        """At most `limit` customers with ids above `after`, in the order of their ids."""
        rows = self._connection.execute(
            "SELECT customer_id, name, balance_cents FROM customers"
            " WHERE customer_id > ? ORDER BY customer_id LIMIT ?",
            (after, limit),
        )
        return [customer_of(row) for row in rows]

    def next_order_id(self) -> int:
        """The number that the next order gets."""
        (last,) = self._connection.execute("SELECT max(order_id) FROM orders").fetchone()
        return int(last or 0) + 1

    def add_order(self, order: Order) -> None:
        """Store a new order."""
        self._connection.execute(
            "INSERT INTO orders VALUES (?, ?, ?, ?, ?)",
            (
                order.order_id,
                order.customer_id,
                order.item,
                order.quantity,
                to_cents(order.unit_price),
            ),
        )

    def orders(self, customer_id: int, after: int, limit: int) -> list[Order]:
        """At most `limit` orders of one customer with ids above `after`, oldest first."""
        rows = self._connection.execute(
            "SELECT order_id, customer_id, item, quantity, unit_price_cents FROM orders"
            " WHERE customer_id = ? AND order_id > ? ORDER BY order_id LIMIT ?",
            (customer_id, after, limit),
        )
        return [order_of(row) for row in rows]

    def first_orders(self, customer_ids: Sequence[int], limit: int) -> dict[int, list[Order]]:
        """For each of these customers, at most `limit` orders, oldest first; one query."""
        marks = ", ".join("?" * len(customer_ids))
        rows = self._connection.execute(
            "SELECT order_id, customer_id, item, quantity, unit_price_cents FROM ("
            " SELECT *, row_number() OVER (PARTITION BY customer_id ORDER BY order_id) AS place"
            f" FROM orders WHERE customer_id IN ({marks})) WHERE place <= ? ORDER BY order_id",
            (*customer_ids, limit),
        )
        found: dict[int, list[Order]] = {each: [] for each in customer_ids}
        for row in rows:
            order = order_of(row)
            found[order.customer_id].append(order)
        return found
