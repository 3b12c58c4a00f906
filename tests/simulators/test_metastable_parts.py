"""Queues, budgets, breakers and backoff of the metastable model, each alone."""

from __future__ import annotations

import itertools
import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remotecalls.simulators.metastable import STORM, run
from remotecalls.simulators.metastable.clients import Backoff, CircuitBreaker, RetryBudget
from remotecalls.simulators.metastable.queues import (
    CoDel,
    ControlledDelay,
    FirstCome,
    LastCome,
    WaitingLine,
)

MS = 1_000


def emptied(line: WaitingLine, now_us: int) -> tuple[list[int], list[int]]:
    served, dropped = [], []
    while (number := line.pop(now_us, dropped)) is not None:
        served.append(number)
    return served, dropped


def filled(line: WaitingLine, count: int) -> WaitingLine:
    for number in range(count):
        line.push(number, number * MS)
    return line


def test_first_and_last_come() -> None:
    assert emptied(filled(FirstCome(), 4), 9 * MS) == ([0, 1, 2, 3], [])
    assert emptied(filled(LastCome(), 4), 9 * MS) == ([3, 2, 1, 0], [])


@given(st.integers(1, 60), st.integers(0, 500), st.integers(1, 50))
def test_no_queue_loses_or_doubles_anybody(count: int, wait_ms: int, gap_ms: int) -> None:
    lines = (FirstCome(), LastCome(), CoDel(5 * MS, 100 * MS), ControlledDelay(5 * MS, 100 * MS))
    for line in lines:
        served, dropped, now_us = [], [], 0
        for number in range(count):
            line.push(number, number * gap_ms * MS)
        now_us = count * gap_ms * MS + wait_ms * MS
        while len(line):
            number = line.pop(now_us, dropped)
            if number is not None:
                served.append(number)
            now_us += gap_ms * MS
        assert sorted(served + dropped) == list(range(count))


def test_codel_drops_sooner_and_sooner_as_rfc_8289_says() -> None:
    """Served once a millisecond, filled twice: after an interval drops come at I / sqrt(n)."""
    line = CoDel(5 * MS, 100 * MS)
    drops: list[int] = []
    number = 0
    for now_ms in range(1_000):
        for _ in range(2):
            line.push(number, now_ms * MS)
            number += 1
        dropped: list[int] = []
        line.pop(now_ms * MS, dropped)
        drops.extend(now_ms for _ in dropped)
    gaps = [later - earlier for earlier, later in itertools.pairwise(drops)]
    assert 100 < drops[0] < 120
    expected = [round(100 / (count**0.5)) for count in range(1, len(gaps) + 1)]
    assert all(abs(gap - law) <= 2 for gap, law in zip(gaps, expected, strict=True))


def test_codel_leaves_a_burst_alone() -> None:
    line = filled(CoDel(5 * MS, 100 * MS), 50)
    dropped: list[int] = []
    for now_ms in range(50, 100):
        line.pop(now_ms * MS, dropped)
    assert dropped == []


def test_controlled_delay_is_patient_until_the_queue_stands() -> None:
    line = ControlledDelay(5 * MS, 100 * MS)
    line.push(0, 0)
    line.push(1, 1 * MS)
    dropped: list[int] = []
    assert line.pop(50 * MS, dropped) == 0  # 50 ms are allowed while it was empty a while ago
    for number in range(2, 40):
        line.push(number, (110 + number) * MS)
    # It has not been empty for more than an interval: five milliseconds, and the newest first.
    assert line.pop(150 * MS, dropped) == 39
    assert dropped == list(range(1, 35))


# ---------------------------------------------------------------- clients


@given(st.integers(0, 9_999), st.integers(1, 5))
def test_backoff_stays_between_its_bounds(seed: int, retry: int) -> None:
    rng = random.Random(seed)
    base_us, cap_us = STORM.backoff_base_us, STORM.backoff_cap_us
    ceiling = min(cap_us, base_us * 2 ** (retry - 1))

    def wait_us(kind: str, last_us: int = 0) -> int:
        return Backoff(replace(STORM, backoff=kind), rng).wait_us(retry, last_us)

    assert wait_us("at-once") == 1_000
    assert wait_us("exponential") == ceiling
    assert 0 <= wait_us("full") <= ceiling
    assert ceiling // 2 <= wait_us("equal") <= ceiling
    assert base_us <= wait_us("decorrelated", 300_000) <= 900_000
    assert wait_us("decorrelated", 50_000_000) <= cap_us


def test_full_jitter_waits_half_as_long_on_average() -> None:
    backoff = Backoff(replace(STORM, backoff="full"), random.Random(1))
    waits = [backoff.wait_us(3, 0) for _ in range(2_000)]
    assert sum(waits) / len(waits) == pytest.approx(400_000, rel=0.05)


@given(st.lists(st.booleans(), max_size=300), st.integers(5, 100), st.integers(1, 20))
def test_a_budget_gives_no_more_than_its_share_and_its_burst(
    turns: list[bool], percent: int, burst: int
) -> None:
    budget = RetryBudget(percent, burst)
    first = retries = 0
    for is_first in turns:
        if is_first:
            budget.deposit()
            first += 1
        else:
            retries += budget.withdraw()
        assert 100 * retries <= 100 * burst + percent * first


def test_a_breaker_opens_probes_and_closes() -> None:
    breaker = CircuitBreaker(3, 1_000)
    for number in range(3):
        assert breaker.lets_through(number, number)
    breaker.failed(0, 10)
    breaker.failed(1, 11)
    breaker.succeeded(2)
    for number in (3, 4, 5):
        breaker.failed(number, 20 + number)
    assert breaker.openings == 1
    assert not breaker.lets_through(6, 1_024)
    assert breaker.lets_through(7, 1_025)  # half-open: one, and no other
    assert not breaker.lets_through(8, 1_025)
    breaker.succeeded(3)  # of before it opened: says nothing
    breaker.failed(4, 1_030)
    assert breaker.openings == 1
    assert not breaker.lets_through(8, 1_030)
    breaker.failed(7, 1_100)  # the probe fails: open for as long again
    assert breaker.openings == 2
    assert not breaker.lets_through(9, 2_099)
    assert breaker.lets_through(10, 2_100)
    breaker.succeeded(10)
    assert breaker.lets_through(11, 2_101)


def test_every_client_has_its_own_breaker() -> None:
    """One that has opened keeps its own client silent, and nobody else's."""
    breaking = replace(STORM, breaker_failures=5)
    together = run(replace(breaking, clients=1), 1)
    apart = run(replace(breaking, clients=20), 1)
    assert together.breaker_openings < 5
    assert apart.breaker_openings >= 20
    # Alone, all fall silent at the same moment, after five failures; of twenty some go on.
    spike = slice(20, 25)
    assert sum(together.seconds.tries[spike]) < 0.8 * sum(apart.seconds.tries[spike])
