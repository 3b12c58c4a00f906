"""The drawing of what consistency costs, and of how it is violated.

Above, each operation by when it was called and how long it took, on a scale of powers of ten: a
circle is a read, a square a write, a cross at the top one without an answer. A ring marks a read
whose value had been replaced, a dot in a square a write that is lost. The band is the partition.
Below, if the history is not linearizable, a fragment of it from which no operation can be removed:
a row a client, a bar an operation, from its call to its return.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from remotecalls.figures import svg
from remotecalls.figures.rounding import rounded_time
from remotecalls.figures.svg import Markup, box, dot, line, text
from remotecalls.figures.table import Table
from remotecalls.simulators.consistency.judgement import Judgement, judge
from remotecalls.simulators.consistency.result import ConsistencyResult
from remotecalls.simulators.linearizability.history import Operation
from remotecalls.simulators.parameters import format_quantity

_LEFT = 52.0
_RIGHT = 14.0
_TALL = 150.0
_ROW = 26.0
_BAR = 14.0


def draw(result: ConsistencyResult, at_us: int, width: int = svg.WIDE) -> str:
    """Draw the operations that had begun at a time, and the violation if there is one.

    Args:
        result: what `simulators.consistency` returned.
        at_us: simulated time in microseconds; a later one than the end means the end.
        width: of the drawing in CSS pixels, from `svg.NARROW` on; at this width its text is 12 px.

    Returns:
        SVG text with a text alternative.

    Raises:
        ValueError: the width is too narrow for the labels.
    """
    svg.check_width(width)
    at_us = min(at_us, result.end_us)
    legend, top = _legend(width)
    panel, bottom = _operations(result, at_us, top, width)
    cursor = _LEFT + at_us * (width - _LEFT - _RIGHT) / result.end_us
    parts = [
        legend,
        panel,
        line(cursor, top + 4, cursor, bottom, tone="accent", thick=True),
        svg.time_axis(result.end_us, _LEFT, width - _RIGHT, bottom),
    ]
    verdict, bottom = _verdict(judge(result), bottom + 22, width)
    return svg.picture(width, round(bottom), describe_result(result), [*parts, verdict])


def event_times(result: ConsistencyResult) -> list[int]:
    """Return the times at which the drawing changes, sorted: each call, and the end."""
    return sorted({0, result.end_us, *(each.operation.called_us for each in result.records)})


def _legend(width: int) -> tuple[Markup, float]:
    entries = {
        "read": _circle(6, 7),
        "write": _square(6, 7),
        "no answer": _cross(6, 7),
        "stale": svg.join([_circle(7, 7), _ring(7, 7)]),
        "lost": svg.join([_square(6, 7), dot(6, 7, 1.5, tone="bad")]),
        "partition": _band(0, 0, 14, 14),
    }
    return svg.legend(entries, width, sample=14)


def _circle(x: float, y: float) -> Markup:
    style = f"fill:{svg.color('paper')};stroke:{svg.color('c1')};stroke-width:1.5px"
    return svg.element("circle", cx=x, cy=y, r=3, style=style)


def _square(x: float, y: float) -> Markup:
    style = f"fill:{svg.color('paper')};stroke:{svg.color('c2')};stroke-width:1.5px"
    return svg.element("rect", x=x - 3, y=y - 3, width=6, height=6, style=style)


def _cross(x: float, y: float) -> Markup:
    style = f"fill:none;stroke:{svg.color('bad')};stroke-width:1.5px"
    left, right, top, bottom = (f"{each:.1f}" for each in (x - 3, x + 3, y - 3, y + 3))
    path = f"M{left} {top}L{right} {bottom}M{left} {bottom}L{right} {top}"
    return svg.element("path", d=path, style=style)


def _ring(x: float, y: float) -> Markup:
    style = f"fill:none;stroke:{svg.color('bad')};stroke-width:1.5px"
    return svg.element("circle", cx=x, cy=y, r=6, style=style)


def _band(x: float, y: float, width: float, height: float) -> Markup:
    style = f"fill:{svg.color('c5')};fill-opacity:0.18"
    return svg.element("rect", x=x, y=y, width=max(width, 2.0), height=height, style=style)


def _operations(
    result: ConsistencyResult, at_us: int, top: float, width: int
) -> tuple[Markup, float]:
    parameters = result.parameters
    right, base = width - _RIGHT, top + 18 + _TALL
    scale = (right - _LEFT) / result.end_us
    latencies = result.latencies_us()
    low = math.log10(max(1, min(latencies, default=1_000))) - 0.15
    high = math.log10(max([parameters.timeout_us, *latencies])) + 0.15

    def height(us: int) -> float:
        return base - (math.log10(max(us, 1)) - low) * _TALL / (high - low)

    parts = [text("How long it took", 4, top + 14, bold=True)]
    if parameters.partition:
        start = _LEFT + min(parameters.partition_at_us, result.end_us) * scale
        end_us = min(parameters.partition_at_us + parameters.partition_for_us, result.end_us)
        parts.append(_band(start, top + 18, _LEFT + end_us * scale - start, _TALL))
    for power in range(math.ceil(low), math.floor(high) + 1):
        y = height(10**power)
        parts.append(line(_LEFT, y, right, y, tone="line", dashed=True))
        label = format_quantity(10**power, "µs")
        parts.append(text(label, _LEFT - 5, y + 4, anchor="end", tone="muted"))
    stale = dict.fromkeys(result.stale_reads)
    lost = {each.number: each.reason for each in result.lost_writes}
    for number, record in enumerate(result.records):
        if record.operation.called_us > at_us:
            break
        x = _LEFT + record.operation.called_us * scale
        if not record.is_ok:
            parts.append(_cross(x, top + 24))
            continue
        y = height(record.latency_us)
        parts.append(_square(x, y) if record.is_write else _circle(x, y))
        if number in stale:
            parts.append(_ring(x, y))
        if number in lost:
            parts.append(dot(x, y, 1.5, tone="bad"))
    parts.append(line(_LEFT, base, right, base, tone="line"))
    return svg.join(parts), base


# ---------------------------------------------------------------- the violation


def _verdict(judgement: Judgement, top: float, width: int) -> tuple[Markup, float]:
    """One line for a history that is in order; for one that is not, the fragment."""
    if judgement.fragment is None:
        return text(judgement.sentence, 4, top + 16, bold=True), top + 26
    parts = [text("Not linearizable: no order explains these", 4, top + 16, bold=True)]
    fragment = judgement.fragment.operations
    processes = sorted({each.process for each in fragment})
    start_us = min(each.called_us for each in fragment)
    end_us = max(max(each.called_us, each.returned_us or 0) for each in fragment)
    scale = (width - _LEFT - _RIGHT - 70) / max(end_us - start_us, 1)
    y = top + 22
    for process in processes:
        y += _ROW
        parts.append(text(f"client {process}", 4, y - 3, tone="muted"))
        parts.append(line(_LEFT, y + 2, width - _RIGHT, y + 2, tone="line"))
        for each in (other for other in fragment if other.process == process):
            parts.extend(_bar(each, start_us, end_us, scale, y))
    span = f"{rounded_time(end_us - start_us)} from the first call to the last return"
    parts.append(text(span, width - _RIGHT, y + 17, anchor="end", tone="muted"))
    return svg.join(parts), y + 24


def _bar(
    operation: Operation, start_us: int, end_us: int, scale: float, y: float
) -> Iterator[Markup]:
    x = _LEFT + 8 + (operation.called_us - start_us) * scale
    is_open = operation.returned_us is None
    until = end_us if operation.returned_us is None else operation.returned_us
    long = max((until - operation.called_us) * scale, 3.0)
    tone = "c2" if operation.kind == "write" else "c1"
    yield box(x, y - _BAR, long, _BAR, tone=tone, fill=0.15, dashed=is_open)
    yield text(_words(operation), x + 3, y - 3)


def _words(operation: Operation) -> str:
    value = "nothing" if operation.value is None else operation.value
    return f"w {value}" if operation.kind == "write" else f"r {value}"


# ---------------------------------------------------------------- in words


def describe_result(result: ConsistencyResult) -> str:
    """Say what happened, for readers who do not see the drawing."""
    total = len(result.records)
    sentences = [
        f"{total} operations, {result.count('ok')} with an answer, {result.count('failed')} "
        f"refused and {result.count('unknown')} that may or may not have happened."
    ]
    for name, writes in (("reads", False), ("writes", True)):
        half_us = result.latency_us(50, writes=writes)
        if half_us is not None:
            sentences.append(f"Half of the {name} took {rounded_time(half_us)} at most.")
    wrong = [
        (len(result.stale_reads), "stale reads"),
        (len(result.lost_writes), "lost writes"),
        (len(result.session.own_writes), "reads that miss the client's own write"),
        (len(result.session.monotonic_reads), "reads that go back"),
    ]
    found = [f"{count} {name}" for count, name in wrong if count]
    if found:
        sentences.append(f"{', '.join(found).capitalize()}.")
    if not result.has_converged:
        sentences.append("At the end the replicas differ.")
    judgement = judge(result)
    sentences.append(judgement.sentence)
    if judgement.fragment is not None:
        sentences.append(f"{_in_order(judgement.fragment.operations)}.")
    return " ".join(sentences)


def _in_order(fragment: Sequence[Operation]) -> str:
    def one(operation: Operation) -> str:
        value = "nothing" if operation.value is None else operation.value
        verb = "writes" if operation.kind == "write" else "reads"
        return f"client {operation.process} {verb} {value}"

    found = "; ".join(one(each) for each in sorted(fragment, key=lambda each: each.called_us))
    return found[:1].upper() + found[1:]


def tables(result: ConsistencyResult) -> tuple[Table, ...]:
    """Return the run as tables: reads and writes, what went wrong, and the replicas at the end."""

    def latency(percent: int, writes: bool) -> str:
        found = result.latency_us(percent, writes=writes)
        return "too few" if found is None else rounded_time(found)

    kinds = tuple(
        (
            name,
            *(str(result.count(each, writes=writes)) for each in ("ok", "failed", "unknown")),
            *(latency(percent, writes) for percent in (50, 95, 99)),
        )
        for name, writes in (("reads", False), ("writes", True))
    )
    wrong = (
        ("stale reads", str(len(result.stale_reads))),
        ("lost writes", str(len(result.lost_writes))),
        ("reads that miss the client's own write", str(len(result.session.own_writes))),
        ("reads that go back", str(len(result.session.monotonic_reads))),
        ("reads with siblings", str(len(result.siblings))),
        ("messages between nodes", f"{result.messages:,}"),
    )
    keys = range(result.parameters.keys)
    replicas = tuple(
        (str(state.node), *(_values(state.values[key]) for key in keys)) for state in result.final
    )
    return (
        Table(
            "Operations",
            ("kind", "with an answer", "refused", "unknown", "p50", "p95", "p99"),
            kinds,
        ),
        Table("What went wrong", ("what", "how often"), wrong),
        Table("The replicas at the end", ("replica", *(f"key {key}" for key in keys)), replicas),
    )


def _values(values: tuple[int, ...]) -> str:
    return " and ".join(str(value) for value in values) or "nothing"
