"""Staleness and sessions: by hand, and beside the checker."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from random_histories import linearizable_history, with_older_read
from small_histories import histories
from test_linearizability import op

from remotecalls.simulators.linearizability import (
    BackwardRead,
    Operation,
    Staleness,
    UnreadOwnWrite,
    backward_reads,
    check_registers,
    staleness,
    unread_own_writes,
    unwritten_reads,
)

ONE, TWO, THREE = op("write", 1, 0, 10), op("write", 2, 20, 30), op("write", 3, 40, 50)


# ---------------------------------------------------------------- staleness


@pytest.mark.parametrize(
    ("value", "write", "missed", "stale_us"),
    [
        (None, None, (ONE, TWO, THREE), 90),
        (1, ONE, (TWO, THREE), 70),
        (2, TWO, (THREE,), 50),
        (3, THREE, (), 0),
    ],
)
def test_how_stale_a_read_was(value: Any, write: Any, missed: Any, stale_us: int) -> None:
    read = op("read", value, 100, 110)
    [found] = staleness([THREE, read, ONE, TWO])
    assert found == Staleness(read, write, missed, stale_us)
    assert found.writes == len(missed)


def test_a_write_that_has_not_returned_is_not_missed() -> None:
    read = op("read", 1, 50, 60)
    [found] = staleness([ONE, TWO, THREE, read])
    assert found.missed == (TWO,), "3 returned in the microsecond of the call"
    [found] = staleness([ONE, op("write", 2, 20, None), read])
    assert found.missed == ()
    [found] = staleness([ONE, op("write", 2, 20, 30, outcome="failed"), read])
    assert found.missed == ()
    # Not even if another client has read it: the checker sees that, not this oracle.
    seen = [ONE, op("write", 2, 20, 90), op("read", 2, 25, 35), op("read", 1, 50, 60)]
    assert [each.writes for each in staleness(seen)] == [0, 0]
    assert not check_registers(seen).is_linearizable


def test_of_writes_that_overlap_none_is_the_newer() -> None:
    overlapping = [op("write", 1, 0, 10), op("write", 2, 5, 15), op("write", 3, 10, 20)]
    for value in (1, 2, 3):
        [found] = staleness([*overlapping, op("read", value, 100, 110)])
        assert found.missed == ()
    later = op("write", 4, 16, 20)
    [found] = staleness([*overlapping, later, op("read", 1, 100, 110)])
    assert found == Staleness(op("read", 1, 100, 110), overlapping[0], (later,), 80)


def test_a_write_is_older_too_if_its_value_was_read_before_the_other_was_called() -> None:
    slow, new = op("write", 1, 0, 90), op("write", 2, 20, 30)
    stale = op("read", 1, 40, 50)
    [found] = staleness([slow, new, stale])
    assert found.missed == ()
    found = staleness([slow, new, op("read", 1, 5, 15), stale])[1]
    assert (found.missed, found.stale_us) == ((new,), 10)
    unknown = op("write", 1, 0, None)
    assert staleness([unknown, new, op("read", 1, 5, 15), stale])[1].missed == (new,)
    assert staleness([unknown, new, stale])[0].missed == ()


def test_each_key_and_the_initial_value() -> None:
    elsewhere = op("write", 0, 20, 30, key="y")
    read = op("read", 1, 40, 50)
    assert [each.writes for each in staleness([ONE, elsewhere, read])] == [0]
    [found] = staleness([ONE, op("read", 0, 40, 50)], initial=0)
    assert (found.write, found.missed) == (None, (ONE,))


def test_reads_that_are_not_done_and_values_from_nowhere_are_left_out() -> None:
    nowhere = op("read", 9, 40, 50)
    failed_write = op("write", 8, 0, 1, outcome="failed")
    of_failed = op("read", 8, 30, 31)
    history = [
        ONE,
        op("read", None, 40, None),
        op("read", None, 40, 50, outcome="failed"),
        nowhere,
        failed_write,
        of_failed,
    ]
    assert staleness(history) == ()
    assert unwritten_reads(history) == (of_failed, nowhere)
    assert unwritten_reads([op("read", 9, 40, 50)], initial=9) == ()
    assert backward_reads(history) == unread_own_writes(history) == ()


# ---------------------------------------------------------------- sessions


def test_read_your_writes() -> None:
    own = op("write", 2, 20, 30, process=1)
    old, initial, mine = (op("read", value, 40, 50, process=1) for value in (1, None, 2))
    assert unread_own_writes([ONE, own, old]) == (UnreadOwnWrite(old, ONE, own),)
    assert unread_own_writes([ONE, own, initial]) == (UnreadOwnWrite(initial, None, own),)
    assert unread_own_writes([ONE, own, mine]) == ()
    assert unread_own_writes([ONE, own, op("read", 1, 40, 50, process=2)]) == ()


def test_what_is_newer_than_ones_own_write_or_may_be_is_no_violation() -> None:
    own = op("write", 2, 20, 30, process=1)
    read = op("read", 1, 40, 50, process=1)
    assert unread_own_writes([op("write", 1, 31, 35), own, read]) == ()
    assert unread_own_writes([op("write", 1, 15, 20), own, read]) == ()
    assert unread_own_writes([op("write", 1, 15, 19), own, read]) != ()


def test_the_newest_own_write_that_is_done_counts() -> None:
    first = op("write", 1, 0, 10, process=1)
    second = op("write", 2, 20, 30, process=1)
    failed = op("write", 3, 31, 32, process=1, outcome="failed")
    elsewhere = op("write", 4, 33, 34, process=1, key="y")
    read = op("read", 1, 40, 50, process=1)
    assert unread_own_writes([read, first, second, failed, elsewhere]) == (
        UnreadOwnWrite(read, first, second),
    )
    assert unread_own_writes([op("read", None, 0, 1, process=1), op("write", 1, 5, 9)]) == ()


def test_monotonic_reads() -> None:
    new, old = op("read", 2, 40, 50, process=5), op("read", 1, 60, 70, process=5)
    nothing = op("read", None, 80, 90, process=5)
    assert backward_reads([ONE, TWO, new, old]) == (BackwardRead(old, ONE, new, None),)
    assert backward_reads([ONE, TWO, new, nothing]) == (BackwardRead(nothing, None, new, None),)
    assert backward_reads([ONE, TWO, new, old, nothing])[1].earlier == old
    assert backward_reads([ONE, TWO, new, op("read", 1, 60, 70, process=6)]) == ()
    assert backward_reads([ONE, TWO, op("read", 1, 30, 35, process=5), new]) == ()


def test_to_leave_a_value_and_come_back_is_backward_whichever_is_the_newer() -> None:
    writes = [op("write", 1, 0, 100), op("write", 2, 0, 100)]
    one, two, again, still = (
        op("read", value, at, at + 5, process=5)
        for at, value in ((110, 1), (120, 2), (130, 1), (140, 1))
    )
    assert backward_reads([*writes, one, two]) == ()
    assert backward_reads([*writes, one, two, again, still]) == (
        BackwardRead(again, writes[0], two, one),
    )


# ---------------------------------------------------------------- what cannot be told apart


def test_writes_that_cannot_be_told_apart() -> None:
    for oracle in (staleness, unread_own_writes, backward_reads, unwritten_reads):
        with pytest.raises(ValueError, match=r"write x 1 by 0 \(0\.\.10 us\) also writes it"):
            oracle([ONE, op("write", 1, 20, 30)])
        with pytest.raises(ValueError, match="it is the initial one"):
            oracle([ONE], initial=1)
        with pytest.raises(ValueError, match="not a cas: cas x 1 -> 2"):
            oracle([op("cas", (1, 2), 0, 1)])
        assert oracle([ONE, op("write", 1, 20, 30, outcome="failed")]) == ()
        assert oracle([ONE, op("write", 1, 20, 30, key="y")]) == ()


# ---------------------------------------------------------------- beside the checker


def violations(history: list[Operation]) -> int:
    stale = sum(each.writes > 0 for each in staleness(history))
    return (
        stale
        + len(unwritten_reads(history))
        + len(unread_own_writes(history))
        + len(backward_reads(history))
    )


@settings(max_examples=500, deadline=None)
@given(histories(unique=True, at_most=9, keys="xxxy"))
def test_whatever_an_oracle_finds_is_not_linearizable(history: list[Operation]) -> None:
    if violations(history):
        assert not check_registers(history).is_linearizable


@pytest.mark.parametrize("seed", range(5))
def test_what_is_linearizable_has_no_violation_and_a_stale_read_is_found(seed: int) -> None:
    history = linearizable_history(seed, keys=2)
    assert violations(history) == 0
    assert len(staleness(history)) == sum(
        each.kind == "read" and each.outcome == "ok" for each in history
    )
    mutated = with_older_read(history, seed, among=1_000)
    [stale] = [each for each in staleness(mutated) if each.writes]
    assert stale.read in set(mutated) - set(history)
    assert stale.stale_us == stale.read.called_us - min(
        each.returned_us or 0 for each in stale.missed
    )
