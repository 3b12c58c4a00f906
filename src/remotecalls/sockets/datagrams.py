"""The binding `datagrams`: calls over UDP with an IPX header, repeated until they are answered."""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress

from remotecalls.shop import Shop
from remotecalls.sockets.binary_protocol import BinaryCodec
from remotecalls.sockets.clients import RequestClient, is_last
from remotecalls.sockets.datagram_protocol import CallPacket, PacketKind
from remotecalls.sockets.datagram_server import DatagramServer
from remotecalls.sockets.ipx import (
    FIRST_DYNAMIC_SOCKET,
    SERVER_SOCKET,
    IPXAddress,
    IPXPacket,
)
from remotecalls.sockets.messages import Reply, Request
from remotecalls.wire.address import Address
from remotecalls.wire.deadline import Deadline
from remotecalls.wire.errors import ConnectionLost, ProtocolError, Unavailable

LARGEST_DATAGRAM = 65_535
FIRST_WAIT_SECONDS = 0.1
LONGEST_WAIT_SECONDS = 1.0
IDLE_CONNECTIONS = 4


class _Stale(Exception):
    """The server knows nothing of our connection, and nothing was carried out."""


class _Connection:
    """One connection of the protocol, on a UDP socket of its own; one call at a time.

    Attributes:
        number: handed out by the server.
        boot: the life of the server that handed it out.
    """

    def __init__(self, address: Address) -> None:
        self._address = address
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.connect((address.host, address.port))
        host, port = self._socket.getsockname()
        self._ours = IPXAddress.of_host(host, FIRST_DYNAMIC_SOCKET + port % FIRST_DYNAMIC_SOCKET)
        self._theirs = IPXAddress.of_host(address.host, SERVER_SOCKET)
        self.number = random.getrandbits(32)  # ours, until the server has given one
        self.boot = 0
        self.sequence = 0

    async def open(self) -> None:
        """Ask for a connection.

        Raises:
            Unavailable: nobody receives there.
        """
        reply = await self.exchange(CallPacket(PacketKind.OPEN, 0, self.number, 0, 0))
        self.number = int.from_bytes(reply.body[:4], "big")
        self.boot = reply.boot

    async def part(self, part: int, body: bytes) -> CallPacket:
        """One packet of the answer to the present call."""
        return await self.exchange(
            CallPacket(PacketKind.REQUEST, self.boot, self.number, self.sequence, part, body=body)
        )

    async def exchange(self, packet: CallPacket) -> CallPacket:
        """Send a packet, again and again with growing pauses, until its answer comes.

        Raises:
            Unavailable: nobody receives there, so the packet was not carried out.
            ConnectionLost: nobody receives there now, but an earlier copy may have been.
        """
        data = IPXPacket(self._theirs, self._ours, packet.encode()).encode()
        wait, copies = FIRST_WAIT_SECONDS, 0
        while True:
            copies += 1
            try:
                await asyncio.get_running_loop().sock_sendall(self._socket, data)
                async with asyncio.timeout(wait):
                    return await self._answer_to(packet, copies)
            except TimeoutError:
                # A little chance in the pause keeps clients that were cut off together apart.
                wait = min(LONGEST_WAIT_SECONDS, 2 * wait) * random.uniform(0.75, 1.25)
            except OSError as error:
                what = f"nobody receives at {self._address}: {error.strerror}"
                # The refusal answers the last copy. An earlier one may have met a server.
                only_copy = copies == 1 and packet.part == 0
                if only_copy or packet.kind is PacketKind.OPEN:
                    raise Unavailable(what) from error
                raise ConnectionLost(what) from error

    async def _answer_to(self, packet: CallPacket, copies: int) -> CallPacket:
        loop = asyncio.get_running_loop()
        while True:
            data = await loop.sock_recv(self._socket, LARGEST_DATAGRAM)
            with suppress(ProtocolError):  # damaged or strange: as good as lost
                outer = IPXPacket.decode(data)
                reply = CallPacket.decode(outer.payload)
                mine = packet.connection, packet.sequence, packet.part
                if outer.destination != self._ours:
                    continue
                if (reply.connection, reply.sequence, reply.part) != mine:
                    continue  # an answer to an earlier packet
                if reply.kind is PacketKind.REPLY:
                    return reply
                if reply.kind is PacketKind.UNKNOWN:
                    if copies == 1 and packet.part == 0:
                        raise _Stale
                    raise ConnectionLost(
                        "the server was started again since; the call may have been carried out"
                    )

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


class DatagramClient(RequestClient):
    """A client that gives each call in progress a connection of its own, and keeps a few."""

    def __init__(self, address: Address, timeout: float) -> None:
        super().__init__(timeout)
        self._address = address
        self._codec = BinaryCodec()
        self._idle: list[_Connection] = []

    async def _replies(self, request: Request) -> AsyncGenerator[Reply, None]:
        body = self._codec.encode_request(1, request)
        deadline = Deadline.after(self._timeout)
        connection, packet = await self._begin(body, deadline)
        finished = False
        try:
            while not finished:
                for reply in self._read(packet):
                    finished = is_last(request, reply)
                    yield reply
                    deadline = Deadline.after(self._timeout)
                if not packet.more:
                    break
                async with deadline.enforced():
                    packet = await connection.part(packet.part + 1, b"")
        finally:
            if finished and len(self._idle) < IDLE_CONNECTIONS:
                self._idle.append(connection)
            else:
                connection.close()
        if not finished:
            raise ConnectionLost("the answer ended before its last message")

    async def _begin(self, body: bytes, deadline: Deadline) -> tuple[_Connection, CallPacket]:
        """Make the call on an idle connection, or on a new one; its first packet of answer."""
        while True:
            connection = self._idle.pop() if self._idle else _Connection(self._address)
            try:
                async with deadline.enforced():
                    if not connection.boot:
                        await connection.open()
                    connection.sequence += 1
                    return connection, await connection.part(0, body)
            except _Stale:  # the server has forgotten an idle connection: open another
                connection.close()
            except BaseException:
                connection.close()
                raise

    def _read(self, packet: CallPacket) -> list[Reply]:
        decoder = self._codec.decoder()
        replies = [self._codec.decode_reply(message)[1] for message in decoder.feed(packet.body)]
        decoder.close()
        return replies

    def close(self) -> None:
        """Close the idle connections."""
        while self._idle:
            self._idle.pop().close()


@asynccontextmanager
async def _serving(shop: Shop, host: str, port: int) -> AsyncIterator[DatagramServer]:
    loop = asyncio.get_running_loop()
    _, server = await loop.create_datagram_endpoint(
        lambda: DatagramServer(shop), local_addr=(host, port)
    )
    try:
        yield server
    finally:
        server.close()
        await asyncio.sleep(0)  # the transport closes its socket in the loop's next turn


def serve(
    shop: Shop, host: str = "127.0.0.1", port: int = 0
) -> AbstractAsyncContextManager[DatagramServer]:
    """Serve the shop from this event loop for as long as the block lasts.

    Raises:
        OSError: the address is in use or not of this machine.
    """
    return _serving(shop, host, port)


@asynccontextmanager
async def connect(address: Address, timeout: float = 5.0) -> AsyncIterator[DatagramClient]:
    """A client of the server at an address; each call takes at most `timeout` seconds.

    A call is carried out at most once. One that fails with `Unavailable` was not; one that fails
    with `DeadlineExceeded` or `ConnectionLost` may have been.
    """
    client = DatagramClient(address, timeout)
    try:
        yield client
    finally:
        client.close()
