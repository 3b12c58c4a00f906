"""What happens when: a queue of events in simulated time."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Any


class Agenda:
    """Events in order of their time, and at equal times in the order in which they were entered.

    Attributes:
        now_us: the time of the event that happens now.
        end_us: nothing happens after that; None while the end is not known.
        count: how many events have happened.
    """

    def __init__(self) -> None:
        self.now_us = 0
        self.end_us: int | None = None
        self.count = 0
        self._heap: list[tuple[int, int, Callable[..., None], tuple[Any, ...]]] = []
        self._entered = 0

    def at(self, when_us: int, action: Callable[..., None], *arguments: Any) -> None:
        """Enter a call of `action` at a time that is not in the past."""
        heapq.heappush(self._heap, (when_us, self._entered, action, arguments))
        self._entered += 1

    def after(self, wait_us: int, action: Callable[..., None], *arguments: Any) -> None:
        """Enter a call of `action` so many microseconds from now."""
        self.at(self.now_us + wait_us, action, *arguments)

    def run(self) -> None:
        """Let everything happen until nothing is left, or until the end."""
        heap = self._heap
        while heap and (self.end_us is None or heap[0][0] <= self.end_us):
            self.now_us, _, action, arguments = heapq.heappop(heap)
            self.count += 1
            action(*arguments)
