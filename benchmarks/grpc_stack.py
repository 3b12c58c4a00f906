"""The shop over gRPC beside a bare grpcio echo; one list in three stacks; what a proxy costs.

The file is not called `grpc`, because a script's own directory comes first where Python looks for
modules, and everything here would import it in place of the library.

* Reads: each server runs in a process of its own, and so does the load, which keeps N calls in
  progress on one channel. The shop's server validates the request by the rules in its proto, puts
  faults into rich statuses, counts its calls in progress and reads from SQLite. The bare one sends
  back the bytes that it got.
* Lists: the same orders as JSON over HTTP/1.1 (uvicorn), as JSON over HTTP/2 (hypercorn) and as
  Protocol Buffers over gRPC. Both ends encode and decode anew for each call.
* Hops: one call after another, directly, through one Envoy, and through two, in turns.

    python -m remotecalls bench grpc_stack
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import statistics
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import httpx
import psutil
from _machine import headline, machine
from google.protobuf import descriptor_pb2, descriptor_pool
from google.protobuf.message_factory import GetMessageClass

from remotecalls.envoy import running_envoy
from remotecalls.grpc.envoy_config import LISTENER, layer_7
from remotecalls.grpc.generated.shop.v1 import shop_pb2, shop_pb2_grpc
from remotecalls.grpc.messages import order_message
from remotecalls.grpc.settings import ChannelSettings
from remotecalls.process import listening_process
from remotecalls.shop import Order
from remotecalls.wire.address import Address
from remotecalls.wire.recording import Direction
from remotecalls.wire.tap import Tap

RESULTS = Path(__file__).parent / "results"
PEER = "grpcio echo"
READS = (PEER, "shop")
LISTS = ("JSON over HTTP/1.1", "JSON over HTTP/2", "protobuf over gRPC")
ECHO = "/bench.Echo/Echo"
ORDERS = "/bench.Lists/Orders"
ASK = shop_pb2.GetCustomerRequest(customer_id=42)
LARGE = ChannelSettings(largest_response=10_000_000)


def main() -> None:
    """Measure, print tables with ratios, and keep the raw numbers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=3.0, help="load per measurement (3)")
    parser.add_argument("--rounds", type=int, default=3, help="both servers, in turns (3)")
    parser.add_argument("--at-once", default="1,10,100", help="calls in progress: 1,10,100")
    parser.add_argument("--sizes", default="1,100,10000", help="orders in a list: 1,100,10000")
    parser.add_argument("--hop-calls", type=int, default=1_000, help="calls per path (1,000)")
    parser.add_argument("--output", type=Path, default=RESULTS / "grpc_stack.json")
    parser.add_argument("--serve", choices=[*READS, *LISTS], help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        asyncio.run(serve(arguments.serve))
        return
    counts = [int(text) for text in arguments.at_once.split(",")]
    result = {
        "machine": machine(),
        "seconds": arguments.seconds,
        "reads": reads(counts, arguments.rounds, arguments.seconds),
        "lists": lists([int(text) for text in arguments.sizes.split(",")], arguments.seconds),
        "hops": asyncio.run(hops(arguments.hop_calls)),
    }
    arguments.output.write_text(json.dumps(result, indent=2) + "\n")
    print(table(result))


# ---------------------------------------------------------------- the servers


async def serve(name: str) -> None:
    """Serve until killed."""
    servers: dict[str, Callable[[], Any]] = {
        PEER: bare,
        "shop": shop,
        LISTS[0]: json_over_http_1,
        LISTS[1]: json_over_http_2,
        LISTS[2]: lists_over_grpc,
    }
    async with servers[name]() as address:
        print(f"listening on {address}", flush=True)
        await asyncio.Event().wait()


@asynccontextmanager
async def bare() -> AsyncIterator[Address]:
    """grpcio's asynchronous server, and a method that gives back what it gets."""

    async def echo(request: bytes, context: Any) -> bytes:
        return request

    async with raw_server(ECHO, echo) as address:
        yield address


@asynccontextmanager
async def raw_server(method: str, answer: Any) -> AsyncIterator[Address]:
    """A server with one method of bytes."""
    _, service, name = method.split("/")
    handler = grpc.unary_unary_rpc_method_handler(answer)
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler(service, {name: handler})]
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield Address("127.0.0.1", port)
    finally:
        await server.stop(0)


