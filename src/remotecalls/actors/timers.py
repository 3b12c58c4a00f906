"""Messages that an actor sends itself later."""

from __future__ import annotations

import asyncio
from typing import Any

from remotecalls.actors.actor_process import ActorProcess
from remotecalls.actors.dead_letters import DeadLetter
from remotecalls.actors.errors import MailboxFull, Misuse
from remotecalls.actors.sending import message_for


class Timer:
    """A message that is sent once after a while, or again and again. It dies with its actor."""

    __slots__ = ("_arguments", "_due", "_handle", "_interval", "_name", "_named", "_process")

    def __init__(
        self,
        process: ActorProcess,
        delay: float,
        interval: float,
        name: str,
        arguments: tuple[Any, ...],
        named: dict[str, Any],
    ) -> None:
        """Begin to wait.

        Args:
            process: which is sent the message.
            delay: seconds until the first.
            interval: seconds between the first and each that follows, or 0 for one alone.
            name: of the message.
            arguments: by position.
            named: by name.

        Raises:
            Misuse: the delay is negative, or no handler takes the message.
        """
        if not delay >= 0:
            raise Misuse(f"a timer {delay} s from now is in the past: 0 s or more")
        message = message_for(process, name, arguments, dict(named), None, is_sent=False)
        self._process = process
        self._interval = interval
        self._name = name
        self._arguments = message.arguments
        self._named = message.named
        self._due = process.system.scheduler.loop.time() + delay
        self._handle: asyncio.TimerHandle | None = None
        self._arm()

    def cancel(self) -> None:
        """Send nothing more."""
        if self._handle is not None:
            self._handle.cancel()
            self._forget()

    def _arm(self) -> None:
        process = self._process
        if process.reason is not None:
            return  # in what is left of the handler that has ended it
        self._handle = process.system.scheduler.loop.call_at(self._due, self._send)
        process.timers = {} if process.timers is None else process.timers
        process.timers[self._handle] = None

    def _forget(self) -> None:
        timers = self._process.timers
        if timers is not None and self._handle is not None:
            timers.pop(self._handle, None)
            if not timers:
                self._process.timers = None
        self._handle = None

    def _send(self) -> None:
        self._forget()
        process = self._process
        message = message_for(process, self._name, self._arguments, dict(self._named), None)
        try:
            is_taken = process.put(message)
        except MailboxFull:
            is_taken = False
        if not is_taken:
            why = "the mailbox is full, and a timer cannot wait"
            process.system.dead_letters.add(DeadLetter(process.name, self._name, why))
        if self._interval and process.reason is None:
            # By the clock and not by the last message: it does not drift. What was missed is not
            # made up for.
            self._due = max(self._due + self._interval, process.system.scheduler.loop.time())
            self._arm()
