"""Four early warnings, and how early each of them is.

Each looks at what a dashboard has: counts of whole seconds, at the end of each second.

* `p99`: the 99th percentile of the last 2,000 answers (or of all, while there are fewer) is above
  the client's time-out: `BEYOND` of them were slower, and more than one of a hundred.
* `retries`: a retry to ten answers in time, or more, within `WINDOW` seconds.
* `queue`: what waits will take half a time-out, at the throughput of the last `WINDOW` seconds.
* `goodput`: less than nine tenths of the throughput of the last `WINDOW` seconds was goodput.
"""

from __future__ import annotations

from collections.abc import Callable

from remotecalls.simulators.metastable.result import (
    SECOND_US,
    STUCK_PERCENT,
    WINDOW,
    MetastableResult,
)
from remotecalls.simulators.percentiles import BEYOND

_ANSWERS = 100 * BEYOND


def _p99(result: MetastableResult, second: int) -> bool:
    until = result.answered_by((second + 1) * SECOND_US)
    last = result.answers[max(0, until - _ANSWERS) : until]
    slow = sum(latency > result.parameters.timeout_us for _, latency in last)
    return slow >= BEYOND and 100 * slow > len(last)


def _retries(result: MetastableResult, second: int) -> bool:
    total = result.total(max(0, second + 1 - WINDOW), second + 1)
    return 10 * (total.tries - total.first_tries) >= max(1, total.goodput)


def _queue(result: MetastableResult, second: int) -> bool:
    done = result.total(max(0, second + 1 - WINDOW), second + 1).throughput
    seconds = min(WINDOW, second + 1)
    waiting_us = result.seconds.queued[second] * seconds * SECOND_US
    return (
        result.seconds.queued[second] > 0 and 2 * waiting_us >= result.parameters.timeout_us * done
    )


def _goodput(result: MetastableResult, second: int) -> bool:
    total = result.total(max(0, second + 1 - WINDOW), second + 1)
    return 10 * total.goodput < 9 * total.throughput


SIGNALS: dict[str, Callable[[MetastableResult, int], bool]] = {
    "p99": _p99,
    "retries": _retries,
    "queue": _queue,
    "goodput": _goodput,
}
"""Each warning by name: whether it is on at the end of a second."""


def collapsed_us(result: MetastableResult) -> int | None:
    """Return when it had collapsed; None: it never did.

    From then on, for `WINDOW` seconds, fewer than `STUCK_PERCENT` of the requests that begin in
    each are answered by any of their tries.
    """
    run_length = 0
    for second in range(len(result.seconds)):
        percent = result.total(second, second + 1).answered_percent
        run_length = run_length + 1 if percent is not None and percent < STUCK_PERCENT else 0
        if run_length == WINDOW:
            return (second + 1 - WINDOW) * SECOND_US
    return None


def first_warnings(result: MetastableResult) -> dict[str, int | None]:
    """Return when each warning came on for the first time, in microseconds; None: never."""
    found: dict[str, int | None] = {}
    for name, is_on in SIGNALS.items():
        seconds = range(len(result.seconds))
        first = next((second for second in seconds if is_on(result, second)), None)
        found[name] = None if first is None else (first + 1) * SECOND_US
    return found


def lead_us(result: MetastableResult) -> dict[str, int | None]:
    """Return how long before the collapse each warning came on; negative: after it.

    Raises:
        ValueError: nothing collapsed, so that each warning was a false alarm, or right to be off.
    """
    collapse_us = collapsed_us(result)
    if collapse_us is None:
        raise ValueError(
            f"there were always {STUCK_PERCENT} % of the requests answered; "
            "ask first_warnings() for false alarms"
        )
    return {
        name: None if warned_us is None else collapse_us - warned_us
        for name, warned_us in first_warnings(result).items()
    }
