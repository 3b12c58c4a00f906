"""A deadline: the point in time after which an answer is of no use.

A *timeout* is a length of time for one step; three steps of one second each can take three
seconds. A *deadline* is set once per call and shared by all its steps, however many there are.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from remotecalls.wire.errors import DeadlineExceeded


@dataclass(frozen=True)
class Deadline:
    """A point on the monotonic clock, in seconds as `time.monotonic` counts them."""

    at: float
    allowed: float

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        """The deadline that many seconds from now.

        Raises:
            ValueError: `seconds` is not positive.
        """
        if not seconds > 0:
            raise ValueError(f"a deadline of {seconds} s has passed already: allow more than 0 s")
        return cls(time.monotonic() + seconds, seconds)

    def remaining(self) -> float:
        """Seconds that are left.

        Raises:
            DeadlineExceeded: none are.
        """
        left = self.at - time.monotonic()
        if left <= 0:
            raise self.exceeded()
        return left

    def exceeded(self) -> DeadlineExceeded:
        """The error for having missed this deadline."""
        return DeadlineExceeded(f"no answer within {self.allowed:g} s")

    @asynccontextmanager
    async def enforced(self) -> AsyncIterator[None]:
        """Cancel the block when the deadline passes, and say so with `DeadlineExceeded`.

        Raises:
            DeadlineExceeded: the block did not finish in time.
        """
        timeout = asyncio.timeout(self.remaining())
        try:
            async with timeout:
                yield
        except TimeoutError as error:
            if not timeout.expired():
                raise  # a time-out of somebody else, inside the block
            raise self.exceeded() from error
