"""What came out of a run of `multiplexing`: each answer's life, and who had the link when."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from remotecalls.simulators.lossy_tcp import SEGMENT_BYTES, Held
from remotecalls.simulators.multiplexing_parameters import Handshake, MultiplexingParameters
from remotecalls.simulators.parameters import to_json

SINGLE, POOL, HTTP2 = "single", "pool", "http2"
MODELS = (SINGLE, POOL, HTTP2)

SETTING_UP = "setting up"
QUEUED = "queued"
WAITING = "waiting"
RECEIVING = "receiving"
REPAIRING = "repairing"
HELD_UP = "held up"
WINDOW_CLOSED = "window closed"
KINDS = {
    SETTING_UP: "the connection is being set up",
    QUEUED: "no connection is free",
    WAITING: "asked, no byte of the answer is here",
    RECEIVING: "bytes come in",
    REPAIRING: "bytes are here, behind a lost segment of their own answer",
    HELD_UP: "bytes are here, behind a lost segment of another answer",
    WINDOW_CLOSED: "the server may not send: a flow-control window is used up",
}


@dataclass(frozen=True)
class Asked:
    """One request of the page: the same for every model."""

    index: int
    name: str
    large: bool
    size: int


@dataclass(frozen=True)
class Span:
    """What an answer was waiting for, or that it came in, from one time to another."""

    kind: str
    from_us: int
    until_us: int


@dataclass(frozen=True)
class Turn:
    """A time during which the link carried bytes of one answer.

    `sent_bytes` are bytes of the connection's stream: the body and what HTTP puts around it.
    """

    answer: int
    connection: int
    from_us: int
    until_us: int
    sent_bytes: int
    lost: bool
    again: bool


@dataclass(frozen=True)
class Answer:
    """A request and its life in one model: spans that follow each other without a gap.

    Attributes:
        index: the request that it answers.
        connection: the number of its connection.
        asked_us: when the client sent the request.
        first_byte_us: when the first byte of the answer could be read.
        spans: from the start of the page to the last byte.
    """

    index: int
    connection: int
    asked_us: int
    first_byte_us: int
    spans: tuple[Span, ...]

    @property
    def finished_us(self) -> int:
        """When the last byte had been read."""
        return self.spans[-1].until_us

    def time_us(self, kind: str) -> int:
        """How long it was in spans of that kind."""
        return sum(span.until_us - span.from_us for span in self.spans if span.kind == kind)


@dataclass(frozen=True)
class ModelRun:
    """How one model fetched the page.

    Attributes:
        model: which one.
        connections: how many connections it set up.
        handshake: how it set up each of them.
        ready_us: when the last connection was ready for a request.
        answers: in the order of the requests.
        turns: what the link carried, in the order of time.
        held: segments that waited in a receive buffer for one that had been lost.
        overhead_bytes: heads of answers and frames, in the streams of all connections.
        segments: how many segments of data the link carried.
        lost_segments: how many of them never arrived.
    """

    model: str
    connections: int
    handshake: Handshake
    ready_us: int
    answers: tuple[Answer, ...]
    turns: tuple[Turn, ...]
    held: tuple[Held, ...]
    overhead_bytes: int
    segments: int
    lost_segments: int

    @property
    def finished_us(self) -> int:
        """When the whole page was there."""
        return max(answer.finished_us for answer in self.answers)

    @property
    def handshake_bytes(self) -> int:
        """What setting up all connections cost, in both directions."""
        preface = HTTP2_PREFACE_BYTES if self.model == HTTP2 else 0
        return self.connections * self.handshake.total_bytes + preface

    @property
    def sent_again_bytes(self) -> int:
        """How many bytes of the streams the link carried a second time."""
        return sum(turn.sent_bytes for turn in self.turns if turn.again)

    def median_us(self, indices: tuple[int, ...]) -> int | None:
        """When half of those answers were there, or None if there are none."""
        times = sorted(self.answers[index].finished_us for index in indices)
        return times[(len(times) - 1) // 2] if times else None

    def time_us(self, kind: str) -> int:
        """How long all answers together were in spans of that kind."""
        return sum(answer.time_us(kind) for answer in self.answers)

    @property
    def answers_held_up(self) -> int:
        """How many answers waited for the repair of another one."""
        return sum(answer.time_us(HELD_UP) > 0 for answer in self.answers)


HTTP2_PREFACE_BYTES = 24 + 4 * 9
"""The client's preface, and from each side an empty SETTINGS frame and the other's confirmation
(RFC 9113, section 3.4). They go with the first request and cost no round trip."""


@dataclass(frozen=True)
class MultiplexingResult:
    """The runs of all models with the same page over the same link."""

    parameters: MultiplexingParameters
    seed: int
    requests: tuple[Asked, ...]
    runs: tuple[ModelRun, ...]

    @property
    def end_us(self) -> int:
        """When the slowest model was done."""
        return max(run.finished_us for run in self.runs)

    @property
    def small(self) -> tuple[int, ...]:
        """The small answers, by index."""
        return tuple(request.index for request in self.requests if not request.large)

    @property
    def large(self) -> tuple[int, ...]:
        """The large answers, by index."""
        return tuple(request.index for request in self.requests if request.large)

    def of(self, model: str) -> ModelRun:
        """The run of one model."""
        return next(run for run in self.runs if run.model == model)

    def name_of(self, model: str) -> str:
        """The model in words."""
        count = self.parameters.connections
        pool = "a pool of 1 connection" if count == 1 else f"a pool of {count} connections"
        return {
            SINGLE: "HTTP/1.1, one connection",
            POOL: f"HTTP/1.1, {pool}",
            HTTP2: "HTTP/2, one connection",
        }[model]

    def to_json(self) -> dict[str, Any]:
        """Return the result as JSON data."""
        return {
            "parameters": to_json(self.parameters),
            "seed": self.seed,
            "end_us": self.end_us,
            "segment_bytes": SEGMENT_BYTES,
            "requests": [dataclasses.asdict(request) for request in self.requests],
            "runs": [_run_to_json(run) for run in self.runs],
        }


def _run_to_json(run: ModelRun) -> dict[str, Any]:
    return {
        "model": run.model,
        "connections": run.connections,
        "round_trips": run.handshake.round_trips,
        "handshake_bytes": run.handshake_bytes,
        "ready_us": run.ready_us,
        "finished_us": run.finished_us,
        "overhead_bytes": run.overhead_bytes,
        "sent_again_bytes": run.sent_again_bytes,
        "segments": run.segments,
        "lost_segments": run.lost_segments,
        "answers": [
            {
                "index": answer.index,
                "connection": answer.connection,
                "asked_us": answer.asked_us,
                "first_byte_us": answer.first_byte_us,
                "spans": [[span.kind, span.from_us, span.until_us] for span in answer.spans],
            }
            for answer in run.answers
        ],
        "turns": [
            [turn.answer, turn.connection, turn.from_us, turn.until_us, turn.sent_bytes,
             turn.lost, turn.again]
            for turn in run.turns
        ],
        "held": [dataclasses.asdict(held) for held in run.held],
    }  # fmt: skip
