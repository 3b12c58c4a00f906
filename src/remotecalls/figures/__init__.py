"""Results of simulators as SVG text, words and tables.

The same functions draw at build time, in the reader's browser and in a lab:

    result = SIMULATORS["framing"].run(parameters, seed=1)
    HTML(figures.draw("framing", result, at_us=result.end_us))
"""

from __future__ import annotations

from typing import Any

from remotecalls.figures.catalog import FIGURES
from remotecalls.figures.svg import NARROW, WIDE
from remotecalls.figures.table import Table

__all__ = ["FIGURES", "NARROW", "WIDE", "Table", "describe_result", "draw", "event_times", "tables"]


def draw(simulator_name: str, result: Any, at_us: int, width: int = WIDE) -> str:
    """Return the SVG of a result at a simulated time, `width` pixels wide (at least 360)."""
    return FIGURES[simulator_name].draw(result, at_us, width)


def describe_result(simulator_name: str, result: Any) -> str:
    """Return what the picture of a result shows, in words."""
    return FIGURES[simulator_name].describe_result(result)


def tables(simulator_name: str, result: Any) -> tuple[Table, ...]:
    """Return the numbers behind the picture."""
    return FIGURES[simulator_name].tables(result)


def event_times(simulator_name: str, result: Any) -> list[int]:
    """Return the times, in microseconds, at which the picture changes, in order."""
    return FIGURES[simulator_name].event_times(result)
