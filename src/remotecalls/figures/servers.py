"""The drawing of a run of server models: one panel a model, one row a request, time to the right.

A box is computing, a thin line waiting, dashes a place in a queue, an outlined box sending, and a
box with a heavy edge the start of a process or thread. Shape tells them apart; color repeats it.
"""

from __future__ import annotations

from remotecalls.figures import svg
from remotecalls.figures.svg import Markup, box, line, text
from remotecalls.figures.table import Table
from remotecalls.simulators.parameters import format_quantity
from remotecalls.simulators.servers import (
    LOOP,
    MODELS,
    POOL,
    PROCESS,
    QUEUED,
    RUNNING,
    SENDING,
    STARTING,
    THREAD,
    WAITING,
    ModelRun,
    ServersResult,
    Span,
)

_LEGEND = (
    (QUEUED, "in a queue"),
    (STARTING, "starting"),
    (RUNNING, "computing"),
    (WAITING, "waiting"),
    (SENDING, "sending"),
)
_ROW = 7.0
_LEFT = 20.0
_HOLDS = {PROCESS: "processes", POOL: "processes", THREAD: "threads", LOOP: "requests"}


def draw(result: ServersResult, at_us: int, width: int = svg.WIDE) -> str:
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
    right = width - 20.0
    scale = (right - _LEFT) / max(result.end_us, 1)
    legend, y = _legend(width)
    parts = [legend]
    for run in result.runs:
        panel, y = _panel(run, at_us, scale, y, width)
        parts.append(panel)
    cursor = _LEFT + at_us * scale
    parts.append(line(cursor, 40, cursor, y, tone="accent", thick=True))
    parts.append(svg.time_axis(result.end_us, _LEFT, right, y))
    return svg.picture(width, round(y + 22), describe_result(result), parts)


def event_times(result: ServersResult) -> list[int]:
    """Return the times at which the picture changes, in order, each once."""
    times = {0, result.end_us}
    for run in result.runs:
        for served in run.served:
            times.add(served.arrived_us)
            times.update(span.until_us for span in served.spans)
    return sorted(times)


def _legend(width: int) -> tuple[Markup, float]:
    x, y, parts = _LEFT, 14.0, []
    for kind, label in _LEGEND:
        needed = 30 + svg.LETTER_PIXELS * len(label) + 12
        if x + needed > width:
            x, y = _LEFT, y + 18
        parts.append(_span(Span(kind, 0, 22), x, y - 4, 1.0))
        parts.append(text(label, x + 28, y))
        x += needed
    return svg.join(parts), y + 12


def _panel(run: ModelRun, at_us: int, scale: float, top: float, width: int) -> tuple[Markup, float]:
    name = MODELS[run.model]
    finished = sum(served.finished_us <= at_us for served in run.served)
    heads = [f"{name[0].upper()}{name[1:]}"]
    facts = f"{finished} of {len(run.served)} done"
    if finished == len(run.served):
        facts = f"median {_time(run.median_us)}, slowest {_time(run.slowest_us)}"
    y = top + 18
    parts = [text(heads[0], _LEFT, y, bold=True)]
    if svg.LETTER_PIXELS * (len(heads[0]) + len(facts)) + 50 > width:
        y += 16
        parts.append(text(facts, _LEFT, y, tone="muted"))
    else:
        parts.append(text(facts, width - 20.0, y, anchor="end", tone="muted"))
    y += 10
    for served in run.served:
        for span in served.spans:
            if span.from_us < at_us:
                shown = Span(span.kind, span.from_us, min(span.until_us, at_us))
                parts.append(_span(shown, _LEFT + span.from_us * scale, y, scale))
        y += _ROW
    return svg.join(parts), y + 2


def _span(span: Span, x: float, y: float, scale: float) -> Markup:
    length = (span.until_us - span.from_us) * scale
    if span.kind == QUEUED:
        return line(x, y, x + length, y, tone="bad", dashed=True)
    if span.kind == WAITING:
        return line(x, y, x + length, y, tone="muted")
    if span.kind == RUNNING:
        return box(x, y - 2.5, length, 5, tone="c1", fill=0.9)
    if span.kind == STARTING:
        return box(x, y - 2.5, length, 5, tone="c2", fill=0.25, thick=True)
    return box(x, y - 2.5, length, 5, tone="c3", fill=0.0)


def _time(us: int) -> str:
    """A time with at most three digits that count."""
    if us < 1_000:
        return format_quantity(us, "µs")
    if us < 10_000:
        return format_quantity(round(us, -2), "µs")
    return format_quantity(round(us, -3), "µs")


# ---------------------------------------------------------------- words


def describe_result(result: ServersResult) -> str:
    """Say in words what the picture of the whole run shows."""
    count = len(result.requests)
    plural = "request" if count == 1 else "requests"
    sentences = [f"{count} {plural}, served in four ways."]
    for run in result.runs:
        name = MODELS[run.model]
        sentences.append(
            f"{name[0].upper()}{name[1:]}: median {_time(run.median_us)}, slowest "
            f"{_time(run.slowest_us)}, at most {run.peak} {_HOLDS[run.model]} at once."
        )
    return " ".join(sentences)


def tables(result: ServersResult) -> tuple[Table, ...]:
    """Return the run as tables: a row a model, then a row a request."""
    models = Table(
        "Models",
        ("model", "median", "slowest", "all done after", "at once", "memory for them",
         "starting and switching"),
        tuple(
            (MODELS[run.model], _time(run.median_us), _time(run.slowest_us),
             _time(run.finished_us), str(run.peak), _memory(run.memory_kib),
             _time(run.overhead_us))
            for run in result.runs
        ),
    )  # fmt: skip
    requests = Table(
        "Latency of each request",
        ("request", "arrived", *MODELS.values()),
        tuple(
            (
                f"r{request.index + 1}",
                format_quantity(request.arrived_us, "µs"),
                *(_time(run.served[request.index].latency_us) for run in result.runs),
            )
            for request in result.requests
        ),
    )
    return models, requests


def _memory(kib: int) -> str:
    return f"{kib / 1_000:,.1f} MB" if kib >= 1_000 else f"{kib} kB"
