"""What a run of `multiplexing` leaves behind, and how the lives of the answers are read from it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from remotecalls.simulators.lossy_tcp import Held, Transmission
from remotecalls.simulators.multiplexing_result import (
    HELD_UP,
    QUEUED,
    RECEIVING,
    REPAIRING,
    SETTING_UP,
    WAITING,
    WINDOW_CLOSED,
    Answer,
    Asked,
    Span,
    Turn,
)

Interval = tuple[int, int]


@dataclass(eq=False)
class Download:
    """One answer while it is on its way; HTTP/2 calls it a stream.

    Attributes:
        request: what was asked.
        connection: the number of its connection.
        asked_us: when the client sent the request.
        to_send: bytes of the body that the server has not put into a frame.
        to_read: bytes of the body that the application has not read.
        unread: those of them that are at the client.
        window: how many bytes of the body HTTP/2 may still send.
        unannounced: what was read since the last WINDOW_UPDATE.
        first_byte_us: when the first byte could be read.
        finished_us: when the last byte had been read.
        closed: the times during which HTTP/2's windows kept the server from sending.
        closed_since_us: the start of one that goes on.
    """

    request: Asked
    to_send: int
    to_read: int
    connection: int = 0
    asked_us: int = 0
    unread: int = 0
    window: int = 0
    unannounced: int = 0
    first_byte_us: int | None = None
    finished_us: int = 0
    closed: list[Interval] = field(default_factory=list)
    closed_since_us: int | None = None


@dataclass(frozen=True)
class Frame:
    """Bytes `first` up to `last` of a connection's stream; the first `head` are not body."""

    download: Download
    first: int
    last: int
    head: int


@dataclass
class Trace:
    """What is remembered of one connection."""

    connection: int
    ready_us: int = 0
    frames: list[Frame] = field(default_factory=list)
    held: list[Held] = field(default_factory=list)

    def frames_in(self, first: int, last: int) -> Iterator[tuple[Frame, int, int]]:
        """Yield each frame with bytes in that range, and where they begin and end."""
        number = bisect_right(self.frames, first, key=lambda frame: frame.last)
        while number < len(self.frames) and self.frames[number].first < last:
            frame = self.frames[number]
            yield frame, max(first, frame.first), min(last, frame.last)
            number += 1


def turns(transmissions: Sequence[Transmission], traces: Sequence[Trace]) -> tuple[Turn, ...]:
    """Say which answer had the link when; consecutive segments of one answer are one turn."""
    found: list[Turn] = []
    for sent in transmissions:
        duration_us, size = sent.ended_us - sent.began_us, sent.last - sent.first
        for frame, first, last in traces[sent.connection].frames_in(sent.first, sent.last):
            turn = Turn(
                answer=frame.download.request.index,
                connection=sent.connection,
                from_us=sent.began_us + duration_us * (first - sent.first) // size,
                until_us=sent.began_us + duration_us * (last - sent.first) // size,
                sent_bytes=last - first,
                lost=sent.lost,
                again=sent.again,
            )
            if found and _goes_on(found[-1], turn):
                before = found.pop()
                turn = Turn(turn.answer, turn.connection, before.from_us, turn.until_us,
                            before.sent_bytes + turn.sent_bytes, turn.lost, turn.again)  # fmt: skip
            found.append(turn)
    return tuple(found)


def _goes_on(before: Turn, turn: Turn) -> bool:
    return before.until_us == turn.from_us and (
        (before.answer, before.connection, before.lost, before.again)
        == (turn.answer, turn.connection, turn.lost, turn.again)
    )


def answers(
    downloads: Sequence[Download], transmissions: Sequence[Transmission], traces: Sequence[Trace]
) -> tuple[Answer, ...]:
    """Say of each answer what it waited for, and when."""
    repairs, holds = _behind_losses(downloads, transmissions, traces)
    found = []
    for download, own, others in zip(downloads, repairs, holds, strict=True):
        if download.first_byte_us is None:
            raise AssertionError(f"{download.request.name} never came")
        ready_us = min(traces[download.connection].ready_us, download.asked_us)
        phases = (
            (SETTING_UP, 0, ready_us),
            (QUEUED, ready_us, download.asked_us),
            (WAITING, download.asked_us, download.first_byte_us),
            (RECEIVING, download.first_byte_us, download.finished_us),
        )
        over = ((WINDOW_CLOSED, download.closed), (REPAIRING, own), (HELD_UP, others))
        spans = _spans(phases, [(kind, _union(intervals)) for kind, intervals in over])
        found.append(
            Answer(
                index=download.request.index,
                connection=download.connection,
                asked_us=download.asked_us,
                first_byte_us=download.first_byte_us,
                spans=spans,
            )
        )
    return tuple(found)


def _behind_losses(
    downloads: Sequence[Download], transmissions: Sequence[Transmission], traces: Sequence[Trace]
) -> tuple[list[list[Interval]], list[list[Interval]]]:
    """When bytes of each answer waited for a segment with bytes of itself, and for another's."""
    repairs: list[list[Interval]] = [[] for _ in downloads]
    holds: list[list[Interval]] = [[] for _ in downloads]
    ends = {(sent.connection, sent.first): sent.last for sent in transmissions}
    for trace in traces:
        for held in trace.held:
            end = ends[trace.connection, held.missing]
            missing = [
                frame.download.request.index for frame, _, _ in trace.frames_in(held.missing, end)
            ]
            for frame, _, _ in trace.frames_in(held.first, held.last):
                index = frame.download.request.index
                where = repairs if index in missing else holds
                where[index].append((held.arrived_us, held.delivered_us))
    return repairs, holds


def _union(intervals: Sequence[Interval]) -> list[Interval]:
    """Return the same times as intervals that do not touch."""
    union: list[Interval] = []
    for first, last in sorted(intervals):
        if union and first <= union[-1][1]:
            union[-1] = (union[-1][0], max(union[-1][1], last))
        else:
            union.append((first, last))
    return union


def _spans(
    phases: Sequence[tuple[str, int, int]], over: Sequence[tuple[str, list[Interval]]]
) -> tuple[Span, ...]:
    """Lay intervals over phases that follow each other; the later in `over` hides the earlier."""
    start_us, end_us = phases[0][1], phases[-1][2]
    cuts = {start_us, end_us}
    for _, from_us, until_us in phases:
        cuts.update((from_us, until_us))
    for _, intervals in over:
        for interval in intervals:
            cuts.update(min(max(each, start_us), end_us) for each in interval)
    spans: list[Span] = []
    for from_us, until_us in pairwise(sorted(cuts)):
        kind = next(name for name, first, last in phases if first <= from_us < last)
        for name, intervals in over:
            if any(first <= from_us < last for first, last in intervals):
                kind = name
        if spans and spans[-1].kind == kind:
            from_us = spans.pop().from_us
        spans.append(Span(kind, from_us, until_us))
    return tuple(spans)
