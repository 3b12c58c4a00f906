"""What is left of a history that is not linearizable when all that can go has gone.

What may go: without the write of a value, a read of it would be a violation by itself, and every
fragment would end as one read of a value from nowhere. So **to remove a change** (a write, or a cas
that is done or of unknown outcome) **is to remove with it whoever may have found what it left**:

1. a read that is done, or a cas that is done or of unknown outcome, of the value that it left;
   unless it had returned before the change was called, or another done change to the same value
   lies between the two in time;
2. a failed cas that wanted another value; unless it had returned before the change was called, or
   any other done change lies between;
3. and then a read or a done cas of a value that has lost its last source. A value has a source if
   it is the initial one, if a write left it, or if a cas left it in the place of a value that has a
   source. A value that never had one keeps its reads: each of them is a violation, alone.

A cas that goes is a change in its turn. What is no change takes nothing with it.

**So a linearizable history stays linearizable, whatever is removed**, and a fragment that is not
linearizable says something of the history that it is from. For let the history have a legal order.
What is left of the order is legal: each read and cas that is left found what some change left, and
that one is left too, or it would have taken the read or cas along by 1 or 2: nothing can find the
value of a change that is called after it, or that another one has overwritten before it. Point 3
takes more reads, which never hurts, and more cas in the same way.

This is about registers; the values of queues and sets come and go by other rules.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from remotecalls.simulators.linearizability.history import (
    CAS,
    FAILED,
    OK,
    READ,
    WRITE,
    Operation,
)
from remotecalls.simulators.linearizability.registers import check_registers
from remotecalls.simulators.linearizability.verdict import NOT_LINEARIZABLE, UNDECIDED, Verdict

Check = Callable[[Sequence[Operation]], Verdict]

CHECK_LIMIT = 2_000
"""Histories that are checked on the way to a fragment, if nothing else is said."""


@dataclass(frozen=True)
class Fragment:
    """A part of a history.

    Attributes:
        operations: what is left, in the order of the history; it is not linearizable.
        is_minimal: whether it is linearizable after the removal of any one operation.
        reason: why it is not linearizable, in words; and, if it is not known to be minimal, why.
        checks: how many histories were checked.
    """

    operations: tuple[Operation, ...]
    is_minimal: bool
    reason: str
    checks: int


def without(
    operations: Sequence[Operation], removed: Iterable[int], *, initial: Any = None
) -> tuple[Operation, ...]:
    """Remove operations, and with them whoever may have found what they left; see the module.

    Args:
        operations: of registers, on any number of keys.
        removed: which ones, by their positions.
        initial: what is in each register before any write.
    """
    gone = frozenset(removed)
    debts = _Debts(operations)
    before = _with_source(operations, initial)
    while True:
        left = [each for number, each in enumerate(operations) if number not in gone]
        after = _with_source(left, initial)
        more = [
            number
            for number, each in enumerate(operations)
            if number not in gone
            and (
                ((needed := _needed(each)) in before and needed not in after)
                or debts.owes_any(number, gone)
            )
        ]
        if not more:
            return tuple(left)
        gone = gone.union(more)


def smallest_fragment(
    history: Iterable[Operation],
    *,
    initial: Any = None,
    check: Check | None = None,
    check_limit: int = CHECK_LIMIT,
) -> Fragment:
    """Shrink a history that is not linearizable until nothing more can be removed.

    It is a smallest one of those that removals lead to from here, not the smallest of all.

    Args:
        history: operations of registers.
        initial: what is in each register before any write.
        check: the checker; `check_registers` with that initial value if None. A history with cas
            needs `lambda part: check(part, CasRegister(initial))`.
        check_limit: after so many checks what is left is returned as it is.

    Raises:
        ValueError: the history is linearizable, or the checker cannot decide.
    """
    operations = tuple(history)
    shrink = _Shrink(check or (lambda part: check_registers(part, initial=initial)), check_limit)
    verdict = shrink.check(operations)
    if verdict.answer != NOT_LINEARIZABLE:
        raise ValueError(
            f"The history is {verdict.answer}. {verdict.reason} Only one that is not linearizable "
            "has a fragment."
        )
    # What the checker holds against the history is a good beginning, if it holds alone.
    given = frozenset(verdict.evidence)
    part = tuple(each for each in operations if each in given)
    if shrink.is_bad(part):
        operations = part
    operations = shrink.until_nothing_can_go(operations, initial)
    reason = shrink.reason(operations)
    return Fragment(operations, not shrink.why_not_minimal, reason, shrink.checks)


class _Shrink:
    """Removes ever smaller pieces, as in Zeller and Hildebrandt's delta debugging (TSE 2002)."""

    def __init__(self, check: Check, limit: int) -> None:
        self.check = check
        self.checks = 1  # the one that is made of the whole history
        self.why_not_minimal = ""
        self._limit = limit
        self._undecided = 0
        self._reason = ""

    def is_bad(self, operations: Sequence[Operation]) -> bool:
        """Whether these are not linearizable for certain."""
        self.checks += 1
        verdict = self.check(operations)
        self._undecided += verdict.answer == UNDECIDED
        return verdict.answer == NOT_LINEARIZABLE

    def until_nothing_can_go(
        self, operations: tuple[Operation, ...], initial: Any
    ) -> tuple[Operation, ...]:
        """Remove halves, quarters and so on; at the end single ones, until no single one can go."""
        size = max(len(operations) // 2, 1)
        while True:
            before = len(operations)
            self._undecided = 0
            at = 0
            while at < len(operations):
                if self.checks >= self._limit:
                    self.why_not_minimal = (
                        f"It may not be minimal: the limit of {self._limit} checks is reached."
                    )
                    return operations
                smaller = without(operations, range(at, at + size), initial=initial)
                if self.is_bad(smaller):
                    operations = smaller  # what follows has moved up to this position
                else:
                    at += size
            if size > 1:
                size //= 2
            elif len(operations) == before:
                # This round has removed every single one of what is left, and none could go.
                if self._undecided:
                    self.why_not_minimal = (
                        f"It may not be minimal: {self._undecided} parts of it were undecided."
                    )
                return operations

    def reason(self, operations: Sequence[Operation]) -> str:
        """Say why what is left is not linearizable."""
        self.checks += 1
        return " ".join(filter(None, (self.check(operations).reason, self.why_not_minimal)))


class _Debts:
    """Who may have found what whom has left, by the points 1 and 2 of the module."""

    def __init__(self, operations: Sequence[Operation]) -> None:
        self._operations = operations
        self._changes: dict[str, list[int]] = {}
        self._changes_to: dict[tuple[str, Any], list[int]] = {}
        for number, each in enumerate(operations):
            if each.outcome != FAILED and each.kind in (WRITE, CAS):
                self._changes.setdefault(each.key, []).append(number)
                self._changes_to.setdefault((each.key, _left(each)), []).append(number)

    def owes_any(self, number: int, gone: frozenset[int]) -> bool:
        """Whether an operation may have found what one of those that are gone has left."""
        each = self._operations[number]
        if each.kind == CAS and each.outcome == FAILED:
            changes = self._changes.get(each.key, [])
            others = [n for n in changes if _left(self._operations[n]) != each.value[0]]
            return self._may_have_found(each, others, changes, gone)
        is_cas = each.kind == CAS
        if (each.outcome == OK and each.kind == READ) or (is_cas and each.outcome != FAILED):
            value = each.value[0] if is_cas else each.value
            changes = self._changes_to.get((each.key, value), [])
            return self._may_have_found(each, changes, changes, gone)
        return False

    def _may_have_found(
        self, each: Operation, sources: list[int], between: list[int], gone: frozenset[int]
    ) -> bool:
        missing = [self._operations[n] for n in sources if n in gone]
        if not missing:
            return False
        calls_us = [
            change.called_us
            for change in (self._operations[n] for n in between)
            if change.outcome == OK
            and change.returned_us is not None
            and change.returned_us < each.called_us
        ]
        last_us = max(calls_us, default=None)
        for change in missing:
            is_later = each.returned_us is not None and each.returned_us < change.called_us
            is_over = (
                last_us is not None
                and change.returned_us is not None
                and change.returned_us < last_us
            )
            if change is not each and not is_later and not is_over:
                return True
        return False


def _left(change: Operation) -> Any:
    """Return the value that a write or a cas leaves."""
    return change.value[1] if change.kind == CAS else change.value


def _needed(operation: Operation) -> tuple[str, Any] | None:
    """Return the key and the value that must be there for the operation to be done."""
    if operation.outcome != OK or operation.kind not in (READ, CAS):
        return None
    return operation.key, operation.value[0] if operation.kind == CAS else operation.value


def _with_source(operations: Sequence[Operation], initial: Any) -> set[tuple[str, Any]]:
    """Return the keys and values that have a source."""
    changes = [each for each in operations if each.outcome != FAILED]
    found = {(each.key, initial) for each in operations}
    found |= {(each.key, each.value) for each in changes if each.kind == WRITE}
    replaced = [(each.key, *each.value) for each in changes if each.kind == CAS]
    before = -1
    while before < len(found):
        before = len(found)
        found |= {(key, new) for key, old, new in replaced if (key, old) in found}
    return found
