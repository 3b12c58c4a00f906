import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from peers import LOCAL, nothing_left

from remotecalls.wire.address import Address
from remotecalls.wire.errors import DeadlineExceeded
from remotecalls.wire.faults import Chop, Cut, DropDatagram, Hold
from remotecalls.wire.gate import Gate
from remotecalls.wire.recording import Direction
from remotecalls.wire.tap import ThreadedDatagramTap, ThreadedTap

OUT, BACK = Direction.CLIENT_TO_SERVER, Direction.SERVER_TO_CLIENT


@contextmanager
def echo_server() -> Iterator[Address]:
    """A blocking server of one connection after another, in a thread."""

    def run() -> None:
        while True:
            accepted, _ = listener.accept()
            with accepted, contextlib.suppress(ConnectionError):
                while data := accepted.recv(65_536):
                    if data == b"stop":
                        return
                    accepted.sendall(data)

    with socket.create_server((LOCAL, 0)) as listener:
        address = Address(*listener.getsockname())
        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        try:
            yield address
        finally:
            with socket.create_connection((address.host, address.port)) as last:
                last.sendall(b"stop")
            thread.join(5)
        assert not thread.is_alive()


@contextmanager
def connected(address: Address) -> Iterator[socket.socket]:
    with socket.create_connection((address.host, address.port), timeout=5) as sock:
        yield sock


def test_blocking_programs_talk_through_it() -> None:
    with (
        nothing_left(),
        echo_server() as address,
        ThreadedTap(address) as tap,
        connected(tap.address) as sock,
    ):
        sock.sendall(b"hello")
        assert sock.recv(100) == b"hello"
        # Whoever has read a byte finds it in the recording.
        assert tap.recording.delivered.stream(0, BACK) == b"hello"
    assert tap.recording.stream(0, OUT) == b"hello"


def test_its_faults_strike() -> None:
    with (
        echo_server() as address,
        ThreadedTap(address, [Cut(3, direction=BACK)]) as tap,
        connected(tap.address) as sock,
    ):
        sock.sendall(b"hello")
        tap.until(lambda recording: recording.delivered.bytes_sent(BACK) == 3)
        assert sock.recv(100) == b"hel"
        with pytest.raises(ConnectionResetError):
            sock.recv(100)


def test_a_gate_is_opened_from_the_blocking_thread() -> None:
    gate = Gate()
    with (
        echo_server() as address,
        ThreadedTap(address, [Hold(gate, direction=OUT)]) as tap,
        connected(tap.address) as sock,
    ):
        sock.sendall(b"hello")
        gate.reached.wait_blocking(5)
        assert tap.recording.delivered.stream(0, OUT) == b""
        gate.open()
        assert sock.recv(100) == b"hello"


def test_datagrams() -> None:
    with (
        nothing_left(),
        socket.socket(type=socket.SOCK_DGRAM) as receiver,
        socket.socket(type=socket.SOCK_DGRAM) as sender,
    ):
        receiver.bind((LOCAL, 0))
        receiver.settimeout(5)
        address = Address(*receiver.getsockname())
        with ThreadedDatagramTap(address, [DropDatagram(0)]) as tap:
            for data in (b"lost", b"found"):
                sender.sendto(data, (tap.address.host, tap.address.port))
            assert receiver.recv(100) == b"found"


def test_it_stops_at_once_whatever_it_is_doing() -> None:
    with echo_server() as address:
        with nothing_left():
            began = time.monotonic()
            with (
                ThreadedTap(address, [Chop(1, pause=60.0, direction=OUT)]) as tap,
                connected(tap.address) as sock,
            ):
                sock.sendall(b"hello")
                tap.until(lambda recording: recording.sent.bytes_sent(OUT) == 5)
            assert time.monotonic() - began < 3
        with pytest.raises(ConnectionRefusedError), connected(tap.address):
            pass


def test_an_error_in_the_block_still_closes_it() -> None:
    with (
        echo_server() as address,
        nothing_left(),
        pytest.raises(ZeroDivisionError),
        ThreadedTap(address),
    ):
        _ = 1 / 0


async def test_it_runs_beside_a_loop_that_is_busy() -> None:
    """A lab's cell blocks the loop of the kernel; the tap goes on."""
    with echo_server() as address, ThreadedTap(address) as tap, connected(tap.address) as sock:
        sock.sendall(b"hello")
        assert sock.recv(100) == b"hello"
        await asyncio.sleep(0)


def test_an_address_that_cannot_be_listened_on_is_an_error_on_entering() -> None:
    with nothing_left():
        tap = ThreadedTap(Address(LOCAL, 4711), host="192.0.2.1")
        with pytest.raises(OSError, match="assign requested address"):
            tap.__enter__()


def test_it_is_opened_once_and_waits_only_while_open() -> None:
    with echo_server() as address:
        tap = ThreadedTap(address)
        with pytest.raises(RuntimeError, match="not open"):
            tap.until(lambda recording: True)
        with tap:
            with pytest.raises(RuntimeError, match="opened once"):
                tap.__enter__()
            with pytest.raises(DeadlineExceeded):
                tap.until(lambda recording: False, timeout=0.05)
        with pytest.raises(RuntimeError, match="not open"):
            tap.until(lambda recording: True)


def test_arguments_are_checked_before_a_thread_is_started() -> None:
    with nothing_left(), pytest.raises(TypeError, match="use it with a DatagramTap"):
        ThreadedTap(Address(LOCAL, 4711), [DropDatagram(0)])  # type: ignore[list-item]
