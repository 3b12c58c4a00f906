"""Reading, taking and writing: the same on a space and on a transaction."""

from __future__ import annotations

import math
from typing import Any

from remotecalls.tuplespaces.engine import Engine
from remotecalls.tuplespaces.fields import Fields, checked
from remotecalls.tuplespaces.leases import Lease, LocalLease
from remotecalls.tuplespaces.patterns import Pattern
from remotecalls.tuplespaces.timeouts import DEFAULT_TIMEOUT, checked_lease, checked_timeout
from remotecalls.tuplespaces.unit_of_work import UnitOfWork


class Operations:
    """What can be done in a space, or under a transaction in it.

    A pattern has a value, a type, `ANY` or a condition for each field, and matches tuples of its
    own length. If it fixes at least one field by a value or a type, finding the oldest match takes
    the same time however many tuples there are: a hash index for patterns of this *shape* is made
    on its first use, which looks at all tuples of the length once. A condition is then asked of
    each tuple that has the fixed fields. A pattern of conditions alone looks at tuple after tuple
    of its length.
    """

    def __init__(self, engine: Engine, work: UnitOfWork | None) -> None:
        self._engine = engine
        self._work = work

    async def write(
        self, *fields: Any, lease: float = math.inf, timeout: float = DEFAULT_TIMEOUT
    ) -> Lease:
        """Write a tuple.

        Args:
            fields: what it holds.
            lease: seconds that it stays.
            timeout: seconds to wait for room, if the space has a capacity.

        Raises:
            InvalidField: a field cannot be in a tuple.
            DeadlineExceeded: there was no room in time; nothing was written.
            TransactionEnded: the transaction has ended, or ended meanwhile.
            SpaceClosed: the space is closed, or was closed meanwhile.
        """
        checked(fields), checked_lease(lease), checked_timeout(timeout)
        entry = await self._engine.write(fields, lease, self._work, timeout)
        return LocalLease(self._engine, entry)

    async def take(self, *pattern: Any, timeout: float = DEFAULT_TIMEOUT) -> Fields:
        """Take the oldest tuple that matches out of the space; wait for one if there is none.

        Those who wait are served in the order of arrival. Whoever is canceled while waiting, even
        in the moment in which a tuple comes, leaves it to the next.

        Args:
            pattern: what it must look like.
            timeout: seconds to wait.

        Returns:
            Its fields.

        Raises:
            InvalidPattern: nothing can match this.
            DeadlineExceeded: nothing came in time.
            TransactionEnded: the transaction has ended, or ended meanwhile.
            SpaceClosed: the space is closed, or was closed meanwhile.
        """
        return await self._get(pattern, timeout, taking=True)

    async def read(self, *pattern: Any, timeout: float = DEFAULT_TIMEOUT) -> Fields:
        """Read the oldest tuple that matches, and leave it there; see `take`."""
        return await self._get(pattern, timeout, taking=False)

    async def take_if_present(self, *pattern: Any) -> Fields | None:
        """Take the oldest tuple that matches and that nobody else holds; None if there is none.

        Linda calls it `inp`. It does not wait for other transactions to end.

        Raises:
            InvalidPattern, TransactionEnded, SpaceClosed: see `take`.
        """
        return self._get_now(pattern, taking=True)

    async def read_if_present(self, *pattern: Any) -> Fields | None:
        """Read the oldest tuple that matches; None if there is none. Linda calls it `rdp`."""
        return self._get_now(pattern, taking=False)

    async def read_all(self, *pattern: Any) -> tuple[Fields, ...]:
        """All tuples that match, oldest first, as of one moment.

        Raises:
            InvalidPattern, TransactionEnded, SpaceClosed: see `take`.
        """
        found = self._engine.get_all_now(Pattern(pattern), self._work)
        return tuple([entry.fields for entry in found])

    async def _get(self, fields: Fields, timeout: float, *, taking: bool) -> Fields:
        pattern, timeout = Pattern(fields), checked_timeout(timeout)
        entry = await self._engine.get(pattern, self._work, taking=taking, timeout=timeout)
        return entry.fields

    def _get_now(self, fields: Fields, *, taking: bool) -> Fields | None:
        entry = self._engine.get_now(Pattern(fields), self._work, taking=taking)
        return None if entry is None else entry.fields
