"""The lossy connection against the rules of its RFCs, and against a formula for its throughput."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from functools import partial
from itertools import pairwise

import pytest
import simpy
from hypothesis import given
from hypothesis import strategies as st

from remotecalls.simulators.lossy_tcp import (
    FIRST_TIMEOUT_US,
    INITIAL_SEGMENTS,
    LEAST_TIMEOUT_US,
    RECEIVE_BUFFER_BYTES,
    SEGMENT_BYTES,
    Link,
    Receiver,
    Sender,
    after,
)
from remotecalls.simulators.tcp import HEADER_BYTES

FAST_KBPS = 1_000_000


class Transfer:
    """So many bytes over one connection, read at once."""

    def __init__(
        self,
        total: int,
        loses: Callable[[int], bool] = lambda number: False,
        delay_us: int = 20_000,
        bandwidth_kbps: int = FAST_KBPS,
        reads: bool = True,
    ) -> None:
        self.env = simpy.Environment()
        self.delivered: list[tuple[int, int, int]] = []
        self.left, self.reads = total, reads
        self.link = Link(self.env, delay_us, bandwidth_kbps, loses)
        self.receiver = Receiver(self.env, 0, self.deliver)
        self.sender = Sender(self.env, self.link, 0, self.produce, self.receiver)
        self.sender.send()
        self.env.run()

    def produce(self) -> int:
        size = min(self.left, 16_384)
        self.left -= size
        return size

    def deliver(self, first: int, last: int) -> None:
        self.delivered.append((first, last, int(self.env.now)))
        if self.reads:
            self.receiver.take(last - first)

    @property
    def segments_by_time(self) -> list[int]:
        """How many segments left, of those that left within a millisecond of each other."""
        counts, before_us = [], -10_000
        for sent in self.link.transmissions:
            if sent.began_us - before_us > 1_000:
                counts.append(0)
            counts[-1] += 1
            before_us = sent.began_us
        return counts


class Feed:
    """A connection whose server has so many bytes to send from a time on, all read at once."""

    def __init__(self, *pieces: tuple[int, int]) -> None:
        self.env = simpy.Environment()
        self.link = Link(self.env, 20_000, FAST_KBPS, lambda number: False)
        self.waiting = 0
        receiver = Receiver(self.env, 0, lambda first, last: receiver.take(last - first))
        self.sender = Sender(self.env, self.link, 0, self.produce, receiver)
        for at_us, count in pieces:
            after(self.env, at_us, partial(self.feed, count))
        self.env.run()

    def feed(self, count: int) -> None:
        self.waiting += count
        self.sender.send()

    def produce(self) -> int:
        count, self.waiting = self.waiting, 0
        return count

    @property
    def bursts(self) -> list[tuple[int, int]]:
        """When some segments left within a millisecond of each other, and how many."""
        found: list[tuple[int, int]] = []
        for sent in self.link.transmissions:
            if found and sent.began_us - found[-1][0] < 1_000:
                found[-1] = (found[-1][0], found[-1][1] + 1)
            else:
                found.append((sent.began_us, 1))
        return found


def lost(*numbers: int) -> Callable[[int], bool]:
    return lambda number: number in numbers


@given(
    total=st.integers(1, 200_000),
    loss_percent=st.integers(0, 30),
    delay_us=st.integers(0, 2_000_000),
    bandwidth_kbps=st.integers(100, FAST_KBPS),
    seed=st.integers(0, 999),
)
def test_every_byte_comes_once_and_in_order_whatever_is_lost(
    total: int, loss_percent: int, delay_us: int, bandwidth_kbps: int, seed: int
) -> None:
    rng = random.Random(seed)
    transfer = Transfer(
        total, lambda _: rng.randrange(100) < loss_percent, delay_us, bandwidth_kbps
    )
    assert [first for first, _, _ in transfer.delivered] == [
        0,
        *(last for _, last, _ in transfer.delivered[:-1]),
    ]
    assert transfer.delivered[-1][1] == total
    sent = transfer.link.transmissions
    for one, other in pairwise(sent):
        assert one.ended_us <= other.began_us
    new = sum(each.last - each.first for each in sent if not each.again)
    again = sum(each.last - each.first for each in sent if each.again)
    assert new == total
    assert again >= sum(each.last - each.first for each in sent if each.lost)


@given(seed=st.integers(0, 999), loss_percent=st.integers(1, 20))
def test_what_was_held_had_a_gap_before_it_until_it_was_delivered(
    seed: int, loss_percent: int
) -> None:
    rng = random.Random(seed)
    transfer = Transfer(120_000, lambda _: rng.randrange(100) < loss_percent)
    delivered_at = {}
    for first, last, at_us in transfer.delivered:
        for offset in range(first, last, SEGMENT_BYTES):
            delivered_at[offset] = at_us
    for held in transfer.receiver.held:
        assert held.missing < held.first
        assert held.arrived_us < held.delivered_us == delivered_at[held.first]
        # What was missing came no earlier than what waited for it.
        assert delivered_at[held.missing] <= held.delivered_us
        assert delivered_at[held.missing] > held.arrived_us


def test_the_first_window_is_ten_segments_and_it_doubles_each_round_trip() -> None:
    assert Transfer(70 * SEGMENT_BYTES).segments_by_time == [10, 20, 40]


def test_a_window_that_is_not_filled_does_not_grow() -> None:
    fed = Feed((0, 3 * SEGMENT_BYTES), (500_000, 30 * SEGMENT_BYTES))
    assert [count for _, count in fed.bursts][:2] == [3, INITIAL_SEGMENTS]


def test_nothing_is_sent_beyond_the_buffer_of_a_reader_that_does_not_read() -> None:
    transfer = Transfer(300_000, reads=False)
    assert RECEIVE_BUFFER_BYTES - SEGMENT_BYTES < transfer.delivered[-1][1] <= RECEIVE_BUFFER_BYTES


def test_a_loss_is_repaired_in_a_round_trip_when_others_follow() -> None:
    # The second of ten is lost: three later ones are acknowledged after one round trip, the
    # second transmission arrives half a round trip later.
    transfer = Transfer(10 * SEGMENT_BYTES, lost(2))
    again = [sent for sent in transfer.link.transmissions if sent.again]
    assert [(sent.first, sent.last) for sent in again] == [(SEGMENT_BYTES, 2 * SEGMENT_BYTES)]
    bits = (SEGMENT_BYTES + HEADER_BYTES) * 8
    transmission_us = math.ceil(bits * 1_000 / FAST_KBPS)
    assert again[0].began_us == 5 * transmission_us + 40_000
    assert transfer.delivered == [
        (0, SEGMENT_BYTES, transmission_us + 20_000),
        (SEGMENT_BYTES, 10 * SEGMENT_BYTES, again[0].ended_us + 20_000),
    ]
    assert len(transfer.receiver.held) == 8


@pytest.mark.parametrize("numbers", [(12,), (12, 15), (12, 15, 18)])
def test_a_loss_halves_the_window_once_however_many_are_lost_in_it(
    numbers: tuple[int, ...],
) -> None:
    # When three later ones are acknowledged, 22 are in flight. From half of that the window grows
    # by one segment a round trip.
    transfer = Transfer(200 * SEGMENT_BYTES, lost(*numbers))
    assert transfer.segments_by_time[:7] == [10, 20, 11, 11, 12, 13, 14]
    assert len(transfer.link.transmissions) == 200 + len(numbers)


def test_a_repair_that_is_lost_is_seen_by_three_later_ones_too() -> None:
    once = Transfer(60 * SEGMENT_BYTES, lost(2)).link.transmissions
    repair = next(number for number, sent in enumerate(once, 1) if sent.again)
    sent = Transfer(60 * SEGMENT_BYTES, lost(2, repair)).link.transmissions
    first, second = [each for each in sent if each.again]
    assert (first.first, second.first) == (SEGMENT_BYTES, SEGMENT_BYTES)
    third_later = sent[repair + 2]
    assert second.began_us == third_later.ended_us + 2 * 20_000


def test_after_the_timer_the_window_is_one_segment() -> None:
    transfer = Transfer(20 * SEGMENT_BYTES, lost(*range(1, 11)))
    assert transfer.segments_by_time[:4] == [10, 1, 2, 4]


@pytest.mark.parametrize("number", [8, 9, 10])
def test_a_loss_that_too_few_follow_waits_for_the_timer(number: int) -> None:
    transfer = Transfer(10 * SEGMENT_BYTES, lost(number))
    again = next(sent for sent in transfer.link.transmissions if sent.again)
    last_acknowledged_us = 40_000
    assert again.began_us >= last_acknowledged_us + LEAST_TIMEOUT_US
    assert again.began_us < last_acknowledged_us + LEAST_TIMEOUT_US + 20_000


def test_the_timer_starts_at_a_second_and_doubles() -> None:
    transfer = Transfer(100, lost(1, 2, 3))
    began = [sent.began_us for sent in transfer.link.transmissions]
    assert began == [0, FIRST_TIMEOUT_US, 3 * FIRST_TIMEOUT_US, 7 * FIRST_TIMEOUT_US]


def test_a_round_trip_longer_than_the_timer_sends_again_what_was_not_lost() -> None:
    transfer = Transfer(1_000, delay_us=600_000)
    assert [(sent.again, sent.lost) for sent in transfer.link.transmissions] == [
        (False, False),
        (True, False),
    ]
    assert [(first, last) for first, last, _ in transfer.delivered] == [(0, 1_000)]


def test_the_timer_runs_from_the_segment_that_left_after_a_pause() -> None:
    # The timer of the first would have rung at 1 s, had it not been acknowledged.
    fed = Feed((0, 100), (FIRST_TIMEOUT_US - 10_000, 100))
    assert [count for _, count in fed.bursts] == [1, 1]


@pytest.mark.parametrize("loss", [0.005, 0.01, 0.02])
def test_throughput_falls_with_the_square_root_of_the_loss(loss: float) -> None:
    # Mathis, Semke, Mahdavi, Ott (1997): segment / round trip * sqrt(3 / 2) / sqrt(loss), for
    # losses that are not repaired by the timer.
    rng = random.Random(7)
    delay_us, total = 50_000, 6_000 * SEGMENT_BYTES
    transfer = Transfer(total, lambda _: rng.random() < loss, delay_us)
    took_s = transfer.delivered[-1][2] / 1_000_000
    expected = SEGMENT_BYTES / (2 * delay_us / 1_000_000) * math.sqrt(1.5 / loss)
    assert 0.7 * expected < total / took_s < 1.3 * expected


def test_the_first_window_of_six_connections_is_sixty_segments() -> None:
    env = simpy.Environment()
    link = Link(env, 20_000, FAST_KBPS, lambda number: False)

    def open_one(number: int) -> None:
        left = [100_000]

        def produce() -> int:
            return left.pop() if left else 0

        Sender(env, link, number, produce, Receiver(env, number, lambda first, last: None)).send()

    for number in range(6):
        open_one(number)
    assert len(link.transmissions) == 6 * INITIAL_SEGMENTS


def test_a_segment_that_comes_twice_is_held_since_the_first_time() -> None:
    env = simpy.Environment()
    delivered: list[tuple[int, int]] = []
    receiver = Receiver(env, 0, lambda first, last: delivered.append((first, last)))
    for at_us, first in ((10, 100), (20, 100), (30, 0), (40, 100), (50, 0)):
        after(env, at_us, partial(receiver.arrived, first, first + 100))
    env.run()
    assert delivered == [(0, 200)]
    assert [(held.arrived_us, held.delivered_us) for held in receiver.held] == [(10, 30)]
