"""Every server model at 1 to 1,000 connections: rate, latency, memory, beside asyncio and uvloop.

Each server runs in processes of its own and serves the same shop. The load comes from another
process: N connections, on each of which the next call follows the answer to the one before (a
closed loop). The peers do the same work from an `asyncio.Protocol`, the leanest thing that asyncio
offers, on asyncio's loop and on uvloop's, which is written in C: the ceiling.

    python -m remotecalls bench sockets
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import multiprocessing
import resource
import selectors
import socket
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast

import psutil
from _machine import headline, machine

from remotecalls.bindings import BINDINGS
from remotecalls.process import listening_process, server_process
from remotecalls.shop import Shop
from remotecalls.shop.sample import stock
from remotecalls.sockets.answering import answer
from remotecalls.sockets.binary_protocol import BinaryCodec
from remotecalls.sockets.cgi_server import PROCESSES
from remotecalls.sockets.messages import GetCustomer
from remotecalls.wire.address import Address

RESULTS = Path(__file__).parent / "results"
CUSTOMER = 42
PEERS = ("asyncio", "uvloop")
CONNECT_SECONDS = 10.0


@dataclass(frozen=True)
class Model:
    """One way to serve, and how to call it.

    Attributes:
        name: the binding, or the peer.
        request: the bytes that ask for the customer.
        keeps: whether a connection serves more than one call.
    """

    name: str
    request: bytes
    keeps: bool = True


BINARY = BinaryCodec().encode_request(1, GetCustomer(CUSTOMER))
CGI = f"GET /cgi-bin/shop?op=get&customer_id={CUSTOMER} HTTP/1.0\r\n\r\n".encode()
MODELS = {
    model.name: model
    for model in [
        Model("cgi", CGI, keeps=False),
        *(Model(name, BINARY) for name in ("fork", "prefork", "binary", "pool")),
        *(Model(name, BINARY) for name in ("eventloop", "streams", *PEERS)),
    ]
}


def main() -> None:
    """Measure, print tables with ratios, and keep the raw numbers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=3.0, help="load per measurement (3)")
    parser.add_argument("--connections", default="1,10,100,1000", help="1,10,100,1000")
    parser.add_argument("--models", default=",".join(MODELS), help="all of them")
    parser.add_argument("--idle", type=int, default=10_000, help="idle connections held (10,000)")
    parser.add_argument("--output", type=Path, default=RESULTS / "sockets.json")
    parser.add_argument("--peer", choices=PEERS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.peer:
        serve_peer(arguments.peer)
        return
    raise_descriptor_limit()
    counts = [int(text) for text in arguments.connections.split(",")]
    servers = {}
    for name in arguments.models.split(","):
        model = MODELS[name]
        servers[name] = {
            "load": {str(count): measure_load(model, count, arguments.seconds) for count in counts},
            "memory": {str(count): measure_memory(model, count) for count in counts},
        }
        print(f"measured {name}", file=sys.stderr)
    result = {
        "machine": machine(),
        "seconds": arguments.seconds,
        "servers": servers,
        "idle": measure_idle(arguments.idle) if arguments.idle else {},
    }
    arguments.output.write_text(json.dumps(result, indent=2) + "\n")
    print(table(result))


def raise_descriptor_limit() -> None:
    """Allow this process and those it starts as many descriptors as the system grants."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


@contextmanager
def running(model: Model) -> Iterator[tuple[Address, psutil.Process]]:
    """The server in a process of its own."""
    if model.name in BINDINGS:
        with server_process(model.name) as (address, process):
            yield address, psutil.Process(process.pid)
        return
    command = [sys.executable, __file__, "--peer", model.name]
    with listening_process(model.name, command) as (address, process):
        yield address, psutil.Process(process.pid)


# ---------------------------------------------------------------- the peers


class ShopProtocol(asyncio.Protocol):
    """The binary protocol with nothing but callbacks: no stream, no task, no back-pressure."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop
        self._codec = BinaryCodec()
        self._decoder = self._codec.decoder()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop has a class of its own

    def data_received(self, data: bytes) -> None:
        """Answer at once."""
        for message in self._decoder.feed(data):
            for reply in answer(self._shop, self._codec, message):
                self._transport.write(reply)


def serve_peer(name: str) -> None:
    """Serve until killed, and log each request, as the bindings do."""
    logging.basicConfig(stream=sys.stdout, format="%(asctime)s %(message)s", level=logging.INFO)
    raise_descriptor_limit()

    async def serve() -> None:
        shop = stock(Shop())
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: ShopProtocol(shop), "127.0.0.1", 0, backlog=4096)
        host, port = server.sockets[0].getsockname()
        print(f"listening on {host}:{port}", flush=True)
        await server.serve_forever()

    if name == "uvloop":
        import uvloop

        uvloop.run(serve())
    else:
        asyncio.run(serve())


