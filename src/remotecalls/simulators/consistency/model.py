"""A replicated register for each key: what do its clients see, and how long do they wait for it?

Clients call one operation after the other. Each has a coordinator on its own node, beside a
replica: no distance lies between client, coordinator and that replica. The coordinator asks all
replicas in parallel, and an operation takes as long as the slowest reply that its protocol needs.
A replica works on each request for the same time, and on any number of them at once: what waits for
what is seen here, and what load does is not (that is `metastable`).

Nodes keep what they have and do not crash; one that is cut off for the whole run is as good as
dead. Left out: sizes of messages, retransmission, disks.

Sources: Gilbert and Lynch, "Brewer's Conjecture and the Feasibility of Consistent, Available,
Partition-Tolerant Web Services", SIGACT News, 2002; Abadi, "Consistency Tradeoffs in Modern
Distributed Database System Design", IEEE Computer, 2012 (PACELC); and those of each protocol.
"""

from __future__ import annotations

from remotecalls.simulators.consistency.abd import Abd
from remotecalls.simulators.consistency.audit import lost_writes
from remotecalls.simulators.consistency.background import AntiEntropy
from remotecalls.simulators.consistency.clients import Clients, Record, Register
from remotecalls.simulators.consistency.leader import Leader
from remotecalls.simulators.consistency.parameters import ABD, LEADER, ConsistencyParameters
from remotecalls.simulators.consistency.quorum import Quorum
from remotecalls.simulators.consistency.result import ConsistencyResult, ReplicaState
from remotecalls.simulators.consistency.versions import Copies
from remotecalls.simulators.consistency.world import World


class _Run:
    """One run, from the first call to the end of what happens in the background."""

    def __init__(self, parameters: ConsistencyParameters, seed: int) -> None:
        self._parameters = parameters
        self._seed = seed
        self._world = world = World.of(parameters, seed)
        self._leader = Leader(world) if parameters.protocol == LEADER else None
        self._clients = Clients(world, self._register())
        if self._leader is None:
            AntiEntropy(world)

    def _register(self) -> Register:
        if self._leader is not None:
            return self._leader
        return Abd(self._world) if self._parameters.protocol == ABD else Quorum(self._world)

    def result(self) -> ConsistencyResult:
        """Run to the end."""
        world, parameters = self._world, self._parameters
        world.agenda.run()
        end_us = world.agenda.end_us
        assert end_us is not None  # each operation ends with its time-out at the latest
        records = self._clients.records
        members = world.members.now() if self._leader is None else range(parameters.replicas)
        final = tuple(
            ReplicaState(node, tuple(self._seen_at(node, key) for key in range(parameters.keys)))
            for node in members
        )

        def is_kept(record: Record) -> bool:
            key, value = ord(record.operation.key) - ord("a"), record.operation.value
            if self._leader is not None:
                return self._leader.is_kept(key, value)
            return any(
                world.versions.covers(copy.version, record.version)
                for state in final
                for copy in state.copies[key]
            )

        # Of a log, the replicas go by its order alone.
        covers = world.versions.covers if self._leader is None else lambda one, other: False
        return ConsistencyResult(
            parameters=parameters,
            seed=self._seed,
            records=records,
            lost_writes=lost_writes(records, covers, is_kept),
            final=final,
            messages=world.network.sent,
            dropped=world.network.dropped,
            end_us=end_us,
            events=world.agenda.count,
        )

    def _seen_at(self, node: int, key: int) -> Copies:
        if self._leader is not None:
            return self._leader.seen_at(node, key)
        return self._world.replicas[node].read(key)


def run(parameters: ConsistencyParameters, seed: int = 1) -> ConsistencyResult:
    """Run the model; equal arguments give equal results on every machine."""
    return _Run(parameters, seed).result()
