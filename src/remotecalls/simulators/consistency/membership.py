"""Which nodes are the replicas, and who knows it."""

from __future__ import annotations

import random

from remotecalls.simulators.agenda import Agenda
from remotecalls.simulators.consistency.network import Nodes
from remotecalls.simulators.consistency.parameters import LEADER, ConsistencyParameters
from remotecalls.simulators.consistency.replica import Replica


class Membership:
    """The members before and after the change. Each coordinator learns of it at its own time.

    A new member begins with what its predecessor has at the moment of the change. What coordinators
    that have not heard of it write to the predecessor later, the new member does not have.
    """

    def __init__(
        self,
        parameters: ConsistencyParameters,
        nodes: Nodes,
        agenda: Agenda,
        rng: random.Random,
        replicas: list[Replica],
    ) -> None:
        count, replaced = parameters.replicas, parameters.replaced
        self._agenda = agenda
        self._old = tuple(range(count))
        self._new = tuple(
            nodes.successor_of(node) if node >= count - replaced else node for node in self._old
        )
        self._change_us = parameters.replaced_at_us
        self._learns_us = [
            self._change_us + rng.randint(0, parameters.replaced_lag_us) for _ in self._old
        ]
        self._replicas = replicas
        if replaced and parameters.protocol != LEADER:
            agenda.at(self._change_us, self._copy)

    def _copy(self) -> None:
        for old, new in zip(self._old, self._new, strict=True):
            if old != new:
                self._replicas[new].write_all(self._replicas[old].store)

    def now(self) -> tuple[int, ...]:
        """Return the members, whoever knows it."""
        return self._new if self._agenda.now_us >= self._change_us else self._old

    def known_to(self, coordinator: int) -> tuple[int, ...]:
        """Return the nodes that a coordinator takes for the members; it stands beside a replica."""
        return self._new if self._agenda.now_us >= self._learns_us[coordinator] else self._old
