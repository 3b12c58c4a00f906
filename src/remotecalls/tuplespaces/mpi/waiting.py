"""What waiting costs: MPI waits by asking again and again.

Run by `run_ranks("waiting", 4, SECONDS, ROUNDS)`. Rank 0 sleeps for so many seconds and the others
wait for it in a barrier; each rank reports how much processor time that took. Then all ranks do so
many all-reduces of one number, and report how long one took.
"""

from __future__ import annotations

import sys
import time

from mpi4py import MPI

from remotecalls.tuplespaces.mpi.reporting import report


def main() -> None:
    """Wait, and then talk."""
    seconds, rounds = float(sys.argv[1]), int(sys.argv[2])
    world = MPI.COMM_WORLD
    world.Barrier()
    began, used = time.perf_counter(), time.process_time()
    if world.Get_rank() == 0:
        time.sleep(seconds)
    world.Barrier()
    waited, used = time.perf_counter() - began, time.process_time() - used
    began = time.perf_counter()
    for _ in range(rounds):
        world.allreduce(1, MPI.SUM)
    report(waited=waited, processor=used, all_reduce=(time.perf_counter() - began) / rounds)


if __name__ == "__main__":
    main()
