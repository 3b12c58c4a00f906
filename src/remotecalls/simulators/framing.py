"""How a byte stream loses message boundaries, and how framing brings them back.

An application writes messages into a simulated TCP connection (`tcp.py`). A reader calls
recv(n) and takes what is there. A cutter then turns the bytes of the reads back into messages:
by taking each read for a message, by a delimiter, or by a length prefix. The cutters see bytes
and nothing else; they do not know where the model wrote a message.

All randomness comes from `random.Random(seed)`. `getrandbits`, `randrange`, `randint` and
`random` give the same values in every CPython and in the browser. `expovariate` calls the
platform's `log`, which may differ in the last bit, so its value is rounded to a whole
microsecond before the model sees it.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Generator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol

import simpy

from remotecalls.simulators import tcp
from remotecalls.simulators.parameters import (
    ParameterError,
    Parameters,
    Preset,
    Simulator,
    choice,
    integer,
    switch,
    to_json,
)

NONE = "none"
DELIMITER = "delimiter"
LENGTH_PREFIX = "length-prefix"
FRAMINGS = {
    NONE: "None: each recv() is taken for a message",
    DELIMITER: "Delimiter: a newline ends each message",
    LENGTH_PREFIX: "Length prefix: 4 bytes before each message",
}

PREFIX_BYTES = 4
HEADER_WRITE_BYTES = 4


@dataclass(frozen=True)
class FramingParameters(Parameters):
    """The settings of writer, connection, reader and cutter."""

    framing: str = choice(
        NONE,
        label="Framing",
        help="How the reader cuts the bytes it received back into messages.",
        options=FRAMINGS,
    )
    messages: int = integer(
        8, label="Messages", help="How many messages the writer sends.",
        minimum=1, maximum=24, step=1, unit="messages",
    )  # fmt: skip
    smallest_bytes: int = integer(
        20, label="Smallest message", help="Sizes are drawn between smallest and largest.",
        minimum=1, maximum=2_000, step=1, unit="bytes",
    )  # fmt: skip
    largest_bytes: int = integer(
        200, label="Largest message", help="Sizes are drawn between smallest and largest.",
        minimum=1, maximum=2_000, step=1, unit="bytes",
    )  # fmt: skip
    gap_us: int = integer(
        20_000, label="Gap between messages",
        help="How long the writer waits after a message before it writes the next one.",
        minimum=0, maximum=200_000, step=500, unit="µs",
    )  # fmt: skip
    gaps: str = choice(
        "steady",
        label="Kind of gap",
        help="Steady: every gap is the same. Random: exponentially distributed with that mean.",
        options={"steady": "Steady", "random": "Random"},
    )
    split_writes: bool = switch(
        False, label="Header and body in two writes",
        help="The first four bytes of a message go into a write() of their own, "
        "as in a program that sends a header and then a body.",
    )  # fmt: skip
    nagle: bool = switch(
        False, label="Nagle's algorithm",
        help="Hold a small segment back while sent data is unacknowledged (RFC 896). "
        "The socket option TCP_NODELAY turns it off.",
    )  # fmt: skip
    delayed_acknowledgment: bool = switch(
        True, label="Delayed acknowledgment",
        help="Acknowledge every second full segment at once and anything less after a delay "
        "(RFC 1122).",
    )  # fmt: skip
    acknowledgment_delay_us: int = integer(
        40_000, label="Acknowledgment delay",
        help="How long a delayed acknowledgment waits. Linux waits 40 ms or more; "
        "RFC 1122 allows up to 500 ms.",
        minimum=10_000, maximum=500_000, step=10_000, unit="µs",
    )  # fmt: skip
    one_way_delay_us: int = integer(
        5_000, label="One-way delay", help="How long a bit travels from one host to the other.",
        minimum=0, maximum=100_000, step=500, unit="µs",
    )  # fmt: skip
    bandwidth_kbps: int = integer(
        10_000, label="Bandwidth", help="How fast the link takes bits, in each direction.",
        minimum=100, maximum=10_000, step=100, unit="kbit/s",
    )  # fmt: skip
    maximum_segment_bytes: int = integer(
        1_460, label="Maximum segment",
        help="The most payload in one segment. 1,460 bytes fill an Ethernet frame.",
        minimum=200, maximum=1_460, step=20, unit="bytes",
    )  # fmt: skip
    send_buffer_bytes: int = integer(
        16_384, label="Send buffer", help="A write() waits while the send buffer is full.",
        minimum=256, maximum=65_536, step=256, unit="bytes",
    )  # fmt: skip
    receive_buffer_bytes: int = integer(
        16_384, label="Receive buffer",
        help="What the receiving kernel keeps until the reader takes it; the sender waits "
        "while it is full.",
        minimum=256, maximum=65_536, step=256, unit="bytes",
    )  # fmt: skip
    recv_bytes: int = integer(
        4_096, label="Bytes asked of recv()", help="The n of recv(n): a read returns at most that.",
        minimum=64, maximum=4_096, step=16, unit="bytes",
    )  # fmt: skip
    processing_us: int = integer(
        1_000, label="Work after each recv()",
        help="How long the reader is busy before it calls recv() again.",
        minimum=0, maximum=200_000, step=500, unit="µs",
    )  # fmt: skip

    def check_together(self) -> None:
        """Raise ParameterError if the smallest message is larger than the largest."""
        if self.smallest_bytes > self.largest_bytes:
            raise ParameterError(
                type(self).__name__,
                "smallest_bytes",
                f"is {self.smallest_bytes} bytes, above the largest, {self.largest_bytes} bytes",
                "Lower the smallest message or raise the largest.",
            )

    def connection(self) -> tcp.Connection:
        """Return the settings that concern TCP."""
        delay_us = self.acknowledgment_delay_us if self.delayed_acknowledgment else 0
        return tcp.Connection(
            maximum_segment_bytes=self.maximum_segment_bytes,
            nagle=self.nagle,
            acknowledgment_delay_us=delay_us,
            send_buffer_bytes=self.send_buffer_bytes,
            receive_buffer_bytes=self.receive_buffer_bytes,
            one_way_delay_us=self.one_way_delay_us,
            bandwidth_kbps=self.bandwidth_kbps,
        )


# ---------------------------------------------------------------- cutting the stream


class Cutter(Protocol):
    """Turns the bytes of reads into messages."""

    def feed(self, data: bytes) -> list[bytes]:
        """Take the bytes of one read and return the messages that are complete now."""
        ...


class EachRead:
    """No framing: whatever one recv() returned is taken for one message."""

    def feed(self, data: bytes) -> list[bytes]:
        """Return the read itself."""
        return [data]


class Delimited:
    """A newline ends each message; a message must not contain one."""

    def __init__(self) -> None:
        """Start with no bytes."""
        self._pending = b""

    def feed(self, data: bytes) -> list[bytes]:
        """Return the messages whose newline has arrived; keep the rest."""
        *complete, self._pending = (self._pending + data).split(b"\n")
        return complete


class LengthPrefixed:
    """Four bytes, big-endian, say how many bytes of message follow."""

    def __init__(self) -> None:
        """Start with no bytes."""
        self._pending = b""

    def feed(self, data: bytes) -> list[bytes]:
        """Return the messages whose last byte has arrived; keep the rest."""
        self._pending += data
        complete = []
        while len(self._pending) >= PREFIX_BYTES:
            end = PREFIX_BYTES + int.from_bytes(self._pending[:PREFIX_BYTES], "big")
            if len(self._pending) < end:
                break
            complete.append(self._pending[PREFIX_BYTES:end])
            self._pending = self._pending[end:]
        return complete


def encode(framing: str, payload: bytes) -> bytes:
    """Return the bytes that are written for a message."""
    if framing == DELIMITER:
        return payload + b"\n"
    if framing == LENGTH_PREFIX:
        return len(payload).to_bytes(PREFIX_BYTES, "big") + payload
    return payload


def cutter(framing: str) -> Cutter:
    """Return a new cutter for one of `FRAMINGS`."""
    if framing == DELIMITER:
        return Delimited()
    return LengthPrefixed() if framing == LENGTH_PREFIX else EachRead()


# ---------------------------------------------------------------- what happened


@dataclass(frozen=True)
class Message:
    """A message and its way: bytes `first` to `last` of the stream are its encoded form.

    `delivered_us` is the time at which the cutter returned it intact, or None if it never did.
    """

    index: int
    payload: bytes
    first: int
    last: int
    written_us: int
    arrived_us: int
    read_us: int
    delivered_us: int | None

    @property
    def name(self) -> str:
        """The label in figures and tables: m1 is the first message."""
        return f"m{self.index + 1}"

    @property
    def latency_us(self) -> int | None:
        """Time from the first write() to delivery, or None if it never was delivered."""
        return None if self.delivered_us is None else self.delivered_us - self.written_us


@dataclass(frozen=True)
class Write:
    """One write() call; it returned when the send buffer had taken all of its bytes."""

    message: int
    first: int
    last: int
    called_us: int
    returned_us: int


@dataclass(frozen=True)
class Fragment:
    """A piece of an encoded message; `whole` if it is all of it."""

    message: int
    first: int
    last: int
    whole: bool


@dataclass(frozen=True)
class Read:
    """One recv() call: when it was called, when it returned, and what it returned."""

    called_us: int
    returned_us: int
    data: bytes
    fragments: tuple[Fragment, ...]

    @property
    def exact(self) -> bool:
        """Whether the read is one message, all of it, and nothing else."""
        return len(self.fragments) == 1 and self.fragments[0].whole

    @property
    def merged(self) -> bool:
        """Whether bytes of two or more messages are in one read."""
        return len(self.fragments) > 1

    @property
    def split(self) -> bool:
        """Whether a message begins or ends outside of the read."""
        return not all(fragment.whole for fragment in self.fragments)

    @property
    def verdict(self) -> str:
        """The kind of read in words: one message, merged, split, or both."""
        if self.exact:
            return "one message"
        return " and ".join(
            word for word, holds in (("merged", self.merged), ("split", self.split)) if holds
        )


@dataclass(frozen=True)
class Delivery:
    """What the cutter handed to the application; `message` is the one it is equal to, if any."""

    at_us: int
    data: bytes
    first: int
    last: int
    message: int | None


@dataclass(frozen=True)
class FramingResult:
    """Everything that happened in one run, in order of time."""

    parameters: FramingParameters
    seed: int
    messages: tuple[Message, ...]
    writes: tuple[Write, ...]
    segments: tuple[tcp.Segment, ...]
    acknowledgments: tuple[tcp.Acknowledgment, ...]
    holds: tuple[tcp.Hold, ...]
    reads: tuple[Read, ...]
    deliveries: tuple[Delivery, ...]

    @property
    def exact_reads(self) -> int:
        """How many reads were one message."""
        return sum(read.exact for read in self.reads)

    @property
    def merged_reads(self) -> int:
        """How many reads held bytes of several messages."""
        return sum(read.merged for read in self.reads)

    @property
    def split_reads(self) -> int:
        """How many reads held a piece of a message."""
        return sum(read.split for read in self.reads)

    @property
    def intact(self) -> int:
        """How many messages were delivered as they were written."""
        return sum(message.delivered_us is not None for message in self.messages)

    @property
    def payload_bytes(self) -> int:
        """The bytes of all messages, without framing."""
        return sum(len(message.payload) for message in self.messages)

    @property
    def framing_bytes(self) -> int:
        """The bytes that framing added to the stream."""
        return self.messages[-1].last - self.payload_bytes

    @property
    def header_bytes(self) -> int:
        """The bytes of IP and TCP headers, of segments and of acknowledgments."""
        return tcp.HEADER_BYTES * (len(self.segments) + len(self.acknowledgments))

    @property
    def slowest_us(self) -> int | None:
        """The longest time from write to delivery, or None if nothing was delivered intact."""
        times = [each.latency_us for each in self.messages if each.latency_us is not None]
        return max(times, default=None)

    @property
    def end_us(self) -> int:
        """The time of the application's last call; later acknowledgments change nothing."""
        return max(self.writes[-1].returned_us, self.reads[-1].returned_us)

    def to_json(self) -> dict[str, Any]:
        """Return the result as JSON data; the bytes themselves are given by their ranges."""
        return {
            "parameters": to_json(self.parameters),
            "seed": self.seed,
            "end_us": self.end_us,
            "exact_reads": self.exact_reads,
            "merged_reads": self.merged_reads,
            "split_reads": self.split_reads,
            "intact": self.intact,
            "payload_bytes": self.payload_bytes,
            "framing_bytes": self.framing_bytes,
            "header_bytes": self.header_bytes,
            "messages": [
                {
                    "name": message.name,
                    "bytes": len(message.payload),
                    "first": message.first,
                    "last": message.last,
                    "written_us": message.written_us,
                    "arrived_us": message.arrived_us,
                    "read_us": message.read_us,
                    "delivered_us": message.delivered_us,
                }
                for message in self.messages
            ],
            "writes": [dataclasses.asdict(write) for write in self.writes],
            "segments": [dataclasses.asdict(segment) for segment in self.segments],
            "acknowledgments": [dataclasses.asdict(each) for each in self.acknowledgments],
            "holds": [dataclasses.asdict(hold) for hold in self.holds],
            "reads": [
                {
                    "called_us": read.called_us,
                    "returned_us": read.returned_us,
                    "verdict": read.verdict,
                    "fragments": [dataclasses.asdict(fragment) for fragment in read.fragments],
                }
                for read in self.reads
            ],
            "deliveries": [
                {
                    "at_us": delivery.at_us,
                    "bytes": len(delivery.data),
                    "first": delivery.first,
                    "last": delivery.last,
                    "message": delivery.message,
                }
                for delivery in self.deliveries
            ],
        }


