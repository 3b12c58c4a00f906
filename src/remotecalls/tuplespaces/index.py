"""A hash index: from what is fixed to the items in question, in order."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from typing import Any, Generic, TypeVar

from remotecalls.tuplespaces.fields import Fields, key
from remotecalls.tuplespaces.ordered import HasOrder, Ordered

VALUE, TYPE, FREE = "v", "t", "-"
"""How a pattern's field is fixed. A shape is one of these for each field: `"v-t"`, say."""

Item = TypeVar("Item", bound=HasOrder)


def key_under(shape: str, fields: Fields) -> Hashable:
    """What the fields of a tuple are at the places that the shape fixes."""
    return tuple(
        [
            key(field) if kind == VALUE else type(field)
            for kind, field in zip(shape, fields, strict=True)
            if kind != FREE
        ]
    )


class Index(Generic[Item]):
    """Buckets of items by key. Most keys of most indexes have one item, which is its own bucket."""

    __slots__ = ("_buckets",)

    def __init__(self) -> None:
        self._buckets: dict[Hashable, Any] = {}  # an Ordered, or the one item

    def __len__(self) -> int:
        return len(self._buckets)

    def __iter__(self) -> Iterator[Item]:
        """All items, in the order of their keys' first use."""
        for found in self._buckets.values():
            if type(found) is Ordered:
                yield from found
            else:
                yield found

    def add(self, place: Hashable, item: Item) -> None:
        """Put an item under a key."""
        found = self._buckets.setdefault(place, item)
        if type(found) is Ordered:
            found.add(item)
        elif found is not item:
            self._buckets[place] = Ordered((found, item))

    def remove(self, place: Hashable, item: Item) -> None:
        """Take an item from under a key, and the key with the last.

        Raises:
            KeyError: it is not there.
        """
        found = self._buckets[place]
        if type(found) is not Ordered:
            if found is not item:
                raise KeyError(f"no item of order {item.order} is under {place!r}")
            del self._buckets[place]
            return
        found.remove(item)
        if len(found) == 1:
            self._buckets[place] = found.first()

    def under(self, place: Hashable) -> Iterable[Item]:
        """The items under a key, in order."""
        found = self._buckets.get(place)
        if found is None:
            return ()
        return found if type(found) is Ordered else (found,)
