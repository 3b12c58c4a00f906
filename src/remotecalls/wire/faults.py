"""What can go wrong on the way, declared.

A fault says where it strikes (direction, connection, offset) and what it does there. All are
deterministic: the same faults on the same bytes do the same thing. They compose: bytes go through
the faults in the order in which they are listed.

The classes here do no input or output. Each makes a *stage* that turns the bytes it is fed into
actions, and a tap carries the actions out. Offsets count the bytes of one direction of one
connection as its sender wrote them, from 0.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Protocol

from remotecalls.wire.gate import Gate
from remotecalls.wire.recording import Direction

MAXIMUM_COALESCE = 16 * 1024 * 1024
"""Bytes that `Coalesce` may keep waiting."""

# ---------------------------------------------------------------- what a stage asks the tap to do


@dataclass(frozen=True, slots=True)
class Forward:
    """Pass these bytes on, in one write."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Wait:
    """Wait until the gate is open."""

    gate: Gate


@dataclass(frozen=True, slots=True)
class End:
    """Pass on that the sender will send no more (FIN)."""


@dataclass(frozen=True, slots=True)
class Sever:
    """End the connection towards both peers: by RST, or by FIN."""

    reset: bool


Action = Forward | Pause | Wait | End | Sever


class Stage:
    """What a fault does to one direction of one connection. This one passes everything on."""

    quiet_seconds: float | None = None
    """Call `quiet` when no byte has come for so long; None for never."""

    swallows: bool = False
    """Whether everything that comes now disappears, a FIN and an RST too."""

    def feed(self, data: bytes) -> Iterator[Action]:
        """Bytes have come."""
        yield Forward(data)

    def end(self) -> Iterator[Action]:
        """The sender has ended its stream."""
        yield End()

    def quiet(self) -> Iterator[Action]:
        """No byte has come for `quiet_seconds`."""
        return iter(())


class Pipeline:
    """Stages one after another, as a single stage."""

    def __init__(self, stages: Iterable[Stage]) -> None:
        self._stages = tuple(stages)

    @property
    def quiet_seconds(self) -> float | None:
        """The shortest of the stages' times, or None."""
        times = [s.quiet_seconds for s in self._stages if s.quiet_seconds is not None]
        return min(times, default=None)

    @property
    def swallows(self) -> bool:
        """Whether nothing can come out any more."""
        return any(stage.swallows for stage in self._stages)

    def feed(self, data: bytes) -> Iterator[Action]:
        """Bytes have come. Carry out each action before asking for the next."""
        return self._through(0, iter((Forward(data),)))

    def end(self) -> Iterator[Action]:
        """The sender has ended its stream."""
        return self._through(0, iter((End(),)))

    def quiet(self) -> Iterator[Action]:
        """No byte has come for `quiet_seconds`."""
        for index, stage in enumerate(self._stages):
            yield from self._through(index + 1, stage.quiet())

    def _through(self, index: int, actions: Iterator[Action]) -> Iterator[Action]:
        if index == len(self._stages):
            yield from actions
            return
        stage = self._stages[index]
        for action in actions:
            match action:
                case Forward(data):
                    yield from self._through(index + 1, stage.feed(data))
                case End():
                    yield from self._through(index + 1, stage.end())
                case _:
                    yield action


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
            return _Slow(self.seconds)
        return _Before(self.after_bytes, Pause(self.seconds))


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
        return _Before(self.after_bytes, Wait(self.gate))


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
        return _Chopper(self.size, self.pause)


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
        return _Collector(self.count_bytes, self.quiet_seconds)


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
        return _Hole(self.after_bytes)


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
        return _Cutter(self.after_bytes, self.reset)


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
        return _Corrupter(self.offset, self.xor)


class _Before(Stage):
    """One action before the byte at an offset."""

    def __init__(self, offset: int, action: Action) -> None:
        self._left = offset
        self._action: Action | None = action

    def feed(self, data: bytes) -> Iterator[Action]:
        if self._action is None or len(data) <= self._left:
            self._left -= len(data)
            yield Forward(data)
            return
        before, after = data[: self._left], data[self._left :]
        action, self._action = self._action, None
        if before:
            yield Forward(before)
        yield action
        yield Forward(after)


class _Slow(Stage):
    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def feed(self, data: bytes) -> Iterator[Action]:
        yield Pause(self._seconds)
        yield Forward(data)


class _Chopper(Stage):
    def __init__(self, size: int, pause: float) -> None:
        self._size = size
        self._pause = pause
        self._first = True

    def feed(self, data: bytes) -> Iterator[Action]:
        for start in range(0, len(data), self._size):
            if not self._first:
                yield Pause(self._pause)
            self._first = False
            yield Forward(data[start : start + self._size])


