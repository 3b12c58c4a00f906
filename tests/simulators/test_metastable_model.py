"""A service that does not come back: laws that hold for every setting."""

from __future__ import annotations

import itertools
import json
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given, settings

from parameter_strategies import parameters_of, seeds
from remotecalls.simulators.metastable import STORM, MetastableParameters, MetastableResult, run
from remotecalls.simulators.metastable.load import first_tries, spans
from remotecalls.simulators.metastable.parameters import MOST_TRIES
from remotecalls.simulators.metastable.result import SECOND_US, Seconds
from remotecalls.simulators.parameters import (
    Choice,
    IntegerRange,
    ParameterError,
    controls,
)
from remotecalls.simulators.percentiles import BEYOND

SMALL: dict[str, Any] = {
    "rate": 30,
    "peak": 120,
    "duration_us": 40_000_000,
    "trigger_at_us": 5_000_000,
    "trigger_for_us": 3_000_000,
}
"""Small enough for any of the other settings."""

settings_of_any_kind = parameters_of(MetastableParameters, **SMALL)


@settings(max_examples=120, deadline=None)
@given(settings_of_any_kind, seeds)
def test_nothing_is_lost(parameters: MetastableParameters, seed: int) -> None:
    result = run(parameters, seed)
    counts = result.seconds
    total = {each.name: sum(getattr(counts, each.name)) for each in fields(Seconds)}
    assert total["first_tries"] == len(first_tries(parameters, seed))
    assert total["answered_of"] == total["goodput"]
    assert total["given_up_of"] == total["given_up"]
    ended = total["goodput"] + total["given_up"]
    assert ended <= total["first_tries"]
    # What is sent is refused, dropped, finished, stopped, in work, or waits.
    handled = total["refused"] + total["dropped"] + total["throughput"]
    rest = total["tries"] - handled - counts.queued[-1] - counts.active[-1]
    assert rest >= 0
    if parameters.deadline != "cancelled":
        assert rest == 0
    # Each try that fails is a time-out, a refusal, or a drop that the client was told of.
    assert total["goodput"] <= total["throughput"]
    assert total["wasted_us"] <= total["worked_us"]
    assert total["tries"] <= total["first_tries"] * (1 + parameters.max_retries)


def test_the_rate_limit_saves_up_a_tenth_of_a_second_and_no_more() -> None:
    # Nearly nobody comes for ten seconds, then far more than the limit lets through.
    parameters = replace(
        STORM, rate=5, peak=300, limit=100, limit_at_us=0, limit_for_us=90_000_000, max_retries=0
    )
    seconds = run(parameters, 1).seconds
    admitted = [
        tries - refused for tries, refused in zip(seconds.tries, seconds.refused, strict=True)
    ]
    spike = admitted[20:25]
    assert all(tries > 250 for tries in seconds.tries[20:25])
    assert 100 <= spike[0] <= 111  # a tenth of a second's worth has been saved
    assert all(99 <= each <= 101 for each in spike[1:])


@settings(max_examples=120, deadline=None)
@given(settings_of_any_kind, seeds)
def test_the_server_keeps_its_limits(parameters: MetastableParameters, seed: int) -> None:
    result = run(parameters, seed)
    assert max(result.seconds.active) <= parameters.capacity
    if parameters.queue_limit:
        assert max(result.seconds.queued) <= parameters.queue_limit
    # A place can work for a second in a second; what was begun earlier may end in it, too.
    assert sum(result.seconds.worked_us) <= parameters.capacity * result.end_us
    # It is as fast as it can be: half the usual work is the least that there is.
    shortest_us = parameters.base_latency_us // 2
    assert all(latency_us >= shortest_us for _, latency_us in result.answers)


@settings(max_examples=25, deadline=None)
@given(settings_of_any_kind, seeds)
def test_equal_arguments_give_equal_results(parameters: MetastableParameters, seed: int) -> None:
    once, again = (run(parameters, seed).to_json() for _ in range(2))
    assert once == again
    assert json.loads(json.dumps(once)) == once


