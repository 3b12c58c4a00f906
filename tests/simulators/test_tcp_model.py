"""The simulated connection against the rules of its RFCs."""

from itertools import pairwise
from typing import Any

import pytest
import simpy
from hypothesis import given
from hypothesis import strategies as st

from remotecalls.simulators import tcp

QUIET = tcp.Connection(
    maximum_segment_bytes=1_000,
    nagle=False,
    acknowledgment_delay_us=40_000,
    send_buffer_bytes=65_536,
    receive_buffer_bytes=65_536,
    one_way_delay_us=5_000,
    bandwidth_kbps=10_000,
)


class Run:
    """A connection, what was written, and what was read when."""

    def __init__(self, connection: tcp.Connection) -> None:
        self.env = simpy.Environment()
        self.sender, self.receiver = tcp.connect(self.env, connection)
        self.written = b""
        self.reads: list[tuple[int, bytes]] = []

    def write(self, *pieces: bytes, gap_us: int = 0, wait: bool = False) -> None:
        def writer() -> Any:
            for piece in pieces:
                self.written += piece
                yield from self.sender.write(piece)
                yield self.env.timeout(gap_us)

        self.env.process(writer())

    def read(self, total: int, limit: int = 65_536, busy_us: int = 0) -> None:
        def reader() -> Any:
            missing = total
            while missing:
                data = yield from self.receiver.recv(limit)
                self.reads.append((int(self.env.now), data))
                missing -= len(data)
                yield self.env.timeout(busy_us)

        self.env.process(reader())

    def finish(self) -> None:
        self.env.run()


def connection(**changes: int | bool) -> tcp.Connection:
    return tcp.Connection(**{**vars(QUIET), **changes})


def test_a_large_write_is_cut_into_full_segments_and_a_rest() -> None:
    run = Run(QUIET)
    run.write(b"x" * 2_500)
    run.read(2_500)
    run.finish()
    assert [s.last - s.first for s in run.sender.segments] == [1_000, 1_000, 500]


def test_arrival_is_transmission_plus_delay_and_segments_queue_for_the_wire() -> None:
    run = Run(QUIET)
    run.write(b"x" * 2_000)
    run.read(2_000)
    run.finish()
    transmission_us = (1_000 + tcp.HEADER_BYTES) * 8 // 10
    assert [s.arrived_us for s in run.sender.segments] == [
        transmission_us + 5_000,
        2 * transmission_us + 5_000,
    ]


def test_transmission_time_is_rounded_up_to_a_whole_microsecond() -> None:
    env = simpy.Environment()
    # 41 bytes are 328 bits; at 300 kbit/s they take 1,093.3 microseconds.
    assert tcp.Link(env, 0, 300).carry(1) == 1_094


def test_every_second_full_segment_is_acknowledged_at_once() -> None:
    """RFC 1122, 4.2.3.2."""
    run = Run(QUIET)
    run.write(b"x" * 4_000)
    run.read(4_000)
    run.finish()
    arrivals = [s.arrived_us for s in run.sender.segments]
    assert [(a.offset, a.sent_us) for a in run.receiver.acknowledgments[:2]] == [
        (2_000, arrivals[1]),
        (4_000, arrivals[3]),
    ]


def test_less_than_two_full_segments_are_acknowledged_after_the_delay() -> None:
    run = Run(QUIET)
    run.write(b"x" * 10)
    run.read(10)
    run.finish()
    [acknowledgment] = run.receiver.acknowledgments
    assert acknowledgment.sent_us == run.sender.segments[0].arrived_us + 40_000


def test_the_delay_runs_anew_after_an_acknowledgment_in_between() -> None:
    """A timer that was overtaken must not acknowledge what arrived later."""
    run = Run(connection(one_way_delay_us=0))
    # 10 bytes start the timer; 2,000 more are acknowledged at once; then 10 more, 20 ms later.
    run.write(b"x" * 10, b"x" * 2_000, gap_us=5_000)
    run.read(2_020)

    def later() -> Any:
        yield run.env.timeout(20_000)
        yield from run.sender.write(b"x" * 10)

    run.env.process(later())
    run.finish()
    last_segment = run.sender.segments[-1]
    last = run.receiver.acknowledgments[-1]
    assert last.offset == 2_020
    assert last.sent_us == last_segment.arrived_us + 40_000


def test_without_delay_every_segment_is_acknowledged() -> None:
    run = Run(connection(acknowledgment_delay_us=0))
    run.write(*[b"x" * 10] * 5, gap_us=1_000)
    run.read(50)
    run.finish()
    assert [a.offset for a in run.receiver.acknowledgments] == [10, 20, 30, 40, 50]


