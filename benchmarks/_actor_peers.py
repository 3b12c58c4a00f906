"""The same counter on other actor libraries, for `actors.py`.

Each peer is used as its documentation shows: a deadline of five seconds on each ask.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pykka

ASK_SECONDS = 5.0
CLONE_NEWNET = 0x40000000
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 0x1


class PykkaCounter(pykka.ThreadingActor):
    """A counter as an actor with a thread of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def on_receive(self, message: int) -> int:
        """Add, and answer."""
        self.count += message
        return self.count


def rate(count: int, work: Callable[[], object]) -> float:
    """How many a second."""
    start = time.perf_counter()
    work()
    return count / (time.perf_counter() - start)


def pykka_asks(count: int, at_once: int) -> float:
    """Asks a second of one actor."""
    counter = PykkaCounter.start()

    def one_by_one() -> None:
        for _ in range(count):
            counter.ask(1, timeout=ASK_SECONDS)

    def many_at_once() -> None:
        for _ in range(count // at_once):
            for future in [counter.ask(1, block=False) for _ in range(at_once)]:
                future.get(timeout=ASK_SECONDS)

    try:
        return rate(count, one_by_one if at_once == 1 else many_at_once)
    finally:
        counter.stop()


def pykka_tells(count: int) -> float:
    """Tells a second to one actor, until it has handled all."""
    counter = PykkaCounter.start()

    def work() -> None:
        for _ in range(count):
            counter.tell(1)
        counter.ask(0, timeout=60)

    try:
        return rate(count, work)
    finally:
        counter.stop()


def pykka_spawns(count: int) -> float:
    """Actors a second that start, and run beside each other."""
    try:
        return rate(count, lambda: [PykkaCounter.start() for _ in range(count)])
    finally:
        pykka.ActorRegistry.stop_all()


def thespian(base: str, count: int) -> dict[str, float]:
    """Asks and tells a second on one of Thespian's system bases, in a process of its own."""
    return _apart("thespian", base, str(count))


def ray(count: int) -> dict[str, float] | str:
    """Asks and tells a second on Ray, or why it was not measured.

    Ray listens on every interface of the machine. It is therefore run in a network namespace that
    has none but the loopback, which takes root.
    """
    if os.geteuid() != 0:
        return "not measured: needs root for a network of its own"
    return _apart("ray", str(count))


def _apart(*arguments: str) -> dict[str, float]:
    command = [sys.executable, __file__, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(arguments)} failed:\n{done.stderr[-2000:]}")
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def _measure_thespian(base: str, count: int) -> dict[str, float]:
    # Imported where it is used, as the libraries below: each has a process of its own.
    from _thespian_counter import ThespianCounter
    from thespian.actors import ActorSystem

    options = {"Admin Port": _free_port()} if base == "multiprocTCPBase" else None
    system = ActorSystem(base, capabilities=options, logDefs={"version": 1})
    try:
        counter = system.createActor(ThespianCounter)

        def asks() -> None:
            for _ in range(count):
                system.ask(counter, 1, ASK_SECONDS)

        def tells() -> None:
            for _ in range(count):
                system.tell(counter, 0)
            system.ask(counter, 1, ASK_SECONDS)

        system.ask(counter, 1, ASK_SECONDS)
        return {"asks_per_second": rate(count, asks), "tells_per_second": rate(count, tells)}
    finally:
        system.shutdown()


def _measure_ray(count: int) -> dict[str, float]:
    import ray

    _only_loopback()
    ray.init(num_cpus=1, include_dashboard=False, _node_ip_address="127.0.0.1", log_to_driver=False)

    @ray.remote(max_restarts=-1)
    class RayCounter:
        def __init__(self) -> None:
            self.count = 0

        def add(self, amount: int) -> int:
            self.count += amount
            return self.count

    counter = RayCounter.remote()
    ray.get(counter.add.remote(1))

    def asks() -> None:
        for _ in range(count):
            ray.get(counter.add.remote(1), timeout=ASK_SECONDS)

    def tells() -> None:
        for _ in range(count):
            counter.add.remote(1)
        ray.get(counter.add.remote(0), timeout=60)

    try:
        return {"asks_per_second": rate(count, asks), "tells_per_second": rate(count, tells)}
    finally:
        ray.shutdown()


def _only_loopback() -> None:
    """Leave the machine's network for one that has a loopback interface alone."""
    library = ctypes.CDLL(None, use_errno=True)
    if library.unshare(CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "unshare: no network of its own to be had")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as opened:
        name = struct.pack("16sH14s", b"lo", 0, b"")
        flags = struct.unpack("16sH14s", fcntl.ioctl(opened, SIOCGIFFLAGS, name))[1]
        fcntl.ioctl(opened, SIOCSIFFLAGS, struct.pack("16sH14s", b"lo", flags | IFF_UP, b""))


def _free_port() -> int:
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        port: int = opened.getsockname()[1]
        return port


def _main(arguments: list[str]) -> dict[str, Any]:
    if arguments[0] == "thespian":
        return _measure_thespian(arguments[1], int(arguments[2]))
    return _measure_ray(int(arguments[1]))


if __name__ == "__main__":
    print(json.dumps(_main(sys.argv[1:])))
