"""What an actor can do besides handling messages: `self.actor`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from remotecalls.actors.actor_process import ActorProcess
from remotecalls.actors.errors import Misuse
from remotecalls.actors.exits import NORMAL, Exit
from remotecalls.actors.groups import Groups
from remotecalls.actors.process import Monitor, Runtime
from remotecalls.actors.references import ActorRef, NamedRef, ProcessRef, reference_to
from remotecalls.actors.timers import Timer


class System(Runtime, Protocol):
    """What an actor may use of its system."""

    @property
    def groups(self) -> Groups:
        """The process groups."""
        ...

    async def spawn(
        self, cls: type, *arguments: Any, name: str | None = None, **named: Any
    ) -> ActorRef:
        """Start an actor that nobody starts again."""
        ...

    def actor(self, name: str) -> NamedRef:
        """Whoever has a name when it is told or asked."""
        ...

    def whereis(self, name: str) -> ActorRef | None:
        """The actor that has a name now; none, if none has."""
        ...

    def names(self) -> tuple[str, ...]:
        """The names of all registered actors, sorted."""
        ...


class Context:
    """The actor's own side of the runtime. It is of use while the actor lives."""

    __slots__ = ("_process", "_system")

    def __init__(self, process: ActorProcess, system: System) -> None:
        self._process = process
        self._system = system

    @property
    def ref(self) -> ActorRef:
        """A reference to this actor, to give to others."""
        return ActorRef(self._process)

    @property
    def name(self) -> str:
        """What it is called."""
        return self._process.name

    @property
    def system(self) -> System:
        """To which it belongs: its registry, its groups, its dead letters."""
        return self._system

    def stop(self) -> None:
        """End after the messages that wait now. The reason is a normal one."""
        self._process.request_stop(NORMAL)

    async def spawn(
        self, cls: type, *arguments: Any, name: str | None = None, link: bool = True, **named: Any
    ) -> ActorRef:
        """Start an actor, linked to this one: neither outlives the crash of the other.

        Args:
            cls: its class.
            arguments: of its state, by position.
            name: to register it by.
            link: whether they are linked.
            named: of its state, by name.

        Raises:
            StartFailed: it did not start.
            NameTaken: a running actor has the name.
            Unserializable: an argument cannot be sent.
        """
        started = await self._system.spawn(cls, *arguments, name=name, **named)
        if link:
            self._process.link(started.process)
        return started

    def link(self, other: ProcessRef) -> None:
        """Tie this life to another: the crash of one ends both, unless it traps exits."""
        self._process.link(other.process)

    def unlink(self, other: ProcessRef) -> None:
        """Untie them."""
        self._process.unlink(other.process)

    def monitor(self, other: ProcessRef) -> Monitor:
        """Be told by the message "down", with a reference and a reason, when another ends.

        If it has ended, the message comes at once.

        Raises:
            Misuse: this actor has no handler of "down".
        """
        self._process.handler_of("down")

        def tell(monitor: Monitor, reason: Exit) -> None:
            self._process.signal("down", (reference_to(monitor.target), reason))

        return other.process.add_monitor(self._process, tell)

    def demonitor(self, monitor: Monitor) -> None:
        """Be told no more."""
        self._process.remove_monitor(monitor)

    def send_after(self, delay: float, name: str, /, *arguments: Any, **named: Any) -> Timer:
        """Send this actor a message after `delay` seconds, if it still lives then.

        Raises:
            Misuse: it has no such handler, or the delay is negative.
        """
        return self._timer(delay, 0.0, name, arguments, named)

    def send_every(self, interval: float, name: str, /, *arguments: Any, **named: Any) -> Timer:
        """Send this actor a message every `interval` seconds for as long as it lives.

        A message that finds the mailbox full is a dead letter: a timer cannot wait.

        Raises:
            Misuse: it has no such handler, or the interval is not positive.
        """
        if not interval > 0:
            raise Misuse(f"a timer every {interval} s would never rest: more than 0 s")
        return self._timer(interval, interval, name, arguments, named)

    def on_end(self, tell: Callable[[Exit], None]) -> None:
        """Have the event loop call a function when this actor has ended, however it did."""
        loop = self._system.scheduler.loop
        self._process.add_monitor(None, lambda _, reason: loop.call_soon(tell, reason))

    def _timer(
        self,
        delay: float,
        interval: float,
        name: str,
        arguments: tuple[Any, ...],
        named: dict[str, Any],
    ) -> Timer:
        return Timer(self._process, delay, interval, name, arguments, named)
