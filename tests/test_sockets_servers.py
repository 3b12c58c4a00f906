"""The server models: what each of them survives, and what holds it up.

That each serves the shop is shown by the conformance suite in test_bindings.py.
"""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from decimal import Decimal
from pathlib import Path

import psutil
import pytest

from remotecalls.bindings import BINDINGS
from remotecalls.process import server_process
from remotecalls.shop import Order, Shop
from remotecalls.shop.sample import stock
from remotecalls.shop.sqlite import SQLiteRepository
from remotecalls.sockets import eventloop, fork, pool, prefork
from remotecalls.sockets.binary_protocol import BinaryCodec
from remotecalls.sockets.messages import GetCustomer, StreamOrders
from remotecalls.sockets.process_server import ProcessServer
from remotecalls.wire.address import Address
from remotecalls.wire.errors import DeadlineExceeded

GET = BinaryCodec().encode_request(1, GetCustomer(42))
STREAM = BinaryCodec().encode_request(1, StreamOrders(7))
ANSWER_BYTES = 35


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    """The sample shop in a file, with orders enough to fill every buffer on the way."""
    with SQLiteRepository(tmp_path / "shop.db") as repository:
        shop = stock(Shop(repository))
        with repository.transaction():
            for number in range(3, 20_000):
                repository.add_order(Order(number, 7, "n" * 30, 1, Decimal("0.01")))
        yield shop


def dial(address: Address) -> socket.socket:
    return socket.create_connection((address.host, address.port), timeout=10)


def ask(sock: socket.socket) -> bytes:
    sock.sendall(GET)
    return sock.recv(1_024)


@contextmanager
def deaf_clients(address: Address, count: int) -> Iterator[None]:
    """Clients that ask for twenty thousand orders and read none."""
    with ExitStack() as stack:
        for _ in range(count):
            sock = stack.enter_context(socket.socket())
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            sock.settimeout(10)
            sock.connect((address.host, address.port))
            sock.sendall(STREAM * 3)
        yield


def until(condition: Callable[[], bool], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)


# ---------------------------------------------------------------- the event loop

HOLD = """
import resource, socket, sys
host, port, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
resource.setrlimit(resource.RLIMIT_NOFILE, (count + 100, count + 100))
held = [socket.create_connection((host, port), 10) for _ in range(count)]
print(len(held), flush=True)
sys.stdin.read()
"""


def test_the_event_loop_holds_two_thousand_idle_connections_and_answers() -> None:
    count = 2_000
    with server_process("eventloop") as (address, process):
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (count + 100, count + 100))
        command = [sys.executable, "-c", HOLD, address.host, str(address.port), str(count)]
        with subprocess.Popen(command, stdin=-1, stdout=-1, text=True) as holder:
            try:
                assert holder.stdout is not None
                assert holder.stdout.readline() == f"{count}\n"
                until(lambda: psutil.Process(process.pid).num_fds() > count)
                with dial(address) as sock:
                    assert len(ask(sock)) == ANSWER_BYTES
            finally:
                holder.kill()


def test_without_descriptors_the_event_loop_waits_and_does_not_spin() -> None:
    with server_process("eventloop") as (address, process), ExitStack() as stack:
        server = psutil.Process(process.pid)
        served = [stack.enter_context(dial(address)) for _ in range(5)]
        assert [len(ask(sock)) for sock in served] == [ANSWER_BYTES] * 5
        limit = server.num_fds()
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (limit, limit))
        waiting = stack.enter_context(dial(address))  # the kernel lets it in, accept() cannot
        waiting.sendall(GET)
        waiting.settimeout(1.0)
        busy = server.cpu_times()
        with pytest.raises(TimeoutError):
            waiting.recv(1_024)
        after = server.cpu_times()
        assert (after.user + after.system) - (busy.user + busy.system) < 0.3
        assert len(ask(served[0])) == ANSWER_BYTES  # those who are in are served
        served[1].close()
        waiting.settimeout(5)
        assert len(waiting.recv(1_024)) == ANSWER_BYTES


async def test_the_event_loop_closes_what_has_been_silent(
    monkeypatch: pytest.MonkeyPatch, shop: Shop
) -> None:
    monkeypatch.setattr(eventloop, "IDLE_SECONDS", 0.3)
    async with eventloop.serve(shop) as server:
        with dial(server.address) as silent, dial(server.address) as half:
            half.sendall(GET[:5])
            assert await asyncio.to_thread(silent.recv, 1) == b""
            assert await asyncio.to_thread(half.recv, 1) == b""


def test_readers_who_have_stopped_cost_the_event_loop_a_bounded_buffer(shop: Shop) -> None:
    with (
        server_process("eventloop", "--database", str(shop.repository.path)) as (address, process),
        dial(address) as sock,
    ):
        ask(sock)
        before = psutil.Process(process.pid).memory_info().rss
        with deaf_clients(address, 40):
            # Unbounded, each would be owed three times 1.5 MB.
            end = time.monotonic() + 2
            while time.monotonic() < end:
                assert len(ask(sock)) == ANSWER_BYTES
            grown = psutil.Process(process.pid).memory_info().rss - before
        assert grown < 20_000_000, f"{grown:,} bytes for 40 readers"


# ---------------------------------------------------------------- the pool of threads


async def test_idle_clients_do_not_hold_the_threads_of_the_pool(shop: Shop) -> None:
    async with pool.serve(shop) as server:
        with ExitStack() as stack:
            idle = [stack.enter_context(dial(server.address)) for _ in range(3 * pool.THREADS)]
            for sock in idle:
                sock.sendall(GET[:5] if sock.fileno() % 2 else GET)
            async with pool.connect(server.address, timeout=5) as client:
                assert (await client.get_customer(42)).name == "Ada Lovelace"