class _Collector(Stage):
    def __init__(self, count: int, quiet_seconds: float | None) -> None:
        self._count = count
        self._quiet_seconds = quiet_seconds
        self._waiting = bytearray()

    @property
    def quiet_seconds(self) -> float | None:  # type: ignore[override]  # depends on the state
        return self._quiet_seconds if self._waiting else None

    def feed(self, data: bytes) -> Iterator[Action]:
        self._waiting += data
        if len(self._waiting) >= self._count:
            yield from self.quiet()

    def quiet(self) -> Iterator[Action]:
        if self._waiting:
            data = bytes(self._waiting)
            self._waiting.clear()
            yield Forward(data)

    def end(self) -> Iterator[Action]:
        yield from self.quiet()
        yield End()


class _Hole(Stage):
    def __init__(self, after_bytes: int) -> None:
        self._left = after_bytes
        self.swallows = after_bytes == 0

    def feed(self, data: bytes) -> Iterator[Action]:
        before = data[: self._left]
        self._left -= len(before)
        self.swallows = self._left == 0
        if before:
            yield Forward(before)

    def end(self) -> Iterator[Action]:
        if not self.swallows:
            yield End()


class _Cutter(Stage):
    def __init__(self, after_bytes: int, reset: bool) -> None:
        self._left = after_bytes
        self._reset = reset
        self._done = False

    def feed(self, data: bytes) -> Iterator[Action]:
        if self._done:
            return
        before = data[: self._left]
        self._left -= len(before)
        if before:
            yield Forward(before)
        if self._left == 0:
            self._done = True
            yield Sever(self._reset)


class _Corrupter(Stage):
    def __init__(self, offset: int, xor: int) -> None:
        self._left = offset
        self._xor = xor

    def feed(self, data: bytes) -> Iterator[Action]:
        if 0 <= self._left < len(data):
            changed = bytearray(data)
            changed[self._left] ^= self._xor
            yield Forward(bytes(changed))
        else:
            yield Forward(data)
        self._left -= len(data)


# ---------------------------------------------------------------- faults of datagrams (UDP)


@dataclass(frozen=True, slots=True)
class Datagram:
    """A datagram on its way through the faults.

    Attributes:
        index: counts the datagrams of one direction of one client as they were sent, from 0.
        data: its bytes.
        delay: seconds that it still has to wait.
    """

    index: int
    data: bytes
    delay: float = 0.0


class DatagramStage(Protocol):
    """What a fault does to one direction between one client and the server."""

    def feed(self, datagram: Datagram) -> Iterator[Datagram]:
        """A datagram has come; give what goes on."""
        ...


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
        return _Copies(self.index, 0)


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
        return _Late(self.index, self.seconds)


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
        return _CorruptOne(self.index, self.offset, self.xor)


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
        return _Copies(self.index, 1 + self.copies)


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
        return _Overtake(self.index, self.past)


class _Copies:
    def __init__(self, index: int, count: int) -> None:
        self._index = index
        self._count = count

    def feed(self, datagram: Datagram) -> Iterator[Datagram]:
        count = self._count if datagram.index == self._index else 1
        yield from (datagram,) * count


class _Late:
    def __init__(self, index: int, seconds: float) -> None:
        self._index = index
        self._seconds = seconds

    def feed(self, datagram: Datagram) -> Iterator[Datagram]:
        late = self._seconds if datagram.index == self._index else 0.0
        yield replace(datagram, delay=datagram.delay + late)


class _CorruptOne:
    def __init__(self, index: int, offset: int, xor: int) -> None:
        self._index = index
        self._offset = offset
        self._xor = xor

    def feed(self, datagram: Datagram) -> Iterator[Datagram]:
        data = bytearray(datagram.data)
        if datagram.index == self._index and self._offset < len(data):
            data[self._offset] ^= self._xor
        yield replace(datagram, data=bytes(data))


class _Overtake:
    def __init__(self, index: int, past: int) -> None:
        self._index = index
        self._past = past
        self._held: list[Datagram] = []

    def feed(self, datagram: Datagram) -> Iterator[Datagram]:
        if datagram.index == self._index:
            self._held.append(datagram)
            return
        yield datagram
        if datagram.index >= self._index + self._past:
            held, self._held = self._held, []
            yield from held


class DatagramPipeline:
    """Stages one after another."""

    def __init__(self, stages: Iterable[DatagramStage]) -> None:
        self._stages = tuple(stages)
        self._count = 0

    def feed(self, data: bytes) -> Iterator[Datagram]:
        """A datagram has come; give what goes on."""
        datagrams: Iterator[Datagram] = iter((Datagram(self._count, data),))
        self._count += 1
        for stage in self._stages:
            datagrams = _each(stage, datagrams)
        return datagrams


def _each(stage: DatagramStage, datagrams: Iterator[Datagram]) -> Iterator[Datagram]:
    for datagram in datagrams:
        yield from stage.feed(datagram)


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
