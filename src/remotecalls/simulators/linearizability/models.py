"""What an object does when its operations come one after the other."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from remotecalls.simulators.linearizability.history import (
    ADD,
    CAS,
    CONTAINS,
    DEQUEUE,
    ENQUEUE,
    FAILED,
    OK,
    READ,
    REMOVE,
    UNKNOWN,
    WRITE,
    Operation,
)

State = TypeVar("State", bound=Hashable)


class Model(ABC, Generic[State]):
    """A sequential object."""

    @property
    @abstractmethod
    def initial(self) -> State:
        """The state before the first operation."""

    @abstractmethod
    def step(self, state: State, operation: Operation) -> Sequence[State]:
        """Return the states that the operation can leave, or nothing if it cannot be there.

        Args:
            state: what it finds.
            operation: one that counts. If its outcome is unknown: what it does if it takes effect.

        Raises:
            ValueError: the object has no such operation.
        """

    @abstractmethod
    def only_looks(self, operation: Operation) -> bool:
        """Whether the operation leaves every state as it is."""

    def counts(self, operation: Operation) -> bool:
        """Whether the operation has a place in the order, or may have one."""
        is_unknown_change = operation.outcome == UNKNOWN and not self.only_looks(operation)
        return operation.outcome == OK or is_unknown_change


@dataclass(frozen=True)
class CasRegister(Model[Any]):
    """A register with reads, writes, and compare-and-set.

    Attributes:
        first: what is there before any write.
        failed_cas_differs: whether a failed cas says that something else was there than it wanted,
            as in Jepsen's logs of etcd. If a cas can fail for other reasons too, it must be False:
            such a cas then says nothing.
    """

    first: Any = None
    failed_cas_differs: bool = True

    @property
    def initial(self) -> Any:
        """What is there before any write."""
        return self.first

    def step(self, state: Any, operation: Operation) -> Sequence[Any]:
        """Read the value, write it, or replace it."""
        value = operation.value
        if operation.kind == WRITE:
            return (value,)
        if operation.kind == READ:
            return (state,) if state == value else ()
        if operation.kind != CAS:
            raise _unknown("register", operation)
        if operation.outcome == FAILED:
            return (state,) if state != value[0] else ()
        return (value[1],) if state == value[0] else ()

    def only_looks(self, operation: Operation) -> bool:
        """Reads do, and what failed."""
        return operation.kind == READ or operation.outcome == FAILED

    def counts(self, operation: Operation) -> bool:
        """What is done, changes of unknown outcome, and a failed cas if it tells something."""
        if operation.kind == CAS and operation.outcome == FAILED:
            return self.failed_cas_differs
        return super().counts(operation)


class Queue(Model[tuple[Any, ...]]):
    """First in, first out. A dequeue returns None if nothing is there."""

    @property
    def initial(self) -> tuple[Any, ...]:
        """Nothing."""
        return ()

    def step(self, state: tuple[Any, ...], operation: Operation) -> Sequence[tuple[Any, ...]]:
        """Put something at the end, or take the first."""
        if operation.kind == ENQUEUE:
            return ((*state, operation.value),)
        if operation.kind != DEQUEUE:
            raise _unknown("queue", operation)
        if operation.outcome == UNKNOWN:
            return (state[1:],) if state else ()
        if operation.value is None:
            return () if state else (state,)
        return (state[1:],) if state and state[0] == operation.value else ()

    def only_looks(self, operation: Operation) -> bool:
        """A dequeue that found nothing does."""
        is_answer = operation.kind == DEQUEUE and operation.outcome == OK
        return is_answer and operation.value is None


class Set(Model[frozenset[Any]]):
    """A set. To add what is there, or to remove what is not, changes nothing and is no failure."""

    @property
    def initial(self) -> frozenset[Any]:
        """Nothing."""
        return frozenset()

    def step(self, state: frozenset[Any], operation: Operation) -> Sequence[frozenset[Any]]:
        """Add, remove, or ask."""
        if operation.kind == ADD:
            return (state | {operation.value},)
        if operation.kind == REMOVE:
            return (state - {operation.value},)
        if operation.kind != CONTAINS:
            raise _unknown("set", operation)
        element, answer = operation.value
        return (state,) if (element in state) == answer else ()

    def only_looks(self, operation: Operation) -> bool:
        """Whoever asks does."""
        return operation.kind == CONTAINS


def _unknown(name: str, operation: Operation) -> ValueError:
    return ValueError(f"A {name} has no {operation.kind}. Check {operation} with another model.")
