"""Programs for processes of their own, and functions for workers."""

from __future__ import annotations

import asyncio
import os
import sys
import time

from remotecalls.tuplespaces import ANY, RemoteTupleSpace
from remotecalls.wire.address import Address


def partial_sum(number: int) -> int:
    """JavaNOW's task: the sum of a hundred numbers."""
    return sum(range(number * 100, (number + 1) * 100))


def fail(message: str) -> None:
    raise ValueError(message)


def die(code: int) -> None:
    os._exit(code)


def leave(code: int) -> None:
    sys.exit(code)


def process_number() -> int:
    return os.getpid()


def a_list() -> list[int]:
    return [1]


def sleep(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


def meet(folder: str, name: str, other: str) -> str:
    """Return only if somebody else runs at the same time."""
    with open(os.path.join(folder, name), "w"):
        pass
    deadline = time.monotonic() + 60
    while not os.path.exists(os.path.join(folder, other)):
        if time.monotonic() > deadline:
            raise TimeoutError("nobody came")
        time.sleep(0.005)
    return name


async def hold(address: Address) -> None:
    """Take a task and write half of a result under a transaction, and wait for somebody else."""
    async with RemoteTupleSpace(address) as space, space.transaction(timeout=600.0) as work:
        task = await work.take("task", ANY)
        await work.write("result", task[1])
        await work.read("price", ANY)
        await space.write("holding", os.getpid())
        print("holding", flush=True)
        await space.take("never", timeout=600.0)


async def consume(address: Address, count: int) -> None:
    """Take some orders, in order, and say which."""
    async with RemoteTupleSpace(address) as space:
        for _ in range(count):
            order = await space.take("order", ANY, "pending", timeout=60.0)
            await space.write("order", order[1], "completed")
            print(order[1], flush=True)


if __name__ == "__main__":
    program, where, *rest = sys.argv[1:]
    if program == "hold":
        asyncio.run(hold(Address.parse(where)))
    else:
        asyncio.run(consume(Address.parse(where), int(rest[0])))
