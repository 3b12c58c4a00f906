"""The running supervisor: it starts its children, and starts them again.

What it decides stands in `remotecalls.simulators.supervision.rules`, which the live figure asks as
well; here it is done, to real actors.

Source: the `supervisor` behaviour of Erlang/OTP, of which it keeps the names and the order of all
steps.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from remotecalls.actors.actor_process import ActorProcess
from remotecalls.actors.errors import (
    ActorError,
    ActorStopped,
    NameTaken,
    NoSuchChild,
    StartFailed,
)
from remotecalls.actors.events import What
from remotecalls.actors.exits import KILLED, SHUTDOWN, Exit, ExitKind, crashed
from remotecalls.actors.lifecycle import Lifecycle
from remotecalls.actors.messages import isolated
from remotecalls.actors.process import Parent, Process, Runtime
from remotecalls.actors.specs import ChildSpec, SupervisorSpec
from remotecalls.simulators.supervision.rules import (
    Restart,
    RestartIntensity,
    Strategy,
    affected,
    is_restarted,
)

ENDS_A_TURN = 32
"""How many ends a supervisor looks after before it is another process's turn."""


class Child:
    """A child of a supervisor.

    Attributes:
        name: what the supervisor calls it.
        spec: how it is started.
        process: the one that runs, or the last that did; none when it was stopped on purpose.
        restarts: how many there have been.
        is_attended: whether the supervisor is about to start or stop it, and its end is no news.
    """

    __slots__ = ("is_attended", "name", "process", "restarts", "spec")

    def __init__(self, name: str, spec: ChildSpec | SupervisorSpec) -> None:
        self.name = name
        self.spec = spec
        self.process: Process | None = None
        self.restarts = 0
        self.is_attended = False


