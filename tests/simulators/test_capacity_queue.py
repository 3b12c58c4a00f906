"""The simulated queue: against formulas, against a queue by hand, and Little's law to the unit."""

from __future__ import annotations

import math
import random
from functools import cache
from itertools import accumulate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remotecalls.simulators.capacity import (
    FifoServers,
    QueueResult,
    ServiceTime,
    deterministic,
    erlang,
    erlang_c,
    exponential,
    hyperexponential,
    lognormal,
    mg1_mean_wait,
    mmc_mean_wait,
    mmc_queue_length,
    mmc_wait_percentile,
    simulate,
)
from remotecalls.simulators.capacity.queue import half_width, student_t
from remotecalls.simulators.percentiles import BEYOND, percentile

MEAN_US = 10_000


@cache
def queue(servers: int, busy: float, service: ServiceTime, customers: int) -> QueueResult:
    return simulate(
        servers=servers,
        mean_gap_us=MEAN_US / busy / servers,
        service=service,
        customers=customers,
        seed=1,
        batches=40,
        percents=(),
    )


def rate(servers: int, busy: float) -> float:
    """Arrivals in a microsecond."""
    return busy * servers / MEAN_US


def is_within(result: QueueResult, wait_us: float) -> bool:
    low, high = result.interval_us
    return low <= wait_us <= high


# ---------------------------------------------------------------- against formulas


@pytest.mark.parametrize(
    ("servers", "busy", "customers"),
    [
        (1, 0.3, 150_000),
        (1, 0.5, 120_000),
        (1, 0.8, 700_000),
        (2, 0.3, 200_000),
        (2, 0.5, 200_000),
        (2, 0.8, 750_000),
        (5, 0.3, 1_700_000),
        (5, 0.5, 600_000),
        (5, 0.8, 1_200_000),
        (20, 0.8, 3_000_000),
    ],
)
def test_exponential_work_waits_as_erlang_says(servers: int, busy: float, customers: int) -> None:
    result = queue(servers, busy, exponential(MEAN_US), customers)
    wait_us = mmc_mean_wait(rate(servers, busy), MEAN_US, servers)
    assert is_within(result, wait_us)
    assert result.half_width_us < 0.05 * wait_us
    assert result.utilization == pytest.approx(busy, rel=0.02)
    assert result.waited_share == pytest.approx(erlang_c(servers, servers * busy), rel=0.05)
    length = mmc_queue_length(rate(servers, busy), MEAN_US, servers)
    assert result.mean_queue_length == pytest.approx(length, rel=0.05)


@pytest.mark.parametrize(("busy", "customers"), [(0.3, 500_000), (0.5, 1_000_000)])
def test_with_twenty_servers_that_are_half_idle_next_to_nobody_waits(
    busy: float, customers: int
) -> None:
    # One in 270 waits, or one in 190,000: an interval of 5 % would take 14 million customers, or
    # some billions.
    result = queue(20, busy, exponential(MEAN_US), customers)
    expected = customers * 0.9 * erlang_c(20, 20 * busy)
    assert abs(result.waited - expected) < 6 * math.sqrt(expected * 4) + 1
    if busy == 0.5:
        wait_us = mmc_mean_wait(rate(20, busy), MEAN_US, 20)
        assert is_within(result, wait_us)
        assert result.half_width_us < 0.25 * wait_us


