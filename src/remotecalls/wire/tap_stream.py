"""The tap for TCP."""

from __future__ import annotations

import asyncio
import itertools
import os
import socket
import struct
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress

from remotecalls.wire.address import Address
from remotecalls.wire.deadline import Deadline
from remotecalls.wire.errors import DeadlineExceeded
from remotecalls.wire.faults import DatagramFault, StreamFault
from remotecalls.wire.recording import DEFAULT_LIMIT, Direction, EventKind, Transport, View
from remotecalls.wire.stages import Action, End, Forward, Pause, Pipeline, Sever, Wait
from remotecalls.wire.tap_base import TapBase, bound, family

READ_SIZE = 64 * 1024
"""Bytes that the tap holds of one direction of one connection, at most, while it passes them on."""

BACKLOG = 128
WATCH_INTERVAL = 0.05
FLUSH_TIMEOUT = 1.0


class Tap(TapBase):
    """A recording proxy for TCP, in the caller's event loop.

    Args:
        server: where the real server listens.
        faults: what goes wrong, in the order in which bytes meet it.
        host: the local address to listen on; the port is chosen by the system.
        connect_timeout: seconds that connecting to the server may take.
        record_limit: bytes that each view of the recording keeps. What is over it is passed on
            and counted, not kept.

    Raises:
        TypeError, ValueError: an argument is not what it should be.

    Attributes:
        recording: what crossed; complete once the tap is closed.
    """

    def __init__(
        self,
        server: Address,
        faults: Sequence[StreamFault] = (),
        *,
        host: str = "127.0.0.1",
        connect_timeout: float = 5.0,
        record_limit: int = DEFAULT_LIMIT,
    ) -> None:
        super().__init__(server, host, record_limit, Transport.TCP)
        for fault in faults:
            _check_fault(fault)
        if not connect_timeout > 0:
            raise ValueError(f"connect_timeout is {connect_timeout}: more than 0 s")
        self._faults = tuple(faults)
        self._connect_timeout = connect_timeout

    def _listen(self) -> socket.socket:
        listener = bound(socket.SOCK_STREAM, self._host)
        listener.listen(BACKLOG)
        return listener

    async def _run(self, listener: socket.socket) -> None:
        with listener:
            async with asyncio.TaskGroup() as group:
                for number in itertools.count():
                    client = await _accept(listener)
                    connection = _Connection(self, number, client)
                    group.create_task(connection.run(), name=f"tap connection {number}")

    def faults_for(self, connection: int, direction: Direction) -> list[StreamFault]:
        """The faults that strike one direction of one connection."""
        return [fault for fault in self._faults if fault.strikes(connection, direction)]

    async def connect(self) -> socket.socket:
        """A connection to the server.

        Raises:
            OSError: there is none to be had.
            DeadlineExceeded: none came about in time.
        """
        server = socket.socket(family(self.server.host), socket.SOCK_STREAM)
        try:
            server.setblocking(False)
            loop = asyncio.get_running_loop()
            async with Deadline.after(self._connect_timeout).enforced():
                await loop.sock_connect(server, (self.server.host, self.server.port))
        except BaseException:
            server.close()
            raise
        return server


def _check_fault(fault: object) -> None:
    if isinstance(fault, DatagramFault):
        raise TypeError(f"{fault!r} is for datagrams: use it with a DatagramTap")
    if not isinstance(fault, StreamFault):
        raise TypeError(f"{fault!r} is not a fault of a stream")


class _Broken(Exception):
    """A connection was broken off, by RST: by a peer or by a fault."""


class _End:
    """One end of a connection: a peer's socket and what happens to the bytes it sends.

    Attributes:
        stalled: the tap does not read from here, because the other end does not read.
        ended: the peer has sent its FIN.
        finished: the tap has sent a FIN to the peer.
        dead: the peer has sent an RST.
    """

    def __init__(self, sock: socket.socket, direction: Direction, pipeline: Pipeline) -> None:
        sock.setblocking(False)
        with suppress(OSError):  # macOS refuses if the peer has gone, which the next read reports
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = sock
        self.direction = direction
        self.pipeline = pipeline
        self.stalled = False
        self.ended = False
        self.finished = False
        self.dead = False


