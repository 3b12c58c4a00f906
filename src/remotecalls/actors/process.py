"""A process: what has an identity, can be linked and monitored, and ends once."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from remotecalls.actors.dead_letters import DeadLetters
from remotecalls.actors.errors import ActorStopped, Misuse
from remotecalls.actors.events import What
from remotecalls.actors.exits import Exit, ExitKind
from remotecalls.actors.lifecycle import Lifecycle
from remotecalls.actors.scheduler import Scheduler

_ENDS = {
    ExitKind.CRASHED: Lifecycle.CRASHED,
    ExitKind.KILLED: Lifecycle.KILLED,
}


class FlowCounter(Protocol):
    """Whoever wants to know who sends what to whom."""

    def count(self, sender: Process | None, receiver: Process, message: str) -> None:
        """Count one message."""
        ...


class Runtime(Protocol):
    """What processes need of the system that they belong to."""

    @property
    def scheduler(self) -> Scheduler:
        """Who runs next."""
        ...

    @property
    def dead_letters(self) -> DeadLetters:
        """Messages that nobody handled."""
        ...

    @property
    def thread(self) -> int:
        """The number of the thread that may use the system."""
        ...

    @property
    def flows(self) -> FlowCounter | None:
        """Who is told of each message that is sent, if anybody is."""
        ...

    def next_pid(self) -> int:
        """A number that no process has had."""
        ...

    def check_thread(self) -> None:
        """Refuse another thread than the event loop's."""
        ...

    def sender(self) -> Process | None:
        """The process that sends, if one does."""
        ...

    def register(self, name: str, process: Process) -> None:
        """Let a process be found by a name until it ends."""
        ...

    def has_started(self, process: Process) -> None:
        """Take note of a process that has started."""
        ...

    def forget(self, process: Process) -> None:
        """Let go of a process that has ended."""
        ...

    def log(
        self, what: What, process: Process, detail: str = "", error: BaseException | None = None
    ) -> None:
        """Note what happened."""
        ...

    def create_task(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Run what waits."""
        ...

    def reference_to(self, process: Process) -> object:
        """What others may have of a process."""
        ...

    def context_of(self, process: Process) -> object:
        """What an actor itself has of the runtime."""
        ...


class Parent(Protocol):
    """Who is told first that a process has ended: its supervisor."""

    def child_ended(self, process: Process, reason: Exit) -> None:
        """Take note of the end of a child."""
        ...


class Monitor:
    """One process, or one part of the program, that is told when another process ends.

    Attributes:
        target: whose end it is.
        watcher: the process that is told, if it is one.
    """

    __slots__ = ("_tell", "target", "watcher")

    def __init__(
        self, target: Process, watcher: Process | None, tell: Callable[[Monitor, Exit], object]
    ) -> None:
        self.target = target
        self.watcher = watcher
        self._tell = tell

    def fire(self, reason: Exit) -> None:
        """Tell the watcher, once."""
        self._tell(self, reason)


class Process(ABC):
    """What actors and supervisors have in common.

    Attributes:
        system: to which it belongs.
        pid: its number, never used again.
        name: what it is called; registered if it was given one.
        phase: the part of its life; what a reader sees is `lifecycle`.
        parent: its supervisor.
        is_scheduled: whether its turn will come.
        reason: how it ended, once it has.
        restarts: how many came before it in its place.
    """

    __slots__ = (
        "_endings",
        "_links",
        "_monitors",
        "_signals",
        "_watching",
        "groups",
        "is_scheduled",
        "name",
        "parent",
        "phase",
        "pid",
        "reason",
        "restarts",
        "system",
    )

    def __init__(self, system: Runtime, name: str, parent: Parent | None) -> None:
        self.system = system
        self.pid = system.next_pid()
        self.name = name
        self.parent = parent
        self.phase = Lifecycle.STARTING
        self.is_scheduled = False
        self.reason: Exit | None = None
        self.restarts = 0
        self.groups: set[str] | None = None
        self._links: dict[Process, None] | None = None
        self._monitors: dict[Monitor, None] | None = None  # of others, on this one
        self._watching: dict[Monitor, None] | None = None  # of this one, on others
        self._signals: deque[tuple[Process, Exit]] | None = None
        self._endings: list[asyncio.Future[Exit]] | None = None

    @property
    def lifecycle(self) -> Lifecycle:
        """The state that a reader sees."""
        return self.phase

    @property
    def has_ended(self) -> bool:
        """Whether it has ended, and why is known."""
        return self.reason is not None

    def check_alive(self) -> None:
        """Refuse to go on with what has ended, or is about to.

        Raises:
            ActorStopped: it has, or is.
        """
        if self.reason is not None:
            raise ActorStopped(self.name, self.reason)
        if self.phase is Lifecycle.DRAINING:
            raise ActorStopped(self.name, Exit(ExitKind.SHUTDOWN, "it is stopping"))

    @abstractmethod
    def take_turn(self) -> None:
        """Do some of what there is to do, and come back."""

    @abstractmethod
    def request_stop(self, reason: Exit) -> None:
        """Finish what it has, take nothing more, and end."""

    @abstractmethod
    def release(self, reason: Exit) -> None:
        """Let go of everything it holds, when it ends."""

    # ------------------------------------------------------------------ links and monitors

    def link(self, other: Process) -> None:
        """Tie two lives together: the end of one is a signal to the other.

        Raises:
            Misuse: a process links to itself.
        """
        if other is self:
            raise Misuse(f"{self.name} links to itself: link it to another")
        if other.reason is not None:
            self.receive_exit(other, other.reason)
            return
        if self.reason is not None:
            other.receive_exit(self, self.reason)
            return
        self._links = {} if self._links is None else self._links
        other._links = {} if other._links is None else other._links
        self._links[other] = None
        other._links[self] = None

    def unlink(self, other: Process) -> None:
        """Untie them; nothing happens if they were not linked.

        A signal of the other that this one has not taken yet has no effect any more.
        """
        if self._links is not None:
            self._links.pop(other, None)
        if other._links is not None:
            other._links.pop(self, None)
        if self._signals is not None:
            self._signals = deque(each for each in self._signals if each[0] is not other)

    def linked(self) -> tuple[Process, ...]:
        """The processes that it is linked to."""
        return tuple(self._links or ())

    def add_monitor(
        self, watcher: Process | None, tell: Callable[[Monitor, Exit], object]
    ) -> Monitor:
        """Have `tell` called when this process ends, or now if it has."""
        monitor = Monitor(self, watcher, tell)
        if self.reason is not None:
            monitor.fire(self.reason)
            return monitor
        self._monitors = {} if self._monitors is None else self._monitors
        self._monitors[monitor] = None
        if watcher is not None:
            watcher._watching = {} if watcher._watching is None else watcher._watching
            watcher._watching[monitor] = None
        return monitor

    @staticmethod
    def remove_monitor(monitor: Monitor) -> None:
        """Take a monitor back; it will not be told."""
        if monitor.target._monitors is not None:
            monitor.target._monitors.pop(monitor, None)
        if monitor.watcher is not None and monitor.watcher._watching is not None:
            monitor.watcher._watching.pop(monitor, None)

    def receive_exit(self, sender: Process, reason: Exit) -> None:
        """Take an exit signal; what it does, it does in the process's own turn."""
        if self.reason is None:
            self._signals = deque() if self._signals is None else self._signals
            self._signals.append((sender, reason))
            self.system.scheduler.schedule(self)

    def take_signals(self) -> None:
        """End by the first signal that is no normal end of another."""
        while self._signals and self.reason is None:
            sender, reason = self._signals.popleft()
            if not self.trap(sender, reason) and reason.kind is not ExitKind.NORMAL:
                self.end(reason.from_link(sender.name))
        self._signals = None

    def trap(self, sender: Process, reason: Exit) -> bool:
        """Take a signal as a message; false if it is to be obeyed."""
        return False

    # ------------------------------------------------------------------ the end

    def ending(self) -> asyncio.Future[Exit]:
        """A future that has the reason when it has ended."""
        future: asyncio.Future[Exit] = self.system.scheduler.loop.create_future()
        if self.reason is not None:
            future.set_result(self.reason)
        else:
            self._endings = [] if self._endings is None else self._endings
            self._endings.append(future)
        return future

    def forget_ending(self, future: asyncio.Future[Exit]) -> None:
        """Let go of a future that nobody waits for any more."""
        if self._endings is not None:
            self._endings.remove(future)
            self._endings = self._endings or None

    def end(self, reason: Exit) -> None:
        """End now, for good, and tell everybody who is to know."""
        if self.reason is not None:
            return
        self.reason = reason
        self.phase = _ENDS.get(reason.kind, Lifecycle.STOPPED)
        self.release(reason)
        self.system.forget(self)
        links, self._links = self._links, None
        for other in links or ():
            other.unlink(self)
            other.receive_exit(self, reason)
        for monitor in self._watching or ():
            if monitor.target._monitors is not None:
                monitor.target._monitors.pop(monitor, None)
        monitors, self._monitors, self._watching = self._monitors, None, None
        for monitor in monitors or ():
            if monitor.watcher is not None and monitor.watcher._watching is not None:
                monitor.watcher._watching.pop(monitor, None)
            monitor.fire(reason)
        self._signals = None
        endings, self._endings = self._endings, None
        for future in endings or ():
            if not future.done():
                future.set_result(reason)
        if self.parent is not None:
            self.parent.child_ended(self, reason)
