"""Requests that wait for one of several servers: M/G/c, first in, first out, simulated.

Such a queue needs no loop over events. Who comes is served by the server that is free first, and
begins when both are there; the times at which servers become free, in a heap, are all that there is
to remember (Kiefer and Wolfowitz). That makes a run fast enough for percentiles at high
utilization.

Every drawn duration is rounded to a whole microsecond, and sums are of whole numbers: equal seeds
give equal results in CPython and in the browser.

Sources: Kiefer and Wolfowitz, "On the theory of queues with many servers", Transactions of the
American Mathematical Society 78, 1955; Law, "Simulation Modeling and Analysis", 5th edition, 2015,
section 9.5.3, on batch means.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heapreplace
from statistics import NormalDist
from typing import Literal

from remotecalls.simulators.percentiles import percentile

CONFIDENCE_PERCENT = 99
LEAST_BATCHES = 10
"""With fewer, the interval would rest on a variance of a handful of numbers."""

MOST_STAGES = 100

_CHUNK = 10_000
"""Customers whose times are drawn at once; it bounds the memory of a run and changes no result."""

_SERVICE_DRAWS = 1_000_000_000
"""Work is not drawn from the numbers from which arrivals are drawn: seeds end before."""

Kind = Literal["deterministic", "erlang", "exponential", "hyperexponential", "lognormal"]


@dataclass(frozen=True)
class ServiceTime:
    """How long the work of a request takes: a distribution, by its mean and its variation.

    `deterministic`, `erlang`, `exponential`, `hyperexponential` and `lognormal` make one.

    Attributes:
        kind: the family.
        mean_us: microseconds, on average.
        cv_squared: squared coefficient of variation: the variance over the square of the mean.
    """

    kind: Kind
    mean_us: float
    cv_squared: float

    def draw(self, rng: random.Random, count: int) -> list[int]:
        """Draw so many durations in whole microseconds; each may be 0."""
        mean, uniform, log = self.mean_us, rng.random, math.log
        if self.kind == "deterministic":
            return [round(mean)] * count
        if self.kind == "exponential":
            return [int(0.5 - mean * log(1.0 - uniform())) for _ in range(count)]
        if self.kind == "erlang":
            stages = round(1 / self.cv_squared)
            stage = mean / stages
            # The logarithm of a product is the sum of the stages' logarithms, taken once.
            return [
                int(0.5 - stage * log(math.prod([1.0 - uniform() for _ in range(stages)])))
                for _ in range(count)
            ]
        if self.kind == "hyperexponential":
            first = (1 + math.sqrt((self.cv_squared - 1) / (self.cv_squared + 1))) / 2
            short, long = mean / (2 * first), mean / (2 * (1 - first))
            return [
                int(0.5 - (short if uniform() < first else long) * log(1.0 - uniform()))
                for _ in range(count)
            ]
        variance = math.log(1 + self.cv_squared)
        location, scale = math.log(mean) - variance / 2, math.sqrt(variance)
        return [round(rng.lognormvariate(location, scale)) for _ in range(count)]


def deterministic(mean_us: float) -> ServiceTime:
    """Return work that always takes `mean_us`, rounded to a whole microsecond: M/D/c."""
    return ServiceTime("deterministic", _mean(mean_us), 0.0)


def exponential(mean_us: float) -> ServiceTime:
    """Return work of which nobody knows how long it will still take: M/M/c."""
    return ServiceTime("exponential", _mean(mean_us), 1.0)


def erlang(mean_us: float, stages: int) -> ServiceTime:
    """Return work of so many exponential stages one after the other; cv² is 1 / stages.

    Raises:
        ValueError: there is no stage, or more than `MOST_STAGES`.
    """
    if isinstance(stages, bool) or not isinstance(stages, int) or not 1 <= stages <= MOST_STAGES:
        raise ValueError(
            f"stages is {stages!r}; choose a whole number from 1 to {MOST_STAGES}, or "
            "deterministic work"
        )
    return ServiceTime("erlang", _mean(mean_us), 1 / stages)


def hyperexponential(mean_us: float, cv_squared: float) -> ServiceTime:
    """Return work that is mostly short and sometimes long, both exponential.

    Of the two kinds, each is half of all work ("balanced means").

    Raises:
        ValueError: `cv_squared` is below 1, which no such mixture has.
    """
    if not (cv_squared >= 1 and math.isfinite(cv_squared)):
        raise ValueError(
            f"cv_squared is {cv_squared!r}; a hyperexponential has 1 or more. Choose an Erlang "
            "distribution for less."
        )
    return ServiceTime("hyperexponential", _mean(mean_us), cv_squared)


def lognormal(mean_us: float, cv_squared: float) -> ServiceTime:
    """Return work whose logarithm is normal: a long tail, and little that is very short.

    Raises:
        ValueError: `cv_squared` is not positive.
    """
    if not (cv_squared > 0 and math.isfinite(cv_squared)):
        raise ValueError(
            f"cv_squared is {cv_squared!r}; a lognormal has a positive one. Choose deterministic "
            "work for 0."
        )
    return ServiceTime("lognormal", _mean(mean_us), cv_squared)


class FifoServers:
    """Servers that share one queue, first in, first out; all of them are free at time 0.

    Attributes:
        free_at_us: a heap of the times at which the servers are free again.
        now_us: when the last one came.
    """

    def __init__(self, servers: int) -> None:
        if isinstance(servers, bool) or not isinstance(servers, int) or servers < 1:
            raise ValueError(f"servers is {servers!r}; choose a whole number from 1 up")
        self.free_at_us = [0] * servers
        self.now_us = 0

    def serve(self, gaps_us: Sequence[int], services_us: Sequence[int]) -> list[int]:
        """Serve those who come next, and return how long each of them waits, in microseconds.

        Args:
            gaps_us: for each, the time since the one before came.
            services_us: for each, the work.

        Raises:
            ValueError: the two are not of the same length.
        """
        free_at_us, now_us = self.free_at_us, self.now_us
        waits_us: list[int] = []
        wait = waits_us.append
        for gap_us, service_us in zip(gaps_us, services_us, strict=True):
            now_us += gap_us
            free_us = free_at_us[0]
            if free_us > now_us:
                wait(free_us - now_us)
                heapreplace(free_at_us, free_us + service_us)
            else:
                wait(0)
                heapreplace(free_at_us, now_us + service_us)
        self.now_us = now_us
        return waits_us


@dataclass(frozen=True)
class QueueResult:
    """What a run of the queue measured, once it had warmed up.

    Attributes:
        servers: how many there were.
        customers: those that were counted.
        waited: how many of them found all servers busy.
        span_us: from the last arrival of the warm-up to the last of all.
        wait_us: the time in the queue of all of them together.
        service_us: the work of all of them together.
        mean_wait_us: the time in the queue, on average.
        half_width_us: the mean wait of a run without end is this close, with a confidence of 99 %.
        percentiles_us: for each percentage that was asked for, the wait that so many did not
            exceed, by nearest rank; None where fewer than `BEYOND` waits lie beyond it.
    """

    servers: int
    customers: int
    waited: int
    span_us: int
    wait_us: int
    service_us: int
    mean_wait_us: float
    half_width_us: float
    percentiles_us: dict[int, int | None]

    @property
    def interval_us(self) -> tuple[float, float]:
        """The bounds of the 99 % confidence interval of the mean wait."""
        return self.mean_wait_us - self.half_width_us, self.mean_wait_us + self.half_width_us

    @property
    def waited_share(self) -> float:
        """The share of those who found all servers busy."""
        return self.waited / self.customers

    @property
    def utilization(self) -> float:
        """The work that came over the work that the servers could have done."""
        return self.service_us / (self.servers * self.span_us)

    @property
    def mean_queue_length(self) -> float:
        """How many waited on average over time, by Little's law."""
        return self.wait_us / self.span_us


