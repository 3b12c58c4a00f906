"""Calls over datagrams: what each packet says, so that a call is carried out at most once.

A datagram may be lost, doubled, delayed or overtaken. So the client repeats its packet until an
answer comes, and the server must tell a repetition from a new call. Each packet therefore names

* a *connection*, which the server hands out when asked (`OPEN`),
* a *sequence* number, counted up by one for each call on the connection, one call at a time,
* a *part* of the answer: an answer may need several packets, and the client asks for one after the
  other. Asking for part n+1 acknowledges part n, so the server keeps one packet per connection.
* the *boot* number, drawn when the server starts. A server that has forgotten everything would
  take a repetition for a new call; it recognizes the number of its predecessor instead.

The manner is that of the NetWare Core Protocol, with the boot number of Birrell and Nelson,
"Implementing Remote Procedure Calls" (1984), section 3.2. The checksum is ours: IPX left it to the
network card, and a changed byte that passes would be somebody's balance.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from enum import IntEnum

from remotecalls.wire.errors import ProtocolError

HEADER = struct.Struct("!HIIIIBI")
CHECKSUM = struct.Struct("!I")


class PacketKind(IntEnum):
    """What a packet is. The numbers are those of the NetWare Core Protocol."""

    OPEN = 0x1111
    """Give me a connection; answered by a REPLY that carries its number and the boot number."""
    REQUEST = 0x2222
    REPLY = 0x3333
    UNKNOWN = 0x9999
    """This server knows no such connection: it was started since, or the connection grew old."""


@dataclass(frozen=True)
class CallPacket:
    """The payload of an IPX packet.

    Attributes:
        kind: what it is.
        boot: which life of the server; 0 where the client does not know it yet.
        connection: handed out by the server; in an OPEN a number that the client chose.
        sequence: which call on the connection, from 1.
        part: which packet of the answer is asked for, or is this; from 0.
        more: in a reply, whether another part follows.
        body: in part 0 of a request the message; in a reply some whole messages.
    """

    kind: PacketKind
    boot: int
    connection: int
    sequence: int
    part: int
    more: bool = False
    body: bytes = b""

    def encode(self) -> bytes:
        """The packet's bytes, with the checksum before the body."""
        numbers = self.kind, self.boot, self.connection, self.sequence, self.part, self.more
        checksum = zlib.crc32(HEADER.pack(*numbers, 0) + self.body)
        return HEADER.pack(*numbers, checksum) + self.body

    @classmethod
    def decode(cls, payload: bytes) -> CallPacket:
        """Read a payload.

        Raises:
            ProtocolError: it is too short, its kind is unknown, or its checksum is another.
        """
        if len(payload) < HEADER.size:
            raise ProtocolError(f"{len(payload)} bytes are less than the header of a call")
        *numbers, checksum = HEADER.unpack_from(payload)
        body = payload[HEADER.size :]
        if checksum != zlib.crc32(HEADER.pack(*numbers, 0) + body):
            raise ProtocolError("the checksum does not match: the packet was changed on its way")
        number, boot, connection, sequence, part, more = numbers
        try:
            kind = PacketKind(number)
        except ValueError as error:
            raise ProtocolError(f"kind 0x{number:04X} is unknown") from error
        return cls(kind, boot, connection, sequence, part, bool(more), body)
