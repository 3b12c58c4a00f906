"""Two phases for a write, and two for a read: the register that needs no leader.

A write asks a majority for the greatest number, and writes with a greater one to a majority. A
read asks a majority for the newest copy, and writes that copy to a majority before it returns it:
whoever reads later then meets it. Nothing is ever decided, so nobody has to be elected.

Sources: Attiya, Bar-Noy and Dolev, "Sharing Memory Robustly in Message-Passing Systems", Journal
of the ACM, 1995, for one writer; Lynch and Shvartsman, "Robust Emulation of Shared Memory Using
Dynamic Quorum-Acknowledged Broadcasts", FTCS 1997, for several.
"""

from __future__ import annotations

from collections.abc import Callable

from remotecalls.simulators.consistency.calls import Call
from remotecalls.simulators.consistency.rounds import Replies, Round, count_of
from remotecalls.simulators.consistency.versions import Copies, Copy, newest
from remotecalls.simulators.consistency.world import World


class Abd:
    """Reads and writes with majorities of the members that the coordinator knows."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._majority = world.parameters.replicas // 2 + 1

    def write(self, call: Call) -> None:
        """Ask for the greatest number, and write with a greater one."""

        def then(replies: Replies[Copies]) -> None:
            call.version = number_after(self._newest(replies), call)
            call.is_sent = True
            self._store(call, (Copy(call.version, call.value),))

        self._ask(call, then)

    def read(self, call: Call) -> None:
        """Ask for the newest copy, and write it back."""

        def then(replies: Replies[Copies]) -> None:
            self._store(call, self._newest(replies))

        self._ask(call, then)

    def _ask(self, call: Call, then: Callable[[Replies[Copies]], None]) -> None:
        replicas = self._world.replicas
        Round(
            self._world,
            call,
            self._world.members.known_to(call.node),
            lambda node: replicas[node].read(call.key),
            count_of(self._majority),
            then,
        )

    def _store(self, call: Call, copies: Copies) -> None:
        replicas, versions = self._world.replicas, self._world.versions

        def then(_: Replies[None]) -> None:
            if call.is_write:
                call.acknowledge()
            else:
                call.answer(copies, newest(versions, copies))

        Round(
            self._world,
            call,
            self._world.members.known_to(call.node),
            lambda node: replicas[node].write(call.key, copies),
            count_of(self._majority),
            then,
        )

    def _newest(self, replies: Replies[Copies]) -> Copies:
        found: Copies = ()
        for _, copies in replies:
            found = self._world.versions.merge(found, copies)
        return found


def number_after(copies: Copies, call: Call) -> tuple[int, int]:
    """Return the stamp of a write that knows of `copies`.

    Its second half is the number of the operation and not that of the client: a client whose write
    was given up may read the same number again, and two values must never have the same stamp.
    """
    number = copies[0].version[0] if copies else 0
    return number + 1, call.number
