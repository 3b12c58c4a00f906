"""One running actor: its mailbox, its turns, and the task of a handler that waits."""

from __future__ import annotations

import asyncio
import inspect
from collections import deque
from collections.abc import Coroutine
from contextvars import ContextVar
from typing import Any

from remotecalls.actors.dead_letters import DeadLetter
from remotecalls.actors.definition import WILDCARD, ActorType, Handler, find_handler
from remotecalls.actors.errors import ActorStopped, MailboxFull, StartFailed
from remotecalls.actors.exits import Exit, ExitKind, crashed
from remotecalls.actors.lifecycle import Lifecycle
from remotecalls.actors.mail import Answer, Message
from remotecalls.actors.messages import IMMUTABLE, isolated
from remotecalls.actors.policies import WhenFull
from remotecalls.actors.process import Parent, Process, Runtime

MESSAGES_A_TURN = 32
"""How many messages an actor handles before the next one's turn."""

HANDLING: ContextVar[tuple[ActorProcess, Message] | None] = ContextVar("HANDLING", default=None)
"""The actor, and its message, of whose waiting handler this code is part."""


def handling(system: Runtime) -> ActorProcess | None:
    """The actor of a system whose waiting handler calls, if one does."""
    found = HANDLING.get()
    if found is None:
        return None
    process, message = found
    # A task that the handler left behind is not the handler.
    return process if process.is_handling(message) and process.system is system else None


