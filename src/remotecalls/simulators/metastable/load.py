"""When first tries come: open arrivals, a Poisson process whose rate changes.

They are open because they do not wait for answers: people who come to a shop know nothing of those
who are stuck in it. A Poisson process has no memory, so within a span of constant rate the gaps are
exponential, and at the end of a span the gap that reaches beyond it is drawn anew at the new rate.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator

from remotecalls.simulators.metastable.parameters import (
    CONSTANT,
    RAMP,
    SPIKE,
    MetastableParameters,
)

_STEP_US = 250_000
"""A rate that changes all the time is constant for so long."""

_MILLION = 1_000_000


def spans(parameters: MetastableParameters) -> Iterator[tuple[int, int, int]]:
    """Yield the rates over the run: from, until (microseconds), and first tries in 1,000 s.

    Rates are whole numbers, so that a sine that differs in its last bit does not change them.
    """
    rate, peak = parameters.rate * 1_000, parameters.peak * 1_000
    start, end, duration = (
        parameters.trigger_at_us,
        parameters.trigger_end_us,
        parameters.duration_us,
    )
    if parameters.pattern == CONSTANT:
        yield 0, duration, rate
    elif parameters.pattern == SPIKE:
        yield from ((0, start, rate), (start, end, peak), (end, duration, rate))
    elif parameters.pattern == RAMP:
        yield 0, start, rate
        for from_us in range(start, end, _STEP_US):
            until_us = min(from_us + _STEP_US, end)
            middle = (from_us + until_us) // 2 - start
            up = min(middle, parameters.trigger_for_us - middle)
            yield from_us, until_us, rate + (peak - rate) * 2 * up // parameters.trigger_for_us
        yield end, duration, rate
    else:
        for from_us in range(0, duration, _STEP_US):
            until_us = min(from_us + _STEP_US, duration)
            day = (from_us + until_us) / (2 * duration)
            height = round(500_000 - 500_000 * math.cos(2 * math.pi * day))
            yield from_us, until_us, rate + (peak - rate) * height // _MILLION


def first_tries(parameters: MetastableParameters, seed: int) -> list[tuple[int, int, float]]:
    """Draw the first tries, in order: when (microseconds), which client, and how much work.

    The work is a factor between 0.5 and 1.5, the same in every try of a request.
    """
    rng = random.Random(seed)
    clients = parameters.clients
    drawn = []
    for from_us, until_us, rate in spans(parameters):
        if rate == 0:
            continue
        per_us = rate / 1e9
        now_us = from_us
        while True:
            now_us += round(rng.expovariate(per_us))
            if now_us >= until_us:
                break
            drawn.append((now_us, rng.randrange(clients), 0.5 + rng.random()))
    return drawn
