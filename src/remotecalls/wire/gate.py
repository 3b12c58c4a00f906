"""A gate that holds bytes back until a test opens it, from any thread or event loop."""

from __future__ import annotations

import asyncio
import threading

from remotecalls.wire.errors import DeadlineExceeded


class Signal:
    """Something that happens once. Tasks and threads can wait for it.

    `asyncio.Event` belongs to one loop and `threading.Event` blocks the loop of whoever waits.
    The tap may run in a loop of its own thread, so its signals must cross.
    """

    def __init__(self) -> None:
        self._happened = threading.Event()
        self._lock = threading.Lock()
        self._waiters: dict[asyncio.Event, asyncio.AbstractEventLoop] = {}

    def is_set(self) -> bool:
        """Whether it has happened."""
        return self._happened.is_set()

    def set(self) -> None:
        """It has happened."""
        with self._lock:
            self._happened.set()
            for waiter, loop in self._waiters.items():
                loop.call_soon_threadsafe(waiter.set)

    async def wait(self) -> None:
        """Wait for it in a task."""
        waiter = asyncio.Event()
        with self._lock:
            if self._happened.is_set():
                return
            self._waiters[waiter] = asyncio.get_running_loop()
        try:
            await waiter.wait()
        finally:
            with self._lock:
                del self._waiters[waiter]

    def wait_blocking(self, timeout: float) -> None:
        """Wait for it in a thread.

        Raises:
            DeadlineExceeded: it did not happen within `timeout` seconds.
        """
        if not self._happened.wait(timeout):
            raise DeadlineExceeded(f"nothing happened within {timeout:g} s")


class Gate:
    """Closed until `open` is called; then open for good.

    Attributes:
        reached: something stands at the gate, or has gone through it.
    """

    def __init__(self) -> None:
        self.reached = Signal()
        self._opened = Signal()

    @property
    def is_open(self) -> bool:
        """Whether the gate was opened."""
        return self._opened.is_set()

    def open(self) -> None:
        """Let everything through, now and later. From any thread."""
        self._opened.set()

    async def pass_through(self) -> None:
        """Report at the gate and wait until it is open."""
        self.reached.set()
        await self._opened.wait()