EFFECTS: dict[str, dict[str, Any]] = {
    # Where a setting needs another one to matter, that is set for both runs.
    "limit_at_us": {"limit": 20},
    "limit_for_us": {"limit": 20},
    "backoff_base_us": {"backoff": "full"},
    "backoff_cap_us": {"backoff": "exponential"},
    "budget_burst": {"budget_percent": 10},
    "breaker_open_us": {"breaker_failures": 5},
    "clients": {"breaker_failures": 5},
    "breaker_failures": {"timeout_us": 500_000},
}
OTHERS: dict[str, Any] = {
    "backoff_cap_us": 300_000,
    "breaker_failures": 3,
    "budget_percent": 10,
    "limit": 20,
    "queue_limit": 20,
    "trigger_at_us": 10_000_000,
}


@pytest.mark.parametrize("name", controls(MetastableParameters))
def test_no_setting_is_without_effect(name: str) -> None:
    base = replace(STORM, **EFFECTS.get(name, {}))
    control = controls(MetastableParameters)[name]
    known = getattr(base, name)
    if name in OTHERS:
        others = [OTHERS[name]]
    elif isinstance(control, IntegerRange):
        others = [known + 2 * control.step if known < control.maximum else known - control.step]
    else:
        assert isinstance(control, Choice)
        others = [value for value, _ in control.options if value != known]
    before = run(base, 1).to_json()
    for other in others:
        changed = run(replace(base, **{name: other}), 1).to_json()
        assert changed["seconds"] != before["seconds"], other


# ---------------------------------------------------------------- the load


@settings(max_examples=60, deadline=None)
@given(parameters_of(MetastableParameters, rate=20, peak=90, max_retries=0), seeds)
def test_spans_cover_the_run_and_the_load_follows_them(
    parameters: MetastableParameters, seed: int
) -> None:
    found = list(spans(parameters))
    assert found[0][0] == 0
    assert found[-1][1] == parameters.duration_us
    assert all(one[1] == other[0] for one, other in itertools.pairwise(found))
    assert all(20_000 <= rate <= 90_000 for _, _, rate in found)
    times = [came_us for came_us, _, _ in first_tries(parameters, seed)]
    assert times == sorted(times)
    expected = sum((until - start) * rate for start, until, rate in found) / 1e9
    # Six standard deviations of a Poisson count.
    assert abs(len(times) - expected) < 6 * expected**0.5


def test_requests_are_the_same_whatever_clients_do() -> None:
    other = replace(STORM, backoff="full", deadline="expired", max_retries=1, capacity=50)
    assert first_tries(other, 3) == first_tries(STORM, 3)
    assert first_tries(STORM, 4) != first_tries(STORM, 3)


def test_the_day_is_quiet_at_both_ends_and_busy_in_the_middle() -> None:
    day = replace(STORM, pattern="diurnal", rate=10, peak=60)
    times = [came_us for came_us, _, _ in first_tries(day, 1)]
    thirds = [
        sum(start <= came < start + 30_000_000 for came in times)
        for start in range(0, 90_000_000, 30_000_000)
    ]
    assert thirds[1] > 1.8 * max(thirds[0], thirds[2])


# ---------------------------------------------------------------- a server alone


def test_alone_it_takes_the_base_latency() -> None:
    quiet = replace(STORM, pattern="constant", rate=1, coordination_us=50_000, max_retries=0)
    result = run(quiet, 2)
    latencies = [latency for _, latency in result.answers]
    mean = sum(latencies) / len(latencies)
    assert 180_000 < mean < 240_000


def test_a_full_server_does_what_its_capacity_says() -> None:
    full = replace(STORM, pattern="constant", rate=100, max_retries=0, coordination_us=20_000)
    result = run(full, 1)
    total = result.total(20, 90)
    assert abs(total.throughput / 70 / full.capacity_per_second - 1) < 0.05


