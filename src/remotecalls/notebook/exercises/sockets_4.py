"""The exercises of `labs/sockets-4.ipynb`."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial

import psutil

from remotecalls.notebook.exercises import (
    Answer,
    Attempt,
    Exercise,
    attempt,
    matches,
    raises,
)

WAIT = 3.0
BUFFER = 65_536
Where = tuple[str, int]


# ---------------------------------------------------------------- predict

QUEUE = 2
CLIENTS = 5
PATIENCE = 0.4


def check_predicted_queue(answer: Answer) -> Iterator[Attempt]:
    """Let five clients knock at a listener that nobody serves."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(QUEUE)
        inside: list[socket.socket] = []
        try:
            measured = [knock(listener.getsockname(), inside) for _ in range(CLIENTS)]
        finally:
            for sock in inside:
                sock.close()
    yield attempt(
        "the number of clients",
        lambda: len(answer()),
        CLIENTS,
        f"Say for each of the {CLIENTS} clients what it sees.",
    )
    for number, seen in enumerate(measured):
        yield attempt(
            f"client {number + 1}, measured just now",
            partial(nth, answer, number),
            seen,
            "The kernel completes the handshake for as many clients as the queue holds, and on "
            f"Linux for one more than listen({QUEUE}) asks. No accept() is needed for that.",
        )


def knock(where: Where, inside: list[socket.socket]) -> str:
    """Connect with little patience, and keep the socket of a connection that was made."""
    sock = socket.socket()
    sock.settimeout(PATIENCE)
    try:
        sock.connect(where)
    except TimeoutError:
        sock.close()
        return "no answer"
    inside.append(sock)
    return "connected"


def nth(answer: Answer, number: int) -> object:
    """One element of what the answer returns."""
    return answer()[number]


# ---------------------------------------------------------------- complete

HEADER = b"\0\0\0\x06"
EXCHANGES = 8
QUICK = 0.02


@contextmanager
def answering(body_bytes: int) -> Iterator[socket.socket]:
    """A connection to a peer that says ok after each header and body, and not before.

    Nagle's algorithm is on, as it is on every new socket.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        sock = socket.create_connection(listener.getsockname(), timeout=WAIT)
        peer, _ = listener.accept()
    peer.settimeout(WAIT)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
    whole = len(HEADER) + body_bytes

    def answer() -> None:
        with peer, suppress(OSError):
            received = 0
            while data := peer.recv(65_536):
                received += len(data)
                if received >= whole:
                    received -= whole
                    peer.sendall(b"ok")

    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    with sock:
        yield sock
    thread.join(WAIT)


def check_one_write(send_message: Answer) -> Iterator[Attempt]:
    """Header and body, many times over one connection; then a body larger than any buffer."""

    def exchange() -> float:
        with answering(6) as sock:
            slowest = 0.0
            for _ in range(EXCHANGES):
                began = time.perf_counter()
                send_message(sock, HEADER, b"GET 42")
                if (said := sock.recv(2)) != b"ok":
                    raise ConnectionError(f"the peer answered {said!r}, not b'ok'")
                slowest = max(slowest, time.perf_counter() - began)
            return slowest

    yield attempt(
        f"{EXCHANGES} messages, each answered before the next; seconds of the slowest",
        exchange,
        matches(f"under {QUICK} s", lambda seconds: seconds < QUICK),
        "The body waited for the acknowledgment of the header (Nagle), and the peer delayed that "
        "acknowledgment in the hope of data to send it with. Give the kernel both at once.",
    )
    large = 6_000_000

    def send_large() -> bytes:
        with answering(large) as sock:
            send_message(sock, HEADER, bytes(large))
            return sock.recv(2)

    yield attempt(
        f"a body of {large:,} bytes: the peer's answer",
        send_large,
        b"ok",
        "The peer did not get the whole body. A call that sends may take fewer bytes than it was "
        "given; sendall is the loop around it.",
    )


# ---------------------------------------------------------------- find the leak

FAILURES = 12


@contextmanager
def server(behave: Callable[[socket.socket], None]) -> Iterator[Where]:
    """A server that does the same to every connection, one after another."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.05)
        stopped = threading.Event()

        def run() -> None:
            while not stopped.is_set():
                with suppress(TimeoutError):
                    connection, _ = listener.accept()
                    with connection, suppress(OSError):
                        connection.settimeout(WAIT)
                        behave(connection)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        try:
            yield listener.getsockname()
        finally:
            stopped.set()
            thread.join(WAIT)


def answers(connection: socket.socket) -> None:
    """Answer one request."""
    connection.sendall(b"answer to " + connection.recv(100))


def hangs_up(connection: socket.socket) -> None:
    """Take the request and close."""
    connection.recv(100)


