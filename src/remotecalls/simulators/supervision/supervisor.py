"""The supervisor of `supervision`: one thing after the other, as `rules` says.

It is a process with an inbox. While it starts or stops a child it does nothing else, and ends of
other children wait. A start that fails is one more end of that child, and counts as one.

Source: `supervisor.erl` of Erlang/OTP.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from functools import partial

from remotecalls.simulators.supervision.parameters import CRASHED, NORMAL
from remotecalls.simulators.supervision.processes import LINKED, Parent, Process, World
from remotecalls.simulators.supervision.record import Event
from remotecalls.simulators.supervision.record import Restart as Counted
from remotecalls.simulators.supervision.rules import (
    Restart,
    RestartIntensity,
    Strategy,
    affected,
    is_restarted,
)
from remotecalls.simulators.supervision.snapshot import State

_Life = Generator[None, bool, None]


@dataclass(frozen=True)
class _Ended:
    """A child has ended, or could not be started."""

    child: Process
    incarnation: int
    is_normal: bool


@dataclass(frozen=True)
class Policy:
    """How a supervisor decides.

    Attributes:
        strategy: whom to start again.
        intensity: how many restarts within the period are allowed.
        period_us: that period.
        restarts: of each child by its name, after which ends it is started again.
    """

    strategy: Strategy
    intensity: int
    period_us: int
    restarts: dict[str, Restart]


class Supervisor(Process):
    """A process that starts its children, and starts them again."""

    def __init__(self, name: str, world: World, parent: Parent | None, policy: Policy) -> None:
        super().__init__(name, world, parent)
        self.policy = policy
        self.children: tuple[Process, ...] = ()
        """In the order of their starts; each new incarnation begins with all of them."""
        self._inbox: deque[_Ended | None] = deque()
        """Ends of children; None is the request to stop."""
        self._counter = RestartIntensity(policy.intensity, policy.period_us)
        self._life: _Life | None = None
        self._is_idle = False

    # ------------------------------------------------------------ what others do to it

    def start(self, then: Callable[[bool], None]) -> None:
        """Begin to start, with all children and no restart counted."""
        super().start(then)
        self._counter = RestartIntensity(self.policy.intensity, self.policy.period_us)
        self._is_idle = False
        self._life = self._live()
        self._go_on(self.incarnation, None)

    def stop(self, then: Callable[[bool], None]) -> None:
        """Begin to stop, after what it does at the moment."""
        super().stop(then)
        self._put(None)

    def kill(self, reason: str) -> None:
        """End at once, and all below with it; if it ends as it should, it stops them first."""
        if reason == NORMAL and self.state is State.RUNNING:
            self._change(State.STOPPING)
            self._put(None)
            return
        self._life = None
        self._end(Event.KILLED, reason)
        for child in reversed(self.children):
            if child.state is not State.DEAD:
                child.kill(LINKED)

    def child_ended(self, child: Process, incarnation: int, is_normal: bool) -> None:
        """Take in that a child has ended."""
        if self.state is not State.DEAD:
            self._put(_Ended(child, incarnation, is_normal))

    def _put(self, what: _Ended | None) -> None:
        self._inbox.append(what)
        if self._is_idle:
            self._is_idle = False
            self.world.agenda.after(0, self._go_on, self.incarnation, None)

    def _go_on(self, incarnation: int, answer: bool | None) -> None:
        """Go on where it waits; nothing happens if it has ended since, or is another one now."""
        if self._life is None or incarnation != self.incarnation:
            return
        try:
            if answer is None:
                next(self._life)
            else:
                self._life.send(answer)
        except StopIteration:
            self._life = None

    # ------------------------------------------------------------ what it does

    def _live(self) -> _Life:
        """Start all children, and answer their ends until it is asked to stop or gives up."""
        if not (yield from self._start_all()):
            yield from self._stop_all(self.children)
            self._end(Event.FAILED_TO_START, CRASHED)
            return
        self._up()
        while True:
            while not self._inbox:
                self._is_idle = True
                yield
            message = self._inbox.popleft()
            if message is None:
                yield from self._stop_all(self.children)
                # Somebody who waits has asked it to; else it ends by itself, as it should.
                is_asked = self._then is not None
                self._end(Event.STOPPED if is_asked else Event.KILLED, NORMAL)
                return
            if self._is_news(message) and not (yield from self._answer(message)):
                self._log(Event.GAVE_UP)
                self._change(State.STOPPING)
                yield from self._stop_all(self.children)
                # In OTP the reason is `shutdown`: to its own supervisor that is a normal end.
                self._end(None, NORMAL)
                return

    def _start_all(self) -> Generator[None, bool, bool]:
        """Start all children in order; false, and no further, at the first that does not come up.

        Starts that are set to fail, fail before that.
        """
        if self.failing_starts:
            self.failing_starts -= 1
            start_us = self.world.parameters.start_us
            self.world.agenda.after(start_us, self._go_on, self.incarnation, True)
            yield
            return False
        for child in self.children:
            if not (yield from self._start(child)):
                return False
        return True

    def _start(self, child: Process) -> Generator[None, bool, bool]:
        """Start one, and wait until it is up, or is not."""
        child.start(partial(self._go_on, self.incarnation))
        return (yield)

    def _stop_all(self, children: Sequence[Process]) -> Generator[None, bool, None]:
        """Stop those that are there, the last one first, and wait for each."""
        for child in reversed(children):
            if child.state is not State.DEAD:
                child.stop(partial(self._go_on, self.incarnation))
                yield

    def _is_news(self, message: _Ended) -> bool:
        """Whether that child has not been started again since."""
        child = message.child
        return child.incarnation == message.incarnation and child.state is State.DEAD

    def _answer(self, message: _Ended) -> Generator[None, bool, bool]:
        """Do what the rules say about an end; false if that is to give up."""
        child, restarts = message.child, self.policy.restarts
        if not is_restarted(restarts[child.name], is_normal=message.is_normal):
            return True
        if not self._counts():
            return False
        names = [each.name for each in self.children]
        chosen = affected(self.policy.strategy, names, child.name)
        group = [each for each in self.children if each.name in chosen]
        yield from self._stop_all(group)
        for each in group:
            # A temporary one is stopped with the others, and never started again.
            is_temporary = restarts[each.name] is Restart.TEMPORARY
            if not is_temporary and not (yield from self._start(each)):
                self._put(_Ended(each, each.incarnation, is_normal=False))
                break
        return True

    def _counts(self) -> bool:
        now_us, record = self.world.agenda.now_us, self.world.record
        is_allowed = self._counter.allows_restart(now_us)
        recent = self._counter.recent(now_us)
        record.restarts.append(Counted(now_us, self.name, recent, is_allowed))
        return is_allowed
