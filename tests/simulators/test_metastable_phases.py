"""The stored map, and the reader's service on it."""

from __future__ import annotations

import random

import pytest

from remotecalls.simulators.metastable.experiments import OUTCOMES, RECOVERED, STUCK, outcome
from remotecalls.simulators.metastable.phases import (
    COSTS_US,
    LETTERS,
    RATES,
    REMEDIES,
    SIMULATOR,
    PhasesParameters,
    cell,
    run,
    service,
)
from remotecalls.simulators.metastable.phases_stored import STORED


def test_the_map_has_all_its_cells() -> None:
    assert list(STORED) == list(REMEDIES)
    for rows in STORED.values():
        assert len(rows) == len(COSTS_US)
        assert all(len(row) == len(RATES) for row in rows)
        assert set("".join(rows)) <= set(LETTERS.values())


@pytest.mark.parametrize("remedy", REMEDIES)
def test_the_map_is_what_the_model_says_now(remedy: str) -> None:
    """Cells at random, and at borders, where a change of the model would show."""
    rows = STORED[remedy]
    places = [(row, column) for row in range(len(COSTS_US)) for column in range(1, len(RATES))]
    borders = [
        (row, column) for row, column in places if rows[row][column - 1] != rows[row][column]
    ]
    rng = random.Random(remedy)
    for row, column in [*rng.sample(borders, 4), *rng.sample(places, 2)]:
        assert rows[row][column] == cell(RATES[column], COSTS_US[row], remedy), (row, column)


def test_the_reader_s_service_is_run_when_it_is_asked_for() -> None:
    for rate, cost_us, remedy in ((33, 6_500, "none"), (7, 500, "jitter"), (50, 9_500, "budget")):
        parameters = PhasesParameters(rate=rate, coordination_us=cost_us, remedy=remedy)
        result = run(parameters, 5)
        assert result.outcome == outcome(service(rate, cost_us, remedy), 5)
        assert result.rows == STORED[remedy]
        assert result.outcome in OUTCOMES


def test_what_the_presets_say() -> None:
    found = {preset.name: run(preset.parameters, preset.seed) for preset in SIMULATOR.presets}
    vulnerable = found["vulnerable"]
    assert vulnerable.outcome == STUCK
    used = vulnerable.parameters.rate / vulnerable.capacity_per_second
    assert 0.45 < used < 0.55
    safe = found["safe"]
    assert safe.outcome == RECOVERED
    assert 4 * safe.parameters.rate < safe.capacity_per_second
    assert found["costly"].outcome == RECOVERED
    assert found["with-jitter"].outcome == STUCK
    assert found["with-budget"].outcome == RECOVERED
    # Jitter moves the border by a cell here and there.
    changed = sum(
        one != other
        for rows in zip(STORED["none"], STORED["jitter"], strict=True)
        for one, other in zip(*rows, strict=True)
    )
    assert changed <= 8
    # With both, no service is stuck that has a fifth of its capacity to spare.
    for cost_us, row in zip(COSTS_US, STORED["deadline-and-budget"], strict=True):
        for rate, letter in zip(RATES, row, strict=True):
            if rate < 0.8 * service(rate, cost_us, "none").capacity_per_second:
                assert letter == "r"
