"""A client of the shop over gRPC: every call a stream of one HTTP/2 connection.

A call that may have been carried out is not repeated. gRPC by itself repeats only one that the
server has certainly not seen: it refused the stream, or said with GOAWAY that it never read it
(gRFC A6, "transparent retries"). More is for a service config to allow; see `retry_policy`.
"""

from __future__ import annotations

from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Sequence,
)
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import grpc
import grpc.aio

from remotecalls.grpc.failures import failure_of
from remotecalls.grpc.generated.shop.v1 import shop_pb2, shop_pb2_grpc
from remotecalls.grpc.messages import cents, read_customer, read_order, text, uint32
from remotecalls.grpc.settings import ChannelSettings
from remotecalls.shop import Customer, Order
from remotecalls.wire.address import Address
from remotecalls.wire.deadline import Deadline
from remotecalls.wire.errors import ProtocolError

Metadata = Sequence[tuple[str, str | bytes]]


@dataclass(frozen=True)
class Refused:
    """A customer that was not added with others.

    Attributes:
        position: in the sequence that was sent, from 0.
        customer_id: its id.
        reason: the code of a `ShopError`.
        message: for a person.
    """

    position: int
    customer_id: int
    reason: str
    message: str


@dataclass(frozen=True)
class Added:
    """What became of many customers.

    Attributes:
        added: how many are in the shop now.
        refused: how many are not.
        refusals: why, for the first hundred of them.
    """

    added: int
    refused: int
    refusals: tuple[Refused, ...]


@dataclass(frozen=True)
class ChannelFactory:
    """How to connect.

    Attributes:
        address: of the server.
        settings: limits, keepalive, service config.
        credentials: for TLS; without them nothing is encrypted.
        interceptors: of grpc.aio, from the outermost in.
    """

    address: Address
    settings: ChannelSettings
    credentials: grpc.ChannelCredentials | None = None
    interceptors: Sequence[grpc.aio.ClientInterceptor] = ()

    def open(self) -> grpc.aio.Channel:
        """A channel, which connects at the first call."""
        options = {"options": self.settings.options(), "interceptors": list(self.interceptors)}
        if self.credentials is not None:
            return grpc.aio.secure_channel(str(self.address), self.credentials, **options)
        return grpc.aio.insecure_channel(str(self.address), **options)


