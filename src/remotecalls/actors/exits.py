"""Why a process ended: the reason that its links, its monitors and its supervisor are told.

Source: "Exit reasons" and "Sending exit signals" in the Erlang/OTP reference manual, *Processes*.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum


class ExitKind(StrEnum):
    """The kinds of ends."""

    NORMAL = "normal"
    SHUTDOWN = "shutdown"
    CRASHED = "crashed"
    KILLED = "killed"


@dataclass(frozen=True)
class Exit:
    """A reason to end.

    Attributes:
        kind: what sort of an end.
        detail: in words, if there is more to say.
        error: what a handler raised, if one did.
        origin: whose end it was first, if this process ended by a link.
    """

    kind: ExitKind
    detail: str = ""
    error: BaseException | None = None
    origin: str = ""

    def from_link(self, sender: str) -> Exit:
        """The same reason, as a process has it that is linked to the one called `sender`."""
        return self if self.origin else replace(self, origin=sender)

    @property
    def is_normal(self) -> bool:
        """Whether it ended as it should: by itself, or because it was asked to."""
        return self.kind in (ExitKind.NORMAL, ExitKind.SHUTDOWN)

    def __str__(self) -> str:
        words = {
            ExitKind.NORMAL: "has ended",
            ExitKind.SHUTDOWN: "was shut down",
            ExitKind.CRASHED: "crashed",
            ExitKind.KILLED: "was killed",
        }[self.kind]
        by_link = f" with {self.origin}" if self.origin else ""
        return f"{words}{by_link}: {self.detail}" if self.detail else f"{words}{by_link}"


NORMAL = Exit(ExitKind.NORMAL)
SHUTDOWN = Exit(ExitKind.SHUTDOWN)
KILLED = Exit(ExitKind.KILLED)


def crashed(error: BaseException) -> Exit:
    """The end of an actor whose handler raised `error`."""
    return Exit(ExitKind.CRASHED, f"{type(error).__name__}: {error}", error)
