"""What was sent or returned belongs to the receiver; asks end in time, and starve nobody."""

from __future__ import annotations

import asyncio
import datetime
import decimal
import enum
import uuid
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import pytest
from actor_programs import Book, Clock, Counter, at_once, found, nothing_left, tree, turns, until
from hypothesis import given
from hypothesis import strategies as st

from remotecalls.actors import (
    ActorRef,
    ActorStopped,
    ActorSystem,
    DeadlineExceeded,
    MailboxFull,
    NoSuchActor,
    Unserializable,
    WhenFull,
    actor,
    child,
    handler,
    state,
)
from remotecalls.actors.messages import isolated

# ---------------------------------------------------------------- isolation


@actor
class Keeps:
    kept: list[Any] = state(default_factory=list)

    @handler("keep")
    def keep(self, *values: Any, **named: Any) -> None:
        self.kept = [*values, *named.values()]

    @handler("kept")
    def get(self) -> list[Any]:
        return self.kept

    @handler("kept waiting")
    async def get_waiting(self) -> list[Any]:
        await asyncio.sleep(0)
        return self.kept

    @handler("grow")
    def grow(self) -> None:
        for value in self.kept:
            value["items"].append("by the actor")


async def test_neither_side_sees_what_the_other_does_to_a_value() -> None:
    async with ActorSystem() as system:
        keeps = await system.spawn(Keeps)
        mine: dict[str, Any] = {"items": [1, {"deep": {2}}], "bytes": bytearray(b"x")}
        original = {"items": [1, {"deep": {2}}], "bytes": bytearray(b"x")}
        for send in ("tell", "tell named", "ask", "tell_when_room", "send_request"):
            if send == "tell":
                keeps.tell("keep", mine)
            elif send == "tell named":
                keeps.tell("keep", value=mine)
            elif send == "send_request":
                await keeps.send_request("keep", mine)
            else:
                await getattr(keeps, send)("keep", mine)
            mine["items"][1]["deep"].add("by the sender")
            mine["bytes"].extend(b"by the sender")
            assert await keeps.ask("kept") == [original]
            mine = {"items": [1, {"deep": {2}}], "bytes": bytearray(b"x")}
        for name in ("kept", "kept waiting"):
            answer = await keeps.ask(name)
            answer[0]["items"].append("by the asker")
            answer.append("by the asker")
            assert await keeps.ask(name) == [original]
            await keeps.ask("grow")
            assert len(answer[0]["items"]) == 3
            keeps.tell("keep", mine)


async def test_the_state_argument_of_spawn_is_not_shared() -> None:
    async with ActorSystem() as system:
        mine = [{"items": []}]
        keeps = await system.spawn(Keeps, mine)
        named = await system.spawn(Keeps, kept=mine)
        mine.clear()
        for ref in (keeps, named):
            assert await ref.ask("kept") == [{"items": []}]
        await keeps.ask("grow")
        assert await named.ask("kept") == [{"items": []}]


class Color(enum.Enum):
    RED = 1


class Pair(NamedTuple):
    left: Any
    right: Any


@dataclass(frozen=True)
class Point:
    x: Any
    y: Any = ()


fixed = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=5)
    | st.binary(max_size=5)
    | st.just(Color.RED)
    | st.dates()
    | st.decimals(allow_nan=False)
    | st.uuids(),
    lambda inner: (
        st.tuples(inner, inner) | st.frozensets(inner, max_size=3) | st.builds(Point, inner, inner)
    ),
    max_leaves=8,
)
sendable = st.recursive(
    fixed | st.binary(max_size=5).map(bytearray),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(fixed, inner, max_size=3)
        | st.sets(fixed, max_size=3)
        | st.tuples(inner, inner)
        | st.builds(Pair, inner, inner)
    ),
    max_leaves=20,
)


def parts_that_change(value: Any) -> list[Any]:
    """All lists, dictionaries, sets and byte arrays in a value."""
    found_here = [value] if isinstance(value, (list, dict, set, bytearray)) else []
    inner: list[Any] = []
    if isinstance(value, dict):
        inner = [*value.keys(), *value.values()]
    elif isinstance(value, (list, tuple, set, frozenset)):
        inner = list(value)
    return found_here + [part for each in inner for part in parts_that_change(each)]


@given(sendable)
def test_a_copy_is_equal_of_the_same_types_and_shares_nothing_that_changes(value: Any) -> None:
    copy = isolated(value, "the value")
    assert copy == value
    assert type(copy) is type(value)
    assert repr(copy) == repr(value) or isinstance(
        value, (set, frozenset, dict, list, tuple, Point)
    )
    mine = {id(part) for part in parts_that_change(value)}
    theirs = parts_that_change(copy)
    assert len(theirs) == len(parts_that_change(value))
    assert not mine & {id(part) for part in theirs}


