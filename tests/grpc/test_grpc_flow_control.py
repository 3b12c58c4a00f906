"""HTTP/2 flow control: a client that does not read stops its own stream, and nothing else."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal

import grpc
import psutil
import pytest

from remotecalls.grpc.generated.shop.v1 import shop_pb2, shop_pb2_grpc
from remotecalls.grpc.server import serve
from remotecalls.grpc.settings import ChannelSettings
from remotecalls.shop import Order, Shop
from remotecalls.shop.sample import stock
from remotecalls.wire.recording import Direction
from remotecalls.wire.tap import Tap

ORDERS = 12_000
WINDOW = 65_535  # RFC 9113, section 6.9.2
ALL = shop_pb2.StreamOrdersRequest(customer_id=7)
ASK = shop_pb2.GetCustomerRequest(customer_id=42)


@asynccontextmanager
async def many_orders(
    *options: tuple[str, int],
) -> AsyncIterator[tuple[shop_pb2_grpc.ShopServiceStub, Callable[[], int]]]:
    """A stub, and a function that counts the bytes from the server so far."""
    shop = stock(Shop())
    with shop.repository.transaction():
        for number in range(3, ORDERS + 1):
            shop.repository.add_order(Order(number, 7, "a nanosecond of wire", 1, Decimal("0.01")))
    async with (
        serve(shop) as server,
        Tap(server.address) as tap,
        grpc.aio.insecure_channel(
            str(tap.address), options=[*ChannelSettings().options(), *options]
        ) as channel,
    ):
        yield (
            shop_pb2_grpc.ShopServiceStub(channel),
            lambda: tap.recording.sent.bytes_sent(Direction.SERVER_TO_CLIENT),
        )


async def standstill(count: Callable[[], int]) -> int:
    """The number of bytes when none has come for a while."""
    async with asyncio.timeout(20):
        while True:
            before = count()
            await asyncio.sleep(0.5)
            if count() == before:
                return before


FIXED = ("grpc.http2.bdp_probe", 0)
"""gRPC otherwise measures the path, and opens the window by what it could carry."""


async def test_a_stream_that_nobody_reads_stands_still_and_others_do_not() -> None:
    async with many_orders(FIXED) as (stub, count):
        stream = aiter(stub.StreamOrders(ALL))
        await anext(stream)
        stopped_at = await standstill(count)
        assert WINDOW / 2 < stopped_at < 3 * WINDOW
        for _ in range(20):
            assert (await stub.GetCustomer(ASK, timeout=5)).customer.name == "Ada Lovelace"
        assert count() - stopped_at < 5_000
        # And it goes on where it stood when somebody reads.
        received = [message.order.order_id async for message in stream]
        assert received == list(range(2, ORDERS + 1))
        assert count() > 5 * WINDOW


async def test_ten_streams_that_nobody_reads_keep_the_memory_flat() -> None:
    async with many_orders(FIXED) as (stub, count):
        process = psutil.Process()
        before = process.memory_info().rss
        streams = [stub.StreamOrders(ALL) for _ in range(10)]
        for stream in streams:
            await stream.read()
        await standstill(count)
        assert process.memory_info().rss - before < 20_000_000
        for stream in streams:
            stream.cancel()


async def test_leaving_a_stream_that_stands_still_is_no_fault(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    async with many_orders(FIXED) as (stub, count):
        stream = stub.StreamOrders(ALL)
        await stream.read()
        await standstill(count)
        stream.cancel()
        assert await stream.code() is grpc.StatusCode.CANCELLED
        assert (await stub.GetCustomer(ASK, timeout=5)).customer.name == "Ada Lovelace"
    assert [each.message for each in caplog.records if each.levelno >= logging.WARNING] == []
