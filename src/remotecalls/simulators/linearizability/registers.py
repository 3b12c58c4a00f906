"""The fast checker: a register for each key, with reads and writes.

If no value of a register is written twice, and none of them is the initial one, sorting decides.
Call a write and all reads of its value a *cluster*. In a legal order each cluster stands in one
piece, the write ahead, since a read returns what the last write wrote; the initial value is a
cluster too, whose write was over before everything. For a cluster C let

    f(C) be the earliest return of its operations, and s(C) the latest call.

Some operation of A comes before one of B in real time if and only if f(A) < s(B); then all of A has
to stand ahead of all of B. So the history is linearizable if and only if

1. no read has returned when the write of its value was called, or is of a value never written, and
2. the clusters can be put in an order in which none ahead of A has to stand behind it.

If two clusters each have to stand ahead of the other, there is no such order. If no two have to,
**sorting them by f + s gives one**: let A stand ahead of B in it, so f(A) + s(A) <= f(B) + s(B),
and let B have to be ahead, f(B) < s(A). Then f(A) <= f(B) + s(B) - s(A) < s(B), so A has to be
ahead of B as well. Gibbons and Korach show it with zones, which run from f to s or back; the sum is
twice the middle of the zone.

Otherwise `search.explore` decides, with two more ways to see that a step leads nowhere.

Sources: Gibbons and Korach, "Testing Shared Memories", SIAM Journal on Computing, 1997, for
clusters and zones; for the search see `search`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from remotecalls.simulators.linearizability.history import (
    FAILED,
    OK,
    READ,
    UNKNOWN,
    WRITE,
    Operation,
)
from remotecalls.simulators.linearizability.models import CasRegister
from remotecalls.simulators.linearizability.search import Candidate, explore, in_order_of_calls
from remotecalls.simulators.linearizability.verdict import (
    LINEARIZABLE,
    NOT_LINEARIZABLE,
    STEP_LIMIT,
    Verdict,
    of_each_key,
)


def check_registers(
    history: Iterable[Operation], *, initial: Any = None, step_limit: int = STEP_LIMIT
) -> Verdict:
    """Decide whether a history of registers is linearizable.

    Takes the time of sorting for each key whose written values differ, from each other and from
    the initial one. For other keys it searches.

    Args:
        history: reads and writes in any order; each key is a register of its own.
        initial: what is in each register before any write.
        step_limit: see `search.check`.

    Raises:
        ValueError: there is an operation that is neither a read nor a write.
    """

    def check_one(operations: Sequence[Operation], limit: int) -> Verdict:
        register = _Register.of(operations, initial)
        impossible = register.impossible_read(operations)
        if impossible:
            return impossible
        return register.sort() if register.is_unique else register.search(limit)

    return of_each_key(history, step_limit, check_one)


def search_registers(
    history: Iterable[Operation], *, initial: Any = None, step_limit: int = STEP_LIMIT
) -> Verdict:
    """Decide the same without sorting: a second opinion, and what `check_registers` falls back to.

    The arguments and errors are those of `check_registers`.
    """

    def check_one(operations: Sequence[Operation], limit: int) -> Verdict:
        return _Register.of(operations, initial).search(limit)

    return of_each_key(history, step_limit, check_one)


@dataclass(frozen=True)
class _Cluster:
    """A value's write, which the initial value does not have, and its reads by their calls."""

    write: Operation | None
    reads: list[Operation] = field(default_factory=list)

    @property
    def operations(self) -> list[Operation]:
        return [self.write, *self.reads] if self.write else self.reads

    @property
    def ends_first(self) -> Operation:
        """The operation with the earliest return. Of a write of unknown outcome: its first read."""
        ended = [each for each in self.operations if each.returned_us is not None]
        return min(ended, key=_returned_us)

    @property
    def starts_last(self) -> Operation:
        """The operation with the latest call."""
        return max(self.operations, key=lambda each: each.called_us)


def _returned_us(operation: Operation) -> int:
    assert operation.returned_us is not None, "not asked of what has no return"
    return operation.returned_us


