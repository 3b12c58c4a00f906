"""Operations that wait: indexed like the tuples, so that a write looks only at those it may end."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Generic, Protocol, TypeVar

from remotecalls.tuplespaces.agenda import Alarm
from remotecalls.tuplespaces.events import Events
from remotecalls.tuplespaces.fields import Fields
from remotecalls.tuplespaces.index import Index, key_under
from remotecalls.tuplespaces.patterns import Pattern
from remotecalls.tuplespaces.store import Entry
from remotecalls.tuplespaces.unit_of_work import UnitOfWork


class Interested(Protocol):
    """Somebody who waits for tuples of a pattern."""

    @property
    def order(self) -> int:
        """Since when: smaller numbers came earlier."""
        ...

    @property
    def pattern(self) -> Pattern:
        """For what."""
        ...


class Waiter:
    """A read or take that has found nothing yet."""

    __slots__ = ("active", "alarm", "future", "order", "pattern", "taking", "work")

    def __init__(
        self, order: int, pattern: Pattern, *, taking: bool, work: UnitOfWork | None
    ) -> None:
        self.order = order
        self.pattern = pattern
        self.taking = taking
        self.work = work
        self.active = True
        self.alarm: Alarm | None = None
        self.future: asyncio.Future[Entry] = asyncio.get_running_loop().create_future()


class WaitingWrite:
    """A write that has found no room yet."""

    __slots__ = ("active", "alarm", "fields", "future", "lease", "order", "work")

    def __init__(self, order: int, fields: Fields, lease: float, work: UnitOfWork | None) -> None:
        self.order = order
        self.fields = fields
        self.lease = lease
        self.work = work
        self.active = True
        self.alarm: Alarm | None = None
        self.future: asyncio.Future[Entry] = asyncio.get_running_loop().create_future()


@dataclass(frozen=True, eq=False)
class Subscriber:
    """Somebody who wants to know of every tuple that matches when it is written."""

    order: int
    pattern: Pattern
    events: Events


Someone = TypeVar("Someone", bound=Interested)


class Registry(Generic[Someone]):
    """Those who wait, found by the tuple that they may wait for, in the order of arrival.

    Looking up a tuple takes a step for each *shape* of pattern among those who wait for tuples of
    its length, and one for each of those whose fixed fields it has. The others cost nothing.

    Attributes:
        examined: how many of those who wait were looked at so far.
    """

    def __init__(self) -> None:
        self.examined = 0
        self._indexes: dict[int, dict[str, Index[Someone]]] = {}
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[Someone]:
        """All, in no particular order."""
        for indexes in self._indexes.values():
            for index in indexes.values():
                yield from index

    def add(self, someone: Someone) -> None:
        """Remember somebody."""
        pattern = someone.pattern
        indexes = self._indexes.setdefault(len(pattern.shape), {})
        indexes.setdefault(pattern.shape, Index()).add(pattern.key, someone)
        self._size += 1

    def remove(self, someone: Someone) -> None:
        """Forget somebody.

        Raises:
            KeyError: they are not here.
        """
        pattern = someone.pattern
        indexes = self._indexes[len(pattern.shape)]
        index = indexes[pattern.shape]
        index.remove(pattern.key, someone)
        self._size -= 1
        if not index:
            del indexes[pattern.shape]
            if not indexes:
                del self._indexes[len(pattern.shape)]

    def concerned(self, fields: Fields) -> Iterator[Someone]:
        """Those whose fixed fields a tuple has, in the order of arrival; conditions are not asked.

        Nothing may change while this goes on.
        """
        indexes = self._indexes.get(len(fields))
        if not indexes:
            return
        buckets: list[Any] = []
        for shape, index in indexes.items():
            place: Hashable = key_under(shape, fields)
            if bucket := index.under(place):
                buckets.append(bucket)
        everyone = (
            buckets[0] if len(buckets) == 1 else heapq.merge(*buckets, key=attrgetter("order"))
        )
        for someone in everyone:
            self.examined += 1
            yield someone