@pytest.mark.parametrize(
    ("service", "busy", "customers"),
    [
        (deterministic(MEAN_US), 0.3, 60_000),
        (deterministic(MEAN_US), 0.5, 60_000),
        (deterministic(MEAN_US), 0.8, 250_000),
        (erlang(MEAN_US, 2), 0.3, 100_000),
        (erlang(MEAN_US, 2), 0.5, 80_000),
        (erlang(MEAN_US, 2), 0.8, 400_000),
        (exponential(MEAN_US), 0.3, 150_000),
        (exponential(MEAN_US), 0.5, 120_000),
        (exponential(MEAN_US), 0.8, 700_000),
        (hyperexponential(MEAN_US, 4), 0.3, 350_000),
        (hyperexponential(MEAN_US, 4), 0.5, 400_000),
        (hyperexponential(MEAN_US, 4), 0.8, 2_000_000),
        (lognormal(MEAN_US, 0.5), 0.5, 100_000),
    ],
    ids=lambda each: f"{each.kind}-{each.cv_squared:g}" if isinstance(each, ServiceTime) else None,
)
def test_one_server_waits_as_pollaczek_and_khinchine_say(
    service: ServiceTime, busy: float, customers: int
) -> None:
    result = queue(1, busy, service, customers)
    wait_us = mg1_mean_wait(rate(1, busy), MEAN_US, service.cv_squared)
    assert is_within(result, wait_us)
    assert result.half_width_us < 0.05 * wait_us


def test_a_99_percent_interval_is_right_99_times_in_100() -> None:
    wait_us = mmc_mean_wait(rate(1, 0.5), MEAN_US, 1)
    hits = sum(
        is_within(
            simulate(
                servers=1, mean_gap_us=2 * MEAN_US, service=exponential(MEAN_US), customers=6_000,
                seed=seed, percents=(),
            ),
            wait_us,
        )
        for seed in range(200)
    )  # fmt: skip
    # Of 200, 194 or more with a probability above 0.99 if the interval is what it says.
    assert hits >= 194


def test_percentiles_are_those_of_the_exponential_tail() -> None:
    result = simulate(
        servers=3, mean_gap_us=MEAN_US / 2.4, service=exponential(MEAN_US), customers=300_000,
        seed=2, percents=(20, 50, 90, 99),
    )  # fmt: skip
    for percent, wait_us in result.percentiles_us.items():
        expected = mmc_wait_percentile(2.4 / MEAN_US, MEAN_US, 3, percent)
        assert wait_us == pytest.approx(expected, rel=0.06, abs=1)
    assert result.percentiles_us[20] == 0


# ---------------------------------------------------------------- by hand


gaps_and_work = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 60)), max_size=80)


@given(gaps_and_work, st.integers(1, 5))
def test_waits_are_those_of_a_queue_that_is_stepped_through(
    customers: list[tuple[int, int]], servers: int
) -> None:
    gaps, works = [gap for gap, _ in customers], [work for _, work in customers]
    expected = []
    ends: list[int] = []  # of all so far
    begun_us = 0
    for came_us, work_us in zip(accumulate(gaps), works, strict=True):
        # It begins when it is there, the one before has begun, and a server is free.
        begun_us = max(came_us, begun_us)
        while sum(end > begun_us for end in ends) >= servers:
            begun_us = min(end for end in ends if end > begun_us)
        expected.append(begun_us - came_us)
        ends.append(begun_us + work_us)
    assert FifoServers(servers).serve(gaps, works) == expected


@given(gaps_and_work, st.integers(1, 5), st.integers(0, 80))
def test_it_does_not_matter_in_which_parts_they_come(
    customers: list[tuple[int, int]], servers: int, cut: int
) -> None:
    gaps, works = [gap for gap, _ in customers], [work for _, work in customers]
    parts = FifoServers(servers)
    both = parts.serve(gaps[:cut], works[:cut]) + parts.serve(gaps[cut:], works[cut:])
    assert both == FifoServers(servers).serve(gaps, works)
    assert parts.now_us == sum(gaps)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 6), st.floats(0.2, 0.95), st.integers(0, 9_999))
