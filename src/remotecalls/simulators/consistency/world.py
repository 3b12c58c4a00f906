"""What all parts of a run share."""

from __future__ import annotations

import random
from dataclasses import dataclass

from remotecalls.simulators.agenda import Agenda
from remotecalls.simulators.consistency.clocks import Clocks
from remotecalls.simulators.consistency.membership import Membership
from remotecalls.simulators.consistency.network import Network, Nodes
from remotecalls.simulators.consistency.parameters import QUORUM, VECTOR, ConsistencyParameters
from remotecalls.simulators.consistency.replica import Replica
from remotecalls.simulators.consistency.versions import Stamps, Vectors, Versions

_WORKLOAD, _NETWORK, _CLOCKS, _MEMBERS, _BACKGROUND = range(5)


@dataclass(frozen=True)
class World:
    """Time, places, links, clocks and replicas of one run.

    Attributes:
        workload: the numbers from which the clients' operations are drawn; they do not depend on
            anything else, so that every protocol is given the same ones.
        background: the numbers for elections and anti-entropy.
    """

    parameters: ConsistencyParameters
    agenda: Agenda
    nodes: Nodes
    network: Network
    clocks: Clocks
    versions: Versions
    replicas: list[Replica]
    members: Membership
    workload: random.Random
    background: random.Random

    @classmethod
    def of(cls, parameters: ConsistencyParameters, seed: int) -> World:
        """Set up a run. Each part draws from numbers of its own."""

        def numbers(part: int) -> random.Random:
            return random.Random(8 * seed + part)

        agenda, nodes = Agenda(), Nodes(parameters)
        is_vector = parameters.protocol == QUORUM and parameters.versions == VECTOR
        versions: Versions = Vectors() if is_vector else Stamps()
        replicas = [Replica(versions) for _ in nodes.places]
        return cls(
            parameters=parameters,
            agenda=agenda,
            nodes=nodes,
            network=Network(parameters, nodes.places, agenda, numbers(_NETWORK)),
            clocks=Clocks(parameters, len(nodes.places), agenda, numbers(_CLOCKS)),
            versions=versions,
            replicas=replicas,
            members=Membership(parameters, nodes, agenda, numbers(_MEMBERS), replicas),
            workload=numbers(_WORKLOAD),
            background=numbers(_BACKGROUND),
        )
