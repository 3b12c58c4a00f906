"""The tap for UDP."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from remotecalls.wire.address import Address
from remotecalls.wire.faults import DatagramFault
from remotecalls.wire.recording import DEFAULT_LIMIT, Direction, EventKind, Transport
from remotecalls.wire.stages import Datagram, DatagramPipeline
from remotecalls.wire.tap_base import TapBase, bound, family

LARGEST_DATAGRAM = 65_535

MAXIMUM_CLIENTS = 256
"""Clients that one tap serves. Each takes a socket, and UDP does not say when one has gone."""


class DatagramTap(TapBase):
    """A recording proxy for UDP, in the caller's event loop.

    Each client address is a connection of the recording. What one client sends reaches the server
    from a port of its own, so the server's answers find their way back.

    Args:
        server: where the real server receives.
        faults: what goes wrong, in the order in which datagrams meet it.
        host: the local address to receive on; the port is chosen by the system.
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
        faults: Sequence[DatagramFault] = (),
        *,
        host: str = "127.0.0.1",
        record_limit: int = DEFAULT_LIMIT,
    ) -> None:
        super().__init__(server, host, record_limit, Transport.UDP)
        for fault in faults:
            given: object = fault
            if not isinstance(given, DatagramFault):
                raise TypeError(f"{fault!r} is not a fault of datagrams: use it with a Tap")
        self._faults = tuple(faults)

    def _listen(self) -> socket.socket:
        return bound(socket.SOCK_DGRAM, self._host)

    async def _run(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        flows: dict[object, _Flow] = {}
        with ExitStack() as sockets:
            sockets.callback(listener.close)
            async with asyncio.TaskGroup() as group:
                while True:
                    data, client = await loop.sock_recvfrom(listener, LARGEST_DATAGRAM)
                    if client not in flows:
                        if len(flows) == MAXIMUM_CLIENTS:
                            raise RuntimeError(f"more than {MAXIMUM_CLIENTS} clients of one tap")
                        flow = _Flow(self, len(flows), listener, client, group)
                        sockets.callback(flow.close)
                        flows[client] = flow
                        await flow.connect()
                        group.create_task(flow.answer(), name=f"tap client {flow.number}")
                    await flows[client].take(data, Direction.CLIENT_TO_SERVER)

    def pipeline(self, number: int, direction: Direction) -> DatagramPipeline:
        """The faults that strike one direction between one client and the server."""
        faults = (fault for fault in self._faults if fault.strikes(number, direction))
        return DatagramPipeline(fault.stage() for fault in faults)


class _Flow:
    """The datagrams between one client and the server."""

    def __init__(
        self,
        tap: DatagramTap,
        number: int,
        listener: socket.socket,
        client: Any,
        group: asyncio.TaskGroup,
    ) -> None:
        self.number = number
        self._tap = tap
        self._listener = listener
        self._client = client
        self._group = group
        self._upstream = socket.socket(family(tap.server.host), socket.SOCK_DGRAM)
        self._upstream.setblocking(False)
        self._pipelines = {way: tap.pipeline(number, way) for way in Direction}

    async def connect(self) -> None:
        """Name the server as the only peer, so that its ICMP errors are reported."""
        server = self._tap.server
        loop = asyncio.get_running_loop()
        await loop.sock_connect(self._upstream, (server.host, server.port))
        self._event(EventKind.OPENED, Direction.CLIENT_TO_SERVER)

    def close(self) -> None:
        """Take no more answers."""
        self._upstream.close()
        self._event(EventKind.CLOSED, None)

    async def answer(self) -> None:
        """Pass the server's datagrams on until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                data = await loop.sock_recv(self._upstream, LARGEST_DATAGRAM)
            except ConnectionRefusedError as error:
                self._refused(error)
            else:
                await self.take(data, Direction.SERVER_TO_CLIENT)

    async def take(self, data: bytes, direction: Direction) -> None:
        """A datagram has come: record it, and pass on what the faults leave of it."""
        self._tap.record(self._tap.recording.sent, self.number, direction, data)
        for datagram in self._pipelines[direction].feed(data):
            if datagram.delay:
                self._group.create_task(self._later(datagram, direction))
            else:
                await self._deliver(datagram, direction)

    async def _later(self, datagram: Datagram, direction: Direction) -> None:
        await asyncio.sleep(datagram.delay)
        await self._deliver(datagram, direction)

    async def _deliver(self, datagram: Datagram, direction: Direction) -> None:
        loop = asyncio.get_running_loop()
        self._tap.record(self._tap.recording.delivered, self.number, direction, datagram.data)
        if direction is Direction.SERVER_TO_CLIENT:
            await loop.sock_sendto(self._listener, datagram.data, self._client)
        else:
            try:
                await loop.sock_sendall(self._upstream, datagram.data)
            except ConnectionRefusedError as error:
                # The answer to an earlier datagram, and the reason why this one was not sent.
                self._refused(error)
                await loop.sock_sendall(self._upstream, datagram.data)

    def _refused(self, error: OSError) -> None:
        """Nobody receives at the server's port. The client is not told: ICMP does not cross."""
        view = (self._tap.recording.sent,)
        direction = Direction.SERVER_TO_CLIENT
        self._tap.record_event(view, self.number, EventKind.REFUSED, direction, str(error))

    def _event(self, kind: EventKind, direction: Direction | None) -> None:
        self._tap.record_event(self._tap.views(), self.number, kind, direction)