def test_littles_law_holds_to_the_microsecond_over_each_busy_period(
    servers: int, busy: float, seed: int
) -> None:
    rng = random.Random(seed)
    gaps = exponential(MEAN_US / servers / busy).draw(rng, 400)
    works = hyperexponential(MEAN_US, 3).draw(rng, 400)
    waits = FifoServers(servers).serve(gaps, works)
    came = list(accumulate(gaps))
    left = [at + wait + work for at, wait, work in zip(came, waits, works, strict=True)]
    # From counts alone: how many are there, times for how long, until nobody is.
    # At equal times those who come go first, for who had no work leaves when it comes.
    changes = sorted(
        [(at, 1) for at in came] + [(at, -1) for at in left], key=lambda each: (each[0], -each[1])
    )
    there = area_us = since_us = 0
    stayed = iter(zip(came, left, strict=True))
    periods = 0
    entered = 0
    for at_us, change in changes:
        area_us += there * (at_us - since_us)
        there, since_us = there + change, at_us
        entered += change > 0
        assert there >= 0
        if there == 0:
            times = [next(stayed) for _ in range(entered)]
            assert area_us == sum(end - start for start, end in times)
            area_us = entered = 0
            periods += 1
    assert there == 0
    assert periods >= 1


@given(st.integers(1, 6), st.integers(0, 9_999))
@settings(max_examples=20, deadline=None)
def test_one_more_server_makes_nobody_wait_longer(servers: int, seed: int) -> None:
    rng = random.Random(seed)
    gaps, works = (exponential(mean).draw(rng, 500) for mean in (MEAN_US / servers, MEAN_US))
    fewer, more = (FifoServers(count).serve(gaps, works) for count in (servers, servers + 1))
    assert all(one >= other for one, other in zip(fewer, more, strict=True))


def test_equal_arguments_give_equal_results_and_kinds_of_work_share_their_arrivals() -> None:
    def once(service: ServiceTime, seed: int = 3) -> QueueResult:
        return simulate(
            servers=2, mean_gap_us=9_000, service=service, customers=25_000, seed=seed
        )  # fmt: skip

    assert once(exponential(MEAN_US)) == once(exponential(MEAN_US))
    assert once(exponential(MEAN_US)) != once(exponential(MEAN_US), seed=4)
    assert once(exponential(MEAN_US)).span_us == once(deterministic(MEAN_US)).span_us
    # Whoever wants percentiles gets the same means.
    plain = simulate(
        servers=2, mean_gap_us=9_000, service=exponential(MEAN_US), customers=25_000, seed=3,
        percents=(),
    )  # fmt: skip
    assert plain.mean_wait_us == once(exponential(MEAN_US)).mean_wait_us
    assert plain.percentiles_us == {}


def test_every_counted_customer_is_in_a_batch() -> None:
    result = simulate(
        servers=1, mean_gap_us=20_000, service=exponential(MEAN_US), customers=10_013, seed=1,
        warm_up=500, batches=13,
    )  # fmt: skip
    assert result.customers == 9_503 == 13 * 731
    assert result.mean_wait_us == result.wait_us / 9_503
    assert result.mean_queue_length * result.span_us == pytest.approx(result.wait_us)


# ---------------------------------------------------------------- work, and statistics


@pytest.mark.parametrize(
    "service",
    [
        deterministic(5_000),
        exponential(5_000),
        erlang(5_000, 2),
        erlang(5_000, 16),
        hyperexponential(5_000, 1),
        hyperexponential(5_000, 4),
        lognormal(5_000, 0.25),
        lognormal(5_000, 2),
    ],
    ids=lambda each: f"{each.kind}-{each.cv_squared:g}",
)
def test_work_has_the_mean_and_the_variation_that_it_says(service: ServiceTime) -> None:
    drawn = service.draw(random.Random(5), 200_000)
    assert all(isinstance(each, int) and each >= 0 for each in drawn[:1_000])
    mean = sum(drawn) / len(drawn)
    variance = sum((each - mean) ** 2 for each in drawn) / len(drawn)
    assert mean == pytest.approx(5_000, rel=0.02)
    assert variance / mean**2 == pytest.approx(service.cv_squared, rel=0.12, abs=1e-9)