@pytest.mark.parametrize("clients", [pool.THREADS - 1, pool.THREADS])
async def test_readers_who_have_stopped_hold_one_thread_each(
    monkeypatch: pytest.MonkeyPatch, shop: Shop, clients: int
) -> None:
    monkeypatch.setattr(pool, "SEND_SECONDS", 2.0)
    async with pool.serve(shop) as server:
        with deaf_clients(server.address, clients):
            await asyncio.sleep(0.5)  # until each of them has filled its buffers
            async with pool.connect(server.address, timeout=0.4) as client:
                if clients < pool.THREADS:
                    assert (await client.get_customer(42)).name == "Ada Lovelace"
                else:
                    with pytest.raises(DeadlineExceeded):
                        await client.get_customer(42)
            async with pool.connect(server.address, timeout=60) as client:
                # The time-out of a send gives the threads back. Each order is a send, and a kernel
                # that packs a full buffer closer lets another few through: it may take some.
                assert (await client.get_customer(42)).name == "Ada Lovelace"


# ---------------------------------------------------------------- processes


def test_a_shop_in_memory_cannot_be_shared_by_processes() -> None:
    for binding in (each for each in BINDINGS.values() if each.shares_file):
        with pytest.raises(ValueError, match="give it an SQLiteRepository with a file"):
            asyncio.run(enter(binding.serve(stock(Shop()))))


async def enter(manager: object) -> None:
    async with manager:
        pass


@contextmanager
def processes(parent: str, shop: Shop, *options: str) -> Iterator[ProcessServer]:
    server = ProcessServer(parent, shop, "127.0.0.1", 0, *options)
    try:
        yield server
    finally:
        server.stop()


def children_of(server: ProcessServer) -> set[int]:
    return {child.pid for child in psutil.Process(server.pid).children()}


def test_each_connection_has_a_process_and_none_is_left(shop: Shop) -> None:
    with processes(fork.PARENT, shop) as server:
        with ExitStack() as stack:
            socks = [stack.enter_context(dial(server.address)) for _ in range(10)]
            for sock in socks:
                assert len(ask(sock)) == ANSWER_BYTES
            assert len(children_of(server)) == 10
        until(lambda: not children_of(server))  # a zombie would be among them


def test_a_child_that_crashes_takes_one_client_with_it(shop: Shop) -> None:
    with processes(fork.PARENT, shop) as server, dial(server.address) as first:
        ask(first)
        (victim,) = children_of(server)
        with dial(server.address) as second:
            ask(second)
            os.kill(victim, signal.SIGKILL)
            assert first.recv(1) == b""
            assert len(ask(second)) == ANSWER_BYTES


def test_a_child_that_dies_is_replaced(shop: Shop) -> None:
    with processes(prefork.PARENT, shop) as server:
        before = children_of(server)
        assert len(before) == 2
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        until(lambda: len(children_of(server)) == 2 and not children_of(server) & before)
        with dial(server.address) as sock:
            assert len(ask(sock)) == ANSWER_BYTES


def test_a_child_retires_after_its_connections(shop: Shop) -> None:
    with processes(prefork.PARENT, shop, "3") as server:
        seen = children_of(server)
        for _ in range(20):
            with dial(server.address) as sock:
                assert len(ask(sock)) == ANSWER_BYTES
            seen |= children_of(server)
        assert len(seen) >= 20 // 3


def test_children_are_added_while_all_are_busy_and_let_go_afterwards(shop: Shop) -> None:
    with processes(prefork.PARENT, shop) as server:
        with ExitStack() as stack:
            for _ in range(20):
                assert len(ask(stack.enter_context(dial(server.address)))) == ANSWER_BYTES
            assert len(children_of(server)) >= 20
        until(lambda: len(children_of(server)) <= 8)


@pytest.mark.parametrize("name", ["fork", "prefork"])
def test_no_process_outlives_a_server_that_is_killed(name: str) -> None:
    with server_process(name) as (address, process), dial(address) as sock:
        ask(sock)
        family = psutil.Process(process.pid).children(recursive=True)
        assert len(family) >= 2
        process.kill()
        gone, alive = psutil.wait_procs(family, timeout=10)
        assert not alive
        assert len(gone) == len(family)


@pytest.mark.skipif(sys.platform != "linux", reason="prctl(2) is Linux's")
@pytest.mark.parametrize("parent", [fork.PARENT, prefork.PARENT])
def test_no_child_outlives_its_parent(parent: str, shop: Shop) -> None:
    server = ProcessServer(parent, shop, "127.0.0.1", 0)
    try:
        with dial(server.address) as sock:
            ask(sock)
            children = psutil.Process(server.pid).children()
            os.kill(server.pid, signal.SIGKILL)
            _, alive = psutil.wait_procs(children, timeout=10)
            assert not alive
    finally:
        server.stop()


def test_what_children_log_reaches_the_log_of_the_program(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO), processes(fork.PARENT, shop) as server:
        with dial(server.address) as sock:
            ask(sock)
        until(lambda: "GetCustomer(customer_id=42)" in caplog.messages)


def test_a_module_that_cannot_start_is_reported(shop: Shop) -> None:
    with pytest.raises(RuntimeError, match=r"remotecalls\.nosuch did not start"):
        ProcessServer("remotecalls.nosuch", shop, "127.0.0.1", 0)
