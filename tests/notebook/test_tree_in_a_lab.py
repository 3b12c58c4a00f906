"""What `lab.tree` shows of a running actor system."""

from __future__ import annotations

import asyncio

import pytest

from remotecalls.actors import ActorSystem, SupervisorSpec, actor, child, handler, state
from remotecalls.notebook import Lab, trees


@actor
class Counter:
    count: int = state(default=0)

    @handler("add")
    def add(self) -> int:
        self.count += 1
        return self.count


async def test_a_tree_shows_processes_restarts_and_messages(lab: Lab) -> None:
    async with ActorSystem("mall") as system:
        await system.supervise(SupervisorSpec("shop", (child(Counter, name="stock"),)))
        with system.watched() as flows:
            await system.actor("stock").ask("add")
            first = lab.tree(system, flows)
        before = system.whereis("stock")
        assert before is not None
        before.kill()
        async with asyncio.timeout(5):
            while system.whereis("stock") in (None, before):  # noqa: ASYNC110 - sets no event
                await asyncio.sleep(0.001)
        second = lab.tree(system)
    words = repr(first).split("\n")
    assert words == [
        "Supervisor mall over shop: running, one-for-one.",
        "Supervisor shop over stock: running, one-for-one.",
        "Worker stock: running.",
        "outside sent stock 1 times add.",
    ]
    assert repr(second).split("\n")[-1] == "Worker stock: running, restarts 1."


async def test_a_tree_is_drawn_with_its_words_and_does_not_change_later(lab: Lab) -> None:
    async with ActorSystem() as system:
        await system.supervise(SupervisorSpec("shop", (child(Counter, name="stock"),)))
        tree = lab.tree(system)
        html, words = tree._repr_html_(), repr(tree)
        assert "<svg" in html
        assert "aria-label=" in html
        assert "Worker stock: running." in html
    assert (tree._repr_html_(), repr(tree)) == (html, words)


async def test_a_living_tree_is_drawn_anew_while_the_block_runs_and_its_last_picture_stays(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[object] = []
    monkeypatch.setattr(trees, "display", shown.append)
    monkeypatch.setattr(trees, "EVERY_SECONDS", 0.001)
    async with ActorSystem("mall") as system:
        await system.supervise(SupervisorSpec("shop", (child(Counter, name="stock"),)))
        async with lab.live_tree(system):
            (tree,) = shown
            assert isinstance(tree, trees.LivingTree)
            before = tree.widget.value
            assert "<svg" in before
            await system.actor("stock").ask("add")
            async with asyncio.timeout(5):
                while "outside sent stock 1 times add" not in tree.widget.value:  # noqa: ASYNC110
                    await asyncio.sleep(0.001)
            killed = system.whereis("stock")
            assert killed is not None
            killed.kill()
        assert system.flows is None
        assert tree.widget.comm is None  # it is gone from the page
        assert "stock 1 times add" in repr(shown[1])
    assert len(asyncio.all_tasks()) == 1


async def test_a_living_tree_ends_with_a_block_that_fails(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[object] = []
    monkeypatch.setattr(trees, "display", shown.append)
    async with ActorSystem("mall") as system:
        with pytest.raises(LookupError, match="as told"):
            async with lab.live_tree(system):
                raise LookupError("as told")
    assert len(shown) == 2
    assert len(asyncio.all_tasks()) == 1