def resets(connection: socket.socket) -> None:
    """Take the request and break the connection off."""
    connection.recv(100)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def says_nothing(connection: socket.socket) -> None:
    """Take the request and wait until the client has gone."""
    while connection.recv(100):
        pass


def check_leak(caller_class: Answer) -> Iterator[Attempt]:
    """Calls that succeed and calls that fail in three ways; count the descriptors around them."""
    with server(answers) as good:
        yield attempt(
            'ask(address, b"GET 42", timeout=1)',
            lambda: caller_class().ask(good, b"GET 42", 1),
            b"answer to GET 42",
            "A call that succeeds returns the answer, as before.",
        )
        yield attempt(
            f"descriptors left by {FAILURES} calls that succeed",
            lambda: left_open(caller_class(), good, 1.0, None),
            0,
            "Even a call that succeeds must close its socket.",
        )
    for behave, error, words in [
        (hangs_up, EOFError, "a server that hangs up"),
        (resets, ConnectionResetError, "a server that resets the connection"),
        (says_nothing, TimeoutError, "a server that says nothing, timeout=0.05"),
    ]:
        with server(behave) as bad:
            yield attempt(
                words,
                partial(caller_class().ask, bad, b"GET 42", 0.05 if behave is says_nothing else 1),
                raises(error),
                f"The caller has to learn of it: let the {error.__name__} out.",
            )
            yield attempt(
                f"descriptors left by {FAILURES} calls to {words}",
                partial(left_open, caller_class(), bad, 0.05, error),
                0,
                "Look for a way out of ask that passes neither the del nor the close. "
                "An exception is one.",
            )
    with server(says_nothing) as bad:
        yield attempt(
            "close() while a call is in progress: what the call sees",
            lambda: closed_meanwhile(caller_class(), bad),
            matches("the call ends at once", lambda seconds: seconds < 1),
            "close() finds the sockets of calls in progress in self.open: enter each there.",
        )


def left_open(caller: Answer, where: Where, timeout: float, error: type[Exception] | None) -> int:
    """How many more descriptors this process has after some calls that end alike."""
    process = psutil.Process()
    before = process.num_fds()
    for _ in range(FAILURES):
        if error is None:
            caller.ask(where, b"GET 42", timeout)
        else:
            with suppress(error):
                caller.ask(where, b"GET 42", timeout)
    left = process.num_fds() - before
    caller.close()
    # The server's side of the last connection may be open for a moment longer.
    return left if left > 2 else 0


def closed_meanwhile(caller: Answer, where: Where) -> float:
    """Close a caller during a call with a long time-out; how long the call then lasts, seconds."""
    ended: list[float] = []

    def call() -> None:
        with suppress(OSError, EOFError):
            caller.ask(where, b"GET 42", WAIT)
        ended.append(time.monotonic())

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    until = time.monotonic() + 1
    while not caller.open and time.monotonic() < until:
        time.sleep(0.005)
    time.sleep(0.1)  # now it waits for the answer
    began = time.monotonic()
    caller.close()
    thread.join(2 * WAIT)
    return ended[0] - began if ended else 2 * WAIT


# ---------------------------------------------------------------- build

CHUNK = bytes(10_000)
CHUNKS = 1_000
STEADY_CHUNKS = 250
MOST_HELD = 1_000_000
GIVE_UP = 0.5


class Sending:
    """One connection of a server that sends the reader's way, and what it held in memory.

    Attributes:
        most_held: bytes in the program's own buffer, at the worst moment seen.
        outcome: "finished" or the exception that came out; empty while it runs.
        seconds: how long it ran.
    """

    def __init__(self) -> None:
        self.most_held = 0
        self.outcome: object = ""
        self.seconds = 0.0
        self.done = asyncio.Event()

    def unless_unwritten(self, value: object) -> object:
        """The value; or what a stub raises, for the check to recognize it."""
        if isinstance(self.outcome, NotImplementedError):
            raise self.outcome
        return value

    async def run(self, send_all: Answer, writer: asyncio.StreamWriter, chunks: int) -> None:
        """Send, and look at the buffer before each chunk is handed over."""

        def produce() -> Iterator[bytes]:
            for _ in range(chunks):
                held = writer.transport.get_write_buffer_size()
                self.most_held = max(self.most_held, held)
                yield CHUNK

        began = time.monotonic()
        try:
            await send_all(writer, produce())
            self.outcome = "finished"
            writer.close()  # sends what is still in the buffer
            await asyncio.wait_for(writer.wait_closed(), WAIT)
        except Exception as error:  # noqa: BLE001 - shown to the reader
            self.outcome = error
        finally:
            self.seconds = time.monotonic() - began
            self.done.set()
            writer.transport.abort()