def test_nagle_holds_a_small_segment_until_all_is_acknowledged() -> None:
    """RFC 896: header at once, body after the acknowledgment, which is itself delayed."""
    run = Run(connection(nagle=True))
    run.write(b"head", b"body")
    run.read(8)
    run.finish()
    first, second = run.sender.segments
    [hold] = run.sender.holds
    assert first.sent_us == hold.from_us == 0
    assert second.sent_us == hold.until_us == run.receiver.acknowledgments[0].arrived_us
    assert hold.until_us >= 40_000 + 2 * 5_000


def test_nagle_lets_a_full_segment_go_and_gathers_small_writes() -> None:
    run = Run(connection(nagle=True))
    run.write(b"x" * 10, b"x" * 1_000, b"x" * 10, b"x" * 10)
    run.read(1_030)
    run.finish()
    # The full segment leaves although 10 bytes are unacknowledged; it starts behind them.
    assert [(s.first, s.last) for s in run.sender.segments] == [
        (0, 10),
        (10, 1_010),
        (1_010, 1_030),
    ]


def test_a_full_send_buffer_blocks_the_writer_until_bytes_are_acknowledged() -> None:
    run = Run(connection(send_buffer_bytes=1_500, acknowledgment_delay_us=0))
    returned: list[int] = []

    def writer() -> Any:
        yield from run.sender.write(b"x" * 2_500)
        returned.append(int(run.env.now))

    run.env.process(writer())
    run.read(2_500)
    run.finish()
    assert returned == [run.receiver.acknowledgments[0].arrived_us]


def test_a_reader_that_does_not_read_closes_the_window() -> None:
    run = Run(connection(receive_buffer_bytes=1_000, acknowledgment_delay_us=0))
    run.write(b"x" * 5_000)
    run.finish()
    assert run.sender.segments[-1].last == 1_000


def test_the_window_opens_by_a_segment_or_half_the_buffer_never_by_crumbs() -> None:
    """RFC 1122, 4.2.3.3: no silly window."""
    run = Run(connection(receive_buffer_bytes=1_000, maximum_segment_bytes=200))
    run.write(b"x" * 5_000)
    run.read(5_000, limit=10, busy_us=100)
    run.finish()
    assert all(s.last - s.first == 200 for s in run.sender.segments)
    edges = [1_000, *(a.edge for a in run.receiver.acknowledgments)]
    assert all(later == earlier or later - earlier >= 200 for earlier, later in pairwise(edges))


@pytest.mark.parametrize("nagle", [False, True])
@given(data=st.data())
def test_rules_that_hold_on_every_connection(nagle: bool, data: st.DataObject) -> None:
    chosen = tcp.Connection(
        maximum_segment_bytes=data.draw(st.integers(1, 300), label="maximum segment"),
        nagle=nagle,
        acknowledgment_delay_us=data.draw(st.sampled_from([0, 40_000])),
        send_buffer_bytes=data.draw(st.integers(1, 800), label="send buffer"),
        receive_buffer_bytes=data.draw(st.integers(1, 800), label="receive buffer"),
        one_way_delay_us=data.draw(st.integers(0, 20_000), label="delay"),
        bandwidth_kbps=data.draw(st.integers(100, 10_000), label="bandwidth"),
    )
    pieces = data.draw(st.lists(st.binary(min_size=1, max_size=400), min_size=1, max_size=6))
    run = Run(chosen)
    run.write(*pieces, gap_us=data.draw(st.integers(0, 5_000), label="gap"))
    total = sum(map(len, pieces))
    run.read(total, data.draw(st.integers(1, 500)), data.draw(st.integers(0, 5_000)))
    run.finish()

    segments, acknowledgments = run.sender.segments, run.receiver.acknowledgments
    # Nothing is lost, added or reordered, and the exchange never comes to a standstill.
    assert b"".join(taken for _, taken in run.reads) == run.written == b"".join(pieces)
    assert [s.first for s in segments] == [0, *(s.last for s in segments[:-1])]
    assert segments[-1].last == total
    for segment in segments:
        assert 0 < segment.last - segment.first <= chosen.maximum_segment_bytes
        arrived = [a for a in acknowledgments if a.arrived_us <= segment.sent_us]
        # The sender keeps to the window that it knows of.
        edge = max((a.edge for a in arrived), default=chosen.receive_buffer_bytes)
        assert segment.last <= edge
        if nagle and segment.last - segment.first < chosen.maximum_segment_bytes:
            acknowledged = max((a.offset for a in arrived), default=0)
            assert acknowledged == segment.first
    for earlier, later in pairwise(acknowledgments):
        assert earlier.offset <= later.offset
        assert earlier.edge <= later.edge
    for acknowledgment in acknowledgments:
        read = sum(len(taken) for at_us, taken in run.reads if at_us <= acknowledgment.sent_us)
        assert acknowledgment.edge <= read + chosen.receive_buffer_bytes
    # A delayed acknowledgment waits no longer than its delay (RFC 1122, 4.2.3.2).
    for segment in segments:
        covering = next(a for a in acknowledgments if a.offset >= segment.last)
        assert covering.sent_us - segment.arrived_us <= chosen.acknowledgment_delay_us
