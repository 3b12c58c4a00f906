"""Replicas of a register: laws that hold for every setting."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from parameter_strategies import seeds, values_of
from remotecalls.simulators.consistency import (
    SIMULATOR,
    STRONG,
    ConsistencyParameters,
    ConsistencyResult,
    run,
)
from remotecalls.simulators.consistency.parameters import (
    ABD,
    ALONE,
    CONFIRMED,
    LAST,
    LEADER,
    LOG,
    MOST_EVENTS,
    NEAREST,
    NUMBER,
    QUORUM,
    UNCONFIRMED,
    VECTOR,
    WALL_CLOCK,
)
from remotecalls.simulators.linearizability.history import Operation
from remotecalls.simulators.linearizability.registers import check_registers
from remotecalls.simulators.parameters import Choice, ParameterError, controls

COUNTED = ("read_quorum", "write_quorum", "far", "partition", "replaced")
"""None of these means more than the replicas that there are."""

SHORT: dict[str, Any] = {
    "operations": 40,
    "think_us": 10_000,
    "timeout_us": 100_000,
    "settle_us": 300_000,
}
"""Short enough for any of the other settings."""

Drawn = int | bool | str


@st.composite
def settings_of(draw: st.DrawFn, **fixed: Drawn) -> ConsistencyParameters:
    """Any settings that go together, with what happens at some time happening early."""
    values: dict[str, Any] = {
        name: fixed[name] if name in fixed else draw(values_of(control), label=name)
        for name, control in controls(ConsistencyParameters).items()
    }
    for name in COUNTED:
        least = 1 if name.endswith("quorum") else 0
        if name not in fixed:
            values[name] = least + values[name] % (values["replicas"] + 1 - least)
    for name in ("partition_at_us", "replaced_at_us"):
        values[name] %= 300_000
    values["partition_for_us"] = 50_000 + values["partition_for_us"] % 500_000
    if values["protocol"] == LEADER:
        slowest_us = max(values["delay_us"], values["far_delay_us"])
        if values["election_us"]:
            values["election_us"] = max(values["election_us"], 4 * slowest_us, 100_000)
    for name in ("anti_entropy_us", "handoff_us"):
        values[name] = values[name] and max(values[name], 100_000)
    try:
        return ConsistencyParameters(**values)
    except ParameterError:
        assume(False)
        raise


@settings(max_examples=60, deadline=None)
@given(settings_of(**SHORT), seeds)
def test_every_operation_is_over_once_and_clients_do_one_at_a_time(
    parameters: ConsistencyParameters, seed: int
) -> None:
    result = run(parameters, seed)
    assert len(result.records) == parameters.operations
    calls = [record.operation.called_us for record in result.records]
    assert calls == sorted(calls)
    of_client: dict[int, list[tuple[int, int]]] = defaultdict(list)
    of_process: dict[int, list[Operation]] = defaultdict(list)
    for number, record in enumerate(result.records):
        operation = record.operation
        of_client[record.client].append((operation.called_us, record.over_us))
        of_process[operation.process].append(operation)
        assert record.is_ok or record.latency_us == parameters.timeout_us
        assert 0 <= record.latency_us <= parameters.timeout_us
        assert operation.returned_us == (None if operation.outcome == "unknown" else record.over_us)
        assert operation.outcome in ("ok", "failed", "unknown" if record.is_write else "ok")
        assert not record.is_write or operation.value == number + 1
    assert all(
        end_us < next_us
        for operations in of_client.values()
        for (_, end_us), (next_us, _) in pairwise(operations)
    )
    # Who has an operation under way that nobody knows about does not call again.
    for operations in of_process.values():
        assert all(each.outcome != "unknown" for each in operations[:-1])
    last_us = max(record.over_us for record in result.records)
    assert result.end_us == last_us + parameters.settle_us


def test_without_think_time_an_operation_still_begins_after_the_one_before() -> None:
    """At the same microsecond a checker would let them change places."""
    result = run(replace(STRONG, think_us=0), 1)
    ends = {record.client: -1 for record in result.records}
    for record in result.records:
        assert record.operation.called_us == max(1, ends[record.client] + 1)
        ends[record.client] = record.over_us


@settings(max_examples=60, deadline=None)
@given(settings_of(**SHORT, write_percent=50), seeds)
def test_what_is_read_was_written(parameters: ConsistencyParameters, seed: int) -> None:
    result = run(parameters, seed)
    written = {
        record.operation.value: record.operation
        for record in result.records
        if record.is_write and record.operation.outcome != "failed"
    }
    for record in result.records:
        if record.is_write or not record.is_ok:
            continue
        assert (record.operation.value is None) == (record.values == ())
        assert len(record.values) <= 1 or result.parameters.versions == VECTOR
        for value in record.values:
            assert written[value].key == record.operation.key
            assert written[value].called_us < record.over_us
    for state in result.final:
        for key, values in zip("abcdefgh", state.values, strict=False):
            assert all(written[value].key == key for value in values)


@settings(max_examples=60, deadline=None)
@given(settings_of(**SHORT), seeds)
def test_no_run_is_longer_than_was_said(parameters: ConsistencyParameters, seed: int) -> None:
    result = run(parameters, seed)
    assert result.events <= parameters.most_events() <= MOST_EVENTS
    assert result.dropped <= result.messages
    if not parameters.loss_per_mille and not parameters.partition:
        assert result.dropped == 0


@settings(max_examples=40, deadline=None)
@given(settings_of(**SHORT), seeds)
def test_equal_arguments_give_equal_results(parameters: ConsistencyParameters, seed: int) -> None:
    one, other = run(parameters, seed), run(parameters, seed)
    assert one == other
    assert json.loads(json.dumps(one.to_json())) == other.to_json()


@settings(max_examples=40, deadline=None)
@given(
    settings_of(
        **SHORT | {"operations": 16}, replicas=1, read_quorum=1, write_quorum=1, replaced=0
    ),
    seeds,
)
def test_one_replica_is_linearizable(parameters: ConsistencyParameters, seed: int) -> None:
    assert check_registers(run(parameters, seed).history).is_linearizable


@settings(max_examples=60, deadline=None)
@given(
    settings_of(
        **SHORT | {"operations": 16}, protocol=LEADER, leader_acknowledges="majority",
        leader_reads=CONFIRMED,
    ),
    seeds,
)  # fmt: skip
def test_a_majority_log_is_linearizable_whatever_is_set(
    parameters: ConsistencyParameters, seed: int
) -> None:
    result = run(parameters, seed)
    assert check_registers(result.history).is_linearizable
    assert result.lost_writes == ()
    assert result.stale_reads == ()


@settings(max_examples=60, deadline=None)
@given(settings_of(**SHORT | {"operations": 16}, protocol=ABD, replaced=0), seeds)
def test_two_phases_are_linearizable_whatever_is_set(
    parameters: ConsistencyParameters, seed: int
) -> None:
    result = run(parameters, seed)
    assert check_registers(result.history).is_linearizable
    assert result.lost_writes == ()


@settings(max_examples=40, deadline=None)
@given(settings_of(**SHORT, session=True, protocol=QUORUM), seeds)
def test_sessions_are_kept_whatever_is_set(parameters: ConsistencyParameters, seed: int) -> None:
    session = run(parameters, seed).session
    assert session.own_writes == ()
    assert session.monotonic_reads == ()


@settings(max_examples=60, deadline=None)
@given(settings_of(**SHORT, protocol=QUORUM, versions=VECTOR, replaced=0, sloppy=False), seeds)
def test_version_vectors_lose_nothing(parameters: ConsistencyParameters, seed: int) -> None:
    assert run(parameters, seed).lost_writes == ()


@settings(max_examples=60, deadline=None)
@given(settings_of(**SHORT, protocol=QUORUM, versions=NUMBER, replaced=0, sloppy=False), seeds)
def test_numbers_from_an_overlapping_quorum_lose_nothing(
    parameters: ConsistencyParameters, seed: int
) -> None:
    assume(parameters.read_quorum + parameters.write_quorum > parameters.replicas)
    result = run(parameters, seed)
    assert result.lost_writes == ()
    assert result.stale_reads == ()


@settings(max_examples=20, deadline=None)
@given(settings_of(**SHORT, write_percent=60), seeds)
def test_the_protocol_is_given_the_same_operations(
    parameters: ConsistencyParameters, seed: int
) -> None:
    """Of each client, in order; when it calls them depends on how long they take."""

    def asked(result: ConsistencyResult) -> dict[int, list[tuple[str, str]]]:
        found: dict[int, list[tuple[str, str]]] = defaultdict(list)
        for each in result.records:
            found[each.client].append((each.operation.kind, each.operation.key))
        return found

    other = replace(parameters, protocol=QUORUM, read_quorum=1, write_quorum=1, loss_per_mille=0)
    assert asked(run(parameters, seed)) == asked(run(other, seed))


# ---------------------------------------------------------------- each setting matters

CUT: dict[str, Any] = {
    "partition": 2,
    "think_us": 50_000,
    "timeout_us": 200_000,
    "partition_for_us": 400_000,
}
WEAK: dict[str, Any] = {"read_quorum": 1, "write_quorum": 1, "versions": WALL_CLOCK}
LED: dict[str, Any] = {"protocol": LEADER}
EFFECTS: dict[str, dict[str, Any]] = {
    # Where a setting needs another one to matter, that is set for both runs.
    "read_repair": {"loss_per_mille": 100, "timeout_us": 100_000},
    "sloppy": CUT,
    "handoff_us": CUT | {"sloppy": True},
    "anti_entropy_us": CUT | WEAK | {"partition_for_us": 3_000_000, "settle_us": 3_000_000},
    "session": WEAK | {"roaming": True},
    "commit_wait_us": {"versions": WALL_CLOCK},
    "skew_us": {"versions": WALL_CLOCK},
    "leader_at": LED,
    "leader_reads": LED,
    "leader_acknowledges": LED,
    "election_us": LED | CUT | {"partition": 3, "partition_for_us": 3_000_000},
    "far": {"versions": WALL_CLOCK, "read_quorum": 5},
    "far_delay_us": {"far": 2},
    "partition": CUT,
    "partition_at_us": CUT,
    "partition_for_us": CUT,
    "replaced": {"read_quorum": 5},
    "replaced_at_us": {"replaced": 5},
    "replaced_lag_us": {"replaced": 5},
    "timeout_us": {"loss_per_mille": 300},
    "settle_us": WEAK | {"delay_us": 150_000},
}
OTHERS: dict[str, Any] = {
    "anti_entropy_us": 100_000,
    "commit_wait_us": 20_000,
    "election_us": 2_000_000,
    "settle_us": 0,
    "far": 1,
    "skew_us": 50_000,
}


@pytest.mark.parametrize("name", controls(ConsistencyParameters))
def test_no_setting_is_without_effect(name: str) -> None:
    base = replace(STRONG, **EFFECTS.get(name, {}))
    control, known = controls(ConsistencyParameters)[name], getattr(base, name)
    if name in OTHERS:
        others = [OTHERS[name]]
    elif isinstance(control, Choice):
        others = [value for value, _ in control.options if value != known]
    elif isinstance(known, bool):
        others = [not known]
    else:
        others = [known - 1 if name in COUNTED and known else known + 2 * control.step]
    before = run(base, 1).to_json()
    for other in others:
        changed = run(replace(base, **{name: other}), 1).to_json()
        seen = ("operations", "final")
        assert [changed[each] for each in seen] != [before[each] for each in seen], other


def test_each_way_of_the_leader_is_another_one() -> None:
    base = replace(STRONG, protocol=LEADER, leader_at=LAST)
    ways = [
        replace(base, leader_reads=reads, leader_acknowledges=acknowledges)
        for reads in (LOG, CONFIRMED, UNCONFIRMED, NEAREST)
        for acknowledges in ("majority", ALONE)
    ]
    latencies = [run(way, 1).latencies_us() for way in ways]
    # A read through the log and a confirmed one take the same round trips.
    assert latencies[0] == latencies[2]
    different = [latencies[n] for n in (0, 1, 3, 4, 5, 6, 7)]
    assert all(a != b for n, a in enumerate(different) for b in different[n + 1 :])


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ({"read_quorum": 6}, "read_quorum is 6, more than the 5 replicas"),
        ({"replicas": 2, "read_quorum": 1}, "write_quorum is 3, more than the 2 replicas"),
        ({"protocol": LEADER, "election_us": 100_000, "delay_us": 50_000}, "four delays of 50000"),
        ({"protocol": LEADER, "election_us": 500_000, "far": 2}, "four delays of 150000"),
        ({"operations": 600, "anti_entropy_us": 1_000}, "events when every operation"),
        ({"protocol": LEADER, "election_us": 1_000, "delay_us": 100}, "events when every"),
        ({"replicas": 0}, "below the minimum"),
        ({"protocol": "paxos"}, "not one of its choices"),
    ],
)
def test_impossible_settings_are_refused_with_a_remedy(bad: dict[str, Any], reason: str) -> None:
    with pytest.raises(ParameterError, match=reason) as caught:
        ConsistencyParameters(**bad)
    assert caught.value.remedy.startswith("Choose")


@pytest.mark.parametrize("name", ["far", "partition", "replaced"])
def test_more_than_all_replicas_are_all(name: str) -> None:
    few = replace(STRONG, replicas=3, read_quorum=2, write_quorum=2)
    most = replace(few, **{name: 7})
    assert run(most, 1).records == run(replace(few, **{name: 3}), 1).records
    if name != "replaced":
        # With nobody on the other side nothing is far, and nothing is cut off.
        assert run(most, 1).records == run(few, 1).records


def test_the_first_preset_is_the_default_and_names_are_unique() -> None:
    presets = SIMULATOR.presets
    assert presets[0].parameters == ConsistencyParameters()
    for each in ("name", "title", "parameters"):
        assert len({str(getattr(preset, each)) for preset in presets}) == len(presets)


HEAVY: list[dict[str, Any]] = [
    {"replicas": 7, "clients": 12, "read_repair": "synchronous", "timeout_us": 100_000,
     "anti_entropy_us": 10_000},
    {"replicas": 7, "clients": 12, "versions": VECTOR, "keys": 1, "timeout_us": 100_000,
     "anti_entropy_us": 10_000, "delay_us": 50_000},
    {"protocol": LEADER, "replicas": 7, "clients": 12, "keys": 8, "leader_at": "per-key",
     "partition": 4, "partition_for_us": 10_000_000, "election_us": 600_000,
     "timeout_us": 500_000, "leader_reads": NEAREST, "think_us": 0},
]  # fmt: skip


@pytest.mark.parametrize("heavy", HEAVY)
def test_the_heaviest_runs_keep_to_the_limit(heavy: dict[str, Any]) -> None:
    parameters = ConsistencyParameters(operations=600, **heavy)
    result = run(parameters, 1)
    assert result.events <= MOST_EVENTS
    assert run(ConsistencyParameters(), 1).events < 30_000


def test_json_says_what_the_result_says() -> None:
    result = run(replace(STRONG, versions=WALL_CLOCK, skew_us=100_000), 2)
    said = result.to_json()
    assert said["ok"] + said["failed"] + said["unknown"] == len(said["operations"]) == 120
    assert [lost["number"] for lost in said["lost_writes"]] == [
        lost.number for lost in result.lost_writes
    ]
    assert len(result.lost_writes) > 5
    assert said["stale_reads"] == list(result.stale_reads)
    assert set(said["final"][0]["values"]) == {"a", "b"}
    # Sixty of each kind or so: enough for the median, not for the others.
    assert said["latency_us"]["read"]["p50"] == result.latency_us(50, writes=False)
    assert said["latency_us"]["read"]["p95"] is None
