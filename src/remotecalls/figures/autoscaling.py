"""The drawing of autoscaling: four panels over one axis of time.

Instances: what serves is filled, what starts stands on it as an outline, and what is needed is a
dashed line. Then the requests that came (dashed) and were served (filled); the utilization next to
its target (dashed) and tolerance (a band), with a heavy bar on top while no instance had a moment
to spare; and p99, a bar as long as the stretch from whose answers it was taken. Where a stretch has
too few answers for it, there is none. Shapes say all that color says.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from remotecalls.figures import svg
from remotecalls.figures.rounding import rounded_time
from remotecalls.figures.svg import Markup, box, line, text
from remotecalls.figures.table import Table
from remotecalls.simulators.capacity.autoscaling_parameters import DIURNAL, RAMP
from remotecalls.simulators.capacity.autoscaling_result import (
    SECOND_US,
    AutoscalingResult,
    AutoscalingSeconds,
)
from remotecalls.simulators.parameters import format_quantity

_LEFT = 48.0
_RIGHT = 14.0
_TITLE = 24.0
_INSTANCES = 110.0
_RATES = 52.0
_UTILIZATION = 64.0
_LATENCY = 64.0
_STEP_PIXELS = 3
"""A step of what is measured; a second would be less than a pixel."""
_ROWS = 12
_DECISIONS = 40
"""The table of decisions ends there."""


def draw(result: AutoscalingResult, at_us: int, width: int = svg.WIDE) -> str:
    """Draw the run up to a time, with a cursor there.

    Args:
        result: the run.
        at_us: simulated time in microseconds; the end of the run or later shows all of it.
        width: the width of the drawing in pixels, from `svg.NARROW` up.

    Returns:
        An SVG element as text.

    Raises:
        ValueError: `width` is below `svg.NARROW`.
    """
    svg.check_width(width)
    at_us = min(at_us, result.end_us)
    plot = _Plot(result, at_us, _LEFT, width - _RIGHT)
    legend, y = _legend(width)
    top, parts = y, [legend]
    for panel in (_instances, _rates, _utilization, _latency):
        drawn, y = panel(plot, y)
        parts.append(drawn)
    cursor = plot.x(at_us)
    parts.append(line(cursor, top + 4, cursor, y, tone="accent", thick=True))
    parts.append(svg.time_axis(result.end_us, plot.left, plot.right, y))
    return svg.picture(width, round(y + 22), describe_result(result), parts)


def event_times(result: AutoscalingResult) -> list[int]:
    """Return the times at which something happens, in order, each once.

    These are the decisions, the times at which what they ordered serves, and the ends of the rise.
    """
    parameters = result.parameters
    times = {0, result.end_us}
    if parameters.pattern != DIURNAL:
        times.add(parameters.change_at_us)
    if parameters.pattern == RAMP:
        times.add(parameters.change_at_us + parameters.ramp_us)
    for decision in result.decisions:
        times.add(decision.at_us)
        if decision.after > decision.before:
            times.add(decision.at_us + parameters.lag_us)
    return sorted(time for time in times if time <= result.end_us)


class _Plot:
    """Where things are from left to right, and how much of them there is yet."""

    def __init__(self, result: AutoscalingResult, at_us: int, left: float, right: float) -> None:
        self.result, self.at_us = result, at_us
        self.left, self.right = left, right
        self.shown = len(result.seconds) if at_us == result.end_us else at_us // SECOND_US
        self._scale = (right - left) / result.end_us

    def x(self, us: int) -> float:
        return self.left + us * self._scale

    def end_of(self, second: int) -> float:
        """Where the second before this one ends; the last one may be cut short."""
        return self.x(min(second * SECOND_US, self.result.end_us))

    def stretches(self) -> Iterator[tuple[int, int]]:
        """Yield the seconds that are drawn as one step, from and until, as far as they are over."""
        count = len(self.result.seconds)
        step = max(1, math.ceil(_STEP_PIXELS * count / (self.right - self.left)))
        for start in range(0, count, step):
            until = min(start + step, count)
            if until > self.shown:
                return
            yield start, until


def _legend(width: int) -> tuple[Markup, float]:
    entries = {
        "serving": box(0, 1, 18, 11, tone="c1", fill=0.35),
        "starting": box(0, 1, 18, 11, tone="ink"),
        "needed": line(0, 6, 18, 6, tone="c2", dashed=True, thick=True),
        "overloaded": _bar(0, 18, 6),
    }
    return svg.legend(entries, width)


def _bar(from_x: float, until_x: float, y: float) -> Markup:
    """A heavy bar: no instance had a moment to spare."""
    width = max(until_x - from_x, 1.0)
    style = f"fill:{svg.color('bad')}"
    return svg.element("rect", x=from_x, y=y - 2, width=width, height=4, style=style)


def _frame(plot: _Plot, title: str, note: str, y: float, height: float) -> tuple[Markup, float]:
    """A panel's title, its note at the right, and its base line; and where the base line is."""
    base = y + _TITLE + height
    parts = [
        text(title, 4, y + 14, bold=True),
        line(plot.left, base, plot.right, base, tone="line"),
    ]
    if (len(title) + len(note)) * svg.LETTER_PIXELS + 20 < plot.right:
        parts.append(text(note, plot.right, y + 14, anchor="end", tone="muted"))
    return svg.join(parts), base


