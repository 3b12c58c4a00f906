"""The general checker: a search for an order of the operations that a model allows.

Take an operation that no other one has to come before, see whether the model allows it, and go on
with the rest; if nothing fits, take back the last choice (Wing and Gong). Two partial orders of the
same operations that leave the object in the same state have the same future, so each pair of a set
and a state, a *configuration*, is entered once (Lowe). An operation that never changes the state is
taken as soon as it fits, and nothing else is tried in its place: from where it would come later it
can be moved to the front, since all others find the states that they found before.

An operation that need not take effect does so only if the one that comes next could tell: of the
legal orders from here take one with the fewest of these operations. If the one behind such an
operation did the same to the state before it as to the state after it, then the order would be
legal without it, and have fewer. Both rules depend on the configuration alone, not on the way
there, so they go together with entering each one once.

Sources: Wing and Gong, "Testing and Verifying Concurrent Objects", Journal of Parallel and
Distributed Computing, 1993; Lowe, "Testing for linearizability", Concurrency and Computation:
Practice and Experience, 2017.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from remotecalls.simulators.linearizability.history import Operation
from remotecalls.simulators.linearizability.models import Model
from remotecalls.simulators.linearizability.verdict import (
    LINEARIZABLE,
    NOT_LINEARIZABLE,
    STEP_LIMIT,
    UNDECIDED,
    Verdict,
    of_each_key,
)

MustStay: TypeAlias = Callable[[int, Any], bool]
"""Whether nothing can come of a change in a configuration: a set, as bits, and a state."""

_SHOWN = 5
"""Operations that a reason names before it says how many more there are."""


@dataclass(frozen=True)
class Candidate:
    """An operation that has a place in the order, or may have one.

    Attributes:
        operation: it.
        by_us: when it has taken effect for certain; None if it need not take effect at all. If
            that is before its call, then there is no order.
    """

    operation: Operation
    by_us: int | None


def check(
    history: Iterable[Operation], model: Model[Any], *, step_limit: int = STEP_LIMIT
) -> Verdict:
    """Decide whether a history is linearizable.

    Args:
        history: operations in any order; each key is an object of its own.
        model: what one such object does when nothing overlaps.
        step_limit: after so many steps, for all keys together, the answer is "undecided". A step is
            to ask the model what one operation does to one state.

    Raises:
        ValueError: the model has no such kind of operation.
    """

    def check_one(operations: Sequence[Operation], limit: int) -> Verdict:
        counted = [Candidate(each, each.returned_us) for each in operations if model.counts(each)]
        return explore(counted, model, limit)

    return of_each_key(history, step_limit, check_one)


def explore(
    candidates: Iterable[Candidate],
    model: Model[Any],
    step_limit: int,
    must_stay: MustStay | None = None,
) -> Verdict:
    """Search for an order of operations on one object.

    Args:
        candidates: what is to be put in order.
        model: the object.
        step_limit: after so many steps the search gives up.
        must_stay: says of a configuration that whoever changes the state there comes too early. It
            gets the operations ahead as bits, numbered as by `in_order_of_calls`, and the state.
    """
    return _Search(in_order_of_calls(candidates), model, step_limit, must_stay).verdict()


def in_order_of_calls(candidates: Iterable[Candidate]) -> list[Candidate]:
    """Sort candidates as `explore` numbers them."""
    return sorted(candidates, key=lambda each: each.operation.called_us)


class _Search:
    def __init__(
        self,
        candidates: list[Candidate],
        model: Model[Any],
        step_limit: int,
        must_stay: MustStay | None,
    ) -> None:
        self._operations = [each.operation for each in candidates]
        self._called = [each.operation.called_us for each in candidates]
        self._by = [each.by_us for each in candidates]
        self._only_looks = [model.only_looks(each.operation) for each in candidates]
        self._needed = sum(1 << n for n, by_us in enumerate(self._by) if by_us is not None)
        self._twin = self._twins()
        self._seen: dict[tuple[int, Any], list[int]] = {}
        self._model = model
        self._limit = step_limit
        self._must_stay = must_stay
        self._steps = 0
        self._is_given_up = False

    def verdict(self) -> Verdict:
        """Go through the configurations, the deepest first."""
        start = (0, self._model.initial)
        if not self._needed:
            return Verdict(LINEARIZABLE)
        path: list[int] = []
        longest: list[int] = []
        branches = [self._after(*start)]
        while branches:
            found = next(branches[-1], None)
            if self._is_given_up:
                return self._undecided()
            if found is None:
                branches.pop()
                if path:
                    path.pop()
                continue
            number, configuration = found
            if self._is_no_news(*configuration):
                continue
            path.append(number)
            if configuration[0] & self._needed == self._needed:
                witness = tuple(self._operations[each] for each in path)
                return Verdict(LINEARIZABLE, witness=witness, steps=self._steps)
            if len(path) > len(longest):
                longest = path.copy()
            branches.append(self._after(*configuration))
        return self._none(longest)

    def _after(self, done: int, state: Any) -> Iterator[tuple[int, tuple[int, Any]]]:
        """Yield what can come next, and the configuration that it leads to."""
        following = self._next(done)
        looks = sum(self._only_looks[number] for number in following)
        for at, number in enumerate(following):
            if at == looks and self._must_stay and self._must_stay(done, state):
                return
            if self._steps >= self._limit:
                self._is_given_up = True
                return
            after = self._step(state, number)
            if after and self._only_looks[number]:
                yield number, (done | 1 << number, state)
                return
            for each in after:
                if self._by[number] is not None or self._matters(following, number, state, each):
                    yield number, (done | 1 << number, each)

    def _is_no_news(self, done: int, state: Any) -> bool:
        """Whether this was seen, or one that differs only in that fewer of the unneeded are done.

        What can come next here can come next there as well: what is not needed waits forever.
        """
        optional = done & ~self._needed
        before = self._seen.setdefault((done & self._needed, state), [])
        if any(each & ~optional == 0 for each in before):
            return True
        before.append(optional)
        return False

    def _twins(self) -> list[int]:
        """Return of each operation that is not needed the bit of its twin, the one called before.

        They do the same, and both wait forever once they are called. So whenever the later one
        could take effect, the earlier one can do so in its place.
        """
        last: dict[tuple[str, Any], int] = {}
        twins = []
        for number, (each, by_us) in enumerate(zip(self._operations, self._by, strict=True)):
            what = each.kind, each.value
            twins.append(last.get(what, 0) if by_us is None else 0)
            if by_us is None:
                last[what] = 1 << number
        return twins

    def _step(self, state: Any, number: int) -> Sequence[Any]:
        self._steps += 1
        return self._model.step(state, self._operations[number])

    def _matters(self, following: list[int], number: int, state: Any, after: Any) -> bool:
        """Whether something that can come next tells the states before and after apart."""
        return any(
            self._step(state, each) != self._step(after, each)
            for each in following
            if each != number
        )

    def _next(self, done: int) -> list[int]:
        """Return the operations that nothing else has to come before.

        Those that only look come first, then the others in the order of their latest times, and at
        the end those that need not take effect.
        """
        found = []
        left = ~done & ((1 << len(self._called)) - 1)
        # Whoever was called after another one has taken effect comes after it. The numbers are in
        # the order of the calls, so none further on can bring the limit down to before its call.
        limit_us: int | None = None
        while left:
            bit = left & -left
            left ^= bit
            number = bit.bit_length() - 1
            if limit_us is not None and self._called[number] > limit_us:
                break
            if self._twin[number] & ~done:
                continue
            found.append(number)
            by_us = self._by[number]
            if by_us is not None and (limit_us is None or by_us < limit_us):
                limit_us = by_us
        found.sort(key=self._rank)
        return found

    def _rank(self, number: int) -> tuple[bool, bool, int]:
        by_us = self._by[number]
        return not self._only_looks[number], by_us is None, by_us or 0

    def _undecided(self) -> Verdict:
        return Verdict(
            UNDECIDED,
            f"The search for an order of {self._what()} was given up after {self._limit} steps: "
            "that was the limit, or what other keys had left of it. Allow more steps, or check a "
            "shorter history.",
            steps=self._steps,
        )

    def _none(self, longest: list[int]) -> Verdict:
        ahead = sum(1 << number for number in longest)
        stuck = [str(self._operations[number]) for number in self._next(ahead)]
        if len(stuck) > _SHOWN:
            stuck[_SHOWN:] = [f"{len(stuck) - _SHOWN} more"]
        return Verdict(
            NOT_LINEARIZABLE,
            f"No order of {self._what()} is legal. The longest beginning of one has "
            f"{len(longest)} of them. What could be next, none of it leading on: "
            f"{'; '.join(stuck)}.",
            evidence=tuple(self._operations),
            steps=self._steps,
        )

    def _what(self) -> str:
        return f"{len(self._operations)} operations on {self._operations[0].key!r}"
