"""What can go wrong on the way, declared.

A fault says where it strikes (direction, connection, offset) and what it does there. All are
deterministic: the same faults on the same bytes do the same thing. They compose: bytes go through
the faults in the order in which they are listed. Offsets count the bytes of one direction of one
connection as its sender wrote them, from 0.

Each fault makes a stage (`remotecalls.wire.stages`), and a tap carries out what the stages ask.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from remotecalls.wire.gate import Gate
from remotecalls.wire.recording import Direction
from remotecalls.wire.stages import (
    Before,
    Chopper,
    Collector,
    Copies,
    Corrupter,
    CorruptOne,
    Cutter,
    DatagramStage,
    Hole,
    Late,
    Overtake,
    Pause,
    Slow,
    Stage,
    Wait,
)

MAXIMUM_COALESCE = 16 * 1024 * 1024
"""Bytes that `Coalesce` may keep waiting."""

# ---------------------------------------------------------------- faults of a stream (TCP)


@dataclass(frozen=True, kw_only=True)
class _Fault:
    """Where a fault strikes.

    Attributes:
        direction: which way the bytes go; None for each way by itself.
        connection: the number of the connection, counted from 0; None for all.
    """

    direction: Direction | None = None
    connection: int | None = None

    def __post_init__(self) -> None:
        if self.direction is not None and not isinstance(self.direction, Direction):
            raise TypeError(f"direction is {self.direction!r}, not a Direction or None")
        if self.connection is not None and self.connection < 0:
            raise ValueError(f"connections are counted from 0, not from {self.connection}")

    def strikes(self, connection: int, direction: Direction) -> bool:
        """Whether this fault is meant for that direction of that connection."""
        return self.connection in (None, connection) and self.direction in (None, direction)


class StreamFault(_Fault):
    """A fault of a TCP connection."""

    def stage(self) -> Stage:
        """A fresh stage for one direction of one connection."""
        raise NotImplementedError


@dataclass(frozen=True)
class Delay(StreamFault):
    """Wait before a byte is passed on. What comes after it waits too.

    Attributes:
        seconds: how long.
        after_bytes: how many bytes pass before. With None every read of the tap waits, which
            makes a slow link: a request and its reply of one read each take two delays.
    """

    seconds: float
    after_bytes: int | None = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_seconds("Delay.seconds", self.seconds)
        if self.after_bytes is not None:
            _check_offset("Delay.after_bytes", self.after_bytes)

    def stage(self) -> Stage:
        """A fresh stage."""
        if self.after_bytes is None:
            return Slow(self.seconds)
        return Before(self.after_bytes, Pause(self.seconds))


@dataclass(frozen=True)
class Hold(StreamFault):
    """Keep bytes back until a gate is opened. What comes after them waits too.

    `gate.reached` tells that the first of them has come: "the request is in flight".

    Attributes:
        gate: opened by the test. One gate may hold several directions and connections.
        after_bytes: how many bytes pass before.
    """

    gate: Gate = field(default_factory=Gate)
    after_bytes: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_offset("Hold.after_bytes", self.after_bytes)

    def stage(self) -> Stage:
        """A fresh stage."""
        return Before(self.after_bytes, Wait(self.gate))


@dataclass(frozen=True)
class Chop(StreamFault):
    """Cut the stream into pieces, each passed on by a write of its own.

    TCP may join what was written apart. The pause gives the reader time to read a piece before
    the next one comes; a reader that is slower than the pause will see several at once.

    Attributes:
        size: bytes in a piece; the last piece of a read may be shorter.
        pause: seconds between two pieces.
    """

    size: int
    pause: float = 0.002

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.size < 1:
            raise ValueError(f"Chop.size is {self.size}: a piece has at least one byte")
        _check_seconds("Chop.pause", self.pause)

    def stage(self) -> Stage:
        """A fresh stage."""
        return Chopper(self.size, self.pause)


@dataclass(frozen=True)
class Coalesce(StreamFault):
    """Join what was sent apart: collect bytes and pass them on in one write.

    They are passed on when enough have come, when the sender ends its stream, or when it falls
    silent. Without `quiet_seconds` fewer than `count_bytes` wait for ever, and so may both peers.

    Attributes:
        count_bytes: how many are enough, at most `MAXIMUM_COALESCE`.
        quiet_seconds: how long a silence ends the waiting; None for never.
    """

    count_bytes: int
    quiet_seconds: float | None = 0.02

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.count_bytes <= MAXIMUM_COALESCE:
            raise ValueError(
                f"Coalesce.count_bytes is {self.count_bytes:,}: 1 to {MAXIMUM_COALESCE:,}"
            )
        if self.quiet_seconds is not None:
            _check_seconds("Coalesce.quiet_seconds", self.quiet_seconds)

    def stage(self) -> Stage:
        """A fresh stage."""
        return Collector(self.count_bytes, self.quiet_seconds)


@dataclass(frozen=True)
class Drop(StreamFault):
    """A black hole: everything from an offset on disappears, a FIN and an RST too.

    The sender is not told: its bytes are taken, as by a network that has lost its route. For
    single datagrams see `DropDatagram`.

    Attributes:
        after_bytes: how many bytes pass before.
    """

    after_bytes: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_offset("Drop.after_bytes", self.after_bytes)

    def stage(self) -> Stage:
        """A fresh stage."""
        return Hole(self.after_bytes)


@dataclass(frozen=True)
class Cut(StreamFault):
    """End the connection towards both peers, in the middle of what is being sent.

    With RST, both get a connection reset after the bytes so far. With FIN, both read an orderly
    end of the stream, as if the other had closed; what they still send is taken and thrown away.
    (That the bytes before an RST can still be read is how Linux does it. RFC 9293 lets a receiver
    drop them.)

    Attributes:
        after_bytes: how many bytes pass before. With 0 the first byte causes the cut, and does
            not pass.
        reset: by RST; otherwise by FIN.
    """

    after_bytes: int
    reset: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_offset("Cut.after_bytes", self.after_bytes)

    def stage(self) -> Stage:
        """A fresh stage."""
        return Cutter(self.after_bytes, self.reset)


@dataclass(frozen=True)
class Corrupt(StreamFault):
    """Change one byte.

    A real network does this about as often as TCP's 16-bit checksum misses an error. For
    datagrams see `CorruptDatagram`.

    Attributes:
        offset: which byte.
        xor: the bits that are turned over, 1 to 255.
    """

    offset: int
    xor: int = 0xFF

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_offset("Corrupt.offset", self.offset)
        _check_xor("Corrupt.xor", self.xor)

    def stage(self) -> Stage:
        """A fresh stage."""
        return Corrupter(self.offset, self.xor)


# ---------------------------------------------------------------- faults of datagrams (UDP)


@dataclass(frozen=True)
class DatagramFault(_Fault):
    """A fault of one datagram.

    Attributes:
        index: which one of its direction, counted from 0 for each client.
    """

    index: int

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_offset(f"{type(self).__name__}.index", self.index)

    def stage(self) -> DatagramStage:
        """A fresh stage for one direction of one client."""
        raise NotImplementedError


@dataclass(frozen=True)
class DropDatagram(DatagramFault):
    """Lose a datagram."""

    def stage(self) -> DatagramStage:
        """A fresh stage."""
        return Copies(self.index, 0)


@dataclass(frozen=True)
class DelayDatagram(DatagramFault):
    """Let a datagram arrive later. Those behind it do not wait, and may overtake it.

    Attributes:
        seconds: how much later.
    """

    seconds: float

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_seconds("DelayDatagram.seconds", self.seconds)

    def stage(self) -> DatagramStage:
        """A fresh stage."""
        return Late(self.index, self.seconds)


@dataclass(frozen=True)
class CorruptDatagram(DatagramFault):
    """Change one byte of a datagram; nothing happens if it is shorter.

    Attributes:
        offset: which byte.
        xor: the bits that are turned over, 1 to 255.
    """

    offset: int
    xor: int = 0xFF

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_offset("CorruptDatagram.offset", self.offset)
        _check_xor("CorruptDatagram.xor", self.xor)

    def stage(self) -> DatagramStage:
        """A fresh stage."""
        return CorruptOne(self.index, self.offset, self.xor)


@dataclass(frozen=True)
class Duplicate(DatagramFault):
    """Deliver a datagram more than once.

    Attributes:
        copies: how many arrive besides the first.
    """

    copies: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.copies <= 1_000:
            raise ValueError(f"Duplicate.copies is {self.copies}: 1 to 1,000")

    def stage(self) -> DatagramStage:
        """A fresh stage."""
        return Copies(self.index, 1 + self.copies)


@dataclass(frozen=True)
class Reorder(DatagramFault):
    """Let the next datagrams overtake one. If they never come, neither does it.

    Attributes:
        past: how many overtake it.
    """

    past: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.past < 1:
            raise ValueError(f"Reorder.past is {self.past}: at least one datagram overtakes")

    def stage(self) -> DatagramStage:
        """A fresh stage."""
        return Overtake(self.index, self.past)


# ---------------------------------------------------------------- checks


def _check_seconds(name: str, seconds: float) -> None:
    if not (math.isfinite(seconds) and seconds >= 0):
        raise ValueError(f"{name} is {seconds}: a finite time of 0 s or more")


def _check_offset(name: str, offset: int) -> None:
    if offset < 0:
        raise ValueError(f"{name} is {offset}: counted from 0")


def _check_xor(name: str, xor: int) -> None:
    if not 1 <= xor <= 255:
        raise ValueError(f"{name} is {xor}: 1 to 255, for 0 would change nothing")