def _scale_mark(plot: _Plot, label: str, y: float) -> Markup:
    return svg.join(
        [
            line(plot.left, y, plot.right, y, tone="line"),
            text(label, plot.left - 4, y + 4, anchor="end", tone="muted"),
        ]
    )


# A series as steps: where each begins and ends, and how high it is.
_Steps = list[tuple[float, float, float]]


def _merged(steps: Iterator[tuple[float, float, float]]) -> _Steps:
    """Make one step of those that follow each other at one height."""
    found: _Steps = []
    for left, right, y in steps:
        if found and found[-1][1:] == (left, y):
            found[-1] = (found[-1][0], right, y)
        else:
            found.append((left, right, y))
    return found


def _path(steps: _Steps, style: str) -> Markup:
    if not steps:
        return Markup("")
    moves = [f"M{steps[0][0]:.1f} {steps[0][2]:.1f}"]
    moves += [f"V{y:.1f}H{right:.1f}" for _, right, y in steps]
    return svg.element("path", d="".join(moves), style=f"fill:none;{style}")


def _area(steps: _Steps, base: float, tone: str) -> Markup:
    if not steps:
        return Markup("")
    moves = "".join(f"V{y:.1f}H{right:.1f}" for _, right, y in steps)
    color = svg.color(tone)
    return svg.element(
        "path",
        d=f"M{steps[0][0]:.1f} {base:.1f}{moves}V{base:.1f}Z",
        style=f"fill:{color};fill-opacity:0.35;stroke:{color};stroke-width:1px",
    )


def _instances(plot: _Plot, y: float) -> tuple[Markup, float]:
    seconds = plot.result.seconds
    ordered = [one + other for one, other in zip(seconds.running, seconds.starting, strict=True)]
    top = max(*ordered, *seconds.needed)
    frame, base = _frame(plot, "Instances", f"at most {max(ordered)}", y, _INSTANCES)

    def height(count: float) -> float:
        return base - count * _INSTANCES / top

    def steps(series: Sequence[int]) -> _Steps:
        # What is known of a second is what there was at its end.
        return _merged(
            (plot.end_of(number), plot.end_of(number + 1), height(count))
            for number, count in enumerate(series[: plot.shown])
        )

    dashed = f"stroke:{svg.color('c2')};stroke-width:2px;stroke-dasharray:5 3"
    parts = [frame]
    parts += [_scale_mark(plot, str(tick), height(tick)) for tick in svg.ticks(top, 5)[1:]]
    parts.append(_area(steps(seconds.running), base, "c1"))
    for start, until in _runs(seconds.starting[: plot.shown]):
        edge = [
            (plot.end_of(number), plot.end_of(number + 1), height(ordered[number]))
            for number in range(start, until)
        ]
        # The outline closes at its sides, down to what serves.
        before, after = height(seconds.running[start]), height(seconds.running[until - 1])
        moves = "".join(f"V{top_y:.1f}H{right:.1f}" for _, right, top_y in _merged(iter(edge)))
        path = f"M{edge[0][0]:.1f} {before:.1f}{moves}V{after:.1f}"
        style = f"fill:none;stroke:{svg.color('ink')};stroke-width:1px"
        parts.append(svg.element("path", d=path, style=style))
    parts.append(_path(steps(seconds.needed), dashed))
    return svg.join(parts), base


