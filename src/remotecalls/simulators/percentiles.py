"""Percentiles that are said only where there are samples enough."""

from __future__ import annotations

from collections.abc import Sequence

BEYOND = 20
"""A percentile is said only if so many samples lie beyond it: for p99 that takes 2,000."""


def percentile(ordered: Sequence[int], percent: int) -> int | None:
    """Return a percentile of sorted samples by nearest rank; None where too few lie beyond it.

    >>> percentile(range(1, 2_001), 99), percentile(range(1, 2_000), 99)
    (1980, None)
    """
    rank = -(-len(ordered) * percent // 100)
    return ordered[rank - 1] if rank and len(ordered) - rank >= BEYOND else None
