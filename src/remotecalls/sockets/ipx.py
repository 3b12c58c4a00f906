"""The header of an IPX packet: thirty bytes that name a network, a node and a socket at each end.

Novell took the header from the Internet Datagram Protocol of Xerox (XSIS 028112, 1981). Here it
travels inside UDP, as RFC 1234 lays down: the node of an IP host is two zero bytes and its address.
"""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass

from remotecalls.wire.errors import ProtocolError

HEADER = struct.Struct("!HHBB4s6sH4s6sH")
NO_CHECKSUM = 0xFFFF
"""IPX left its checksum unused: Ethernet's frames had one, and beyond them nobody looked."""

NETWARE_CORE_PROTOCOL = 17
SERVER_SOCKET = 0x0451
FIRST_DYNAMIC_SOCKET = 0x4000
THIS_NETWORK = bytes(4)


@dataclass(frozen=True)
class IPXAddress:
    """One end.

    Attributes:
        network: 4 bytes; zeros mean the network at hand.
        node: 6 bytes, on Ethernet the address of the card.
        socket: which program; the word later went to something else, this is a port.
    """

    network: bytes
    node: bytes
    socket: int

    @classmethod
    def of_host(cls, host: str, socket_number: int) -> IPXAddress:
        """The address of a program on an IP host (RFC 1234, section 3)."""
        return cls(THIS_NETWORK, bytes(2) + socket.inet_aton(host), socket_number)

    def __str__(self) -> str:
        """Return it as NetWare showed it: network:node:socket in hexadecimal."""
        return f"{self.network.hex()}:{self.node.hex()}:{self.socket:04x}"


@dataclass(frozen=True)
class IPXPacket:
    """A packet: header and payload.

    Attributes:
        destination: where to.
        source: where from.
        payload: what it carries.
        hops: routers passed so far; a packet that has passed sixteen is thrown away.
        packet_type: the protocol of the payload.
    """

    destination: IPXAddress
    source: IPXAddress
    payload: bytes
    hops: int = 0
    packet_type: int = NETWARE_CORE_PROTOCOL

    def encode(self) -> bytes:
        """The packet as it crosses the wire."""
        length = HEADER.size + len(self.payload)
        start = NO_CHECKSUM, length, self.hops, self.packet_type
        ends = (
            part
            for end in (self.destination, self.source)
            for part in (end.network, end.node, end.socket)
        )
        return HEADER.pack(*start, *ends) + self.payload

    @classmethod
    def decode(cls, datagram: bytes) -> IPXPacket:
        """Read a datagram.

        Raises:
            ProtocolError: it is no IPX packet, or its length is not the datagram's.
        """
        if len(datagram) < HEADER.size:
            raise ProtocolError(f"{len(datagram)} bytes are less than an IPX header")
        checksum, length, hops, packet_type, *ends = HEADER.unpack_from(datagram)
        if checksum != NO_CHECKSUM:
            raise ProtocolError(f"the checksum is 0x{checksum:04X}: IPX writes 0xFFFF for none")
        if length != len(datagram):
            raise ProtocolError(f"the header announces {length} bytes, {len(datagram)} came")
        destination, source = IPXAddress(*ends[:3]), IPXAddress(*ends[3:])
        return cls(destination, source, datagram[HEADER.size :], hops, packet_type)
