"""What happens to the others when a rank fails, and that none is left behind."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from process_checks import alive

from remotecalls.tuplespaces.mpi import MpiRun, RanksOverdue, run_ranks
from remotecalls.tuplespaces.mpi.segments import SHARED_MEMORY, remove_orphaned_segments

RANKS = 4


TEST = "REMOTECALLS_TEST_OF_MPI"
"""Set by each test; whatever it starts inherits it."""


@pytest.fixture(autouse=True)
def mark(monkeypatch: pytest.MonkeyPatch) -> str:
    value = uuid.uuid4().hex
    monkeypatch.setenv(TEST, value)
    return value


def marked(mark: str) -> set[int]:
    """The processes that a test started, directly or not."""
    found = set()
    for process in psutil.process_iter():
        try:
            if process.environ().get(TEST) == mark:
                found.add(process.pid)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def segments() -> set[str]:
    return (
        {path.name for path in SHARED_MEMORY.glob("mpich_*")} if SHARED_MEMORY.exists() else set()
    )


def pids(run: MpiRun) -> list[int]:
    return [rank[0]["pid"] for rank in run.records()]


def nobody_is_left(run: MpiRun) -> bool:
    return len(pids(run)) == RANKS and not any(alive(pid) for pid in pids(run))


@pytest.fixture(autouse=True)
def no_segment_is_left() -> Iterator[None]:
    before = segments()
    yield
    # Those of a run in another process are used by it, and go when it ends.
    until = time.monotonic() + 30
    while segments() - before:
        assert time.monotonic() < until, f"left behind: {segments() - before}"
        time.sleep(0.05)


async def test_a_rank_that_is_killed_takes_all_others_with_it() -> None:
    run = await run_ranks("failing", RANKS, "killed")
    assert run.exit_status == signal.SIGKILL
    assert "Killed (signal 9)" in run.launcher
    assert not any("sum" in line for rank in run.records() for line in rank)
    assert nobody_is_left(run)


async def test_a_rank_that_calls_abort_ends_all_with_its_code() -> None:
    run = await run_ranks("failing", RANKS, "aborts")
    assert run.exit_status == 7
    assert "MPI_Abort" in run.errors[1]
    assert nobody_is_left(run)


async def test_a_rank_that_leaves_without_finalize_ends_all_others() -> None:
    run = await run_ranks("failing", RANKS, "leaves")
    # Its own status, or that of a rank that Hydra then killed: whichever Hydra sees last.
    assert run.exit_status in (3, signal.SIGKILL)
    assert not any("sum" in line for rank in run.records() for line in rank)
    assert nobody_is_left(run)


async def test_an_exception_in_a_rank_that_is_guarded_ends_all_others() -> None:
    run = await run_ranks("failing", RANKS, "raises")
    assert run.exit_status == 1
    assert "ValueError: rank 1 was given a chunk that is no number" in run.errors[1]
    assert "MPI_Abort" in run.errors[1]
    assert nobody_is_left(run)


async def test_an_exception_in_a_rank_that_is_not_guarded_leaves_the_others_waiting() -> None:
    with pytest.raises(RanksOverdue, match=r"failing on 4 ranks .* within 8 s") as raised:
        await run_ranks("failing", RANKS, "raises", guarded=False, timeout=8)
    run = raised.value.run
    assert "ValueError: rank 1 was given a chunk that is no number" in run.errors[1]
    assert "MPI_Abort" not in run.errors[1]
    assert [run.errors[rank] for rank in (0, 2, 3)] == ["", "", ""]
    assert not any("sum" in line for rank in run.records() for line in rank)
    assert run.exit_status != 0
    assert nobody_is_left(run)


async def test_without_a_failure_all_ranks_have_the_sum() -> None:
    run = (await run_ranks("failing", RANKS, "nothing", guarded=False)).check()
    assert [rank[1]["sum"] for rank in run.records()] == [6, 6, 6, 6]
    assert nobody_is_left(run)


async def test_a_caller_that_is_cancelled_leaves_no_rank_behind(mark: str) -> None:
    running = asyncio.create_task(run_ranks("failing", RANKS, "raises", guarded=False, timeout=60))
    await eventually(lambda: len(marked(mark)) >= RANKS + 1)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert not marked(mark)


async def test_an_mpiexec_that_is_killed_leaves_no_rank_behind(mark: str) -> None:
    running = asyncio.create_task(run_ranks("failing", RANKS, "raises", guarded=False, timeout=60))
    await eventually(lambda: len(marked(mark)) >= RANKS + 1)
    for process in psutil.Process().children():
        if "mpiexec" in process.name():
            process.kill()
    run = await asyncio.wait_for(running, 30)
    assert run.exit_status == -signal.SIGKILL
    assert not marked(mark)


async def test_ranks_that_will_not_be_asked_are_killed(tmp_path: Path, mark: str) -> None:
    program = tmp_path / "stubborn.py"
    program.write_text(
        "import os, pathlib, signal, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        f"pathlib.Path({str(tmp_path)!r}, f'{{os.getpid()}}.started').touch()\n"
        "time.sleep(600)\n"
    )
    running = asyncio.create_task(run_ranks(program, RANKS, timeout=100))
    await eventually(lambda: len(started(tmp_path)) == RANKS)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert not any(alive(pid) for pid in started(tmp_path))
    assert not marked(mark)


async def test_a_process_that_a_rank_started_is_ended_as_well(tmp_path: Path) -> None:
    program = tmp_path / "parent.py"
    program.write_text(
        "import subprocess, sys\n"
        "from remotecalls.tuplespaces.mpi.reporting import report\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(100)'],\n"
        "                         stdin=-3, stdout=-3, stderr=-3, start_new_session=True)\n"
        "report(pid=child.pid)\n"
        "sys.exit(9)\n"
    )
    run = await run_ranks(program, RANKS, guarded=False)
    assert run.exit_status == 9
    assert nobody_is_left(run)


def test_ranks_end_at_their_deadline_when_whoever_started_them_was_killed(
    tmp_path: Path, mark: str
) -> None:
    program = tmp_path / "starter.py"
    program.write_text(
        "import asyncio\n"
        "from remotecalls.tuplespaces.mpi import run_ranks\n"
        "asyncio.run(run_ranks('failing', 2, 'raises', guarded=False, timeout=1.5))\n"
    )
    with subprocess.Popen([sys.executable, str(program)], env={**os.environ}) as starter:
        until = time.monotonic() + 60
        while len(marked(mark)) < 1 + 1 + 1 + 2:
            assert time.monotonic() < until
            time.sleep(0.02)
        starter.kill()
    until = time.monotonic() + 60
    while marked(mark):
        assert time.monotonic() < until, "MPIEXEC_TIMEOUT did not end them"
        time.sleep(0.1)
    remove_orphaned_segments(0)


def test_a_segment_that_is_used_is_left_alone() -> None:
    if not SHARED_MEMORY.exists():
        pytest.skip("this system has no /dev/shm")
    began = time.time_ns()
    used, unused = SHARED_MEMORY / "mpich_test_used", SHARED_MEMORY / "mpich_test_unused"
    mapped, other = SHARED_MEMORY / "mpich_test_mapped", SHARED_MEMORY / "other_test"
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import os, sys\n"
            "from ctypes import CDLL, c_int, c_long, c_size_t, c_void_p\n"
            "mmap = CDLL(None).mmap\n"  # Python's own keeps the file open
            "mmap.argtypes = c_void_p, c_size_t, c_int, c_int, c_int, c_long\n"
            "file = os.open(sys.argv[1], os.O_RDONLY)\n"
            "mmap(None, 8, 1, 1, file, 0)\n"  # to be read, and shared
            "os.close(file)\n"
            "print(flush=True)\n"
            "sys.stdin.read()\n",
            str(mapped),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with holder:
        try:
            for path in (used, unused, mapped, other):
                path.write_bytes(bytes(8))
            assert holder.stdout is not None
            holder.stdout.readline()
            with used.open("rb"):
                assert "mpich_test_unused" not in remove_orphaned_segments(time.time_ns() + 10**9)
                assert "mpich_test_unused" in remove_orphaned_segments(began)
            assert [path.exists() for path in (used, unused, mapped, other)] == [1, 0, 1, 1]
        finally:
            holder.kill()
            for path in (used, unused, mapped, other):
                path.unlink(missing_ok=True)


def started(directory: Path) -> list[int]:
    """The ranks that have left a file, by their process ids."""
    return [int(path.stem) for path in directory.glob("*.started")]


async def eventually(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - processes have no event
            await asyncio.sleep(0.02)