@dataclass(frozen=True)
class _Register:
    """What counts of the operations on one register.

    Attributes:
        reads: those that returned.
        writes: those that are done, and those of unknown outcome that may matter.
    """

    initial: Any
    reads: list[Operation]
    writes: list[Operation]

    @classmethod
    def of(cls, operations: Sequence[Operation], initial: Any) -> _Register:
        """Leave out what failed, reads of unknown outcome, and writes that cannot matter.

        A write of unknown outcome whose value no read returns at its call or later cannot matter.
        If there is a legal order with it, then there is one without: no read stands between it and
        the next write, for such a read would return its value, after its call. Without it that
        place is empty, and all else finds what it found. And an order without it needs no more.
        """
        for each in operations:
            if each.kind not in (READ, WRITE):
                raise ValueError(
                    f"Only reads and writes are checked here, not a {each.kind}: {each}. "
                    "Use check(history, CasRegister())."
                )
        reads = [each for each in operations if each.kind == READ and each.outcome == OK]
        last_us: dict[Any, int] = {}
        for each in reads:
            end_us = _returned_us(each)
            last_us[each.value] = max(end_us, last_us.get(each.value, end_us))
        writes = [
            each
            for each in operations
            if each.kind == WRITE
            and (
                each.outcome == OK
                or (
                    each.outcome == UNKNOWN
                    and each.value in last_us
                    and last_us[each.value] >= each.called_us
                )
            )
        ]
        return cls(initial, reads, writes)

    @property
    def is_unique(self) -> bool:
        """No value is written twice, or again if it is the initial one."""
        values = {each.value for each in self.writes}
        return len(values) == len(self.writes) and self.initial not in values

    # ------------------------------------------------------------ reads that cannot be

    def impossible_read(self, operations: Sequence[Operation]) -> Verdict | None:
        """Find a read of a value that nobody had begun to write when the read returned."""
        first_us: dict[Any, int] = {}
        for each in self.writes:
            first_us[each.value] = min(each.called_us, first_us.get(each.value, each.called_us))
        for read in self.reads:
            if read.value == self.initial:
                continue
            if read.value in first_us and first_us[read.value] <= _returned_us(read):
                continue
            wrote = [w for w in operations if w.kind == WRITE and w.value == read.value]
            why = "nobody has written"
            if read.value in first_us:
                why = "was written only later"
            elif any(each.outcome == FAILED for each in wrote):
                why = "only a failed write would have written"
            elif wrote:  # a write of unknown outcome, and left out
                why = "was written only later"
            return Verdict(
                NOT_LINEARIZABLE,
                f"A read returned a value that {why}: {read}.",
                evidence=(*wrote, read),
            )
        return None

    # ------------------------------------------------------------ sorting

    def sort(self) -> Verdict:
        """Decide by the module's theorem; the first of its conditions holds."""
        nothing_yet = _Cluster(None)
        of_value = {self.initial: nothing_yet} | {w.value: _Cluster(w) for w in self.writes}
        for read in sorted(self.reads, key=lambda each: each.called_us):
            of_value[read.value].reads.append(read)
        clusters = [of_value[write.value] for write in self.writes]
        ends = [_returned_us(each.ends_first) for each in clusters]
        starts = [each.starts_last.called_us for each in clusters]
        order = sorted(range(len(clusters)), key=lambda n: ends[n] + starts[n])
        witness = nothing_yet.reads.copy()
        # The initial value stands ahead of everything. What is ahead of a cluster must not have to
        # stand behind it; the latest call of all that is ahead is enough to know.
        latest = nothing_yet if nothing_yet.reads else None
        latest_us = nothing_yet.starts_last.called_us if nothing_yet.reads else None
        for n in order:
            if latest is not None and latest_us is not None and ends[n] < latest_us:
                return _conflict(latest, clusters[n])
            if latest_us is None or starts[n] > latest_us:
                latest, latest_us = clusters[n], starts[n]
            witness.extend(clusters[n].operations)
        return Verdict(LINEARIZABLE, witness=tuple(witness))

    # ------------------------------------------------------------ search

    def search(self, step_limit: int) -> Verdict:
        """Search for an order.

        Two reductions beside those of `search`, with the reasons why they are sound:

        * A write of unknown outcome whose value no other one writes and that has been read is
          taken for a write that returned when the first of these reads did. In every legal order
          it has a place, ahead of each of these reads; and each of them takes effect before its
          return. Closing it forbids no order that was legal.
        * A value that somebody has still to read and nobody is left to write must not be
          overwritten.
        """
        written = Counter(each.value for each in self.writes)
        written[self.initial] += 1
        read_us: dict[Any, int] = {}
        for each in self.reads:
            end_us = _returned_us(each)
            read_us[each.value] = min(end_us, read_us.get(each.value, end_us))
        candidates = [Candidate(each, each.returned_us) for each in self.reads]
        for each in self.writes:
            is_closed = each.returned_us is None and written[each.value] == 1
            candidates.append(
                Candidate(each, read_us[each.value] if is_closed else each.returned_us)
            )
        candidates = in_order_of_calls(candidates)
        readers: dict[Any, int] = {}
        writers: dict[Any, int] = {}
        for number, candidate in enumerate(candidates):
            bits = readers if candidate.operation.kind == READ else writers
            value = candidate.operation.value
            bits[value] = bits.get(value, 0) | 1 << number

        def must_stay(done: int, value: Any) -> bool:
            is_still_read = readers.get(value, 0) & ~done
            return bool(is_still_read and not writers.get(value, 0) & ~done)

        return explore(candidates, CasRegister(self.initial), step_limit, must_stay)


def _conflict(one: _Cluster, other: _Cluster) -> Verdict:
    """Say that each of two clusters has to stand ahead of the other."""
    evidence: list[Operation] = []
    named = []
    for ahead, behind in ((one, other), (other, one)):
        if ahead.write is None:
            named.append("the initial value comes ahead of everything")
        else:
            end, start = ahead.ends_first, behind.starts_last
            named.append(f"{end} had returned before the call of {start}")
            evidence += [end, start]
    evidence += [each.write for each in (one, other) if each.write]
    values = " and ".join(
        "the initial value" if each.write is None else repr(each.write.value)
        for each in (one, other)
    )
    by_call = sorted(dict.fromkeys(evidence), key=lambda each: each.called_us)
    return Verdict(
        NOT_LINEARIZABLE,
        f"On {by_call[0].key!r}, {values} would each have to come ahead of the other: "
        f"{'; '.join(named)}.",
        evidence=tuple(by_call),
    )
