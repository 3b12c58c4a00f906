"""What cannot work is said at once, with what to do instead."""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast

import pytest
from actor_programs import Book, Counter, at_once, nothing_left, tree, turns, workers

from remotecalls.actors import (
    ActorRef,
    ActorStopped,
    ActorSystem,
    AskCycle,
    Misuse,
    NameTaken,
    NoSuchActor,
    StartFailed,
    UnknownHandler,
    Unserializable,
    WhenFull,
    WrongArguments,
    WrongDefinition,
    WrongKind,
    WrongThread,
    actor,
    child,
    handler,
    state,
)


@actor
class Relay:
    """Asks, or tells, along a chain."""

    book: int

    @handler("ask along")
    async def ask_along(self, chain: tuple[ActorRef, ...]) -> str:
        if not chain:
            return "end"
        return str(await chain[0].ask("ask along", chain[1:]))

    @handler("ask along, all at once")
    async def ask_gathered(self, chain: tuple[ActorRef, ...]) -> str:
        if not chain:
            return "end"
        first = chain[0].ask("ask along, all at once", chain[1:])
        return str((await asyncio.gather(first))[0])

    @handler("ask and be told")
    async def ask_and_be_told(self, other: ActorRef) -> None:
        await other.ask("tell back", cast("Any", self).actor.ref)

    @handler("tell back")
    async def tell_back(self, other: ActorRef) -> None:
        await asyncio.sleep(0)
        other.tell("note", "told")

    @handler("note")
    def note(self, what: str) -> None:
        Book.of(self.book).write(what)

    @handler("ask in the background")
    async def in_background(self, other: ActorRef) -> None:
        async def later() -> None:
            Book.of(self.book).write(await other.ask("sleepy"))

        Book.of(self.book).write(asyncio.create_task(later()))
        await asyncio.sleep(0)

    @handler("send, and wait later")
    async def wait_later(self, other: ActorRef) -> str:
        request = other.send_request("ask along", (cast("Any", self).actor.ref,))
        for _ in range(10):
            await asyncio.sleep(0)
        return str(await request)

    @handler("sleepy")
    async def sleepy(self) -> str:
        for _ in range(20):
            await asyncio.sleep(0)
        return "slept"


@pytest.mark.parametrize("name", ["ask along", "ask along, all at once"])
@pytest.mark.parametrize("members", [1, 2, 3, 4])
async def test_a_cycle_of_asks_is_an_error_at_once_and_names_all_of_it(
    name: str, members: int
) -> None:
    async with nothing_left(), ActorSystem() as system:
        refs = [await system.spawn(Relay, 0, name=f"r{i}") for i in range(members)]
        chain = (*refs[1:], refs[0])
        async with asyncio.timeout(3):
            with pytest.raises(ActorStopped) as stopped:
                await refs[0].ask(name, chain, timeout=60)
        errors: list[BaseException] = []
        error: BaseException | None = stopped.value
        while error is not None:
            errors.append(error)
            error = error.__cause__
        assert isinstance(errors[-1], AskCycle)
        if members == 1:
            assert "asks itself" in str(errors[-1])
        else:
            path = " → ".join([f"r{members - 1}", *(f"r{i}" for i in range(members))])
            assert path in str(errors[-1])


async def test_a_cycle_that_closes_when_the_answer_is_waited_for_is_seen_then() -> None:
    async with nothing_left(), ActorSystem() as system:
        a, b = [await system.spawn(Relay, 0) for _ in range(2)]
        async with asyncio.timeout(3):
            with pytest.raises(ActorStopped) as stopped:
                await a.ask("send, and wait later", b, timeout=60)
        assert isinstance(stopped.value.__cause__, AskCycle)
        assert "which waits for it" in str(stopped.value)


