"""The exercises of `labs/tuplespaces.ipynb`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from functools import partial
from typing import Any

from remotecalls.notebook.exercises import Answer, Attempt, Exercise, attempt, matches
from remotecalls.tuplespaces import ANY, TupleSpace
from remotecalls.tuplespaces.mpi import run_ranks
from remotecalls.wire.errors import DeadlineExceeded

# ---------------------------------------------------------------- predict

COLLECTIVES = {
    "broadcast": "What the root has, everybody has.",
    "scatter": "The root has a list, and rank by rank each gets one of it.",
    "gather": "Only the root has anything then: the values of all, in the order of the ranks.",
    "reduce": "The values become one, by the operation (here a sum), and only the root has it.",
    "all-reduce": "The same one value, and this time everybody has it.",
}


async def check_after(after: Answer) -> AsyncIterator[Attempt]:
    """Ranks that did it, two of them and then four."""
    for ranks in (2, 4):
        records = (await run_ranks("collectives", ranks)).check().records()
        for name, message in COLLECTIVES.items():
            lines = [line for rank in records for line in rank if line["collective"] == name]
            before = [line["before"] for line in lines]
            yield attempt(
                f"after({name!r}, {before})",
                partial(after, name, before),
                [line["after"] for line in lines],
                message,
            )


# ---------------------------------------------------------------- complete


def check_fair_chunk(fair_chunk: Answer) -> Iterator[Attempt]:
    """Numbers of ranks and items, some of which do not divide."""
    for size, items, message in [
        (4, 1_000, "Everybody gets 250."),
        (4, 7, "Seven items for four: three have two, and one has one."),
        (3, 1_000, "The rest is one item: one rank has one more than the others."),
        (4, 2, "Two have one item, and two have none."),
        (1, 5, "One rank has it all."),
    ]:
        yield attempt(
            f"[fair_chunk(rank, {size}, {items}) for rank in range({size})], joined",
            partial(_joined, fair_chunk, size, items),
            list(range(items)),
            "Each item has to be there once, and in order.",
        )
        yield attempt(
            f"the lengths of the {size} chunks of {items} items",
            partial(_lengths, fair_chunk, size, items),
            matches(
                "lengths that differ by one at most",
                lambda lengths: max(lengths) - min(lengths) <= 1,
            ),
            message,
        )


def _joined(fair_chunk: Answer, size: int, items: int) -> list[int]:
    return [item for rank in range(size) for item in fair_chunk(rank, size, items)]


def _lengths(fair_chunk: Answer, size: int, items: int) -> list[int]:
    return [len(fair_chunk(rank, size, items)) for rank in range(size)]


# ---------------------------------------------------------------- build a barrier


async def check_barrier(barrier: Answer) -> AsyncIterator[Attempt]:
    """Three who come at different times."""
    for size in (1, 3):
        async with TupleSpace() as space:
            await space.write("arrived", 0)
            async with _running([barrier(space, size) for _ in range(size - 1)]) as early:
                yield attempt(
                    f"{size - 1} of {size} have arrived: how many have left the barrier",
                    partial(_how_many_are_done, early),
                    0,
                    "Nobody may leave before the last one has come.",
                )
                yield attempt(
                    f"the tuples, when {size - 1} of {size} have arrived",
                    partial(space.read_all, "arrived", int),
                    (("arrived", size - 1),),
                    "One tuple holds the count. Whoever changes it has to have it alone: take, "
                    "and write it back.",
                )
                yield attempt(
                    f"the last of {size} arrives: how many leave",
                    partial(_leave, early, barrier, space, size),
                    size,
                    "All of them leave when the last one has come. What one takes, the others do "
                    "not find.",
                )


async def _how_many_are_done(tasks: list[asyncio.Task[Any]]) -> int:
    await asyncio.sleep(0.05)
    for task in tasks:
        if task.done():
            task.result()  # it may have failed: that is what the report should say
    return sum(task.done() for task in tasks)


async def _leave(
    early: list[asyncio.Task[Any]], barrier: Answer, space: TupleSpace, size: int
) -> int:
    async with _running([barrier(space, size)]) as last:
        done, _ = await asyncio.wait([*early, *last], timeout=1.0)
        for task in done:
            task.result()
        return len(done)


class _running:  # noqa: N801 - used like a function
    """Tasks that end with the block."""

    def __init__(self, coroutines: list[Any]) -> None:
        self._tasks = [asyncio.ensure_future(each) for each in coroutines]

    async def __aenter__(self) -> list[asyncio.Task[Any]]:
        return self._tasks

    async def __aexit__(self, *error: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


# ---------------------------------------------------------------- build a worker

TASKS = (3, 4, 5)


async def check_worker(worker: Answer) -> AsyncIterator[Attempt]:
    """Tasks that go well, one whose worker dies, and one that fails."""
    async with TupleSpace() as space:
        await _write_tasks(space)
        yield attempt(
            f"worker(space, square) with the tasks {TASKS}: the results",
            partial(_work_and_look, worker, space),
            (("result", 3, 9), ("result", 4, 16), ("result", 5, 25)),
            "Each task becomes one result, and the worker returns when there is no task.",
        )
        yield attempt(
            "the tasks that are left",
            partial(space.read_all, "task", int),
            (),
            "A task that is done is not there any more: take it.",
        )
    async with TupleSpace() as space:
        await _write_tasks(space)
        yield attempt(
            "a worker that is killed in the middle of task 3: the tasks afterwards",
            partial(_die_and_look, worker, space),
            tuple(("task", number) for number in TASKS),
            "The task has gone with the worker. Take it under a transaction, which an exception "
            "undoes.",
        )
        yield attempt(
            "the results afterwards",
            partial(space.read_all, "result", ANY, ANY),
            (),
            "It was killed before it had a result.",
        )
        yield attempt(
            "a second worker comes: the results",
            partial(_work_and_look, worker, space),
            (("result", 3, 9), ("result", 4, 16), ("result", 5, 25)),
            "What the first one had begun, the second one does.",
        )
    async with TupleSpace() as space:
        await _write_tasks(space)
        yield attempt(
            "a worker that fails at task 4: the tasks that others will do",
            partial(_fail_and_look, worker, space),
            (("task", 4), ("task", 5)),
            _what_went_wrong,
        )


async def _write_tasks(space: TupleSpace) -> None:
    for number in TASKS:
        await space.write("task", number)


async def _square(number: int) -> int:
    return number * number


async def _results(space: TupleSpace) -> tuple[Any, ...]:
    return tuple(sorted(await space.read_all("result", ANY, ANY)))


async def _work_and_look(worker: Answer, space: TupleSpace) -> tuple[Any, ...]:
    await asyncio.wait_for(worker(space, _square), 3)
    return await _results(space)


async def _die_and_look(worker: Answer, space: TupleSpace) -> tuple[Any, ...]:
    begun = asyncio.Event()

    async def never(number: int) -> int:
        begun.set()
        await asyncio.sleep(60)
        return number

    async with _running([worker(space, never)]):
        await asyncio.wait_for(begun.wait(), 3)
    return await space.read_all("task", int)


async def _fail_and_look(worker: Answer, space: TupleSpace) -> tuple[Any, ...]:
    async def fails_at_the_second(number: int) -> int:
        if number == TASKS[1]:
            raise RuntimeError("the machine loses its power")
        return number

    with suppress(RuntimeError):
        await asyncio.wait_for(worker(space, fails_at_the_second), 3)
    return await space.read_all("task", int)


def _what_went_wrong(tasks: object) -> str:
    if isinstance(tasks, tuple) and len(tasks) == len(TASKS):
        return (
            "Task 3 was done, and is to be done again. If its result was written outside of the "
            "transaction, it is there as well, twice in the end. If one transaction spans all "
            "tasks, the last one undoes the first: one transaction for each task."
        )
    return "The task that failed is there again, and what was done before it is done."


# ---------------------------------------------------------------- break

FORKS = ("left", "right")


async def check_orders(orders: Answer) -> AsyncIterator[Attempt]:
    """Two who take two tuples, each in its own order."""
    found = orders()
    yield attempt(
        "orders(), each of them sorted",
        lambda: [sorted(each) for each in found],
        [sorted(FORKS)] * 2,
        'Two lists; each has "left" and "right" in it, once.',
    )
    async with TupleSpace() as space:
        for fork in FORKS:
            await space.write(fork)
        yield attempt(
            "how many of the two got both tuples",
            partial(_how_many_eat, space, found),
            0,
            "Somebody got both. Who holds one tuple has to wait for the one that the other holds.",
        )
        yield attempt(
            "the tuples afterwards",
            partial(_forks, space),
            FORKS,
            "Their transactions were undone, so both tuples are back.",
        )


async def _how_many_eat(space: TupleSpace, orders: list[list[str]]) -> int:
    async def eat(first: str, second: str) -> bool:
        try:
            async with space.transaction(timeout=2) as work:
                await work.take(first, timeout=0.3)
                await asyncio.sleep(0.05)  # until the other one has the first of its own
                await work.take(second, timeout=0.3)
        except DeadlineExceeded:
            return False
        return True

    return sum(await asyncio.gather(*(eat(*order) for order in orders)))


async def _forks(space: TupleSpace) -> tuple[str, ...]:
    present = [await space.read_if_present(fork) for fork in FORKS]
    return tuple(found[0] for found in present if found is not None)


EXERCISES = (
    Exercise(
        name="who-has-what",
        kind="predict",
        title="What each rank has afterwards",
        minutes=10,
        lines=13,
        hints=(
            "The root is rank 0, the first in the list. Who has nothing has None.",
            "`match collective:` with five cases; all but two of them return "
            "`[something] * len(before)`, or something followed by None.",
        ),
        check=check_after,
        task="Write `after(collective, before)`: what each rank has after a collective, from what "
        "each had before it, both as lists by rank. The collectives are broadcast, scatter, "
        "gather, reduce and all-reduce; the root is rank 0, and reductions are sums.",
        seconds=15,
    ),
    Exercise(
        name="fair-chunk",
        kind="complete",
        title="Nobody has much more than the others",
        minutes=8,
        lines=4,
        hints=(
            "`each, rest = divmod(items, size)`: the first `rest` ranks have one item more.",
            "A chunk begins behind all that stand ahead of it: `rank * each + min(rank, rest)`.",
        ),
        check=check_fair_chunk,
        task="Write `fair_chunk(rank, size, items)`: a range of the items of one rank, numbered "
        "from 0. The chunks cover all items in the order of the ranks, and their lengths differ "
        "by one at most.",
    ),
    Exercise(
        name="barrier",
        title="A barrier of one tuple",
        minutes=12,
        lines=4,
        hints=(
            "Take the tuple, write it back with one more: while you hold it nobody else counts.",
            "Then wait for the tuple that says that all have come, and leave it for the others.",
        ),
        check=check_barrier,
        task="Write `async def barrier(space, size)`: it returns when `size` callers have called "
        'it. The space holds the tuple ("arrived", 0) at first, and a barrier is used once.',
    ),
    Exercise(
        name="worker",
        title="A worker that may be killed",
        minutes=15,
        lines=7,
        hints=(
            "`async with space.transaction(timeout=5) as work:` around taking, computing, writing.",
            '`task = await work.take_if_present("task", int)` is None when there is none left.',
            "Write the result with `work.write`, not with `space.write`.",
        ),
        check=check_worker,
        task='Write `async def worker(space, compute)`: it takes each tuple ("task", number), '
        'awaits `compute(number)` and writes ("result", number, value), until there is no task. '
        "Whenever it is killed, each task is there or its result is, never both and never "
        "neither.",
    ),
    Exercise(
        name="stuck",
        kind="break",
        title="Two who wait for each other",
        minutes=6,
        lines=2,
        hints=(
            "Each takes its first tuple, and then waits for its second.",
            "Nobody gets a second one if each of them is the other's first.",
        ),
        check=check_orders,
        task='Write `orders()`: for each of two workers the order in which it takes "left" and '
        '"right", as a list of two lists, so that none of them ever has both.',
    ),
)
