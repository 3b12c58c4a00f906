"""How many calls there were of each method, how they ended, and how long they took."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from remotecalls.grpc.interception import Aspect, Call, status_name

BOUNDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
"""Seconds: the upper ends of the buckets of a histogram. What took longer is in one more."""


@dataclass
class Histogram:
    """Durations, counted in buckets, so that a million of them take no more room than ten.

    Attributes:
        buckets: how many durations each of `BOUNDS` holds, and how many are beyond the last.
        total: seconds, all together.
    """

    buckets: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS) + 1))
    total: float = 0.0

    def add(self, seconds: float) -> None:
        """Count a duration."""
        self.buckets[bisect_left(BOUNDS, seconds)] += 1
        self.total += seconds

    @property
    def count(self) -> int:
        """How many durations there were."""
        return sum(self.buckets)

    def at_most(self, share: float) -> float:
        """The bound within which at least this share of the durations lies, in seconds.

        Args:
            share: above 0, at most 1; 0.99 for the bound of the 99th percentile.

        Returns:
            One of `BOUNDS`, or infinity.

        Raises:
            ValueError: nothing was counted, or `share` is no share.
        """
        if not 0 < share <= 1:
            raise ValueError(f"{share} is no share: more than 0, at most 1")
        if not self.count:
            raise ValueError("nothing was counted")
        seen = 0
        for bound, number in zip(BOUNDS, self.buckets, strict=False):
            seen += number
            if seen >= share * self.count:
                return bound
        return float("inf")


@dataclass
class Metrics:
    """What a server has done so far.

    Attributes:
        in_progress: calls of each method that have begun and not ended.
        latencies: of the calls that have ended, by method and name of the status.
    """

    in_progress: Counter[str] = field(default_factory=Counter)
    latencies: dict[tuple[str, str], Histogram] = field(default_factory=dict)

    def count(self, method: str, status: str | None = None) -> int:
        """How many calls of a method have ended, with one status or with any."""
        return sum(
            histogram.count
            for (name, ending), histogram in self.latencies.items()
            if name == method and status in (None, ending)
        )


class Measured(Aspect):
    """Counts the calls of known methods and times them.

    Args:
        metrics: where.
        clock: seconds.
    """

    def __init__(self, metrics: Metrics, clock: Callable[[], float] = time.perf_counter) -> None:
        self._metrics = metrics
        self._clock = clock

    @asynccontextmanager
    async def around(self, call: Call) -> AsyncIterator[None]:
        """See the class."""
        began = self._clock()
        self._metrics.in_progress[call.method] += 1
        failure: BaseException | None = None
        try:
            yield
        except BaseException as error:
            failure = error
            raise
        finally:
            self._metrics.in_progress[call.method] -= 1
            key = call.method, status_name(call, failure)
            latencies = self._metrics.latencies.setdefault(key, Histogram())
            latencies.add(self._clock() - began)