@asynccontextmanager
async def shop() -> AsyncIterator[Address]:
    """The service of the book, on SQLite in memory."""
    from remotecalls.grpc import server
    from remotecalls.shop import Shop
    from remotecalls.shop.sample import stock
    from remotecalls.shop.sqlite import SQLiteRepository

    async with server.serve(stock(Shop(SQLiteRepository()))) as running:
        yield running.address


def orders(count: int) -> list[Order]:
    """So many orders, none like another."""
    return [
        Order(number, 42, f"part no. {number}", number % 9 + 1, Decimal(number * 7 + 1).scaleb(-2))
        for number in range(1, count + 1)
    ]


def as_document(order: Order) -> dict[str, Any]:
    """An order for JSON, in the units of the proto."""
    return {
        "order_id": order.order_id,
        "customer_id": order.customer_id,
        "item": order.item,
        "quantity": order.quantity,
        "unit_price_cents": int(order.unit_price.scaleb(2)),
    }


def json_application() -> Any:
    """Lists of orders as JSON."""
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

    known: dict[int, list[Order]] = {}

    async def answer(request: Request) -> Response:
        count = request.path_params["count"]
        found = known.setdefault(count, orders(count) if count not in known else [])
        body = json.dumps([as_document(each) for each in found], separators=(",", ":"))
        return Response(body, media_type="application/json")

    return Starlette(routes=[Route("/orders/{count:int}", answer)])


@asynccontextmanager
async def json_over_http_1() -> AsyncIterator[Address]:
    """On uvicorn."""
    from remotecalls.rest import http_server

    async with http_server.running(json_application()) as server:
        yield server.address


@asynccontextmanager
async def json_over_http_2() -> AsyncIterator[Address]:
    """On hypercorn, which takes HTTP/2 from a client that begins with it."""
    import socket

    from hypercorn.asyncio import serve as hypercorn_serve
    from hypercorn.config import Config

    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = Config()
        config.bind = [f"fd://{listener.fileno()}"]
        config.loglevel = "WARNING"
        stop = asyncio.Event()
        running = asyncio.create_task(
            hypercorn_serve(json_application(), config, shutdown_trigger=stop.wait)
        )
        try:
            yield Address(*listener.getsockname()[:2])
        finally:
            stop.set()
            await running


def list_message() -> Any:
    """`message Orders { repeated shop.v1.Order orders = 1; }`, which the shop itself has no use for."""  # noqa: E501
    file = descriptor_pb2.FileDescriptorProto(
        name="bench/orders.proto",
        package="bench",
        syntax="proto3",
        dependency=[shop_pb2.DESCRIPTOR.name],
    )
    field = file.message_type.add(name="Orders").field.add(name="orders", number=1)
    field.type, field.label = field.TYPE_MESSAGE, field.LABEL_REPEATED
    field.type_name = ".shop.v1.Order"
    pool = descriptor_pool.Default()
    pool.AddSerializedFile(file.SerializeToString())
    return GetMessageClass(pool.FindMessageTypeByName("bench.Orders"))


@asynccontextmanager
async def lists_over_grpc() -> AsyncIterator[Address]:
    """On grpcio."""
    message = list_message()
    known: dict[int, list[Order]] = {}

    async def answer(request: bytes, context: Any) -> bytes:
        count = shop_pb2.GetCustomerRequest.FromString(request).customer_id
        found = known.setdefault(count, orders(count) if count not in known else [])
        return bytes(message(orders=[order_message(each) for each in found]).SerializeToString())

    async with raw_server(ORDERS, answer) as address:
        yield address


@contextmanager
def running(name: str) -> Iterator[tuple[Address, psutil.Process]]:
    """A server in a process of its own."""
    command = [sys.executable, __file__, "--serve", name]
    with listening_process(name, command) as (address, process):
        yield address, psutil.Process(process.pid)


# ---------------------------------------------------------------- reads


@dataclass(frozen=True)
class Load:
    """What came of keeping N calls in progress.

    Attributes:
        calls_per_second: answers, per second of the measured time.
        p50_us, p99_us, p999_us: of one call, in microseconds.
        calls: how many answers that was.
    """

    calls_per_second: float
    p50_us: float
    p99_us: float
    p999_us: float
    calls: int


