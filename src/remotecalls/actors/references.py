"""References: how an actor is reached, by whoever may not touch it."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Protocol, cast

from remotecalls.actors.actor_process import ActorProcess, handling
from remotecalls.actors.dead_letters import DeadLetter
from remotecalls.actors.definition import Handler
from remotecalls.actors.errors import (
    ActorStopped,
    MailboxFull,
    Misuse,
    NoSuchActor,
)
from remotecalls.actors.exits import KILLED, SHUTDOWN, Exit
from remotecalls.actors.lifecycle import Lifecycle
from remotecalls.actors.mail import Answer
from remotecalls.actors.messages import IMMUTABLE
from remotecalls.actors.process import Process
from remotecalls.actors.sending import (
    Request,
    deadline_of,
    lend_for_room,
    message_for,
    refuse_cycle,
    until_admitted,
)
from remotecalls.wire.errors import DeadlineExceeded

ASK_SECONDS = 5.0
STOP_SECONDS = 5.0


class Registry(Protocol):
    """Whoever knows which actor has a name."""

    def named_process(self, name: str) -> ActorProcess:
        """The actor that has a name now."""
        ...


class Reference(ABC):
    """What can be told and asked."""

    __slots__ = ()

    @abstractmethod
    def _actor(self) -> ActorProcess:
        """The process that it stands for now.

        Raises:
            NoSuchActor: none does.
        """

    def tell(self, name: str, /, *arguments: Any, **named: Any) -> None:
        """Put a message into the mailbox, and go on; nothing says whether it was handled.

        To an actor that has ended it is a dead letter. A sender that finds the mailbox full, of an
        actor whose policy is to wait, runs the actor's turns until there is room.

        Args:
            name: the handler's.
            arguments: by position, copied where they could change.
            named: by name.

        Raises:
            Misuse: no handler takes this, or it cannot be sent.
            MailboxFull: there is no room, and the policy is to refuse; or it is to wait, and the
                sender is itself a handler that does not wait.
            NoSuchActor: a name that no actor has.
        """
        process = self._actor()
        message = message_for(process, name, arguments, named, None)
        if not process.put(message):
            try:
                lend_for_room(process, message)
            except ActorStopped as stopped:
                letter = DeadLetter(process.name, name, str(stopped.reason))
                process.system.dead_letters.add(letter)

    async def tell_when_room(
        self, name: str, /, *arguments: Any, timeout: float = ASK_SECONDS, **named: Any
    ) -> None:
        """Like `tell`, and wait while the mailbox is full.

        Args:
            name: the handler's.
            arguments: by position.
            timeout: seconds to wait at most.
            named: by name.

        Raises:
            Misuse: no handler takes this, or it cannot be sent.
            MailboxFull: there was no room in time.
            ActorStopped: it ended, or was stopped, while the sender waited.
            NoSuchActor: a name that no actor has.
        """
        process = self._actor()
        deadline = deadline_of(process, timeout)
        message = message_for(process, name, arguments, named, None)
        if not process.put(message):
            process.wait_for_room(message)
            await until_admitted(process, message, deadline, timeout)

    async def ask(
        self, name: str, /, *arguments: Any, timeout: float = ASK_SECONDS, **named: Any
    ) -> Any:
        """Send a message and wait for what its handler returns.

        Args:
            name: the handler's.
            arguments: by position, copied where they could change.
            timeout: seconds to wait at most, for room in the mailbox and for the answer. A message
                whose turn comes later is not handled any more.
            named: by name.

        Returns:
            what the handler returned, copied where it could change.

        Raises:
            Misuse: no handler takes this, it cannot be sent, or the actor asks itself.
            MailboxFull: there is no room, and the policy is not to wait; or none came in time.
            DeadlineExceeded: no answer in time. What was asked may have been done.
            ActorStopped: it had ended, or ended before it answered.
            NoSuchActor: a name that no actor has.
            Exception: one that the handler declares as an answer.
        """
        try:
            request = self._request(name, arguments, timeout, named)
            is_refused = request.is_decided
        except (MailboxFull, NoSuchActor):
            await asyncio.sleep(0)
            raise
        if is_refused:
            # An answer that needs no waiting, like the errors above: who tries again and again
            # has to let others run, or it would be refused for ever.
            await asyncio.sleep(0)
        return await request

    def send_request(
        self, name: str, /, *arguments: Any, timeout: float = ASK_SECONDS, **named: Any
    ) -> Request:
        """Ask now and wait later: `await` what this returns. Its time runs from this call.

        One coroutine may have many requests on their way; who never waits for one ignores what it
        comes to, and it is handled however late its turn comes. Arguments and errors are those of
        `ask`; what is wrong with the call itself is raised here, and the rest by the wait. A full
        mailbox is dealt with as `tell` does: this cannot wait either.
        """
        request = self._request(name, arguments, timeout, named)
        request.find_room()
        return request

    def _request(
        self, name: str, arguments: tuple[Any, ...], timeout: float, named: dict[str, Any]
    ) -> Request:
        process = self._actor()
        deadline = deadline_of(process, timeout)
        answer = Answer()
        message = message_for(process, name, arguments, named, answer)
        asker = handling(process.system)
        if asker is not None and asker.is_waiting:
            refuse_cycle(asker, process)
        if not process.put(message):
            process.wait_for_room(message)
        return Request(process, message, answer, deadline, timeout)


class ProcessRef:
    """One process, from its start to its end. What is started in its place has another one."""

    __slots__ = ("_process",)

    def __init__(self, process: Process) -> None:
        self._process = process

    @property
    def process(self) -> Process:
        """What it refers to; for the runtime, and for those who look at it."""
        return self._process

    @property
    def name(self) -> str:
        """What the actor is called."""
        return self._process.name

    @property
    def pid(self) -> int:
        """The number of the actor, which no other ever has."""
        return self._process.pid

    @property
    def lifecycle(self) -> Lifecycle:
        """The state that it is in."""
        return self._process.lifecycle

    @property
    def reason(self) -> Exit | None:
        """How it ended, if it has."""
        return self._process.reason

    async def stop(self, timeout: float = STOP_SECONDS) -> Exit:
        """Let it handle what it has, take nothing more, and end; kill it if that takes longer.

        Args:
            timeout: seconds that it may take.

        Returns:
            how it ended.

        Raises:
            Misuse: an actor waits for its own end.
        """
        if handling(self._process.system) is self._process:
            raise Misuse(f"{self.name} waits for its own end: call self.actor.stop()")
        return await stop_process(self._process, SHUTDOWN, timeout)

    def kill(self) -> None:
        """End it now. Nothing it has is handled, and it cannot prevent it."""
        self._process.system.check_thread()
        self._process.end(KILLED)

    def exit(self, reason: Exit) -> None:
        """Send it an exit signal, as an actor that it is linked to would by its end."""
        self._process.system.check_thread()
        self._process.receive_exit(self._process, reason)

    async def ended(self, timeout: float) -> Exit:
        """Wait for its end.

        Raises:
            DeadlineExceeded: it had not ended after `timeout` seconds.
        """
        ending = self._process.ending()
        try:
            done, _ = await asyncio.wait([ending], timeout=timeout)
        finally:
            if not ending.done():
                self._process.forget_ending(ending)
        if not done:
            raise DeadlineExceeded(f"{self.name} has not ended within {timeout:g} s")
        return ending.result()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ProcessRef) and other._process is self._process

    def __hash__(self) -> int:
        return hash(self._process)

    def __repr__(self) -> str:
        return f"<{self.name} #{self.pid} {self.lifecycle}>"


class ActorRef(ProcessRef, Reference):
    """One actor, which can be told and asked."""

    __slots__ = ()

    def __init__(self, process: ActorProcess) -> None:
        super().__init__(process)

    @property
    def actor_process(self) -> ActorProcess:
        """What it refers to; for the runtime."""
        return cast("ActorProcess", self._process)  # its construction takes nothing else

    def _actor(self) -> ActorProcess:
        return self._process  # type: ignore[return-value]  # see above, and this is called often

    def replace_handler(
        self,
        name: str,
        function: Callable[..., Any],
        *,
        raises: type[Exception] | tuple[type[Exception], ...] = (),
        migrate: Callable[[Any], None] | None = None,
    ) -> None:
        """Give this actor another handler while it runs, for the messages that come from now on.

        Those that wait in its mailbox are handled by the old one first.

        Args:
            name: of the message.
            function: handles it; it is given the actor's instance first.
            raises: the exceptions that are an answer.
            migrate: changes the state, between the last message of the old handler and the first
                of the new one. If it raises, the actor crashes.

        Raises:
            WrongDefinition: the function cannot be a handler.
            ActorStopped: the actor has ended, or is about to.
        """
        answers = raises if isinstance(raises, tuple) else (raises,)
        process = self._actor()
        process.system.check_thread()
        process.check_alive()
        process.replace(Handler.of(name, function, raises=answers), migrate)


class NamedRef(Reference):
    """Whichever actor has the name at the moment of the call, as after a restart."""

    __slots__ = ("_system", "name")

    def __init__(self, system: Registry, name: str) -> None:
        self._system = system
        self.name = name

    def _actor(self) -> ActorProcess:
        return self._system.named_process(self.name)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, NamedRef) and (other._system, other.name) == (
            self._system,
            self.name,
        )

    def __hash__(self) -> int:
        return hash(self.name)

    def __repr__(self) -> str:
        return f"<whoever is named {self.name}>"


IMMUTABLE.update((ProcessRef, ActorRef, NamedRef, Exit))


def reference_to(process: Process) -> ProcessRef:
    """A reference to any process: one that can be told and asked, if it is an actor."""
    return ActorRef(process) if isinstance(process, ActorProcess) else ProcessRef(process)


async def stop_process(process: Process, reason: Exit, timeout: float) -> Exit:
    """Ask a process to stop, and kill it if it has not ended after `timeout` seconds."""
    process.system.check_thread()
    process.request_stop(reason)
    if process.reason is None:
        await asyncio.wait([process.ending()], timeout=timeout)
        process.end(KILLED)
    assert process.reason is not None
    return process.reason
