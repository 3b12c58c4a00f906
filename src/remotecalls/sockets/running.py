"""A server that is started and stopped by blocking calls, as an asynchronous context manager."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Protocol, TypeVar


class Stoppable(Protocol):
    """A server that runs in threads or processes of its own."""

    def stop(self) -> None:
        """Stop, and wait for what it started."""
        ...


ServerType = TypeVar("ServerType", bound=Stoppable)


@asynccontextmanager
async def running(start: Callable[[], ServerType]) -> AsyncIterator[ServerType]:
    """Start a server, and stop it at the end of the block; the event loop does not wait for either.

    Raises:
        Exception: what starting or stopping it raises.
    """
    server = await asyncio.to_thread(start)
    try:
        yield server
    finally:
        await asyncio.to_thread(server.stop)
