"""What a transaction has done so far, and what of it is undone or made visible at its end."""

from __future__ import annotations

import enum
from typing import Any

from remotecalls.tuplespaces.agenda import Alarm
from remotecalls.tuplespaces.store import Entry, Store


class State(enum.Enum):
    """How far a transaction has come."""

    OPEN = "is open"
    COMMITTED = "was committed"
    ABORTED = "was aborted"
    OVERDUE = "took too long and was aborted"


class UnitOfWork:
    """The tuples and waits of one transaction.

    Attributes:
        timeout: seconds that it may take.
        written: tuples that nobody else sees before the commit.
        taken: tuples of the space that nobody sees any more, and that an abort puts back.
        read: tuples of the space that nobody else may take before the end.
        waiting: operations under this transaction that have not finished, by age.
        charged: how much room it was last counted for.
    """

    def __init__(self, timeout: float) -> None:
        self.timeout = timeout
        self.state = State.OPEN
        self.alarm: Alarm | None = None
        self.written = Store()
        self.taken: dict[int, Entry] = {}
        self.read: dict[int, Entry] = {}
        self.waiting: dict[Any, None] = {}
        self.charged = 0

    @property
    def room(self) -> int:
        """How many tuples of room it needs, whichever way it ends."""
        return max(len(self.written), len(self.taken))

    @property
    def room_for_one_more(self) -> int:
        """How much more it needs if it writes another tuple: none, or one."""
        return int(len(self.written) >= len(self.taken))
