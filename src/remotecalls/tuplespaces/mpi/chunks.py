"""Which part of the work is whose."""

from __future__ import annotations


def chunk(rank: int, size: int, items: int) -> range:
    """Return the items of one rank; the last rank takes the rest as well.

    Args:
        rank: from 0.
        size: how many ranks there are.
        items: how many items, numbered from 0.

    Returns:
        `items // size` items, and for the last rank those that the division leaves over.
    """
    each = items // size
    start = rank * each
    return range(start, items if rank == size - 1 else start + each)
