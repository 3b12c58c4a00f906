"""What is lost, stale, or out of order: by hand, and over seeds."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from remotecalls.simulators.consistency import (
    STRONG,
    ConsistencyParameters,
    ConsistencyResult,
    run,
)
from remotecalls.simulators.consistency.audit import (
    BURIED,
    GONE,
    LostWrite,
    lost_writes,
    session_violations,
    stale_reads,
)
from remotecalls.simulators.consistency.clients import Record
from remotecalls.simulators.consistency.parameters import (
    ALONE,
    LAST,
    LEADER,
    NEAREST,
    NUMBER,
    VECTOR,
    WALL_CLOCK,
)
from remotecalls.simulators.consistency.result import summed
from remotecalls.simulators.consistency.versions import Stamps
from remotecalls.simulators.linearizability.history import Operation
from remotecalls.simulators.percentiles import BEYOND


def record(
    kind: str, value: int | None, called: int, over: int, version: int = 0, client: int = 0,
    outcome: str = "ok", values: tuple[int, ...] | None = None,
) -> Record:  # fmt: skip
    returned = None if outcome == "unknown" else over
    found = values if values is not None else () if value is None else (value,)
    return Record(
        operation=Operation(client, "a", kind, value, called, returned, outcome),
        client=client,
        node=0,
        over_us=over,
        version=(version, called) if version else (),
        timestamp_us=None,
        values=() if kind == "write" else found,
    )


# ---------------------------------------------------------------- by hand


def lost(*records: Record, kept: bool = True) -> tuple[LostWrite, ...]:
    return lost_writes(records, Stamps().covers, lambda _: kept)


def test_a_write_is_buried_by_an_earlier_one_with_a_greater_version() -> None:
    early = record("write", 1, 0, 10, version=9)
    assert lost(early, record("write", 2, 20, 30, version=4)) == (LostWrite(1, BURIED),)
    assert lost(early, record("write", 2, 20, 30, version=12)) == ()
    # At the same time either may win.
    assert lost(early, record("write", 2, 10, 30, version=4)) == ()
    # Nobody was promised anything of the one or the other.
    assert lost(early, record("write", 2, 20, 30, version=4, outcome="unknown")) == ()
    unknown = record("write", 1, 0, 10, version=9, outcome="unknown")
    assert lost(unknown, record("write", 2, 20, 30, version=4)) == ()
    assert lost(early, record("read", 1, 20, 30, version=4)) == ()


def test_a_write_that_no_replica_has_is_gone() -> None:
    assert lost(record("write", 1, 0, 10, version=9), kept=False) == (LostWrite(0, GONE),)


def test_a_read_is_stale_if_its_value_was_replaced_before() -> None:
    first, second = record("write", 1, 0, 10), record("write", 2, 20, 30)
    for value, called, is_stale in (
        (1, 31, True),
        (None, 31, True),
        (2, 31, False),
        (1, 30, False),  # not before: at the same time
        (1, 5, False),
        (None, 10, False),
        (None, 11, True),
    ):
        found = stale_reads([first, second, record("read", value, called, 40)])
        assert found == ((2,) if is_stale else ()), (value, called)
    # Two writes at the same time: neither replaced the other.
    other = record("write", 2, 5, 15)
    assert stale_reads([first, other, record("read", 1, 31, 40)]) == ()
    # A write that is not known to be over is not old; of siblings one must be new.
    unknown = record("write", 1, 0, 10, outcome="unknown")
    assert stale_reads([unknown, second, record("read", 1, 31, 40)]) == ()
    assert stale_reads([first, second, record("read", 2, 31, 40, values=(1, 2))]) == ()
    assert stale_reads([first, second, record("read", None, 31, 40, outcome="failed")]) == ()


def test_a_session_is_broken_by_the_client_itself_only() -> None:
    wrote = record("write", 1, 0, 10, version=5)
    behind = record("read", None, 20, 30)
    assert session_violations([wrote, behind], Stamps()).own_writes == (1,)
    assert session_violations([wrote, replace(behind, client=1)], Stamps()).own_writes == ()
    read = record("read", 1, 20, 30, version=5, client=1)
    again = record("read", None, 40, 50, client=1)
    broken = session_violations([wrote, read, again], Stamps())
    assert (broken.own_writes, broken.monotonic_reads) == ((), (2,))
    newer = record("read", 7, 40, 50, version=6, client=1)
    assert session_violations([wrote, read, newer], Stamps()).monotonic_reads == ()


def with_latencies(count: int) -> ConsistencyResult:
    result = run(replace(STRONG, operations=10))
    records = tuple(record("write", n, 0, 1 + n) for n in range(count))
    return replace(result, records=records)


def test_a_percentile_is_said_only_with_twenty_beyond_it() -> None:
    assert BEYOND == 20
    assert with_latencies(39).latency_us(50) is None
    assert with_latencies(40).latency_us(50) == 20
    assert with_latencies(399).latency_us(95) is None
    assert with_latencies(400).latency_us(95) == 380
    assert with_latencies(1_999).latency_us(99) is None
    assert with_latencies(2_000).latency_us(99) == 1_980
    assert with_latencies(2_000).latency_us(99, writes=False) is None


# ---------------------------------------------------------------- over seeds


def total(parameters: ConsistencyParameters, seeds: int = 12) -> dict[str, int]:
    return summed(run(parameters, seed) for seed in range(seeds))


def test_wall_clocks_lose_more_the_more_they_differ() -> None:
    base = replace(STRONG, versions=WALL_CLOCK)
    counts = [
        total(replace(base, skew_us=skew_us))["lost"]
        for skew_us in (0, 10_000, 30_000, 100_000, 300_000)
    ]
    assert counts[0] == 0
    assert counts[1] > 0
    assert all(less < more for less, more in pairwise(counts))
    # Most of the writes, when the clocks differ by more than the time between two of them.
    assert counts[-1] > 180
    for versions in (NUMBER, VECTOR):
        assert total(replace(base, versions=versions, skew_us=300_000))["lost"] == 0


def test_a_number_from_a_quorum_that_does_not_overlap_loses_some_too() -> None:
    base = replace(STRONG, read_quorum=1, write_quorum=1, delay_us=50_000)
    assert total(base)["lost"] > 20
    assert total(replace(base, read_quorum=3, write_quorum=3))["lost"] == 0


def test_what_is_lost_is_read_by_nobody_later_in_an_overlapping_quorum() -> None:
    result = run(replace(STRONG, versions=WALL_CLOCK, skew_us=100_000), 2)
    assert result.lost_writes
    for each in result.lost_writes:
        write = result.records[each.number]
        later = [
            other
            for other in result.records
            if not other.is_write and other.operation.called_us > write.over_us
        ]
        assert not any(write.operation.value in other.values for other in later)


@pytest.mark.parametrize("versions", [WALL_CLOCK, NUMBER, VECTOR])
def test_session_guarantees_of_quorums(versions: str) -> None:
    base = replace(
        STRONG, read_quorum=1, write_quorum=1, versions=versions, delay_us=30_000, roaming=True,
        skew_us=20_000,
    )  # fmt: skip
    without, kept = total(base), total(replace(base, session=True))
    assert without["own_writes"] > 20
    assert without["monotonic"] > 5
    assert kept["own_writes"] == kept["monotonic"] == 0
    # The price: where the replica that has it cannot be reached there is no answer.
    cut: dict[str, Any] = {"partition": 2, "think_us": 100_000, "timeout_us": 300_000}
    assert total(replace(base, **cut))["failed"] == 0
    assert total(replace(base, **cut, session=True))["failed"] > 20


def test_session_guarantees_of_the_nearest_replica() -> None:
    base = replace(STRONG, protocol=LEADER, leader_reads=NEAREST, delay_us=30_000, roaming=True)
    without, kept = total(base), total(replace(base, session=True))
    assert without["own_writes"] > 20
    assert without["monotonic"] > 5
    assert kept["own_writes"] == kept["monotonic"] == 0
    assert kept["failed"] == 0


def test_a_leader_that_does_not_wait_loses_what_it_alone_has() -> None:
    cut = replace(
        STRONG, protocol=LEADER, leader_at=LAST, partition=2, partition_for_us=4_000_000,
        think_us=100_000, operations=200, timeout_us=500_000,
    )  # fmt: skip
    assert total(cut, 10)["lost"] == 0
    alone = [run(replace(cut, leader_acknowledges=ALONE), seed) for seed in range(10)]
    assert all(result.lost_writes for result in alone)
    assert {each.reason for result in alone for each in result.lost_writes} == {GONE}


def test_what_old_members_took_is_gone_with_them() -> None:
    base = replace(
        STRONG, replicas=3, read_quorum=2, write_quorum=2, keys=8, operations=100, think_us=50_000,
        replaced_at_us=300_000, replaced_lag_us=10_000_000,
    )  # fmt: skip
    reasons = [
        each.reason
        for seed in range(20)
        for each in run(replace(base, replaced=3), seed).lost_writes
    ]
    assert GONE in reasons
    assert total(base)["lost"] == 0
