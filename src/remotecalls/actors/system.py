"""An actor system: everything that lives together in one event loop, and ends together."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self, cast

from remotecalls.actors.actor_process import ActorProcess, handling
from remotecalls.actors.context import Context
from remotecalls.actors.dead_letters import DeadLetters
from remotecalls.actors.errors import (
    Misuse,
    NameTaken,
    NoSuchActor,
    SystemFailed,
    WrongThread,
)
from remotecalls.actors.events import Event, What
from remotecalls.actors.exits import KILLED, SHUTDOWN, ExitKind
from remotecalls.actors.groups import Groups
from remotecalls.actors.process import Process
from remotecalls.actors.references import (
    ActorRef,
    NamedRef,
    ProcessRef,
    reference_to,
    stop_process,
)
from remotecalls.actors.scheduler import Scheduler
from remotecalls.actors.specs import SupervisorSpec, child
from remotecalls.actors.supervisor import SupervisorProcess
from remotecalls.actors.supervisor_ref import SupervisorRef
from remotecalls.actors.view import Flows, snapshot
from remotecalls.simulators.supervision.rules import Restart
from remotecalls.simulators.supervision.snapshot import Node

LOGGER = logging.getLogger("remotecalls.actors")

CLOSE_SECONDS = 10.0
CANCEL_SECONDS = 1.0
KEPT_EVENTS = 10_000


class ActorSystem:
    """Actors on one event loop, below one supervisor.

        async with ActorSystem() as system:
            counter = await system.spawn(Counter, name="counter")
            await counter.ask("increment", amount=5)

    At the end of the block all actors are stopped, the last first; each handles what it has.

    Attributes:
        groups: the process groups.
        dead_letters: messages that nobody handled.
        events: what happened to the processes; the last 10,000.
        scheduler: who runs next; it is there when the block has begun.
        thread: the number of the thread that may use it.
        unfinished: handlers that went on after they had been cancelled, by the actor's name.
    """

    scheduler: Scheduler

    def __init__(self, name: str = "system", *, close_timeout: float = CLOSE_SECONDS) -> None:
        """Prepare a system; it begins with its block.

        Args:
            name: what its supervisor is called.
            close_timeout: seconds that all actors together may take to stop.
        """
        self.groups = Groups()
        self.dead_letters = DeadLetters()
        self.events: deque[Event] = deque(maxlen=KEPT_EVENTS)
        self.unfinished: tuple[str, ...] = ()
        self.flows: Flows | None = None
        self._name = name
        self._close_timeout = close_timeout
        self._names: dict[str, ActorProcess] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._pids = 0
        self.thread = 0
        self._root: SupervisorProcess | None = None
        self._began = 0.0

    async def __aenter__(self) -> Self:
        if self._root is not None:
            raise Misuse("an actor system has one block: make another system")
        loop = asyncio.get_running_loop()
        self.thread = threading.get_ident()
        self.scheduler = Scheduler(loop)
        self._began = loop.time()
        # Nothing is above it: what it cannot heal by no restart of its own ends the system.
        self._root = SupervisorProcess(self, SupervisorSpec(self._name, intensity=0), None)
        await self._root.begin()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        root = self._started()
        root.take_turn()  # an end that it has not looked after yet may be one too many
        try:
            await stop_process(root, SHUTDOWN, self._close_timeout)
        finally:
            root.end(KILLED)  # if the one that waits for it was cancelled
            await self._cancelled_tasks()
        if root.gave_up and error is None:
            assert root.reason is not None
            raise SystemFailed(f"{self._name}: {root.reason.detail}") from root.reason.error

    # ------------------------------------------------------------------ for its users

    async def spawn(
        self, cls: type, *arguments: Any, name: str | None = None, **named: Any
    ) -> ActorRef:
        """Start an actor that nobody starts again. It ends with the system at the latest.

        Args:
            cls: a class of actors.
            arguments: of its state, by position.
            name: to register it by.
            named: of its state, by name.

        Raises:
            WrongDefinition: the class is not one of actors.
            Unserializable: an argument cannot be sent.
            StartFailed: it did not start.
            NameTaken: a running actor has the name.
        """
        self.check_thread()
        spec = child(cls, *arguments, name=name, restart=Restart.TEMPORARY, **named)
        process = await self._started().add(spec)
        return ActorRef(cast("ActorProcess", process))

    async def supervise(self, spec: SupervisorSpec) -> SupervisorRef:
        """Start a supervisor and all below it, at the top of the system.

        If it gives up, nobody is left to heal it: the system ends, and its block raises
        `SystemFailed`; unless it is `Restart.TEMPORARY`.

        Raises:
            StartFailed: a child did not start; those before it have been stopped.
            NameTaken: a name is a running actor's.
        """
        self.check_thread()
        return SupervisorRef(cast("SupervisorProcess", await self._started().add(spec)))

    def actor(self, name: str) -> NamedRef:
        """Whoever has a name when it is told or asked."""
        return NamedRef(self, name)

    def whereis(self, name: str) -> ActorRef | None:
        """The actor that has a name now; none, if none has."""
        process = self._names.get(name)
        return None if process is None else ActorRef(process)

    def names(self) -> tuple[str, ...]:
        """The names of all registered actors, sorted."""
        return tuple(sorted(self._names))

    def snapshot(self) -> Node:
        """The whole tree, at this moment."""
        return snapshot(self._started())

    @contextmanager
    def watched(self) -> Iterator[Flows]:
        """Count who sends what to whom, for as long as the block lasts."""
        before, self.flows = self.flows, Flows()
        try:
            yield self.flows
        finally:
            self.flows = before

    # ------------------------------------------------------------------ for the runtime

    def next_pid(self) -> int:
        """A number that no process has had."""
        self._pids += 1
        return self._pids

    def check_thread(self) -> None:
        """Refuse another thread than the event loop's.

        Raises:
            WrongThread: it is another.
            Misuse: the system has not begun.
        """
        self._started()
        if threading.get_ident() != self.thread:
            raise WrongThread(
                "an actor system is used by the thread of its event loop alone: from another one, "
                "loop.call_soon_threadsafe(…) or asyncio.run_coroutine_threadsafe(…, loop)"
            )

    def sender(self) -> Process | None:
        """The actor that sends, if one does."""
        return cast("Process | None", self.scheduler.current) or handling(self)

    def named_process(self, name: str) -> ActorProcess:
        """The actor that has a name.

        Raises:
            NoSuchActor: none has.
        """
        try:
            return self._names[name]
        except KeyError:
            some = ", ".join(self.names()[:10]) or "none"
            raise NoSuchActor(f"no running actor is named {name!r}; there are: {some}") from None

    def register(self, name: str, process: Process) -> None:
        """Let an actor be found by a name until it ends.

        Raises:
            NameTaken: a running actor has it.
        """
        if name in self._names:
            raise NameTaken(
                f"an actor named {name!r} runs: use it by system.actor({name!r}), stop it, or "
                "take another name"
            )
        self._names[name] = cast("ActorProcess", process)  # supervisors have no registered name

    def forget(self, process: Process) -> None:
        """Take what has ended out of the registry and the groups."""
        if isinstance(process, ActorProcess):
            if self._names.get(process.name) is process:
                del self._names[process.name]
            if process.groups:
                self.groups.forget(process)
        assert process.reason is not None
        self.log(What.ENDED, process, str(process.reason), process.reason.error)
        if process.reason.kind is ExitKind.CRASHED:
            LOGGER.warning("%s %s", process.name, process.reason)

    def has_started(self, process: Process) -> None:
        """Note that a process has started, or one in the place of another; it joins its groups."""
        self.log(What.RESTARTED if process.restarts else What.STARTED, process)
        if isinstance(process, ActorProcess):
            for group, topics in process.type.joins.items():
                self.groups.join(group, ActorRef(process), topics)

    def reference_to(self, process: Process) -> ProcessRef:
        """What others may have of a process."""
        return reference_to(process)

    def context_of(self, process: Process) -> Context:
        """What an actor itself has of the runtime."""
        return Context(cast("ActorProcess", process), self)

    def log(
        self, what: What, process: Process, detail: str = "", error: BaseException | None = None
    ) -> None:
        """Note what happened."""
        time = self.scheduler.loop.time() - self._began
        self.events.append(Event(time, what, process.name, process.pid, detail, error))

    def create_task(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Run what waits. The system sees to its end."""
        task = self.scheduler.loop.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._task_done)
        return task

    def _task_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.scheduler.loop.call_exception_handler(
                {"message": f"the runtime failed in {task.get_name()}", "exception": error}
            )

    def _started(self) -> SupervisorProcess:
        if self._root is None:
            raise Misuse("the actor system has not begun: async with ActorSystem() as system")
        return self._root

    async def _cancelled_tasks(self) -> None:
        """Wait for handlers to take their cancellation; those that do not are named."""
        if self._tasks:
            _, unfinished = await asyncio.wait(tuple(self._tasks), timeout=CANCEL_SECONDS)
            self.unfinished = tuple(sorted(task.get_name() for task in unfinished))
            for name in self.unfinished:
                LOGGER.warning("a handler of %s goes on although it was cancelled", name)
