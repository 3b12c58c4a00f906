"""One direction of a TCP connection, simulated: sender, link, receiver, acknowledgments.

The model holds what decides where a byte stream is cut: the send buffer, segmentation by maximum
segment size, Nagle's algorithm, the window, delayed acknowledgments and the receive buffer. It
leaves out what does not: connection set-up, loss, retransmission, and congestion control (a
transfer this small fits the initial window of ten segments of RFC 6928 in most settings). Linux
also acknowledges the first segments of a connection at once ("quick ACK"); the model never does.

Sources: RFC 9293 (TCP), RFC 896 (Nagle's algorithm), RFC 1122 sections 4.2.3.2 to 4.2.3.4 (when
to acknowledge, when to move the window, when to send).

Times are whole microseconds of simulated time; sizes are bytes. Byte offsets count from the
first byte of the stream, as sequence numbers do.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import simpy

HEADER_BYTES = 40
"""An IPv4 and a TCP header without options: what each segment adds on the wire."""

SimulatedProcess = Generator[simpy.Event, Any, None]


@dataclass(frozen=True)
class Connection:
    """The settings of a connection.

    `acknowledgment_delay_us` of zero means that every segment is acknowledged at once.
    """

    maximum_segment_bytes: int
    nagle: bool
    acknowledgment_delay_us: int
    send_buffer_bytes: int
    receive_buffer_bytes: int
    one_way_delay_us: int
    bandwidth_kbps: int


@dataclass(frozen=True)
class Segment:
    """Bytes `first` up to, not including, `last` of the stream, on their way to the receiver."""

    first: int
    last: int
    sent_us: int
    arrived_us: int


@dataclass(frozen=True)
class Acknowledgment:
    """An empty segment back: "all before `offset` is here; you may send up to `edge`"."""

    offset: int
    edge: int
    sent_us: int
    arrived_us: int


@dataclass(frozen=True)
class Hold:
    """A time during which Nagle's algorithm kept a small segment back."""

    from_us: int
    until_us: int


