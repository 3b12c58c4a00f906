"""Who chooses a server in `balancing`, and over which connection a call goes there.

Each strategy answers one question: here is a call of a client, these servers are known and in; over
which connection does it go? A connection is opened when the first call needs it. That call, and all
that come before it is ready, wait for the handshake.
"""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from remotecalls.simulators.balancing_parameters import BalancingParameters
from remotecalls.simulators.balancing_result import (
    LEAST_REQUEST,
    PINNED,
    ROTATING,
    ROUND_ROBIN,
)

_OTHER_DRAWS = 1_000_000
"""Choices are not drawn from the numbers from which the calls are drawn: seeds end before."""


@dataclass
class Connection:
    """A connection to a server.

    Attributes:
        server: where it leads.
        ready_us: when the handshake is over.
        calls: how many have gone over it.
    """

    server: int
    ready_us: int
    calls: int = 0


class Chooser(ABC):
    """A strategy.

    Attributes:
        opened: how many connections it has opened.
        in_progress: for each server, the calls sent there that have no answer yet.
    """

    def __init__(self, parameters: BalancingParameters) -> None:
        """Open nothing yet."""
        self.opened = 0
        self.in_progress = [0] * parameters.servers
        self._setup_us = parameters.setup_us

    @abstractmethod
    def choose(self, client: int, servers: Sequence[int], now_us: int) -> Connection:
        """Return the connection for a call.

        Args:
            client: who makes it.
            servers: those that are known and not ejected; at least one.
            now_us: the time.
        """

    def _open(self, server: int, now_us: int) -> Connection:
        self.opened += 1
        return Connection(server, now_us + self._setup_us)


class ByConnection(Chooser):
    """Layer 4: the proxy takes turns when a client opens a connection; its calls follow."""

    def __init__(self, parameters: BalancingParameters, at_most: int | None) -> None:
        """Let a connection have at most so many calls; None for no limit."""
        super().__init__(parameters)
        self._at_most = at_most
        self._turn = 0
        self._of_client: dict[int, Connection] = {}

    def choose(self, client: int, servers: Sequence[int], now_us: int) -> Connection:
        """Return the client's connection, or a new one in its place."""
        connection = self._of_client.get(client)
        if connection is None or connection.calls == self._at_most:
            connection = self._open(servers[self._turn % len(servers)], now_us)
            self._turn += 1
            self._of_client[client] = connection
        connection.calls += 1
        return connection


class ByCall(Chooser):
    """A connection to each server, and a choice for each call."""

    def __init__(self, parameters: BalancingParameters, shared: bool) -> None:
        """Share the connections among all clients, as a proxy does, or give each its own."""
        super().__init__(parameters)
        self._shared = shared
        self._connections: dict[tuple[int, int], Connection] = {}

    def choose(self, client: int, servers: Sequence[int], now_us: int) -> Connection:
        """Return the connection to the server whose turn it is."""
        owner = 0 if self._shared else client
        key = owner, self._server(owner, servers)
        if key not in self._connections:
            self._connections[key] = self._open(key[1], now_us)
        connection = self._connections[key]
        connection.calls += 1
        return connection

    @abstractmethod
    def _server(self, owner: int, servers: Sequence[int]) -> int:
        """Return the server for a call over the connections of that owner."""


class RoundRobin(ByCall):
    """Each owner of connections takes turns; the first owner begins with the first server."""

    def __init__(self, parameters: BalancingParameters, shared: bool) -> None:
        """Nobody has had a turn."""
        super().__init__(parameters, shared)
        self._turns = list(range(parameters.clients))

    def _server(self, owner: int, servers: Sequence[int]) -> int:
        turn = self._turns[owner]
        self._turns[owner] += 1
        return servers[turn % len(servers)]


class LeastRequest(ByCall):
    """Draw two servers, and take the one with fewer calls in progress; the first of equals.

    The two may be the same one, in Envoy as in Mitzenmacher's model.
    """

    def __init__(self, parameters: BalancingParameters, seed: int) -> None:
        """Share the connections; the seed decides what is drawn."""
        super().__init__(parameters, shared=True)
        self._rng = random.Random(_OTHER_DRAWS + seed)

    def _server(self, owner: int, servers: Sequence[int]) -> int:
        one, other = (servers[self._rng.randrange(len(servers))] for _ in range(2))
        return other if self.in_progress[other] < self.in_progress[one] else one


def chooser(strategy: str, parameters: BalancingParameters, seed: int) -> Chooser:
    """Return the strategy of that name, before its first call."""
    if strategy == PINNED:
        return ByConnection(parameters, None)
    if strategy == ROTATING:
        return ByConnection(parameters, parameters.calls_per_connection)
    if strategy == LEAST_REQUEST:
        return LeastRequest(parameters, seed)
    return RoundRobin(parameters, shared=strategy == ROUND_ROBIN)
