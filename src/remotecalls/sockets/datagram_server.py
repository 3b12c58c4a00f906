"""The server of calls over datagrams: one socket, and a row of a table for each client."""

from __future__ import annotations

import asyncio
import itertools
import logging
import secrets
import time
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import cast

from remotecalls.shop import Shop
from remotecalls.sockets.answering import answer
from remotecalls.sockets.binary_protocol import BinaryCodec
from remotecalls.sockets.datagram_protocol import CallPacket, PacketKind
from remotecalls.sockets.ipx import SERVER_SOCKET, IPXPacket
from remotecalls.wire.address import Address
from remotecalls.wire.errors import ProtocolError

logger = logging.getLogger("remotecalls.sockets")

Peer = tuple[str, int]

BODY_BYTES = 1_300
"""A reply fits into one Ethernet frame, unless a single message is longer."""

MAXIMUM_CONNECTIONS = 4_096
LIFETIME_SECONDS = 60.0
"""How long a silent connection is remembered. A client must not repeat a packet for longer."""


@dataclass
class Connection:
    """What is remembered of one client: enough to repeat the last packet without a second thought.

    Attributes:
        peer: the only address that it answers.
        asked_as: the number under which the client asked for it.
        sequence: the last call.
        replies: the messages of its answer that have not been sent yet.
        part: which part of the answer `last` is.
        last: the packet sent last.
        used: when, on the monotonic clock.
    """

    peer: Peer
    asked_as: int
    sequence: int = 0
    replies: Iterator[bytes] = field(default_factory=lambda: iter(()))
    part: int = -1
    last: bytes = b""
    used: float = field(default_factory=time.monotonic)


class DatagramServer(asyncio.DatagramProtocol):
    """Answers datagrams in the order in which they come, each before the next is read.

    Therefore no repetition can arrive while its first copy is being carried out; a server of
    several threads would have to answer it with "being processed".

    Attributes:
        boot: drawn at random for each life of a server.
        dropped: how many datagrams were not for us, or damaged.
    """

    def __init__(self, shop: Shop) -> None:
        self.boot = secrets.randbelow(2**32 - 1) + 1
        self.dropped = 0
        self._shop = shop
        self._codec = BinaryCodec()
        self._numbers = itertools.count(1)
        self._connections: OrderedDict[int, Connection] = OrderedDict()  # by last use
        self._opened: dict[tuple[Peer, int], int] = {}

    @property
    def address(self) -> Address:
        """Where the server receives."""
        return Address(*self._transport.get_extra_info("sockname")[:2])

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, peer: Peer) -> None:
        """Answer, or drop what is not for us."""
        try:
            packet = IPXPacket.decode(data)
            if packet.destination.socket != SERVER_SOCKET:
                raise ProtocolError(f"socket 0x{packet.destination.socket:04x} is not ours")
            call = CallPacket.decode(packet.payload)
        except ProtocolError as error:
            self._drop(peer, str(error))
            return
        reply = self._reply(call, peer)
        if reply:
            answer_packet = IPXPacket(packet.source, packet.destination, reply)
            self._transport.sendto(answer_packet.encode(), peer)

    def close(self) -> None:
        """Stop receiving."""
        self._transport.abort()

    def _reply(self, call: CallPacket, peer: Peer) -> bytes:
        if call.kind is PacketKind.OPEN:
            return self._open(call, peer)
        if call.kind is not PacketKind.REQUEST:
            self._drop(peer, f"{call.kind.name} is not for a server")
            return b""
        connection = self._connections.get(call.connection)
        if call.boot != self.boot or connection is None or connection.peer != peer:
            return _packet(PacketKind.UNKNOWN, self.boot, call)
        self._connections.move_to_end(call.connection)
        connection.used = time.monotonic()
        return self._continue(connection, call)

    def _open(self, call: CallPacket, peer: Peer) -> bytes:
        """Hand out a connection; the client's own number recognizes a repetition."""
        key = peer, call.connection
        number = self._opened.get(key)
        if number is None:
            self._forget_old()
            if len(self._connections) >= MAXIMUM_CONNECTIONS:
                # To forget one that is in use could carry a call out twice. The client will ask
                # again, and there may be room then.
                self._drop(peer, f"{MAXIMUM_CONNECTIONS} connections are open")
                return b""
            number = next(self._numbers) % 2**32
            self._opened[key] = number
            self._connections[number] = Connection(peer, call.connection)
        body = number.to_bytes(4, "big")
        return _packet(PacketKind.REPLY, self.boot, call, body=body)

    def _continue(self, connection: Connection, call: CallPacket) -> bytes:
        if call.sequence == connection.sequence + 1 and call.part == 0:
            connection.sequence = call.sequence
            connection.part = -1
            connection.replies = self._answers(call.body)
        elif call.sequence != connection.sequence or call.part not in {
            connection.part,
            connection.part + 1,
        }:
            return b""  # overtaken by a later packet of the same client
        if call.part == connection.part + 1:
            connection.part = call.part
            body, more = _fill(connection)
            connection.last = _packet(PacketKind.REPLY, self.boot, call, more=more, body=body)
        return connection.last

    def _answers(self, body: bytes) -> Iterator[bytes]:
        decoder = self._codec.decoder()
        for message in decoder.feed(body):
            yield from answer(self._shop, self._codec, message)

    def _forget_old(self) -> None:
        oldest = time.monotonic() - LIFETIME_SECONDS
        while self._connections:
            number, connection = next(iter(self._connections.items()))
            if connection.used > oldest:
                return
            del self._connections[number]
            del self._opened[connection.peer, connection.asked_as]

    def _drop(self, peer: Peer, reason: str) -> None:
        self.dropped += 1
        if self.dropped & (self.dropped - 1) == 0:  # 1, 2, 4, 8 ...: a flood must not fill the log
            logger.warning("dropped a datagram of %s: %s (%d so far)", peer, reason, self.dropped)


def _fill(connection: Connection) -> tuple[bytes, bool]:
    """As many of the replies as fit into a packet, and whether there are more."""
    body = b""
    for reply in connection.replies:
        body += reply
        if len(body) > BODY_BYTES - 200:  # the longest message of the shop is shorter than that
            return body, True
    return body, False


def _packet(
    kind: PacketKind, boot: int, call: CallPacket, more: bool = False, body: bytes = b""
) -> bytes:
    return CallPacket(
        kind, boot, call.connection, call.sequence, call.part, more=more, body=body
    ).encode()
