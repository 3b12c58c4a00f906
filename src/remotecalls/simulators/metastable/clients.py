"""What a client does after a failure: how long it waits, whether it may try again, whether it asks.

Sources: Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015; Finagle's
`RetryBudget` for a token bucket that first tries fill; Nygard, "Release It!", second edition,
section 5.2, for the circuit breaker.
"""

from __future__ import annotations

import random

from remotecalls.simulators.metastable.parameters import (
    AT_ONCE,
    DECORRELATED,
    EQUAL,
    EXPONENTIAL,
    MetastableParameters,
)

_NO_TIME_US = 1_000
"""A client that tries again at once still needs a millisecond for it."""


class Backoff:
    """How long to wait before a retry."""

    def __init__(self, parameters: MetastableParameters, rng: random.Random) -> None:
        """Draw jitter from `rng`."""
        self._kind = parameters.backoff
        self._base_us = parameters.backoff_base_us
        self._cap_us = parameters.backoff_cap_us
        self._rng = rng

    def wait_us(self, retry: int, last_us: int) -> int:
        """Return the wait in microseconds.

        Args:
            retry: 1 for the first retry.
            last_us: the wait before the retry before this one; 0 for the first.
        """
        if self._kind == AT_ONCE:
            return _NO_TIME_US
        if self._kind == DECORRELATED:
            longest = max(self._base_us, 3 * last_us)
            return min(self._cap_us, self._rng.randint(self._base_us, longest))
        ceiling = min(self._cap_us, self._base_us << (retry - 1))
        if self._kind == EXPONENTIAL:
            return ceiling
        if self._kind == EQUAL:
            return ceiling // 2 + self._rng.randint(0, ceiling - ceiling // 2)
        return self._rng.randint(0, ceiling)


class RetryBudget:
    """A token bucket that first tries fill and retries empty, in hundredths of a token."""

    def __init__(self, percent: int, burst: int) -> None:
        """Give each first try `percent` hundredths, and begin with a full bucket of `burst`."""
        self._percent = percent
        self._most = 100 * burst
        self._tokens = self._most

    def deposit(self) -> None:
        """Count a first try."""
        self._tokens = min(self._most, self._tokens + self._percent)

    def withdraw(self) -> bool:
        """Take a token for a retry; False if there is none, or if no budget is kept."""
        if self._tokens < 100:
            return False
        self._tokens -= 100
        return True


class CircuitBreaker:
    """Closed, open, or half-open: then one try is on its way to see whether it works again.

    While it is not closed, that try alone decides. Answers to tries from before say how things
    were.
    """

    def __init__(self, failures: int, open_us: int) -> None:
        """Open after `failures` in a row, for `open_us`."""
        self.openings = 0
        self._failures = failures
        self._open_us = open_us
        self._in_a_row = 0
        self._is_closed = True
        self._opened_us = 0
        self._probe: int | None = None

    def lets_through(self, number: int, now_us: int) -> bool:
        """Whether the try of that number may be sent."""
        if self._is_closed:
            return True
        if self._probe is not None or now_us < self._opened_us + self._open_us:
            return False
        self._probe = number
        return True

    def succeeded(self, number: int) -> None:
        """An answer came in time."""
        if self._is_closed or number == self._probe:
            self._is_closed, self._probe = True, None
            self._in_a_row = 0

    def failed(self, number: int, now_us: int) -> None:
        """A try failed."""
        if self._is_closed:
            self._in_a_row += 1
        if number == self._probe or (self._is_closed and self._in_a_row >= self._failures):
            self._is_closed, self._probe = False, None
            self._opened_us = now_us
            self.openings += 1
