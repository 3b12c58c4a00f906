"""The exercises of `labs/grpc.ipynb`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import grpc
import grpc.aio

from remotecalls.grpc.generated.shop.v1 import shop_pb2, shop_pb2_grpc
from remotecalls.grpc.http2_dissector import FRAME_HEADER, HEADERS, PREFACE
from remotecalls.grpc.interception import Aspect, Call
from remotecalls.grpc.server import SHOP, serve
from remotecalls.grpc.settings import ChannelSettings
from remotecalls.notebook.exercises import (
    Answer,
    Attempt,
    Exercise,
    attempt,
    matches,
)
from remotecalls.shop import Shop
from remotecalls.shop.sample import stock
from remotecalls.wire.address import Address
from remotecalls.wire.recording import Direction
from remotecalls.wire.tap import Tap

ASK = shop_pb2.GetCustomerRequest(customer_id=42)


@asynccontextmanager
async def stub_of(address: Address) -> AsyncIterator[shop_pb2_grpc.ShopServiceStub]:
    """What protoc makes of the interface, on a channel of its own."""
    options = ChannelSettings().options()
    async with grpc.aio.insecure_channel(str(address), options=options) as channel:
        yield shop_pb2_grpc.ShopServiceStub(channel)  # type: ignore[no-untyped-call]


# ---------------------------------------------------------------- predict


def opened(data: bytes) -> list[int]:
    """The numbers of the streams that a client has opened, from the bytes that it sent."""
    at, found = len(PREFACE), []
    while at + FRAME_HEADER <= len(data):
        size = int.from_bytes(data[at : at + 3], "big")
        if data[at + 3] == HEADERS:
            found.append(int.from_bytes(data[at + 5 : at + 9], "big"))
        at += FRAME_HEADER + size
    return found


async def opened_by(calls: int) -> list[int]:
    """The streams of so many calls of one client, at once, as the tap saw them."""
    async with (
        serve(stock(Shop())) as server,
        Tap(server.address) as tap,
        stub_of(tap.address) as stub,
    ):
        await asyncio.gather(*(stub.GetCustomer(ASK, timeout=5) for _ in range(calls)))
        return opened(tap.recording.sent.stream(0, Direction.CLIENT_TO_SERVER))


async def check_streams(streams: Answer) -> AsyncIterator[Attempt]:
    """One call, then several, on the wire."""
    for calls, message in [
        (1, "The first stream of a client is number 1; 0 is the connection itself."),
        (2, "Even numbers are the server's, which pushes nothing here."),
        (5, "Numbers are never used again, so they go on and on."),
    ]:
        seen = await opened_by(calls)
        yield attempt(f"streams({calls})", partial(streams, calls), seen, message)


# ---------------------------------------------------------------- complete


class Remaining(Aspect):
    """Notes how many seconds each call had when it came; None for as many as it likes."""

    def __init__(self) -> None:
        self.seconds: list[float | None] = []

    @asynccontextmanager
    async def around(self, call: Call) -> AsyncIterator[None]:
        """See `Aspect`."""
        self.seconds.append(call.context.time_remaining())
        yield


@asynccontextmanager
async def two_hops(
    relay: Answer, busy: float
) -> AsyncIterator[tuple[shop_pb2_grpc.ShopServiceStub, list[float | None]]]:
    """A front that is busy for a while and then relays, and what the shop behind it is given."""
    behind = Remaining()
    raised: list[Exception] = []
    async with serve(stock(Shop()), interceptors=[behind]) as shop, stub_of(shop.address) as stub:

        async def get_customer(request: Any, context: grpc.aio.ServicerContext) -> Any:
            await asyncio.sleep(busy)
            try:
                return await relay(request, context, stub)
            except Exception as error:
                raised.append(error)
                raise

        handler = grpc.unary_unary_rpc_method_handler(
            get_customer,
            request_deserializer=shop_pb2.GetCustomerRequest.FromString,
            response_serializer=shop_pb2.GetCustomerResponse.SerializeToString,
        )
        front = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        front.add_generic_rpc_handlers(
            [grpc.method_handlers_generic_handler(SHOP, {"GetCustomer": handler})]
        )
        port = front.add_insecure_port("127.0.0.1:0")
        await front.start()
        try:
            async with stub_of(Address("127.0.0.1", port)) as client:
                yield client, behind.seconds
        except grpc.aio.AioRpcError:
            if raised:
                raise raised[0] from None  # what gRPC makes of it says less
            raise
        finally:
            await front.stop(0)


async def check_relay(relay: Answer) -> AsyncIterator[Attempt]:
    """A call with two seconds, of which the front uses some; and one without a deadline."""
    async with two_hops(relay, busy=0.5) as (client, seconds):
        customer = (await client.GetCustomer(ASK, timeout=2.0)).customer
        yield attempt(
            "a call with 2 s through the front: the customer's name",
            lambda: customer.name,
            "Ada Lovelace",
            "Return what the shop answers.",
        )
        yield attempt(
            "the seconds that the shop was given, when the front had used 0.5",
            lambda: seconds[-1],
            matches(
                "more than 1.0 and less than 1.51",
                lambda left: left is not None and 1.0 < left < 1.51,
            ),
            lambda left: (
                "The shop knows no deadline, and will work on when everybody has left."
                if left is None
                else "That is not what the caller has left: time has passed in the front."
            ),
        )
    async with two_hops(relay, busy=0.0) as (client, seconds):
        await client.GetCustomer(ASK)
        yield attempt(
            "the seconds that the shop was given for a call without a deadline",
            lambda: seconds[-1],
            None,
            "The caller is willing to wait. Nobody asked for a deadline.",
        )


# ---------------------------------------------------------------- build


async def error_of(call: Any) -> grpc.aio.AioRpcError:
    """How a call fails that has to fail."""
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return error
    raise AssertionError("the call did not fail")


async def check_reason(reason: Answer) -> AsyncIterator[Attempt]:
    """Two refusals with one code, one with another, and a failure that nobody explains."""
    async with serve(stock(Shop())) as server, stub_of(server.address) as stub:
        missing = await error_of(stub.GetCustomer(shop_pb2.GetCustomerRequest(customer_id=43)))
        yacht = shop_pb2.PlaceOrderRequest(
            customer_id=42, item="yacht", quantity=1, unit_price_cents=999_900
        )
        poor = await error_of(stub.PlaceOrder(yacht))
        negative = shop_pb2.ListCustomersRequest(limit=0)
        invalid = await error_of(stub.ListCustomers(negative))
        gone = server.address
    async with stub_of(gone) as stub:
        unreachable = await error_of(stub.GetCustomer(ASK, timeout=2))
    for words, error, expected, message in [
        ("nobody has the number 43", missing, "customer_not_found", "The code is one of sixteen."),
        (
            "a yacht, and not the money",
            poor,
            "insufficient_funds",
            "FAILED_PRECONDITION says that something was not as it had to be, and not what.",
        ),
        (
            "a page of no customers",
            invalid,
            "invalid_argument",
            "More than one detail may be there; look at each.",
        ),
        (
            "nobody listens there",
            unreachable,
            None,
            "No server has said anything, so there is no rich status: `from_call` gives None.",
        ),
    ]:
        yield attempt(f"reason(error), where {words}", partial(reason, error), expected, message)


EXERCISES = (
    Exercise(
        name="predict-the-streams",
        kind="predict",
        title="Numbers of streams",
        minutes=6,
        lines=2,
        hints=(
            "Look at the field `stream` of the HEADERS above, for the first call and the second.",
            "A client opens streams with odd numbers, each higher than the one before.",
        ),
        check=check_streams,
        task="Write `streams(calls)`: the list of the stream numbers that a client uses for so "
        "many calls on a fresh connection.",
    ),
    Exercise(
        name="pass-the-deadline-on",
        kind="complete",
        title="The time that is left",
        minutes=8,
        lines=2,
        hints=(
            "`context.time_remaining()` is the number of seconds that the caller has left.",
            "It is None without a deadline, and `timeout=None` means the same for a call.",
        ),
        check=check_relay,
        task="Write `async def relay(request, context, shop)`: call `shop.GetCustomer` for the "
        "caller, with the time that the caller has left, and return the answer.",
    ),
    Exercise(
        name="read-the-reason",
        title="Why it failed",
        minutes=12,
        lines=7,
        hints=(
            "`rpc_status.from_call(error)` gives the `google.rpc.Status`, or None.",
            "Each detail is an `Any`: `detail.Unpack(info)` says whether it is of that type.",
        ),
        check=check_reason,
        task="Write `reason(error)`: the reason in the `ErrorInfo` of a failed call, or None if "
        "there is no rich status.",
    ),
)
