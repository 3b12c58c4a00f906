"""What happened in a run of `autoscaling`, second by second, and what the controller decided."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from itertools import pairwise
from typing import Any

from remotecalls.simulators.capacity.autoscaling_parameters import AutoscalingParameters
from remotecalls.simulators.parameters import to_json
from remotecalls.simulators.percentiles import BEYOND, percentile

SECOND_US = 1_000_000

SWING_PERCENT = 25
"""A swing is a turn after the number ordered had gone so far, of the number needed at the time."""

OSCILLATES_FROM = 4
"""So many swings are an oscillation: up and down, twice. A day makes one of its own."""


@dataclass
class AutoscalingSeconds:
    """What was in each second of simulated time; the last one may be cut short.

    Attributes:
        offered: requests that came.
        served: requests that were finished.
        waiting: requests that wait at its end.
        running: instances that serve at its end, or finish their last request.
        starting: instances that were ordered and do not serve yet, at its end.
        needed: instances that are at the target at the rate of its middle.
        busy_us: work done, in microseconds of all instances together.
        there_us: what they could have done.
    """

    offered: list[int]
    served: list[int]
    waiting: list[int]
    running: list[int]
    starting: list[int]
    needed: list[int]
    busy_us: list[int]
    there_us: list[int]

    @classmethod
    def empty(cls, count: int) -> AutoscalingSeconds:
        """Return so many seconds in which nothing happened."""
        return cls(*([0] * count for _ in fields(cls)))

    def __len__(self) -> int:
        return len(self.offered)


@dataclass(frozen=True)
class Decision:
    """A look that changed something.

    Attributes:
        at_us: when.
        before: instances that were ordered: running and starting.
        after: instances that are from then on.
        utilization_percent: what the controller saw, rounded down.
    """

    at_us: int
    before: int
    after: int
    utilization_percent: int


@dataclass(frozen=True)
class LatencyBucket:
    """A stretch of the run, long enough for its p99.

    Attributes:
        from_us: its beginning, at a whole second.
        until_us: its end.
        answers: requests that were finished in it.
        p99_us: so long 99 of 100 of them took at most, by nearest rank, with their time in the
            queue; None if fewer than 20 answers lie beyond it.
    """

    from_us: int
    until_us: int
    answers: int
    p99_us: int | None


@dataclass(frozen=True)
class AutoscalingResult:
    """A whole run.

    Attributes:
        parameters: the settings.
        seed: decides when requests come and how much work each is.
        seconds: the run over time.
        decisions: each look that changed something, in order.
        answers: for each finished request, in order, when it was finished and how long it took.
        events: requests that came or were finished, instances that were ready, and looks.
    """

    parameters: AutoscalingParameters
    seed: int
    seconds: AutoscalingSeconds
    decisions: tuple[Decision, ...]
    answers: tuple[tuple[int, int], ...]
    events: int

    @property
    def end_us(self) -> int:
        """The end of the run."""
        return self.parameters.duration_us

    @property
    def reversals(self) -> int:
        """How often a change went the other way than the one before: noise and oscillation."""
        ups = [each.after > each.before for each in self.decisions]
        return sum(one != other for one, other in pairwise(ups))

    @cached_property
    def swings(self) -> int:
        """Turns that matter: after the order had gone by `SWING_PERCENT` of the needed, or by 2.

        The zigzag rule: a turning point counts once the order has come back from it that far.
        """
        if not self.decisions:
            return 0
        low = high = self.decisions[0].before
        direction = swings = 0
        for each in self.decisions:
            far = max(2, -(-self._needed_at(each.at_us) * SWING_PERCENT // 100))
            low, high = min(low, each.after), max(high, each.after)
            if direction <= 0 and each.after >= low + far:
                swings += direction < 0
                direction, high = 1, each.after
            elif direction >= 0 and each.after <= high - far:
                swings += direction > 0
                direction, low = -1, each.after
        return swings

    @property
    def oscillates(self) -> bool:
        """Whether the number of instances went up and down at least twice, and not by a little."""
        return self.swings >= OSCILLATES_FROM

    @property
    def overloaded_seconds(self) -> int:
        """Seconds in which no instance had a moment to spare: all work that was possible was done.

        With one or two instances and long work this happens now and then without overload.
        """
        busy, there = self.seconds.busy_us, self.seconds.there_us
        return sum(one == other for one, other in zip(busy, there, strict=True))

    @property
    def instance_seconds(self) -> int:
        """What is paid for: seconds of all instances together, those that start included.

        Counted at the ends of seconds.
        """
        return sum(self.seconds.running) + sum(self.seconds.starting)

    @property
    def most_ordered(self) -> int:
        """The most instances that ran and started at once, by the controller's order."""
        first = self.initial
        return max([first, *(each.after for each in self.decisions)])

    @property
    def initial(self) -> int:
        """The instances that were there at the beginning."""
        return initial_instances(self.parameters)

    @property
    def most_needed(self) -> int:
        """The most instances that were needed in any second."""
        return max(self.seconds.needed)

    @cached_property
    def latencies(self) -> tuple[LatencyBucket, ...]:
        """The p99 over time, each over the fewest whole seconds that have answers enough for it."""
        enough = 100 * BEYOND
        found: list[LatencyBucket] = []
        first = taken = start_us = 0
        for second, served in enumerate(self.seconds.served):
            taken += served
            end_us = min((second + 1) * SECOND_US, self.end_us)
            if taken >= enough or second == len(self.seconds) - 1:
                ordered = sorted(took for _, took in self.answers[first : first + taken])
                found.append(LatencyBucket(start_us, end_us, taken, percentile(ordered, 99)))
                first, taken, start_us = first + taken, 0, end_us
        return tuple(found)

    def latency_us(self, percent: int) -> int | None:
        """Return a percentile of the whole run; None if fewer than 20 answers lie beyond it."""
        return percentile(self._ordered, percent)

    @cached_property
    def _ordered(self) -> list[int]:
        return sorted(took for _, took in self.answers)

    def _needed_at(self, at_us: int) -> int:
        return self.seconds.needed[min(at_us // SECOND_US, len(self.seconds) - 1)]

    def to_json(self) -> dict[str, Any]:
        """Return the result as JSON data."""
        return {
            "parameters": to_json(self.parameters),
            "seed": self.seed,
            "end_us": self.end_us,
            "events": self.events,
            "seconds": {
                each.name: list(getattr(self.seconds, each.name)) for each in fields(self.seconds)
            },
            "decisions": [
                [each.at_us, each.before, each.after, each.utilization_percent]
                for each in self.decisions
            ],
            "latencies": [
                [each.from_us, each.until_us, each.answers, each.p99_us] for each in self.latencies
            ],
            "p50_us": self.latency_us(50),
            "p99_us": self.latency_us(99),
            "reversals": self.reversals,
            "swings": self.swings,
            "oscillates": self.oscillates,
            "overloaded_seconds": self.overloaded_seconds,
            "instance_seconds": self.instance_seconds,
        }


def initial_instances(parameters: AutoscalingParameters) -> int:
    """Return how many instances there are at the beginning: those needed at the first rate."""
    first = next(rate for start, until, rate in parameters.spans() if until > start)
    return min(parameters.needed(first), parameters.most)
