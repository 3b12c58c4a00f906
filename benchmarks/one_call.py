"""One call, every way: what `get_customer(42)` costs in each protocol, and what a failure leaves.

The server runs in a process of its own. Bytes and turns are read off the wire tap. A turn is a
change of direction: the client cannot go on before it. The last columns kill the server before the
call, while it works, and after it has worked but before the answer arrives, and keep the name of
what the client is told.

    python -m remotecalls bench one_call
"""

from __future__ import annotations

import argparse
import ast
import asyncio
import json
import os
import statistics
import time
from contextlib import AsyncExitStack
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil
from _machine import headline, machine

from remotecalls.bindings import BINDINGS, Binding
from remotecalls.process import server_process
from remotecalls.shop import ShopClient
from remotecalls.wire.address import Address
from remotecalls.wire.deadline import Deadline
from remotecalls.wire.errors import TransportError
from remotecalls.wire.faults import Delay, DelayDatagram, DropDatagram
from remotecalls.wire.recording import Direction, Recording, Transport

RESULTS = Path(__file__).parent / "results"
ROOMS = ("sockets", "rest", "grpc")
CUSTOMER = 42
FAR = 0.010
"""Seconds that a byte takes one way on the long path."""
LATE = 1.5
"""Seconds between a payment and its answer, in which the server is killed."""


def main() -> None:
    """Measure, print a table, and keep the raw numbers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, default=300, help="calls per protocol (300)")
    parser.add_argument("--bindings", default=",".join(BINDINGS), help="all of them")
    parser.add_argument("--output", type=Path, default=RESULTS / "one_call.json")
    arguments = parser.parse_args()
    rows = {}
    for name in arguments.bindings.split(","):
        binding = BINDINGS[name]
        rows[name] = asyncio.run(measure(binding, arguments.calls)) | {
            "lines": lines_of(binding),
        }
    result = {"machine": machine(), "calls": arguments.calls, "far_ms": FAR * 1e3, "bindings": rows}
    arguments.output.write_text(json.dumps(result, indent=2) + "\n")
    print(table(result))


async def measure(binding: Binding, calls: int) -> dict[str, Any]:
    """All of one protocol."""
    with server_process(binding.name) as (address, process):
        first, later = await on_the_wire(binding, address)
        near = await latency(binding, address, calls, psutil.Process(process.pid))
        near["set_up_us"] = await set_up(binding, address, near["p50_us"])
        far = await far_away(binding, address)
    return {
        "first_call": first,
        "later_call": later,
        **near,
        **far,
        "dies": {
            "before": await told_before(binding),
            "during": await told_during(binding),
            "after": await told_after(binding),
        },
    }


async def on_the_wire(binding: Binding, address: Address) -> tuple[dict[str, int], dict[str, int]]:
    """Bytes each way and turns of a client's first call, and of its second."""
    async with binding.tap(address) as tap, binding.connect(tap.address, timeout=30) as client:
        await client.get_customer(CUSTOMER)
        first = seen(tap.recording)
        await client.get_customer(CUSTOMER)
        both = seen(tap.recording)
    return first, {name: both[name] - first[name] for name in first}


def seen(recording: Recording) -> dict[str, int]:
    """Bytes out and back, turns, and connections, so far."""
    chunks = sorted(recording.sent.chunks, key=lambda chunk: chunk.time_us)
    turns, last = 0, None
    for chunk in chunks:
        if chunk.direction is Direction.CLIENT_TO_SERVER and chunk.direction is not last:
            turns += 1
        last = chunk.direction
    return {
        "bytes_out": recording.sent.bytes_sent(Direction.CLIENT_TO_SERVER),
        "bytes_back": recording.sent.bytes_sent(Direction.SERVER_TO_CLIENT),
        "turns": turns,
        "connections": len(recording.connections),
    }