# ---------------------------------------------------------------- the run


def run(parameters: FramingParameters, seed: int) -> FramingResult:
    """Send the messages through the connection and report every call and segment.

    Args:
        parameters: the settings.
        seed: decides the sizes of the messages and, if they are random, the gaps.

    Returns:
        The whole run. Equal arguments give equal results in CPython and in the browser.
    """
    rng = random.Random(seed)
    # Sizes are drawn before gaps, so that a change of the gaps leaves the messages as they are.
    payloads = [
        _payload(index, rng.randint(parameters.smallest_bytes, parameters.largest_bytes))
        for index in range(parameters.messages)
    ]
    gaps_us = [_gap_us(parameters, rng) for _ in payloads]
    encoded = [encode(parameters.framing, payload) for payload in payloads]
    bounds = [0]
    for each in encoded:
        bounds.append(bounds[-1] + len(each))

    env = simpy.Environment()
    sender, receiver = tcp.connect(env, parameters.connection())
    writes: list[Write] = []
    calls: list[tuple[int, int, bytes]] = []
    env.process(_write(env, sender, parameters, encoded, gaps_us, writes))
    env.process(_read(env, receiver, parameters, bounds[-1], calls))
    env.run()

    reads = _with_fragments(calls, bounds)
    deliveries = _cut(parameters.framing, reads, payloads, bounds)
    delivered_us = {
        delivery.message: delivery.at_us for delivery in deliveries if delivery.message is not None
    }
    messages = []
    for index, (payload, (first, last)) in enumerate(zip(payloads, pairwise(bounds), strict=True)):
        messages.append(
            Message(
                index=index,
                payload=payload,
                first=first,
                last=last,
                written_us=next(w.called_us for w in writes if w.message == index),
                arrived_us=next(s.arrived_us for s in sender.segments if s.last >= last),
                read_us=next(r.returned_us for r in reads if r.fragments[-1].last >= last),
                delivered_us=delivered_us.get(index),
            )
        )
    return FramingResult(
        parameters=parameters,
        seed=seed,
        messages=tuple(messages),
        writes=tuple(writes),
        segments=tuple(sender.segments),
        acknowledgments=tuple(receiver.acknowledgments),
        holds=tuple(sender.holds),
        reads=tuple(reads),
        deliveries=tuple(deliveries),
    )


