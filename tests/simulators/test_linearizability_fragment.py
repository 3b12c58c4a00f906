"""Fragments: not linearizable, and nothing can be removed; and what it means to remove."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from random_histories import linearizable_history, with_older_read
from small_histories import WITH_CAS, Legal, histories, is_linearizable, legal_register
from test_linearizability import LOST_WRITE, NEW_OLD_INVERSION, STALE_READ, op

from remotecalls.simulators.linearizability import (
    NOT_LINEARIZABLE,
    UNDECIDED,
    CasRegister,
    Operation,
    Verdict,
    check,
    check_registers,
    smallest_fragment,
    without,
)

# ---------------------------------------------------------------- to remove


def test_a_write_takes_its_reads_with_it() -> None:
    assert without(STALE_READ, [0]) == (STALE_READ[1],)
    assert without(STALE_READ, [1]) == (STALE_READ[0], STALE_READ[2])
    assert without(STALE_READ, [2]) == tuple(STALE_READ[:2])
    assert without(STALE_READ, [0, 1]) == ()
    assert without(STALE_READ, []) == tuple(STALE_READ)


def test_reads_stay_if_it_was_another_write_of_the_value() -> None:
    one, other, read = op("write", 1, 0, 1), op("write", 1, 2, 3), op("read", 1, 4, 5)
    assert without([one, other, read], [0]) == (other, read)
    assert without([one, other, read], [1]) == (one,)
    assert without([one, other, read], [0, 1]) == ()
    later = op("write", 1, 6, 7)
    assert without([one, read, later], [2]) == (one, read)
    assert without([one, read, later], [0]) == (later,)
    # At the same time, or of unknown outcome: nobody knows whose value was read.
    assert without([one, op("write", 1, 1, 3), read], [0]) == (op("write", 1, 1, 3),)
    assert without([one, op("write", 1, 2, None), read], [0]) == (op("write", 1, 2, None),)
    assert without([one, op("write", 1, 2, 4), read], [0]) == (op("write", 1, 2, 4),)
    failed = op("write", 1, 2, 3, outcome="failed")
    assert without([one, failed, read], [0]) == (failed,)
    assert without([one, failed, read], [1]) == (one, read)


def test_a_read_from_the_future_goes_with_the_last_write_of_its_value() -> None:
    read, one, other = op("read", 1, 0, 1), op("write", 1, 2, 3), op("write", 1, 4, 5)
    assert without([read, one], [1]) == ()
    assert without([read, one, other], [1]) == (read, other)
    assert without([read, one, other], [1, 2]) == ()


def test_reads_of_the_initial_value_stay_and_so_do_reads_from_nowhere() -> None:
    write, read = op("write", 1, 0, 1), op("read", 7, 2, 3)
    assert without([write, op("read", None, 2, 3)], [0]) == (op("read", None, 2, 3),)
    assert without([write, op("read", 1, 2, 3)], [0], initial=1) == ()
    assert without([op("read", 1, 2, 3), op("write", 1, 4, 5)], [1], initial=1) == (
        op("read", 1, 2, 3),
    )
    assert without([write, read], [0]) == (read,)


def test_a_failed_cas_goes_with_what_may_have_been_there_instead() -> None:
    failed = op("cas", (1, 2), 10, 11, outcome="failed")
    assert without([op("write", 5, 0, 1), failed], [0]) == ()
    assert without([op("write", 1, 0, 1), failed], [0]) == (failed,)
    assert without([op("write", 5, 12, 13), failed], [0]) == (failed,)
    between = op("write", 1, 2, 3)
    assert without([op("write", 5, 0, 1), between, failed], [0]) == (between, failed)
    assert without([op("write", 5, 0, 2), between, failed], [0]) == (between,)


def test_reads_of_another_key_stay() -> None:
    other = [op("write", 1, 0, 1, key="y"), op("read", 1, 2, 3, key="y")]
    assert without([op("write", 1, 0, 1), op("read", 1, 2, 3), *other], [0]) == tuple(other)


def test_a_write_takes_with_it_all_that_follows_from_it_through_cas() -> None:
    chain = [
        op("write", 1, 0, 1),
        op("cas", (1, 2), 2, 3),
        op("cas", (2, 3), 4, 5),
        op("read", 3, 6, 7),
    ]
    assert without(chain, [0]) == ()
    assert without(chain, [1]) == (chain[0],)
    # A cas that puts back what it found is no source of its own.
    assert without([chain[0], op("cas", (1, 1), 2, 3), op("read", 1, 4, 5)], [0]) == ()
    unknown = op("cas", (1, 2), 2, None)
    assert without([chain[0], unknown, op("read", 2, 4, 5)], [0]) == ()
    assert without([chain[0], unknown, op("read", 1, 4, 5)], [1]) == (chain[0], op("read", 1, 4, 5))


def test_a_read_that_is_not_done_needs_nothing() -> None:
    write = op("write", 1, 0, 1)
    reads = [op("read", 1, 2, 3, outcome="failed"), op("read", 1, 2, None)]
    assert without([write, *reads], [0]) == tuple(reads)


@settings(max_examples=150, deadline=None)
@given(histories(WITH_CAS, at_most=7), st.data())
def test_to_remove_never_makes_a_violation(history: list[Operation], data: st.DataObject) -> None:
    assume(check(history, CasRegister(1)).is_linearizable)
    removed = data.draw(st.sets(st.integers(0, len(history) - 1), min_size=1))
    smaller = without(history, removed, initial=1)
    assert len(smaller) <= len(history) - len(removed)
    assert check(smaller, CasRegister(1)).is_linearizable


@settings(max_examples=150, deadline=None)
@given(histories(at_most=7), st.data())
def test_to_remove_reads_and_writes_makes_none_either(
    history: list[Operation], data: st.DataObject
) -> None:
    assume(check_registers(history).is_linearizable)
    removed = data.draw(st.sets(st.integers(0, len(history) - 1), min_size=1))
    assert check_registers(without(history, removed)).is_linearizable


# ---------------------------------------------------------------- by hand

NOISE = [
    op("write", 50, 0, 1, key="y"),
    op("read", 50, 2, 3, key="y"),
    op("read", 99, 0, None),
    op("write", 98, 0, 1, outcome="failed"),
    op("write", 97, 0, None),
]


@pytest.mark.parametrize("violation", [STALE_READ, NEW_OLD_INVERSION, LOST_WRITE])
def test_what_has_nothing_to_do_with_it_goes(violation: list[Operation]) -> None:
    fragment = smallest_fragment([*NOISE[:3], *violation, *NOISE[3:]])
    assert fragment.operations == tuple(violation)
    assert fragment.is_minimal
    assert fragment.reason == check_registers(violation).reason


def test_a_read_from_nowhere_is_a_fragment() -> None:
    nowhere = op("read", 7, 10, 11)
    assert smallest_fragment([*NOISE, *STALE_READ[:2], nowhere]).operations == (nowhere,)


def test_a_fragment_with_cas() -> None:
    twice = [op("write", 1, 0, 1), op("cas", (1, 2), 2, 9), op("cas", (1, 3), 2, 9)]
    history = [*twice[:2], op("read", 2, 20, 21), *twice[2:], op("cas", (8, 9), 30, None)]

    def with_cas(part: Sequence[Operation]) -> Verdict:
        return check(part, CasRegister())

    assert smallest_fragment(history, check=with_cas).operations == tuple(twice)


def test_nothing_to_find() -> None:
    with pytest.raises(ValueError, match=r"The history is linearizable\. .*Only one that is not"):
        smallest_fragment(STALE_READ[:2])
    with pytest.raises(ValueError, match=r"The history is undecided\. No time\. Only"):
        smallest_fragment(STALE_READ, check=lambda part: Verdict(UNDECIDED, "No time."))


def test_the_limit_of_checks_is_told() -> None:
    history = with_older_read(linearizable_history(3, operations=200), 3)
    assert not check_registers(history).is_linearizable

    def without_evidence(part: Sequence[Operation]) -> Verdict:
        return Verdict(check_registers(part).answer, "Because.")

    fragment = smallest_fragment(history, check=without_evidence, check_limit=20)
    assert not fragment.is_minimal
    assert fragment.reason == "Because. It may not be minimal: the limit of 20 checks is reached."
    assert fragment.checks <= 21
    assert not check_registers(fragment.operations).is_linearizable
    whole = smallest_fragment(history, check=without_evidence)
    assert whole.is_minimal
    assert len(whole.operations) < len(fragment.operations) < len(history)


def test_undecided_parts_are_told() -> None:
    def undecided_if_small(part: Sequence[Operation]) -> Verdict:
        return check_registers(part) if len(part) > 3 else Verdict(UNDECIDED)

    fragment = smallest_fragment([*STALE_READ, *NOISE], check=undecided_if_small)
    assert len(fragment.operations) == 4
    assert not fragment.is_minimal
    assert "parts of it were undecided" in fragment.reason


# ---------------------------------------------------------------- of any history


def look_at_fragment(history: Sequence[Operation], legal: Legal, **arguments: Any) -> None:
    fragment = smallest_fragment(history, **arguments)
    assert fragment.is_minimal
    rest = list(history)
    for each in fragment.operations:
        rest.remove(each)
    assert not is_linearizable(fragment.operations, legal)
    for number in range(len(fragment.operations)):
        smaller = without(fragment.operations, [number], initial=arguments.get("initial"))
        assert is_linearizable(smaller, legal)


@settings(max_examples=100, deadline=None)
@given(histories(unique=True, keys="xy"))
def test_fragments_of_unique_values(history: list[Operation]) -> None:
    assume(check_registers(history).answer == NOT_LINEARIZABLE)
    look_at_fragment(history, legal_register)


@settings(max_examples=100, deadline=None)
@given(histories())
def test_fragments_of_few_values(history: list[Operation]) -> None:
    assume(check_registers(history, initial=1).answer == NOT_LINEARIZABLE)
    look_at_fragment(history, lambda order: legal_register(order, 1), initial=1)


@settings(max_examples=100, deadline=None)
@given(histories(WITH_CAS))
def test_fragments_with_cas(history: list[Operation]) -> None:
    def with_cas(part: Sequence[Operation]) -> Verdict:
        return check(part, CasRegister())

    assume(with_cas(history).answer == NOT_LINEARIZABLE)
    look_at_fragment(history, legal_register, check=with_cas)


@pytest.mark.parametrize("seed", range(8))
def test_fragments_of_a_thousand_operations(seed: int) -> None:
    history = with_older_read(linearizable_history(seed), seed)
    verdict = check_registers(history)
    if verdict.is_linearizable:
        with pytest.raises(ValueError, match="linearizable"):
            smallest_fragment(history)
        return
    fragment = smallest_fragment(history)
    assert fragment.checks < 40
    assert 2 <= len(fragment.operations) <= 6
    look_at_fragment(history, legal_register)


def test_few_checks_find_a_fragment_that_only_the_search_can_see() -> None:
    history = linearizable_history(5, operations=200, values=3, unknown=0)
    last = max(each.returned_us or each.called_us for each in history)
    wrong = [op("write", 9, last + 1, last + 2), op("read", 1, last + 3, last + 4)]
    fragment = smallest_fragment([*history, *wrong])
    assert fragment.is_minimal
    assert fragment.checks < 200
    # Two writes of 1 overlapped at the end, and either of them may be the one that was read.
    *writes, overwriting, stale = fragment.operations
    assert [overwriting, stale] == wrong
    assert [(each.kind, each.value) for each in writes] == [("write", 1)] * 2