async def test_no_cycle_is_seen_where_there_is_none() -> None:
    book = Book()
    async with nothing_left(), ActorSystem() as system:
        a, b, c = [await system.spawn(Relay, book.number) for _ in range(3)]
        await a.ask("ask and be told", b)
        await a.ask("note", "after")
        assert book.taken() == ["told", "after"]
        # A diamond is no circle, nor is to ask one after the other.
        assert await a.ask("ask along", (b, c)) == "end"
        assert await c.ask("ask along", (b,)) == "end"
        both = await asyncio.gather(a.ask("ask along", (c,)), b.ask("ask along", (c,)))
        assert both == ["end", "end"]


async def test_a_task_that_a_handler_left_behind_is_not_the_handler() -> None:
    book = Book()
    async with nothing_left(), ActorSystem() as system:
        a, b = [await system.spawn(Relay, book.number) for _ in range(2)]
        await a.ask("ask in the background", b)
        # a's task waits for b, and a itself does not: b may ask it, and it may ask others.
        assert await b.ask("ask along", (a,)) == "end"
        assert await a.ask("ask along", (b,)) == "end"
        await at_once(lambda: len(book.lines) == 2)
        task, answer = book.lines
        assert answer == "slept"
        await task


async def test_what_no_handler_takes_is_refused_when_it_is_sent() -> None:
    async with ActorSystem() as system:
        ref = await system.spawn(Counter)
        with pytest.raises(UnknownHandler, match="no handler 'subtract'; it has: add, add slowly"):
            ref.tell("subtract")
        for arguments, named in [((1, 2), {}), ((), {"amuont": 1}), ((1,), {"amount": 2})]:
            with pytest.raises(WrongArguments, match=r"add\(amount: .*\) does not take this"):
                ref.tell("add", *arguments, **named)
            with pytest.raises(WrongArguments):
                await ref.ask("add", *arguments, **named)
            with pytest.raises(WrongArguments):
                await ref.tell_when_room("add", *arguments, **named)
            with pytest.raises(WrongArguments):
                ref.send_request("add", *arguments, **named)
        assert await ref.ask("read") == 0
        assert ref.reason is None


async def test_every_kind_of_parameter_is_checked_before_the_message_leaves() -> None:
    @actor
    class Kinds:
        @handler("position")
        def position(self, x: int, /, y: int = 2) -> list[int]:
            return [x, y]

        @handler("name")
        def name(self, *, x: int, y: int = 2) -> list[int]:
            return [x, y]

        @handler("any")
        def any(self, *values: int, **named: int) -> list[int]:
            return [*values, *named.values()]

    right: list[tuple[str, tuple[int, ...], dict[str, int], list[int]]] = [
        ("position", (1,), {}, [1, 2]),
        ("position", (1, 3), {}, [1, 3]),
        ("position", (1,), {"y": 3}, [1, 3]),
        ("name", (), {"x": 1}, [1, 2]),
        ("name", (), {"x": 1, "y": 3}, [1, 3]),
        ("any", (), {}, []),
        ("any", (1, 2), {"z": 3}, [1, 2, 3]),
    ]
    wrong: list[tuple[str, tuple[int, ...], dict[str, int]]] = [
        ("position", (), {}),
        ("position", (), {"x": 1}),
        ("position", (1, 2, 3), {}),
        ("name", (), {}),
        ("name", (1,), {}),
        ("name", (), {"y": 1}),
        ("name", (), {"x": 1, "z": 1}),
    ]
    async with ActorSystem() as system:
        kinds = await system.spawn(Kinds)
        for name, arguments, named, answer in right:
            assert await kinds.ask(name, *arguments, **named) == answer
        for name, arguments, named in wrong:
            with pytest.raises(WrongArguments):
                kinds.tell(name, *arguments, **named)
        assert await kinds.ask("any", 1) == [1]


