"""What happened to each process of `supervision` over time: lanes, and two panels below them.

The texture of a bar says what its color says: running is solid, starting has narrow stripes,
stopping is low and has wide ones, stale is hollow, dead is a dotted line.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from remotecalls.figures import svg
from remotecalls.figures.rounding import rounded_time
from remotecalls.figures.supervision_tree import TONES
from remotecalls.figures.svg import Markup, box, element, line, text
from remotecalls.simulators.supervision.parameters import ALL, CHILDREN, TOP
from remotecalls.simulators.supervision.record import Event, by
from remotecalls.simulators.supervision.result import SupervisionResult
from remotecalls.simulators.supervision.snapshot import State

LEFT = 92.0
RIGHT = 12.0
_ROW = 19.0
_BAR = 9.0
_INDENT = 9.0
_TITLE = 20.0
_WINDOW = 42.0
_REQUESTS = 42.0
_COLUMN = 6


class Plot:
    """Where things are from left to right, and how much of them there is yet."""

    def __init__(self, result: SupervisionResult, at_us: int, width: int) -> None:
        self.result = result
        self.at_us = at_us
        self.left, self.right = LEFT, width - RIGHT
        self._scale = (self.right - self.left) / result.end_us

    def x(self, us: int) -> float:
        """The place of a time."""
        return self.left + us * self._scale


def legend() -> dict[str, Markup]:
    """Return a sample of each bar and mark, by its name."""
    samples = {state.value: svg.join(_bar(state, 0, 18, 9)) for state in State}
    return samples | {"killed": _cross(9, 9), "gives up": _flag(9, 9)}


def lanes(plot: Plot, y: float) -> tuple[Markup, float]:
    """A lane a process, in the order of the tree; and where they end."""
    parts = [text("Processes", 4, y + 14, bold=True)]
    y += _TITLE
    depths = _depths()
    for name in ALL:
        middle = y + _ROW / 2
        is_bold = name in CHILDREN
        parts.append(text(name, 4 + depths[name] * _INDENT, middle + 4, bold=is_bold))
        for interval in plot.result.intervals[name]:
            until_us = min(interval.until_us, plot.at_us)
            if interval.from_us < until_us:
                from_x, until_x = plot.x(interval.from_us), plot.x(until_us)
                parts.extend(_bar(interval.state, from_x, until_x, middle))
        parts.extend(_marks(plot, name, middle))
        y += _ROW
    return svg.join(parts), y


def _depths() -> dict[str, int]:
    depths = {TOP: 0}
    for supervisor, children in CHILDREN.items():
        depths |= {child: depths[supervisor] + 1 for child in children}
    return depths


def _bar(state: State, from_x: float, until_x: float, y: float) -> Iterator[Markup]:
    until_x = max(until_x, from_x + 1)
    color = svg.color(TONES[state])
    if state is State.STALE:
        yield box(from_x, y - _BAR / 2, until_x - from_x, _BAR, tone=TONES[state], fill=0.12)
        return
    style = {
        State.RUNNING: f"stroke-width:{_BAR:g}px;stroke-opacity:0.55",
        State.STARTING: f"stroke-width:{_BAR:g}px;stroke-dasharray:2 1.5",
        State.STOPPING: "stroke-width:5px;stroke-dasharray:4 2",
        State.DEAD: "stroke-width:1.5px;stroke-dasharray:1.5 3",
    }[state]
    yield element("line", x1=from_x, y1=y, x2=until_x, y2=y, style=f"stroke:{color};{style}")


def _marks(plot: Plot, name: str, y: float) -> Iterator[Markup]:
    for entry in plot.result.log:
        if entry.name != name or entry.at_us > plot.at_us:
            continue
        if entry.event is Event.KILLED:
            yield _cross(plot.x(entry.at_us), y)
        elif entry.event is Event.GAVE_UP:
            yield _flag(plot.x(entry.at_us), y)


def _cross(x: float, y: float) -> Markup:
    return _stroked(f"M{x - 4:.1f} {y - 4:.1f}l8 8m0 -8l-8 8", "ink")


def _flag(x: float, y: float) -> Markup:
    style = f"fill:{svg.color('bad')};stroke:{svg.color('paper')}"
    return element("path", d=f"M{x - 6:.1f} {y - 6:.1f}h12l-6 11z", style=style)


def _stroked(d: str, tone: str) -> Markup:
    """A line with a rim of paper, so that it stands out from what is below."""
    style = "fill:none;stroke-linecap:round;"
    return svg.join(
        [
            element("path", d=d, style=f"{style}stroke:{svg.color('paper')};stroke-width:5px"),
            element("path", d=d, style=f"{style}stroke:{svg.color(tone)};stroke-width:2px"),
        ]
    )


# ---------------------------------------------------------------- the panels


def _frame(plot: Plot, title: str, note: str, y: float, height: float) -> tuple[Markup, float]:
    """A panel's title, its note, and its base line; and where the base line is."""
    parts = [text(title, 4, y + 14, bold=True)]
    if (len(title) + len(note)) * svg.LETTER_PIXELS + 20 > plot.right:
        y += 16
        parts.append(text(note, 4, y + 14, tone="muted"))
    else:
        parts.append(text(note, plot.right - 6, y + 14, anchor="end", tone="muted"))
    base = y + _TITLE + height
    parts.append(line(plot.left, base, plot.right, base, tone="line"))
    return svg.join(parts), base


