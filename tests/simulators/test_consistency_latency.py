"""How long an operation takes: in round trips, by hand, and as the article says it."""

from __future__ import annotations

from dataclasses import replace
from statistics import median
from typing import Any

import pytest

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
    FIRST,
    LAST,
    LEADER,
    LOG,
    NEAREST,
    NUMBER,
    OFF,
    SPREAD,
    SYNCHRONOUS,
    UNCONFIRMED,
    VECTOR,
    WALL_CLOCK,
)

DELAY_US, WORK_US = 7_000, 300

EXACT = replace(
    STRONG, delay_us=DELAY_US, base_latency_us=WORK_US, tail_percent=0, spread_percent=0,
    clients_at=FIRST,
)  # fmt: skip
"""Every message takes as long as every other one, and all clients are beside the first replica."""

ONE_PHASE = 2 * DELAY_US + WORK_US


def took(parameters: ConsistencyParameters, seed: int = 1) -> tuple[set[int], set[int]]:
    """Return how long reads and writes took, each length once."""
    result = run(parameters, seed)
    assert result.count("ok") == len(result.records)
    return set(result.latencies_us(writes=False)), set(result.latencies_us(writes=True))


@pytest.mark.parametrize(
    ("changes", "reads_us", "writes_us"),
    [
        ({"versions": WALL_CLOCK}, ONE_PHASE, ONE_PHASE),
        ({"versions": VECTOR}, ONE_PHASE, ONE_PHASE),
        ({"versions": NUMBER}, ONE_PHASE, 2 * ONE_PHASE),
        ({"protocol": ABD}, 2 * ONE_PHASE, 2 * ONE_PHASE),
        ({"read_quorum": 1, "write_quorum": 1, "versions": WALL_CLOCK}, WORK_US, WORK_US),
        ({"read_quorum": 1, "write_quorum": 5, "versions": WALL_CLOCK}, WORK_US, ONE_PHASE),
        # The leader works on it, asks, and they work on it.
        ({"protocol": LEADER}, WORK_US + ONE_PHASE, WORK_US + ONE_PHASE),
        ({"protocol": LEADER, "leader_reads": LOG}, WORK_US + ONE_PHASE, WORK_US + ONE_PHASE),
        ({"protocol": LEADER, "leader_reads": UNCONFIRMED}, WORK_US, WORK_US + ONE_PHASE),
        ({"protocol": LEADER, "leader_acknowledges": ALONE}, WORK_US + ONE_PHASE, WORK_US),
        # To the leader and back comes on top.
        ({"protocol": LEADER, "leader_at": LAST}, 2 * ONE_PHASE, 2 * ONE_PHASE),
        ({"protocol": LEADER, "leader_at": LAST, "leader_reads": NEAREST}, WORK_US, 2 * ONE_PHASE),
        ({"replicas": 1, "read_quorum": 1, "write_quorum": 1}, WORK_US, 2 * WORK_US),
        ({"replicas": 1, "read_quorum": 1, "write_quorum": 1, "protocol": LEADER}, WORK_US,
         WORK_US),
    ],
)  # fmt: skip
def test_by_hand(changes: dict[str, Any], reads_us: int, writes_us: int) -> None:
    assert took(replace(EXACT, **changes)) == ({reads_us}, {writes_us})


def test_a_commit_wait_runs_while_the_replicas_are_asked() -> None:
    clocks = replace(EXACT, versions=WALL_CLOCK)
    # Twice the error, and one more: every clock shows more than the timestamp.
    assert took(replace(clocks, commit_wait_us=20_000))[1] == {40_001}
    assert took(replace(clocks, commit_wait_us=5_000))[1] == {ONE_PHASE}
    # The leader takes its timestamp when it has worked on the write; a later one waits longer.
    log = run(replace(EXACT, protocol=LEADER, commit_wait_us=20_000))
    assert min(log.latencies_us(writes=True)) == WORK_US + 40_001
    assert run(replace(EXACT, commit_wait_us=20_000)).records == run(EXACT).records


@pytest.mark.parametrize("seed", range(10))
def test_a_quorum_is_as_slow_as_the_slowest_reply_that_it_needs(seed: int) -> None:
    parameters = replace(EXACT, spread_percent=80, versions=WALL_CLOCK)
    by_count = [took(replace(parameters, read_quorum=count), seed)[0] for count in range(1, 6)]
    # All clients are in one place, so that each count has one link, and one length.
    assert all(len(lengths) == 1 for lengths in by_count)
    lengths = [min(each) for each in by_count]
    assert lengths[0] == WORK_US
    assert lengths == sorted(lengths)
    assert len(set(lengths)) == 5
    # Writes ask the same nodes over the same links.
    for count in range(1, 6):
        assert took(replace(parameters, write_quorum=count), seed)[1] == {lengths[count - 1]}


@pytest.mark.parametrize("seed", range(5))
def test_one_slow_replica_of_five_is_not_waited_for(seed: int) -> None:
    parameters = replace(EXACT, far=2, far_delay_us=200_000, versions=WALL_CLOCK)
    assert took(parameters, seed) == ({ONE_PHASE}, {ONE_PHASE})
    slow_us = 400_000 + WORK_US
    assert took(replace(parameters, read_quorum=4), seed) == ({slow_us}, {ONE_PHASE})


def measured(name: str, **changes: Any) -> tuple[float, float]:
    """Return the medians of reads and writes of a preset over ten seeds, in milliseconds."""
    parameters = replace(SIMULATOR.preset(name).parameters, **changes)
    results = [run(parameters, seed) for seed in range(10)]
    return middle(results, writes=False), middle(results, writes=True)


def middle(results: list[ConsistencyResult], *, writes: bool) -> float:
    return median(us for each in results for us in each.latencies_us(writes=writes)) / 1_000


def test_what_the_article_says_of_three_of_five() -> None:
    """It says 15 ms at 5 ms and 300 ms at 100 ms: between one phase of ours and two."""
    lan, wan = measured("quorum-5-of-3"), measured("wan")
    # Two delays and the work, and a little less, since three of five are the faster ones.
    assert 9.5 < lan[0] < 11.5
    assert 19 < lan[1] < 23
    assert 180 < wan[0] < 202
    assert 360 < wan[1] < 404
    # With a version that needs no reading, a write is a read.
    one_phase = measured("wan", versions=WALL_CLOCK)
    assert one_phase[1] == pytest.approx(one_phase[0], rel=0.03)


def test_weak_does_not_depend_on_the_network() -> None:
    for delay_us in (1_000, 5_000, 150_000):
        assert measured("weak", delay_us=delay_us) == (1.0, 1.0)


def test_a_read_that_repairs_takes_two_round_trips() -> None:
    base = replace(EXACT, clients_at=SPREAD, keys=1, think_us=5_000, spread_percent=50)
    plain, repairing = (
        run(replace(base, read_repair=kind)).latencies_us(writes=False)
        for kind in (OFF, SYNCHRONOUS)
    )
    # One link is the second fastest of its coordinator: each of these has one length only.
    assert len(set(plain)) <= 5
    assert min(repairing) == min(plain)
    assert max(repairing) > max(plain) + min(plain)
    assert sum(repairing) > sum(plain)
