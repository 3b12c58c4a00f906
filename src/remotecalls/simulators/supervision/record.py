"""What is written down while `supervision` runs: states, what happened, and every request."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from enum import StrEnum

from remotecalls.simulators.supervision.parameters import ALL, WORKERS
from remotecalls.simulators.supervision.snapshot import State


class Event(StrEnum):
    """What happens to a process.

    Started: it is ready; a supervisor, when all its children are. Killed: it ended and nobody had
    asked it to, in whatever way. Stopped: its supervisor asked it to. Failed to start: it ended
    before it was ready. Gave up: a supervisor has restarted too often, stops its children and ends.
    """

    STARTED = "started"
    KILLED = "killed"
    STOPPED = "stopped"
    FAILED_TO_START = "failed-to-start"
    GAVE_UP = "gave-up"


@dataclass(frozen=True)
class Entry:
    """A line of the log: when, what, to whom, and the reason in a word if there is one."""

    at_us: int
    event: Event
    name: str
    reason: str = ""


@dataclass(frozen=True)
class Interval:
    """A process was in a state, from a time until another and without it."""

    state: State
    from_us: int
    until_us: int


@dataclass(frozen=True)
class Kill:
    """A kill that was due: whether the victim was there."""

    at_us: int
    hit: bool


@dataclass(frozen=True)
class Restart:
    """A restart that a supervisor counted.

    Attributes:
        at_us: when.
        supervisor: which one.
        recent: how many it has counted within the period, with this one.
        is_allowed: false if it was one too many, and was not made.
    """

    at_us: int
    supervisor: str
    recent: int
    is_allowed: bool


@dataclass
class Traffic:
    """The times of what happened at one worker, each list in order (microseconds).

    Attributes:
        arrived: requests that came for it, whether it was there or not.
        answered: requests that it answered.
        failed: requests whose clients were told that there is no answer: nobody was there, or the
            worker's own call found nobody.
        lost: requests that ended with the process, in its mailbox or in its hands.
        queued: messages that were put into its mailbox, calls of other workers too.
        taken: messages that left it, to be worked on or with the process.
        messages_lost: messages that were in the mailbox when the process ended, once for each.
        state_lost: what it had in its state when it ended, once for each thing.
    """

    arrived: list[int] = field(default_factory=list)
    answered: list[int] = field(default_factory=list)
    failed: list[int] = field(default_factory=list)
    lost: list[int] = field(default_factory=list)
    queued: list[int] = field(default_factory=list)
    taken: list[int] = field(default_factory=list)
    messages_lost: list[int] = field(default_factory=list)
    state_lost: list[int] = field(default_factory=list)

    def waiting(self, at_us: int) -> int:
        """How many requests had come and had no outcome yet."""
        over = sum(by(times, at_us) for times in (self.answered, self.failed, self.lost))
        return by(self.arrived, at_us) - over

    def mailbox(self, at_us: int) -> int:
        """How many messages were in the mailbox."""
        return by(self.queued, at_us) - by(self.taken, at_us)


def by(times: list[int], at_us: int) -> int:
    """How many of the times in order are at `at_us` or before."""
    return bisect_right(times, at_us)


class Record:
    """Everything that a run leaves behind."""

    def __init__(self) -> None:
        self.log: list[Entry] = []
        self.kills: list[Kill] = []
        self.restarts: list[Restart] = []
        self.traffic = {name: Traffic() for name in WORKERS}
        self.flows: dict[tuple[str, str, str], list[int]] = {}
        self.ended_us: int | None = None
        self._states: dict[str, list[tuple[int, State]]] = {name: [(0, State.DEAD)] for name in ALL}

    def state(self, name: str, state: State, now_us: int) -> None:
        """Note in which state a process is from now on."""
        if self._states[name][-1][1] is not state:
            self._states[name].append((now_us, state))

    def flow(self, sender: str, receiver: str, message: str, now_us: int) -> None:
        """Note a message."""
        self.flows.setdefault((sender, receiver, message), []).append(now_us)

    def intervals(self, name: str, end_us: int) -> tuple[Interval, ...]:
        """All states of a process that lasted for a while, in order; they leave no gap."""
        changes = self._states[name]
        ends = [at_us for at_us, _ in changes[1:]] + [end_us]
        found: list[Interval] = []
        for (from_us, state), until_us in zip(changes, ends, strict=True):
            if from_us == until_us:
                continue
            if found and found[-1].state is state:
                found[-1] = Interval(state, found[-1].from_us, until_us)
            else:
                found.append(Interval(state, from_us, until_us))
        return tuple(found)
