"""Open arrivals: a Poisson process whose rate changes.

They are open because they do not wait for answers: people who come to a shop know nothing of those
who are stuck in it. A Poisson process has no memory, so within a span of constant rate the gaps are
exponential, and at the end of a span the gap that reaches beyond it is drawn anew at the new rate.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable, Iterator
from typing import TypeAlias

Span: TypeAlias = tuple[int, int, int]
"""From when, until when (microseconds), and how many come in 1,000 s: all whole numbers."""

STEP_US = 250_000
"""A rate that changes all the time is constant for so long."""

_MILLION = 1_000_000


def stepped(start_us: int, end_us: int, rate: Callable[[int], int]) -> Iterator[Span]:
    """Yield spans of `STEP_US`, each with the rate that holds in its middle.

    Args:
        start_us: where the first begins.
        end_us: where the last ends, if need be before it is a whole one.
        rate: the rate at a time, in 1,000 s.
    """
    for from_us in range(start_us, end_us, STEP_US):
        until_us = min(from_us + STEP_US, end_us)
        yield from_us, until_us, rate((from_us + until_us) // 2)


def day(low: int, high: int, duration_us: int) -> Iterator[Span]:
    """Yield the spans of a day: from a low rate to a high one and back, as a cosine.

    Its height is rounded to a millionth, so that a cosine that differs in its last bit changes
    nothing.
    """

    def rate(middle_us: int) -> int:
        height = round(_MILLION * (1 - math.cos(2 * math.pi * middle_us / duration_us)) / 2)
        return low + (high - low) * height // _MILLION

    return stepped(0, duration_us, rate)


def poisson(spans: Iterable[Span], rng: random.Random) -> Iterator[int]:
    """Yield the times of arrivals in whole microseconds, in order.

    Each gap is drawn when its arrival is asked for, so that a caller may draw other things of an
    arrival from the same `rng`.
    """
    for from_us, until_us, rate in spans:
        if rate == 0:
            continue
        per_us = rate / 1e9
        now_us = from_us + round(rng.expovariate(per_us))
        while now_us < until_us:
            yield now_us
            now_us += round(rng.expovariate(per_us))