class Link:
    """A wire with a delay and a bandwidth: packets leave one after the other, none is lost."""

    def __init__(self, env: simpy.Environment, delay_us: int, bandwidth_kbps: int) -> None:
        """Make an idle link."""
        self._env = env
        self._delay_us = delay_us
        self._bandwidth_kbps = bandwidth_kbps
        self._free_at_us = 0

    def carry(self, payload_bytes: int) -> int:
        """Put one packet on the wire and return the time at which it arrives."""
        bits = (payload_bytes + HEADER_BYTES) * 8
        # bits / (kbit/s) is milliseconds; rounded up to a whole microsecond.
        transmission_us = -(-bits * 1_000 // self._bandwidth_kbps)
        start_us = max(int(self._env.now), self._free_at_us)
        self._free_at_us = start_us + transmission_us
        return self._free_at_us + self._delay_us


class Sender:
    """The sending end: accepts what the application writes, cuts it into segments."""

    def __init__(self, env: simpy.Environment, connection: Connection, link: Link) -> None:
        """Make a sender with an empty buffer; `peer` must be set before the first write."""
        self.segments: list[Segment] = []
        self.holds: list[Hold] = []
        self.peer: Receiver
        self._env = env
        self._connection = connection
        self._link = link
        self._stream = bytearray()
        self._acknowledged = 0
        self._sent = 0
        self._edge = connection.receive_buffer_bytes
        self._held_since_us: int | None = None
        self._room = env.event()

    def write(self, data: bytes) -> SimulatedProcess:
        """Accept all of `data`, as a blocking write() does: wait while the send buffer is full."""
        while data:
            room = self._connection.send_buffer_bytes - (len(self._stream) - self._acknowledged)
            if room == 0:
                yield self._room
                continue
            self._stream += data[:room]
            data = data[room:]
            self._send_what_may_go()

    def acknowledgment_arrived(self, acknowledgment: Acknowledgment) -> None:
        """Free what was acknowledged, open the window, and send what may go now."""
        self._acknowledged = max(self._acknowledged, acknowledgment.offset)
        self._edge = max(self._edge, acknowledgment.edge)
        self._room.succeed()
        self._room = self._env.event()
        self._send_what_may_go()

    def _send_what_may_go(self) -> None:
        while (size := self._next_segment_bytes()) > 0:
            if self._held_since_us is not None:
                self.holds.append(Hold(self._held_since_us, int(self._env.now)))
                self._held_since_us = None
            segment = Segment(
                self._sent, self._sent + size, int(self._env.now), self._link.carry(size)
            )
            self._sent += size
            self.segments.append(segment)
            self._env.process(self._fly(segment))

    def _next_segment_bytes(self) -> int:
        """Decide as RFC 1122 section 4.2.3.4 does; zero means: wait for an event.

        The section's override time-out is left out. Without loss it cannot be needed: a receiver
        whose buffer drains always leaves more than half of it open (`Receiver.recv`).
        """
        queued = len(self._stream) - self._sent
        usable = self._edge - self._sent
        size = min(queued, usable, self._connection.maximum_segment_bytes)
        if size <= 0:
            return 0
        if size == self._connection.maximum_segment_bytes:
            return size
        worth_sending = queued <= usable or 2 * size >= self._connection.receive_buffer_bytes
        if not worth_sending:
            return 0
        outstanding = self._sent > self._acknowledged
        if self._connection.nagle and outstanding:
            if self._held_since_us is None:
                self._held_since_us = int(self._env.now)
            return 0
        return size

    def _fly(self, segment: Segment) -> SimulatedProcess:
        yield self._env.timeout(segment.arrived_us - segment.sent_us)
        self.peer.segment_arrived(segment, bytes(self._stream[segment.first : segment.last]))


class Receiver:
    """The receiving end: a buffer that the application empties with recv()."""

    def __init__(self, env: simpy.Environment, connection: Connection, link: Link) -> None:
        """Make a receiver with an empty buffer; `link` leads back to `peer`, the sender."""
        self.acknowledgments: list[Acknowledgment] = []
        self.peer: Sender
        self._env = env
        self._connection = connection
        self._link = link
        self._buffer = bytearray()
        self._arrived = 0
        self._acknowledged = 0
        self._edge = connection.receive_buffer_bytes
        # Counts acknowledgments, so that a timer can tell that its own was overtaken.
        self._generation = 0
        self._timer_pending = False
        self._data = env.event()

    def segment_arrived(self, segment: Segment, data: bytes) -> None:
        """Buffer the data, wake the reader, and acknowledge now or later."""
        if segment.first != self._arrived:
            raise AssertionError(f"segment at {segment.first} arrived out of order")
        self._buffer += data
        self._arrived = segment.last
        self._data.succeed()
        self._data = self._env.event()
        owed = self._arrived - self._acknowledged
        # RFC 1122, 4.2.3.2: at least every second full-sized segment at once.
        if (
            self._connection.acknowledgment_delay_us == 0
            or owed >= 2 * self._connection.maximum_segment_bytes
        ):
            self._acknowledge()
        elif not self._timer_pending:
            self._timer_pending = True
            self._env.process(self._acknowledge_later(self._generation))

    def recv(self, limit: int) -> Generator[simpy.Event, Any, bytes]:
        """Return between 1 and `limit` bytes: what is there, waiting only while nothing is."""
        while not self._buffer:
            yield self._data
        taken = bytes(self._buffer[:limit])
        del self._buffer[:limit]
        # Linux (tcp_cleanup_rbuf) announces room on its own once it at least doubles the window.
        window, new_window = self._edge - self._arrived, self._widest_edge() - self._arrived
        if self._edge_can_move() and new_window >= 2 * window:
            self._acknowledge()
        return taken

    def _edge_can_move(self) -> bool:
        """Avoid the silly window: move by a segment or half the buffer (RFC 1122, 4.2.3.3)."""
        half = -(-self._connection.receive_buffer_bytes // 2)
        step = min(self._connection.maximum_segment_bytes, half)
        return self._widest_edge() - self._edge >= step

    def _widest_edge(self) -> int:
        already_read = self._arrived - len(self._buffer)
        return already_read + self._connection.receive_buffer_bytes

    def _acknowledge(self) -> None:
        if self._edge_can_move():
            self._edge = self._widest_edge()
        acknowledgment = Acknowledgment(
            self._arrived, self._edge, int(self._env.now), self._link.carry(0)
        )
        self._acknowledged = self._arrived
        self._generation += 1
        self._timer_pending = False
        self.acknowledgments.append(acknowledgment)
        self._env.process(self._fly(acknowledgment))

    def _acknowledge_later(self, generation: int) -> SimulatedProcess:
        yield self._env.timeout(self._connection.acknowledgment_delay_us)
        if generation == self._generation:
            self._acknowledge()

    def _fly(self, acknowledgment: Acknowledgment) -> SimulatedProcess:
        yield self._env.timeout(acknowledgment.arrived_us - acknowledgment.sent_us)
        self.peer.acknowledgment_arrived(acknowledgment)


def connect(env: simpy.Environment, connection: Connection) -> tuple[Sender, Receiver]:
    """Make both ends of a connection that is already set up, with a link each way."""
    delay_us, bandwidth_kbps = connection.one_way_delay_us, connection.bandwidth_kbps
    sender = Sender(env, connection, Link(env, delay_us, bandwidth_kbps))
    receiver = Receiver(env, connection, Link(env, delay_us, bandwidth_kbps))
    sender.peer, receiver.peer = receiver, sender
    return sender, receiver
