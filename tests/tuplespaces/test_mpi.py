"""MPI's collectives and the sum of the article, on real ranks."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remotecalls.tuplespaces.mpi import RanksFailed, run_ranks
from remotecalls.tuplespaces.mpi.chunks import chunk

RANKS = 3


async def test_each_collective_moves_what_the_standard_says() -> None:
    run = (await run_ranks("collectives", RANKS)).check()
    found = {
        name: [
            (line["before"], line["after"])
            for rank in run.records()
            for line in rank
            if line["collective"] == name
        ]
        for name in ("broadcast", "scatter", "gather", "reduce", "all-reduce")
    }
    assert found == {
        "broadcast": [("hello", "hello"), (None, "hello"), (None, "hello")],
        "scatter": [(["a", "b", "c"], "a"), (None, "b"), (None, "c")],
        "gather": [("a", ["a", "b", "c"]), ("b", None), ("c", None)],
        "reduce": [(1, 6), (2, None), (3, None)],
        "all-reduce": [(1, 6), (2, 6), (3, 6)],
    }


async def test_nobody_leaves_a_barrier_before_everybody_has_come() -> None:
    run = (await run_ranks("collectives", RANKS)).check()
    barrier = [rank[-1] for rank in run.records()]
    assert {line["collective"] for line in barrier} == {"barrier"}
    assert sorted(line["before"] for line in barrier) == [1, 2, 3]
    assert [line["after"] for line in barrier] == [3, 3, 3]


@pytest.mark.parametrize("ranks", [1, 2, 3, 4])
async def test_the_sum_of_the_article_on_one_to_four_ranks(ranks: int) -> None:
    run = (await run_ranks("array_sum", ranks, 1_000)).check()
    lines = [rank[0] for rank in run.records()]
    assert [line["total"] for line in lines] == [500_500] + [None] * (ranks - 1)
    assert sum(line["partial"] for line in lines) == 500_500
    each = 1_000 // ranks
    assert [line["start"] for line in lines] == [rank * each for rank in range(ranks)]
    assert lines[-1]["end"] == 1_000
    for line in lines:
        assert line["partial"] == sum(range(line["start"] + 1, line["end"] + 1))


@pytest.mark.parametrize("way", ["broadcast", "scatter", "own"])
async def test_the_ways_to_distribute_give_the_same_sum(way: str) -> None:
    run = (await run_ranks("array_sum", 3, 100_001, way)).check()
    first = run.records()[0][0]
    assert first["total"] == 100_001 * 100_002 // 2
    parts = (first["distributing"], first["adding"], first["reducing"])
    assert min(parts) > 0
    assert sum(parts) == pytest.approx(first["seconds"])


async def test_fewer_items_than_ranks() -> None:
    run = (await run_ranks("array_sum", 4, 2, "scatter")).check()
    assert [rank[0]["partial"] for rank in run.records()] == [0, 0, 0, 3]
    assert run.records()[0][0]["total"] == 3


@given(size=st.integers(1, 40), items=st.integers(0, 500))
def test_chunks_cover_everything_once_in_the_order_of_the_ranks(size: int, items: int) -> None:
    chunks = [chunk(rank, size, items) for rank in range(size)]
    assert [item for each in chunks for item in each] == list(range(items))
    assert {len(each) for each in chunks[:-1]} <= {items // size}


async def test_a_rank_that_waits_keeps_its_core_busy_and_one_that_sleeps_does_not() -> None:
    run = (await run_ranks("waiting", 2, 0.5, 10)).check()
    sleeper, waiter = (rank[0] for rank in run.records())
    assert waiter["waited"] >= 0.49
    # How much of its core it gets depends on what else runs; it takes what it gets.
    assert waiter["processor"] > 5 * sleeper["processor"]


async def test_a_program_of_the_reader(tmp_path: Path) -> None:
    program = tmp_path / "hello.py"
    program.write_text(
        "import sys\n"
        "from mpi4py import MPI\n"
        "print('rank', MPI.COMM_WORLD.rank, 'of', MPI.COMM_WORLD.size, sys.argv[1:])\n"
        "print('to standard error', file=sys.stderr)\n"
    )
    run = (await run_ranks(program, 2, "a word", 7)).check()
    assert run.outputs == ("rank 0 of 2 ['a word', '7']\n", "rank 1 of 2 ['a word', '7']\n")
    assert run.errors == ("to standard error\n", "to standard error\n")
    assert (run.program, run.ranks, run.exit_status) == ("hello", 2, 0)
    assert 0 < run.seconds < 60


async def test_what_a_rank_writes_is_its_own_however_much_it_is(tmp_path: Path) -> None:
    program = tmp_path / "much.py"
    program.write_text(
        "import sys\n"
        "from mpi4py import MPI\n"
        "for number in range(20_000):\n"
        "    print(MPI.COMM_WORLD.rank, number)\n"
    )
    run = (await run_ranks(program, 2)).check()
    for rank, text in enumerate(run.outputs):
        assert text.splitlines() == [f"{rank} {number}" for number in range(20_000)]


async def test_a_run_that_ended_badly_says_so_when_it_is_checked(tmp_path: Path) -> None:
    program = tmp_path / "bad.py"
    program.write_text("import sys\nfrom mpi4py import MPI\nsys.exit('the disk is full')\n")
    run = await run_ranks(program, 1)
    with pytest.raises(RanksFailed, match=r"(?s)bad on 1 ranks .* rank 0: the disk is full"):
        run.check()


@pytest.mark.parametrize(
    ("ranks", "timeout"), [(0, 1.0), (-1, 1.0), (1, 0.0), (1, -1.0), (1, float("nan"))]
)
async def test_no_ranks_or_no_time_is_refused(ranks: int, timeout: float) -> None:
    with pytest.raises(ValueError, match="ask for"):
        await run_ranks("collectives", ranks, timeout=timeout)


async def test_a_program_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no program 'colectives'"):
        await run_ranks("colectives", 1)
    with pytest.raises(FileNotFoundError, match=r"no program gone\.py"):
        await run_ranks(tmp_path / "gone.py", 1)


async def test_another_mpiexec_is_named_by_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    other.write_text('#!/bin/sh\nprintf "%s " "$@"\nexit 5\n')
    other.chmod(0o755)
    monkeypatch.setenv("MPIEXEC", str(other))
    run = await run_ranks("collectives", 7)
    assert run.exit_status == 5
    assert run.launcher.startswith("-n 7 ")
    assert run.launcher.endswith(" -m mpi4py -m remotecalls.tuplespaces.mpi.collectives ")
    monkeypatch.setenv("MPIEXEC", str(tmp_path / "gone"))
    with pytest.raises(FileNotFoundError):
        await run_ranks("collectives", 1)
