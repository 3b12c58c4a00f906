"""Computes the maps of `simulators.metastable.phases` and stores them, in a minute or two.

    python benchmarks/_store_phases.py

It takes all processors, and so it cannot stand beside the model: that runs in the browser, too.
"""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from remotecalls.simulators.metastable import phases_stored
from remotecalls.simulators.metastable.phases import COSTS_US, RATES, REMEDIES, cell


def store(path: Path) -> None:
    """Write the maps as a Python module."""
    points = [
        (rate, cost_us, remedy) for remedy in REMEDIES for cost_us in COSTS_US for rate in RATES
    ]
    with ProcessPoolExecutor() as pool:
        letters = "".join(pool.map(cell, *zip(*points, strict=True), chunksize=8))
    lines = [
        '"""The maps of `phases.py`, made by `benchmarks/_store_phases.py`: do not edit.',
        "",
        "A row is a coordination cost, a letter a rate.",
        '"""',
        "",
        "STORED: dict[str, tuple[str, ...]] = {",
    ]
    width, size = len(RATES), len(RATES) * len(COSTS_US)
    for number, remedy in enumerate(REMEDIES):
        lines.append(f'    "{remedy}": (')
        for start in range(number * size, (number + 1) * size, width):
            lines.append(f'        "{letters[start : start + width]}",')
        lines.append("    ),")
    path.write_text("\n".join([*lines, "}", ""]))


if __name__ == "__main__":
    store(Path(phases_stored.__file__))
