"""Clients: what they ask, how long they wait, and what they remember."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from remotecalls.simulators.consistency.calls import Call
from remotecalls.simulators.consistency.parameters import FIRST, LAST, ConsistencyParameters
from remotecalls.simulators.consistency.versions import NOTHING, Version
from remotecalls.simulators.consistency.world import World
from remotecalls.simulators.linearizability.history import (
    FAILED,
    OK,
    READ,
    UNKNOWN,
    WRITE,
    Operation,
)


@dataclass(frozen=True)
class Record:
    """An operation, and what the client does not see of it.

    Attributes:
        operation: what the client sees.
        client: whose it is. The operation names a process: a client whose write is unknown goes on
            as another process, since that write may still be under way (as in Jepsen's histories).
        node: where its coordinator stands, by the number of the replica there.
        over_us: when the client had its answer or gave up.
        version: what was written or read, in the order that the replicas use; empty if a read
            found nothing, or if the operation did not come so far.
        timestamp_us: of a write: the time that it was given, if it was given one.
        values: all values that a read found: more than one are siblings.
    """

    operation: Operation
    client: int
    node: int
    over_us: int
    version: Version
    timestamp_us: int | None
    values: tuple[int, ...]

    @property
    def is_write(self) -> bool:
        """A write, and no read."""
        return self.operation.kind == WRITE

    @property
    def is_ok(self) -> bool:
        """Whether the client had its answer in time."""
        return self.operation.outcome == OK

    @property
    def latency_us(self) -> int:
        """How long the client waited."""
        return self.over_us - self.operation.called_us


class Register(Protocol):
    """A protocol, as clients see it."""

    def read(self, call: Call) -> None:
        """Begin with a read; `call` is told what comes of it."""
        ...

    def write(self, call: Call) -> None:
        """Begin with a write; `call` is told what comes of it."""
        ...


class Step(NamedTuple):
    """What a client does next: it thinks, and reads or writes a key.

    Attributes:
        think_us: how long it thinks before.
        is_write: whether it writes.
        key: the number of the key.
        stop: beside which replica a roaming client is then.
    """

    think_us: int
    is_write: bool
    key: int
    stop: int


def name_of(key: int) -> str:
    """Return the name of a key in a history: a, b, c."""
    return "abcdefgh"[key]


class Clients:
    """All clients of a run. Each has one operation under way at most.

    Attributes:
        records: all operations in the order in which they were called.
    """

    def __init__(self, world: World, register: Register) -> None:
        self._world = world
        self._register = register
        parameters = self._parameters = world.parameters
        self._plans = plans(world)
        self._home = [home_of(parameters, client) for client in range(parameters.clients)]
        self._process = list(range(parameters.clients))
        self._known: dict[tuple[int, int], Version] = {}
        self._records: dict[int, Record] = {}
        self._left = parameters.operations
        self._called = 0
        for client in range(parameters.clients):
            self._think(client)

    @property
    def records(self) -> tuple[Record, ...]:
        """Return all operations in the order in which they were called."""
        return tuple(self._records[number] for number in range(self._called))

    def _think(self, client: int) -> None:
        if self._plans[client]:
            # An operation begins after the one before has ended, not with its end.
            wait_us = max(1, self._plans[client][0].think_us)
            self._world.agenda.after(wait_us, self._begin, client)

    def _begin(self, client: int) -> None:
        step = self._plans[client].popleft()
        call = Call(
            number=self._called,
            client=client,
            node=step.stop if self._parameters.roaming else self._home[client],
            key=step.key,
            is_write=step.is_write,
            called_us=self._world.agenda.now_us,
            known=self._known.get((client, step.key), NOTHING),
            on_over=self._answered,
        )
        self._called += 1
        self._world.agenda.after(self._parameters.timeout_us, self._time_out, call)
        if call.is_write:
            self._register.write(call)
        else:
            self._register.read(call)

    def _answered(self, call: Call) -> None:
        place = (call.client, call.key)
        known = self._known.get(place, NOTHING)
        self._known[place] = self._world.versions.join(known, call.version)
        self._end(call, OK)

    def _time_out(self, call: Call) -> None:
        if not call.is_over:
            call.is_over = True
            self._end(call, UNKNOWN if call.is_write and call.is_sent else FAILED)

    def _end(self, call: Call, outcome: str) -> None:
        now_us = self._world.agenda.now_us
        values = tuple(copy.value for copy in call.copies)
        value = call.value if call.is_write else max(values, default=None)
        self._records[call.number] = Record(
            operation=Operation(
                process=self._process[call.client],
                key=name_of(call.key),
                kind=WRITE if call.is_write else READ,
                value=value,
                called_us=call.called_us,
                returned_us=None if outcome == UNKNOWN else now_us,
                outcome=outcome,
            ),
            client=call.client,
            node=call.node,
            over_us=now_us,
            version=call.version,
            timestamp_us=call.timestamp_us,
            values=values,
        )
        if outcome == UNKNOWN:
            self._process[call.client] += self._parameters.clients
        self._left -= 1
        if not self._left:
            self._world.agenda.end_us = now_us + self._parameters.settle_us
        self._think(call.client)


def home_of(parameters: ConsistencyParameters, client: int) -> int:
    """Return the replica beside which a client stands."""
    if parameters.clients_at == FIRST:
        return 0
    if parameters.clients_at == LAST:
        return parameters.replicas - 1
    return client % parameters.replicas


def plans(world: World) -> list[deque[Step]]:
    """Draw what each client does.

    Nothing is left undrawn, whatever is set, so that a setting changes what it is about and leaves
    the rest as it was.
    """
    parameters, rng = world.parameters, world.workload
    found: list[deque[Step]] = [deque() for _ in range(parameters.clients)]
    for number in range(parameters.operations):
        found[number % parameters.clients].append(
            Step(
                think_us=round(rng.uniform(0, 2 * parameters.think_us)),
                is_write=rng.random() * 100 < parameters.write_percent,
                key=int(rng.random() * parameters.keys),
                stop=int(rng.random() * parameters.replicas),
            )
        )
    return found
