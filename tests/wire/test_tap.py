import asyncio
import re
import socket
import time
import tracemalloc
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from peers import abort, connected, echo, nothing_left, receive, receive_all, send, server

from remotecalls.wire.address import Address
from remotecalls.wire.errors import DeadlineExceeded
from remotecalls.wire.faults import (
    Chop,
    Coalesce,
    Corrupt,
    Cut,
    Delay,
    Drop,
    DropDatagram,
    Hold,
    StreamFault,
)
from remotecalls.wire.gate import Gate
from remotecalls.wire.recording import Direction, EventKind, Recording, View
from remotecalls.wire.tap import Tap
from remotecalls.wire.tap_stream import READ_SIZE

OUT, BACK = Direction.CLIENT_TO_SERVER, Direction.SERVER_TO_CLIENT
Told = list[tuple[EventKind, Direction | None]]


@pytest.fixture
async def echo_server() -> AsyncIterator[Address]:
    async with server(echo) as address:
        yield address


def told(view: View) -> Told:
    return [(event.kind, event.direction) for event in view.events]


def has(kind: EventKind, *, delivered: bool = False) -> Callable[[Recording], bool]:
    def check(recording: Recording) -> bool:
        view = recording.delivered if delivered else recording.sent
        return any(event.kind is kind for event in view.events)

    return check


# ---------------------------------------------------------------- without faults


async def test_bytes_pass_and_are_recorded_both_ways(echo_server: Address) -> None:
    async with Tap(echo_server) as tap:
        assert tap.address.host == "127.0.0.1"
        assert tap.address.port not in (0, echo_server.port)
        async with connected(tap.address) as sock:
            await send(sock, b"hello")
            assert await receive(sock) == b"hello"
            await send(sock, b"again")
            assert await receive(sock) == b"again"
        await tap.until(has(EventKind.CLOSED))
    for view in (tap.recording.sent, tap.recording.delivered):
        assert view.stream(0, OUT) == b"helloagain"
        assert view.stream(0, BACK) == b"helloagain"
        assert view.round_trips() == 2
        assert told(view) == [
            (EventKind.OPENED, OUT),
            (EventKind.HALF_CLOSED, OUT),
            (EventKind.HALF_CLOSED, BACK),
            (EventKind.CLOSED, None),
        ]
        times = [entry.time_us for entry in view.entries]
        assert times == sorted(times)
    assert tap.recording.bytes_sent == 20


async def test_an_end_of_stream_closes_one_direction_only() -> None:
    async def answer_at_the_end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"read " + await reader.read())

    async with (
        server(answer_at_the_end) as address,
        Tap(address) as tap,
        connected(tap.address) as sock,
    ):
        await send(sock, b"all of it")
        sock.shutdown(socket.SHUT_WR)
        assert await receive_all(sock) == b"read all of it"