def _runs(series: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield where a series is above zero, from and until."""
    start = None
    for number, value in enumerate([*series, 0]):
        if value and start is None:
            start = number
        elif not value and start is not None:
            yield start, number
            start = None


def _rates(plot: _Plot, y: float) -> tuple[Markup, float]:
    seconds, end_us = plot.result.seconds, plot.result.end_us
    frame, base = _frame(plot, "Requests a second", "came dashed, served filled", y, _RATES)

    def rate(series: Sequence[int], start: int, until: int) -> float:
        length_us = min(until * SECOND_US, end_us) - start * SECOND_US
        return sum(series[start:until]) * SECOND_US / length_us

    everything = list(_Plot(plot.result, end_us, plot.left, plot.right).stretches())
    top = max(
        1.0,
        *(rate(series, *each) for series in (seconds.offered, seconds.served)
          for each in everything),
    )  # fmt: skip

    def steps(series: Sequence[int]) -> _Steps:
        return _merged(
            (
                plot.end_of(start),
                plot.end_of(until),
                base - rate(series, start, until) * _RATES / top,
            )
            for start, until in plot.stretches()
        )

    tick = svg.ticks(math.floor(top), 3)[-1]
    dashed = f"stroke:{svg.color('c2')};stroke-width:1.5px;stroke-dasharray:4 2"
    parts = [
        frame,
        _scale_mark(plot, f"{tick:,}", base - tick * _RATES / top),
        _area(steps(seconds.served), base, "good"),
        _path(steps(seconds.offered), dashed),
    ]
    return svg.join(parts), base


def _utilization(plot: _Plot, y: float) -> tuple[Markup, float]:
    result, parameters = plot.result, plot.result.parameters
    seconds, target = result.seconds, parameters.target_percent
    note = f"target {target} %, overloaded {result.overloaded_seconds} s"
    frame, base = _frame(plot, "Utilization", note, y, _UTILIZATION)

    def height(share: float) -> float:
        return base - share * _UTILIZATION

    def share(start: int, until: int) -> float:
        return sum(seconds.busy_us[start:until]) / sum(seconds.there_us[start:until])

    target_y = height(target / 100)
    far = parameters.tolerance_percent / 100 * target / 100
    highest = height(min(1.0, target / 100 + far))
    band = svg.element(
        "rect", x=plot.left, y=highest, width=plot.right - plot.left,
        height=height(target / 100 - far) - highest,
        style=f"fill:{svg.color('muted')};fill-opacity:0.15",
    )  # fmt: skip
    known = _merged(
        (plot.end_of(start), plot.end_of(until), height(share(start, until)))
        for start, until in plot.stretches()
    )
    parts = [
        frame,
        band,
        _scale_mark(plot, "100 %", height(1)),
        line(plot.left, target_y, plot.right, target_y, tone="muted", dashed=True),
        _path(known, f"stroke:{svg.color('c1')};stroke-width:1.5px"),
    ]
    if target <= 75:  # else it would stand on the other label
        parts.append(text(f"{target} %", plot.left - 4, target_y + 4, anchor="end", tone="muted"))
    full = [_is_full(seconds, number) for number in range(plot.shown)]
    parts += [
        _bar(plot.end_of(start), plot.end_of(until), height(1)) for start, until in _runs(full)
    ]
    return svg.join(parts), base


def _is_full(seconds: AutoscalingSeconds, second: int) -> int:
    return int(seconds.busy_us[second] == seconds.there_us[second])


def _latency(plot: _Plot, y: float) -> tuple[Markup, float]:
    """The p99 on a scale of powers of ten: what is well and what is not are far apart."""
    known = [each for each in plot.result.latencies if each.p99_us]
    frame, base = _frame(plot, "p99", "none where answers are too few", y, _LATENCY)
    values = [each.p99_us for each in known if each.p99_us]
    if not values:
        return svg.join([frame, text("too few answers", plot.left + 6, base - 8)]), base + 4
    low, high = math.log10(min(values)) - 0.1, math.log10(max(values)) + 0.1

    def height(us: int) -> float:
        return base - (math.log10(us) - low) * _LATENCY / (high - low)

    parts = [frame, *(_scale_mark(plot, label, height(us)) for us, label in _decades(values))]
    for each in known:
        if each.p99_us and each.until_us <= plot.at_us:
            left, right = plot.x(each.from_us), plot.x(each.until_us)
            top = height(each.p99_us)
            parts.append(box(left + 0.5, top, right - left - 1, base - top, tone="c6", fill=0.3))
    return svg.join(parts), base + 4


def _decades(values: Sequence[int]) -> Iterator[tuple[int, str]]:
    """The powers of ten between the values; the lowest value itself if there is none."""
    low, high = min(values), max(values)
    found = [10**power for power in range(1, 10) if low <= 10**power <= high]
    for us in found or [low]:
        yield us, rounded_time(us)


# ---------------------------------------------------------------- words


def describe_result(result: AutoscalingResult) -> str:
    """Say in words what the picture of the whole run shows."""
    parameters, seconds = result.parameters, result.seconds
    offered, served = sum(seconds.offered), sum(seconds.served)
    began, most, needed = result.initial, result.most_ordered, result.most_needed
    sentences = [
        f"{offered:,} requests in {rounded_time(result.end_us)}, of which {served:,} are served "
        f"at the end and {seconds.waiting[-1]:,} wait.",
        _load(result),
        f"It begins with {format_quantity(began, 'instances')}; at most {needed} are needed, and "
        f"at most {most} were there or ordered. An order takes "
        f"{rounded_time(parameters.lag_us) if parameters.lag_us else 'no time'}.",
        _changes(result),
        f"In {format_quantity(result.overloaded_seconds, 'seconds')} no instance had a moment to "
        "spare.",
    ]
    p50_us, p99_us = result.latency_us(50), result.latency_us(99)
    if p50_us is not None and p99_us is not None:
        sentences.append(
            f"Half of the answers took {rounded_time(p50_us)} at most, 99 of 100 "
            f"{rounded_time(p99_us)}."
        )
    return " ".join(sentences)


def _load(result: AutoscalingResult) -> str:
    parameters = result.parameters
    low, high = f"{parameters.rate:,}", f"{parameters.peak:,}"
    if parameters.pattern == DIURNAL:
        return f"They come at {low} a second at both ends of the day, and at {high} at noon."
    long = f", over {rounded_time(parameters.ramp_us)}" if parameters.pattern == RAMP else ""
    return (
        f"They come at {low} a second until {rounded_time(parameters.change_at_us)}, and then at "
        f"{high}{long}."
    )


def _changes(result: AutoscalingResult) -> str:
    if not result.decisions:
        return "The controller changed nothing."
    return (
        f"The controller changed their number {_times(len(result.decisions))} and turned back "
        f"{_times(result.reversals)}, after a swing that matters {_times(result.swings)}: it "
        f"{'oscillates' if result.oscillates else 'does not oscillate'}."
    )


def _times(count: int) -> str:
    return {0: "never", 1: "once"}.get(count, f"{count:,} times")


def tables(result: AutoscalingResult) -> tuple[Table, ...]:
    """Return the run as tables: over time, the p99 of each stretch, and what was decided."""
    return (
        _over_time(result),
        Table(
            "p99, each over the shortest time that has answers enough",
            ("until", "answers", "p99"),
            tuple(
                (
                    rounded_time(each.until_us),
                    f"{each.answers:,}",
                    "too few" if each.p99_us is None else rounded_time(each.p99_us),
                )
                for each in result.latencies
            ),
        ),
        _decided(result),
    )


def _over_time(result: AutoscalingResult) -> Table:
    seconds, end_us = result.seconds, result.end_us
    count = len(seconds)
    step = -(-count // _ROWS)
    rows = []
    for start in range(0, count, step):
        until = min(start + step, count)
        busy_us, there_us = sum(seconds.busy_us[start:until]), sum(seconds.there_us[start:until])
        until_us = min(until * SECOND_US, end_us)
        length_us = until_us - start * SECOND_US

        rows.append(
            (
                rounded_time(until_us),
                f"{sum(seconds.offered[start:until]) * SECOND_US / length_us:.1f}",
                f"{sum(seconds.served[start:until]) * SECOND_US / length_us:.1f}",
                str(seconds.needed[until - 1]),
                str(seconds.running[until - 1]),
                str(seconds.starting[until - 1]),
                f"{100 * busy_us // there_us} %",
                str(sum(_is_full(seconds, number) for number in range(start, until))),
                f"{seconds.waiting[until - 1]:,}",
            )
        )
    return Table(
        "Over time: requests a second and utilization on average, the rest at the end",
        (
            "until", "came a second", "served a second", "needed", "serving", "starting",
            "utilization", "seconds overloaded", "waiting",
        ),
        tuple(rows),
    )  # fmt: skip


def _decided(result: AutoscalingResult) -> Table:
    total, caption = len(result.decisions), "What the controller changed"
    if total > _DECISIONS:
        caption += f": the first {_DECISIONS} of {total:,} times"
    return Table(
        caption,
        ("at", "utilization it saw", "instances before", "instances after"),
        tuple(
            (
                rounded_time(each.at_us),
                f"{each.utilization_percent} %",
                str(each.before),
                str(each.after),
            )
            for each in result.decisions[:_DECISIONS]
        ),
    )
