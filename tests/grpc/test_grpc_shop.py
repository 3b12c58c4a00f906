"""The shop over gRPC: what the conformance suite does not ask of every protocol."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing
from decimal import Decimal
from pathlib import Path
from typing import Any

import grpc
import psutil
import pytest
from google.rpc import error_details_pb2
from grpc_calls import SERVICE, failure, raw_channel, serving

from remotecalls.grpc.chat import PARTICIPANTS, UNHEARD_MESSAGES
from remotecalls.grpc.client import Added, GrpcClient, connect
from remotecalls.grpc.failures import NotAllowed, Overloaded
from remotecalls.grpc.generated.shop.v1 import shop_pb2, shop_pb2_grpc
from remotecalls.grpc.server import serve
from remotecalls.grpc.settings import ChannelSettings
from remotecalls.grpc.statuses import DOMAIN, reason_of, rich_status_of, violations_of
from remotecalls.shop import Customer, InvalidArgument, Order, Shop
from remotecalls.shop.database import open_repository
from remotecalls.shop.sample import stock
from remotecalls.wire.address import Address
from remotecalls.wire.errors import (
    ConnectionLost,
    DeadlineExceeded,
    FrameTooLarge,
    ProtocolError,
    ServerFailed,
    Unavailable,
)
from serving import peer

# ---------------------------------------------------------------- statuses on the wire

REFUSED = {
    "GetCustomer": (
        shop_pb2.GetCustomerRequest(customer_id=43),
        grpc.StatusCode.NOT_FOUND, "customer_not_found", "there is no customer 43"),
    "AddCustomer": (
        shop_pb2.AddCustomerRequest(customer_id=42, name="A", balance_cents=0),
        grpc.StatusCode.ALREADY_EXISTS, "customer_exists", "customer 42 exists already"),
    "ChangeBalance": (
        shop_pb2.ChangeBalanceRequest(customer_id=42, change_cents=-1_231),
        grpc.StatusCode.FAILED_PRECONDITION, "insufficient_funds",
        "customer 42 has 12.30, which does not cover 12.31"),
    "PlaceOrder": (
        shop_pb2.PlaceOrderRequest(customer_id=43, item="x", quantity=1, unit_price_cents=1),
        grpc.StatusCode.NOT_FOUND, "customer_not_found", "there is no customer 43"),
}  # fmt: skip


@pytest.mark.parametrize("method", REFUSED)
async def test_an_error_of_the_shop_is_a_rich_status(method: str) -> None:
    request, code, reason, message = REFUSED[method]
    async with serving() as (_, channel):
        error = await failure(getattr(shop_pb2_grpc.ShopServiceStub(channel), method)(request))
    assert (error.code(), error.details()) == (code, message)
    status = rich_status_of(error)
    assert status is not None
    assert (status.code, status.message) == (code.value[0], message)
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    assert (info.reason, info.domain) == (reason, DOMAIN)


async def test_every_field_that_breaks_a_rule_is_named() -> None:
    request = shop_pb2.PlaceOrderRequest(customer_id=0, item="a\tb", quantity=0)
    async with serving() as (_, channel):
        error = await failure(shop_pb2_grpc.ShopServiceStub(channel).PlaceOrder(request))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    status = rich_status_of(error)
    assert status is not None
    assert reason_of(status) == "invalid_argument"
    broken = dict(violations_of(status))
    assert broken.keys() == {"customer_id", "item", "quantity", "unit_price_cents"}
    assert broken["quantity"] == "must be greater than or equal to 1 and less than or equal to 9999"


async def test_a_rule_of_the_domain_that_no_annotation_says() -> None:
    # The sum of two valid numbers may be more than any account holds.
    async with serve(stock(Shop())) as server, connect(server.address) as client:
        with pytest.raises(InvalidArgument, match="balance must be from 0 to"):
            await client.update_balance(42, Decimal("9999999.99"))


class Broken(Shop):
    def get_customer(self, customer_id: int) -> Customer:
        raise RuntimeError("the password of the database is hunter2")


async def test_what_fails_inside_is_logged_and_not_told(caplog: pytest.LogCaptureFixture) -> None:
    async with serving(Broken()) as (server, channel), connect(server.address) as client:
        stub = shop_pb2_grpc.ShopServiceStub(channel)
        error = await failure(stub.GetCustomer(shop_pb2.GetCustomerRequest(customer_id=42)))
        assert error.code() is grpc.StatusCode.INTERNAL
        assert "hunter2" not in f"{error.details()}{error.trailing_metadata()}"
        with pytest.raises(ServerFailed):
            await client.get_customer(42)
    assert "/shop.v1.ShopService/GetCustomer failed" in caplog.text
    assert "hunter2" in caplog.text


# ---------------------------------------------------------------- failures, in the client's words


class Ending:
    """A service whose every method ends with one status."""

    def __init__(self, code: grpc.StatusCode, details: str) -> None:
        self.ending = code, details

    async def intercept_service(self, continuation: Any, details: Any) -> Any:
        async def end(_: bytes, context: grpc.aio.ServicerContext) -> bytes:
            await context.abort(*self.ending)
            return b""

        return grpc.unary_unary_rpc_method_handler(end)


class EndingInterceptor(Ending, grpc.aio.ServerInterceptor):
    pass


ENDINGS = [
    (grpc.StatusCode.INTERNAL, ServerFailed),
    (grpc.StatusCode.UNKNOWN, ServerFailed),
    (grpc.StatusCode.DATA_LOSS, ServerFailed),
    (grpc.StatusCode.ABORTED, ServerFailed),
    (grpc.StatusCode.UNAVAILABLE, ConnectionLost),
    (grpc.StatusCode.CANCELLED, ConnectionLost),
    (grpc.StatusCode.DEADLINE_EXCEEDED, DeadlineExceeded),
    (grpc.StatusCode.RESOURCE_EXHAUSTED, Overloaded),
    (grpc.StatusCode.UNAUTHENTICATED, NotAllowed),
    (grpc.StatusCode.PERMISSION_DENIED, NotAllowed),
    (grpc.StatusCode.UNIMPLEMENTED, ProtocolError),
]


@pytest.mark.parametrize(("code", "raised"), ENDINGS, ids=lambda each: getattr(each, "name", ""))
async def test_a_bare_code_of_another_implementation(
    code: grpc.StatusCode, raised: type[Exception]
) -> None:
    ending = EndingInterceptor(code, "so it is")
    async with (
        serve(Shop(), interceptors=[ending]) as server,
        connect(server.address) as client,
    ):
        with pytest.raises(raised) as caught:
            await client.get_customer(42)
    assert code is grpc.StatusCode.DEADLINE_EXCEEDED or "so it is" in str(caught.value)


async def test_a_name_that_no_resolver_knows_is_unavailable() -> None:
    async with connect(Address("nowhere.invalid", 1), timeout=5) as client:
        with pytest.raises((Unavailable, DeadlineExceeded)):
            await client.get_customer(42)


async def test_an_answer_that_is_too_large_is_refused_by_the_client() -> None:
    shop = Shop()
    for number in range(1, 101):
        shop.add_customer(number, "n" * 30, Decimal(1))
    small = ChannelSettings(largest_response=1_000)
    async with serve(shop) as server, connect(server.address, settings=small) as client:
        assert len(await client.list_customers(limit=5)) == 5
        with pytest.raises(FrameTooLarge):
            await client.list_customers(limit=100)


async def test_a_method_that_another_server_does_not_have() -> None:
    async with serving() as (_, channel):
        error = await failure(channel.unary_unary(SERVICE + "Nothing")(b""))
    assert error.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_a_response_that_is_no_message_is_a_protocol_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Gibberish(grpc.aio.ServerInterceptor):  # type: ignore[misc]
        async def intercept_service(self, continuation: Any, details: Any) -> Any:
            async def answer(_: bytes, context: grpc.aio.ServicerContext) -> bytes:
                return b"\xff\xff\xff"

            return grpc.unary_unary_rpc_method_handler(answer)

    async with (
        serve(Shop(), interceptors=[Gibberish()]) as server,
        connect(server.address) as client,
    ):
        with pytest.raises(ProtocolError):
            await client.get_customer(42)
    assert "Exception deserializing message" in caplog.text  # so gRPC tells it


async def test_a_call_that_may_have_been_carried_out_is_not_repeated() -> None:
    # A peer that reads a whole request, and then breaks off each connection it is asked on.
    requests = 0

    async with serve(stock(Shop())) as server:

        async def cut_after_the_request(
            reader: asyncio.StreamReader, writer: asyncio.StreamWriter
        ) -> None:
            nonlocal requests
            onward, to_server = await asyncio.open_connection(
                server.address.host, server.address.port
            )

            async def back() -> None:
                while data := await onward.read(10_000):
                    if not cut:
                        writer.write(data)

            cut = False
            copying = asyncio.create_task(back())
            while data := await reader.read(10_000):
                if b"ChangeBalance" in data or b"\x12\x04" in data:
                    requests += 1
                    cut = True
                    to_server.write(data)
                    await asyncio.sleep(0.1)
                    break
                to_server.write(data)
            writer.transport.abort()
            to_server.close()
            await asyncio.gather(copying, return_exceptions=True)

        async with (
            peer(cut_after_the_request) as address,
            connect(address, timeout=5) as broken,
            connect(server.address) as client,
        ):
            with pytest.raises(ConnectionLost):
                await broken.update_balance(42, Decimal("1.00"))
            await asyncio.sleep(0.3)  # time for a repetition, if there were one
            assert (await client.get_customer(42)).balance == Decimal("13.30")
    assert requests == 1


# ---------------------------------------------------------------- streams


def with_many_orders(count: int) -> Shop:
    shop = stock(Shop())
    with shop.repository.transaction():
        for number in range(3, count + 3):
            shop.repository.add_order(Order(number, 7, "cards", 1, Decimal("0.01")))
    return shop


class Slow(Shop):
    """A shop that takes a while for each page of orders."""

    pages = 0
    seconds = 0.0

    def list_orders(self, customer_id: int, after: int = 0, limit: int = 50) -> list[Order]:
        self.pages += 1
        time.sleep(self.seconds)
        return super().list_orders(customer_id, after, limit)


async def test_a_stream_that_is_left_is_cancelled_at_the_server() -> None:
    shop = Slow(with_many_orders(20_000).repository)
    async with serve(shop) as server, connect(server.address) as client:
        async with aclosing(client.stream_orders(7)) as orders:
            async for _ in orders:
                break
        await asyncio.sleep(0.2)
        pages = shop.pages
        await asyncio.sleep(0.2)
        assert shop.pages == pages < 400


async def test_the_deadline_of_a_stream_holds_from_one_order_to_the_next() -> None:
    shop = Slow(with_many_orders(200).repository)
    shop.seconds = 0.15
    async with serve(shop) as server, connect(server.address, timeout=0.4) as client:
        began = time.monotonic()
        assert len([order async for order in client.stream_orders(7)]) == 202
        assert time.monotonic() - began > 0.4
        shop.seconds = 0.8
        with pytest.raises(DeadlineExceeded):
            _ = [order async for order in client.stream_orders(7)]


async def test_a_slow_reader_holds_the_server_back() -> None:
    shop = Slow(with_many_orders(20_000).repository)
    async with (
        serve(shop) as server,
        connect(server.address, timeout=30) as client,
        aclosing(client.stream_orders(7)) as orders,
    ):
        await anext(orders)
        await asyncio.sleep(0.5)
        assert shop.pages < 300  # of 402: the window of the stream is full
        assert len([order async for order in orders]) == 20_001


async def test_a_long_stream_keeps_the_memory_flat() -> None:
    shop = with_many_orders(40_000)
    process = psutil.Process()
    async with serve(shop) as server, connect(server.address, timeout=30) as client:
        count = 0
        async for _ in client.stream_orders(7):
            count += 1
            if count == 10_000:
                before = process.memory_info().rss
        grown = process.memory_info().rss - before
    assert count == 40_002
    assert grown < 8_000_000


async def test_bulk_add_goes_on_after_a_refusal() -> None:
    new = [
        Customer(1, "Ida Rhodes", Decimal("1.00")),
        Customer(42, "Ada again", Decimal("1.00")),
        Customer(2, "Mary Jackson", Decimal("2.00")),
    ]
    async with serve(stock(Shop())) as server, connect(server.address) as client:
        added = await client.bulk_add_customers(new)
        assert (added.added, added.refused) == (2, 1)
        [refusal] = added.refusals
        assert (refusal.position, refusal.customer_id) == (1, 42)
        assert (refusal.reason, refusal.message) == (
            "customer_exists",
            "customer 42 exists already",
        )
        assert await client.get_customer(2) == new[2]


async def test_bulk_add_says_which_rule_is_broken() -> None:
    def requests() -> list[shop_pb2.BulkAddCustomersRequest]:
        bad = shop_pb2.NewCustomer(customer_id=0, name="\t", balance_cents=-1)
        return [shop_pb2.BulkAddCustomersRequest(customer=each) for each in [bad] * 150] + [
            shop_pb2.BulkAddCustomersRequest()
        ]

    async with serving() as (_, channel):
        result = await shop_pb2_grpc.ShopServiceStub(channel).BulkAddCustomers(iter(requests()))
    assert (result.added, result.refused, len(result.refusals)) == (0, 151, 100)
    first = result.refusals[0]
    assert first.reason == "invalid_argument"
    assert all(each in first.message for each in ["customer_id", "name", "balance_cents"])


async def test_bulk_add_of_many_from_a_generator() -> None:
    async def many() -> AsyncIterator[Customer]:
        for number in range(1_000, 3_000):
            yield Customer(number, f"Customer {number}", Decimal("0.05"))

    shop = stock(Shop())
    async with serve(shop) as server, connect(server.address, timeout=30) as client:
        assert await client.bulk_add_customers(many()) == Added(2_000, 0, ())
    assert shop.get_customer(2_999).name == "Customer 2999"


# ---------------------------------------------------------------- chat


async def heard(conversation: Any) -> tuple[str, ...]:
    event = await conversation.hear()
    match event.WhichOneof("event"):
        case "message":
            return "message", event.message.sender, event.message.text
        case "joined":
            return "joined", event.joined.name, str(event.joined.participants)
        case _:
            return "left", event.left.name, str(event.left.participants)


async def test_everybody_in_a_room_hears_the_same() -> None:
    async with serve(Shop()) as server, AsyncExitStack() as stack:
        ada, grace, edsger = [
            await stack.enter_async_context(connect(server.address)) for _ in range(3)
        ]
        async with (
            ada.chat("help", "Ada") as first,
            grace.chat("help", "Grace") as second,
            edsger.chat("elsewhere", "Edsger") as third,
        ):
            assert await heard(first) == ("joined", "Grace", "2")
            await first.say("My order has not come.")
            await second.say("Which one?")
            await third.say("Nobody is here.")
            said = {
                ("message", "Ada", "My order has not come."),
                ("message", "Grace", "Which one?"),
            }
            in_order = [await heard(first), await heard(first)]
            assert set(in_order) == said
            assert [await heard(second), await heard(second)] == in_order
            assert await heard(third) == ("message", "Edsger", "Nobody is here.")
        async with grace.chat("help", "Grace") as alone:  # the room began anew
            await alone.say("Still there?")
            assert await heard(alone) == ("message", "Grace", "Still there?")


async def test_who_leaves_is_told_to_the_others() -> None:
    async with (
        serve(Shop()) as server,
        connect(server.address) as client,
        client.chat("help", "Ada") as first,
    ):
        async with client.chat("help", "Grace"):
            assert await heard(first) == ("joined", "Grace", "2")
        assert await heard(first) == ("left", "Grace", "1")


async def test_a_participant_enters_first() -> None:
    async with serving() as (_, channel):
        stub = shop_pb2_grpc.ShopServiceStub(channel)
        for requests, message in [
            ([shop_pb2.ChatRequest(text="hello")], "the first message of a participant"),
            ([], "the first message of a participant"),
            ([shop_pb2.ChatRequest()], "exactly one field is required"),
            ([shop_pb2.ChatRequest(join=shop_pb2.ChatJoin(room="a"))], "name"),
        ]:
            call = stub.Chat(iter(requests))
            error = await failure(call.read())
            assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
            assert message in (error.details() or "")


async def test_one_who_does_not_read_is_sent_away_and_the_others_hear_on() -> None:
    async with (
        serve(Shop()) as server,
        connect(server.address, timeout=20) as client,
        client.chat("help", "Ada") as ada,
        raw_channel(server.address) as channel,
    ):
        call = shop_pb2_grpc.ShopServiceStub(channel).Chat()
        await call.write(shop_pb2.ChatRequest(join=shop_pb2.ChatJoin(room="help", name="Asleep")))
        assert await heard(ada) == ("joined", "Asleep", "2")
        words = "x" * 1_000
        event: tuple[str, ...] = ()
        for _ in range(200 * UNHEARD_MESSAGES):
            await ada.say(words)
            event = await heard(ada)
            if event[0] == "left":
                break
        assert event == ("left", "Asleep", "1")
        with pytest.raises(grpc.aio.AioRpcError) as sent_away:
            await read_all(call)  # what had been sent before it was sent away
        assert sent_away.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def read_all(call: grpc.aio.StreamStreamCall) -> None:
    while await call.read() is not grpc.aio.EOF:
        pass


async def test_a_full_room_takes_nobody_more() -> None:
    async with serve(Shop()) as server, connect(server.address) as client, AsyncExitStack() as room:
        for number in range(PARTICIPANTS):
            await room.enter_async_context(client.chat("help", f"Participant {number}"))
        with pytest.raises(Overloaded, match="50 participants"):
            async with client.chat("help", "One too many"):
                pass


# ---------------------------------------------------------------- a repository that waits


async def test_a_locked_database_holds_up_only_its_own_call(tmp_path: Path) -> None:
    with open_repository(str(tmp_path / "shop.db")) as repository:
        shop = stock(Shop(repository))
        async with serve(shop) as server, connect(server.address, timeout=10) as client:
            with sqlite3.connect(tmp_path / "shop.db", isolation_level=None) as other:
                other.execute("BEGIN IMMEDIATE")
                writing = asyncio.create_task(client.update_balance(42, Decimal("0.70")))
                async with client.chat("help", "Ada") as chat:  # needs the loop, not the database
                    for _ in range(20):
                        await chat.say("Is anybody there?")
                        await chat.hear()
                assert not writing.done()
                other.execute("ROLLBACK")
            other.close()
            assert (await writing).balance == Decimal("13.00")


async def test_postgresql_serves_many_clients_at_once(postgres_url: str) -> None:
    with open_repository(postgres_url) as repository:
        shop = stock(Shop(repository))
        async with serve(shop) as server, connect(server.address, timeout=30) as client:

            async def deposit(client: GrpcClient) -> None:
                for _ in range(5):
                    await client.update_balance(42, Decimal("0.01"))

            await asyncio.gather(*(deposit(client) for _ in range(8)))
            assert (await client.get_customer(42)).balance == Decimal("12.70")
