"""Run a reader's code so that it cannot hang, flood or end the kernel.

The code runs in a thread of this process, because an answer is a function of the notebook: it uses
names of other cells and cannot be sent to another process. When it overruns its deadline or its
share of memory, an exception is raised inside that thread (``PyThreadState_SetAsyncExc``). That
ends every loop written in Python. A thread that waits inside the operating system, in ``recv`` on
a silent socket, say, gets the exception when the call returns; until then it is left behind as a
daemon thread, and the report names the line it waits in.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import inspect
import linecache
import os
import sys
import sysconfig
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType
from typing import Final, Literal

import psutil

MEGABYTE: Final = 1 << 20
SECONDS: Final = 5.0
"""Deadline of one attempt."""

MEMORY: Final = 512 * MEGABYTE
"""Bytes by which one attempt may let the process grow."""

_LOOK_EVERY = 0.02
_FAREWELL = 1.0
"""Seconds that a stopped thread gets to leave before it is abandoned."""

_OURS = str(Path(__file__).parents[1])
_LIBRARY = tuple({sysconfig.get_path("stdlib"), sysconfig.get_path("purelib")})


class StopAnswer(SystemExit):
    """Raised inside a thread to end it.

    A ``SystemExit``, since ``except Exception`` does not catch it, a thread ends silently on it,
    and asyncio lets it leave the event loop.
    """


@dataclass(frozen=True)
class Line:
    """A line of the reader's code.

    Attributes:
        number: counted from 1 in its cell or file.
        text: the line without indentation; empty when the source is not known.
    """

    number: int
    text: str

    def __str__(self) -> str:
        """Return ``line 3: data = sock.recv(4)``."""
        return f"line {self.number}: {self.text}" if self.text else f"line {self.number}"


@dataclass(frozen=True)
class Returned:
    """The call came back with a value."""

    value: object


@dataclass(frozen=True)
class Raised:
    """The call raised an exception, at a line of the reader's code if one is in the traceback."""

    error: BaseException
    line: Line | None


@dataclass(frozen=True)
class Overrun:
    """The call was stopped.

    Attributes:
        limit: which limit it passed.
        line: where it was then.
        abandoned: whether its thread could not be ended and still waits.
    """

    limit: Literal["time", "memory"]
    line: Line | None
    abandoned: bool


Outcome = Returned | Raised | Overrun


def line_of_frame(frame: FrameType | None) -> Line | None:
    """Return the innermost line of the reader's code on a stack of frames."""
    while frame is not None:
        if _is_readers(frame.f_code.co_filename):
            return _line(frame.f_code.co_filename, frame.f_lineno)
        frame = frame.f_back
    return None


def line_of_traceback(chain: TracebackType | None) -> Line | None:
    """Return the innermost line of the reader's code in a traceback."""
    found = None
    for summary in traceback.extract_tb(chain):
        if summary.lineno is not None and _is_readers(summary.filename):
            found = _line(summary.filename, summary.lineno)
    return found


class Worker:
    """One call in a thread that can be ended from outside.

    Args:
        call: what to run; an awaitable that it returns is awaited in an event loop of its own.
        on_done: called in the thread when the outcome is there.
    """

    def __init__(
        self, call: Callable[[], object], on_done: Callable[[], object] | None = None
    ) -> None:
        self._call = call
        self._on_done = on_done
        self._outcome: Outcome | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name="answer", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def wait(self, seconds: float) -> Outcome | None:
        """Return the outcome, or None when it is not there after so many seconds."""
        if self._done.wait(seconds):
            # The thread's frames keep what the call left open alive until it has ended.
            self._thread.join(timeout=_FAREWELL)
        return self._outcome

    def line(self) -> Line | None:
        """Return the line of the reader's code that the thread is in now."""
        ident = self._thread.ident
        frame = sys._current_frames().get(ident) if ident is not None else None
        return line_of_frame(frame) or _line_of_tasks(self._loop)

    def stop(self, limit: Literal["time", "memory"]) -> Overrun:
        """End the thread, and say where it was."""
        line = self.line()
        until = time.monotonic() + _FAREWELL
        # A bare "except:" in a loop swallows the exception: raise it until the thread has left.
        while not self._done.is_set() and time.monotonic() < until:
            self._raise_inside()
            self._done.wait(0.05)
        return Overrun(limit, line, abandoned=not self._done.is_set())

    def _raise_inside(self) -> None:
        ident = self._thread.ident
        if ident is not None:
            ctypes.pythonapi.PyThreadState_SetAsyncExc(
                ctypes.c_ulong(ident), ctypes.py_object(StopAnswer)
            )
        if self._loop is not None:
            # A loop with nothing to do waits in the operating system: give it something, so that
            # the exception is raised. It ends the loop, which cancels its tasks.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(lambda: None)

    def _run(self) -> None:
        try:
            self._outcome = self._evaluate()
        except StopAnswer:
            # The exception of stop() can arrive one bytecode after the call has ended.
            self._outcome = Overrun("time", None, abandoned=False)
        finally:
            self._done.set()
            if self._on_done is not None:
                self._on_done()

    def _evaluate(self) -> Outcome:
        try:
            value = self._call()
            if inspect.isawaitable(value):
                with asyncio.Runner() as runner:
                    self._loop = runner.get_loop()
                    value = runner.run(_awaited(value))
        except StopAnswer:
            raise
        except BaseException as error:  # noqa: BLE001 - also sys.exit() must not end the kernel
            return Raised(error, line_of_traceback(error.__traceback__))
        return Returned(value)


