"""What happened to the processes of a system, in order."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class What(StrEnum):
    """The kinds of events."""

    STARTED = "started"
    RESTARTED = "restarted"
    ENDED = "ended"
    GAVE_UP = "gave-up"


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened to a process.

    Attributes:
        time: in seconds since the system started.
        what: what it was.
        name: the process's.
        pid: its number.
        detail: the reason of an end, or why a supervisor gave up.
        error: what a handler raised, with its traceback, if that was the reason.
    """

    time: float
    what: What
    name: str
    pid: int
    detail: str = ""
    error: BaseException | None = None

    def __str__(self) -> str:
        return f"{self.name} {self.detail or self.what}"
