"""A supervision tree at one moment, and the messages in it: what a drawing of it needs to know.

The simulator and a running system of `remotecalls.actors` make these; one function draws both.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from remotecalls.simulators.supervision.rules import Strategy


class Kind(StrEnum):
    """What a process is there for."""

    SUPERVISOR = "supervisor"
    WORKER = "worker"


class State(StrEnum):
    """What a process is doing.

    Starting: it takes messages in and answers none yet. Stopping: it was asked to end, and ends its
    work. Dead: there is no such process, or not any more. Stale: it runs, and a reference that it
    holds leads to a process that is gone.
    """

    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    DEAD = "dead"
    STALE = "stale"


@dataclass(frozen=True)
class Node:
    """A process and those below it.

    Attributes:
        name: unique in the tree.
        kind: a supervisor or a worker.
        state: what it is doing.
        restarts: how often it was started again.
        mailbox: how many messages wait there; the one that it works on is not among them.
        strategy: a supervisor's; None for a worker.
        children: in the order in which they are started.
    """

    name: str
    kind: Kind
    state: State
    restarts: int = 0
    mailbox: int = 0
    strategy: Strategy | None = None
    children: tuple[Node, ...] = ()

    def __iter__(self) -> Iterator[Node]:
        """Yield this node and all below it, each before its children."""
        yield self
        for child in self.children:
            yield from child


@dataclass(frozen=True)
class Flow:
    """How many messages of one name have gone from one process to another.

    A sender or receiver that is not in the tree is somebody outside, such as a client.
    """

    sender: str
    receiver: str
    message: str
    count: int
