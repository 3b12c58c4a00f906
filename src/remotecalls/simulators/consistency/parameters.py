"""What can be set in `consistency`: replicas, protocol, clients, network, and what goes wrong.

Replicas are numbered from 0. *The last ones* are those that a far region or a partition takes, so
that the far side and the cut-off side are the same side when both are set.
"""

from __future__ import annotations

from dataclasses import dataclass

from remotecalls.simulators.parameters import (
    ParameterError,
    Parameters,
    choice,
    integer,
    switch,
)

QUORUM, ABD, LEADER = "quorum", "abd", "leader"
WALL_CLOCK, NUMBER, VECTOR = "wall-clock", "number", "vector"
OFF, ASYNCHRONOUS, SYNCHRONOUS = "off", "asynchronous", "synchronous"
FIRST, LAST, PER_KEY, SPREAD = "first", "last", "per-key", "spread"
LOG, CONFIRMED, UNCONFIRMED, NEAREST = "log", "confirmed", "unconfirmed", "nearest"
MAJORITY, ALONE = "majority", "alone"

MOST_EVENTS = 120_000
"""No run may need more, so that the page stays alive: less than a second in CPython."""

HEARTBEATS_PER_ELECTION = 4
"""A follower misses so many heartbeats before it calls an election."""

STEADY_HEARTBEAT_US = 250_000
"""How often a leader that nobody replaces sends again what may have been lost."""


