"""A repository in a PostgreSQL database, which many processes and machines can share."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Self

import psycopg
from psycopg_pool import ConnectionPool

from remotecalls.shop.domain import Customer, Order, to_cents
from remotecalls.shop.rows import customer_of, order_of

SCHEMA = """
CREATE TABLE IF NOT EXISTS customers (
    customer_id integer PRIMARY KEY,
    name text NOT NULL,
    balance_cents integer NOT NULL
);
CREATE TABLE IF NOT EXISTS orders (
    order_id bigint PRIMARY KEY,
    customer_id integer NOT NULL REFERENCES customers,
    item text NOT NULL,
    quantity integer NOT NULL,
    unit_price_cents integer NOT NULL
);
CREATE INDEX IF NOT EXISTS orders_of_customer ON orders (customer_id, order_id);
"""
# One writer at a time, as SQLite has it: the shop reads, decides and writes, and at PostgreSQL's
# default level a second writer could decide by what the first is about to change.
WRITERS_LOCK = 0x73686F70
CONNECTIONS = 8
CONNECT_SECONDS = 10.0


class PostgresRepository:
    """A repository on a pool of connections; each transaction takes one, on its own thread.

    Args:
        url: `postgresql://user@host:port/database`.
        wait: seconds for a connection, for another writer's transaction, and for each statement.

    Attributes:
        may_wait: True; a network lies between.

    Raises:
        psycopg.OperationalError: the server cannot be reached, or refuses.
    """

    may_wait = True

    def __init__(self, url: str, wait: float = 5.0) -> None:
        milliseconds = int(wait * 1_000)
        self._pool: ConnectionPool[psycopg.Connection[Any]] = ConnectionPool(
            url,
            min_size=1,
            max_size=CONNECTIONS,
            timeout=wait,
            open=False,
            kwargs={"autocommit": True, "connect_timeout": int(CONNECT_SECONDS)},
            configure=lambda each: _limit_statements(each, milliseconds),
        )
        self._mine = threading.local()
        # Asked for once without the pool, which would go on trying in the background.
        with psycopg.connect(url, connect_timeout=int(CONNECT_SECONDS)) as first:
            # Two servers that start at once would race for the tables.
            first.execute("SELECT pg_advisory_xact_lock(%s)", (WRITERS_LOCK,))
            first.execute(SCHEMA)
        self._pool.open()

    def close(self) -> None:
        """Close the connections. What was committed stays in the database."""
        self._pool.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Begin; commit at the end of the block, roll back if the block raises."""
        with self._connected() as connection, connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (WRITERS_LOCK,))
            yield

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Read the state between two transactions, the same for the whole of the block."""
        with self._connected() as connection, connection.transaction():
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            yield

    @contextmanager
    def _connected(self) -> Iterator[psycopg.Connection[Any]]:
        with self._pool.connection() as connection:
            self._mine.connection = connection
            try:
                yield connection
            finally:
                del self._mine.connection

    @property
    def _connection(self) -> psycopg.Connection[Any]:
        connection: psycopg.Connection[Any] = self._mine.connection
        return connection

    def customer(self, customer_id: int) -> Customer | None:
        """The customer with this id, if there is one."""
        row = self._connection.execute(
            "SELECT customer_id, name, balance_cents FROM customers WHERE customer_id = %s",
            (customer_id,),
        ).fetchone()
        return customer_of(row) if row else None

    def put_customer(self, customer: Customer) -> None:
        """Store a customer, in place of the one with the same id."""
        self._connection.execute(
            "INSERT INTO customers VALUES (%s, %s, %s) ON CONFLICT (customer_id)"
            " DO UPDATE SET name = excluded.name, balance_cents = excluded.balance_cents",
            (customer.customer_id, customer.name, to_cents(customer.balance)),
        )

    def customers(self, after: int, limit: int) -> list[Customer]:
        """At most `limit` customers with ids above `after`, in the order of their ids."""
        rows = self._connection.execute(
            "SELECT customer_id, name, balance_cents FROM customers"
            " WHERE customer_id > %s ORDER BY customer_id LIMIT %s",
            (after, limit),
        )
        return [customer_of(row) for row in rows]

    def next_order_id(self) -> int:
        """The number that the next order gets."""
        row = self._connection.execute("SELECT max(order_id) FROM orders").fetchone()
        assert row is not None
        return int(row[0] or 0) + 1

    def add_order(self, order: Order) -> None:
        """Store a new order."""
        self._connection.execute(
            "INSERT INTO orders VALUES (%s, %s, %s, %s, %s)",
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
            " WHERE customer_id = %s AND order_id > %s ORDER BY order_id LIMIT %s",
            (customer_id, after, limit),
        )
        return [order_of(row) for row in rows]

    def first_orders(self, customer_ids: Sequence[int], limit: int) -> dict[int, list[Order]]:
        """For each of these customers, at most `limit` orders, oldest first; one query."""
        rows = self._connection.execute(
            "SELECT order_id, customer_id, item, quantity, unit_price_cents FROM ("
            " SELECT *, row_number() OVER (PARTITION BY customer_id ORDER BY order_id) AS place"
            " FROM orders WHERE customer_id = ANY(%s)) AS numbered"
            " WHERE place <= %s ORDER BY order_id",
            (list(customer_ids), limit),
        )
        found: dict[int, list[Order]] = {each: [] for each in customer_ids}
        for row in rows:
            order = order_of(row)
            found[order.customer_id].append(order)
        return found


def _limit_statements(connection: psycopg.Connection[Any], milliseconds: int) -> None:
    connection.execute("SELECT set_config('statement_timeout', %s, false)", (str(milliseconds),))
