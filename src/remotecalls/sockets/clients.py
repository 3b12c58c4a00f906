"""Clients: the methods of the shop, turned into requests and back."""

from __future__ import annotations

import asyncio
import socket
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from decimal import Decimal
from typing import TypeVar

from remotecalls.shop import Customer, Order, ShopError
from remotecalls.sockets.messages import (
    BAD_REQUEST,
    SERVER_FAILED,
    AddCustomer,
    Codec,
    End,
    Failure,
    GetCustomer,
    ListCustomers,
    PlaceOrder,
    Reply,
    Request,
    StreamOrders,
    UpdateBalance,
)
from remotecalls.wire.address import Address
from remotecalls.wire.deadline import Deadline
from remotecalls.wire.errors import ConnectionLost, ProtocolError, ServerFailed, Unavailable

RECEIVE_BYTES = 16_384
IDLE_CONNECTIONS = 4

Item = TypeVar("Item", Customer, Order)


class RequestClient(ABC):
    """The methods of `ShopClient`, over any way to send a request and receive its replies.

    Args:
        timeout: seconds that a call may take; in a sequence, seconds from one item to the next.
    """

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout

    @abstractmethod
    def _replies(self, request: Request) -> AsyncGenerator[Reply, None]:
        """Send a request and give its replies, the last one included."""

    async def add_customer(self, customer_id: int, name: str, balance: Decimal) -> Customer:
        """Open an account."""
        return await self._one(AddCustomer(customer_id, name, balance), Customer)

    async def get_customer(self, customer_id: int) -> Customer:
        """Look a customer up."""
        return await self._one(GetCustomer(customer_id), Customer)

    async def update_balance(self, customer_id: int, change: Decimal) -> Customer:
        """Add `change` to the balance."""
        return await self._one(UpdateBalance(customer_id, change), Customer)

    async def place_order(
        self, customer_id: int, item: str, quantity: int, unit_price: Decimal
    ) -> Order:
        """Order an item and pay for it."""
        return await self._one(PlaceOrder(customer_id, item, quantity, unit_price), Order)

    async def list_customers(self, after: int = 0, limit: int = 50) -> list[Customer]:
        """One page of customers."""
        async with aclosing(self._many(ListCustomers(after, limit), Customer)) as customers:
            return [customer async for customer in customers]

    def stream_orders(self, customer_id: int) -> AsyncGenerator[Order, None]:
        """All orders of a customer, as they arrive."""
        return self._many(StreamOrders(customer_id), Order)

    async def _one(self, request: Request, kind: type[Item]) -> Item:
        async with aclosing(self._replies(request)) as replies:
            async for reply in replies:
                return _expect(reply, kind)
        raise ConnectionLost("the connection ended before the answer")

    async def _many(self, request: Request, kind: type[Item]) -> AsyncGenerator[Item, None]:
        count = 0
        async with aclosing(self._replies(request)) as replies:
            async for reply in replies:
                if isinstance(reply, End):
                    if reply.count != count:
                        raise ProtocolError(f"{count} items came, the server sent {reply.count}")
                    return
                yield _expect(reply, kind)
                count += 1
        raise ConnectionLost(f"the connection ended after {count} items")


def _expect(reply: Reply, kind: type[Item]) -> Item:
    if isinstance(reply, Failure):
        if reply.code == BAD_REQUEST:
            raise ProtocolError(f"the server refused the bytes: {reply.message}")
        if reply.code == SERVER_FAILED:
            raise ServerFailed(reply.message)
        try:
            error = ShopError.from_code(reply.code, reply.message)
        except KeyError:
            raise ProtocolError(f"unknown error code {reply.code!r}") from None
        raise error
    if not isinstance(reply, kind):
        raise ProtocolError(f"expected a {kind.__name__}, got {type(reply).__name__}")
    return reply


def is_last(request: Request, reply: Reply) -> bool:
    """Whether no reply follows this one."""
    if isinstance(request, ListCustomers | StreamOrders):
        return isinstance(reply, End | Failure)
    return True


class Connection:
    """One connected socket, used for one request at a time."""

    def __init__(self, sock: socket.socket, codec: Codec) -> None:
        self._socket = sock
        self._codec = codec
        self._decoder = codec.decoder()
        self._messages: list[bytes] = []

    @classmethod
    async def open(cls, address: Address, codec: Codec) -> Connection:
        """Connect.

        Raises:
            Unavailable: nobody accepted.
        """
        sock = socket.socket()
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            await asyncio.get_running_loop().sock_connect(sock, (address.host, address.port))
        except BaseException as error:
            sock.close()
            if isinstance(error, OSError):
                raise Unavailable(f"no connection to {address}: {error.strerror}") from error
            raise
        return cls(sock, codec)

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def is_quiet(self) -> bool:
        """Whether the connection is open with nothing to read, as it must be between calls."""
        try:
            self._socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return not self._messages
        except OSError:
            return False
        return False  # the end of the stream, or bytes that nobody asked for

    async def send(self, data: bytes) -> None:
        """Send all of the bytes.

        Raises:
            ConnectionLost: the connection broke on the way.
        """
        try:
            await asyncio.get_running_loop().sock_sendall(self._socket, data)
        except OSError as error:
            raise ConnectionLost(f"while sending: {error.strerror}") from error

    async def receive(self) -> Reply:
        """The next reply.

        Raises:
            ConnectionLost: the connection ended before it.
            ProtocolError: the bytes are not a reply.
        """
        loop = asyncio.get_running_loop()
        while not self._messages:
            try:
                data = await loop.sock_recv(self._socket, RECEIVE_BYTES)
            except OSError as error:
                raise ConnectionLost(f"while waiting for the answer: {error.strerror}") from error
            if not data:
                raise ConnectionLost("the server closed the connection before its answer was whole")
            self._messages.extend(self._decoder.feed(data))
        _, reply = self._codec.decode_reply(self._messages.pop(0))
        return reply


class SocketClient(RequestClient):
    """A client that gives each call in progress a connection of its own, and keeps a few for later.

    A connection on which a call failed, was cancelled or was left half read is closed: a late
    answer on it would be taken for the answer to the next request.
    """

    def __init__(self, address: Address, codec: Codec, timeout: float) -> None:
        super().__init__(timeout)
        self._address = address
        self._codec = codec
        self._idle: list[Connection] = []

    async def _replies(self, request: Request) -> AsyncGenerator[Reply, None]:
        data = self._codec.encode_request(0, request)
        deadline = Deadline.after(self._timeout)
        async with deadline.enforced():
            connection = self._take_idle() or await Connection.open(self._address, self._codec)
        finished = False
        try:
            async with deadline.enforced():
                await connection.send(data)
            while not finished:
                async with deadline.enforced():
                    reply = await connection.receive()
                finished = is_last(request, reply)
                yield reply
                deadline = Deadline.after(self._timeout)
        finally:
            if finished and len(self._idle) < IDLE_CONNECTIONS:
                self._idle.append(connection)
            else:
                connection.close()

    def _take_idle(self) -> Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.is_quiet():
                return connection
            connection.close()
        return None

    def close(self) -> None:
        """Close the idle connections."""
        while self._idle:
            self._idle.pop().close()


@asynccontextmanager
async def connecting(address: Address, codec: Codec, timeout: float) -> AsyncIterator[SocketClient]:
    """A client of raw sockets, for as long as the block lasts. It connects at the first call."""
    client = SocketClient(address, codec, timeout)
    try:
        yield client
    finally:
        client.close()
