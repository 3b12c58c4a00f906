"""What each rank has before and after each collective operation of MPI.

Run by `run_ranks("collectives", 4)`; each rank writes one line of JSON for each operation.

Standard: MPI 4.1, chapter 6 (collective communication); chapter 12 (one-sided communications) for
the counter.
"""

from __future__ import annotations

from array import array

from mpi4py import MPI

from remotecalls.tuplespaces.mpi.reporting import report


def main() -> None:
    """Go through the collectives, in the same order on every rank, as the standard asks."""
    world = MPI.COMM_WORLD
    rank, size = world.Get_rank(), world.Get_size()

    word = "hello" if rank == 0 else None
    report(collective="broadcast", before=word, after=world.bcast(word, root=0))

    letters = [chr(ord("a") + each) for each in range(size)] if rank == 0 else None
    letter = world.scatter(letters, root=0)
    report(collective="scatter", before=letters, after=letter)

    report(collective="gather", before=letter, after=world.gather(letter, root=0))

    number = rank + 1
    report(collective="reduce", before=number, after=world.reduce(number, MPI.SUM, root=0))
    report(collective="all-reduce", before=number, after=world.allreduce(number, MPI.SUM))

    before, after = arrivals_around_a_barrier(world)
    report(collective="barrier", before=before, after=after)


def arrivals_around_a_barrier(world: MPI.Intracomm) -> tuple[int, int]:
    """Count who has arrived at a barrier, before it and after it.

    A barrier moves no data. What it does shows in a counter in the memory of rank 0, to which
    each rank adds one when it comes: the count before is the order in which the ranks came, the
    count after is the number of ranks, on every rank.
    """
    counter = array("q", [0])
    mine = counter if world.Get_rank() == 0 else array("q")
    window = MPI.Win.Create(mine, counter.itemsize, comm=world)
    try:
        came_before = _fetch_and_add(window, 1)
        world.Barrier()
        return came_before + 1, _fetch_and_add(window, 0)
    finally:
        window.Free()


def _fetch_and_add(window: MPI.Win, amount: int) -> int:
    added, found = array("q", [amount]), array("q", [0])
    window.Lock(0)
    window.Fetch_and_op([added, MPI.INT64_T], [found, MPI.INT64_T], 0, op=MPI.SUM)
    window.Unlock(0)
    return found[0]


if __name__ == "__main__":
    main()
