"""A message from its sender to the mailbox: what is refused, copied, and waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from threading import get_ident
from typing import Any

from remotecalls.actors.actor_process import ActorProcess, handling
from remotecalls.actors.definition import wrong_kind
from remotecalls.actors.errors import ActorStopped, AskCycle, MailboxFull, Misuse
from remotecalls.actors.mail import Answer, Message
from remotecalls.actors.messages import IMMUTABLE, isolated
from remotecalls.wire.errors import DeadlineExceeded


class Request:
    """An ask on its way. To wait for it is to have the answer, or what became of it."""

    __slots__ = ("_answer", "_deadline", "_message", "_process", "_timeout")

    def __init__(
        self,
        process: ActorProcess,
        message: Message,
        answer: Answer,
        deadline: float,
        timeout: float,
    ) -> None:
        self._process = process
        self._message = message
        self._answer = answer
        self._deadline = deadline
        self._timeout = timeout

    def __await__(self) -> Generator[Any, None, Any]:
        answer = self._answer
        if not answer.is_decided:
            self._process.system.scheduler.lend(answer)
            if not answer.is_decided:
                yield from self._wait().__await__()
        return answer.result()

    @property
    def is_decided(self) -> bool:
        """Whether there is an answer, or will be none."""
        return self._answer.is_decided

    def find_room(self) -> None:
        """Lend turns until the mailbox has it.

        Raises:
            MailboxFull: it can have it only if somebody waits.
        """
        if self._message.admitted is not None:
            try:
                lend_for_room(self._process, self._message)
            except ActorStopped as stopped:
                self._answer.fail(stopped)

    async def _wait(self) -> None:
        if self._answer.is_awaited:
            raise Misuse(
                f"two wait for one request {self._message.name!r}: let one wait, or send two"
            )
        try:
            await self._answered()
        except asyncio.CancelledError:
            self._answer.fail(
                Misuse(f"the wait for {self._message.name!r} was cancelled: send another request")
            )
            raise
        except Exception as error:
            self._answer.fail(error)
            raise

    async def _answered(self) -> None:
        asker = handling(self._process.system)
        if asker is None or not asker.is_waiting:  # a task that its handler has left behind
            await self._decided()
            return
        refuse_cycle(asker, self._process)
        waits_for = asker.waits_for = [] if asker.waits_for is None else asker.waits_for
        waits_for.append(self._process)
        try:
            await self._decided()
        finally:
            waits_for.remove(self._process)

    async def _decided(self) -> None:
        if self._message.admitted is not None:
            await until_admitted(self._process, self._message, self._deadline, self._timeout)
        if not self._answer.is_decided:
            await self._answer.wait(self._deadline, self._timeout)


def message_for(
    process: ActorProcess,
    name: str,
    arguments: tuple[Any, ...],
    named: dict[str, Any],
    answer: Answer | None,
    *,
    is_sent: bool = True,
) -> Message:
    """The message as the receiver may have it; counted, unless it is sent later.

    Raises:
        Misuse: no handler takes it, or it cannot be sent.
    """
    system = process.system
    if get_ident() != system.thread:
        system.check_thread()
    handler = process.handlers.get(name)
    if handler is None:
        handler = process.handler_of(name)  # the one for all other names, or an error
        handler.check((name, *arguments), named)
    else:
        handler.check(arguments, named)
    if not (handler.is_told if answer is None else handler.is_asked):
        raise wrong_kind(handler, process.name)
    for value in arguments:
        if type(value) not in IMMUTABLE:
            arguments = tuple(
                isolated(value, f"argument {i} of {name!r}")
                for i, value in enumerate(arguments, start=1)
            )
            break
    for key, value in named.items():
        if type(value) not in IMMUTABLE:
            named[key] = isolated(value, f"argument {key!r} of {name!r}")
    if is_sent and system.flows is not None:
        system.flows.count(system.sender(), process, name)
    return Message(name, arguments, named, answer)


def deadline_of(process: ActorProcess, timeout: float) -> float:
    """When an ask is too late, in seconds of the loop's clock.

    Raises:
        Misuse: the time-out is over already.
    """
    if not timeout > 0:
        raise Misuse(f"a timeout of {timeout} s is over already: allow more than 0 s")
    return process.system.scheduler.loop.time() + timeout


def lend_for_room(process: ActorProcess, message: Message) -> None:
    """Do the work that one's own messages are waiting for: run turns until the mailbox has it.

    Raises:
        MailboxFull: no turn would help, or this is a turn already.
        ActorStopped: the actor took none of them more.
    """
    admitted = message.admitted or process.wait_for_room(message)
    while not admitted.is_decided:
        if process.is_waiting or not process.system.scheduler.lend(admitted, is_limited=False):
            process.wait_no_more(message)
            raise process.is_full()
    admitted.result()


async def until_admitted(
    process: ActorProcess, message: Message, deadline: float, timeout: float
) -> None:
    """Wait until the mailbox has the message.

    Raises:
        MailboxFull: it did not in time.
        ActorStopped: it will not.
    """
    admitted = message.admitted
    assert admitted is not None
    process.system.scheduler.lend(admitted)
    try:
        if not admitted.is_decided:
            await admitted.wait(deadline, timeout)
        admitted.result()
    except asyncio.CancelledError:
        process.wait_no_more(message)
        raise
    except DeadlineExceeded:
        process.wait_no_more(message)
        raise MailboxFull(
            f"the mailbox of {process.name} had no room within {timeout:g} s: it is given more "
            "than it can do"
        ) from None


def refuse_cycle(asker: ActorProcess, asked: ActorProcess) -> None:
    """Follow who waits for whom.

    Raises:
        AskCycle: the asked one waits for the asker.
    """
    if asked is asker:
        raise AskCycle(
            f"{asker.name} asks itself, and would wait for itself: call the method, or tell"
        )
    seen: dict[ActorProcess, ActorProcess] = {asked: asker}
    waiting = [asked]
    while waiting:
        process = waiting.pop()
        for other in process.waits_for or ():
            if other is asker:
                chain = [asker.name]
                while process is not asker:
                    chain.append(process.name)
                    process = seen[process]
                raise AskCycle(
                    f"{asker.name} asks {asked.name}, which waits for it: "
                    f"{' → '.join([asker.name, *reversed(chain[1:]), asker.name])}. Let one of "
                    "them tell, and answer by a message"
                )
            if other not in seen:
                seen[other] = process
                waiting.append(other)
