"""A server of blocking sockets: one thread accepts, and one more serves each connection."""

from __future__ import annotations

import logging
import selectors
import socket
import threading
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, suppress
from functools import partial

from remotecalls.shop import Shop
from remotecalls.sockets.answering import answer, refuse
from remotecalls.sockets.messages import Codec
from remotecalls.sockets.running import running
from remotecalls.wire.address import Address
from remotecalls.wire.errors import ProtocolError, TruncatedFrame

logger = logging.getLogger("remotecalls.sockets")

RECEIVE_BYTES = 16_384
IDLE_SECONDS = 30.0
LINGER_SECONDS = 1.0
LINGER_BYTES = 1_000_000
STOP_SECONDS = 5.0
MAXIMUM_CONNECTIONS = 1_024
ACCEPT_PAUSE_SECONDS = 0.05


class ThreadServer:
    """Listens, and calls `serve_connection` with each connection in a thread of its own.

    Args:
        serve_connection: serves one connected socket until it is done; the socket is closed
            after it returns. Every wait of it must end when the socket is shut down.
        host: the address to listen on.
        port: the port, or 0 for any free one.

    Raises:
        OSError: the address is in use or not of this machine.
    """

    def __init__(
        self, serve_connection: Callable[[socket.socket], None], host: str, port: int
    ) -> None:
        self._serve_connection = serve_connection
        self._listener = socket.create_server((host, port), backlog=1_024)
        self._listener.setblocking(False)
        self._wake, self._woken = socket.socketpair()
        self._slots = threading.BoundedSemaphore(MAXIMUM_CONNECTIONS)
        self._lock = threading.Lock()
        self._open: dict[socket.socket, threading.Thread] = {}
        self._stopping = False
        self._acceptor = threading.Thread(target=self._accept, name="acceptor", daemon=True)
        self._acceptor.start()

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
            threads = list(self._open.values())
            for connection in self._open:
                with suppress(OSError):  # the peer may have closed it already
                    connection.shutdown(socket.SHUT_RDWR)
        self._wake.close()
        deadline = time.monotonic() + STOP_SECONDS
        for thread in [self._acceptor, *threads]:
            thread.join(max(0.0, deadline - time.monotonic()))
            if thread.is_alive():
                raise RuntimeError(f"thread {thread.name} did not stop in {STOP_SECONDS:g} s")
        self._listener.close()
        self._woken.close()

    def _accept(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._listener, selectors.EVENT_READ)
            selector.register(self._woken, selectors.EVENT_READ)
            while not self._stopping:
                ready = {key.fileobj for key, _ in selector.select()}
                # With every slot taken, newcomers wait in the kernel's listen queue.
                if self._listener in ready and self._slots.acquire(timeout=0.1):
                    try:
                        connection, _ = self._listener.accept()
                    except OSError as error:  # the client left the queue, or descriptors ran out
                        logger.warning("accept: %s", error)
                        self._slots.release()
                        # The connection is still in the queue: trying again at once would spin.
                        time.sleep(ACCEPT_PAUSE_SECONDS)
                        continue
                    self._start(connection)

    def _start(self, connection: socket.socket) -> None:
        connection.settimeout(IDLE_SECONDS)
        thread = threading.Thread(target=self._run, args=[connection], daemon=True)
        with self._lock:
            if self._stopping:
                connection.close()
                self._slots.release()
                return
            self._open[connection] = thread
            thread.start()

    def _run(self, connection: socket.socket) -> None:
        try:
            self._serve_connection(connection)
        except OSError as error:  # reset, timed out, or shut down by stop()
            logger.info("connection ended: %s", error)
        finally:
            with self._lock:
                del self._open[connection]
                connection.close()
            self._slots.release()


def serve_connection(shop: Shop, codec: Codec, connection: socket.socket) -> None:
    """Answer one client until it closes, falls silent, or sends what cannot be framed.

    Raises:
        OSError: the connection broke, or a wait took longer than its time-out.
    """
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    decoder = codec.decoder()
    try:
        while data := connection.recv(RECEIVE_BYTES):
            for message in decoder.feed(data):
                for reply in answer(shop, codec, message):
                    connection.sendall(reply)
        decoder.close()
    except TruncatedFrame as error:
        logger.warning("client left: %s", error)
    except ProtocolError as error:
        connection.sendall(refuse(codec, error))
        linger(connection)


def linger(connection: socket.socket) -> None:
    """Let the peer read the last reply before the connection goes.

    Closing a socket that still holds unread bytes sends a reset, and a reset makes the peer's
    kernel throw away what it had received, our reply included (RFC 2525, section 2.17). So: end
    our direction, read and discard the rest for a bounded while, and only then close.
    """
    connection.shutdown(socket.SHUT_WR)
    deadline = time.monotonic() + LINGER_SECONDS
    discarded = 0
    while discarded < LINGER_BYTES and (left := deadline - time.monotonic()) > 0:
        connection.settimeout(left)
        try:
            data = connection.recv(RECEIVE_BYTES)
        except TimeoutError:
            return
        if not data:
            return
        discarded += len(data)


def serving(
    shop: Shop, codec: Codec, host: str, port: int
) -> AbstractAsyncContextManager[ThreadServer]:
    """Serve a shop with one thread a connection, for as long as the block lasts.

    Raises:
        OSError: the address is in use or not of this machine.
    """
    return running(lambda: ThreadServer(partial(serve_connection, shop, codec), host, port))