def simulate(
    *,
    servers: int,
    mean_gap_us: float,
    service: ServiceTime,
    customers: int,
    seed: int,
    warm_up: int | None = None,
    batches: int = 20,
    percents: Sequence[int] = (50, 90, 99),
) -> QueueResult:
    """Run an M/G/c queue that is empty at first, and measure the wait.

    The confidence interval is that of batch means: the counted customers are cut into batches, long
    enough that the mean of one says next to nothing about the next, and the spread of these means
    is that of independent samples. Its quantile of Student's t is approximated by a series in one
    over the degrees of freedom (Abramowitz and Stegun 1964, 26.7.5), within 0.2 % from 9 of them.

    Args:
        servers: how many requests are worked on at once.
        mean_gap_us: microseconds between two arrivals, on average; the gaps are exponential.
        service: how long the work takes.
        customers: how many come.
        seed: decides the gaps and, apart from them, the work; with equal seeds two kinds of work
            are measured under the same arrivals.
        warm_up: of the customers, so many come first and are not counted; a tenth without it.
        batches: how many, at least `LEAST_BATCHES`.
        percents: whole percentages; without any, the run keeps no waits and is faster.

    Raises:
        ValueError: an argument is impossible, or more work comes than the servers can do.
    """
    warm_up = customers // 10 if warm_up is None else warm_up
    _check_run(servers, mean_gap_us, service, customers, warm_up, batches, percents)
    length = (customers - warm_up) // batches
    # What does not fill a batch is more warm-up, so that every counted customer is in one.
    warm_up = customers - length * batches
    fifo = FifoServers(servers)
    arrivals, works = random.Random(seed), random.Random(_SERVICE_DRAWS + seed)
    gaps = exponential(mean_gap_us)

    def chunk(count: int) -> tuple[list[int], list[int]]:
        services_us = service.draw(works, count)
        return fifo.serve(gaps.draw(arrivals, count), services_us), services_us

    for count in _chunks(warm_up):
        chunk(count)
    began_us = fifo.now_us
    means: list[float] = []
    kept: list[int] = []
    wait_us = service_us = waited = 0
    for _ in range(batches):
        batch_us = 0
        for count in _chunks(length):
            waits_us, services_us = chunk(count)
            batch_us += sum(waits_us)
            service_us += sum(services_us)
            waited += count - waits_us.count(0)
            if percents:
                kept.extend(waits_us)
        wait_us += batch_us
        means.append(batch_us / length)
    kept.sort()
    counted = length * batches
    return QueueResult(
        servers=servers,
        customers=counted,
        waited=waited,
        span_us=fifo.now_us - began_us,
        wait_us=wait_us,
        service_us=service_us,
        mean_wait_us=wait_us / counted,
        half_width_us=half_width(means),
        percentiles_us={percent: percentile(kept, percent) for percent in percents},
    )