async def latency(
    binding: Binding, address: Address, calls: int, server: psutil.Process
) -> dict[str, float]:
    """One call after another over loopback, and the processor time at both ends."""
    async with binding.connect(address, timeout=30) as client:
        await client.get_customer(CUSTOMER)
        took: list[float] = []
        ours, theirs = time.process_time(), spent(server)
        end = time.perf_counter() + 5.0  # CGI takes a hundred milliseconds a call
        while len(took) < calls and time.perf_counter() < end:
            began = time.perf_counter()
            await client.get_customer(CUSTOMER)
            took.append(time.perf_counter() - began)
        ours, theirs = time.process_time() - ours, spent(server) - theirs
    return {
        "p50_us": round(statistics.median(took) * 1e6, 1),
        "client_cpu_us": round(ours / len(took) * 1e6, 1),
        "server_cpu_us": round(theirs / len(took) * 1e6, 1),
    }


async def set_up(binding: Binding, address: Address, call_us: float) -> float:
    """Microseconds by which the first call of a new client takes longer than a later one."""
    took: list[float] = []
    end = time.perf_counter() + 3.0
    while len(took) < 50 and time.perf_counter() < end:
        began = time.perf_counter()
        async with binding.connect(address, timeout=30) as client:
            await client.get_customer(CUSTOMER)
            took.append(time.perf_counter() - began)
    return round(max(statistics.median(took) * 1e6 - call_us, 0.0), 1)


def spent(server: psutil.Process) -> float:
    """Processor seconds of a server and all its processes, also of those that have ended."""
    total = 0.0
    for process in [server, *server.children(recursive=True)]:
        times = process.cpu_times()
        total += times.user + times.system + times.children_user + times.children_system
    return total


async def far_away(binding: Binding, address: Address) -> dict[str, float]:
    """Milliseconds of a first and a later call where each byte takes ten, one way."""
    if binding.transport is Transport.UDP:
        faults: list[Any] = [DelayDatagram(number, FAR) for number in range(50)]
    else:
        faults = [Delay(FAR, after_bytes=None)]
    tap = type(binding.tap(address))(address, faults)
    async with tap, binding.connect(tap.address, timeout=30) as client:
        times = []
        for _ in range(4):
            began = time.perf_counter()
            await client.get_customer(CUSTOMER)
            times.append((time.perf_counter() - began) * 1e3)
    return {"far_first_ms": round(times[0], 1), "far_ms": round(statistics.median(times[1:]), 1)}


# ---------------------------------------------------------------- what the client is told


async def told(client: ShopClient) -> str:
    """The name of what comes out of a payment."""
    try:
        await client.update_balance(CUSTOMER, Decimal("1.00"))
    except TransportError as error:
        return type(error).__name__
    return "success"


async def told_before(binding: Binding) -> str:
    """The server is gone before the call."""
    with server_process(binding.name) as (address, process):
        async with binding.connect(address, timeout=2) as client:
            kill(process.pid)
            await asyncio.to_thread(process.wait, 10)
            return await told(client)


async def told_during(binding: Binding) -> str:
    """The server dies with the request in its hands: it was stopped before it could read."""
    with server_process(binding.name) as (address, process):
        async with binding.connect(address, timeout=2) as client:
            await client.get_customer(CUSTOMER)
            family = psutil.Process(process.pid)
            for each in [*family.children(recursive=True), family]:
                each.suspend()
            paying = asyncio.create_task(told(client))
            await asyncio.sleep(0.3)  # the request is on its way; nobody can tell us when
            kill(process.pid)
            return await paying


async def told_after(binding: Binding) -> str:
    """The server has paid, and dies before its answer has arrived."""
    with server_process(binding.name) as (address, process):
        async with binding.connect(address, timeout=20) as other, AsyncExitStack() as clients:
            before = (await other.get_customer(CUSTOMER)).balance
            async with type(binding.tap(address))(address, slow_answers(binding)) as tap:
                client = await clients.enter_async_context(binding.connect(tap.address, timeout=20))
                paying = asyncio.create_task(told(client))
                await until_paid(other, before)
                kill(process.pid)
            # With the tap the path is gone, and the answer that was still on it.
            return await paying