class _Connection:
    """One client's connection and the one to the server that belongs to it."""

    def __init__(self, tap: Tap, number: int, client: socket.socket) -> None:
        self._tap = tap
        self._number = number
        self._client = client
        self._severed = False

    async def run(self) -> None:
        tap, views, sent = self._tap, self._tap.views(), self._tap.recording.sent
        with ExitStack() as sockets:
            sockets.callback(self._client.close)
            tap.record_event(views, self._number, EventKind.OPENED, Direction.CLIENT_TO_SERVER)
            try:
                server = await tap.connect()
            except (OSError, DeadlineExceeded) as error:
                tap.record_event(
                    (sent,),
                    self._number,
                    EventKind.REFUSED,
                    Direction.SERVER_TO_CLIENT,
                    _no_connection(tap.server, error),
                )
                _reset_on_close(self._client)
                self._event(tap.recording.delivered, EventKind.RESET, Direction.SERVER_TO_CLIENT)
                tap.record_event(views, self._number, EventKind.CLOSED)
                return
            sockets.callback(server.close)
            try:
                await self._relay(
                    self._end(self._client, Direction.CLIENT_TO_SERVER),
                    self._end(server, Direction.SERVER_TO_CLIENT),
                )
            finally:
                tap.record_event(views, self._number, EventKind.CLOSED)

    def _end(self, sock: socket.socket, direction: Direction) -> _End:
        faults = self._tap.faults_for(self._number, direction)
        return _End(sock, direction, Pipeline(fault.stage() for fault in faults))

    async def _relay(self, client: _End, server: _End) -> None:
        broken = False
        try:
            async with asyncio.TaskGroup() as group:
                watching = group.create_task(self._watch(client, server))
                async with asyncio.TaskGroup() as pumps:
                    pumps.create_task(self._pump(client, server))
                    pumps.create_task(self._pump(server, client))
                watching.cancel()
        except* _Broken:
            broken = True
        if broken:
            await self._reset(client, server)

    async def _reset(self, client: _End, server: _End) -> None:
        """Let the sockets close by RST, except towards a peer that sent one itself."""
        by_fault = not (client.dead or server.dead)
        delivered = self._tap.recording.delivered
        for end in (client, server):
            if end.dead:
                continue
            if by_fault:
                await _flushed(end.socket)
            _reset_on_close(end.socket)
            self._event(delivered, EventKind.RESET, end.direction.opposite)

    async def _pump(self, source: _End, target: _End) -> None:
        """Pass on what one end sends until it sends no more.

        Raises:
            _Broken: either end, or a fault, broke the connection off.
        """
        reader = _Reader(source.socket)
        try:
            while not source.ended:
                try:
                    data = await reader.read(source.pipeline.quiet_seconds)
                except OSError as error:
                    self._lost(source, error)
                    return
                for action in self._actions(source, data):
                    if self._severed or target.dead:
                        break
                    await self._perform(action, source, target)
        finally:
            await reader.close()

    def _actions(self, source: _End, data: bytes | None) -> Iterator[Action]:
        """What to do about a read: of bytes, of an end of stream, or of nothing for a while."""
        recording, direction = self._tap.recording, source.direction
        if data is None:
            return source.pipeline.quiet()
        if data:
            self._tap.record(recording.sent, self._number, direction, data)
            return source.pipeline.feed(data)
        self._event(recording.sent, EventKind.HALF_CLOSED, direction)
        source.ended = True
        return source.pipeline.end()

    async def _perform(self, action: Action, source: _End, target: _End) -> None:
        match action:
            case Forward(data):
                await self._send(data, source, target)
            case Pause(seconds):
                await asyncio.sleep(seconds)
            case Wait(gate):
                await gate.pass_through()
            case End():
                self._finish(target)
            case Sever(reset=True):
                raise _Broken
            case Sever(reset=False):
                self._severed = True
                self._finish(source)
                self._finish(target)

    async def _send(self, data: bytes, source: _End, target: _End) -> None:
        # Recorded first: whoever has read a byte finds it in the recording.
        self._tap.record(self._tap.recording.delivered, self._number, source.direction, data)
        source.stalled = True
        try:
            await asyncio.get_running_loop().sock_sendall(target.socket, data)
        except OSError as error:
            if not self._severed:  # else our own FIN has overtaken these bytes
                self._lost(target, error)
        finally:
            source.stalled = False

    def _finish(self, end: _End) -> None:
        """Send a FIN, once."""
        if end.finished:
            return
        end.finished = True
        # The peer may be gone, which the next read of its socket reports.
        with suppress(OSError):
            end.socket.shutdown(socket.SHUT_WR)
        self._event(self._tap.recording.delivered, EventKind.HALF_CLOSED, end.direction.opposite)

    def _lost(self, end: _End, error: OSError) -> None:
        """A peer has broken the connection off.

        Raises:
            _Broken: the other end must hear of it, unless a fault lies between.
        """
        end.dead = True
        self._event(self._tap.recording.sent, EventKind.RESET, end.direction, str(error))
        if not (self._severed or end.pipeline.swallows):
            raise _Broken

    async def _watch(self, *ends: _End) -> None:
        """Notice a reset where nobody reads: under back-pressure, or after an end of stream.

        Raises:
            _Broken: there was one.
        """
        while True:
            await asyncio.sleep(WATCH_INTERVAL)
            for end in ends:
                if (end.stalled or end.ended) and not end.dead:
                    number = end.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                    if number:
                        self._lost(end, OSError(number, "broken off by the peer"))

    def _event(self, view: View, kind: EventKind, direction: Direction, detail: str = "") -> None:
        self._tap.record_event((view,), self._number, kind, direction, detail)