async def test_a_server_that_ends_first_can_still_read() -> None:
    heard: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def speak_first(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write_eof()
        heard.set_result(await reader.read())

    async with (
        server(speak_first) as address,
        Tap(address) as tap,
        connected(tap.address) as sock,
    ):
        assert await receive(sock) == b""
        await send(sock, b"still here")
        sock.shutdown(socket.SHUT_WR)
        assert await asyncio.wait_for(heard, 5) == b"still here"


async def test_connections_are_kept_apart(echo_server: Address) -> None:
    async def call(tap: Tap, text: bytes) -> None:
        async with connected(tap.address) as sock:
            await send(sock, text)
            assert await receive(sock) == text

    async with Tap(echo_server) as tap:
        texts = [b"client %d" % number for number in range(20)]
        async with asyncio.TaskGroup() as group:
            for text in texts:
                group.create_task(call(tap, text))
    streams = {tap.recording.stream(number, OUT) for number in tap.recording.connections}
    assert streams == set(texts)
    for number in range(20):
        assert tap.recording.stream(number, OUT) == tap.recording.stream(number, BACK)


async def test_a_reset_of_the_client_reaches_the_server() -> None:
    fate: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.read(4)
            await reader.read(1)
            fate.set_result("end of stream")
        except ConnectionResetError:
            fate.set_result("reset")

    async with server(listen) as address, Tap(address) as tap:
        async with connected(tap.address) as sock:
            await send(sock, b"ping")
            await tap.until(lambda recording: recording.bytes_sent == 4)
            abort(sock)
            assert await asyncio.wait_for(fate, 5) == "reset"
        await tap.until(has(EventKind.CLOSED))
    assert (EventKind.RESET, OUT) in told(tap.recording.sent)
    assert (EventKind.RESET, OUT) in told(tap.recording.delivered)


async def abort_after_four(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readexactly(4)
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    writer.transport.abort()


async def test_a_reset_of_the_server_reaches_the_client() -> None:
    async with (
        server(abort_after_four) as address,
        Tap(address) as tap,
        connected(tap.address) as sock,
    ):
        await send(sock, b"ping")
        with pytest.raises(ConnectionResetError):
            await receive(sock)
    assert (EventKind.RESET, BACK) in told(tap.recording.sent)
    assert (EventKind.RESET, BACK) in told(tap.recording.delivered)


async def test_a_reset_is_noticed_after_the_client_has_ended_its_stream() -> None:
    """Nobody reads from a client that has said its last word."""
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        async with Tap(Address(*listener.getsockname())) as tap, connected(tap.address) as sock:
            accepted, _ = await loop.sock_accept(listener)
            with accepted:
                sock.shutdown(socket.SHUT_WR)
                assert await receive(accepted) == b""
                abort(sock)
                await tap.until(has(EventKind.CLOSED))
                assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != 0
    assert (EventKind.RESET, OUT) in told(tap.recording.delivered)


async def test_a_reset_is_noticed_under_back_pressure() -> None:
    """The tap waits for the server to read, so it does not read from the client either."""
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        async with Tap(Address(*listener.getsockname())) as tap, connected(tap.address) as sock:
            accepted, _ = await loop.sock_accept(listener)
            with accepted:
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.5):
                        await send(sock, bytes(64 * 1024 * 1024))
                abort(sock)
                await tap.until(has(EventKind.CLOSED))
    assert (EventKind.RESET, OUT) in told(tap.recording.delivered)


async def test_a_server_that_refuses_shows_as_a_reset() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = Address(*closed.getsockname())
        async with Tap(address) as tap, connected(tap.address) as sock:
            with pytest.raises(ConnectionResetError):
                await receive(sock)
            await tap.until(has(EventKind.CLOSED))
    assert told(tap.recording.sent)[:2] == [(EventKind.OPENED, OUT), (EventKind.REFUSED, BACK)]
    assert "refused" in tap.recording.events[1].detail.lower()


async def test_connecting_has_a_deadline() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        address = Address(*full.getsockname())
        async with (
            connected(address),  # the one place in the backlog
            Tap(address, connect_timeout=0.2) as tap,
            connected(tap.address) as sock,
        ):
            with pytest.raises(ConnectionResetError):
                await receive(sock)
    assert "0.2 s" in tap.recording.events[1].detail


async def test_the_tap_reads_no_more_than_the_receiver_takes() -> None:
    release = asyncio.Event()
    size = 64 * 1024 * 1024

    async def read_later(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await release.wait()
        count = 0
        while data := await reader.read(1 << 20):
            count += len(data)
        writer.write(str(count).encode())

    async with (
        server(read_later) as address,
        Tap(address, record_limit=0) as tap,
        connected(tap.address) as sock,
    ):
        sending = asyncio.create_task(send(sock, bytes(size)))
        taken = -1
        # Until nothing moves any more; no event tells of that.
        while taken != (taken := tap.recording.bytes_sent):  # noqa: ASYNC110
            await asyncio.sleep(0.2)
        assert 0 < taken < size
        assert not sending.done()
        assert taken - tap.recording.delivered.bytes_sent() <= READ_SIZE
        release.set()
        await asyncio.wait_for(sending, 20)
        sock.shutdown(socket.SHUT_WR)
        assert await receive_all(sock, timeout=20) == str(size).encode()


async def test_fifty_megabytes_pass_unchanged_in_bounded_memory() -> None:
    block = bytes(range(256)) * 256
    blocks = 50 * 1024 * 1024 // len(block)

    async def check(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(blocks):
            if await reader.readexactly(len(block)) != block:
                writer.write(b"changed")
                return
        writer.write(b"the same" if await reader.read(1) == b"" else b"more")

    async with (
        server(check) as address,
        Tap(address, record_limit=1024 * 1024) as tap,
        connected(tap.address) as sock,
    ):
        tracemalloc.start()
        try:
            for _ in range(blocks):
                await send(sock, block)
            sock.shutdown(socket.SHUT_WR)
            assert await receive(sock, timeout=30) == b"the same"
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert tap.recording.sent.bytes_sent(OUT) == blocks * len(block)
    assert tap.recording.delivered.bytes_sent(OUT) == blocks * len(block)
    assert tap.recording.sent.truncated
    assert peak < 6 * 1024 * 1024


# ---------------------------------------------------------------- with faults


async def ask(address: Address, faults: list[StreamFault], question: bytes) -> tuple[Tap, bytes]:
    """Send a question and an end of stream to an echo; give what came back."""
    async with Tap(address, faults) as tap, connected(tap.address) as sock:
        await send(sock, question)
        sock.shutdown(socket.SHUT_WR)
        return tap, await receive_all(sock)


async def test_delay(echo_server: Address) -> None:
    began = time.monotonic()
    tap, answer = await ask(echo_server, [Delay(0.15, after_bytes=2, direction=OUT)], b"hello")
    assert answer == b"hello"
    assert 0.15 <= time.monotonic() - began < 2
    first, second = (c for c in tap.recording.delivered.chunks if c.direction is OUT)
    assert (first.data, second.data) == (b"he", b"llo")
    assert second.time_us - first.time_us >= 150_000


async def test_a_slow_link_delays_every_read(echo_server: Address) -> None:
    async with (
        Tap(echo_server, [Delay(0.05, after_bytes=None)]) as tap,
        connected(tap.address) as sock,
    ):
        began = time.monotonic()
        for _ in range(3):
            await send(sock, b"x")
            assert await receive(sock) == b"x"
    assert time.monotonic() - began >= 6 * 0.05


async def test_chop(echo_server: Address) -> None:
    async with (
        Tap(echo_server, [Chop(2, pause=0.1, direction=BACK)]) as tap,
        connected(tap.address) as sock,
    ):
        await send(sock, b"hello")
        reads = [await receive(sock) for _ in range(3)]
    assert reads == [b"he", b"ll", b"o"]
    assert [c.data for c in tap.recording.chunks if c.direction is BACK] == [b"hello"]
    back = [c.data for c in tap.recording.delivered.chunks if c.direction is BACK]
    assert back == [b"he", b"ll", b"o"]


async def test_coalesce(echo_server: Address) -> None:
    async with (
        Tap(echo_server, [Coalesce(6, quiet_seconds=None, direction=OUT)]) as tap,
        connected(tap.address) as sock,
    ):
        for count, piece in enumerate((b"ab", b"cd", b"ef"), start=1):
            await send(sock, piece)
            await tap.until(lambda r, c=count: r.sent.bytes_sent(OUT) == 2 * c)
        assert await receive(sock) == b"abcdef"
    assert [c.data for c in tap.recording.chunks if c.direction is OUT] == [b"ab", b"cd", b"ef"]


async def test_coalesce_ends_in_a_silence(echo_server: Address) -> None:
    async with (
        Tap(echo_server, [Coalesce(1_000, quiet_seconds=0.05, direction=OUT)]) as tap,
        connected(tap.address) as sock,
    ):
        await send(sock, b"ab")
        await tap.until(lambda recording: recording.sent.bytes_sent(OUT) == 2)
        await send(sock, b"cd")
        assert await receive(sock) == b"abcd"
        await send(sock, b"ef")
        assert await receive(sock) == b"ef"


async def test_corrupt(echo_server: Address) -> None:
    tap, answer = await ask(echo_server, [Corrupt(1, 0x20, direction=BACK)], b"hello")
    assert answer == b"hEllo"
    assert tap.recording.stream(0, BACK) == b"hello"
    assert tap.recording.delivered.stream(0, BACK) == b"hEllo"


async def test_a_cut_by_rst_comes_after_the_bytes_before_it(echo_server: Address) -> None:
    async with (
        Tap(echo_server, [Cut(3, direction=BACK)]) as tap,
        connected(tap.address) as sock,
    ):
        await send(sock, b"hello")
        await tap.until(has(EventKind.CLOSED))
        assert await receive(sock) == b"hel"
        with pytest.raises(ConnectionResetError):
            await receive(sock)
    assert tap.recording.delivered.stream(0, BACK) == b"hel"
    assert {(EventKind.RESET, BACK), (EventKind.RESET, OUT)} <= set(told(tap.recording.delivered))
    assert EventKind.RESET not in {event.kind for event in tap.recording.events}


async def read_slowly(sock: socket.socket) -> tuple[int, str]:
    """Read to the end; give the number of bytes and what the end was."""
    received = 0
    try:
        while data := await receive(sock, 20_000):
            received += len(data)
            await asyncio.sleep(0)
    except ConnectionResetError:
        return received, "reset"
    return received, "end of stream"


async def test_a_cut_by_rst_far_into_a_stream_loses_nothing_before_it() -> None:
    """A slow reader gets every byte: the tap waits until they have left before it resets."""
    offset = 3_000_000

    async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            writer.write(bytes(2 * offset))
            await writer.drain()
        except ConnectionError:
            return

    async with (
        server(pour) as address,
        Tap(address, [Cut(offset, direction=BACK)]) as tap,
        connected(tap.address) as sock,
    ):
        received, ending = await read_slowly(sock)
    assert (received, ending) == (offset, "reset")


async def test_a_cut_by_fin_looks_like_an_orderly_end(echo_server: Address) -> None:
    async with Tap(echo_server, [Cut(3, reset=False, direction=BACK)]) as tap:
        async with connected(tap.address) as sock:
            await send(sock, b"hello")
            assert await receive_all(sock) == b"hel"
            await send(sock, b"is anybody there?")
        await tap.until(has(EventKind.CLOSED))
    assert tap.recording.stream(0, OUT) == b"hellois anybody there?"
    assert tap.recording.delivered.stream(0, OUT) == b"hello"


async def test_a_cut_request_reaches_the_server_in_part() -> None:
    got: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got.set_result(await reader.read())

    faults = [Cut(4, reset=False, direction=OUT)]
    async with (
        server(listen) as address,
        Tap(address, faults) as tap,
        connected(tap.address) as sock,
    ):
        await send(sock, b"request")
        assert await receive(sock) == b""
        assert await asyncio.wait_for(got, 5) == b"requ"


async def test_a_black_hole_is_silence(echo_server: Address) -> None:
    async with Tap(echo_server, [Drop(direction=BACK)]) as tap, connected(tap.address) as sock:
        await send(sock, b"hello")
        await tap.until(lambda recording: recording.sent.bytes_sent(BACK) == 5)
        with pytest.raises(TimeoutError):
            await receive(sock, timeout=0.2)
        await send(sock, b"hello?")
        with pytest.raises(TimeoutError):
            await receive(sock, timeout=0.2)
    assert tap.recording.delivered.stream(0, BACK) == b""


async def test_a_black_hole_swallows_the_news_that_the_server_died() -> None:
    async with (
        server(abort_after_four) as address,
        Tap(address, [Drop(direction=BACK)]) as tap,
        connected(tap.address) as sock,
    ):
        await send(sock, b"ping")
        await tap.until(has(EventKind.RESET))
        with pytest.raises(TimeoutError):
            await receive(sock, timeout=0.2)
        await send(sock, b"nobody hears this")
        await tap.until(lambda recording: recording.sent.bytes_sent(OUT) > 4)
    assert EventKind.RESET not in {event.kind for event in tap.recording.delivered.events}
    assert tap.recording.delivered.stream(0, OUT) == b"ping"


async def test_a_held_request_has_not_arrived_and_a_released_one_has(
    echo_server: Address,
) -> None:
    gate = Gate()
    async with (
        Tap(echo_server, [Hold(gate, direction=OUT)]) as tap,
        connected(tap.address) as sock,
    ):
        await send(sock, b"hello")
        async with asyncio.timeout(5):
            await gate.reached.wait()
        assert tap.recording.stream(0, OUT) == b"hello"
        assert tap.recording.delivered.stream(0, OUT) == b""
        gate.open()
        assert await receive(sock) == b"hello"


async def send_again_and_again(sock: socket.socket) -> None:
    """Until the system says why not."""
    while True:
        await send(sock, b"anybody?")
        await asyncio.sleep(0.01)


async def test_the_server_dies_while_a_request_is_in_flight() -> None:
    """The client hears of the server's death; the server never heard of the request."""
    gate = Gate()
    heard = bytearray()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.extend(await reader.read())

    async with AsyncExitStack() as living:
        address = await living.enter_async_context(server(listen))
        async with Tap(address, [Hold(gate, direction=OUT)]) as tap, connected(tap.address) as sock:
            await send(sock, b"request")
            async with asyncio.timeout(5):
                await gate.reached.wait()
            await living.aclose()
            assert await receive(sock) == b""
            gate.open()
            await tap.until(has(EventKind.RESET))
            with pytest.raises((ConnectionResetError, BrokenPipeError)):
                await send_again_and_again(sock)
    assert heard == b""


async def test_a_fault_strikes_the_connection_it_names(echo_server: Address) -> None:
    async with Tap(echo_server, [Corrupt(0, 0x20, direction=OUT, connection=1)]) as tap:
        answers = []
        for _ in range(3):
            async with connected(tap.address) as sock:
                await send(sock, b"a")
                answers.append(await receive(sock))
    assert answers == [b"a", b"A", b"a"]


@settings(max_examples=20)
@given(
    faults=st.lists(
        st.one_of(
            st.builds(Chop, st.integers(7, 400), pause=st.just(0.0)),
            st.builds(Coalesce, st.integers(1, 2_000), quiet_seconds=st.just(0.001)),
            st.builds(Delay, st.just(0.0), st.integers(0, 2_000)),
        ),
        max_size=3,
    ),
    messages=st.lists(st.binary(min_size=1, max_size=300), max_size=4),
)
def test_what_is_regrouped_on_the_way_arrives_whole(
    faults: list[StreamFault], messages: list[bytes]
) -> None:
    async def exchange() -> None:
        async with server(echo) as address, Tap(address, faults) as tap:
            async with connected(tap.address) as sock:
                for message in messages:
                    await send(sock, message)
                sock.shutdown(socket.SHUT_WR)
                assert await receive_all(sock) == b"".join(messages)
            await tap.until(has(EventKind.CLOSED))
        for view in (tap.recording.sent, tap.recording.delivered):
            assert view.stream(0, OUT) == view.stream(0, BACK) == b"".join(messages)

    with nothing_left():
        asyncio.run(exchange())


# ---------------------------------------------------------------- opening and closing


@pytest.mark.parametrize(
    "faults",
    [
        [],
        [Hold(direction=OUT)],
        [Delay(60.0)],
        [Coalesce(1_000, quiet_seconds=60.0)],
        [Chop(1, pause=60.0)],
        [Drop()],
        [Cut(2, reset=False)],
    ],
    ids=lambda faults: type(faults[0]).__name__ if faults else "none",
)
async def test_a_closed_tap_leaves_nothing(echo_server: Address, faults: list[StreamFault]) -> None:
    with nothing_left():
        async with (
            Tap(echo_server, faults) as tap,
            connected(tap.address) as sock,
        ):
            await send(sock, b"hello")
            await tap.until(lambda recording: recording.sent.bytes_sent(OUT) == 5)
        with pytest.raises(ConnectionRefusedError):
            async with connected(tap.address):
                pass
    assert tap.recording.events[-1].kind is EventKind.CLOSED


async def test_cancelling_the_block_closes_the_tap(echo_server: Address) -> None:
    inside = asyncio.Event()

    async def hang() -> None:
        async with Tap(echo_server) as tap, connected(tap.address) as sock:
            await send(sock, b"hello")
            inside.set()
            await asyncio.sleep(60)

    with nothing_left():
        task = asyncio.create_task(hang())
        await inside.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        del task


async def test_a_tap_that_is_closed_at_once_never_ran(echo_server: Address) -> None:
    with nothing_left():
        async with Tap(echo_server):
            pass


async def test_clients_at_the_moment_of_closing_are_closed_too(echo_server: Address) -> None:
    with nothing_left():
        for _ in range(30):
            async with Tap(echo_server) as tap:
                sock = socket.create_connection((tap.address.host, tap.address.port))
            sock.close()


async def test_a_tap_opens_once(echo_server: Address) -> None:
    tap = Tap(echo_server)
    with pytest.raises(RuntimeError, match="not open"):
        tap.address  # noqa: B018
    async with tap:
        with pytest.raises(RuntimeError, match="opened once"):
            await tap.__aenter__()


async def test_waiting_for_a_condition_has_a_deadline(echo_server: Address) -> None:
    async with Tap(echo_server) as tap:
        with pytest.raises(DeadlineExceeded):
            await tap.until(lambda recording: False, timeout=0.05)


@pytest.mark.parametrize(
    ("make", "error", "complaint"),
    [
        (lambda a: Tap("127.0.0.1:80"), TypeError, "not an Address"),
        (lambda a: Tap(Address("127.0.0.1", 0)), ValueError, "port is 0"),
        (lambda a: Tap(a, connect_timeout=0), ValueError, "more than 0 s"),
        (lambda a: Tap(a, [DropDatagram(0)]), TypeError, "use it with a DatagramTap"),
        (lambda a: Tap(a, ["chop"]), TypeError, "'chop' is not a fault"),
        (lambda a: Tap(a, record_limit=-1), ValueError, "cannot keep -1 bytes"),
    ],
)
def test_arguments_are_checked(
    make: Callable[[Address], Tap], error: type[Exception], complaint: str
) -> None:
    with pytest.raises(error, match=re.escape(complaint)):
        make(Address("127.0.0.1", 4711))
