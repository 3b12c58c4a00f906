"""Supervisors: who is started again after which end, in which order, and when it is too often."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from actor_programs import (
    Book,
    Clock,
    Worker,
    at_once,
    found,
    loop_errors,
    nothing_left,
    tree,
    turns,
    until,
    workers,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from remotecalls.actors import (
    ActorRef,
    ActorStopped,
    ActorSystem,
    ChildInfo,
    NameTaken,
    NoSuchChild,
    Restart,
    StartFailed,
    Strategy,
    SupervisorRef,
    SystemFailed,
    What,
    WrongDefinition,
    actor,
    child,
    handler,
    state,
)


def pids(supervisor: SupervisorRef) -> dict[str, int | None]:
    return {each.name: each.ref.pid if each.ref else None for each in supervisor.children()}


def info(supervisor: SupervisorRef, name: str) -> ChildInfo:
    return next(each for each in supervisor.children() if each.name == name)


# ---------------------------------------------------------------- the table


def crash(ref: ActorRef) -> None:
    ref.tell("crash")


def end(ref: ActorRef) -> None:
    ref.tell("end")


def kill(ref: ActorRef) -> None:
    ref.kill()


ENDS: dict[str, Callable[[ActorRef], None]] = {"crash": crash, "end": end, "kill": kill}
RESTARTED = {
    (Restart.PERMANENT, "crash"): True,
    (Restart.PERMANENT, "kill"): True,
    (Restart.PERMANENT, "end"): True,
    (Restart.TRANSIENT, "crash"): True,
    (Restart.TRANSIENT, "kill"): True,
    (Restart.TRANSIENT, "end"): False,
    (Restart.TEMPORARY, "crash"): False,
    (Restart.TEMPORARY, "kill"): False,
    (Restart.TEMPORARY, "end"): False,
}
GO_WITH_B = {
    Strategy.ONE_FOR_ONE: "b",
    Strategy.ONE_FOR_ALL: "abcd",
    Strategy.REST_FOR_ONE: "bcd",
}


@pytest.mark.parametrize("strategy", Strategy)
@pytest.mark.parametrize(("restart", "how"), RESTARTED)
async def test_who_is_started_again_and_who_keeps_pid_and_state(
    strategy: Strategy, restart: Restart, how: str
) -> None:
    book = Book()
    a, b, c, d = workers("abcd", book)
    b = child(Worker, "b", book.number, name="b", restart=restart)
    async with ActorSystem() as system:
        top = await system.supervise(tree("top", a, b, c, d, strategy=strategy))
        assert book.taken() == [("started", name) for name in "abcd"]
        for name in "abcd":
            assert await system.actor(name).ask("add") == 1
        before = pids(top)
        ENDS[how](found(system, "b"))
        first = await found(system, "b").ended(5) if "b" in system.names() else None
        assert first is None or str(first)
        await at_once(lambda: not RESTARTED[restart, how] or info(top, "b").restarts == 1)
        await turns(50)

        gone = GO_WITH_B[strategy] if RESTARTED[restart, how] else ""
        stopped = [("stopping", name) for name in reversed(gone) if name != "b"]
        normal_end = [("stopping", "b")] if how == "end" else []
        assert book.taken() == normal_end + stopped + [("started", name) for name in gone]
        after = pids(top)
        assert ("b" in after) == (restart is not Restart.TEMPORARY)
        for name in "acd":
            assert (after[name] == before[name]) == (name not in gone)
            assert info(top, name).restarts == (name in gone)
            assert await system.actor(name).ask("add") == (1 if name in gone else 2)
        if gone:
            assert after["b"] not in (None, before["b"])
            assert await system.actor("b").ask("add") == 1
        else:
            assert after.get("b") is None
            assert "b" not in system.names()
        assert set(system.names()) == set("acd") | set("b" if gone else "")


async def test_a_temporary_sibling_that_goes_down_with_the_others_is_forgotten() -> None:
    book = Book()
    a, c = workers("ac", book)
    b = child(Worker, "b", book.number, name="b", restart=Restart.TEMPORARY)
    async with ActorSystem() as system:
        top = await system.supervise(tree("top", a, b, c, strategy=Strategy.ONE_FOR_ALL))
        book.taken()
        found(system, "c").kill()
        await at_once(lambda: info(top, "c").restarts == 1 and "c" in system.names())
        assert book.lines == [
            *(("stopping", "b"), ("stopping", "a"), ("started", "a"), ("started", "c")),
        ]
        assert list(pids(top)) == ["a", "c"]


async def test_two_ends_at_once_are_one_restart_of_all() -> None:
    book = Book()
    async with ActorSystem() as system:
        spec = tree("top", *workers("abc", book), strategy=Strategy.ONE_FOR_ALL, intensity=1)
        top = await system.supervise(spec)
        book.taken()
        found(system, "a").kill()
        found(system, "c").kill()
        await at_once(lambda: set(system.names()) == set("abc"))
        await turns(50)
        assert book.lines == [("stopping", "b"), *(("started", name) for name in "abc")]
        assert [each.restarts for each in top.children()] == [1, 1, 1]
        assert not top.gave_up


# ---------------------------------------------------------------- intensity


@actor
class Fragile:
    """Crashes where and as often as it is told to."""

    starts: int
    book: int
    where: str

    def started(self) -> None:
        book = Book.of(self.book)
        book.write("started")
        if self.where == "started" and len(book.lines) > self.starts:
            raise ValueError("not this time")

    @handler("crash")
    def crash(self) -> None:
        raise ValueError("as told")

    @handler("crash waiting")
    async def crash_waiting(self) -> None:
        await asyncio.sleep(0)
        raise ValueError("as told")


@actor
class SlowFragile(Fragile):
    async def started(self) -> None:  # type: ignore[override]
        await asyncio.sleep(0)
        Fragile.started(self)


WAYS = ("crash", "crash waiting", "kill", "started")


@settings(max_examples=60)
@given(
    intensity=st.integers(0, 8),
    way=st.sampled_from(WAYS),
    cls=st.sampled_from((Fragile, SlowFragile)),
    strategy=st.sampled_from(Strategy),
)
async def test_a_crash_loop_ends_the_supervisor_after_exactly_its_intensity(
    intensity: int, way: str, cls: type, strategy: Strategy
) -> None:
    flag, book = Book(), Book()
    spec = tree(
        "top",
        *workers("ab", book),
        child(cls, 1, flag.number, way, name="fragile"),
        *workers("c", book),
        strategy=strategy,
        intensity=intensity,
        restart=Restart.TEMPORARY,
    )
    async with nothing_left(), ActorSystem() as system:
        top = await system.supervise(spec)
        book.taken()
        ends = 0
        async with asyncio.timeout(20):
            while top.reason is None:
                ref = system.whereis("fragile")
                if ref is None or ref.reason is not None or str(ref.lifecycle) == "starting":
                    await asyncio.sleep(0)
                    continue
                ends += 1
                if way in ("kill", "started"):
                    ref.kill()
                else:
                    ref.tell(way)
                await at_once(lambda ref=ref: ref.reason is not None)
        assert top.gave_up
        assert len(flag.lines) == 1 + intensity
        assert ends == (1 if way == "started" else intensity + 1)
        assert f"after {intensity} restart" in str(top.reason)
        stops = {
            name: max(i for i, line in enumerate(book.lines) if line == ("stopping", name))
            for name in "abc"
            if ("stopping", name) in book.lines
        }
        alive_last = [name for name in "cba" if name in stops]
        order = sorted(alive_last, key=lambda name: stops[name])
        assert order == alive_last
        assert {"a", "b"} <= set(stops)
        assert system.names() == ()
        gave_up = [event for event in system.events if event.what is What.GAVE_UP]
        assert [event.name for event in gave_up] == ["top"]


async def test_five_restarts_within_sixty_seconds_are_the_default_and_the_sixth_is_too_many() -> (
    None
):
    book = Book()
    async with ActorSystem() as system:
        top = await system.supervise(tree("top", *workers("ab", book), restart=Restart.TEMPORARY))
        for restarts in range(1, 6):
            found(system, "a").tell("crash")
            await at_once(lambda n=restarts: info(top, "a").restarts == n)
            assert top.reason is None
        book.taken()
        found(system, "a").tell("crash")
        assert str(await top.ended(5)).startswith(
            "was shut down: gave up after 5 restarts within 60 s, when a crashed: ValueError"
        )
        assert book.lines == [("stopping", "b")]


async def test_a_restart_of_before_the_period_does_not_count() -> None:
    book = Book()
    with Clock() as clock:
        async with ActorSystem() as system:
            top = await system.supervise(
                tree("top", *workers("a", book), intensity=2, restart=Restart.TEMPORARY)
            )
            for restarts in range(1, 13):  # two at a time, a little more than 30 s apart
                found(system, "a").kill()
                await at_once(lambda n=restarts: info(top, "a").restarts == n)
                clock.forward(30.1)
            found(system, "a").kill()
            (await _again(system, "a")).kill()
            await top.ended(5)
            assert info(top, "a").restarts == 13
            assert top.gave_up


async def _again(system: ActorSystem, name: str) -> ActorRef:
    await at_once(lambda: name in system.names())
    return found(system, name)


async def test_who_gives_up_is_started_again_by_its_parent_and_the_top_ends_the_system() -> None:
    book = Book()
    branch = tree("branch", *workers("bc", book), intensity=1)
    spec = tree("top", *workers("a", book), branch, *workers("d", book), intensity=1)
    ends = 0
    system = ActorSystem()

    async def run() -> None:
        nonlocal ends
        async with nothing_left(), system, asyncio.timeout(10):
            top = await system.supervise(spec)
            book.taken()
            while top.reason is None:
                ref = system.whereis("b")
                if ref is not None and ref.reason is None:
                    ends += 1
                    ref.kill()
                await asyncio.sleep(0)
            await turns(20)
            with pytest.raises(ActorStopped):
                await system.spawn(Worker, "x", book.number)

    with pytest.raises(SystemFailed, match="top was shut down: gave up") as failed:
        await run()
    # Two ends for the first branch, two for the second; the second branch's end is one too many.
    assert ends == 4
    assert "system" in str(failed.value)
    started = [line for line in book.lines if line[0] == "started"]
    assert started == [("started", name) for name in ("b", "b", "c", "b")]
    assert [line for line in book.lines if line[0] == "stopping"] == [
        ("stopping", name) for name in ("c", "c", "d", "a")
    ]
    gave_up = [event.name for event in system.events if event.what is What.GAVE_UP]
    assert gave_up == ["branch", "branch", "top", "system"]


async def test_a_system_that_fails_names_the_error_that_was_one_too_many() -> None:
    async def run() -> None:
        async with ActorSystem() as system:
            inner = tree("inner", *workers("a", Book()), intensity=0)
            top = await system.supervise(tree("top", inner, intensity=0))
            found(system, "a").tell("crash")
            await top.ended(5)

    with pytest.raises(SystemFailed, match="a crashed: ValueError: a as told") as failed:
        await run()
    assert isinstance(failed.value.__cause__, ValueError)
    assert failed.value.__cause__.__traceback__ is not None


async def test_a_branch_has_its_intensity_anew_after_a_restart() -> None:
    book = Book()
    branch = tree("branch", *workers("b", book), intensity=3)
    async with ActorSystem() as system:
        top = await system.supervise(tree("top", branch, intensity=5))
        for _ in range(4):
            (await _again(system, "b")).kill()
        await at_once(lambda: info(top, "branch").restarts == 1)
        for _ in range(3):
            (await _again(system, "b")).kill()
        await _again(system, "b")
        assert info(top, "branch").restarts == 1
        assert top.reason is None


# ---------------------------------------------------------------- starts


@actor
class Start:
    how: str
    book: int

    def started(self) -> None:
        Book.of(self.book).write(("started", self.how))
        if self.how == "raise":
            raise ValueError("cannot")
        if self.how == "stop":
            self.actor.stop()  # type: ignore[attr-defined]
        if self.how == "kill":
            self.actor.ref.kill()  # type: ignore[attr-defined]

    @handler("x")
    def x(self) -> None: ...


@actor
class SlowStart(Start):
    async def started(self) -> None:  # type: ignore[override]
        await asyncio.sleep(0)
        Start.started(self)
        if self.how == "hang":
            await asyncio.sleep(600)
        if self.how == "cancelled":
            waits = asyncio.get_running_loop().create_future()
            waits.cancel()
            await waits


FAILING = [(Start, "raise"), (Start, "stop"), (Start, "kill")]
FAILING += [(SlowStart, how) for how in ("raise", "stop", "kill", "hang", "cancelled")]


@pytest.mark.parametrize(("cls", "how"), FAILING)
async def test_who_does_not_start_stops_those_before_it_and_is_no_end(cls: type, how: str) -> None:
    book, flag = Book(), Book()
    failing = child(cls, how, flag.number, name="failing", start=0.05)
    async with nothing_left(), ActorSystem() as system:
        with pytest.raises(StartFailed, match="failing"):
            await system.supervise(tree("top", *workers("ab", book), failing, *workers("c", book)))
        assert book.taken() == [
            *(("started", "a"), ("started", "b"), ("stopping", "b"), ("stopping", "a")),
        ]
        assert system.names() == ()
        # Of one that is added to a running supervisor nothing is left either, and it costs none of
        # the restarts that are allowed.
        top = await system.supervise(tree("top", *workers("a", book), intensity=0))
        flag.taken()
        with pytest.raises(StartFailed, match="failing"):
            await top.start_child(failing)
        await turns(50)
        assert flag.lines == [("started", how)]
        assert list(pids(top)) == ["a"]
        assert system.names() == ("a",)
        assert top.reason is None
        with pytest.raises(StartFailed):
            await system.spawn(cls, how, flag.number, name="failing") if how != "hang" else (
                await top.start_child(failing)
            )
        assert system.names() == ("a",)


async def test_a_start_that_is_cancelled_leaves_nothing() -> None:
    flag = Book()
    async with nothing_left(), ActorSystem() as system:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await system.spawn(SlowStart, "hang", flag.number, name="slow")
        assert system.names() == ()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await system.supervise(
                    tree(
                        "top", *workers("a", flag), child(SlowStart, "hang", flag.number, name="b")
                    )
                )
        assert system.names() == ()
        assert flag.lines[-1] == ("stopping", "a")


async def test_an_actor_that_is_killed_before_its_start_has_run_is_known_to_have_failed() -> None:
    flag = Book()
    async with nothing_left(), ActorSystem() as system:
        spawned = asyncio.create_task(system.spawn(SlowStart, "well", flag.number, name="slow"))
        await at_once(lambda: "slow" in system.names())
        found(system, "slow").kill()
        async with asyncio.timeout(2):
            with pytest.raises(StartFailed):
                await spawned
        assert flag.lines == []


async def test_a_crash_right_after_the_start_is_an_end_and_no_failure_to_start() -> None:
    book = Book()

    @actor
    class Hasty:
        @handler("crash")
        def crash(self) -> None:
            raise ValueError("as told")

        async def started(self) -> None:
            Book.of(book.number).write("started")
            await asyncio.sleep(0)
            if len(book.lines) == 1:
                self.actor.ref.tell("crash")  # type: ignore[attr-defined]

    async with ActorSystem() as system:
        top = await system.supervise(tree("top", child(Hasty, name="hasty")))
        await at_once(lambda: book.lines == ["started"] * 2)
        await at_once(lambda: str(found(system, "hasty").lifecycle) == "idle")
        assert info(top, "hasty").restarts == 1
        whats = [event.what for event in system.events if event.name == "hasty"]
        assert whats == [What.STARTED, What.ENDED, What.RESTARTED]


async def test_in_one_for_all_a_start_that_fails_is_tried_again_with_all() -> None:
    book, flag = Book(), Book()

    @actor
    class Second:
        """Starts the first and the third time."""

        def started(self) -> None:
            Book.of(flag.number).write("tried")
            if len(flag.lines) == 2:
                raise ValueError("not yet")

        @handler("x")
        def x(self) -> None: ...

    async with ActorSystem() as system:
        a, c = workers("ac", book)
        second = child(Second, name="b", restart=Restart.TRANSIENT)
        top = await system.supervise(tree("top", a, second, c, strategy=Strategy.ONE_FOR_ALL))
        book.taken()
        found(system, "a").kill()
        await at_once(lambda: len(flag.lines) == 3 and "c" in system.names())
        assert book.lines == [
            ("stopping", "c"),
            ("started", "a"),
            ("stopping", "a"),
            ("started", "a"),
            ("started", "c"),
        ]
        assert set(system.names()) == set("abc")
        assert top.reason is None


# ---------------------------------------------------------------- calls to a supervisor


async def test_terminate_restart_and_delete() -> None:
    book = Book()
    async with ActorSystem() as system:
        top = await system.supervise(
            tree("top", *workers("ab", book), intensity=0, restart=Restart.TEMPORARY)
        )
        first = info(top, "a").ref
        with pytest.raises(NoSuchChild, match="terminate it first"):
            top.delete_child("a")
        with pytest.raises(NoSuchChild, match="terminate it first"):
            await top.restart_child("a")
        await top.terminate_child("a")
        await top.terminate_child("a")  # a second time is no error, as in OTP
        assert pids(top)["a"] is None
        assert system.names() == ("b",)
        again = await top.restart_child("a")
        assert first is not None
        assert again.pid != first.pid
        await top.terminate_child("a")
        top.delete_child("a")
        assert list(pids(top)) == ["b"]
        for call in (top.terminate_child, top.restart_child):
            with pytest.raises(NoSuchChild, match="it has: b"):
                await call("a")
        with pytest.raises(NoSuchChild, match="it has: b"):
            top.delete_child("a")
        with pytest.raises(NameTaken):
            await top.start_child(workers("b", book)[0])
        started = await top.start_child(workers("a", book)[0])
        assert list(pids(top)) == ["b", "a"]
        assert isinstance(started, ActorRef)
        await top.stop()
        with pytest.raises(ActorStopped):
            await top.start_child(workers("c", book)[0])
        with pytest.raises(ActorStopped):
            await top.terminate_child("a")
        with pytest.raises(ActorStopped):
            await top.restart_child("a")


async def test_a_temporary_child_that_is_terminated_is_forgotten() -> None:
    book = Book()
    [spec] = workers("a", book, restart=Restart.TEMPORARY)
    async with ActorSystem() as system:
        top = await system.supervise(tree("top"))
        await top.start_child(spec)
        await top.terminate_child("a")
        assert top.children() == ()
        await top.start_child(spec)


async def test_a_restart_by_hand_that_fails_is_not_tried_again() -> None:
    book, flag = Book(), Book()

    @actor
    class Once:
        async def started(self) -> None:
            Book.of(flag.number).write("tried")
            await asyncio.sleep(0)
            if len(flag.lines) > 1:
                raise ValueError("once")

        @handler("x")
        def x(self) -> None: ...

    async with ActorSystem() as system:
        spec = tree("top", *workers("b", book), child(Once, name="a"), intensity=0)
        top = await system.supervise(spec)
        await top.terminate_child("a")
        with pytest.raises(StartFailed, match="ValueError: once"):
            await top.restart_child("a")
        await turns(50)
        assert flag.lines == ["tried"] * 2
        assert top.reason is None


@actor
class SlowStop:
    """Takes two handshakes to stop: says that it is about to, and waits until it may."""

    name: str
    book: int

    def started(self) -> None:
        Book.of(self.book).write(("started", self.name))

    async def stopping(self) -> None:
        book = Book.of(self.book)
        book.write(("stopping", self.name))
        await at_once(lambda: "go on" in book.lines)

    @handler("x")
    def x(self) -> None: ...


async def test_what_is_asked_of_a_supervisor_waits_for_what_it_does() -> None:
    book = Book()
    specs = [child(SlowStop, name, book.number, name=name) for name in "abc"]
    async with nothing_left(), ActorSystem() as system:
        top = await system.supervise(tree("top", *specs, strategy=Strategy.ONE_FOR_ALL))
        book.taken()
        found(system, "a").kill()
        await at_once(lambda: book.lines == [("stopping", "c")])
        calls = [
            asyncio.create_task(top.terminate_child("b")),
            asyncio.create_task(top.restart_child("b")),
            asyncio.create_task(top.terminate_child("b")),
        ]
        await turns(20)
        assert book.lines == [("stopping", "c")]
        book.write("go on")
        await at_once(lambda: all(call.done() for call in calls))
        assert [call.exception() for call in calls] == [None] * 3
        assert book.lines == [
            ("stopping", "c"),
            "go on",
            ("stopping", "b"),
            ("started", "a"),
            ("started", "b"),
            ("started", "c"),
            ("stopping", "b"),
            ("started", "b"),
            ("stopping", "b"),
        ]
        assert set(system.names()) == {"a", "c"}


async def test_a_child_that_is_deleted_while_all_are_restarted_stays_away() -> None:
    book = Book()
    specs = [child(SlowStop, name, book.number, name=name) for name in "abc"]
    async with nothing_left(), ActorSystem() as system:
        top = await system.supervise(tree("top", *specs, strategy=Strategy.ONE_FOR_ALL))
        book.taken()
        found(system, "a").kill()
        await at_once(lambda: book.lines == [("stopping", "c")])
        top.delete_child("a")
        book.write("go on")
        await at_once(lambda: ("started", "c") in book.lines)
        await turns(20)
        assert ("started", "a") not in book.lines
        assert list(pids(top)) == ["b", "c"]
        assert system.names() == ("b", "c")


async def test_an_end_while_a_child_is_being_terminated_is_looked_after_later() -> None:
    book = Book()
    specs = [child(SlowStop, name, book.number, name=name) for name in "abc"]
    async with nothing_left(), ActorSystem() as system:
        top = await system.supervise(tree("top", *specs, strategy=Strategy.ONE_FOR_ALL))
        book.taken()
        terminating = asyncio.create_task(top.terminate_child("b"))
        await at_once(lambda: book.lines == [("stopping", "b")])
        found(system, "a").kill()
        await turns(20)
        assert book.lines == [("stopping", "b")]
        book.write("go on")
        async with asyncio.timeout(5):
            await terminating
        await at_once(lambda: set(system.names()) == set("abc"))
        assert book.lines[2:] == [("stopping", "c"), *(("started", name) for name in "abc")]
        assert not top.gave_up


async def test_a_supervisor_that_is_killed_takes_those_with_it_that_are_stopping() -> None:
    book = Book()
    specs = [child(SlowStop, name, book.number, name=name) for name in "ab"]
    inner = tree("inner", *specs, restart=Restart.TEMPORARY)
    async with nothing_left(), ActorSystem() as system:
        await system.supervise(inner)
        refs = [found(system, name) for name in "ab"]
        top = system.snapshot()
        assert [node.name for node in top.children] == ["inner"]
        supervisor = await system.supervise(tree("other", restart=Restart.TEMPORARY))
        child_ref = await supervisor.start_child(child(SlowStop, "c", book.number, name="c"))
        stopping = asyncio.create_task(supervisor.stop())
        await at_once(lambda: ("stopping", "c") in book.lines)
        supervisor.kill()
        assert str(child_ref.reason) == "was killed"
        assert str((await stopping).kind) == "killed"
        assert all(ref.reason is None for ref in refs)
        book.write("go on")


async def test_a_killed_supervisor_takes_its_whole_subtree_and_is_started_again() -> None:
    book = Book()
    deep = tree("mid", *workers("a", book), tree("low", *workers("bc", book)))
    async with nothing_left(), ActorSystem() as system:
        top = await system.supervise(tree("top", deep, *workers("d", book)))
        before = {name: found(system, name) for name in "abcd"}
        mid = info(top, "mid").ref
        assert mid is not None
        book.taken()
        mid.kill()
        assert [str(before[name].reason) for name in "abc"] == ["was killed"] * 3
        assert before["d"].reason is None
        await at_once(lambda: set(system.names()) == set("abcd"))
        assert book.lines == [("started", name) for name in "abc"]  # none was asked to stop
        assert {found(system, name).pid for name in "abc"}.isdisjoint(
            ref.pid for ref in before.values()
        )


async def test_a_subtree_that_is_killed_while_it_starts_is_started_again() -> None:
    flag = Book()

    @actor
    class Slow:
        async def started(self) -> None:
            Book.of(flag.number).write("started")
            if len(flag.lines) == 2:
                await asyncio.Event().wait()

        @handler("x")
        def x(self) -> None: ...

    with_errors: list[dict[str, Any]]
    async with nothing_left(), ActorSystem() as system:
        with loop_errors() as with_errors:
            low = tree("low", child(Slow, name="slow"))
            top = await system.supervise(tree("top", low))
            first = info(top, "low").ref
            assert first is not None
            first.kill()
            await at_once(lambda: len(flag.lines) == 2)  # its second start hangs
            second = info(top, "low").ref
            assert second is not None
            assert second.pid != first.pid
            second.kill()
            await at_once(lambda: len(flag.lines) == 3 and "slow" in system.names())
            await turns(20)
            assert [(node.name, str(node.state)) for node in top.snapshot().children[0].children]
            assert found(system, "slow").lifecycle.value == "idle"
        assert with_errors == []


def test_specifications_that_make_no_sense_are_refused() -> None:
    book = Book()
    with pytest.raises(WrongDefinition, match="two children 'a'"):
        tree("top", *workers("aba", book))
    for wrong in ({"intensity": -1}, {"period": 0.0}, {"period": -1.0}, {"period": float("nan")}):
        with pytest.raises(WrongDefinition, match="at least 0"):
            tree("top", **wrong)


async def test_a_restarted_child_begins_with_its_arguments_and_default_state() -> None:
    @actor
    class Basket:
        items: list[str]
        more: list[str] = state(default_factory=list)

        @handler("put")
        def put(self, item: str) -> tuple[list[str], list[str]]:
            self.items.append(item)
            self.more.append(item)
            return self.items, self.more

        @handler("crash")
        def crash(self) -> None:
            raise ValueError

    given_items = ["apple"]
    async with ActorSystem() as system:
        await system.supervise(tree("top", child(Basket, given_items, name="basket")))
        given_items.append("changed by the giver")
        for _ in range(3):
            assert await system.actor("basket").ask("put", "pear") == (["apple", "pear"], ["pear"])
            pid = found(system, "basket").pid
            system.actor("basket").tell("crash")
            await until(
                lambda pid=pid: "basket" in system.names() and found(system, "basket").pid != pid
            )
        given_items.append("changed by the giver")
