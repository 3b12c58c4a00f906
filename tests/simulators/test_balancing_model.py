"""Five ways to spread calls: laws that hold for every setting, and what the presets promise."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter, defaultdict
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parameter_strategies import parameters_of, seeds
from remotecalls.simulators.balancing import FAILING, PRESETS, REFUSAL_US, SIMULATOR, run
from remotecalls.simulators.balancing_parameters import BalancingParameters
from remotecalls.simulators.balancing_result import (
    CLIENT,
    LEAST_REQUEST,
    PINNED,
    ROTATING,
    ROUND_ROBIN,
    STRATEGIES,
    BalancingResult,
    Served,
    StrategyRun,
)
from remotecalls.simulators.parameters import ParameterError

PRESET = {preset.name: preset for preset in PRESETS}
SEEDS = range(20)
LAYER_7 = (ROUND_ROBIN, LEAST_REQUEST)


def of_preset(name: str, seed: int = 1, **changes: int) -> BalancingResult:
    return run(dataclasses.replace(PRESET[name].parameters, **changes), seed)


def settings_of(**fixed: int) -> st.SearchStrategy[BalancingParameters]:
    """Settings under which calls come for a short time, with what is odd in that time."""
    drawn = parameters_of(BalancingParameters, **{"duration_us": 600_000, **fixed})
    return drawn.map(
        lambda each: dataclasses.replace(
            each,
            joins_at_us=fixed.get("joins_at_us", each.joins_at_us % 700_000),
            fails_at_us=each.fails_at_us % 700_000,
        )
    )


# ---------------------------------------------------------------- laws


@settings(max_examples=40, deadline=None)
@given(settings_of(), seeds)
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
                assert call.server == FAILING
                assert call.finished_us - call.arrived_us == REFUSAL_US
        for moments in changes.values():
            working = 0
            for _, change in sorted(moments):  # an end before a beginning of the same time
                working += change
                assert 0 <= working <= parameters.at_once


@settings(max_examples=40, deadline=None)
@given(settings_of(), seeds)
def test_a_server_works_in_the_order_in_which_calls_came(
    parameters: BalancingParameters, seed: int
) -> None:
    for each in run(parameters, seed).runs:
        for server in range(parameters.servers):
            mine = [call for call in each.calls if call.server == server and call.ok]
            mine.sort(key=lambda call: (call.arrived_us, call.begun_us))
            assert all(one.begun_us <= other.begun_us for one, other in pairwise(mine))


@settings(max_examples=40, deadline=None)
@given(settings_of(), seeds)
def test_a_call_waits_only_where_all_slots_are_taken(
    parameters: BalancingParameters, seed: int
) -> None:
    for each in run(parameters, seed).runs:
        for server in range(parameters.servers):
            mine = [call for call in each.calls if call.server == server and call.ok]
            ends = {call.finished_us for call in mine}
            waited = [call for call in mine if call.begun_us > call.arrived_us]
            # One that waited begins when another ends.
            assert all(call.begun_us in ends for call in waited)
            assert each.longest_queues[server] == longest_queue(waited)


def longest_queue(waited: list[Served]) -> int:
    changes = [(call.arrived_us, 1) for call in waited] + [(call.begun_us, -1) for call in waited]
    longest = length = 0
    for _, change in sorted(changes):
        length += change
        longest = max(longest, length)
    return longest


@settings(max_examples=40, deadline=None)
@given(settings_of(), seeds)
def test_the_work_of_a_call_is_the_same_wherever_it_goes(
    parameters: BalancingParameters, seed: int
) -> None:
    works: dict[int, set[int]] = defaultdict(set)
    for each in run(parameters, seed).runs:
        for call in each.calls:
            is_slow = call.server == parameters.servers - 1 and parameters.slow_percent > 100
            if call.ok and not is_slow:
                works[call.index].add(call.finished_us - call.begun_us)
    assert all(len(found) == 1 for found in works.values())


@given(settings_of(), seeds)
@settings(max_examples=15, deadline=None)
def test_equal_arguments_give_equal_results(parameters: BalancingParameters, seed: int) -> None:
    one, other = run(parameters, seed), run(parameters, seed)
    assert one == other
    assert json.loads(json.dumps(one.to_json())) == one.to_json()


@given(settings_of(joins_at_us=300_000), seeds)
@settings(max_examples=20, deadline=None)
def test_nobody_calls_a_server_before_it_is_there(
    parameters: BalancingParameters, seed: int
) -> None:
    for each in run(parameters, seed).runs:
        calls = [call for call in each.calls if call.server == parameters.servers - 1]
        assert all(call.asked_us >= 300_000 for call in calls)


@settings(max_examples=25, deadline=None)
@given(settings_of(hop_us=100, setup_us=50_000), seeds)
def test_the_first_call_of_each_connection_waits_for_it(
    parameters: BalancingParameters, seed: int
) -> None:
    for each in run(parameters, seed).runs:
        waited = [call.arrived_us - call.asked_us for call in each.calls]
        hop = 100 if each.strategy in LAYER_7 else 0
        # A call that comes during the handshake waits for the rest of it.
        assert waited.count(50_000 + hop) == each.connections
        assert all(hop <= time_us <= 50_000 + hop for time_us in waited)


@settings(max_examples=25, deadline=None)
@given(settings_of(joins_at_us=0), seeds)
def test_how_many_connections_each_strategy_opens(
    parameters: BalancingParameters, seed: int
) -> None:
    result = run(parameters, seed)
    calls = len(result.runs[0].calls)
    assert result.of(PINNED).connections <= parameters.clients
    assert result.of(CLIENT).connections <= parameters.clients * parameters.servers
    for strategy in LAYER_7:
        assert result.of(strategy).connections <= parameters.servers
    # Each client's last connection may have room for more.
    rotated = result.of(ROTATING).connections
    full = calls // parameters.calls_per_connection
    assert full <= rotated <= full + parameters.clients


@settings(max_examples=25, deadline=None)
@given(settings_of(slow_percent=100, fails_for_us=0, joins_at_us=0), seeds)
def test_turns_are_even_whoever_takes_them(parameters: BalancingParameters, seed: int) -> None:
    result = run(parameters, seed)
    counts = result.of(ROUND_ROBIN).counts(parameters.servers)
    assert max(counts) - min(counts) <= 1
    counts = result.of(CLIENT).counts(parameters.servers)
    assert max(counts) - min(counts) <= parameters.clients


# ---------------------------------------------------------------- what it is there to show


@pytest.mark.parametrize("seed", SEEDS)
def test_one_connection_is_one_server(seed: int) -> None:
    result = of_preset("one-client", seed)
    pinned, rotating = result.of(PINNED), result.of(ROTATING)
    assert sorted(pinned.counts(3))[:2] == [0, 0]
    assert pinned.connections == 1
    assert pinned.busiest_percent(3) == 300
    for strategy in (ROTATING, CLIENT, ROUND_ROBIN):
        counts = result.of(strategy).counts(3)
        assert max(counts) - min(counts) <= 10
        assert max(result.of(strategy).longest_queues) < max(pinned.longest_queues)
        assert p99(result, strategy) < p99(result, PINNED)
    # Rotation spreads as well, and pays a handshake for every tenth call.
    assert rotating.connections == -(-len(rotating.calls) // 10)


def p99(result: BalancingResult, strategy: str) -> int:
    found = result.of(strategy).latency_us(99)
    assert found is not None
    return found


@pytest.mark.parametrize("seed", SEEDS)
def test_as_many_connections_as_servers_look_even(seed: int) -> None:
    result = of_preset("as-many-connections", seed)
    pinned = result.of(PINNED)
    assert pinned.connections == 3
    assert min(pinned.counts(3)) > len(pinned.calls) / 5
    # One connection more, and one server has twice the calls of the others.
    one_more = of_preset("as-many-connections", seed, clients=4).of(PINNED)
    assert 120 < (one_more.busiest_percent(3) or 0) < 180


@pytest.mark.parametrize("seed", SEEDS)
def test_a_server_that_joins_late_gets_nothing_at_layer_4(seed: int) -> None:
    result = of_preset("joins", seed, duration_us=3_000_000)
    assert result.of(PINNED).counts(3)[2] == 0
    for strategy in (ROTATING, CLIENT, ROUND_ROBIN, LEAST_REQUEST):
        assert result.of(strategy).counts(3)[2] > len(result.runs[0].calls) / 8


@pytest.mark.parametrize("seed", SEEDS)
def test_a_quicker_rotation_costs_more_handshakes(seed: int) -> None:
    counts = [
        of_preset("one-client", seed, calls_per_connection=calls, duration_us=800_000)
        .of(ROTATING)
        .connections
        for calls in (2, 10, 50)
    ]
    assert counts[0] > 4 * counts[1] > 16 * counts[2]
    # Where nothing else makes a call wait, half of them are quick if few of them pay.
    often, seldom = (
        of_preset("one-client", seed, calls_per_connection=calls, gap_us=20_000, setup_us=10_000)
        for calls in (1, 50)
    )
    halves = [each.of(ROTATING).latency_us(50) or 0 for each in (often, seldom)]
    assert halves[0] > halves[1] + 5_000


@pytest.mark.parametrize("seed", SEEDS)
def test_least_request_spares_a_slow_server(seed: int) -> None:
    result = of_preset("slow", seed)
    shares = [result.of(each).counts(3)[2] for each in LAYER_7]
    assert shares[1] < 0.8 * shares[0]
    assert p99(result, LEAST_REQUEST) < p99(result, ROUND_ROBIN)
    queues = [result.of(each).longest_queues[2] for each in LAYER_7]
    assert queues[1] < queues[0]


def test_least_request_gains_nothing_among_equals() -> None:
    results = [of_preset("equal", seed) for seed in SEEDS]
    ratio = mean_p99(results, LEAST_REQUEST) / mean_p99(results, ROUND_ROBIN)
    assert 0.9 < ratio < 1.1
    better = sum(p99(each, LEAST_REQUEST) < p99(each, ROUND_ROBIN) for each in results)
    assert better <= len(results) * 3 / 4
    # With a slow server it is another matter.
    slow = [of_preset("slow", seed) for seed in SEEDS]
    assert mean_p99(slow, LEAST_REQUEST) < 0.7 * mean_p99(slow, ROUND_ROBIN)


def mean_p99(results: list[BalancingResult], strategy: str) -> float:
    return sum(p99(result, strategy) for result in results) / len(results)


@pytest.mark.parametrize("seed", SEEDS)
def test_least_request_sends_more_to_a_server_that_refuses(seed: int) -> None:
    sink = of_preset("sink", seed)
    assert sink.of(LEAST_REQUEST).failed > 1.2 * sink.of(ROUND_ROBIN).failed
    # Two draws of three servers find it in five cases of nine, at most.
    arrived = [call for call in sink.of(LEAST_REQUEST).calls if is_in_failure(sink, call)]
    refused = [call for call in arrived if not call.ok]
    assert 1 / 3 < len(refused) / len(arrived) < 5 / 9 + 0.1


def is_in_failure(result: BalancingResult, call: Served) -> bool:
    since_us = result.parameters.fails_at_us
    return since_us <= call.arrived_us < since_us + result.parameters.fails_for_us


@pytest.mark.parametrize("seed", SEEDS)
def test_without_ejection_calls_are_refused_for_as_long_as_it_lasts(seed: int) -> None:
    sink = of_preset("sink", seed)
    for each in sink.runs:
        there = [call for call in each.calls if call.server == FAILING]
        assert all(call.ok != is_in_failure(sink, call) for call in there)
        quarters = Counter((call.arrived_us - 600_000) // 200_000 for call in there if not call.ok)
        assert set(quarters) == {0, 1, 2, 3}
        assert each.failed_before_ejection == each.failed


@pytest.mark.parametrize("seed", SEEDS)
def test_ejection_mends_it(seed: int) -> None:
    sink, mended = of_preset("sink", seed), of_preset("ejection", seed)
    for strategy in LAYER_7:
        assert mended.of(strategy).failed < 0.6 * sink.of(strategy).failed
        assert mended.of(strategy).ejections
    for strategy in (PINNED, ROTATING, CLIENT):
        assert mended.of(strategy) == sink.of(strategy)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_tenth_of_three_servers_is_none(seed: int) -> None:
    sink, in_vain = of_preset("sink", seed), of_preset("too-few-to-eject", seed)
    for strategy in LAYER_7:
        assert in_vain.of(strategy).ejections == ()
        assert in_vain.of(strategy).overflows > 0
        assert in_vain.of(strategy).calls == sink.of(strategy).calls
    # A third and a little is enough for one of three, and a third is not.
    assert of_preset("ejection", seed, eject_at_most_percent=34).of(ROUND_ROBIN).ejections
    assert not of_preset("ejection", seed, eject_at_most_percent=33).of(ROUND_ROBIN).ejections


# ---------------------------------------------------------------- by hand


def test_percentiles_and_shares_by_hand() -> None:
    calls = tuple(Served(n, n % 2, 0, 0, 0, 10 * (n + 1), ok=n != 3) for n in range(5))
    each = StrategyRun(PINNED, calls, 2, (0, 0), (), 0)
    assert [each.latency_us(percent) for percent in (1, 25, 26, 50, 75, 76, 99)] == [
        10, 10, 20, 20, 30, 50, 50
    ]  # fmt: skip
    assert each.counts(2) == (3, 2)
    assert each.busiest_percent(2) == 120
    assert (each.failed, each.failed_before_ejection) == (1, 1)


def test_without_any_answer_there_is_no_latency() -> None:
    result = of_preset("one-client", 1)
    nothing = dataclasses.replace(result.of(PINNED), calls=())
    assert nothing.latency_us(99) is None
    assert nothing.busiest_percent(3) is None
    assert nothing.counts(3) == (0, 0, 0)


def test_one_call_takes_the_handshake_the_hop_and_its_work() -> None:
    parameters = BalancingParameters(gap_us=50_000, duration_us=500_000, setup_us=7_000)
    result = run(parameters, 1)
    first = [each.calls[0] for each in result.runs]
    work_us = first[0].finished_us - first[0].begun_us
    for each, call in zip(result.runs, first, strict=True):
        hop_us = 500 if each.strategy in LAYER_7 else 0
        assert call.finished_us == call.asked_us + 7_000 + hop_us + work_us


def test_the_numbers_of_a_run_are_in_its_json() -> None:
    result = of_preset("ejection", 2)
    for each, said in zip(result.runs, result.to_json()["runs"], strict=True):
        assert said["strategy"] == each.strategy
        assert tuple(said["counts"]) == each.counts(3)
        assert (said["p50_us"], said["p99_us"]) == (each.latency_us(50), each.latency_us(99))
        assert len(said["calls"]) == sum(said["counts"])
        refused = [call for call in said["calls"] if not call[-1]]
        assert said["failed"] == len(refused)
        if said["ejections"]:
            first_us = said["ejections"][0][1]
            assert said["failed_before_ejection"] == sum(call[5] <= first_us for call in refused)


def test_the_slow_server_takes_its_percentage() -> None:
    plain, slow = (of_preset("equal", 3, slow_percent=percent) for percent in (100, 250))
    for one, other in zip(plain.of(PINNED).calls, slow.of(PINNED).calls, strict=True):
        took = [call.finished_us - call.begun_us for call in (one, other)]
        assert one.server == other.server
        assert took[1] == (took[0] * 250 // 100 if one.server == 2 else took[0])


@pytest.mark.parametrize(
    "bad", [{"servers": 7}, {"servers": 1}, {"eject_at_most_percent": 101}, {"look_every_us": 0}]
)
def test_impossible_settings_are_refused_with_a_remedy(bad: dict[str, int]) -> None:
    with pytest.raises(ParameterError, match="Choose"):
        BalancingParameters(**bad)


def test_presets_have_their_names_and_the_first_is_the_default() -> None:
    assert SIMULATOR.presets[0].parameters == BalancingParameters()
    assert SIMULATOR.preset("ejection").parameters.eject_after == 5
    assert len({preset.title for preset in PRESETS}) == len(PRESETS)