def _no_connection(server: Address, error: OSError | DeadlineExceeded) -> str:
    if isinstance(error, OSError) and error.errno is not None:
        return f"no connection to {server}: {os.strerror(error.errno)}"
    return f"no connection to {server}: {error}"


async def _accept(listener: socket.socket) -> socket.socket:
    """The next client.

    `loop.sock_accept` loses the client's socket, unclosed, when it is cancelled between accepting
    and returning. Waiting first and accepting afterwards, without a pause, cannot.
    """
    loop = asyncio.get_running_loop()
    while True:
        ready: asyncio.Future[None] = loop.create_future()

        def wake(ready: asyncio.Future[None] = ready) -> None:
            if not ready.done():
                ready.set_result(None)

        try:
            loop.add_reader(listener, wake)
        except NotImplementedError:  # the proactor loop of Windows
            return (await loop.sock_accept(listener))[0]
        try:
            await ready
        finally:
            loop.remove_reader(listener)
        try:
            return listener.accept()[0]
        except (BlockingIOError, ConnectionAbortedError):
            continue  # the client has gone again


class _Reader:
    """Reads a socket. A read may be given up for a while without losing what it gets."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._pending: asyncio.Task[bytes] | None = None

    async def read(self, seconds: float | None) -> bytes | None:
        """Bytes, or none at the end of the stream, or None if nothing came within the time.

        Raises:
            OSError: the peer broke the connection off.
        """
        loop = asyncio.get_running_loop()
        if self._pending is None and seconds is None:
            return await loop.sock_recv(self._socket, READ_SIZE)
        if self._pending is None:
            self._pending = asyncio.create_task(loop.sock_recv(self._socket, READ_SIZE))
        await asyncio.wait({self._pending}, timeout=seconds)
        if not self._pending.done():
            return None
        pending, self._pending = self._pending, None
        return pending.result()

    async def close(self) -> None:
        """Give up for good."""
        if self._pending is not None:
            self._pending.cancel()
            await asyncio.gather(self._pending, return_exceptions=True)


def _reset_on_close(sock: socket.socket) -> None:
    """Let `close` send an RST: linger for 0 s (RFC 9293, section 3.10.5, ABORT)."""
    layout = "hh" if sys.platform == "win32" else "ii"
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack(layout, 1, 0))


async def _flushed(sock: socket.socket) -> None:
    """Wait until the peer's system has what was sent: an RST throws away what it has not.

    Only Linux tells. A peer that does not read is given up after `FLUSH_TIMEOUT` seconds.
    """
    if sys.platform != "linux":
        return
    deadline = asyncio.get_running_loop().time() + FLUSH_TIMEOUT
    # The system has no event for this: it must be asked again and again.
    while _unacknowledged(sock) and asyncio.get_running_loop().time() < deadline:  # noqa: ASYNC110
        await asyncio.sleep(0.001)


def _unacknowledged(sock: socket.socket) -> int:
    """Bytes that were written and not yet acknowledged (tcp(7), SIOCOUTQ)."""
    if sys.platform != "linux":
        return 0
    import fcntl
    import termios

    answer = fcntl.ioctl(sock, termios.TIOCOUTQ, bytes(4))
    return int.from_bytes(answer, sys.byteorder)
