"""The drawing of one page fetched in three ways: one panel a way, one row an answer.

Each row has two lanes. Boxes in the upper one are the times at which the link carried bytes of that
answer; a cross is a segment that was lost, a box with a heavy edge one that was sent again. The
lower lane is what the client sees of the answer. A row's label says which answer it is and a shape
what happens; color repeats the shapes.
"""

from __future__ import annotations

from collections.abc import Iterator

from remotecalls.figures import svg
from remotecalls.figures.rounding import rounded_time
from remotecalls.figures.svg import Markup, box, line, text
from remotecalls.figures.table import Table
from remotecalls.simulators.multiplexing_result import (
    HELD_UP,
    KINDS,
    QUEUED,
    RECEIVING,
    REPAIRING,
    SETTING_UP,
    WAITING,
    WINDOW_CLOSED,
    Answer,
    ModelRun,
    MultiplexingResult,
    Span,
    Turn,
)
from remotecalls.simulators.parameters import format_quantity

_ON_THE_LINK, _SENT_AGAIN, _LOST = "on the link", "sent again", "lost"
_LEGEND = {
    _ON_THE_LINK: "on the link",
    _LOST: "lost",
    _SENT_AGAIN: "sent again",
    SETTING_UP: "connection set-up",
    QUEUED: "no connection free",
    WAITING: "asked",
    RECEIVING: "coming in",
    REPAIRING: "behind its own loss",
    HELD_UP: "behind another's loss",
    WINDOW_CLOSED: "window used up",
}
_ROW = 14.0
_LEFT = 36.0
_MARGIN = 12.0


def draw(result: MultiplexingResult, at_us: int, width: int = svg.WIDE) -> str:
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
    right = width - _MARGIN
    scale = (right - _LEFT) / max(result.end_us, 1)
    legend, y = _legend(width)
    top = y
    parts = [legend]
    for run in result.runs:
        panel, y = _panel(result, run, at_us, scale, y, width)
        parts.append(panel)
    cursor = _LEFT + at_us * scale
    parts.append(line(cursor, top, cursor, y, tone="accent", thick=True))
    parts.append(svg.time_axis(result.end_us, _LEFT, right, y))
    return svg.picture(width, round(y + 22), describe_result(result), parts)


def event_times(result: MultiplexingResult) -> list[int]:
    """Return the times at which the picture changes in kind, in order, each once."""
    times = {0, result.end_us}
    for run in result.runs:
        times.update(turn.until_us for turn in run.turns if turn.lost or turn.again)
        for answer in run.answers:
            times.update(span.until_us for span in answer.spans)
    return sorted(times)


def _legend(width: int) -> tuple[Markup, float]:
    x, y, parts = _MARGIN, 14.0, []
    for kind, label in _LEGEND.items():
        needed = 26 + svg.LETTER_PIXELS * len(label) + 12
        if x + needed > width:
            x, y = _MARGIN, y + 18
        if kind in (_ON_THE_LINK, _SENT_AGAIN, _LOST):
            turn = Turn(0, 0, 0, 18, 1, lost=kind == _LOST, again=kind == _SENT_AGAIN)
            parts.append(_turn(turn, 0, 18, x, y - 2, 1.0))
        else:
            parts.append(_span(Span(kind, 0, 18), x, y - 4, 1.0))
        parts.append(text(label, x + 24, y))
        x += needed
    return svg.join(parts), y + 10


def _panel(
    result: MultiplexingResult, run: ModelRun, at_us: int, scale: float, top: float, width: int
) -> tuple[Markup, float]:
    head, facts = result.name_of(run.model), _facts(result, run, at_us)
    y = top + 18
    parts = [text(head, _MARGIN, y, bold=True)]
    if svg.LETTER_PIXELS * (len(head) + len(facts)) + 50 > width:
        y += 16
        parts.append(text(facts, _MARGIN, y, tone="muted"))
    else:
        parts.append(text(facts, width - _MARGIN - 6, y, anchor="end", tone="muted"))
    y += 6
    for answer in run.answers:
        y += _ROW
        parts.append(text(result.requests[answer.index].name, _LEFT - 6, y, anchor="end"))
        parts.append(_row(run, answer, at_us, y, scale))
    return svg.join(parts), y + 6


def _facts(result: MultiplexingResult, run: ModelRun, at_us: int) -> str:
    there = sum(answer.finished_us <= at_us for answer in run.answers)
    if there < len(run.answers):
        return f"{there} of {len(run.answers)} answers are there"
    median_us = run.median_us(result.small)
    small = "" if median_us is None else f"small ones {rounded_time(median_us)}, "
    return f"{small}all {rounded_time(run.finished_us)}"


def _row(run: ModelRun, answer: Answer, at_us: int, y: float, scale: float) -> Markup:
    parts = []
    for span in answer.spans:
        if span.from_us < at_us:
            shown = Span(span.kind, span.from_us, min(span.until_us, at_us))
            parts.append(_span(shown, _LEFT + span.from_us * scale, y - 1, scale))
    for turn, from_us, until_us in _on_the_link(run, answer, 1 / scale):
        if from_us < at_us:
            parts.append(_turn(turn, from_us, min(until_us, at_us), _LEFT, y - 6, scale))
    if answer.finished_us <= at_us:
        x = _LEFT + answer.finished_us * scale
        parts.append(line(x, y - 9, x, y + 2, tone="ink", thick=True))
    return svg.join(parts)


