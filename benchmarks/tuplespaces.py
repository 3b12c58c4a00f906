"""A tuple space with a thousand, a hundred thousand and a million tuples, beside SQLite in memory.

Four fields a tuple: a word, a number of its own, and two flags. Half of the tuples have one flag,
half the other, and only as many as are taken have both. Tuples are taken by the number (one rare
field), by both flags (two frequent fields, a rare combination), and by a bound on the number that
the oldest half of them does not meet (no fixed field: both have to look at one after another). What
was taken is written again, so that the size stays.

The space is measured in process, and over a socket with one operation at a time and with 32. The
peer deletes the oldest row that matches and returns it, with an index for each of the first two
ways to ask; each statement is a transaction of its own, and nothing is on disk. Each measurement
has a process of its own, and is the best of three rounds: anything else on the machine can only
make one slower. Memory is what that process grew by, indexes and all.

    python -m remotecalls bench tuplespaces
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import sqlite3
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil
from _machine import headline, machine

from remotecalls.process import listening_process
from remotecalls.tuplespaces import ANY, RemoteTupleSpace, TupleSpace, TupleSpaceServer, at_least

RESULTS = Path(__file__).parent / "results"
SIZES = (1_000, 100_000, 1_000_000)
PEER = "sqlite"
WAYS = ("one rare field", "two frequent fields", "a bound alone")
SCANS = 5
"""Operations by the bound: each looks at half of the tuples."""
OUTSTANDING = 32
ROUNDS = 3

Take = Callable[[], Awaitable[Any]]
Write = Callable[[tuple[Any, ...]], Awaitable[Any]]


def main() -> None:
    """Measure, print a table with ratios, and keep the raw numbers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)), help="tuples in the space")
    parser.add_argument("--operations", type=int, default=2_000, help="of each kind (2000)")
    parser.add_argument("--output", type=Path, default=RESULTS / "tuplespaces.json")
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        asyncio.run(serve(arguments.serve, arguments.operations))
        return
    rows: dict[str, Any] = {}
    for size in map(int, arguments.sizes.split(",")):
        for name, run in (
            (PEER, run_sqlite),
            ("in process", run_in_process),
            ("socket", run_socket),
            (f"socket, {OUTSTANDING} at a time", run_socket_full),
        ):
            rows.setdefault(name, {})[str(size)] = apart(run, size, arguments.operations)
            print(f"measured {name}, {size:,} tuples", file=sys.stderr)
    result = {"machine": machine(), "operations": arguments.operations, "spaces": rows}
    arguments.output.write_text(json.dumps(result, indent=2) + "\n")
    print(table(result))


