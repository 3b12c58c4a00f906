"""Things kept in order, where most are added at the end and removed from anywhere.

A dict keeps order too, but what was deleted from its front stays as a hole that every look at the
first item has to step over: taking a million tuples oldest first would take half a million million
steps. A sorted list of a million has to move eight megabytes for each removal. Sorted lists of a
few hundred, one after another, do neither, cost eight bytes an item, and leave nothing of a removed
one.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator
from operator import attrgetter
from typing import Any, Generic, Protocol, TypeVar

CHUNK = 512


class HasOrder(Protocol):
    """Something with a place among its like, which no other has."""

    @property
    def order(self) -> Any:
        """The place: numbers, or tuples of them."""
        ...


Item = TypeVar("Item", bound=HasOrder)
_ORDER = attrgetter("order")


def _first_order(chunk: list[Item]) -> Any:
    return chunk[0].order


class Ordered(Generic[Item]):
    """A sorted collection.

    Adding at the end and reading the first take constant time. Adding and removing elsewhere take a
    binary search and the moving of at most `2 * CHUNK` pointers.
    """

    __slots__ = ("_chunks", "_size")

    def __init__(self, items: Iterable[Item] = ()) -> None:
        self._chunks: list[list[Item]] = []
        self._size = 0
        for item in items:
            self.add(item)

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[Item]:
        """In order. Whoever changes the collection meanwhile must not go on."""
        for chunk in self._chunks:
            yield from chunk

    def first(self) -> Item:
        """The first in order.

        Raises:
            IndexError: there is none.
        """
        return self._chunks[0][0]

    def add(self, item: Item) -> None:
        """Put an item in its place."""
        chunks = self._chunks
        self._size += 1
        if not chunks:
            chunks.append([item])
            return
        last = chunks[-1]
        if item.order > last[-1].order:
            if len(last) < CHUNK:
                last.append(item)
            else:
                chunks.append([item])
            return
        at = max(bisect_right(chunks, item.order, key=_first_order) - 1, 0)
        insort(chunks[at], item, key=_ORDER)
        if len(chunks[at]) > 2 * CHUNK:
            chunks.insert(at + 1, chunks[at][CHUNK:])
            del chunks[at][CHUNK:]

    def remove(self, item: Item) -> None:
        """Take an item out.

        Raises:
            KeyError: it is not here.
        """
        at = bisect_right(self._chunks, item.order, key=_first_order) - 1
        chunk = self._chunks[at] if at >= 0 else []
        place = bisect_left(chunk, item.order, key=_ORDER)
        if place == len(chunk) or chunk[place] is not item:
            raise KeyError(f"no item of order {item.order} is here")
        del chunk[place]
        if not chunk:
            del self._chunks[at]
        self._size -= 1

    def find(self, order: Any) -> Item | None:
        """The item of that order, or None."""
        at = bisect_right(self._chunks, order, key=_first_order) - 1
        if at < 0:
            return None
        place = bisect_left(self._chunks[at], order, key=_ORDER)
        if place == len(self._chunks[at]) or self._chunks[at][place].order != order:
            return None
        return self._chunks[at][place]
