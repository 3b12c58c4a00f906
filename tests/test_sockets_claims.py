"""What the articles claim of this chapter's subjects, measured.

The numbers of the ledger come from these tests and from the benchmarks; here stands what holds on
any machine.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).parents[1]
PEERS = Path(__file__).parent / "peer_programs"
SOCKETS = json.loads((ROOT / "benchmarks/results/sockets.json").read_text())["servers"]


# ---------------------------------------------------------------- a size that is wrong, in C


def overrun(directory: Path, size: int) -> subprocess.CompletedProcess[str]:
    """Compile the program with AddressSanitizer, and give recv() this size."""
    if shutil.which("cc") is None:
        install = "needs a C compiler: apt-get install gcc libc6-dev"
        pytest.fail(install) if os.environ.get("CI") else pytest.skip(install)
    program = directory / "overrun"
    command = ["cc", "-g", "-fsanitize=address", "-o", program, PEERS / "overrun.c"]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    return subprocess.run([program, str(size)], capture_output=True, text=True, timeout=20)


def test_a_size_above_the_buffer_s_overruns_memory_in_c(tmp_path: Path) -> None:
    right = overrun(tmp_path, 8)
    assert right.returncode == 0
    assert right.stdout == "received 8 bytes into a buffer of 8\n"
    wrong = overrun(tmp_path, 64)
    assert wrong.returncode != 0
    assert "heap-buffer-overflow" in wrong.stderr
    assert "WRITE of size" in wrong.stderr
    assert "overrun.c:15" in wrong.stderr  # the line with recv()


# ---------------------------------------------------------------- threads and processes


def do_nothing() -> None:
    """Be started, and end."""


def seconds_to_start(start: Callable[[], object], times: int) -> float:
    began = time.perf_counter()
    for _ in range(times):
        start()
    return (time.perf_counter() - began) / times


def start_thread() -> None:
    thread = threading.Thread(target=do_nothing)
    thread.start()
    thread.join()


FORK = """
import gc, os, sys, time
gc.freeze()
began = time.perf_counter()
for _ in range(200):
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
print((time.perf_counter() - began) / 200)
"""


def test_a_thread_starts_sooner_than_a_process() -> None:
    thread = seconds_to_start(start_thread, 200)
    done = subprocess.run(
        [sys.executable, "-c", FORK], capture_output=True, text=True, check=True, timeout=60
    )
    forked = float(done.stdout)
    context = multiprocessing.get_context("spawn")

    def start_process() -> None:
        process = context.Process(target=do_nothing)
        process.start()
        process.join(30)

    spawned = seconds_to_start(start_process, 3)
    assert thread < forked < spawned


def test_a_thread_weighs_less_than_a_process() -> None:
    per_thread = SOCKETS["binary"]["memory"]["1000"]["bytes"]
    per_process = SOCKETS["fork"]["memory"]["1000"]["bytes"]
    assert per_thread < per_process / 10
    # And here: fifty threads that wait, against one interpreter that does nothing.
    process = psutil.Process()
    before, release = process.memory_info().rss, threading.Event()
    threads = [threading.Thread(target=release.wait) for _ in range(50)]
    for thread in threads:
        thread.start()
    grown = (process.memory_info().rss - before) / 50
    release.set()
    for thread in threads:
        thread.join()
    command = [sys.executable, "-c", "import sys; print('up', flush=True); sys.stdin.read()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"up\n"
        alone = psutil.Process(child.pid).memory_full_info().uss
        child.communicate()
    assert grown < alone / 10


# ---------------------------------------------------------------- server models, from the results


def rate(name: str, connections: int) -> float:
    return float(SOCKETS[name]["load"][str(connections)]["calls_per_second"])


def test_a_process_for_each_request_is_the_slowest_of_all() -> None:
    for connections in (1, 10, 100):
        others = [name for name in SOCKETS if name != "cgi"]
        assert min(rate(name, connections) for name in others) > 20 * rate("cgi", connections)


def test_the_event_loop_serves_a_thousand_and_the_pool_of_processes_does_not() -> None:
    thousand = {name: row["load"]["1000"] for name, row in SOCKETS.items()}
    assert thousand["eventloop"]["served"] == 1_000
    assert thousand["eventloop"]["failed"] == 0
    assert thousand["prefork"]["served"] <= 150
    assert thousand["eventloop"]["p99_us"] < thousand["binary"]["p99_us"]
    assert rate("eventloop", 1_000) > rate("binary", 1_000)


def test_at_one_connection_the_model_hardly_matters() -> None:
    # All but CGI lie within a factor of three: what differs is who waits, not how fast one call is.
    models = ["fork", "prefork", "binary", "pool", "eventloop", "streams"]
    rates = [rate(name, 1) for name in models]
    assert max(rates) < 3 * min(rates)


def test_ten_thousand_idle_connections_were_held() -> None:
    idle = json.loads((ROOT / "benchmarks/results/sockets.json").read_text())["idle"]
    assert idle["eventloop"]["held"] == 10_000
    assert idle["eventloop"]["p50_us"] < 5_000


# ---------------------------------------------------------------- a counter that is shared


class Counter:
    """A counter; how its methods read and write it is what the tests are about."""

    def __init__(self) -> None:
        self.value = 0
        self.lock = threading.Lock()
        self.both_have_read = threading.Barrier(2)

    def increment(self) -> None:
        """Read, and write one more, while another thread does the same."""
        seen = self.value
        self.both_have_read.wait(5)
        self.value = seen + 1

    def get(self) -> int:
        """Synchronized."""
        with self.lock:
            return self.value

    def set(self, value: int) -> None:
        """Synchronized."""
        with self.lock:
            self.value = value

    def increment_synchronized(self) -> None:
        """Synchronized."""
        with self.lock:
            self.value += 1


def in_two_threads(action: Callable[[], object]) -> None:
    threads = [threading.Thread(target=action) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)


def test_without_a_lock_an_update_is_lost() -> None:
    counter = Counter()
    in_two_threads(counter.increment)
    assert counter.value == 1


def test_synchronized_increments_are_all_counted() -> None:
    counter = Counter()

    def count() -> None:
        for _ in range(5_000):
            counter.increment_synchronized()

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        in_two_threads(count)
    finally:
        sys.setswitchinterval(before)
    assert counter.get() == 10_000


def test_two_synchronized_methods_in_a_row_still_lose_an_update() -> None:
    counter = Counter()

    def increment_in_two_steps() -> None:
        seen = counter.get()
        counter.both_have_read.wait(5)
        counter.set(seen + 1)

    in_two_threads(increment_in_two_steps)
    assert counter.value == 1


# ---------------------------------------------------------------- time that the kernel takes


def test_nagle_and_delayed_acknowledgment_wait_for_each_other() -> None:
    def exchange(no_delay: int) -> float:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            sock = socket.create_connection(listener.getsockname(), timeout=5)
            peer, _ = listener.accept()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, no_delay)

        def answer() -> None:
            received = 0
            while data := peer.recv(100):
                received += len(data)
                if received % 10 == 0:
                    peer.sendall(b"ok")

        thread = threading.Thread(target=answer)
        thread.start()
        times = []
        for _ in range(7):
            began = time.perf_counter()
            sock.sendall(b"head")
            sock.sendall(b"body__")
            assert sock.recv(2) == b"ok"
            times.append(time.perf_counter() - began)
        sock.close()
        thread.join(5)
        peer.close()
        return sorted(times)[3]

    assert exchange(no_delay=0) > 0.02 > exchange(no_delay=1)
