"""TCP on a link that loses segments: one direction, from a server to a client.

Several connections share the way down. It has a bandwidth, a queue without a limit, a delay, and
loses segments of data. The way up has a delay and loses nothing: requests and acknowledgments are
small. Where `tcp.py` models how one connection cuts its stream, this module models how it repairs
it, and what waits meanwhile.

In the model: an initial window of ten segments (RFC 6928), slow start and congestion avoidance
(RFC 5681), selective acknowledgments (RFC 2018), three acknowledgments of later segments as the
sign of a loss (RFC 5681, section 3.2, counted in the order of sending as RFC 8985 does), and the
retransmission timer (RFC 6298, with the lower bound of Linux). Left out: delayed acknowledgments,
the tail loss probe, CUBIC, and segments that overtake each other.

Times are whole microseconds of simulated time, sizes are bytes, and offsets count from the first
byte of a connection's stream.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import simpy

from remotecalls.simulators.tcp import HEADER_BYTES

SEGMENT_BYTES = 1_460
"""The most payload in a segment: an Ethernet frame less the two headers."""

INITIAL_SEGMENTS = 10
RECEIVE_BUFFER_BYTES = 131_072
"""What Linux sets aside for a connection at first (tcp_rmem in tcp(7)); here it does not grow."""

LATER_SEGMENTS = 3
FIRST_TIMEOUT_US = 1_000_000
LEAST_TIMEOUT_US = 200_000
MOST_TIMEOUT_US = 60_000_000


def after(env: simpy.Environment, delay_us: int, action: Callable[[], None]) -> None:
    """Call `action` in `delay_us` microseconds."""
    env.timeout(delay_us).callbacks.append(lambda _: action())


@dataclass(frozen=True)
class Transmission:
    """One segment on the link, from its first bit to its last.

    Attributes:
        connection: the number of the connection.
        first: the offset of its first byte.
        last: the offset after its last byte.
        began_us: when the link took its first bit.
        ended_us: when the link had taken its last bit; it arrives a delay later.
        lost: whether it never arrives.
        again: whether it was sent before.
    """

    connection: int
    first: int
    last: int
    began_us: int
    ended_us: int
    lost: bool
    again: bool


@dataclass(frozen=True)
class Held:
    """Bytes that had arrived and could not be read, since those at `missing` had not."""

    connection: int
    first: int
    last: int
    arrived_us: int
    delivered_us: int
    missing: int


class Link:
    """The way down: packets leave one after the other."""

    def __init__(
        self,
        env: simpy.Environment,
        delay_us: int,
        bandwidth_kbps: int,
        loses: Callable[[int], bool],
    ) -> None:
        """Make an idle link; `loses` says whether the data segment of that number is lost."""
        self.delay_us = delay_us
        self.transmissions: list[Transmission] = []
        self._env = env
        self._bandwidth_kbps = bandwidth_kbps
        self._loses = loses
        self._free_at_us = 0

    def carry(self, payload_bytes: int) -> int:
        """Carry one packet that is not lost, and return when it arrives."""
        return self._occupy(payload_bytes)[1] + self.delay_us

    def carry_segment(self, connection: int, first: int, last: int, again: bool) -> Transmission:
        """Carry a segment of data, which may be lost."""
        began_us, ended_us = self._occupy(last - first)
        lost = self._loses(len(self.transmissions) + 1)
        sent = Transmission(connection, first, last, began_us, ended_us, lost, again)
        self.transmissions.append(sent)
        return sent

    def _occupy(self, payload_bytes: int) -> tuple[int, int]:
        began_us = max(int(self._env.now), self._free_at_us)
        bits = (payload_bytes + HEADER_BYTES) * 8
        # bits / (kbit/s) is milliseconds; rounded up to a whole microsecond.
        self._free_at_us = began_us + -(-bits * 1_000 // self._bandwidth_kbps)
        return began_us, self._free_at_us


class Receiver:
    """The client's end: puts segments in order and passes on what has no gap before it."""

    def __init__(
        self, env: simpy.Environment, connection: int, deliver: Callable[[int, int], None]
    ) -> None:
        """Make an empty receiver; `deliver` gets each range of the stream that can be read."""
        self.held: list[Held] = []
        self.expected = 0
        self._env = env
        self._connection = connection
        self._deliver = deliver
        self._taken = 0
        self._early: dict[int, tuple[int, int, int]] = {}

    @property
    def edge(self) -> int:
        """The offset up to which the sender may send."""
        return self._taken + RECEIVE_BUFFER_BYTES

    def take(self, count: int) -> None:
        """The application has read so many bytes more: there is room again."""
        self._taken += count

    def arrived(self, first: int, last: int) -> None:
        """Take a segment; one that is here already changes nothing."""
        if first < self.expected or first in self._early:
            return
        now_us = int(self._env.now)
        if first > self.expected:
            self._early[first] = (last, now_us, self.expected)
            return
        start, self.expected = self.expected, last
        while self.expected in self._early:
            first = self.expected
            last, arrived_us, missing = self._early.pop(first)
            self.held.append(Held(self._connection, first, last, arrived_us, now_us, missing))
            self.expected = last
        self._deliver(start, self.expected)


