"""Supervision: what the presets promise, for many seeds, and small cases by hand."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from remotecalls.simulators.supervision.model import _Shop, run
from remotecalls.simulators.supervision.parameters import (
    CHILDREN,
    CUSTOMERS,
    ORDERS,
    SHOP,
    STOCK,
    TOP,
    WEB_1,
    WORKERS,
    SupervisionParameters,
)
from remotecalls.simulators.supervision.presets import PRESETS, SIMULATOR
from remotecalls.simulators.supervision.record import Event, Interval
from remotecalls.simulators.supervision.result import SupervisionResult
from remotecalls.simulators.supervision.rules import Strategy
from remotecalls.simulators.supervision.snapshot import Flow, Kind, State

SEEDS = range(12)
S = 1_000_000
START = [
    ("started", "web-1"),
    ("started", "web-2"),
    ("started", "front"),
    ("started", "customers"),
    ("started", "orders"),
    ("started", "stock"),
    ("started", "shop"),
    ("started", "top"),
]


def of_preset(name: str, seed: int = 1, **changes: Any) -> SupervisionResult:
    return run(dataclasses.replace(SIMULATOR.preset(name).parameters, **changes), seed)


def after_start(result: SupervisionResult) -> list[tuple[str, str]]:
    assert result.decisions[: len(START)] == START
    return result.decisions[len(START) :]


# ---------------------------------------------------------------- what the presets show


@pytest.mark.parametrize("seed", SEEDS)
def test_five_in_sixty_seconds_are_healed_and_the_sixth_is_not(seed: int) -> None:
    result = of_preset("five-in-sixty", seed)
    assert after_start(result) == [
        *[("killed", STOCK), ("started", STOCK)] * 5,
        ("killed", STOCK),
        ("gave-up", SHOP),
        ("stopped", ORDERS),
        ("stopped", CUSTOMERS),
        ("started", CUSTOMERS),
        ("started", ORDERS),
        ("started", STOCK),
        ("started", SHOP),
    ]
    assert [each.recent for each in result.restarts] == [1, 2, 3, 4, 5, 6, 1]
    assert [each.supervisor for each in result.restarts] == [SHOP] * 6 + [TOP]
    stopping = [each for each in result.intervals[SHOP] if each.state is State.STOPPING]
    assert [each.from_us for each in stopping] == [30 * S]
    # The new shop knows nothing of what the old one has counted.
    assert [result.recent(SHOP, at_us) for at_us in (29 * S, 30 * S, 40 * S)] == [5, 6, 0]
    five = of_preset("five-in-sixty", seed, kills=5)
    assert five.times(Event.GAVE_UP) == []
    assert five.restarted(STOCK) == 5
    # The other branch sees nothing of it.
    for name in ("front", "web-1", "web-2"):
        assert result.restarted(name) == 0
        assert result.state(name, result.end_us) is State.RUNNING


def test_the_window_moves_on() -> None:
    result = of_preset("window-moves")
    assert result.restarted(STOCK) == 7
    assert result.times(Event.GAVE_UP) == []
    assert [each.recent for each in result.restarts] == [1, 2, 3, 4, 5, 5, 5]
    # A second less between them, and the sixth falls into the minute of the first.
    assert of_preset("window-moves", interval_us=12 * S).times(Event.GAVE_UP) == [70 * S]


@pytest.mark.parametrize("seed", SEEDS)
def test_one_for_one_leaves_a_stale_neighbor(seed: int) -> None:
    result = of_preset("stale-neighbor", seed)
    assert after_start(result) == [("killed", CUSTOMERS), ("started", CUSTOMERS)]
    assert result.intervals[ORDERS][-1] == Interval(State.STALE, 12 * S, 60 * S)
    orders = result.traffic[ORDERS]
    assert not [at_us for at_us in orders.answered if at_us > 12 * S]
    late = [at_us for at_us in orders.failed if at_us > 13 * S]
    assert len(late) > 50
    # stock calls orders, which is the same process as before.
    assert result.spent_us(STOCK, State.STALE) == 0
    assert len(result.traffic[STOCK].failed) <= 1


@pytest.mark.parametrize("seed", SEEDS)
def test_a_stale_neighbor_that_crashes_heals_itself_and_the_next(seed: int) -> None:
    result = of_preset("let-it-crash", seed)
    restarted = {name: result.restarted(name) for name in WORKERS}
    assert restarted == {WEB_1: 0, "web-2": 0, CUSTOMERS: 1, ORDERS: 1, STOCK: 1}
    assert len(result.restarts) == 3
    assert result.times(Event.GAVE_UP) == []
    assert all(result.state(name, result.end_us) is State.RUNNING for name in WORKERS)
    answered = result.total("answered")
    assert answered > of_preset("stale-neighbor", seed).total("answered") + 30


@pytest.mark.parametrize("seed", SEEDS)
def test_rest_for_one_starts_those_that_depend_on_it(seed: int) -> None:
    result = of_preset("rest-for-one", seed)
    assert after_start(result) == [
        ("killed", CUSTOMERS),
        ("stopped", STOCK),
        ("stopped", ORDERS),
        ("started", CUSTOMERS),
        ("started", ORDERS),
        ("started", STOCK),
    ]
    stale = of_preset("stale-neighbor", seed)
    assert result.spent_us(STOCK, State.STALE) == 0
    assert result.spent_us(ORDERS, State.STALE) <= 1 * S  # until it is stopped
    assert result.total("answered") > stale.total("answered") + 30


@pytest.mark.parametrize("seed", SEEDS)
def test_rest_for_one_spares_those_before(seed: int) -> None:
    result = of_preset("rest-spares-the-first", seed)
    assert after_start(result) == [
        ("killed", ORDERS),
        ("stopped", STOCK),
        ("started", ORDERS),
        ("started", STOCK),
    ]
    assert result.traffic[CUSTOMERS].state_lost == []
    assert len(result.traffic[STOCK].state_lost) > 0


@pytest.mark.parametrize("seed", SEEDS)
def test_one_for_all_costs_neighbors_that_were_well(seed: int) -> None:
    costly = of_preset("one-for-all", seed)
    cheap = of_preset("one-for-all", seed, strategy=Strategy.ONE_FOR_ONE.value)
    for name in (CUSTOMERS, ORDERS):
        assert costly.restarted(name) == 3
        assert cheap.restarted(name) == 0
        assert costly.traffic[name].state_lost
        assert not cheap.traffic[name].state_lost
    assert len(costly.restarts) == len(cheap.restarts) == 3
    assert costly.total("answered") < cheap.total("answered")
    assert cheap.spent_us(ORDERS, State.STALE) == cheap.spent_us(STOCK, State.STALE) == 0


@pytest.mark.parametrize("seed", SEEDS)
def test_a_transient_child_that_ends_as_it_should_stays_away(seed: int) -> None:
    result = of_preset("transient", seed)
    assert after_start(result) == [("killed", STOCK)]
    assert result.restarts == ()
    stock = result.traffic[STOCK]
    [ended_us] = result.times(Event.KILLED)
    assert all(at_us in stock.failed for at_us in stock.arrived if at_us > ended_us)
    assert after_start(of_preset("transient", seed, end="crashed")) == [
        ("killed", STOCK),
        ("started", STOCK),
    ]
    permanent = of_preset("transient", seed, restart="permanent")
    assert permanent.restarted(STOCK) == 1


def test_a_temporary_child_is_forgotten() -> None:
    result = of_preset("temporary")
    assert after_start(result) == [("killed", WEB_1)]
    assert result.restarts == ()


@pytest.mark.parametrize("seed", SEEDS)
def test_a_crash_loop_escalates_until_it_comes_up(seed: int) -> None:
    result = of_preset("crash-loop", seed)
    assert len(result.times(Event.FAILED_TO_START, CUSTOMERS)) == 7
    assert len(result.times(Event.FAILED_TO_START, SHOP)) == 2
    [gave_up_us] = result.times(Event.GAVE_UP)
    shop, top = (
        [each for each in result.restarts if each.supervisor == name] for name in (SHOP, TOP)
    )
    assert [each.recent for each in shop] == [1, 2, 3, 4, 5, 6]
    assert [each.recent for each in top] == [1, 2, 3]
    assert shop[-1].at_us == gave_up_us <= top[0].at_us
    assert result.ended_us is None
    assert all(result.state(name, result.end_us) is State.RUNNING for name in WORKERS)


@pytest.mark.parametrize("seed", SEEDS)
def test_escalation_heals_what_a_restart_cannot(seed: int) -> None:
    result = of_preset("next-door", seed)
    [gave_up_us] = result.times(Event.GAVE_UP)
    kills = result.times(Event.KILLED, ORDERS)
    assert len(kills) == 6
    assert kills[-1] == gave_up_us
    assert result.restarted(CUSTOMERS, gave_up_us) == 0
    assert result.restarted(CUSTOMERS) == 1
    later = [at_us for at_us in result.traffic[ORDERS].answered if at_us > gave_up_us]
    between = [at_us for at_us in result.traffic[ORDERS].answered if kills[0] < at_us < gave_up_us]
    assert len(later) > 20
    assert between == []
    # Where all are restarted together, the first restart heals it.
    together = of_preset("next-door", seed, strategy=Strategy.ONE_FOR_ALL.value)
    assert together.times(Event.GAVE_UP) == []
    assert len(together.times(Event.KILLED)) == 1


def test_a_bad_record_is_only_where_somebody_is_called() -> None:
    plain, bad = (of_preset("stale-neighbor", bad_state=switch) for switch in (False, True))
    assert plain.log == bad.log


def test_a_killed_supervisor_takes_its_children_with_it() -> None:
    result = of_preset("supervisor-killed")
    assert after_start(result) == [
        *[("killed", name) for name in (SHOP, STOCK, ORDERS, CUSTOMERS)],
        *[("started", name) for name in (CUSTOMERS, ORDERS, STOCK, SHOP)],
    ]
    assert {entry.reason for entry in result.log if entry.event is Event.KILLED} == {
        "killed",
        "linked",
    }
    asked = of_preset("supervisor-killed", end="normal")
    assert State.STOPPING in [each.state for each in asked.intervals[SHOP]]
    assert after_start(asked)[:4] == [
        ("stopped", STOCK),
        ("stopped", ORDERS),
        ("stopped", CUSTOMERS),
        ("killed", SHOP),
    ]


def test_a_transient_supervisor_that_ends_as_it_should_stays_away() -> None:
    result = of_preset("supervisor-killed", restart="transient", end="normal")
    assert after_start(result)[-1] == ("killed", SHOP)
    assert result.state(SHOP, result.end_us) is State.DEAD
    assert result.ended_us is None
    killed = of_preset("supervisor-killed", restart="transient")
    assert killed.restarted(SHOP) == 1


@pytest.mark.parametrize("seed", SEEDS)
def test_the_top_gives_up_and_that_is_the_end(seed: int) -> None:
    result = of_preset("top-gives-up", seed)
    assert [entry.name for entry in result.log if entry.event is Event.GAVE_UP] == [SHOP, TOP]
    assert result.decisions[-3:] == [("stopped", "web-2"), ("stopped", WEB_1), ("stopped", "front")]
    assert result.ended_us == result.log[-1].at_us
    assert len([each for each in result.restarts if each.supervisor == TOP]) == 4
    came, failed = (
        result.total(what) - result.total(what, result.ended_us) for what in ("arrived", "failed")
    )
    assert came == failed > 100


def test_the_first_preset_has_the_numbers_of_the_article() -> None:
    parameters = PRESETS[0].parameters
    assert (parameters.strategy, parameters.intensity, parameters.period_us) == (
        "one-for-one",
        5,
        60 * S,
    )


# ---------------------------------------------------------------- by hand


def test_the_tree_starts_one_after_the_other() -> None:
    result = run(SupervisionParameters(kills=0, rate=0), 1)
    assert result.decisions == START
    assert [entry.at_us // S for entry in result.log] == [1, 2, 2, 3, 4, 5, 5, 5]
    assert result.intervals[STOCK] == (
        Interval(State.DEAD, 0, 4 * S),
        Interval(State.STARTING, 4 * S, 5 * S),
        Interval(State.RUNNING, 5 * S, 60 * S),
    )
    assert result.intervals[SHOP][1] == Interval(State.STARTING, 2 * S, 5 * S)


def test_a_kill_before_the_tree_is_up_is_the_end_of_it() -> None:
    """A supervisor whose first start fails has nobody to try again: top is not up either."""
    result = run(SupervisionParameters(first_kill_us=2_500_000), 1)
    assert result.decisions == [
        *START[:3],
        ("killed", CUSTOMERS),
        ("stopped", "web-2"),
        ("stopped", "web-1"),
        ("stopped", "front"),
    ]
    assert result.times(Event.FAILED_TO_START, SHOP) == [2_500_000]
    assert result.times(Event.FAILED_TO_START, TOP) == [3_500_000]
    assert result.ended_us == 3_500_000


def test_a_worker_that_does_not_stop_in_time_is_killed() -> None:
    parameters = SupervisionParameters(
        strategy="one-for-all", victim=STOCK, rate=0, stop_us=3 * S, shutdown_us=2 * S
    )
    result = run(parameters, 1)
    assert [
        (entry.at_us // S, entry.name, entry.reason)
        for entry in result.log
        if entry.event is Event.STOPPED
    ] == [(14, ORDERS, "overdue"), (16, CUSTOMERS, "overdue")]
    assert result.times(Event.STARTED, STOCK) == [5 * S, 19 * S]


def test_a_stop_waits_for_the_request_in_work_and_loses_those_in_the_mailbox() -> None:
    parameters = SupervisionParameters(
        strategy="one-for-all", victim=STOCK, rate=40, work_us=1_000_000, stop_us=0,
        shutdown_us=10 * S, duration_us=30 * S,
    )  # fmt: skip
    result = run(parameters, 1)
    [stopped_us] = result.times(Event.STOPPED, CUSTOMERS)
    stopping = next(each for each in result.intervals[CUSTOMERS] if each.state is State.STOPPING)
    customers = result.traffic[CUSTOMERS]
    assert stopping.until_us == stopped_us
    # It ends with what it works on, which is over then, and takes nothing more.
    assert stopping.from_us < stopped_us
    assert not [at_us for at_us in customers.taken if stopping.from_us < at_us < stopped_us]
    in_mailbox = customers.mailbox(stopped_us - 1)
    assert in_mailbox > 5
    assert customers.messages_lost.count(stopped_us) == in_mailbox
    assert customers.mailbox(stopped_us) == 0


def test_messages_wait_while_a_process_starts_and_fail_while_it_is_dead() -> None:
    """Under rest-for-one stock is stopped first and started last: it is dead for a while."""
    parameters = SupervisionParameters(
        strategy="rest-for-one", rate=20, work_us=10_000, start_us=2 * S, first_kill_us=20 * S
    )
    result = run(parameters, 1)
    stock = result.traffic[STOCK]
    dead, starting = (
        [each for each in result.intervals[STOCK] if each.state is state][-1]
        for state in (State.DEAD, State.STARTING)
    )
    assert dead.until_us == starting.from_us
    came = [at_us for at_us in stock.arrived if dead.from_us < at_us < dead.until_us]
    assert came
    assert all(at_us in stock.failed for at_us in came)
    waited = [at_us for at_us in stock.arrived if starting.from_us < at_us < starting.until_us]
    assert waited
    assert stock.mailbox(starting.until_us - 1) == len(waited)
    assert not [at_us for at_us in stock.failed if starting.from_us < at_us < starting.until_us]


def killing(parameters: SupervisionParameters, *kills: tuple[int, str, str]) -> SupervisionResult:
    """A run in which others than the victim end as well: each when, who and how."""
    shop = _Shop(parameters)
    for at_us, name, reason in kills:
        shop.agenda.at(at_us, shop.processes[name].kill, reason)
    return shop.result(1)


def test_a_temporary_neighbor_that_is_stopped_with_others_is_not_started_with_them() -> None:
    parameters = SupervisionParameters(
        strategy="one-for-all", victim=STOCK, restart="temporary", kills=0
    )
    result = killing(parameters, (10 * S, CUSTOMERS, "killed"), (20 * S, CUSTOMERS, "killed"))
    assert after_start(result) == [
        ("killed", CUSTOMERS),
        ("stopped", STOCK),
        ("stopped", ORDERS),
        ("started", CUSTOMERS),
        ("started", ORDERS),
        ("killed", CUSTOMERS),
        ("stopped", ORDERS),
        ("started", CUSTOMERS),
        ("started", ORDERS),
    ]


def test_a_temporary_child_that_has_ended_comes_back_with_a_new_supervisor_only() -> None:
    parameters = SupervisionParameters(
        strategy="one-for-all", victim=STOCK, restart="temporary", kills=0
    )
    result = killing(
        parameters,
        (10 * S, STOCK, "killed"),
        (20 * S, CUSTOMERS, "killed"),
        (30 * S, SHOP, "killed"),
    )
    assert after_start(result) == [
        ("killed", STOCK),
        ("killed", CUSTOMERS),
        ("stopped", ORDERS),
        ("started", CUSTOMERS),
        ("started", ORDERS),
        ("killed", SHOP),
        ("killed", ORDERS),
        ("killed", CUSTOMERS),
        ("started", CUSTOMERS),
        ("started", ORDERS),
        ("started", STOCK),
        ("started", SHOP),
    ]


def test_a_transient_neighbor_that_had_ended_is_started_with_the_others() -> None:
    """As in OTP: what has ended as it should is still a child."""
    parameters = SupervisionParameters(
        strategy="one-for-all", victim=STOCK, restart="transient", end="normal"
    )
    result = killing(parameters, (20 * S, CUSTOMERS, "killed"))
    assert after_start(result) == [
        ("killed", STOCK),
        ("killed", CUSTOMERS),
        ("stopped", ORDERS),
        ("started", CUSTOMERS),
        ("started", ORDERS),
        ("started", STOCK),
    ]


def test_who_is_killed_while_it_ends_its_work_does_not_end_again() -> None:
    parameters = SupervisionParameters(kills=0, rate=40, work_us=1_000_000)
    result = killing(parameters, (20 * S, CUSTOMERS, "normal"), (20 * S, CUSTOMERS, "killed"))
    assert after_start(result) == [("killed", CUSTOMERS), ("started", CUSTOMERS)]


def test_an_end_during_another_restart_is_answered_after_it() -> None:
    parameters = SupervisionParameters(kills=0, rate=0)
    result = killing(parameters, (10 * S, CUSTOMERS, "killed"), (10 * S + 500_000, STOCK, "killed"))
    assert after_start(result) == [
        ("killed", CUSTOMERS),
        ("killed", STOCK),
        ("started", CUSTOMERS),
        ("started", STOCK),
    ]
    assert result.times(Event.STARTED, STOCK)[-1] == 12 * S
    assert [each.at_us for each in result.restarts] == [10 * S, 11 * S]


def test_an_end_during_a_restart_that_takes_it_along_is_no_news() -> None:
    parameters = SupervisionParameters(kills=0, rate=0, strategy="one-for-all")
    result = killing(
        parameters, (10 * S, CUSTOMERS, "killed"), (10 * S + 100_000, ORDERS, "killed")
    )
    assert after_start(result) == [
        ("killed", CUSTOMERS),
        ("killed", ORDERS),
        ("stopped", STOCK),
        ("started", CUSTOMERS),
        ("started", ORDERS),
        ("started", STOCK),
    ]
    assert len(result.restarts) == 1


def test_a_branch_ends_with_the_top_in_the_reverse_order_of_the_starts() -> None:
    parameters = SupervisionParameters(kills=0, rate=0, top_intensity=0)
    result = killing(parameters, (10 * S, "front", "killed"))
    assert after_start(result) == [
        ("killed", "front"),
        ("killed", "web-2"),
        ("killed", "web-1"),
        ("gave-up", TOP),
        ("stopped", STOCK),
        ("stopped", ORDERS),
        ("stopped", CUSTOMERS),
        ("stopped", SHOP),
    ]
    assert result.ended_us == 11 * S + 500_000


def test_the_other_branch_gives_up_by_the_same_numbers() -> None:
    parameters = SupervisionParameters(kills=0, intensity=1)
    result = killing(parameters, (10 * S, WEB_1, "killed"), (12 * S, "web-2", "killed"))
    assert result.times(Event.GAVE_UP, "front") == [12 * S]


def test_a_call_is_half_of_the_work() -> None:
    """Where nobody waits: a request is worked on, and then the call takes half as long again."""
    result = run(SupervisionParameters(kills=0, rate=1, work_us=10_000, duration_us=180 * S), 1)
    orders, customers = result.traffic[ORDERS], result.traffic[CUSTOMERS]
    assert len(orders.arrived) == len(orders.answered) > 20
    for arrived_us, answered_us in zip(orders.arrived, orders.answered, strict=True):
        calls = [at_us for at_us in customers.queued if arrived_us < at_us < answered_us]
        assert any(answered_us - at_us == (at_us - arrived_us) // 2 for at_us in calls)


def test_the_load_does_not_depend_on_what_becomes_of_it() -> None:
    results = [of_preset(preset.name, 3, duration_us=30 * S) for preset in PRESETS]
    arrivals = {name: results[0].traffic[name].arrived for name in WORKERS}
    for result in results[1:]:
        assert {name: result.traffic[name].arrived for name in WORKERS} == arrivals
    other = of_preset(PRESETS[0].name, 4, duration_us=30 * S)
    assert other.traffic[WEB_1].arrived != arrivals[WEB_1]
    assert min(min(times) for times in arrivals.values()) >= 5 * S


def test_a_snapshot_is_the_tree_at_that_time() -> None:
    result = of_preset("stale-neighbor")
    tree = result.snapshot(12_500_000)
    nodes = {node.name: node for node in tree}
    assert list(nodes) == [
        "top", "front", "web-1", "web-2", "shop", "customers", "orders", "stock"
    ]  # fmt: skip
    assert {name: tuple(child.name for child in nodes[name].children) for name in CHILDREN} == (
        CHILDREN
    )
    assert (nodes[CUSTOMERS].state, nodes[ORDERS].state) == (State.STARTING, State.STALE)
    assert nodes[SHOP].strategy is Strategy.ONE_FOR_ONE
    assert nodes[CUSTOMERS].strategy is None
    assert [node.kind for node in tree].count(Kind.SUPERVISOR) == 3
    assert nodes[CUSTOMERS].restarts == 0
    late = {node.name: node for node in result.snapshot(13 * S)}
    assert (late[CUSTOMERS].state, late[CUSTOMERS].restarts) == (State.RUNNING, 1)
    full = of_preset("rest-for-one", rate=40, work_us=500_000)
    for node in full.snapshot(40 * S):
        if node.kind is Kind.WORKER:
            assert node.mailbox == full.traffic[node.name].mailbox(40 * S)
    assert sum(node.mailbox for node in full.snapshot(40 * S)) > 50


def test_flows_are_what_was_sent_by_then() -> None:
    result = of_preset("stale-neighbor")
    early, late = result.flows_by(12 * S), result.flows_by(60 * S)
    calls = {flow for flow in early if flow.sender == ORDERS}
    assert len(calls) == 1
    # A reference to nobody carries nothing.
    assert {flow for flow in late if flow.sender == ORDERS} == calls
    assert result.flows_by(4 * S) == ()
    opened = next(flow for flow in late if flow.sender == STOCK)
    assert opened == Flow(STOCK, ORDERS, "open orders", opened.count)
    assert opened.count >= len(result.traffic[STOCK].answered)


def test_the_numbers_of_a_run_are_in_its_json() -> None:
    result = of_preset("five-in-sixty", 2)
    data = json.loads(json.dumps(result.to_json()))
    assert data["intervals"][STOCK][0] == ["dead", 0, 4 * S]
    assert len(data["log"]) == len(result.log)
    assert len(data["kills"]) == 6
    assert [each["is_allowed"] for each in data["restarts"]] == [True] * 5 + [False, True]
    for name, traffic in result.traffic.items():
        worker = data["workers"][name]
        for what in ("arrived", "answered", "failed", "lost", "messages_lost", "state_lost"):
            assert len(worker[what]) == 60
            assert sum(worker[what]) == len(getattr(traffic, what))
        assert worker["waiting"] == traffic.waiting(result.end_us)
    second = [at_us // S for at_us in result.traffic[WEB_1].arrived]
    assert data["workers"][WEB_1]["arrived"][10] == second.count(10)
