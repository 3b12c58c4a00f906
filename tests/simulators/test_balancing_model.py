"""Five ways to spread calls: laws that hold for every setting, and what the presets promise."""

from __future__ import annotations

import dataclasses
import json
from collections import defaultdict
from itertools import pairwise

import pytest
from hypothesis import given, settings

from parameter_strategies import parameters_of, seeds
from remotecalls.simulators.balancing import PRESETS, REFUSAL_US, run
from remotecalls.simulators.balancing_parameters import BalancingParameters
from remotecalls.simulators.balancing_result import (
    CLIENT,
    LEAST_REQUEST,
    PINNED,
    ROTATING,
    ROUND_ROBIN,
    STRATEGIES,
    BalancingResult,
)

PRESET = {preset.name: preset for preset in PRESETS}
SEEDS = range(20)


def of_preset(name: str, seed: int = 1, **changes: int) -> BalancingResult:
    return run(dataclasses.replace(PRESET[name].parameters, **changes), seed)


# ---------------------------------------------------------------- laws


@settings(max_examples=40, deadline=None)
@given(parameters_of(BalancingParameters), seeds)
def test_every_call_is_over_once_and_no_server_works_on_more_than_it_can(
    parameters: BalancingParameters, seed: int
) -> None:
    result = run(parameters, seed)
    assert [each.strategy for each in result.runs] == list(STRATEGIES)
    asked = [call.asked_us for call in result.runs[0].calls]
    for each in result.runs:
        assert [call.index for call in each.calls] == list(range(len(each.calls)))
        assert [call.asked_us for call in each.calls] == asked
        changes: dict[int, list[tuple[int, int]]] = defaultdict(list)
        for call in each.calls:
            assert call.asked_us <= call.arrived_us <= call.begun_us < call.finished_us
            if call.ok:
                changes[call.server] += [(call.begun_us, 1), (call.finished_us, -1)]
            else:
                assert call.server == 1
                assert call.finished_us - call.arrived_us == REFUSAL_US
        for moments in changes.values():
            working = 0
            for _, change in sorted(moments):  # an end before a beginning of the same time
                working += change
                assert 0 <= working <= parameters.at_once


@settings(max_examples=40, deadline=None)
@given(parameters_of(BalancingParameters), seeds)
def test_a_server_works_in_the_order_in_which_calls_came(
    parameters: BalancingParameters, seed: int
) -> None:
    for each in run(parameters, seed).runs:
        for server in range(parameters.servers):
            mine = [call for call in each.calls if call.server == server and call.ok]
            mine.sort(key=lambda call: (call.arrived_us, call.begun_us))
            assert all(one.begun_us <= other.begun_us for one, other in pairwise(mine))


@settings(max_examples=40, deadline=None)
@given(parameters_of(BalancingParameters, eject_after=3), seeds)
def test_nobody_is_sent_to_a_server_that_is_left_out_while_there_is_another(
    parameters: BalancingParameters, seed: int
) -> None:
    for each in run(parameters, seed).runs:
        if each.strategy not in (ROUND_ROBIN, LEAST_REQUEST):
            assert each.ejections == ()
        for ejected in each.ejections:
            inside = [
                call
                for call in each.calls
                if call.server == ejected.server
                and ejected.from_us < call.asked_us < ejected.until_us
            ]
            assert inside == []


@given(parameters_of(BalancingParameters), seeds)
@settings(max_examples=15, deadline=None)
def test_equal_arguments_give_equal_results(parameters: BalancingParameters, seed: int) -> None:
    one, other = run(parameters, seed), run(parameters, seed)
    assert one == other
    assert json.loads(json.dumps(one.to_json())) == one.to_json()


@given(parameters_of(BalancingParameters, joins_at_us=1_000_000), seeds)
@settings(max_examples=20, deadline=None)
def test_nobody_calls_a_server_before_it_is_there(
    parameters: BalancingParameters, seed: int
) -> None:
    for each in run(parameters, seed).runs:
        calls = [call for call in each.calls if call.server == parameters.servers - 1]
        assert all(call.asked_us >= 1_000_000 for call in calls)


