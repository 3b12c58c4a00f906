"""The phase diagram of `metastable`, and where one service stands on it.

The map is computed once, over `RATES` and `COSTS_US`, for each remedy, and is stored in
`phases_stored.py` by `benchmarks/_store_phases.py`; the outcome at a cell is what most of `SEEDS`
say. One service, of whatever rate and cost, is run when it is asked for. The spike adds `EXTRA`
requests a second for five seconds.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

from remotecalls.simulators.metastable.experiments import (
    IMPAIRED,
    OUTCOMES,
    OVERLOADED,
    RECOVERED,
    STUCK,
    outcome,
    outcome_of,
)
from remotecalls.simulators.metastable.model import run as run_model
from remotecalls.simulators.metastable.parameters import EXPIRED, FULL, MetastableParameters
from remotecalls.simulators.metastable.phases_stored import STORED
from remotecalls.simulators.parameters import (
    Parameters,
    Preset,
    Simulator,
    choice,
    integer,
    to_json,
)

RATES = tuple(range(4, 61, 4))
"""First tries a second: the columns."""

COSTS_US = tuple(range(0, 20_001, 2_000))
"""Coordination cost in microseconds: the rows."""

SEEDS = (1, 2, 3)
EXTRA = 65

REMEDIES: dict[str, tuple[str, dict[str, Any]]] = {
    "none": ("None", {}),
    "jitter": ("Backoff with full jitter", {"backoff": FULL}),
    "one-retry": ("One retry in place of three", {"max_retries": 1}),
    "budget": ("A retry budget of a tenth", {"budget_percent": 10}),
    "short-queue": ("A queue of ten", {"queue_limit": 10}),
    "deadline-and-budget": (
        "The deadline, and the budget",
        {"deadline": EXPIRED, "budget_percent": 10},
    ),
}
"""Each remedy by name: what a reader sees, and the fields that it changes."""

LETTERS = {OVERLOADED: "o", STUCK: "s", IMPAIRED: "i", RECOVERED: "r"}


@dataclass(frozen=True)
class PhasesParameters(Parameters):
    """A service by its load and its coordination cost, and what its clients do."""

    rate: int = integer(
        32, label="First tries", help="New requests a second, before and after the spike.",
        minimum=RATES[0], maximum=RATES[-1], step=1, unit="/s",
    )  # fmt: skip
    coordination_us: int = integer(
        6_000, label="Coordination cost",
        help="What each request in work adds to the time of the next.",
        minimum=COSTS_US[0], maximum=COSTS_US[-1], step=500, unit="µs",
    )  # fmt: skip
    remedy: str = choice(
        "none",
        label="Remedy",
        help="The map is that of the remedy.",
        options={name: title for name, (title, _) in REMEDIES.items()},
    )


@dataclass(frozen=True)
class PhasesResult:
    """One service, and the map around it.

    Attributes:
        parameters: what was set.
        seed: what the load was drawn from.
        outcome: a key of `experiments.OUTCOMES`.
        capacity_per_second: the most answers a second of that service.
        answered_percent: of the last requests, so many were answered, rounded down.
        rows: the map; a row for each of `COSTS_US`, a letter for each of `RATES`.
    """

    parameters: PhasesParameters
    seed: int
    outcome: str
    capacity_per_second: int
    answered_percent: int
    rows: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return all of it."""
        return {
            "parameters": to_json(self.parameters),
            "seed": self.seed,
            "outcome": self.outcome,
            "capacity_per_second": self.capacity_per_second,
            "answered_percent": self.answered_percent,
            "rows": list(self.rows),
        }


def service(rate: int, coordination_us: int, remedy: str) -> MetastableParameters:
    """Return the service of a point on the map."""
    return replace(
        MetastableParameters(rate=rate, peak=rate + EXTRA, coordination_us=coordination_us),
        **REMEDIES[remedy][1],
    )


def run(parameters: PhasesParameters, seed: int = 1) -> PhasesResult:
    """Run the service of one point, and the same without its spike if it does not recover."""
    point = service(parameters.rate, parameters.coordination_us, parameters.remedy)
    result = run_model(point, seed)
    return PhasesResult(
        parameters=parameters,
        seed=seed,
        outcome=outcome_of(result),
        capacity_per_second=int(point.capacity_per_second),
        answered_percent=int(result.last_percent),
        rows=STORED[parameters.remedy],
    )


def cell(rate: int, coordination_us: int, remedy: str) -> str:
    """Return the letter of one cell: what most seeds say, the worse of equals."""
    point = service(rate, coordination_us, remedy)
    counts = Counter(outcome(point, seed) for seed in SEEDS)
    return LETTERS[max(OUTCOMES, key=lambda each: counts[each])]


SIMULATOR: Simulator[PhasesParameters, PhasesResult] = Simulator(
    name="phases",
    title="Where a service stands",
    parameters=PhasesParameters,
    run=run,
    presets=(
        Preset(
            "vulnerable",
            "Well, until something happens",
            "Half of its capacity is in use, and a spike of five seconds is the end of it.",
            PhasesParameters(),
        ),
        Preset(
            "safe",
            "The same, at a third of the load",
            "The storm is as large at first. But four tries for each request are load that the "
            "server can take, and the queue runs empty.",
            PhasesParameters(rate=10),
        ),
        Preset(
            "costly",
            "The same load, less coordination",
            "Cheaper coordination is capacity: the border moves to the right.",
            PhasesParameters(coordination_us=1_000),
        ),
        Preset(
            "with-jitter",
            "With backoff and full jitter",
            "The map is nearly the same one.",
            PhasesParameters(remedy="jitter"),
        ),
        Preset(
            "with-budget",
            "With the deadline and a budget",
            "What was stuck comes back, up to where the service is overloaded without any spike.",
            PhasesParameters(remedy="deadline-and-budget"),
        ),
    ),
)
