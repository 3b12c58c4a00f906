"""Supervision: laws that hold for every setting, some of them against a naive tree."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from naive_supervision import CHILDREN, PARENT, NaiveTree, TooSoon

from parameter_strategies import parameters_of, seeds
from remotecalls.simulators.supervision.model import _Shop, run
from remotecalls.simulators.supervision.parameters import (
    ALL,
    DEPENDS_ON,
    NORMAL,
    SHOP,
    TOP,
    WORKERS,
    SupervisionParameters,
)
from remotecalls.simulators.supervision.processes import Process
from remotecalls.simulators.supervision.record import Event
from remotecalls.simulators.supervision.result import SupervisionResult
from remotecalls.simulators.supervision.snapshot import State

UP = (State.RUNNING, State.STALE)
AT_REST = {"rate": 0, "duration_us": 180_000_000}


def settings_of(**fixed: Any) -> st.SearchStrategy[SupervisionParameters]:
    """Settings under which kills come in time to be seen, and start and stop are short."""

    def nearer(each: SupervisionParameters) -> SupervisionParameters:
        return dataclasses.replace(
            each,
            first_kill_us=fixed.get("first_kill_us", each.first_kill_us % each.duration_us),
            interval_us=fixed.get("interval_us", 100_000 + each.interval_us % 10_000_000),
            start_us=fixed.get("start_us", 100_000 + each.start_us % 1_500_000),
            stop_us=fixed.get("stop_us", each.stop_us % 1_500_000),
        )

    return parameters_of(SupervisionParameters, **fixed).map(nearer)


def some(count: int) -> settings:
    return settings(max_examples=count, deadline=None)


# ---------------------------------------------------------------- the naive tree


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(settings_of(**AT_REST), st.integers(1_000_000, 40_000_000), st.integers(0, 30_000_000))
def test_without_load_it_decides_what_the_naive_tree_decides(
    parameters: SupervisionParameters, interval_us: int, after_us: int
) -> None:
    """The same events, of the same processes, at the same times."""
    parameters = dataclasses.replace(
        parameters,
        interval_us=interval_us,
        first_kill_us=5 * parameters.start_us + 1 + after_us,
        failing_starts=parameters.failing_starts % 12,
    )
    try:
        expected = NaiveTree(parameters).run()
    except TooSoon:
        assume(False)
    result = run(parameters, 1)
    assert [(entry.at_us, entry.event.value, entry.name) for entry in result.log
            if entry.event is not Event.FAILED_TO_START] == expected  # fmt: skip
    assert result.decisions == [(event, name) for _, event, name in expected]


@pytest.mark.parametrize("intensity", range(7))
@pytest.mark.parametrize("strategy", ["one-for-one", "one-for-all", "rest-for-one"])
def test_so_many_restarts_as_the_intensity_and_then_it_gives_up(
    intensity: int, strategy: str
) -> None:
    parameters = SupervisionParameters(
        strategy=strategy, victim="stock", intensity=intensity, kills=intensity + 1,
        interval_us=4_000_000, duration_us=60_000_000, start_us=100_000, stop_us=0,
    )  # fmt: skip
    result = run(parameters, 1)
    last_us = result.kills[-1].at_us
    [gave_up_us] = result.times(Event.GAVE_UP)
    assert gave_up_us == last_us
    assert result.restarted("stock", last_us) == intensity
    assert result.restarted(SHOP, last_us) == 0
    assert result.restarted(SHOP) == 1
    one_less = run(dataclasses.replace(parameters, kills=intensity), 1)
    assert one_less.times(Event.GAVE_UP) == []
    assert one_less.restarted("stock") == intensity


@some(60)
@given(settings_of(), seeds)
def test_a_supervisor_gives_up_at_the_first_restart_too_many_and_only_then(
    parameters: SupervisionParameters, seed: int
) -> None:
    result = run(parameters, seed)
    for name in CHILDREN:
        allowed = parameters.top_intensity if name == TOP else parameters.intensity
        starts = result.times(Event.STARTED, name)
        counted = [each for each in result.restarts if each.supervisor == name]
        for each in counted:
            since_us = max([at_us for at_us in starts if at_us <= each.at_us])
            earlier = counted[: counted.index(each) + 1]
            recent = sum(
                other.at_us >= max(since_us, each.at_us - parameters.period_us) for other in earlier
            )
            assert each.recent == recent
            assert each.is_allowed == (recent <= allowed)
        refused = [each.at_us for each in counted if not each.is_allowed]
        assert refused == result.times(Event.GAVE_UP, name)


@some(60)
@given(settings_of(), seeds, st.integers(0, 180_000_000))
def test_the_window_at_a_time_is_what_was_counted_in_the_period_before_it(
    parameters: SupervisionParameters, seed: int, at_us: int
) -> None:
    result = run(parameters, seed)
    for name in CHILDREN:
        starts = [time for time in result.times(Event.STARTED, name) if time <= at_us]
        since_us = max([at_us - parameters.period_us, *starts])
        counted = [each.at_us for each in result.restarts if each.supervisor == name]
        assert result.recent(name, at_us) == sum(since_us <= time <= at_us for time in counted)


# ---------------------------------------------------------------- who is touched


@some(60)
@given(settings_of(strategy="one-for-one", lets_crash=False, bad_state=False, intensity=12), seeds)
def test_one_for_one_touches_nobody_else(parameters: SupervisionParameters, seed: int) -> None:
    assume(parameters.victim != SHOP)
    parameters = dataclasses.replace(
        parameters,
        kills=min(parameters.kills, 12 - min(parameters.failing_starts, 6)),
        failing_starts=min(parameters.failing_starts, 6),
        first_kill_us=parameters.first_kill_us + 5 * parameters.start_us + 1
        if parameters.first_kill_us + 5 * parameters.start_us < 120_000_000
        else 120_000_000,
    )
    result = run(parameters, seed)
    up_us = 5 * parameters.start_us
    assert {entry.name for entry in result.log if entry.at_us > up_us} <= {parameters.victim}


@some(60)
@given(settings_of(restart="temporary", lets_crash=False), seeds)
def test_a_temporary_child_comes_back_only_with_a_new_supervisor(
    parameters: SupervisionParameters, seed: int
) -> None:
    result = run(parameters, seed)
    supervisor = PARENT[parameters.victim]
    is_there = True
    for entry in result.log:
        if entry.name == parameters.victim:
            assert entry.event is not Event.STARTED or is_there
            if entry.event is Event.KILLED:
                is_there = False
        if entry.name == supervisor and entry.event in (Event.GAVE_UP, Event.FAILED_TO_START):
            is_there = True
    assert all(each.supervisor != supervisor for each in result.restarts)


@some(60)
@given(settings_of(lets_crash=False), seeds)
def test_children_are_started_in_order_and_stopped_in_the_opposite_one(
    parameters: SupervisionParameters, seed: int
) -> None:
    result = run(parameters, seed)
    for children in CHILDREN.values():
        log = [entry for entry in result.log if entry.name in children]
        for one, other in pairwise(log):
            places = children.index(one.name), children.index(other.name)
            if one.event is other.event is Event.STOPPED:
                assert places[0] > places[1] or one.name == other.name
            if one.event is other.event is Event.STARTED:
                assert places[0] < places[1]


@some(40)
@given(settings_of(), seeds)
def test_to_a_supervisor_a_crash_is_a_kill(parameters: SupervisionParameters, seed: int) -> None:
    killed, crashed = (
        run(dataclasses.replace(parameters, end=end), seed) for end in ("killed", "crashed")
    )
    assert killed.decisions == crashed.decisions
    assert killed.intervals == crashed.intervals
    assert killed.traffic == crashed.traffic


@some(60)
@given(settings_of(top_intensity=0, intensity=1), seeds)
def test_nothing_happens_after_the_end(parameters: SupervisionParameters, seed: int) -> None:
    result = run(parameters, seed)
    if result.ended_us is None:
        return
    ended_us = result.ended_us
    assert result.log[-1].at_us == ended_us
    assert not any(kill.hit for kill in result.kills if kill.at_us > ended_us)
    before = sum(kill.at_us <= ended_us for kill in result.kills)
    fewer = run(dataclasses.replace(parameters, kills=before), seed)
    assert fewer.log == result.log
    assert fewer.traffic == result.traffic
    for name in ALL:
        assert result.state(name, ended_us) is State.DEAD
        assert result.intervals[name][-1].until_us == result.end_us
    for traffic in result.traffic.values():
        assert all(time <= ended_us for time in traffic.answered + traffic.lost)


# ---------------------------------------------------------------- requests and messages


@some(100)
@given(settings_of(), seeds, st.integers(0, 180_000_000))
def test_every_request_is_answered_or_failed_or_lost_or_waits(
    parameters: SupervisionParameters, seed: int, at_us: int
) -> None:
    result = run(parameters, seed)
    for name, traffic in result.traffic.items():
        over = len(traffic.answered) + len(traffic.failed) + len(traffic.lost)
        assert len(traffic.arrived) == over + traffic.waiting(result.end_us)
        assert traffic.waiting(at_us) >= traffic.mailbox(at_us) - calls_of(result, name)
        assert traffic.mailbox(at_us) >= 0
        for times in vars(traffic).values():
            assert times == sorted(times)
        if result.state(name, result.end_us) is State.DEAD:
            assert traffic.waiting(result.end_us) == traffic.mailbox(result.end_us) == 0


@some(100)
@given(
    settings_of(kills=0, rate=40, duration_us=40_000_000, start_us=200_000, intensity=12),
    seeds,
    st.lists(
        st.tuples(
            st.integers(0, 40_000_000),
            st.sampled_from(ALL[1:]),
            st.sampled_from(["killed", NORMAL]),
        ),
        max_size=12,
    ),
)
def test_no_request_is_counted_twice_whoever_is_killed(
    parameters: SupervisionParameters, seed: int, kills: list[tuple[int, str, str]]
) -> None:
    shop = _Shop(parameters)
    for at_us, name, reason in kills:
        shop.agenda.at(at_us, kill_if_there, shop.processes[name], reason)
    result = shop.result(seed)
    for name, traffic in result.traffic.items():
        over = len(traffic.answered) + len(traffic.failed) + len(traffic.lost)
        waiting = len(traffic.arrived) - over
        assert 0 <= waiting <= traffic.mailbox(result.end_us) + 1
        if result.state(name, result.end_us) is State.DEAD:
            assert waiting == traffic.mailbox(result.end_us) == 0


def kill_if_there(process: Process, reason: str) -> None:
    if process.state is not State.DEAD:
        process.kill(reason)


def calls_of(result: SupervisionResult, name: str) -> int:
    """How many calls of other workers have come."""
    return sum(
        flow.count
        for flow in result.flows_by(result.end_us)
        if flow.receiver == name and flow.sender in WORKERS
    )


@some(60)
@given(settings_of(), seeds)
def test_messages_in_mailboxes_are_those_that_were_sent(
    parameters: SupervisionParameters, seed: int
) -> None:
    result = run(parameters, seed)
    received: dict[str, int] = defaultdict(int)
    for flow in result.flows_by(result.end_us):
        received[flow.receiver] += flow.count
    for name, traffic in result.traffic.items():
        assert len(traffic.queued) == received[name]
        # What is not queued found nobody, and failed at once.
        refused = len(traffic.arrived) + calls_of(result, name) - len(traffic.queued)
        assert 0 <= refused <= len(traffic.failed)


@some(60)
@given(settings_of(), seeds)
def test_only_who_is_there_answers_and_nobody_who_is_stale_and_calls(
    parameters: SupervisionParameters, seed: int
) -> None:
    result = run(parameters, seed)
    for name, traffic in result.traffic.items():
        for at_us in traffic.answered:
            # An answer of the moment in which a state ends belongs to that state.
            states = {result.state(name, at_us), result.state(name, at_us - 1)}
            assert states & {State.RUNNING, State.STOPPING}, (name, at_us)


@some(60)
@given(settings_of(), seeds)
def test_what_a_process_knew_and_held_is_lost_with_it(
    parameters: SupervisionParameters, seed: int
) -> None:
    result = run(parameters, seed)
    for name, traffic in result.traffic.items():
        ends = {
            entry.at_us
            for entry in result.log
            if entry.name == name
            and entry.event in (Event.KILLED, Event.STOPPED, Event.FAILED_TO_START)
        }
        assert set(traffic.messages_lost) | set(traffic.state_lost) | set(traffic.lost) <= ends
        last_us = max(ends, default=-1)
        remembered = sum(at_us > last_us for at_us in traffic.answered)
        assert len(traffic.answered) - remembered - len(traffic.state_lost) in range(
            traffic.answered.count(last_us) + 1
        )


@some(60)
@given(settings_of(), seeds)
def test_states_follow_one_another_without_gaps_and_take_their_time(
    parameters: SupervisionParameters, seed: int
) -> None:
    result = run(parameters, seed)
    for name in ALL:
        intervals = result.intervals[name]
        assert intervals[0].from_us == 0
        assert intervals[-1].until_us == result.end_us
        assert all(each.from_us < each.until_us for each in intervals)
        for one, other in pairwise(intervals):
            assert one.until_us == other.from_us
            assert one.state is not other.state
            if other.state in UP and one.state not in UP:
                assert one.state is State.STARTING
                if name in WORKERS:
                    # Those of a crash loop are one, from start to start.
                    long_us = one.until_us - one.from_us
                    assert long_us >= parameters.start_us
            if one.state is State.STOPPING:
                assert other.state in (State.DEAD, State.STARTING)
                if name in WORKERS:
                    assert one.until_us - one.from_us <= parameters.shutdown_us


@some(60)
@given(settings_of(), seeds)
def test_stale_is_who_started_before_the_one_it_calls(
    parameters: SupervisionParameters, seed: int
) -> None:
    result = run(parameters, seed)
    for name in WORKERS:
        for interval in result.intervals[name]:
            if interval.state not in UP:
                continue
            at_us = (interval.from_us + interval.until_us) // 2
            if name not in DEPENDS_ON:
                assert interval.state is State.RUNNING
                continue
            callee = DEPENDS_ON[name]
            own = last_start(result, name, at_us)
            is_good = last_start(result, callee, at_us) <= own and result.state(
                callee, at_us
            ) not in (State.DEAD, State.STARTING)
            assert (interval.state is State.RUNNING) == is_good, (name, at_us)


def last_start(result: SupervisionResult, name: str, at_us: int) -> int:
    return max([time for time in result.times(Event.STARTED, name) if time <= at_us], default=-1)


@some(40)
@given(settings_of(end=NORMAL, lets_crash=False, bad_state=False), seeds)
def test_who_ends_as_it_should_loses_nothing_that_it_works_on(
    parameters: SupervisionParameters, seed: int
) -> None:
    assume(parameters.victim != SHOP)
    result = run(parameters, seed)
    traffic = result.traffic[parameters.victim]
    for entry in result.log:
        if entry.name == parameters.victim and entry.reason == NORMAL:
            # Requests that are lost were in the mailbox.
            lost = traffic.lost.count(entry.at_us)
            assert lost <= traffic.messages_lost.count(entry.at_us)
