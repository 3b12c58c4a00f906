"""The drawing of who gets the calls: one panel a strategy, one row a server.

A row is time from left to right. Each column stands for a stretch of it: the taller, the more calls
came to that server; the outlined part on top was refused. What hangs below is the queue: the calls
that waited there when the stretch ended. In the row, a dashed line means that nobody knows of the
server yet, a heavy one that it fails, and a double one that it is left out. The number at the right
is how many calls it got. Shapes say all that color says.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate

from remotecalls.figures import svg
from remotecalls.figures.rounding import rounded_time
from remotecalls.figures.svg import Markup, line, text
from remotecalls.figures.table import Table
from remotecalls.simulators.balancing_parameters import BalancingParameters
from remotecalls.simulators.balancing_result import STRATEGIES, BalancingResult, StrategyRun
from remotecalls.simulators.parameters import format_quantity

_ROW = 32.0
_TALL = 20.0
_DEEP = 8.0
_LEFT = 26.0
_MARGIN = 12.0
_COUNT = 40.0
_COLUMN_PIXELS = 8
_NAMES = "ABCDEF"
_STRETCHES = 10


@dataclass(frozen=True)
class _Columns:
    """One strategy in stretches of time: for each server, a number for each stretch."""

    came: list[list[int]]
    refused: list[list[int]]
    waiting: list[list[int]]


@dataclass(frozen=True)
class _Scales:
    """What a pixel stands for in every panel."""

    stretch_us: int
    most_calls: int
    most_waiting: int

    @property
    def pixels(self) -> float:
        """Pixels for a microsecond."""
        return _COLUMN_PIXELS / self.stretch_us


def draw(result: BalancingResult, at_us: int, width: int = svg.WIDE) -> str:
    """Draw what had happened `at_us` microseconds into the run.

    Args:
        result: the run.
        at_us: simulated time; the end of the run or later shows all of it.
        width: the width of the drawing in pixels, from `svg.NARROW` up.

    Returns:
        An SVG element as text.

    Raises:
        ValueError: `width` is below `svg.NARROW`.
    """
    svg.check_width(width)
    at_us = min(at_us, result.end_us)
    right = width - _MARGIN - _COUNT
    scales = _scales(result, right - _LEFT)
    legend, y = _legend(width)
    top, parts = y, [legend]
    for run in result.runs:
        panel, y = _panel(result, run, at_us, scales, y, width)
        parts.append(panel)
    cursor = _LEFT + at_us * scales.pixels
    parts.append(line(cursor, top, cursor, y, tone="accent", thick=True))
    parts.append(svg.time_axis(result.end_us, _LEFT, _LEFT + result.end_us * scales.pixels, y))
    return svg.picture(width, round(y + 22), describe_result(result), parts)


def event_times(result: BalancingResult) -> list[int]:
    """Return the times at which the picture changes in kind, in order, each once."""
    parameters = result.parameters
    times = {0, result.end_us, parameters.duration_us, parameters.joins_at_us}
    if parameters.fails_for_us:
        times.update((parameters.fails_at_us, parameters.fails_at_us + parameters.fails_for_us))
    for run in result.runs:
        for ejected in run.ejections:
            times.update((ejected.from_us, ejected.until_us))
    return sorted(time for time in times if time <= result.end_us)


def _scales(result: BalancingResult, width: float) -> _Scales:
    """Let the fullest column of all panels be the tallest, and the longest queue the deepest."""
    stretch_us = -(-result.end_us // int(width // _COLUMN_PIXELS))
    found = [_columns(result, run, stretch_us, result.end_us) for run in result.runs]
    return _Scales(
        stretch_us,
        most_calls=max([1, *(max(row) for each in found for row in each.came)]),
        most_waiting=max([1, *(max(row) for each in found for row in each.waiting)]),
    )


def _columns(result: BalancingResult, run: StrategyRun, stretch_us: int, at_us: int) -> _Columns:
    """Count what had happened by a time."""
    count = result.end_us // stretch_us + 1
    servers = range(result.parameters.servers)
    came, refused, changes = ([[0] * count for _ in servers] for _ in range(3))
    for call in run.calls:
        if call.arrived_us > at_us:
            continue
        column = call.arrived_us // stretch_us
        came[call.server][column] += 1
        refused[call.server][column] += not call.ok
        # It waits at the ends of all stretches from the one in which it came.
        changes[call.server][column] += 1
        changes[call.server][call.begun_us // stretch_us] -= 1
    over = at_us // stretch_us
    waiting = [[*accumulate(row)][:over] for row in changes]
    return _Columns(came, refused, waiting)


def _legend(width: int) -> tuple[Markup, float]:
    entries = {
        "calls": _blocks([(0, 12)], tone="c1", fill=0.9, left=0),
        "refused": _blocks([(0, 12)], tone="bad", left=0),
        "waiting": _blocks([(3, 7)], tone="c2", fill=0.25, left=0),
        "fails": line(0, 10, 18, 10, tone="bad", thick=True),
        "left out": _double(0, 18, 10),
        "not known yet": line(0, 10, 18, 10, tone="muted", dashed=True),
    }
    x, y, parts = _MARGIN, 14.0, []
    for label, mark in entries.items():
        needed = 26 + svg.LETTER_PIXELS * len(label) + 12
        if x + needed > width:
            x, y = _MARGIN, y + 18
        parts.append(svg.element("g", mark, transform=f"translate({x:.1f} {y - 11:.1f})"))
        parts.append(text(label, x + 24, y))
        x += needed
    return svg.join(parts), y + 8


def _double(from_x: float, until_x: float, y: float) -> Markup:
    return svg.join(
        [
            line(from_x, y - 1.5, until_x, y - 1.5, tone="ink"),
            line(from_x, y + 1.5, until_x, y + 1.5, tone="ink"),
        ]
    )


def _panel(
    result: BalancingResult,
    run: StrategyRun,
    at_us: int,
    scales: _Scales,
    top: float,
    width: int,
) -> tuple[Markup, float]:
    head, facts = STRATEGIES[run.strategy], _facts(result, run, at_us)
    y = top + 18
    parts = [text(head, _MARGIN, y, bold=True)]
    end = width - _MARGIN - _COUNT - 10  # the cursor stands behind it
    if svg.LETTER_PIXELS * (len(head) + len(facts)) + _MARGIN + 20 > end:
        y += 16
        parts.append(text(facts, _MARGIN, y, tone="muted"))
    else:
        parts.append(text(facts, end, y, anchor="end", tone="muted"))
    y += 4
    columns = _columns(result, run, scales.stretch_us, at_us)
    for server, came in enumerate(columns.came):
        y += _ROW
        base = y - _DEEP - 2
        parts.append(text(_NAMES[server], _LEFT - 6, base, anchor="end"))
        parts.extend(_bars(came, columns.refused[server], scales, base))
        parts.append(_queue(columns.waiting[server], scales, base + 2))
        parts.extend(_states(result, run, server, at_us, scales, base))
        parts.append(text(f"{sum(came):,}", width - _MARGIN, base, anchor="end"))
    return svg.join(parts), y + 6


def _bars(came: list[int], refused: list[int], scales: _Scales, y: float) -> Iterator[Markup]:
    pixels = _TALL / scales.most_calls
    good = [count - bad for count, bad in zip(came, refused, strict=True)]
    yield _blocks([(y - count * pixels, count * pixels) for count in good], tone="c1", fill=0.9)
    tops = [y - count * pixels for count in came]
    yield _blocks([(top, bad * pixels) for top, bad in zip(tops, refused, strict=True)], tone="bad")


def _queue(waiting: list[int], scales: _Scales, y: float) -> Markup:
    pixels = _DEEP / scales.most_waiting
    depths = [max(count * pixels, 1.0) if count else 0.0 for count in waiting]
    return _blocks([(y, depth) for depth in depths], tone="c2", fill=0.25)


def _blocks(
    columns: list[tuple[float, float]], *, tone: str, fill: float = 0.0, left: float = _LEFT
) -> Markup:
    """Return a block for each column, of a top and a height; none where the height is zero.

    Their style is said once, for there are hundreds. Round corners, as `svg.box` has, would make
    dots of low ones.
    """
    color = svg.color(tone)
    found = [
        svg.element(
            "rect",
            x=left + number * _COLUMN_PIXELS + 0.5,
            y=top,
            width=_COLUMN_PIXELS - 2,
            height=height,
        )
        for number, (top, height) in enumerate(columns)
        if height
    ]
    style = f"fill:{color};fill-opacity:{fill:g};stroke:{color};stroke-width:1px"
    return svg.element("g", *found, style=style) if found else Markup("")


def _states(
    result: BalancingResult, run: StrategyRun, server: int, at_us: int, scales: _Scales, y: float
) -> Iterator[Markup]:
    """The lines in a row: what is wrong with the server, as long as it lasts."""
    parameters = result.parameters

    def places(from_us: int, until_us: int) -> tuple[float, float] | None:
        until_us = min(until_us, at_us)
        if from_us >= until_us:
            return None
        return _LEFT + from_us * scales.pixels, _LEFT + until_us * scales.pixels

    if server == parameters.servers - 1 and (ends := places(0, parameters.joins_at_us)):
        yield line(ends[0], y, ends[1], y, tone="muted", dashed=True)
    fails = parameters.fails_at_us, parameters.fails_at_us + parameters.fails_for_us
    if server == 1 and (ends := places(*fails)):
        yield line(ends[0], y + 1, ends[1], y + 1, tone="bad", thick=True)
    for ejected in run.ejections:
        if ejected.server == server and (ends := places(ejected.from_us, ejected.until_us)):
            yield _double(ends[0], ends[1], y - 5)


def _facts(result: BalancingResult, run: StrategyRun, at_us: int) -> str:
    there = sum(call.finished_us <= at_us for call in run.calls)
    if there < len(run.calls):
        return f"{there:,} of {len(run.calls):,} calls are over"
    p99_us = run.latency_us(99)
    p99 = "no answer" if p99_us is None else f"p99 {rounded_time(p99_us)}"
    failed = f", {run.failed:,} refused" if run.failed else ""
    return f"{p99}{failed}, {run.connections:,} connection{'s' * (run.connections != 1)}"


# ---------------------------------------------------------------- words


def describe_result(result: BalancingResult) -> str:
    """Say in words what the picture of the whole run shows."""
    parameters = result.parameters
    calls = len(result.runs[0].calls)
    clients = format_quantity(parameters.clients, "clients")
    sentences = [f"{calls:,} calls of {clients} to {parameters.servers} servers."]
    sentences.extend(_what_is_odd(parameters))
    for run in result.runs:
        counts = _and([f"{count:,}" for count in run.counts(parameters.servers)])
        sentences.append(f"{STRATEGIES[run.strategy]}: {counts} calls; {_facts_of_all(run)}.")
    return " ".join(sentences)


def _what_is_odd(parameters: BalancingParameters) -> Iterator[str]:
    last = _NAMES[parameters.servers - 1]
    if parameters.slow_percent > 100:
        yield f"On {last} each call takes {parameters.slow_percent} % of the time."
    if parameters.joins_at_us:
        yield f"{last} joins after {rounded_time(parameters.joins_at_us)}."
    if parameters.fails_for_us:
        began, length = parameters.fails_at_us, parameters.fails_for_us
        yield f"B fails after {rounded_time(began)}, for {rounded_time(length)}."


def _facts_of_all(run: StrategyRun) -> str:
    p50_us, p99_us = run.latency_us(50), run.latency_us(99)
    if p50_us is None or p99_us is None:
        return "none was answered"
    facts = f"half took {rounded_time(p50_us)} at most, 99 of 100 {rounded_time(p99_us)}"
    if max(run.longest_queues):
        facts += f", at most {max(run.longest_queues):,} waited at a server"
    if run.failed:
        facts += f", {run.failed:,} refused"
    if run.ejections:
        facts += f", {format_quantity(len(run.ejections), 'ejections')}"
    if run.overflows:
        facts += f", {run.overflows:,} times errors enough to eject, and too few servers"
    return facts


def _and(words: list[str]) -> str:
    return f"{', '.join(words[:-1])} and {words[-1]}"


def tables(result: BalancingResult) -> tuple[Table, ...]:
    """Return the run as tables: the strategies, who was left out if anybody, and calls over time.

    The last is one table a strategy.
    """
    anybody = any(run.ejections for run in result.runs)
    return (
        _strategies(result),
        *([_ejections(result)] if anybody else []),
        *(_over_time(result, run) for run in result.runs),
    )


def _strategies(result: BalancingResult) -> Table:
    servers = result.parameters.servers
    return Table(
        "Strategies",
        (
            "strategy",
            *(f"calls of {_NAMES[number]}" for number in range(servers)),
            "busiest, of the mean",
            "p50",
            "p99",
            "longest queue",
            "refused",
            "refused before an ejection",
            "ejections",
            "not ejected: too few servers",
            "connections",
        ),
        tuple(
            (
                STRATEGIES[run.strategy],
                *(f"{count:,}" for count in run.counts(servers)),
                "none" if not run.calls else f"{run.busiest_percent(servers)} %",
                _time_or_none(run.latency_us(50)),
                _time_or_none(run.latency_us(99)),
                f"{max(run.longest_queues):,}",
                f"{run.failed:,}",
                f"{run.failed_before_ejection:,}",
                str(len(run.ejections)),
                str(run.overflows),
                f"{run.connections:,}",
            )
            for run in result.runs
        ),
    )


def _time_or_none(us: int | None) -> str:
    return "none" if us is None else rounded_time(us)


def _ejections(result: BalancingResult) -> Table:
    return Table(
        "Who was left out",
        ("strategy", "server", "from", "until"),
        tuple(
            (
                STRATEGIES[run.strategy],
                _NAMES[ejected.server],
                rounded_time(ejected.from_us),
                rounded_time(ejected.until_us),
            )
            for run in result.runs
            for ejected in run.ejections
        ),
    )


def _over_time(result: BalancingResult, run: StrategyRun) -> Table:
    stretch_us = -(-result.end_us // _STRETCHES)
    columns = _columns(result, run, stretch_us, result.end_us)
    ends = [min(number * stretch_us, result.end_us) for number in range(1, _STRETCHES + 1)]
    return Table(
        f"{STRATEGIES[run.strategy]}: calls that came to each server, and those of them refused",
        ("server", *(f"until {rounded_time(end_us)}" for end_us in ends)),
        tuple(
            (
                _NAMES[server],
                *(
                    f"{came[column]:,}, {refused[column]:,}"
                    if refused[column]
                    else f"{came[column]:,}"
                    for column in range(_STRETCHES)
                ),
            )
            for server, (came, refused) in enumerate(
                zip(columns.came, columns.refused, strict=True)
            )
        ),
    )