async def test_the_handler_of_everything_else_is_called_right_or_not_at_all() -> None:
    @actor
    class Rest:
        @handler("*")
        def rest(self, name: str, amount: int, *, unit: str = "") -> str:
            return f"{name} {amount}{unit}"

        @handler("known", is_asked=False)
        def known(self) -> None: ...

        @handler("asked", is_told=False)
        def asked(self) -> str:
            return "x"

    async with ActorSystem() as system:
        rest = await system.spawn(Rest)
        assert await rest.ask("anything", 3, unit="s") == "anything 3s"
        assert await rest.ask("anything", amount=3) == "anything 3"
        for arguments, named in [((), {}), ((1, 2), {}), ((1,), {"units": "s"})]:
            with pytest.raises(WrongArguments):
                rest.tell("anything", *arguments, **named)
        with pytest.raises(WrongKind, match="tell it"):
            await rest.ask("known")
        with pytest.raises(WrongKind, match="is to be asked"):
            rest.tell("asked")
        assert await rest.ask("still there", 1) == "still there 1"


def test_definitions_that_cannot_work_are_refused() -> None:
    with pytest.raises(WrongDefinition, match="handles no message"):

        @actor
        class Nothing:
            x: int

    with pytest.raises(WrongDefinition, match="two handlers of 'x'"):

        @actor
        class Twice:
            @handler("x")
            def one(self) -> None: ...

            @handler("x")
            def two(self) -> None: ...

    with pytest.raises(WrongDefinition, match="parameter named timeout"):

        @handler("x")
        def reserved(self: Any, timeout: float) -> None: ...

    with pytest.raises(WrongDefinition, match="takes no instance"):

        @handler("x")
        def nobody() -> None: ...

    with pytest.raises(ValueError, match="1 or more"):
        actor(mailbox=0)


async def test_an_undecorated_class_is_no_actor_and_its_heirs_are_not_either() -> None:
    class Plain: ...

    class Heir(Counter): ...

    async with ActorSystem() as system:
        for cls in (Plain, Heir, cast("type", "Counter")):
            with pytest.raises(WrongDefinition, match="decorate it with @actor"):
                await system.spawn(cls)
            with pytest.raises(WrongDefinition, match="decorate it with @actor"):
                child(cls)


async def test_names_are_one_actors_at_a_time() -> None:
    async with ActorSystem() as system:
        first = await system.spawn(Counter, name="counter")
        with pytest.raises(NameTaken, match="counter"):
            await system.spawn(Counter, name="counter")
        with pytest.raises(NameTaken, match="counter"):
            await system.supervise(
                tree("top", *workers("a", Book()), child(Counter, name="counter"))
            )
        assert system.names() == ("counter",)
        assert await first.ask("add") == 1
        assert system.whereis("counter") == first
        first.kill()
        assert system.whereis("counter") is None
        with pytest.raises(
            NoSuchActor, match="no running actor is named 'counter'; there are: none"
        ):
            system.actor("counter").tell("add")
        with pytest.raises(NoSuchActor):
            await system.actor("counter").ask("add")
        second = await system.spawn(Counter, name="counter")
        assert second.pid != first.pid
        assert second != first
        assert len({first, second, system.whereis("counter")}) == 2
        assert await system.actor("counter").ask("add") == 1
        assert system.actor("counter") == system.actor("counter") != system.actor("other")


async def test_the_dead_are_not_waited_for() -> None:
    async with ActorSystem() as system:
        ref = await system.spawn(Counter, name="counter")
        ref.tell("crash")
        await ref.ended(5)
        ref.tell("add")
        assert [(e.target, e.message) for e in system.dead_letters] == [("counter", "add")]
        loop = asyncio.get_running_loop()
        before = loop.time()
        with pytest.raises(ActorStopped, match="counter crashed: ValueError: as told") as stopped:
            await ref.ask("add", timeout=60)
        assert loop.time() - before < 30
        assert isinstance(stopped.value.__cause__, ValueError)
        with pytest.raises(ActorStopped):
            ref.replace_handler("add", lambda self: None)
        assert system.dead_letters.count == 1