def _on_the_link(run: ModelRun, answer: Answer, pixel_us: float) -> Iterator[tuple[Turn, int, int]]:
    """Yield the answer's turns; turns of a kind with less than a pixel between them are one."""
    before: tuple[Turn, int, int] | None = None
    for turn in run.turns:
        if turn.answer != answer.index:
            continue
        if (
            before is not None
            and turn.from_us - before[2] < pixel_us
            and (turn.lost, turn.again) == (before[0].lost, before[0].again)
        ):
            before = (turn, before[1], turn.until_us)
            continue
        if before is not None:
            yield before
        before = (turn, turn.from_us, turn.until_us)
    if before is not None:
        yield before


def _turn(turn: Turn, from_us: int, until_us: int, left: float, y: float, scale: float) -> Markup:
    x, length = left + from_us * scale, (until_us - from_us) * scale
    if turn.lost:
        middle = x + length / 2
        return svg.join(
            [
                line(middle - 4, y - 4, middle + 4, y + 4, tone="bad", thick=True),
                line(middle - 4, y + 4, middle + 4, y - 4, tone="bad", thick=True),
            ]
        )
    if turn.again:
        return box(x, y - 2.5, length, 5, tone="c2", fill=0.25, thick=True)
    return box(x, y - 2.5, length, 5, tone="c1", fill=0.9)


def _span(span: Span, x: float, y: float, scale: float) -> Markup:
    length = (span.until_us - span.from_us) * scale
    if span.kind == SETTING_UP:
        return box(x, y - 2, length, 4, tone="muted", fill=0.25)
    if span.kind == QUEUED:
        return line(x, y, x + length, y, tone="muted", dashed=True)
    if span.kind == WAITING:
        return line(x, y, x + length, y, tone="muted")
    if span.kind == RECEIVING:
        return line(x, y, x + length, y, tone="good", thick=True)
    if span.kind == REPAIRING:
        return box(x, y - 2, length, 4, tone="bad", dashed=True)
    if span.kind == HELD_UP:
        return box(x, y - 2, length, 4, tone="bad", fill=0.9)
    return box(x, y - 2, length, 4, tone="c5")


# ---------------------------------------------------------------- words


def describe_result(result: MultiplexingResult) -> str:
    """Say in words what the picture of the whole run shows."""
    parameters = result.parameters
    total = sum(request.size for request in result.requests)
    round_trip = format_quantity(2 * parameters.one_way_delay_us, "µs")
    sentences = [
        f"{len(result.requests)} answers of {total:,} bytes in total over a link of "
        f"{format_quantity(parameters.bandwidth_kbps, 'kbit/s')}, {round_trip} there and back."
    ]
    for run in result.runs:
        name = result.name_of(run.model)
        median_us = run.median_us(result.small)
        small = "" if median_us is None else f"half of the small ones {rounded_time(median_us)}, "
        sentences.append(f"{name}: {small}all after {rounded_time(run.finished_us)}.")
        if run.lost_segments:
            sentences.append(
                f"Of {run.segments} segments {run.lost_segments} "
                f"{'was' if run.lost_segments == 1 else 'were'} lost; "
                f"{_count(run.answers_held_up)} waited behind a loss of another."
            )
    return " ".join(sentences)


def _count(answers: int) -> str:
    return f"{answers or 'no'} answer{'' if answers == 1 else 's'}"


def tables(result: MultiplexingResult) -> tuple[Table, ...]:
    """Return the run as tables: the models, when each answer was there, and what each waited for.

    The last is one table a model.
    """
    return (
        _models(result),
        _completion(result),
        *(_waiting(result, run) for run in result.runs),
    )


def _models(result: MultiplexingResult) -> Table:
    def median(run: ModelRun, indices: tuple[int, ...]) -> str:
        median_us = run.median_us(indices)
        return "none" if median_us is None else rounded_time(median_us)

    return Table(
        "Models",
        (
            "model",
            "connections",
            "round trips of set-up",
            "bytes of set-up",
            "ready after",
            "small answers, median",
            "large answers, median",
            "all there after",
            "bytes around the bodies",
            "segments lost",
            "bytes sent again",
            "answers behind another's loss",
        ),
        tuple(
            (
                result.name_of(run.model),
                str(run.connections),
                str(run.handshake.round_trips),
                f"{run.handshake_bytes:,}",
                rounded_time(run.ready_us),
                median(run, result.small),
                median(run, result.large),
                rounded_time(run.finished_us),
                f"{run.overhead_bytes:,}",
                str(run.lost_segments),
                f"{run.sent_again_bytes:,}",
                str(run.answers_held_up),
            )
            for run in result.runs
        ),
    )


def _completion(result: MultiplexingResult) -> Table:
    return Table(
        "When each answer was there",
        ("answer", "bytes", *(result.name_of(run.model) for run in result.runs)),
        tuple(
            (
                request.name,
                f"{request.size:,}",
                *(rounded_time(run.answers[request.index].finished_us) for run in result.runs),
            )
            for request in result.requests
        ),
    )


def _waiting(result: MultiplexingResult, run: ModelRun) -> Table:
    return Table(
        f"{result.name_of(run.model)}: how long each answer was in which state",
        ("answer", *KINDS.values()),
        tuple(
            (
                result.requests[answer.index].name,
                *(_time_or_nothing(answer.time_us(kind)) for kind in KINDS),
            )
            for answer in run.answers
        ),
    )


def _time_or_nothing(us: int) -> str:
    return rounded_time(us) if us else "–"
