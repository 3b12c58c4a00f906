"""What can be set in `autoscaling`: the load, the instances, and the controller that adds them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from remotecalls.simulators.arrivals import Span, day, stepped
from remotecalls.simulators.parameters import ParameterError, Parameters, choice, integer, switch

STEP, RAMP, DIURNAL = "step", "ramp", "diurnal"

MOST_ARRIVALS = 60_000
"""A run with more of them takes too long in a browser."""


@dataclass(frozen=True)
class AutoscalingParameters(Parameters):
    """Requests that come from outside, instances that serve them, and who decides how many."""

    pattern: str = choice(
        STEP,
        label="Load",
        help="How the rate of requests changes.",
        options={
            STEP: "Rises at once, and stays",
            RAMP: "Rises evenly, and stays",
            DIURNAL: "A day: low, high, low",
        },
    )
    rate: int = integer(
        30, label="Requests", help="A second, before the rise; at night, on a day.",
        minimum=0, maximum=300, step=5, unit="/s",
    )  # fmt: skip
    peak: int = integer(
        100, label="Requests later", help="A second, after the rise; at noon, on a day.",
        minimum=1, maximum=300, step=1, unit="/s",
    )  # fmt: skip
    change_at_us: int = integer(
        60_000_000, label="The rise begins", help="A day has no use for it.",
        minimum=0, maximum=600_000_000, step=5_000_000, unit="µs",
    )  # fmt: skip
    ramp_us: int = integer(
        60_000_000, label="The rise takes", help="If it is an even one.",
        minimum=5_000_000, maximum=600_000_000, step=5_000_000, unit="µs",
    )  # fmt: skip
    duration_us: int = integer(
        420_000_000, label="Duration", help="How long the run is; a day is as long.",
        minimum=30_000_000, maximum=600_000_000, step=10_000_000, unit="µs",
    )  # fmt: skip
    work_us: int = integer(
        100_000, label="Work of a request", help="On average; it is exponential.",
        minimum=10_000, maximum=1_000_000, step=10_000, unit="µs",
    )  # fmt: skip

    least: int = integer(
        2, label="Fewest instances", help="The controller never has fewer.",
        minimum=1, maximum=100, step=1, unit="instances",
    )  # fmt: skip
    most: int = integer(
        60, label="Most instances", help="Nor more. An instance works on one request at a time.",
        minimum=1, maximum=100, step=1, unit="instances",
    )  # fmt: skip
    lag_us: int = integer(
        0, label="Start of an instance",
        help="From the order until it serves: a machine, an image, a cache that is warm.",
        minimum=0, maximum=180_000_000, step=1_000_000, unit="µs",
    )  # fmt: skip

    look_every_us: int = integer(
        10_000_000, label="A look every", help="So often the controller decides.",
        minimum=1_000_000, maximum=120_000_000, step=1_000_000, unit="µs",
    )  # fmt: skip
    window_us: int = integer(
        20_000_000, label="Window",
        help="The utilization that it looks at is the average over so long.",
        minimum=1_000_000, maximum=300_000_000, step=1_000_000, unit="µs",
    )  # fmt: skip
    target_percent: int = integer(
        60, label="Target", help="The utilization that it aims at.",
        minimum=10, maximum=95, step=5, unit="%",
    )  # fmt: skip
    tolerance_percent: int = integer(
        10, label="Tolerance",
        help="A utilization so close to the target changes nothing: at 10 %, from 54 to 66 %.",
        minimum=0, maximum=50, step=1, unit="%",
    )  # fmt: skip
    gain_percent: int = integer(
        100, label="Gain", help="So much of the difference is made up at a time, at least one.",
        minimum=10, maximum=200, step=10, unit="%",
    )  # fmt: skip
    step_limit: int = integer(
        0, label="At most at a time", help="Instances that one decision adds or stops. 0: any.",
        minimum=0, maximum=50, step=1, unit="instances",
    )  # fmt: skip
    cooldown_us: int = integer(
        0, label="Cooldown", help="After a change the controller changes nothing for so long.",
        minimum=0, maximum=300_000_000, step=5_000_000, unit="µs",
    )  # fmt: skip
    counts_starting: bool = switch(
        True, label="It multiplies those that start, too",
        help="It wants as many times what it has as utilization is of the target. What it has are "
        "the instances that serve, or also those that start and cannot show in utilization yet.",
    )  # fmt: skip

    def check_together(self) -> None:
        """Refuse a range of instances that is empty, a rise after the end, and too many requests.

        Raises:
            ParameterError: with the reason.
        """
        name = type(self).__name__
        if self.least > self.most:
            raise ParameterError(
                name, "least", f"is {self.least}, more than the most, which is {self.most}",
                "Choose fewer at least, or more at most.",
            )  # fmt: skip
        if self.pattern != DIURNAL and self.change_at_us >= self.duration_us:
            raise ParameterError(
                name, "change_at_us", "is not before the end of the run",
                "Let the run last longer, or the rise begin sooner.",
            )  # fmt: skip
        arrivals = self.expected_arrivals
        if arrivals > MOST_ARRIVALS:
            raise ParameterError(
                name, "peak", f"leads to {arrivals:,} requests, and a run has at most "
                f"{MOST_ARRIVALS:,}",
                "Choose a lower rate, or a shorter run.",
            )  # fmt: skip

    @property
    def expected_arrivals(self) -> int:
        """How many requests come, on average over seeds."""
        return sum((until - start) * rate for start, until, rate in self.spans()) // 1_000_000_000

    def spans(self) -> Iterator[Span]:
        """Yield the rates of requests over the run."""
        low, high = self.rate * 1_000, self.peak * 1_000
        start, end = self.change_at_us, self.duration_us
        if self.pattern == DIURNAL:
            yield from day(low, high, end)
            return
        yield 0, start, low
        risen = min(start + self.ramp_us, end) if self.pattern == RAMP else start
        yield from stepped(
            start, risen, lambda middle_us: low + (high - low) * (middle_us - start) // self.ramp_us
        )
        if risen < end:
            yield risen, end, high

    def needed(self, rate: int) -> int:
        """Return the fewest instances that are at the target or below at `rate` in 1,000 s.

        It is never fewer than the controller may have, and may be more.
        """
        # Requests in 1,000 s, times microseconds: 10⁹ of it keep one instance busy.
        return max(
            self.least, -(-rate * self.work_us * 100 // (1_000_000_000 * self.target_percent))
        )
