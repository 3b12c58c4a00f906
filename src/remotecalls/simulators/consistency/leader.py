"""Reads and writes through a leader and its log.

A client's coordinator sends the operation to the node that its own node takes for the leader. If
that is not the leader, it says so, and the coordinator tries again until the client's time-out. An
operation is never sent again when it may have been carried out: it would be carried out twice.

What the settings make of it: majority and confirmed reads are Raft; with commit wait, a log for
each key, and leaders in several places they are Spanner's read-write transactions on one row;
acknowledging alone with a log for each key is PNUTS; acknowledging alone with elections is a
MongoDB whose writers do not wait for a majority.

Sources: Ongaro and Ousterhout, USENIX ATC 2014, section 8, for reads without the log; Corbett and
others, "Spanner", OSDI 2012; Cooper and others, "PNUTS: Yahoo!'s Hosted Data Serving Platform",
VLDB 2008.
"""

from __future__ import annotations

from remotecalls.simulators.consistency.calls import Call
from remotecalls.simulators.consistency.parameters import (
    CONFIRMED,
    LAST,
    LOG,
    NEAREST,
    PER_KEY,
)
from remotecalls.simulators.consistency.raft import LEADS, Log, Peer
from remotecalls.simulators.consistency.versions import NOTHING, Copies, Copy
from remotecalls.simulators.consistency.world import World


class Leader:
    """One log for all keys, or one for each.

    Attributes:
        logs: the logs; that of a key is found by `log_of`.
    """

    def __init__(self, world: World) -> None:
        parameters = world.parameters
        self._world = world
        self._parameters = parameters
        count = parameters.replicas
        if parameters.leader_at == PER_KEY:
            first = [key % count for key in range(parameters.keys)]
        else:
            first = [count - 1 if parameters.leader_at == LAST else 0]
        self.logs = [Log(world, leader) for leader in first]

    def log_of(self, key: int) -> Log:
        """Return the log of a key."""
        return self.logs[key % len(self.logs)]

    def write(self, call: Call) -> None:
        """Send a write to the leader."""
        self._submit(call)

    def read(self, call: Call) -> None:
        """Send a read to the leader, or to the client's own replica."""
        if self._parameters.leader_reads == NEAREST:
            self._world.network.request(call.node, call.node, self._read_nearest, call)
        else:
            self._submit(call)

    def seen_at(self, node: int, key: int) -> Copies:
        """Return what a read at a node would see of a key."""
        peer = self.log_of(key).peers[node]
        return self._found(peer, key, peer.visible)[0]

    def is_kept(self, key: int, value: int) -> bool:
        """Whether a write is in the log that would win an election of all peers.

        Every entry that a majority has is in that one; others may be, too.
        """
        peers = self.log_of(key).peers
        strongest = max(peers, key=lambda peer: (peer.log[-1].term, len(peer.log)))
        return any(entry.key == key and entry.value == value for entry in strongest.log)

    # ------------------------------------------------------------ finding the leader

    def _submit(self, call: Call) -> None:
        if call.is_over:
            return
        leader = self.log_of(call.key).peers[call.node].leader
        if leader is None:
            self._wait(call)
            return
        # If a reply is lost, the coordinator cannot know whether this one was carried out.
        call.is_sent = True
        self._world.network.request(call.node, leader, self._arrived, call, leader)

    def _wait(self, call: Call) -> None:
        """Try again a little later: by then this node may have heard of the leader."""
        self._world.agenda.after(self._parameters.heartbeat_us, self._submit, call)

    def _arrived(self, call: Call, node: int) -> None:
        peer = self.log_of(call.key).peers[node]
        if peer.role != LEADS:
            self._world.network.send(node, call.node, self._rejected, call)
        elif call.is_write:
            self._write_at(call, peer)
        else:
            self._read_at(call, peer)

    def _rejected(self, call: Call) -> None:
        call.is_sent = False
        self._wait(call)

    # ------------------------------------------------------------ at the leader

    def _write_at(self, call: Call, peer: Peer) -> None:
        log = self.log_of(call.key)
        position = log.append(peer, call.key, call.value)
        call.version = (position,)
        call.timestamp_us = peer.log[position - 1].timestamp_us

        def then() -> None:
            self._world.network.send(peer.node, call.node, call.acknowledge)

        log.when_visible(peer, position, then)

    def _read_at(self, call: Call, peer: Peer) -> None:
        log = self.log_of(call.key)
        if self._parameters.leader_reads == LOG:
            position = log.append(peer, -1, 0)
            log.when_visible(peer, position, lambda: self._reply(call, peer, position))
        elif self._parameters.leader_reads == CONFIRMED:
            log.when_confirmed(peer, lambda: self._reply(call, peer, peer.visible))
        else:
            self._reply(call, peer, peer.visible)

    def _reply(self, call: Call, peer: Peer, count: int) -> None:
        copies, version = self._found(peer, call.key, count)
        self._world.network.send(peer.node, call.node, call.answer, copies, version)

    def _found(self, peer: Peer, key: int, count: int) -> tuple[Copies, tuple[int, ...]]:
        position, value = peer.last(key, count)
        if not position:
            return (), NOTHING
        return (Copy((position,), value),), (position,)

    # ------------------------------------------------------------ at the client's own replica

    def _read_nearest(self, call: Call) -> None:
        log = self.log_of(call.key)
        peer = log.peers[call.node]

        def then() -> None:
            call.answer(*self._found(peer, call.key, peer.visible))

        known = call.known[0] if self._parameters.session and call.known else 0
        log.when_known(peer, known, then)
