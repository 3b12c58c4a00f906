"""Slow questions to the shop's database, which end when nobody waits for the answer any more.

gRPC cancels the handler of a call whose caller has left or whose deadline has passed. That ends
coroutines. A query runs in a database, on another thread or another machine, and goes on unless the
database is told.

Sources: https://sqlite.org/c3ref/interrupt.html; PostgreSQL, "Canceling Requests in Progress".
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

import grpc.aio

from remotecalls.grpc.generated.shop.v1 import reports_pb2, reports_pb2_grpc

REPORTS = reports_pb2.DESCRIPTOR.services_by_name["ReportsService"].full_name
AT_ONCE = 4
INTERRUPT_AGAIN_SECONDS = 0.02

# Every order with every later one; no index helps with a difference of two sums.
SIMILAR_ORDERS = """
SELECT count(*) FROM orders AS one JOIN orders AS other ON one.order_id < other.order_id
WHERE abs(one.quantity * one.unit_price_cents - other.quantity * other.unit_price_cents) <= {}
"""


class Reports(Protocol):
    """Questions over all orders. Cancelling the task that asks ends the query."""

    async def count_similar_orders(self, within_cents: int) -> int:
        """How many pairs of orders differ in their totals by no more than so many cents."""
        ...


class SQLiteReports:
    """Reports from an SQLite file, each on a connection and a thread of its own.

    Args:
        path: the file of an `SQLiteRepository`.
        executor: where queries run.
    """

    def __init__(self, path: Path, executor: ThreadPoolExecutor) -> None:
        self._path = path
        self._executor = executor

    async def count_similar_orders(self, within_cents: int) -> int:
        """See `Reports`.

        Raises:
            sqlite3.OperationalError: the file cannot be read.
        """
        with closing(sqlite3.connect(self._path, check_same_thread=False)) as connection:
            connection.execute("PRAGMA query_only = ON")
            query = self._executor.submit(_count, connection, within_cents)
            answer = asyncio.wrap_future(query)
            try:
                return await asyncio.shield(answer)
            except asyncio.CancelledError:
                await _interrupt(connection, query)
                raise


def _count(connection: sqlite3.Connection, within_cents: int) -> int:
    (pairs,) = connection.execute(SIMILAR_ORDERS.format("?"), (within_cents,)).fetchone()
    return int(pairs)


async def _interrupt(connection: sqlite3.Connection, query: Future[int]) -> None:
    """Stop a query, and wait until its thread has let go of the connection."""
    if query.cancel():
        return  # it had not begun
    while not query.done():
        # An interrupt that comes before the statement begins is lost, so one is not enough.
        connection.interrupt()
        await asyncio.sleep(INTERRUPT_AGAIN_SECONDS)


class PostgresReports:
    """Reports from a PostgreSQL database.

    psycopg asks the server to cancel the query of a task that is cancelled, over a connection of
    its own, as `pg_cancel_backend` would, and waits until the query has ended.

    Args:
        url: of the database of a `PostgresRepository`.
    """

    def __init__(self, url: str) -> None:
        self._url = url

    async def count_similar_orders(self, within_cents: int) -> int:
        """See `Reports`.

        Raises:
            psycopg.Error: the server cannot be reached, or the query fails.
        """
        # Its driver takes a fifth of a second to import, which others need not wait for.
        import psycopg

        async with await psycopg.AsyncConnection.connect(
            self._url, autocommit=True, application_name="remotecalls reports"
        ) as connection:
            # A process for a part of the pairs each would make the answer quicker, not the point.
            await connection.execute("SET max_parallel_workers_per_gather = 0")
            cursor = await connection.execute(SIMILAR_ORDERS.format("%s"), (within_cents,))
            row = await cursor.fetchone()
            assert row is not None
            return int(row[0])


class ReportsService(reports_pb2_grpc.ReportsServiceServicer):
    """The methods of the interface file.

    Args:
        reports: where the answers come from.

    Attributes:
        running: queries that have begun and not ended.
    """

    def __init__(self, reports: Reports) -> None:
        self._reports = reports
        self.running = 0

    def add_to(self, server: grpc.aio.Server) -> None:
        """Let a server offer these methods."""
        reports_pb2_grpc.add_ReportsServiceServicer_to_server(self, server)  # type: ignore[no-untyped-call]

    async def CountSimilarOrders(  # noqa: N802 - the interface file's name
        self,
        request: reports_pb2.CountSimilarOrdersRequest,
        context: grpc.aio.ServicerContext,
    ) -> reports_pb2.CountSimilarOrdersResponse:
        """How many pairs of orders cost nearly the same."""
        self.running += 1
        try:
            pairs = await self._reports.count_similar_orders(request.within_cents)
        finally:
            self.running -= 1
        return reports_pb2.CountSimilarOrdersResponse(pairs=pairs)


@asynccontextmanager
async def reports_of(database: str) -> AsyncIterator[ReportsService]:
    """The reports of a database, for as long as the block lasts.

    Args:
        database: a path or `sqlite:///path`, or `postgresql://user@host:port/database`.
    """
    if urlsplit(database).scheme in {"postgresql", "postgres"}:
        yield ReportsService(PostgresReports(database))
        return
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="grpc reports") as executor:
        yield ReportsService(SQLiteReports(Path(database.removeprefix("sqlite:///")), executor))
