"""Calls per second, latency and bytes of one call through every binding, beside a peer.

The peer is `multiprocessing.connection` of the standard library: it frames its messages with the
same four-byte length, pickles what is in them, and serves the same shop from a process of its own.
Every server runs in its own process; the client makes one call after another on one connection.

    python -m remotecalls bench bindings
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import socket
import statistics
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import takewhile
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path

from _machine import headline, machine

from remotecalls.bindings import BINDINGS, Binding
from remotecalls.process import server_process
from remotecalls.shop import Shop
from remotecalls.shop.sample import stock

RESULTS = Path(__file__).parent / "results"
CUSTOMER = 42
PEER = "multiprocessing"


def main() -> None:
    """Measure, print a table with ratios, and keep the raw numbers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, default=20_000, help="calls per server (20,000)")
    parser.add_argument(
        "--seconds", type=float, default=10.0, help="at most so many per server (10)"
    )
    parser.add_argument("--output", type=Path, default=RESULTS / "bindings.json")
    arguments = parser.parse_args()
    limit = Limit(arguments.calls, arguments.seconds)
    rows = {PEER: measure_peer(limit)}
    for binding in BINDINGS.values():
        rows[binding.name] = asyncio.run(measure(binding, limit))
    result = {
        "machine": machine(),
        "calls": arguments.calls,
        "seconds": arguments.seconds,
        "servers": rows,
    }
    arguments.output.write_text(json.dumps(result, indent=2) + "\n")
    print(table(result))


@dataclass(frozen=True)
class Limit:
    """When one server has been measured enough: after so many calls, or so many seconds."""

    calls: int
    seconds: float

    def rounds(self) -> Iterator[int]:
        """Number the calls from 0; before them a tenth of each limit, numbered -1, warms up."""
        yield from (-1 for _ in _until(self.calls // 10 + 1, self.seconds / 10))
        yield from _until(self.calls, self.seconds)


def _until(calls: int, seconds: float) -> Iterator[int]:
    end = time.perf_counter() + seconds
    return takewhile(lambda _: time.perf_counter() < end, range(calls))


async def measure(binding: Binding, limit: Limit) -> dict[str, float]:
    """One binding: its server in a process, its client here."""
    with server_process(binding.name) as (address, _):
        async with AsyncExitStack() as stack:
            tap = await stack.enter_async_context(binding.tap(address))
            tapped = await stack.enter_async_context(binding.connect(tap.address, timeout=30))
            await tapped.get_customer(CUSTOMER)
            size = tap.recording.bytes_sent
        async with binding.connect(address, timeout=30) as client:
            row = await timed(lambda: client.get_customer(CUSTOMER), limit)
    return {**row, "bytes_per_call": size}


async def timed(call: Callable[[], Awaitable[object]], limit: Limit) -> dict[str, float]:
    """Latency of one call after another, in microseconds."""
    took = []
    for number in limit.rounds():
        before = time.perf_counter_ns()
        await call()
        if number >= 0:
            took.append(time.perf_counter_ns() - before)
    return summary(took)


def summary(took_ns: list[int]) -> dict[str, float]:
    """Rate and percentiles of calls made one after another."""
    cuts = statistics.quantiles(took_ns, n=100)
    return {
        "calls": len(took_ns),
        "calls_per_second": round(len(took_ns) / (sum(took_ns) / 1e9)),
        "p50_us": round(statistics.median(took_ns) / 1e3, 1),
        "p99_us": round(cuts[98] / 1e3, 1),
    }


def measure_peer(limit: Limit) -> dict[str, float]:
    """The peer: `multiprocessing.connection`, blocking, with pickled requests and replies."""
    context = multiprocessing.get_context("spawn")
    ready, tell = context.Pipe(duplex=False)
    server = context.Process(target=serve_peer, args=[tell], daemon=True)
    server.start()
    assert ready.poll(30), "the peer did not start"
    with Client(ready.recv()) as connection:
        _no_delay(connection)
        took = []
        for number in limit.rounds():
            before = time.perf_counter_ns()
            _ask(connection)
            if number >= 0:
                took.append(time.perf_counter_ns() - before)
        connection.send(("get_customer", CUSTOMER))
        reply = connection.recv_bytes()
    server.join(10)
    request = multiprocessing.reduction.ForkingPickler.dumps(("get_customer", CUSTOMER))
    return {**summary(took), "bytes_per_call": 4 + len(request) + 4 + len(reply)}


def _ask(connection: Connection) -> object:
    connection.send(("get_customer", CUSTOMER))
    return connection.recv()


def _no_delay(connection: Connection) -> None:
    with socket.socket(fileno=os.dup(connection.fileno())) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def serve_peer(tell: Connection) -> None:
    """Serve the sample shop to one client."""
    shop = stock(Shop())
    with Listener(("127.0.0.1", 0)) as listener:
        tell.send(listener.address)
        with listener.accept() as connection:
            _no_delay(connection)
            try:
                while True:
                    method, customer_id = connection.recv()
                    connection.send(getattr(shop, method)(customer_id))
            except EOFError:
                return


def table(result: dict) -> str:
    """The rows with ratios to the peer."""
    peer = result["servers"][PEER]["calls_per_second"]
    lines = [
        headline(result["machine"]),
        f"get_customer, one call after another: {result['calls']:,}, or {result['seconds']:g} s",
        f"{'server':<16}{'calls/s':>9}{'to peer':>9}{'p50 µs':>9}{'p99 µs':>9}{'bytes':>7}",
    ]
    for name, row in result["servers"].items():
        rate = row["calls_per_second"]
        lines.append(
            f"{name:<16}{rate:>9,}{rate / peer:>9.2f}{row['p50_us']:>9}{row['p99_us']:>9}"
            f"{row['bytes_per_call']:>7}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
