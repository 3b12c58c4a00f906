"""One rank fails while the others wait for it in a collective.

Run by `run_ranks("failing", 4, WAY)`; rank 1 fails, and the others call all-reduce. The ways:

* ``killed``: the process is killed by a signal (SIGKILL), as by the kernel when memory is short;
* ``raises``: an exception that nobody catches;
* ``aborts``: the rank calls `Abort` with the error code 7;
* ``leaves``: the rank leaves the interpreter without `Finalize`, with the exit status 3;
* ``nothing``: no rank fails.
"""

from __future__ import annotations

import os
import signal
import sys

from mpi4py import MPI

from remotecalls.tuplespaces.mpi.reporting import report

FAILS = 1
"""The rank that fails."""


def main() -> None:
    """Fail as the command line says, or wait for the one that does."""
    way = sys.argv[1]
    world = MPI.COMM_WORLD
    report(pid=os.getpid())
    world.Barrier()  # all of them have said who they are
    if world.Get_rank() == FAILS:
        fail(world, way)
    report(sum=world.allreduce(world.Get_rank(), MPI.SUM))


def fail(world: MPI.Intracomm, way: str) -> None:
    """End this rank in one of the ways."""
    match way:
        case "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        case "raises":
            raise ValueError(f"rank {world.Get_rank()} was given a chunk that is no number")
        case "aborts":
            world.Abort(7)
        case "leaves":
            os._exit(3)
        case "nothing":
            return
        case _:
            raise ValueError(f"{way!r} is no way to fail: see the module")


if __name__ == "__main__":
    main()
