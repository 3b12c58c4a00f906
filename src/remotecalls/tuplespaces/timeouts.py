"""Lengths of time that callers give."""

from __future__ import annotations

import math

DEFAULT_TIMEOUT = 30.0
"""Seconds that an operation waits if its caller says nothing."""


def checked_timeout(seconds: float) -> float:
    """A length of time that ends.

    Raises:
        ValueError: it is not a positive, finite number of seconds.
    """
    if not 0 < seconds < math.inf:
        raise ValueError(
            f"a timeout of {seconds} s: every wait has to end, after more than 0 s "
            "(to ask without waiting there are take_if_present and read_if_present)"
        )
    return float(seconds)


def checked_lease(seconds: float) -> float:
    """A length of time that may be `math.inf`.

    Raises:
        ValueError: it is not a positive number of seconds.
    """
    if not seconds > 0:
        raise ValueError(f"a lease of {seconds} s: allow more than 0 s, or math.inf")
    return float(seconds)
