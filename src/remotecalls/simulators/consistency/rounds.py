"""One round trip to several nodes at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from remotecalls.simulators.consistency.calls import Call
from remotecalls.simulators.consistency.world import World

T = TypeVar("T")

Replies = list[tuple[int, T]]
"""Nodes and what they replied, in the order in which it came."""


class Round(Generic[T]):
    """Asks all nodes in parallel, and goes on as soon as enough of them have replied.

    So a round takes as long as the slowest reply that is needed, and nothing else. No request is
    sent twice: a lost one is a reply that does not come.
    """

    def __init__(
        self,
        world: World,
        call: Call,
        nodes: Iterable[int],
        question: Callable[[int], T],
        is_enough: Callable[[Replies[T]], bool],
        then: Callable[[Replies[T]], None],
        late: Callable[[int, T], None] | None = None,
    ) -> None:
        """Ask.

        Args:
            world: the run.
            call: the operation; when the client has given it up, the round ends.
            nodes: whom to ask.
            question: what a node does and what it replies.
            is_enough: whether these replies are enough.
            then: what to do with them, once.
            late: what to do with a reply that comes after that.
        """
        self._world = world
        self._call = call
        self._question = question
        self._is_enough = is_enough
        self._then = then
        self._late = late
        self._replies: Replies[T] = []
        self._is_done = False
        for node in nodes:
            world.network.request(call.node, node, self._ask, node)

    def _ask(self, node: int) -> None:
        reply = self._question(node)
        self._world.network.send(node, self._call.node, self._replied, node, reply)

    def _replied(self, node: int, reply: T) -> None:
        if self._is_done:
            if self._late is not None:
                self._late(node, reply)
            return
        if self._call.is_over:
            return
        self._replies.append((node, reply))
        if self._is_enough(self._replies):
            self._is_done = True
            self._then(self._replies)


def count_of(needed: int) -> Callable[[Replies[T]], bool]:
    """Return the test for so many replies."""
    return lambda replies: len(replies) >= needed
