"""Autoscaling: laws that hold for every setting, and what the presets promise over seeds."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from itertools import accumulate, pairwise
from typing import Any

import pytest
from hypothesis import given, settings

from parameter_strategies import parameters_of, seeds
from remotecalls.simulators.capacity import (
    PRESETS,
    SIMULATOR,
    AutoscalingParameters,
    AutoscalingResult,
    AutoscalingSeconds,
    Decision,
    mmc_wait_percentile,
    run,
)
from remotecalls.simulators.capacity.autoscaling import arrivals
from remotecalls.simulators.capacity.autoscaling_parameters import MOST_ARRIVALS
from remotecalls.simulators.capacity.autoscaling_result import SECOND_US
from remotecalls.simulators.parameters import (
    Choice,
    IntegerRange,
    ParameterError,
    Switch,
    controls,
)

PRESET = {preset.name: preset.parameters for preset in PRESETS}
SEEDS = range(8)

SMALL: dict[str, Any] = {"duration_us": 45_500_000, "change_at_us": 9_000_000, "least": 3}
"""Small enough for any of the other settings, and the last second is half a one."""

settings_of_any_kind = parameters_of(AutoscalingParameters, **SMALL)


@cache
def of_preset(name: str, seed: int) -> AutoscalingResult:
    return run(PRESET[name], seed)


# ---------------------------------------------------------------- laws


@settings(max_examples=60, deadline=None)
@given(settings_of_any_kind, seeds)
def test_nothing_is_lost_and_work_is_done_once(
    parameters: AutoscalingParameters, seed: int
) -> None:
    result, (times_us, works_us) = run(parameters, seed), arrivals(parameters, seed)
    seconds = result.seconds
    assert len(seconds) == 46
    assert sum(seconds.offered) == len(times_us)
    assert sum(seconds.served) == len(result.answers)
    for second, (came, served) in enumerate(
        zip(accumulate(seconds.offered), accumulate(seconds.served), strict=True)
    ):
        in_work = came - served - seconds.waiting[second]
        assert 0 <= in_work <= seconds.running[second]
        # Nobody waits while somebody is idle.
        assert seconds.waiting[second] == 0 or in_work == seconds.running[second]
        end_us = min((second + 1) * SECOND_US, result.end_us)
        assert came == sum(at_us < end_us for at_us in times_us)
    assert all(
        0 <= one <= other for one, other in zip(seconds.busy_us, seconds.there_us, strict=True)
    )
    # What was worked is what the finished requests were, and a part of those in work.
    begun = len(times_us) - seconds.waiting[-1]
    assert sum(seconds.busy_us) <= sum(works_us[:begun])
    finished_us = [at_us for at_us, _ in result.answers]
    assert finished_us == sorted(finished_us)
    assert all(0 <= took_us <= at_us <= result.end_us for at_us, took_us in result.answers)


@settings(max_examples=60, deadline=None)
@given(settings_of_any_kind, seeds)
def test_the_controller_keeps_its_rules(parameters: AutoscalingParameters, seed: int) -> None:
    result = run(parameters, seed)
    decisions = result.decisions
    ordered = result.initial
    for each in decisions:
        assert each.at_us % parameters.look_every_us == 0
        assert each.before == ordered
        assert each.after != each.before
        assert parameters.least <= each.after <= parameters.most
        if parameters.step_limit:
            assert abs(each.after - each.before) <= parameters.step_limit
        # It adds above the target and stops below, unless what starts is more than it wants.
        target = parameters.target_percent
        if each.after > each.before:
            assert each.utilization_percent >= target
        elif parameters.counts_starting:
            assert each.utilization_percent < target
        ordered = each.after
    for one, other in pairwise(decisions):
        assert other.at_us - one.at_us >= parameters.cooldown_us
    seconds = result.seconds
    there = [one + other for one, other in zip(seconds.running, seconds.starting, strict=True)]
    # One that finishes its last request is there, too.
    highest = [
        max([result.initial, *(each.after for each in decisions if each.at_us <= end_us)])
        for end_us in range(SECOND_US, result.end_us + 2 * SECOND_US, SECOND_US)
    ]
    assert all(count <= most for count, most in zip(there, highest, strict=False))
    assert min(seconds.running) >= min(parameters.least, result.initial)


@settings(max_examples=30, deadline=None)
@given(settings_of_any_kind, seeds)
def test_what_starts_serves_after_the_lag(parameters: AutoscalingParameters, seed: int) -> None:
    result = run(parameters, seed)
    starting = result.seconds.starting
    if parameters.lag_us == 0:
        assert max(starting) == 0
    for second, count in enumerate(starting):
        now_us = min((second + 1) * SECOND_US, result.end_us)
        ups = [each for each in result.decisions if each.after > each.before]
        recent = [
            each.after - each.before for each in ups
            if each.at_us <= now_us < each.at_us + parameters.lag_us
        ]  # fmt: skip
        # Some of them may have been stopped before they served.
        assert count <= sum(recent)


@settings(max_examples=20, deadline=None)
@given(settings_of_any_kind, seeds)
def test_equal_arguments_give_equal_results(parameters: AutoscalingParameters, seed: int) -> None:
    one, other = run(parameters, seed), run(parameters, seed)
    assert one == other
    assert json.loads(json.dumps(one.to_json())) == one.to_json()


EFFECTS: dict[str, dict[str, Any]] = {
    # Where a setting needs another one to matter, that is set for both runs.
    "ramp_us": {"pattern": "ramp"},
    "counts_starting": {"lag_us": 30_000_000},
    "least": {"pattern": "diurnal"},
}
OTHERS: dict[str, Any] = {
    "most": 20,
    "least": 6,
    "lag_us": 10_000_000,
    "cooldown_us": 40_000_000,
    "tolerance_percent": 25,
}


@pytest.mark.parametrize("name", controls(AutoscalingParameters))
def test_no_setting_is_without_effect(name: str) -> None:
    base = replace(AutoscalingParameters(), **EFFECTS.get(name, {}))
    control = controls(AutoscalingParameters)[name]
    known = getattr(base, name)
    if name in OTHERS:
        others = [OTHERS[name]]
    elif isinstance(control, IntegerRange):
        others = [known + 2 * control.step if known < control.maximum else known - control.step]
    elif isinstance(control, Switch):
        others = [not known]
    else:
        assert isinstance(control, Choice)
        others = [value for value, _ in control.options if value != known]
    before = run(base, 1).to_json()
    for other in others:
        changed = run(replace(base, **{name: other}), 1).to_json()
        assert changed["seconds"] != before["seconds"], other


# ---------------------------------------------------------------- the load


@settings(max_examples=60, deadline=None)
@given(parameters_of(AutoscalingParameters, duration_us=90_500_000), seeds)
def test_spans_cover_the_run_and_the_load_follows_them(
    parameters: AutoscalingParameters, seed: int
) -> None:
    spans = [span for span in parameters.spans() if span[0] != span[1]]
    assert spans[0][0] == 0
    assert spans[-1][1] == parameters.duration_us
    assert all(one[1] == other[0] for one, other in pairwise(spans))
    low, high = sorted((parameters.rate, parameters.peak))
    assert all(1_000 * low <= rate <= 1_000 * high for _, _, rate in spans)
    times_us, works_us = arrivals(parameters, seed)
    assert times_us == sorted(times_us)
    assert len(times_us) == len(works_us)
    # Six standard deviations of a Poisson count.
    expected = parameters.expected_arrivals
    assert abs(len(times_us) - expected) <= 6 * expected**0.5 + 1


def test_requests_are_the_same_whatever_the_controller_does() -> None:
    base = AutoscalingParameters()
    other = replace(base, lag_us=30_000_000, most=7, target_percent=90, counts_starting=False)
    assert arrivals(other, 3) == arrivals(base, 3)
    assert arrivals(base, 4) != arrivals(base, 3)


def test_what_is_needed_is_the_load_over_the_target() -> None:
    result = of_preset("no-lag", 1)
    # 30 and 100 requests a second, of 0.1 s each, at 60 %: 5 and 16.7 instances.
    assert result.seconds.needed[:60] == [5] * 60
    assert result.seconds.needed[60:] == [17] * 360
    ramp = replace(AutoscalingParameters(), pattern="ramp", change_at_us=0, ramp_us=420_000_000)
    rising = run(ramp, 1).seconds.needed
    assert rising == sorted(rising)
    assert (rising[0], rising[210], rising[-1]) == (6, 11, 17)
    day = of_preset("day", 1).seconds.needed
    assert day[0] == day[-1] == 4
    assert max(day) == day[210] == 25
    assert all(abs(one - other) <= 1 for one, other in zip(day, reversed(day), strict=True))


def test_without_a_controller_it_is_the_queue_of_erlang() -> None:
    still = replace(
        AutoscalingParameters(), rate=80, peak=80, least=10, most=10, duration_us=600_000_000
    )  # fmt: skip
    result = run(still, 2)
    assert result.decisions == ()
    assert sum(result.seconds.busy_us) / sum(result.seconds.there_us) == pytest.approx(
        0.8, rel=0.03
    )
    # An answer takes its wait and its work: more than the p99 of the one, less than both p99.
    wait_us = 1e6 * mmc_wait_percentile(80, 0.1, 10, 99)
    p99_us = result.latency_us(99)
    assert p99_us is not None
    assert wait_us < p99_us < wait_us + 460_500


# ---------------------------------------------------------------- what the presets promise


@pytest.mark.parametrize("seed", SEEDS)
def test_without_a_lag_it_settles(seed: int) -> None:
    result = of_preset("no-lag", seed)
    assert not result.oscillates
    assert result.overloaded_seconds < 45
    # It goes too far, and from a minute after the rise on it stays near what is needed.
    assert result.most_ordered > 1.5 * result.most_needed
    assert all(10 <= each <= 25 for each in result.seconds.running[150:])


@pytest.mark.parametrize("seed", SEEDS)
def test_a_lag_alone_makes_it_oscillate(seed: int) -> None:
    calm, late = of_preset("no-lag", seed), of_preset("lag-oscillates", seed)
    assert replace(late.parameters, lag_us=0) == calm.parameters
    assert late.oscillates
    assert late.most_ordered == late.parameters.most
    # It is still at it at the end: far above what is needed, and below, in the last two minutes.
    last = [
        one + other for one, other in zip(late.seconds.running, late.seconds.starting, strict=True)
    ][-120:]
    assert max(last) > 2 * late.most_needed
    assert min(last) < late.most_needed
    assert late.instance_seconds > 1.5 * calm.instance_seconds
    assert late.overloaded_seconds > 2 * calm.overloaded_seconds


@pytest.mark.parametrize("seed", SEEDS)
def test_what_starts_is_not_ordered_twice(seed: int) -> None:
    twice, once = of_preset("lag-oscillates", seed), of_preset("counts-what-serves", seed)
    assert once.swings < twice.swings
    assert once.instance_seconds < 0.7 * twice.instance_seconds
    assert once.most_ordered < 0.75 * twice.most_ordered
    assert once.overloaded_seconds > 80


@pytest.mark.parametrize("seed", SEEDS)
def test_a_cooldown_as_long_as_lag_and_window_calms_it(seed: int) -> None:
    result = of_preset("cooldown", seed)
    parameters = result.parameters
    assert parameters.cooldown_us == parameters.lag_us + parameters.window_us
    assert result.swings == 1
    assert result.overloaded_seconds > 120
    assert result.most_ordered < of_preset("lag-oscillates", seed).most_ordered


@pytest.mark.parametrize("seed", SEEDS)
def test_small_steps_do_not_go_far_wrong(seed: int) -> None:
    result = of_preset("small-steps", seed)
    assert not result.oscillates
    assert result.most_ordered <= of_preset("lag-oscillates", seed).most_ordered / 2


@pytest.mark.parametrize("seed", SEEDS)
def test_a_long_window_is_a_lag_too(seed: int) -> None:
    short, long = of_preset("no-lag", seed), of_preset("longer-window", seed)
    assert long.parameters.lag_us == 0
    assert long.oscillates
    assert not short.oscillates
    assert long.overloaded_seconds > 3 * short.overloaded_seconds


@pytest.mark.parametrize("seed", SEEDS)
def test_a_cooldown_as_long_as_the_window_calms_it(seed: int) -> None:
    result = of_preset("window-and-cooldown", seed)
    assert result.swings <= 1
    same_load = (
        "no-lag", "lag-oscillates", "counts-what-serves", "cooldown", "small-steps",
        "longer-window",
    )  # fmt: skip
    for name in same_load:
        assert result.instance_seconds < of_preset(name, seed).instance_seconds
    assert result.overloaded_seconds > 120


def test_on_a_load_that_does_not_change_a_long_window_is_calmer() -> None:
    def reversals(window_us: int) -> int:
        each = replace(PRESET["no-tolerance"], window_us=window_us)
        return sum(run(each, seed).reversals for seed in SEEDS[:5])

    assert reversals(60_000_000) < 0.6 * reversals(10_000_000)


def test_a_tolerance_keeps_it_from_following_chance() -> None:
    without = [of_preset("no-tolerance", seed) for seed in SEEDS]
    tolerant = replace(PRESET["no-tolerance"], tolerance_percent=10)
    having = [run(tolerant, seed) for seed in SEEDS]
    assert all(each.reversals >= 5 for each in without)
    assert all(each.swings == 0 and each.overloaded_seconds == 0 for each in without)
    for one, other in zip(without, having, strict=True):
        assert other.reversals < 0.5 * one.reversals
    changes = [
        abs(each.after - each.before) for result in without for each in result.decisions
    ]  # fmt: skip
    assert sum(change <= 2 for change in changes) > 0.95 * len(changes)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_day_is_late_unless_there_is_headroom(seed: int) -> None:
    late, spare = of_preset("day", seed), of_preset("day-with-headroom", seed)
    assert late.overloaded_seconds > 60
    assert spare.overloaded_seconds < 15
    assert spare.instance_seconds > 4 / 3 * late.instance_seconds
    assert replace(spare.parameters, target_percent=60) == late.parameters
    # While the load rises.
    half = len(late.seconds) // 2
    full = [
        one == other
        for one, other in zip(late.seconds.busy_us, late.seconds.there_us, strict=True)
    ]  # fmt: skip
    assert sum(full[:half]) > 0.9 * sum(full)


# ---------------------------------------------------------------- by hand


def result_of(*orders: int, needed: int = 8) -> AutoscalingResult:
    """A result in which the number ordered went like this, from 8."""
    parameters = replace(AutoscalingParameters(), rate=48, peak=48)
    seconds = AutoscalingSeconds.empty(420)
    seconds.needed[:] = [needed] * 420
    decisions = tuple(
        Decision(number * SECOND_US, before, after, 60)
        for number, (before, after) in enumerate(pairwise([8, *orders]))
    )
    return AutoscalingResult(parameters, 1, seconds, decisions, (), 0)


@pytest.mark.parametrize(
    ("orders", "reversals", "swings"),
    [
        ((), 0, 0),
        ((9, 10, 14), 0, 0),
        ((12, 8), 1, 1),
        ((9, 8, 9, 8), 3, 0),  # by one: noise
        ((12, 11, 12, 13), 2, 0),  # up, with a small step back
        ((12, 11, 10, 9), 1, 1),
        ((4, 12, 4, 12, 4), 4, 4),
        ((10, 8, 10, 8, 10), 4, 4),  # two is a quarter of eight
    ],
)
def test_turns_by_hand(orders: tuple[int, ...], reversals: int, swings: int) -> None:
    result = result_of(*orders)
    assert (result.reversals, result.swings) == (reversals, swings)
    assert result.oscillates == (swings >= 4)
    assert result.most_ordered == max([8, *orders])


def test_a_swing_is_as_large_as_what_is_needed() -> None:
    assert result_of(10, 8, 10, 8, needed=8).swings == 3
    assert result_of(10, 8, 10, 8, needed=9).swings == 0


def test_a_p99_takes_the_fewest_seconds_that_have_answers_enough() -> None:
    result = of_preset("no-lag", 1)
    buckets = result.latencies
    assert buckets[0].from_us == 0
    assert buckets[-1].until_us == result.end_us
    assert all(one.until_us == other.from_us for one, other in pairwise(buckets))
    assert sum(each.answers for each in buckets) == len(result.answers)
    served = result.seconds.served
    for each in buckets:
        took = sorted(
            took_us for at_us, took_us in result.answers if each.from_us < at_us <= each.until_us
        )
        assert each.answers == len(took)
        if each.p99_us is None:
            assert each is buckets[-1]
            assert each.answers < 2_000
        else:
            assert each.p99_us == took[-(-99 * len(took) // 100) - 1]
            assert len(took) - served[each.until_us // SECOND_US - 1] < 2_000 <= len(took)
            assert sum(one > each.p99_us for one in took) >= 19  # and itself, where two are equal


def test_sums_of_a_run() -> None:
    result = of_preset("lag-oscillates", 1)
    seconds = result.seconds
    assert result.instance_seconds == sum(seconds.running) + sum(seconds.starting)
    full = zip(seconds.busy_us, seconds.there_us, strict=True)
    assert result.overloaded_seconds == sum(one == other for one, other in full)
    said = result.to_json()
    assert said["seconds"]["running"] == seconds.running
    assert said["decisions"][0] == [
        result.decisions[0].at_us, result.decisions[0].before, result.decisions[0].after,
        result.decisions[0].utilization_percent,
    ]  # fmt: skip
    assert (said["reversals"], said["swings"]) == (result.reversals, result.swings)
    assert said["p99_us"] == result.latency_us(99)
    assert result.events > sum(seconds.offered) + sum(seconds.served)


def test_the_first_decision_by_hand() -> None:
    result = of_preset("lag-oscillates", 1)
    seconds, first = result.seconds, result.decisions[0]
    at, window = first.at_us // SECOND_US, result.parameters.window_us // SECOND_US
    busy_us, there_us = (
        sum(seconds.busy_us[at - window : at]),
        sum(seconds.there_us[at - window : at]),
    )
    assert first.utilization_percent == 100 * busy_us // there_us
    assert first.after == -(-first.before * busy_us * 100 // (there_us * 60))
    # The lag later they serve.
    ready = at + result.parameters.lag_us // SECOND_US
    assert seconds.running[ready - 2] == first.before
    assert seconds.running[ready] == first.after


# ---------------------------------------------------------------- what cannot be


@pytest.mark.parametrize(
    ("bad", "problem", "remedy"),
    [
        ({"rate": 301}, "above the maximum of 300 /s", "Choose a whole number from 0 to 300"),
        ({"pattern": "spike"}, "not one of its choices", "'step', 'ramp', 'diurnal'"),
        ({"least": 61}, "more than the most, which is 60", "Choose fewer at least"),
        ({"change_at_us": 420_000_000}, "not before the end", "the rise begin sooner"),
        ({"peak": 170}, "leads to 63,000 requests, .* at most 60,000", "Choose a lower rate"),
        ({"counts_starting": 1}, "neither on nor off", "Choose True or False"),
    ],
)
def test_impossible_settings_are_refused_with_a_remedy(
    bad: dict[str, Any], problem: str, remedy: str
) -> None:
    with pytest.raises(ParameterError, match=f"{problem}.*{remedy}"):
        AutoscalingParameters(**bad)


def test_a_day_needs_no_rise() -> None:
    AutoscalingParameters(pattern="diurnal", change_at_us=600_000_000)


def test_the_heaviest_run_is_bounded() -> None:
    heavy = AutoscalingParameters(
        rate=100, peak=100, duration_us=600_000_000, look_every_us=1_000_000, window_us=1_000_000,
        tolerance_percent=0,
    )  # fmt: skip
    assert heavy.expected_arrivals == MOST_ARRIVALS
    result = run(heavy, 1)
    # Each comes and is finished once; an instance starts for a decision that adds it.
    started = sum(max(0, each.after - each.before) for each in result.decisions)
    assert result.events <= 2 * sum(result.seconds.offered) + 599 + started


def test_without_any_request_it_goes_down_to_the_fewest() -> None:
    result = run(AutoscalingParameters(rate=0, peak=1, change_at_us=300_000_000), 1)
    assert result.initial == result.parameters.least == 2
    assert sum(result.seconds.offered[:300]) == 0
    assert result.latency_us(50) is not None
    assert result.latency_us(99) is None
    assert [each.p99_us for each in result.latencies] == [None]


def test_presets_have_their_names_and_the_first_is_the_default() -> None:
    assert SIMULATOR.name == "autoscaling"
    assert SIMULATOR.presets[0].parameters == AutoscalingParameters()
    assert SIMULATOR.preset("cooldown").parameters.cooldown_us == 50_000_000
    for key in ("name", "title", "sentence", "parameters"):
        assert len({repr(getattr(preset, key)) for preset in PRESETS}) == len(PRESETS)
    assert SIMULATOR.run(PRESET["no-lag"], 1) == of_preset("no-lag", 1)
