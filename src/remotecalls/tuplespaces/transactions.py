"""Transactions: several operations that happen together or not at all.

The rules are those of Sun's JavaSpaces Service Specification, sections JS.2 and JS.3. A tuple that
was *taken* is invisible to all others until the end. One that was *read* stays visible, and nobody
else takes it before the end. One that was *written* is invisible to all others until the commit,
which shows all of them at once. An abort undoes everything. Two deviations: "if present" asks
without waiting (there, it waits for transactions in conflict), and nobody subscribes under a
transaction.
"""

from __future__ import annotations

from remotecalls.tuplespaces.engine import Engine
from remotecalls.tuplespaces.operations import Operations
from remotecalls.tuplespaces.unit_of_work import State, UnitOfWork


class Transaction(Operations):
    """Operations under one transaction, inside of its block."""

    def __init__(self, engine: Engine, work: UnitOfWork) -> None:
        super().__init__(engine, work)
        self._unit = work
        self._finished = False

    async def commit(self) -> None:
        """Let all of it happen; the end of the block does the same.

        Raises:
            TransactionEnded: it has ended before: by its time, say, and then all was undone.
            SpaceClosed: the space was closed, and all was undone.
        """
        self._finish(State.COMMITTED)

    async def abort(self) -> None:
        """Let nothing of it have happened; an exception that leaves the block does the same.

        Raises:
            TransactionEnded: it has ended before.
            SpaceClosed: the space was closed, and all was undone.
        """
        self._finish(State.ABORTED)

    def end_block(self, *, failed: bool) -> None:
        """Commit or abort, unless the block has done so itself.

        Raises:
            TransactionEnded: its time is over, and all was undone.
            SpaceClosed: the space was closed, and all was undone.
        """
        if failed:
            if self._unit.state is State.OPEN:
                self._engine.end(self._unit, State.ABORTED)
        elif not self._finished:
            self._finish(State.COMMITTED)

    def _finish(self, state: State) -> None:
        self._engine.begin_operation(self._unit)
        self._engine.end(self._unit, state)
        self._finished = True
