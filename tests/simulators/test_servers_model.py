"""The server models: laws that hold for every setting, and what the presets promise."""

from __future__ import annotations

import dataclasses
import json
from itertools import pairwise

import pytest
from hypothesis import given, settings

from parameter_strategies import parameters_of, seeds
from remotecalls.simulators.parameters import ParameterError
from remotecalls.simulators.servers import (
    LOOP,
    MODELS,
    POOL,
    PRESETS,
    PROCESS,
    QUEUED,
    RUNNING,
    SENDING,
    SIMULATOR,
    STARTING,
    SWITCH_US,
    THREAD,
    WAITING,
    ModelRun,
    ServersParameters,
    ServersResult,
    run,
)

PRESET = {preset.name: preset for preset in PRESETS}


def of_preset(name: str, **changes: object) -> ServersResult:
    preset = PRESET[name]
    return run(dataclasses.replace(preset.parameters, **changes), preset.seed)  # type: ignore[arg-type]


def time_in(served_run: ModelRun, kind: str) -> int:
    return sum(
        span.until_us - span.from_us
        for served in served_run.served
        for span in served.spans
        if span.kind == kind
    )


@settings(max_examples=60, deadline=None)
@given(parameters_of(ServersParameters), seeds)
def test_every_request_is_served_and_its_spans_have_no_gap(
    parameters: ServersParameters, seed: int
) -> None:
    result = run(parameters, seed)
    assert [each.model for each in result.runs] == list(MODELS)
    for model_run in result.runs:
        assert len(model_run.served) == parameters.requests
        for served in model_run.served:
            assert served.spans[0].from_us == served.arrived_us
            for one, other in pairwise(served.spans):
                assert one.until_us == other.from_us
                assert one.kind != other.kind


@settings(max_examples=60, deadline=None)
@given(parameters_of(ServersParameters), seeds)
def test_work_is_conserved(parameters: ServersParameters, seed: int) -> None:
    result = run(parameters, seed)
    asked = sum(request.before_us + request.after_us for request in result.requests)
    waits = sum(request.wait_us for request in result.requests)
    sends = sum(request.send_us for request in result.requests)
    for model_run in result.runs:
        computed = time_in(model_run, RUNNING) + time_in(model_run, STARTING)
        assert computed == asked + model_run.overhead_us
        assert time_in(model_run, WAITING) == waits
        assert time_in(model_run, SENDING) == sends


@settings(max_examples=40, deadline=None)
@given(parameters_of(ServersParameters), seeds)
def test_a_result_is_json_and_repeats(parameters: ServersParameters, seed: int) -> None:
    one, other = run(parameters, seed), run(parameters, seed)
    assert one == other
    assert json.loads(json.dumps(one.to_json())) == one.to_json()


@settings(max_examples=40, deadline=None)
@given(parameters_of(ServersParameters), seeds)
def test_the_run_is_bounded(parameters: ServersParameters, seed: int) -> None:
    # At most ten turns for each half of 50 ms, twenty to start: what the page can wait for.
    result = run(parameters, seed)
    assert sum(len(served.spans) for each in result.runs for served in each.served) < 4 * 32 * 100


def test_one_request_alone_takes_its_work_and_its_start() -> None:
    parameters = ServersParameters(requests=1, compute_us=2_000, wait_us=7_000)
    result = run(parameters, 1)
    work = 2_000 + 7_000 + 2 * SWITCH_US
    assert result.of(POOL).slowest_us == work
    assert result.of(LOOP).slowest_us == work
    assert result.of(PROCESS).slowest_us == work + parameters.fork_us + SWITCH_US
    assert result.of(THREAD).slowest_us == work + parameters.thread_us + SWITCH_US


def test_the_pool_runs_out_of_processes_while_requests_wait() -> None:
    result = of_preset("waiting")
    assert result.of(POOL).peak == 4
    assert result.of(POOL).median_us > 1.5 * result.of(LOOP).median_us
    assert time_in(result.of(POOL), QUEUED) > 10 * time_in(result.of(THREAD), QUEUED)


def test_a_pool_with_a_process_for_each_request_has_no_queue() -> None:
    result = of_preset("waiting", workers=16, cores=16)
    assert time_in(result.of(POOL), QUEUED) == 0


def test_cores_help_processes_and_not_threads_that_share_a_lock() -> None:
    one, four = (of_preset("computing", cores=cores) for cores in (1, 4))
    assert four.of(POOL).finished_us < 0.5 * one.of(POOL).finished_us
    assert four.of(THREAD).finished_us == one.of(THREAD).finished_us
    free = of_preset("computing", cores=4, interpreter_lock=False)
    assert free.of(THREAD).finished_us < 0.5 * four.of(THREAD).finished_us


def test_slow_clients_hold_the_pool_and_nobody_else() -> None:
    result = of_preset("slow-clients")
    quick = [r.index for r in result.requests if r.send_us == 0]
    slowest = {
        each.model: max(each.served[index].latency_us for index in quick) for each in result.runs
    }
    assert slowest[POOL] > 100_000
    assert slowest[LOOP] < 20_000
    assert slowest[THREAD] < 20_000


def test_a_blocking_call_makes_the_loop_serve_one_after_another() -> None:
    result = of_preset("blocking")
    each = result.parameters.wait_us + result.parameters.compute_us
    assert result.of(LOOP).finished_us >= result.parameters.requests * each
    for model in (PROCESS, POOL, THREAD):  # the others are as before
        assert result.of(model) == of_preset("waiting").of(model)


def test_starting_costs_what_the_help_says() -> None:
    cgi, fork = of_preset("cgi"), of_preset("waiting")
    assert cgi.of(PROCESS).median_us > 10 * fork.of(PROCESS).median_us
    assert cgi.of(LOOP) == fork.of(LOOP)


def test_the_queue_of_one_server_follows_the_formula_of_an_m_d_1() -> None:
    # One core, nothing but computing, random arrivals: each run is a stretch of an M/D/1 queue.
    # Its mean wait is load / (2 (1 - load)) service times when it is long; a stretch of 32 that
    # begins empty waits less, and never more than twice as long on the average of many.
    parameters = ServersParameters(
        requests=32, gap_us=4_000, compute_us=2_000, wait_us=0, cores=1, workers=32
    )
    waits = [time_in(run(parameters, seed).of(POOL), QUEUED) / 32 for seed in range(300)]
    mean = sum(waits) / len(waits)
    load = 2_000 / 4_000
    expected = 2_000 * load / (2 * (1 - load))
    assert 0.5 * expected < mean < 1.5 * expected


@pytest.mark.parametrize(
    "bad", [{"requests": 0}, {"cores": 17}, {"workers": 0}, {"gaps": "lumpy"}, {"compute_us": 99}]
)
def test_impossible_settings_are_refused_with_a_remedy(bad: dict[str, object]) -> None:
    with pytest.raises(ParameterError, match="Choose"):
        ServersParameters(**bad)  # type: ignore[arg-type]


def test_presets_have_their_names_and_the_first_is_the_default() -> None:
    assert SIMULATOR.presets[0].parameters == ServersParameters()
    assert SIMULATOR.preset("cgi").parameters.fork_us == 70_000
