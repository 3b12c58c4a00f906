"""Tuples with hash indexes that follow the patterns asked for.

A pattern that fixes fields 0 and 2 by value has the shape `"v-v"`. The first time that such a one
is asked for, an index from the values of these two fields to the tuples is made, and kept up from
then on. A pattern's own index has no other tuples under its key than those that match it, up to its
conditions; so what a look-up costs does not depend on how many others there are, nor on how common
each of the two values is alone.

Making an index takes time in proportion to the tuples of that length: 1.4 seconds for a
million, in which nothing else happens. Measured with CPython 3.11, a tuple of four fields takes
130 bytes beside the values in its fields, and an index 8 bytes a tuple where many share a key, 100
where each has one of its own. At most `MAXIMUM_INDEXES` are kept for a length; the one that was not
used for the longest time is given up for the next.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any, Protocol

from remotecalls.tuplespaces.agenda import Alarm
from remotecalls.tuplespaces.fields import Fields
from remotecalls.tuplespaces.index import FREE, Index, key_under
from remotecalls.tuplespaces.ordered import Ordered
from remotecalls.tuplespaces.patterns import Pattern

MAXIMUM_INDEXES = 16


class Owner(Protocol):
    """A transaction, as far as a tuple has to do with it.

    Attributes:
        taken: tuples of the space that nobody sees any more, by their numbers.
        read: tuples of the space that nobody else may take, by their numbers.
        waiting: its operations that have not finished.
        charged: how much room it was last counted for.
    """

    taken: dict[int, Entry]
    read: dict[int, Entry]
    waiting: dict[Any, None]
    charged: int

    @property
    def room(self) -> int:
        """How many tuples of room it needs, whichever way it ends."""
        ...

    @property
    def room_for_one_more(self) -> int:
        """How much more it needs if it writes another tuple."""
        ...


class Entry:
    """A tuple in a space.

    Attributes:
        order: its number. Smaller ones were written earlier.
        fields: what it holds.
        expires: when its lease ends, in seconds of the space's clock.
        alarm: what will end it then, if it ever ends.
        store: where it can be found, or None.
        written_by: the transaction that wrote it, until that is committed.
        taken_by: the transaction that took it and may put it back.
        readers: the open transactions that have read it: nobody else may take it.
    """

    __slots__ = (
        "alarm",
        "expires",
        "fields",
        "order",
        "readers",
        "store",
        "taken_by",
        "written_by",
    )

    def __init__(self, order: int, fields: Fields) -> None:
        self.order = order
        self.fields = fields
        self.expires = math.inf
        self.alarm: Alarm | None = None
        self.store: Store | None = None
        self.written_by: Owner | None = None
        self.taken_by: Owner | None = None
        self.readers: dict[Owner, None] | None = None

    @property
    def gone(self) -> bool:
        """Whether it is out of the space and cannot come back."""
        return self.store is None and self.taken_by is None


class Shelf:
    """The tuples of one length."""

    __slots__ = ("entries", "indexes")

    def __init__(self) -> None:
        self.entries: Ordered[Entry] = Ordered()
        self.indexes: dict[str, Index[Entry]] = {}  # the one used last stands last

    def index(self, shape: str) -> Index[Entry]:
        """The index for a shape, made if need be."""
        index = self.indexes.pop(shape, None)
        if index is None:
            index = Index()
            for entry in self.entries:
                index.add(key_under(shape, entry.fields), entry)
            if len(self.indexes) == MAXIMUM_INDEXES:
                del self.indexes[next(iter(self.indexes))]
        self.indexes[shape] = index
        return index


class Store:
    """Tuples that can be found by pattern, the oldest first.

    Attributes:
        examined: how many tuples were looked at so far, to see whether they fulfill the conditions
            of a pattern, or to be returned.
    """

    def __init__(self) -> None:
        self.examined = 0
        self._shelves: dict[int, Shelf] = {}
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[Entry]:
        """All, by length and then by age."""
        for shelf in self._shelves.values():
            yield from shelf.entries

    def add(self, entry: Entry) -> None:
        """Put a tuple where its age belongs."""
        shelf = self._shelves.get(len(entry.fields))
        if shelf is None:
            shelf = self._shelves[len(entry.fields)] = Shelf()
        shelf.entries.add(entry)
        for shape, index in shelf.indexes.items():
            index.add(key_under(shape, entry.fields), entry)
        entry.store = self
        self._size += 1

    def remove(self, entry: Entry) -> None:
        """Take a tuple out. The last of its length takes shelf and indexes with it.

        Raises:
            KeyError: it is not here.
        """
        length = len(entry.fields)
        shelf = self._shelves[length]
        shelf.entries.remove(entry)
        if shelf.entries:
            for shape, index in shelf.indexes.items():
                index.remove(key_under(shape, entry.fields), entry)
        else:
            del self._shelves[length]
        entry.store = None
        self._size -= 1

    def matching(self, pattern: Pattern) -> Iterator[Entry]:
        """The tuples that match, oldest first. Nothing may change while this goes on.

        Only those that match in the fixed fields are looked at. A pattern without fixed fields
        looks at all of its length.

        Raises:
            Exception: what a function of the pattern raises.
        """
        for entry in self._candidates(pattern):
            self.examined += 1
            if pattern.accepts(entry.fields):
                yield entry

    def oldest(self, pattern: Pattern) -> Entry | None:
        """The oldest tuple that matches, or None."""
        return next(self.matching(pattern), None)

    def find(self, length: int, order: int) -> Entry | None:
        """The tuple of that length and number, or None."""
        shelf = self._shelves.get(length)
        return None if shelf is None else shelf.entries.find(order)

    def indexes(self) -> dict[str, int]:
        """The shapes that have an index, and how many keys each has."""
        return {
            shape: len(index)
            for shelf in self._shelves.values()
            for shape, index in shelf.indexes.items()
        }

    def _candidates(self, pattern: Pattern) -> Iterable[Entry]:
        shelf = self._shelves.get(len(pattern.shape))
        if shelf is None:
            return ()
        if pattern.shape.strip(FREE):
            return shelf.index(pattern.shape).under(pattern.key)
        return shelf.entries
