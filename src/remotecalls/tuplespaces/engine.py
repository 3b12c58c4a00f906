"""The operations of a space, on arguments that have been checked.

A wait for a tuple has three ends: the tuple, an error, or its caller is canceled. The third may
come after the first, before the caller runs again: then the tuple goes back, as if it had never
been taken.
"""

from __future__ import annotations

import asyncio
from functools import partial

from remotecalls.tuplespaces.agenda import Clock
from remotecalls.tuplespaces.errors import SpaceClosed, TransactionEnded
from remotecalls.tuplespaces.fields import Fields
from remotecalls.tuplespaces.offers import Offers
from remotecalls.tuplespaces.patterns import Pattern
from remotecalls.tuplespaces.store import Entry
from remotecalls.tuplespaces.unit_of_work import State, UnitOfWork
from remotecalls.tuplespaces.waiting import Waiter, WaitingWrite

NOT_OPEN = "the space is not open: use it inside of `async with`"


class Engine(Offers):
    """A space. Timeouts and leases are seconds.

    Attributes:
        works: the open transactions.
        closed: why the space cannot be used, or None.
    """

    def __init__(self, clock: Clock, capacity: float) -> None:
        super().__init__(clock, capacity)
        self.works: dict[UnitOfWork, None] = {}
        self.closed: str | None = NOT_OPEN

    def begin_operation(self, work: UnitOfWork | None = None) -> None:
        """What every operation does first: what is over by the clock is over.

        Raises:
            SpaceClosed: the space is not open.
            TransactionEnded: the transaction is not.
        """
        if self.closed is not None:
            raise SpaceClosed(self.closed)
        self.agenda.run_due()
        if work is not None and work.state is not State.OPEN:
            raise ended(work)

    # ---------------------------------------------------------------- reading and taking

    def get_now(self, pattern: Pattern, work: UnitOfWork | None, *, taking: bool) -> Entry | None:
        """Read or take the oldest match, if there is one.

        Raises:
            TransactionEnded: the transaction has ended.
            SpaceClosed: the space is closed.
            Exception: what a function of the pattern raises.
        """
        self.begin_operation(work)
        entry = self.find(pattern, work, taking=taking)
        if entry is not None:
            self.obtain(entry, work, taking=taking)
        return entry

    def get_all_now(self, pattern: Pattern, work: UnitOfWork | None) -> list[Entry]:
        """Read all matches, oldest first.

        Raises:
            TransactionEnded: the transaction has ended.
            SpaceClosed: the space is closed.
            Exception: what a function of the pattern raises.
        """
        self.begin_operation(work)
        entries = self.find_all(pattern, work)
        if work is not None:
            for entry in entries:
                self.lock(entry, work)
        return entries

    async def get(
        self, pattern: Pattern, work: UnitOfWork | None, *, taking: bool, timeout: float
    ) -> Entry:
        """Read or take the oldest match, now or when there is one.

        Raises:
            DeadlineExceeded: nothing came in time.
            TransactionEnded: the transaction has ended, or ended meanwhile.
            SpaceClosed: the space is closed, or was closed meanwhile.
            Exception: what a function of the pattern raises.
        """
        entry = self.get_now(pattern, work, taking=taking)
        if entry is not None:
            return entry
        waiter = Waiter(next(self.numbers), pattern, taking=taking, work=work)
        self.registry(waiter).add(waiter)
        self.begin_wait(waiter, timeout, f"no tuple matched {pattern} within {timeout:g} s")
        try:
            return await waiter.future
        except asyncio.CancelledError:
            if waiter.future.cancelled():
                self.withdraw(waiter)
            elif waiter.future.exception() is None and taking:
                self.put_back(waiter.future.result(), work)
            raise

    def put_back(self, entry: Entry, work: UnitOfWork | None) -> None:
        """Undo a take whose caller never got the tuple: it has its old age and its old lease.

        The room that it had may be in use again by now. The space is then over its capacity by one,
        for no tuple is thrown away.
        """
        if self.closed is not None:
            return
        if work is not None and work.state is State.OPEN and entry.taken_by is work:
            entry.taken_by = None
            del work.taken[entry.order]
            self.settle_room(work)
            self.show([entry])
        elif not entry.gone or (work is not None and work.state in (State.ABORTED, State.OVERDUE)):
            return  # the end of the transaction was quicker
        elif entry.expires > self.agenda.clock():
            self.resume_lease(entry)
            if work is None or work.state is State.COMMITTED:
                self.show([entry], new=[entry] if entry.written_by is not None else [])
            else:
                self.write_within(entry, work)

    # ---------------------------------------------------------------- writing

    def must_wait(self, work: UnitOfWork | None) -> bool:
        """Whether a write has no room, or others came first.

        Raises:
            TransactionEnded: the transaction has ended.
            SpaceClosed: the space is closed.
        """
        self.begin_operation(work)
        if work is not None and work.room_for_one_more == 0:
            return False
        return bool(self.writers) or not self.has_room(work)

    async def write(
        self, fields: Fields, lease: float, work: UnitOfWork | None, timeout: float
    ) -> Entry:
        """Write a tuple, now or when there is room.

        Raises:
            DeadlineExceeded: there was no room in time.
            TransactionEnded: the transaction has ended, or ended meanwhile.
            SpaceClosed: the space is closed, or was closed meanwhile.
        """
        if not self.must_wait(work):
            return self.write_now(fields, lease, work)
        writer = WaitingWrite(next(self.numbers), fields, lease, work)
        self.writers.add(writer)
        self.begin_wait(
            writer,
            timeout,
            f"no room within {timeout:g} s: the space holds its {self.capacity:,} tuples",
        )
        try:
            return await writer.future
        except asyncio.CancelledError:
            if writer.future.cancelled():
                self.withdraw(writer)
            else:
                writer.future.exception()  # written or refused: too late to matter to anybody
            raise

    # ---------------------------------------------------------------- transactions

    def begin(self, timeout: float) -> UnitOfWork:
        """Open a transaction, which is aborted if it lasts longer than that."""
        work = UnitOfWork(timeout)
        work.alarm = self.agenda.after(timeout, partial(self.end, work, State.OVERDUE))
        self.works[work] = None
        return work

    def end(self, work: UnitOfWork, state: State) -> None:
        """Commit or abort.

        After a commit, what was taken is gone, and what was written is there for all at once. After
        an abort it is the other way round.
        """
        with self.change():
            if work.alarm is not None and state is not State.OVERDUE:
                self.agenda.cancel(work.alarm)
            work.state = state
            del self.works[work]
            for waiting in list(work.waiting):
                self.fail(waiting, ended(work))
            read, taken = list(work.read.values()), list(work.taken.values())
            written = sorted(work.written, key=lambda entry: entry.order)
            for entry in read:
                self.unlock(entry, work)
            gone, there = (taken, written) if state is State.COMMITTED else (written, taken)
            for entry in gone:
                self.remove(entry)
            for entry in there:
                entry.taken_by = None
                if entry.store is not None:
                    entry.store.remove(entry)
            work.taken.clear()
            self.settle_room(work)
            unlocked = [entry for entry in read if entry.store is not None]
            self.show(there, new=written if state is State.COMMITTED else [], also=unlocked)

    def find_leased(self, length: int, order: int) -> Entry | None:
        """The tuple of that length and number, wherever it is."""
        found = self.free.find(length, order) or self.locked.find(length, order)
        for work in self.works:
            found = found or work.written.find(length, order) or work.taken.get(order)
        return found

    # ---------------------------------------------------------------- the end

    def close(self, reason: str) -> None:
        """End every wait, subscription and transaction; refuse what comes later."""
        if self.closed is not None:
            return
        self.closed = reason
        for waiting in [*self.readers, *self.claimants, *self.writers]:
            self.fail(waiting, SpaceClosed(reason))
        for subscriber in list(self.subscribers):
            self.subscribers.remove(subscriber)
            subscriber.events.end(SpaceClosed(reason))
        for work in list(self.works):
            self.end(work, State.ABORTED)
        self.agenda.close()


def ended(work: UnitOfWork) -> TransactionEnded:
    """The error for using a transaction after its end."""
    after = f" (it was given {work.timeout:g} s)" if work.state is State.OVERDUE else ""
    return TransactionEnded(f"this transaction {work.state.value}{after}: begin another")
