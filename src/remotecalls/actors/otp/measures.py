"""What Erlang's processes and messages cost, measured by the node itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from remotecalls.actors.otp.node import OtpNode
from remotecalls.actors.otp.terms import Atom

MEASURE_SECONDS = 60.0


@dataclass(frozen=True)
class Processes:
    """Some processes that do nothing but wait.

    Attributes:
        count: how many.
        nanoseconds: that starting all of them took.
        bytes: by which the memory of the node's processes grew.
        own_bytes: what one says that it uses: its heap, its stack, and what the node keeps of it.
    """

    count: int
    nanoseconds: int
    bytes: int
    own_bytes: int


@dataclass(frozen=True)
class BusyLoops:
    """Sleeping beside processes that never stop computing.

    Attributes:
        schedulers: threads that ran all of them.
        late_microseconds: by how much each sleep ended late.
        counted: how far the processes counted meanwhile, together.
    """

    schedulers: int
    late_microseconds: tuple[int, ...]
    counted: int


@dataclass(frozen=True)
class Held:
    """Bytes that a process uses before and after it holds a message."""

    before: int
    after: int

    @property
    def growth(self) -> int:
        """Bytes that the message takes in the process."""
        return self.after - self.before


async def processes(node: OtpNode, count: int) -> Processes:
    """Start so many processes, measure, and end them."""
    found = await _measured(node, "processes", count)
    return Processes(count, found["nanoseconds"], found["bytes"], found["own_bytes"])


async def calls_per_second(node: OtpNode, count: int) -> float:
    """Make so many calls of a `gen_server` inside the node, one after the other."""
    nanoseconds = await node.rpc("measuring", "calls", count, timeout=MEASURE_SECONDS)
    assert isinstance(nanoseconds, int)
    return count / (nanoseconds / 1e9)


async def busy_loops(node: OtpNode, loops: int, *, sleeps: int, milliseconds: int) -> BusyLoops:
    """Sleep so often beside so many processes that loop without end, then end them."""
    found = await _measured(node, "busy", loops, sleeps, milliseconds)
    return BusyLoops(found["schedulers"], tuple(found["late"]), found["counted"])


async def copying(node: OtpNode, size: int) -> dict[str, Held]:
    """Send a list of so many integers and a binary of as many bytes to a process each.

    Returns:
        What each holds: under `list` and `binary`.
    """
    found = await _measured(node, "copying", size)
    return {kind: Held(*each) for kind, each in found.items()}


async def round_trips(node: OtpNode, other: OtpNode, count: int) -> tuple[int, ...]:
    """Send messages to an echo on a node, which may be the same one.

    Returns:
        The nanoseconds that each took, there and back.
    """
    found = await node.rpc(
        "far_process", "round_trips", Atom(other.name), count, timeout=MEASURE_SECONDS
    )
    assert isinstance(found, list)
    return tuple(found)


async def _measured(node: OtpNode, function: str, *arguments: int) -> dict[str, Any]:
    found = await node.rpc("measuring", function, *arguments, timeout=MEASURE_SECONDS)
    assert isinstance(found, dict)
    return {key.name: value for key, value in found.items()}
