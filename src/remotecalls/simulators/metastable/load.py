"""When first tries come."""

from __future__ import annotations

import random
from collections.abc import Iterator

from remotecalls.simulators.arrivals import Span, day, poisson, stepped
from remotecalls.simulators.metastable.parameters import (
    CONSTANT,
    RAMP,
    SPIKE,
    MetastableParameters,
)


def spans(parameters: MetastableParameters) -> Iterator[Span]:
    """Yield the rates of first tries over the run."""
    rate, peak = parameters.rate * 1_000, parameters.peak * 1_000
    start, end = parameters.trigger_at_us, parameters.trigger_end_us
    duration, length = parameters.duration_us, parameters.trigger_for_us

    def up_and_down(middle_us: int) -> int:
        up = min(middle_us - start, end - middle_us)
        return rate + (peak - rate) * 2 * up // length

    if parameters.pattern == CONSTANT:
        yield 0, duration, rate
    elif parameters.pattern == SPIKE:
        yield from ((0, start, rate), (start, end, peak), (end, duration, rate))
    elif parameters.pattern == RAMP:
        yield 0, start, rate
        yield from stepped(start, end, up_and_down)
        yield end, duration, rate
    else:
        yield from day(rate, peak, duration)


def first_tries(parameters: MetastableParameters, seed: int) -> list[tuple[int, int, float]]:
    """Draw the first tries, in order: when (microseconds), which client, and how much work.

    The work is a factor between 0.5 and 1.5, the same in every try of a request.
    """
    rng = random.Random(seed)
    clients = parameters.clients
    return [
        (came_us, rng.randrange(clients), 0.5 + rng.random())
        for came_us in poisson(spans(parameters), rng)
    ]