@pytest.mark.parametrize("timeout", [0, -1, 0.0, float("nan")])
async def test_a_time_that_is_over_is_refused(timeout: float) -> None:
    async with ActorSystem() as system:
        ref = await system.spawn(Counter)
        for send in (ref.ask, ref.tell_when_room):
            with pytest.raises(Misuse, match="allow more than 0 s"):
                await send("add", timeout=timeout)
        with pytest.raises(Misuse, match="allow more than 0 s"):
            ref.send_request("add", timeout=timeout)
        assert await ref.ask("read") == 0


async def test_another_thread_is_refused_and_told_the_way() -> None:
    async with ActorSystem() as system:
        ref = await system.spawn(Counter, name="counter")
        top = await system.supervise(tree("top", *workers("a", Book())))
        errors: list[BaseException] = []

        def attempt() -> None:
            calls = [
                lambda: ref.tell("add"),
                lambda: ref.send_request("add"),
                lambda: system.actor("counter").tell("add"),
                ref.kill,
                lambda: ref.replace_handler("add", lambda self: None),
                lambda: top.delete_child("a"),
            ]
            waits = [
                lambda: ref.ask("add"),
                lambda: ref.tell_when_room("add"),
                lambda: ref.stop(),
                lambda: system.spawn(Counter),
                lambda: top.start_child(child(Counter)),
                lambda: top.terminate_child("a"),
                lambda: top.restart_child("a"),
            ]
            for call in calls:
                try:
                    call()
                except WrongThread as error:
                    errors.append(error)
            for wait in waits:
                try:
                    asyncio.run(wait())
                except WrongThread as error:
                    errors.append(error)

        thread = threading.Thread(target=attempt)
        thread.start()
        await asyncio.to_thread(thread.join, 20)
        assert not thread.is_alive()
        assert len(errors) == 13
        assert all("call_soon_threadsafe" in str(error) for error in errors)
        assert await ref.ask("read") == 0


async def test_a_system_that_has_not_begun_says_how_to_begin() -> None:
    system = ActorSystem()
    with pytest.raises(Misuse, match="async with ActorSystem"):
        await system.spawn(Counter)
    with pytest.raises(Misuse, match="async with ActorSystem"):
        await system.supervise(tree("top"))
    with pytest.raises(Misuse, match="async with ActorSystem"):
        system.snapshot()


async def test_a_spawn_with_the_wrong_arguments_fails_and_leaves_no_name() -> None:
    @actor
    class Needs:
        what: int
        more: int = state(default=1)

        @handler("x")
        def x(self) -> None: ...

    async with ActorSystem() as system:
        for arguments in ((), (1, 2, 3)):
            with pytest.raises(StartFailed, match="needs did not start: TypeError"):
                await system.spawn(Needs, *arguments, name="needs")
        with pytest.raises(Unserializable, match="lock"):
            await system.spawn(Needs, threading.Lock(), name="needs")
        assert system.names() == ()
        await system.spawn(Needs, 1, name="needs")


# ---------------------------------------------------------------- what cannot be sent


@dataclass
class Changes:
    items: list[int]


@dataclass(frozen=True)
class Holds:
    name: str
    items: Any


class HeirOfFrozen(Holds):
    """Its instances can be given any attribute."""


class Pair(NamedTuple):
    left: Any
    right: Any


def endless() -> list[Any]:
    items: list[Any] = []
    items.append(items)
    return items


def endless_dict() -> dict[str, Any]:
    items: dict[str, Any] = {}
    items["self"] = [items]
    return items


def too_deep() -> list[Any]:
    items: list[Any] = []
    for _ in range(200):
        items = [items]
    return items


