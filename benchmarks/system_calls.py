"""System calls that each server model makes for a call, and what a call costs without any.

`strace` (Debian's package of that name) counts the calls of the server and of all its children and
threads, while a client makes calls on one open connection, and again while each call takes a
connection of its own. The second part sends a message back and forth between two processes: over a
loopback socket, and through memory that both share, where nobody asks the kernel for anything.

    python -m remotecalls bench system_calls
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path

import psutil
from _machine import headline, machine
from sockets import MODELS, Model, answer_length, running

from remotecalls.wire.address import Address

RESULTS = Path(__file__).parent / "results"
ROUND_TRIP_BYTES = 13  # the size of a request in the binary protocol


def main() -> None:
    """Count, measure, print, and keep the raw numbers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, default=200, help="calls counted per server (200)")
    parser.add_argument("--models", default=",".join(MODELS), help="all of them")
    parser.add_argument("--round-trips", type=int, default=20_000, help="20,000")
    parser.add_argument("--output", type=Path, default=RESULTS / "system_calls.json")
    arguments = parser.parse_args()
    if shutil.which("strace") is None:
        sys.exit("strace is missing. Install it with: apt-get install strace")
    servers = {}
    for name in arguments.models.split(","):
        model = MODELS[name]
        servers[name] = {"connection": count(model, arguments.calls, one_connection_each)}
        if model.keeps:
            servers[name]["call"] = count(model, arguments.calls, one_connection)
    result = {
        "machine": machine(),
        "calls": arguments.calls,
        "servers": servers,
        "round_trip": {
            "loopback": round_trips(over_socket, arguments.round_trips),
            "shared memory": round_trips(over_memory, arguments.round_trips),
        },
    }
    arguments.output.write_text(json.dumps(result, indent=2) + "\n")
    print(table(result))


# ---------------------------------------------------------------- counting

Client = Callable[[Model, Address, int], None]


def one_connection(model: Model, address: Address, calls: int) -> None:
    """Make all calls on one connection; the first is made before anything is counted."""
    with socket.create_connection((address.host, address.port), timeout=30) as sock:
        for _ in range(calls):
            sock.sendall(model.request)
            sock.recv(65_536)


def one_connection_each(model: Model, address: Address, calls: int) -> None:
    """Make each call on a connection of its own."""
    for _ in range(calls):
        answer_length(model, address)


