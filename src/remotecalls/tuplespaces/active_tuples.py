"""The tuples of one space that are still being computed."""

from __future__ import annotations

import asyncio
import logging
import math
from typing import Any

from remotecalls.tuplespaces.errors import EvaluationFailed, InvalidField, SpaceClosed
from remotecalls.tuplespaces.evaluation import Active, Workers, pickled
from remotecalls.tuplespaces.fields import Fields, check_field
from remotecalls.tuplespaces.operations import Operations
from remotecalls.tuplespaces.timeouts import DEFAULT_TIMEOUT, checked_timeout
from remotecalls.wire.errors import DeadlineExceeded

logger = logging.getLogger("remotecalls.tuplespaces")


class Evaluation:
    """What `eval` gives: a look at a tuple that is being computed."""

    def __init__(self, task: asyncio.Task[Fields]) -> None:
        self._task = task

    @property
    def done(self) -> bool:
        """Whether the tuple has been written, or will never be."""
        return self._task.done()

    async def result(self, timeout: float = DEFAULT_TIMEOUT) -> Fields:
        """Wait until the tuple has been written; returns its fields, and leaves it in the space.

        Raises:
            EvaluationFailed: a field could not be computed; there is no tuple.
            DeadlineExceeded: it is not written yet, or found no room in the space.
            SpaceClosed: the space was closed before.
        """
        await asyncio.wait([self._task], timeout=checked_timeout(timeout))
        if not self._task.done():
            raise DeadlineExceeded(f"not all fields were computed within {timeout:g} s")
        if self._task.cancelled():
            raise SpaceClosed("the space was closed before all fields were computed")
        return self._task.result()


class ActiveTuples:
    """Computes fields, then writes the tuples.

    Args:
        space: where to.
        workers: how many processes compute at most.
    """

    def __init__(self, space: Operations, workers: int) -> None:
        self._space = space
        self._workers = Workers(workers)
        self._tasks: set[asyncio.Task[Fields]] = set()

    def start(self, fields: Fields, lease: float = math.inf) -> Evaluation:
        """Begin to compute a tuple.

        Raises:
            InvalidField: a field is neither a value nor active, or an active one cannot be pickled.
        """
        payloads: dict[int, bytes] = {}
        if not fields:
            raise InvalidField("a tuple needs at least one field")
        for number, field in enumerate(fields):
            if isinstance(field, Active):
                payloads[number] = pickled(field, f"fields[{number}]")
            else:
                check_field(field, f"fields[{number}]")
        task = asyncio.create_task(self._compute(fields, payloads, lease))
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return Evaluation(task)

    async def close(self) -> None:
        """Give up what is being computed, and end the processes."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        self._workers.close()

    async def _compute(self, fields: Fields, payloads: dict[int, bytes], lease: float) -> Fields:
        values: list[Any] = list(fields)
        try:
            async with asyncio.TaskGroup() as group:
                for number, payload in payloads.items():
                    group.create_task(self._compute_one(values, number, payload))
        except* EvaluationFailed as failures:
            raise failures.exceptions[0] from None
        await self._space.write(*values, lease=lease)
        return tuple(values)

    async def _compute_one(self, values: list[Any], number: int, payload: bytes) -> None:
        values[number] = await self._workers.compute(values[number], payload)

    def _finished(self, task: asyncio.Task[Fields]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            # Nobody may ever ask the handle.
            logger.warning("an active tuple was not written: %s", error)
