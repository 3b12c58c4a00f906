"""Time and cancellation: over two hops, and down into the database."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from decimal import Decimal
from pathlib import Path

import grpc
import psutil
import psycopg
import pytest
from grpc_calls import failure, raw_channel

from remotecalls.grpc.client import connect
from remotecalls.grpc.front import serve_front
from remotecalls.grpc.generated.shop.v1 import (
    reports_pb2,
    reports_pb2_grpc,
    shop_pb2,
    shop_pb2_grpc,
)
from remotecalls.grpc.interception import Aspect, Call
from remotecalls.grpc.reports import REPORTS, ReportsService, reports_of
from remotecalls.grpc.request_ids import KEY
from remotecalls.grpc.server import serve
from remotecalls.shop import Customer, CustomerNotFound, InvalidArgument, Order, Shop
from remotecalls.shop.database import open_repository
from remotecalls.shop.sample import stock
from remotecalls.wire.errors import DeadlineExceeded

ASK = shop_pb2.GetCustomerRequest(customer_id=42)


class Pause(Aspect):
    """Takes its time before a call goes on, and notes how much the call had when it came."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds
        self.remaining: list[float | None] = []
        self.metadata: list[tuple[str, str]] = []
        self.begun = asyncio.Event()
        self.cancelled = asyncio.Event()

    @asynccontextmanager
    async def around(self, call: Call) -> AsyncIterator[None]:
        self.remaining.append(call.context.time_remaining())
        self.metadata = list(call.context.invocation_metadata() or ())
        self.begun.set()
        try:
            await asyncio.sleep(self.seconds)
            yield
        except asyncio.CancelledError:
            self.cancelled.set()
            raise


async def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - what is waited for sends no event
            await asyncio.sleep(0.01)


# ---------------------------------------------------------------- two hops


async def test_the_second_hop_gets_the_time_that_the_first_has_left() -> None:
    first, second = Pause(0.4), Pause()
    async with (
        serve(stock(Shop()), interceptors=[second]) as shop,
        serve_front(shop.address, interceptors=[first]) as front,
        connect(front.address, timeout=2.0) as client,
    ):
        assert (await client.get_customer(42)).name == "Ada Lovelace"
    [came], [left] = first.remaining, second.remaining
    assert came is not None
    assert left is not None
    assert 1.7 < came <= 2.0
    assert came - 0.6 < left <= came - 0.4 + 0.01


async def test_a_call_without_a_deadline_goes_on_without_one() -> None:
    second = Pause()
    async with (
        serve(stock(Shop()), interceptors=[second]) as shop,
        serve_front(shop.address) as front,
        raw_channel(front.address) as channel,
    ):
        await shop_pb2_grpc.ShopServiceStub(channel).GetCustomer(ASK)
    assert second.remaining == [None]


async def test_a_deadline_that_passes_in_the_first_hop_spares_the_second() -> None:
    first, second = Pause(5.0), Pause()
    async with (
        serve(stock(Shop()), interceptors=[second]) as shop,
        serve_front(shop.address, interceptors=[first]) as front,
        connect(front.address, timeout=0.3) as client,
    ):
        with pytest.raises(DeadlineExceeded):
            await client.get_customer(42)
        async with asyncio.timeout(5):
            await first.cancelled.wait()
    assert second.remaining == []


async def test_cancelling_reaches_the_second_hop() -> None:
    second = Pause(30.0)
    async with (
        serve(stock(Shop()), interceptors=[second]) as shop,
        serve_front(shop.address) as front,
        connect(front.address, timeout=30) as client,
    ):
        waiting = asyncio.create_task(client.get_customer(42))
        async with asyncio.timeout(10):
            await second.begun.wait()
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
            await second.cancelled.wait()


async def test_a_stream_that_is_left_ends_behind_the_front_too() -> None:
    shop, second = stock(Shop()), Pause()
    with shop.repository.transaction():
        for number in range(3, 30_000):
            shop.repository.add_order(Order(number, 7, "cards", 1, Decimal("0.01")))
    async with (
        serve(shop, interceptors=[second]) as server,
        serve_front(server.address) as front,
        connect(front.address, timeout=20) as client,
    ):
        async with aclosing(client.stream_orders(7)) as orders:
            await anext(orders)
        async with asyncio.timeout(10):
            await second.cancelled.wait()


async def test_all_kinds_of_calls_and_their_errors_go_through_the_front() -> None:
    second = Pause()
    async with (
        serve(stock(Shop()), interceptors=[second]) as shop,
        serve_front(shop.address) as front,
        connect(front.address, metadata=[(KEY, "through")]) as client,
    ):
        assert [order.order_id async for order in client.stream_orders(7)] == [1, 2]
        ida = Customer(1, "Ida Rhodes", Decimal("1.00"))
        assert (await client.bulk_add_customers([ida, ida])).added == 1
        async with client.chat("help", "Ada") as chat:
            await chat.say("hello")
            assert (await chat.hear()).message.text == "hello"
        with pytest.raises(CustomerNotFound, match=r"^there is no customer 43$"):
            await client.get_customer(43)
        with pytest.raises(InvalidArgument, match="limit"):
            await client.list_customers(limit=0)
        assert (KEY, "through") in second.metadata
        agents = [value for key, value in second.metadata if key == "user-agent"]
        assert len(agents) == 1  # of the front, and not a second one of the client


