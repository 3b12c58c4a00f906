"""Each preset's sentence, over several seeds."""

from __future__ import annotations

from dataclasses import replace
from statistics import median
from typing import Any

import pytest

from remotecalls.simulators.consistency import PRESETS, SIMULATOR, ConsistencyResult, run
from remotecalls.simulators.consistency.clients import Record
from remotecalls.simulators.consistency.parameters import ABD, VECTOR
from remotecalls.simulators.linearizability.registers import check_registers

SEEDS = range(6)
EVERY_SEED = pytest.mark.parametrize("seed", SEEDS)


def is_linearizable(result: ConsistencyResult) -> bool:
    return check_registers(result.history).is_linearizable


def of_preset(name: str, seed: int, **changes: Any) -> ConsistencyResult:
    return run(replace(SIMULATOR.preset(name).parameters, **changes), seed)


def middle_ms(result: ConsistencyResult, *, writes: bool) -> float:
    return median(result.latencies_us(writes=writes)) / 1_000


def during(result: ConsistencyResult, *, cut: bool, margin_us: int = 0) -> list[Record]:
    """Return the operations that began and ended in the partition, of one side."""
    parameters = result.parameters
    start_us = parameters.partition_at_us + margin_us
    end_us = parameters.partition_at_us + parameters.partition_for_us
    return [
        record
        for record in result.records
        if (record.node >= parameters.replicas - parameters.partition) == cut
        and start_us <= record.operation.called_us
        and record.over_us < end_us
    ]


def all_are_served(result: ConsistencyResult) -> bool:
    return result.count("ok") == len(result.records)


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.name)
def test_every_preset_is_small(preset: Any) -> None:
    result = run(preset.parameters, preset.seed)
    assert result.events < 30_000
    assert preset.sentence.endswith(".")


# ---------------------------------------------------------------- quorums


@EVERY_SEED
def test_three_of_five(seed: int) -> None:
    near, far = of_preset("quorum-5-of-3", seed), of_preset("wan", seed)
    for result, trip_ms in ((near, 10), (far, 200)):
        reads, writes = (middle_ms(result, writes=writes) for writes in (False, True))
        assert 0.8 * trip_ms < reads - 1 < 1.05 * trip_ms
        assert 1.8 < writes / reads < 2.2
        assert is_linearizable(result)
    assert 17 < middle_ms(far, writes=False) / middle_ms(near, writes=False) < 20


@EVERY_SEED
def test_weak_is_local_and_stale(seed: int) -> None:
    result = of_preset("weak", seed)
    assert set(result.latencies_us()) == {1_000}
    assert len(result.stale_reads) > 10
    assert of_preset("weak", seed, delay_us=1_000).latencies_us() == result.latencies_us()


@EVERY_SEED
def test_all_of_five_stop_with_one(seed: int) -> None:
    result = of_preset("all-of-5", seed)
    assert not any(record.is_ok for cut in (False, True) for record in during(result, cut=cut))
    assert during(result, cut=False)
    assert during(result, cut=True)
    before = of_preset("all-of-5", seed, partition=0)
    assert all_are_served(before)
    of_three = of_preset("all-of-5", seed, partition=0, read_quorum=3, write_quorum=3)
    assert middle_ms(before, writes=False) > 1.1 * middle_ms(of_three, writes=False)


@EVERY_SEED
def test_three_of_five_tolerate_two_and_not_three(seed: int) -> None:
    for gone in (1, 2, 3):
        result = of_preset("minority", seed, partition=gone)
        rest, cut = during(result, cut=False), during(result, cut=True, margin_us=1)
        assert min(len(rest), len(cut)) >= 3
        assert all(record.is_ok == (gone <= 2) for record in rest if is_clear(result, record))
        assert all(record.is_ok == (gone == 3) for record in cut if is_clear(result, record))
        assert is_linearizable(result)
        # When it has healed all are served again.
        healed_us = result.parameters.partition_at_us + result.parameters.partition_for_us
        later = [each for each in result.records if each.operation.called_us > healed_us]
        assert later
        assert all(record.is_ok for record in later)


