"""The binding `pool`: a fixed number of threads, and a queue in front of them.

A thread for each connection lets the clients decide how many threads there are. A pool lets the
server decide: `THREADS` workers take work from a queue. The unit of work here is a *request*, not a
connection. A worker that stayed with its connection would wait for a client that may say nothing
for half a minute, and as many idle clients as there are workers would stop the service. So between
two requests a connection waits in a selector, at the price of one descriptor, and a dispatcher
queues it when bytes arrive.

What remains is the client that does not take its answer: it keeps a worker for `SEND_SECONDS`, and
as many of them as there are workers stop the service for that long. One that takes a little of a
stream before each time-out keeps it for as many of them as the stream has replies.
"""

from __future__ import annotations

import logging
import queue
import selectors
import socket
import threading
import time
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass, field

from remotecalls.shop import Shop
from remotecalls.sockets.answering import answer, refuse
from remotecalls.sockets.binary import connect
from remotecalls.sockets.binary_protocol import BinaryCodec
from remotecalls.sockets.running import running
from remotecalls.sockets.thread_server import linger
from remotecalls.wire.address import Address
from remotecalls.wire.errors import ProtocolError, TruncatedFrame
from remotecalls.wire.framing import FrameDecoder

__all__ = ["PoolServer", "connect", "serve"]

logger = logging.getLogger("remotecalls.sockets")

THREADS = 8
QUEUED = 256
NEWCOMERS = 64
BACKLOG = 1_024
RECEIVE_BYTES = 16_384
IDLE_SECONDS = 30.0
SEND_SECONDS = 10.0
SWEEP_SECONDS = 0.25
STOP_SECONDS = 5.0


@dataclass(eq=False)
class _Client:
    """A connection between two requests."""

    sock: socket.socket
    decoder: FrameDecoder
    since: float = field(default_factory=time.monotonic)


class PoolServer:
    """Serves requests with a fixed number of threads.

    Args:
        shop: the shop.
        host: the address to listen on.
        port: the port, or 0 for any free one.
        threads: how many requests are served at once.

    Raises:
        OSError: the address is in use or not of this machine.
    """

    def __init__(self, shop: Shop, host: str, port: int, threads: int = THREADS) -> None:
        self._shop = shop
        self._codec = BinaryCodec()
        self._listener = socket.create_server((host, port), backlog=BACKLOG)
        self._listener.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._wake, self._woken = socket.socketpair()
        self._woken.setblocking(False)
        self._queue: queue.Queue[_Client | None] = queue.Queue(QUEUED)
        self._served: queue.SimpleQueue[_Client] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._open: set[_Client] = set()
        self._stopping = False
        self._threads = [
            threading.Thread(target=self._dispatch, name="dispatcher", daemon=True),
            *(
                threading.Thread(target=self._work, name=f"worker {number}", daemon=True)
                for number in range(threads)
            ),
        ]
        for thread in self._threads:
            thread.start()

    @property
    def address(self) -> Address:
        """Where the server listens."""
        host, port = self._listener.getsockname()[:2]
        return Address(host, port)

    def stop(self) -> None:
        """Close the listener and every connection, and wait for the threads.

        Raises:
            RuntimeError: a thread did not end within `STOP_SECONDS`.
        """
        with self._lock:
            self._stopping = True
            for client in self._open:
                with suppress(OSError):  # the peer may have closed it already
                    client.sock.shutdown(socket.SHUT_RDWR)
        self._wake.send(b"!")
        deadline = time.monotonic() + STOP_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
            if thread.is_alive():
                raise RuntimeError(f"thread {thread.name} did not stop in {STOP_SECONDS:g} s")
        for client in list(self._open):
            self._close(client)
        for sock in (self._listener, self._wake, self._woken):
            sock.close()
        self._selector.close()

    # ------------------------------------------------------------ the dispatcher

    def _dispatch(self) -> None:
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._selector.register(self._listener, selectors.EVENT_READ)
        next_sweep = time.monotonic() + SWEEP_SECONDS
        while not self._stopping:
            for key, _ in self._selector.select(max(0.0, next_sweep - time.monotonic())):
                if key.fileobj is self._listener:
                    self._accept()
                elif key.fileobj is self._woken:
                    self._take_back()
                else:
                    self._hand_over(key.data)
            if time.monotonic() >= next_sweep:
                next_sweep = time.monotonic() + SWEEP_SECONDS
                self._sweep()
        for _ in self._threads[1:]:
            self._queue.put(None)

    def _accept(self) -> None:
        for _ in range(NEWCOMERS):  # see eventloop.py: one a round would not be enough
            try:
                sock, _ = self._listener.accept()
            except BlockingIOError:
                return  # that was all of them
            except OSError as error:  # out of descriptors, usually; they are still in the queue
                logger.warning("accept: %s", error)
                self._selector.unregister(self._listener)
                return
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            client = _Client(sock, self._codec.decoder())
            with self._lock:
                self._open.add(client)
            self._selector.register(sock, selectors.EVENT_READ, client)

    def _hand_over(self, client: _Client) -> None:
        try:
            self._queue.put(client, timeout=SWEEP_SECONDS)
        except queue.Full:
            return  # it is still readable: the next look finds it again
        self._selector.unregister(client.sock)

    def _take_back(self) -> None:
        """Watch the connections whose request has been served, until the next."""
        with suppress(BlockingIOError):
            self._woken.recv(4_096)
        while not self._served.empty():
            client = self._served.get()
            client.since = time.monotonic()
            self._selector.register(client.sock, selectors.EVENT_READ, client)

    def _sweep(self) -> None:
        oldest = time.monotonic() - IDLE_SECONDS
        for key in list(self._selector.get_map().values()):
            if isinstance(key.data, _Client) and key.data.since < oldest:
                self._selector.unregister(key.fileobj)
                self._close(key.data)
        if self._listener not in self._selector.get_map():
            self._selector.register(self._listener, selectors.EVENT_READ)

    # ------------------------------------------------------------ the workers

    def _work(self) -> None:
        while (client := self._queue.get()) is not None:
            keep = False
            try:
                keep = self._serve(client)
            except OSError as error:  # reset, shut down by stop(), or too slow to take its answer
                logger.info("connection ended: %s", error)
            if keep and not self._stopping:
                self._served.put(client)
                with suppress(BlockingIOError):  # it has been woken and has not looked yet
                    self._wake.send(b"!", socket.MSG_DONTWAIT)
            else:
                self._close(client)

    def _serve(self, client: _Client) -> bool:
        """Read once and answer what that completed; whether the connection goes on."""
        client.sock.settimeout(SEND_SECONDS)
        try:
            data = client.sock.recv(RECEIVE_BYTES)
            if not data:
                client.decoder.close()
                return False
            for message in client.decoder.feed(data):
                for reply in answer(self._shop, self._codec, message):
                    client.sock.sendall(reply)
        except TruncatedFrame as error:
            logger.warning("client left: %s", error)
            return False
        except ProtocolError as error:
            client.sock.sendall(refuse(self._codec, error))
            linger(client.sock)
            return False
        return True

    def _close(self, client: _Client) -> None:
        with self._lock:
            self._open.discard(client)
            client.sock.close()


def serve(
    shop: Shop, host: str = "127.0.0.1", port: int = 0
) -> AbstractAsyncContextManager[PoolServer]:
    """Serve the shop for as long as the block lasts.

    Raises:
        OSError: the address is in use or not of this machine.
    """
    return running(lambda: PoolServer(shop, host, port))