@dataclass(frozen=True)
class ConsistencyParameters(Parameters):
    """A register for each key, its replicas, and the clients that read and write it."""

    protocol: str = choice(
        QUORUM,
        label="Protocol",
        help="How the replicas are kept in step.",
        options={
            QUORUM: "Quorums of R and W (Dynamo)",
            ABD: "Two phases for reads and writes (Attiya, Bar-Noy, Dolev)",
            LEADER: "A leader and its log (Raft)",
        },
    )
    replicas: int = integer(
        5, label="Replicas N", help="How many nodes hold each key.",
        minimum=1, maximum=7, step=1, unit="replicas",
    )  # fmt: skip
    read_quorum: int = integer(
        3, label="Read quorum R", help="So many replies make a read. Quorums only.",
        minimum=1, maximum=7, step=1, unit="replies",
    )  # fmt: skip
    write_quorum: int = integer(
        3, label="Write quorum W", help="So many acknowledgements make a write. Quorums only.",
        minimum=1, maximum=7, step=1, unit="replies",
    )  # fmt: skip
    versions: str = choice(
        NUMBER,
        label="Versions",
        help="How a replica knows which of two values is the newer one. Quorums only.",
        options={
            WALL_CLOCK: "The writer's wall clock, last writer wins",
            NUMBER: "A number, read from R replicas before each write",
            VECTOR: "Version vectors, siblings are kept",
        },
    )
    read_repair: str = choice(
        OFF,
        label="Read repair",
        help="What a read does about replicas that it found behind. Quorums only.",
        options={
            OFF: "Nothing",
            ASYNCHRONOUS: "It writes to them after it has returned",
            SYNCHRONOUS: "It writes to them, and returns when W of them are up to date",
        },
    )
    sloppy: bool = switch(
        False,
        label="Sloppy quorum",
        help="A spare node stands in for each replica that is out of reach, and keeps a hint for "
        "it. Quorums only.",
    )
    handoff_us: int = integer(
        200_000, label="Hinted handoff every",
        help="How often a spare node tries to hand its hints to their owners. 0: never.",
        minimum=0, maximum=5_000_000, step=50_000, unit="µs",
    )  # fmt: skip
    anti_entropy_us: int = integer(
        0, label="Anti-entropy every", help="How often each replica compares all it has with "
        "another one. 0: never. Quorums and two phases.",
        minimum=0, maximum=10_000_000, step=100_000, unit="µs",
    )  # fmt: skip
    session: bool = switch(
        False,
        label="Session guarantees",
        help="A client remembers the newest version it has written or read of each key, and its "
        "reads wait for replies that are no older. Quorums, and the nearest replica's log.",
    )
    commit_wait_us: int = integer(
        0, label="Commit wait for a clock error of",
        help="A write is acknowledged only when every clock that is wrong by no more than that "
        "shows a later time than its timestamp. 0: no wait. Wall-clock versions and the log.",
        minimum=0, maximum=500_000, step=1_000, unit="µs",
    )  # fmt: skip
    skew_us: int = integer(
        0, label="Clock error", help="Each node's clock is wrong by up to that, either way.",
        minimum=0, maximum=1_000_000, step=1_000, unit="µs",
    )  # fmt: skip

    leader_at: str = choice(
        FIRST,
        label="The leader is",
        help="Who leads at the beginning.",
        options={
            FIRST: "The first replica",
            LAST: "The last replica",
            PER_KEY: "For each key another one, with a log of its own",
        },
    )
    leader_reads: str = choice(
        CONFIRMED,
        label="The leader's reads",
        help="Who answers a read, and after asking whom.",
        options={
            LOG: "They go through the log, as writes do",
            CONFIRMED: "The leader, when a majority confirms that it still leads",
            UNCONFIRMED: "The leader, without asking",
            NEAREST: "The client's own replica, with what it has",
        },
    )
    leader_acknowledges: str = choice(
        MAJORITY,
        label="The leader acknowledges",
        help="When a write counts as done.",
        options={
            MAJORITY: "When a majority has it in the log",
            ALONE: "When it has it itself; the others get it later",
        },
    )
    election_us: int = integer(
        1_000_000, label="Election after",
        help="Who has not heard of a leader for that long, or up to twice that, wants to be one. "
        "0: the leader is never replaced.",
        minimum=0, maximum=10_000_000, step=100_000, unit="µs",
    )  # fmt: skip

    clients: int = integer(
        5, label="Clients", help="Each does one operation at a time.",
        minimum=1, maximum=12, step=1, unit="clients",
    )  # fmt: skip
    clients_at: str = choice(
        SPREAD,
        label="The clients are",
        help="A client talks to a coordinator on its own node: to that node's replica it has no "
        "distance at all.",
        options={
            SPREAD: "Spread over the replicas",
            FIRST: "Beside the first replica",
            LAST: "Beside the last replica",
        },
    )
    roaming: bool = switch(
        False,
        label="Roaming clients",
        help="A client moves: each operation begins beside another replica.",
    )
    keys: int = integer(
        2, label="Keys", help="Each has a register of its own.",
        minimum=1, maximum=8, step=1, unit="keys",
    )  # fmt: skip
    operations: int = integer(
        120, label="Operations", help="Of all clients together.",
        minimum=10, maximum=600, step=10, unit="operations",
    )  # fmt: skip
    write_percent: int = integer(
        50, label="Writes", help="Of a hundred operations; the others read.",
        minimum=0, maximum=100, step=5, unit="%",
    )  # fmt: skip
    think_us: int = integer(
        20_000, label="Think time", help="Between two operations of a client, on average.",
        minimum=0, maximum=1_000_000, step=5_000, unit="µs",
    )  # fmt: skip
    timeout_us: int = integer(
        1_000_000, label="Time-out", help="A client gives an operation up after that.",
        minimum=10_000, maximum=10_000_000, step=10_000, unit="µs",
    )  # fmt: skip

    base_latency_us: int = integer(
        1_000, label="Base latency", help="How long a replica works on a request.",
        minimum=0, maximum=50_000, step=500, unit="µs",
    )  # fmt: skip
    delay_us: int = integer(
        5_000, label="Network delay", help="One way, between two nodes, the median. 1 to 10 ms "
        "within a data center, 50 to 150 ms between regions.",
        minimum=100, maximum=150_000, step=100, unit="µs",
    )  # fmt: skip
    tail_percent: int = integer(
        20, label="Long tail",
        help="How much the delay of a message varies: the standard deviation of its logarithm. "
        "At 100, one message in twenty takes five times the median.",
        minimum=0, maximum=150, step=10, unit="%",
    )  # fmt: skip
    spread_percent: int = integer(
        20, label="Different links", help="A link's own median is off by up to that, either way.",
        minimum=0, maximum=90, step=10, unit="%",
    )  # fmt: skip
    loss_per_mille: int = integer(
        0, label="Loss", help="So many of a thousand messages never arrive.",
        minimum=0, maximum=300, step=5, unit="‰",
    )  # fmt: skip
    far: int = integer(
        0, label="Far replicas", help="So many of the last replicas are in another region. If "
        "they are all there, they are near to each other.",
        minimum=0, maximum=7, step=1, unit="replicas",
    )  # fmt: skip
    far_delay_us: int = integer(
        150_000, label="Delay between regions", help="One way, the median.",
        minimum=1_000, maximum=300_000, step=1_000, unit="µs",
    )  # fmt: skip

    partition: int = integer(
        0, label="Cut off", help="So many of the last replicas are cut off, with the clients "
        "beside them. 0, or all of them: there is no partition.",
        minimum=0, maximum=7, step=1, unit="replicas",
    )  # fmt: skip
    partition_at_us: int = integer(
        200_000, label="The partition begins", help="What is sent from then on between the two "
        "sides is lost.",
        minimum=0, maximum=60_000_000, step=50_000, unit="µs",
    )  # fmt: skip
    partition_for_us: int = integer(
        3_000_000, label="It lasts", help="Then it heals.",
        minimum=50_000, maximum=60_000_000, step=50_000, unit="µs",
    )  # fmt: skip
    replaced: int = integer(
        0, label="Replaced members", help="So many of the last replicas are replaced by new nodes "
        "in the same place, which begin with what their predecessors had. Quorums and two phases: "
        "a log changes its members by an entry in the log, and that is left out.",
        minimum=0, maximum=7, step=1, unit="replicas",
    )  # fmt: skip
    replaced_at_us: int = integer(
        300_000, label="The members change", help="From then on some coordinators know the new "
        "ones.",
        minimum=0, maximum=60_000_000, step=50_000, unit="µs",
    )  # fmt: skip
    replaced_lag_us: int = integer(
        1_000_000, label="Coordinators learn it within", help="Each at its own time.",
        minimum=0, maximum=10_000_000, step=50_000, unit="µs",
    )  # fmt: skip
    settle_us: int = integer(
        2_000_000, label="The run goes on for", help="After the last operation, for what happens "
        "in the background.",
        minimum=0, maximum=60_000_000, step=100_000, unit="µs",
    )  # fmt: skip

    def check_together(self) -> None:
        """Refuse quorums larger than N, elections that cannot end, and runs too long.

        Raises:
            ParameterError: with the reason.
        """
        name = type(self).__name__
        for field in ("read_quorum", "write_quorum"):
            if getattr(self, field) > self.replicas:
                raise ParameterError(
                    name, field, f"is {getattr(self, field)}, more than the {self.replicas} "
                    "replicas that there are",
                    "Choose fewer replies, or more replicas.",
                )  # fmt: skip
        is_far = 0 < self.far < self.replicas
        slowest_us = max(self.delay_us, self.far_delay_us) if is_far else self.delay_us
        if self.protocol == LEADER and 0 < self.election_us < 4 * slowest_us:
            raise ParameterError(
                name, "election_us", f"is shorter than four delays of {slowest_us} µs, so that a "
                "leader is given up before its heartbeat can arrive",
                "Choose a longer time, or 0 for a leader that is never replaced.",
            )  # fmt: skip
        events = self.most_events()
        if events > MOST_EVENTS:
            raise ParameterError(
                name, "operations", f"may lead to {events:,} events when every operation runs "
                f"into its time-out, and a run has at most {MOST_EVENTS:,}",
                "Choose fewer operations, a shorter time-out, think time or settling, or longer "
                "intervals of what happens in the background.",
            )  # fmt: skip

    @property
    def groups(self) -> int:
        """How many logs there are, each with a leader of its own."""
        return self.keys if self.leader_at == PER_KEY else 1

    @property
    def heartbeat_us(self) -> int:
        """How often a leader sends to its followers when there is nothing new."""
        return self.election_us // HEARTBEATS_PER_ELECTION or STEADY_HEARTBEAT_US

    def longest_us(self) -> int:
        """How long the run takes if every operation runs into its time-out, on average."""
        rounds = -(-self.operations // self.clients)
        return rounds * (self.think_us + self.timeout_us) + self.settle_us

    def most_events(self) -> int:
        """How many events there are if every operation runs into its time-out, roughly."""
        nodes = self.replicas
        if self.protocol == LEADER:
            # Heartbeats; votes, for which any node may ask with every fourth of them; and each
            # client asks again for the leader.
            rounds = self.longest_us() // self.heartbeat_us + 2
            beats = rounds * self.groups * (2 * nodes + 1) * (4 + nodes) // 4
            return self.operations * (2 * nodes + 8) + beats + rounds * self.clients * 4
        # Requests and replies of two phases, or of one and its repair; the time-out, the next one.
        events = self.operations * (4 * nodes + 4)
        if self.anti_entropy_us:
            events += (self.longest_us() // self.anti_entropy_us + 1) * 3 * nodes
        if self.protocol == QUORUM and self.sloppy and self.handoff_us and self.partition:
            events += (self.longest_us() // self.handoff_us + 1) * nodes * (1 + 2 * self.keys)
        if self.protocol == QUORUM and self.versions == VECTOR:
            # Siblings are as many as clients, and to merge them takes as long as some events.
            events *= 1 + self.clients // 6
        return events