# ---------------------------------------------------------------- the load


@dataclass(frozen=True)
class Load:
    """What N connections in a closed loop saw.

    Attributes:
        calls_per_second: answers within the measured time, per second of it.
        p50_us, p99_us: from the send to the whole answer, in microseconds.
        calls: how many answers that was.
        served: how many of the connections had an answer at all.
        failed: connections that were refused, broken, or not accepted within ten seconds.
        client_share: processor time of the load generator, in parts of the measured time.
    """

    calls_per_second: float
    p50_us: float | None
    p99_us: float | None
    calls: int
    served: int
    failed: int
    client_share: float


def measure_load(model: Model, connections: int, seconds: float) -> dict[str, object]:
    """Run the load from a process of its own."""
    with running(model) as (address, _):
        load = in_process(generate, model, address, connections, seconds)
    return asdict(load)


def in_process(function: Callable[..., Load], *arguments: object) -> Load:
    """Call a function in a fresh process and give its result.

    Raises:
        TimeoutError: it took longer than two minutes.
    """
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply_async(function, arguments).get(120)


class Caller:
    """One connection of the load: send, wait for the whole answer, send again."""

    def __init__(self, model: Model, address: Address) -> None:
        self.model = model
        self.where = (address.host, address.port)
        self.calls = 0
        self.failed = False
        self.sock = self._connect()

    def _connect(self) -> socket.socket:
        sock = socket.create_connection(self.where, timeout=CONNECT_SECONDS)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setblocking(False)
        return sock

    def send(self) -> None:
        """Ask; a server that takes one call a connection gets a new one each time."""
        self.began = time.perf_counter_ns()
        self.received = 0
        self.sock.send(self.model.request)

    def receive(self, length: int) -> bool:
        """Take what has come; whether that was the end of an answer."""
        data = self.sock.recv(65_536)
        self.received += len(data)
        if self.model.keeps:
            if not data:
                raise ConnectionResetError("the server closed the connection")
            return self.received == length
        return not data


def generate(model: Model, address: Address, connections: int, seconds: float) -> Load:
    """Load the server from this process."""
    raise_descriptor_limit()
    length = answer_length(model, address)
    with selectors.DefaultSelector() as selector:
        callers, failed = [], 0
        for _ in range(connections):
            try:
                caller = Caller(model, address)
            except OSError:
                failed += 1
                if failed > 3:  # each costs ten seconds: the rest would be refused as well
                    failed = connections - len(callers)
                    break
                continue
            callers.append(caller)
            selector.register(caller.sock, selectors.EVENT_READ, caller)
        took: list[int] = []
        for caller in callers:
            caller.send()
        warm_until = time.perf_counter() + min(1.0, seconds / 4)
        turn(selector, length, warm_until, [])
        began, processor = time.perf_counter(), time.process_time()
        turn(selector, length, began + seconds, took)
        elapsed, used = time.perf_counter() - began, time.process_time() - processor
        for caller in callers:
            caller.sock.close()
    cuts = statistics.quantiles(took, n=100) if len(took) > 1 else [None] * 99
    return Load(
        calls_per_second=round(len(took) / elapsed, 1),
        p50_us=cuts[49] and round(cuts[49] / 1e3, 1),
        p99_us=cuts[98] and round(cuts[98] / 1e3, 1),
        calls=len(took),
        served=sum(caller.calls > 0 for caller in callers),
        failed=failed + sum(caller.failed for caller in callers),
        client_share=round(used / elapsed, 2),
    )


def turn(selector: selectors.BaseSelector, length: int, until: float, took: list[int]) -> None:
    """Keep every connection busy until then, and note how long each call took, in nanoseconds."""
    while (left := until - time.perf_counter()) > 0:
        for key, _ in selector.select(left):
            caller: Caller = key.data
            try:
                if not caller.receive(length):
                    continue
                took.append(time.perf_counter_ns() - caller.began)
                caller.calls += 1
                if not caller.model.keeps:
                    selector.unregister(caller.sock)
                    caller.sock.close()
                    caller.began = time.perf_counter_ns()
                    caller.sock = caller._connect()
                    selector.register(caller.sock, selectors.EVENT_READ, caller)
                caller.send()
            except OSError:
                caller.failed = True
                if caller.sock in selector.get_map():
                    selector.unregister(caller.sock)


def answer_length(model: Model, address: Address) -> int:
    """How many bytes the answer has."""
    with socket.create_connection((address.host, address.port), timeout=30) as sock:
        sock.sendall(model.request)
        if model.keeps:
            return len(sock.recv(65_536))
        while sock.recv(65_536):
            pass
        return 0


# ---------------------------------------------------------------- memory and idle connections


