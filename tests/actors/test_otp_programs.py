"""What the Erlang programs show: faults of a server by hand, new code, costs, distance."""

from __future__ import annotations

import asyncio
import statistics

import pytest

from remotecalls.actors.otp import Atom, OtpNode, RemoteFailure, Term, running_node, start_shop
from remotecalls.actors.otp.measures import (
    busy_loops,
    calls_per_second,
    copying,
    processes,
    round_trips,
)
from remotecalls.actors.otp.trials import upgrade_under_load
from remotecalls.actors.otp.upgrade import first_version, load, second_version, upgrade
from remotecalls.wire.faults import Delay, Drop
from remotecalls.wire.recording import Direction
from remotecalls.wire.tap import Tap

BARE = "bare_customer_server"
CUSTOMERS = "customer_server"
TIMEOUT = Atom("timeout")


def by_name(found: Term) -> dict[str, Term]:
    assert isinstance(found, dict)
    return {key.name: value for key, value in found.items()}


# ---------------------------------------------------------------- a server by hand


async def test_a_late_answer_is_taken_for_the_next_one_and_by_gen_server_it_is_not() -> None:
    async with running_node() as node:
        late = by_name(await node.rpc("failing_calls", "late", 50))
    alice, bob = (
        {Atom("name"): name, Atom("balance"): balance}
        for name, balance in ((b"Alice", 100), (b"Bob", 200))
    )
    # Both asked for Alice, gave up, asked for Bob, and asked for Alice again.
    assert late == {"bare": [TIMEOUT, alice, bob], "gen_server": [TIMEOUT, bob, alice]}


async def test_a_crash_costs_the_whole_time_out_and_by_gen_server_it_does_not() -> None:
    async with running_node() as node:
        crash = by_name(await node.rpc("failing_calls", "crash", 3_000, timeout=30))
    bare, told = crash["bare"], crash["gen_server"]
    assert isinstance(bare, tuple)
    assert bare[0] == b"timeout"
    assert bare[1] >= 3_000_000
    assert isinstance(told, tuple)
    assert told[0] == b'{badkey,<<"nobody">>}'
    assert told[1] < 1_000_000


async def scripted(node: OtpNode, *events: str) -> dict[str, Term]:
    return by_name(await node.rpc("scripted_calls", "run", list(events)))


async def test_a_client_may_believe_in_a_change_that_nobody_made_and_not_in_one_that_was() -> None:
    async with running_node() as node:
        both = await scripted(node, "ask ada", "serve", "ask bob", "serve")
        assert both == {"confirmed": [b"ada", b"bob"], "made": [b"ada", b"bob"]}
        unheard = await scripted(node, "ask ada", "give up", "serve")
        assert unheard == {"confirmed": [], "made": [b"ada"]}
        invented = await scripted(node, "ask ada", "give up", "serve", "ask bob", "crash")
        assert invented == {"confirmed": [b"bob"], "made": [b"ada"]}
        lost = await scripted(node, "ask ada", "crash", "serve")
        assert lost == {"confirmed": [], "made": []}
        for wrong in (["give up"], ["ask ada", "ask bob"], ["dance"]):
            with pytest.raises(RemoteFailure, match=f'{{not_now,<<"{wrong[-1]}">>}}'):
                await scripted(node, *wrong)
        assert (await scripted(node, "ask bob", "serve"))["made"] == [b"bob"]


async def test_a_start_that_answers_with_a_bare_process_leaves_it_without_supervision() -> None:
    async with running_node() as node:
        attempts = await node.rpc("bare_supervisor", "attempt")
        assert isinstance(attempts, list)
        first, second = (by_name(each) for each in attempts)
        assert isinstance(first["answer"], bytes)
        assert isinstance(second["answer"], bytes)
        failed = b"{error,{shutdown,{failed_to_start_child,customer_server,"
        assert first["answer"].startswith(failed + b"<0.")
        # The first server runs, and has the name: the second cannot take it, and runs without.
        assert second["answer"].startswith(failed + b"{'EXIT',{badarg,[{erlang,register,")
        assert (first["orphans"], second["orphans"]) == (1, 2)
        assert await node.whereis(BARE) is None


# ---------------------------------------------------------------- new code


async def test_new_code_reaches_a_server_that_is_being_called_and_no_call_is_lost() -> None:
    async with running_node() as node:
        await start_shop(node)
        await node.call(CUSTOMERS, (Atom("add_customer"), "ada", "Ada", 5_000))
        running = await node.whereis(CUSTOMERS)
        tally = await upgrade_under_load(node, second_version(CUSTOMERS))
        assert tally.answers == [1, 2]  # the first, then the second for good
        assert (tally.lost, tally.refused) == (0, 0)
        assert tally.answered >= 200
        assert await node.whereis(CUSTOMERS) == running  # the same process
        assert await node.call(CUSTOMERS, Atom("count")) == 1  # with its state
        assert await node.call(CUSTOMERS, Atom("changes")) == 0  # in its new shape
        assert await node.call(CUSTOMERS, (Atom("deposit"), "ada", 1)) == (Atom("ok"), 5_001)
        assert await node.call(CUSTOMERS, Atom("changes")) == 1


async def test_code_that_cannot_take_over_the_state_leaves_the_server_running() -> None:
    async with running_node() as node:
        await start_shop(node)
        await upgrade(node, CUSTOMERS, second_version(CUSTOMERS))
        with pytest.raises(RemoteFailure, match="sys:change_code"):
            await upgrade(node, CUSTOMERS, second_version(CUSTOMERS))  # its state is the new one
        assert await node.call(CUSTOMERS, Atom("version")) == 2
        with pytest.raises(RemoteFailure, match="code:load_binary"):
            await upgrade(node, CUSTOMERS, b"no code")
        assert await node.call(CUSTOMERS, Atom("version")) == 2


