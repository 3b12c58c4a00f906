"""The drawing of who gets the calls: one panel a strategy, one row a server.

A row is time from left to right. Each column stands for a stretch of it: the taller, the more calls
came to that server; the outlined part on top was refused. Below the row, a dashed line means that
nobody knows of the server yet, a heavy one that it fails, and a double one that it is left out. The
number at the right is how many calls it got. Shapes say all that color says.
"""

from __future__ import annotations

from collections.abc import Iterator

from remotecalls.figures import svg
from remotecalls.figures.rounding import rounded_time
from remotecalls.figures.svg import Markup, box, line, text
from remotecalls.figures.table import Table
from remotecalls.simulators.balancing_result import STRATEGIES, BalancingResult, StrategyRun
from remotecalls.simulators.parameters import format_quantity

_ROW = 20.0
_TALL = 15.0
_LEFT = 26.0
_MARGIN = 12.0
_COUNT = 40.0
_COLUMN_PIXELS = 8
_NAMES = "ABCDE"


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
    if width < svg.NARROW:
        raise ValueError(f"width is {width}; the narrowest drawing is {svg.NARROW} pixels")
    at_us = min(at_us, result.end_us)
    right = width - _MARGIN - _COUNT
    columns = int((right - _LEFT) // _COLUMN_PIXELS)
    stretch_us = -(-result.end_us // columns)
    tallest = max(
        (max(column) for run in result.runs for column in _columns(result, run, stretch_us)[0]),
        default=1,
    )
    legend, y = _legend(width)
    top, parts = y, [legend]
    for run in result.runs:
        panel, y = _panel(result, run, at_us, stretch_us, max(tallest, 1), y, width)
        parts.append(panel)
    scale = _COLUMN_PIXELS / stretch_us
    cursor = _LEFT + at_us * scale
    parts.append(line(cursor, top, cursor, y, tone="accent", thick=True))
    parts.append(svg.time_axis(result.end_us, _LEFT, _LEFT + result.end_us * scale, y))
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


def _columns(
    result: BalancingResult, run: StrategyRun, stretch_us: int, at_us: int | None = None
) -> tuple[list[list[int]], list[list[int]]]:
    """For each server, the calls that came in each stretch of time, and those refused of them."""
    count = result.end_us // stretch_us + 1
    servers = range(result.parameters.servers)
    came, refused = ([[0] * count for _ in servers] for _ in range(2))
    for call in run.calls:
        if at_us is None or call.arrived_us <= at_us:
            column = min(call.arrived_us // stretch_us, count - 1)
            came[call.server][column] += 1
            refused[call.server][column] += not call.ok
    return came, refused


def _legend(width: int) -> tuple[Markup, float]:
    entries = {
        "calls": box(0, 0, 5, 12, tone="c1", fill=0.9),
        "refused": box(0, 0, 5, 12, tone="bad"),
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
    stretch_us: int,
    tallest: int,
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
    came, refused = _columns(result, run, stretch_us, at_us)
    scale = _COLUMN_PIXELS / stretch_us
    for server in range(result.parameters.servers):
        y += _ROW
        parts.append(text(_NAMES[server], _LEFT - 6, y - 3, anchor="end"))
        parts.extend(_bars(came[server], refused[server], tallest, y - 3))
        parts.extend(_states(result, run, server, at_us, scale, y))
        parts.append(text(f"{sum(came[server]):,}", width - _MARGIN, y - 3, anchor="end"))
    return svg.join(parts), y + 6


def _bars(came: list[int], refused: list[int], tallest: int, y: float) -> Iterator[Markup]:
    for column, (all_of_them, bad) in enumerate(zip(came, refused, strict=True)):
        x = _LEFT + column * _COLUMN_PIXELS
        good = (all_of_them - bad) * _TALL / tallest
        if good:
            yield box(x, y - good, _COLUMN_PIXELS - 1, good, tone="c1", fill=0.9)
        if bad:
            height = bad * _TALL / tallest
            yield box(x, y - good - height, _COLUMN_PIXELS - 1, height, tone="bad")


def _states(
    result: BalancingResult, run: StrategyRun, server: int, at_us: int, scale: float, y: float
) -> Iterator[Markup]:
    """The lines below a row: what is wrong with the server, as long as it lasts."""
    parameters = result.parameters

    def places(from_us: int, until_us: int) -> tuple[float, float] | None:
        until_us = min(until_us, at_us)
        if from_us >= until_us:
            return None
        return _LEFT + from_us * scale, _LEFT + until_us * scale

    if server == parameters.servers - 1 and (ends := places(0, parameters.joins_at_us)):
        yield line(ends[0], y, ends[1], y, tone="muted", dashed=True)
    fails = parameters.fails_at_us, parameters.fails_at_us + parameters.fails_for_us
    if server == 1 and (ends := places(*fails)):
        yield line(ends[0], y, ends[1], y, tone="bad", thick=True)
    for ejected in run.ejections:
        if ejected.server == server and (ends := places(ejected.from_us, ejected.until_us)):
            yield _double(ends[0], ends[1], y + 3)


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
    for run in result.runs:
        counts = _and([f"{count:,}" for count in run.counts(parameters.servers)])
        sentences.append(f"{STRATEGIES[run.strategy]}: {counts} calls; {_facts_of_all(run)}.")
    return " ".join(sentences)


def _facts_of_all(run: StrategyRun) -> str:
    p50_us, p99_us = run.latency_us(50), run.latency_us(99)
    if p50_us is None or p99_us is None:
        return "none was answered"
    times = f"half took {rounded_time(p50_us)} at most, 99 of 100 {rounded_time(p99_us)}"
    return f"{times}, {run.failed:,} refused" if run.failed else times


def _and(words: list[str]) -> str:
    return f"{', '.join(words[:-1])} and {words[-1]}"


def tables(result: BalancingResult) -> tuple[Table, ...]:
    """Return the run as a table: one row a strategy."""
    names = [f"calls of {_NAMES[n]}" for n in range(result.parameters.servers)]

    def time(run: StrategyRun, percent: int) -> str:
        found = run.latency_us(percent)
        return "none" if found is None else rounded_time(found)

    return (
        Table(
            "Strategies",
            ("strategy", *names, "p50", "p99", "refused", "ejections", "connections"),
            tuple(
                (
                    STRATEGIES[run.strategy],
                    *(f"{count:,}" for count in run.counts(result.parameters.servers)),
                    time(run, 50),
                    time(run, 99),
                    f"{run.failed:,}",
                    str(len(run.ejections)),
                    f"{run.connections:,}",
                )
                for run in result.runs
            ),
        ),
    )
