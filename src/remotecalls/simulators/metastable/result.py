"""What happened in a run of `metastable`, second by second.

*Offered* is what clients send: first tries and retries. *Throughput* is what the server finishes.
*Goodput* is what of it came while the client still waited. The three are equal while all is well.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

from remotecalls.simulators.metastable.parameters import MetastableParameters
from remotecalls.simulators.parameters import to_json
from remotecalls.simulators.percentiles import BEYOND, percentile

SECOND_US = 1_000_000

LATENCY_WINDOW_US = 10_000_000

WINDOW = 5
"""Seconds over which it is judged whether all is well; a single one has too few requests."""

HEALTHY_PERCENT = 95
"""Of the requests that begin in a window, so many are answered while all is well."""

STUCK_PERCENT = 20


@dataclass
class Seconds:
    """Counts in each second of simulated time.

    Attributes:
        first_tries: requests that began.
        tries: what was sent, with retries.
        throughput: what the server finished.
        goodput: what of it somebody still waited for.
        timed_out: tries that a client gave up waiting for.
        refused: tries that the server, or the limit in front of it, did not let in.
        dropped: tries that were let in and never begun.
        not_sent: requests that a circuit breaker ended.
        given_up: requests that ended without an answer.
        answered_of: of the requests that began in this second, those that were answered in time,
            by whichever try.
        given_up_of: of the same, those that ended without an answer. The others were under way
            when the run was over.
        worked_us: work that was finished or stopped, in microseconds of all places together.
        wasted_us: what of it was done for nobody.
        queued: how many wait at the end of the second.
        active: how many are in work at its end.
    """

    first_tries: list[int]
    tries: list[int]
    throughput: list[int]
    goodput: list[int]
    timed_out: list[int]
    refused: list[int]
    dropped: list[int]
    not_sent: list[int]
    given_up: list[int]
    answered_of: list[int]
    given_up_of: list[int]
    worked_us: list[int]
    wasted_us: list[int]
    queued: list[int]
    active: list[int]

    @classmethod
    def empty(cls, count: int) -> Seconds:
        """Nothing has happened in `count` seconds."""
        return cls(*([0] * count for _ in fields(cls)))

    def __len__(self) -> int:
        """How many seconds there are."""
        return len(self.first_tries)


@dataclass(frozen=True)
class Total:
    """Sums over some seconds."""

    first_tries: int
    tries: int
    throughput: int
    goodput: int
    answered_of: int
    given_up_of: int
    wasted_us: int
    worked_us: int

    @property
    def ended(self) -> int:
        """How many of the requests that began then had ended when the run was over."""
        return self.answered_of + self.given_up_of

    @property
    def answered_percent(self) -> float | None:
        """Of those, how many were answered; None without any."""
        return 100 * self.answered_of / self.ended if self.ended else None

    @property
    def goodput_percent(self) -> float | None:
        """Goodput of 100 first tries; None without any. It may exceed 100 after a queue."""
        return 100 * self.goodput / self.first_tries if self.first_tries else None

    @property
    def amplification(self) -> float | None:
        """Tries to one first try."""
        return self.tries / self.first_tries if self.first_tries else None

    @property
    def wasted_percent(self) -> float | None:
        """Work done for nobody, of all work."""
        return 100 * self.wasted_us / self.worked_us if self.worked_us else None


@dataclass(frozen=True)
class MetastableResult:
    """A run.

    Attributes:
        parameters: what was set.
        seed: what the load was drawn from.
        seconds: the counts.
        answers: when each was finished, and how long after it was sent, whether or not anybody
            still waited (microseconds).
        breaker_openings: how often a circuit breaker opened.
        events: how many the model went through.
    """

    parameters: MetastableParameters
    seed: int
    seconds: Seconds
    answers: tuple[tuple[int, int], ...]
    breaker_openings: int
    events: int

    @property
    def end_us(self) -> int:
        """When the run was over."""
        return self.parameters.duration_us

    def total(self, from_s: int = 0, until_s: int | None = None) -> Total:
        """Sum over the seconds from one, up to another and without it."""
        counts = self.seconds
        chosen = slice(from_s, until_s)
        return Total(
            first_tries=sum(counts.first_tries[chosen]),
            tries=sum(counts.tries[chosen]),
            throughput=sum(counts.throughput[chosen]),
            goodput=sum(counts.goodput[chosen]),
            answered_of=sum(counts.answered_of[chosen]),
            given_up_of=sum(counts.given_up_of[chosen]),
            wasted_us=sum(counts.wasted_us[chosen]),
            worked_us=sum(counts.worked_us[chosen]),
        )

    def before(self) -> Total:
        """Sum over the seconds before the trigger."""
        return self.total(0, self.parameters.trigger_at_us // SECOND_US)

    def after(self) -> Total:
        """Sum over the seconds after the trigger."""
        return self.total(-(-self.parameters.trigger_end_us // SECOND_US))

    def latency_us(self, percent: int, at_us: int) -> int | None:
        """Return a percentile of the answers of the last `LATENCY_WINDOW_US`.

        Where they are too few for `BEYOND` of them to lie beyond the percentile, as many more are
        taken as are needed for that.

        Args:
            percent: 50, 95 or 99, say.
            at_us: answers up to that time count.

        Returns:
            Microseconds, by nearest rank; None if there were not answers enough.
        """
        until = self.answered_by(at_us)
        needed = -(-BEYOND * 100 // (100 - percent))
        count = max(needed, until - self.answered_by(at_us - LATENCY_WINDOW_US))
        last = self.answers[max(0, until - count) : until]
        return percentile(sorted(latency for _, latency in last), percent)

    @cached_property
    def latencies_us(self) -> dict[int, tuple[int | None, ...]]:
        """Return the percentiles 50, 95 and 99 at the end of each second, as `latency_us` does."""
        ends = [(second + 1) * SECOND_US for second in range(len(self.seconds))]
        return {
            percent: tuple(self.latency_us(percent, end) for end in ends)
            for percent in (50, 95, 99)
        }

    def answered_by(self, at_us: int) -> int:
        """Return how many answers had been finished by a time."""
        return bisect_right(self.answers, at_us, key=lambda answer: answer[0])

    @property
    def recovered_us(self) -> int | None:
        """How long after the end of the trigger all was well again, and stayed so; None: never.

        That is the beginning of the first window of `WINDOW` seconds from which on, in every one,
        `HEALTHY_PERCENT` of the requests that begin are answered.
        """
        start = -(-self.parameters.trigger_end_us // SECOND_US)
        found: int | None = None
        for second in range(len(self.seconds) - WINDOW, start - 1, -1):
            total = self.total(second, second + WINDOW)
            if 2 * total.ended < total.first_tries:
                continue  # most were under way at the end: nobody knows
            if total.ended and 100 * total.answered_of < HEALTHY_PERCENT * total.ended:
                break
            found = second
        return None if found is None else found * SECOND_US - self.parameters.trigger_end_us

    @property
    def last_percent(self) -> float:
        """How many of the last requests are answered; all, if none of them has ended.

        The last requests are those of the last third of the run, or of what the trigger leaves of
        it.
        """
        start = max(len(self.seconds) * 2 // 3, -(-self.parameters.trigger_end_us // SECOND_US))
        percent = self.total(start).answered_percent
        return 100.0 if percent is None else percent

    @property
    def is_stuck(self) -> bool:
        """Whether fewer than `STUCK_PERCENT` of the last requests are answered."""
        return self.last_percent < STUCK_PERCENT

    def to_json(self) -> dict[str, Any]:
        """Return the counts, and the percentiles at the end of each second."""
        return {
            "parameters": to_json(self.parameters),
            "seed": self.seed,
            "end_us": self.end_us,
            "events": self.events,
            "breaker_openings": self.breaker_openings,
            "recovered_us": self.recovered_us,
            "is_stuck": self.is_stuck,
            "seconds": {each.name: getattr(self.seconds, each.name) for each in fields(Seconds)},
            "p50_us": list(self.latencies_us[50]),
            "p95_us": list(self.latencies_us[95]),
            "p99_us": list(self.latencies_us[99]),
        }
