"""Computes the maps of `phases.py` on all processors and stores them, in a minute or two.

    python -m remotecalls.simulators.metastable.store_phases

It is apart from `phases.py`, which runs in the browser, where there are no processes.
"""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from remotecalls.simulators.metastable.phases import COSTS_US, RATES, REMEDIES, cell


def store(path: Path) -> None:
    """Write the maps as a Python module."""
    points = [
        (rate, cost_us, remedy) for remedy in REMEDIES for cost_us in COSTS_US for rate in RATES
    ]
    with ProcessPoolExecutor() as pool:
        letters = "".join(pool.map(cell, *zip(*points, strict=True), chunksize=8))
    lines = [
        '"""The maps of `phases.py`, made by `store_phases.py`: do not edit.',
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
    store(Path(__file__).with_name("phases_stored.py"))
