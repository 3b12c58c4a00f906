"""Deadlines for labs: every wait here ends, and none is a bare sleep."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

_LOOK_EVERY = 0.01


async def within(seconds: float, awaitable: Awaitable[T], what: str = "an answer") -> T:
    """Await something with a deadline.

    Args:
        seconds: the deadline.
        awaitable: what to await; it is cancelled at the deadline.
        what: what is waited for, for the message of the error.

    Raises:
        TimeoutError: it was not there in time.
    """
    try:
        async with asyncio.timeout(seconds) as scope:
            return await awaitable
    except TimeoutError:
        if not scope.expired():
            raise
        raise TimeoutError(f"waited {seconds:g} s for {what}") from None


async def eventually(seconds: float, condition: Callable[[], bool], what: str) -> None:
    """Wait until a condition holds.

    Args:
        seconds: the deadline.
        condition: looked at every 10 ms; the event loop runs in between.
        what: the condition in words, for the message of the error.

    Raises:
        TimeoutError: it did not hold in time.
    """
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            raise TimeoutError(f"waited {seconds:g} s until {what}")
        await asyncio.sleep(_LOOK_EVERY)