@asynccontextmanager
async def sending(
    send_all: Answer, chunks: int
) -> AsyncIterator[tuple[asyncio.StreamReader, Sending]]:
    """A client of a server that sends so many chunks with the reader's function."""
    state = Sending()
    tasks: set[asyncio.Task[None]] = set()

    async def accepted(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
        with suppress(asyncio.CancelledError):
            await state.run(send_all, writer, chunks)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        service = await asyncio.start_server(accepted, sock=listener)
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, listener.getsockname())
        reader, writer = await asyncio.open_connection(sock=sock, limit=BUFFER)
        try:
            yield reader, state
        finally:
            writer.transport.abort()
            service.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def read_all(reader: asyncio.StreamReader, pause: float) -> int:
    """Read to the end, with a rest after each read; how many bytes came."""
    received = 0
    with suppress(ConnectionError):
        while data := await reader.read(BUFFER):
            received += len(data)
            await asyncio.sleep(pause)
    return received


async def check_slow_reader(send_all: Answer) -> AsyncIterator[Attempt]:
    """A reader that reads, one that is slow but steady, and one that has stopped."""
    async with sending(send_all, CHUNKS) as (reader, state):
        received = await asyncio.wait_for(read_all(reader, 0), WAIT)
    yield attempt(
        f"a client that reads: bytes it got of {CHUNKS * len(CHUNK):,}",
        lambda: state.unless_unwritten(received),
        CHUNKS * len(CHUNK),
        f"send_all ended with {state.outcome!r}. Every chunk has to be written.",
    )
    async with sending(send_all, STEADY_CHUNKS) as (reader, steady):
        received_slowly = await asyncio.wait_for(read_all(reader, 0.04), 4 * WAIT)
    yield attempt(
        f"a client that is slow but never stops, for {steady.seconds:.1f} s: bytes of "
        f"{STEADY_CHUNKS * len(CHUNK):,}",
        lambda: received_slowly,
        STEADY_CHUNKS * len(CHUNK),
        f"It was cut off, with {steady.outcome!r}. It always took something within {GIVE_UP} s: "
        "the time-out belongs to each wait, not to the whole.",
    )
    async with sending(send_all, CHUNKS) as (_, stopped):
        with suppress(TimeoutError):
            await asyncio.wait_for(stopped.done.wait(), WAIT)
    yield attempt(
        "a client that has stopped reading: most bytes held for it",
        lambda: stopped.most_held,
        matches(f"under {MOST_HELD:,}", lambda held: held < MOST_HELD),
        "write() never waits: it adds to a buffer in your memory. drain() waits until there is "
        "room in it.",
    )
    yield attempt(
        f"the same: what came out of send_all within {WAIT:g} s",
        lambda: stopped.outcome,
        matches("a TimeoutError", lambda outcome: isinstance(outcome, TimeoutError)),
        f"Nobody reads, so drain() waits for ever. Give up after {GIVE_UP} s without progress.",
    )


EXERCISES = (
    Exercise(
        name="predict-queue",
        title="Five clients and no server",
        kind="predict",
        minutes=10,
        lines=2,
        task=(
            "A program calls listen(2) and never accept(). Five clients connect, one after the "
            'other, each with 0.4 s of patience. Return five words, "connected" or "no answer".'
        ),
        hints=(
            "The kernel answers a SYN by itself, as long as there is room in the queue.",
            "The lab called listen(1), and two clients were let in.",
        ),
        check=check_predicted_queue,
    ),
    Exercise(
        name="one-write",
        title="Forty milliseconds",
        kind="complete",
        minutes=10,
        lines=2,
        task=(
            "send_message(sock, header, body) sends both, whole, without the pause between them. "
            "Nagle's algorithm is on; the bytes on the wire stay the same."
        ),
        hints=(
            "The pause comes from a small second write while the first is unacknowledged.",
            "Two bytes objects can be added. Or the socket can be told not to wait: TCP_NODELAY.",
        ),
        check=check_one_write,
    ),
    Exercise(
        name="find-the-leak",
        title="Find the leak",
        kind="break",
        minutes=15,
        lines=13,
        task=(
            "LeakyCaller.ask leaves a descriptor open on some ways out. Write ask so that every "
            "way out closes the socket and takes it out of self.open, and errors still come out."
        ),
        hints=(
            "List the ways out of ask: the last line, the raise, and each call that may raise.",
            "try ... finally covers all of them. What if create_connection itself raises?",
        ),
        check=check_leak,
    ),
    Exercise(
        name="slow-reader",
        title="Survive a slow reader",
        kind="build",
        minutes=15,
        lines=9,
        task=(
            "send_all(writer, chunks) writes every chunk and holds only a few in memory. If the "
            "client takes nothing for 0.5 s, it aborts the connection and raises TimeoutError."
        ),
        hints=(
            "await writer.drain() after each write waits while the buffer is over its limit.",
            "asyncio.timeout(0.5) around one drain, not around the loop. "
            "writer.transport.abort() gives the memory back at once.",
        ),
        check=check_slow_reader,
    ),
)
