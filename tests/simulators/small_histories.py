"""Small histories for hypothesis, and the definition of linearizable by which they are judged.

The definition tries everything: each choice of operations of unknown outcome that take effect, and
each order of those and of what is done. It shares nothing with the checkers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import chain, combinations, permutations
from typing import Any

from hypothesis import strategies as st

from remotecalls.simulators.linearizability import Operation

Legal = Callable[[Sequence[Operation]], bool]
"""Whether operations can come one after the other in that order."""


def is_linearizable(history: Iterable[Operation], legal: Legal, *, cas_tells: bool = True) -> bool:
    """Try all orders of all choices, key by key."""
    operations = list(history)
    return all(
        any(
            respects_time(order) and legal(order)
            for chosen in choices([each for each in operations if each.key == key], cas_tells)
            for order in permutations(chosen)
        )
        for key in sorted({each.key for each in operations})
    )


def choices(operations: list[Operation], cas_tells: bool) -> Iterable[list[Operation]]:
    looks = ("read", "contains")
    sure = [
        each
        for each in operations
        if each.outcome == "ok" or (cas_tells and each.kind == "cas" and each.outcome == "failed")
    ]
    open_ones = [e for e in operations if e.outcome == "unknown" and e.kind not in looks]
    subsets = (combinations(open_ones, size) for size in range(len(open_ones) + 1))
    return ([*sure, *more] for more in chain.from_iterable(subsets))


def respects_time(order: Sequence[Operation]) -> bool:
    return not any(
        later.returned_us is not None and later.returned_us < each.called_us
        for number, each in enumerate(order)
        for later in order[number + 1 :]
    )


def legal_register(order: Sequence[Operation], initial: Any = None) -> bool:
    value = initial
    for each in order:
        if each.kind == "write":
            value = each.value
        elif each.kind == "read":
            if each.value != value:
                return False
        elif each.outcome == "failed":
            if value == each.value[0]:
                return False
        elif value == each.value[0]:
            value = each.value[1]
        elif each.outcome == "ok":
            return False
    return True


def legal_queue(order: Sequence[Operation]) -> bool:
    waiting: list[Any] = []
    for each in order:
        if each.kind == "enqueue":
            waiting.append(each.value)
        else:
            first = waiting.pop(0) if waiting else None
            if each.outcome == "ok" and each.value != first:
                return False
    return True


def legal_set(order: Sequence[Operation]) -> bool:
    members: list[Any] = []
    for each in order:
        if each.kind == "contains":
            if (each.value[0] in members) is not each.value[1]:
                return False
        elif each.kind == "add":
            members.append(each.value)
        else:
            members = [member for member in members if member != each.value]
    return True


# ---------------------------------------------------------------- strategies

READS_AND_WRITES = (("write", 3), ("read", 4))
WITH_CAS = (("write", 2), ("read", 2), ("cas", 3))
OF_A_QUEUE = (("enqueue", 1), ("dequeue", 1))
OF_A_SET = (("add", 1), ("remove", 1), ("contains", 2))

OUTCOMES = ("ok", "ok", "ok", "ok", "unknown", "unknown", "failed")


@st.composite
def histories(
    draw: st.DrawFn,
    kinds: Sequence[tuple[str, int]] = READS_AND_WRITES,
    *,
    unique: bool = False,
    keys: str = "x",
    at_most: int = 6,
) -> list[Operation]:
    """Draw what up to three clients do: each calls again some time after its last return.

    Args:
        draw: of hypothesis.
        kinds: which operations, and how often.
        unique: whether each write writes its own number.
        keys: one letter a key.
        at_most: how many operations.
    """
    weighted = [kind for kind, weight in kinds for _ in range(weight)]
    free = {0: 0, 1: 0, 2: 0}
    name = {0: 0, 1: 1, 2: 2}
    history: list[Operation] = []
    for number in range(draw(st.integers(1, at_most))):
        client = draw(st.integers(0, 2))
        kind = draw(st.sampled_from(weighted))
        outcome = draw(st.sampled_from(OUTCOMES))
        called = free[client] + draw(st.integers(1, 3))
        returned = called + draw(st.integers(0, 5))
        value = _value(draw, kind, number, unique, outcome)
        free[client] = returned
        history.append(
            Operation(
                name[client],
                draw(st.sampled_from(keys)),
                kind,
                value,
                called,
                None if outcome == "unknown" else returned,
                outcome,
            )
        )
        if outcome == "unknown":
            name[client] += 3
    return draw(st.permutations(history))


def _value(draw: st.DrawFn, kind: str, number: int, unique: bool, outcome: str) -> Any:
    if kind == "write" and unique:
        return number + 1
    if kind == "read":
        return draw(st.sampled_from([None, *range(1, 7 if unique else 3)]))
    if kind == "dequeue":
        return None if outcome != "ok" else draw(st.sampled_from([None, 1, 2]))
    if kind == "cas":
        return draw(st.integers(1, 2)), draw(st.integers(1, 3))
    if kind == "contains":
        return draw(st.integers(1, 2)), draw(st.booleans())
    return draw(st.integers(1, 2))