@pytest.mark.parametrize("cost_us", [0, 5_000, 20_000, 50_000])
def test_coordination_is_capacity(cost_us: int) -> None:
    base = replace(STORM, coordination_us=cost_us)
    expected = 20 / (0.2 + 19 * cost_us / 1e6)
    assert base.capacity_per_second == pytest.approx(expected)


# ---------------------------------------------------------------- percentiles


def test_percentiles_wait_for_answers_enough() -> None:
    result = run(STORM, 1)
    for percent in (50, 95, 99):
        needed = BEYOND * 100 // (100 - percent)
        enough_us = result.answers[needed - 1][0]
        assert result.latency_us(percent, enough_us - 1) is None
        assert result.latency_us(percent, enough_us) is not None


@pytest.mark.parametrize("percent", [50, 95, 99])
def test_twenty_answers_lie_beyond_a_percentile(percent: int) -> None:
    result = run(STORM, 1)
    for at_us in range(60_000_000, 90_000_001, 10_000_000):
        found = result.latency_us(percent, at_us)
        assert found is not None
        done = [latency for when, latency in result.answers if when <= at_us]
        window = [latency for when, latency in result.answers if at_us - 10_000_000 < when <= at_us]
        last = done[-max(len(window), BEYOND * 100 // (100 - percent)) :]
        beyond = sum(latency > found for latency in last)
        assert beyond >= BEYOND
        assert beyond <= len(last) * (100 - percent) / 100


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ({"trigger_at_us": 88_000_000}, "after the end of the run"),
        ({"backoff_base_us": 5_000_000, "backoff_cap_us": 100_000}, "shorter than the first"),
        ({"rate": 500}, "tries with all their retries"),
        ({"peak": 1_000, "pattern": "diurnal"}, "at most 60,000"),
        ({"rate": 0}, "below the minimum"),
        ({"deadline": "never"}, "not one of its choices"),
    ],
)
def test_impossible_settings_are_refused_with_a_remedy(bad: dict[str, Any], says: str) -> None:
    with pytest.raises(ParameterError, match=rf"{says}.*(Choose|Let)"):
        replace(STORM, **bad)


def test_the_heaviest_run_is_bounded() -> None:
    heavy = replace(STORM, rate=48, peak=48, duration_us=300_000_000)
    assert heavy.most_tries() <= MOST_TRIES
    with pytest.raises(ParameterError):
        replace(heavy, rate=51)
    # Three events a try, and one for each that comes.
    assert run(heavy, 1).events < 4 * MOST_TRIES


def test_a_run_that_ends_within_a_second_ends_there() -> None:
    result = run(replace(STORM, duration_us=60_500_000), 1)
    assert len(result.seconds) == 61
    assert result.seconds.first_tries[60] < result.seconds.first_tries[59]
    assert max(when for when, _ in result.answers) < 60_500_000


def of_seconds(result: MetastableResult, start: int, count: int) -> float:
    """Goodput of 100 first tries."""
    percent = result.total(start, start + count).goodput_percent
    assert percent is not None
    return percent


@pytest.mark.parametrize("seed", range(1, 41))
def test_five_seconds_and_no_way_back(seed: int) -> None:
    """The chapter's claim: well at 78 % of capacity before, and lost for ten spikes after."""
    result = run(STORM, seed)
    assert STORM.rate <= 0.85 * STORM.capacity_per_second
    before = result.before()
    assert before.answered_percent is not None
    assert before.answered_percent >= 99
    assert before.goodput_percent is not None
    # At the end of the last second some are in work; they are no loss.
    in_work = result.seconds.active[STORM.trigger_at_us // SECOND_US - 1]
    assert before.goodput + in_work >= 0.99 * before.first_tries
    end_s = STORM.trigger_end_us // SECOND_US
    for number in range(10):
        assert of_seconds(result, end_s + 5 * number, 5) < 20
    # And the load is no more than it was.
    after = result.after().first_tries / (90 - end_s)
    assert after <= 0.85 * STORM.capacity_per_second