@given(sendable, st.sampled_from([object(), [1].__iter__(), lambda: 1]))
def test_what_cannot_be_sent_is_found_wherever_it_is(value: Any, bad: Any) -> None:
    for whole in ([value, bad], {"x": (value, [bad])}, Pair(value, bad), (bad,)):
        with pytest.raises(Unserializable, match="cannot be sent"):
            isolated(whole, "the value")


def test_what_never_changes_goes_as_it_is() -> None:
    for value in (
        *(decimal.Decimal("1.5"), uuid.uuid4(), datetime.timedelta(1), range(3), ..., Color.RED),
        *(Point(1, (Point("x"), frozenset({Pair(1, 2)}))), b"x", 1j),
    ):
        assert isolated(value, "the value") is value


# ---------------------------------------------------------------- asks


@actor
class Asked:
    book: int

    @handler("sleep")
    async def sleep(self) -> str:
        await asyncio.sleep(600)
        return "late"

    @handler("answer when open")
    async def when_open(self) -> str:
        await at_once(lambda: "open" in Book.of(self.book).lines, 1_000_000)
        Book.of(self.book).write("answered")
        return "late"

    @handler("value")
    def value(self) -> int:
        return 42

    @handler("crash")
    def crash(self) -> None:
        raise ValueError("as told")

    @handler("crash waiting")
    async def crash_waiting(self) -> None:
        await asyncio.sleep(0)
        raise ValueError("as told")

    @handler("cancelled")
    def cancelled(self) -> None:
        """What a handler does that looks at a future which somebody has cancelled."""
        waits = asyncio.get_running_loop().create_future()
        waits.cancel()
        waits.result()

    @handler("cancelled waiting")
    async def cancelled_waiting(self) -> None:
        waits = asyncio.get_running_loop().create_future()
        waits.cancel()
        await waits

    @handler("not found", raises=LookupError)
    def not_found(self) -> None:
        raise KeyError("nobody")

    @handler("not found waiting", raises=(LookupError, ValueError))
    async def not_found_waiting(self) -> None:
        await asyncio.sleep(0)
        raise KeyError("nobody")


async def test_an_ask_has_five_seconds_unless_it_says_otherwise() -> None:
    async with nothing_left(), ActorSystem(close_timeout=0.01) as system:
        ref = await system.spawn(Asked, Book().number)
        with Clock() as clock:
            asking = asyncio.create_task(ref.ask("sleep"))
            await turns()
            clock.forward(4.9)
            await turns()
            assert not asking.done()
            clock.forward(0.2)
            with pytest.raises(DeadlineExceeded, match="no answer within 5 s"):
                await asking
        ref.kill()
        ref = await system.spawn(Asked, Book().number)
        loop = asyncio.get_running_loop()
        before = loop.time()
        with pytest.raises(DeadlineExceeded, match=r"no answer within 0\.05 s"):
            await ref.ask("sleep", timeout=0.05)
        assert 0.049 <= loop.time() - before < 4
        assert ref.reason is None  # whatever the asker thinks, the asked one goes on


async def test_a_late_answer_goes_nowhere_and_the_next_is_right() -> None:
    book = Book()
    async with nothing_left(), ActorSystem() as system:
        ref = await system.spawn(Asked, book.number)
        with pytest.raises(DeadlineExceeded):
            await ref.ask("answer when open", timeout=0.02)
        book.write("open")
        assert await ref.ask("value") == 42
        assert book.lines == ["open", "answered"]


async def test_an_asker_that_is_cancelled_is_cancelled_and_no_more() -> None:
    book = Book()
    async with nothing_left(), ActorSystem() as system:
        ref = await system.spawn(Asked, book.number)
        asking = asyncio.create_task(ref.ask("answer when open"))
        await turns()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        book.write("open")
        assert await ref.ask("value") == 42
        assert "answered" in book.lines


CRASHES = {
    "crash": "ValueError: as told",
    "crash waiting": "ValueError: as told",
    "cancelled": "CancelledError",
    "cancelled waiting": "CancelledError",
}


@pytest.mark.parametrize("name", CRASHES)
async def test_a_crash_of_the_asked_one_is_the_answer_to_it_and_to_those_behind(name: str) -> None:
    with_clear_words = CRASHES[name]
    async with nothing_left(), ActorSystem() as system:
        ref = await system.spawn(Asked, Book().number, name="asked")
        async with asyncio.timeout(5):
            results = await asyncio.gather(
                ref.ask(name, timeout=60),
                ref.ask("value", timeout=60),
                ref.ask("value", timeout=60),
                return_exceptions=True,
            )
        for result in results:
            assert isinstance(result, ActorStopped)
            assert with_clear_words in str(result)
            assert str(result).startswith("asked crashed")
        assert str(ref.lifecycle) == "crashed"


@pytest.mark.parametrize("name", ["not found", "not found waiting"])
async def test_an_exception_that_is_declared_is_an_answer(name: str) -> None:
    async with ActorSystem() as system:
        ref = await system.spawn(Asked, Book().number)
        for _ in range(2):
            with pytest.raises(KeyError, match="nobody"):
                await ref.ask(name)
        ref.tell(name)
        assert await ref.ask("value") == 42
        [letter] = system.dead_letters
        assert "nobody was told of KeyError" in letter.reason
        assert ref.reason is None


