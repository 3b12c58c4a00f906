"""Experiments with many runs of `metastable`: what comes back, where the border is, what it hides.

Each is a plain function of parameters and seeds. Those that make many runs take a `map` function,
so that a lab can give them a pool of processes.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from remotecalls.simulators.metastable.model import run
from remotecalls.simulators.metastable.parameters import (
    CONSTANT,
    SPIKE,
    MetastableParameters,
)
from remotecalls.simulators.metastable.result import (
    HEALTHY_PERCENT,
    SECOND_US,
    MetastableResult,
)
from remotecalls.simulators.parameters import ParameterError

OVERLOADED, STUCK, IMPAIRED, RECOVERED = "overloaded", "stuck", "impaired", "recovered"
OUTCOMES = {
    OVERLOADED: "overloaded: not well even without a trigger",
    STUCK: "stuck: well before the trigger, and not after it",
    IMPAIRED: "impaired: some are answered after it, not all",
    RECOVERED: "recovered",
}


def outcome(parameters: MetastableParameters, seed: int) -> str:
    """Return what becomes of it in the end: a key of `OUTCOMES`."""
    return outcome_of(run(parameters, seed))


def outcome_of(result: MetastableResult) -> str:
    """Return what became of a run in the end: a key of `OUTCOMES`.

    Whether it is overloaded is asked of the same service without its trigger.
    """
    if result.last_percent >= HEALTHY_PERCENT:
        return RECOVERED
    quiet = run(without_trigger(result.parameters), result.seed)
    if quiet.last_percent < HEALTHY_PERCENT:
        return OVERLOADED
    return STUCK if result.is_stuck else IMPAIRED


def without_trigger(parameters: MetastableParameters) -> MetastableParameters:
    """Return the same service on a morning on which nothing happens."""
    return replace(parameters, pattern=CONSTANT, slow_percent=100)


@dataclass(frozen=True)
class Remedy:
    """How a remedy did over several seeds.

    Attributes:
        recovered: in how many of the runs all was well at the end.
        runs: how many there were.
        median_s: how long after the trigger all was well, half of those that recovered; None if
            none did.
        amplification: tries to a first try after the trigger, the median of all runs.
    """

    recovered: int
    runs: int
    median_s: int | None
    amplification: float


def try_remedy(
    parameters: MetastableParameters, changes: dict[str, Any], seeds: Sequence[int]
) -> Remedy:
    """Run with some fields changed.

    Raises:
        ParameterError: a value is out of range.
        TypeError: there is no such field.
    """
    results = [run(replace(parameters, **changes), seed) for seed in seeds]
    times = sorted(
        result.recovered_us // SECOND_US for result in results if result.recovered_us is not None
    )
    factors = sorted(result.after().amplification or 0.0 for result in results)
    return Remedy(
        recovered=len(times),
        runs=len(results),
        median_s=times[(len(times) - 1) // 2] if times else None,
        amplification=factors[(len(factors) - 1) // 2],
    )


def tipping_point(
    parameters: MetastableParameters, name: str, low: int, high: int, seeds: Sequence[int]
) -> int:
    """Return the least value of a field at which most runs do not recover, by bisection.

    The runs of one seed have the same requests at every value, which makes the border sharp.

    Args:
        parameters: the rest.
        name: the field.
        low: a value at which most runs recover.
        high: a larger one at which most do not.
        seeds: an odd number of them, so that there is a majority.

    Raises:
        ValueError: `low` does not recover, or `high` does.
    """

    def tips(value: int) -> bool:
        changes: dict[str, Any] = {name: value}
        changed = replace(parameters, **changes)
        lost = sum(run(changed, seed).last_percent < HEALTHY_PERCENT for seed in seeds)
        return 2 * lost > len(seeds)

    if tips(low):
        raise ValueError(f"{name}={low} does not recover; choose a lower end that does")
    if not tips(high):
        raise ValueError(f"{name}={high} recovers; choose an upper end that does not")
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if tips(middle) else (middle, high)
    return high


Map = Callable[[Callable[..., Any], Iterable[Any], Iterable[Any]], Iterable[Any]]


def phase_diagram(
    parameters: MetastableParameters,
    rates: Sequence[int],
    costs_us: Sequence[int],
    seed: int,
    map_: Map = map,
) -> list[list[str]]:
    """Return the outcome for each coordination cost (rows) and rate of first tries (columns).

    The spike rises by as much above each rate as it does in `parameters`.
    """
    points = [
        replace(parameters, rate=rate, peak=rate + parameters.peak - parameters.rate,
                coordination_us=cost_us)
        for cost_us in costs_us
        for rate in rates
    ]  # fmt: skip
    found = list(map_(outcome, points, [seed] * len(points)))
    width = len(rates)
    return [found[row * width : (row + 1) * width] for row in range(len(costs_us))]


@dataclass(frozen=True)
class Slope:
    """A slow ramp, on the way up and on the way down: pairs of load and goodput, a second.

    Attributes:
        up: first tries and goodput in each window of the way up, a second.
        down: the same on the way down.
    """

    up: tuple[tuple[float, float], ...]
    down: tuple[tuple[float, float], ...]


def hysteresis(result: MetastableResult, window: int = 5) -> Slope:
    """Cut a run with a ramp into windows of so many seconds."""
    parameters = result.parameters
    start = parameters.trigger_at_us // SECOND_US
    top = start + parameters.trigger_for_us // SECOND_US // 2
    end = parameters.trigger_end_us // SECOND_US

    def points(from_s: int, until_s: int) -> Iterator[tuple[float, float]]:
        for second in range(from_s, until_s - window + 1, window):
            total = result.total(second, second + window)
            yield total.first_tries / window, total.goodput / window

    return Slope(tuple(points(start, top)), tuple(points(top, end)))


def random_storms(count: int, seed: int) -> Iterator[MetastableParameters]:
    """Yield settings at random that are well before the spike and stuck after it.

    Clients try again at once in all of them, and no remedy is on. Everything else is drawn from the
    ranges that the article gives, and the load is 20 to 85 % of what the server can do.
    """
    rng = random.Random(seed)
    found = 0
    while found < count:
        capacity = rng.randint(20, 100)
        base_us = rng.randrange(100_000, 1_000_001, 10_000)
        cost_us = rng.randrange(1_000, 50_001, 1_000)
        full = capacity * SECOND_US / (base_us + (capacity - 1) * cost_us)
        rate = max(1, round(full * rng.uniform(0.2, 0.85)))
        try:
            parameters = MetastableParameters(
                rate=rate,
                pattern=SPIKE,
                peak=min(1_000, round(full * rng.uniform(1.5, 6))),
                capacity=capacity,
                base_latency_us=base_us,
                coordination_us=cost_us,
                timeout_us=rng.randrange(1_000_000, 10_000_001, 100_000),
                max_retries=rng.randint(1, 5),
            )
        except ParameterError:
            continue  # too many tries for a run
        result = run(parameters, seed)
        before = result.before().answered_percent
        if before is not None and before >= 99 and result.is_stuck:
            found += 1
            yield parameters
