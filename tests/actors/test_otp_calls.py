"""Calls into a node: what comes back, and each way in which none does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remotecalls.actors.otp import (
    Atom,
    NoSuchServer,
    Pid,
    RemoteFailure,
    ServerDown,
    Term,
    Untranslatable,
    running_node,
    start_shop,
)
from remotecalls.wire.errors import DeadlineExceeded

ATOMS = st.text(min_size=1, max_size=60).filter(lambda name: name not in {"true", "false", "nil"})
LEAVES = (
    st.integers(-(2**70), 2**70)
    | st.integers().map(lambda exponent: 1 << (abs(exponent) % 3000))
    | st.binary(max_size=300)
    | st.booleans()
    | st.none()
    | ATOMS.map(Atom)
)
TERMS = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.lists(inner, max_size=5).map(tuple)
        | st.dictionaries(st.binary(max_size=5) | ATOMS.map(Atom), inner, max_size=5)
    ),
    max_leaves=12,
)


@pytest.fixture(scope="module")
def there_and_back() -> Iterator[Callable[[Term], Term]]:
    """Sends a term to one node, which the tests of this module share, and returns what it was."""
    stack = AsyncExitStack()
    with asyncio.Runner() as runner:
        node = runner.run(stack.enter_async_context(running_node()))
        yield lambda term: runner.run(node.rpc("erlang", "hd", [term], timeout=30))
        runner.run(stack.aclose())


def exact(term: Term) -> Term:
    """The term, with `True` and `False` told from 1 and 0."""
    match term:
        case bool():
            return str(term)
        case dict():
            return {key: exact(value) for key, value in term.items()}
        case list():
            return [exact(each) for each in term]
        case tuple():
            return tuple(exact(each) for each in term)
        case _:
            return term


@settings(max_examples=100)
@given(TERMS)
def test_terms_come_back_as_they_went(there_and_back: Callable[[Term], Term], term: Term) -> None:
    assert exact(there_and_back(term)) == exact(term)


@pytest.mark.parametrize("size", [0, 255, 256, 65_535, 65_536, 3_000_000])
def test_lengths_at_the_edges_of_the_format(
    there_and_back: Callable[[Term], Term], size: int
) -> None:
    assert there_and_back(b"x" * size) == b"x" * size
    assert there_and_back([1] * min(size, 70_000)) == [1] * min(size, 70_000)
    assert there_and_back((1,) * min(size, 70_000)) == (1,) * min(size, 70_000)


def test_text_goes_as_a_binary_and_a_string_comes_as_code_points(
    there_and_back: Callable[[Term], Term],
) -> None:
    assert there_and_back("é") == b"\xc3\xa9"
    assert there_and_back(list(b"abc")) == [97, 98, 99]


async def test_what_has_no_value_here_fails_its_own_call_alone() -> None:
    async with running_node() as node:
        waiting = asyncio.create_task(node.rpc("timer", "sleep", 300))
        with pytest.raises(Untranslatable, match="cannot encode float: send"):
            await node.rpc("erlang", "hd", [1.5])
        for module, function, *arguments in (
            ("math", "pi"),
            ("erlang", "make_fun", Atom("lists"), Atom("map"), 2),
            ("maps", "from_list", [([1], 2)]),  # a list as a key
            ("erlang", "append_element", (), float),
        ):
            with pytest.raises(Untranslatable):
                await node.rpc(module, function, *arguments)
        assert await waiting == Atom("ok")


async def test_many_calls_are_under_way_at_once_and_each_gets_its_own_answer() -> None:
    async with running_node() as node:
        calls = [node.rpc("erlang", "hd", [number]) for number in range(500)]
        slow = asyncio.create_task(node.rpc("timer", "sleep", 60_000, timeout=60))
        assert await asyncio.gather(*calls) == list(range(500))
        assert not slow.done()
        slow.cancel()
        await asyncio.gather(slow, return_exceptions=True)
        assert node._connection._waiting == {}


async def test_the_shops_requests() -> None:
    ok, error = Atom("ok"), Atom("error")
    name, balance = Atom("name"), Atom("balance")
    async with running_node() as node:
        await start_shop(node)

        async def customers(*request: Term) -> Term:
            return await node.call("customer_server", (Atom(str(request[0])), *request[1:]))

        async def orders(*request: Term) -> Term:
            return await node.call("order_server", (Atom(str(request[0])), *request[1:]))

        assert await customers("add_customer", "ada", "Ada", 5_000) == ok
        assert await customers("add_customer", "ada", "Eve", 1) == (error, Atom("customer_exists"))
        assert await customers("update_balance", "ada", 7_000) == ok
        assert await customers("deposit", "ada", -8_000) == (ok, -1_000)
        assert await customers("get_customer", "ada") == (ok, {name: b"Ada", balance: -1_000})
        unknown = (error, Atom("unknown_customer"))
        assert await customers("get_customer", "bob") == unknown
        assert await customers("update_balance", "bob", 1) == unknown
        bad = (error, Atom("bad_request"))
        assert await customers("update_balance", "ada", "much") == bad
        assert await customers("sing") == bad
        assert await node.call("customer_server", Atom("count")) == 1
        assert await orders("place_order", "ada", 995) == (ok, 1)
        assert await orders("place_order", "bob", 1_000) == (ok, 2)
        assert await orders("place_order", "ada", 1) == (ok, 3)
        assert await orders("orders_of", "ada") == [(1, b"ada", 995), (3, b"ada", 1)]
        assert await orders("place_order", "ada", 0) == bad
        assert await node.call("order_server", Atom("count")) == 3


async def test_a_crash_in_the_middle_of_a_call_is_told_at_once_with_its_reason() -> None:
    async with running_node() as node:
        await start_shop(node)
        with pytest.raises(ServerDown) as caught:
            await node.call("customer_server", (Atom("deposit"), "nobody", 1), timeout=60)
        assert str(caught.value) == 'customer_server ended: {badkey,<<"nobody">>}'
        assert isinstance(caught.value.reason, tuple)
        assert caught.value.reason[0] == (Atom("badkey"), b"nobody")
        assert not isinstance(caught.value, NoSuchServer)


async def test_all_callers_that_wait_for_a_killed_server_are_told() -> None:
    async with running_node() as node:
        await start_shop(node)
        await node.rpc("sys", "suspend", Atom("customer_server"))
        calls = [
            asyncio.create_task(node.call("customer_server", Atom("count"), timeout=60))
            for _ in range(20)
        ]
        await asyncio.sleep(0)
        await node.kill("customer_server")
        outcomes = await asyncio.wait_for(asyncio.gather(*calls, return_exceptions=True), 10)
        assert {str(each) for each in outcomes} == {"customer_server ended: killed"}
        assert {type(each) for each in outcomes} == {ServerDown}


async def test_nobody_of_that_name() -> None:
    async with running_node() as node:
        with pytest.raises(NoSuchServer, match=f"nobody is not registered on {node.name}"):
            await node.call("nobody", 1, timeout=60)
        with pytest.raises(NoSuchServer):
            await node.kill("nobody")
        assert await node.whereis("nobody") is None
        assert isinstance(await node.whereis("rex"), Pid)


async def test_a_late_answer_is_dropped_and_not_taken_for_the_next() -> None:
    async with running_node() as node:
        await start_shop(node)
        await node.call("customer_server", (Atom("add_customer"), "ada", "Ada", 1))
        await node.rpc("sys", "suspend", Atom("customer_server"))
        with pytest.raises(DeadlineExceeded):
            await node.call("customer_server", Atom("count"), timeout=0.05)
        assert node.late == 0
        await node.rpc("sys", "resume", Atom("customer_server"))
        assert await node.call("customer_server", Atom("version")) == 1
        assert node.late == 1


async def test_a_call_that_was_given_up_leaves_no_monitor_on_the_node() -> None:
    async with running_node() as node:
        await start_shop(node)
        server = await node.whereis("customer_server")

        async def monitors() -> Term:
            return await node.rpc("erlang", "process_info", server, Atom("monitored_by"))

        before = await monitors()
        for _ in range(3):
            await node.call("customer_server", Atom("count"))
        await node.rpc("sys", "suspend", Atom("customer_server"))
        with pytest.raises(DeadlineExceeded):
            await node.call("customer_server", Atom("count"), timeout=0.05)
        await node.rpc("sys", "resume", Atom("customer_server"))
        await node.call("customer_server", Atom("count"))
        async with asyncio.timeout(10):
            while await monitors() != before:  # noqa: ASYNC110 (the node's, not ours)
                await asyncio.sleep(0.01)


async def test_a_function_that_raises_says_what() -> None:
    async with running_node() as node:
        with pytest.raises(RemoteFailure, match="erlang:hd failed on the node: badarg"):
            await node.rpc("erlang", "hd", [])
        with pytest.raises(RemoteFailure, match="shop:dance failed on the node: undef"):
            await node.rpc("shop", "dance")


async def test_a_cast_arrives() -> None:
    async with running_node() as node:
        pid = await node.rpc("bare_customer_server", "start")
        await node.rpc("bare_customer_server", "add_customer", "ada", 7)
        node.cast("bare_customer_server", None)  # the atom nil, which the server throws away
        assert await node.rpc("erlang", "is_process_alive", pid) is True
        assert await node.rpc("bare_customer_server", "get_customer", "ada", 5_000) == 7
        node.cast("bare_customer_server", Atom("stop"))
        async with asyncio.timeout(10):
            while await node.whereis("bare_customer_server"):  # noqa: ASYNC110
                await asyncio.sleep(0.01)


@pytest.mark.parametrize("timeout", [0, -1])
async def test_a_deadline_that_has_passed_is_a_mistake(timeout: float) -> None:
    async with running_node() as node:
        with pytest.raises(ValueError, match="allow more than 0 s"):
            await node.call("rex", 1, timeout=timeout)
