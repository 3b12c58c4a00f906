"""What can be set in `metastable`: the load, the server, and what clients do about failures."""

from __future__ import annotations

from dataclasses import dataclass

from remotecalls.simulators.parameters import (
    ParameterError,
    Parameters,
    choice,
    integer,
)

CONSTANT, SPIKE, RAMP, DIURNAL = "constant", "spike", "ramp", "diurnal"
FIFO, LIFO, CODEL, FAIL_AT_SCALE = "fifo", "lifo", "codel", "fail-at-scale"
AT_ONCE, EXPONENTIAL, FULL, EQUAL, DECORRELATED = (
    "at-once",
    "exponential",
    "full",
    "equal",
    "decorrelated",
)
IGNORED, EXPIRED, FEASIBLE, CANCELLED = "ignored", "expired", "feasible", "cancelled"

MOST_TRIES = 60_000
"""No run makes more: the page stays alive, whatever a reader sets."""


@dataclass(frozen=True)
class MetastableParameters(Parameters):
    """A service, its clients, and a morning."""

    rate: int = integer(
        40, label="First tries",
        help="New requests a second, when nothing special happens. They do not wait for answers.",
        minimum=1, maximum=500, step=1, unit="/s",
    )  # fmt: skip
    pattern: str = choice(
        SPIKE,
        label="Load",
        help="How the rate of first tries changes.",
        options={
            CONSTANT: "Constant",
            SPIKE: "Spike: the peak for a while",
            RAMP: "Ramp: up to the peak and down again",
            DIURNAL: "Day: from quiet to the peak and back over the whole run",
        },
    )
    peak: int = integer(
        160, label="Peak", help="New requests a second at the highest point of a spike, ramp or "
        "day.",
        minimum=1, maximum=1_000, step=1, unit="/s",
    )  # fmt: skip
    trigger_at_us: int = integer(
        20_000_000, label="The trigger comes at", help="When the spike, the ramp or the slowness "
        "begins.",
        minimum=0, maximum=300_000_000, step=1_000_000, unit="µs",
    )  # fmt: skip
    trigger_for_us: int = integer(
        5_000_000, label="It lasts", help="After that the load, or the server, is as before.",
        minimum=1_000_000, maximum=300_000_000, step=1_000_000, unit="µs",
    )  # fmt: skip
    slow_percent: int = integer(
        100, label="Work while it lasts",
        help="Another trigger: as long as it lasts, each piece of work takes so much of its usual "
        "time.",
        minimum=100, maximum=1_000, step=50, unit="%",
    )  # fmt: skip
    duration_us: int = integer(
        90_000_000, label="The run lasts", help="Simulated time.",
        minimum=10_000_000, maximum=300_000_000, step=5_000_000, unit="µs",
    )  # fmt: skip

    capacity: int = integer(
        20, label="Concurrent requests", help="How many requests the server works on at once.",
        minimum=1, maximum=100, step=1, unit="requests",
    )  # fmt: skip
    base_latency_us: int = integer(
        200_000, label="Base latency", help="How long a request takes alone, on average.",
        minimum=10_000, maximum=1_000_000, step=10_000, unit="µs",
    )  # fmt: skip
    coordination_us: int = integer(
        10_000, label="Coordination cost",
        help="What each request in work adds to the time of the next: locks, caches, memory.",
        minimum=0, maximum=50_000, step=1_000, unit="µs",
    )  # fmt: skip
    queue_limit: int = integer(
        0, label="Queue limit", help="More than so many do not wait: the server refuses at once. "
        "0: the queue has no limit.",
        minimum=0, maximum=500, step=5, unit="requests",
    )  # fmt: skip
    discipline: str = choice(
        FIFO,
        label="Who is next",
        help="In which order the queue is served, and who is dropped from it.",
        options={
            FIFO: "First come, first served",
            LIFO: "Last come, first served",
            CODEL: "CoDel, as for packets (RFC 8289)",
            FAIL_AT_SCALE: "Controlled delay, as for requests",
        },
    )
    deadline: str = choice(
        IGNORED,
        label="The client's deadline",
        help="What the server makes of it, if it is told.",
        options={
            IGNORED: "It is not told",
            EXPIRED: "What is over is not begun",
            FEASIBLE: "What cannot be done in time is not begun",
            CANCELLED: "What is over is stopped, too",
        },
    )
    limit: int = integer(
        0, label="Rate limit", help="More than so many a second are refused in front of the "
        "server. 0: no limit.",
        minimum=0, maximum=500, step=5, unit="/s",
    )  # fmt: skip
    limit_at_us: int = integer(
        45_000_000, label="The limit begins", help="When somebody sets it.",
        minimum=0, maximum=300_000_000, step=1_000_000, unit="µs",
    )  # fmt: skip
    limit_for_us: int = integer(
        15_000_000, label="The limit lasts", help="Until somebody takes it away.",
        minimum=1_000_000, maximum=300_000_000, step=1_000_000, unit="µs",
    )  # fmt: skip

    timeout_us: int = integer(
        1_000_000, label="Time-out", help="A client gives a try up after that.",
        minimum=100_000, maximum=10_000_000, step=100_000, unit="µs",
    )  # fmt: skip
    max_retries: int = integer(
        3, label="Retries", help="How often a client tries again.",
        minimum=0, maximum=5, step=1, unit="retries",
    )  # fmt: skip
    backoff: str = choice(
        AT_ONCE,
        label="Backoff",
        help="How long a client waits before it tries again.",
        options={
            AT_ONCE: "None: it tries again at once",
            EXPONENTIAL: "Exponential, no jitter",
            FULL: "Exponential, full jitter",
            EQUAL: "Exponential, equal jitter",
            DECORRELATED: "Decorrelated jitter",
        },
    )
    backoff_base_us: int = integer(
        200_000, label="First backoff", help="Doubled with each retry.",
        minimum=10_000, maximum=5_000_000, step=10_000, unit="µs",
    )  # fmt: skip
    backoff_cap_us: int = integer(
        5_000_000, label="Longest backoff", help="No wait is longer.",
        minimum=100_000, maximum=60_000_000, step=100_000, unit="µs",
    )  # fmt: skip
    clients: int = integer(
        10, label="Clients", help="Processes that call the server; each has its own retry budget "
        "and its own circuit breaker.",
        minimum=1, maximum=50, step=1, unit="clients",
    )  # fmt: skip
    budget_percent: int = integer(
        0, label="Retry budget", help="So many retries to 100 first tries. 0: no budget is kept.",
        minimum=0, maximum=100, step=5, unit="%",
    )  # fmt: skip
    budget_burst: int = integer(
        5, label="Saved budget", help="The most retries that a client can have saved.",
        minimum=1, maximum=100, step=1, unit="retries",
    )  # fmt: skip
    breaker_failures: int = integer(
        0, label="Breaker opens after", help="So many failures in a row. 0: there is no breaker.",
        minimum=0, maximum=50, step=1, unit="failures",
    )  # fmt: skip
    breaker_open_us: int = integer(
        5_000_000, label="Breaker stays open", help="Then one request is let through to see.",
        minimum=100_000, maximum=60_000_000, step=100_000, unit="µs",
    )  # fmt: skip

    def check_together(self) -> None:
        """Refuse a trigger outside the run, a cap below the base, and runs of too many tries.

        Raises:
            ParameterError: with the reason.
        """
        name = type(self).__name__
        if self.trigger_at_us + self.trigger_for_us > self.duration_us:
            raise ParameterError(
                name, "trigger_at_us", "puts the end of the trigger after the end of the run",
                "Let the run last longer, or the trigger come sooner or last less.",
            )  # fmt: skip
        if self.backoff_cap_us < self.backoff_base_us:
            raise ParameterError(
                name, "backoff_cap_us", "is shorter than the first backoff",
                "Choose a longest backoff that is at least the first.",
            )  # fmt: skip
        tries = self.most_tries()
        if tries > MOST_TRIES:
            raise ParameterError(
                name, "rate", f"may lead to {tries:,} tries with all their retries, and a run has "
                f"at most {MOST_TRIES:,}",
                "Choose a lower rate or peak, a shorter run, or fewer retries.",
            )  # fmt: skip

    def most_tries(self) -> int:
        """How many tries there are if every one of them fails, on average over seeds."""
        elsewhere_us = self.duration_us - self.trigger_for_us
        mean = (self.rate + self.peak) // 2
        first = {
            CONSTANT: self.rate * self.duration_us,
            SPIKE: self.rate * elsewhere_us + self.peak * self.trigger_for_us,
            RAMP: self.rate * elsewhere_us + mean * self.trigger_for_us,
            DIURNAL: mean * self.duration_us,
        }[self.pattern]
        return first // 1_000_000 * (1 + self.max_retries)

    @property
    def trigger_end_us(self) -> int:
        """When the trigger is over."""
        return self.trigger_at_us + self.trigger_for_us

    @property
    def capacity_per_second(self) -> float:
        """The most answers a second: all places taken, each slowed down by all the others."""
        full_us = self.base_latency_us + (self.capacity - 1) * self.coordination_us
        return self.capacity * 1_000_000 / full_us
