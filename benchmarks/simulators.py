"""What the larger simulators cost: events a second beside a bare SimPy loop, and default runs.

A bare loop is a thousand SimPy processes that do nothing but wait for random times, in the same
run on the same machine. It is the floor under every model that is written in SimPy, before the
model does anything. Each rate is the best of several runs, since anything else on the machine can
only make a run slower.

    python -m remotecalls bench simulators
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import simpy
from _machine import headline, machine

from remotecalls import figures
from remotecalls.simulators.catalog import SIMULATORS

RESULTS = Path(__file__).parent / "results"
COUNTED = ("metastable",)
"""The simulators whose results say how many events they went through."""

PROCESSES = 1_000


def bare_loop(events: int) -> int:
    """Run so many events of SimPy that do nothing, and return their number."""
    env = simpy.Environment()
    rng = random.Random(1)
    done = 0

    def wait() -> Generator[simpy.Event, Any, None]:
        nonlocal done
        while True:
            yield env.timeout(rng.randint(1, 1_000))
            done += 1

    for _ in range(PROCESSES):
        env.process(wait())
    while done < events:
        env.step()
    return done


def best_seconds(action: Callable[[], object], runs: int) -> float:
    """Return how long an action takes when nothing disturbs it."""
    found = []
    for _ in range(runs):
        start = time.perf_counter()
        action()
        found.append(time.perf_counter() - start)
    return min(found)


def measure(runs: int) -> dict[str, Any]:
    """Measure each simulator right after a bare loop: the machine may change its speed."""
    rows: dict[str, Any] = {}
    for name in COUNTED:
        simulator = SIMULATORS[name]
        preset = simulator.presets[0]
        result = simulator.run(preset.parameters, preset.seed)
        bare = best_seconds(lambda result=result: bare_loop(result.events), runs)
        seconds = best_seconds(
            lambda simulator=simulator, preset=preset: simulator.run(
                preset.parameters, preset.seed
            ),
            runs,
        )
        shown = best_seconds(
            lambda name=name, result=result: figures.draw(name, result, result.end_us), runs
        )
        rows[name] = {
            "events": result.events,
            "run_ms": 1_000 * seconds,
            "draw_ms": 1_000 * shown,
            "events_per_second": result.events / seconds,
            "bare_simpy_events_per_second": result.events / bare,
            "to_bare_simpy": bare / seconds,
        }
    return rows


def table(result: dict[str, Any]) -> str:
    """The numbers as text."""
    lines = [headline(result["machine"]), ""]
    for name, row in result["simulators"].items():
        lines.append(
            f"{name}: {row['events']:,} events in {row['run_ms']:.0f} ms, drawn in "
            f"{row['draw_ms']:.1f} ms; {row['events_per_second']:,.0f} events a second, "
            f"{row['to_bare_simpy']:.2f} of a bare SimPy loop's "
            f"{row['bare_simpy_events_per_second']:,.0f}"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure, print, and keep the raw numbers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=7, help="of which the best counts (7)")
    parser.add_argument("--output", type=Path, default=RESULTS / "simulators.json")
    arguments = parser.parse_args()
    result = {"machine": machine(), "simulators": measure(arguments.runs)}
    arguments.output.write_text(json.dumps(result, indent=2) + "\n")
    print(table(result))


if __name__ == "__main__":
    main()