class _Channel:
    """A channel, and how many calls are on it."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.channel = channel
        self.stub = shop_pb2_grpc.ShopServiceStub(channel)  # type: ignore[no-untyped-call]
        self.calls = 0
        self.has_failed = False


class GrpcClient:
    """`ShopClient` over gRPC, and the two methods that only streams allow.

    A channel whose connection failed waits before it tries again, longer each time, and fails the
    calls made in between at once. That suits a program that calls all day. A caller who asks today
    and again tomorrow wants to know about tomorrow: after a failure the next call gets a new
    channel.

    Args:
        factory: makes the channels.
        timeout: seconds that a call may take; in a sequence, seconds from one item to the next.
        metadata: sent with every call.
    """

    def __init__(self, factory: ChannelFactory, timeout: float, metadata: Metadata = ()) -> None:
        self._factory = factory
        self._timeout = timeout
        self._metadata = grpc.aio.Metadata(*metadata)
        self._current: _Channel | None = None
        self._channels: set[_Channel] = set()

    async def close(self) -> None:
        """Close the connections. Calls in progress fail with `ConnectionLost`."""
        for each in list(self._channels):
            await self._discard(each)

    # ------------------------------------------------------------ the methods of the shop

    async def add_customer(self, customer_id: int, name: str, balance: Decimal) -> Customer:
        """Open an account."""
        request = shop_pb2.AddCustomerRequest(
            customer_id=uint32("customer_id", customer_id),
            name=text("name", name),
            balance_cents=cents(balance),
        )
        return read_customer((await self._call("AddCustomer", request)).customer)

    async def get_customer(self, customer_id: int) -> Customer:
        """Look a customer up."""
        request = shop_pb2.GetCustomerRequest(customer_id=uint32("customer_id", customer_id))
        return read_customer((await self._call("GetCustomer", request)).customer)

    async def update_balance(self, customer_id: int, change: Decimal) -> Customer:
        """Add `change` to the balance."""
        request = shop_pb2.ChangeBalanceRequest(
            customer_id=uint32("customer_id", customer_id), change_cents=cents(change)
        )
        return read_customer((await self._call("ChangeBalance", request)).customer)

    async def list_customers(self, after: int = 0, limit: int = 50) -> list[Customer]:
        """One page of customers."""
        request = shop_pb2.ListCustomersRequest(
            after=uint32("after", after), limit=uint32("limit", limit)
        )
        response = await self._call("ListCustomers", request)
        return [read_customer(each) for each in response.customers]

    async def place_order(
        self, customer_id: int, item: str, quantity: int, unit_price: Decimal
    ) -> Order:
        """Order an item and pay for it."""
        request = shop_pb2.PlaceOrderRequest(
            customer_id=uint32("customer_id", customer_id),
            item=text("item", item),
            quantity=uint32("quantity", quantity),
            unit_price_cents=cents(unit_price),
        )
        return read_order((await self._call("PlaceOrder", request)).order)

    async def stream_orders(self, customer_id: int) -> AsyncGenerator[Order, None]:
        """All orders of a customer, as they arrive."""
        request = shop_pb2.StreamOrdersRequest(customer_id=uint32("customer_id", customer_id))
        async with self._channel() as used:
            call = used.stub.StreamOrders(request, metadata=self._metadata)
            try:
                while (response := await self._next(used, call)) is not grpc.aio.EOF:
                    yield read_order(response.order)
            finally:
                call.cancel()  # has no effect on one that is over

    # ------------------------------------------------------------ what only streams allow

    async def bulk_add_customers(
        self, customers: Iterable[Customer] | AsyncIterable[Customer]
    ) -> Added:
        """Open many accounts. Each is judged by itself; one that is refused stops no other.

        Raises:
            TransportError: the answer did not come. Any number of them may have been added.
        """
        requests = _bulk_requests(customers)
        response = await self._call("BulkAddCustomers", requests)
        refusals = tuple(
            Refused(each.position, each.customer_id, each.reason, each.message)
            for each in response.refusals
        )
        return Added(response.added, response.refused, refusals)

    @asynccontextmanager
    async def chat(self, room: str, name: str) -> AsyncIterator[Conversation]:
        """Enter a room for as long as the block lasts.

        Raises:
            InvalidArgument: the server does not take these names.
            Overloaded: the room is full.
        """
        join = shop_pb2.ChatJoin(room=text("room", room), name=text("name", name))
        async with self._channel() as used:
            call = used.stub.Chat(metadata=self._metadata)
            conversation = Conversation(
                lambda: self._next(used, call), lambda request: self._write(used, call, request)
            )
            try:
                await conversation.send(shop_pb2.ChatRequest(join=join))
                await conversation.hear()  # that we have entered
                yield conversation
            finally:
                call.cancel()

    # ------------------------------------------------------------ calls

    async def _call(self, method: str, request: Any) -> Any:
        deadline = Deadline.after(self._timeout)
        async with self._channel() as used:
            try:
                response = await getattr(used.stub, method)(
                    request, timeout=deadline.remaining(), metadata=self._metadata
                )
                return self._understood(response)
            except grpc.aio.AioRpcError as error:
                raise self._failed(used, error, deadline) from error

    async def _next(self, used: _Channel, call: Any) -> Any:
        """The next message of a stream, or `grpc.aio.EOF`. The deadline begins anew for each."""
        deadline = Deadline.after(self._timeout)
        try:
            async with deadline.enforced():
                return self._understood(await call.read())
        except grpc.aio.AioRpcError as error:
            raise self._failed(used, error, deadline) from error

    async def _write(self, used: _Channel, call: Any, request: Any) -> None:
        deadline = Deadline.after(self._timeout)
        try:
            async with deadline.enforced():
                await call.write(request)
        except grpc.aio.AioRpcError as error:
            raise self._failed(used, error, deadline) from error

    def _understood(self, response: Any) -> Any:
        if response is None:  # grpc.aio's word for bytes that it could make no message of
            raise ProtocolError(f"{self._factory.address} sent bytes that are no message")
        return response

    def _failed(self, used: _Channel, error: grpc.aio.AioRpcError, deadline: Deadline) -> Exception:
        if error.code() is grpc.StatusCode.UNAVAILABLE:
            used.has_failed = True
        return failure_of(error, self._factory.address, deadline)

    @asynccontextmanager
    async def _channel(self) -> AsyncIterator[_Channel]:
        """A channel that has not failed, for one call."""
        if self._current is None or self._current.has_failed:
            self._current = _Channel(self._factory.open())
            self._channels.add(self._current)
        used = self._current
        used.calls += 1
        try:
            yield used
        finally:
            used.calls -= 1
            if used.has_failed and used.calls == 0:
                await self._discard(used)

    async def _discard(self, channel: _Channel) -> None:
        self._channels.discard(channel)
        if channel is self._current:
            self._current = None
        await channel.channel.close()


class Conversation:
    """One participant's end of a chat."""

    def __init__(
        self,
        read: Callable[[], Awaitable[Any]],
        write: Callable[[shop_pb2.ChatRequest], Awaitable[None]],
    ) -> None:
        self._read = read
        self._write = write

    async def say(self, words: str) -> None:
        """Tell everybody in the room, this participant too."""
        await self.send(shop_pb2.ChatRequest(text=text("words", words)))

    async def send(self, request: shop_pb2.ChatRequest) -> None:
        """Send a message as it is."""
        await self._write(request)

    async def hear(self) -> shop_pb2.ChatResponse:
        """The next event of the room.

        Raises:
            EOFError: the server ended the conversation.
            DeadlineExceeded: nothing was said for as long as the client waits.
        """
        event: shop_pb2.ChatResponse = await self._read()
        if event is grpc.aio.EOF:
            raise EOFError("the server ended the conversation")
        return event