def test_the_quantile_of_student_is_that_of_tables() -> None:
    # Tables of t at 0.995 and 0.975, as in NIST/SEMATECH, "e-Handbook of Statistical Methods",
    # 1.3.6.7.2.
    for degrees, one, other in ((9, 3.250, 2.262), (19, 2.861, 2.093), (29, 2.756, 2.045)):
        assert student_t(0.995, degrees) == pytest.approx(one, abs=6e-4)
        assert student_t(0.975, degrees) == pytest.approx(other, abs=6e-4)
    assert student_t(0.995, 10**6) == pytest.approx(2.5758, abs=1e-4)
    assert student_t(0.5, 10) == pytest.approx(0, abs=1e-12)


def test_the_interval_by_hand() -> None:
    means = [1.0, 3.0] * 5
    # Ten means with a variance of 10/9 about 2: t(0.995, 9) × √(1/9).
    assert half_width(means) == pytest.approx(3.2498 / 3, rel=1e-3)
    assert half_width([2.0] * 10) == 0


def test_a_percentile_needs_twenty_beyond_it() -> None:
    assert percentile(range(1, 41), 50) == 20
    assert percentile(range(1, 40), 50) is None
    assert percentile(range(100 * BEYOND), 99) == 1_979
    assert percentile(range(100 * BEYOND - 1), 99) is None
    assert percentile([], 50) is None
    short = simulate(
        servers=1, mean_gap_us=20_000, service=exponential(MEAN_US), customers=2_000, seed=1
    )
    assert short.percentiles_us[99] is None
    assert short.percentiles_us[90] is not None


# ---------------------------------------------------------------- what cannot be


def test_impossible_runs_are_refused_with_a_remedy() -> None:
    def attempt(**changes: object) -> None:
        arguments: dict[str, object] = {
            "servers": 2, "mean_gap_us": 9_000, "service": exponential(MEAN_US),
            "customers": 1_000, "seed": 1,
        }  # fmt: skip
        simulate(**(arguments | changes))  # type: ignore[arg-type]

    for changes, message in (
        ({"mean_gap_us": 5_000}, "utilization is 1: .* Use at least 3 servers"),
        ({"mean_gap_us": 4_000}, r"utilization is 1\.25"),
        ({"servers": 0}, "servers is 0; choose a whole number from 1"),
        ({"batches": 9}, "batches is 9; choose at least 10"),
        ({"customers": 15}, "do not fill 20 batches; let more come"),
        ({"warm_up": 990}, "do not fill 20 batches"),
        ({"warm_up": -1}, "do not fill 20 batches"),
        ({"percents": (50, 100)}, "percents has 100"),
        ({"mean_gap_us": math.nan}, "at least 1 microsecond"),
    ):
        with pytest.raises(ValueError, match=message):
            attempt(**changes)
    attempt()


def test_impossible_work_is_refused_with_a_remedy() -> None:
    with pytest.raises(ValueError, match="stages is 0; choose a whole number from 1 to 100"):
        erlang(1_000, 0)
    with pytest.raises(ValueError, match=r"cv_squared is 0\.5; .* Choose an Erlang"):
        hyperexponential(1_000, 0.5)
    with pytest.raises(ValueError, match=r"cv_squared is 0; .* Choose deterministic"):
        lognormal(1_000, 0)
    for bad in (0.0, -1.0, math.inf):
        with pytest.raises(ValueError, match=r"mean_us is .* at least 1 microsecond"):
            exponential(bad)
    with pytest.raises(ValueError, match="servers is 0"):
        FifoServers(0)
    with pytest.raises(ValueError, match="shorter"):
        FifoServers(1).serve([1, 2], [1])
    with pytest.raises(ValueError, match="probability is 1"):
        student_t(1, 20)
    with pytest.raises(ValueError, match="degrees is 8"):
        student_t(0.995, 8)
    with pytest.raises(ValueError, match="9 batches"):
        half_width([1.0] * 9)
