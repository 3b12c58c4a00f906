"""What the processes of `supervision` have in common: they start, they stop, they end.

A signal from one process to another takes no time and is never lost: that one has ended, that a
call has its answer. Signals arrive in the order in which they are sent.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from remotecalls.simulators.agenda import Agenda
from remotecalls.simulators.supervision.parameters import NORMAL, SupervisionParameters
from remotecalls.simulators.supervision.record import Entry, Event, Record
from remotecalls.simulators.supervision.snapshot import State

LINKED, OVERDUE = "linked", "overdue"
"""Other reasons to end: the supervisor was killed; the process had not stopped in time."""


class Parent(Protocol):
    """Who is told that a process has ended."""

    def child_ended(self, child: Process, incarnation: int, is_normal: bool) -> None:
        """Take the signal in."""
        ...


class World(Protocol):
    """What the processes share."""

    parameters: SupervisionParameters
    agenda: Agenda
    record: Record


class Process:
    """What workers and supervisors have in common.

    Attributes:
        incarnation: how often it was started; each start is another process under the same name.
        parent: its supervisor; None for the one at the top.
        failing_starts: so many of the next starts fail.
    """

    def __init__(self, name: str, world: World, parent: Parent | None) -> None:
        self.name = name
        self.world = world
        self.parent = parent
        self.state = State.DEAD
        self.incarnation = 0
        self.failing_starts = 0
        self._then: Callable[[bool], None] | None = None

    def start(self, then: Callable[[bool], None]) -> None:
        """Begin to start; `then` is told whether it came up."""
        self.incarnation += 1
        self._then = then
        self._change(State.STARTING)

    def stop(self, then: Callable[[bool], None]) -> None:
        """Begin to stop; `then` is called when it has ended, in whatever way."""
        self._then = then
        self._change(State.STOPPING)

    def kill(self, reason: str) -> None:
        """End at once, or, if it is to end as it should, as soon as it can."""
        raise NotImplementedError

    def _up(self) -> None:
        """It is ready."""
        self._change(State.RUNNING)
        self._log(Event.STARTED)
        self._tell(True)

    def _end(self, event: Event | None, reason: str = "") -> None:
        """It is gone: tell whoever waits for it, or else its supervisor.

        Args:
            event: what the log says, unless it says it already.
            reason: why.
        """
        was_starting = self.state is State.STARTING
        self._change(State.DEAD)
        if event is not None:
            self._log(event, reason)
        if was_starting and event is not Event.FAILED_TO_START:
            self._log(Event.FAILED_TO_START, reason)
        agenda = self.world.agenda
        if self._then is not None:
            self._tell(False)
        elif self.parent is not None:
            agenda.after(0, self.parent.child_ended, self, self.incarnation, reason == NORMAL)
        if self.parent is None:
            self.world.record.ended_us = agenda.now_us

    def _tell(self, is_up: bool) -> None:
        """Tell whoever waits for the start or the stop."""
        then, self._then = self._then, None
        if then is not None:
            self.world.agenda.after(0, then, is_up)

    def _change(self, state: State) -> None:
        self.state = state
        self.world.record.state(self.name, self.shown, self.world.agenda.now_us)

    @property
    def shown(self) -> State:
        """The state that a reader sees."""
        return self.state

    def _log(self, event: Event, reason: str = "") -> None:
        record = self.world.record
        record.log.append(Entry(self.world.agenda.now_us, event, self.name, reason))
