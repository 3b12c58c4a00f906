"""Reads from the shop over HTTP, beside a bare FastAPI that says hello.

Each service runs in a process of its own, on the same uvicorn, and so does the load: N connections,
on each of which the next request follows the answer to the one before (a closed loop). The shop's
service checks request and answer against its contract, names the request, knows the caller, counts
against a limit, makes an entity tag, and reads from SQLite. The bare one returns a dictionary.

    python -m remotecalls bench rest
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil
from _machine import headline, machine

from remotecalls.process import listening_process
from remotecalls.wire.address import Address

RESULTS = Path(__file__).parent / "results"
PEER = "fastapi"
HEAD = "GET {path} HTTP/1.1\r\nHost: shop\r\nAuthorization: Bearer demo\r\nAccept: {accept}\r\n"
XML = "<getCustomer><customer_id>42</customer_id></getCustomer>"
READS = {
    PEER: HEAD.format(path="/hello", accept="application/json") + "\r\n",
    "bare route": HEAD.format(path="/hello", accept="application/json") + "\r\n",
    "rest": HEAD.format(path="/customers/42", accept="application/json") + "\r\n",
    "not modified": HEAD.format(path="/customers/42", accept="application/json")
    + "If-None-Match: {tag}\r\n\r\n",
    "hypermedia": HEAD.format(path="/customers/42", accept="application/prs.hal-forms+json")
    + "\r\n",
    "resources": HEAD.format(path="/customers/42", accept="application/json") + "\r\n",
    "pox": "POST /shop HTTP/1.1\r\nHost: shop\r\nContent-Type: application/xml\r\n"
    f"Content-Length: {len(XML)}\r\n\r\n{XML}",
}
SERVICES = {"not modified": "rest", "hypermedia": "rest"}


def main() -> None:
    """Measure, print a table with ratios, and keep the raw numbers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=3.0, help="load per measurement (3)")
    parser.add_argument("--rounds", type=int, default=3, help="all services, one after another (3)")
    parser.add_argument("--connections", default="1,10,100", help="1,10,100")
    parser.add_argument("--output", type=Path, default=RESULTS / "rest.json")
    parser.add_argument("--serve", choices=sorted({*READS} - {*SERVICES}), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        asyncio.run(serve(arguments.serve))
        return
    counts = [int(text) for text in arguments.connections.split(",")]
    reads: dict[str, Any] = {name: {"load": {str(n): [] for n in counts}} for name in READS}
    # Round after round, so that a change in the machine's speed meets all of them.
    for _ in range(arguments.rounds):
        for name, read in reads.items():
            with running(SERVICES.get(name, name)) as (address, process):
                for count in counts:
                    load = in_process(address, READS[name], count, arguments.seconds)
                    read["load"][str(count)].append(asdict(load))
                read["memory_mib"] = round(process.memory_info().rss / 2**20, 1)
            print(f"measured {name}", file=sys.stderr)
    for read in reads.values():
        read["load"] = {count: middle(loads) for count, loads in read["load"].items()}
    result = {"machine": machine(), "seconds": arguments.seconds, "reads": reads}
    arguments.output.write_text(json.dumps(result, indent=2) + "\n")
    print(table(result))


def middle(loads: list[dict[str, Any]]) -> dict[str, Any]:
    """The round whose rate is the median."""
    return sorted(loads, key=lambda load: load["calls_per_second"])[len(loads) // 2]


# ---------------------------------------------------------------- the services


async def serve(name: str) -> None:
    """Serve until killed."""
    from remotecalls.rest import application, http_server, pox, resources
    from remotecalls.shop import Shop
    from remotecalls.shop.sample import stock
    from remotecalls.shop.sqlite import SQLiteRepository

    shop = stock(Shop(SQLiteRepository()))
    service = {
        PEER: lambda: http_server.running(bare()),
        "bare route": lambda: http_server.running(bare_route()),
        "rest": lambda: http_server.running(application.create_app(shop)),
        "resources": lambda: resources.serve(shop),
        "pox": lambda: pox.serve(shop),
    }[name]()
    async with service as server:
        print(f"listening on {server.address}", flush=True)
        await asyncio.Event().wait()


def bare() -> Any:
    """What a tutorial of the framework begins with."""
    from fastapi import FastAPI

    app = FastAPI()

    @app.get("/hello")
    async def hello() -> dict[str, str]:
        return {"hello": "world"}

    return app


def bare_route() -> Any:
    """The same without what the framework does to the parameters and the result of a function."""
    from fastapi import FastAPI, Request
    from fastapi.responses import JSONResponse, Response

    app = FastAPI()

    async def hello(request: Request) -> Response:
        return JSONResponse({"hello": "world"})

    app.add_route("/hello", hello)
    return app


@contextmanager
def running(name: str) -> Iterator[tuple[Address, psutil.Process]]:
    """A service in a process of its own."""
    command = [sys.executable, __file__, "--serve", name]
    with listening_process(name, command) as (address, process):
        yield address, psutil.Process(process.pid)


# ---------------------------------------------------------------- the load


@dataclass(frozen=True)
class Load:
    """What N connections in a closed loop saw.

    Attributes:
        calls_per_second: whole answers, per second of the measured time.
        p50_us, p99_us, p999_us: from the send to the whole answer, in microseconds.
        calls: how many answers that was.
        answer_bytes: of one answer, head included.
    """

    calls_per_second: float
    p50_us: float
    p99_us: float
    p999_us: float
    calls: int
    answer_bytes: int


def in_process(address: Address, read: str, connections: int, seconds: float) -> Load:
    """Run the load from a process of its own."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        return pool.apply_async(generate, [address, read, connections, seconds]).get(60 + seconds)


def generate(address: Address, read: str, connections: int, seconds: float) -> Load:
    """Ask on so many connections for so long."""
    return asyncio.run(_generate(address, read, connections, seconds))


async def _generate(address: Address, read: str, connections: int, seconds: float) -> Load:
    tag = await current_tag(address) if "{tag}" in read else ""
    request = read.replace("{tag}", tag).encode()
    times: list[int] = []
    sizes: list[int] = []
    begin = time.perf_counter() + 0.3  # the first answers of a fresh process are not counted
    end = begin + seconds

    async def ask() -> None:
        reader, writer = await asyncio.open_connection(address.host, address.port)
        while (sent := time.perf_counter()) < end:
            writer.write(request)
            size = await whole_answer(reader)
            if sent >= begin:
                times.append(int((time.perf_counter() - sent) * 1e6))
                sizes.append(size)
        writer.close()

    async with asyncio.timeout(30 + seconds), asyncio.TaskGroup() as tasks:
        for _ in range(connections):
            tasks.create_task(ask())
    times.sort()
    at = [times[min(int(len(times) * part), len(times) - 1)] for part in (0.5, 0.99, 0.999)]
    return Load(round(len(times) / seconds, 1), *at, len(times), max(sizes))


async def whole_answer(reader: asyncio.StreamReader) -> int:
    """Read one answer; its length in bytes."""
    head = await reader.readuntil(b"\r\n\r\n")
    status = int(head[9:12])
    if status not in (200, 304):
        raise RuntimeError(f"the service answered {head[:40]!r}")
    if status == 304:
        return len(head)
    _, _, rest = head.lower().partition(b"\r\ncontent-length:")
    length = int(rest.partition(b"\r\n")[0])
    await reader.readexactly(length)
    return len(head) + length


async def current_tag(address: Address) -> str:
    """The entity tag of what will be asked for."""
    reader, writer = await asyncio.open_connection(address.host, address.port)
    writer.write(READS["rest"].encode())
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    writer.close()
    return head.lower().partition("\r\netag: ")[2].partition("\r\n")[0]


def table(result: dict[str, Any]) -> str:
    """The results, with the ratio to the peer in the same run."""
    lines = [headline(result["machine"])]
    counts = list(result["reads"][PEER]["load"])
    for count in counts:
        lines.append(f"\n{count} connections")
        lines.append(f"{'':<14}{'calls/s':>9}{'of bare':>9}{'p50':>8}{'p99':>8}{'p99.9':>8} µs")
        peer = result["reads"][PEER]["load"][count]["calls_per_second"]
        for name, read in result["reads"].items():
            load = read["load"][count]
            ratio = load["calls_per_second"] / peer
            lines.append(
                f"{name:<14}{load['calls_per_second']:>9,.0f}{ratio:>8.0%} "
                f"{load['p50_us']:>8,}{load['p99_us']:>8,}{load['p999_us']:>8,}"
            )
    lines.append("\nMemory of the process afterwards")
    lines += [f"{name:<14}{read['memory_mib']:>7} MiB" for name, read in result["reads"].items()]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
