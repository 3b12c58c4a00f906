"""The binding `cgi`: HTTP/1.0, and a process for each request."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from urllib.parse import urlencode

from remotecalls.shop import InvalidArgument, Shop
from remotecalls.shop.domain import format_money
from remotecalls.sockets.cgi_server import SCRIPT_NAME, CGIServer
from remotecalls.sockets.clients import RequestClient, is_last
from remotecalls.sockets.messages import (
    AddCustomer,
    GetCustomer,
    ListCustomers,
    PlaceOrder,
    Reply,
    Request,
    StreamOrders,
    UpdateBalance,
)
from remotecalls.sockets.text_protocol import TextCodec
from remotecalls.wire.address import Address
from remotecalls.wire.deadline import Deadline
from remotecalls.wire.errors import ConnectionLost, ProtocolError, Unavailable

RECEIVE_BYTES = 16_384
HEAD_BYTES = 8_192


def encode_request(request: Request) -> bytes:
    """A request as HTTP/1.0: GET for a question, POST with a form for a change.

    Raises:
        InvalidArgument: a text is not valid Unicode, or an amount is not in whole cents.
    """
    fields: dict[str, int | str]
    match request:
        case AddCustomer(customer_id, name, balance):
            fields = {"customer_id": customer_id, "name": name, "balance": format_money(balance)}
            return _post("add", fields)
        case UpdateBalance(customer_id, change):
            return _post("update", {"customer_id": customer_id, "change": format_money(change)})
        case PlaceOrder(customer_id, item, quantity, unit_price):
            price = format_money(unit_price)
            fields = {"customer_id": customer_id, "item": item}
            return _post("place", {**fields, "quantity": quantity, "unit_price": price})
        case GetCustomer(customer_id):
            return _get("get", {"customer_id": customer_id})
        case ListCustomers(after, limit):
            return _get("list", {"after": after, "limit": limit})
        case StreamOrders(customer_id):
            return _get("orders", {"customer_id": customer_id})


def _get(operation: str, fields: dict[str, int]) -> bytes:
    return f"GET {SCRIPT_NAME}?{_form(operation, fields)} HTTP/1.0\r\n\r\n".encode()


def _post(operation: str, fields: dict[str, int | str]) -> bytes:
    body = _form(operation, fields)
    return (
        f"POST {SCRIPT_NAME} HTTP/1.0\r\n"
        "Content-Type: application/x-www-form-urlencoded\r\n"
        f"Content-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


def _form(operation: str, fields: dict[str, int] | dict[str, int | str]) -> str:
    try:
        return urlencode({"op": operation, **fields})
    except UnicodeEncodeError as error:
        raise InvalidArgument(f"{error.object!r} cannot be written as UTF-8") from error


class CGIClient(RequestClient):
    """A client that makes each call on a connection of its own, as HTTP/1.0 has it."""

    def __init__(self, address: Address, timeout: float) -> None:
        super().__init__(timeout)
        self._address = address
        self._codec = TextCodec()

    async def _replies(self, request: Request) -> AsyncGenerator[Reply, None]:
        data = encode_request(request)
        deadline = Deadline.after(self._timeout)
        async with deadline.enforced():
            reader, writer = await self._connect()
        try:
            async with deadline.enforced():
                await _send(writer, data)
                await _head(reader)
            decoder = self._codec.decoder()
            finished = False
            while not finished:
                async with deadline.enforced():
                    data = await _receive(reader)
                for message in decoder.feed(data):
                    _, reply = self._codec.decode_reply(message)
                    finished = is_last(request, reply)
                    yield reply
                    deadline = Deadline.after(self._timeout)
        finally:
            writer.transport.abort()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        try:
            where = self._address.host, self._address.port
            return await asyncio.open_connection(*where, limit=HEAD_BYTES)
        except OSError as error:
            raise Unavailable(f"no connection to {self._address}: {error.strerror}") from error


async def _send(writer: asyncio.StreamWriter, data: bytes) -> None:
    try:
        writer.write(data)
        await writer.drain()
    except OSError as error:
        raise ConnectionLost(f"while sending: {error.strerror}") from error


async def _head(reader: asyncio.StreamReader) -> None:
    """Read past the status line and the headers; the body says in the shop's words what came."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if error.partial and not b"HTTP/1.".startswith(error.partial[:7]):
            raise ProtocolError(f"{error.partial[:40]!r} is no answer of HTTP") from error
        raise ConnectionLost("the connection ended before the headers did") from error
    except asyncio.LimitOverrunError as error:
        raise ProtocolError(f"the headers are over {HEAD_BYTES:,} bytes") from error
    except OSError as error:
        raise ConnectionLost(f"while waiting for the answer: {error.strerror}") from error
    if not head.startswith(b"HTTP/1."):
        raise ProtocolError(f"{head[:40]!r} is no answer of HTTP")


async def _receive(reader: asyncio.StreamReader) -> bytes:
    try:
        data = await reader.read(RECEIVE_BYTES)
    except OSError as error:
        raise ConnectionLost(f"while waiting for the answer: {error.strerror}") from error
    if not data:
        raise ConnectionLost("the connection ended before the answer did")
    return data


@asynccontextmanager
async def _serving(shop: Shop, host: str, port: int) -> AsyncIterator[CGIServer]:
    server = CGIServer(shop)
    await server.start(host, port)
    try:
        yield server
    finally:
        await server.stop()


def serve(
    shop: Shop, host: str = "127.0.0.1", port: int = 0
) -> AbstractAsyncContextManager[CGIServer]:
    """Serve the shop for as long as the block lasts.

    Raises:
        OSError: the address is in use or not of this machine.
        ValueError: the shop is kept in memory, which the script cannot see.
    """
    return _serving(shop, host, port)


@asynccontextmanager
async def connect(address: Address, timeout: float = 5.0) -> AsyncIterator[CGIClient]:
    """A client of the server at an address; each call takes at most `timeout` seconds."""
    yield CGIClient(address, timeout)
