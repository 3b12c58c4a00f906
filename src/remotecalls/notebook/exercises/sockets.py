"""The exercises of `labs/sockets.ipynb`."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from multiprocessing.connection import Connection

from remotecalls.notebook.exercises import (
    Answer,
    Attempt,
    Exercise,
    Mismatch,
    attempt,
    matches,
    raises,
)
from remotecalls.shop import Customer, CustomerNotFound, Shop
from remotecalls.shop.sample import stock
from remotecalls.sockets.text_protocol import TextCodec
from remotecalls.sockets.thread_server import ThreadServer, serve_connection
from remotecalls.wire.address import Address
from remotecalls.wire.faults import Chop, Coalesce, StreamFault
from remotecalls.wire.tap import ThreadedTap

WAIT = 3.0


@contextmanager
def trickle(*pieces: bytes) -> Iterator[socket.socket]:
    """A connected socket on which each piece arrives only after the ones before were read.

    After the last piece the stream ends.
    """
    reader, writer = socket.socketpair()
    reader.settimeout(WAIT)
    # A second handle on the same socket, without a time-out, looks without waiting.
    watcher = reader.dup()
    watcher.setblocking(False)
    done = threading.Event()

    def write() -> None:
        with writer, watcher:
            for piece in pieces:
                writer.sendall(piece)
                while has_unread(watcher) and not done.wait(0.001):
                    pass

    thread = threading.Thread(target=write, daemon=True)
    thread.start()
    try:
        yield reader
    finally:
        done.set()
        thread.join(WAIT)
        reader.close()


def has_unread(sock: socket.socket) -> bool:
    """Whether bytes wait in the receive buffer of a socket that does not block."""
    try:
        return bool(sock.recv(1, socket.MSG_PEEK))
    except BlockingIOError:
        return False


# ---------------------------------------------------------------- predict


def check_predicted_reads(answer: Answer) -> Iterator[Attempt]:
    """Do what was predicted, on a real socket."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname(), timeout=WAIT)
        server, _ = listener.accept()
    with client, server:
        server.settimeout(WAIT)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.sendall(b"GET 42")
        client.sendall(b"GET 7")
        server.recv(11, socket.MSG_PEEK | socket.MSG_WAITALL)
        measured = [server.recv(4) for _ in range(3)]
    yield attempt(
        "the number of reads",
        lambda: len(answer()),
        3,
        "Each recv(4) returns one bytes object: three of them.",
    )
    for number, piece in enumerate(measured):
        yield attempt(
            f"read {number + 1}, done just now on a real socket",
            partial(nth, answer, number),
            piece,
            "recv(4) takes the next bytes of the stream, at most 4. "
            "It does not know where a send began.",
        )


def nth(answer: Answer, number: int) -> object:
    """One element of what the answer returns."""
    return answer()[number]


# ---------------------------------------------------------------- complete


def check_read_exactly(read_exactly: Answer) -> Iterator[Attempt]:
    """Short reads, bytes that belong to the next message, and streams that end."""
    with trickle(b"GET 42") as sock:
        yield attempt(
            "6 bytes that arrive together",
            lambda: read_exactly(sock, 6),
            b"GET 42",
            "All 6 bytes were there.",
        )
    with trickle(b"G", b"ET ", b"42") as sock:
        yield attempt(
            "6 bytes that arrive in three pieces",
            lambda: read_exactly(sock, 6),
            b"GET 42",
            "One recv returned what had arrived by then. Ask again for the rest.",
        )
    with trickle(b"GET 42GET 7") as sock:
        yield attempt(
            "the first 6 of 11 bytes",
            lambda: read_exactly(sock, 6),
            b"GET 42",
            "Ask recv for no more than is missing: the other bytes belong to the next message.",
        )
        yield attempt(
            "the other 5 bytes, read afterwards",
            lambda: sock.recv(100),
            b"GET 7",
            "Your function took bytes off the stream that belong to the next message.",
        )
    with trickle(b"GET") as sock:
        yield attempt(
            "6 bytes of a stream that ends after 3",
            lambda: read_exactly(sock, 6),
            raises(EOFError),
            "recv returns b'' at the end of the stream, and will for ever. Raise EOFError.",
        )
    with trickle() as sock:
        yield attempt(
            "0 bytes",
            lambda: read_exactly(sock, 0),
            b"",
            "Nothing is missing, so there is nothing to wait for and nothing that can end early.",
        )


