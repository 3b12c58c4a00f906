"""A supervisor beside a naive model of one: random ends and calls, in any order."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from actor_programs import Book, Worker, found, tree, turns
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)
from naive_supervisor import NaiveChild, NaiveSupervisor

from remotecalls.actors import (
    ActorStopped,
    ActorSystem,
    ChildSpec,
    ExitKind,
    NameTaken,
    NoSuchChild,
    Restart,
    Strategy,
    SupervisorSpec,
    What,
    actor,
    child,
)

NAMES = "abcd"
names = st.sampled_from(NAMES)


@actor
class SlowWorker(Worker):
    """The same, and its start and its end wait for something."""

    async def started(self) -> None:  # type: ignore[override]
        await asyncio.sleep(0)
        Worker.started(self)

    async def stopping(self) -> None:  # type: ignore[override]
        Worker.stopping(self)
        await asyncio.sleep(0)


class SupervisorMachine(RuleBasedStateMachine):
    """Does the same to a supervisor and to its model, and compares what can be seen."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.book = Book()
        self.system = ActorSystem()

    def run(self, work: Any) -> Any:
        async def settled() -> Any:
            async with asyncio.timeout(20):
                try:
                    return await work
                finally:
                    await turns(12)
                    for _ in range(200):  # then everything that waits is a timer's business
                        if not any(task.get_name() in self.known for task in asyncio.all_tasks()):
                            break
                        await asyncio.sleep(0)

        return self.runner.run(settled())

    @property
    def known(self) -> set[str]:
        """What the tasks of the actors and supervisors are called."""
        return {"top", *NAMES, *(f"{name}.{i}" for name in NAMES for i in (1, 2))}

    @initialize(strategy=st.sampled_from(Strategy), intensity=st.integers(0, 6))
    def begin(self, strategy: Strategy, intensity: int) -> None:
        self.model = NaiveSupervisor(strategy, intensity)
        self.run(self.system.__aenter__())
        spec = tree("top", strategy=strategy, intensity=intensity, restart=Restart.TEMPORARY)
        self.top = self.run(self.system.supervise(spec))

    def teardown(self) -> None:
        try:
            if self.system.names() or hasattr(self, "top"):
                self.run(self.system.__aexit__(None, None, None))
                assert self.system.names() == ()
                assert self.system.unfinished == ()
        finally:
            self.runner.close()

    # ------------------------------------------------------------ what is done to it

    def spec(self, name: str, restart: Restart, kind: str) -> ChildSpec | SupervisorSpec:
        cls = SlowWorker if kind == "slow" else Worker
        if kind != "branch":
            return child(cls, name, self.book.number, name=name, restart=restart)
        below = (f"{name}.1", f"{name}.2")
        return tree(
            name,
            *(child(cls, each, self.book.number, name=each) for each in below),
            restart=restart,
            intensity=1_000,
        )

    def is_known(self, name: str) -> bool:
        return any(each.name == name for each in self.model.children)

    @precondition(lambda self: not self.model.gave_up)
    @rule(
        name=names,
        restart=st.sampled_from(Restart),
        kind=st.sampled_from(("worker", "slow", "branch")),
    )
    def start_child(self, name: str, restart: Restart, kind: str) -> None:
        work = self.top.start_child(self.spec(name, restart, kind))
        if self.is_known(name):
            with pytest.raises(NameTaken):
                self.run(work)
        else:
            self.run(work)
            self.model.add(NaiveChild(name, restart, is_branch=kind == "branch"))

    @precondition(lambda self: not self.model.gave_up)
    @rule(name=names)
    def terminate_child(self, name: str) -> None:
        if self.is_known(name):
            self.run(self.top.terminate_child(name))
            self.model.terminate(name)
        else:
            with pytest.raises(NoSuchChild):
                self.run(self.top.terminate_child(name))

    @precondition(lambda self: not self.model.gave_up)
    @rule(name=names)
    def restart_child(self, name: str) -> None:
        if self.is_known(name) and not self.model.child(name).is_running:
            self.run(self.top.restart_child(name))
            self.model.start(self.model.child(name))
        else:
            with pytest.raises(NoSuchChild):
                self.run(self.top.restart_child(name))

    @precondition(lambda self: not self.model.gave_up)
    @rule(name=names)
    def delete_child(self, name: str) -> None:
        if self.is_known(name) and not self.model.child(name).is_running:
            self.top.delete_child(name)
            self.model.children.remove(self.model.child(name))
        else:
            with pytest.raises(NoSuchChild):
                self.top.delete_child(name)

    @precondition(lambda self: any(each.is_running for each in self.model.children))
    @rule(data=st.data(), how=st.sampled_from(("crash", "kill", "end", "stop")))
    def end(self, data: st.DataObject, how: str) -> None:
        running = [each.name for each in self.model.children if each.is_running]
        name = data.draw(st.sampled_from(running), label="name")
        ended = self.model.child(name)
        ref = next(each.ref for each in self.top.children() if each.name == name)

        async def work() -> None:
            if how == "kill" or (how == "crash" and ended.is_branch):
                ref.kill()
            elif how == "stop" or ended.is_branch:
                await ref.stop()
            else:
                ref.tell(how)

        self.run(work())
        is_normal = how in ("end", "stop")
        if is_normal:
            self.model.stop(ended)
        self.model.ended(name, is_normal=is_normal)

    @precondition(lambda self: any(e.is_running and e.is_branch for e in self.model.children))
    @rule(data=st.data(), which=st.sampled_from((1, 2)))
    def crash_in_a_branch(self, data: st.DataObject, which: int) -> None:
        running = [e.name for e in self.model.children if e.is_running and e.is_branch]
        name = f"{data.draw(st.sampled_from(running), label='branch')}.{which}"

        async def work() -> None:
            found(self.system, name).tell("crash")

        self.run(work())
        self.model.lines.append(("started", name))  # by its own supervisor, and nobody else

    @precondition(lambda self: not self.model.gave_up)
    @rule()
    def kill_two_at_once(self) -> None:
        running = [each.name for each in self.model.children if each.is_running]
        if len(running) < 2 or self.model.strategy is not Strategy.ONE_FOR_ONE:
            return
        first, second = running[0], running[-1]
        if self.model.counted + 2 > self.model.intensity:
            return
        if any(self.model.child(name).restart is not Restart.PERMANENT for name in (first, second)):
            return
        refs = {each.name: each.ref for each in self.top.children()}

        async def work() -> None:
            refs[first].kill()
            refs[second].kill()

        self.run(work())
        for name in (first, second):
            self.model.ended(name, is_normal=False)

    @precondition(lambda self: self.model.gave_up)
    @rule(name=names)
    def nothing_works_any_more(self, name: str) -> None:
        with pytest.raises(ActorStopped):
            self.run(self.top.start_child(self.spec(name, Restart.PERMANENT, "worker")))

    # ------------------------------------------------------------ what must hold

    @invariant()
    def it_is_as_the_model_says(self) -> None:
        if not hasattr(self, "top"):
            return
        assert self.book.taken() == self.model.lines
        self.model.lines.clear()
        assert self.top.gave_up == self.model.gave_up
        if self.model.gave_up:
            assert self.top.reason is not None
            assert self.top.reason.kind is ExitKind.SHUTDOWN
            assert self.system.names() == ()
            return
        assert self.top.reason is None
        children = self.top.children()
        assert [(e.name, e.restart, e.restarts, e.ref is not None) for e in children] == [
            (e.name, e.restart, e.restarts, e.is_running) for e in self.model.children
        ]
        expected = [name for e in self.model.children if e.is_running for name in e.workers]
        assert self.system.names() == tuple(sorted(expected))

    @invariant()
    def no_number_is_used_twice_and_names_lead_to_those_that_live(self) -> None:
        started: dict[int, str] = {}
        for event in self.system.events:
            if event.what in (What.STARTED, What.RESTARTED):
                assert event.pid not in started
                started[event.pid] = event.name
        for name in self.system.names():
            ref = found(self.system, name)
            assert ref.reason is None
            assert started[ref.pid] == name

    @invariant()
    def the_tree_that_is_drawn_is_the_tree_that_runs(self) -> None:
        if not hasattr(self, "top") or self.model.gave_up:
            return
        node = self.top.snapshot()
        assert [each.name for each in node.children] == [e.name for e in self.model.children]
        assert [str(each.state) == "running" for each in node.children] == [
            e.is_running for e in self.model.children
        ]


SupervisorMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=25)
TestSupervisorMachine = SupervisorMachine.TestCase