def slow_answers(binding: Binding) -> list[Any]:
    """Faults that keep each answer on its way for a while.

    Where no connection can be cut they lose it; all but the first, the boot number of the server.
    """
    back = Direction.SERVER_TO_CLIENT
    if binding.transport is Transport.UDP:
        return [DropDatagram(number, direction=back) for number in range(1, 99)]
    return [Delay(LATE, after_bytes=None, direction=back)]


async def until_paid(other: ShopClient, before: Decimal) -> None:
    """Wait until somebody else sees the payment.

    Raises:
        DeadlineExceeded: nobody paid.
    """
    async with Deadline.after(20).enforced():
        while (await other.get_customer(CUSTOMER)).balance == before:
            pass


def kill(pid: int) -> None:
    """Kill a server and all its processes."""
    family = psutil.Process(pid)
    for each in [*family.children(recursive=True), family]:
        each.kill()


# ---------------------------------------------------------------- lines of our code


def lines_of(binding: Binding) -> int:
    """Lines of code, without comments and docstrings, that the protocol is made of here.

    Every module of its room that its server, client and dissector lead to. What all of them share,
    the shop and the wire, is not counted, nor is what a generator has written.
    """
    seen: set[str] = set()
    todo = [module_of(part) for part in (binding.serve, binding.connect, binding.dissect)]
    while todo:
        name = todo.pop()
        if (
            name in seen
            or ".generated" in name
            or not name.startswith(tuple(f"remotecalls.{room}." for room in ROOMS))
        ):
            continue
        seen.add(name)
        todo += imports_of(name)
    return sum(code_lines(name) for name in seen)


def module_of(part: Any) -> str:
    """The module that a part of a binding comes from, also if it is imported late."""
    closure = getattr(part, "__closure__", None) or ()
    named = [cell.cell_contents for cell in closure if isinstance(cell.cell_contents, str)]
    return next((each for each in named if each.startswith("remotecalls.")), part.__module__)


def source_of(name: str) -> ast.Module | None:
    """The parsed source of a module."""
    try:
        spec = find_spec(name)
    except (ModuleNotFoundError, ValueError):
        return None
    if spec is None or spec.origin is None or not os.path.isfile(spec.origin):
        return None
    return ast.parse(Path(spec.origin).read_text())


def imports_of(name: str) -> list[str]:
    """The modules of this package that a module imports."""
    tree = source_of(name)
    found: list[str] = []
    for node in ast.walk(tree) if tree else ():
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("remotecalls."):
            found.append(str(node.module))
            found += [f"{node.module}.{alias.name}" for alias in node.names]
    return found


def code_lines(name: str) -> int:
    """Lines on which something of the program stands."""
    tree = source_of(name)
    if tree is None:
        return 0
    numbers: set[int] = set()
    for node in ast.walk(tree):
        is_text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if isinstance(node, ast.stmt) and not is_text:
            first_inside = min(
                (each.lineno for each in getattr(node, "body", []) if isinstance(each, ast.stmt)),
                default=(node.end_lineno or node.lineno) + 1,
            )
            numbers.update(range(node.lineno, first_inside))
    return len(numbers)


def table(result: dict[str, Any]) -> str:
    """The results; the first protocol is what the ratios are to."""
    rows = result["bindings"]
    base = next(iter(rows.values()))["p50_us"]
    lines = [headline(result["machine"]), ""]
    lines.append(
        f"{'':<12}{'out':>6}{'back':>6}{'turns':>6}{'p50 µs':>9}{'ratio':>7}"
        f"{'far ms':>8}{'lines':>7}  dies before, during, after"
    )
    for name, row in rows.items():
        call = row["later_call"]
        lines.append(
            f"{name:<12}{call['bytes_out']:>6}{call['bytes_back']:>6}{call['turns']:>6}"
            f"{row['p50_us']:>9,.0f}{row['p50_us'] / base:>7.1f}{row['far_ms']:>8.1f}"
            f"{row['lines']:>7,}  {', '.join(row['dies'].values())}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
