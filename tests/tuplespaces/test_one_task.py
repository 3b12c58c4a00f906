"""The same task with MPI, with actors and over a tuple space: what each of them sends.

The task is ten sums of a hundred numbers each, by two workers.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from remotecalls.actors import ActorSystem, SupervisorSpec, actor, child, handler
from remotecalls.tuplespaces import RemoteTupleSpace, TupleSpace, TupleSpaceServer, active
from remotecalls.tuplespaces.mpi import run_ranks
from remotecalls.wire.framing import FrameDecoder
from remotecalls.wire.recording import Direction, Recording
from remotecalls.wire.tap import Tap

TASKS = 10
TOTAL = 499_500


def hundred(number: int) -> int:
    return sum(range(100 * number, 100 * number + 100))


async def test_over_a_space_a_task_takes_twelve_messages() -> None:
    async def worker(space: RemoteTupleSpace) -> None:
        while True:
            async with space.transaction() as work:
                _, number = await work.take("task", int)
                await work.write("partial", number, hundred(number))

    async with (
        TupleSpaceServer() as server,
        Tap(server.address) as tap,
        RemoteTupleSpace(tap.address) as first,
        RemoteTupleSpace(tap.address) as second,
        RemoteTupleSpace(tap.address) as master,
    ):
        workers = [asyncio.create_task(worker(space)) for space in (first, second)]
        for number in range(TASKS):
            await master.write("task", number)
        found = [await master.take("partial", int, int) for _ in range(TASKS)]
        for each in workers:
            each.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
    assert sum(partial for _, _, partial in found) == TOTAL
    # write and take; begin, take, write and commit: six requests and their answers.
    assert answered(tap.recording) == 6 * TASKS


def answered(recording: Recording) -> int:
    """Requests of committed transactions, and outside of any, that have an answer."""
    count = 0
    for connection in recording.connections:
        requests, answers = (
            [
                json.loads(frame)
                for frame in FrameDecoder().feed(recording.stream(connection, direction))
            ]
            for direction in (Direction.CLIENT_TO_SERVER, Direction.SERVER_TO_CLIENT)
        )
        ids = {answer.get("id") for answer in answers}
        committed = {each["transaction"] for each in requests if each.get("operation") == "commit"}
        for each in requests:
            under = each.get("transaction") in committed or each.get("id") in committed
            alone = each.get("operation") in ("write", "take") and each.get("transaction") is None
            if under or alone:
                assert each["id"] in ids
                count += 1
    return count


@actor
class Worker:
    @handler("add_up")
    def add_up(self, number: int) -> int:
        return hundred(number)


async def test_actors_need_a_question_and_an_answer_for_each_task() -> None:
    names = ("one", "two")
    spec = SupervisorSpec("sums", tuple(child(Worker, name=name) for name in names))
    async with ActorSystem() as system:
        await system.supervise(spec)
        workers = [system.actor(name) for name in names]
        with system.watched() as flows:
            asked = [
                workers[number % 2].ask("add_up", number=number, timeout=30)
                for number in range(TASKS)
            ]
            assert sum(await asyncio.gather(*asked)) == TOTAL
        assert sum(flow.count for flow in flows.seen()) == TASKS


async def test_with_mpi_it_is_a_scatter_and_a_reduce(tmp_path: Path) -> None:
    program = tmp_path / "ten_sums.py"
    program.write_text(
        "from mpi4py import MPI\n"
        "world = MPI.COMM_WORLD\n"
        "numbers = [list(range(rank, 10, world.size)) for rank in range(world.size)]\n"
        "mine = world.scatter(numbers)\n"
        "partial = sum(sum(range(100 * number, 100 * number + 100)) for number in mine)\n"
        "print(world.reduce(partial))\n"
    )
    run = (await run_ranks(program, 2)).check()
    assert run.outputs == (f"{TOTAL}\n", "None\n")


async def test_ten_active_entities_in_whatever_order_they_are_done() -> None:
    async with TupleSpace(workers=2) as space:
        for number in range(TASKS):
            numbers = range(100 * number, 100 * number + 100)
            await space.eval("sum", number, active(sum, numbers))
        found = [await space.take("sum", int, int) for _ in range(TASKS)]
    assert sum(partial for _, _, partial in found) == TOTAL
    assert sorted(number for _, number, _ in found) == list(range(TASKS))
