"""Settings of `consistency` worth a look, some of them named after databases.

Those are the databases of the table in Abadi, "Consistency Tradeoffs in Modern Distributed Database
System Design", IEEE Computer, 2012, or of those who followed him. Each sentence says what of the
database is modelled; everything else of it is not, and most of them can be set to be otherwise.
"""

from __future__ import annotations

from dataclasses import replace

from remotecalls.simulators.consistency.model import run
from remotecalls.simulators.consistency.parameters import (
    ABD,
    ALONE,
    ASYNCHRONOUS,
    FIRST,
    LAST,
    LEADER,
    NEAREST,
    PER_KEY,
    SYNCHRONOUS,
    UNCONFIRMED,
    VECTOR,
    WALL_CLOCK,
    ConsistencyParameters,
)
from remotecalls.simulators.consistency.result import ConsistencyResult
from remotecalls.simulators.parameters import Preset, Simulator

STRONG = ConsistencyParameters()
"""Five replicas, of which three answer, 5 ms apart; the version is read before each write."""

_LONG = replace(STRONG, think_us=100_000, operations=240, timeout_us=500_000)
"""A run of five seconds, in which there is time for a partition of three."""

_CUT = replace(_LONG, partition=2, partition_at_us=1_000_000)

_SPLIT = replace(_CUT, versions=WALL_CLOCK, partition_for_us=5_000_000, settle_us=4_000_000)
"""One that lasts until the last operation is over, so that no write comes after it."""

_FLICKER = replace(
    STRONG,
    replicas=3,
    read_quorum=2,
    write_quorum=2,
    clients=6,
    keys=1,
    operations=240,
    write_percent=20,
    timeout_us=100_000,
    loss_per_mille=200,
    tail_percent=100,
)
"""Few writes, many reads, and one message in five is lost."""

_WEAK = replace(STRONG, read_quorum=1, write_quorum=1, versions=WALL_CLOCK)

_THREE = replace(_LONG, replicas=3, read_quorum=2, write_quorum=2, clients=6)

