"""The drawing of a service that does not come back: four panels over one axis of time.

Rates: what was offered as a dashed line, throughput as a thick one, goodput as an area, so that
work for nobody is the white below the thick line. Then what waits, the latency of the answers next
to the time-out, and the share of work that was for nobody. A band is the trigger, a box the rate
limit. Rates above the panel's top are cut off there, and the highest is said.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from remotecalls.figures import svg
from remotecalls.figures.rounding import rounded_time
from remotecalls.figures.svg import Markup, box, line, text
from remotecalls.figures.table import Table
from remotecalls.simulators.metastable.parameters import CONSTANT, DIURNAL, MetastableParameters
from remotecalls.simulators.metastable.result import SECOND_US, MetastableResult, Total

_LEFT = 44.0
_RIGHT = 14.0
_RATES = 120.0
_QUEUE = 44.0
_LATENCY = 64.0
_WASTED = 34.0
_TITLE = 20.0
_ROWS = 12


def draw(result: MetastableResult, at_us: int, width: int = svg.WIDE) -> str:
    """Draw the run up to a time, with a cursor there.

    Args:
        result: what `simulators.metastable` returned.
        at_us: simulated time in microseconds; a later one than the end means the end.
        width: of the drawing in CSS pixels, from `svg.NARROW` on; at this width its text is 12 px.

    Returns:
        SVG text with a text alternative.

    Raises:
        ValueError: the width is too narrow for the labels.
    """
    svg.check_width(width)
    at_us = min(at_us, result.end_us)
    plot = _Plot(result, at_us, _LEFT, width - _RIGHT)
    legend, y = _legend(width)
    top = y
    parts = [legend]
    for panel in (_rates, _queue, _latency, _wasted):
        drawn, y = panel(plot, y)
        parts.append(drawn)
    parts.insert(1, _bands(plot, top + _TITLE, y))
    cursor = plot.x(at_us)
    parts.append(line(cursor, top + 4, cursor, y, tone="accent", thick=True))
    parts.append(svg.time_axis(result.end_us, _LEFT, width - _RIGHT, y))
    return svg.picture(width, round(y + 22), describe_result(result), parts)


def event_times(result: MetastableResult) -> list[int]:
    """Return the times at which the drawing changes, sorted: the end of each second."""
    count = len(result.seconds)
    return [*(number * SECOND_US for number in range(count)), result.end_us]


class _Plot:
    """Where things are from left to right, and how much of them there is yet."""

    def __init__(self, result: MetastableResult, at_us: int, left: float, right: float) -> None:
        self.result = result
        self.left, self.right = left, right
        self.shown = len(result.seconds) if at_us == result.end_us else at_us // SECOND_US
        self._scale = (right - left) / result.end_us

    def x(self, us: int) -> float:
        return self.left + us * self._scale

    def middle(self, second: int) -> float:
        """The middle of a second; the last one may be cut short."""
        return self.x(min(second * SECOND_US + SECOND_US // 2, self.result.end_us))


def _legend(width: int) -> tuple[Markup, float]:
    entries = {
        "offered": line(0, 6, 18, 6, tone="c2", dashed=True),
        "throughput": line(0, 6, 18, 6, tone="ink", thick=True),
        "goodput": box(0, 1, 18, 11, tone="good", fill=0.45),
        "first tries": line(0, 6, 18, 6, tone="muted"),
    }
    return svg.legend(entries, width)


def _bands(plot: _Plot, top: float, bottom: float) -> Markup:
    parameters = plot.result.parameters
    parts = []
    if _has_trigger(parameters):
        x = plot.x(parameters.trigger_at_us)
        parts.append(
            svg.element(
                "rect", x=x, y=top, height=bottom - top,
                width=max(plot.x(parameters.trigger_end_us) - x, 2.0),
                style=f"fill:{svg.color('c5')};fill-opacity:0.18",
            )
        )  # fmt: skip
    if parameters.limit and parameters.limit_at_us < plot.result.end_us:
        x = plot.x(parameters.limit_at_us)
        end_us = min(parameters.limit_at_us + parameters.limit_for_us, plot.result.end_us)
        parts.append(
            svg.element(
                "rect", x=x, y=top, width=max(plot.x(end_us) - x, 2.0), height=bottom - top,
                style=f"fill:none;stroke:{svg.color('c4')};stroke-dasharray:4 3",
            )
        )  # fmt: skip
    return svg.join(parts)


def _has_trigger(parameters: MetastableParameters) -> bool:
    return parameters.pattern not in (CONSTANT, DIURNAL) or parameters.slow_percent > 100


def _frame(plot: _Plot, title: str, note: str, y: float, height: float) -> tuple[Markup, float]:
    """A panel's title, its note at the right, and its base line; and where the base line is."""
    base = y + _TITLE + height
    parts = [
        text(title, 4, y + 14, bold=True),
        line(plot.left, base, plot.right, base, tone="line"),
    ]
    taken = (len(title) + len(note)) * svg.LETTER_PIXELS + 20
    if note and taken < plot.right:
        parts.append(text(note, plot.right, y + 14, anchor="end", tone="muted"))
    return svg.join(parts), base


