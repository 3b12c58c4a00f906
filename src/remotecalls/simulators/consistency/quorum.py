"""Reads of R and writes of W replicas, as in Dynamo, Cassandra and Riak.

The coordinator asks all N replicas at once and goes on with the R-th or W-th reply. If R + W > N,
each read asks at least one replica that has the last acknowledged write. That alone does not make a
register linearizable: a write that is under way may be met by one read and missed by the next.

Sources: DeCandia and others, "Dynamo: Amazon's Highly Available Key-value Store", SOSP 2007;
Gifford, "Weighted Voting for Replicated Data", SOSP 1979; Terry and others, "Session Guarantees for
Weakly Consistent Replicated Data", PDIS 1994.
"""

from __future__ import annotations

from collections.abc import Callable

from remotecalls.simulators.consistency.abd import number_after
from remotecalls.simulators.consistency.background import Handoff
from remotecalls.simulators.consistency.calls import Call
from remotecalls.simulators.consistency.parameters import (
    NUMBER,
    OFF,
    SYNCHRONOUS,
    WALL_CLOCK,
)
from remotecalls.simulators.consistency.rounds import Replies, Round, count_of
from remotecalls.simulators.consistency.versions import Copies, Copy, Version, newest
from remotecalls.simulators.consistency.world import World

Targets = dict[int, int]
"""Whom to ask, and the member in whose place; both are the same but for a spare node."""


class Quorum:
    """Quorums, with the versions and the repairs that are set."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._parameters = world.parameters
        self._handoff = Handoff(world)
        self._writes_by = [0] * world.parameters.clients

    # ------------------------------------------------------------ whom to ask

    def _targets(self, call: Call) -> Targets:
        """Return the members, or, in a sloppy quorum, who stands in for those out of reach.

        The coordinator knows at once whom a partition keeps it from, and nothing of lost messages.
        """
        members = self._world.members.known_to(call.node)
        if not self._parameters.sloppy:
            return {member: member for member in members}
        network = self._world.network
        spares = iter(self._world.nodes.spares_of(call.node))
        return {
            member if network.is_reachable(call.node, member) else next(spares): member
            for member in members
        }

    def _store(self, node: int, owner: int, key: int, copies: Copies) -> None:
        self._world.replicas[node].write(key, copies)
        if node != owner:
            self._handoff.keep(node, owner, key, copies)

    # ------------------------------------------------------------ writes

    def write(self, call: Call) -> None:
        """Find a version for a write, and send it to all."""
        targets, kind = self._targets(call), self._parameters.versions
        if kind == WALL_CLOCK:
            call.timestamp_us = self._world.clocks.read_us(call.node)
            self._send(call, targets, (call.timestamp_us, call.number))
        elif kind == NUMBER:
            replicas = self._world.replicas

            def then(replies: Replies[Copies]) -> None:
                self._send(call, targets, number_after(self._merged(replies), call))

            Round(
                self._world,
                call,
                targets,
                lambda node: replicas[node].read(call.key),
                count_of(self._parameters.read_quorum),
                then,
            )
        else:
            self._send(call, targets, self._next_vector(call))

    def _next_vector(self, call: Call) -> Version:
        """Return a version that covers what the client knows of the key, and nothing more.

        A client counts its writes itself, so that one that was given up has its number for good.
        """
        self._writes_by[call.client] += 1
        vector = list(call.known or (0,) * self._parameters.clients)
        vector[call.client] = self._writes_by[call.client]
        return tuple(vector)

    def _send(self, call: Call, targets: Targets, version: Version) -> None:
        call.version = version
        call.is_sent = True
        copies = (Copy(version, call.value),)

        def then(_: Replies[None]) -> None:
            self._when_past(call, version, call.acknowledge)

        Round(
            self._world,
            call,
            targets,
            lambda node: self._store(node, targets[node], call.key, copies),
            count_of(self._parameters.write_quorum),
            then,
        )

    def _when_past(self, call: Call, version: Version, then: Callable[[], None]) -> None:
        """Wait, if there is a commit wait, until every clock shows more than the version.

        A read has to wait as well as a write: from then on its value is known, and whoever writes
        later must be given a later time.
        """
        wait_us = 0
        if version and self._parameters.versions == WALL_CLOCK:
            wait_us = self._world.clocks.commit_wait_us(call.node, version[0])
        if wait_us:
            self._world.agenda.after(wait_us, then)
        else:
            then()

    # ------------------------------------------------------------ reads

    def read(self, call: Call) -> None:
        """Ask all, and return the newest of R replies, or of more if the session wants more."""
        targets, replicas = self._targets(call), self._world.replicas
        found: Copies = ()

        def is_enough(replies: Replies[Copies]) -> bool:
            nonlocal found
            found = self._world.versions.merge(found, replies[-1][1])
            if len(replies) < self._parameters.read_quorum:
                return False
            versions = self._world.versions
            return not self._parameters.session or versions.covers(
                newest(versions, found), call.known
            )

        def then(replies: Replies[Copies]) -> None:
            self._found(call, targets, replies, found)

        def late(node: int, copies: Copies) -> None:
            if self._parameters.read_repair != OFF:
                self._repair(call, targets, [(node, copies)], found)

        Round(
            self._world,
            call,
            targets,
            lambda node: replicas[node].read(call.key),
            is_enough,
            then,
            late,
        )

    def _found(self, call: Call, targets: Targets, replies: Replies[Copies], found: Copies) -> None:
        version = newest(self._world.versions, found)

        def answer() -> None:
            self._when_past(call, version, lambda: call.answer(found, version))

        current = [node for node, copies in replies if copies == found]
        missing = self._parameters.write_quorum - len(current)
        if self._parameters.read_repair == SYNCHRONOUS and missing > 0:
            Round(
                self._world,
                call,
                [node for node in targets if node not in current],
                lambda node: self._store(node, targets[node], call.key, found),
                count_of(missing),
                lambda _: answer(),
            )
            return
        answer()
        if self._parameters.read_repair != OFF:
            self._repair(call, targets, replies, found)

    def _repair(
        self, call: Call, targets: Targets, replies: Replies[Copies], found: Copies
    ) -> None:
        """Write what was found to those that do not have it, and wait for nobody."""
        for node, copies in replies:
            if self._world.versions.merge(copies, found) != copies:
                self._world.network.request(
                    call.node, node, self._store, node, targets[node], call.key, found
                )

    def _merged(self, replies: Replies[Copies]) -> Copies:
        found: Copies = ()
        for _, copies in replies:
            found = self._world.versions.merge(found, copies)
        return found