def watching(result: SupervisionResult) -> str:
    """The supervisor of the victim, whose restarts the panel counts."""
    victim = result.parameters.victim
    return next(name for name, children in CHILDREN.items() if victim in children)


def window(plot: Plot, y: float) -> tuple[Markup, float]:
    """How many restarts the victim's supervisor knows of; the band is its period."""
    result, name = plot.result, watching(plot.result)
    parameters = result.parameters
    intensity = parameters.top_intensity if name == TOP else parameters.intensity
    note = (
        f"{result.recent(name, plot.at_us)} within {rounded_time(parameters.period_us)}, "
        f"{intensity} allowed"
    )
    frame, base = _frame(plot, f"Restarts that {name} counts", note, y, _WINDOW)
    pixels = _WINDOW / (intensity + 1)
    top = base - intensity * pixels
    from_x = plot.x(max(plot.at_us - parameters.period_us, 0))
    band = element(
        "rect", x=from_x, y=base - _WINDOW, width=max(plot.x(plot.at_us) - from_x, 0.5),
        height=_WINDOW, style=f"fill:{svg.color('accent')};fill-opacity:0.12",
    )  # fmt: skip
    d = f"M{plot.left:.1f} {base:.1f}"
    for at_us, count in result.windows[name]:
        if at_us <= plot.at_us:
            d += f"H{plot.x(at_us):.1f}V{base - count * pixels:.1f}"
    d += f"H{plot.x(plot.at_us):.1f}"
    parts = [
        band,
        frame,
        line(plot.left, top, plot.right, top, tone="muted", dashed=True),
        text(str(intensity), plot.left - 4, top + 4, anchor="end", tone="muted"),
        element("path", d=d, style=f"fill:none;stroke:{svg.color('ink')};stroke-width:2px"),
    ]
    return svg.join(parts), base


def requests(plot: Plot, y: float) -> tuple[Markup, float]:
    """Requests without an answer: lost with a process, solid; failed, outlined on top."""
    result = plot.result
    counts = {what: result.total(what, plot.at_us) for what in ("lost", "failed")}
    note = f"lost {counts['lost']:,} (solid), failed {counts['failed']:,} (outlined)"
    frame, base = _frame(plot, "Requests without an answer", note, y, _REQUESTS)
    columns = int((plot.right - plot.left) // _COLUMN)
    column_us = -(-result.end_us // columns)
    ends = [min(number * column_us, result.end_us) for number in range(columns + 1)]
    lost, failed = (_differences(result, what, ends) for what in ("lost", "failed"))
    most = max([1, *(one + other for one, other in zip(lost, failed, strict=True))])
    pixels = _REQUESTS / most
    # What the cursor has not reached is not shown; the scale is that of the whole run.
    seen = [min(end_us, plot.at_us) for end_us in ends]
    lost, failed = (_differences(result, what, seen) for what in ("lost", "failed"))
    tall = [count * pixels for count in lost]
    parts = [
        frame,
        _columns(plot, [(base - high, high) for high in tall], "bad", 0.9),
        _columns(
            plot,
            [
                (base - high - count * pixels, count * pixels)
                for high, count in zip(tall, failed, strict=True)
            ],
            "c2",
            0.0,
        ),
    ]
    return svg.join(parts), base


def _differences(result: SupervisionResult, what: str, ends: list[int]) -> list[int]:
    """Count what happened at all workers from each time to the next."""
    totals = [0] * len(ends)
    for traffic in result.traffic.values():
        times = getattr(traffic, what)
        for number, end_us in enumerate(ends):
            totals[number] += by(times, end_us)
    return [after - before for before, after in pairwise(totals)]


def _columns(plot: Plot, columns: list[tuple[float, float]], tone: str, fill: float) -> Markup:
    wide = (plot.right - plot.left) / len(columns)
    d = "".join(
        f"M{plot.left + number * wide + 0.5:.1f} {top:.1f}h{wide - 1.5:.1f}v{high:.1f}"
        f"h-{wide - 1.5:.1f}z"
        for number, (top, high) in enumerate(columns)
        if high
    )
    color = svg.color(tone)
    style = f"fill:{color};fill-opacity:{fill:g};stroke:{color}"
    return element("path", d=d, style=style) if d else Markup("")
