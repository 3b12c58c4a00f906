"""Active tuples: fields that are computed, each in a process of its own, before the tuple is there.

Linda's `eval` makes a tuple whose fields are still being computed ("live"); when the last is done,
it becomes an ordinary one (Gelernter 1985, section 2). JavaNOW calls them active entities.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Any

from remotecalls.tuplespaces.errors import EvaluationFailed, InvalidField
from remotecalls.tuplespaces.fields import check_field, shown

STOP_SECONDS = 5.0


@dataclass(frozen=True)
class Active:
    """A field whose value a function will return."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...]

    def __repr__(self) -> str:
        name = getattr(self.function, "__qualname__", repr(self.function))
        return f"active({', '.join([name, *map(shown, self.arguments)])})"


def active(function: Callable[..., Any], *arguments: Any) -> Active:
    """A field of `TupleSpace.eval`: `function(*arguments)`, computed in a worker process.

    The function and its arguments are pickled, so it has to stand in a module that the worker can
    import: no lambda, and nothing that was typed into a notebook.
    """
    return Active(function, arguments)


def pickled(field: Active, where: str) -> bytes:
    """What a worker gets to see of an active field.

    Raises:
        InvalidField: it cannot be pickled, or no worker could find the function.
    """
    main = sys.modules["__main__"]
    if getattr(field.function, "__module__", None) == "__main__" and not hasattr(main, "__file__"):
        raise InvalidField(f"{where}: {field!r} was typed in here: put the function into a module")
    try:
        return pickle.dumps((field.function, field.arguments))
    except (pickle.PicklingError, TypeError, AttributeError, RecursionError) as error:
        raise InvalidField(f"{where}: {field!r} cannot be pickled for a worker: {error}") from error


class Workers:
    """Processes that compute, started when they are first needed and kept.

    A function that kills its process takes nobody with it: each process does one thing at a time,
    and the next one starts afresh.

    Args:
        limit: how many there are at most; further computations wait for one of them.
    """

    def __init__(self, limit: int) -> None:
        self._idle: list[_Worker] = []
        self._slots = asyncio.Semaphore(limit)
        self._threads = ThreadPoolExecutor(limit, "active tuples")

    async def compute(self, field: Active, payload: bytes) -> Any:
        """What the function returns.

        Raises:
            EvaluationFailed: it raised something, or returned what is no field, or its process
            died.
        """
        async with self._slots:
            worker = self._idle.pop() if self._idle else _Worker()
            loop = asyncio.get_running_loop()
            running = loop.run_in_executor(self._threads, worker.compute, payload)
            try:
                done, result = await asyncio.shield(running)
            except asyncio.CancelledError:
                worker.kill()  # nobody wants the result; this also ends the thread's wait for it
                with contextlib.suppress(EOFError, OSError):
                    await running
                worker.close()
                raise
            except (EOFError, OSError):
                raise EvaluationFailed(
                    f"{field!r}: its process died (exit code {worker.close()}) before it returned"
                ) from None
            self._idle.append(worker)
        if not done:
            raise EvaluationFailed(f"{field!r} failed in its process:\n{result}")
        return result

    def close(self) -> None:
        """End the idle processes and the threads. Nothing may be computing any more."""
        while self._idle:
            worker = self._idle.pop()
            worker.kill()
            worker.close()
        self._threads.shutdown()


class _Worker:
    """One process. Only `kill` may be called while another thread is in `compute`."""

    def __init__(self) -> None:
        self._process: SpawnProcess | None = None
        self._connection: Connection | None = None
        self._killed = False
        self._starting = threading.Lock()

    def compute(self, payload: bytes) -> tuple[bool, Any]:
        """Whether it went well, and the result or the traceback; blocks.

        Raises:
            EOFError, OSError: the process died.
        """
        with self._starting:
            if self._killed:
                raise EOFError
            if self._process is None:
                context = multiprocessing.get_context("spawn")
                self._connection, theirs = context.Pipe()
                process = context.Process(target=_work, args=(theirs,), daemon=True)
                process.start()
                theirs.close()
                self._process = process
        assert self._connection is not None
        self._connection.send_bytes(payload)
        done, result = pickle.loads(self._connection.recv_bytes())
        return done, result

    def kill(self) -> None:
        """End the process, whatever it does."""
        with self._starting:
            self._killed = True
            if self._process is not None:
                self._process.kill()

    def close(self) -> int | None:
        """Wait for the end of a process that has ended or was killed; returns its exit code."""
        code = None
        if self._process is not None:
            self._process.join(STOP_SECONDS)
            if self._process.is_alive():  # it has closed the connection and goes on
                self._process.kill()
                self._process.join(STOP_SECONDS)
            code = self._process.exitcode
            self._process.close()
        if self._connection is not None:
            self._connection.close()
        return code


def _work(connection: Connection) -> None:
    """The life of a worker process: it ends when the other end of the connection does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for whoever started us
    while True:
        try:
            payload = connection.recv_bytes()
        except EOFError:
            return
        try:
            function, arguments = pickle.loads(payload)
            result = function(*arguments)
            check_field(result, "the result")
            answer = pickle.dumps((True, result))
        except Exception:  # noqa: BLE001 (it travels back as text)
            answer = pickle.dumps((False, traceback.format_exc()))
        connection.send_bytes(answer)


def default_workers() -> int:
    """One for each processor."""
    return os.cpu_count() or 1
