"""A running system as a drawing needs it: the tree, and who sends what to whom."""

from __future__ import annotations

from typing import TYPE_CHECKING

from remotecalls.actors.actor_process import ActorProcess
from remotecalls.actors.lifecycle import Lifecycle
from remotecalls.actors.specs import SupervisorSpec
from remotecalls.actors.supervisor import Child, SupervisorProcess
from remotecalls.simulators.supervision.snapshot import Flow, Kind, Node, State

if TYPE_CHECKING:
    from remotecalls.actors.process import Process

OUTSIDE = "outside"

_STATES = {
    Lifecycle.STARTING: State.STARTING,
    Lifecycle.IDLE: State.RUNNING,
    Lifecycle.RUNNING: State.RUNNING,
    Lifecycle.DRAINING: State.STOPPING,
}


class Flows:
    """How many messages have gone from whom to whom, counted when they are sent."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str, str], int] = {}

    def count(self, sender: Process | None, receiver: Process, message: str) -> None:
        """Count one message."""
        key = (OUTSIDE if sender is None else sender.name, receiver.name, message)
        self._counts[key] = self._counts.get(key, 0) + 1

    def seen(self) -> tuple[Flow, ...]:
        """All flows, in the order of their first message."""
        return tuple(Flow(*key, count) for key, count in self._counts.items())


def snapshot(supervisor: SupervisorProcess) -> Node:
    """The tree below a supervisor, at this moment."""
    return Node(
        supervisor.name,
        Kind.SUPERVISOR,
        _STATES.get(supervisor.lifecycle, State.DEAD),
        supervisor.restarts,
        strategy=supervisor.spec.strategy,
        children=tuple(_child(child) for child in supervisor.children.values()),
    )


def _child(child: Child) -> Node:
    process = child.process
    if isinstance(process, SupervisorProcess):
        return snapshot(process)
    if isinstance(process, ActorProcess):
        state = _STATES.get(process.lifecycle, State.DEAD)
        return Node(child.name, Kind.WORKER, state, child.restarts, process.mailbox_length)
    if isinstance(child.spec, SupervisorSpec):
        strategy = child.spec.strategy
        return Node(child.name, Kind.SUPERVISOR, State.DEAD, child.restarts, strategy=strategy)
    return Node(child.name, Kind.WORKER, State.DEAD, child.restarts)
