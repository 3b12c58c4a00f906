"""What came out of a run of `supervision`."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from remotecalls.simulators.parameters import to_json
from remotecalls.simulators.supervision.parameters import (
    ALL,
    CHILDREN,
    SHOP,
    TOP,
    WORKERS,
    SupervisionParameters,
)
from remotecalls.simulators.supervision.record import (
    Entry,
    Event,
    Interval,
    Kill,
    Restart,
    Traffic,
    by,
)
from remotecalls.simulators.supervision.rules import Strategy
from remotecalls.simulators.supervision.snapshot import Flow, Kind, Node, State

SECOND_US = 1_000_000

DECISIONS = (Event.KILLED, Event.STOPPED, Event.STARTED, Event.GAVE_UP)


@dataclass(frozen=True)
class SupervisionResult:
    """A run.

    Attributes:
        parameters: what was set.
        seed: what the load was drawn from.
        intervals: the states of each process, in order and without gaps.
        log: what happened, in order.
        kills: those that were due before the end of the run.
        restarts: those that supervisors counted, in order.
        traffic: of each worker.
        flows: the times of messages, by sender, receiver and name of the message.
        ended_us: when the supervisor at the top was gone; None if it never was.
    """

    parameters: SupervisionParameters
    seed: int
    intervals: dict[str, tuple[Interval, ...]]
    log: tuple[Entry, ...]
    kills: tuple[Kill, ...]
    restarts: tuple[Restart, ...]
    traffic: dict[str, Traffic]
    flows: dict[tuple[str, str, str], list[int]]
    ended_us: int | None

    @property
    def end_us(self) -> int:
        """When the run was over."""
        return self.parameters.duration_us

    @property
    def decisions(self) -> list[tuple[str, str]]:
        """The log without times and reasons, to be compared with that of a running system.

        Each is an event and the name of the process it happened to: `killed` for every end that
        nobody had asked for, `stopped`, `started`, `gave-up`.
        """
        return [(entry.event.value, entry.name) for entry in self.log if entry.event in DECISIONS]

    def state(self, name: str, at_us: int) -> State:
        """What a process was doing at a time."""
        intervals = self.intervals[name]
        found = bisect_right(intervals, at_us, key=lambda interval: interval.from_us)
        return intervals[max(found - 1, 0)].state

    def times(self, event: Event, name: str | None = None) -> list[int]:
        """When something happened: to a process, or to any."""
        return [
            entry.at_us for entry in self.log if entry.event is event and name in (None, entry.name)
        ]

    def restarted(self, name: str, at_us: int | None = None) -> int:
        """How often a process had been started again by a time; by the end without one."""
        started = by(self.times(Event.STARTED, name), self.end_us if at_us is None else at_us)
        return max(started - 1, 0)

    def recent(self, supervisor: str, at_us: int) -> int:
        """How many restarts a supervisor knew of within its period.

        One that was started again knows nothing of what its predecessor has counted.
        """
        steps = self.windows[supervisor]
        found = bisect_right(steps, at_us, key=lambda step: step[0])
        return steps[found - 1][1]

    @cached_property
    def windows(self) -> dict[str, tuple[tuple[int, int], ...]]:
        """For each supervisor, from when on it knows of how many restarts within its period."""
        return {name: tuple(self._window(name)) for name in CHILDREN}

    def _window(self, supervisor: str) -> Iterator[tuple[int, int]]:
        period_us = self.parameters.period_us
        counted = [each.at_us for each in self.restarts if each.supervisor == supervisor]
        started = self.times(Event.STARTED, supervisor)
        within: deque[int] = deque()
        coming, came = deque(counted), deque(started)
        # A restart is within the period to its last microsecond.
        leaving = [at_us + period_us + 1 for at_us in counted]
        yield 0, 0
        for now_us in sorted({*counted, *started, *leaving}):
            while came and came[0] <= now_us:
                came.popleft()
                within.clear()
            while coming and coming[0] <= now_us:
                within.append(coming.popleft())
            while within and within[0] < now_us - period_us:
                within.popleft()
            yield now_us, len(within)

    def total(self, what: str, at_us: int | None = None) -> int:
        """Sum one of the counts of `Traffic` over all workers, by a time or by the end."""
        until_us = self.end_us if at_us is None else at_us
        return sum(by(getattr(each, what), until_us) for each in self.traffic.values())

    def spent_us(self, name: str, *states: State) -> int:
        """How long a process was in these states."""
        return sum(
            each.until_us - each.from_us for each in self.intervals[name] if each.state in states
        )

    def snapshot(self, at_us: int) -> Node:
        """The tree at a time."""
        return self._node(TOP, at_us)

    def _node(self, name: str, at_us: int) -> Node:
        restarts, state = self.restarted(name, at_us), self.state(name, at_us)
        if name in WORKERS:
            mailbox = self.traffic[name].mailbox(at_us)
            return Node(name, Kind.WORKER, state, restarts, mailbox)
        strategy = Strategy(self.parameters.strategy) if name == SHOP else Strategy.ONE_FOR_ONE
        children = tuple(self._node(child, at_us) for child in CHILDREN[name])
        return Node(name, Kind.SUPERVISOR, state, restarts, 0, strategy, children)

    def flows_by(self, at_us: int) -> tuple[Flow, ...]:
        """The messages that had been sent by a time."""
        return tuple(
            Flow(*names, by(times, at_us)) for names, times in self.flows.items()
            if by(times, at_us)
        )  # fmt: skip

    def to_json(self) -> dict[str, Any]:
        """Return the result as JSON data; what happened at workers is counted in each second."""
        return {
            "parameters": to_json(self.parameters),
            "seed": self.seed,
            "end_us": self.end_us,
            "ended_us": self.ended_us,
            "intervals": {
                name: [[each.state.value, each.from_us, each.until_us]
                       for each in self.intervals[name]]
                for name in ALL
            },
            "log": [[each.at_us, each.event.value, each.name, each.reason] for each in self.log],
            "kills": [asdict(each) for each in self.kills],
            "restarts": [asdict(each) for each in self.restarts],
            "flows": [asdict(each) for each in self.flows_by(self.end_us)],
            "workers": {
                name: {
                    **{what: self._by_second(times) for what, times in vars(each).items()},
                    "waiting": each.waiting(self.end_us),
                    "mailbox": each.mailbox(self.end_us),
                }
                for name, each in self.traffic.items()
            },
        }  # fmt: skip

    def _by_second(self, times: list[int]) -> list[int]:
        counts = [0] * -(-self.end_us // SECOND_US)
        for time in times:
            # What happens at the very end belongs to the last second.
            counts[min(time // SECOND_US, len(counts) - 1)] += 1
        return counts
