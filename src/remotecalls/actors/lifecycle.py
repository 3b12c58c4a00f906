"""The states that an actor goes through, by name."""

from __future__ import annotations

from enum import StrEnum


class Lifecycle(StrEnum):
    """Where an actor is in its life.

    `STARTING` → `IDLE` ⇄ `RUNNING` → `DRAINING` → `STOPPED`; or `CRASHED`, or `KILLED`, from each
    of them. What has ended stays so: a supervisor starts another actor in its place.
    """

    STARTING = "starting"
    """Its `started` has not returned; messages wait."""
    IDLE = "idle"
    """No message, no task, no queue."""
    RUNNING = "running"
    """It has messages, or a handler that waits for something."""
    DRAINING = "draining"
    """It handles what it has and takes nothing more."""
    STOPPED = "stopped"
    CRASHED = "crashed"
    KILLED = "killed"

    @property
    def is_alive(self) -> bool:
        """Whether it has not ended."""
        return self not in (Lifecycle.STOPPED, Lifecycle.CRASHED, Lifecycle.KILLED)
