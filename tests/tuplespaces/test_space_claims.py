"""What the articles say of tuple spaces, put to the test."""

from __future__ import annotations

import asyncio
import sys
import time

import space_programs
from waiting_for import eventually

from remotecalls.process import server_process
from remotecalls.tuplespaces import ANY, RemoteTupleSpace, TupleSpace
from remotecalls.wire.address import Address


async def consumer(address: Address, count: int) -> list[int]:
    command = [sys.executable, space_programs.__file__, "consume", str(address), str(count)]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    assert process.returncode == 0
    return [int(line) for line in output.split()]


async def test_producers_and_consumers_need_not_run_at_the_same_time() -> None:
    """The consumer starts after the producer has gone, is stopped, and started again."""
    with server_process("tuplespace") as (address, _):
        async with RemoteTupleSpace(address) as producer:
            for number in range(6):
                await producer.write("order", number, "pending")
        assert await consumer(address, 2) == [0, 1]
        assert await consumer(address, 3) == [2, 3, 4]
        async with RemoteTupleSpace(address) as later:
            assert await later.read_all("order", ANY, "pending") == (("order", 5, "pending"),)
            done = await later.read_all("order", ANY, "completed")
            assert [fields[1] for fields in done] == [0, 1, 2, 3, 4]


async def test_they_need_the_space_to_run_all_the_time() -> None:
    """Decoupled in time from each other, not from the space: it keeps nothing on disk."""
    with server_process("tuplespace") as (address, _):
        async with RemoteTupleSpace(address) as producer:
            await producer.write("order", 1, "pending")
    with server_process("tuplespace", "--port", str(address.port)) as (again, _):
        assert again == address
        async with RemoteTupleSpace(again) as consumer_:
            assert await consumer_.read_all("order", ANY, ANY) == ()


async def test_a_space_without_a_bound_absorbs_a_mismatch_of_speeds_by_growing() -> None:
    async with TupleSpace() as space:
        for number in range(1_000):  # ten writes to one take
            await space.write("item", number)
            if number % 10 == 0:
                await space.take("item", ANY)
        assert space.statistics().tuples == 900


async def test_a_space_with_a_bound_passes_the_mismatch_on_to_the_producer() -> None:
    """However fast the producer: it is never more than the capacity ahead."""
    produced = 0
    most = 0
    async with TupleSpace(capacity=10) as space:

        async def produce() -> None:
            nonlocal produced
            for number in range(300):
                await space.write("item", number)
                produced += 1

        async def consume() -> None:
            nonlocal most
            for number in range(300):
                most = max(most, space.statistics().tuples)
                assert await space.take("item", ANY) == ("item", number)
                assert produced <= number + 1 + 10
                await asyncio.sleep(0)

        began = time.monotonic()
        async with asyncio.TaskGroup() as group:
            group.create_task(produce())
            await eventually(lambda: space.statistics().writers == 1)
            assert produced == 10
            group.create_task(consume())
        assert time.monotonic() - began < 60
    assert most == 10