@dataclass(eq=False)
class _Segment:
    """A piece of the stream, cut once and sent until it is acknowledged."""

    first: int
    last: int
    order: int = -1
    overtaken: int = 0
    in_flight: bool = False
    acknowledged: bool = False

    @property
    def size(self) -> int:
        return self.last - self.first


class Sender:
    """The server's end: asks for bytes when it may send, and sends again what was lost."""

    def __init__(
        self,
        env: simpy.Environment,
        link: Link,
        connection: int,
        produce: Callable[[], int],
        receiver: Receiver,
    ) -> None:
        """Make a sender.

        Args:
            env: the simulation.
            link: the way to the receiver.
            connection: its number.
            produce: appends bytes to the stream and returns how many; 0 if there are none now.
            receiver: the other end.
        """
        self._env = env
        self._link = link
        self._connection = connection
        self._produce = produce
        self._receiver = receiver
        self._produced = 0
        self._cut = 0
        self._edge = receiver.edge
        self._window = INITIAL_SEGMENTS * SEGMENT_BYTES
        self._threshold = 1 << 40
        self._window_full = False
        self._in_flight = 0
        self._orders = 0
        self._sent: deque[tuple[int, _Segment]] = deque()
        self._overtaken: list[_Segment] = []
        self._lost: deque[_Segment] = deque()
        self._acknowledged = 0
        self._recovery_end = 0
        self._recovers_by_timer = False
        self._round_trip_us: int | None = None
        self._variation_us = 0
        self._timeout_us = FIRST_TIMEOUT_US
        self._timer_at_us = 0
        self._wakes_at_us: int | None = None

    def send(self) -> None:
        """Send what the windows allow: first what was lost, then what is new."""
        while self._in_flight + SEGMENT_BYTES <= self._window:
            segment = self._next_lost() or self._next_new()
            if segment is None:
                self._window_full = False
                return
            self._transmit(segment)
        self._window_full = True

    def edge_moved(self, edge: int) -> None:
        """A segment without data says that the receiver has room up to `edge`."""
        self._edge = max(self._edge, edge)
        self.send()

    def _next_lost(self) -> _Segment | None:
        while self._lost:
            segment = self._lost.popleft()
            if not segment.acknowledged:
                return segment
        return None

    def _next_new(self) -> _Segment | None:
        while self._produced - self._cut < SEGMENT_BYTES:
            count = self._produce()
            if count == 0:
                break
            self._produced += count
        size = min(SEGMENT_BYTES, self._produced - self._cut)
        if size == 0 or self._cut + size > self._edge:
            return None
        segment = _Segment(self._cut, self._cut + size)
        self._cut += size
        return segment

    def _transmit(self, segment: _Segment) -> None:
        again = segment.order >= 0
        segment.order = order = self._orders
        segment.overtaken = 0
        segment.in_flight = True
        self._orders += 1
        self._in_flight += segment.size
        self._sent.append((order, segment))
        sent_us = int(self._env.now)
        sent = self._link.carry_segment(self._connection, segment.first, segment.last, again)
        if not sent.lost:
            arrives_us = sent.ended_us + self._link.delay_us
            after(self._env, arrives_us - sent_us, lambda: self._arrive(segment, order, sent_us))
        if self._in_flight == segment.size or self._wakes_at_us is None:
            self._start_timer()

    def _arrive(self, segment: _Segment, order: int, sent_us: int) -> None:
        """At the receiver: take the segment and acknowledge it at once."""
        self._receiver.arrived(segment.first, segment.last)
        before, edge = self._receiver.expected, self._receiver.edge
        after(
            self._env,
            self._link.delay_us,
            lambda: self._acknowledge(segment, order, sent_us, before, edge),
        )

    def _acknowledge(
        self, segment: _Segment, order: int, sent_us: int, before: int, edge: int
    ) -> None:
        """At the sender: all before `before` is there, and so is this segment."""
        self._edge = max(self._edge, edge)
        self._measure(int(self._env.now) - sent_us)
        if not segment.acknowledged:
            segment.acknowledged = True
            self._leave_flight(segment)
            self._grow(segment.size)
            self._start_timer()
        self._acknowledged = max(self._acknowledged, before)
        self._find_losses(order)
        self.send()

    def _leave_flight(self, segment: _Segment) -> None:
        if segment.in_flight:
            segment.in_flight = False
            self._in_flight -= segment.size

    def _grow(self, acknowledged_bytes: int) -> None:
        """Open the window, unless it was not full or a loss is being repaired (RFC 5681)."""
        recovering = self._acknowledged < self._recovery_end and not self._recovers_by_timer
        if recovering or not self._window_full:
            return
        if self._window < self._threshold:
            self._window += acknowledged_bytes
        else:
            self._window += SEGMENT_BYTES * SEGMENT_BYTES // self._window

    def _find_losses(self, order: int) -> None:
        """Count, for each segment that this acknowledgment overtook, how often it was overtaken."""
        while self._sent and self._sent[0][0] < order:
            sent_as, segment = self._sent.popleft()
            if not segment.acknowledged and segment.order == sent_as:
                self._overtaken.append(segment)
        flight, found, still = self._in_flight, False, []
        for segment in self._overtaken:
            if segment.acknowledged:
                continue
            segment.overtaken += segment.order < order
            if segment.overtaken < LATER_SEGMENTS:
                still.append(segment)
            else:
                self._leave_flight(segment)
                self._lost.append(segment)
                found = True
        self._overtaken = still
        if found and self._acknowledged >= self._recovery_end:
            self._recover(flight)

    def _recover(self, flight: int) -> None:
        """Halve the window, once for all losses in what was sent until now (RFC 6582)."""
        self._threshold = self._window = max(flight // 2, 2 * SEGMENT_BYTES)
        self._recovery_end, self._recovers_by_timer = self._cut, False
        # The first is sent again whatever else is in flight (RFC 6675, section 5, step 4.3).
        segment = self._next_lost()
        if segment is not None:
            self._transmit(segment)

    # ------------------------------------------------------------ the timer (RFC 6298)

    def _measure(self, round_trip_us: int) -> None:
        if self._round_trip_us is None:
            self._round_trip_us, self._variation_us = round_trip_us, round_trip_us // 2
        else:
            difference_us = abs(self._round_trip_us - round_trip_us)
            self._variation_us = (3 * self._variation_us + difference_us) // 4
            self._round_trip_us = (7 * self._round_trip_us + round_trip_us) // 8
        self._timeout_us = max(LEAST_TIMEOUT_US, self._round_trip_us + 4 * self._variation_us)

    def _start_timer(self) -> None:
        """Let the timer ring a time-out from now, whatever it was set to."""
        self._timer_at_us = int(self._env.now) + self._timeout_us
        # Moving the timer back is frequent and needs no new event: the one that comes too early
        # sees that it does.
        if self._in_flight and (self._wakes_at_us is None or self._timer_at_us < self._wakes_at_us):
            self._wake_at(self._timer_at_us)

    def _wake_at(self, at_us: int) -> None:
        self._wakes_at_us = at_us
        after(self._env, at_us - int(self._env.now), lambda: self._wake(at_us))

    def _wake(self, at_us: int) -> None:
        if at_us != self._wakes_at_us:
            return
        self._wakes_at_us = None
        if not self._in_flight:
            return
        if self._timer_at_us > at_us:
            self._wake_at(self._timer_at_us)
            return
        self._time_out()

    def _time_out(self) -> None:
        """Take all that is in flight for lost, and begin again with a window of one segment."""
        self._threshold = max(self._in_flight // 2, 2 * SEGMENT_BYTES)
        self._window = SEGMENT_BYTES
        self._recovery_end, self._recovers_by_timer = self._cut, True
        self._timeout_us = min(2 * self._timeout_us, MOST_TIMEOUT_US)
        missing = [each for _, each in self._sent if each.in_flight] + self._overtaken
        for segment in missing:
            self._leave_flight(segment)
        self._sent.clear()
        self._overtaken = []
        self._lost = deque(sorted([*self._lost, *missing], key=lambda each: each.first))
        self.send()