def is_clear(result: ConsistencyResult, record: Record) -> bool:
    """Not begun so near to the beginning that what was under way still arrived."""
    return record.operation.called_us > result.parameters.partition_at_us + 100_000


@EVERY_SEED
def test_eventual_serves_all_and_becomes_equal(seed: int) -> None:
    eventual, never = of_preset("eventual", seed), of_preset("never-equal", seed)
    for result in (eventual, never):
        assert all_are_served(result)
        for cut in (False, True):
            there = [id(record) for record in during(result, cut=cut)]
            stale = [n for n in result.stale_reads if id(result.records[n]) in there]
            assert len(stale) > 2
        assert not is_linearizable(result)
    assert eventual.has_converged
    assert not never.has_converged


@EVERY_SEED
@pytest.mark.parametrize(
    "repair",
    [{"anti_entropy_us": 500_000}, {"sloppy": True}],
)
def test_what_makes_replicas_equal(seed: int, repair: dict[str, Any]) -> None:
    assert not of_preset("never-equal", seed).has_converged
    assert of_preset("never-equal", seed, **repair).has_converged


@pytest.mark.parametrize("kind", ["asynchronous", "synchronous"])
def test_read_repair_makes_equal_what_is_read(kind: str) -> None:
    # Many keys and few writes: some keys are not written again, and all are read again.
    changes: dict[str, Any] = {
        "keys": 8, "write_percent": 10, "read_quorum": 2, "write_quorum": 2,
        "partition_at_us": 0, "partition_for_us": 3_000_000,
    }  # fmt: skip
    without = [of_preset("never-equal", seed, **changes).has_converged for seed in SEEDS]
    repaired = [
        of_preset("never-equal", seed, **changes, read_repair=kind).has_converged for seed in SEEDS
    ]
    assert sum(without) <= 2
    assert all(repaired)


@EVERY_SEED
def test_sloppy_serves_all_and_loses_some(seed: int) -> None:
    result = of_preset("sloppy", seed)
    parameters = result.parameters
    assert parameters.read_quorum + parameters.write_quorum > parameters.replicas
    for cut in (False, True):
        assert all(record.is_ok for record in during(result, cut=cut))
    assert result.lost_writes
    assert result.stale_reads
    assert result.has_converged
    assert not is_linearizable(result)
    # Without the spare nodes nothing is lost, and one side is not served.
    strict = of_preset("sloppy", seed, sloppy=False)
    assert strict.lost_writes == ()
    assert strict.count("failed") > 5
    assert is_linearizable(strict)


def test_hints_that_are_never_handed_over_leave_the_sides_apart() -> None:
    changes: dict[str, Any] = {
        "partition_for_us": 6_000_000, "settle_us": 4_000_000, "read_repair": "off",
    }  # fmt: skip
    handed = [of_preset("sloppy", seed, **changes) for seed in SEEDS]
    kept = [of_preset("sloppy", seed, handoff_us=0, **changes) for seed in SEEDS]
    assert all(result.has_converged for result in handed)
    assert not any(result.has_converged for result in kept)


# ---------------------------------------------------------------- linearizable or not


def test_flicker_and_its_repair() -> None:
    flicker, repair = SIMULATOR.preset("flicker"), SIMULATOR.preset("read-repair")
    assert flicker.parameters.read_quorum + flicker.parameters.write_quorum == 4 > 3
    assert replace(repair.parameters, read_repair="off") == flicker.parameters
    shown = run(flicker.parameters, flicker.seed)
    assert not is_linearizable(shown)
    assert shown.stale_reads == ()
    assert is_linearizable(run(repair.parameters, repair.seed))
    broken = [seed for seed in range(30) if not is_linearizable(run(flicker.parameters, seed))]
    assert len(broken) > 5
    for seed in broken:
        result = run(repair.parameters, seed)
        assert is_linearizable(result)
        latencies = sorted(result.latencies_us(writes=False))
        assert latencies[-1] > 1.5 * latencies[0]


@EVERY_SEED
def test_two_phases(seed: int) -> None:
    result = of_preset("abd", seed)
    assert result.parameters.protocol == ABD
    reads, writes = (middle_ms(result, writes=writes) for writes in (False, True))
    assert 0.9 < reads / writes < 1.1
    assert is_linearizable(result)
    assert all(record.is_ok for record in during(result, cut=False))


