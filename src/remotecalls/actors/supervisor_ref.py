"""A reference to a supervisor: how it is given children and asked about them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from remotecalls.actors.errors import NoSuchChild
from remotecalls.actors.process import Process
from remotecalls.actors.references import ProcessRef, reference_to
from remotecalls.actors.specs import ChildSpec, SupervisorSpec
from remotecalls.actors.supervisor import SupervisorProcess
from remotecalls.actors.view import snapshot
from remotecalls.simulators.supervision.rules import Restart
from remotecalls.simulators.supervision.snapshot import Node


@dataclass(frozen=True)
class ChildInfo:
    """A child as its supervisor knows it.

    Attributes:
        name: what it is called.
        ref: the process; none while it does not run.
        restarts: how often it was started again.
        restart: after which ends it is.
    """

    name: str
    ref: ProcessRef | None
    restarts: int
    restart: Restart


class SupervisorRef(ProcessRef):
    """One supervisor, which can be given children and asked about them."""

    __slots__ = ()

    def __init__(self, process: SupervisorProcess) -> None:
        super().__init__(process)

    @property
    def _supervisor(self) -> SupervisorProcess:
        return cast("SupervisorProcess", self._process)

    @property
    def gave_up(self) -> bool:
        """Whether it ended because its children crashed too often."""
        return self._supervisor.gave_up

    def children(self) -> tuple[ChildInfo, ...]:
        """The children, in the order of their start."""
        return tuple(
            ChildInfo(
                each.name,
                None
                if each.process is None or each.process.has_ended
                else reference_to(each.process),
                each.restarts,
                each.spec.restart,
            )
            for each in self._supervisor.children.values()
        )

    async def start_child(self, spec: ChildSpec | SupervisorSpec) -> ProcessRef:
        """Start one more, after the others.

        Raises:
            StartFailed: it did not start.
            NameTaken: a running actor, or another child, has its name.
            ActorStopped: the supervisor has ended.
        """
        self._supervisor.system.check_thread()
        process = await self._supervisor.add(spec)
        return _reference(process)

    async def terminate_child(self, name: str) -> None:
        """Stop a child; it is not started again, unless `restart_child` says so.

        Raises:
            NoSuchChild: there is none of this name.
            ActorStopped: the supervisor has ended, or is about to.
        """
        self._supervisor.system.check_thread()
        await self._supervisor.terminate(name)

    async def restart_child(self, name: str) -> ProcessRef:
        """Start a child again that has ended for good or was terminated.

        Raises:
            NoSuchChild: there is none of this name, or it runs.
            StartFailed: it did not start.
            ActorStopped: the supervisor has ended, or is about to.
        """
        self._supervisor.system.check_thread()
        return _reference(await self._supervisor.start_again(name))

    def delete_child(self, name: str) -> None:
        """Forget a child that does not run.

        Raises:
            NoSuchChild: there is none of this name, or it runs.
        """
        self._supervisor.system.check_thread()
        found = self._supervisor.child(name)
        if found.process is not None and not found.process.has_ended:
            raise NoSuchChild(f"{name!r} of {self.name} runs: terminate it first")
        del self._supervisor.children[name]

    def snapshot(self) -> Node:
        """The tree below it, at this moment."""
        return snapshot(self._supervisor)


def _reference(process: Process) -> ProcessRef:
    if isinstance(process, SupervisorProcess):
        return SupervisorRef(process)
    return reference_to(process)
