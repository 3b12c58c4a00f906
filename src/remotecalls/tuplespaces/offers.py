"""Who waits for tuples or for room, and to whom a tuple is offered that comes in sight.

Everything here happens between two awaits of one event loop, so each change is whole before anybody
else looks. Two rules keep the waits honest:

* Nobody waits for a tuple that they could have. Whatever comes in sight is offered at once: to all
  who wait to read it, and to the first who waits to take it.
* A wait has one outcome, set in its future by whoever ends it: a tuple, or an error. A deadline
  competes with a tuple for the same future, so they cannot both win.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial

from remotecalls.tuplespaces.agenda import Clock
from remotecalls.tuplespaces.contents import Contents, may_take
from remotecalls.tuplespaces.errors import SpaceClosed
from remotecalls.tuplespaces.fields import Fields
from remotecalls.tuplespaces.ordered import Ordered
from remotecalls.tuplespaces.store import Entry, Owner
from remotecalls.tuplespaces.unit_of_work import UnitOfWork
from remotecalls.tuplespaces.waiting import Registry, Subscriber, Waiter, WaitingWrite
from remotecalls.wire.errors import DeadlineExceeded


class Offers(Contents):
    """The tuples of a space, and those who wait.

    Attributes:
        readers: who waits to read, outside of transactions.
        claimants: who waits to take, or to read under a transaction: these exclude each other.
        writers: who waits for room.
        subscribers: who wants to know of every tuple that is written.
    """

    def __init__(self, clock: Clock, capacity: float) -> None:
        super().__init__(clock, capacity)
        self.readers: Registry[Waiter] = Registry()
        self.claimants: Registry[Waiter] = Registry()
        self.writers: Ordered[WaitingWrite] = Ordered()
        self.subscribers: Registry[Subscriber] = Registry()
        self._busy = False  # in the middle of a change, at whose end writers are let in

    @contextmanager
    def change(self) -> Iterator[None]:
        """Let nobody in who waits for room before all of a change is done."""
        before, self._busy = self._busy, True
        try:
            yield
        finally:
            self._busy = before
        self.room_was_freed()

    # ---------------------------------------------------------------- what comes in sight

    def show(
        self, entries: list[Entry], new: Iterable[Entry] = (), also: Iterable[Entry] = ()
    ) -> None:
        """Put tuples where everybody sees them, and offer them, with others, to those who wait."""
        with self.change():
            for entry in entries:
                (self.locked if entry.readers else self.free).add(entry)
            for entry in new:
                entry.written_by = None
                self._announce(entry)
            if self.readers or self.claimants:
                for entry in sorted([*entries, *also], key=lambda entry: entry.order):
                    self._offer(entry)

    def _announce(self, entry: Entry) -> None:
        for subscriber in list(self.subscribers.concerned(entry.fields)):
            try:
                if subscriber.pattern.accepts(entry.fields):
                    subscriber.events.push(entry.fields)
            except Exception as error:  # noqa: BLE001 (a function of theirs: they get to see it)
                self.subscribers.remove(subscriber)
                subscriber.events.end(error)

    def unsubscribe(self, subscriber: Subscriber) -> None:
        """Tell somebody of no further tuples."""
        if not subscriber.events.ended:
            self.subscribers.remove(subscriber)
            subscriber.events.end(SpaceClosed("this subscription has ended"))

    def _offer(self, entry: Entry) -> None:
        if entry.expires <= self.agenda.clock():
            return  # an abort has put it back, and its own alarm is still to come
        self._serve_first(entry, self.readers.concerned(entry.fields))
        self._serve_first(entry, self.claimants.concerned(entry.fields))

    def write_within(self, entry: Entry, work: UnitOfWork) -> None:
        """Put a tuple where only its transaction sees it, and offer it to those who wait there."""
        work.written.add(entry)
        self.settle_room(work)
        waiters = [waiter for waiter in work.waiting if isinstance(waiter, Waiter)]
        self._serve_first(entry, (w for w in waiters if w.pattern.is_for(entry.fields)))

    def _serve_first(self, entry: Entry, waiters: Iterable[Waiter]) -> None:
        """Give a tuple to readers in the order of arrival, up to the first who may take it."""
        served: list[Waiter] = []
        failed: list[tuple[Waiter, Exception]] = []
        for waiter in waiters:
            if waiter.future.done() or (waiter.taking and not may_take(entry, waiter.work)):
                continue
            try:
                wanted = waiter.pattern.accepts(entry.fields)
            except Exception as reason:  # noqa: BLE001 (a function of theirs: they get to see it)
                failed.append((waiter, reason))
                continue
            if wanted:
                served.append(waiter)
                if waiter.taking:
                    break
                if waiter.work is not None:
                    self.lock(entry, waiter.work)
        for waiter, error in failed:
            self.fail(waiter, error)
        for waiter in served:
            self.withdraw(waiter)
            self.obtain(entry, waiter.work, taking=waiter.taking)
            waiter.future.set_result(entry)

    # ---------------------------------------------------------------- room

    def obtain(self, entry: Entry, work: UnitOfWork | None, *, taking: bool) -> None:
        """Take or read, and let in the writers for whom there is room now."""
        super().obtain(entry, work, taking=taking)
        if taking and work is not None:
            self._room_was_freed_within(work)
        self.room_was_freed()

    def remove(self, entry: Entry) -> None:
        """Let a tuple be gone, and let in the writers for whom there is room now."""
        writer = entry.written_by
        super().remove(entry)
        if writer is not None:
            self._room_was_freed_within(writer)
        self.room_was_freed()

    def write_now(self, fields: Fields, lease: float, work: UnitOfWork | None) -> Entry:
        """Write a tuple for which there is room."""
        entry = Entry(next(self.numbers), fields)
        if lease != math.inf:
            self.start_lease(entry, lease)
        if work is None:
            self.show([entry], new=[entry])
        else:
            entry.written_by = work
            self.write_within(entry, work)
        return entry

    def room_was_freed(self) -> None:
        """Let in those who wait for room, in the order of arrival."""
        if self._busy:
            return  # whoever is in the middle of something does it at the end
        while self.writers and self.has_room((writer := self.writers.first()).work):
            self._let_in(writer)

    def _room_was_freed_within(self, work: Owner) -> None:
        """Let in those for whom their transaction has room of its own, past all others."""
        for waiting in list(work.waiting):
            if isinstance(waiting, WaitingWrite) and work.room_for_one_more == 0:
                self._let_in(waiting)

    def _let_in(self, writer: WaitingWrite) -> None:
        before, self._busy = self._busy, True
        self.withdraw(writer)
        if not writer.future.done():
            writer.future.set_result(self.write_now(writer.fields, writer.lease, writer.work))
        self._busy = before

    # ---------------------------------------------------------------- waits

    def begin_wait(self, waiting: Waiter | WaitingWrite, timeout: float, message: str) -> None:
        """Let somebody wait no longer than that, and then say so."""
        waiting.alarm = self.agenda.after(timeout, partial(self._overdue, waiting, message))
        if waiting.work is not None:
            waiting.work.waiting[waiting] = None

    def _overdue(self, waiting: Waiter | WaitingWrite, message: str) -> None:
        waiting.alarm = None  # it has just rung
        self.fail(waiting, DeadlineExceeded(message))

    def fail(self, waiting: Waiter | WaitingWrite, error: Exception) -> None:
        """Let somebody's wait end with an error."""
        self.withdraw(waiting)
        if not waiting.future.done():
            waiting.future.set_exception(error)

    def withdraw(self, waiting: Waiter | WaitingWrite) -> None:
        """Let somebody wait no more; they may have been told so before."""
        if not waiting.active:
            return
        waiting.active = False
        if waiting.alarm is not None:
            self.agenda.cancel(waiting.alarm)
            waiting.alarm = None
        if waiting.work is not None:
            del waiting.work.waiting[waiting]
        if isinstance(waiting, Waiter):
            self.registry(waiting).remove(waiting)
        else:
            self.writers.remove(waiting)

    def registry(self, waiter: Waiter) -> Registry[Waiter]:
        """Where somebody who waits for a tuple is found."""
        return self.claimants if waiter.taking or waiter.work is not None else self.readers
