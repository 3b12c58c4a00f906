"""A log that a majority agrees on: terms, elections, and entries that are appended in order.

One `Log` is one group of peers with one leader at a time. Peers do not crash; they are cut off, and
keep all they have. Snapshots and changes of members are left out.

Source: Ongaro and Ousterhout, "In Search of an Understandable Consensus Algorithm", USENIX ATC
2014.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from remotecalls.simulators.consistency.parameters import ALONE
from remotecalls.simulators.consistency.world import World


class Entry(NamedTuple):
    """A place in the log.

    Attributes:
        term: of the leader that appended it.
        timestamp_us: what the leader's clock showed, or one more than the entry before.
        key: the key that it writes; -1 if it writes nothing.
        value: what it writes.
    """

    term: int
    timestamp_us: int
    key: int = -1
    value: int = 0


FOLLOWER, CANDIDATE, LEADS = "follower", "candidate", "leader"

_FAR_PAST_US = -(1 << 60)


class Peer:
    """What one node knows of the log.

    Attributes:
        node: its number.
        role: follower, candidate or leader.
        term: the newest term it has heard of.
        voted_for: whom it voted for in that term.
        leader: who leads in that term, as far as it knows.
        log: the entries; the first of them is the same everywhere.
        committed: how many of them are on a majority.
        visible: how many of them reads may see.
        matched: as the leader: how many entries each peer has, in this term.
        confirmed: as the leader: the newest round that each peer has answered.
        first_own: as the leader: the position of the first entry of its term.
        round: as the leader: how often it has sent to all.
        votes: as the candidate: who voted for it.
        deadline_us: when it wants to be the leader itself.
        is_waiting: as the leader: whether a commit wait is under way.
        watched: what to do when so many entries are visible, or as the leader's round is confirmed.
    """

    def __init__(self, node: int, leader: int, first: Entry) -> None:
        self.node = node
        self.role = LEADS if node == leader else FOLLOWER
        self.term = first.term
        self.voted_for: int | None = leader
        self.leader: int | None = leader
        self.log = [first]
        self.committed = 1
        self.visible = 1
        self.matched: dict[int, int] = {}
        self.confirmed: dict[int, int] = {}
        self.first_own = 1
        self.round = 0
        self.votes: list[int] = []
        self.deadline_us = 0
        self.is_waiting = False
        self.watched: list[Watch] = []

    def last(self, key: int, count: int) -> tuple[int, int]:
        """Return position and value of the last write to a key in the first `count` entries.

        Positions count from 1; 0 stands for no write.
        """
        for position in range(count, 0, -1):
            entry = self.log[position - 1]
            if entry.key == key:
                return position, entry.value
        return 0, 0


class Watch(NamedTuple):
    """Something that waits for the log.

    Attributes:
        term: it is given up if the peer's term is another one; 0: it is not.
        visible: so many entries must be visible.
        round: a majority must have answered that round; 0: none.
        then: what happens then.
    """

    term: int
    visible: int
    round: int
    then: Callable[[], None]


class Log:
    """A group of peers and what they send each other."""

    def __init__(self, world: World, leader: int) -> None:
        parameters = world.parameters
        self._world = world
        self._nodes = range(parameters.replicas)
        self._majority = parameters.replicas // 2 + 1
        self._is_async = parameters.leader_acknowledges == ALONE
        first = Entry(1, _FAR_PAST_US)
        self.peers = [Peer(node, leader, first) for node in self._nodes]
        if parameters.replicas > 1:
            self._beat(self.peers[leader], 1)
            if parameters.election_us:
                for peer in self.peers:
                    self._hear(peer)
                    world.agenda.at(peer.deadline_us, self._look, peer)

    # ------------------------------------------------------------ the leader

    def append(self, peer: Peer, key: int, value: int) -> int:
        """Let the leader append an entry and send it to all.

        Returns:
            Its position, from 1.
        """
        timestamp_us = max(self._world.clocks.read_us(peer.node), peer.log[-1].timestamp_us + 1)
        peer.log.append(Entry(peer.term, timestamp_us, key, value))
        self._send_all(peer)
        self._commit(peer)
        return len(peer.log)

    def when_visible(self, peer: Peer, position: int, then: Callable[[], None]) -> None:
        """Let something happen when the leader, still in its term, lets reads see a position."""
        self._watch(peer, Watch(peer.term, position, 0, then))

    def when_confirmed(self, peer: Peer, then: Callable[[], None]) -> None:
        """Let something happen when a majority has confirmed that the leader leads.

        It does not know of all that was committed before its term until an entry of its own term
        is; so it waits for that one, too (section 8 of the paper).
        """
        needed = max(peer.committed, peer.first_own)
        self._send_all(peer)
        self._watch(peer, Watch(peer.term, needed, peer.round, then))

    def when_known(self, peer: Peer, position: int, then: Callable[[], None]) -> None:
        """Let something happen when any peer has so many entries that reads may see."""
        self._watch(peer, Watch(0, position, 0, then))

    def _watch(self, peer: Peer, watch: Watch) -> None:
        peer.watched.append(watch)
        self._wake(peer)

    def _wake(self, peer: Peer) -> None:
        waiting, peer.watched = peer.watched, []
        ready = []
        for watch in waiting:
            if watch.term and (peer.term != watch.term or peer.role != LEADS):
                continue
            if peer.visible >= watch.visible and self._is_confirmed(peer, watch.round):
                ready.append(watch)
            else:
                peer.watched.append(watch)
        for watch in ready:
            watch.then()

    def _is_confirmed(self, peer: Peer, number: int) -> bool:
        if not number:
            return True
        others = sum(confirmed >= number for confirmed in peer.confirmed.values())
        return 1 + others >= self._majority

    def _beat(self, peer: Peer, term: int) -> None:
        """Send to all from time to time, as long as the term lasts."""
        if peer.role == LEADS and peer.term == term:
            self._send_all(peer)
            every_us = self._world.parameters.heartbeat_us
            self._world.agenda.after(every_us, self._beat, peer, term)

    def _send_all(self, peer: Peer) -> None:
        """Send each peer all that it is not known to have.

        Sent again whenever there is something new, or nothing: so what is lost is made good, and
        nobody ever has to ask where the leader's log and its own part.
        """
        peer.round += 1
        for node in self._nodes:
            if node != peer.node:
                known = peer.matched.get(node, 0)
                self._world.network.request(
                    peer.node, node, self._appended, self.peers[node], peer.term, peer.node,
                    known, peer.log[known:], peer.committed, peer.visible, peer.round,
                )  # fmt: skip

    def _appended(
        self,
        peer: Peer,
        term: int,
        leader: int,
        known: int,
        entries: list[Entry],
        committed: int,
        visible: int,
        number: int,
    ) -> None:
        send = self._world.network.send
        if term < peer.term:
            send(peer.node, leader, self._outdated, self.peers[leader], peer.term)
            return
        self._follow(peer, term, leader)
        for position, entry in enumerate(entries, known):
            if position < len(peer.log) and peer.log[position].term != entry.term:
                # What another leader appended and no majority has.
                del peer.log[position:]
            if position == len(peer.log):
                peer.log.append(entry)
        matched = known + len(entries)
        peer.committed = max(peer.committed, min(committed, matched))
        # The leader tells what may be seen: a commit wait is waited out once, and by the leader.
        peer.visible = len(peer.log) if self._is_async else max(peer.visible, min(visible, matched))
        self._wake(peer)
        send(
            peer.node, leader, self._acknowledged, self.peers[leader], term, peer.node, matched,
            number,
        )  # fmt: skip

    def _acknowledged(self, peer: Peer, term: int, node: int, matched: int, number: int) -> None:
        if peer.role != LEADS or peer.term != term:
            return
        peer.matched[node] = max(peer.matched.get(node, 0), matched)
        peer.confirmed[node] = max(peer.confirmed.get(node, 0), number)
        self._commit(peer)

    def _outdated(self, peer: Peer, term: int) -> None:
        if term > peer.term:
            self._follow(peer, term, None)

    def _commit(self, peer: Peer) -> None:
        """Find out what a majority has. What an earlier term left counts with the first of this."""
        having = sorted([len(peer.log), *peer.matched.values()], reverse=True)
        if len(having) >= self._majority:
            count = having[self._majority - 1]
            if count > peer.committed and peer.log[count - 1].term == peer.term:
                peer.committed = count
        self._show(peer)

    def _show(self, peer: Peer) -> None:
        """Let reads see what is committed, or all there is, when its commit wait is over."""
        if peer.role != LEADS:
            return
        count = len(peer.log) if self._is_async else peer.committed
        while peer.visible < count and not peer.is_waiting:
            timestamp_us = peer.log[peer.visible].timestamp_us
            wait_us = self._world.clocks.commit_wait_us(peer.node, timestamp_us)
            if wait_us:
                peer.is_waiting = True
                self._world.agenda.after(wait_us, self._waited, peer)
            else:
                peer.visible += 1
        self._wake(peer)

    def _waited(self, peer: Peer) -> None:
        peer.is_waiting = False
        self._show(peer)

    # ------------------------------------------------------------ elections

    def _hear(self, peer: Peer) -> None:
        """Put off the time at which a peer wants to lead: each time by another amount."""
        election_us = self._world.parameters.election_us
        if election_us:
            wait_us = self._world.background.randint(election_us, 2 * election_us)
            peer.deadline_us = self._world.agenda.now_us + wait_us

    def _look(self, peer: Peer) -> None:
        if peer.role == LEADS:
            self._hear(peer)
        elif self._world.agenda.now_us >= peer.deadline_us:
            self._stand(peer)
        self._world.agenda.at(peer.deadline_us, self._look, peer)

    def _stand(self, peer: Peer) -> None:
        """Ask all for their votes in a new term."""
        peer.term += 1
        peer.role, peer.leader = CANDIDATE, None
        peer.voted_for, peer.votes = peer.node, [peer.node]
        self._hear(peer)
        for node in self._nodes:
            if node != peer.node:
                self._world.network.request(
                    peer.node, node, self._asked, self.peers[node], peer.term, peer.node,
                    peer.log[-1].term, len(peer.log),
                )  # fmt: skip

    def _asked(self, peer: Peer, term: int, candidate: int, last_term: int, length: int) -> None:
        if term > peer.term:
            self._follow(peer, term, None, heard=False)
        is_current = (last_term, length) >= (peer.log[-1].term, len(peer.log))
        votes = term == peer.term and is_current and peer.voted_for in (None, candidate)
        if votes:
            peer.voted_for = candidate
            self._hear(peer)
        self._world.network.send(
            peer.node, candidate, self._voted, self.peers[candidate], peer.term, peer.node, votes
        )

    def _voted(self, peer: Peer, term: int, node: int, votes: bool) -> None:
        if term > peer.term:
            self._follow(peer, term, None)
        if not votes or peer.role != CANDIDATE or term != peer.term:
            return
        peer.votes.append(node)
        if len(peer.votes) >= self._majority:
            peer.role, peer.leader = LEADS, peer.node
            peer.matched, peer.confirmed = {}, {}
            # An entry of its own term: only with it the leader learns what is committed.
            peer.first_own = len(peer.log) + 1
            self.append(peer, -1, 0)
            self._world.agenda.after(
                self._world.parameters.heartbeat_us, self._beat, peer, peer.term
            )

    def _follow(self, peer: Peer, term: int, leader: int | None, heard: bool = True) -> None:
        if term > peer.term:
            peer.term, peer.voted_for = term, None
            peer.role, peer.leader = FOLLOWER, None
        if leader is not None:
            peer.role, peer.leader = FOLLOWER, leader
        if heard:
            self._hear(peer)
