"""To stop is to drain, or to run out of time; never to hang, and never to leave anything."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any, cast

import pytest
from actor_programs import (
    Book,
    Counter,
    armed_timers,
    at_once,
    found,
    loop_errors,
    nothing_left,
    tree,
    turns,
    workers,
)

from remotecalls.actors import (
    ActorRef,
    ActorStopped,
    ActorSystem,
    DeadlineExceeded,
    ExitKind,
    Lifecycle,
    Misuse,
    Restart,
    SystemFailed,
    What,
    actor,
    child,
    handler,
    state,
)


@actor
class Busy:
    """Takes its time, and can be stubborn about it."""

    book: int
    stop: str = state(default="sync")

    def stopping(self) -> Any:
        Book.of(self.book).write("stopping")
        if self.stop == "raise":
            raise ValueError("cannot stop")
        if self.stop != "sync":
            return self.stop_waiting()
        return None

    async def stop_waiting(self) -> None:
        await asyncio.sleep(0 if self.stop != "slow" else 600)
        if self.stop == "raise waiting":
            raise ValueError("cannot stop")
        if self.stop == "cancelled":
            waits = asyncio.get_running_loop().create_future()
            waits.cancel()
            await waits
        Book.of(self.book).write("stopped")

    @handler("note")
    def note(self, what: Any) -> None:
        Book.of(self.book).write(what)

    @handler("wait")
    async def wait(self, turns_: int) -> str:
        for _ in range(turns_):
            await asyncio.sleep(0)
        Book.of(self.book).write("waited")
        return "waited"

    @handler("sleep")
    async def sleep(self) -> None:
        try:
            await asyncio.sleep(600)
        finally:
            Book.of(self.book).write("cancelled")

    @handler("ignore")
    async def ignore(self, gate: int) -> None:
        """Wait for a line in a book, whoever cancels."""
        while "open" not in Book.of(gate).lines:
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(0.001)
        Book.of(self.book).write("went on")

    @handler("end")
    def end(self) -> str:
        cast("Any", self).actor.stop()
        return "answered"

    @handler("end waiting")
    async def end_waiting(self) -> str:
        cast("Any", self).actor.stop()
        await asyncio.sleep(0)
        Book.of(self.book).write("to its end")
        return "answered"


async def test_stop_drains_what_waits_and_refuses_what_comes() -> None:
    book = Book()
    async with nothing_left(), ActorSystem() as system:
        ref = await system.spawn(Busy, book.number)
        answer = asyncio.create_task(ref.ask("wait", 20))
        await at_once(lambda: ref.actor_process.is_waiting)
        for number in range(100):
            ref.tell("note", number)
        stopping = asyncio.create_task(ref.stop())
        await at_once(lambda: ref.lifecycle is Lifecycle.DRAINING)
        ref.tell("note", "late")
        with pytest.raises(ActorStopped, match="takes nothing more"):
            await ref.ask("wait", 0)
        exit_ = await stopping
        assert exit_.kind is ExitKind.SHUTDOWN
        assert await answer == "waited"
        assert book.lines == ["waited", *range(100), "stopping"]
        assert ref.lifecycle is Lifecycle.STOPPED
        assert [letter.message for letter in system.dead_letters] == ["note"]


async def test_stop_runs_out_of_time_and_kills() -> None:
    book = Book()
    async with nothing_left(), ActorSystem() as system:
        ref = await system.spawn(Busy, book.number)
        answer = asyncio.create_task(ref.ask("sleep"))
        await at_once(lambda: ref.actor_process.is_waiting)
        ref.tell("note", "never")
        assert (await ref.stop(timeout=0.01)).kind is ExitKind.KILLED
        with pytest.raises(ActorStopped, match="was killed"):
            await answer
        await turns()
        assert book.lines == ["cancelled"]
        assert ref.lifecycle is Lifecycle.KILLED


ENDS = {
    "sync": (ExitKind.SHUTDOWN, ["stopping"]),
    "waiting": (ExitKind.SHUTDOWN, ["stopping", "stopped"]),
    "raise": (ExitKind.CRASHED, ["stopping"]),
    "raise waiting": (ExitKind.CRASHED, ["stopping"]),
    "cancelled": (ExitKind.CRASHED, ["stopping"]),
    "slow": (ExitKind.KILLED, ["stopping"]),
}


@pytest.mark.parametrize("how", ENDS)
async def test_what_stopping_does_decides_the_end(how: str) -> None:
    kind, lines = ENDS[how]
    book = Book()
    async with nothing_left(), ActorSystem() as system:
        ref = await system.spawn(Busy, book.number, how)
        ref.tell("note", "before")
        end = await ref.stop(timeout=5 if how != "slow" else 0.01)
        assert end.kind is kind
        assert book.lines == ["before", *lines]
        assert (await ref.stop()).kind is kind  # once more is no error


async def test_who_is_killed_before_stopping_has_begun_leaves_nothing() -> None:
    book = Book()
    async with nothing_left(), ActorSystem() as system:
        ref = await system.spawn(Busy, book.number, "waiting")
        stopping = asyncio.create_task(ref.stop())
        await at_once(lambda: book.lines == ["stopping"])
        ref.kill()
        assert (await stopping).kind is ExitKind.KILLED
        await turns()
        assert book.lines == ["stopping"]


@pytest.mark.parametrize("how", ["end", "end waiting"])
async def test_an_actor_stops_itself_after_what_waits(how: str) -> None:
    book = Book()
    async with nothing_left(), ActorSystem() as system:
        ref = await system.spawn(Busy, book.number)
        answer = asyncio.create_task(ref.ask(how))
        await at_once(lambda: ref.lifecycle in (Lifecycle.DRAINING, Lifecycle.STOPPED))
        ref.tell("note", "too late")
        assert await answer == "answered"
        assert (await ref.ended(5)).kind is ExitKind.NORMAL
        assert book.lines[-1] == "stopping"
        assert "too late" not in book.lines


async def test_an_actor_does_not_wait_for_its_own_end() -> None:
    @actor
    class Own:
        @handler("stop")
        async def stop(self) -> None:
            await cast("Any", self).actor.ref.stop()

    async with nothing_left(), ActorSystem() as system:
        own = await system.spawn(Own)
        with pytest.raises(ActorStopped, match="waits for its own end") as stopped:
            await own.ask("stop")
        assert isinstance(stopped.value.__cause__, Misuse)


async def test_ended_gives_up_at_its_deadline_and_keeps_nothing() -> None:
    async with nothing_left(), ActorSystem() as system:
        ref = await system.spawn(Counter)
        for _ in range(3):
            with pytest.raises(DeadlineExceeded, match=r"within 0\.001 s"):
                await ref.ended(0.001)
        waiting = asyncio.create_task(ref.ended(60))
        await turns()
        waiting.cancel()
        await turns()
        ref.kill()
        assert (await ref.ended(1)).kind is ExitKind.KILLED


# ---------------------------------------------------------------- systems


async def test_the_end_of_the_block_drains_busy_trees_from_the_last_to_the_first() -> None:
    book = Book()
    async with nothing_left(), ActorSystem() as system:
        await system.supervise(tree("one", *workers("ab", book), tree("low", *workers("c", book))))
        await system.supervise(tree("two", *workers("d", book)))
        last = await system.spawn(Busy, book.number)
        book.taken()
        for name in "abcd":
            for number in range(50):
                system.actor(name).tell("note", (name, number))
        last.tell("wait", 30)
    notes = [line for line in book.lines if line[0] in tuple("abcd")]
    assert len(notes) == 200
    for name in "abcd":
        assert [number for each, number in notes if each == name] == list(range(50))
    ends = [line for line in book.lines if line == "stopping" or line[0] == "stopping"]
    assert ends == ["stopping", *(("stopping", name) for name in "dcba")]
    ended = [event.name for event in system.events if event.what is What.ENDED]
    assert ended == ["Busy-1", "d", "two", "c", "low", "b", "a", "one", "system"]


async def test_a_body_that_raises_still_stops_everything_and_is_what_is_raised() -> None:
    book = Book()

    async def run() -> None:
        async with nothing_left(), ActorSystem() as system:
            await system.supervise(tree("top", *workers("ab", book)))
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        await run()
    assert book.lines[-2:] == [("stopping", "b"), ("stopping", "a")]


async def test_a_system_that_takes_too_long_kills_those_that_are_left() -> None:
    """Also a child that its supervisor waits for longer than the system may take."""
    book = Book()
    async with nothing_left():
        async with ActorSystem(close_timeout=0.05) as system:
            spec = child(Busy, book.number, "slow", name="slow", shutdown=600)
            await system.supervise(tree("top", *workers("a", book), tree("low", spec)))
            sleeper = await system.spawn(Busy, book.number)
            slow = found(system, "slow")
        assert slow.lifecycle is Lifecycle.KILLED
        assert sleeper.lifecycle is Lifecycle.STOPPED
        assert system.names() == ()
        assert system.unfinished == ()


async def test_a_handler_that_ignores_its_cancellation_is_named_and_harms_nobody() -> None:
    book, gate = Book(), Book()
    async with nothing_left():
        async with ActorSystem(close_timeout=0.02) as system:
            ref = await system.spawn(Busy, book.number, name="stubborn")
            ref.tell("ignore", gate.number)
            ref.tell("note", "never")
            await at_once(lambda: ref.actor_process.is_waiting)
        assert system.unfinished == ("stubborn",)
        assert ref.lifecycle is Lifecycle.KILLED
        gate.write("open")
    assert book.lines == ["went on"]


async def test_closing_that_is_cancelled_leaves_nobody_alive() -> None:
    book = Book()
    async with nothing_left():
        refs: list[ActorRef] = []

        async def run() -> None:
            async with ActorSystem() as system:
                spec = child(Busy, book.number, "slow", name="slow", shutdown=600)
                await system.supervise(tree("top", *workers("a", book), spec))
                refs.extend(found(system, name) for name in ("a", "slow"))

        running = asyncio.create_task(run())
        await at_once(lambda: "stopping" in book.lines)
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        assert running.cancelled()
        assert [ref.lifecycle for ref in refs] == [Lifecycle.KILLED] * 2


async def test_children_have_the_time_that_their_specification_gives_them() -> None:
    book = Book()
    async with nothing_left(), ActorSystem() as system:
        quick = child(Busy, book.number, "slow", name="quick", shutdown=0.01)
        top = await system.supervise(tree("top", quick, restart=Restart.TEMPORARY))
        ref = found(system, "quick")
        await top.stop()
        assert ref.lifecycle is Lifecycle.KILLED
        assert top.lifecycle is Lifecycle.STOPPED


async def test_a_supervisor_that_is_stopped_while_it_restarts_drains_and_starts_nobody() -> None:
    book = Book()
    specs = [child(Busy, book.number, "waiting", name=name) for name in "abc"]
    async with nothing_left(), ActorSystem() as system:
        spec = tree("top", *specs, strategy="one-for-all", restart=Restart.TEMPORARY)  # type: ignore[arg-type]
        top = await system.supervise(spec)
        refs = {name: found(system, name) for name in "abc"}
        refs["a"].kill()
        await at_once(lambda: book.lines == ["stopping"])  # it is stopping c
        end = await top.stop()
        assert end.kind is ExitKind.SHUTDOWN
        assert book.lines == ["stopping", "stopped", "stopping", "stopped"]
        assert [refs[name].lifecycle for name in "bc"] == [Lifecycle.STOPPED] * 2
        assert system.names() == ()


async def test_nothing_is_left_of_a_system_of_all_kinds_of_work() -> None:
    book = Book()
    with loop_errors() as errors:
        async with nothing_left():
            async with ActorSystem() as system:
                await system.supervise(tree("top", *workers("abc", book)))
                busy = [await system.spawn(Busy, book.number) for _ in range(10)]
                for ref in busy:
                    ref.tell("wait", 5)
                asks = [asyncio.create_task(ref.ask("wait", 5)) for ref in busy]
                busy[0].kill()
                found(system, "b").kill()
                assert len(armed_timers()) >= 0
            results = await asyncio.gather(*asks, return_exceptions=True)
        assert results.count("waited") + sum(isinstance(r, ActorStopped) for r in results) == 10
        assert errors == []


# ---------------------------------------------------------------- lifecycle


async def test_the_states_of_a_life_as_they_are_seen_from_outside() -> None:
    book, gate = Book(), Book()
    seen: list[Lifecycle] = []

    @actor
    class Life:
        async def started(self) -> None:
            seen.append(cast("Any", self).actor.ref.lifecycle)
            await asyncio.sleep(0)

        async def stopping(self) -> None:
            seen.append(cast("Any", self).actor.ref.lifecycle)

        @handler("wait")
        async def wait(self) -> None:
            seen.append(cast("Any", self).actor.ref.lifecycle)
            await at_once(lambda: "open" in gate.lines)

        @handler("crash")
        def crash(self) -> None:
            raise ValueError("as told")

    async with nothing_left(), ActorSystem() as system:
        spawned = asyncio.create_task(system.spawn(Life, name="life"))
        await at_once(lambda: "life" in system.names())
        assert found(system, "life").lifecycle is Lifecycle.STARTING
        life = await spawned
        assert life.lifecycle is Lifecycle.IDLE
        life.tell("wait")
        assert life.lifecycle is Lifecycle.RUNNING
        await turns()
        stopping = asyncio.create_task(life.stop())
        await turns()
        assert life.lifecycle is Lifecycle.DRAINING
        gate.write("open")
        await stopping
        assert life.lifecycle is Lifecycle.STOPPED
        assert seen == [Lifecycle.STARTING, Lifecycle.RUNNING, Lifecycle.DRAINING]
        assert "life" in repr(life)
        crasher = await system.spawn(Life)
        crasher.tell("crash")
        await crasher.ended(5)
        assert crasher.lifecycle is Lifecycle.CRASHED
        killed = await system.spawn(Life)
        killed.kill()
        assert killed.lifecycle is Lifecycle.KILLED
        assert not any(each.lifecycle.is_alive for each in (life, crasher, killed))
        events = [(e.what, e.detail) for e in system.events if e.pid == crasher.pid]
        assert events == [(What.STARTED, ""), (What.ENDED, "crashed: ValueError: as told")]
        assert [str(e) for e in system.events if e.pid == killed.pid][-1].endswith("was killed")
        times = [event.time for event in system.events]
        assert times == sorted(times)
        error = next(e.error for e in system.events if e.error is not None)
        assert isinstance(error, ValueError)
        assert error.__traceback__ is not None
    assert book.lines == []


async def test_messages_that_come_before_the_start_is_over_are_handled_after_it() -> None:
    book = Book()

    @actor
    class Slow:
        async def started(self) -> None:
            for _ in range(10):
                await asyncio.sleep(0)
            Book.of(book.number).write("started")

        @handler("note")
        def note(self, what: str) -> None:
            Book.of(book.number).write(what)

    async with ActorSystem() as system:
        spawned = asyncio.create_task(system.spawn(Slow, name="slow"))
        await at_once(lambda: "slow" in system.names())
        found(system, "slow").tell("note", "early")
        await spawned
        await system.actor("slow").ask("note", "after")
        assert book.lines == ["started", "early", "after"]


async def test_a_system_has_one_block() -> None:
    system = ActorSystem()
    async with system:
        with pytest.raises(Misuse, match="one block"):
            await system.__aenter__()
    with pytest.raises(Misuse, match="one block"):
        await system.__aenter__()
    with pytest.raises(ActorStopped):
        await system.spawn(Counter)


async def test_a_failure_is_not_lost_when_the_block_ends_at_the_same_moment() -> None:
    async def run(turns_: int) -> None:
        async with ActorSystem() as system:
            top = await system.supervise(tree("top", *workers("a", Book()), intensity=0))
            found(system, "a").kill()
            await top.ended(5)
            await turns(turns_)

    for count in range(4):
        with pytest.raises(SystemFailed, match="top was shut down: gave up after 0 restarts"):
            await run(count)


async def test_an_end_at_the_top_that_nobody_has_looked_after_yet_fails_the_system() -> None:
    async def run() -> None:
        async with ActorSystem() as system:
            top = await system.supervise(tree("top", *workers("a", Book())))
            top.kill()

    with pytest.raises(SystemFailed, match="top was killed"):
        await run()


async def test_an_error_of_the_body_is_raised_though_the_system_has_failed_too() -> None:
    async def run() -> None:
        async with ActorSystem() as system:
            top = await system.supervise(tree("top", *workers("a", Book()), intensity=0))
            found(system, "a").kill()
            await top.ended(5)
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        await run()
