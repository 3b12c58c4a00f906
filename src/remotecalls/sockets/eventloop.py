"""The binding `eventloop`: one thread for all connections, with the loop written out.

A thread that waits for one client cannot serve another. This server never waits for a client: it
asks the kernel which connections have something to read or room to write (`selectors`, on Linux
epoll(7)), does a little for each, and asks again. What a thread keeps on its stack, how far it has
come with its client, stands here in an object.

* A connection is read only while nothing is owed to it. A client that does not take its answers
  fills its own buffer up to `HIGH_WATER` and stops being read: backpressure.
* A long sequence is sent in turns of `TURN` replies, so that it holds up nobody.
* A connection on which nothing moved for `IDLE_SECONDS` is closed.

asyncio's loop is this one with callbacks, timers and coroutines on top.
"""

from __future__ import annotations

import logging
import selectors
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, suppress
from enum import Enum, auto

from remotecalls.shop import Shop
from remotecalls.sockets.answering import answer, refuse
from remotecalls.sockets.binary import connect
from remotecalls.sockets.binary_protocol import BinaryCodec
from remotecalls.sockets.running import running
from remotecalls.wire.address import Address
from remotecalls.wire.errors import ProtocolError, TruncatedFrame

__all__ = ["EventLoopServer", "connect", "serve"]

logger = logging.getLogger("remotecalls.sockets")

RECEIVE_BYTES = 16_384
HIGH_WATER = 65_536
TURN = 16
NEWCOMERS = 64
BACKLOG = 1_024
IDLE_SECONDS = 30.0
LINGER_SECONDS = 1.0
LINGER_BYTES = 1_000_000
SWEEP_SECONDS = 0.25
STOP_SECONDS = 5.0


class Phase(Enum):
    """How far a connection has come."""

    OPEN = auto()
    FLUSHING = auto()
    """The client will send no more; what is owed goes out, then the connection closes."""
    REFUSING = auto()
    """The client sent what cannot be followed; the refusal goes out, then we linger."""
    LINGERING = auto()
    """Our direction has ended; what still comes is thrown away (see `thread_server.linger`)."""


class EventLoopServer:
    """Serves every connection from one thread.

    Args:
        shop: answers at once; one that had to wait for another machine would stop everybody.
        host: the address to listen on.
        port: the port, or 0 for any free one.

    Raises:
        OSError: the address is in use or not of this machine.
    """

    def __init__(self, shop: Shop, host: str, port: int) -> None:
        self.shop = shop
        self.codec = BinaryCodec()
        self.selector = selectors.DefaultSelector()
        self.connections: set[_Connection] = set()
        self.runnable: dict[_Connection, None] = {}  # in the order in which they take turns
        self._listener = socket.create_server((host, port), backlog=BACKLOG)
        self._listener.setblocking(False)
        self._wake, self._woken = socket.socketpair()
        self._stopping = False
        self._accepting = False
        self._next_sweep = time.monotonic() + SWEEP_SECONDS
        self.selector.register(self._woken, selectors.EVENT_READ, lambda _: None)
        self._accept_again()
        self._thread = threading.Thread(target=self._run, name="event loop", daemon=True)
        self._thread.start()

    @property
    def address(self) -> Address:
        """Where the server listens."""
        host, port = self._listener.getsockname()[:2]
        return Address(host, port)

    def stop(self) -> None:
        """Close the listener and every connection, and wait for the thread.

        Raises:
            RuntimeError: the thread did not end within `STOP_SECONDS`.
        """
        self._stopping = True
        self._wake.close()  # makes the other end readable
        self._thread.join(STOP_SECONDS)
        if self._thread.is_alive():
            raise RuntimeError(f"the event loop did not stop in {STOP_SECONDS:g} s")

    # ------------------------------------------------------------ the loop

    def _run(self) -> None:
        try:
            while not self._stopping:
                for key, events in self.selector.select(self._patience()):
                    ready: Callable[[int], None] = key.data
                    ready(events)
                for connection in list(self.runnable):
                    connection.take_turn()
                if time.monotonic() >= self._next_sweep:
                    self._sweep()
        finally:
            for connection in list(self.connections):
                connection.close()
            self._listener.close()
            self._woken.close()
            self.selector.close()

    def _patience(self) -> float:
        """How long to wait for the kernel, in seconds: not at all while there is work to do."""
        return 0.0 if self.runnable else max(0.0, self._next_sweep - time.monotonic())

    def _sweep(self) -> None:
        """Close what has been silent for too long. Ten thousand connections take a millisecond."""
        now = time.monotonic()
        self._next_sweep = now + SWEEP_SECONDS
        for connection in [each for each in self.connections if each.until < now]:
            logger.info("connection ended: nothing moved for too long")
            connection.close()
        self._accept_again()

    # ------------------------------------------------------------ newcomers

    def _accept(self, _: int) -> None:
        # Several at a time: with one a round, a thousand newcomers wait for a thousand rounds, and
        # a round takes longer the more clients are being served.
        for _ in range(NEWCOMERS):
            try:
                sock, _address = self._listener.accept()
            except BlockingIOError:
                return  # that was all of them
            except OSError as error:
                # Out of descriptors, usually. The client is still in the queue, and the kernel
                # would report it again at once: leave it there until the next sweep.
                logger.warning("accept: %s", error)
                self.selector.unregister(self._listener)
                self._accepting = False
                return
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.connections.add(_Connection(self, sock))

    def _accept_again(self) -> None:
        if not self._accepting:
            self.selector.register(self._listener, selectors.EVENT_READ, self._accept)
            self._accepting = True


