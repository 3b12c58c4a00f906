"""What simulators cost, beside peers: a bare SimPy loop, the simulator ciw, and formulas.

A bare loop is a thousand SimPy processes that do nothing but wait for random times, in the same
run on the same machine. It is the floor under every model that is written in SimPy, before the
model does anything. Each rate is the best of several runs, since anything else on the machine can
only make a run slower.

Queues are measured next to ciw, a simulator of queueing networks: the same
M/M/3 in both, customers a second and the mean wait that each finds, next to Erlang's. Then what the
simulation finds near the limit, and how far the approximation of Allen and Cunneen is from it.

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

import ciw
import simpy
from _machine import headline, machine

from remotecalls import figures
from remotecalls.simulators.capacity import (
    ServiceTime,
    deterministic,
    erlang,
    exponential,
    hyperexponential,
    lognormal,
    mgc_mean_wait,
    mmc_mean_wait,
    simulate,
)
from remotecalls.simulators.catalog import SIMULATORS

RESULTS = Path(__file__).parent / "results"
COUNTED = ("metastable", "autoscaling")
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


def beside_bare_loop(run: Callable[[], int], runs: int) -> dict[str, float]:
    """Measure a model beside a bare loop of as many events, which runs right before it.

    Args:
        run: runs the model once and returns how many events that took.
        runs: of which the best counts, of either.
    """
    events = run()
    bare = best_seconds(lambda: bare_loop(events), runs)
    seconds = best_seconds(run, runs)
    return {
        "events": events,
        "run_ms": 1_000 * seconds,
        "events_per_second": events / seconds,
        "bare_simpy_events_per_second": events / bare,
        "to_bare_simpy": bare / seconds,
    }


def measure(runs: int) -> dict[str, Any]:
    """Measure each simulator right after a bare loop: the machine may change its speed."""
    rows: dict[str, Any] = {}
    for name in COUNTED:
        simulator = SIMULATORS[name]
        preset = simulator.presets[0]
        result = simulator.run(preset.parameters, preset.seed)
        shown = best_seconds(
            lambda name=name, result=result: figures.draw(name, result, result.end_us), runs
        )
        rows[name] = beside_bare_loop(
            lambda simulator=simulator, preset=preset: (
                simulator.run(preset.parameters, preset.seed).events
            ),
            runs,
        ) | {"draw_ms": 1_000 * shown}
    return rows


# ---------------------------------------------------------------- queues

MEAN_US = 10_000
PEER_SERVERS, PEER_BUSY = 3, 0.8


def queues(runs: int) -> dict[str, Any]:
    """Measure the queue beside ciw, near the limit, and beside Allen and Cunneen."""
    return {
        "peer": beside_ciw(20_000 * runs),
        "near_the_limit": [near_the_limit(busy, 400_000 * runs) for busy in (0.9, 0.95)],
        "allen_cunneen": [
            # With many servers few wait, and it takes more customers to measure them.
            beside_allen_cunneen(service, servers, (600_000 if servers == 20 else 200_000) * runs)
            for service in (
                deterministic(MEAN_US),
                erlang(MEAN_US, 2),
                hyperexponential(MEAN_US, 4),
                lognormal(MEAN_US, 4),
            )
            for servers in (2, 5, 20)
        ],
    }


def beside_ciw(customers: int) -> dict[str, Any]:
    """The same queue in ciw and in ours, with the same number of customers, one after the other."""
    gap_us = MEAN_US / PEER_SERVERS / PEER_BUSY
    start = time.perf_counter()
    ours = simulate(
        servers=PEER_SERVERS, mean_gap_us=gap_us, service=exponential(MEAN_US),
        customers=customers, seed=1,
    )  # fmt: skip
    ours_seconds = time.perf_counter() - start
    row: dict[str, Any] = {
        "servers": PEER_SERVERS,
        "utilization": PEER_BUSY,
        "customers": customers,
        "formula_ms": mmc_mean_wait(1 / gap_us, MEAN_US, PEER_SERVERS) / 1_000,
        "ours": {
            "customers_per_second": customers / ours_seconds,
            "mean_wait_ms": ours.mean_wait_us / 1_000,
            "half_width_ms": ours.half_width_us / 1_000,
        },
        "ciw": in_ciw(gap_us, customers),
    }
    row["to_ciw"] = customers / ours_seconds / row["ciw"]["customers_per_second"]
    return row


def in_ciw(gap_us: float, customers: int) -> dict[str, float]:
    """Run the queue in ciw; its time is in milliseconds, and its first tenth is not counted."""
    network = ciw.create_network(
        arrival_distributions=[ciw.dists.Exponential(rate=1_000 / gap_us)],
        service_distributions=[ciw.dists.Exponential(rate=1_000 / MEAN_US)],
        number_of_servers=[PEER_SERVERS],
    )
    ciw.seed(1)
    start = time.perf_counter()
    simulation = ciw.Simulation(network)
    simulation.simulate_until_max_customers(customers, method="Finish")
    records = simulation.get_all_records()
    waits = [each.waiting_time for each in sorted(records, key=lambda each: each.arrival_date)]
    seconds = time.perf_counter() - start
    counted = waits[customers // 10 : customers]
    return {
        "customers_per_second": customers / seconds,
        "mean_wait_ms": sum(counted) / len(counted),
    }


def near_the_limit(busy: float, customers: int) -> dict[str, float]:
    """The mean wait of M/M/3 as measured, with its 99 % interval, and as Erlang says."""
    gap_us = MEAN_US / PEER_SERVERS / busy
    found = simulate(
        servers=PEER_SERVERS, mean_gap_us=gap_us, service=exponential(MEAN_US),
        customers=customers, seed=1, percents=(),
    )  # fmt: skip
    return {
        "utilization": busy,
        "customers": customers,
        "formula_ms": mmc_mean_wait(1 / gap_us, MEAN_US, PEER_SERVERS) / 1_000,
        "mean_wait_ms": found.mean_wait_us / 1_000,
        "half_width_ms": found.half_width_us / 1_000,
    }


def beside_allen_cunneen(service: ServiceTime, servers: int, customers: int) -> dict[str, Any]:
    """How far the approximation is from what is measured, at a utilization of 0.8."""
    gap_us = MEAN_US / servers / PEER_BUSY
    found = simulate(
        servers=servers, mean_gap_us=gap_us, service=service, customers=customers, seed=1,
        percents=(),
    )  # fmt: skip
    formula_us = mgc_mean_wait(1 / gap_us, MEAN_US, servers, service.cv_squared)
    return {
        "work": service.kind,
        "cv_squared": service.cv_squared,
        "servers": servers,
        "utilization": PEER_BUSY,
        "customers": customers,
        "formula_ms": formula_us / 1_000,
        "mean_wait_ms": found.mean_wait_us / 1_000,
        "half_width_percent": 100 * found.half_width_us / found.mean_wait_us,
        "formula_off_percent": 100 * (formula_us / found.mean_wait_us - 1),
    }


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
    return "\n".join([*lines, "", *queue_lines(result["queues"])])


def queue_lines(result: dict[str, Any]) -> list[str]:
    """The part of the table that is about queues."""
    peer = result["peer"]
    ours, theirs = peer["ours"], peer["ciw"]
    lines = [
        f"M/M/{peer['servers']} at {peer['utilization']:.0%}, {peer['customers']:,} customers; "
        f"mean wait by the formula {peer['formula_ms']:.2f} ms",
        f"  ours {ours['customers_per_second']:>9,.0f} customers a second, mean wait "
        f"{ours['mean_wait_ms']:.2f} ± {ours['half_width_ms']:.2f} ms",
        f"  ciw  {theirs['customers_per_second']:>9,.0f} customers a second, mean wait "
        f"{theirs['mean_wait_ms']:.2f} ms; ours is {peer['to_ciw']:.0f} times as fast",
    ]
    lines += [
        f"  at {row['utilization']:.0%}: {row['mean_wait_ms']:.2f} ± {row['half_width_ms']:.2f} "
        f"ms of {row['customers']:,}; formula {row['formula_ms']:.2f} ms"
        for row in result["near_the_limit"]
    ]
    lines.append("\nM/G/c by Allen and Cunneen next to what is measured")
    lines += [
        f"  {row['work']:<16} cv² {row['cv_squared']:<4g} {row['servers']:>3} servers "
        f"{row['mean_wait_ms']:>7.2f} ms ± {row['half_width_percent']:>4.1f} %   formula "
        f"{row['formula_ms']:>7.2f} ms, {row['formula_off_percent']:+.1f} %"
        for row in result["allen_cunneen"]
    ]
    return lines


def main() -> None:
    """Measure, print, and keep the raw numbers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=7, help="of which the best counts (7)")
    parser.add_argument("--output", type=Path, default=RESULTS / "simulators.json")
    arguments = parser.parse_args()
    result = {
        "machine": machine(),
        "simulators": measure(arguments.runs),
        "queues": queues(arguments.runs),
    }
    arguments.output.write_text(json.dumps(result, indent=2) + "\n")
    print(table(result))


if __name__ == "__main__":
    main()