class SupervisorProcess(Process):
    """A process whose work is the lives of others."""

    __slots__ = (
        "_call",
        "_ended",
        "_intensity",
        "_numbers",
        "_task",
        "children",
        "gave_up",
        "spec",
    )

    def __init__(self, system: Runtime, spec: SupervisorSpec, parent: Parent | None) -> None:
        super().__init__(system, spec.name, parent)
        self.spec = spec
        self.children: dict[str, Child] = {}
        self.gave_up = False
        self._numbers = 0
        self._intensity = RestartIntensity(spec.intensity, spec.period)
        self._ended: deque[tuple[Child, Process, Exit]] = deque()
        self._task: asyncio.Task[None] | None = None
        self._call: asyncio.Future[None] | None = None  # done when nobody's call is served

    # ------------------------------------------------------------------ start

    async def begin(self) -> None:
        """Start the children, in order; if one does not start, stop those that did.

        Raises:
            StartFailed: one did not.
            NameTaken: one has the name of a running actor.
        """
        try:
            for spec in self.spec.children:
                await self.add(spec)
        except BaseException as error:
            await self.stop_children()
            self.end(crashed(error))
            raise
        if self.phase is Lifecycle.STARTING:
            self.phase = Lifecycle.IDLE
        if self._ended:
            self.system.scheduler.schedule(self)

    async def add(self, spec: ChildSpec | SupervisorSpec) -> Process:
        """Start another child, after those that it has.

        Raises:
            ActorStopped: the supervisor has ended, or is about to.
            StartFailed: it did not start.
            NameTaken: a running actor, or another child, has the name.
        """
        self.check_alive()
        if spec.name is not None:
            name = spec.name
            if name in self.children:
                raise NameTaken(f"supervisor {self.name} has a child {name!r}")
        else:
            name = self._next_name(spec)
        added = Child(name, spec)
        self.children[name] = added
        try:
            started = self._start_now(added)
            return await self._start(added) if started is None else started
        except BaseException:
            self.children.pop(name, None)
            raise

    def _next_name(self, spec: ChildSpec) -> str:
        while True:
            self._numbers += 1
            name = f"{spec.type.name}-{self._numbers}"
            if name not in self.children:
                return name

    def _start_now(self, child: Child) -> Process | None:
        """Start an actor whose start does not wait; nothing if it may have to."""
        spec = child.spec
        if isinstance(spec, SupervisorSpec) or spec.type.start_waits:
            return None
        child.is_attended = True
        try:
            process = self._new_actor(child, spec)
            process.begin(*self._arguments(spec))
        finally:
            child.is_attended = False
        return process

    async def _start(self, child: Child) -> Process:
        """Start a child, and wait until it has started. Nothing is left of one that did not.

        Raises:
            StartFailed: it did not, or not in time.
            NameTaken: a running actor has its name.
        """
        child.is_attended = True
        try:
            process = await self._begun(child)
        except BaseException:
            if child.process is not None:
                child.process.end(KILLED)
            raise
        finally:
            child.is_attended = False
        if process.reason is not None:  # since it has started
            self._note_end(child, process, process.reason)
        return process

    async def _begun(self, child: Child) -> Process:
        spec = child.spec
        if isinstance(spec, SupervisorSpec):
            supervisor = SupervisorProcess(self.system, spec, self)
            supervisor.restarts = child.restarts
            child.process = supervisor
            await supervisor.begin()
            self.system.has_started(supervisor)
            return supervisor
        process = self._new_actor(child, spec)
        waiting = process.begin(*self._arguments(spec))
        if waiting is not None:
            done, _ = await asyncio.wait([waiting], timeout=spec.start)
            if not done:
                raise StartFailed(f"{process.name} has not started within {spec.start:g} s")
            if (reason := waiting.result()) is not None:
                raise StartFailed(f"{process.name} did not start: it {reason}") from reason.error
        return process

    def _new_actor(self, child: Child, spec: ChildSpec) -> ActorProcess:
        process = ActorProcess(self.system, spec.type, child.name, self)
        process.restarts = child.restarts
        child.process = process
        if spec.name is not None:
            try:
                self.system.register(spec.name, process)
            except NameTaken as error:
                process.end(crashed(error))
                raise
        return process

    @staticmethod
    def _arguments(spec: ChildSpec) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments, copied anew: what one actor did to them is not seen by the next."""
        if not spec.arguments and not spec.named:
            return (), {}
        return isolated(spec.arguments, "the arguments"), isolated(spec.named, "the arguments")

    # ------------------------------------------------------------------ ends and restarts

    def child_ended(self, process: Process, reason: Exit) -> None:
        """Take note of an end; what follows from it is done in the supervisor's own turn."""
        child = self.children.get(process.name)
        if child is not None and child.process is process and not child.is_attended:
            self._note_end(child, process, reason)

    def _note_end(self, child: Child, process: Process, reason: Exit) -> None:
        if self.reason is None:
            self._ended.append((child, process, reason))
            self.system.scheduler.schedule(self)

    def _note_failure(self, child: Child, error: ActorError) -> None:
        """Take a start again that failed for an end, whatever the child's own reason was."""
        if child.process is not None:
            self._note_end(child, child.process, crashed(error))

    def take_turn(self) -> None:
        """Look after the children that have ended, one after the other."""
        if self._signals is not None:
            self.take_signals()
        for _ in range(ENDS_A_TURN):
            is_busy = self._task is not None or self._call is not None
            if not self._ended or is_busy or self.phase is not Lifecycle.IDLE:
                return
            child, process, reason = self._ended.popleft()
            if child.process is process and self.children.get(child.name) is child:
                self._look_after(child, reason)
        self.system.scheduler.schedule(self)

    def _look_after(self, child: Child, reason: Exit) -> None:
        if not is_restarted(child.spec.restart, is_normal=reason.is_normal):
            child.process = None
            if child.spec.restart is Restart.TEMPORARY:
                del self.children[child.name]
            return
        if not self._intensity.allows_restart(self.system.scheduler.loop.time()):
            times = f"{self.spec.intensity} restarts within {self.spec.period:g} s"
            if self.spec.intensity == 1:
                times = f"1 restart within {self.spec.period:g} s"
            why = f"gave up after {times}, when {child.name} {reason}"
            self._give_up(Exit(ExitKind.SHUTDOWN, why, reason.error))
            return
        if self.spec.strategy is Strategy.ONE_FOR_ONE:
            names: tuple[str, ...] = (child.name,)
        else:
            names = affected(self.spec.strategy, tuple(self.children), child.name)
        child.restarts += 1
        if len(names) == 1 and self._restarts_now(child):
            return
        self._work(self._restart(child, names))

    def _restarts_now(self, child: Child) -> bool:
        """Start a child again without waiting, if that can be done."""
        try:
            return self._start_now(child) is not None
        except (StartFailed, NameTaken) as error:
            self._note_failure(child, error)
            return True

    async def _restart(self, ended: Child, names: tuple[str, ...]) -> None:
        children = [self.children[name] for name in names if name in self.children]
        for child in reversed(children):
            await self._stop_child(child)
            if child.spec.restart is Restart.TEMPORARY:
                self.children.pop(child.name, None)
        for child in children:
            if self.children.get(child.name) is not child:
                continue  # temporary, or deleted meanwhile
            if child is not ended:
                child.restarts += 1
            try:
                await self._start(child)
            except (StartFailed, NameTaken, ActorStopped) as error:
                self._note_failure(child, error)
                return  # those after it are started with it, the next time

    def _give_up(self, reason: Exit) -> None:
        self.gave_up = True
        self.phase = Lifecycle.DRAINING
        self.system.log(What.GAVE_UP, self, reason.detail, reason.error)
        self._work(self._stop(reason))

    # ------------------------------------------------------------------ the end

    def request_stop(self, reason: Exit) -> None:
        """Stop the children, the last first, and end."""
        if self.reason is not None or self.phase is Lifecycle.DRAINING:
            return
        self.phase = Lifecycle.DRAINING
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
        self._work(self._stop(reason))

    async def _stop(self, reason: Exit) -> None:
        await self.stop_children()
        self.end(reason)

    async def stop_children(self) -> None:
        """Stop all children, the last first, and kill those that take too long."""
        for child in reversed(tuple(self.children.values())):
            await self._stop_child(child)

    async def _stop_child(self, child: Child) -> None:
        process = child.process
        if process is not None and process.reason is None:
            # It stays the child's process, to be killed with the supervisor, until it has ended.
            child.is_attended = True
            process.request_stop(SHUTDOWN)
            if process.reason is None:
                limit = child.spec.shutdown if isinstance(child.spec, ChildSpec) else None
                await asyncio.wait([process.ending()], timeout=limit)
                process.end(KILLED)
        child.process = None
        child.is_attended = False

    @asynccontextmanager
    async def _called(self) -> AsyncIterator[None]:
        """Serve a caller when nothing else is being done: one step of a supervisor at a time.

        Raises:
            ActorStopped: the supervisor has ended, or is about to.
        """
        while self._task is not None or self._call is not None:
            await asyncio.wait([each for each in (self._task, self._call) if each is not None])
        self.check_alive()
        self._call = self.system.scheduler.loop.create_future()
        try:
            yield
        finally:
            self._call.set_result(None)
            self._call = None
            if self._ended:
                self.system.scheduler.schedule(self)

    async def terminate(self, name: str) -> None:
        """Stop one child, which stays known unless it is temporary.

        Raises:
            NoSuchChild: there is none of this name.
            ActorStopped: the supervisor has ended, or is about to.
        """
        async with self._called():
            child = self.child(name)
            await self._stop_child(child)
            if child.spec.restart is Restart.TEMPORARY:
                del self.children[name]

    async def start_again(self, name: str) -> Process:
        """Start a child that does not run.

        Raises:
            NoSuchChild: there is none of this name, or it runs.
            StartFailed: it did not start.
            ActorStopped: the supervisor has ended, or is about to.
        """
        async with self._called():
            child = self.child(name)
            if child.process is not None and child.process.reason is None:
                raise NoSuchChild(
                    f"supervisor {self.name} has {name!r} running: terminate it first"
                )
            return await self._start(child)

    def child(self, name: str) -> Child:
        """The child of a name.

        Raises:
            NoSuchChild: there is none.
        """
        try:
            return self.children[name]
        except KeyError:
            some = ", ".join(list(self.children)[:10]) or "none"
            raise NoSuchChild(
                f"supervisor {self.name} has no child {name!r}; it has: {some}"
            ) from None

    def release(self, reason: Exit) -> None:
        """End with everything below it, when it is killed."""
        task, self._task = self._task, None
        if task is not None and task is not asyncio.current_task(self.system.scheduler.loop):
            task.cancel()
        for child in reversed(tuple(self.children.values())):
            process, child.process = child.process, None
            if process is not None:
                process.end(KILLED)
        self._ended.clear()

    def _work(self, work: Coroutine[Any, Any, None]) -> None:
        self._task = self.system.create_task(self._done(work), self.name)
        # It was not awaited if the end came before the task's first step.
        self._task.add_done_callback(lambda _task: work.close())

    async def _done(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        finally:
            if self._task is asyncio.current_task():
                self._task = None
            if self._ended:
                self.system.scheduler.schedule(self)
