"""Times as a reader wants them: no more digits than count."""

from __future__ import annotations

from remotecalls.simulators.parameters import format_quantity


def rounded_time(us: int) -> str:
    """Write a time in microseconds with at most three digits that count.

    >>> rounded_time(950), rounded_time(8_249), rounded_time(211_507), rounded_time(1_884_900)
    ('950 µs', '8.2 ms', '212 ms', '1.88 s')
    """
    for limit, digits in ((1_000, 0), (10_000, -2), (1_000_000, -3), (100_000_000, -4)):
        if us < limit:
            return format_quantity(round(us, digits), "µs")
    return format_quantity(round(us, -5), "µs")