@EVERY_SEED
def test_a_new_leader(seed: int) -> None:
    result = of_preset("leader", seed)
    assert is_linearizable(result)
    assert result.lost_writes == ()
    assert not any(record.is_ok for record in during(result, cut=True, margin_us=100_000))
    served = [record for record in during(result, cut=False, margin_us=100_000) if record.is_ok]
    first_us = min(record.over_us for record in served) - result.parameters.partition_at_us
    assert 500_000 < first_us < 4_000_000
    # Without an election nobody on that side is served until it heals.
    fixed = of_preset("leader", seed, election_us=0)
    assert not any(record.is_ok for record in during(fixed, cut=False, margin_us=100_000))


@EVERY_SEED
def test_where_the_leader_is(seed: int) -> None:
    near, far = of_preset("geo-near", seed), of_preset("geo-far", seed)
    for writes in (False, True):
        assert middle_ms(near, writes=writes) < 20
        assert 0.8 * 600 < middle_ms(far, writes=writes) < 1.2 * 600
    for result in (near, far):
        assert all_are_served(result)
        assert is_linearizable(result)


# ---------------------------------------------------------------- clocks and versions


@EVERY_SEED
def test_skewed_clocks_lose_writes_and_a_commit_wait_does_not(seed: int) -> None:
    skewed, waiting = of_preset("skewed-clocks", seed), of_preset("commit-wait", seed)
    assert {lost.reason for lost in skewed.lost_writes} == {"buried"}
    assert waiting.lost_writes == waiting.stale_reads == ()
    assert 200 <= middle_ms(waiting, writes=True) < 201
    assert max(waiting.latencies_us(writes=False)) > 50_000
    as_spanner = of_preset("commit-wait", seed, skew_us=4_000, commit_wait_us=4_000)
    assert middle_ms(as_spanner, writes=True) < 15
    assert as_spanner.lost_writes == ()


@EVERY_SEED
def test_siblings(seed: int) -> None:
    result = of_preset("siblings", seed)
    assert len(result.siblings) > 20
    assert result.lost_writes == ()
    by_clock = of_preset("siblings", seed, versions="wall-clock", skew_us=100_000)
    assert by_clock.lost_writes
    assert by_clock.siblings == ()


def test_a_client_that_moves() -> None:
    moving = [of_preset("moving", seed) for seed in SEEDS]
    session = [of_preset("session", seed) for seed in SEEDS]
    assert all(result.session.own_writes for result in moving)
    assert sum(len(result.session.monotonic_reads) for result in moving) > 5
    for result in session:
        assert result.session.own_writes == result.session.monotonic_reads == ()
        assert result.stale_reads
        assert max(result.latencies_us(writes=False)) > 5_000
        assert all_are_served(result)


@EVERY_SEED
def test_members_are_replaced(seed: int) -> None:
    result = of_preset("membership", seed)
    parameters = result.parameters
    assert parameters.read_quorum == parameters.write_quorum == parameters.replicas
    assert not is_linearizable(result)
    assert result.stale_reads
    assert [state.node for state in result.final] == [9, 10, 11]
    change_us = parameters.replaced_at_us
    known_us = change_us + parameters.replaced_lag_us
    wrong = [result.records[n].operation.called_us for n in result.stale_reads]
    assert all(change_us - 100_000 < called_us for called_us in wrong)
    assert any(called_us < known_us for called_us in wrong)
    assert is_linearizable(of_preset("membership", seed, replaced=0))


# ---------------------------------------------------------------- PACELC

CLASSES = {"PA/EL": ("dynamo", "cassandra"), "PC/EC": ("spanner",), "PA/EC": ("mongodb",),
           "PC/EL": ("pnuts",)}  # fmt: skip


def test_the_titles_say_the_class() -> None:
    for name, presets in CLASSES.items():
        for preset in presets:
            assert SIMULATOR.preset(preset).title.startswith(name)