def half_width(means: Sequence[float]) -> float:
    """Return half the width of the 99 % confidence interval around the mean of batch means.

    Raises:
        ValueError: there are fewer than `LEAST_BATCHES`.
    """
    count = len(means)
    if count < LEAST_BATCHES:
        raise ValueError(f"{count} batches; the interval needs at least {LEAST_BATCHES}")
    middle = math.fsum(means) / count
    variance = math.fsum((each - middle) ** 2 for each in means) / (count - 1)
    quantile = student_t((1 + CONFIDENCE_PERCENT / 100) / 2, count - 1)
    return quantile * math.sqrt(variance / count)


def student_t(probability: float, degrees: int) -> float:
    """Return a quantile of Student's t distribution, from its series in 1 / degrees of freedom.

    Args:
        probability: of a value below the quantile; 0.995 for a two-sided interval of 99 %.
        degrees: of freedom, at least 9: below, four terms of the series are too few.

    Raises:
        ValueError: `probability` is not between 0 and 1, or there are fewer than 9 degrees.

    Source: Abramowitz and Stegun, "Handbook of Mathematical Functions", 1964, 26.7.5.
    """
    if not 0 < probability < 1:
        raise ValueError(f"probability is {probability!r}; choose one above 0 and below 1")
    if degrees < LEAST_BATCHES - 1:
        raise ValueError(f"degrees is {degrees}; the series is good from {LEAST_BATCHES - 1} on")
    x = NormalDist().inv_cdf(probability)
    terms = (
        x,
        (x**3 + x) / 4,
        (5 * x**5 + 16 * x**3 + 3 * x) / 96,
        (3 * x**7 + 19 * x**5 + 17 * x**3 - 15 * x) / 384,
        (79 * x**9 + 776 * x**7 + 1482 * x**5 - 1920 * x**3 - 945 * x) / 92_160,
    )
    return math.fsum(term / degrees**power for power, term in enumerate(terms))


def _chunks(count: int) -> list[int]:
    whole, rest = divmod(count, _CHUNK)
    return [_CHUNK] * whole + ([rest] if rest else [])


def _mean(mean_us: float) -> float:
    if not (mean_us >= 1 and math.isfinite(mean_us)):
        raise ValueError(
            f"mean_us is {mean_us!r}; choose at least 1 microsecond, and 100 or more if rounding "
            "to whole ones shall not matter"
        )
    return float(mean_us)


def _check_run(
    servers: int,
    mean_gap_us: float,
    service: ServiceTime,
    customers: int,
    warm_up: int,
    batches: int,
    percents: Sequence[int],
) -> None:
    FifoServers(servers)
    load = service.mean_us / _mean(mean_gap_us)
    if load >= servers:
        raise ValueError(
            f"utilization is {load / servers:.3g}: the queue of {servers} "
            f"server{'s' * (servers != 1)} grows for as long as the run lasts, and its mean wait "
            f"says only how long that was. Use at least {math.floor(load) + 1} servers, or a "
            "larger mean_gap_us."
        )
    if batches < LEAST_BATCHES:
        raise ValueError(f"batches is {batches}; choose at least {LEAST_BATCHES}")
    if not 0 <= warm_up <= customers - batches:
        raise ValueError(
            f"{customers} customers, of whom {warm_up} are the warm-up, do not fill {batches} "
            "batches; let more come, or a smaller part of them be the warm-up"
        )
    for percent in percents:
        if not 0 < percent < 100:
            raise ValueError(f"percents has {percent!r}; choose whole ones from 1 to 99")