def apart(run: Callable[[int, int], dict[str, Any]], size: int, operations: int) -> dict[str, Any]:
    """The same in a process that has done nothing else."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(run, (size, operations))


def contents(size: int, operations: int) -> list[tuple[str, int, int, int]]:
    """The tuples: those with both flags are spread over them."""
    both = set(range(0, size, max(1, size // operations)))
    return [
        (
            "job",
            number,
            int(number % 2 == 0 or number in both),
            int(number % 2 == 1 or number in both),
        )
        for number in range(size)
    ]


def memory() -> int:
    """Bytes that this process has in memory."""
    return psutil.Process().memory_info().rss


# ---------------------------------------------------------------- the three ways to ask


async def measure(
    take: Callable[[str, int], Awaitable[Any]], write: Write, size: int, operations: int
) -> dict[str, Any]:
    """Take some by each way, and write them again.

    Args:
        take: by one of `WAYS`, and a number where it needs one.
        write: the fields.
        size: how many tuples there are.
        operations: how many to take; fewer where each looks at half of all.
    """
    found: dict[str, Any] = {}
    step = max(1, size // operations)
    for way in WAYS:
        count = min(size, SCANS if way == WAYS[2] else operations)
        began = time.perf_counter()
        await write(await take(way, 0 if way == WAYS[0] else size // 2))  # makes the index
        first = time.perf_counter() - began
        numbers = [number * step if way == WAYS[0] else size // 2 for number in range(count)]
        takes, writes = [], []
        for _ in range(ROUNDS):
            began = time.perf_counter()
            taken = [await take(way, number) for number in numbers]
            takes.append(time.perf_counter() - began)
            began = time.perf_counter()
            for fields in taken:
                await write(fields)
            writes.append(time.perf_counter() - began)
            assert len({fields[1] for fields in taken}) == count
        found[way] = rates(count, takes, writes) | {"first_ms": round(1e3 * first, 2)}
    return found


def rates(count: int, takes: list[float], writes: list[float]) -> dict[str, Any]:
    """Operations per second in the best round; the seconds of all rounds."""
    return {
        "operations": count,
        "takes_per_second": round(count / min(takes)),
        "writes_per_second": round(count / min(writes)),
        "seconds": {"takes": takes, "writes": writes},
    }


def pattern(way: str, number: int) -> tuple[Any, ...]:
    """What is asked of the space."""
    return {
        WAYS[0]: (ANY, number, ANY, ANY),
        WAYS[1]: (ANY, ANY, 1, 1),
        WAYS[2]: (ANY, at_least(number), ANY, ANY),
    }[way]


# ---------------------------------------------------------------- the space


def run_in_process(size: int, operations: int) -> dict[str, Any]:
    """The space without a socket."""

    async def run() -> dict[str, Any]:
        tuples = contents(size, operations)
        before = memory()
        async with filled(tuples) as space:

            async def take(way: str, number: int) -> Any:
                return await space.take(*pattern(way, number))

            async def write(fields: tuple[Any, ...]) -> None:
                await space.write(*fields)

            ways = await measure(take, write, size, operations)
            # Field values are shared with `tuples`, as they would be with the rows of a client.
            return {"ways": ways, "bytes_a_tuple": round((memory() - before) / size)}

    return asyncio.run(run())


@asynccontextmanager
async def filled(tuples: list[tuple[Any, ...]]) -> AsyncIterator[TupleSpace]:
    """A space with these tuples."""
    async with TupleSpace() as space:
        for fields in tuples:
            await space.write(*fields)
        yield space


async def serve(size: int, operations: int) -> None:
    """Serve a filled space until killed."""
    async with filled(contents(size, operations)) as space, TupleSpaceServer(space=space) as server:
        print(f"listening on {server.address}", flush=True)
        await asyncio.Event().wait()


def run_socket(size: int, operations: int) -> dict[str, Any]:
    """The space in another process, one operation at a time."""

    async def run(space: RemoteTupleSpace) -> dict[str, Any]:
        async def take(way: str, number: int) -> Any:
            return await space.take(*pattern(way, number), timeout=60.0)

        async def write(fields: tuple[Any, ...]) -> None:
            await space.write(*fields)

        return {"ways": await measure(take, write, size, operations)}

    return over_socket(run, size, operations)


def run_socket_full(size: int, operations: int) -> dict[str, Any]:
    """The space in another process, many operations at a time on one connection."""

    async def run(space: RemoteTupleSpace) -> dict[str, Any]:
        found = {}
        for way in WAYS[:2]:
            step = max(1, size // operations)
            count = min(size, operations)
            await space.write(*await space.take(*pattern(way, 0), timeout=60.0))
            asked = [pattern(way, number * step) for number in range(count)]
            takes, writes = [], []
            for _ in range(ROUNDS):
                began = time.perf_counter()
                taken = await side_by_side(lambda each: space.take(*each, timeout=60.0), asked)
                takes.append(time.perf_counter() - began)
                began = time.perf_counter()
                await side_by_side(lambda each: space.write(*each), taken)
                writes.append(time.perf_counter() - began)
                assert len({fields[1] for fields in taken}) == count
            found[way] = rates(count, takes, writes)
        return {"ways": found}

    return over_socket(run, size, operations)


async def side_by_side(action: Callable[[Any], Awaitable[Any]], items: list[Any]) -> list[Any]:
    """Do something to each, `OUTSTANDING` at a time."""
    results = []
    left = iter(items)

    async def worker() -> None:
        for item in left:
            results.append(await action(item))

    async with asyncio.TaskGroup() as group:
        for _ in range(OUTSTANDING):
            group.create_task(worker())
    return results


def over_socket(
    run: Callable[[RemoteTupleSpace], Awaitable[dict[str, Any]]], size: int, operations: int
) -> dict[str, Any]:
    """Run something with a client of a served space."""
    command = [sys.executable, __file__, "--serve", str(size), "--operations", str(operations)]
    with listening_process("tuplespaces", command) as (address, _):

        async def connected() -> dict[str, Any]:
            async with RemoteTupleSpace(address) as space:
                return await run(space)

        return asyncio.run(connected())


# ---------------------------------------------------------------- the peer

QUERIES = {
    WAYS[0]: "number = ?",
    WAYS[1]: "one = 1 AND other = 1 AND ? IS NOT NULL",
    WAYS[2]: "+number >= ?",  # the plus keeps SQLite from using the index on the number
}
DELETE = (
    "DELETE FROM tuples WHERE id = (SELECT id FROM tuples WHERE {} ORDER BY id LIMIT 1) "
    "RETURNING word, number, one, other"
)
INSERT = "INSERT INTO tuples (word, number, one, other) VALUES (?, ?, ?, ?)"


def run_sqlite(size: int, operations: int) -> dict[str, Any]:
    """Rows instead of tuples."""
    tuples = contents(size, operations)
    before = memory()
    with sqlite3.connect(":memory:", isolation_level=None) as database:
        database.execute(
            "CREATE TABLE tuples (id INTEGER PRIMARY KEY AUTOINCREMENT, word TEXT, "
            "number INTEGER, one INTEGER, other INTEGER)"
        )
        database.execute("CREATE INDEX by_number ON tuples (number)")
        database.execute("CREATE INDEX by_flags ON tuples (one, other)")
        database.execute("BEGIN")
        database.executemany(INSERT, tuples)
        database.execute("COMMIT")

        async def take(way: str, number: int) -> Any:
            [row] = database.execute(DELETE.format(QUERIES[way]), (number,)).fetchall()
            return row

        async def write(fields: tuple[Any, ...]) -> None:
            database.execute(INSERT, fields)

        ways = asyncio.run(measure(take, write, size, operations))
        result = {"ways": ways, "bytes_a_tuple": round((memory() - before) / size)}
    database.close()
    return result


# ---------------------------------------------------------------- the table


def table(result: dict[str, Any]) -> str:
    """Rates by way, space and size; each with its ratio to the peer's."""
    lines = [headline(result["machine"])]
    spaces = result["spaces"]
    sizes = list(spaces[PEER])
    for what in ("takes", "writes"):
        for way in WAYS:
            title = f"{what} per second, {way}"
            lines.append(f"\n{title:<44}" + "".join(f"{int(size):>12,}{'':<8}" for size in sizes))
            for name, by_size in spaces.items():
                if way not in by_size[sizes[0]]["ways"]:
                    continue
                cells = []
                for size in sizes:
                    rate = by_size[size]["ways"][way][f"{what}_per_second"]
                    peer = spaces[PEER][size]["ways"][way][f"{what}_per_second"]
                    cells.append(f"{rate:>12,} {rate / peer:>5.2f}x ")
                lines.append(f"  {name:<42}" + "".join(cells))
    lines.append(f"\n{'bytes a tuple':<44}")
    for name in (PEER, "in process"):
        cells = [f"{spaces[name][size]['bytes_a_tuple']:>12,}{'':<8}" for size in sizes]
        lines.append(f"  {name:<42}" + "".join(cells))
    lines.append(f"{'first take by two fields (the index), ms':<44}")
    cells = [
        f"{spaces['in process'][size]['ways'][WAYS[1]]['first_ms']:>12,}{'':<8}" for size in sizes
    ]
    lines.append(f"  {'in process':<42}" + "".join(cells))
    return "\n".join(lines)


if __name__ == "__main__":
    main()