def memory(process: psutil.Process) -> int:
    """Bytes of the server and its children; what processes share is counted once."""
    family = [process, *process.children(recursive=True)]
    return sum(member.memory_full_info().pss for member in family)


def measure_memory(model: Model, connections: int) -> dict[str, int]:
    """What so many idle connections cost, each of them served once."""
    if not model.keeps:
        return measure_memory_of_calls(model, min(connections, PROCESSES))
    with running(model) as (address, process), holding(address, 1, model):
        before = memory(process)
        with holding(address, connections, model) as held:
            return {"connections": held, "bytes": max(0, memory(process) - before) // max(held, 1)}


def measure_memory_of_calls(model: Model, calls: int) -> dict[str, int]:
    """Where a call takes a process and no connection is kept: the most that so many calls add."""
    with running(model) as (address, process):
        answer_length(model, address)
        before, most = memory(process), 0
        socks = [socket.create_connection((address.host, address.port)) for _ in range(calls)]
        for sock in socks:
            sock.sendall(model.request)
        until = time.monotonic() + 2
        while time.monotonic() < until:
            try:
                most = max(most, memory(process) - before)
            except psutil.NoSuchProcess:
                continue
        for sock in socks:
            sock.close()
    return {"connections": calls, "bytes": most // calls}


@contextmanager
def holding(address: Address, connections: int, model: Model) -> Iterator[int]:
    """Idle connections from another process, each of which had one call; yields how many."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    holder = context.Process(target=hold, args=[theirs, address, connections, model.request])
    holder.start()
    try:
        if not ours.poll(120):
            raise TimeoutError(f"{connections} connections to {model.name} took over two minutes")
        yield ours.recv()
    finally:
        holder.kill()
        holder.join()


def hold(
    tell: multiprocessing.connection.Connection, address: Address, count: int, request: bytes
) -> None:
    """Open the connections, make a call on each, and keep them until killed."""
    raise_descriptor_limit()
    socks = []
    for _ in range(count):
        try:
            sock = socket.create_connection((address.host, address.port), timeout=2)
            sock.sendall(request)
            sock.recv(65_536)
        except OSError:
            break  # the model serves no more at once; the others would wait as well
        socks.append(sock)
    tell.send(len(socks))
    time.sleep(600)


def measure_idle(connections: int) -> dict[str, dict[str, float]]:
    """Hold idle connections on the event loops, and call over one more."""
    rows = {}
    for name in ("eventloop", "streams", *PEERS):
        model = MODELS[name]
        if model.name in BINDINGS or name in PEERS:
            with running(model) as (address, process), holding(address, 1, model):
                before = memory(process)
                with holding(address, connections, model) as held:
                    bytes_each = (memory(process) - before) // held
                    load = in_process(generate, model, address, 1, 1.0)
                rows[name] = {
                    "held": held,
                    "p50_us": load.p50_us,
                    "p99_us": load.p99_us,
                    "bytes_each": bytes_each,
                }
    return rows


# ---------------------------------------------------------------- the tables


def table(result: dict) -> str:
    """Rates with their ratio to asyncio's own protocol, latencies, and memory a connection."""
    servers = result["servers"]
    counts = list(next(iter(servers.values()))["load"])
    lines = [headline(result["machine"])]
    for title, key in [("calls/s", "calls_per_second"), ("p50 µs", "p50_us"), ("p99 µs", "p99_us")]:
        lines.append(f"\n{title:<12}" + "".join(f"{int(count):>18,}" for count in counts))
        for name, row in servers.items():
            cells = [_cell(servers, row["load"][count], key, count) for count in counts]
            lines.append(f"{name:<12}" + "".join(f"{cell:>18}" for cell in cells))
    lines.append("\nKiB a connection" + "".join(f"{int(count):>14,}" for count in counts))
    for name, row in servers.items():
        cells = [f"{held['bytes'] / 1024:,.1f}" for held in row["memory"].values()]
        lines.append(f"{name:<16}" + "".join(f"{cell:>14}" for cell in cells))
    lines.append("\nidle connections held, KiB for each, and p50 of a call over one more")
    for name, row in result["idle"].items():
        each = f"{row['bytes_each'] / 1024:.1f}"
        lines.append(f"{name:<12}{row['held']:>12,}{each:>8}{row['p50_us']:>10} µs")
    for name, row in servers.items():
        for count, load in row["load"].items():
            if load["served"] < int(count):
                lines.append(
                    f"{name}: {load['served']:,} of {int(count):,} connections were served"
                )
    return "\n".join(lines)


def _cell(servers: dict, row: dict, key: str, count: str) -> str:
    value = row[key]
    if value is None:
        return "-"
    peer = servers.get("asyncio", {}).get("load", {}).get(count, {}).get(key)
    ratio = f" ({value / peer:.2f})" if peer else ""
    return f"{value:,.0f}{ratio}"


if __name__ == "__main__":
    main()
