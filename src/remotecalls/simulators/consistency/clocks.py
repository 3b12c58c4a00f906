"""Each node's clock, wrong by its own amount."""

from __future__ import annotations

import random

from remotecalls.simulators.agenda import Agenda
from remotecalls.simulators.consistency.parameters import ConsistencyParameters


class Clocks:
    """Clocks that run at the right speed and show the wrong time, always by the same amount.

    The commit wait is that of Spanner: a timestamp is taken from a clock that may be fast by the
    error bound. When the same clock shows more than twice the bound above it, then every other
    clock, slow by the bound at most, shows more than the timestamp.

    Source: Corbett and others, "Spanner: Google's Globally-Distributed Database", OSDI 2012,
    section 4.1.2.
    """

    def __init__(
        self, parameters: ConsistencyParameters, count: int, agenda: Agenda, rng: random.Random
    ) -> None:
        """Draw how wrong each of `count` clocks is: up to the skew, evenly."""
        skew_us = parameters.skew_us
        self._agenda = agenda
        self._bound_us = parameters.commit_wait_us
        self.errors_us = tuple(rng.randint(-skew_us, skew_us) for _ in range(count))

    def read_us(self, node: int) -> int:
        """Return what the clock of a node shows now."""
        return self._agenda.now_us + self.errors_us[node]

    def commit_wait_us(self, node: int, timestamp_us: int) -> int:
        """Return how long a node has to wait until a timestamp is past on every clock."""
        if not self._bound_us:
            return 0
        return max(0, timestamp_us + 2 * self._bound_us + 1 - self.read_us(node))
