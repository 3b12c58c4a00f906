"""Taps for programs that block: each runs in an event loop of its own thread."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from types import TracebackType
from typing import Self

from remotecalls.wire.address import Address
from remotecalls.wire.errors import DeadlineExceeded
from remotecalls.wire.faults import DatagramFault, StreamFault
from remotecalls.wire.recording import DEFAULT_LIMIT, Recording
from remotecalls.wire.tap_base import TapBase
from remotecalls.wire.tap_datagram import DatagramTap
from remotecalls.wire.tap_stream import Tap

STOP_TIMEOUT = 5.0


class _Threaded:
    """Runs a tap in a thread. Opened once, with `with`."""

    def __init__(self, tap: TapBase) -> None:
        self._tap = tap
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop = asyncio.Event()
        self._opened: Future[None] = Future()
        self._closed: Future[None] | None = None
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="tap")

    @property
    def address(self) -> Address:
        """Where clients connect.

        Raises:
            RuntimeError: the tap was never opened.
        """
        return self._tap.address

    @property
    def recording(self) -> Recording:
        """What crossed; complete once the tap is closed."""
        return self._tap.recording

    def until(self, condition: Callable[[Recording], bool], timeout: float = 5.0) -> None:
        """Wait, blocking, until the recording meets a condition.

        Raises:
            DeadlineExceeded: it did not within `timeout` seconds.
            RuntimeError: the tap is not open.
        """
        if self._loop is None or self._closed is None or self._closed.done():
            raise RuntimeError("the tap is not open: use `with`")
        waiting = asyncio.run_coroutine_threadsafe(self._tap.until(condition, timeout), self._loop)
        try:
            waiting.result(timeout + STOP_TIMEOUT)
        except TimeoutError:
            waiting.cancel()
            raise DeadlineExceeded(f"the tap did not answer within {timeout:g} s") from None

    def __enter__(self) -> Self:
        if self._closed is not None:
            raise RuntimeError("a tap is opened once: make another")
        self._closed = self._executor.submit(lambda: asyncio.run(self._run()))
        self._executor.shutdown(wait=False)  # the thread ends with its one job
        wait({self._opened, self._closed}, STOP_TIMEOUT, FIRST_COMPLETED)
        if self._closed.done():
            self._close()
        self._opened.result(0)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._close()

    def _close(self) -> None:
        """Stop the thread and wait for its end.

        Raises:
            DeadlineExceeded: it did not come in time.
            BaseException: what ended the thread.
        """
        if self._closed is None:
            raise RuntimeError("the tap was never opened")
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop has ended by itself
                self._loop.call_soon_threadsafe(self._stop.set)
        if not wait({self._closed}, STOP_TIMEOUT).done:
            raise DeadlineExceeded(f"the tap did not stop within {STOP_TIMEOUT:g} s")
        self._executor.shutdown(wait=True)
        self._closed.result()

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        async with self._tap:
            self._opened.set_result(None)
            await self._stop.wait()


class ThreadedTap(_Threaded):
    """A `Tap` in a thread of its own, for blocking clients and servers.

    Takes the arguments of `Tap` and is opened with `with`.

    Raises:
        TypeError, ValueError: an argument is not what it should be.
        DeadlineExceeded: on leaving the block, the thread did not stop.
    """

    def __init__(
        self,
        server: Address,
        faults: Sequence[StreamFault] = (),
        *,
        host: str = "127.0.0.1",
        connect_timeout: float = 5.0,
        record_limit: int = DEFAULT_LIMIT,
    ) -> None:
        super().__init__(
            Tap(
                server,
                faults,
                host=host,
                connect_timeout=connect_timeout,
                record_limit=record_limit,
            )
        )


class ThreadedDatagramTap(_Threaded):
    """A `DatagramTap` in a thread of its own, for blocking clients and servers.

    Takes the arguments of `DatagramTap` and is opened with `with`.

    Raises:
        TypeError, ValueError: an argument is not what it should be.
        DeadlineExceeded: on leaving the block, the thread did not stop.
    """

    def __init__(
        self,
        server: Address,
        faults: Sequence[DatagramFault] = (),
        *,
        host: str = "127.0.0.1",
        record_limit: int = DEFAULT_LIMIT,
    ) -> None:
        super().__init__(DatagramTap(server, faults, host=host, record_limit=record_limit))
