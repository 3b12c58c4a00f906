"""Who runs next: one queue of the processes that have something to do.

The event loop calls `_pump` once, however many actors have got messages; the pump lets each take a
turn, in order, until its time is over, and lets the loop look after everything else. An actor
without messages stands nowhere: it has no task that waits for it.
"""

from __future__ import annotations

import asyncio
import contextvars
import time
from collections import deque
from typing import Protocol

from remotecalls.actors.mail import Answer, Message

PUMP_SECONDS = 0.002
"""How long turns are taken before the loop may look for other work."""

LENT_SECONDS = 0.001
"""How long an asker may run others' turns before it has to wait as everybody does."""

SPARE_QUEUES = 1_000


class Runnable(Protocol):
    """What takes turns.

    Attributes:
        is_scheduled: whether its turn will come.
    """

    is_scheduled: bool

    def take_turn(self) -> None:
        """Do some of what there is to do, and come back."""
        ...


class Scheduler:
    """The queue of processes with something to do, on one event loop.

    Attributes:
        loop: the event loop.
        current: the process that takes a turn just now.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.current: Runnable | None = None
        self._ready: deque[Runnable] = deque()
        self._is_pumping = False
        self._is_called = False
        self._lent_until = 0.0
        self._spare: list[deque[Message]] = []
        # Turns run in a context of their own: what an asker's variables say is not for the asked.
        self._context = contextvars.Context()

    def schedule(self, process: Runnable) -> None:
        """Let a process take a turn, once, however often it is said before the turn comes."""
        if process.is_scheduled:
            return
        process.is_scheduled = True
        self._ready.append(process)
        if not self._is_called and not self._is_pumping:
            self._is_called = True
            self.loop.call_soon(self._pump)

    def lend(self, until: Answer, *, is_limited: bool = True) -> bool:
        """Take turns now, in the stead of the loop, until an answer is decided.

        A coroutine that asks has nothing to do before it is answered. It runs what is ready, in
        the order in which it would run anyway, and often has its answer without having waited. For
        a millisecond: then it waits, and the loop sees to the sockets and timers.

        Args:
            until: the answer that the caller waits for.
            is_limited: whether the millisecond holds.

        Returns:
            whether any process had something to do.
        """
        if self._is_pumping or not self._ready:
            return False
        now = time.monotonic()
        if not is_limited:
            self._context.run(self._take_turns, now + LENT_SECONDS, until)
            return True
        if self._lent_until == 0.0:
            self._lent_until = now + LENT_SECONDS
        if now < self._lent_until:
            self._context.run(self._take_turns, self._lent_until, until)
        return True

    def empty_queue(self) -> deque[Message]:
        """A queue for a mailbox that had none."""
        return self._spare.pop() if self._spare else deque()

    def give_back(self, queue: deque[Message]) -> None:
        """Take back a queue that is empty."""
        if len(self._spare) < SPARE_QUEUES:
            self._spare.append(queue)

    def _pump(self) -> None:
        self._is_called = False
        self._lent_until = 0.0
        self._context.run(self._take_turns, time.monotonic() + PUMP_SECONDS, None)

    def _take_turns(self, end: float, until: Answer | None) -> None:
        ready = self._ready
        self._is_pumping = True
        try:
            while ready:
                process = ready.popleft()
                process.is_scheduled = False
                process.take_turn()
                if (until is not None and until.is_decided) or time.monotonic() > end:
                    break
        finally:
            self.current = None
            self._is_pumping = False
            if ready and not self._is_called:
                self._is_called = True
                self.loop.call_soon(self._pump)
