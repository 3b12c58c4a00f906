"""The sum of 1, 2, ... N on some ranks: broadcast the numbers, add up a chunk each, reduce.

Run by `run_ranks("array_sum", 4, N, WAY)`. The ways differ in how the numbers get to the ranks:

* ``broadcast``: all numbers to every rank, as in the article;
* ``scatter``: to each rank its chunk;
* ``own``: nothing is sent; each rank counts its own.

Each rank reports its chunk, its sum, and the seconds that distributing, adding and reducing took.
"""

from __future__ import annotations

import argparse
from array import array
from collections.abc import Sequence

from mpi4py import MPI

from remotecalls.tuplespaces.mpi.chunks import chunk
from remotecalls.tuplespaces.mpi.reporting import report

WAYS = ("broadcast", "scatter", "own")


def main() -> None:
    """Add up the numbers, as the command line says."""
    options = argparse.ArgumentParser()
    options.add_argument("items", type=int)
    options.add_argument("way", choices=WAYS, nargs="?", default="broadcast")
    chosen = options.parse_args()
    world = MPI.COMM_WORLD
    mine = chunk(world.Get_rank(), world.Get_size(), chosen.items)
    root_has_them = world.Get_rank() == 0 and chosen.way != "own"
    numbers = array("q", range(1, chosen.items + 1) if root_has_them else ())

    world.Barrier()
    began = MPI.Wtime()
    part = distribute(world, numbers, chosen.items, chosen.way)
    distributed = MPI.Wtime()
    partial = add_up(part)
    added = MPI.Wtime()
    total = world.reduce(partial, MPI.SUM, root=0)
    ended = MPI.Wtime()
    report(
        start=mine.start,
        end=mine.stop,
        partial=partial,
        total=total,
        distributing=distributed - began,
        adding=added - distributed,
        reducing=ended - added,
        seconds=ended - began,
    )


def distribute(
    world: MPI.Intracomm, numbers: array[int], items: int, way: str
) -> Sequence[int] | memoryview:
    """Return this rank's chunk of the numbers, which rank 0 has, in one of `WAYS`."""
    rank, size = world.Get_rank(), world.Get_size()
    mine = chunk(rank, size, items)
    if way == "own":
        return range(mine.start + 1, mine.stop + 1)
    if way == "broadcast":
        whole = numbers if rank == 0 else array("q", bytes(8 * items))
        world.Bcast([whole, MPI.INT64_T], root=0)
        return memoryview(whole)[mine.start : mine.stop]
    part = array("q", bytes(8 * len(mine)))
    counts = [len(chunk(each, size, items)) for each in range(size)]
    sent = [numbers, counts, None, MPI.INT64_T] if rank == 0 else None
    world.Scatterv(sent, [part, MPI.INT64_T], root=0)
    return part


def add_up(numbers: Sequence[int] | memoryview) -> int:
    """Return the sum, one number after the other."""
    total = 0
    for number in numbers:
        total += number
    return total


if __name__ == "__main__":
    main()
