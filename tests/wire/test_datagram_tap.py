import asyncio
import re
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from peers import LOCAL, nothing_left, receive

from remotecalls.wire.address import Address
from remotecalls.wire.faults import (
    Chop,
    CorruptDatagram,
    DatagramFault,
    DelayDatagram,
    DropDatagram,
    Duplicate,
    Reorder,
)
from remotecalls.wire.recording import Direction, EventKind, Transport
from remotecalls.wire.tap import DatagramTap
from remotecalls.wire.tap_datagram import MAXIMUM_CLIENTS

OUT, BACK = Direction.CLIENT_TO_SERVER, Direction.SERVER_TO_CLIENT


@pytest.fixture
async def echo_server() -> AsyncIterator[Address]:
    """Sends each datagram back to where it came from."""

    async def run(sock: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            data, client = await loop.sock_recvfrom(sock, 65_535)
            await loop.sock_sendto(sock, data, client)

    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        sock.bind((LOCAL, 0))
        task = asyncio.create_task(run(sock))
        yield Address(*sock.getsockname())
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def client(address: Address) -> AsyncIterator[socket.socket]:
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        sock.connect((address.host, address.port))
        yield sock


async def test_datagrams_keep_their_boundaries_also_empty_and_large_ones(
    echo_server: Address,
) -> None:
    sent = [b"one", b"", b"x" * 60_000]
    async with DatagramTap(echo_server) as tap, client(tap.address) as sock:
        for data in sent:
            sock.send(data)
            assert await receive(sock) == data
    assert tap.recording.transport is Transport.UDP
    for view in (tap.recording.sent, tap.recording.delivered):
        assert [chunk.data for chunk in view.chunks if chunk.direction is OUT] == sent
        assert [chunk.data for chunk in view.chunks if chunk.direction is BACK] == sent
    assert [event.kind for event in tap.recording.events] == [EventKind.OPENED, EventKind.CLOSED]


async def test_clients_are_kept_apart(echo_server: Address) -> None:
    async with (
        DatagramTap(echo_server) as tap,
        client(tap.address) as one,
        client(tap.address) as two,
    ):
        one.send(b"from one")
        two.send(b"from two")
        assert await receive(two) == b"from two"
        assert await receive(one) == b"from one"
    assert [tap.recording.stream(n, BACK) for n in (0, 1)] == [b"from one", b"from two"]


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (DropDatagram(1, direction=OUT), [b"a", b"c", b"d"]),
        (DropDatagram(1, direction=BACK), [b"a", b"c", b"d"]),
        (Duplicate(2, direction=OUT), [b"a", b"b", b"c", b"c", b"d"]),
        (Reorder(0, past=2, direction=BACK), [b"b", b"c", b"a", b"d"]),
        (CorruptDatagram(3, 0, 0x20, direction=OUT), [b"a", b"b", b"c", b"D"]),
        (DelayDatagram(0, 0.3, direction=OUT), [b"b", b"c", b"d", b"a"]),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_what_arrives_with_each_fault(
    echo_server: Address, fault: DatagramFault, expected: list[bytes]
) -> None:
    async with DatagramTap(echo_server, [fault]) as tap, client(tap.address) as sock:
        for data in (b"a", b"b", b"c", b"d"):
            sock.send(data)
        assert [await receive(sock) for _ in expected] == expected
        with pytest.raises(TimeoutError):
            await receive(sock, timeout=0.05)
    sent = [chunk.data for chunk in tap.recording.chunks if chunk.direction is OUT]
    assert sent == [b"a", b"b", b"c", b"d"]


async def test_a_fault_strikes_the_client_it_names(echo_server: Address) -> None:
    fault = DropDatagram(0, connection=1, direction=OUT)
    async with (
        DatagramTap(echo_server, [fault]) as tap,
        client(tap.address) as one,
        client(tap.address) as two,
    ):
        one.send(b"one")
        assert await receive(one) == b"one"
        two.send(b"lost")
        two.send(b"two")
        assert await receive(two) == b"two"


async def test_a_port_where_nobody_receives_is_recorded() -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as closed:
        closed.bind((LOCAL, 0))
        address = Address(*closed.getsockname())
    async with DatagramTap(address) as tap, client(tap.address) as sock:
        sock.send(b"anybody?")
        await tap.until(
            lambda recording: any(e.kind is EventKind.REFUSED for e in recording.events)
        )
        sock.send(b"anybody?")
        await tap.until(lambda recording: len(recording.chunks) == 2)
        with pytest.raises(TimeoutError):
            await receive(sock, timeout=0.05)


async def test_more_clients_than_sockets_fail_the_tap_in_the_open(
    echo_server: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("remotecalls.wire.tap_datagram.MAXIMUM_CLIENTS", 2)

    async def too_many() -> None:
        async with DatagramTap(echo_server) as tap:
            for count in range(1, 4):
                async with client(tap.address) as sock:
                    sock.send(b"x")
                    await tap.until(
                        lambda recording, n=count: len(recording.connections) >= min(n, 2)
                    )
            await asyncio.sleep(0.05)

    assert MAXIMUM_CLIENTS > 2
    with nothing_left(), pytest.raises(ExceptionGroup) as caught:
        await too_many()
    assert caught.group_contains(RuntimeError, match="more than 2 clients")


async def test_a_closed_tap_leaves_nothing(echo_server: Address) -> None:
    with nothing_left():
        async with (
            DatagramTap(echo_server, [DelayDatagram(0, 60.0)]) as tap,
            client(tap.address) as sock,
        ):
            sock.send(b"late")
            await tap.until(lambda recording: len(recording.chunks) == 1)


@pytest.mark.parametrize(
    ("make", "error", "complaint"),
    [
        (lambda a: DatagramTap(a, [Chop(1)]), TypeError, "use it with a Tap"),
        (lambda a: DatagramTap(Address("127.0.0.1", 0)), ValueError, "port is 0"),
    ],
)
def test_arguments_are_checked(
    make: Callable[[Address], DatagramTap], error: type[Exception], complaint: str
) -> None:
    with pytest.raises(error, match=re.escape(complaint)):
        make(Address("127.0.0.1", 4711))