# ---------------------------------------------------------------- build

MESSAGES = [b"GET 42", b"", b"two\nlines", bytes(range(256)), b"x" * 3_000, b"\0\0\0\5hello"]


@contextmanager
def through_tap(*faults: StreamFault) -> Iterator[tuple[socket.socket, socket.socket]]:
    """Both ends of a connection through a tap that does not respect message boundaries."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        address = Address(*listener.getsockname())
        tap = stack.enter_context(ThreadedTap(address, faults=list(faults)))
        where = tap.address.host, tap.address.port
        client = stack.enter_context(socket.create_connection(where, timeout=WAIT))
        server = stack.enter_context(listener.accept()[0])
        server.settimeout(WAIT)
        yield client, server


def carry(framed: Answer, *faults: StreamFault) -> list[object]:
    """Send every message through the tap and receive until the stream ends."""
    with through_tap(*faults) as (client, server):

        def send() -> None:
            try:
                sender = framed(client)
                for message in MESSAGES:
                    sender.send(message)
            finally:
                client.shutdown(socket.SHUT_WR)

        # Both at once: 3,000 bytes are less than a socket's buffer, but not through every proxy.
        with ThreadPoolExecutor(1) as executor:
            sending = executor.submit(send)
            received = receive_all(framed(server))
            sending.result(WAIT)
            return received


def receive_all(receiver: Answer) -> list[object]:
    """The messages up to the end of the stream, and not many more than were sent."""
    received: list[object] = []
    while (message := receiver.receive()) is not None:
        received.append(message)
        if len(received) > 2 * len(MESSAGES):
            break
    return received


def first_difference(received: object) -> str:
    """In words, where the received messages differ from those that were sent."""
    if not isinstance(received, list):
        return "receive() must return bytes, and None when the stream ends between two messages."
    for number, message in enumerate(MESSAGES):
        if number >= len(received):
            return f"Message {number + 1}, {shown(message)}, did not arrive."
        if received[number] != message:
            return (
                f"Message {number + 1} was {shown(message)}; what arrived in its place is "
                f"{shown(received[number])}."
            )
    return f"{len(received)} messages arrived, {len(MESSAGES)} were sent."


def shown(message: object) -> str:
    """A message, shortened to a few bytes."""
    if isinstance(message, bytes) and len(message) > 16:
        return f"{message[:8]!r} and {len(message) - 8:,} bytes more"
    return repr(message)


def check_framed(framed: Answer) -> Iterator[Attempt]:
    """Messages with anything in them, through a tap that cuts and joins; a peer; a liar."""
    sent = matches(f"the {len(MESSAGES)} messages as they were sent", lambda got: got == MESSAGES)
    yield attempt(
        "six messages over an undisturbed connection",
        lambda: carry(framed),
        sent,
        first_difference,
    )
    yield attempt(
        "the same through a proxy that passes on 3 bytes at a time",
        lambda: carry(framed, Chop(3, pause=0)),
        sent,
        first_difference,
    )
    yield attempt(
        "the same through a proxy that joins everything",
        lambda: carry(framed, Coalesce(100_000)),
        sent,
        first_difference,
    )
    ours, theirs = socket.socketpair()
    with ours, Connection(theirs.detach()) as peer:
        ours.settimeout(WAIT)

        def send_to_peer() -> bytes:
            framed(ours).send(b"GET 42")
            if not peer.poll(WAIT):
                raise Mismatch(
                    'multiprocessing.connection reads what send(b"GET 42") wrote',
                    "nothing",
                    b"GET 42",
                    "The length is 4 bytes, the most significant first.",
                )
            return peer.recv_bytes(1_000)

        yield attempt(
            'multiprocessing.connection reads what send(b"GET 42") wrote',
            send_to_peer,
            b"GET 42",
            "The length is 4 bytes, the most significant first.",
        )
    with trickle(b"\xff\xff\xff\xff") as sock:
        yield attempt(
            "a peer that announces 4,294,967,295 bytes",
            lambda: framed(sock).receive(),
            raises(ValueError),
            "Compare the length with a limit before you wait for so many bytes.",
        )
    with trickle(b"\0\0\0\6GET") as sock:
        yield attempt(
            "a stream that ends in the middle of a message",
            lambda: framed(sock).receive(),
            raises(EOFError),
            "None means that the stream ended between two messages. This one was cut: EOFError.",
        )


# ---------------------------------------------------------------- break


def naive_add(address: Address, customer_id: int, name: str, balance: str) -> None:
    """The client of the exercise: it writes the name into the line as it comes."""
    line = f"ADD\t{customer_id}\t{name}\t{balance}\n"
    with socket.create_connection((address.host, address.port), timeout=WAIT) as sock:
        sock.sendall(line.encode())
        sock.shutdown(socket.SHUT_WR)
        while sock.recv(4_096):  # until the server has answered everything
            pass


def check_smuggled_name(answer: Answer) -> Iterator[Attempt]:
    """One call of the naive client against a real server; then look into the shop."""
    shop = stock(Shop())
    server = ThreadServer(lambda sock: serve_connection(shop, TextCodec(), sock), "127.0.0.1", 0)
    try:
        yield attempt(
            "a name, as text",
            lambda: type(answer()),
            str,
            "Return the name as a str.",
        )

        def balance_afterwards() -> str:
            naive_add(server.address, 6, answer(), "1.00")
            return str(shop.get_customer(42).balance)

        yield attempt(
            "Ada's balance after naive_add(6, your name, 1.00)",
            balance_afterwards,
            "0.00",
            "The server saw one harmless request, or one that it refused. "
            "What ends a request of the text protocol, and what would come after it?",
        )
        yield attempt(
            "customer 6, whom the call was meant to add",
            lambda: customer_or_none(shop, 6),
            matches("there, with any name", lambda customer: customer is not None),
            "The first line must still be a whole ADD request: word, id, name and amount.",
        )
    finally:
        server.stop()


def customer_or_none(shop: Shop, customer_id: int) -> Customer | None:
    """A customer, if there."""
    try:
        return shop.get_customer(customer_id)
    except CustomerNotFound:
        return None


EXERCISES = (
    Exercise(
        name="predict-reads",
        title="Three reads",
        kind="predict",
        minutes=5,
        lines=2,
        task=(
            'A client sends b"GET 42" and then b"GET 7"; all 11 bytes have arrived. The server '
            "calls recv(4) three times. Return the list of what it gets."
        ),
        hints=(
            "Write the 11 bytes in a row and forget where they came from.",
            "recv(4) returns the first four of what is left; a send leaves no mark in the stream.",
        ),
        check=check_predicted_reads,
    ),
    Exercise(
        name="read-exactly",
        title="Read exactly so many bytes",
        kind="complete",
        minutes=10,
        lines=8,
        task=(
            "read_exactly(sock, count) returns the next count bytes of the stream, however many "
            "recv calls that takes. It raises EOFError if the stream ends first."
        ),
        hints=(
            "Loop while bytes are missing, and ask recv for exactly as many as are missing.",
            'recv returns b"" only at the end of the stream. Without a test for it, the loop '
            "never ends.",
        ),
        check=check_read_exactly,
    ),
    Exercise(
        name="smuggle",
        title="A name that empties an account",
        kind="break",
        minutes=10,
        lines=2,
        task=(
            "naive_add writes a name into a line of the text protocol without looking at it. "
            "Return a name with which one call adds customer 6 and takes all of Ada's 12.30."
        ),
        hints=(
            "A tab ends a field and a newline ends a request. A name may hold both.",
            "Finish the ADD yourself with an amount, then a whole UPDATE line for customer 42; "
            "what naive_add writes after the name must become harmless.",
        ),
        check=check_smuggled_name,
    ),
    Exercise(
        name="framing",
        title="Framing that survives the proxy",
        kind="build",
        minutes=15,
        lines=13,
        task=(
            "Framed(sock) has send(message) and receive(). A message is any bytes, up to a million "
            "of them. On the wire its length comes first: 4 bytes, most significant first. "
            "receive() returns None if the stream ends between two messages, raises EOFError if it "
            "ends inside one and ValueError if a length is over the limit."
        ),
        hints=(
            "receive() is read_exactly twice: 4 bytes, then as many as they say. "
            "send() must not use sock.send, which may take only a part.",
            "To tell the two ends of a stream apart, read the first byte by itself: b'' there is "
            "the end between two messages. Compare the length with 1_000_000 before reading on.",
        ),
        check=check_framed,
    ),
)
