"""A tuple space in this process."""

from __future__ import annotations

import math
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from remotecalls.tuplespaces.active_tuples import ActiveTuples, Evaluation
from remotecalls.tuplespaces.agenda import Clock
from remotecalls.tuplespaces.engine import NOT_OPEN, Engine
from remotecalls.tuplespaces.errors import SpaceClosed
from remotecalls.tuplespaces.evaluation import default_workers
from remotecalls.tuplespaces.events import DEFAULT_BUFFER, Events
from remotecalls.tuplespaces.operations import Operations
from remotecalls.tuplespaces.patterns import Pattern
from remotecalls.tuplespaces.timeouts import DEFAULT_TIMEOUT, checked_lease, checked_timeout
from remotecalls.tuplespaces.transactions import Transaction
from remotecalls.tuplespaces.waiting import Subscriber


@dataclass(frozen=True)
class Statistics:
    """What a space holds, and the work that it has done so far.

    Attributes:
        tuples: that everybody sees.
        waiting: operations that wait for a tuple.
        writers: that wait for room.
        transactions: that are open.
        examined: how many tuples were looked at to answer reads and takes.
        waiters_examined: how many of those who wait were looked at because of a write.
        alarms: leases, transactions and waits that will end by the clock.
        indexes: the shapes of pattern that have an index, and the number of its keys. A shape has
            `v` for a field fixed by a value, `t` by a type, `-` for the others.
    """

    tuples: int
    waiting: int
    writers: int
    transactions: int
    examined: int
    waiters_examined: int
    alarms: int
    indexes: dict[str, int]


class TupleSpace(Operations):
    """Associative memory for programs that do not know each other.

    Open it with `async with`. It belongs to the event loop that opens it, and keeps nothing on
    disk. Everything that waits has a timeout, `DEFAULT_TIMEOUT` (30 s) if none is given.

    Args:
        capacity: for how many tuples there is room. A write waits for room, in the order of arrival
            and for as long as its timeout, and what waits for room is not in the space yet. Without
            a capacity, a producer that is faster than its consumers fills the memory.
        clock: seconds, by which leases, transactions and waits end.
        workers: how many processes compute active fields at most; as many as processors, if None.

    Raises:
        ValueError: capacity or workers are not positive.
    """

    def __init__(
        self,
        *,
        capacity: int | None = None,
        clock: Clock = time.monotonic,
        workers: int | None = None,
    ) -> None:
        for name, number in ("capacity", capacity), ("workers", workers):
            if number is not None and number < 1:
                raise ValueError(f"{name} of {number}: at least 1, or None")
        super().__init__(Engine(clock, math.inf if capacity is None else capacity), None)
        self._active: ActiveTuples | None = None
        self._worker_limit = workers or default_workers()

    async def __aenter__(self) -> TupleSpace:
        if self._engine.closed != NOT_OPEN:
            raise SpaceClosed("a space has one block: make another")
        self._engine.closed = None
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End what waits with `SpaceClosed`, undo what is open, stop the workers."""
        self._engine.close("this space was closed")
        if self._active is not None:
            await self._active.close()

    @property
    def engine(self) -> Engine:
        """What a server of this space works with."""
        return self._engine

    @asynccontextmanager
    async def transaction(self, timeout: float = DEFAULT_TIMEOUT) -> AsyncIterator[Transaction]:
        """Several operations that happen together or not at all.

        The block commits at its end. An exception that leaves it, or the end of its time, aborts.

        Args:
            timeout: seconds from the beginning to the commit.

        Raises:
            TransactionEnded: at the end of the block: it took too long, and all was undone.
            SpaceClosed: the space is closed, or was closed meanwhile.
        """
        checked_timeout(timeout)
        self._engine.begin_operation()
        transaction = Transaction(self._engine, self._engine.begin(timeout))
        try:
            yield transaction
        except BaseException:
            transaction.end_block(failed=True)
            raise
        transaction.end_block(failed=False)

    @asynccontextmanager
    async def notify(self, *pattern: Any, buffer: int = DEFAULT_BUFFER) -> AsyncIterator[Events]:
        """The tuples that match, as they are written or their transaction commits; see `Events`.

        Those that are in the space already, and those that an abort puts back, are not among them.

        Args:
            pattern: what they must look like.
            buffer: how many of them wait for the subscriber before the oldest is dropped.

        Raises:
            InvalidPattern: nothing can match this.
            SpaceClosed: the space is closed.
        """
        compiled = Pattern(pattern)
        self._engine.begin_operation()
        subscriber = Subscriber(next(self._engine.numbers), compiled, Events(buffer))
        self._engine.subscribers.add(subscriber)
        try:
            yield subscriber.events
        finally:
            self._engine.unsubscribe(subscriber)

    async def eval(self, *fields: Any, lease: float = math.inf) -> Evaluation:
        """Write a tuple whose `active(...)` fields are computed first, side by side.

        Each is computed in a worker process, which only a space in this process has: who is
        connected to a server computes in processes of its own, and writes the results.

        Args:
            fields: values and active fields.
            lease: seconds that the tuple stays once it is written.

        Raises:
            InvalidField: a field is neither, or an active one cannot be sent to a worker.
            SpaceClosed: the space is closed.
        """
        checked_lease(lease)
        self._engine.begin_operation()
        if self._active is None:
            self._active = ActiveTuples(self, self._worker_limit)
        return self._active.start(fields, lease)

    def statistics(self) -> Statistics:
        """What there is at this moment, by the clock.

        Raises:
            SpaceClosed: the space is closed.
        """
        engine = self._engine
        engine.begin_operation()
        return Statistics(
            tuples=len(engine.free) + len(engine.locked),
            waiting=len(engine.readers) + len(engine.claimants),
            writers=len(engine.writers),
            transactions=len(engine.works),
            examined=engine.free.examined + engine.locked.examined,
            waiters_examined=engine.readers.examined + engine.claimants.examined,
            alarms=len(engine.agenda),
            indexes=engine.free.indexes(),
        )
