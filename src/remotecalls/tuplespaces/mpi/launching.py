"""Start `mpiexec`, and end what it started whatever happens.

What MPICH does here was found by trying it, version 5.0.2:

* Hydra, its process manager, gives each rank a session of its own. A process group is therefore
  not enough to end them: all processes of a run carry a mark in their environment.
* A rank that is killed leaves the job's shared memory in `/dev/shm`, see `segments`.
* The ranks would listen on every interface of the machine. They are told to talk through shared
  memory alone. Hydra's own control port cannot be told so: it is open on every interface for as
  long as a run lasts.
"""

from __future__ import annotations

import asyncio
import math
import os
import signal
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import psutil

from remotecalls.tuplespaces.mpi.runs import MpiRun
from remotecalls.tuplespaces.mpi.segments import remove_orphaned_segments
from remotecalls.wire.errors import DeadlineExceeded

TIMEOUT_SECONDS = 30.0
END_SECONDS = 5.0
"""How long processes that were killed may take to be gone."""

MARK = "REMOTECALLS_MPI_RUN"
LAUNCHER = "MPIEXEC"
"""Names another `mpiexec`, which has to fit the MPI that `mpi4py` loads."""


class RanksOverdue(DeadlineExceeded):
    """Some ranks were not done in time, and were killed.

    Attributes:
        run: what was known of them until then.
    """

    def __init__(self, run: MpiRun, timeout: float) -> None:
        super().__init__(
            f"{run.program} on {run.ranks} ranks had not ended within {timeout:g} s and was killed"
        )
        self.run = run


async def run_ranks(
    program: str | Path,
    ranks: int,
    *arguments: object,
    timeout: float = TIMEOUT_SECONDS,
    guarded: bool = True,
) -> MpiRun:
    """Run a program on some ranks and wait for all of them.

    When this returns or raises, also because the caller was cancelled, no rank is left.

    Args:
        program: a program of this package by its name, such as ``collectives``, or a Python file.
        ranks: how many processes, 1 at least. More than the machine has cores is allowed, and
            slow: a rank that waits in MPI keeps its core busy.
        arguments: the program's command line; each is passed as `str` of it.
        timeout: the seconds after which all ranks are killed.
        guarded: run it as ``python -m mpi4py``, which calls `Abort` when a rank ends in an
            exception. Without it the other ranks wait for that one for ever.

    Returns:
        The run, whatever its exit status; `MpiRun.check` raises if it is not 0.

    Raises:
        RanksOverdue: the time was over. It is a `DeadlineExceeded`.
        ValueError: `ranks` or `timeout` is not positive.
        FileNotFoundError: there is no such program, or no `mpiexec`.
    """
    if ranks < 1 or not timeout > 0:
        raise ValueError(f"{ranks} ranks for {timeout} s: ask for 1 rank and some time at least")
    name, command = _command_of(program)
    mark = uuid.uuid4().hex
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="remotecalls-mpi-") as directory:
        written = Path(directory)
        launch = [
            *_launcher(ranks, written),
            *(sys.executable, *(("-m", "mpi4py") if guarded else ()), *command),
            *(str(argument) for argument in arguments),
        ]
        status = await _run(launch, mark, timeout, written / "mpiexec")
        run = MpiRun(
            program=name,
            ranks=ranks,
            exit_status=-signal.SIGKILL if status is None else status,
            outputs=tuple(_text(written / f"{rank}.out") for rank in range(ranks)),
            errors=tuple(_text(written / f"{rank}.err") for rank in range(ranks)),
            launcher=_text(written / "mpiexec"),
            seconds=time.monotonic() - began,
        )
    if status is None:
        raise RanksOverdue(run, timeout)
    return run


# ---------------------------------------------------------------------- inside


async def _run(launch: list[str], mark: str, timeout: float, log: Path) -> int | None:
    """Run `mpiexec` to its end and return its exit status; None if the time was over."""
    began_ns = time.time_ns()
    process = None
    try:
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                *launch,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,
                env=_environment(mark, timeout),
            )
        async with asyncio.timeout(timeout):
            return await process.wait()
    except TimeoutError:
        return None
    finally:
        if process is None or process.returncode != 0:
            # Without an await, so that nothing can come between: it takes milliseconds.
            _kill_marked(mark)
            remove_orphaned_segments(began_ns)
        if process is not None:
            await process.wait()


def _command_of(program: str | Path) -> tuple[str, list[str]]:
    if isinstance(program, Path):
        if not program.is_file():
            raise FileNotFoundError(f"there is no program {program.name}: give a Python file")
        return program.stem, [str(program)]
    here = Path(__file__).parent
    if not (here / f"{program}.py").is_file():
        raise FileNotFoundError(
            f"there is no program {program!r} in remotecalls.tuplespaces.mpi; "
            "a file of your own is given as a Path"
        )
    return program, ["-m", f"remotecalls.tuplespaces.mpi.{program}"]


def _launcher(ranks: int, written: Path) -> list[str]:
    mpiexec = os.environ.get(LAUNCHER) or str(Path(sys.executable).parent / "mpiexec")
    # Lines of several ranks on one stream come in pieces, and Hydra throws away what a rank wrote
    # just before it called `Abort`. So each rank writes to files of its own.
    rank = "${PMI_RANK:-$OMPI_COMM_WORLD_RANK}"
    return [
        *(mpiexec, "-n", str(ranks)),
        *("sh", "-c", f'exec "$@" >"$0/{rank}.out" 2>"$0/{rank}.err"', str(written)),
    ]


def _environment(mark: str, timeout: float) -> Mapping[str, str]:
    return {
        "UCX_TLS": "self,posix",  # no network between ranks of one machine
        "HYDRA_USE_LOCALHOST": "1",  # nor the name of the machine, which may have no address
        **os.environ,
        MARK: mark,
        # If this process is killed there is nobody left to kill the ranks; Hydra has a clock, too.
        "MPIEXEC_TIMEOUT": str(math.ceil(timeout + END_SECONDS)),
    }


def _marked(mark: str) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == mark and process.pid != os.getpid():
                yield process
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue  # it has ended, or belongs to somebody else


def _kill_marked(mark: str) -> None:
    # Again until none is left: a process that is being started is not in the first list, and one
    # that is ending has lost its mark before it is gone.
    until = time.monotonic() + END_SECONDS
    killed: dict[int, psutil.Process] = {}
    while True:
        killed |= {process.pid: process for process in _marked(mark)}
        left = [process for process in killed.values() if _is_there(process)]
        if not left:
            return
        if time.monotonic() > until:
            pids = ", ".join(str(process.pid) for process in left)
            raise RuntimeError(f"MPI processes that were killed are still there: {pids}")
        for process in left:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        time.sleep(0.002)


def _is_there(process: psutil.Process) -> bool:
    """Whether it runs, or has not ended yet; whoever waits for one that has is not our concern."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _text(path: Path) -> str:
    # A rank that wrote nothing has no file.
    return path.read_text(errors="replace") if path.exists() else ""
