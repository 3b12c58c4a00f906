"""What replicas do among themselves: hinted handoff and anti-entropy.

Source: DeCandia and others, "Dynamo: Amazon's Highly Available Key-value Store", SOSP 2007,
sections 4.6 and 4.7.
"""

from __future__ import annotations

from remotecalls.simulators.consistency.versions import Copies
from remotecalls.simulators.consistency.world import World


class Handoff:
    """Spare nodes hand over what they keep for others, as soon as these can be reached again."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._every_us = world.parameters.handoff_us
        self._is_waiting = [False] * len(world.replicas)

    def keep(self, spare: int, owner: int, key: int, copies: Copies) -> None:
        """Let a spare node keep copies for their owner."""
        self._world.replicas[spare].keep_hint(owner, key, copies)
        self._wait(spare)

    def _wait(self, spare: int) -> None:
        if self._every_us and not self._is_waiting[spare]:
            self._is_waiting[spare] = True
            self._world.agenda.after(self._every_us, self._try, spare)

    def _try(self, spare: int) -> None:
        self._is_waiting[spare] = False
        network, hints = self._world.network, self._world.replicas[spare].hints
        for (owner, key), copies in hints.items():
            if network.is_reachable(spare, owner):
                network.request(spare, owner, self._take, spare, owner, key, copies)
        if hints:
            self._wait(spare)

    def _take(self, spare: int, owner: int, key: int, copies: Copies) -> None:
        self._world.replicas[owner].write(key, copies)
        self._world.network.send(owner, spare, self._forget, spare, owner, key, copies)

    def _forget(self, spare: int, owner: int, key: int, copies: Copies) -> None:
        hints = self._world.replicas[spare].hints
        # Something newer may have come since; that is still to be handed over.
        if hints.get((owner, key)) == copies:
            del hints[owner, key]


class AntiEntropy:
    """Each member sends all it has to another one from time to time, and gets back all that has.

    Dynamo compares hash trees first, and sends what differs. Here a message has no size, so that
    would change nothing that is counted.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._every_us = world.parameters.anti_entropy_us
        count = world.parameters.replicas
        if self._every_us and count > 1:
            for place in range(count):
                first_us = world.background.randint(1, self._every_us)
                world.agenda.after(first_us, self._begin, place)

    def _begin(self, place: int) -> None:
        world, members = self._world, self._world.members.now()
        other = world.background.randrange(len(members) - 1)
        node, peer = members[place], members[other + (other >= place)]
        store = dict(world.replicas[node].store)
        world.network.request(node, peer, self._compare, node, peer, store)
        world.agenda.after(self._every_us, self._begin, place)

    def _compare(self, node: int, peer: int, store: dict[int, Copies]) -> None:
        replica = self._world.replicas[peer]
        replica.write_all(store)
        if replica.store != store:
            answer = dict(replica.store)
            self._world.network.send(peer, node, self._world.replicas[node].write_all, answer)
