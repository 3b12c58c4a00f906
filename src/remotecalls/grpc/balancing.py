"""Who gets the calls: several server processes, ways to reach them, and what came of each call.

One connection of HTTP/2 carries any number of calls. Whatever balances connections balances
nothing once there is one. The ways around it: connections that end, clients that know all servers,
and a proxy that understands calls.

Source: https://grpc.io/blog/grpc-load-balancing/; gRFC A62 (pick_first), A9 (connection age).
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import grpc
import grpc.aio

from remotecalls.grpc.backend import COMMANDS, SERVED_BY
from remotecalls.grpc.generated.shop.v1 import shop_pb2, shop_pb2_grpc
from remotecalls.grpc.settings import ChannelSettings
from remotecalls.process import listening_process
from remotecalls.wire.address import Address

NOBODY = "nobody"
ROUND_ROBIN: dict[str, Any] = {"loadBalancingConfig": [{"round_robin": {}}]}
"""A service config by which a client connects to all addresses and takes turns."""


class Backend:
    """A server process.

    Attributes:
        name: what it calls itself.
        address: where it listens.
    """

    def __init__(self, name: str, address: Address, process: subprocess.Popen[bytes]) -> None:
        self.name = name
        self.address = address
        self._process = process

    def tell(self, command: str) -> None:
        """Give a command of `remotecalls.grpc.backend`.

        Raises:
            ValueError: it knows no such command.
            BrokenPipeError: it has ended.
        """
        if command not in COMMANDS:
            raise ValueError(f"{command!r} is none of {', '.join(COMMANDS)}")
        assert self._process.stdin is not None
        self._process.stdin.write(f"{command}\n".encode())
        self._process.stdin.flush()

    def kill(self) -> None:
        """End the process without a word to anybody."""
        self._process.kill()
        self._process.wait(10)


@contextmanager
def running_backends(
    *delays: float, connection_age: float | None = None
) -> Iterator[list[Backend]]:
    """Run a server for each delay, called A, B, C and so on, for as long as the block lasts.

    Args:
        delays: seconds before each begins to work on a call.
        connection_age: seconds after which they ask a client to connect anew.

    Raises:
        RuntimeError: one did not start.
    """
    names = [chr(ord("A") + number) for number in range(len(delays))]
    with ExitStack() as stack, ThreadPoolExecutor(len(delays)) as starting:

        def start(name: str, delay: float) -> Backend:
            command = [sys.executable, "-m", "remotecalls.grpc.backend", name, f"--delay={delay}"]
            if connection_age is not None:
                command.append(f"--connection-age={connection_age}")
            return Backend(name, *stack.enter_context(listening_process(name, command)))

        yield list(starting.map(start, names, delays))


# ---------------------------------------------------------------- channels


def one_address(address: Address, **options: Any) -> grpc.aio.Channel:
    """A channel with one connection, as clients have it by default."""
    settings = ChannelSettings(**options)
    return grpc.aio.insecure_channel(str(address), options=settings.options())


def all_addresses(addresses: Sequence[Address]) -> grpc.aio.Channel:
    """A channel with a connection to each address, which takes turns among them."""
    target = "ipv4:" + ",".join(map(str, addresses))
    settings = ChannelSettings(service_config=ROUND_ROBIN)
    return grpc.aio.insecure_channel(target, options=settings.options())


# ---------------------------------------------------------------- calls


@dataclass(frozen=True)
class Outcome:
    """What came of one call.

    Attributes:
        server: who answered; `NOBODY` if the call came to no server.
        code: how it ended.
        latency_us: microseconds until it had ended.
    """

    server: str
    code: grpc.StatusCode
    latency_us: int


async def call_once(channel: grpc.aio.Channel, timeout: float = 5.0) -> Outcome:
    """Look customer 42 up, and see who answers."""
    stub = shop_pb2_grpc.ShopServiceStub(channel)  # type: ignore[no-untyped-call]
    began = time.perf_counter_ns()
    call = stub.GetCustomer(shop_pb2.GetCustomerRequest(customer_id=42), timeout=timeout)
    code = await call.code()
    took = (time.perf_counter_ns() - began) // 1_000
    names = [value for key, value in await call.trailing_metadata() or () if key == SERVED_BY]
    return Outcome(names[-1] if names else NOBODY, code, took)


async def one_after_another(
    channel: grpc.aio.Channel, count: int, pause: float = 0.0
) -> list[Outcome]:
    """Make so many calls, each when the one before has ended."""
    outcomes = []
    for _ in range(count):
        outcomes.append(await call_once(channel))
        await asyncio.sleep(pause)
    return outcomes


async def at_a_rate(channel: grpc.aio.Channel, count: int, rate: float) -> list[Outcome]:
    """Make so many calls, so many a second, whether those before have ended or not."""
    began = time.perf_counter()
    calls = []
    async with asyncio.TaskGroup() as tasks:
        for number in range(count):
            await asyncio.sleep(max(began + number / rate - time.perf_counter(), 0.0))
            calls.append(tasks.create_task(call_once(channel)))
    return [call.result() for call in calls]


def spread(outcomes: Sequence[Outcome]) -> dict[str, int]:
    """How many calls each server answered, in the order of their names."""
    return dict(sorted(Counter(outcome.server for outcome in outcomes).items()))


def latency_ms(outcomes: Sequence[Outcome], percent: int) -> float:
    """A percentile of the latencies, in milliseconds, by nearest rank.

    Raises:
        ValueError: there is no outcome.
    """
    if not outcomes:
        raise ValueError("no call, no latency")
    ordered = sorted(outcome.latency_us for outcome in outcomes)
    return ordered[-(-len(ordered) * percent // 100) - 1] / 1e3
