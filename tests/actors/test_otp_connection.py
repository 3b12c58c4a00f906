"""Nodes that do not take us, and peers that are no nodes."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Awaitable, Callable

import pytest
from erldistpy.flags import DFLAG_HANDSHAKE_23
from erldistpy.handshake import cookie_digest

from remotecalls.actors.otp import Atom, CookieRefused, running_node
from remotecalls.actors.otp.connection import connected
from remotecalls.actors.otp.terms import Pid, Reference, decode, encode
from remotecalls.wire.address import Address
from remotecalls.wire.errors import (
    ConnectionLost,
    DeadlineExceeded,
    ProtocolError,
    Unavailable,
)
from serving import peer

COOKIE = "secret"
NAME = "python@127.0.0.1"
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def short(frame: bytes) -> bytes:
    return struct.pack(">H", len(frame)) + frame


def long(frame: bytes) -> bytes:
    return struct.pack(">I", len(frame)) + frame


async def read_short(reader: asyncio.StreamReader) -> bytes:
    (length,) = struct.unpack(">H", await reader.readexactly(2))
    return await reader.readexactly(length)


async def read_long(reader: asyncio.StreamReader) -> bytes:
    (length,) = struct.unpack(">I", await reader.readexactly(4))
    return await reader.readexactly(length)


async def greet(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    *,
    cookie: str = COOKIE,
    flags: int = DFLAG_HANDSHAKE_23,
) -> None:
    """A node's part of the handshake."""
    assert (await read_short(reader)).endswith(NAME.encode())
    writer.write(short(b"sok"))
    name = b"false@127.0.0.1"
    writer.write(short(struct.pack(">BQIIH", 78, flags, 7, 1, len(name)) + name))
    reply = await read_short(reader)
    (challenge,) = struct.unpack(">I", reply[1:5])
    writer.write(short(b"a" + cookie_digest(cookie, challenge)))


async def connect(address: Address, *, timeout: float = 5.0) -> None:
    async with connected(address, cookie=COOKIE, name=NAME, timeout=timeout):
        pass


async def test_the_wrong_cookie() -> None:
    async with running_node() as node:
        with pytest.raises(CookieRefused, match=f"{node.name} hung up on {NAME}: the cookie"):
            await connect(node.address)
        assert await node.rpc("erlang", "node") == Atom(node.name)
        async with connected(node.address, cookie=node.cookie, name=NAME) as second:
            assert second.peer == node.name


async def test_a_name_that_is_in_use() -> None:
    async with running_node() as node, connected(node.address, cookie=node.cookie, name=NAME):
        with pytest.raises(Unavailable, match=f"the node does not take {NAME}: it says '"):
            async with connected(node.address, cookie=node.cookie, name=NAME):
                pass


async def test_nobody_listens() -> None:
    async with running_node() as node:
        address = node.address
    with pytest.raises(Unavailable, match=f"no node listens on {address}"):
        await connect(address)


async def test_a_peer_that_is_silent() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with peer(silent) as address:
        with pytest.raises(DeadlineExceeded):
            await connect(address, timeout=0.1)


async def test_a_peer_that_hangs_up() -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_short(reader)
        writer.close()

    async with peer(hang_up) as address:
        with pytest.raises(ConnectionLost, match="during the handshake"):
            await connect(address)


async def test_a_peer_that_speaks_something_else() -> None:
    async def web(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_short(reader)
        writer.write(short(b"HTTP/1.1 400 Bad Request"))

    async with peer(web) as address:
        with pytest.raises(ProtocolError, match="this is not Erlang's handshake"):
            await connect(address)


async def test_a_peer_that_does_not_know_the_cookie_itself() -> None:
    async def impostor(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await greet(reader, writer, cookie="guess")

    async with peer(impostor) as address:
        with pytest.raises(CookieRefused, match="cannot prove that it knows the cookie"):
            await connect(address)


async def test_a_node_that_is_too_old() -> None:
    async def old(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await greet(reader, writer, flags=0)

    async with peer(old) as address:
        with pytest.raises(ProtocolError, match=r"false@127\.0\.0\.1 is older than OTP 23"):
            await connect(address)


async def outcome_of_a_call(
    then: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> object:
    """What a call comes to whose peer does that after the handshake."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await greet(reader, writer)
        await then(reader, writer)

    async with (
        peer(serve) as address,
        connected(address, cookie=COOKIE, name=NAME) as connection,
    ):
        try:
            return await connection.call("server", 1, timeout=2)
        except Exception as error:  # noqa: BLE001 (the test looks at it)
            return error


@pytest.mark.parametrize(
    "frame", [b"\x83D\x00", b"p", b"p\x83", b"p\x83\xff", b"p\x83h\x03a\x02", b"q" + encode(1)]
)
async def test_bytes_that_are_no_message_end_the_connection(frame: bytes) -> None:
    async def garbage(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_long(reader)
        writer.write(long(frame))
        await reader.read()

    error = await outcome_of_a_call(garbage)
    assert isinstance(error, ConnectionLost)
    assert "sends what is no message of this protocol" in str(error)
    assert str(error).endswith("while server was being called")


async def test_a_connection_that_ends_in_the_middle_of_a_message() -> None:
    async def half(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_long(reader)
        writer.write(struct.pack(">I", 1000) + b"p")
        writer.close()

    error = await outcome_of_a_call(half)
    assert isinstance(error, ConnectionLost)
    assert str(error).startswith("false@127.0.0.1 ended the connection")


async def test_ticks_are_answered_and_strange_messages_passed_over() -> None:
    ticks: list[bytes] = []

    async def patient(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        monitor, _ = decode(await read_long(reader), 1)
        assert isinstance(monitor, tuple)
        assert monitor[0] == 19
        _, us, server, reference = monitor
        assert server == Atom("server")
        assert isinstance(us, Pid)
        assert isinstance(reference, Reference)
        await read_long(reader)
        writer.write(long(b""))
        ticks.append(await read_long(reader))
        other = Reference(Atom("x"), 1, (1, 2, 3))
        to_us = b"p" + encode((2, Atom(""), us))
        writer.write(long(b"p" + encode((1, us, us))))  # a link
        writer.write(long(b"p" + encode(Atom("what"))))
        writer.write(long(b"p" + encode((28, us, us, other)) + encode(Atom("noproc"))))
        writer.write(long(to_us + encode((other, 1))))
        writer.write(long(to_us + encode(Atom("hello"))))
        writer.write(long(to_us + encode((reference, 1, 1))))
        writer.write(long(to_us + b"\x83F\x00\x00\x00\x00\x00\x00\x00\x00"))  # a float
        writer.write(long(to_us + encode((reference, 42))))
        writer.write(long(to_us + encode((reference, 43))))
        await reader.read()

    assert await outcome_of_a_call(patient) == 42
    assert ticks == [b""]
