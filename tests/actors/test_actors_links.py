"""Links tie lives together, monitors only tell."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from typing import Any, cast

import pytest
from actor_programs import Book, at_once, nothing_left, turns
from hypothesis import given, settings
from hypothesis import strategies as st

from remotecalls.actors import (
    ActorRef,
    ActorStopped,
    ActorSystem,
    Exit,
    ExitKind,
    Misuse,
    WrongDefinition,
    actor,
    handler,
    state,
)
from remotecalls.actors.process import Monitor


@actor
class Linked:
    """Links and unlinks as told."""

    @handler("link")
    def link(self, *others: ActorRef) -> None:
        for other in others:
            cast("Any", self).actor.link(other)

    @handler("unlink")
    def unlink(self, other: ActorRef) -> None:
        cast("Any", self).actor.unlink(other)

    @handler("kill and unlink")
    def kill_and_unlink(self, other: ActorRef) -> None:
        other.kill()
        cast("Any", self).actor.unlink(other)

    @handler("crash")
    def crash(self) -> None:
        raise ValueError("as told")

    @handler("end")
    def end(self) -> None:
        cast("Any", self).actor.stop()

    @handler("alive")
    def alive(self) -> bool:
        return True


@actor(traps_exits=True)
class Trap:
    book: int

    @handler("link")
    def link(self, other: ActorRef) -> None:
        cast("Any", self).actor.link(other)

    @handler("exit")
    def exit(self, sender: ActorRef, reason: Exit) -> None:
        Book.of(self.book).write((sender.name, reason.kind))

    @handler("alive")
    def alive(self) -> bool:
        return True


@actor
class Watcher:
    book: int
    monitors: dict[str, Any] = state(default_factory=dict)

    @handler("watch")
    def watch(self, other: ActorRef) -> None:
        self.monitors[other.name] = cast("Any", self).actor.monitor(other)

    @handler("forget")
    def forget(self) -> None:
        self.monitors.clear()

    @handler("look away")
    def look_away(self, name: str) -> None:
        cast("Any", self).actor.demonitor(self.monitors[name])

    @handler("down")
    def down(self, sender: ActorRef, reason: Exit) -> None:
        Book.of(self.book).write((sender.name, reason.kind))

    @handler("alive")
    def alive(self) -> bool:
        return True


def crash(ref: ActorRef) -> None:
    ref.tell("crash")


def end(ref: ActorRef) -> None:
    ref.tell("end")


def kill(ref: ActorRef) -> None:
    ref.kill()


WAYS = [(crash, ExitKind.CRASHED), (end, ExitKind.NORMAL), (kill, ExitKind.KILLED)]
Shape = list[tuple[int, int]]
SHAPES: dict[str, Shape] = {
    "chain": [(i, i + 1) for i in range(999)],
    "ring": [(i, (i + 1) % 1_000) for i in range(1_000)],
    "star": [(0, i) for i in range(1, 1_000)],
    "star, from its points": [(i, 0) for i in range(1, 1_000)],
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("how", [crash, kill])
async def test_one_crash_takes_a_thousand_that_are_linked(
    shape: str, how: Callable[[ActorRef], None]
) -> None:
    async with nothing_left(), ActorSystem() as system:
        refs = [await system.spawn(Linked, name=f"n{i}") for i in range(1_000)]
        alone = await system.spawn(Linked)
        for a, b in SHAPES[shape]:
            refs[a].tell("link", refs[b])
        for ref in refs:
            await ref.ask("alive")
        how(refs[0])
        async with asyncio.timeout(20):
            for ref in refs:
                await ref.ended(20)
        kinds = {ref.reason.kind for ref in refs if ref.reason}
        assert kinds == {ExitKind.CRASHED if how is crash else ExitKind.KILLED}
        assert all(ref.reason is not None and ref.reason.origin == "n0" for ref in refs[1:])
        assert await alone.ask("alive")
        assert system.names() == ()


async def test_a_normal_end_does_not_take_its_links() -> None:
    async with ActorSystem() as system:
        a, b = [await system.spawn(Linked) for _ in range(2)]
        a.tell("link", b)
        await a.ask("alive")
        b.tell("end")
        await b.ended(5)
        await turns()
        assert await a.ask("alive")


@pytest.mark.parametrize(("how", "kind"), WAYS)
async def test_one_that_traps_exits_has_a_message_instead(
    how: Callable[[ActorRef], None], kind: ExitKind
) -> None:
    book = Book()
    async with ActorSystem() as system:
        trap = await system.spawn(Trap, book.number)
        victim = await system.spawn(Linked, name="victim")
        behind = await system.spawn(Linked)
        await trap.ask("link", victim)
        await trap.ask("link", behind)
        how(victim)
        await victim.ended(5)
        await at_once(lambda: bool(book.lines))
        assert await trap.ask("alive")
        assert book.lines == [("victim", kind)]
        assert await behind.ask("alive")
        trap.kill()  # what traps exits is not spared this, and takes the next with it
        assert (await behind.ended(5)).kind is ExitKind.KILLED


async def test_a_link_is_one_however_often_it_is_made_and_unlinking_ends_it() -> None:
    book = Book()
    async with ActorSystem() as system:
        trap = await system.spawn(Trap, book.number)
        a, b = [await system.spawn(Linked, name=name) for name in "ab"]
        for _ in range(3):
            await trap.ask("link", a)
        await a.ask("link", b)
        await b.ask("unlink", a)  # from the other side
        a.kill()
        await at_once(lambda: bool(book.lines))
        await turns()
        assert book.lines == [("a", ExitKind.KILLED)]
        assert await b.ask("alive")


async def test_after_unlink_a_signal_on_its_way_has_no_effect() -> None:
    async with ActorSystem() as system:
        a, b = [await system.spawn(Linked) for _ in range(2)]
        await a.ask("link", b)
        await a.ask("kill and unlink", b)
        await turns()
        assert await a.ask("alive")


@pytest.mark.parametrize(("how", "kind"), WAYS)
async def test_a_link_to_one_that_has_ended_is_its_end_at_once(
    how: Callable[[ActorRef], None], kind: ExitKind
) -> None:
    book = Book()
    async with ActorSystem() as system:
        victim = await system.spawn(Linked, name="victim")
        how(victim)
        await victim.ended(5)
        a = await system.spawn(Linked)
        a.tell("link", victim)
        trap = await system.spawn(Trap, book.number)
        trap.tell("link", victim)
        await at_once(lambda: book.lines == [("victim", kind)])
        await turns()
        if kind is ExitKind.NORMAL:
            assert await a.ask("alive")
        else:
            assert (await a.ended(5)).origin == "victim"


async def test_a_parent_and_the_child_that_it_spawned_go_together() -> None:
    @actor
    class Parent:
        @handler("spawn")
        async def spawn(self, link: bool) -> ActorRef:
            return cast("ActorRef", await cast("Any", self).actor.spawn(Linked, link=link))

    async with ActorSystem() as system:
        parent = await system.spawn(Parent)
        linked = await parent.ask("spawn", link=True)
        free = await parent.ask("spawn", link=False)
        parent.kill()
        await linked.ended(5)
        assert await free.ask("alive")
        parent = await system.spawn(Parent)
        linked = await parent.ask("spawn", link=True)
        linked.tell("crash")
        assert (await parent.ended(5)).kind is ExitKind.CRASHED


async def test_an_exit_signal_from_outside_is_obeyed_unless_it_is_normal() -> None:
    book = Book()
    async with ActorSystem() as system:
        a = await system.spawn(Linked)
        a.exit(Exit(ExitKind.NORMAL))
        await turns()
        assert await a.ask("alive")
        a.exit(Exit(ExitKind.SHUTDOWN, "enough"))
        assert (await a.ended(5)).detail == "enough"
        trap = await system.spawn(Trap, book.number, name="trap")
        trap.exit(Exit(ExitKind.SHUTDOWN))
        assert await trap.ask("alive")
        assert book.lines == [("trap", ExitKind.SHUTDOWN)]


# ---------------------------------------------------------------- a handler whose actor ends


async def test_a_handler_whose_actor_is_killed_by_the_one_it_asks_goes_no_further() -> None:
    book = Book()

    @actor
    class Killer:
        @handler("kill")
        def kill(self, victim: ActorRef) -> None:
            victim.kill()

    @actor
    class Victim:
        killer: ActorRef

        @handler("ask for it")
        async def ask_for_it(self) -> None:
            await self.killer.ask("kill", cast("Any", self).actor.ref)
            Book.of(book.number).write("the answer is no wait")
            await asyncio.sleep(0)
            Book.of(book.number).write("lives on")

    async with nothing_left(), ActorSystem() as system:
        killer = await system.spawn(Killer)
        victim = await system.spawn(Victim, killer)
        with pytest.raises(ActorStopped, match="was killed"):
            await victim.ask("ask for it")
        await turns(20)
        assert "lives on" not in book.lines


async def test_a_handler_whose_actor_goes_with_the_linked_one_it_asks_goes_no_further() -> None:
    book = Book()

    @actor
    class Asks:
        other: ActorRef

        @handler("crash it")
        async def crash_it(self) -> None:
            cast("Any", self).actor.link(self.other)
            try:
                await self.other.ask("crash")
            except ActorStopped:
                for _ in range(5):
                    await asyncio.sleep(0)
            Book.of(book.number).write("lives on")

    async with nothing_left(), ActorSystem() as system:
        asks = await system.spawn(Asks, await system.spawn(Linked))
        with pytest.raises(ActorStopped, match="crashed with Linked"):
            await asks.ask("crash it")
        await turns(20)
        assert book.lines == []


# ---------------------------------------------------------------- monitors


@pytest.mark.parametrize(("how", "kind"), WAYS)
async def test_a_monitor_tells_once_also_of_one_that_had_ended(
    how: Callable[[ActorRef], None], kind: ExitKind
) -> None:
    book = Book()
    async with ActorSystem() as system:
        watcher = await system.spawn(Watcher, book.number)
        victim = await system.spawn(Linked, name="victim")
        await watcher.ask("watch", victim)
        how(victim)
        await victim.ended(5)
        await watcher.ask("alive")
        await turns()
        assert book.taken() == [("victim", kind)]
        await watcher.ask("watch", victim)
        await watcher.ask("alive")
        assert book.lines == [("victim", kind)]
        assert await watcher.ask("alive")


async def test_a_monitor_that_is_taken_back_tells_nothing_and_two_tell_twice() -> None:
    book = Book()
    async with ActorSystem() as system:
        watcher = await system.spawn(Watcher, book.number)
        a, b = [await system.spawn(Linked, name=name) for name in "ab"]
        await watcher.ask("watch", a)
        await watcher.ask("look away", "a")
        await watcher.ask("watch", b)
        await watcher.ask("watch", b)
        await watcher.ask("look away", "b")  # the second of two
        a.kill()
        b.kill()
        await turns()
        await watcher.ask("alive")
        assert book.lines == [("b", ExitKind.KILLED)]


def monitors_alive() -> int:
    gc.collect()
    return sum(isinstance(each, Monitor) for each in gc.get_objects())


async def test_neither_side_keeps_the_monitors_of_those_that_have_ended() -> None:
    async with ActorSystem() as system:
        old_watcher = await system.spawn(Watcher, Book().number)
        old_target = await system.spawn(Linked)
        before = monitors_alive()
        for number in range(50):
            watcher = await system.spawn(Watcher, Book().number)
            await watcher.ask("watch", old_target)
            watcher.kill()
            target = await system.spawn(Linked, name="target")
            await old_watcher.ask("watch", target)
            await (target.stop() if number % 2 else old_watcher.ask("look away", "target"))
            target.kill()
            await old_watcher.ask("forget")
        assert monitors_alive() == before


async def test_to_monitor_one_has_to_take_the_message() -> None:
    @actor
    class Deaf:
        @handler("watch")
        def watch(self, other: ActorRef) -> None:
            cast("Any", self).actor.monitor(other)

    async with ActorSystem() as system:
        deaf = await system.spawn(Deaf)
        other = await system.spawn(Linked)
        with pytest.raises(ActorStopped, match="no handler 'down'"):
            await deaf.ask("watch", other)
        with pytest.raises(WrongDefinition, match="traps exits and has no handler"):
            actor(traps_exits=True)(type("NoExit", (), {"x": handler("x")(lambda self: None)}))


async def test_nobody_links_to_itself() -> None:
    async with ActorSystem() as system:
        ref = await system.spawn(Linked)
        with pytest.raises(ActorStopped, match="links to itself") as stopped:
            await ref.ask("link", ref)
        assert isinstance(stopped.value.__cause__, Misuse)


async def test_who_asks_to_be_called_at_the_end_is_called_once_whatever_it_raises() -> None:
    ends: list[ExitKind] = []

    def raises(_: Exit) -> None:
        raise ValueError("in on_end")

    @actor
    class Told:
        def started(self) -> None:
            context = cast("Any", self).actor
            context.on_end(raises)
            context.on_end(lambda reason: ends.append(reason.kind))

        @handler("x")
        def x(self) -> None: ...

    reported: list[object] = []
    asyncio.get_running_loop().set_exception_handler(
        lambda _, context: reported.append(context.get("exception"))
    )
    async with ActorSystem() as system:
        told = await system.spawn(Told)
        told.kill()
        assert (await told.ended(5)).kind is ExitKind.KILLED
        await turns()
        assert ends == [ExitKind.KILLED]
    assert [str(each) for each in reported] == ["in on_end"]


# ---------------------------------------------------------------- the law of links

edges = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=20)


@settings(max_examples=50)
@given(
    links=edges,
    unlinks=edges,
    traps=st.sets(st.integers(0, 9)),
    victim=st.integers(0, 9),
    how=st.sampled_from([crash, end, kill]),
)
async def test_who_ends_is_whoever_is_reached_by_links_through_those_that_obey(
    links: Shape,
    unlinks: Shape,
    traps: set[int],
    victim: int,
    how: Callable[[ActorRef], None],
) -> None:
    @actor(traps_exits=True)
    class Trapping(Linked):
        @handler("exit")
        def exit(self, sender: ActorRef, reason: Exit) -> None: ...

    neighbours: dict[int, set[int]] = {i: set() for i in range(10)}
    async with ActorSystem() as system:
        refs = [await system.spawn(Trapping if i in traps else Linked) for i in range(10)]
        for a, b in links:
            if a != b:
                neighbours[a].add(b)
                neighbours[b].add(a)
                await refs[a].ask("link", refs[b])
        for a, b in unlinks:
            neighbours[a].discard(b)
            neighbours[b].discard(a)
            await refs[a].ask("unlink", refs[b])
        expected, border = {victim}, [victim] if how is not end else []
        while border:
            for other in neighbours[border.pop()] - expected - traps:
                expected.add(other)
                border.append(other)
        how(refs[victim])
        await refs[victim].ended(5)
        await turns(20)
        assert {i for i, ref in enumerate(refs) if ref.reason is not None} == expected