async def test_a_front_whose_service_is_gone_says_so() -> None:
    async with serve(Shop()) as shop:
        address = shop.address
    async with serve_front(address) as front, raw_channel(front.address) as channel:
        error = await failure(shop_pb2_grpc.ShopServiceStub(channel).GetCustomer(ASK))
    assert error.code() is grpc.StatusCode.UNAVAILABLE


# ---------------------------------------------------------------- down to the database

MANY = 20_000  # two hundred million pairs: half a minute
WITHIN = reports_pb2.CountSimilarOrdersRequest(within_cents=5)


def fill(database: str, orders: int) -> None:
    with open_repository(database) as repository:
        stock(Shop(repository))
        with repository.transaction():
            for number in range(3, orders + 1):
                price = Decimal(number * 7_919 % 100_000 + 1).scaleb(-2)
                repository.add_order(Order(number, 7, "cards", 1, price))


@asynccontextmanager
async def asking(
    database: str,
) -> AsyncIterator[tuple[ReportsService, reports_pb2_grpc.ReportsServiceStub]]:
    with open_repository(database) as repository:
        async with (
            reports_of(database) as reports,
            serve(Shop(repository), further=[(REPORTS, reports.add_to)]) as server,
            raw_channel(server.address) as channel,
        ):
            yield reports, reports_pb2_grpc.ReportsServiceStub(channel)


def expected(orders: int, within: int) -> int:
    totals = sorted(
        [300, 1_947, *(number * 7_919 % 100_000 + 1 for number in range(3, orders + 1))]
    )
    return sum(
        abs(one - other) <= within
        for place, one in enumerate(totals)
        for other in totals[place + 1 :]
    )


@pytest.fixture
def sqlite_database(tmp_path: Path) -> str:
    return str(tmp_path / "shop.db")


async def test_the_report_counts_what_it_says(sqlite_database: str, postgres_url: str) -> None:
    for database in sqlite_database, postgres_url:
        fill(database, 200)
        async with asking(database) as (_, stub):
            answer = await stub.CountSimilarOrders(WITHIN)
            nothing = reports_pb2.CountSimilarOrdersRequest(within_cents=-1)
            error = await failure(stub.CountSimilarOrders(nothing))
        assert answer.pairs == expected(200, 5)
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT


Leave = Callable[[reports_pb2_grpc.ReportsServiceStub, Callable[[], bool]], Awaitable[None]]


async def by_cancelling(
    stub: reports_pb2_grpc.ReportsServiceStub, is_running: Callable[[], bool]
) -> None:
    call = stub.CountSimilarOrders(WITHIN)
    waiting = asyncio.ensure_future(call.code())
    await until(is_running)
    call.cancel()
    assert await waiting is grpc.StatusCode.CANCELLED


async def by_deadline(
    stub: reports_pb2_grpc.ReportsServiceStub, is_running: Callable[[], bool]
) -> None:
    error = await failure(stub.CountSimilarOrders(WITHIN, timeout=0.5))
    assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED


@pytest.mark.parametrize("leave", [by_cancelling, by_deadline])
async def test_a_query_of_sqlite_ends_with_its_call(sqlite_database: str, leave: Leave) -> None:
    fill(sqlite_database, MANY)
    process = psutil.Process()
    async with asking(sqlite_database) as (reports, stub):

        def is_busy() -> bool:
            """Whether the query is at work: it takes a processor for itself."""
            before = process.cpu_times().user
            time.sleep(0.2)
            return process.cpu_times().user - before > 0.1

        await leave(stub, is_busy)
        began = time.monotonic()
        await until(lambda: reports.running == 0)
        assert time.monotonic() - began < 2
        assert not is_busy()


def active_queries(url: str) -> list[int]:
    with psycopg.connect(url, autocommit=True) as connection:
        rows = connection.execute(
            "SELECT pid FROM pg_stat_activity"
            " WHERE application_name = 'remotecalls reports' AND state = 'active'"
            " AND query LIKE '%count(*)%'"
        )
        return [pid for (pid,) in rows]


@pytest.mark.parametrize("leave", [by_cancelling, by_deadline])
async def test_a_query_of_postgresql_ends_with_its_call(postgres_url: str, leave: Leave) -> None:
    fill(postgres_url, MANY)
    async with asking(postgres_url) as (reports, stub):
        await leave(stub, lambda: bool(active_queries(postgres_url)))
        began = time.monotonic()
        await until(lambda: not active_queries(postgres_url))
        await until(lambda: reports.running == 0)
        assert time.monotonic() - began < 2


async def test_a_query_that_is_cancelled_before_it_begins(sqlite_database: str) -> None:
    fill(sqlite_database, MANY)
    async with asking(sqlite_database) as (reports, stub):
        calls = [stub.CountSimilarOrders(WITHIN) for _ in range(12)]  # more than threads
        waiting = [asyncio.ensure_future(call.code()) for call in calls]
        await until(lambda: reports.running == 12)
        for call in calls:
            call.cancel()
        await asyncio.gather(*waiting)
        await until(lambda: reports.running == 0, seconds=5)
