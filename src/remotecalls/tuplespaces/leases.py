"""What a writer gets for a tuple: how long it stays, and a hold on it."""

from __future__ import annotations

import math
from typing import Protocol

from remotecalls.tuplespaces.engine import Engine
from remotecalls.tuplespaces.errors import LeaseEnded
from remotecalls.tuplespaces.store import Entry
from remotecalls.tuplespaces.timeouts import checked_lease


class Lease(Protocol):
    """The writer's hold on a tuple, whichever space it is in."""

    def remaining(self) -> float:
        """Seconds that are left: `math.inf` for one without an end, 0.0 once it is over."""
        ...

    async def renew(self, seconds: float = math.inf) -> None:
        """Let it end that many seconds from now, whatever was said before.

        Raises:
            LeaseEnded: the tuple is gone.
            ValueError: the seconds are not positive.
        """
        ...

    async def cancel(self) -> None:
        """Remove the tuple. If a transaction has taken it, an abort does not bring it back.

        Raises:
            LeaseEnded: the tuple is gone.
        """
        ...


class LocalLease:
    """A lease in this process."""

    def __init__(self, engine: Engine, entry: Entry) -> None:
        self._engine = engine
        self._entry = entry

    def remaining(self) -> float:
        """Seconds that are left; 0.0 if the tuple was taken, too."""
        if self._entry.gone:
            return 0.0
        return max(0.0, self._entry.expires - self._engine.agenda.clock())

    async def renew(self, seconds: float = math.inf) -> None:
        """See `Lease.renew`."""
        renew(self._engine, self._entry, seconds)

    async def cancel(self) -> None:
        """See `Lease.cancel`."""
        cancel(self._engine, self._entry)


def renew(engine: Engine, entry: Entry | None, seconds: float) -> None:
    """Let a tuple's lease end that many seconds from now.

    Raises:
        LeaseEnded, SpaceClosed, ValueError: see `Lease.renew`.
    """
    engine.begin_operation()
    engine.start_lease(_held(entry), checked_lease(seconds))


def cancel(engine: Engine, entry: Entry | None) -> None:
    """Remove a tuple.

    Raises:
        LeaseEnded, SpaceClosed: see `Lease.cancel`.
    """
    engine.begin_operation()
    held = _held(entry)
    held.expires = -math.inf  # should its taker be canceled, it does not come back
    engine.remove(held)


def _held(entry: Entry | None) -> Entry:
    if entry is None or entry.gone:
        raise LeaseEnded("this lease is over: its tuple was taken, has expired or was canceled")
    return entry