async def test_an_asker_in_a_tight_loop_starves_neither_timers_nor_tasks() -> None:
    loop = asyncio.get_running_loop()
    async with ActorSystem() as system:
        counter = await system.spawn(Counter)
        rounds, asks = 0, 0
        done = asyncio.Event()
        loop.call_later(0.05, done.set)

        async def other() -> None:
            nonlocal rounds
            while not done.is_set():
                rounds += 1
                await asyncio.sleep(0)

        other_task = asyncio.create_task(other())
        async with asyncio.timeout(20):
            while not done.is_set():
                await counter.ask("add", timeout=60)
                asks += 1
            await other_task
        # The loop comes round after two milliseconds or a few hundred asks, whatever is later.
        assert rounds >= 5
        assert asks > rounds


async def test_actors_that_never_run_out_of_work_do_not_starve_the_loop() -> None:
    most = 300_000

    @actor
    class Ping:
        book: int
        count: int = state(default=0)

        @handler("ping")
        def ping(self, other: ActorRef) -> None:
            self.count += 1
            if self.count < most and "stop" not in Book.of(self.book).lines:
                other.tell("ping", cast("Any", self).actor.ref)

        @handler("count")
        def get(self) -> int:
            return self.count

    book = Book()
    async with ActorSystem() as system:
        one, two = [await system.spawn(Ping, book.number) for _ in range(2)]
        one.tell("ping", two)
        await turns(20)
        book.write("stop")
        await turns(5)
        assert 0 < await one.ask("count") < most


async def test_asks_that_fail_at_once_let_others_run() -> None:
    """Who tries until it works has to let happen what makes it work."""

    @actor(mailbox=1, when_full=WhenFull.REFUSE)
    class Small:
        @handler("wait")
        async def wait(self) -> None:
            await asyncio.sleep(0)

        @handler("crash")
        async def crash(self) -> None:
            raise ValueError("as told")

    async with ActorSystem() as system:
        top = await system.supervise(tree("top", child(Small, name="small"), intensity=100))
        for _ in range(3):
            first = found(system, "small")
            first.tell("wait")
            await turns()
            tries = 0

            async def again(kind: type[Exception], ref: Any, name: str = "wait") -> None:
                nonlocal tries
                for _ in range(100):
                    tries += 1
                    try:
                        await ref.ask(name, timeout=60)
                        return
                    except kind:
                        continue
                raise AssertionError("starved")

            first.tell("wait")
            await again(MailboxFull, first)
            assert tries > 1
            first.kill()
            await again(NoSuchActor, system.actor("small"))
            second = found(system, "small")
            assert second != first
            second.kill()
            with pytest.raises(AssertionError, match="starved"):
                await again(ActorStopped, second)
            assert found(system, "small") != second  # it was started again meanwhile
        assert top.reason is None


async def test_context_variables_of_the_asker_are_not_seen() -> None:
    variable: ContextVar[str] = ContextVar("variable", default="unset")

    @actor
    class Looks:
        @handler("look")
        def look(self) -> str:
            return variable.get()

        @handler("look waiting")
        async def look_waiting(self) -> str:
            await asyncio.sleep(0)
            return variable.get()

    variable.set("of the one that began the system")
    async with ActorSystem() as system:
        looks = await system.spawn(Looks)
        variable.set("the asker's")
        for _ in range(3):
            assert await looks.ask("look") == "unset"
            assert await looks.ask("look waiting") == "unset"
        assert variable.get() == "the asker's"


async def test_many_askers_get_their_own_answers() -> None:
    @actor
    class Echo:
        @handler("now")
        def now(self, value: int) -> int:
            return value

        @handler("later")
        async def later(self, value: int) -> int:
            for _ in range(value % 3):
                await asyncio.sleep(0)
            return value

    async with ActorSystem() as system:
        echoes = [await system.spawn(Echo) for _ in range(10)]
        asks = [
            echoes[i % 10].ask("later" if i % 4 else "now", i, timeout=60) for i in range(2_000)
        ]
        assert await asyncio.gather(*asks) == list(range(2_000))


async def test_the_answer_to_a_dead_asker_does_not_hurt_the_asked_one() -> None:
    @actor
    class Asker:
        other: ActorRef

        @handler("ask")
        async def ask(self) -> None:
            await self.other.ask("answer when open")

    book = Book()
    async with nothing_left(), ActorSystem() as system:
        asked = await system.spawn(Asked, book.number)
        asker = await system.spawn(Asker, asked)
        asker.tell("ask")
        await at_once(lambda: asked.actor_process.is_waiting)
        asker.kill()
        book.write("open")
        await until(lambda: "answered" in book.lines)
        assert await asked.ask("value") == 42
        assert cast("Any", asked).reason is None