@EVERY_SEED
def test_available_under_a_partition(seed: int) -> None:
    for name in CLASSES["PA/EL"]:
        result = of_preset(name, seed)
        for cut in (False, True):
            served = during(result, cut=cut)
            assert len(served) > 20
            assert all(record.is_ok for record in served)
        assert result.stale_reads
        assert result.has_converged
    # The primary goes on where it is; the others have none until they have elected one.
    mongodb = of_preset("mongodb", seed)
    assert all(record.is_ok for record in during(mongodb, cut=True))
    rest = during(mongodb, cut=False)
    assert rest[-1].is_ok
    assert not all(record.is_ok for record in rest)


@EVERY_SEED
def test_consistent_under_a_partition(seed: int) -> None:
    spanner = of_preset("spanner", seed)
    # On the side of the two no majority answers, and no leader is found.
    assert not any(record.is_ok for record in during(spanner, cut=True, margin_us=200_000))
    assert is_linearizable(spanner)
    assert spanner.lost_writes == ()
    pnuts = of_preset("pnuts", seed)
    master = {"a": 0, "b": 1, "c": 2}
    for cut in (False, True):
        there = during(pnuts, cut=cut, margin_us=200_000)
        for record in there:
            is_master_cut = master[record.operation.key] == 2
            assert record.is_ok == (not record.is_write or is_master_cut == cut)
    assert pnuts.lost_writes == ()
    # What is read is old at times, and never from another order: a record has one time-line.
    assert pnuts.stale_reads
    assert pnuts.session.monotonic_reads == ()
    assert pnuts.has_converged


@EVERY_SEED
def test_latency_or_consistency_without_a_partition(seed: int) -> None:
    quiet = {name: of_preset(name, seed, partition=0) for name in
             ("dynamo", "cassandra", "spanner", "mongodb", "pnuts")}  # fmt: skip
    for result in quiet.values():
        assert all_are_served(result)
    for name in ("cassandra", "pnuts"):
        assert set(quiet[name].latencies_us(writes=False)) == {1_000}
        assert quiet[name].stale_reads
    # Consistent: asked of the leader, or of a majority, and that takes a round trip at least.
    assert middle_ms(quiet["spanner"], writes=False) > 2 * 20
    for name in ("spanner", "mongodb"):
        assert is_linearizable(quiet[name])
        assert quiet[name].stale_reads == ()
    # Twice the bound of the clocks, at least.
    assert min(quiet["spanner"].latencies_us(writes=True)) > 8_000


@EVERY_SEED
def test_what_each_of_them_pays(seed: int) -> None:
    dynamo = of_preset("dynamo", seed)
    assert dynamo.parameters.versions == VECTOR
    assert dynamo.lost_writes == ()
    assert dynamo.siblings
    mongodb = of_preset("mongodb", seed)
    assert {lost.reason for lost in mongodb.lost_writes} == {"gone"}
    # What is rolled back is what the old primary took when it was cut off, or shortly before.
    for lost in mongodb.lost_writes:
        record = mongodb.records[lost.number]
        assert record.over_us > mongodb.parameters.partition_at_us - 50_000
        assert record.node == 2 or record.over_us < mongodb.parameters.partition_at_us + 100_000


def test_spanner_times_follow_each_other_and_without_commit_wait_they_do_not() -> None:
    """Of two writes of any keys, the later one has the later time: external consistency."""

    def wrong(result: ConsistencyResult) -> int:
        writes = [each for each in result.records if each.is_write and each.is_ok]
        return sum(
            one.over_us < other.operation.called_us
            and (one.timestamp_us or 0) >= (other.timestamp_us or 0)
            for one in writes
            for other in writes
        )

    near: dict[str, Any] = {"delay_us": 1_000, "think_us": 1_000, "partition": 0,
                            "base_latency_us": 0}  # fmt: skip
    assert sum(wrong(of_preset("spanner", seed, **near)) for seed in SEEDS) == 0
    hasty = [of_preset("spanner", seed, **near, commit_wait_us=0) for seed in SEEDS]
    assert sum(wrong(result) for result in hasty) > 10
    # Each key by itself is in order all the same.
    assert all(is_linearizable(result) for result in hasty)
