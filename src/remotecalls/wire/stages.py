"""What faults do, without input or output.

A stage is fed with bytes and gives actions: forward these, pause, wait, end, sever. The tap
carries them out, one after another, before it asks for the next. So every fault can be tested
without a socket, and one stage's output is another's input.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Protocol

from remotecalls.wire.gate import Gate

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


# ---------------------------------------------------------------- stages of a stream (TCP)


class Before(Stage):
    """One action before the byte at an offset."""

    def __init__(self, offset: int, action: Action) -> None:
        self._left = offset
        self._action: Action | None = action

    def feed(self, data: bytes) -> Iterator[Action]:
        """Bytes have come."""
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


class Slow(Stage):
    """A pause before every read."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def feed(self, data: bytes) -> Iterator[Action]:
        """Bytes have come."""
        yield Pause(self._seconds)
        yield Forward(data)


class Chopper(Stage):
    """Pieces of a size, with pauses between."""

    def __init__(self, size: int, pause: float) -> None:
        self._size = size
        self._pause = pause
        self._first = True

    def feed(self, data: bytes) -> Iterator[Action]:
        """Bytes have come."""
        for start in range(0, len(data), self._size):
            if not self._first:
                yield Pause(self._pause)
            self._first = False
            yield Forward(data[start : start + self._size])


class Collector(Stage):
    """What comes apart, together."""

    def __init__(self, count: int, quiet_seconds: float | None) -> None:
        self._count = count
        self._quiet_seconds = quiet_seconds
        self._waiting = bytearray()

    @property
    def quiet_seconds(self) -> float | None:  # type: ignore[override]  # depends on the state
        """How long a silence ends the waiting, while bytes wait."""
        return self._quiet_seconds if self._waiting else None

    def feed(self, data: bytes) -> Iterator[Action]:
        """Bytes have come."""
        self._waiting += data
        if len(self._waiting) >= self._count:
            yield from self.quiet()

    def quiet(self) -> Iterator[Action]:
        """No byte has come for `quiet_seconds`."""
        if self._waiting:
            data = bytes(self._waiting)
            self._waiting.clear()
            yield Forward(data)

    def end(self) -> Iterator[Action]:
        """The sender has ended its stream."""
        yield from self.quiet()
        yield End()


class Hole(Stage):
    """Nothing comes out after an offset."""

    def __init__(self, after_bytes: int) -> None:
        self._left = after_bytes
        self.swallows = after_bytes == 0

    def feed(self, data: bytes) -> Iterator[Action]:
        """Bytes have come."""
        before = data[: self._left]
        self._left -= len(before)
        self.swallows = self._left == 0
        if before:
            yield Forward(before)

    def end(self) -> Iterator[Action]:
        """The sender has ended its stream."""
        if not self.swallows:
            yield End()


class Cutter(Stage):
    """The end of the connection after an offset."""

    def __init__(self, after_bytes: int, reset: bool) -> None:
        self._left = after_bytes
        self._reset = reset
        self._done = False

    def feed(self, data: bytes) -> Iterator[Action]:
        """Bytes have come."""
        if self._done:
            return
        before = data[: self._left]
        self._left -= len(before)
        if before:
            yield Forward(before)
        if self._left == 0:
            self._done = True
            yield Sever(self._reset)


class Corrupter(Stage):
    """One byte changed."""

    def __init__(self, offset: int, xor: int) -> None:
        self._left = offset
        self._xor = xor

    def feed(self, data: bytes) -> Iterator[Action]:
        """Bytes have come."""
        if 0 <= self._left < len(data):
            changed = bytearray(data)
            changed[self._left] ^= self._xor
            yield Forward(bytes(changed))
        else:
            yield Forward(data)
        self._left -= len(data)


# ---------------------------------------------------------------- stages of datagrams (UDP)


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


class Copies:
    """One datagram none, one or several times."""

    def __init__(self, index: int, count: int) -> None:
        self._index = index
        self._count = count

    def feed(self, datagram: Datagram) -> Iterator[Datagram]:
        """A datagram has come; give what goes on."""
        count = self._count if datagram.index == self._index else 1
        yield from (datagram,) * count


class Late:
    """One datagram delayed."""

    def __init__(self, index: int, seconds: float) -> None:
        self._index = index
        self._seconds = seconds

    def feed(self, datagram: Datagram) -> Iterator[Datagram]:
        """A datagram has come; give what goes on."""
        late = self._seconds if datagram.index == self._index else 0.0
        yield replace(datagram, delay=datagram.delay + late)


class CorruptOne:
    """One byte of one datagram changed."""

    def __init__(self, index: int, offset: int, xor: int) -> None:
        self._index = index
        self._offset = offset
        self._xor = xor

    def feed(self, datagram: Datagram) -> Iterator[Datagram]:
        """A datagram has come; give what goes on."""
        data = bytearray(datagram.data)
        if datagram.index == self._index and self._offset < len(data):
            data[self._offset] ^= self._xor
        yield replace(datagram, data=bytes(data))


class Overtake:
    """One datagram held back until others have passed."""

    def __init__(self, index: int, past: int) -> None:
        self._index = index
        self._past = past
        self._held: list[Datagram] = []

    def feed(self, datagram: Datagram) -> Iterator[Datagram]:
        """A datagram has come; give what goes on."""
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