PRESETS = (
    Preset(
        "quorum-5-of-3",
        "Three of five, in one data center",
        "A read takes one round trip, to the third fastest of five and no further. A write takes "
        "two: one for the version, one for the value.",
        STRONG,
    ),
    Preset(
        "wan",
        "Three of five, 100 ms apart",
        "The same round trips, twenty times as long: the work of the replicas no longer matters.",
        replace(STRONG, delay_us=100_000),
    ),
    Preset(
        "weak",
        "One of five, 100 ms apart",
        "The node next door answers, within a millisecond, however far the others are. Some reads "
        "return what has been replaced.",
        replace(_WEAK, delay_us=100_000, think_us=100_000),
    ),
    Preset(
        "all-of-5",
        "All of five, and one is gone",
        "Until the fifth is cut off, each operation waits for the slowest. From then on no one "
        "gets anything, on either side.",
        replace(_CUT, partition=1, read_quorum=5, write_quorum=5),
    ),
    Preset(
        "minority",
        "Three of five, and two are gone",
        "The clients beside the three notice nothing. Those beside the two get nothing, until the "
        "partition heals.",
        replace(_CUT, read_repair=SYNCHRONOUS),
    ),
    Preset(
        "eventual",
        "One of five, and two are gone",
        "Everybody is served, and both sides read what the other side has long replaced. After the "
        "partition anti-entropy makes all replicas equal again.",
        replace(_SPLIT, read_quorum=1, write_quorum=1, anti_entropy_us=500_000),
    ),
    Preset(
        "never-equal",
        "One of five, and nothing is repaired",
        "The partition heals, and the replicas still differ: what was not sent then is not sent "
        "now, until somebody writes the key again.",
        replace(_SPLIT, read_quorum=1, write_quorum=1),
    ),
    Preset(
        "flicker",
        "R + W > N is not enough",
        "A write that is under way, or that failed halfway, is on one replica. One read meets it, "
        "and a later one does not.",
        _FLICKER,
        seed=2,
    ),
    Preset(
        "read-repair",
        "The same with synchronous read repair",
        "A read makes sure that W replicas have what it returns. Now no later read can miss it, "
        "and some reads take two round trips.",
        replace(_FLICKER, read_repair=SYNCHRONOUS),
        seed=2,
    ),
    Preset(
        "abd",
        "Two phases, no leader",
        "Each read writes back what it returns. Reads cost as much as writes, and the register is "
        "linearizable with any minority gone.",
        replace(_CUT, protocol=ABD),
    ),
    Preset(
        "leader",
        "A leader and its log",
        "The leader is on the side of the two. The three elect another one within a few seconds. "
        "The old one can no longer commit anything.",
        replace(
            _CUT, protocol=LEADER, leader_at=LAST, partition_for_us=4_000_000, operations=300,
        ),
    ),
    Preset(
        "geo-near",
        "Two regions, the leader on the near side",
        "Three replicas, and all the clients, are in the leader's region: a majority is near, and "
        "the 150 ms to the other region are never waited for.",
        replace(STRONG, protocol=LEADER, far=2, clients_at=FIRST),
    ),
    Preset(
        "geo-far",
        "Two regions, the leader on the far side",
        "To the leader, from it to a majority, and all the way back: four times 150 ms for each "
        "read and each write.",
        replace(STRONG, protocol=LEADER, far=2, clients_at=FIRST, leader_at=LAST),
    ),
    Preset(
        "sloppy",
        "A sloppy quorum",
        "Spare nodes stand in on both sides, so that nobody is refused; but R and W do not overlap "
        "any more. Handed over after the partition, the values of the one side win and some of the "
        "other's are lost.",
        replace(_CUT, sloppy=True, read_repair=SYNCHRONOUS),
    ),
    Preset(
        "skewed-clocks",
        "Last writer wins, by clocks that differ",
        "The clocks are wrong by up to 100 ms. A write from a slow clock is acknowledged and never "
        "seen, since an earlier one has a later time.",
        replace(STRONG, versions=WALL_CLOCK, skew_us=100_000),
    ),
    Preset(
        "commit-wait",
        "The same clocks, and a commit wait",
        "Each write waits until its time is past on every clock, and so does a read of it. Nothing "
        "is lost, for 200 ms a write. With clocks as good as Spanner's it would be a few.",
        replace(STRONG, versions=WALL_CLOCK, skew_us=100_000, commit_wait_us=100_000),
    ),
    Preset(
        "siblings",
        "Version vectors",
        "Clients that write without having read each other's values leave siblings. Nothing is "
        "lost, and each reader has to make one value of several.",
        replace(STRONG, versions=VECTOR),
    ),
    Preset(
        "moving",
        "A client that moves",
        "Each operation goes to another replica, which may not yet have what the same client wrote "
        "or read a moment ago.",
        replace(_WEAK, delay_us=50_000, roaming=True),
    ),
    Preset(
        "session",
        "The same with session guarantees",
        "Each client says what it has seen, and waits until someone answers who has it. Its own "
        "writes are there, and nothing goes back; others still read what is stale.",
        replace(_WEAK, delay_us=50_000, roaming=True, session=True),
    ),
    Preset(
        "membership",
        "All members are replaced",
        "For two seconds some coordinators ask the old members and some the new ones. R = W = N, "
        "and the two sets have no node in common.",
        replace(
            _LONG, replicas=3, read_quorum=3, write_quorum=3, replaced=3, clients=6,
            replaced_at_us=1_000_000, replaced_lag_us=2_000_000,
        ),
    ),
    Preset(
        "dynamo",
        "PA/EL: Dynamo and Riak",
        "Modelled: N = 3, R = W = 2, sloppy quorums with hinted handoff, version vectors, read "
        "repair and anti-entropy. Under a partition everybody is served; siblings tell what "
        "happened. Not modelled: the ring.",
        replace(
            _THREE, partition=1, partition_at_us=1_000_000, sloppy=True, versions=VECTOR,
            read_repair=ASYNCHRONOUS, anti_entropy_us=1_000_000,
        ),
    ),
    Preset(
        "cassandra",
        "PA/EL: Cassandra",
        "Modelled: N = 3, consistency level ONE, timestamps of wall clocks, read repair and "
        "anti-entropy. A partition is not noticed, but for stale reads. Not modelled: "
        "light-weight transactions, and hints.",
        replace(
            _THREE, read_quorum=1, write_quorum=1, versions=WALL_CLOCK, skew_us=5_000,
            read_repair=ASYNCHRONOUS, anti_entropy_us=1_000_000, delay_us=50_000,
            partition=1, partition_at_us=1_000_000,
        ),
    ),
    Preset(
        "spanner",
        "PC/EC: Spanner",
        "Modelled: for each key a leader with a majority log, and a commit wait for clocks that "
        "are wrong by up to 4 ms. Linearizable always; who is cut off from a majority gets "
        "nothing. Not modelled: leases, transactions, reads in the past.",
        replace(
            _CUT, protocol=LEADER, leader_at=PER_KEY, delay_us=20_000, skew_us=4_000,
            commit_wait_us=4_000,
        ),
    ),
    Preset(
        "mongodb",
        "PA/EC: MongoDB, as Abadi classed it",
        "Modelled: a primary that acknowledges alone and answers alone, and an election. Cut off, "
        "it goes on, and what it took is rolled back when it hears of its successor. Not "
        "modelled: that it would step down, and the majority write concern of today.",
        replace(
            _THREE, protocol=LEADER, leader_at=LAST, leader_acknowledges=ALONE,
            leader_reads=UNCONFIRMED, partition=1, partition_at_us=1_000_000,
        ),
    ),
    Preset(
        "pnuts",
        "PC/EL: PNUTS",
        "Modelled: each record has its master, which alone takes writes, and the others get them "
        "later; reads are of the nearest copy. Cut off from the master nobody can write, and all "
        "can read what was. Not modelled: that a master moves to its writers.",
        replace(
            _THREE, protocol=LEADER, leader_at=PER_KEY, leader_acknowledges=ALONE,
            leader_reads=NEAREST, election_us=0, delay_us=50_000, keys=3,
            partition=1, partition_at_us=1_000_000,
        ),
    ),
)  # fmt: skip

SIMULATOR: Simulator[ConsistencyParameters, ConsistencyResult] = Simulator(
    name="consistency",
    title="What consistency costs",
    parameters=ConsistencyParameters,
    run=run,
    presets=PRESETS,
)
