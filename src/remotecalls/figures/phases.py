"""The drawing of a phase diagram, and of the one service on it.

A cell is a service: further right it has more load, further down dearer coordination. Its outcome
is said by color and by shape: nothing, a dot, a stroke, a cross. The ring is the reader's service.
"""

from __future__ import annotations

from collections.abc import Iterator

from remotecalls.figures import svg
from remotecalls.figures.svg import Markup, box, dot, line, text
from remotecalls.figures.table import Table
from remotecalls.simulators.metastable.experiments import (
    IMPAIRED,
    OUTCOMES,
    OVERLOADED,
    RECOVERED,
    STUCK,
)
from remotecalls.simulators.metastable.phases import (
    COSTS_US,
    LETTERS,
    RATES,
    REMEDIES,
    PhasesResult,
)
from remotecalls.simulators.parameters import format_quantity

_LEFT = 52.0
_RIGHT = 12.0
_ROW = 20.0
_NAMES = {letter: outcome for outcome, letter in LETTERS.items()}
_LEGEND = {
    RECOVERED: "recovered",
    IMPAIRED: "impaired",
    STUCK: "stuck",
    OVERLOADED: "overloaded without a spike",
}


def draw(result: PhasesResult, at_us: int, width: int = svg.WIDE) -> str:
    """Draw the map and the service on it.

    Args:
        result: what `simulators.metastable.phases` returned.
        at_us: ignored, since a map has no time.
        width: of the drawing in CSS pixels, from `svg.NARROW` on; at this width its text is 12 px.

    Returns:
        SVG text with a text alternative.

    Raises:
        ValueError: the width is too narrow for the labels.
    """
    svg.check_width(width)
    legend, top = _legend(width)
    top += 22
    column = (width - _LEFT - _RIGHT) / len(RATES)
    parts = [legend, text("coordination cost", 4, top - 6, tone="muted")]
    for row, cost_us in enumerate(COSTS_US):
        y = top + row * _ROW
        if row % 2 == 0:
            label = format_quantity(cost_us, "µs")
            parts.append(text(label, _LEFT - 6, y + 14, anchor="end", tone="muted"))
        for number, letter in enumerate(result.rows[row]):
            parts.extend(_cell(_NAMES[letter], _LEFT + number * column, y, column))
    bottom = top + len(COSTS_US) * _ROW
    every = 2 if column < 30 else 1
    for number in range(0, len(RATES), every):
        x = _LEFT + (number + 0.5) * column
        parts.append(text(str(RATES[number]), x, bottom + 14, anchor="middle", tone="muted"))
    parts.append(text("first tries a second", width - _RIGHT, bottom + 30, anchor="end",
                      tone="muted"))  # fmt: skip
    parts.append(_ring(result, column, top))
    return svg.picture(width, round(bottom + 38), describe_result(result), parts)


def event_times(result: PhasesResult) -> list[int]:
    """Return one time: a map does not change."""
    return [0]


def _cell(outcome: str, x: float, y: float, width: float) -> Iterator[Markup]:
    """A cell: its color, and a shape that says the same."""
    tone, fill = {
        RECOVERED: ("good", 0.25),
        IMPAIRED: ("c2", 0.25),
        STUCK: ("bad", 0.3),
        OVERLOADED: ("muted", 0.2),
    }[outcome]
    style = f"fill:{svg.color(tone)};fill-opacity:{fill:g}"
    yield svg.element("rect", x=x + 0.5, y=y + 0.5, width=width - 1, height=_ROW - 1, style=style)
    middle, center = x + width / 2, y + _ROW / 2
    if outcome == IMPAIRED:
        yield dot(middle, center, 2, tone="ink")
    elif outcome == STUCK:
        yield line(middle - 4, center - 4, middle + 4, center + 4, tone="ink")
        yield line(middle - 4, center + 4, middle + 4, center - 4, tone="ink")
    elif outcome == OVERLOADED:
        yield line(middle - 4, center, middle + 4, center, tone="ink")


def _legend(width: int) -> tuple[Markup, float]:
    entries = {name: svg.join(_cell(outcome, 0, 0, 20)) for outcome, name in _LEGEND.items()}
    return svg.legend(entries, width, sample=20, row=24)


def _ring(result: PhasesResult, column: float, top: float) -> Markup:
    """The reader's service, between the middles of cells."""
    parameters = result.parameters
    step, cost_step = RATES[1] - RATES[0], COSTS_US[1] - COSTS_US[0]
    x = _LEFT + ((parameters.rate - RATES[0]) / step + 0.5) * column
    y = top + (parameters.coordination_us / cost_step + 0.5) * _ROW
    return svg.join(
        [
            box(x - 9, y - 9, 18, 18, tone="paper"),
            svg.element(
                "circle", cx=x, cy=y, r=9,
                style=f"fill:none;stroke:{svg.color('accent')};stroke-width:3px",
            ),
        ]
    )  # fmt: skip


def describe_result(result: PhasesResult) -> str:
    """Say where the service stands and how large each region is."""
    parameters = result.parameters
    title = REMEDIES[parameters.remedy][0]
    cost = format_quantity(parameters.coordination_us, "µs")
    letters = "".join(result.rows)
    regions = ", ".join(
        f"{letters.count(LETTERS[outcome])} {name}" for outcome, name in _LEGEND.items()
    )
    return (
        f"{parameters.rate} first tries a second, {cost} of coordination: the server can do "
        f"{result.capacity_per_second} a second. {OUTCOMES[result.outcome].capitalize()}; "
        f"{result.answered_percent} % of the last requests were answered. "
        f"Remedy: {title[0].lower()}{title[1:]}. Of {len(letters)} services on the map: {regions}."
    )


def tables(result: PhasesResult) -> tuple[Table, ...]:
    """Return the map as a table: for each coordination cost, where each region begins."""
    rows = []
    for cost_us, letters in zip(COSTS_US, result.rows, strict=True):
        firsts = [
            next((f"{rate}/s" for rate, each in zip(RATES, letters, strict=True)
                  if each == LETTERS[outcome]), "nowhere")
            for outcome in (RECOVERED, IMPAIRED, STUCK, OVERLOADED)
        ]  # fmt: skip
        rows.append((format_quantity(cost_us, "µs"), *firsts))
    return (
        Table(
            "From which rate of first tries on",
            ("coordination cost", *_LEGEND.values()),
            tuple(rows),
        ),
    )
