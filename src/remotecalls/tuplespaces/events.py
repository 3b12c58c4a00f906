"""The events of one subscription, in a buffer with a bound."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

from remotecalls.tuplespaces.fields import Fields
from remotecalls.tuplespaces.timeouts import checked_timeout
from remotecalls.wire.errors import DeadlineExceeded

DEFAULT_BUFFER = 1_024
MAXIMUM_BUFFER = 65_536


class Events:
    """Tuples that were written, in that order, for whoever iterates over them.

    Nobody who writes waits for a subscriber. When the buffer is full, its **oldest** event is
    dropped for the new one, and counted in `missed`: who is slow sees the present with gaps, and
    knows it.

    Args:
        buffer: how many events it holds.

    Attributes:
        missed_before: how many were dropped before they came here, by the buffer of a server.

    Raises:
        ValueError: the buffer is not within 1..65,536.
    """

    def __init__(self, buffer: int) -> None:
        if not 1 <= buffer <= MAXIMUM_BUFFER:
            raise ValueError(f"a buffer of {buffer} events is outside 1..{MAXIMUM_BUFFER}")
        self.missed_before = 0
        self._dropped = 0
        self._buffer: deque[Fields] = deque(maxlen=buffer)
        self._arrived = asyncio.Event()
        self._end: BaseException | None = None

    @property
    def missed(self) -> int:
        """How many events were dropped so far."""
        return self.missed_before + self._dropped

    def push(self, fields: Fields) -> None:
        """Take an event; never waits."""
        if self._end is None:
            if len(self._buffer) == self._buffer.maxlen:
                self._dropped += 1  # append() drops the oldest
            self._buffer.append(fields)
            self._arrived.set()

    @property
    def ended(self) -> bool:
        """Whether no further event can come."""
        return self._end is not None

    def end(self, reason: BaseException) -> None:
        """Let the iteration raise this, once it has seen what is in the buffer."""
        if self._end is None:
            self._end = reason
            self._arrived.set()

    def __aiter__(self) -> Events:
        return self

    async def __anext__(self) -> tuple[Any, ...]:
        """The next event. It waits without a deadline of its own.

        Raises:
            SpaceClosed: the space, or the subscription, has ended.
            ConnectionLost: the connection to the space has.
        """
        while not self._buffer:
            if self._end is not None:
                raise self._end
            self._arrived.clear()
            await self._arrived.wait()
        return self._buffer.popleft()

    async def next(self, timeout: float) -> tuple[Any, ...]:
        """The next event, if there is one within that many seconds.

        Raises:
            DeadlineExceeded: there is none.
            SpaceClosed: the space, or the subscription, has ended.
            ConnectionLost: the connection to the space has.
        """
        limit = asyncio.timeout(checked_timeout(timeout))
        try:
            async with limit:
                return await anext(self)
        except TimeoutError:
            if not limit.expired():
                raise
            raise DeadlineExceeded(f"no event within {timeout:g} s") from None
