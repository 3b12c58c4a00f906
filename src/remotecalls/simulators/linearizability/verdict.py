"""What a checker says of a history, and with what it proves it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

from remotecalls.simulators.linearizability.history import Operation

LINEARIZABLE, NOT_LINEARIZABLE, UNDECIDED = "linearizable", "not linearizable", "undecided"

STEP_LIMIT = 1_000_000
"""Steps of a search before it gives up, if nothing else is said: some seconds, and some 100 MB."""


@dataclass(frozen=True)
class Verdict:
    """An answer.

    Attributes:
        answer: "linearizable", "not linearizable" or "undecided".
        reason: why, in words; empty if linearizable.
        witness: if linearizable, all operations that took effect, in an order that respects time
            and the model. What failed is left out, and what is unknown and need not have happened.
        evidence: if not linearizable, operations of one key for which no order can be found even
            if there were no others. They are few if the fast check found them, and all operations
            on that key if the search did; see `fragment` for fewer.
        steps: how often a search asked the model what an operation does; 0 if none was needed.
    """

    answer: str
    reason: str = ""
    witness: tuple[Operation, ...] = ()
    evidence: tuple[Operation, ...] = ()
    steps: int = 0

    @property
    def is_linearizable(self) -> bool:
        """The answer is "linearizable"; False for both of the others."""
        return self.answer == LINEARIZABLE


def effect_times_us(order: Sequence[Operation]) -> tuple[int, ...]:
    """Return when each operation can have taken effect, if they did so in that order.

    It is the earliest time that is not before its own call nor before the operation ahead of it.
    In an order that respects real time it is never later than the operation's return: those ahead
    of it were all called by then.

    Args:
        order: a witness.

    Returns:
        Microseconds, as many as there are operations, none less than the one before it.
    """
    return tuple(accumulate((each.called_us for each in order), max))


def of_each_key(
    history: Iterable[Operation],
    step_limit: int,
    check: Callable[[Sequence[Operation], int], Verdict],
) -> Verdict:
    """Check key by key, and put the verdicts together.

    A history is linearizable if and only if it is so for each object alone (Herlihy and Wing, 1990,
    theorem 1, "locality").

    Args:
        history: operations on any number of keys, in any order.
        step_limit: steps for all keys together.
        check: the checker for one key, given its operations and the steps that are left.
    """
    keys: dict[str, list[Operation]] = {}
    for each in history:
        keys.setdefault(each.key, []).append(each)
    steps = 0
    undecided: Verdict | None = None
    witness: list[tuple[int, Operation]] = []
    for operations in keys.values():
        verdict = check(operations, max(step_limit - steps, 0))
        steps += verdict.steps
        if verdict.answer == NOT_LINEARIZABLE:
            return replace(verdict, steps=steps)
        if verdict.answer == UNDECIDED:
            undecided = undecided or verdict
        witness.extend(zip(effect_times_us(verdict.witness), verdict.witness, strict=True))
    if undecided:
        return replace(undecided, steps=steps)
    # By the time of the effect: it lies between call and return, so real time is respected, and
    # the sort is stable, so each key's own order is.
    witness.sort(key=lambda pair: pair[0])
    return Verdict(LINEARIZABLE, witness=tuple(each for _, each in witness), steps=steps)
