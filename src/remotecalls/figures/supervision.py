"""The drawing of a supervision tree over time: the tree at a moment, and below it how it came.

Above, the tree (`supervision_tree.py`). Below, a lane a process, the restarts that count at the
moment, and the requests that got no answer (`supervision_lanes.py`). Shapes and textures say all
that color says.
"""

from __future__ import annotations

from collections.abc import Iterator

from remotecalls.figures import supervision_lanes as lanes
from remotecalls.figures import svg
from remotecalls.figures.rounding import rounded_time
from remotecalls.figures.supervision_tree import tree
from remotecalls.figures.svg import element, line, text
from remotecalls.figures.table import Table
from remotecalls.simulators.supervision.parameters import ALL, CRASHED, NORMAL, WORKERS
from remotecalls.simulators.supervision.record import Event
from remotecalls.simulators.supervision.result import SupervisionResult
from remotecalls.simulators.supervision.snapshot import State

_MOST_ROWS = 100


def draw(result: SupervisionResult, at_us: int, width: int = svg.WIDE) -> str:
    """Draw the tree at a time, and what had happened by then.

    Args:
        result: what `simulators.supervision` returned.
        at_us: simulated time in microseconds; a later one than the end means the end.
        width: of the drawing in CSS pixels, from `svg.NARROW` on; at this width its text is 12 px.

    Returns:
        SVG text with a text alternative.

    Raises:
        ValueError: the width is too narrow for the labels.
    """
    svg.check_width(width)
    at_us = min(at_us, result.end_us)
    legend, y = svg.legend(lanes.legend(), width)
    parts = [legend, text(f"The tree after {rounded_time(at_us)}", 4, y + 18, bold=True)]
    y += 24
    drawn, _ = tree(result.snapshot(at_us), result.flows_by(at_us), width)
    parts.append(element("g", drawn, transform=f"translate(0 {y:g})"))
    # The list of messages is longest at the end. What is below must not move while time does.
    _, height = tree(result.snapshot(result.end_us), result.flows_by(result.end_us), width)
    y += height
    plot, top = lanes.Plot(result, at_us, width), y + 20
    panels = []
    for panel in (lanes.lanes, lanes.window, lanes.requests):
        drawn, y = panel(plot, y)
        panels.append(drawn)
    # Below the panels, so that it crosses no word: letters have a rim of paper.
    cursor = plot.x(at_us)
    parts.append(line(cursor, top, cursor, y, tone="accent", thick=True))
    parts.extend(panels)
    parts.append(svg.time_axis(result.end_us, plot.left, plot.right, y))
    return svg.picture(width, round(y + 22), describe_result(result), parts)


def event_times(result: SupervisionResult) -> list[int]:
    """Return the times at which something happens to a process, in order, each once."""
    times = {0, result.end_us, *(kill.at_us for kill in result.kills)}
    times.update(entry.at_us for entry in result.log)
    return sorted(times)


# ---------------------------------------------------------------- words


def describe_result(result: SupervisionResult) -> str:
    """Say in words what the picture of the whole run shows."""
    return " ".join([*_causes(result), *_course(result), _requests(result)])


def _causes(result: SupervisionResult) -> Iterator[str]:
    parameters = result.parameters
    yield f"shop is {parameters.strategy}."
    hit = [kill.at_us for kill in result.kills if kill.hit]
    missed = len(result.kills) - len(hit)
    if hit:
        times = "once" if len(hit) == 1 else f"{len(hit)} times"
        how = {CRASHED: "crashes", NORMAL: "ends as it should"}.get(parameters.end, "is killed")
        first = "after" if len(hit) == 1 else "first after"
        yield f"{parameters.victim} {how} {times}, {first} {rounded_time(hit[0])}."
    if missed:
        yield f"{missed} kill{'s' * (missed > 1)} found no process."


def _course(result: SupervisionResult) -> Iterator[str]:
    again = [f"{name} {result.restarted(name)}" for name in ALL if result.restarted(name)]
    yield f"Started again: {', '.join(again)}." if again else "Nobody is started again."
    for entry in result.log:
        if entry.event is Event.GAVE_UP:
            yield f"{entry.name} gives up after {rounded_time(entry.at_us)}."
    if result.ended_us is not None:
        yield f"The system ends after {rounded_time(result.ended_us)}."
    for name in WORKERS:
        stale_us = result.spent_us(name, State.STALE)
        if stale_us:
            yield f"{name} is stale for {rounded_time(stale_us)}."
    alive = result.ended_us is None
    dead = [name for name in ALL if result.state(name, result.end_us) is State.DEAD]
    if alive and dead:
        yield f"Dead at the end: {', '.join(dead)}."


def _requests(result: SupervisionResult) -> str:
    waiting = sum(each.waiting(result.end_us) for each in result.traffic.values())
    return (
        f"Of {result.total('arrived'):,} requests {result.total('answered'):,} are answered, "
        f"{result.total('failed'):,} fail, {result.total('lost'):,} are lost with a process, and "
        f"{waiting:,} wait at the end."
    )


# ---------------------------------------------------------------- tables


def tables(result: SupervisionResult) -> tuple[Table, ...]:
    """Return the run as tables: processes, requests, restarts that counted, and the log."""
    return _processes(result), _workers(result), _restarts(result), _log(result)


def _processes(result: SupervisionResult) -> Table:
    return Table(
        "Processes: restarts, and how long each was in which state",
        ("process", "started again", *(state.value for state in State)),
        tuple(
            (
                name,
                str(result.restarted(name)),
                *(rounded_time(result.spent_us(name, state)) for state in State),
            )
            for name in ALL
        ),
    )


def _workers(result: SupervisionResult) -> Table:
    columns = ("arrived", "answered", "failed", "lost", "messages_lost", "state_lost")
    return Table(
        "Requests, and what was lost with processes",
        (
            "worker", "arrived", "answered", "failed", "lost", "messages lost with mailboxes",
            "things forgotten", "waiting at the end",
        ),
        tuple(
            (
                name,
                *(f"{len(getattr(traffic, what)):,}" for what in columns),
                f"{traffic.waiting(result.end_us):,}",
            )
            for name, traffic in result.traffic.items()
        ),
    )  # fmt: skip


def _restarts(result: SupervisionResult) -> Table:
    return Table(
        _first("Restarts that supervisors counted", len(result.restarts)),
        ("time", "supervisor", "within the period", "allowed"),
        tuple(
            (
                rounded_time(each.at_us),
                each.supervisor,
                str(each.recent),
                "yes" if each.is_allowed else "no",
            )
            for each in result.restarts[:_MOST_ROWS]
        ),
    )


def _log(result: SupervisionResult) -> Table:
    return Table(
        _first("What happened", len(result.log)),
        ("time", "process", "event", "reason"),
        tuple(
            (rounded_time(each.at_us), each.name, each.event.value, each.reason)
            for each in result.log[:_MOST_ROWS]
        ),
    )


def _first(caption: str, count: int) -> str:
    return f"{caption}: the first {_MOST_ROWS} of {count:,}" if count > _MOST_ROWS else caption