async def _bulk_requests(
    customers: Iterable[Customer] | AsyncIterable[Customer],
) -> AsyncGenerator[shop_pb2.BulkAddCustomersRequest, None]:
    if isinstance(customers, AsyncIterable):
        async for each in customers:
            yield _bulk_request(each)
    else:
        for each in customers:
            yield _bulk_request(each)


def _bulk_request(customer: Customer) -> shop_pb2.BulkAddCustomersRequest:
    new = shop_pb2.NewCustomer(
        customer_id=customer.customer_id,
        name=customer.name,
        balance_cents=cents(customer.balance),
    )
    return shop_pb2.BulkAddCustomersRequest(customer=new)


@asynccontextmanager
async def connect(
    address: Address,
    timeout: float = 5.0,
    *,
    settings: ChannelSettings | None = None,
    credentials: grpc.ChannelCredentials | None = None,
    interceptors: Sequence[grpc.aio.ClientInterceptor] = (),
    metadata: Metadata = (),
) -> AsyncIterator[GrpcClient]:
    """A client of the server at an address; each call takes at most `timeout` seconds.

    It connects at the first call, and anew at the first call after the connection failed.

    Args:
        address: of the server.
        timeout: seconds; in a stream, from one item to the next.
        settings: of the channel; those of `ChannelSettings()` without them.
        credentials: for TLS.
        interceptors: of grpc.aio, from the outermost in.
        metadata: sent with every call.
    """
    factory = ChannelFactory(address, settings or ChannelSettings(), credentials, interceptors)
    client = GrpcClient(factory, timeout, metadata)
    try:
        yield client
    finally:
        await client.close()