def reads(counts: list[int], rounds: int, seconds: float) -> dict[str, Any]:
    """Both servers under load, in turns; of the rounds the one whose rate is the median."""
    found: dict[str, Any] = {name: {"load": {str(n): [] for n in counts}} for name in READS}
    for _ in range(rounds):
        for name in READS:
            with running(name) as (address, process):
                for count in counts:
                    load = in_process(generate, address, name, count, seconds)
                    found[name]["load"][str(count)].append(asdict(load))
                found[name]["memory_mib"] = round(process.memory_info().rss / 2**20, 1)
            print(f"measured {name}", file=sys.stderr)
    for read in found.values():
        for count, loads in read["load"].items():
            ordered = sorted(loads, key=lambda load: load["calls_per_second"])
            read["load"][count] = ordered[len(ordered) // 2]
    return found


def in_process(function: Callable[..., Any], *arguments: Any) -> Any:
    """Run a function in a process of its own, with a deadline."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply_async(function, arguments).get(120)


def generate(address: Address, name: str, at_once: int, seconds: float) -> Load:
    """Keep so many calls in progress for so long."""
    return asyncio.run(_generate(address, name, at_once, seconds))


async def _generate(address: Address, name: str, at_once: int, seconds: float) -> Load:
    times: list[int] = []
    begin = time.perf_counter() + 0.3  # the first answers of a fresh process are not counted
    end = begin + seconds
    async with grpc.aio.insecure_channel(str(address), options=LARGE.options()) as channel:
        call = read_of(name, channel)

        async def ask() -> None:
            while (sent := time.perf_counter()) < end:
                await call()
                if sent >= begin:
                    times.append(int((time.perf_counter() - sent) * 1e6))

        async with asyncio.timeout(60 + seconds), asyncio.TaskGroup() as tasks:
            for _ in range(at_once):
                tasks.create_task(ask())
    times.sort()
    at = [times[min(int(len(times) * part), len(times) - 1)] for part in (0.5, 0.99, 0.999)]
    return Load(round(len(times) / seconds, 1), *at, len(times))


def read_of(name: str, channel: grpc.aio.Channel) -> Callable[[], Awaitable[Any]]:
    """A function that makes one call."""
    if name == PEER:
        echo = channel.unary_unary(ECHO)
        request = ASK.SerializeToString()
        return lambda: echo(request, timeout=5)
    stub = shop_pb2_grpc.ShopServiceStub(channel)
    return lambda: stub.GetCustomer(ASK, timeout=5)


# ---------------------------------------------------------------- lists


def lists(sizes: list[int], seconds: float) -> dict[str, Any]:
    """Each stack with each size: bytes of the answer, time and processor time of a call."""
    found: dict[str, Any] = {name: {} for name in LISTS}
    for name in LISTS:
        with running(name) as (address, process):
            for size in sizes:
                row = in_process(fetch, address, name, size, seconds, process.pid)
                found[name][str(size)] = row | {
                    "bytes_back": asyncio.run(bytes_back(name, address, size))
                }
        print(f"measured {name}", file=sys.stderr)
    return found


@asynccontextmanager
async def fetcher(name: str, address: Address) -> AsyncIterator[Callable[[int], Awaitable[int]]]:
    """A function that fetches a list, decodes it, and adds the quantities up."""
    if name == LISTS[2]:
        message = list_message()
        async with grpc.aio.insecure_channel(str(address), options=LARGE.options()) as channel:
            call = channel.unary_unary(ORDERS, response_deserializer=message.FromString)

            async def fetch_messages(count: int) -> int:
                request = shop_pb2.GetCustomerRequest(customer_id=count).SerializeToString()
                return sum(order.quantity for order in (await call(request, timeout=30)).orders)

            yield fetch_messages
        return
    second = name == LISTS[1]
    async with httpx.AsyncClient(http1=not second, http2=second, timeout=30) as client:

        async def fetch_json(count: int) -> int:
            answer = await client.get(f"http://{address}/orders/{count}")
            return sum(order["quantity"] for order in answer.json())

        yield fetch_json


def fetch(address: Address, name: str, size: int, seconds: float, server: int) -> dict[str, float]:
    """Fetch one list after another for so long."""
    return asyncio.run(_fetch(address, name, size, seconds, psutil.Process(server)))


async def _fetch(
    address: Address, name: str, size: int, seconds: float, server: psutil.Process
) -> dict[str, float]:
    expected = sum(order.quantity for order in orders(size))
    took: list[float] = []
    async with fetcher(name, address) as call:
        for _ in range(3):
            await call(size)
        client, other = time.process_time(), server.cpu_times()
        end = time.perf_counter() + seconds
        while time.perf_counter() < end or len(took) < 3:
            began = time.perf_counter()
            if await call(size) != expected:
                raise RuntimeError(f"{name} lost something of {size} orders")
            took.append(time.perf_counter() - began)
        client = time.process_time() - client
        spent = server.cpu_times()
    used = spent.user + spent.system - other.user - other.system
    return {
        "p50_us": round(statistics.median(took) * 1e6, 1),
        "client_cpu_us": round(client / len(took) * 1e6, 1),
        "server_cpu_us": round(used / len(took) * 1e6, 1),
        "calls": len(took),
    }


async def bytes_back(name: str, address: Address, size: int) -> int:
    """Bytes of the second answer on a connection, heads and frames included."""
    async with Tap(address, record_limit=100_000_000) as tap, fetcher(name, tap.address) as call:
        await call(size)
        first = tap.recording.sent.bytes_sent(Direction.SERVER_TO_CLIENT)
        await call(size)
        return tap.recording.sent.bytes_sent(Direction.SERVER_TO_CLIENT) - first


# ---------------------------------------------------------------- hops


async def hops(calls: int) -> dict[str, dict[str, float]]:
    """The same call directly, through one Envoy, and through two, a hundred at a time in turns."""
    took: dict[str, list[float]] = {"direct": [], "one Envoy": [], "two Envoys": []}
    async with AsyncExitStack() as stack:
        address, _ = stack.enter_context(running("shop"))
        near = await stack.enter_async_context(running_envoy(layer_7([address])))
        far = await stack.enter_async_context(running_envoy(layer_7([near.address(LISTENER)])))
        paths = zip(took, [address, near.address(LISTENER), far.address(LISTENER)], strict=True)
        stubs = {}
        for name, place in paths:
            channel = grpc.aio.insecure_channel(str(place), options=LARGE.options())
            stubs[name] = shop_pb2_grpc.ShopServiceStub(await stack.enter_async_context(channel))
            await stubs[name].GetCustomer(ASK, timeout=5)
        while len(took["direct"]) < calls:
            for name, stub in stubs.items():
                for _ in range(min(100, calls)):
                    began = time.perf_counter()
                    await stub.GetCustomer(ASK, timeout=5)
                    took[name].append((time.perf_counter() - began) * 1e6)
    return {
        name: {
            "p50_us": round(statistics.median(times), 1),
            "p99_us": round(statistics.quantiles(times, n=100)[98], 1),
        }
        for name, times in took.items()
    }


# ---------------------------------------------------------------- the table


def table(result: dict[str, Any]) -> str:
    """The results, with the ratios to the peers in the same run."""
    lines = [headline(result["machine"])]
    for count, peer in result["reads"][PEER]["load"].items():
        lines.append(f"\nReads, {count} in progress")
        lines.append(f"{'':<20}{'calls/s':>9}{'of bare':>9}{'p50':>8}{'p99':>8}{'p99.9':>8} µs")
        for name, read in result["reads"].items():
            load = read["load"][count]
            ratio = load["calls_per_second"] / peer["calls_per_second"]
            lines.append(
                f"{name:<20}{load['calls_per_second']:>9,.0f}{ratio:>9.0%}"
                f"{load['p50_us']:>8,}{load['p99_us']:>8,}{load['p999_us']:>8,}"
            )
    lines.append("\nMemory of the process afterwards")
    lines += [f"{name:<20}{read['memory_mib']:>9} MiB" for name, read in result["reads"].items()]
    for size, base in result["lists"][LISTS[0]].items():
        lines.append(f"\nA list of {int(size):,}")
        lines.append(f"{'':<20}{'bytes':>11}{'p50':>11}{'client':>11}{'server':>11} µs")
        for name, rows in result["lists"].items():
            row = rows[size]
            lines.append(
                f"{name:<20}{row['bytes_back']:>11,}{row['p50_us']:>11,.0f}"
                f"{row['client_cpu_us']:>11,.0f}{row['server_cpu_us']:>11,.0f}"
                f"{row['bytes_back'] / base['bytes_back']:>8.0%} of the bytes"
            )
    lines.append("\nHops")
    direct = result["hops"]["direct"]["p50_us"]
    for name, hop in result["hops"].items():
        more = hop["p50_us"] - direct
        lines.append(
            f"{name:<20}p50 {hop['p50_us']:>8,.0f}  p99 {hop['p99_us']:>8,.0f}  +{more:,.0f} µs"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
