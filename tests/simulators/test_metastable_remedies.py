"""What ends a retry storm and what does not: every sentence of a preset, over many seeds."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from remotecalls.simulators.metastable import PRESETS, SIMULATOR, STORM, run
from remotecalls.simulators.metastable.experiments import (
    IMPAIRED,
    OVERLOADED,
    RECOVERED,
    STUCK,
    hysteresis,
    outcome,
    phase_diagram,
    random_storms,
    tipping_point,
    try_remedy,
)
from remotecalls.simulators.metastable.signals import (
    SIGNALS,
    collapsed_us,
    first_warnings,
    lead_us,
)

SEEDS = range(1, 9)


def recovered_s(name: str, seed: int, **changes: Any) -> float | None:
    result = run(replace(SIMULATOR.preset(name).parameters, **changes), seed)
    return None if result.recovered_us is None else result.recovered_us / 1e6


# ---------------------------------------------------------------- the presets


@pytest.mark.parametrize("name", ["retry-storm", "backoff", "codel", "deadline", "slow-server"])
def test_what_does_not_come_back(name: str) -> None:
    for seed in SEEDS:
        result = run(SIMULATOR.preset(name).parameters, seed)
        assert (result.before().answered_percent or 0) >= 99
        assert result.is_stuck


@pytest.mark.parametrize("kind", ["exponential", "full", "equal", "decorrelated"])
@pytest.mark.parametrize("cap_us", [5_000_000, 60_000_000])
def test_no_backoff_takes_a_retry_away(kind: str, cap_us: int) -> None:
    changed = replace(STORM, backoff=kind, backoff_cap_us=cap_us, duration_us=200_000_000)
    for seed in (1, 2):
        result = run(changed, seed)
        assert result.is_stuck
        # After the first minute every request makes its four tries.
        assert (result.total(100, 200).amplification or 0) == pytest.approx(4, abs=0.35)


def test_without_retries_the_queue_of_the_spike_is_left() -> None:
    for seed in SEEDS:
        took = recovered_s("no-retries", seed)
        assert took is not None
        assert 30 < took < 60


def test_a_budget_of_a_tenth_takes_more_than_a_minute() -> None:
    for seed in SEEDS:
        took = recovered_s("budget", seed)
        assert took is not None
        assert 60 < took < 125
        assert (run(SIMULATOR.preset("budget").parameters, seed).after().amplification or 9) < 1.15


def test_a_breaker_brings_it_back_in_the_time_that_it_is_open() -> None:
    for seed in SEEDS:
        took = recovered_s("breaker", seed)
        assert took is not None
        assert took < 10
        assert run(SIMULATOR.preset("breaker").parameters, seed).breaker_openings >= 10


def test_a_short_queue_and_a_long_one() -> None:
    for seed in SEEDS:
        took = recovered_s("short-queue", seed)
        assert took is not None
        assert took < 5
        result = run(SIMULATOR.preset("long-queue").parameters, seed)
        assert result.is_stuck


def test_the_newest_first_serves_those_who_wait() -> None:
    for seed in SEEDS:
        took = recovered_s("newest-first", seed)
        assert took is not None
        assert took < 6


def test_the_deadline_and_the_budget_do_together_what_neither_does() -> None:
    for seed in SEEDS:
        assert recovered_s("deadline", seed) is None
        took = recovered_s("deadline-and-budget", seed)
        assert took is not None
        assert took < 12


def test_what_is_begun_just_before_its_deadline_is_late() -> None:
    result = run(SIMULATOR.preset("deadline").parameters, 1)
    after = result.total(40, 90)
    assert sum(result.seconds.dropped[40:]) > after.throughput
    assert after.wasted_percent is not None
    assert after.wasted_percent > 95
    # To begin only what can be done in time answers nearly half of them.
    feasible = run(replace(STORM, deadline="feasible"), 1).total(40, 85).answered_percent
    assert feasible is not None
    assert 25 < feasible < 75


def test_a_pause_ends_the_storm_if_it_is_long_enough() -> None:
    for seed in range(1, 4):
        took = recovered_s("dynamodb-2015", seed)
        assert took is not None
        assert took < 130
        assert recovered_s("dynamodb-2015", seed, limit=0) is None
        assert recovered_s("dynamodb-2015", seed, limit_for_us=30_000_000) is None


def test_a_limit_from_outside_ends_the_storm_as_it_is_told_of_kinesis() -> None:
    for seed in range(1, 4):
        assert recovered_s("kinesis-2020", seed) is not None
        assert recovered_s("kinesis-2020", seed, limit=0) is None


def test_backoff_helps_where_all_the_retries_have_room() -> None:
    herd = SIMULATOR.preset("google-cloud-2025").parameters
    assert herd.rate * (1 + herd.max_retries) < herd.capacity_per_second
    for seed in range(1, 4):
        at_once = recovered_s("google-cloud-2025", seed)
        assert at_once is None or at_once > 150
        for kind in ("exponential", "full", "equal", "decorrelated"):
            took = recovered_s("google-cloud-2025", seed, backoff=kind)
            assert took is not None
            assert took < 150


def test_presets_have_their_names_and_the_first_is_the_default() -> None:
    assert SIMULATOR.presets[0].parameters == STORM
    assert len({preset.title for preset in PRESETS}) == len(PRESETS)
    assert len({preset.name for preset in PRESETS}) == len(PRESETS)


# ---------------------------------------------------------------- experiments


def test_backoff_alone_brings_back_no_random_storm() -> None:
    storms = list(random_storms(15, seed=1))
    for kind in ("full", "equal", "decorrelated"):
        back = sum(run(replace(each, backoff=kind), 1).recovered_us is not None for each in storms)
        assert back <= 1
    limited = [run(replace(each, budget_percent=10), 1).recovered_us for each in storms]
    assert sum(each is not None for each in limited) >= 10


def test_a_remedy_is_counted_over_seeds() -> None:
    good = try_remedy(STORM, {"breaker_failures": 5}, (1, 2, 3))
    assert (good.recovered, good.runs) == (3, 3)
    assert good.median_s is not None
    assert good.median_s < 10
    bad = try_remedy(STORM, {"backoff": "full"}, (1, 2, 3))
    assert (bad.recovered, bad.median_s) == (0, None)
    assert bad.amplification > 3.5


def test_the_outcomes() -> None:
    assert outcome(STORM, 1) == STUCK
    assert outcome(replace(STORM, queue_limit=20), 1) == RECOVERED
    assert outcome(replace(STORM, deadline="feasible"), 1) == IMPAIRED
    assert outcome(replace(STORM, rate=80), 1) == OVERLOADED


def test_bisection_finds_the_tipping_point() -> None:
    light = replace(STORM, rate=15, peak=80)
    seeds = (1, 2, 3)
    found = tipping_point(light, "coordination_us", 0, 20_000, seeds)
    assert 2_000 < found < 12_000
    for value, tips in ((found - 1, False), (found, True)):
        lost = sum(run(replace(light, coordination_us=value), s).last_percent < 95 for s in seeds)
        assert (lost >= 2) == tips
    with pytest.raises(ValueError, match="choose a lower end"):
        tipping_point(light, "coordination_us", 15_000, 20_000, seeds)
    with pytest.raises(ValueError, match="choose an upper end"):
        tipping_point(light, "coordination_us", 0, 10, seeds)


def test_the_phase_diagram_has_a_row_for_each_cost() -> None:
    rates, costs_us = (8, 24, 56), (0, 10_000)
    light = replace(STORM, rate=15, peak=80)
    found = phase_diagram(light, rates, costs_us, 1)
    assert found[0][0] == RECOVERED
    assert found[1][1] == STUCK
    assert found[1][2] == OVERLOADED
    for row, cost_us in zip(found, costs_us, strict=True):
        for cell, rate in zip(row, rates, strict=True):
            point = replace(light, rate=rate, peak=rate + 65, coordination_us=cost_us)
            assert cell == outcome(point, 1)


@pytest.mark.parametrize("seed", range(1, 6))
def test_the_way_down_is_not_the_way_up(seed: int) -> None:
    ramp = replace(
        STORM, pattern="ramp", rate=10, peak=70, max_retries=2, duration_us=260_000_000,
        trigger_at_us=10_000_000, trigger_for_us=240_000_000,
    )  # fmt: skip
    slope = hysteresis(run(ramp, seed), window=10)
    up = [goodput / load for load, goodput in slope.up if 20 < load < 40]
    down = [goodput / load for load, goodput in slope.down if 20 < load < 40]
    assert len(up) >= 3
    assert len(down) >= 3
    assert min(up) > 0.9
    assert max(down) < 0.1


# ---------------------------------------------------------------- early warnings

RAMP = replace(
    STORM, pattern="ramp", rate=10, peak=70, duration_us=260_000_000,
    trigger_at_us=10_000_000, trigger_for_us=240_000_000,
)  # fmt: skip


@pytest.mark.parametrize("timeout_s", [2, 5, 10])
def test_the_queue_is_the_only_early_warning(timeout_s: int) -> None:
    for seed in (1, 2, 3):
        lead = lead_us(run(replace(RAMP, timeout_us=timeout_s * 1_000_000), seed))
        assert lead["queue"] is not None
        assert lead["queue"] >= timeout_s * 1_000_000 / 2
        for name in ("p99", "retries", "goodput"):
            late = lead[name]
            assert late is not None
            assert late <= 0


def test_of_a_spike_nothing_warns() -> None:
    for seed in SEEDS:
        lead = lead_us(run(STORM, seed))
        assert all(each is not None and each <= 0 for each in lead.values())


def test_retries_warn_of_a_collapse_that_does_not_come() -> None:
    refusing = run(replace(STORM, queue_limit=20), 1)
    assert collapsed_us(refusing) is None
    warned = first_warnings(refusing)
    assert warned["retries"] is not None
    assert warned["p99"] is None
    with pytest.raises(ValueError, match="false alarms"):
        lead_us(refusing)


def test_on_a_quiet_morning_nothing_warns() -> None:
    for seed in SEEDS:
        quiet = run(replace(STORM, pattern="constant"), seed)
        assert first_warnings(quiet) == dict.fromkeys(SIGNALS)
