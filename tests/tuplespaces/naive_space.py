"""A tuple space as a list: no index, no futures, nothing clever. The real one must agree with it.

It follows the words of the specification. A tuple is a row with marks: who has taken it, written it
or read it under a transaction. After each change, everybody who waits is asked again.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

Matches = Callable[[tuple[Any, ...]], bool]


@dataclass(eq=False)
class Unit:
    """A transaction."""

    ends: float
    number: int
    state: str = "open"


@dataclass(eq=False)
class Row:
    number: int
    fields: tuple[Any, ...]
    expires: float
    alarm: int
    written_by: Unit | None = None
    taken_by: Unit | None = None
    read_by: set[int] = field(default_factory=set)


@dataclass(eq=False)
class Wait:
    """A read, a take or a write that has to wait; `outcome` is a tuple or the name of an error."""

    number: int
    deadline: float
    unit: Unit | None
    matches: Matches | None = None
    taking: bool = False
    fields: tuple[Any, ...] = ()
    lease: float = math.inf
    outcome: Any = None
    row: Row | None = None


class NaiveSpace:
    def __init__(self, capacity: float) -> None:
        self.capacity = capacity
        self.now = 0.0
        self.rows: list[Row] = []
        self.waits: list[Wait] = []
        self.units: list[Unit] = []
        self.written: list[tuple[Any, ...]] = []  # what subscribers to everything have seen
        self.numbers = itertools.count(1)

    # ---------------------------------------------------------------- who sees what

    def visible(self, unit: Unit | None) -> list[Row]:
        return [
            row
            for row in sorted(self.rows, key=lambda row: row.number)
            if row.taken_by is None and row.written_by in (None, unit)
        ]

    def takeable(self, row: Row, unit: Unit | None) -> bool:
        return row.read_by <= ({unit.number} if unit else set())

    def used(self) -> int:
        in_sight = sum(row.taken_by is None and row.written_by is None for row in self.rows)
        return in_sight + sum(max(self.owned(unit)) for unit in self.units)

    def owned(self, unit: Unit) -> tuple[int, int]:
        written = sum(row.written_by is unit for row in self.rows)
        return written, sum(row.taken_by is unit for row in self.rows)

    def needs_no_room(self, unit: Unit | None) -> bool:
        return unit is not None and self.owned(unit)[0] < self.owned(unit)[1]

    # ---------------------------------------------------------------- operations

    def write(
        self, fields: tuple[Any, ...], lease: float, unit: Unit | None, timeout: float
    ) -> Wait:
        wait = Wait(
            next(self.numbers), self.now + timeout, unit, fields=fields, lease=self.now + lease
        )
        wait.lease = lease
        queue = any(other.matches is None for other in self.waits)
        if self.needs_no_room(unit) or (not queue and self.used() < self.capacity):
            self.admit(wait)
        else:
            self.waits.append(wait)
        self.settle()
        return wait

    def admit(self, wait: Wait) -> None:
        row = Row(
            next(self.numbers),
            wait.fields,
            self.now + wait.lease,
            next(self.numbers),
            written_by=wait.unit,
        )
        self.rows.append(row)
        wait.outcome, wait.row = wait.fields, row
        if wait.unit is None:
            self.written.append(wait.fields)

    def get(self, matches: Matches, taking: bool, unit: Unit | None, timeout: float) -> Wait:
        wait = Wait(next(self.numbers), self.now + timeout, unit, matches, taking)
        self.waits.append(wait)
        self.settle()
        return wait

    def get_now(self, matches: Matches, taking: bool, unit: Unit | None) -> Any:
        wait = Wait(0, 0.0, unit, matches, taking)
        self.serve(wait)
        self.settle()
        return wait.outcome

    def read_all(self, matches: Matches, unit: Unit | None) -> list[tuple[Any, ...]]:
        found = [row for row in self.visible(unit) if matches(row.fields)]
        if unit is not None:
            for row in found:
                self.mark_read(row, unit)
        return [row.fields for row in found]

    def begin(self, timeout: float) -> Unit:
        unit = Unit(self.now + timeout, next(self.numbers))
        self.units.append(unit)
        return unit

    def end(self, unit: Unit, state: str) -> None:
        unit.state = state
        self.units.remove(unit)
        for wait in [wait for wait in self.waits if wait.unit is unit]:
            wait.outcome = "TransactionEnded"
            self.waits.remove(wait)
        committed = state == "committed"
        for row in list(self.rows):
            row.read_by.discard(unit.number)
            mine, theirs = row.written_by is unit, row.taken_by is unit
            if (mine and not committed) or (theirs and committed):
                self.rows.remove(row)
            elif mine or theirs:
                row.written_by = row.taken_by = None
                if mine:
                    self.written.append(row.fields)
        self.settle()

    def renew(self, row: Row, lease: float) -> None:
        row.expires, row.alarm = self.now + lease, next(self.numbers)

    def cancel(self, row: Row) -> None:
        self.rows.remove(row)
        self.settle()

    def give_up(self, wait: Wait) -> None:
        """The caller is canceled: while waiting, or in the moment after it was served."""
        if wait in self.waits:
            self.waits.remove(wait)
        elif wait.taking and wait.row is not None:
            if wait.row not in self.rows:
                wait.row.alarm = next(self.numbers)
                self.rows.append(wait.row)
            wait.row.taken_by = None
        self.settle()

    def advance(self, seconds: float) -> None:
        """Let time pass: everything that is over ends, in the order of time."""
        end = self.now + seconds
        while (due := min(self.ends(), key=lambda each: each[:2], default=None)) is not None:
            if due[0] > end:
                break
            self.now = end  # the space is asked only now: it renews and waits from now on
            due[2]()
        self.now = end

    def ends(self) -> Iterable[tuple[float, int, Callable[[], None]]]:
        for row in self.rows:
            yield row.expires, row.alarm, lambda row=row: self.cancel(row)
        for wait in self.waits:
            yield wait.deadline, wait.number, lambda wait=wait: self.overdue(wait)
        for unit in self.units:
            yield unit.ends, unit.number, lambda unit=unit: self.end(unit, "overdue")

    def overdue(self, wait: Wait) -> None:
        wait.outcome = "DeadlineExceeded"
        self.waits.remove(wait)

    # ---------------------------------------------------------------- asking everybody again

    def settle(self) -> None:
        while any([self.settle_gets(), self.settle_writes()]):
            pass

    def settle_gets(self) -> bool:
        gets = [wait for wait in self.waits if wait.matches is not None]
        readers = [wait for wait in gets if not wait.taking and wait.unit is None]
        served = False
        for wait in readers + [wait for wait in gets if wait not in readers]:
            if self.serve(wait):
                self.waits.remove(wait)
                served = True
        return served

    def settle_writes(self) -> bool:
        writes = [wait for wait in self.waits if wait.matches is None]
        for wait in [wait for wait in writes if self.needs_no_room(wait.unit)] + writes[:1]:
            if self.needs_no_room(wait.unit) or self.used() < self.capacity:
                self.waits.remove(wait)
                self.admit(wait)
                return True
        return False

    def serve(self, wait: Wait) -> bool:
        assert wait.matches is not None
        for row in self.visible(wait.unit):
            expired = row.expires <= self.now
            if expired or not wait.matches(row.fields):
                continue
            if wait.taking:
                if not self.takeable(row, wait.unit):
                    continue
                if wait.unit is None or row.written_by is wait.unit:
                    self.rows.remove(row)
                else:
                    row.taken_by = wait.unit
            elif wait.unit is not None:
                self.mark_read(row, wait.unit)
            wait.outcome, wait.row = row.fields, row
            return True
        return False

    def mark_read(self, row: Row, unit: Unit) -> None:
        if row.written_by is not unit:
            row.read_by.add(unit.number)