def run(call: Callable[[], object], *, seconds: float = SECONDS, memory: int = MEMORY) -> Outcome:
    """Run a call in a thread until it ends, overruns its deadline, or takes too much memory.

    Args:
        call: what to run. If it returns an awaitable, that is awaited too.
        seconds: the deadline.
        memory: bytes by which the resident size of this process may grow.

    Returns:
        What came of it; nothing that the call does is raised here.
    """
    worker = Worker(call)
    worker.start()
    return watch(worker, lambda: seconds, memory=memory)


def watch(worker: Worker, allowed: Callable[[], float], *, memory: int = MEMORY) -> Outcome:
    """Wait for a started worker, and stop it when it passes a limit.

    Args:
        worker: the worker, started.
        allowed: returns the seconds, from the start of this wait, that it may take; asked again
            and again, so that a worker with several steps can have a deadline for each.
        memory: bytes by which the resident size of this process may grow.
    """
    process = psutil.Process(os.getpid())
    ceiling = process.memory_info().rss + memory
    started = time.monotonic()
    try:
        while True:
            outcome = worker.wait(_LOOK_EVERY)
            if outcome is not None:
                return outcome
            if process.memory_info().rss > ceiling:
                return worker.stop("memory")
            if time.monotonic() - started > allowed():
                return worker.stop("time")
    except KeyboardInterrupt:
        worker.stop("time")
        raise


async def in_thread(call: Callable[[], object]) -> object:
    """Run a blocking call in a thread of its own and await its result.

    For checks whose fixtures live in an event loop and whose answer blocks. Unlike
    ``asyncio.to_thread``, the thread is ended when the awaiting task is cancelled, and the loop
    does not wait for it when it closes.

    Raises:
        Exception: what the call raises.
    """
    loop = asyncio.get_running_loop()
    done = asyncio.Event()

    def wake() -> None:
        # The loop may have closed after a cancellation: then nobody waits any more.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(done.set)

    worker = Worker(call, wake)
    worker.start()
    try:
        await done.wait()
    except asyncio.CancelledError:
        worker.stop("time")
        raise
    outcome = worker.wait(0.0)
    if isinstance(outcome, Returned):
        return outcome.value
    if isinstance(outcome, Raised):
        raise outcome.error
    raise TimeoutError("the call was stopped")


async def _awaited(value: object) -> object:
    if not inspect.isawaitable(value):
        return value
    return await value


def _line_of_tasks(loop: asyncio.AbstractEventLoop | None) -> Line | None:
    """Return a line of the reader's code in which a task waits."""
    found = None
    for task in asyncio.all_tasks(loop) if loop is not None else ():
        waiting: object = task.get_coro()
        while waiting is not None:
            frame = getattr(waiting, "cr_frame", None)
            if frame is not None and _is_readers(frame.f_code.co_filename):
                found = _line(frame.f_code.co_filename, frame.f_lineno)
            waiting = getattr(waiting, "cr_await", None)
    return found


def _is_readers(filename: str) -> bool:
    if filename.startswith("<"):
        return not filename.startswith("<frozen")
    if "ipykernel_" in filename:
        return True
    return not filename.startswith((_OURS, *_LIBRARY))


def _line(filename: str, number: int) -> Line:
    return Line(number, linecache.getline(filename, number).strip())