class ActorProcess(Process):
    """An actor from its start to its end.

    It handles one message at a time, in the order of arrival. While it has none it owns neither
    task nor queue.
    """

    __slots__ = (
        "_active",
        "_current",
        "_inbox",
        "_instance",
        "_room",
        "_task",
        "handlers",
        "timers",
        "type",
        "waits_for",
    )

    def __init__(
        self,
        system: Runtime,
        actor_type: ActorType,
        name: str,
        parent: Parent | None,
    ) -> None:
        super().__init__(system, name, parent)
        self.type = actor_type
        self.handlers = actor_type.handlers  # of what is sent now; its own, once one was replaced
        self.timers: dict[asyncio.TimerHandle, None] | None = None
        self.waits_for: list[ActorProcess] | None = None
        self._active = actor_type.handlers  # of what is handled now
        self._instance: Any = None
        self._inbox: deque[Message] | None = None
        self._room: dict[Message, None] | None = None  # of senders that wait for room
        self._task: asyncio.Task[None] | None = None
        self._current: Message | None = None  # of the handler that waits

    # ------------------------------------------------------------------ what can be seen

    @property
    def lifecycle(self) -> Lifecycle:
        """The state that a reader sees."""
        if self.phase is Lifecycle.IDLE and (self._inbox or self._task is not None):
            return Lifecycle.RUNNING
        return self.phase

    @property
    def mailbox_length(self) -> int:
        """How many messages wait."""
        return 0 if self._inbox is None else len(self._inbox)

    @property
    def is_bare(self) -> bool:
        """Whether it owns no task, no future, no timer and no queue."""
        held = (self._task, self._inbox, self._room, self._current, self.timers, self.waits_for)
        return all(each is None for each in held) and not self.is_scheduled

    @property
    def is_waiting(self) -> bool:
        """Whether a turn would get it nowhere: it starts, or one of its handlers waits."""
        return self._task is not None or self.phase is Lifecycle.STARTING

    def is_handling(self, message: Message) -> bool:
        """Whether its waiting handler is the one of this message."""
        return self._current is message

    def handler_of(self, name: str) -> Handler:
        """The handler of a message that is sent now.

        Raises:
            UnknownHandler: none takes it.
        """
        return find_handler(self.handlers, name, self.name)

    # ------------------------------------------------------------------ start

    def begin(
        self, arguments: tuple[Any, ...], named: dict[str, Any]
    ) -> asyncio.Future[Exit | None] | None:
        """Make the instance and run `started`.

        Returns:
            nothing if it has started, or a future: of nothing when it has, or of how it ended.

        Raises:
            StartFailed: the class does not take the arguments, or `started` raised.
        """
        try:
            instance = self.type.build(*arguments, **named)
            instance.__dict__["_process"] = self
            self._instance = instance
            waiting = None if self.type.started is None else self.type.started(instance)
        except Exception as error:
            self.end(crashed(error))
            raise StartFailed(
                f"{self.name} did not start: {type(error).__name__}: {error}"
            ) from error
        if not inspect.iscoroutine(waiting):
            if self.reason is not None:
                raise StartFailed(f"{self.name} did not start: it {self.reason}")
            self._has_started()
            return None
        started: asyncio.Future[Exit | None] = self.system.scheduler.loop.create_future()

        def finished(_task: asyncio.Task[None]) -> None:
            waiting.close()  # it was not awaited if the end came before the task's first step
            if not started.done():
                started.set_result(self.reason)

        self._task = self.system.create_task(self._start(waiting, started), self.name)
        self._task.add_done_callback(finished)
        return started

    async def _start(
        self, waiting: Coroutine[Any, Any, None], started: asyncio.Future[Exit | None]
    ) -> None:
        self._hook("started")
        try:
            await waiting
        except (Exception, asyncio.CancelledError) as error:
            self._task = self._current = self.waits_for = None
            if self.reason is not None:
                raise  # it has ended; this is how `started` was told
            self.end(crashed(error))
        else:
            self._task = self._current = self.waits_for = None
            if self.reason is None:
                started.set_result(None)  # whatever becomes of it next
                self._has_started()

    def _has_started(self) -> None:
        self.phase = Lifecycle.IDLE
        self.system.has_started(self)
        if self._inbox:
            self.system.scheduler.schedule(self)

    # ------------------------------------------------------------------ the mailbox

    def put(self, message: Message) -> bool:
        """Take a message into the mailbox.

        Returns:
            whether the mailbox has it, or its policy has dealt with it; false if the sender has to
            wait for room.

        Raises:
            ActorStopped: it has ended, or takes nothing more, and this is an ask.
            MailboxFull: there is no room, and the policy is to refuse.
        """
        if self.reason is not None or self.phase is Lifecycle.DRAINING:
            self._return(message, self.reason or Exit(*_DRAINING))
            return True
        inbox = self._inbox
        if inbox is None:
            inbox = self._inbox = self.system.scheduler.empty_queue()
        elif self._room or len(inbox) >= self.type.policy.capacity:
            if self.type.policy.when_full is WhenFull.WAIT:
                return False
            if not self._makes_room(inbox, message):
                return True
        inbox.append(message)
        if self._task is None:
            self.system.scheduler.schedule(self)
        return True

    def _makes_room(self, inbox: deque[Message], message: Message) -> bool:
        policy = self.type.policy
        if policy.when_full is WhenFull.REFUSE:
            raise self.is_full()
        if policy.when_full is WhenFull.DROP_NEWEST:
            self._lose(message, "the mailbox is full")
            return False
        oldest = next((each for each in inbox if not (each.control or each.is_signal)), None)
        if oldest is None:
            raise self.is_full()
        inbox.remove(oldest)
        self._lose(oldest, "the mailbox is full, and newer ones came")
        return True

    def is_full(self) -> MailboxFull:
        """The error for a message that there is no room for."""
        capacity = self.type.policy.capacity
        return MailboxFull(
            f"the mailbox of {self.name} is full with {capacity} messages: send less, wait with "
            "`await ref.tell_when_room(…)`, or give @actor a larger mailbox or another policy"
        )

    def wait_for_room(self, message: Message) -> Answer:
        """Queue a message behind the mailbox; the answer is decided when the mailbox has it."""
        message.admitted = Answer()
        self._room = {} if self._room is None else self._room
        self._room[message] = None
        return message.admitted

    def wait_no_more(self, message: Message) -> None:
        """Forget a message whose sender has given up; nothing happens if the mailbox has it."""
        if message.admitted is not None:
            message.admitted.is_decided = True
        if self._room is not None:
            self._room.pop(message, None)
            self._room = self._room or None

    def _admit(self, inbox: deque[Message]) -> None:
        """Take in the next message that waits for room, and whose sender still waits.

        There may be no room yet: the runtime's own messages come in when the mailbox is full.
        """
        assert self._room is not None
        while self._room and len(inbox) < self.type.policy.capacity:
            message = next(iter(self._room))
            del self._room[message]
            assert message.admitted is not None
            if not message.admitted.is_decided:
                inbox.append(message)
                message.admitted.decide(None)
        self._room = self._room or None

    def _lose(self, message: Message, why: str) -> None:
        if message.answer is not None:
            message.answer.fail(MailboxFull(f"{self.name} dropped {message.name!r}: {why}"))
        self.system.dead_letters.add(DeadLetter(self.name, message.name, why))

    def _return(self, message: Message, reason: Exit) -> None:
        if message.admitted is not None and not message.admitted.is_decided:
            message.admitted.fail(ActorStopped(self.name, reason))
        elif message.answer is not None:
            message.answer.fail(ActorStopped(self.name, reason))
        elif message.control is None:
            self.system.dead_letters.add(DeadLetter(self.name, message.name, str(reason)))

    # ------------------------------------------------------------------ turns

    def take_turn(self) -> None:
        """Take the signals, then a few messages."""
        if self._signals is not None:
            self.take_signals()
        if self._task is not None or self.reason is not None or self.phase is Lifecycle.STARTING:
            return
        scheduler = self.system.scheduler
        scheduler.current = self
        for _ in range(MESSAGES_A_TURN):
            inbox = self._inbox
            if not inbox:
                break
            message = inbox.popleft()
            if self._room is not None:
                self._admit(inbox)
            if message.control is not None:
                message.control()
            elif message.answer is not None and message.answer.is_decided:
                self.system.dead_letters.add(
                    DeadLetter(self.name, message.name, "nobody waits for the answer any more")
                )
            else:
                self._handle(message)
            if self._task is not None or self.has_ended:
                break
        scheduler.current = None
        self._after_turn()

    def _after_turn(self) -> None:
        if self.reason is not None or self._task is not None:
            return
        inbox = self._inbox
        if inbox:
            self.system.scheduler.schedule(self)
        elif inbox is not None:
            self._inbox = None
            self.system.scheduler.give_back(inbox)

    def _handle(self, message: Message) -> None:
        arguments = message.arguments
        handler = self._active.get(message.name)
        if handler is None:
            handler = self._active[WILDCARD]
            arguments = (message.name, *arguments)
        if handler.is_async:
            self._current = message
            self._task = self.system.create_task(self._wait(handler, message, arguments), self.name)
            return
        try:
            value = handler.function(self._instance, *arguments, **message.named)
            if message.answer is not None:
                if type(value) not in IMMUTABLE:
                    value = isolated(value, f"the answer to {message.name!r}")
                message.answer.decide(value)
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - an answer, or its end
            self._raised(handler, message, error)

    async def _wait(self, handler: Handler, message: Message, arguments: tuple[Any, ...]) -> None:
        HANDLING.set((self, message))
        try:
            value = await handler.function(self._instance, *arguments, **message.named)
            if message.answer is not None:
                message.answer.decide(isolated(value, f"the answer to {message.name!r}"))
        except (Exception, asyncio.CancelledError) as error:
            self._task = self._current = self.waits_for = None
            if self.reason is not None:
                raise  # it has ended; this is how the handler was told
            self._raised(handler, message, error)
        else:
            self._task = self._current = self.waits_for = None
        self._after_turn()

    def _raised(self, handler: Handler, message: Message, error: BaseException) -> None:
        if handler.raises and isinstance(error, handler.raises):
            if message.answer is not None:
                message.answer.fail(error)
            else:
                why = f"nobody was told of {type(error).__name__}: {error}"
                self.system.dead_letters.add(DeadLetter(self.name, message.name, why))
            return
        reason = crashed(error)
        self.end(reason)
        if message.answer is not None:
            message.answer.fail(ActorStopped(self.name, reason))

    def trap(self, sender: Process, reason: Exit) -> bool:
        """Take an exit signal as the message "exit", if the class traps them."""
        if not self.type.traps_exits:
            return False
        self.signal("exit", (self.system.reference_to(sender), reason))
        return True

    def signal(self, name: str, arguments: tuple[Any, ...]) -> None:
        """Put a message of the runtime's own into the mailbox, also when it is full."""
        if self.reason is None:
            message = Message(name, arguments)
            message.is_signal = True
            self._put_control(message)

    def _put_control(self, message: Message) -> None:
        if self._inbox is None:
            self._inbox = self.system.scheduler.empty_queue()
        self._inbox.append(message)
        if self._task is None:
            self.system.scheduler.schedule(self)

    def replace(self, handler: Handler, migrate: Any) -> None:
        """Have another handler for the messages that come after those which wait now."""

        def control() -> None:
            try:
                if migrate is not None:
                    migrate(self._instance)
            except Exception as error:  # noqa: BLE001 - its state is not to be trusted
                self.end(crashed(error))
                return
            self._active = self._active | {handler.name: handler}

        if self.reason is None:
            self.handlers = self.handlers | {handler.name: handler}
            self._put_control(Message(handler.name, control=control))

    # ------------------------------------------------------------------ the end

    def request_stop(self, reason: Exit) -> None:
        """Handle what waits, then end; refuse what comes from now on."""
        if self.reason is not None or self.phase is Lifecycle.DRAINING:
            return
        if self.phase is Lifecycle.STARTING:
            self.end(reason)
            return
        if self._task is None and not self._inbox and self.type.stopping is None:
            self.end(reason)
            return
        self.phase = Lifecycle.DRAINING
        for message in self._room or ():
            self._return(message, Exit(*_DRAINING))
        self._room = None
        self._put_control(Message("stop", control=lambda: self._stop(reason)))

    def _stop(self, reason: Exit) -> None:
        if self.type.stopping is None:
            self.end(reason)
            return
        try:
            waiting = self.type.stopping(self._instance)
        except Exception as error:  # noqa: BLE001 - it is the reason of its end
            self.end(crashed(error))
            return
        if inspect.iscoroutine(waiting):
            self._task = self.system.create_task(self._finish(waiting, reason), self.name)
            self._task.add_done_callback(lambda _task: waiting.close())
        else:
            self.end(reason)

    async def _finish(self, waiting: Coroutine[Any, Any, None], reason: Exit) -> None:
        self._hook("stopping")
        try:
            await waiting
        except (Exception, asyncio.CancelledError) as error:
            self._task = None
            if self.reason is not None:
                raise  # it has ended; this is how `stopping` was told
            self.end(crashed(error))
        else:
            self._task = None
            self.end(reason)

    def _hook(self, name: str) -> None:
        """Say that the code that follows is the actor's, though it handles no message."""
        self._current = Message(name, control=lambda: None)
        HANDLING.set((self, self._current))

    def release(self, reason: Exit) -> None:
        """Return what waits, cancel its handler and its timers."""
        task, self._task = self._task, None
        waiting: list[Message] = [] if self._current is None else [self._current]
        waiting.extend(self._inbox or ())
        waiting.extend(self._room or ())
        timers, self.timers = self.timers, None
        self._instance = self._inbox = self._room = self._current = self.waits_for = None
        for message in waiting:
            self._return(message, reason)
        for timer in timers or ():
            timer.cancel()
        if task is not None:
            # Also if it is the current one: the actor ends itself, or lends its turn to one that
            # ends it. Its handler gets as far as where it next waits.
            task.cancel()


_DRAINING = (ExitKind.SHUTDOWN, "it is stopping and takes nothing more")
