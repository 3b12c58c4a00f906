"""What happens to a message for which a mailbox has no room."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class WhenFull(StrEnum):
    """The policy of a full mailbox. None of them lets it grow."""

    WAIT = "wait"
    """The sender waits, to its deadline; a `tell`, which cannot wait, lends its turn instead."""
    REFUSE = "refuse"
    """The sender gets `MailboxFull` at once."""
    DROP_OLDEST = "drop-oldest"
    """The message that has waited longest becomes a dead letter."""
    DROP_NEWEST = "drop-newest"
    """The message that comes becomes a dead letter."""


@dataclass(frozen=True)
class MailboxPolicy:
    """How many messages wait at most, and what happens to the next.

    Raises:
        ValueError: there is room for none.
    """

    capacity: int = 1_000
    when_full: WhenFull = WhenFull.WAIT

    def __post_init__(self) -> None:
        if self.capacity < 1:
            raise ValueError(f"a mailbox of {self.capacity} takes no message: 1 or more")
