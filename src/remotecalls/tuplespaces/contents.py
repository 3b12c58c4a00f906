"""Which tuples there are, who sees them, and who may take them.

A tuple is in one of five places: *free*, for everybody; *locked*, seen by everybody, but read by
open transactions, so that nobody else may take it; *written* or *taken* by an open transaction; or
gone.
"""

from __future__ import annotations

import itertools
import math
from functools import partial

from remotecalls.tuplespaces.agenda import Agenda, Clock
from remotecalls.tuplespaces.patterns import Pattern
from remotecalls.tuplespaces.store import Entry, Owner, Store
from remotecalls.tuplespaces.unit_of_work import UnitOfWork


class Contents:
    """The tuples of a space, without anybody who waits.

    Args:
        clock: seconds by which leases, transactions and waits end.
        capacity: for how many tuples there is room; `math.inf` for any number.
    """

    def __init__(self, clock: Clock, capacity: float) -> None:
        self.agenda = Agenda(clock)
        self.capacity = capacity
        self.free = Store()
        self.locked = Store()
        self.numbers = itertools.count(1)
        self._charged = 0

    # ---------------------------------------------------------------- looking

    def find(self, pattern: Pattern, work: UnitOfWork | None, *, taking: bool) -> Entry | None:
        """The oldest tuple that the caller may read, or may take.

        Raises:
            Exception: what a function of the pattern raises.
        """
        found = self.free.oldest(pattern)
        if self.locked and (not taking or (work is not None and work.read)):
            for entry in self.locked.matching(pattern):
                if not taking or may_take(entry, work):
                    found = _older(found, entry)
                    break
        if work is not None and work.written:
            found = _older(found, work.written.oldest(pattern))
        return found

    def find_all(self, pattern: Pattern, work: UnitOfWork | None) -> list[Entry]:
        """All tuples that the caller may read, oldest first.

        Raises:
            Exception: what a function of the pattern raises.
        """
        stores = [self.free, self.locked] + ([work.written] if work is not None else [])
        found = [entry for store in stores for entry in store.matching(pattern)]
        return sorted(found, key=lambda entry: entry.order)

    # ---------------------------------------------------------------- taking and locking

    def obtain(self, entry: Entry, work: UnitOfWork | None, *, taking: bool) -> None:
        """Take what `find` has found, or note that a transaction has read it."""
        if not taking:
            if work is not None:
                self.lock(entry, work)
        elif work is None or entry.store is work.written:
            self.remove(entry)
        else:
            assert entry.store is not None
            entry.store.remove(entry)  # if the transaction has read it, it stays among `work.read`
            entry.taken_by = work
            work.taken[entry.order] = entry
            self.settle_room(work)

    def lock(self, entry: Entry, work: UnitOfWork) -> None:
        """Keep others from taking what a transaction has read."""
        if entry.store is work.written:
            return  # nobody else sees it
        if entry.readers is None:
            entry.readers = {}
            self.free.remove(entry)
            self.locked.add(entry)
        entry.readers[work] = None
        work.read[entry.order] = entry

    def unlock(self, entry: Entry, work: UnitOfWork) -> None:
        """Let others take what a transaction has read."""
        assert entry.readers is not None
        del entry.readers[work]
        del work.read[entry.order]
        if not entry.readers:
            entry.readers = None
            if entry.store is not None:
                self.locked.remove(entry)
                self.free.add(entry)

    def remove(self, entry: Entry) -> None:
        """Let a tuple be gone: taken for good, expired or canceled."""
        self.stop_lease(entry)
        if entry.store is not None:
            entry.store.remove(entry)
        owner, entry.taken_by = entry.taken_by or entry.written_by, None
        if owner is not None:
            owner.taken.pop(entry.order, None)
            self.settle_room(owner)
        for reader in entry.readers or ():
            del reader.read[entry.order]
        entry.readers = None

    # ---------------------------------------------------------------- leases

    def start_lease(self, entry: Entry, seconds: float) -> None:
        """Let a tuple be gone that many seconds from now, whatever was said before."""
        self.stop_lease(entry)
        entry.expires = self.agenda.clock() + seconds
        self.resume_lease(entry)

    def resume_lease(self, entry: Entry) -> None:
        """Let a tuple be gone when its lease ends."""
        if entry.expires != math.inf:
            entry.alarm = self.agenda.at(entry.expires, partial(self._expire, entry))

    def stop_lease(self, entry: Entry) -> None:
        """Do not watch the lease any more."""
        if entry.alarm is not None:
            self.agenda.cancel(entry.alarm)
            entry.alarm = None

    def _expire(self, entry: Entry) -> None:
        entry.alarm = None  # it has just rung
        self.remove(entry)

    # ---------------------------------------------------------------- room

    @property
    def used(self) -> int:
        """How much of the capacity is in use.

        A transaction counts for what it takes or for what it writes, whichever is more: it needs
        no further room at its end, and a worker can turn a task into a result in a full space.
        """
        return len(self.free) + len(self.locked) + self._charged

    def has_room(self, work: UnitOfWork | None) -> bool:
        """Whether one more tuple can be written."""
        need = 1 if work is None else work.room_for_one_more
        return need == 0 or self.used + need <= self.capacity

    def settle_room(self, work: Owner) -> None:
        """Count a transaction for what it needs now."""
        self._charged += work.room - work.charged
        work.charged = work.room


def may_take(entry: Entry, work: UnitOfWork | None) -> bool:
    """Whether no other transaction has read the tuple."""
    return not entry.readers or (len(entry.readers) == 1 and work in entry.readers)


def _older(one: Entry | None, other: Entry | None) -> Entry | None:
    if one is None or other is None:
        return one or other
    return min(one, other, key=lambda entry: entry.order)
