"""A pipeline over a space, whose workers are killed, paused, and of another language."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from process_checks import alive

from remotecalls.tuplespaces import ANY, RemoteTupleSpace, TupleSpace, TupleSpaceServer
from remotecalls.tuplespaces.dataflow import (
    Crew,
    Stage,
    WorkersFailed,
    crew,
    javascript_worker,
    python_worker,
    run_stage,
)
from remotecalls.wire.errors import DeadlineExceeded
from remotecalls.wire.framing import FrameDecoder
from remotecalls.wire.recording import Direction
from remotecalls.wire.tap import Tap

COMMANDS = [
    pytest.param(python_worker(), id="python"),
    pytest.param(javascript_worker(), id="javascript"),
]
PATIENCE = 60.0
"""Seconds after which a wait in a test has failed."""


@pytest.fixture
async def server() -> AsyncIterator[TupleSpaceServer]:
    async with TupleSpaceServer() as server:
        yield server


@pytest.fixture
def space(server: TupleSpaceServer) -> TupleSpace:
    return server.space


async def write_orders(space: TupleSpace, count: int, state: str = "pending") -> None:
    for number in range(count):
        await space.write("order", number, state, ())


async def finished(space: TupleSpace, state: str, count: int) -> dict[int, tuple[str, ...]]:
    """The first orders that come to a state: who worked on them, by number."""
    found = {}
    for _ in range(count):
        _, number, _, workers = await space.take("order", int, state, tuple, timeout=PATIENCE)
        assert number not in found, f"order {number} was done twice"
        found[number] = workers
    return found


async def test_stages_hand_on_work_by_pattern_alone(
    server: TupleSpaceServer, space: TupleSpace
) -> None:
    await write_orders(space, 10)
    stages = Stage("pricer", "pending", "priced"), Stage("packer", "priced", "packed", 0.01)
    async with crew(server.address, *stages):
        assert await finished(space, "packed", 10) == dict.fromkeys(range(10), ("pricer", "packer"))
    assert await space.read_all("order", ANY, ANY, ANY) == ()


@pytest.mark.parametrize("command", COMMANDS)
async def test_work_of_a_killed_worker_is_done_by_another(
    server: TupleSpaceServer, space: TupleSpace, command: tuple[str, ...]
) -> None:
    await write_orders(space, 3)
    doomed = Stage("doomed", "pending", "priced", work_seconds=600, transaction_seconds=900)
    async with crew(server.address, doomed, command=command) as workers:
        assert await space.take("working", ANY, int, timeout=PATIENCE) == ("working", "doomed", 0)
        hidden = await space.read_all("order", int, ANY, ANY)
        assert [number for _, number, _, _ in hidden] == [1, 2]
        workers.kill("doomed")
        assert await space.read("order", 0, ANY, ANY, timeout=PATIENCE) == (
            *("order", 0, "pending", ()),
        )
        async with crew(server.address, Stage("heir", "pending", "priced")):
            assert await finished(space, "priced", 3) == dict.fromkeys(range(3), ("heir",))


@pytest.mark.parametrize("command", COMMANDS)
async def test_a_paused_worker_loses_its_order_and_does_not_write_it_twice(
    server: TupleSpaceServer, space: TupleSpace, command: tuple[str, ...]
) -> None:
    await write_orders(space, 1)
    paused = Stage("paused", "pending", "priced", work_seconds=1.0, transaction_seconds=1.5)
    async with crew(server.address, paused, command=command) as workers:
        await space.take("working", "paused", 0, timeout=PATIENCE)
        workers.pause("paused")
        async with crew(server.address, Stage("awake", "pending", "priced")):
            first = await space.take("order", int, "priced", tuple, timeout=PATIENCE)
            assert first == ("order", 0, "priced", ("awake",))
        workers.resume("paused")
        # It goes on, finishes what it has lost, is refused, and takes the next one.
        await space.write("order", 1, "pending", ())
        assert await finished(space, "priced", 1) == {1: ("paused",)}
        assert await space.read_all("order", ANY, ANY, ANY) == ()


async def test_stages_of_two_languages_work_on_the_same_orders(
    server: TupleSpaceServer, space: TupleSpace
) -> None:
    await write_orders(space, 5)
    python = Stage("python", "pending", "priced")
    node = Stage("node", "priced", "packed")
    async with (
        crew(server.address, python),
        crew(server.address, node, command=javascript_worker()),
    ):
        assert await finished(space, "packed", 5) == dict.fromkeys(range(5), ("python", "node"))


@pytest.mark.parametrize("command", COMMANDS)
async def test_what_a_worker_has_taken_it_confirms(
    server: TupleSpaceServer, space: TupleSpace, command: tuple[str, ...]
) -> None:
    # The server remembers each take until then, and cuts off who never confirms.
    await write_orders(space, 3)
    async with Tap(server.address) as tap:
        async with crew(tap.address, Stage("a", "pending", "priced"), command=command):
            await finished(space, "priced", 3)
        (connection,) = tap.recording.connections
        stream = tap.recording.stream(connection, Direction.CLIENT_TO_SERVER)
    sent = [json.loads(frame) for frame in FrameDecoder().feed(stream)]
    takes = [message["id"] for message in sent if message.get("operation") == "take"]
    kept = [number for message in sent for number in message.get("kept") or ()]
    assert kept[:3] == takes[:3]


@pytest.mark.parametrize("command", COMMANDS)
async def test_a_worker_without_work_is_there_when_work_comes(
    server: TupleSpaceServer, space: TupleSpace, command: tuple[str, ...]
) -> None:
    patient = Stage("patient", "pending", "priced", transaction_seconds=0.2)
    async with crew(server.address, patient, command=command):
        for _ in range(50):  # longer than one of its waits, and than its transaction
            assert space.statistics().transactions <= 1, "it begins anew and does not end the old"
            await asyncio.sleep(0.01)
        await write_orders(space, 1)
        assert await finished(space, "priced", 1) == {0: ("patient",)}


async def test_a_consumer_that_is_restarted_finds_what_was_written_meanwhile(
    server: TupleSpaceServer, space: TupleSpace
) -> None:
    async with RemoteTupleSpace(server.address) as producer:
        await producer.write("order", 0, "pending", ())
        async with crew(server.address, Stage("first", "pending", "priced")):
            assert await finished(space, "priced", 1) == {0: ("first",)}
        await producer.write("order", 1, "pending", ())
    # Neither the producer nor a consumer is there now.
    async with crew(server.address, Stage("second", "pending", "priced")):
        assert await finished(space, "priced", 1) == {1: ("second",)}


async def test_a_fast_producer_is_held_back_by_the_capacity_of_the_space() -> None:
    async def price(space: TupleSpace) -> None:
        while True:
            async with space.transaction() as work:  # one out, one in: no room is needed
                await work.take("order", int, "pending")
                await work.write("priced")
            await space.take("priced")

    async with TupleSpace(capacity=5) as space:
        for number in range(5):
            await space.write("order", number, "pending")
        with pytest.raises(DeadlineExceeded, match="no room"):
            await space.write("order", 5, "pending", timeout=0.05)
        pricing = asyncio.create_task(price(space))
        for number in range(5, 50):
            await space.write("order", number, "pending", timeout=PATIENCE)
            assert space.statistics().tuples <= 5
        pricing.cancel()
        await asyncio.gather(pricing, return_exceptions=True)


async def test_who_writes_beside_a_transaction_needs_room_in_a_bounded_space() -> None:
    async with TupleSpace(capacity=1) as space:
        await space.write("order", 0, "pending", ())
        stage = Stage("noisy", "pending", "priced", transaction_seconds=0.4)
        working = asyncio.create_task(run_stage(space, stage))
        # Its note finds no room: the order that it has taken may have to come back.
        with pytest.raises(DeadlineExceeded):
            await space.take("working", ANY, ANY, timeout=0.2)
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
        assert await space.read_all(ANY, ANY, ANY, ANY) == (("order", 0, "pending", ()),)


async def test_without_a_capacity_the_backlog_is_the_difference_of_the_rates() -> None:
    # Little's law: what waits, over the rate at which it is taken, is how long it waits.
    async with TupleSpace() as space:
        for number in range(100):
            await space.write("order", number, "pending", ())
            if number % 4 == 0:  # the consumer takes one of four
                await space.take("order", int, "pending", tuple)
        assert space.statistics().tuples == 75


async def test_workers_end_with_their_block(server: TupleSpaceServer) -> None:
    async with crew(server.address, Stage("a", "x", "y"), Stage("b", "x", "y")) as workers:
        processes = [process.pid for process in workers.processes.values()]
        assert all(alive(pid) for pid in processes)
        workers.pause("b")
    assert not any(alive(pid) for pid in processes)


async def test_workers_end_when_the_block_fails(server: TupleSpaceServer) -> None:
    kept: Crew | None = None
    with pytest.raises(RuntimeError, match="in the middle"):
        async with crew(server.address, Stage("a", "x", "y")) as kept:
            raise RuntimeError("in the middle")
    assert kept is not None
    assert kept.processes["a"].returncode == -signal.SIGKILL


@pytest.mark.parametrize("command", COMMANDS)
async def test_workers_end_when_whoever_started_them_is_killed(
    server: TupleSpaceServer, tmp_path: Path, command: tuple[str, ...]
) -> None:
    starter = tmp_path / "starter.py"
    starter.write_text(
        "import asyncio\n"
        "from remotecalls.tuplespaces.dataflow import Stage, crew\n"
        "from remotecalls.wire.address import Address\n"
        "async def main():\n"
        f"    address = Address.parse({str(server.address)!r})\n"
        f"    async with crew(address, Stage('a', 'x', 'y'), command={command!r}) as workers:\n"
        "        print(workers.processes['a'].pid, flush=True)\n"
        "        await asyncio.sleep(600)\n"
        "asyncio.run(main())\n"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(starter), stdout=subprocess.PIPE, env={**os.environ}
    )
    assert process.stdout is not None
    worker = int(await asyncio.wait_for(process.stdout.readline(), PATIENCE))
    process.kill()
    await process.communicate()
    until = time.monotonic() + PATIENCE
    while alive(worker):
        assert time.monotonic() < until, "the worker outlives its starter"
        await asyncio.sleep(0.05)


@pytest.mark.parametrize("command", COMMANDS)
async def test_workers_end_when_the_space_does(command: tuple[str, ...]) -> None:
    async with TupleSpaceServer() as server:
        entered = crew(server.address, Stage("a", "x", "y"), command=command)
        workers = await entered.__aenter__()
    try:
        status = await asyncio.wait_for(workers.processes["a"].wait(), PATIENCE)
        assert status == 0
    finally:
        await entered.__aexit__(None, None, None)


async def test_a_worker_that_cannot_start_says_why(server: TupleSpaceServer) -> None:
    command = (sys.executable, "-c", "raise SystemExit('no such machine')")
    with pytest.raises(WorkersFailed, match=r"(?s)'a' did not start.*no such machine"):
        async with crew(server.address, Stage("a", "x", "y"), command=command):
            pytest.fail("it did not start")


async def test_two_workers_of_one_name_are_refused(server: TupleSpaceServer) -> None:
    with pytest.raises(ValueError, match="same name"):
        async with crew(server.address, Stage("a", "x", "y"), Stage("a", "y", "z")):
            pytest.fail("it did not start")
