"""One stage: take an order in one state, work on it, write it in the next state."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

from remotecalls.tuplespaces import RemoteTupleSpace, TransactionEnded, TupleSpace
from remotecalls.wire.errors import DeadlineExceeded

ORDER: Final = "order"
"""The first field of an order; its number, its state and the names of its workers follow."""

WORKING: Final = "working"
"""The first field of a note that a worker has begun; its name and the order's number follow."""

NOTE_SECONDS: Final = 60.0
"""The lease of such a note: nobody takes them away."""


@dataclass(frozen=True)
class Stage:
    """What one worker does, again and again.

    Attributes:
        name: the worker's name, which it adds to each order that it has finished.
        takes: the state of the orders that it takes.
        makes: the state in which it writes them.
        work_seconds: how long it works on one.
        transaction_seconds: after how long the space gives an order to another worker; half of it
            at least is there for the work, the rest may have been spent waiting for the order.
    """

    name: str
    takes: str
    makes: str
    work_seconds: float = 0.0
    transaction_seconds: float = 5.0


async def run_stage(space: TupleSpace | RemoteTupleSpace, stage: Stage) -> None:
    """Work until canceled, or until the space is gone.

    A space with a capacity needs room for the notes: they are written beside the transaction.

    Raises:
        SpaceClosed: the space was closed.
        ConnectionLost: the connection to it broke.
    """
    while True:
        try:
            await _work_on_one(space, stage)
        except DeadlineExceeded:
            continue  # there was no order for a while
        except TransactionEnded:
            continue  # we were too slow, and the order is somebody else's by now


async def _work_on_one(space: TupleSpace | RemoteTupleSpace, stage: Stage) -> None:
    # The transaction's time counts from here, so whoever has waited for long gets a new one.
    idle = stage.transaction_seconds / 2
    async with space.transaction(timeout=stage.transaction_seconds) as work:
        _, number, _, workers = await work.take(ORDER, int, stage.takes, tuple, timeout=idle)
        # Outside of the transaction: everybody may see it at once.
        await space.write(WORKING, stage.name, number, lease=NOTE_SECONDS)
        await asyncio.sleep(stage.work_seconds)
        await work.write(ORDER, number, stage.makes, (*workers, stage.name))
