"""Every drawing by the name of its simulator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from remotecalls.figures import (
    autoscaling,
    balancing,
    consistency,
    framing,
    metastable,
    multiplexing,
    phases,
    servers,
    supervision,
)
from remotecalls.figures.table import Table


@dataclass(frozen=True)
class Figure:
    """How the results of one simulator are shown.

    Attributes:
        draw: result, simulated time in microseconds and width in pixels to SVG text.
        describe_result: result to the picture's text alternative.
        tables: result to the numbers behind the picture.
        event_times: result to the times at which the picture changes, sorted.
    """

    draw: Callable[[Any, int, int], str]
    describe_result: Callable[[Any], str]
    tables: Callable[[Any], tuple[Table, ...]]
    event_times: Callable[[Any], list[int]]


FIGURES: dict[str, Figure] = {
    "framing": Figure(framing.draw, framing.describe_result, framing.tables, framing.event_times),
    "servers": Figure(servers.draw, servers.describe_result, servers.tables, servers.event_times),
    "multiplexing": Figure(
        multiplexing.draw,
        multiplexing.describe_result,
        multiplexing.tables,
        multiplexing.event_times,
    ),
    "balancing": Figure(
        balancing.draw, balancing.describe_result, balancing.tables, balancing.event_times
    ),
    "metastable": Figure(
        metastable.draw, metastable.describe_result, metastable.tables, metastable.event_times
    ),
    "autoscaling": Figure(
        autoscaling.draw, autoscaling.describe_result, autoscaling.tables, autoscaling.event_times
    ),
    "consistency": Figure(
        consistency.draw, consistency.describe_result, consistency.tables, consistency.event_times
    ),
    "supervision": Figure(
        supervision.draw, supervision.describe_result, supervision.tables, supervision.event_times
    ),
    "phases": Figure(phases.draw, phases.describe_result, phases.tables, phases.event_times),
}
"""Add the drawing of a simulator here, under the name that it has in `simulators.catalog`."""
