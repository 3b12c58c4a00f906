"""What the taps for streams and for datagrams share."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Self

from remotecalls.wire.address import Address
from remotecalls.wire.deadline import Deadline
from remotecalls.wire.recording import (
    Chunk,
    Direction,
    Event,
    EventKind,
    Recording,
    Transport,
    View,
)


class TapBase:
    """What the taps share: an address, a recording, and a task that runs while the tap is open."""

    def __init__(self, server: Address, host: str, record_limit: int, transport: Transport) -> None:
        if not isinstance(server, Address):
            raise TypeError(f"the server is {server!r}, not an Address")
        if server.port == 0:
            raise ValueError("the server's port is 0: start it first and take the port it got")
        self.server = server
        self._host = host
        self._listener: socket.socket | None = None
        self._address: Address | None = None
        self._running: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        self.recording = Recording(server, transport, record_limit)

    @property
    def address(self) -> Address:
        """Where clients connect.

        Raises:
            RuntimeError: the tap was never opened.
        """
        if self._address is None:
            raise RuntimeError("the tap is not open: use `async with`")
        return self._address

    async def until(self, condition: Callable[[Recording], bool], timeout: float = 5.0) -> None:
        """Wait until the recording meets a condition, such as "four bytes were delivered".

        Raises:
            DeadlineExceeded: it did not within `timeout` seconds.
        """
        async with Deadline.after(timeout).enforced():
            while not condition(self.recording):
                await self._changed.wait()

    async def __aenter__(self) -> Self:
        if self._running is not None:
            raise RuntimeError("a tap is opened once: make another")
        self._listener = self._listen()
        host, port = self._listener.getsockname()[:2]
        self._address = Address(host, port)
        self._running = asyncio.create_task(self._run(self._listener), name=f"tap {self._address}")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        running, listener = self._running, self._listener
        if running is None or listener is None:
            raise RuntimeError("the tap was never opened")
        running.cancel()
        try:
            await asyncio.wait({running})
        finally:
            listener.close()  # a task that was cancelled before its first step closes nothing
        if not running.cancelled():
            running.result()

    def _listen(self) -> socket.socket:
        """A socket of the tap's own, bound."""
        raise NotImplementedError

    async def _run(self, listener: socket.socket) -> None:
        """Serve until cancelled."""
        raise NotImplementedError

    def _notify(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def record(self, view: View, connection: int, direction: Direction, data: bytes) -> None:
        """Keep bytes in a view."""
        view.add_chunk(Chunk(connection, direction, self.recording.now_us(), data))
        self._notify()

    def record_event(
        self,
        views: Iterable[View],
        connection: int,
        kind: EventKind,
        direction: Direction | None = None,
        detail: str = "",
    ) -> None:
        """Keep an event in these views."""
        event = Event(connection, kind, self.recording.now_us(), direction, detail)
        for view in views:
            view.add_event(event)
        self._notify()

    def views(self) -> tuple[View, View]:
        """What was sent and what was delivered."""
        return self.recording.sent, self.recording.delivered


def family(host: str) -> socket.AddressFamily:
    """The address family of a host: IPv6 if it is written with colons."""
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def bound(kind: socket.SocketKind, host: str) -> socket.socket:
    """A non-blocking socket on a free port of the host.

    Raises:
        OSError: the host is not an address of this machine.
    """
    sock = socket.socket(family(host), kind)
    try:
        sock.setblocking(False)
        sock.bind((host, 0))
    except BaseException:
        sock.close()
        raise
    return sock
