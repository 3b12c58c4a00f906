"""Who is next in the server's queue, and who is dropped from it.

A queue holds numbers of tries with the time at which each came. `pop` returns the next one, and
appends those that it drops on the way to a list that it is given.

Sources: RFC 8289, "Controlled Delay Active Queue Management", section 5; Maurer, "Fail at Scale",
ACM Queue 13 (8), 2015, for the two rules that Facebook uses for requests.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable

from remotecalls.simulators.metastable.parameters import (
    CODEL,
    FAIL_AT_SCALE,
    FIFO,
    LIFO,
    MetastableParameters,
)


class WaitingLine(ABC):
    """Tries that wait."""

    def __init__(self) -> None:
        """Nobody waits."""
        self._waiting: deque[tuple[int, int]] = deque()

    def __len__(self) -> int:
        """How many wait."""
        return len(self._waiting)

    def push(self, number: int, now_us: int) -> None:
        """Let a try wait."""
        self._waiting.append((number, now_us))

    @abstractmethod
    def pop(self, now_us: int, dropped: list[int]) -> int | None:
        """Return who is next, or None; append to `dropped` who is not to be served."""


class FirstCome(WaitingLine):
    """Who waits longest is next."""

    def pop(self, now_us: int, dropped: list[int]) -> int | None:
        """Return the oldest."""
        return self._waiting.popleft()[0] if self._waiting else None


class LastCome(WaitingLine):
    """Who came last is next: whoever has waited long is probably gone."""

    def pop(self, now_us: int, dropped: list[int]) -> int | None:
        """Return the newest."""
        return self._waiting.pop()[0] if self._waiting else None


class CoDel(WaitingLine):
    """First come, first served, and a drop now and then while the wait stays above a target.

    The control law is that of RFC 8289: after an interval above the target one is dropped, and the
    n-th drop follows the one before it after interval / sqrt(n). Each packet that TCP loses makes
    its sender slower. A request that is dropped does no such thing.
    """

    def __init__(self, target_us: int, interval_us: int) -> None:
        """Allow waits of `target_us`, and longer ones for `interval_us` at a time."""
        super().__init__()
        self._target_us = target_us
        self._interval_us = interval_us
        self._above_from_us: int | None = None
        self._is_dropping = False
        self._next_drop_us = 0
        self._count = 0
        self._last_count = 0

    def pop(self, now_us: int, dropped: list[int]) -> int | None:
        """Return the oldest that is not dropped."""
        number, may_drop = self._look(now_us)
        if self._is_dropping:
            if not may_drop:
                self._is_dropping = False
            while self._is_dropping and now_us >= self._next_drop_us and number is not None:
                dropped.append(number)
                self._count += 1
                number, may_drop = self._look(now_us)
                if may_drop:
                    self._next_drop_us = self._after(self._next_drop_us)
                else:
                    self._is_dropping = False
        elif may_drop and number is not None:
            dropped.append(number)
            number, _ = self._look(now_us)
            self._is_dropping = True
            # A dropping state that ended shortly before is taken up near the rate it had found.
            found = self._count - self._last_count
            recently = now_us - self._next_drop_us < 16 * self._interval_us
            self._count = found if found > 1 and recently else 1
            self._last_count = self._count
            self._next_drop_us = self._after(now_us)
        return number

    def _after(self, us: int) -> int:
        return us + round(self._interval_us / math.sqrt(self._count))

    def _look(self, now_us: int) -> tuple[int | None, bool]:
        """Take the oldest, and whether it has been too long for too long."""
        if not self._waiting:
            self._above_from_us = None
            return None, False
        number, came_us = self._waiting.popleft()
        if now_us - came_us < self._target_us or not self._waiting:
            self._above_from_us = None
            return number, False
        if self._above_from_us is None:
            self._above_from_us = now_us + self._interval_us
            return number, False
        return number, now_us >= self._above_from_us


class ControlledDelay(WaitingLine):
    """Two limits for the wait: a long one usually, a short one once the queue has not been empty.

    If the queue has been empty within the interval, a try may wait for the interval. If not, for
    the target only, and the newest is next (adaptive LIFO).
    """

    def __init__(self, target_us: int, interval_us: int) -> None:
        """Allow waits of `interval_us`, and of `target_us` when there has long been a queue."""
        super().__init__()
        self._target_us = target_us
        self._interval_us = interval_us
        self._empty_us = 0

    def push(self, number: int, now_us: int) -> None:
        """Let a try wait; the queue was empty until now if it is the only one."""
        if not self._waiting:
            self._empty_us = now_us
        super().push(number, now_us)

    def pop(self, now_us: int, dropped: list[int]) -> int | None:
        """Return the next that has not waited too long."""
        if not self._waiting:
            self._empty_us = now_us
            return None
        is_standing = now_us - self._empty_us > self._interval_us
        limit_us = self._target_us if is_standing else self._interval_us
        while self._waiting and now_us - self._waiting[0][1] > limit_us:
            dropped.append(self._waiting.popleft()[0])
        if not self._waiting:
            self._empty_us = now_us
            return None
        return (self._waiting.pop() if is_standing else self._waiting.popleft())[0]


def waiting_line(parameters: MetastableParameters) -> WaitingLine:
    """Return the queue of that discipline.

    RFC 8289 recommends a target of a twentieth of the interval, and an interval of the time in
    which a sender can react; here that is the client's time-out.
    """
    interval_us = parameters.timeout_us
    target_us = interval_us // 20
    lines: dict[str, Callable[[], WaitingLine]] = {
        FIFO: FirstCome,
        LIFO: LastCome,
        CODEL: lambda: CoDel(target_us, interval_us),
        FAIL_AT_SCALE: lambda: ControlledDelay(target_us, interval_us),
    }
    return lines[parameters.discipline]()
