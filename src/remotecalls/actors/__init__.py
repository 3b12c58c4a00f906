"""Actors: state that nobody shares, messages one at a time, and supervisors that start again.

The runtime of the chapter `actors`, on asyncio.

    from remotecalls.actors import ActorSystem, SupervisorSpec, actor, child, handler, state

    @actor
    class Counter:
        count: int = state(default=0)

        @handler("increment")
        def increment(self, amount: int = 1) -> int:
            self.count += amount
            return self.count

    async with ActorSystem() as system:
        await system.supervise(SupervisorSpec("shop", (child(Counter, name="counter"),)))
        counter = system.actor("counter")
        counter.tell("increment")                        # goes on
        total = await counter.ask("increment", amount=4, timeout=1.0)   # waits: 5

A handler that raises ends its actor, which its supervisor starts again with fresh state. Handlers
are plain functions, or coroutines if they wait; an actor handles one message at a time either way.
"""

from __future__ import annotations

from remotecalls.actors.context import Context
from remotecalls.actors.dead_letters import DeadLetter
from remotecalls.actors.definition import actor, handler, state
from remotecalls.actors.errors import (
    ActorError,
    ActorStopped,
    AskCycle,
    MailboxFull,
    Misuse,
    NameTaken,
    NoSuchActor,
    NoSuchChild,
    StartFailed,
    SystemFailed,
    UnknownHandler,
    Unserializable,
    WrongArguments,
    WrongDefinition,
    WrongKind,
    WrongState,
    WrongThread,
)
from remotecalls.actors.events import Event, What
from remotecalls.actors.exits import Exit, ExitKind
from remotecalls.actors.lifecycle import Lifecycle
from remotecalls.actors.policies import WhenFull
from remotecalls.actors.references import ActorRef, NamedRef, ProcessRef
from remotecalls.actors.specs import ChildSpec, SupervisorSpec, child
from remotecalls.actors.supervisor_ref import ChildInfo, SupervisorRef
from remotecalls.actors.system import ActorSystem
from remotecalls.simulators.supervision.rules import Restart, Strategy
from remotecalls.wire.errors import DeadlineExceeded

__all__ = [
    "ActorError",
    "ActorRef",
    "ActorStopped",
    "ActorSystem",
    "AskCycle",
    "ChildInfo",
    "ChildSpec",
    "Context",
    "DeadLetter",
    "DeadlineExceeded",
    "Event",
    "Exit",
    "ExitKind",
    "Lifecycle",
    "MailboxFull",
    "Misuse",
    "NameTaken",
    "NamedRef",
    "NoSuchActor",
    "NoSuchChild",
    "ProcessRef",
    "Restart",
    "StartFailed",
    "Strategy",
    "SupervisorRef",
    "SupervisorSpec",
    "SystemFailed",
    "UnknownHandler",
    "Unserializable",
    "What",
    "WhenFull",
    "WrongArguments",
    "WrongDefinition",
    "WrongKind",
    "WrongState",
    "WrongThread",
    "actor",
    "child",
    "handler",
    "state",
]
