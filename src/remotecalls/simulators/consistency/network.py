"""Places, the links between them, and what the links do to a message."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any, NamedTuple

from remotecalls.simulators.agenda import Agenda
from remotecalls.simulators.consistency.parameters import ConsistencyParameters


class Place(NamedTuple):
    """Where a node is.

    Attributes:
        is_far: in the other region.
        is_cut: on the side that a partition cuts off.
    """

    is_far: bool
    is_cut: bool


class Nodes:
    """The numbers of all nodes, and where each of them is.

    Replicas come first. Behind them are as many spare nodes on the side of the first replica, as
    many on the side of the last one, and for each replica the node that may replace it.
    """

    def __init__(self, parameters: ConsistencyParameters) -> None:
        count = self.replicas = parameters.replicas
        first_far, first_cut = count - parameters.far, count - parameters.partition
        replicas = [Place(node >= first_far, node >= first_cut) for node in range(count)]
        spares = [replicas[0]] * count + [replicas[-1]] * count
        self.places = replicas + spares + replicas

    def spares_of(self, node: int) -> range:
        """Return the spare nodes on the side of `node`."""
        count = self.replicas
        is_first_side = self.places[node].is_cut == self.places[0].is_cut
        return range(count, 2 * count) if is_first_side else range(2 * count, 3 * count)

    def successor_of(self, replica: int) -> int:
        """Return the node that may replace a replica, in the same place."""
        return 3 * self.replicas + replica


class Network:
    """Delivers messages late, or not at all.

    A link has its own median, the same both ways. The delay of each message is drawn once, from a
    log-normal distribution around it, so that messages may overtake each other. A node reaches
    itself at once and for certain.

    Attributes:
        sent: how many messages were sent between nodes.
        dropped: how many of them were lost or cut off.
    """

    def __init__(
        self,
        parameters: ConsistencyParameters,
        places: list[Place],
        agenda: Agenda,
        rng: random.Random,
    ) -> None:
        self.sent = 0
        self.dropped = 0
        self._places = places
        self._agenda = agenda
        self._rng = rng
        self._busy_us = parameters.base_latency_us
        self._sigma = parameters.tail_percent / 100
        self._loss = parameters.loss_per_mille / 1000
        self._cut_from_us = parameters.partition_at_us
        self._cut_until_us = parameters.partition_at_us + parameters.partition_for_us
        count = len(places)
        self._median_us = [[0] * count for _ in range(count)]
        for one in range(count):
            for other in range(one + 1, count):
                is_near = places[one].is_far == places[other].is_far
                usual_us = parameters.delay_us if is_near else parameters.far_delay_us
                factor = 1 + parameters.spread_percent / 100 * rng.uniform(-1, 1)
                median_us = max(1, round(usual_us * factor))
                self._median_us[one][other] = self._median_us[other][one] = median_us

    def is_reachable(self, source: int, target: int) -> bool:
        """Whether no partition stands between two nodes now."""
        if self._places[source].is_cut == self._places[target].is_cut:
            return True
        return not self._cut_from_us <= self._agenda.now_us < self._cut_until_us

    def send(self, source: int, target: int, action: Callable[..., None], *arguments: Any) -> None:
        """Let `action` happen at the target when the message arrives."""
        self._send(source, target, 0, action, arguments)

    def request(
        self, source: int, target: int, action: Callable[..., None], *arguments: Any
    ) -> None:
        """Let `action` happen when the message has arrived and the target has worked on it."""
        self._send(source, target, self._busy_us, action, arguments)

    def _send(
        self,
        source: int,
        target: int,
        busy_us: int,
        action: Callable[..., None],
        arguments: tuple[Any, ...],
    ) -> None:
        if source == target:
            self._agenda.after(busy_us, action, *arguments)
            return
        self.sent += 1
        if not self.is_reachable(source, target) or (
            self._loss and self._rng.random() < self._loss
        ):
            self.dropped += 1
            return
        delay_us: float = self._median_us[source][target]
        if self._sigma:
            delay_us *= math.exp(self._sigma * self._rng.gauss(0, 1))
        self._agenda.after(max(1, round(delay_us)) + busy_us, action, *arguments)
