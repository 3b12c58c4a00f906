"""What is to happen when: one timer for all leases, transactions and waits of a space."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from dataclasses import dataclass

from remotecalls.tuplespaces.ordered import Ordered

Clock = Callable[[], float]
SHORTEST_SECONDS = 0.001


@dataclass(frozen=True, slots=True, eq=False)
class Alarm:
    """Something to do at a time: `order[0]`, in seconds of the agenda's clock."""

    order: tuple[float, int]
    action: Callable[[], None]


class Agenda:
    """Alarms in the order of their times.

    The timer only makes sure that they do not stay for ever. What must not be late is done by
    `run_due`, which every operation calls before it looks at anything.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self._alarms: Ordered[Alarm] = Ordered()
        self._numbers = itertools.count()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0

    def __len__(self) -> int:
        return len(self._alarms)

    def after(self, seconds: float, action: Callable[[], None]) -> Alarm:
        """Do something that many seconds from now."""
        return self.at(self.clock() + seconds, action)

    def at(self, when: float, action: Callable[[], None]) -> Alarm:
        """Do something at a time of the clock."""
        alarm = Alarm((when, next(self._numbers)), action)
        self._alarms.add(alarm)
        self._arm()
        return alarm

    def cancel(self, alarm: Alarm) -> None:
        """Do not do it after all. The timer may ring for nothing; nothing else remains."""
        self._alarms.remove(alarm)

    def run_due(self) -> None:
        """Do all whose time has come, in the order of their times."""
        if not self._alarms:
            return
        now = self.clock()
        while self._alarms and (alarm := self._alarms.first()).order[0] <= now:
            self._alarms.remove(alarm)
            alarm.action()

    def close(self) -> None:
        """Forget everything, and stop the timer."""
        self._alarms = Ordered()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self) -> None:
        when = self._alarms.first().order[0]
        if self._timer is not None:
            if self._timer_at <= when:
                return  # it rings early enough, and is set anew then
            self._timer.cancel()
        delay = max(when - self.clock(), SHORTEST_SECONDS)
        self._timer = asyncio.get_running_loop().call_later(delay, self._ring)
        self._timer_at = when

    def _ring(self) -> None:
        self._timer = None
        self.run_due()
        if self._alarms and self._timer is None:
            self._arm()
