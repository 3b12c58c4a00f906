"""Calls and ends that meet: whatever comes while a supervisor is busy, it loses nobody."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

from actor_programs import Book, Worker, loop_errors, nothing_left, tree, turns
from hypothesis import given, settings
from hypothesis import strategies as st

from remotecalls.actors import (
    ActorRef,
    ActorStopped,
    ActorSystem,
    NameTaken,
    NoSuchActor,
    NoSuchChild,
    Restart,
    StartFailed,
    Strategy,
    SupervisorRef,
    What,
    actor,
    child,
)
from remotecalls.simulators.supervision.snapshot import Node, State


@actor
class Slow(Worker):
    """Takes a few turns of the loop to start and to stop."""

    async def started(self) -> None:  # type: ignore[override]
        for _ in range(3):
            await asyncio.sleep(0)
        Worker.started(self)

    async def stopping(self) -> None:  # type: ignore[override]
        Worker.stopping(self)
        for _ in range(3):
            await asyncio.sleep(0)


NAMES = "abc"
EXPECTED = (ActorStopped, NameTaken, NoSuchActor, NoSuchChild, StartFailed)
steps = st.tuples(
    st.sampled_from(
        ("start", "terminate", "restart", "delete", "kill", "crash", "end", "cancel", "kill branch")
    ),
    st.sampled_from(NAMES),
    st.sampled_from(Restart),
    st.booleans(),
    st.integers(0, 4),
)


def alive(node: Node) -> list[str]:
    """The names of all that run in a tree."""
    here = [node.name] if node.state is not State.DEAD else []
    return here + [name for each in node.children for name in alive(each)]


@settings(max_examples=150)
@given(strategy=st.sampled_from(Strategy), program=st.lists(steps, max_size=25))
async def test_who_runs_is_in_the_tree_and_ends_with_it(
    strategy: Strategy, program: list[tuple[str, str, Restart, bool, int]]
) -> None:
    book = Book()
    calls: list[asyncio.Task[Any]] = []
    with loop_errors() as errors:
        async with nothing_left(), ActorSystem(close_timeout=5) as system, asyncio.timeout(20):
            branch = tree("branch", strategy=strategy, intensity=1_000)
            top = await system.supervise(tree("top", branch, intensity=1_000))

            def current() -> SupervisorRef | None:
                ref = top.children()[0].ref
                return ref if isinstance(ref, SupervisorRef) else None

            for what, name, restart, is_slow, pause in program:
                supervisor = current()
                ref = system.whereis(name)
                if what == "cancel":
                    if calls:
                        calls[len(calls) // 2].cancel()
                elif supervisor is not None and what == "kill branch":
                    supervisor.kill()
                elif supervisor is not None and what in ("start", "terminate", "restart"):
                    spec = child(
                        *(Slow if is_slow else Worker, name, book.number),
                        name=name,
                        restart=restart,
                    )
                    call: Any = getattr(supervisor, f"{what}_child")
                    calls.append(asyncio.create_task(call(spec if what == "start" else name)))
                elif supervisor is not None and what == "delete":
                    with suppress(NoSuchChild):
                        supervisor.delete_child(name)
                elif isinstance(ref, ActorRef):
                    ref.kill() if what == "kill" else ref.tell(
                        "crash" if what == "crash" else "end"
                    )
                await turns(pause)
            results = await asyncio.gather(*calls, return_exceptions=True)
            await turns(100)

            for result in results:
                assert not isinstance(result, BaseException) or isinstance(
                    result, (*EXPECTED, asyncio.CancelledError)
                ), result
            running = {
                event.pid: event.name
                for event in system.events
                if event.what in (What.STARTED, What.RESTARTED)
            }
            for event in system.events:
                if event.what is What.ENDED:
                    running.pop(event.pid, None)
            expected = sorted(name for name in alive(system.snapshot()) if name != "system")
            assert sorted(running.values()) == expected
            assert list(system.names()) == [name for name in expected if name in NAMES]
        assert system.names() == ()
        assert system.unfinished == ()
    assert errors == []
