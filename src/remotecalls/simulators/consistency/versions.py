"""Which of two values is the newer one: timestamps, numbers, and version vectors.

A version is a tuple of whole numbers. A *stamp* is a time or a number, and behind it the number of
the operation, so that no two writes have the same stamp and one of any two is the greater. A
*vector* has a place for each client, with how many writes of that client are known; two vectors may
each know of something that the other does not, and then both values stay: they are siblings.

Sources: DeCandia and others, "Dynamo: Amazon's Highly Available Key-value Store", SOSP 2007,
section 4.4; Parker and others, "Detection of Mutual Inconsistency in Distributed Systems", IEEE
Transactions on Software Engineering, 1983.
"""

from __future__ import annotations

from operator import ge
from typing import NamedTuple, Protocol

Version = tuple[int, ...]

NOTHING: Version = ()
"""Older than every version: what a client knows, or a register has, before any write."""


class Copy(NamedTuple):
    """A value and its version.

    Attributes:
        version: see the module.
        value: what was written; no two writes write the same.
    """

    version: Version
    value: int


Copies = tuple[Copy, ...]
"""What a replica has of a key: nothing, one copy, or siblings in order of their values."""


class Versions(Protocol):
    """An order of versions."""

    def covers(self, one: Version, other: Version) -> bool:
        """Whether who knows `one` knows of all that `other` knows of."""
        ...

    def join(self, one: Version, other: Version) -> Version:
        """Return the least version that covers both."""
        ...

    def merge(self, one: Copies, other: Copies) -> Copies:
        """Return what is left of both when what is known to be older is dropped."""
        ...


class Stamps:
    """A total order: one of two versions covers the other."""

    def covers(self, one: Version, other: Version) -> bool:
        """Whether `one` is no less than `other`."""
        return one >= other

    def join(self, one: Version, other: Version) -> Version:
        """Return the greater one."""
        return max(one, other)

    def merge(self, one: Copies, other: Copies) -> Copies:
        """Return the copy with the greater version."""
        return max(one, other)


class Vectors:
    """A partial order: a version covers another that is nowhere greater."""

    def covers(self, one: Version, other: Version) -> bool:
        """Whether `one` is no less than `other` in every place."""
        if not other:
            return True
        return bool(one) and all(map(ge, one, other))

    def join(self, one: Version, other: Version) -> Version:
        """Return the greater of both in every place."""
        if not one or not other:
            return one or other
        return tuple(map(max, one, other))

    def merge(self, one: Copies, other: Copies) -> Copies:
        """Return the copies of both that no other copy covers, each once."""
        if not other or one == other:
            return one
        if not one:
            return other
        # On either side no copy covers another already, so that what is on both sides stays.
        kept = self._uncovered(one, other)
        both = frozenset(copy.value for copy in kept)
        kept += [copy for copy in self._uncovered(other, one) if copy.value not in both]
        return tuple(sorted(kept, key=_value_of))

    def _uncovered(self, copies: Copies, rivals: Copies) -> list[Copy]:
        known = frozenset(rival.value for rival in rivals)
        return [
            copy
            for copy in copies
            if copy.value in known
            or not any(self.covers(rival.version, copy.version) for rival in rivals)
        ]


def _value_of(copy: Copy) -> int:
    return copy.value


def newest(versions: Versions, copies: Copies) -> Version:
    """Return the least version that covers all copies."""
    known = NOTHING
    for copy in copies:
        known = versions.join(known, copy.version)
    return known
