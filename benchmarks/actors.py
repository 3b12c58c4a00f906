"""What actors cost, beside Pykka, Thespian and Ray, in one run.

Everything goes through the public interface: each ask has a deadline of five seconds, and each
actor has a supervisor that would start it again. Pykka's actors are threads; Thespian's simple base
calls the actor in the caller's thread, its TCP base and Ray run it in another process.

A million idle actors are started in a process of their own, of which the resident memory is read;
then one of them is asked. A restart is measured from the kill to the first answer of the actor
that came in its place.

    python -m remotecalls bench actors
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import _actor_peers as peers
import psutil
from _machine import headline, machine

from remotecalls.actors import (
    ActorSystem,
    NoSuchActor,
    SupervisorSpec,
    actor,
    child,
    handler,
    state,
)

RESULTS = Path(__file__).parent / "results"
ASK_SECONDS = 5.0
BUSY_MANY = 500


@actor
class Counter:
    """The counter that everybody has here."""

    count: int = state(default=0)

    @handler("add")
    def add(self, amount: int) -> int:
        """Add, and answer."""
        self.count += amount
        return self.count


async def supervised(work: Callable[[Any], Awaitable[None]], count: int) -> float:
    """How many a second with one supervised counter."""
    async with ActorSystem() as system:
        top = await system.supervise(SupervisorSpec("top"))
        counter = await top.start_child(child(Counter, name="counter"))
        start = time.perf_counter()
        await work(counter)
        return count / (time.perf_counter() - start)


def our_asks(count: int, at_once: int) -> float:
    """Asks a second of one actor."""

    async def one_by_one(counter: Any) -> None:
        for _ in range(count):
            await counter.ask("add", 1, timeout=ASK_SECONDS)

    async def many_at_once(counter: Any) -> None:
        for _ in range(count // at_once):
            requests = [counter.send_request("add", 1, timeout=ASK_SECONDS) for _ in range(at_once)]
            for request in requests:
                await request

    return asyncio.run(supervised(one_by_one if at_once == 1 else many_at_once, count))


def our_tells(count: int) -> float:
    """Tells a second to one actor, until it has handled all."""

    async def work(counter: Any) -> None:
        for _ in range(count):
            counter.tell("add", 1)
        assert await counter.ask("add", 0, timeout=60) == count

    return asyncio.run(supervised(work, count))


def our_spawns(count: int) -> float:
    """Supervised actors a second that start."""

    async def spawn() -> float:
        async with ActorSystem() as system:
            top = await system.supervise(SupervisorSpec("top"))
            spec = child(Counter)
            start = time.perf_counter()
            for _ in range(count):
                await top.start_child(spec)
            return count / (time.perf_counter() - start)

    return asyncio.run(spawn())


def restarts(count: int) -> dict[str, float]:
    """Microseconds from a kill to the first answer of the actor that took the place."""

    async def measure() -> list[float]:
        found: list[float] = []
        async with ActorSystem() as system:
            spec = SupervisorSpec("top", (child(Counter, name="counter"),), intensity=count)
            await system.supervise(spec)
            counter = system.actor("counter")
            for _ in range(count):
                before = system.whereis("counter")
                assert before is not None
                start = time.perf_counter()
                before.kill()
                while True:
                    try:
                        await counter.ask("add", 1, timeout=ASK_SECONDS)
                        break
                    except NoSuchActor:
                        await asyncio.sleep(0)
                found.append(1e6 * (time.perf_counter() - start))
        return found

    times = sorted(asyncio.run(measure()))
    return {"p50_us": statistics.median(times), "p99_us": times[int(0.99 * len(times))]}


def idle(count: int) -> dict[str, float]:
    """Start so many supervised actors in a process of their own, and ask one."""
    command = [sys.executable, __file__, "--idle-here", str(count)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    result: dict[str, float] = json.loads(done.stdout)
    return result


def idle_here(count: int) -> dict[str, float]:
    """The same in this process."""
    process = psutil.Process()

    async def measure() -> dict[str, float]:
        async with ActorSystem(close_timeout=60) as system:
            top = await system.supervise(SupervisorSpec("top"))
            spec = child(Counter)
            before = process.memory_info().rss
            start = time.perf_counter()
            for _ in range(count - 1):
                await top.start_child(spec)
            asked = await top.start_child(spec)
            started = time.perf_counter()
            after = process.memory_info().rss
            answer = await asked.ask("add", 1, timeout=ASK_SECONDS)
            answered = time.perf_counter()
            assert answer == 1
            assert len(asyncio.all_tasks()) == 1  # this one
        return {
            "actors": count,
            "start_seconds": started - start,
            "bytes_each": (after - before) / count,
            "resident_bytes": after,
            "one_answers_us": 1e6 * (answered - started),
            "stop_seconds": time.perf_counter() - answered,
        }

    return asyncio.run(measure())


def beside(
    rounds: int,
    count: int,
    ours: Callable[[int], float],
    theirs: Callable[[int], float],
    fewer: int,
) -> dict[str, float]:
    """The best rate of each, measured in turns: the machine may change its speed.

    Args:
        rounds: how often each is measured.
        count: how many operations of ours.
        ours: measures us.
        theirs: measures Pykka.
        fewer: of theirs are done `count // fewer`, which take about as long.
    """
    pairs = [(ours(count), theirs(count // fewer)) for _ in range(rounds)]
    best = max(pair[0] for pair in pairs), max(pair[1] for pair in pairs)
    return {
        "ours_per_second": best[0],
        "pykka_per_second": best[1],
        "to_pykka": best[0] / best[1],
        "least_to_pykka": min(ours / theirs for ours, theirs in pairs),
    }


def in_other_processes(scale: int) -> dict[str, Any]:
    """The peers that have processes of their own, and take some seconds to start."""
    return {
        "thespian simpleSystemBase": peers.thespian("simpleSystemBase", scale),
        "thespian multiprocTCPBase": peers.thespian("multiprocTCPBase", max(50, scale // 20)),
        "ray": peers.ray(max(50, scale // 10)),
    }


def measure(scale: int, rounds: int, count_idle: int, *, is_short: bool) -> dict[str, Any]:
    """Measure everything.

    Args:
        scale: operations of the shortest measurement.
        rounds: how often each is measured.
        count_idle: how many idle actors.
        is_short: without the peers in other processes.
    """
    return {
        "asks": {
            "1": beside(
                rounds, 10 * scale, lambda n: our_asks(n, 1), lambda n: peers.pykka_asks(n, 1), 5
            ),
            str(BUSY_MANY): beside(
                rounds,
                5 * scale,
                lambda n: our_asks(n, BUSY_MANY),
                lambda n: peers.pykka_asks(n, BUSY_MANY),
                1,
            ),
        },
        "tells": beside(rounds, 10 * scale, our_tells, peers.pykka_tells, 1),
        "spawns": beside(rounds, 5 * scale, our_spawns, peers.pykka_spawns, 50),
        "peers": {} if is_short else in_other_processes(scale),
        "restart": restarts(max(100, scale // 20)),
        "idle": idle(count_idle),
    }


def table(result: dict[str, Any]) -> str:
    """The numbers as text."""
    rows = {
        "asks, one outstanding": result["asks"]["1"],
        f"asks, {BUSY_MANY} outstanding": result["asks"][str(BUSY_MANY)],
        "tells": result["tells"],
        "spawns": result["spawns"],
    }
    lines = [headline(result["machine"]), ""]
    for name, row in rows.items():
        lines.append(
            f"{name:<24} ours {row['ours_per_second']:>9,.0f} a second   Pykka "
            f"{row['pykka_per_second']:>9,.0f}   {row['to_pykka']:>5.1f} times "
            f"(in the worst round {row['least_to_pykka']:.1f})"
        )
    lines.append("")
    for name, row in result["peers"].items():
        words = (
            row
            if isinstance(row, str)
            else f"{row['asks_per_second']:>9,.0f} asks and {row['tells_per_second']:>9,.0f} tells"
        )
        lines.append(f"{name:<28} {words}")
    restart, idle = result["restart"], result["idle"]
    lines += [
        "",
        f"restart: {restart['p50_us']:.0f} us from the kill to the first answer (median), "
        f"{restart['p99_us']:.0f} us (99 of 100)",
        f"{idle['actors']:,} idle supervised actors: {idle['bytes_each']:.0f} bytes each, "
        f"{idle['resident_bytes'] / 2**30:.2f} GiB in all, started in "
        f"{idle['start_seconds']:.1f} s; one answers after {idle['one_answers_us']:.0f} us; "
        f"stopped in {idle['stop_seconds']:.1f} s",
    ]
    return "\n".join(lines)


def main() -> None:
    """Measure, print, and keep the raw numbers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scale", type=int, default=10_000, help="operations of the shortest part")
    parser.add_argument("--rounds", type=int, default=5, help="of which the best counts (5)")
    parser.add_argument("--idle", type=int, default=1_000_000, help="how many idle actors")
    parser.add_argument("--short", action="store_true", help="without Thespian and Ray")
    parser.add_argument("--idle-here", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--output", type=Path, default=RESULTS / "actors.json")
    arguments = parser.parse_args()
    if arguments.idle_here is not None:
        print(json.dumps(idle_here(arguments.idle_here)))
        return
    result = {"machine": machine()} | measure(
        arguments.scale, arguments.rounds, arguments.idle, is_short=arguments.short
    )
    arguments.output.write_text(json.dumps(result, indent=2) + "\n")
    print(table(result))


if __name__ == "__main__":
    main()
