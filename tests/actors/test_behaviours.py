"""The behaviours: what each refuses when it is defined, and when it is used."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remotecalls.actors import (
    ActorStopped,
    ActorSystem,
    Misuse,
    SupervisorSpec,
    UnknownHandler,
    WrongDefinition,
    WrongKind,
    WrongState,
    child,
    handler,
    state,
)
from remotecalls.actors.behaviours import (
    call,
    cast,
    diagram,
    event_handler,
    go,
    notify,
    on_event,
    request_reply_server,
    state_machine,
    state_timeout,
    transition,
)


async def until(condition: Callable[[], Awaitable[bool]], seconds: float = 10.0) -> None:
    async with asyncio.timeout(seconds):
        while not await condition():  # noqa: ASYNC110 - what is waited for sets no event
            await asyncio.sleep(0.002)


# ---------------------------------------------------------------- request–reply servers


@request_reply_server()
class Stock:
    left: int = state(default=3)

    @call("count")
    def count(self) -> int:
        return self.left

    @call("take", raises=LookupError)
    def take(self, number: int) -> int:
        if number > self.left:
            raise LookupError(f"{self.left} left")
        self.left -= number
        return self.left

    @cast("deliver")
    def deliver(self, number: int) -> None:
        self.left += number


async def test_a_call_is_answered_and_a_cast_is_not() -> None:
    async with ActorSystem() as system:
        stock = await system.spawn(Stock)
        stock.tell("deliver", 4)
        assert await stock.ask("take", 2) == 5
        with pytest.raises(LookupError, match="5 left"):
            await stock.ask("take", 6)
        assert await stock.ask("count") == 5


async def test_to_tell_a_call_or_ask_a_cast_is_refused_when_it_is_sent() -> None:
    async with ActorSystem() as system:
        stock = await system.spawn(Stock)
        with pytest.raises(WrongKind, match="'count' of Stock-1 answers, and is to be asked"):
            stock.tell("count")
        with pytest.raises(WrongKind, match="'deliver' of Stock-1 does not answer: tell it"):
            await stock.ask("deliver", 1)
        assert await stock.ask("count") == 3


def test_a_server_s_handlers_are_calls_or_casts() -> None:
    with pytest.raises(WrongDefinition, match="'both' is both asked and told"):

        @request_reply_server()
        class Undecided:
            @handler("both")
            def both(self) -> None: ...


# ---------------------------------------------------------------- event handlers


@event_handler("orders")
class Mail:
    written: list[int] = state(default_factory=list)

    @on_event("shipped")
    def shipped(self, number: int) -> None:
        if number < 0:
            raise ValueError("no such order")
        self.written.append(number)
        self.actor.system.groups.publish("seen", "saw", self.actor.name, number)  # type: ignore[attr-defined]


@event_handler("orders")
class Audit:
    @on_event("shipped")
    def shipped(self, number: int) -> None:
        self.actor.system.groups.publish("seen", "saw", "audit", number)  # type: ignore[attr-defined]

    @on_event("placed")
    def placed(self, number: int) -> None: ...


@request_reply_server()
class Witness:
    saw: list[tuple[str, int]] = state(default_factory=list)

    def started(self) -> None:
        self.actor.system.groups.join("seen", self.actor.ref)  # type: ignore[attr-defined]

    @cast("saw")
    def note(self, who: str, number: int) -> None:
        self.saw.append((who, number))

    @call("all")
    def everything(self) -> list[tuple[str, int]]:
        return self.saw


async def test_all_handlers_hear_of_an_event_that_they_have_a_method_for() -> None:
    async with ActorSystem() as system:
        witness = await system.spawn(Witness)
        await system.spawn(Mail, name="mail")
        await system.spawn(Audit)
        assert notify(system, "orders", "shipped", 7) == 2
        assert notify(system, "orders", "placed", 8) == 1
        assert notify(system, "orders", "lost", 9) == 0

        async def both() -> bool:
            return sorted(await witness.ask("all")) == [("audit", 7), ("mail", 7)]

        await until(both)


async def test_a_handler_that_crashes_takes_the_event_from_nobody_and_comes_back() -> None:
    async with ActorSystem() as system:
        witness = await system.spawn(Witness)
        children = (child(Mail, name="mail"), child(Audit, name="audit"))
        await system.supervise(SupervisorSpec("handlers", children))
        crashed = system.whereis("mail")
        assert notify(system, "orders", "shipped", -1) == 2

        async def mail_is_back() -> bool:
            members = system.groups.members("orders", "shipped")
            return len(members) == 2 and crashed not in members

        await until(mail_is_back)
        assert notify(system, "orders", "shipped", 5) == 2

        async def seen() -> bool:
            return sorted(await witness.ask("all")) == [("audit", -1), ("audit", 5), ("mail", 5)]

        await until(seen)


def test_an_event_is_not_answered() -> None:
    with pytest.raises(WrongDefinition, match="'ask' can be asked, and an event is not answered"):

        @event_handler("orders")
        class Asked:
            @handler("ask")
            def ask(self) -> None: ...


async def test_who_reports_an_event_does_not_wait_for_those_who_hear_of_it() -> None:
    @event_handler("busy", mailbox=2)
    class Slow:
        got: list[int] = state(default_factory=list)

        @on_event("tick")
        async def tick(self, number: int) -> None:
            self.got.append(number)
            await self.actor.system.gate.wait()  # type: ignore[attr-defined]
            if number == 9:
                self.actor.system.result.set_result(list(self.got))  # type: ignore[attr-defined]

    async with ActorSystem() as system:
        system.gate = asyncio.Event()  # type: ignore[attr-defined]
        system.result = asyncio.get_running_loop().create_future()  # type: ignore[attr-defined]
        slow = await system.spawn(Slow)
        assert notify(system, "busy", "tick", 0) == 1

        async def at_work() -> bool:
            return slow.actor_process.is_waiting

        await until(at_work)
        for number in range(1, 10):
            assert notify(system, "busy", "tick", number) == 1
            assert slow.actor_process.mailbox_length <= 2
        assert system.dead_letters.count == 7
        system.gate.set()  # type: ignore[attr-defined]
        async with asyncio.timeout(10):
            assert await system.result == [0, 8, 9]  # type: ignore[attr-defined]


# ---------------------------------------------------------------- state machines


@state_machine(initial="cart")
class Order:
    cents: int = state(default=0)
    log: list[str] = state(default_factory=list)

    @transition("cart", "add", raises=ValueError)
    def add(self, cents: int) -> int:
        if cents <= 0:
            raise ValueError(f"{cents} cents")
        self.cents += cents
        return self.cents

    @transition("cart", "pay", to="paid")
    def pay(self) -> str:
        return f"thanks for {self.cents}"

    @transition("paid", "ship", to=("shipped", "waiting"))
    async def ship(self, in_stock: bool) -> object:
        await asyncio.sleep(0)
        return go("shipped" if in_stock else "waiting", "asked the stock")

    @transition(("cart", "paid", "waiting"), "cancel", to="cancelled")
    def cancel(self) -> None: ...

    @state_timeout("waiting", 0.02, to="paid")
    def remind(self) -> None:
        self.log.append("reminded")

    @transition(("cart", "paid", "shipped"), "notes")
    def notes(self) -> list[str]:
        return self.log


MOVES = {
    ("cart", "pay"): "paid",
    ("cart", "cancel"): "cancelled",
    ("paid", "ship"): "shipped",
    ("paid", "cancel"): "cancelled",
    ("cart", "add"): "cart",
    ("cart", "notes"): "cart",
    ("paid", "notes"): "paid",
    ("shipped", "notes"): "shipped",
}
ARGUMENTS = {"add": (1,), "ship": (True,)}


@given(st.lists(st.sampled_from(["add", "pay", "ship", "cancel", "notes"]), max_size=12))
def test_it_moves_as_the_table_says_and_refuses_what_is_not_in_it(events: list[str]) -> None:
    async def run() -> None:
        async with ActorSystem() as system:
            order = await system.spawn(Order)
            expected = "cart"
            for event in events:
                following = MOVES.get((expected, event))
                if following is None:
                    with pytest.raises(WrongState, match=f"takes no '{event}' in state"):
                        await order.ask(event, *ARGUMENTS.get(event, ()))
                else:
                    await order.ask(event, *ARGUMENTS.get(event, ()))
                    expected = following
                assert await order.ask("current_state") == expected

    asyncio.run(run())


async def test_the_answer_and_the_move_are_the_handler_s() -> None:
    async with ActorSystem() as system:
        order = await system.spawn(Order)
        assert await order.ask("add", 250) == 250
        with pytest.raises(ValueError, match="-1 cents"):
            await order.ask("add", -1)
        assert await order.ask("pay") == "thanks for 250"
        assert await order.ask("ship", in_stock=True) == "asked the stock"
        assert await order.ask("current_state") == "shipped"
        with pytest.raises(WrongState, match="in state 'shipped'; it takes: notes"):
            await order.ask("cancel")


async def test_a_state_may_last_only_so_long_and_a_state_left_has_no_time_out() -> None:
    async with ActorSystem() as system:
        order = await system.spawn(Order)
        await order.ask("pay")
        await order.ask("ship", False)

        async def reminded() -> bool:
            return bool(await order.ask("current_state") == "paid")

        await until(reminded)
        assert await order.ask("notes") == ["reminded"]
        await order.ask("ship", False)
        assert order.actor_process.timers is not None
        await order.ask("cancel")
        assert order.actor_process.timers is None
        await asyncio.sleep(0.06)  # three times as long as the time-out that must not come
        assert await order.ask("current_state") == "cancelled"
        assert order.actor_process.is_bare


async def test_a_time_out_in_the_mailbox_when_the_state_is_left_is_of_no_use() -> None:
    @state_machine(initial="a")
    class Late:
        fired: int = state(default=0)

        @transition("a", "work", to="b")
        async def work(self) -> None:
            await asyncio.sleep(0.05)  # the time-out of "a" comes into the mailbox meanwhile

        @transition("b", "back", to="a")
        def back(self) -> int:
            return self.fired

        @state_timeout("a", 0.01)
        def late(self) -> None:
            self.fired += 1

    async with ActorSystem() as system:
        machine = await system.spawn(Late)
        await machine.ask("work")
        assert await machine.ask("back") == 0


async def test_a_move_that_is_not_declared_ends_the_machine() -> None:
    @state_machine(initial="a")
    class Lost:
        @transition("a", "one", to=("b", "c"))
        def one(self) -> object:
            return go("d")

        @transition("a", "two", to=("b", "c"))
        def two(self) -> None: ...

    async with ActorSystem() as system:
        for event, words in [("one", "went to 'd', and names b, c"), ("two", "return go")]:
            machine = await system.spawn(Lost)
            with pytest.raises(ActorStopped, match=words):
                await machine.ask(event)


async def test_an_event_that_no_state_takes_is_no_event() -> None:
    async with ActorSystem() as system:
        order = await system.spawn(Order)
        with pytest.raises(UnknownHandler, match="no handler 'refund'"):
            order.tell("refund")
        with pytest.raises(Misuse, match="too many positional arguments"):
            order.tell("pay", 5)


async def test_its_own_start_runs_before_it_is_in_its_first_state() -> None:
    @state_machine(initial="ready")
    class Warm:
        heat: int = state(default=0)

        async def started(self) -> None:
            await asyncio.sleep(0)
            self.heat = 40

        @transition("ready", "read", to="done")
        def read(self) -> int:
            return self.heat

    @state_machine(initial="ready")
    class WarmAtOnce:
        heat: int = state(default=0)

        def started(self) -> None:
            self.heat = 50

        @transition("ready", "read", to="done")
        def read(self) -> int:
            return self.heat

    async with ActorSystem() as system:
        assert await (await system.spawn(Warm)).ask("read") == 40
        assert await (await system.spawn(WarmAtOnce)).ask("read") == 50


def test_definitions_that_make_no_sense_are_refused() -> None:
    with pytest.raises(WrongDefinition, match="'go' has two meanings in 'a'"):

        @state_machine(initial="a")
        class Twice:
            @transition("a", "go", to="b")
            def one(self) -> None: ...

            @transition("a", "go", to="a")
            def two(self) -> None: ...

    with pytest.raises(WrongDefinition, match="from 'a' no event leads to c"):

        @state_machine(initial="a")
        class Island:
            @transition("a", "go", to="b")
            def one(self) -> None: ...

            @transition("c", "stay", to="d")
            def two(self) -> None: ...

    with pytest.raises(WrongDefinition, match="'go' has other parameters in 'b'"):

        @state_machine(initial="a")
        class Mixed:
            @transition("a", "go", to="b")
            def one(self) -> None: ...

            @transition("b", "go")
            def two(self, speed: int) -> None: ...


def test_a_machine_draws_itself() -> None:
    assert diagram(Order).splitlines() == [
        "stateDiagram-v2",
        "  [*] --> cart",
        "  cart --> cart: add",
        "  cart --> paid: pay",
        "  paid --> shipped: ship",
        "  paid --> waiting: ship",
        "  cart --> cancelled: cancel",
        "  paid --> cancelled: cancel",
        "  waiting --> cancelled: cancel",
        "  waiting --> paid: after 0.02 s",
        "  cart --> cart: notes",
        "  paid --> paid: notes",
        "  shipped --> shipped: notes",
    ]
