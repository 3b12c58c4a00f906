"""Thespian starts its actors in other processes, which import them by the module's name."""

from __future__ import annotations

from thespian.actors import ActorAddress, ActorTypeDispatcher


class ThespianCounter(ActorTypeDispatcher):
    """A counter that answers an increment, and says nothing to a zero."""

    count = 0

    def receiveMsg_int(self, amount: int, sender: ActorAddress) -> None:  # noqa: N802 - its name
        """Add, and answer."""
        self.count += amount
        if amount:
            self.send(sender, self.count)
