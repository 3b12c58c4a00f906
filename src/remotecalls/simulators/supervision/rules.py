"""What a supervisor decides, as functions of what it knows: no clock, no processes.

The running supervisor of `remotecalls.actors` and the one in the live figure both ask here.

Source: the `supervisor` behaviour of Erlang/OTP, "Supervisor Behaviour" in *OTP Design Principles*.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from enum import StrEnum


class Strategy(StrEnum):
    """Which children go down and come up again when one of them has ended."""

    ONE_FOR_ONE = "one-for-one"
    ONE_FOR_ALL = "one-for-all"
    REST_FOR_ONE = "rest-for-one"


class Restart(StrEnum):
    """After which ends a child is started again.

    Permanent: after each. Transient: after an abnormal one. Temporary: never, and nothing is kept
    of it.
    """

    PERMANENT = "permanent"
    TRANSIENT = "transient"
    TEMPORARY = "temporary"


def is_restarted(restart: Restart, *, is_normal: bool) -> bool:
    """Whether a child with this `restart` is started again.

    Args:
        restart: how the child was declared.
        is_normal: whether it ended as it should: by itself, or because it was asked to.
    """
    return restart is Restart.PERMANENT or (restart is Restart.TRANSIENT and not is_normal)


def affected(strategy: Strategy, children: Sequence[str], ended: str) -> tuple[str, ...]:
    """The children that are started again when `ended` has to be, in the order of their start.

    Those of them that still run are stopped first, in the opposite order.

    Args:
        strategy: the supervisor's.
        children: the names of all children, in the order in which they were started.
        ended: the name of the one that ended.

    Raises:
        ValueError: `ended` is none of the children.
    """
    if ended not in children:
        raise ValueError(f"{ended!r} is none of the children: {', '.join(children)}")
    if strategy is Strategy.ONE_FOR_ONE:
        return (ended,)
    if strategy is Strategy.ONE_FOR_ALL:
        return tuple(children)
    return tuple(children[children.index(ended) :])


class RestartIntensity:
    """How many restarts are too many: more than `intensity` within `period`.

    Times are of any unit, as long as it is that of `period`; they never go back.
    """

    def __init__(self, intensity: int, period: float) -> None:
        """Begin with no restart.

        Raises:
            ValueError: `intensity` is negative or `period` is not positive.
        """
        if intensity < 0:
            raise ValueError(f"intensity {intensity}: allow 0 restarts or more")
        if not period > 0:
            raise ValueError(f"period {period}: has to be more than 0")
        self.intensity = intensity
        self.period = period
        self._times: deque[float] = deque()

    def allows_restart(self, now: float) -> bool:
        """Count a restart at `now`; false if it is one too many, and the supervisor gives up."""
        self._times.append(now)
        while self._times[0] < now - self.period:
            self._times.popleft()
        return len(self._times) <= self.intensity

    def recent(self, now: float) -> int:
        """How many restarts have been counted within the period before `now`."""
        return sum(time >= now - self.period for time in self._times)