def _scale_mark(plot: _Plot, label: str, y: float) -> Markup:
    return svg.join(
        [
            line(plot.left, y, plot.right, y, tone="line", dashed=True),
            text(label, plot.left - 4, y + 4, anchor="end", tone="muted"),
        ]
    )


def _line(plot: _Plot, heights: Sequence[float | None], tone: str, style: str) -> Markup:
    """A line through the middles of seconds; it is broken where there is no value."""
    moves, pen_down = [], False
    for second, y in enumerate(heights[: plot.shown]):
        if y is not None:
            moves.append(f"{'L' if pen_down else 'M'}{plot.middle(second):.1f} {y:.1f}")
        pen_down = y is not None
    if not moves:
        return Markup("")
    stroke = f"fill:none;stroke:{svg.color(tone)};stroke-linejoin:round;{style}"
    return svg.element("path", d="".join(moves), style=stroke)


def _area(plot: _Plot, heights: Sequence[float], base: float, tone: str) -> Markup:
    if not plot.shown:
        return Markup("")
    points = [f"L{plot.middle(n):.1f} {y:.1f}" for n, y in enumerate(heights[: plot.shown])]
    path = (
        f"M{plot.middle(0):.1f} {base:.1f}{''.join(points)}"
        f"L{plot.middle(plot.shown - 1):.1f} {base:.1f}Z"
    )
    color = svg.color(tone)
    style = f"fill:{color};fill-opacity:0.45;stroke:{color};stroke-width:1px"
    return svg.element("path", d=path, style=style)


def _rates(plot: _Plot, y: float) -> tuple[Markup, float]:
    seconds, parameters = plot.result.seconds, plot.result.parameters
    capacity = parameters.capacity_per_second
    highest = max(seconds.tries, default=0)
    top = max(min(highest, math.ceil(4 * capacity)), max(seconds.throughput, default=0), 1)
    note = f"offered up to {highest:,}/s" if highest > top else ""
    frame, base = _frame(plot, "Requests a second", note, y, _RATES)

    def height(count: int) -> float:
        return base - min(count, top) * _RATES / top

    parts = [
        frame,
        _scale_mark(plot, f"{round(capacity)}", height(round(capacity))),
        _area(plot, [height(each) for each in seconds.goodput], base, "good"),
        _line(plot, [height(each) for each in seconds.first_tries], "muted", "stroke-width:1px"),
        _line(plot, [height(each) for each in seconds.throughput], "ink", "stroke-width:2px"),
        _line(
            plot, [height(each) for each in seconds.tries], "c2",
            "stroke-width:1.5px;stroke-dasharray:4 3",
        ),
    ]  # fmt: skip
    return svg.join(parts), base


def _queue(plot: _Plot, y: float) -> tuple[Markup, float]:
    queued = plot.result.seconds.queued
    top = max(max(queued, default=0), 10)
    frame, base = _frame(plot, "Waiting", f"at most {max(queued, default=0):,}", y, _QUEUE)
    heights = [base - each * _QUEUE / top for each in queued]
    return svg.join([frame, _area(plot, heights, base, "c6")]), base


