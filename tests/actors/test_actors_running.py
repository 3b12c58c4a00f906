"""Idle actors, handlers that are replaced, timers, groups, and systems that heal."""

from __future__ import annotations

import asyncio
import gc
import random
import tracemalloc
from collections.abc import Callable
from typing import Any, cast

import pytest
from actor_programs import (
    Book,
    Clock,
    Counter,
    armed_timers,
    at_once,
    found,
    loop_errors,
    nothing_left,
    tree,
    turns,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from remotecalls.actors import (
    ActorRef,
    ActorStopped,
    ActorSystem,
    Misuse,
    NoSuchActor,
    Strategy,
    UnknownHandler,
    WhenFull,
    WrongArguments,
    WrongDefinition,
    actor,
    child,
    handler,
    state,
)
from remotecalls.actors.exits import KILLED, NORMAL, crashed

# ---------------------------------------------------------------- idle


async def test_an_idle_supervised_actor_is_small_and_owns_nothing() -> None:
    many = 20_000
    async with ActorSystem() as system:
        top = await system.supervise(tree("top"))
        for _ in range(100):
            await top.start_child(child(Counter))
        tasks, timers = asyncio.all_tasks(), len(armed_timers())
        gc.collect()
        tracemalloc.start()
        try:
            before, _ = tracemalloc.get_traced_memory()
            refs = [await top.start_child(child(Counter)) for _ in range(many)]
            gc.collect()
            after, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert (after - before) / many < 1_500
        assert asyncio.all_tasks() == tasks
        assert len(armed_timers()) == timers
        assert all(cast("Any", ref).actor_process.is_bare for ref in refs)


@actor
class Sometimes:
    """Does one thing of each kind that needs something, and then nothing."""

    async def started(self) -> None:
        other = await cast("Any", self).actor.spawn(Counter, link=False)
        await other.ask("add slowly")

    @handler("work")
    async def work(self, other: ActorRef) -> None:
        context = cast("Any", self).actor
        await other.ask("add slowly")
        context.send_after(0.0, "tick")
        context.send_after(60.0, "tick").cancel()
        context.ref.tell("tick")

    @handler("fail", raises=LookupError)
    async def fail(self, other: ActorRef) -> None:
        await other.ask("add slowly")
        raise LookupError("nobody")

    @handler("tick")
    def tick(self) -> None: ...


async def test_an_actor_that_was_busy_owns_nothing_again() -> None:
    async with nothing_left(), ActorSystem() as system:
        other = await system.spawn(Counter)
        ref = await system.spawn(Sometimes)
        assert ref.actor_process.is_bare
        with pytest.raises(LookupError):
            await ref.ask("fail", other)
        await turns()
        assert ref.actor_process.is_bare
        await ref.ask("work", other)
        for _ in range(50):
            ref.tell("tick")
        assert not ref.actor_process.is_bare
        await ref.ask("tick")
        await asyncio.sleep(0.01)
        await ref.ask("tick")
        await turns()
        assert ref.actor_process.is_bare
        assert other.actor_process.is_bare


# ---------------------------------------------------------------- handlers that are replaced


def doubled(self: Any, amount: int = 1) -> int:
    self.count += 2 * amount
    return int(self.count)


async def test_messages_of_before_meet_the_old_handler_and_those_of_after_the_new_one() -> None:
    async with ActorSystem() as system:
        counter = await system.spawn(Counter)
        before = [counter.send_request("add", 1) for _ in range(10)]
        counter.replace_handler("add", doubled, migrate=_negate)
        after = [counter.send_request("add", 1) for _ in range(3)]
        assert [await each for each in before] == list(range(1, 11))
        assert [await each for each in after] == [-8, -6, -4]
        other = await system.spawn(Counter)
        assert await other.ask("add", 1) == 1  # of this actor alone


def _negate(instance: Any) -> None:
    instance.count = -instance.count


async def test_a_swap_under_load_loses_no_message() -> None:
    async with ActorSystem() as system:
        counter = await system.spawn(Counter)
        answered = 0
        swapped = asyncio.Event()

        async def load() -> None:
            nonlocal answered
            while not swapped.is_set() or answered < 1_000:
                await counter.ask("add slowly", timeout=60)
                answered += 1

        async with asyncio.timeout(20), asyncio.TaskGroup() as group:
            for _ in range(20):
                group.create_task(load())
            for version in range(1, 11):
                counter.replace_handler("add slowly", _version(version))
                await turns(20)
            swapped.set()
        assert answered >= 1_000
        # The handler leaves its version's number beside the count: none came after a newer one.
        assert await counter.ask("read") == answered
        assert system.dead_letters.count == 0


def _version(version: int) -> Callable[..., Any]:
    async def add(self: Any, amount: int = 1) -> int:
        assert getattr(self, "version", 0) in (version - 1, version)
        self.version = version
        before = self.count
        await asyncio.sleep(0)
        self.count = before + amount
        return int(self.count)

    return add


async def test_a_new_handler_may_have_another_name_and_other_arguments_at_once() -> None:
    async with ActorSystem() as system:
        counter = await system.spawn(Counter)
        waiting = counter.send_request("add", amount=1)
        counter.replace_handler("add", lambda self, by, and_by: by + and_by)
        counter.replace_handler("new", lambda self: "new", raises=KeyError)
        with pytest.raises(WrongArguments):
            counter.tell("add", amount=1)
        added = counter.send_request("add", 2, and_by=3)
        new = counter.send_request("new")
        assert [await waiting, await added, await new] == [1, 5, "new"]
        with pytest.raises(UnknownHandler):
            counter.tell("newer")
        counter.replace_handler("*", lambda self, name: name)
        assert await counter.ask("newer") == "newer"
        with pytest.raises(WrongDefinition):
            counter.replace_handler("add", lambda: None)


async def test_a_migration_that_raises_ends_the_actor_and_its_supervisor_heals_it() -> None:
    def wrong(instance: Any) -> None:
        instance.count = 99
        raise ValueError("cannot migrate")

    async with ActorSystem() as system:
        await system.supervise(tree("top", child(Counter, name="counter")))
        counter = found(system, "counter")
        assert await counter.ask("add", 5) == 5
        counter.replace_handler("add", doubled, migrate=wrong)
        behind = counter.send_request("add")
        with pytest.raises(ActorStopped, match="cannot migrate"):
            await behind
        await at_once(lambda: "counter" in system.names())
        assert await system.actor("counter").ask("add") == 1


# ---------------------------------------------------------------- timers


@actor(mailbox=5)
class Timed:
    book: int
    timers: list[Any] = state(default_factory=list)

    @handler("after")
    def after(self, delay: float, what: Any) -> None:
        self.timers.append(cast("Any", self).actor.send_after(delay, "note", what))

    @handler("after, changed")
    def after_changed(self) -> None:
        items = ["as it was"]
        cast("Any", self).actor.send_after(0.0, "note", what=items)
        items.append("changed since")

    @handler("every")
    def every(self, interval: float) -> None:
        self.timers.append(cast("Any", self).actor.send_every(interval, "note", "tick"))

    @handler("cancel")
    def cancel(self) -> None:
        for timer in self.timers:
            timer.cancel()
            timer.cancel()

    @handler("note")
    def note(self, what: Any) -> None:
        Book.of(self.book).write(what)

    @handler("wait")
    async def wait(self) -> None:
        await at_once(lambda: "open" in Book.of(self.book).lines, 1_000_000)

    @handler("misuse", raises=(Misuse, TypeError))
    def misuse(self, how: str) -> None:
        context = cast("Any", self).actor
        {
            "negative": lambda: context.send_after(-1.0, "note", 1),
            "nan": lambda: context.send_after(float("nan"), "note", 1),
            "zero": lambda: context.send_every(0.0, "note", 1),
            "unknown": lambda: context.send_after(1.0, "notes", 1),
            "arguments": lambda: context.send_after(1.0, "note"),
            "unsendable": lambda: context.send_after(1.0, "note", lambda: 1),
        }[how]()

    @handler("stop and arm")
    def stop_and_arm(self) -> None:
        cast("Any", self).actor.stop()
        cast("Any", self).actor.send_after(60.0, "note", 1)
        cast("Any", self).actor.send_every(60.0, "note", 1)

    @handler("crash")
    def crash(self) -> None:
        raise ValueError("as told")


async def test_timers_send_in_the_order_of_their_times() -> None:
    book = Book()
    async with nothing_left(), ActorSystem() as system:
        timed = await system.spawn(Timed, book.number)
        with Clock() as clock:
            for delay in (30.0, 10.0, 20.0, 0.0):
                timed.tell("after", delay, delay)
            await timed.ask("note", "armed")
            await at_once(lambda: 0.0 in book.lines)
            for expected in ([10.0], [10.0, 20.0], [10.0, 20.0, 30.0]):
                clock.forward(10.0)
                await turns(10)
                assert book.lines == ["armed", 0.0, *expected]
            clock.forward(100)
            await turns(10)
            assert len(book.lines) == 5


async def test_a_timer_that_is_cancelled_sends_nothing() -> None:
    book = Book()
    async with nothing_left(), ActorSystem() as system:
        timed = await system.spawn(Timed, book.number)
        with Clock() as clock:
            await timed.ask("after", 10.0, "never")
            await timed.ask("every", 10.0)
            await timed.ask("cancel")
            assert timed.actor_process.is_bare
            clock.forward(100)
            await turns(10)
            assert book.lines == []


async def test_what_is_sent_every_so_often_keeps_to_the_clock() -> None:
    book = Book()
    async with nothing_left(), ActorSystem() as system:
        timed = await system.spawn(Timed, book.number)
        with Clock() as clock:
            await timed.ask("every", 10.0)
            clock.forward(13.0)  # three seconds late; the next is due at 20, not at 23
            await turns(10)
            assert book.taken() == ["tick"]
            clock.forward(6.0)
            await turns(10)
            assert book.taken() == []
            clock.forward(1.5)
            await turns(10)
            assert book.taken() == ["tick"]
            clock.forward(35.0)  # what was missed is not made up for
            await turns(30)
            assert len(book.taken()) <= 2
            timed.kill()
            clock.forward(100)
            await turns(10)
            assert book.lines == []


async def test_a_timer_sends_what_it_was_given_and_not_what_has_become_of_it() -> None:
    book = Book()
    async with ActorSystem() as system:
        timed = await system.spawn(Timed, book.number)
        await timed.ask("after, changed")
        await at_once(lambda: bool(book.lines))
        assert book.lines == [["as it was"]]


@pytest.mark.parametrize("end", ["kill", "crash", "stop"])
async def test_timers_die_with_their_actor(end: str) -> None:
    book = Book()
    async with nothing_left(), ActorSystem() as system:
        before = len(armed_timers())
        timed = await system.spawn(Timed, book.number)
        await timed.ask("after", 60.0, "x")
        await timed.ask("every", 60.0)
        assert len(armed_timers()) == before + 2
        if end == "kill":
            timed.kill()
        elif end == "crash":
            timed.tell("crash")
        else:
            await timed.stop()
        await timed.ended(5)
        await turns()
        assert len(armed_timers()) == before


async def test_one_that_has_stopped_itself_arms_no_timer() -> None:
    async with nothing_left(), ActorSystem() as system:
        before = len(armed_timers())
        timed = await system.spawn(Timed, Book().number)
        await timed.ask("stop and arm")
        await timed.ended(5)
        await turns()
        assert len(armed_timers()) == before


async def test_a_timer_that_finds_the_mailbox_full_leaves_a_dead_letter() -> None:
    book = Book()
    async with nothing_left(), ActorSystem() as system:
        timed = await system.spawn(Timed, book.number, name="timed")
        await timed.ask("after", 0.0, "timer's")
        timed.tell("wait")
        for number in range(5):
            timed.tell("note", number)
        await at_once(lambda: system.dead_letters.count == 1)
        [letter] = system.dead_letters
        assert (letter.target, letter.message) == ("timed", "note")
        assert "timer cannot wait" in letter.reason
        book.write("open")
        await at_once(lambda: len(book.lines) == 6)
        assert book.lines == ["open", *range(5)]


@pytest.mark.parametrize("how", ["negative", "nan", "zero", "unknown", "arguments", "unsendable"])
async def test_a_timer_that_cannot_work_is_refused_when_it_is_armed(how: str) -> None:
    async with nothing_left(), ActorSystem() as system:
        timed = await system.spawn(Timed, Book().number)
        with pytest.raises(Misuse):
            await timed.ask("misuse", how)
        assert timed.actor_process.is_bare


async def test_a_timer_is_counted_when_it_sends() -> None:
    book = Book()
    async with ActorSystem() as system:
        timed = await system.spawn(Timed, book.number, name="timed")
        with system.watched() as flows:
            await timed.ask("after", 0.0, "x")
            assert [(f.message, f.count) for f in flows.seen()] == [("after", 1)]
            await at_once(lambda: book.lines == ["x"])
            assert [(f.message, f.count) for f in flows.seen()] == [("after", 1), ("note", 1)]
        await timed.ask("note", "y")
        assert len(flows.seen()) == 2


# ---------------------------------------------------------------- groups


@actor
class Member:
    name: str
    book: int

    @handler("news")
    def news(self, what: Any) -> None:
        Book.of(self.book).write((self.name, what))

    @handler("crash")
    def crash(self) -> None:
        raise ValueError("as told")


@actor(mailbox=1, when_full=WhenFull.REFUSE)
class SmallMember(Member): ...


async def test_groups_and_topics() -> None:
    book = Book()
    async with ActorSystem() as system:
        a, b, c = [await system.spawn(Member, name, book.number, name=name) for name in "abc"]
        groups = system.groups
        groups.join("shop", a)
        groups.join("shop", b, {"orders"})
        groups.join("shop", c, {"orders", "stock"})
        groups.join("other", c)
        assert groups.names() == ("other", "shop")
        assert groups.members("shop") == (a, b, c)
        assert groups.members("shop", "stock") == (a, c)
        assert groups.members("nobody") == ()
        assert groups.publish("shop", "news", 1) == 3
        assert groups.publish("shop", "news", 2, topic="stock") == 2
        assert groups.publish("shop", "news", 3, topic="weather") == 1
        assert groups.publish("nobody", "news", 4) == 0
        await turns()
        assert book.taken() == [
            *(("a", 1), ("a", 2), ("a", 3), ("b", 1), ("c", 1), ("c", 2)),
        ]
        groups.join("shop", b, {"stock"})  # joins again, to change the topics
        assert groups.members("shop", "orders") == (a, c)
        groups.leave("shop", a)
        groups.leave("shop", a)
        assert groups.members("shop") == (b, c)
        c.kill()
        assert groups.members("shop") == (b,)
        assert groups.names() == ("shop",)
        await b.stop()
        assert groups.names() == ()
        with pytest.raises(ActorStopped):
            groups.join("shop", b)
        assert groups.names() == ()


async def test_a_member_that_is_full_does_not_hold_up_the_others() -> None:
    book = Book()
    async with ActorSystem() as system:
        small = await system.spawn(SmallMember, "small", book.number, name="small")
        other = await system.spawn(Member, "other", book.number)
        for member in (small, other):
            system.groups.join("g", member)
        told = [system.groups.publish("g", "news", number) for number in range(3)]
        assert told == [2, 1, 1]
        await turns()
        assert book.lines == [("small", 0), *(("other", number) for number in range(3))]
        assert [letter.target for letter in system.dead_letters] == ["small"] * 2


# ---------------------------------------------------------------- who heals


@settings(max_examples=10)
@given(seed=st.integers(0, 10_000), strategy=st.sampled_from(Strategy))
async def test_a_supervised_system_heals_while_its_children_are_killed_under_load(
    seed: int, strategy: Strategy
) -> None:
    chance = random.Random(seed)
    names = [f"n{i}" for i in range(8)]
    with loop_errors() as errors:
        async with nothing_left(), ActorSystem() as system:
            inner = tree(
                "inner",
                *(child(Counter, name=name) for name in names[4:]),
                strategy=strategy,
                intensity=10_000,
            )
            top = await system.supervise(
                tree(
                    "top",
                    *(child(Counter, name=name) for name in names[:4]),
                    inner,
                    strategy=strategy,
                    intensity=10_000,
                )
            )
            outcomes: list[str] = []

            async def client(number: int) -> None:
                own = random.Random(seed + number)
                for _ in range(25):
                    try:
                        await system.actor(own.choice(names)).ask(
                            own.choice(("add", "add slowly")), timeout=30
                        )
                        outcomes.append("answered")
                    except (ActorStopped, NoSuchActor) as error:
                        outcomes.append(type(error).__name__)
                    await asyncio.sleep(0)

            async with asyncio.timeout(25), asyncio.TaskGroup() as group:
                for number in range(10):
                    group.create_task(client(number))
                for _ in range(25):
                    victim = system.whereis(chance.choice(names))
                    if victim is not None:
                        chance.choice((victim.kill, lambda v=victim: v.tell("crash")))()
                    await turns(chance.randrange(4))
            assert len(outcomes) == 250
            assert "answered" in outcomes
            await at_once(lambda: set(system.names()) == set(names))
            for name in names:
                assert await system.actor(name).ask("add", timeout=5) >= 1
            assert top.reason is None
        assert errors == []


async def test_without_a_supervisor_one_crash_is_the_end_of_the_service() -> None:
    async with ActorSystem() as system:
        counter = await system.spawn(Counter, name="counter")
        counter.tell("crash")
        await counter.ended(5)
        with pytest.raises(NoSuchActor):
            await system.actor("counter").ask("add")


def test_exits_say_how_they_came() -> None:
    assert str(crashed(ValueError("x"))) == "crashed: ValueError: x"
    assert str(NORMAL) == "has ended"
    assert str(KILLED.from_link("a").from_link("b")) == "was killed with a"