class _Connection:
    """What the server remembers of one client between two looks at it."""

    def __init__(self, server: EventLoopServer, sock: socket.socket) -> None:
        self.until = time.monotonic() + IDLE_SECONDS
        self._server = server
        self._sock = sock
        self._phase = Phase.OPEN
        self._decoder = server.codec.decoder()
        self._work: Iterator[bytes] | None = None  # the answers that are still owed
        self._out = bytearray()  # answers that the kernel has not taken
        self._discarded = 0
        self._interest = selectors.EVENT_READ
        server.selector.register(sock, self._interest, self.ready)

    def ready(self, events: int) -> None:
        """The kernel says that something can be read, or written."""
        try:
            if events & selectors.EVENT_WRITE:
                self._send()
            elif events & selectors.EVENT_READ and self._work is None:
                self._receive()
        except BlockingIOError:
            return  # reported as ready, and was not: select(2) allows it
        except OSError as error:  # reset by the peer
            logger.info("connection ended: %s", error)
            self.close()

    def take_turn(self) -> None:
        """Write some of the answers that are owed, while there is room for them."""
        try:
            for _ in range(TURN):
                if self._work is None or len(self._out) >= HIGH_WATER:
                    break
                self._out += next(self._work)
        except StopIteration:
            self._work = None
        except ProtocolError as error:
            self._work = None
            self._phase = Phase.REFUSING
            self._out += refuse(self._server.codec, error)
        try:
            self._send()
        except OSError as error:
            logger.info("connection ended: %s", error)
            self.close()

    def close(self) -> None:
        """Forget the client."""
        if self in self._server.connections:
            self._server.connections.remove(self)
            self._server.runnable.pop(self, None)
            self._server.selector.unregister(self._sock)
            self._sock.close()

    def _receive(self) -> None:
        data = self._sock.recv(RECEIVE_BYTES)
        if self._phase is Phase.LINGERING:
            self._discarded += len(data)
            if not data or self._discarded > LINGER_BYTES:
                self.close()
            return
        self._moved()
        if data:
            self._work = self._answers(self._decoder.feed(data))
            self._server.runnable[self] = None
            return
        self._phase = Phase.FLUSHING
        try:
            self._decoder.close()
        except TruncatedFrame as error:
            logger.warning("client left: %s", error)
        self._send()

    def _answers(self, messages: Iterator[bytes]) -> Iterator[bytes]:
        for message in messages:
            yield from answer(self._server.shop, self._server.codec, message)

    def _send(self) -> None:
        if self._out:
            with suppress(BlockingIOError):
                sent = self._sock.send(self._out)
                del self._out[:sent]
                self._moved()
        if self._work is not None:
            if len(self._out) < HIGH_WATER:
                self._server.runnable[self] = None
            else:
                self._server.runnable.pop(self, None)
        else:
            self._server.runnable.pop(self, None)
            if not self._out and self._phase is not Phase.OPEN:
                self._end()
                return
        self._show_interest()

    def _end(self) -> None:
        """All that was owed has gone."""
        if self._phase is Phase.FLUSHING:
            self.close()
        elif self._phase is Phase.REFUSING:
            self._phase = Phase.LINGERING
            self._sock.shutdown(socket.SHUT_WR)
            self.until = time.monotonic() + LINGER_SECONDS
            self._show_interest()

    def _show_interest(self) -> None:
        # With answers waiting for room we do not read: the client has to take them first.
        interest = selectors.EVENT_WRITE if self._out else selectors.EVENT_READ
        if interest != self._interest:
            self._interest = interest
            self._server.selector.modify(self._sock, interest, self.ready)

    def _moved(self) -> None:
        if self._phase is not Phase.LINGERING:
            self.until = time.monotonic() + IDLE_SECONDS


def serve(
    shop: Shop, host: str = "127.0.0.1", port: int = 0
) -> AbstractAsyncContextManager[EventLoopServer]:
    """Serve the shop for as long as the block lasts.

    Raises:
        OSError: the address is in use or not of this machine.
    """
    return running(lambda: EventLoopServer(shop, host, port))