def compare(parameters: FramingParameters, seed: int) -> dict[str, FramingResult]:
    """Run the same messages and gaps with each framing; the key is the framing."""
    return {
        framing: run(dataclasses.replace(parameters, framing=framing), seed) for framing in FRAMINGS
    }


def _payload(index: int, size: int) -> bytes:
    """Return `size` letters, starting at one that depends on the message, never a newline."""
    start = index % 26
    alphabet = bytes(range(ord("a"), ord("z") + 1))
    return ((alphabet[start:] + alphabet[:start]) * (size // 26 + 1))[:size]


def _gap_us(parameters: FramingParameters, rng: random.Random) -> int:
    if parameters.gaps == "steady" or parameters.gap_us == 0:
        return parameters.gap_us
    return round(rng.expovariate(1 / parameters.gap_us))


def _write(
    env: simpy.Environment,
    sender: tcp.Sender,
    parameters: FramingParameters,
    encoded: list[bytes],
    gaps_us: list[int],
    writes: list[Write],
) -> tcp.SimulatedProcess:
    """Be the writing application."""
    offset = 0
    for index, (data, gap_us) in enumerate(zip(encoded, gaps_us, strict=True)):
        pieces = [data]
        if parameters.split_writes and len(data) > HEADER_WRITE_BYTES:
            pieces = [data[:HEADER_WRITE_BYTES], data[HEADER_WRITE_BYTES:]]
        for piece in pieces:
            called_us = int(env.now)
            yield from sender.write(piece)
            last = offset + len(piece)
            writes.append(Write(index, offset, last, called_us, int(env.now)))
            offset = last
        yield env.timeout(gap_us)


def _read(
    env: simpy.Environment,
    receiver: tcp.Receiver,
    parameters: FramingParameters,
    total_bytes: int,
    calls: list[tuple[int, int, bytes]],
) -> Generator[simpy.Event, Any, None]:
    """Be the reading application, until the whole stream is read."""
    missing = total_bytes
    while missing > 0:
        called_us = int(env.now)
        data = yield from receiver.recv(parameters.recv_bytes)
        calls.append((called_us, int(env.now), data))
        missing -= len(data)
        yield env.timeout(parameters.processing_us)


def _with_fragments(calls: list[tuple[int, int, bytes]], bounds: list[int]) -> list[Read]:
    """Find out of which messages each read holds which bytes."""
    reads = []
    offset = 0
    for called_us, returned_us, data in calls:
        end = offset + len(data)
        fragments = tuple(
            Fragment(
                message=index,
                first=max(first, offset),
                last=min(last, end),
                whole=offset <= first and last <= end,
            )
            for index, (first, last) in enumerate(pairwise(bounds))
            if first < end and offset < last
        )
        reads.append(Read(called_us, returned_us, data, fragments))
        offset = end
    return reads


def _cut(
    framing: str, reads: list[Read], payloads: list[bytes], bounds: list[int]
) -> list[Delivery]:
    """Let the cutter work on the bytes, then compare what it returned with what was written."""
    deliveries: list[Delivery] = []
    cut = cutter(framing)
    first = 0
    for read in reads:
        for data in cut.feed(read.data):
            last = first + len(encode(framing, data))
            message = _message_at(first, last, bounds)
            if message is not None and data != payloads[message]:
                message = None
            deliveries.append(Delivery(read.returned_us, data, first, last, message))
            first = last
    return deliveries


def _message_at(first: int, last: int, bounds: list[int]) -> int | None:
    """Return the message that is exactly those bytes of the stream, if there is one."""
    for index, bound in enumerate(pairwise(bounds)):
        if bound == (first, last):
            return index
    return None


# ---------------------------------------------------------------- settings worth a look

PRESETS = (
    Preset(
        "lucky",
        "Lucky",
        "With 20 ms between messages and a roomy buffer, each recv() happens to be one message.",
        FramingParameters(),
    ),
    Preset(
        "chatty-writer",
        "Chatty writer",
        "Messages are written faster than they are read, so several arrive in one recv().",
        FramingParameters(gap_us=4_000, gaps="random", processing_us=8_000),
    ),
    Preset(
        "small-buffer",
        "Small buffer",
        "recv(64) returns at most 64 bytes, so longer messages arrive in pieces.",
        FramingParameters(recv_bytes=64),
    ),
    Preset(
        "chatty-writer-framed",
        "Chatty writer, framed",
        "The reads are the chatty writer's, but a length prefix finds every message in them.",
        FramingParameters(framing=LENGTH_PREFIX, gap_us=4_000, gaps="random", processing_us=8_000),
    ),
    Preset(
        "small-buffer-framed",
        "Small buffer, framed",
        "The pieces are as small as before; the newline tells the reader when one is complete.",
        FramingParameters(framing=DELIMITER, recv_bytes=64),
    ),
    Preset(
        "nagle-delayed-ack",
        "Nagle meets delayed ACK",
        "Header and body in two writes: the body waits 40 ms for an acknowledgment that is "
        "itself delayed.",
        FramingParameters(
            framing=LENGTH_PREFIX,
            messages=4,
            gap_us=120_000,
            split_writes=True,
            nagle=True,
        ),
    ),
)

SIMULATOR = Simulator(
    name="framing",
    title="How a byte stream loses message boundaries",
    parameters=FramingParameters,
    run=run,
    presets=PRESETS,
)
