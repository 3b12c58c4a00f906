"""Reference solutions and known wrong answers of `labs/tuplespaces.ipynb`."""

from __future__ import annotations

from remotecalls.notebook.solutions import Wrong


def after(collective, before):
    nothing = [None] * (len(before) - 1)
    match collective:
        case "broadcast":
            return [before[0]] * len(before)
        case "scatter":
            return before[0]
        case "gather":
            return [before, *nothing]
        case "reduce":
            return [sum(before), *nothing]
        case "all-reduce":
            return [sum(before)] * len(before)


def fair_chunk(rank, size, items):
    each, rest = divmod(items, size)
    start = rank * each + min(rank, rest)
    return range(start, start + each + (rank < rest))


async def barrier(space, size):
    _, arrived = await space.take("arrived", int)
    await space.write("arrived", arrived + 1)
    await space.read("arrived", size)


async def worker(space, compute):
    while True:
        async with space.transaction(timeout=5) as work:
            task = await work.take_if_present("task", int)
            if task is None:
                return
            await work.write("result", task[1], await compute(task[1]))


def orders():
    return [["left", "right"], ["right", "left"]]


SOLUTIONS = {
    "who-has-what": after,
    "fair-chunk": fair_chunk,
    "barrier": barrier,
    "worker": worker,
    "stuck": orders,
}


def everybody_has_everything(collective, before):
    if collective in ("broadcast", "scatter"):
        return [before[0]] * len(before)
    return after(collective, before)


def all_gather(collective, before):
    return [before] * len(before) if collective == "gather" else after(collective, before)


def reduce_tells_everybody(collective, before):
    return after("all-reduce" if collective == "reduce" else collective, before)


def the_last_takes_the_rest(rank, size, items):
    each = items // size
    return range(rank * each, items if rank == size - 1 else (rank + 1) * each)


def without_the_rest(rank, size, items):
    each = items // size
    return range(rank * each, (rank + 1) * each)


def round_robin(rank, size, items):
    return range(rank, items, size)


async def does_not_wait(space, size):
    _, arrived = await space.take("arrived", int)
    await space.write("arrived", arrived + 1)


async def reads_the_count(space, size):
    _, arrived = await space.read("arrived", int)
    await space.write("arrived", arrived + 1)
    await space.read("arrived", size)


async def takes_the_last_count(space, size):
    _, arrived = await space.take("arrived", int)
    await space.write("arrived", arrived + 1)
    await space.take("arrived", size, timeout=3)


async def without_a_transaction(space, compute):
    while task := await space.take_if_present("task", int):
        await space.write("result", task[1], await compute(task[1]))


async def result_outside(space, compute):
    async with space.transaction(timeout=5) as work:
        while task := await work.take_if_present("task", int):
            await space.write("result", task[1], await compute(task[1]))


async def reads_the_task(space, compute):
    async with space.transaction(timeout=5) as work:
        for task in await work.read_all("task", int):
            await work.write("result", task[1], await compute(task[1]))


async def all_in_one_transaction(space, compute):
    async with space.transaction(timeout=5) as work:
        while task := await work.take_if_present("task", int):
            await work.write("result", task[1], await compute(task[1]))


def the_same_order():
    return [["left", "right"], ["left", "right"]]


def one_tuple_only():
    return [["left", "left"], ["right", "right"]]


WRONG = [
    Wrong("who-has-what", "a broadcast for all", everybody_has_everything, "rank by rank"),
    Wrong("who-has-what", "an all-gather", all_gather, "Only the root has anything"),
    Wrong("who-has-what", "an all-reduce", reduce_tells_everybody, "only the root has it"),
    Wrong("fair-chunk", "the article's", the_last_takes_the_rest, "Seven items for four"),
    Wrong("fair-chunk", "without the rest", without_the_rest, "has to be there once"),
    Wrong("fair-chunk", "round robin", round_robin, "and in order"),
    Wrong("barrier", "does not wait", does_not_wait, "before the last one has come"),
    Wrong("barrier", "reads the count", reads_the_count, "has to have it alone"),
    Wrong("barrier", "takes the last count", takes_the_last_count, "the others do not find"),
    Wrong("worker", "no transaction", without_a_transaction, "has gone with the worker"),
    Wrong("worker", "the result outside", result_outside, "twice in the end"),
    Wrong("worker", "reads the task", reads_the_task, "take it"),
    Wrong(
        "worker", "one transaction for all", all_in_one_transaction, "one transaction for each task"
    ),
    Wrong("stuck", "the same order", the_same_order, "Somebody got both"),
    Wrong("stuck", "one tuple only", one_tuple_only, "each has"),
]
