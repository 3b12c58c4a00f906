"""Hold an asynchronous context manager open from one cell of a notebook to another.

Each cell runs as a task of its own. A context manager that holds a task group or a cancel scope
must be left by the task that entered it, so a cell cannot enter it for another to leave. Here one
task enters it, keeps it, and leaves it when it is told.
"""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Held(Generic[T]):
    """An asynchronous context manager, kept open by a task.

    Args:
        manager: entered by :meth:`enter`, left by :meth:`leave`.
        name: for the messages of errors.
    """

    def __init__(self, manager: AbstractAsyncContextManager[T], name: str) -> None:
        self.name = name
        self._manager = manager
        self._leave = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def enter(self, seconds: float) -> T:
        """Enter the context manager and return what it yields.

        Raises:
            TimeoutError: it was not entered in time.
            Exception: what entering it raises.
        """
        entered: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._keep(entered), name=f"hold {self.name}")
        waited: tuple[asyncio.Future[Any], ...] = (entered, self._task)
        await asyncio.wait(waited, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if not entered.done() and not self._task.done():
            self._task.cancel()
            await asyncio.wait({self._task}, timeout=seconds)
            raise TimeoutError(f"{self.name} did not start within {seconds:g} s")
        if entered.done():
            return entered.result()
        await self._task  # raises why it could not be entered
        raise RuntimeError(f"{self.name} ended while it was starting")

    async def leave(self, seconds: float) -> None:
        """Leave the context manager; it is cancelled at the deadline.

        Raises:
            TimeoutError: it did not end in time, and was cancelled.
            Exception: what it raised on the way out, or while it was held.
        """
        task = self._task
        if task is None:
            return
        self._task = None
        self._leave.set()
        done, _ = await asyncio.wait({task}, timeout=seconds)
        if not done:
            task.cancel()
            await asyncio.wait({task}, timeout=seconds)
            raise TimeoutError(f"{self.name} did not stop within {seconds:g} s; it was cancelled")
        await task

    async def _keep(self, entered: asyncio.Future[T]) -> None:
        async with self._manager as value:
            entered.set_result(value)
            await self._leave.wait()