async def test_a_loop_that_does_not_name_its_module_keeps_its_code_and_dies_of_the_third() -> None:
    async with running_node() as node:
        pid = await node.rpc(BARE, "start")

        async def runs_old_code() -> Term:
            return await node.rpc("erlang", "check_process_code", pid, Atom(BARE))

        assert await runs_old_code() is False
        await load(node, BARE, first_version(BARE))
        assert await node.rpc(BARE, "get_customer", "ada", 5_000) == Atom("not_found")
        assert await runs_old_code() is True  # though it has been called since
        await load(node, BARE, first_version(BARE))
        assert await node.whereis(BARE) is None


async def test_a_gen_server_takes_new_code_with_its_next_message() -> None:
    async with running_node() as node:
        await start_shop(node)
        running = await node.whereis(CUSTOMERS)
        for _ in range(3):
            await load(node, CUSTOMERS, first_version(CUSTOMERS))
            assert await node.call(CUSTOMERS, Atom("version")) == 1
        assert await node.whereis(CUSTOMERS) == running


# ---------------------------------------------------------------- costs


async def test_a_process_costs_kilobytes_and_microseconds() -> None:
    async with running_node() as node:
        found = await processes(node, 20_000)
        assert found.count == 20_000
        assert 1_000 < found.own_bytes < 10_000
        assert 1_000 < found.bytes / found.count < 10_000
        assert 0 < found.nanoseconds / found.count < 1_000_000
        assert await calls_per_second(node, 10_000) > 1_000
        assert await node.rpc("erlang", "system_info", Atom("process_count")) < 200  # type: ignore[operator]


async def test_a_busy_loop_does_not_stop_others_though_there_is_one_scheduler() -> None:
    async with running_node(schedulers=1) as node:
        await start_shop(node)
        loops = asyncio.create_task(busy_loops(node, 4, sleeps=50, milliseconds=10))
        calls = 0
        while not loops.done():
            assert await node.call(CUSTOMERS, Atom("count"), timeout=30) == 0
            calls += 1
        found = await loops
        assert found.schedulers == 1
        assert found.counted > 0
        assert len(found.late_microseconds) == 50
        assert min(found.late_microseconds) >= 0
        assert statistics.median(found.late_microseconds) < 500_000
        assert calls >= 10
        idle = await busy_loops(node, 0, sleeps=1, milliseconds=1)
        assert idle.counted == 0


async def test_a_list_is_copied_to_its_receiver_and_a_large_binary_is_not() -> None:
    size = 200_000
    async with running_node() as node:
        held = await copying(node, size)
        assert held["list"].growth >= size * 16  # two words of eight bytes for each element
        assert held["binary"].growth < 1_000


# ---------------------------------------------------------------- distance


async def test_a_process_on_another_node_answers_as_one_here_does() -> None:
    async with running_node() as here, running_node() as there:
        await here.introduce(there)
        near = await round_trips(here, here, 200)
        far = await round_trips(here, there, 200)
        assert len(near) == len(far) == 200
        assert min(near) < min(far)
        assert await here.rpc("erlang", "nodes") == [Atom(there.name)]


async def test_the_way_there_and_back_is_waited_for() -> None:
    async with (
        running_node() as here,
        running_node() as there,
        Tap(there.address, faults=[Delay(0.02, after_bytes=None)]) as tap,
    ):
        await here.introduce(there, tap.address)
        assert min(await round_trips(here, there, 5)) >= 40_000_000
        assert min(await round_trips(here, here, 5)) < 20_000_000


async def test_a_node_that_nobody_has_told_of_is_unknown() -> None:
    async with running_node() as here, running_node() as there:
        assert await here.rpc("net_adm", "ping", Atom(there.name)) == Atom("pang")
        await here.introduce(there)
        assert await here.rpc("net_adm", "ping", Atom(there.name)) == Atom("pong")


async def _send_until_told(node: OtpNode, far: Term) -> tuple[Term, int]:
    """Send to a watched process until its monitor says that it is gone."""
    sent = 0
    async with asyncio.timeout(60):
        while (heard := await node.rpc("far_process", "watched")) == Atom("alive"):
            assert await node.rpc("far_process", "send", far, b"x" * 1_000) == Atom("sent")
            sent += 1
            await asyncio.sleep(0.01)
    return heard, sent


async def test_a_link_that_falls_silent_is_noticed_after_the_tick_time_and_not_before() -> None:
    faults = [Drop(4_000, direction=direction) for direction in Direction]
    async with (
        running_node(tick_seconds=2) as here,
        running_node(tick_seconds=2) as there,
        Tap(there.address, faults=faults) as tap,
    ):
        await here.introduce(there, tap.address)
        far = await here.rpc("far_process", "watch", Atom(there.name))
        heard, sent = await _send_until_told(here, far)
        assert heard == Atom("noconnection")
        assert sent > 4  # 4,000 bytes are fewer than 4 of them: some went nowhere, unnoticed
        assert await there.rpc("erlang", "is_process_alive", far) is True  # it has not ended


async def test_the_end_of_a_far_process_is_told_as_that_of_a_near_one_is() -> None:
    async with running_node() as here, running_node() as there:
        await here.introduce(there)
        far = await here.rpc("far_process", "watch", Atom(there.name))
        await there.rpc("erlang", "exit", far, Atom("kill"))
        heard, _ = await _send_until_told(here, far)
        assert heard == Atom("killed")
