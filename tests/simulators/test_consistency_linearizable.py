"""Which protocols keep a register linearizable, and what breaks the others: over many seeds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from remotecalls.simulators.consistency import ConsistencyParameters, run
from remotecalls.simulators.consistency.parameters import (
    ABD,
    ALONE,
    ASYNCHRONOUS,
    CONFIRMED,
    LEADER,
    LOG,
    NEAREST,
    PER_KEY,
    SYNCHRONOUS,
    UNCONFIRMED,
    WALL_CLOCK,
)
from remotecalls.simulators.linearizability.history import Operation
from remotecalls.simulators.linearizability.registers import check_registers

NEVER = 1 << 60

SMALL = ConsistencyParameters(
    replicas=3, read_quorum=2, write_quorum=2, clients=3, keys=1, operations=14,
    think_us=5_000, tail_percent=80, settle_us=0,
)  # fmt: skip
"""Few operations, much at the same time."""

BUSY = replace(
    SMALL, clients=6, operations=30, write_percent=25, tail_percent=150, spread_percent=90
)
"""Links that differ a lot, and more readers."""

FAULTS: dict[str, Any] = {
    "loss_per_mille": 50,
    "skew_us": 50_000,
    "partition": 1,
    "partition_at_us": 30_000,
    "partition_for_us": 100_000,
    "timeout_us": 60_000,
}

CHANGE: dict[str, Any] = {"replaced_at_us": 30_000, "replaced_lag_us": 200_000}


def is_linearizable(history: Iterable[Operation]) -> bool:
    return check_registers(history).is_linearizable


def has_an_order(history: Iterable[Operation]) -> bool:
    """A second opinion: try all orders that respect time and the register, key by key.

    An unknown write may take effect at any time after its call, or never; what failed never does.
    """
    operations = list(history)
    return all(
        _is_in_some_order([each for each in operations if each.key == key])
        for key in sorted({each.key for each in operations})
    )


def _is_in_some_order(operations: list[Operation]) -> bool:
    counted = [
        each
        for each in sorted(operations, key=lambda each: each.called_us)
        if each.outcome == "ok" or (each.outcome == "unknown" and each.kind == "write")
    ]
    called = [each.called_us for each in counted]
    returned = [
        NEVER if each.returned_us is None or each.outcome != "ok" else each.returned_us
        for each in counted
    ]
    needed = sum(1 << n for n, end_us in enumerate(returned) if end_us < NEVER)
    seen: set[tuple[int, object]] = set()
    states: list[tuple[int, object]] = [(0, None)]
    while states:
        done, value = state = states.pop()
        if done & needed == needed:
            return True
        if state in seen:
            continue
        seen.add(state)
        left = [n for n in range(len(counted)) if not done >> n & 1]
        end_us = min(returned[n] for n in left)
        for n in left:
            # Whoever is called after another has returned cannot come before it.
            if called[n] > end_us:
                break
            if counted[n].kind == "write":
                states.append((done | 1 << n, counted[n].value))
            elif counted[n].value == value:
                states.append((done | 1 << n, value))
    return False


def violations(parameters: ConsistencyParameters, count: int) -> list[int]:
    """Return the seeds, of the first `count`, whose histories are not linearizable."""
    return [s for s in range(count) if not is_linearizable(run(parameters, s).history)]


# ---------------------------------------------------------------- the checker


@pytest.mark.parametrize(
    "changes", [{"sloppy": True}, {"versions": WALL_CLOCK}, {"read_quorum": 1}, {}]
)
def test_a_search_finds_the_same(changes: dict[str, Any]) -> None:
    parameters = replace(BUSY, **FAULTS | changes)
    histories = [run(parameters, seed).history for seed in range(60)]
    found = [has_an_order(history) for history in histories]
    assert found == [is_linearizable(history) for history in histories]
    assert any(found)
    assert not all(found) or not changes


# ---------------------------------------------------------------- what holds


def test_two_phases_never_break_it() -> None:
    parameters = replace(SMALL, protocol=ABD, **FAULTS)
    assert violations(parameters, 1_000) == []
    # The faults do happen.
    results = [run(parameters, seed) for seed in range(30)]
    assert sum(result.count("unknown") for result in results) > 5
    assert sum(result.dropped for result in results) > 300


@pytest.mark.parametrize(("reads", "count"), [(CONFIRMED, 1_000), (LOG, 400)])
def test_a_leader_and_its_log_never_break_it(reads: str, count: int) -> None:
    parameters = replace(
        SMALL, protocol=LEADER, leader_reads=reads, election_us=40_000, commit_wait_us=2_000,
        **FAULTS | {"partition": 2, "partition_for_us": 200_000},
    )  # fmt: skip
    assert violations(parameters, count) == []
    results = [run(parameters, seed) for seed in range(30)]
    assert sum(result.count("unknown") for result in results) > 10


def test_a_log_for_each_key_does_not_break_it_either() -> None:
    parameters = replace(
        SMALL, protocol=LEADER, leader_at=PER_KEY, keys=2, election_us=40_000, **FAULTS
    )
    assert violations(parameters, 300) == []


def test_synchronous_read_repair_makes_quorums_linearizable() -> None:
    for base in (replace(SMALL, **FAULTS), BUSY):
        assert violations(replace(base, read_repair=SYNCHRONOUS), 300) == []


# ---------------------------------------------------------------- what does not


def test_an_overlap_of_quorums_is_not_enough() -> None:
    assert BUSY.read_quorum + BUSY.write_quorum > BUSY.replicas
    broken = violations(BUSY, 100)
    assert broken
    # The same seeds, and nothing else changed.
    repaired = replace(BUSY, read_repair=SYNCHRONOUS)
    assert all(is_linearizable(run(repaired, seed).history) for seed in broken)
    # What was acknowledged is seen: it is the writes under way that flicker.
    assert not any(run(BUSY, seed).stale_reads for seed in broken)


def test_repair_after_the_answer_comes_too_late() -> None:
    assert violations(replace(BUSY, read_repair=ASYNCHRONOUS), 300)


def test_a_sloppy_quorum_is_not_linearizable() -> None:
    parameters = replace(SMALL, read_repair=SYNCHRONOUS, **FAULTS | {"loss_per_mille": 0})
    assert violations(parameters, 100) == []
    assert len(violations(replace(parameters, sloppy=True), 100)) > 10


@pytest.mark.parametrize("protocol", ["quorum", ABD])
def test_a_change_of_members_breaks_quorums_that_overlap(protocol: str) -> None:
    parameters = replace(BUSY, protocol=protocol, read_repair=SYNCHRONOUS)
    assert violations(parameters, 60) == []
    assert violations(replace(parameters, replaced=2, **CHANGE), 60)


def test_a_change_of_members_breaks_even_all_of_all() -> None:
    parameters = replace(BUSY, read_quorum=3, write_quorum=3)
    assert violations(parameters, 100) == []
    # With one node in common a write is met that is over; one under way may be seen and not be.
    assert violations(replace(parameters, replaced=2, **CHANGE), 100)
    assert not any(
        run(replace(parameters, replaced=2, **CHANGE), seed).stale_reads for seed in range(100)
    )
    # With none in common all is lost.
    replaced = replace(parameters, replaced=3, **CHANGE)
    assert len(violations(replaced, 60)) > 20
    assert sum(len(run(replaced, seed).stale_reads) for seed in range(60)) > 20


def test_wall_clocks_break_it_and_a_commit_wait_mends_it() -> None:
    right = replace(SMALL, versions=WALL_CLOCK, read_repair=SYNCHRONOUS)
    assert violations(right, 300) == []
    skewed = replace(right, skew_us=10_000)
    assert len(violations(skewed, 300)) > 5
    assert violations(replace(skewed, commit_wait_us=10_000), 300) == []
    # A bound that the clocks do not keep to is none.
    assert violations(replace(skewed, commit_wait_us=3_000), 300)


@pytest.mark.parametrize(
    "without",
    [{"leader_reads": UNCONFIRMED}, {"leader_reads": NEAREST}, {"leader_acknowledges": ALONE}],
)
def test_a_leader_that_asks_nobody_breaks_it(without: dict[str, str]) -> None:
    parameters = replace(
        SMALL, protocol=LEADER, election_us=40_000, partition=2, partition_at_us=30_000,
        partition_for_us=300_000, timeout_us=60_000,
    )  # fmt: skip
    assert violations(parameters, 100) == []
    assert len(violations(replace(parameters, **without), 100)) > 10


def test_one_of_three_is_stale() -> None:
    parameters = replace(SMALL, read_quorum=1, write_quorum=1)
    assert len(violations(parameters, 60)) > 5
    stale = [seed for seed in range(60) if run(parameters, seed).stale_reads]
    assert stale
    # A stale read is a violation, whatever the checker says.
    assert not any(is_linearizable(run(parameters, seed).history) for seed in stale)