@settings(max_examples=25, deadline=None)
@given(parameters_of(BalancingParameters, hop_us=100, setup_us=50_000), seeds)
def test_the_first_call_of_each_connection_waits_for_it(
    parameters: BalancingParameters, seed: int
) -> None:
    for each in run(parameters, seed).runs:
        waited = [call.arrived_us - call.asked_us for call in each.calls]
        hop = 100 if each.strategy in (ROUND_ROBIN, LEAST_REQUEST) else 0
        assert waited.count(50_000 + hop) == each.connections
        assert waited.count(hop) == len(waited) - each.connections


@pytest.mark.parametrize("seed", SEEDS)
def test_it_takes_so_many_errors_in_a_row(seed: int) -> None:
    for each in of_preset("ejection", seed).runs:
        for ejected in each.ejections:
            answers = sorted(
                (call.finished_us, call.ok)
                for call in each.calls
                if call.server == ejected.server and call.finished_us <= ejected.from_us
            )
            assert [ok for _, ok in answers[-5:]] == [False] * 5


# ---------------------------------------------------------------- what it is there to show


@pytest.mark.parametrize("seed", SEEDS)
def test_one_connection_is_one_server(seed: int) -> None:
    result = of_preset("one-client", seed)
    pinned, rotating = result.of(PINNED), result.of(ROTATING)
    assert sorted(pinned.counts(3))[:2] == [0, 0]
    assert pinned.connections == 1
    for strategy in (ROTATING, CLIENT, ROUND_ROBIN):
        counts = result.of(strategy).counts(3)
        assert max(counts) - min(counts) <= 10
    # Rotation spreads as well, and pays a set-up for every tenth call.
    assert rotating.connections == -(-len(rotating.calls) // 10)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_server_that_joins_late_gets_nothing_at_layer_4(seed: int) -> None:
    result = of_preset("joins", seed, duration_us=3_000_000)
    assert result.of(PINNED).counts(3)[2] == 0
    for strategy in (ROTATING, CLIENT, ROUND_ROBIN, LEAST_REQUEST):
        assert result.of(strategy).counts(3)[2] > len(result.runs[0].calls) / 8


def test_least_request_spares_a_slow_server_and_gains_nothing_among_equals() -> None:
    slow = [of_preset("slow", seed) for seed in SEEDS]
    for result in slow:
        shares = [result.of(each).counts(3)[2] for each in (ROUND_ROBIN, LEAST_REQUEST)]
        assert shares[1] < 0.7 * shares[0]
    assert mean_p99(slow, LEAST_REQUEST) < 0.7 * mean_p99(slow, ROUND_ROBIN)
    equal = [of_preset("slow", seed, slow_percent=100) for seed in SEEDS]
    ratio = mean_p99(equal, LEAST_REQUEST) / mean_p99(equal, ROUND_ROBIN)
    assert 0.85 < ratio < 1.15


def mean_p99(results: list[BalancingResult], strategy: str) -> float:
    found = [result.of(strategy).latency_us(99) or 0 for result in results]
    return sum(found) / len(found)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_server_that_fails_at_once_draws_calls_until_it_is_ejected(seed: int) -> None:
    sink, mended = of_preset("sink", seed), of_preset("ejection", seed)
    assert sink.of(LEAST_REQUEST).failed > 1.2 * sink.of(ROUND_ROBIN).failed
    for strategy in (ROUND_ROBIN, LEAST_REQUEST):
        guarded = mended.of(strategy)
        assert guarded.failed < 0.6 * sink.of(strategy).failed
        # Five in a row for each ejection; a few more where calls in progress were answered.
        assert 5 * len(guarded.ejections) <= guarded.failed <= 5 * len(guarded.ejections) + 20
        lengths = [each.until_us - each.from_us for each in guarded.ejections]
        assert lengths == [300_000 * (number + 1) for number in range(len(lengths))]


def test_without_any_answer_there_is_no_latency() -> None:
    result = of_preset("one-client", 1)
    nothing = dataclasses.replace(result.of(PINNED), calls=())
    assert nothing.latency_us(99) is None
    assert nothing.counts(3) == (0, 0, 0)
