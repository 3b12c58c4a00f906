"""The workers of `supervision`: requests come, calls go, and all of it ends with the process."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from remotecalls.simulators.supervision.parameters import (
    CRASHED,
    DEPENDS_ON,
    NORMAL,
    ORDERS,
    STOCK,
)
from remotecalls.simulators.supervision.processes import OVERDUE, Parent, Process, World
from remotecalls.simulators.supervision.record import Event
from remotecalls.simulators.supervision.snapshot import State

CALLS = {ORDERS: "find customer", STOCK: "open orders"}
"""What a worker asks the one that it depends on."""


@dataclass(frozen=True)
class Message:
    """A request from outside, or a call of another worker, which is that process only."""

    work_us: int
    caller: Worker | None = None
    incarnation: int = 0


class Worker(Process):
    """A process that works on one message after the other."""

    def __init__(
        self, name: str, world: World, parent: Parent | None, workers: Mapping[str, Worker]
    ) -> None:
        """Begin dead; `workers` are all of the tree, by their names."""
        super().__init__(name, world, parent)
        self._workers = workers
        self.traffic = world.record.traffic[name]
        self.is_bad = False
        """Whether it has a record that crashes whoever calls; only the victim does."""
        self._mailbox: deque[Message] = deque()
        self._current: Message | None = None
        self._is_calling = False
        self._is_leaving = False
        self._reference: int | None = None
        self._answered_now = 0

    # ------------------------------------------------------------ its life

    def start(self, then: Callable[[bool], None]) -> None:
        """Begin to start. Messages that come wait in the mailbox, as they do in Erlang."""
        super().start(then)
        start_us = self.world.parameters.start_us
        self.world.agenda.after(start_us, self._started, self.incarnation)

    def _started(self, incarnation: int) -> None:
        if not self._is(incarnation):
            return
        if self.failing_starts:
            self.failing_starts -= 1
            self._end(Event.FAILED_TO_START, CRASHED)
            return
        callee = self._callee()
        is_there = callee is not None and callee.state is not State.DEAD
        self._reference = callee.incarnation if callee is not None and is_there else None
        self._up()
        self._next()

    def stop(self, then: Callable[[bool], None]) -> None:
        """End what it works on and clean up, within the time that it has for that."""
        super().stop(then)
        shutdown_us = self.world.parameters.shutdown_us
        self.world.agenda.after(shutdown_us, self._overdue, self.incarnation)
        if self._current is None:
            self._clean_up()

    def _clean_up(self) -> None:
        self.world.agenda.after(self.world.parameters.stop_us, self._cleaned, self.incarnation)

    def _cleaned(self, incarnation: int) -> None:
        if self._is(incarnation):
            self._end(Event.STOPPED)

    def _overdue(self, incarnation: int) -> None:
        if self._is(incarnation):
            self._end(Event.STOPPED, OVERDUE)

    def kill(self, reason: str) -> None:
        """End at once; if it ends as it should, then after the message that it works on."""
        if reason == NORMAL and self._current is not None:
            self._is_leaving = True
        else:
            self._end(Event.KILLED, reason)

    def _end(self, event: Event | None, reason: str = "") -> None:
        """Lose the mailbox and the state, and let fail the calls that wait here."""
        now_us, traffic = self.world.agenda.now_us, self.traffic
        current = [] if self._current is None else [self._current]
        requests = sum(message.caller is None for message in [*current, *self._mailbox])
        traffic.lost.extend([now_us] * requests)
        traffic.messages_lost.extend([now_us] * len(self._mailbox))
        traffic.taken.extend([now_us] * len(self._mailbox))
        traffic.state_lost.extend([now_us] * self._answered_now)
        self._mailbox.clear()
        self._current, self._answered_now = None, 0
        self._is_calling = self._is_leaving = self.is_bad = False
        super()._end(event, reason)
        for caller in self._callers():
            if caller._is_calling:
                self.world.agenda.after(0, caller._callee_ended, caller.incarnation)

    def _change(self, state: State) -> None:
        super()._change(state)
        for caller in self._callers():
            self.world.record.state(caller.name, caller.shown, self.world.agenda.now_us)

    @property
    def shown(self) -> State:
        """The state that a reader sees: running with a reference to nobody is stale."""
        if self.state is State.RUNNING and self.name in DEPENDS_ON and not self._reaches():
            return State.STALE
        return self.state

    def _is(self, incarnation: int) -> bool:
        """Whether it is still the same process, and there."""
        return self.incarnation == incarnation and self.state is not State.DEAD

    # ------------------------------------------------------------ its work

    def receive(self, message: Message) -> None:
        """Put a message into the mailbox.

        Raises:
            RuntimeError: there is no process; the sender has to look first.
        """
        if self.state is State.DEAD:
            raise RuntimeError(f"{self.name} is dead and takes no message: look before you send")
        self.traffic.queued.append(self.world.agenda.now_us)
        self._mailbox.append(message)
        self._next()

    def _next(self) -> None:
        """Work on the next message, if it is free for it."""
        if self.state is not State.RUNNING or self._current is not None or not self._mailbox:
            return
        self._current = self._mailbox.popleft()
        self.traffic.taken.append(self.world.agenda.now_us)
        self.world.agenda.after(self._current.work_us, self._worked, self.incarnation)

    def _worked(self, incarnation: int) -> None:
        message = self._current
        if not self._is(incarnation) or message is None:
            return
        if message.caller is not None:
            after = self.world.agenda.after
            after(0, message.caller._replied, message.incarnation, self.is_bad)
            self._done()
        elif (callee := self._callee()) is None:
            self._answer()
        elif not self._reaches():
            self._call_failed()
        else:
            self._is_calling = True
            now_us = self.world.agenda.now_us
            self.world.record.flow(self.name, callee.name, CALLS[self.name], now_us)
            callee.receive(Message(max(1, message.work_us // 2), self, self.incarnation))

    def _replied(self, incarnation: int, is_bad: bool) -> None:
        if not self._is(incarnation) or not self._is_calling:
            return
        self._is_calling = False
        if is_bad:
            self._end(Event.KILLED, CRASHED)
        else:
            self._answer()

    def _callee_ended(self, incarnation: int) -> None:
        if self._is(incarnation) and self._is_calling:
            self._is_calling = False
            self._call_failed()

    def _call_failed(self) -> None:
        if self.world.parameters.lets_crash:
            self._end(Event.KILLED, CRASHED)
        else:
            self.traffic.failed.append(self.world.agenda.now_us)
            self._done()

    def _answer(self) -> None:
        self.traffic.answered.append(self.world.agenda.now_us)
        self._answered_now += 1
        self._done()

    def _done(self) -> None:
        self._current = None
        if self.state is State.STOPPING:
            self._clean_up()
        elif self._is_leaving:
            self._end(Event.KILLED, NORMAL)
        else:
            self._next()

    # ------------------------------------------------------------ whom it knows

    def _callee(self) -> Worker | None:
        return self._workers.get(DEPENDS_ON.get(self.name, ""))

    def _callers(self) -> list[Worker]:
        return [self._workers[name] for name, callee in DEPENDS_ON.items() if callee == self.name]

    def _reaches(self) -> bool:
        """Whether its reference leads to a process that is there."""
        callee = self._callee()
        return (
            callee is not None
            and callee.state is not State.DEAD
            and callee.incarnation == self._reference
        )