UNSENDABLE: dict[str, tuple[Any, str]] = {
    "lock": (threading.Lock(), "type lock"),
    "generator": ((i for i in range(3)), "type generator"),
    "lambda": (lambda: 1, "type function"),
    "class": (Counter, "type type"),
    "object": (object(), "type object"),
    "exception": (ValueError("x"), "type ValueError"),
    "deque": (deque([1]), "type deque"),
    "subclass of dict": (OrderedDict(a=1), "type OrderedDict"),
    "dataclass that can change": (Changes([1]), "frozen=True"),
    "frozen dataclass with a list": (Holds("x", [1]), r"\.items is a list"),
    "frozen dataclass with a list deep inside": (Holds("x", (1, ([],))), r"\.items is a tuple"),
    "frozen dataclass with a dictionary": (Holds("x", {}), r"\.items is a dict"),
    "frozen dataclass with one that can change": (Holds("x", Changes([])), r"\.items is a Changes"),
    "subclass of a frozen dataclass": (HeirOfFrozen("x", ()), "frozen=True"),
    "list that contains itself": (endless(), "contains itself"),
    "dictionary that contains itself": (endless_dict(), "contains itself"),
    "list that is too deep": (too_deep(), "levels deep"),
    "lock in a named tuple": (Pair(1, [threading.Lock()]), r"\[1\]\[0\] is of type lock"),
    "lock deep inside": ([1, {"a": (2, {"b": threading.Lock()})}], r"\[1\]\['a'\]\[1\]\['b'\]"),
    "mutable in a frozenset": (frozenset([threading.Lock()]), "an element of"),
    "key that cannot go": ({(threading.Lock(),): 1}, "a key of"),
}


@pytest.mark.parametrize("what", UNSENDABLE)
async def test_what_cannot_be_sent_is_refused_with_its_place(what: str) -> None:
    value, expected = UNSENDABLE[what]

    @actor
    class Takes:
        @handler("take")
        def take(self, *values: Any, **named: Any) -> None: ...

        @handler("give")
        def give(self) -> Any:
            return value

    async with ActorSystem() as system:
        takes = await system.spawn(Takes)
        with pytest.raises(Unserializable, match=expected):
            takes.tell("take", 1, value)
        with pytest.raises(Unserializable, match="argument 'named'"):
            await takes.ask("take", named=value)
        with pytest.raises(Unserializable, match=expected):
            child(Takes, value)
        with pytest.raises(ActorStopped, match=r"Unserializable: .*the answer to 'give'"):
            await takes.ask("give")


async def test_an_open_file_is_refused() -> None:
    async with ActorSystem() as system:
        ref = await system.spawn(Counter)
        refused = pytest.raises(Unserializable, match="argument 1 of 'add' is of type TextIO")
        with open(__file__) as file, refused:  # noqa: ASYNC230 - it is only opened
            ref.tell("add", file)
        assert ref.reason is None


async def test_the_same_actor_can_be_told_on_with_what_is_a_reference() -> None:
    @actor
    class Sends:
        got: list[Any] = state(default_factory=list)

        @handler("take")
        def take(self, value: Any) -> Any:
            return value

    @dataclass(frozen=True)
    class Letter:
        sender: ActorRef
        tags: frozenset[str] = field(default_factory=frozenset)

    async with ActorSystem() as system:
        ref = await system.spawn(Sends, name="sends")
        for value in (ref, system.actor("sends"), Letter(ref), [ref], {"who": ref}, WhenFull.WAIT):
            assert await ref.ask("take", value) == value
        await turns()


def test_what_every_actor_has_of_the_runtime_is_not_overwritten() -> None:
    with pytest.raises(WrongDefinition, match="has an attribute `actor`"):

        @actor
        class Film:
            actor: str = state(default="nobody")

            @handler("who")
            def who(self) -> str:
                return self.actor


async def test_an_actor_s_class_may_have_subclasses() -> None:
    @actor
    class Base:
        count: int = state(default=1)

        @handler("count")
        def counted(self) -> int:
            return self.count

    @actor
    class Twice(Base):
        @handler("twice")
        def twice(self) -> int:
            return 2 * self.count

    async with ActorSystem() as system:
        twice = await system.spawn(Twice, 4)
        assert [await twice.ask("count"), await twice.ask("twice")] == [4, 8]
