"""What OTP's supervisor does with servers that end, seen from outside."""

from __future__ import annotations

import asyncio
import time

import pytest

from remotecalls.actors.otp import (
    Atom,
    NoSuchServer,
    OtpNode,
    RemoteFailure,
    Report,
    ServerDown,
    heals,
    is_supervised,
    reports,
    running_node,
    start_shop,
    stop_shop,
    trials,
)
from remotecalls.actors.otp.shop import SUPERVISOR
from remotecalls.actors.otp.trials import kill_under_load
from remotecalls.simulators.supervision.rules import Strategy
from remotecalls.wire.errors import DeadlineExceeded

CUSTOMERS, ORDERS = "customer_server", "order_server"


async def until_gone(node: OtpNode) -> None:
    async with asyncio.timeout(10):
        while await is_supervised(node):  # noqa: ASYNC110 (the node's event, not ours)
            await asyncio.sleep(0.005)


async def kill_and_wait(node: OtpNode, server: str = CUSTOMERS) -> None:
    await node.restarted(server, await node.kill(server))


async def test_five_restarts_are_made_and_the_sixth_ends_the_supervisor() -> None:
    async with running_node() as node:
        await start_shop(node)  # five within 60 s
        outcomes = [await heals(node, CUSTOMERS) for _ in range(5)]
        assert outcomes == [True] * 5
        assert await node.whereis(ORDERS) is not None
        assert await heals(node, CUSTOMERS) is False
        assert await node.whereis(CUSTOMERS) is None
        assert await node.whereis(ORDERS) is None  # which nobody had harmed
        killed = Report("child_terminated", CUSTOMERS, "killed")
        gave_up = Report("shutdown", CUSTOMERS, "reached_max_restart_intensity")
        assert await reports(node) == [killed] * 6 + [gave_up]
        with pytest.raises(NoSuchServer):
            await node.call(CUSTOMERS, Atom("count"))
        assert await node.rpc("erlang", "node") == Atom(node.name)  # the node goes on
        await start_shop(node)
        assert await node.call(CUSTOMERS, Atom("count")) == 0


@pytest.mark.parametrize("intensity", [1, 10])
async def test_as_many_restarts_as_are_allowed_and_not_one_more(intensity: int) -> None:
    async with running_node() as node:
        await start_shop(node, intensity=intensity)
        restarts = 0
        while await heals(node, CUSTOMERS):
            restarts += 1
        assert restarts == intensity


async def test_the_restarts_of_both_servers_are_counted_together() -> None:
    async with running_node() as node:
        await start_shop(node)
        for server in (CUSTOMERS, ORDERS, CUSTOMERS, ORDERS, CUSTOMERS):
            await kill_and_wait(node, server)
        await node.kill(ORDERS)
        await until_gone(node)


async def test_restarts_that_are_older_than_the_period_do_not_count() -> None:
    async with running_node() as node:
        await start_shop(node, intensity=1, period_seconds=1)
        for _ in range(3):
            await kill_and_wait(node)
            await asyncio.sleep(2.1)  # OTP counts whole seconds
        assert await is_supervised(node)
        await kill_and_wait(node)
        await node.kill(CUSTOMERS)
        await until_gone(node)


async def test_without_restarts_the_first_end_is_the_last() -> None:
    async with running_node() as node:
        await start_shop(node, intensity=0)
        with pytest.raises(ServerDown, match="badkey"):
            await node.call(CUSTOMERS, (Atom("deposit"), "nobody", 1))
        await until_gone(node)


@pytest.mark.parametrize(
    ("strategy", "killed", "restarted"),
    [
        (Strategy.ONE_FOR_ONE, CUSTOMERS, [CUSTOMERS]),
        (Strategy.ONE_FOR_ONE, ORDERS, [ORDERS]),
        (Strategy.ONE_FOR_ALL, CUSTOMERS, [CUSTOMERS, ORDERS]),
        (Strategy.ONE_FOR_ALL, ORDERS, [CUSTOMERS, ORDERS]),
        (Strategy.REST_FOR_ONE, CUSTOMERS, [CUSTOMERS, ORDERS]),
        (Strategy.REST_FOR_ONE, ORDERS, [ORDERS]),
    ],
)
async def test_what_starts_again(strategy: Strategy, killed: str, restarted: list[str]) -> None:
    async with running_node() as node:
        await start_shop(node, strategy)
        before = await node.children(SUPERVISOR)
        assert list(before) == [CUSTOMERS, ORDERS]
        await kill_and_wait(node, killed)
        after = await node.children(SUPERVISOR)
        assert None not in after.values()
        assert [name for name in before if before[name] != after[name]] == restarted


async def test_a_restarted_server_has_lost_its_state_and_the_other_has_not() -> None:
    async with running_node() as node:
        await start_shop(node)
        await node.call(CUSTOMERS, (Atom("add_customer"), "ada", "Ada", 1))
        await node.call(ORDERS, (Atom("place_order"), "ada", 1))
        await kill_and_wait(node)
        assert await node.call(CUSTOMERS, Atom("count")) == 0
        assert await node.call(ORDERS, Atom("count")) == 1


async def test_a_killed_server_is_back_before_anybody_notices() -> None:
    async with running_node() as node:
        await start_shop(node, intensity=100)
        seconds = []
        for _ in range(20):
            start = time.monotonic()
            await kill_and_wait(node)
            seconds.append(time.monotonic() - start)
        assert min(seconds) < 1


async def test_it_starts_once_and_stops() -> None:
    async with running_node() as node:
        await start_shop(node)
        with pytest.raises(RemoteFailure, match="already_started"):
            await start_shop(node)
        await stop_shop(node)
        assert not await is_supervised(node)
        await stop_shop(node)
        with pytest.raises(RemoteFailure, match="noproc"):
            await node.children(SUPERVISOR)
        with pytest.raises(RemoteFailure, match="invalid_intensity"):
            await start_shop(node, intensity=-1)


async def test_a_server_that_does_not_come_back() -> None:
    async with running_node() as node:
        await start_shop(node, intensity=0)
        running = await node.whereis(CUSTOMERS)
        assert running is not None
        with pytest.raises(DeadlineExceeded):  # it is still the same
            await node.restarted(CUSTOMERS, running, timeout=0.1)
        assert await node.kill(CUSTOMERS) == running
        with pytest.raises(DeadlineExceeded):
            await node.restarted(CUSTOMERS, running, timeout=0.1)


async def test_under_load_each_kill_costs_at_most_the_calls_that_were_under_way() -> None:
    async with running_node() as node:
        await start_shop(node, intensity=1000)
        tally = await kill_under_load(node, kills=10, callers=8)
        assert tally.answered >= 11 * 100
        assert 1 <= tally.lost <= 10 * 8
        # Nobody has the name for a moment, and a caller can call again and again in it.
        assert tally.made == tally.answered + tally.lost + tally.refused
        assert len(tally.answers) == 1
        assert [each.what for each in await reports(node)] == ["child_terminated"] * 10


async def test_a_server_that_does_not_come_back_under_load(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(trials, "RESTART_SECONDS", 0.2)
    async with running_node() as node:
        await start_shop(node, intensity=0)
        with pytest.raises(ExceptionGroup) as caught:
            await kill_under_load(node, kills=1)
        assert [type(each) for each in caught.value.exceptions] == [DeadlineExceeded]
