"""The running supervisors and those of the live figure make the same decisions, in one order."""

from __future__ import annotations

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from remotecalls.actors import (
    ActorSystem,
    Event,
    Restart,
    Strategy,
    SupervisorSpec,
    SystemFailed,
    What,
    actor,
    child,
    handler,
)
from remotecalls.simulators.supervision.model import run
from remotecalls.simulators.supervision.parameters import (
    CRASHED,
    CUSTOMERS,
    FRONT,
    KILLED,
    NORMAL,
    ORDERS,
    SHOP,
    STOCK,
    TOP,
    WEB_1,
    WEB_2,
    SupervisionParameters,
)

DEADLINE = 20.0


@actor
class Worker:
    @handler("crash")
    def crash(self) -> None:
        raise RuntimeError("told to")

    @handler("leave")
    def leave(self) -> None:
        self.actor.stop()  # type: ignore[attr-defined]


cases = st.builds(
    SupervisionParameters,
    strategy=st.sampled_from([each.value for each in Strategy]),
    intensity=st.integers(0, 4),
    top_intensity=st.integers(0, 2),
    victim=st.sampled_from([CUSTOMERS, ORDERS, STOCK, WEB_1]),
    restart=st.sampled_from([each.value for each in Restart]),
    end=st.sampled_from([KILLED, CRASHED, NORMAL]),
    kills=st.integers(0, 12),
    # All within one period, and each long after what the one before it led to.
    first_kill_us=st.just(5_000_000),
    interval_us=st.just(2_000_000),
    start_us=st.just(100_000),
    stop_us=st.just(0),
    rate=st.just(0),
)


def tree(parameters: SupervisionParameters) -> SupervisorSpec:
    def worker(name: str) -> object:
        is_victim = name == parameters.victim
        kind = Restart(parameters.restart) if is_victim else Restart.PERMANENT
        return child(Worker, name=name, restart=kind)

    limits = {"intensity": parameters.intensity, "period": parameters.period_us / 1e6}
    front = SupervisorSpec(FRONT, (worker(WEB_1), worker(WEB_2)), **limits)
    workers = (worker(CUSTOMERS), worker(ORDERS), worker(STOCK))
    shop = SupervisorSpec(SHOP, workers, Strategy(parameters.strategy), **limits)
    return SupervisorSpec(
        TOP,
        (front, shop),
        intensity=parameters.top_intensity,
        period=limits["period"],
        restart=Restart.TEMPORARY,
    )


async def decided(parameters: SupervisionParameters) -> list[tuple[str, str]]:
    """What a running system decides about the same ends."""
    async with asyncio.timeout(DEADLINE), ActorSystem() as system:
        top = await system.supervise(tree(parameters))
        for _ in range(parameters.kills):
            victim = system.whereis(parameters.victim)
            if victim is None:
                break
            if parameters.end == KILLED:
                victim.kill()
            else:
                victim.tell("crash" if parameters.end == CRASHED else "leave")
            await victim.ended(DEADLINE)
            await settled(system)
        decisions = words(tuple(system.events))
        if top.reason is None:
            return decisions
        assert top.gave_up
        return decisions


async def settled(system: ActorSystem) -> None:
    """Wait until nothing more happens: no supervisor is at work, and none has anything to do."""
    quiet = 0
    while quiet < 5:
        before = len(system.events)
        await asyncio.sleep(0)
        is_busy = len(asyncio.all_tasks()) > 1
        quiet = 0 if is_busy or len(system.events) != before else quiet + 1


def words(events: tuple[Event, ...]) -> list[tuple[str, str]]:
    """The events in the words of the simulator's log."""
    gave_up = {event.pid for event in events if event.what is What.GAVE_UP}
    found = []
    for event in events:
        if event.name == "system":
            continue
        if event.what in (What.STARTED, What.RESTARTED):
            found.append(("started", event.name))
        elif event.what is What.GAVE_UP:
            found.append(("gave-up", event.name))
        elif event.pid not in gave_up:
            is_asked = event.detail == "was shut down"
            found.append(("stopped" if is_asked else "killed", event.name))
    return found


@settings(max_examples=150, deadline=None)
@given(cases)
def test_a_running_system_decides_as_the_simulator_does(parameters: SupervisionParameters) -> None:
    simulated = run(parameters).decisions
    try:
        running = asyncio.run(decided(parameters))
    except SystemFailed:
        raise AssertionError("the top is temporary: its end is no failure of the system") from None
    assert running == simulated
