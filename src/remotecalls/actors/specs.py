"""What a supervisor is to start, as data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from remotecalls.actors.definition import ActorType, type_of
from remotecalls.actors.errors import WrongDefinition
from remotecalls.actors.messages import isolated
from remotecalls.simulators.supervision.rules import Restart, Strategy

SHUTDOWN_SECONDS = 5.0
START_SECONDS = 5.0
INTENSITY = 5
PERIOD = 60.0


@dataclass(frozen=True)
class ChildSpec:
    """An actor that a supervisor starts, and starts again.

    Attributes:
        type: what it is.
        arguments: of its state, by position; it has them again after each restart.
        named: by name.
        name: registered, and what the supervisor calls it; without one it is numbered.
        restart: after which ends it is started again.
        shutdown: seconds that it may take to stop before it is killed.
        start: seconds that its `started` may take.
    """

    type: ActorType
    arguments: tuple[Any, ...] = ()
    named: dict[str, Any] = field(default_factory=dict)
    name: str | None = None
    restart: Restart = Restart.PERMANENT
    shutdown: float = SHUTDOWN_SECONDS
    start: float = START_SECONDS


def child(
    cls: type,
    *arguments: Any,
    name: str | None = None,
    restart: Restart = Restart.PERMANENT,
    shutdown: float = SHUTDOWN_SECONDS,
    start: float = START_SECONDS,
    **named: Any,
) -> ChildSpec:
    """Describe an actor that is to be supervised.

    Args:
        cls: its class.
        arguments: of its state, by position.
        name: to register it by.
        restart: after which ends it is started again.
        shutdown: seconds that it may take to stop before it is killed.
        start: seconds that its `started` may take.
        named: of its state, by name.

    Raises:
        WrongDefinition: the class is not one of actors.
        Unserializable: an argument cannot be sent.
    """
    return ChildSpec(
        type_of(cls),
        isolated(arguments, "the arguments"),
        isolated(named, "the arguments"),
        name,
        restart,
        shutdown,
        start,
    )


@dataclass(frozen=True)
class SupervisorSpec:
    """A supervisor and what is below it. The article's five restarts in 60 seconds are the default.

    Attributes:
        name: what it is called.
        children: in the order of their start; supervisors among them make a tree.
        strategy: which children start again when one has to.
        intensity: how many restarts it makes within `period` before it gives up.
        period: in seconds.
        restart: after which ends *it* is started again.

    Raises:
        WrongDefinition: two children of one name, or numbers that make no sense.
    """

    name: str
    children: tuple[ChildSpec | SupervisorSpec, ...] = ()
    strategy: Strategy = Strategy.ONE_FOR_ONE
    intensity: int = INTENSITY
    period: float = PERIOD
    restart: Restart = Restart.PERMANENT

    def __post_init__(self) -> None:
        names = [each.name for each in self.children if each.name is not None]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise WrongDefinition(f"supervisor {self.name!r} has two children {twice[0]!r}")
        if self.intensity < 0 or not self.period > 0:
            raise WrongDefinition(
                f"supervisor {self.name!r}: {self.intensity} restarts within {self.period} s: at "
                "least 0, within more than 0 s"
            )
