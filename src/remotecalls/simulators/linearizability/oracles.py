"""What a history says of staleness and of sessions, beside the answer to linearizable or not.

All of it is by the client's clock alone, and for registers whose written values differ. Write *v*
is *certainly older* than write *w* if v's effect was over when w was called: v had returned by
then, or a read had returned v's value. Of other pairs nobody can say which one is the newer, and
**they count for nothing here**: each of the numbers is what can be said at least, and each of the
violations is one for certain, provided that a process calls again only after a return. The initial
value is certainly older than every write. Reads of values that nobody has written are left out;
`unwritten_reads` finds them.

Sources: Golab, Li and Shah, "Analyzing Consistency Properties for Fun and Profit", PODC 2011, for
staleness; Terry and others, "Session Guarantees for Weakly Consistent Replicated Data", PDIS 1994.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from remotecalls.simulators.linearizability.history import (
    FAILED,
    OK,
    READ,
    WRITE,
    Operation,
)


@dataclass(frozen=True)
class Staleness:
    """How old the value was that a read returned.

    A write was *missed* if it was done and had returned before the read was called, and the write
    whose value was returned is certainly older. A write under way, or of unknown outcome, is never
    missed, not even if another client has already read it.

    Attributes:
        read: the read.
        write: whose value it returned; None for the initial one.
        missed: the writes that it missed, by their returns; empty if it was not stale.
        stale_us: how long before the read's call the first of them had returned.
    """

    read: Operation
    write: Operation | None
    missed: tuple[Operation, ...]
    stale_us: int

    @property
    def writes(self) -> int:
        """How many writes it missed."""
        return len(self.missed)


@dataclass(frozen=True)
class UnreadOwnWrite:
    """A process wrote, and then read something that is certainly older.

    Attributes:
        read: the read.
        returned: whose value it returned; None for the initial one.
        own_write: the newest write of the same process, on the same key, that had returned.
    """

    read: Operation
    returned: Operation | None
    own_write: Operation


@dataclass(frozen=True)
class BackwardRead:
    """A process read something, and then something older.

    Attributes:
        read: the later read.
        returned: whose value it returned; None for the initial one.
        earlier: the latest read before it, by the same process on the same key, whose value is
            certainly newer. If there is none: the read just before it, of another value, after the
            process had already read the value of `read`. It left a value and came back to it, and
            one of these two steps went backward, whichever of the two writes is the newer one.
        before_that: in the second case, that earlier read of the value of `read`; otherwise None.
    """

    read: Operation
    returned: Operation | None
    earlier: Operation
    before_that: Operation | None


def staleness(history: Iterable[Operation], *, initial: Any = None) -> tuple[Staleness, ...]:
    """Say of each read that is done how stale its value was.

    Args:
        history: reads and writes in any order; each key is a register of its own.
        initial: what is in each register before any write.

    Returns:
        One for each read of the initial value or of a written one, by the reads' calls.

    Raises:
        ValueError: a value is written twice, or is the initial one, or there is a cas.
    """
    found = []
    for register in _registers(history, initial):
        done = [each for each in register.writes if each.outcome == OK]
        done.sort(key=_returned_us)
        returns = [_returned_us(each) for each in done]
        for read in register.reads:
            write = register.writer(read)
            returned = done[: bisect_left(returns, read.called_us)]
            missed = tuple(each for each in returned if register.is_older(write, each))
            stale_us = read.called_us - _returned_us(missed[0]) if missed else 0
            found.append(Staleness(read, write, missed, stale_us))
    return tuple(sorted(found, key=lambda each: each.read.called_us))


def unread_own_writes(
    history: Iterable[Operation], *, initial: Any = None
) -> tuple[UnreadOwnWrite, ...]:
    """Find violations of read-your-writes.

    The arguments and errors are those of `staleness`.

    Returns:
        By the reads' calls; at most one for each read.
    """
    found = []
    for register in _registers(history, initial):
        for process in register.sessions():
            own: Operation | None = None
            for each in process:
                if each.kind == WRITE:
                    own = each if each.outcome == OK else own
                elif own and register.is_older(write := register.writer(each), own):
                    found.append(UnreadOwnWrite(each, write, own))
    return tuple(sorted(found, key=lambda each: each.read.called_us))


def backward_reads(
    history: Iterable[Operation], *, initial: Any = None
) -> tuple[BackwardRead, ...]:
    """Find violations of monotonic reads.

    The arguments and errors are those of `staleness`.

    Returns:
        By the reads' calls; at most one for each read.
    """
    found = []
    for register in _registers(history, initial):
        for process in register.sessions():
            reads: list[Operation] = []
            for read in process:
                if read.kind == READ:
                    violation = _backward(register, reads, read)
                    if violation:
                        found.append(violation)
                    reads.append(read)
    return tuple(sorted(found, key=lambda each: each.read.called_us))


def unwritten_reads(history: Iterable[Operation], *, initial: Any = None) -> tuple[Operation, ...]:
    """Find the reads that are done of a value that is not the initial one and nobody has written.

    What failed has not written. The arguments and errors are those of `staleness`; the result is
    by the reads' calls.
    """
    found = [each for register in _registers(history, initial) for each in register.unwritten]
    return tuple(sorted(found, key=lambda each: each.called_us))


def _backward(
    register: _Register, earlier_reads: list[Operation], read: Operation
) -> BackwardRead | None:
    write = register.writer(read)
    for earlier in reversed(earlier_reads):
        if register.is_older(write, register.writer(earlier)):
            return BackwardRead(read, write, earlier, None)
    same = [n for n, each in enumerate(earlier_reads) if each.value == read.value]
    if same and same[-1] < len(earlier_reads) - 1:
        # The process had left this value for others, and whichever is the newer, it has gone back.
        return BackwardRead(read, write, earlier_reads[-1], earlier_reads[same[-1]])
    return None


class _Register:
    """The operations on one key.

    Attributes:
        writes: those that are done or of unknown outcome.
        reads: those that are done, of the initial value or a written one, by their calls.
        unwritten: those that are done, of other values.
    """

    def __init__(self, operations: list[Operation], initial: Any) -> None:
        self.writes = [w for w in operations if w.kind == WRITE and w.outcome != FAILED]
        self._write_of: dict[Any, Operation] = {}
        for write in self.writes:
            other = self._write_of.setdefault(write.value, write)
            if other is not write or write.value == initial:
                also = f"{other} also writes it" if other is not write else "it is the initial one"
                raise ValueError(
                    f"{write} writes a value that does not tell writes apart: {also}. "
                    "Let each write have a value of its own."
                )
        reads = [each for each in operations if each.kind == READ and each.outcome == OK]
        reads.sort(key=lambda each: each.called_us)
        self.reads = [each for each in reads if self._is_known(each, initial)]
        self.unwritten = [each for each in reads if not self._is_known(each, initial)]
        self._over_us: dict[Any, int] = {}
        for each in self.writes + self.reads:
            if each.returned_us is not None:
                over_us = self._over_us.get(each.value, each.returned_us)
                self._over_us[each.value] = min(over_us, each.returned_us)

    def _is_known(self, read: Operation, initial: Any) -> bool:
        return bool(read.value in self._write_of or read.value == initial)

    def writer(self, read: Operation) -> Operation | None:
        """Return the write whose value was read; None for the initial one."""
        return self._write_of.get(read.value)

    def is_older(self, one: Operation | None, other: Operation | None) -> bool:
        """Whether the effect of one was over for certain when the other was called."""
        if one is None or other is None:
            return other is not None
        # One whose return nobody has seen, neither its own nor a read's, is older than nothing.
        over_us = self._over_us.get(one.value)
        return over_us is not None and over_us < other.called_us

    def sessions(self) -> Iterator[list[Operation]]:
        """Yield what each process did here, in the order in which it did so."""
        sessions: dict[int, list[Operation]] = {}
        for each in sorted(self.writes + self.reads, key=lambda each: each.called_us):
            sessions.setdefault(each.process, []).append(each)
        yield from sessions.values()


def _registers(history: Iterable[Operation], initial: Any) -> Iterator[_Register]:
    keys: dict[str, list[Operation]] = {}
    for each in history:
        if each.kind not in (READ, WRITE):
            raise ValueError(f"Reads and writes are looked at here, not a {each.kind}: {each}.")
        keys.setdefault(each.key, []).append(each)
    for operations in keys.values():
        yield _Register(operations, initial)


def _returned_us(operation: Operation) -> int:
    assert operation.returned_us is not None, "what is done has returned"
    return operation.returned_us