def _latency(plot: _Plot, y: float) -> tuple[Markup, float]:
    """Latency on a scale of powers of ten: what is well and what is not are far apart."""
    result = plot.result
    found = {percent: result.latencies_us[percent] for percent in (50, 99)}
    known = [each for series in found.values() for each in series if each]
    timeout_us = result.parameters.timeout_us
    high = math.log10(max([timeout_us, *known])) + 0.1
    low = math.log10(min([timeout_us, *known])) - 0.1
    note = f"p50 solid, p99 dotted; time-out {rounded_time(timeout_us)}"
    frame, base = _frame(plot, "Latency", note, y, _LATENCY)

    def height(us: int | None) -> float | None:
        return None if not us else base - (math.log10(us) - low) * _LATENCY / (high - low)

    limit = height(timeout_us)
    assert limit is not None
    parts = [frame, _scale_mark(plot, rounded_time(timeout_us), limit)]
    parts.append(_line(plot, [height(each) for each in found[50]], "c1", "stroke-width:2px"))
    parts.append(
        _line(plot, [height(each) for each in found[99]], "c1", "stroke-width:2px;"
              "stroke-dasharray:1 3;stroke-linecap:round")
    )  # fmt: skip
    return svg.join(parts), base


def _wasted(plot: _Plot, y: float) -> tuple[Markup, float]:
    seconds = plot.result.seconds
    frame, base = _frame(plot, "Work for nobody", "", y, _WASTED)
    shares = [
        wasted / worked if worked else 0.0
        for wasted, worked in zip(seconds.wasted_us, seconds.worked_us, strict=True)
    ]
    parts = [
        frame,
        text("100 %", plot.left - 4, base - _WASTED + 8, anchor="end", tone="muted"),
        _area(plot, [base - share * _WASTED for share in shares], base, "bad"),
    ]
    return svg.join(parts), base + 4


# ---------------------------------------------------------------- in words


def describe_result(result: MetastableResult) -> str:
    """Say what happened, for readers who do not see the drawing."""
    parameters = result.parameters
    sentences = [
        f"{result.total().first_tries:,} requests in {rounded_time(result.end_us)}; "
        f"the server can do {round(parameters.capacity_per_second)} a second."
    ]
    if not _has_trigger(parameters):
        return " ".join([*sentences, _of(result.total(), "Of all of them")])
    before, after = result.before(), result.after()
    if before.first_tries:
        sentences.append(_of(before, "Before the trigger"))
    if after.first_tries:
        sentences.append(_of(after, "After it"))
        sentences.append(_end(result))
    return " ".join(sentences)


def _of(total: Total, when: str) -> str:
    answered, amplification = total.answered_percent, total.amplification
    if answered is None or amplification is None:
        return f"{when} none had ended."
    sentence = f"{when} {answered:.1f} % were answered, with {amplification:.1f} tries a request"
    wasted = total.wasted_percent
    if wasted is None:
        return f"{sentence}."
    return f"{sentence}, and {wasted:.0f} % of the work was for nobody."


def _end(result: MetastableResult) -> str:
    recovered_us = result.recovered_us
    if recovered_us is not None:
        return f"All was well again {rounded_time(recovered_us)} after the trigger."
    if result.is_stuck:
        return f"It did not come back: {result.seconds.queued[-1]:,} wait at the end."
    return "It was not well again at the end."


def tables(result: MetastableResult) -> tuple[Table, ...]:
    """Return the run as a table: a row for each twelfth of it."""
    count = len(result.seconds)
    step = -(-count // _ROWS)
    return (
        Table(
            "Over time: counts a second, the queue and the latency at the end",
            (
                "until", "first tries", "offered", "throughput", "goodput", "tries a request",
                "waiting", "p50", "p95", "p99", "work for nobody",
            ),
            tuple(
                _row(result, start, min(start + step, count)) for start in range(0, count, step)
            ),
        ),
    )  # fmt: skip


def _row(result: MetastableResult, start: int, end: int) -> tuple[str, ...]:
    total, length = result.total(start, end), end - start
    end_us = min(end * SECOND_US, result.end_us)

    def rate(count: int) -> str:
        return f"{count / length:.1f}"

    def latency(percent: int) -> str:
        found = result.latency_us(percent, end_us)
        return "too few" if found is None else rounded_time(found)

    return (
        rounded_time(end_us),
        rate(total.first_tries),
        rate(total.tries),
        rate(total.throughput),
        rate(total.goodput),
        "none" if total.amplification is None else f"{total.amplification:.1f}",
        f"{result.seconds.queued[end - 1]:,}",
        latency(50),
        latency(95),
        latency(99),
        "none" if total.wasted_percent is None else f"{total.wasted_percent:.0f} %",
    )