def count(model: Model, calls: int, client: Client) -> dict[str, float]:
    """System calls of the server for one call of the client, by name."""
    if not model.keeps:
        calls = max(1, calls // 20)  # a process for each: thousands of system calls
    with running(model) as (address, process):
        client(model, address, 2)
        with traced(process) as counts:
            client(model, address, calls)
            time.sleep(0.2)  # what follows a connection's end is part of its cost
    return {name: round(number / calls, 2) for name, number in counts.items()}


@contextmanager
def traced(process: psutil.Process) -> Iterator[dict[str, int]]:
    """Count the system calls of a process and its children; the dictionary is filled at the end."""
    counts: dict[str, int] = {}
    family = [process, *process.children(recursive=True)]
    with tempfile.NamedTemporaryFile() as table:
        command = ["strace", "-f", "-c", "-o", table.name]
        command += [argument for member in family for argument in ("-p", str(member.pid))]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as strace:
            assert strace.stderr is not None
            for _ in family:  # "strace: Process 123 attached"
                line = strace.stderr.readline()
                if "attached" not in line:
                    raise RuntimeError(f"strace could not attach: {line.strip()}")
            try:
                yield counts
            finally:
                strace.send_signal(signal.SIGINT)
                strace.wait(30)
        for line in Path(table.name).read_text().splitlines()[2:]:
            columns = line.split()
            if len(columns) >= 5 and columns[3].isdigit() and columns[-1] != "total":
                counts[columns[-1]] = int(columns[3])


# ---------------------------------------------------------------- without the kernel


def round_trips(way: Callable[[int], tuple[list[int], dict[str, int]]], number: int) -> dict:
    """Latency of one round trip, in microseconds, and the system calls of the side that answers."""
    took, calls = way(number)
    cuts = statistics.quantiles(took, n=100)
    return {
        "least_us": round(min(took) / 1e3, 2),
        "p50_us": round(cuts[49] / 1e3, 2),
        "p99_us": round(cuts[98] / 1e3, 2),
        "system_calls": round(sum(calls.values()) / number, 3),
    }


def over_socket(number: int) -> tuple[list[int], dict[str, int]]:
    """Two processes, a loopback connection."""
    context = multiprocessing.get_context("spawn")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        echo = context.Process(target=echo_socket, args=[listener.getsockname()])
        echo.start()
        connection, _ = listener.accept()
    with connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        message = bytes(ROUND_TRIP_BYTES)

        def once() -> None:
            connection.sendall(message)
            connection.recv(ROUND_TRIP_BYTES)

        result = timed_and_traced(once, number, echo.pid)
    echo.join(10)
    return result


def echo_socket(where: tuple[str, int]) -> None:
    """Send back what comes, until it ends."""
    with socket.create_connection(where) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while data := sock.recv(ROUND_TRIP_BYTES):
            sock.sendall(data)


# One slot each way: the first byte counts messages, the message follows it.
TO, FRO, STOP = 0, 64, 128


def over_memory(number: int) -> tuple[list[int], dict[str, int]]:
    """Two processes, one page of memory, and both look at it without rest."""
    context = multiprocessing.get_context("spawn")
    memory = SharedMemory(create=True, size=256)
    try:
        echo = context.Process(target=echo_memory, args=[memory.name])
        echo.start()
        view = memory.buf
        message = bytes(ROUND_TRIP_BYTES)
        turn = 0

        def once() -> None:
            nonlocal turn
            turn = (turn + 1) % 256
            view[TO + 1 : TO + 1 + ROUND_TRIP_BYTES] = message
            view[TO] = turn
            while view[FRO] != turn:
                pass
            bytes(view[FRO + 1 : FRO + 1 + ROUND_TRIP_BYTES])

        result = timed_and_traced(once, number, echo.pid)
        view[STOP] = 1
        echo.join(10)
    finally:
        memory.close()
        memory.unlink()
    return result


def echo_memory(name: str) -> None:
    """Send back what comes, until told to stop."""
    memory = SharedMemory(name)
    view = memory.buf
    turn = 0
    while not view[STOP]:
        if view[TO] != turn:
            turn = view[TO]
            view[FRO + 1 : FRO + 1 + ROUND_TRIP_BYTES] = view[TO + 1 : TO + 1 + ROUND_TRIP_BYTES]
            view[FRO] = turn
    del view
    memory.close()


def timed_and_traced(
    once: Callable[[], None], number: int, echo_pid: int | None
) -> tuple[list[int], dict[str, int]]:
    """Time each round trip; then make as many again while the other side is traced."""
    for _ in range(number // 10 + 1):
        once()
    took = []
    for _ in range(number):
        before = time.perf_counter_ns()
        once()
        took.append(time.perf_counter_ns() - before)
    with traced(psutil.Process(echo_pid)) as counts:
        for _ in range(number):
            once()
    return took, counts


# ---------------------------------------------------------------- the table


def table(result: dict) -> str:
    """Totals with the calls made most often, and the two ways without a shop."""
    lines = [
        headline(result["machine"]),
        f"{'system calls of the server':<28}{'per call':>10}{'per connection with one call':>31}",
    ]
    for name, row in result["servers"].items():
        call = f"{sum(row['call'].values()):.1f}" if "call" in row else "-"
        lines.append(f"{name:<28}{call:>10}{sum(row['connection'].values()):>31.1f}")
    base = result["round_trip"]["loopback"]["p50_us"]
    lines.append(f"\n{ROUND_TRIP_BYTES} bytes there and back")
    for name, row in result["round_trip"].items():
        lines.append(
            f"{name:<28}p50 {row['p50_us']:>8} µs ({row['p50_us'] / base:.2f})"
            f"   {row['system_calls']:>6} system calls a round trip"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
