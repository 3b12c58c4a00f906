"""MPI on this machine: start ranks, see what each of them had to say, leave none behind.

The programs are modules of this package and run without it as well::

    mpiexec -n 4 python -m mpi4py -m remotecalls.tuplespaces.mpi.collectives

Importing this package starts no MPI; importing one of the programs does.

Standard: *MPI: A Message-Passing Interface Standard*, version 4.1, Message Passing Interface
Forum, 2023. The implementation is MPICH, by its wheel.
"""

from remotecalls.tuplespaces.mpi.launching import RanksOverdue, run_ranks
from remotecalls.tuplespaces.mpi.runs import MpiRun, RanksFailed

__all__ = ["MpiRun", "RanksFailed", "RanksOverdue", "run_ranks"]
