"""The checkers: by hand, against the definition on small histories, and each against the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_histories import linearizable_history, with_older_read
from small_histories import (
    OF_A_QUEUE,
    OF_A_SET,
    WITH_CAS,
    Legal,
    histories,
    is_linearizable,
    legal_queue,
    legal_register,
    legal_set,
    respects_time,
)

from remotecalls.simulators.linearizability import (
    LINEARIZABLE,
    NOT_LINEARIZABLE,
    UNDECIDED,
    CasRegister,
    Model,
    Operation,
    Queue,
    Set,
    Verdict,
    check,
    check_registers,
    effect_times_us,
    search_registers,
)
from remotecalls.simulators.linearizability.models import State


def op(kind: str, value: Any, called: int, returned: int | None, **other: Any) -> Operation:
    """An operation; unknown if it has no return."""
    outcome = "ok" if returned is not None else "unknown"
    fields = {"process": 0, "key": "x", "outcome": outcome} | other
    return Operation(kind=kind, value=value, called_us=called, returned_us=returned, **fields)


# ---------------------------------------------------------------- by hand

STALE_READ = [op("write", 1, 0, 10), op("write", 2, 20, 30), op("read", 1, 40, 50)]
NEW_OLD_INVERSION = [
    op("write", 1, 0, 10),
    op("write", 2, 20, 100),
    op("read", 2, 30, 40),
    op("read", 1, 50, 60),
]
LOST_WRITE = [op("write", 1, 0, 10), op("read", None, 11, 12)]

BY_HAND = {
    "nothing": ([], True),
    "stale read": (STALE_READ, False),
    "new-old inversion": (NEW_OLD_INVERSION, False),
    "lost write": (LOST_WRITE, False),
    "a read during a write may see either": (
        [op("write", 1, 0, 10), op("read", None, 3, 4), op("read", 1, 5, 6)],
        True,
    ),
    "the same microsecond is no order": ([op("write", 1, 0, 10), op("read", None, 10, 12)], True),
    "a value from nowhere": ([op("read", 7, 0, 1)], False),
    "a value that a failed write would have written": (
        [op("write", 7, 0, 1, outcome="failed"), op("read", 7, 5, 6)],
        False,
    ),
    "a value from the future": ([op("read", 7, 0, 1), op("write", 7, 5, 6)], False),
    "a failed read says nothing": ([op("read", 7, 0, 1, outcome="failed")], True),
    "an unknown read says nothing": ([op("read", 7, 0, None)], True),
    "an unknown write, never seen": (
        [op("write", 1, 0, 10), op("write", 2, 20, None), op("read", 1, 90, 99)],
        True,
    ),
    "an unknown write, seen late": (
        [
            op("write", 1, 0, 10),
            op("write", 2, 20, None),
            op("read", 1, 80, 90),
            op("read", 2, 91, 99),
        ],
        True,
    ),
    "an unknown write, seen and gone": (
        [
            op("write", 1, 0, 10),
            op("write", 2, 20, None),
            op("read", 2, 80, 90),
            op("read", 1, 91, 99),
        ],
        False,
    ),
    "an unknown write, seen before its call": (
        [op("read", 2, 0, 10), op("write", 2, 20, None)],
        False,
    ),
    "a value written twice comes back": (
        [op("write", 1, 0, 1), op("write", 2, 2, 3), op("write", 1, 4, 5), op("read", 1, 6, 7)],
        True,
    ),
    "an unknown write of a value written before": (
        [
            op("write", 1, 0, 1),
            op("write", 1, 0, None),
            op("write", 2, 2, 3),
            op("read", 2, 4, 5),
            op("read", 1, 6, 7),
        ],
        True,
    ),
    "an unknown write takes effect once": (
        [
            op("write", 1, 0, None),
            op("write", 2, 2, 3),
            op("read", 1, 4, 5),
            op("write", 3, 6, 7),
            op("read", 1, 8, 9),
        ],
        False,
    ),
    "two unknown writes of one value, and both are seen": (
        [
            op("write", 1, 0, None),
            op("write", 1, 1, None),
            op("write", 2, 2, 3),
            op("read", 1, 4, 5),
            op("write", 3, 6, 7),
            op("read", 1, 8, 9),
        ],
        True,
    ),
    "keys have nothing to do with each other": (
        [op("write", 1, 0, 10, key="x"), op("read", None, 20, 30, key="y")],
        True,
    ),
    "one key of two is wrong": ([op("read", None, 20, 30, key="y"), *LOST_WRITE], False),
}  # fmt: skip


@pytest.mark.parametrize("name", BY_HAND)
def test_registers_by_hand(name: str) -> None:
    history, expected = BY_HAND[name]
    answer = LINEARIZABLE if expected else NOT_LINEARIZABLE
    assert check_registers(history).answer == answer
    assert search_registers(history).answer == answer
    assert check(history, CasRegister()).answer == answer
    assert is_linearizable(history, legal_register) == expected


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        ([op("write", 1, 0, 1), op("cas", (1, 2), 2, 3), op("read", 2, 4, 5)], True),
        ([op("write", 1, 0, 1), op("cas", (1, 2), 2, 3), op("read", 1, 4, 5)], False),
        ([op("write", 1, 0, 1), op("cas", (2, 3), 2, 3)], False),
        ([op("write", 1, 0, 1), op("cas", (1, 2), 2, 9), op("cas", (1, 3), 2, 9)], False),
        ([op("write", 1, 0, 1), op("cas", (1, 2), 2, 9), op("cas", (2, 3), 2, 9)], True),
        ([op("write", 1, 0, 1), op("cas", (1, 2), 2, None), op("read", 2, 8, 9)], True),
        ([op("write", 1, 0, 1), op("cas", (1, 2), 2, None), op("read", 1, 8, 9)], True),
        ([op("write", 1, 0, 1), op("cas", (2, 3), 2, 3, outcome="failed")], True),
        (
            # Of two that nobody knows of, the cas has to be the first; the other way is a dead end
            # that goes through the same state after the same operations.
            [
                op("write", 1, 0, 1),
                op("write", 2, 2, None),
                op("cas", (1, 2), 3, None),
                op("read", 2, 10, 11),
                op("write", 3, 12, 13),
                op("read", 2, 14, 15),
            ],
            True,
        ),
    ],
)
def test_cas_by_hand(history: list[Operation], expected: bool) -> None:
    verdict = check(history, CasRegister())
    assert verdict.answer == (LINEARIZABLE if expected else NOT_LINEARIZABLE)


def test_a_failed_cas_says_that_something_else_was_there_or_nothing() -> None:
    history = [op("write", 1, 0, 1), op("cas", (1, 2), 2, 3, outcome="failed")]
    assert check(history, CasRegister()).answer == NOT_LINEARIZABLE
    assert check(history, CasRegister(failed_cas_differs=False)).answer == LINEARIZABLE


def test_the_initial_value_is_a_parameter() -> None:
    history = [op("read", 0, 0, 1), op("write", 1, 2, 3)]
    assert check_registers(history).answer == NOT_LINEARIZABLE
    assert check_registers(history, initial=0).is_linearizable
    assert search_registers(history, initial=0).is_linearizable
    again = [op("write", 1, 0, 1), op("write", 0, 2, 3), op("read", 0, 4, 5)]
    assert check_registers(again, initial=0).is_linearizable
    assert check_registers(again, initial=0).steps > 0, "0 is written again: sorting is no proof"
    assert not check_registers([again[0], again[2]], initial=0).is_linearizable
    # The first read does not prove that the unknown write has taken effect: 0 was there before.
    unknown = [history[0], op("write", 0, 5, None), op("write", 1, 6, 7), op("read", 0, 8, 9)]
    assert search_registers(unknown, initial=0).is_linearizable
    assert not search_registers([unknown[0], *unknown[2:]], initial=0).is_linearizable


def test_a_queue_and_a_set_by_hand() -> None:
    one, two = op("enqueue", 1, 0, 10), op("enqueue", 2, 5, 15)
    assert check([one, two, op("dequeue", 2, 20, 21)], Queue()).is_linearizable
    assert not check(
        [one, replace(two, called_us=11), op("dequeue", 2, 20, 21)], Queue()
    ).is_linearizable
    assert not check([one, op("dequeue", None, 20, 21)], Queue()).is_linearizable
    added = op("add", 1, 0, 1)
    assert check([added, op("contains", (1, True), 2, 3)], Set()).is_linearizable
    assert not check([added, op("contains", (1, False), 2, 3)], Set()).is_linearizable
    # The same add twice: the second must not be taken early only because it changes nothing.
    removed_between = [
        added,
        op("add", 1, 2, 90),
        op("remove", 1, 4, 5),
        op("contains", (1, True), 6, 7),
    ]
    assert check(removed_between, Set()).is_linearizable


# ---------------------------------------------------------------- what the verdict says


def test_the_reason_names_what_contradicts() -> None:
    verdict = check_registers(STALE_READ)
    assert verdict.reason == (
        "On 'x', 1 and 2 would each have to come ahead of the other: write x 1 by 0 (0..10 us) had "
        "returned before the call of write x 2 by 0 (20..30 us); write x 2 by 0 (20..30 us) had "
        "returned before the call of read x 1 by 0 (40..50 us)."
    )
    assert verdict.evidence == tuple(STALE_READ)
    assert "the initial value comes ahead of everything" in check_registers(LOST_WRITE).reason


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("a value from nowhere", "nobody has written"),
        ("a value from the future", "was written only later"),
        ("an unknown write, seen before its call", "was written only later"),
        ("a value that a failed write would have written", "only a failed write"),
    ],
)
def test_the_reason_tells_reads_that_cannot_be(name: str, words: str) -> None:
    assert words in check_registers(BY_HAND[name][0]).reason


def test_the_reason_of_a_search_says_how_far_it_came() -> None:
    verdict = search_registers(STALE_READ)
    assert verdict.reason == (
        "No order of 3 operations on 'x' is legal. The longest beginning of one has 1 of them. "
        "What could be next, none of it leading on: write x 2 by 0 (20..30 us)."
    )
    crowd = [op("write", 1, 0, 1), *(op("cas", (2, 3), 5, 9, process=n) for n in range(8))]
    reason = check(crowd, CasRegister()).reason
    assert reason.endswith("; 3 more.")
    assert reason.count("cas x 2 -> 3") == 5


def test_undecided_says_why() -> None:
    history = linearizable_history(1, operations=200)
    verdict = search_registers(history, step_limit=100)
    assert verdict.answer == UNDECIDED
    assert not verdict.is_linearizable
    assert "was given up after 100 steps" in verdict.reason
    assert "Allow more steps" in verdict.reason
    assert search_registers(history).steps > 100
    assert check(history, CasRegister(), step_limit=100).answer == UNDECIDED


def test_a_violation_on_one_key_is_found_though_another_one_is_undecided() -> None:
    to_be_searched = [op("write", 1, 0, 1), op("write", 1, 2, 3), op("read", 1, 4, 5)]
    assert check_registers(to_be_searched, step_limit=0).answer == UNDECIDED
    wrong = [replace(each, key="y") for each in STALE_READ]
    verdict = check_registers([*to_be_searched, *wrong], step_limit=0)
    assert verdict.answer == NOT_LINEARIZABLE
    assert verdict.evidence == tuple(wrong)


def test_the_effects_of_a_witness_lie_between_call_and_return() -> None:
    order = [op("write", 1, 5, 20), op("read", 1, 3, 9), op("read", 1, 8, 30)]
    assert effect_times_us(order) == (5, 5, 8)
    assert effect_times_us([]) == ()


def test_operations_that_a_checker_does_not_know() -> None:
    cas = op("cas", (1, 2), 0, 1)
    with pytest.raises(ValueError, match=r"not a cas: cas x 1 -> 2 .*Use check\("):
        check_registers([cas])
    with pytest.raises(ValueError, match="A queue has no cas"):
        check([cas], Queue())
    with pytest.raises(ValueError, match="A set has no cas"):
        check([cas], Set())
    with pytest.raises(ValueError, match="A register has no add"):
        check([op("add", 1, 0, 1)], CasRegister())


# ---------------------------------------------------------------- against the definition


def judge(verdict: Verdict, history: Sequence[Operation], legal: Legal, **other: Any) -> None:
    """Compare with the definition, and look at what the verdict proves its answer with."""
    assert verdict.is_linearizable == is_linearizable(history, legal, **other)
    if verdict.is_linearizable:
        look_at_witness(verdict, history, legal)
    else:
        assert verdict.answer == NOT_LINEARIZABLE
        assert verdict.evidence
        assert len({each.key for each in verdict.evidence}) == 1
        assert not is_linearizable(verdict.evidence, legal, **other)


def look_at_witness(verdict: Verdict, history: Sequence[Operation], legal: Legal) -> None:
    order = list(verdict.witness)
    assert respects_time(order)
    for key in {each.key for each in order}:
        assert legal([each for each in order if each.key == key])
    rest = list(history)
    for each in order:
        rest.remove(each)  # nothing stands there twice, nor from elsewhere
    assert all(each.outcome != "ok" for each in rest)
    for each, effect_us in zip(order, effect_times_us(order), strict=True):
        assert each.called_us <= effect_us
        assert each.returned_us is None or effect_us <= each.returned_us


@settings(max_examples=200, deadline=None)
@given(histories())
def test_registers_with_few_values(history: list[Operation]) -> None:
    judge(check_registers(history), history, legal_register)
    judge(search_registers(history), history, legal_register)


@settings(max_examples=200, deadline=None)
@given(histories(unique=True))
def test_registers_with_unique_values(history: list[Operation]) -> None:
    judge(check_registers(history), history, legal_register)
    judge(search_registers(history), history, legal_register)


@settings(max_examples=100, deadline=None)
@given(histories(unique=True, at_most=7, keys="xy"), st.sampled_from([None, 1, 3]))
def test_two_registers(history: list[Operation], initial: int | None) -> None:
    def legal(order: Sequence[Operation]) -> bool:
        return legal_register(order, initial)

    judge(check_registers(history, initial=initial), history, legal)
    judge(search_registers(history, initial=initial), history, legal)
    judge(check(history, CasRegister(initial)), history, legal)


@settings(max_examples=200, deadline=None)
@given(histories(WITH_CAS), st.booleans())
def test_registers_with_cas(history: list[Operation], cas_tells: bool) -> None:
    model = CasRegister(1, failed_cas_differs=cas_tells)
    judge(
        check(history, model), history, lambda order: legal_register(order, 1), cas_tells=cas_tells
    )


@settings(max_examples=200, deadline=None)
@given(
    st.integers(0, 100_000),
    st.integers(3, 7),
    st.sampled_from([None, 2, 3]),
    st.integers(0, 2),
    st.data(),
)
def test_registers_where_much_overlaps(
    seed: int, operations: int, values: int | None, unknown: int, data: st.DataObject
) -> None:
    history = linearizable_history(
        seed, operations=operations, clients=3, unknown=unknown, failed=1, values=values
    )
    assert is_linearizable(history, legal_register)
    reads = [number for number, each in enumerate(history) if each.kind == "read"]
    if reads and data.draw(st.booleans()):
        number = data.draw(st.sampled_from(reads))
        written = [each.value for each in history if each.kind == "write"]
        value = data.draw(st.sampled_from([None, *written]))
        history[number] = replace(history[number], value=value)
    judge(check_registers(history), history, legal_register)
    judge(search_registers(history), history, legal_register)
    judge(check(history, CasRegister()), history, legal_register)


@pytest.mark.parametrize(
    ("model", "kinds", "legal"),
    [(Queue(), OF_A_QUEUE, legal_queue), (Set(), OF_A_SET, legal_set)],
)
def test_other_objects(model: Model[State], kinds: Any, legal: Legal) -> None:
    @settings(max_examples=150, deadline=None)
    @given(histories(kinds))
    def try_all(history: list[Operation]) -> None:
        judge(check(history, model), history, legal)

    try_all()


@settings(max_examples=100, deadline=None)
@given(histories(keys="xy", unique=True), st.randoms(use_true_random=False))
def test_the_order_in_which_a_history_is_given_does_not_matter(
    history: list[Operation], random: Any
) -> None:
    other = history.copy()
    random.shuffle(other)
    assert check_registers(history).answer == check_registers(other).answer


# ---------------------------------------------------------------- long histories


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 10_000), st.integers(2, 80), st.integers(1, 6), st.integers(1, 3), st.booleans()
)
def test_sorting_agrees_with_the_search(
    seed: int, operations: int, clients: int, keys: int, is_mutated: bool
) -> None:
    history = linearizable_history(
        seed, operations=operations, clients=clients, keys=keys, unknown=operations // 8
    )
    if is_mutated:
        history = with_older_read(history, seed)
    fast, slow = check_registers(history), search_registers(history)
    assert fast.answer == slow.answer
    assert fast.steps == 0
    if not is_mutated:
        look_at_witness(fast, history, legal_register)
        look_at_witness(slow, history, legal_register)


@pytest.mark.parametrize("seed", range(5))
def test_a_thousand_operations_take_few_steps(seed: int) -> None:
    history = linearizable_history(seed)
    assert len(history) == 1_000
    assert sum(each.outcome == "unknown" for each in history) == 50
    verdict = search_registers(history)
    assert verdict.is_linearizable
    assert verdict.steps < 4_000
    mutated = with_older_read(history, seed)
    fast, slow = check_registers(mutated), search_registers(mutated)
    assert fast.answer == slow.answer
    assert fast.steps == 0
    assert slow.steps < 400_000


def test_most_of_the_mutated_ones_are_violations() -> None:
    answers = [
        check_registers(with_older_read(linearizable_history(seed), seed)).answer
        for seed in range(20)
    ]
    assert answers.count(NOT_LINEARIZABLE) >= 10
    assert answers.count(LINEARIZABLE) >= 1, "some of the older values might have been read"


@pytest.mark.parametrize("seed", range(5))
def test_few_values_many_unknown(seed: int) -> None:
    history = linearizable_history(seed, operations=300, values=3, unknown=30)
    verdict = check_registers(history)
    look_at_witness(verdict, history, legal_register)
    assert verdict.is_linearizable
    assert verdict.steps < 5_000
    # A read that nothing explains: who could have written it has been overwritten long since.
    last = max(each.returned_us or each.called_us for each in history)
    odd = [op("write", 9, last + 1, last + 2), op("write", 0, last + 3, last + 4)]
    wrong = [*history, *odd, op("read", 9, last + 5, last + 6)]
    assert not check_registers(wrong).is_linearizable
