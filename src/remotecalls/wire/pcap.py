"""A recording as a capture file that Wireshark and tshark read.

A tap sees bytes, not packets. The packets of the file are made up around them: Ethernet, IPv4 and
TCP or UDP headers with sequence numbers and checksums that fit, a three-way handshake, segments
no longer than the maximum, acknowledgments, and FIN or RST as the connection ended. True are the
bytes, their order, where one read of the tap ended and the next began, and the times. A comment
on the first packet says so.

Importing this module is cheap; scapy, which is not, is imported by the first call.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from os import PathLike, fspath
from typing import Any

from remotecalls.wire.recording import (
    Chunk,
    Direction,
    Event,
    EventKind,
    Recording,
    RecordingTruncated,
    Transport,
)

MAXIMUM_SEGMENT = 1_460
"""Bytes of data in a TCP segment on Ethernet: 1,500 less 20 for IPv4 and 20 for TCP (RFC 6691)."""

WINDOW = 65_535
SERVER_PORT = 4711
FIRST_CLIENT_PORT = 49_152
SEQUENCE_NUMBERS = 2**32

# RFC 5737 sets this network aside for documentation.
HOSTS = {Direction.CLIENT_TO_SERVER: "192.0.2.1", Direction.SERVER_TO_CLIENT: "192.0.2.2"}
# The second bit of the first byte says: administered locally (IEEE 802).
STATIONS = {
    Direction.CLIENT_TO_SERVER: "02:00:00:00:00:01",
    Direction.SERVER_TO_CLIENT: "02:00:00:00:00:02",
}
INITIAL_SEQUENCE = {Direction.CLIENT_TO_SERVER: 1_000, Direction.SERVER_TO_CLIENT: 5_000}

COMMENT = (
    "Recorded by a proxy, not by a network card. True: the payload bytes, their order and their "
    "times. Synthesized: all Ethernet, IPv4 and {protocol} headers, addresses and ports, and with "
    "TCP the handshake, segment boundaries, acknowledgments and sequence numbers."
)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def write_pcapng(
    path: str | PathLike[str],
    recording: Recording,
    *,
    delivered: bool = False,
    server_port: int = SERVER_PORT,
    began: datetime = EPOCH,
) -> None:
    """Write a recording as a pcapng file.

    Args:
        path: the file, which is overwritten.
        recording: what a tap saw.
        delivered: what was delivered, faults included; otherwise what was sent.
        server_port: the port written for the server. Wireshark chooses its dissector by it.
        began: the time of day at which the recording began, with its zone.

    Raises:
        ValueError: nothing was recorded, `began` has no zone, or the port is not one.
        RecordingTruncated: not all bytes were kept.
    """
    view = recording.delivered if delivered else recording.sent
    if not view.entries:
        raise ValueError("nothing was recorded")
    if view.truncated:
        raise RecordingTruncated("not all bytes were kept: give the tap a larger record_limit")
    if began.tzinfo is None:
        raise ValueError(f"began is {began}, without a time zone")
    if not 1 <= server_port <= 65_535:
        raise ValueError(f"server_port is {server_port}: 1 to 65535")
    scapy = _Scapy()
    make = _tcp_packets if recording.transport is Transport.TCP else _udp_packets
    began_us = int((began - EPOCH).total_seconds() * 1_000_000)
    comment = COMMENT.format(protocol=recording.transport.value.upper())
    with scapy.PcapNgWriter(fspath(path)) as writer:
        for number, (time_us, packet) in enumerate(make(scapy, view.entries, server_port)):
            if number == 0:
                packet.comments = [comment.encode()]
            # scapy multiplies by a million and cuts off: half a microsecond keeps the last digit.
            packet.time = (began_us + time_us + 0.5) / 1_000_000
            writer.write(packet)


class _Scapy:
    """The parts of scapy that are needed, imported now."""

    def __init__(self) -> None:
        # On import scapy warns about network interfaces and routes that it cannot read. Neither
        # is of interest to somebody who writes a file.
        logger = logging.getLogger("scapy")
        level = logger.level
        logger.setLevel(logging.ERROR)
        try:
            from scapy.layers.inet import IP, TCP, UDP
            from scapy.layers.l2 import Ether
            from scapy.packet import Raw
            from scapy.utils import PcapNgWriter
        finally:
            logger.setLevel(level)

        self.Ether: Any = Ether
        self.IP: Any = IP
        self.TCP: Any = TCP
        self.UDP: Any = UDP
        self.Raw: Any = Raw
        self.PcapNgWriter: Any = PcapNgWriter


Packets = Iterator[tuple[int, Any]]
"""Packets of scapy with their times in microseconds."""


def _udp_packets(scapy: _Scapy, entries: tuple[Chunk | Event, ...], server_port: int) -> Packets:
    for number, entry in enumerate(entries):
        if isinstance(entry, Chunk):
            ports = _ports(entry.connection, entry.direction, server_port)
            header = scapy.UDP(sport=ports[0], dport=ports[1])
            yield entry.time_us, _packet(scapy, entry.direction, number, header, entry.data)


def _tcp_packets(scapy: _Scapy, entries: tuple[Chunk | Event, ...], server_port: int) -> Packets:
    connections: dict[int, _TcpConnection] = {}
    for entry in entries:
        connection = connections.get(entry.connection)
        if connection is None:
            connection = _TcpConnection(scapy, entry.connection, server_port)
            connections[entry.connection] = connection
        for packet in connection.packets(entry):
            yield entry.time_us, packet


def _ports(connection: int, direction: Direction, server_port: int) -> tuple[int, int]:
    client_port = FIRST_CLIENT_PORT + connection % (65_536 - FIRST_CLIENT_PORT)
    ports = client_port, server_port
    return ports if direction is Direction.CLIENT_TO_SERVER else ports[::-1]


def _packet(scapy: _Scapy, direction: Direction, number: int, header: Any, data: bytes) -> Any:
    back = direction.opposite
    ethernet = scapy.Ether(src=STATIONS[direction], dst=STATIONS[back], type=0x0800)
    ip = scapy.IP(src=HOSTS[direction], dst=HOSTS[back], id=number % 65_536, flags="DF")
    packet = ethernet / ip / header
    return packet / scapy.Raw(data) if data else packet


@dataclass
class _Side:
    """What one side of a TCP connection has sent.

    Attributes:
        next: the sequence number of its next byte.
        packets: how many packets, for the identification field of IPv4.
        reset: it has sent an RST and will say no more.
    """

    next: int
    packets: int = 0
    reset: bool = False


class _TcpConnection:
    """The packets of one TCP connection (RFC 9293)."""

    def __init__(self, scapy: _Scapy, number: int, server_port: int) -> None:
        self._scapy = scapy
        self._number = number
        self._server_port = server_port
        self._open = False
        self._sides = {way: _Side(INITIAL_SEQUENCE[way]) for way in Direction}

    def packets(self, entry: Chunk | Event) -> Iterator[Any]:
        """What this entry looks like on the wire."""
        if not self._open:
            yield from self._handshake()
        match entry:
            case Chunk():
                yield from self._segments(entry.direction, entry.data)
            case Event(kind=EventKind.HALF_CLOSED, direction=Direction() as direction):
                yield self._segment(direction, "FA", advance=1)
                yield from self._acknowledge(direction.opposite)
            case Event(
                kind=EventKind.RESET | EventKind.REFUSED, direction=Direction() as direction
            ):
                if not self._sides[direction].reset:
                    yield self._segment(direction, "RA")
                    self._sides[direction].reset = True

    def _handshake(self) -> Iterator[Any]:
        self._open = True
        client, server = Direction.CLIENT_TO_SERVER, Direction.SERVER_TO_CLIENT
        options = [("MSS", MAXIMUM_SEGMENT)]
        yield self._segment(client, "S", advance=1, options=options)
        yield self._segment(server, "SA", advance=1, options=options)
        yield self._segment(client, "A")

    def _segments(self, direction: Direction, data: bytes) -> Iterator[Any]:
        starts = range(0, len(data), MAXIMUM_SEGMENT)
        for count, start in enumerate(starts, start=1):
            piece = data[start : start + MAXIMUM_SEGMENT]
            last = count == len(starts)
            yield self._segment(direction, "PA" if last else "A", piece, advance=len(piece))
            # At least every second segment is acknowledged (RFC 9293, section 3.8.6.3).
            if last or count % 2 == 0:
                yield from self._acknowledge(direction.opposite)

    def _acknowledge(self, direction: Direction) -> Iterator[Any]:
        if not self._sides[direction].reset:
            yield self._segment(direction, "A")

    def _segment(
        self,
        direction: Direction,
        flags: str,
        data: bytes = b"",
        *,
        advance: int = 0,
        options: list[tuple[str, int]] | None = None,
    ) -> Any:
        side, other = self._sides[direction], self._sides[direction.opposite]
        ports = _ports(self._number, direction, self._server_port)
        header = self._scapy.TCP(
            sport=ports[0],
            dport=ports[1],
            seq=side.next,
            ack=other.next if "A" in flags else 0,
            flags=flags,
            window=WINDOW,
            options=options or [],
        )
        packet = _packet(self._scapy, direction, side.packets, header, data)
        side.next = (side.next + advance) % SEQUENCE_NUMBERS
        side.packets += 1
        return packet
