"""Agenda, network, clocks, versions, replicas, members and the log, each alone."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remotecalls.simulators.agenda import Agenda
from remotecalls.simulators.consistency import STRONG, ConsistencyParameters
from remotecalls.simulators.consistency.abd import number_after
from remotecalls.simulators.consistency.background import AntiEntropy, Handoff
from remotecalls.simulators.consistency.calls import Call
from remotecalls.simulators.consistency.clocks import Clocks
from remotecalls.simulators.consistency.leader import Leader
from remotecalls.simulators.consistency.network import Network, Nodes, Place
from remotecalls.simulators.consistency.parameters import (
    ALONE,
    ASYNCHRONOUS,
    LEADER,
    SYNCHRONOUS,
)
from remotecalls.simulators.consistency.quorum import Quorum
from remotecalls.simulators.consistency.raft import LEADS, Log
from remotecalls.simulators.consistency.replica import Replica
from remotecalls.simulators.consistency.versions import (
    NOTHING,
    Copies,
    Copy,
    Stamps,
    Vectors,
    newest,
)
from remotecalls.simulators.consistency.world import World

MS = 1_000
HERE = Place(is_far=False, is_cut=False)

# ---------------------------------------------------------------- agenda


def test_an_agenda_keeps_time_and_order() -> None:
    agenda = Agenda()
    happened: list[tuple[int, str]] = []

    def note(name: str) -> None:
        happened.append((agenda.now_us, name))
        if name == "first":
            agenda.after(0, note, "at once")
            agenda.after(5, note, "later")

    agenda.at(10, note, "first")
    agenda.at(10, note, "second")
    agenda.at(3, note, "before")
    agenda.at(99, note, "never")
    agenda.end_us = 98
    agenda.run()
    assert happened == [
        (3, "before"), (10, "first"), (10, "second"), (10, "at once"), (15, "later"),
    ]  # fmt: skip
    assert agenda.count == 5


# ---------------------------------------------------------------- network


def sent(
    parameters: ConsistencyParameters, places: list[Place], messages: list[tuple[int, int, int]]
) -> tuple[dict[int, int], Network]:
    """Send messages (at, from, to) and return when each of them arrived, by its number."""
    agenda = Agenda()
    network = Network(parameters, places, agenda, random.Random(1))
    arrived: dict[int, int] = {}

    def arrive(number: int) -> None:
        arrived[number] = agenda.now_us

    for number, (at_us, source, target) in enumerate(messages):
        agenda.at(at_us, network.send, source, target, arrive, number)
    agenda.run()
    return arrived, network


PLAIN = ConsistencyParameters(delay_us=5 * MS, tail_percent=0, spread_percent=0)


def test_a_message_takes_the_delay_and_a_request_the_work_as_well() -> None:
    arrived, network = sent(PLAIN, [HERE, HERE], [(7, 0, 1), (7, 1, 1)])
    assert arrived == {0: 7 + 5 * MS, 1: 7}
    assert (network.sent, network.dropped) == (1, 0)
    agenda = Agenda()
    network = Network(PLAIN, [HERE, HERE], agenda, random.Random(1))
    times: list[int] = []
    network.request(0, 1, lambda: times.append(agenda.now_us))
    network.request(0, 0, lambda: times.append(agenda.now_us))
    agenda.run()
    assert times == [1 * MS, 6 * MS]


def test_regions_are_far_from_each_other_and_not_in_themselves() -> None:
    away = Place(is_far=True, is_cut=False)
    arrived, _ = sent(PLAIN, [HERE, away, away], [(0, 0, 1), (0, 1, 0), (0, 1, 2)])
    assert arrived == {0: 150 * MS, 1: 150 * MS, 2: 5 * MS}


def test_a_partition_takes_what_is_sent_in_it_between_the_sides() -> None:
    parameters = replace(PLAIN, partition=1, partition_at_us=10 * MS, partition_for_us=50 * MS)
    places = [HERE, HERE, Place(is_far=False, is_cut=True)]
    times = [9_999, 10_000, 59_999, 60_000]
    across, within = [(at, 0, 2) for at in times], [(at, 0, 1) for at in times]
    assert list(sent(parameters, places, across)[0]) == [0, 3]
    assert list(sent(parameters, places, [(at, 2, 0) for at in times])[0]) == [0, 3]
    assert len(sent(parameters, places, within)[0]) == 4
    assert sent(parameters, places, across)[1].dropped == 2


def test_losses_are_as_many_as_was_set() -> None:
    parameters = replace(PLAIN, loss_per_mille=100)
    arrived, network = sent(parameters, [HERE, HERE], [(n, 0, 1) for n in range(5_000)])
    assert 420 < network.dropped < 580
    assert len(arrived) == 5_000 - network.dropped


def test_delays_have_the_median_and_the_tail_that_were_set() -> None:
    parameters = replace(PLAIN, tail_percent=100)
    arrived, _ = sent(parameters, [HERE, HERE], [(0, 0, 1)] * 4_000)
    delays = sorted(arrived.values())
    assert 4_700 < delays[2_000] < 5_300
    # e to the power of 1.645 is 5.18: one in twenty takes as much as that.
    assert 4.7 < delays[3_800] / delays[2_000] < 5.7
    assert all(isinstance(delay, int) and delay > 0 for delay in delays)


def test_links_differ_and_are_the_same_both_ways() -> None:
    parameters = replace(PLAIN, spread_percent=50)
    pairs = [(a, b) for a in range(6) for b in range(6) if a != b]
    arrived, _ = sent(parameters, [HERE] * 6, [(0, a, b) for a, b in pairs])
    of = {pair: arrived[number] for number, pair in enumerate(pairs)}
    assert all(of[a, b] == of[b, a] for a, b in pairs)
    assert len(set(of.values())) == 15
    assert all(2_500 <= delay <= 7_500 for delay in of.values())


def test_spare_nodes_stand_on_the_side_of_those_who_ask() -> None:
    nodes = Nodes(ConsistencyParameters(partition=2, far=2))
    assert list(nodes.spares_of(0)) == list(nodes.spares_of(2)) == [5, 6, 7, 8, 9]
    assert list(nodes.spares_of(3)) == list(nodes.spares_of(4)) == [10, 11, 12, 13, 14]
    assert {nodes.places[node] for node in nodes.spares_of(4)} == {nodes.places[4]}
    assert nodes.places[4] == Place(is_far=True, is_cut=True) != nodes.places[0]
    assert [nodes.successor_of(node) for node in (0, 4)] == [15, 19]
    assert nodes.places[nodes.successor_of(4)] == nodes.places[4]


# ---------------------------------------------------------------- clocks


@given(st.integers(0, 100_000), st.integers(0, 1_000), st.integers(0, 10**9))
def test_after_a_commit_wait_every_clock_shows_more(skew: int, seed: int, now_us: int) -> None:
    agenda = Agenda()
    parameters = ConsistencyParameters(skew_us=skew, commit_wait_us=skew)
    clocks = Clocks(parameters, 7, agenda, random.Random(seed))
    agenda.now_us = now_us
    timestamp_us = clocks.read_us(0)
    assert all(abs(error) <= skew for error in clocks.errors_us)
    agenda.now_us += clocks.commit_wait_us(0, timestamp_us)
    if skew:
        assert all(clocks.read_us(node) > timestamp_us for node in range(7))
        assert clocks.commit_wait_us(0, timestamp_us) == 0
    else:
        assert agenda.now_us == now_us


# ---------------------------------------------------------------- versions

vectors = st.one_of(st.just(()), st.tuples(*[st.integers(0, 3)] * 3))


@given(vectors, vectors, vectors)
def test_vectors_are_a_partial_order_with_least_upper_bounds(
    a: tuple[int, ...], b: tuple[int, ...], c: tuple[int, ...]
) -> None:
    order = Vectors()
    assert order.covers(a, a)
    assert order.covers(a, NOTHING)
    if order.covers(a, b) and order.covers(b, c):
        assert order.covers(a, c)
    joined = order.join(a, b)
    assert order.covers(joined, a)
    assert order.covers(joined, b)
    if order.covers(c, a) and order.covers(c, b):
        assert order.covers(c, joined)
    assert order.join(b, a) == joined


@st.composite
def stores(draw: st.DrawFn) -> tuple[Copies, Copies, Copies]:
    """Three sets of siblings of the same writes, each without any that another one covers."""
    written = draw(st.lists(st.tuples(*[st.integers(0, 3)] * 3), min_size=1, max_size=6,
                            unique=True))  # fmt: skip
    copies = [Copy(version, value) for value, version in enumerate(written, 1) if any(version)]
    order = Vectors()

    def some() -> Copies:
        found: Copies = ()
        for copy in copies:
            if draw(st.booleans()):
                found = order.merge(found, (copy,))
        return found

    return some(), some(), some()


@given(stores())
def test_siblings_merge_in_any_order(drawn: tuple[Copies, Copies, Copies]) -> None:
    a, b, c = drawn
    order = Vectors()
    assert order.merge(a, a) == a
    assert order.merge(a, b) == order.merge(b, a)
    assert order.merge(order.merge(a, b), c) == order.merge(a, order.merge(b, c))
    merged = order.merge(a, b)
    assert all(copy in (*a, *b) for copy in merged)
    assert not any(
        order.covers(one.version, other.version)
        for one in merged
        for other in merged
        if one != other
    )
    known = order.join(newest(order, a), newest(order, b))
    assert newest(order, merged) == known


def test_the_greater_stamp_wins_and_the_later_operation_a_tie() -> None:
    order = Stamps()
    one, other = (Copy((5, 1), 2),), (Copy((5, 4), 5),)
    assert order.merge(one, other) == order.merge(other, one) == other
    assert order.merge((), one) == one
    assert order.covers((5, 4), (5, 1))
    assert not order.covers(NOTHING, (5, 1))


def test_a_write_of_the_same_client_never_has_the_same_stamp() -> None:
    calls = [Call(number, 0, 0, 0, True, 0, NOTHING, lambda _: None) for number in (3, 8)]
    assert number_after((), calls[0]) == (1, 3)
    # It was given up, and the next one reads the same number from other replicas.
    assert number_after((), calls[1]) == (1, 8) > (1, 3)
    assert number_after((Copy((6, 2), 3),), calls[1]) == (7, 8)


@given(st.lists(st.integers(1, 9), min_size=1), st.randoms())
def test_a_replica_never_goes_back(numbers: list[int], rng: random.Random) -> None:
    replica = Replica(Stamps())
    for number in numbers:
        before = replica.read(0)
        replica.write(0, (Copy((number, number), number),))
        assert replica.read(0) >= before
    assert replica.read(0)[0].value == max(numbers)
    assert replica.read(1) == ()


# ---------------------------------------------------------------- members, hints, anti-entropy


def world_of(**changes: Any) -> World:
    return World.of(replace(STRONG, tail_percent=0, spread_percent=0, **changes), 3)


def test_members_change_at_once_and_are_known_later() -> None:
    world = world_of(replaced=2, replaced_at_us=100 * MS, replaced_lag_us=500 * MS)
    copies = (Copy((1, 0), 1),)
    world.replicas[4].write(0, copies)
    world.agenda.run()
    assert world.agenda.now_us == 100 * MS
    assert world.replicas[19].read(0) == copies
    assert world.members.now() == (0, 1, 2, 18, 19)
    assert [world.members.known_to(node) for node in range(5)].count((0, 1, 2, 3, 4)) >= 3
    world.agenda.now_us = 600 * MS
    assert {world.members.known_to(node) for node in range(5)} == {(0, 1, 2, 18, 19)}


def test_a_hint_is_handed_over_when_its_owner_can_be_reached() -> None:
    world = world_of(partition=1, partition_at_us=0, partition_for_us=1_000 * MS)
    handoff = Handoff(world)
    older, newer = (Copy((1, 0), 1),), (Copy((2, 1), 2),)
    handoff.keep(5, 4, 0, older)
    handoff.keep(5, 4, 0, newer)
    world.agenda.end_us = 900 * MS
    world.agenda.run()
    assert world.replicas[4].read(0) == ()
    assert world.network.sent == 0
    world.agenda.end_us = 1_200 * MS + 11 * MS
    world.agenda.run()
    assert world.replicas[4].read(0) == newer
    assert world.replicas[5].hints == {}
    world.agenda.end_us = None
    world.agenda.run()  # and nobody tries again, so that this ends


def test_a_lost_handover_is_tried_again() -> None:
    world = world_of(loss_per_mille=300, handoff_us=50 * MS)
    handoff = Handoff(world)
    for key in range(8):
        handoff.keep(5, 4, key, (Copy((1, key), key + 1),))
    world.agenda.run()
    assert world.network.dropped > 0
    assert len(world.replicas[4].store) == 8
    assert world.replicas[5].hints == {}


@pytest.mark.parametrize("count", [2, 3, 7])
def test_anti_entropy_brings_everything_everywhere(count: int) -> None:
    world = world_of(replicas=count, read_quorum=1, write_quorum=1, anti_entropy_us=100 * MS)
    AntiEntropy(world)
    for node in range(count):
        world.replicas[node].write(node, (Copy((1, node), node + 1),))
    world.agenda.end_us = 2_000 * MS
    world.agenda.run()
    assert all(
        world.replicas[node].store == world.replicas[0].store
        and len(world.replicas[0].store) == count
        for node in range(count)
    )


def call_of(node: int, *, is_write: bool) -> Call:
    return Call(0, 0, node, 0, is_write, 0, NOTHING, lambda _: None)


@pytest.mark.parametrize("kind", [ASYNCHRONOUS, SYNCHRONOUS])
def test_a_reply_that_comes_late_and_is_behind_is_repaired_too(kind: str) -> None:
    world = world_of(read_quorum=1, write_quorum=1, read_repair=kind)
    copies = (Copy((1, 0), 1),)
    world.replicas[0].write(0, copies)
    call = call_of(0, is_write=False)
    Quorum(world).read(call)
    run_until(world, 1 * MS)
    assert call.copies == copies  # its own replica was enough
    assert world.replicas[1].read(0) == ()
    run_until(world, 100 * MS)
    assert all(world.replicas[node].read(0) == copies for node in range(5))


# ---------------------------------------------------------------- the log


def test_a_write_that_was_turned_away_is_not_under_way() -> None:
    world = world_of(protocol=LEADER)
    leader = Leader(world)
    leader.logs[0].peers[2].leader = 1  # wrong, and not yet told
    call = call_of(2, is_write=True)
    leader.write(call)
    assert call.is_sent
    run_until(world, 15 * MS)
    assert not call.is_sent
    assert not call.is_over
    # By then it has heard of the leader.
    run_until(world, 1_000 * MS)
    assert call.is_over


def log_of(seed: int = 1, **changes: Any) -> tuple[World, Log]:
    parameters = replace(STRONG, protocol=LEADER, tail_percent=50, election_us=300 * MS, **changes)
    world = World.of(parameters, seed)
    return world, Log(world, 0)


def run_until(world: World, end_us: int) -> None:
    world.agenda.end_us = end_us
    world.agenda.run()
    world.agenda.now_us = end_us


def leaders(log: Log) -> list[int]:
    return [peer.node for peer in log.peers if peer.role == LEADS]


def test_an_entry_is_visible_when_a_majority_has_it() -> None:
    world, log = log_of()
    leader = log.peers[0]
    seen: list[int] = []
    position = log.append(leader, 0, 77)
    log.when_visible(leader, position, lambda: seen.append(world.agenda.now_us))
    assert position == 2
    assert seen == []
    run_until(world, 100 * MS)
    assert 5 * MS < seen[0] < 30 * MS
    assert [len(peer.log) for peer in log.peers] == [2] * 5
    # The followers hear of it with what the leader sends next.
    run_until(world, 300 * MS)
    assert [peer.last(0, peer.visible) for peer in log.peers] == [(2, 77)] * 5


def test_a_leader_without_a_majority_shows_nothing_and_is_replaced() -> None:
    world, log = log_of(partition=3, partition_at_us=0, partition_for_us=3_000 * MS)
    old = log.peers[0]
    log.append(old, 0, 77)
    confirmed: list[str] = []
    log.when_confirmed(old, lambda: confirmed.append("old"))
    run_until(world, 2_500 * MS)
    assert old.visible == 1
    assert confirmed == []
    assert old.role == LEADS  # it has heard of nobody
    new = next(peer for peer in log.peers[2:] if peer.role == LEADS)
    assert new.term > old.term
    log.append(new, 0, 88)
    run_until(world, 2_900 * MS)
    assert new.last(0, new.visible)[1] == 88
    run_until(world, 6_000 * MS)
    # Healed: the entry of the old leader is gone, and all have the same.
    assert all(peer.log == log.peers[0].log for peer in log.peers)
    assert 77 not in [entry.value for entry in old.log]
    assert len(leaders(log)) == 1
    assert confirmed == []


def test_a_leader_that_acknowledges_alone_shows_what_is_rolled_back() -> None:
    world, log = log_of(
        partition=3, partition_at_us=0, partition_for_us=3_000 * MS, leader_acknowledges=ALONE
    )
    old = log.peers[0]
    seen: list[str] = []
    log.when_visible(old, log.append(old, 0, 77), lambda: seen.append("at once"))
    assert seen == ["at once"]
    run_until(world, 6_000 * MS)
    assert old.last(0, old.visible) == (0, 0)
    assert old.visible == len(old.log)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 999), st.integers(0, 3), st.integers(0, 200), st.integers(3, 7))
def test_logs_agree_on_what_is_committed_and_there_is_one_leader_a_term(
    seed: int, cut: int, loss: int, count: int
) -> None:
    world, log = log_of(
        seed, replicas=count, partition=min(cut, count), partition_at_us=200 * MS,
        partition_for_us=1_500 * MS, loss_per_mille=loss, skew_us=400 * MS, delay_us=60 * MS,
    )  # fmt: skip
    # With so long a delay several want to lead at once, and each term has few votes to give.
    led: dict[int, set[int]] = {}
    committed: list[Any] = []
    rng = random.Random(seed)
    for step in range(60):
        run_until(world, (step + 1) * 60 * MS)
        for peer in log.peers:
            if peer.role == LEADS:
                led.setdefault(peer.term, set()).add(peer.node)
                if peer.term == max(each.term for each in log.peers):
                    for node, count_there in peer.matched.items():
                        there = log.peers[node].log[:count_there]
                        assert there == peer.log[:count_there]
                if rng.random() < 0.5:
                    log.append(peer, 0, 1_000 + step)
            # What was committed once is in the same place for ever (figure 3 of the paper).
            known = peer.log[: peer.committed]
            shorter = min(len(known), len(committed))
            assert known[:shorter] == committed[:shorter]
            committed = max(known, committed, key=len)
            assert peer.visible <= peer.committed <= len(peer.log)
            times = [entry.timestamp_us for entry in peer.log]
            assert times == sorted(set(times))
    assert all(len(nodes) == 1 for nodes in led.values())


def test_a_log_is_as_good_as_dead_without_a_majority_and_comes_back() -> None:
    world, log = log_of(partition=3, partition_at_us=0, partition_for_us=60_000 * MS, far=0)
    run_until(world, 2_000 * MS)
    done: list[str] = []
    append: Callable[[int], int] = lambda node: log.append(log.peers[node], 0, 5)  # noqa: E731
    log.when_visible(log.peers[0], append(0), lambda: done.append("minority"))
    led = [node for node in leaders(log) if node >= 2]
    log.when_visible(log.peers[led[0]], append(led[0]), lambda: done.append("majority"))
    run_until(world, 4_000 * MS)
    assert done == ["majority"]
