"""uvicorn inside of this process, with what it leaves to a proxy in front of it.

A service that stands alone meets clients that send half a request and wait, headers without end,
and bytes that are no HTTP at all. Each gets an answer that says so, within a time.
"""

from __future__ import annotations

import asyncio
import contextlib
import http
import socket
from collections.abc import AsyncIterator, Generator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from remotecalls.rest.asgi import NO_REQUEST_ID, App
from remotecalls.rest.problems import MEDIA_TYPE, Problem
from remotecalls.wire.address import Address

HEAD_BYTES = 16_384
HEAD_SECONDS = 10.0
IDLE_SECONDS = 60.0
STOP_SECONDS = 2.0
START_SECONDS = 10.0
BACKLOG = 1_024
LINGER_SECONDS = 1.0
LINGER_BYTES = 1_000_000


class HeadTooLarge(Exception):
    """The head of a request has more bytes than are read."""


class GuardedProtocol(HttpToolsProtocol):
    """One connection.

    The time for a request's head runs from its first byte, or from the connection's beginning. What
    cannot be read is answered with a problem; and because most of it may still be on its way, the
    connection is read on for a moment: closed at once, it would be reset, and the client would
    never see the answer.
    """

    _head_timer: asyncio.TimerHandle | None = None
    _in_head = False
    _head_bytes = 0
    _told = 0
    _refused = False
    _dropped = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """The client has connected."""
        super().connection_made(transport)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client has gone."""
        self._forget_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Bytes of the client."""
        if self._refused:
            self._dropped += len(data)
            if self._dropped > LINGER_BYTES:
                self.transport.abort()
            return
        was_in_head = self._in_head
        super().data_received(data)
        # The parser tells of a header when it is whole; one without an end has to be counted here.
        self._head_bytes = self._head_bytes + len(data) if was_in_head else len(data)
        if self._in_head and not self._refused:
            self._expect_head()
            if self._head_bytes > HEAD_BYTES:
                self.send_400_response("")

    # ---------------------------------------------------------------- what the parser tells

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self._in_head = True
        self._told = 0

    def on_url(self, url: bytes) -> None:
        """A part of the request line."""
        self._count(url)
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, whole."""
        self._count(name + value)
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head is whole."""
        self._in_head = False
        self._forget_timer()
        super().on_headers_complete()

    def _count(self, part: bytes) -> None:
        self._told += len(part)
        if self._told > HEAD_BYTES:
            raise HeadTooLarge(f"over {HEAD_BYTES:,} bytes")  # the parser stops, and says 400

    # ---------------------------------------------------------------- refusing

    def _expect_head(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(HEAD_SECONDS, self._head_is_late)

    def _forget_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_is_late(self) -> None:
        self._head_timer = None
        if not self.transport.is_closing():
            self._refuse(408, "request_timeout", "the head of a request did not arrive in time")

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP."""
        self._refuse(400, "bad_request", "this is not HTTP/1.1, or its head is too large")

    def _refuse(self, status: int, code: str, detail: str) -> None:
        self._refused = True
        self._forget_timer()
        if self.cycle is None or self.cycle.response_complete:  # no answer is on its way
            body = Problem(code, detail, status=status).body(NO_REQUEST_ID)
            reason = http.HTTPStatus(status).phrase
            head = (
                f"HTTP/1.1 {status} {reason}\r\ncontent-type: {MEDIA_TYPE}\r\n"
                f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
            )
            self.transport.write(head.encode() + body)
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.loop.call_later(LINGER_SECONDS, self.transport.abort)


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield  # signals belong to whoever started the process


@dataclass(frozen=True)
class RunningServer:
    """A server that listens.

    Attributes:
        address: where.
    """

    address: Address


def listening_socket(host: str, port: int) -> socket.socket:
    """A listening socket whose connections asyncio will not delay.

    `socket.create_server` leaves the protocol of its socket at 0, and asyncio sets TCP_NODELAY only
    where it reads IPPROTO_TCP. uvicorn writes head and body of an answer apart; with Nagle's
    algorithm on, the body then waits for the client's acknowledgement of the head: 40 ms a call.

    Raises:
        OSError: the address is in use or not of this machine.
    """
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
        sock.listen(BACKLOG)
    except BaseException:
        sock.close()
        raise
    return sock


@asynccontextmanager
async def running(
    app: App, host: str = "127.0.0.1", port: int = 0, **options: Any
) -> AsyncIterator[RunningServer]:
    """Serve an ASGI application on uvicorn for as long as the block lasts.

    Args:
        app: the application.
        host: an address of this machine.
        port: 0 for any that is free.
        options: further ones of `uvicorn.Config`.

    Raises:
        OSError: the address is in use or not of this machine.
        RuntimeError: the server did not start within `START_SECONDS`.
    """
    sock = listening_socket(host, port)
    address = Address(*sock.getsockname()[:2])
    settings: dict[str, Any] = {
        "http": GuardedProtocol,
        "timeout_keep_alive": int(IDLE_SECONDS),
        "timeout_graceful_shutdown": int(STOP_SECONDS),
        "lifespan": "off",
        "ws": "none",
        "access_log": False,
        "server_header": False,
        "log_config": None,
        "log_level": "warning",
        "loop": "none",
    }
    server = _Server(uvicorn.Config(app, **settings | options))
    serving = asyncio.create_task(server.serve(sockets=[sock]))
    try:
        await _started(server, serving)
        yield RunningServer(address)
    finally:
        server.should_exit = True
        await serving
        sock.close()


async def _started(server: uvicorn.Server, serving: asyncio.Task[None]) -> None:
    try:
        async with asyncio.timeout(START_SECONDS):
            while not server.started:
                if serving.done():
                    serving.result()
                    raise RuntimeError("the server ended before it began")
                await asyncio.sleep(0.005)
    except TimeoutError:
        raise RuntimeError(f"the server did not start within {START_SECONDS:g} s") from None
