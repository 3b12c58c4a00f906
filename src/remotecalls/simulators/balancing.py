"""Who gets the calls: five ways to spread them over servers, with the same calls for all.

* Layer 4: a proxy of connections takes turns when a connection is opened. Calls follow theirs.
* The same, and a connection ends after some calls.
* The client holds a connection to each server, and takes turns at each call.
* Layer 7: a proxy of calls takes turns; or it draws two servers, and takes the one with fewer
  calls in progress ("the power of two choices"). Either leaves a server out after some errors in a
  row, for a time that grows with each ejection, as Envoy does.

A server works on some calls at once, and the others wait in the order in which they came. The n-th
call comes at the same time and is the same work in each strategy; all draws are whole numbers. Left
out: the network but for the hop and the set-up, proxies that do not know of each other, and how
many servers may be ejected at once, since only one fails here.

Sources: Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing", 1996; Envoy,
"Outlier detection" and "Supported load balancers".
"""

from __future__ import annotations

import heapq
import random
from collections import deque
from dataclasses import dataclass, field

from remotecalls.simulators.balancing_parameters import BalancingParameters
from remotecalls.simulators.balancing_result import (
    CLIENT,
    LEAST_REQUEST,
    PINNED,
    ROTATING,
    STRATEGIES,
    BalancingResult,
    Ejected,
    Served,
    StrategyRun,
)
from remotecalls.simulators.parameters import Preset, Simulator

REFUSAL_US = 200
"""How long a server takes that fails: it looks at nothing."""


@dataclass(frozen=True)
class Asked:
    """One call, before anybody has chosen a server for it."""

    index: int
    client: int
    at_us: int
    work_us: int


def run(parameters: BalancingParameters, seed: int) -> BalancingResult:
    """Make the same calls under every strategy.

    Args:
        parameters: the settings.
        seed: decides when calls come, from whom, how much work each is, and which two servers are
            compared.

    Returns:
        All runs. Equal arguments give equal results in CPython and in the browser.
    """
    calls = _calls(parameters, random.Random(seed))
    runs = tuple(_Run(name, parameters, calls, seed).result() for name in STRATEGIES)
    return BalancingResult(parameters, seed, runs)


def _calls(parameters: BalancingParameters, rng: random.Random) -> list[Asked]:
    calls: list[Asked] = []
    now_us = 0
    while True:
        now_us += 1 + round(rng.expovariate(1 / parameters.gap_us))
        if now_us >= parameters.duration_us:
            return calls
        client = rng.randrange(parameters.clients)
        work_us = 1 + round(rng.expovariate(1 / parameters.work_us))
        calls.append(Asked(len(calls), client, now_us, work_us))


@dataclass
class _Server:
    """One server under one strategy."""

    number: int
    slots: int
    slow_percent: int
    working: int = 0
    waiting: deque[tuple[Asked, int]] = field(default_factory=deque)
    in_progress: int = 0
    """As the proxy sees it: from the choice to the answer."""
    errors_in_a_row: int = 0
    ejections: int = 0
    ejected_until_us: int = 0


@dataclass
class _Connection:
    server: int
    calls: int = 0


class _Run:
    """One strategy, event by event: a call arrives at its server, or is over."""

    def __init__(
        self, strategy: str, parameters: BalancingParameters, calls: list[Asked], seed: int
    ) -> None:
        self.strategy = strategy
        self.parameters = parameters
        self.calls = calls
        self.rng = random.Random(seed)
        last = parameters.servers - 1
        self.servers = [
            _Server(number, parameters.at_once, parameters.slow_percent if number == last else 100)
            for number in range(parameters.servers)
        ]
        self.connections = 0
        self.turn = 0
        self.turns = [0] * parameters.clients
        self.of_client: dict[int, _Connection] = {}
        self.opened: set[tuple[int, int]] = set()
        self.events: list[tuple[int, int, str, int, Asked, int, bool]] = []
        self.order = 0
        self.served: dict[int, Served] = {}
        self.ejections: list[Ejected] = []
        self.is_layer_7 = strategy not in (PINNED, ROTATING, CLIENT)

    def result(self) -> StrategyRun:
        """Run to the end."""
        for call in self.calls:
            self._drain(call.at_us)
            self._choose(call)
        self._drain(None)
        served = tuple(self.served[call.index] for call in self.calls)
        return StrategyRun(self.strategy, served, self.connections, tuple(self.ejections))

    # ------------------------------------------------------------ who gets it

    def _known(self, now_us: int) -> list[int]:
        """The servers that whoever chooses knows of."""
        count = self.parameters.servers
        return list(range(count if now_us >= self.parameters.joins_at_us else count - 1))

    def _choose(self, call: Asked) -> None:
        now_us = call.at_us
        known = self._known(now_us)
        if self.strategy in (PINNED, ROTATING):
            server, wait_us = self._by_connection(call, known)
        else:
            if self.is_layer_7:
                known = [n for n in known if self.servers[n].ejected_until_us <= now_us]
            server = self._by_call(call, known)
            # The proxy shares its connections; a client has its own.
            whose = -1 if self.is_layer_7 else call.client
            wait_us = self._open(whose, server)
        if self.is_layer_7:
            wait_us += self.parameters.hop_us
        self.servers[server].in_progress += 1
        self._at(now_us + wait_us, "arrives", server, call, 0, True)

    def _by_connection(self, call: Asked, known: list[int]) -> tuple[int, int]:
        connection = self.of_client.get(call.client)
        limit = self.parameters.calls_per_connection if self.strategy == ROTATING else None
        wait_us = 0
        if connection is None or (limit is not None and connection.calls >= limit):
            connection = _Connection(known[self.turn % len(known)])
            self.turn += 1
            self.of_client[call.client] = connection
            self.connections += 1
            wait_us = self.parameters.setup_us
        connection.calls += 1
        return connection.server, wait_us

    def _by_call(self, call: Asked, known: list[int]) -> int:
        if self.strategy == LEAST_REQUEST and len(known) > 1:
            one, other = self.rng.sample(known, 2)
            fewer = self.servers[other].in_progress < self.servers[one].in_progress
            return other if fewer else one
        if self.strategy == CLIENT:
            self.turns[call.client] += 1
            return known[(self.turns[call.client] + call.client) % len(known)]
        self.turn += 1
        return known[self.turn % len(known)]

    def _open(self, whose: int, server: int) -> int:
        if (whose, server) in self.opened:
            return 0
        self.opened.add((whose, server))
        self.connections += 1
        return self.parameters.setup_us

    # ------------------------------------------------------------ what becomes of it

    def _at(self, at_us: int, what: str, server: int, call: Asked, begun_us: int, ok: bool) -> None:
        self.order += 1
        heapq.heappush(self.events, (at_us, self.order, what, server, call, begun_us, ok))

    def _drain(self, until_us: int | None) -> None:
        """Let happen what happens before a time, or all of it."""
        while self.events and (until_us is None or self.events[0][0] <= until_us):
            now_us, _, what, number, call, begun_us, ok = heapq.heappop(self.events)
            server = self.servers[number]
            if what == "arrives":
                self._arrive(server, call, now_us)
            elif what == "ends":
                server.working -= 1
                if server.waiting:
                    self._begin(server, *server.waiting.popleft(), now_us)
            else:
                self._answered(server, call, begun_us, now_us, ok)

    def _arrive(self, server: _Server, call: Asked, now_us: int) -> None:
        start, length = self.parameters.fails_at_us, self.parameters.fails_for_us
        if server.number == 1 and start <= now_us < start + length:
            self._note(call, server, now_us, now_us, now_us + REFUSAL_US, ok=False)
        elif server.working < server.slots:
            self._begin(server, call, now_us, now_us)
        else:
            server.waiting.append((call, now_us))

    def _begin(self, server: _Server, call: Asked, arrived_us: int, now_us: int) -> None:
        server.working += 1
        ends_us = now_us + call.work_us * server.slow_percent // 100
        self._at(ends_us, "ends", server.number, call, now_us, True)
        self._note(call, server, arrived_us, now_us, ends_us, ok=True)

    def _note(
        self, call: Asked, server: _Server, arrived_us: int, begun_us: int, ends_us: int, ok: bool
    ) -> None:
        self.served[call.index] = Served(
            call.index, server.number, call.at_us, arrived_us, begun_us, ends_us, ok
        )
        self._at(ends_us, "answers", server.number, call, begun_us, ok)

    def _answered(self, server: _Server, call: Asked, begun_us: int, now_us: int, ok: bool) -> None:
        server.in_progress -= 1
        server.errors_in_a_row = 0 if ok else server.errors_in_a_row + 1
        rule = self.parameters.eject_after
        if not (self.is_layer_7 and rule and server.errors_in_a_row >= rule):
            return
        if server.ejected_until_us <= now_us:
            server.ejections += 1
            server.ejected_until_us = now_us + self.parameters.eject_for_us * server.ejections
            server.errors_in_a_row = 0
            self.ejections.append(Ejected(server.number, now_us, server.ejected_until_us))


# ---------------------------------------------------------------- settings worth a look

PRESETS = (
    Preset(
        "one-client",
        "One client, one connection",
        "At layer 4 all calls go where the one connection went, and two servers do nothing.",
        BalancingParameters(),
    ),
    Preset(
        "joins",
        "A server that joins late",
        "Twelve clients have spread their connections over two servers when the third joins. At "
        "layer 4 it gets nothing; where each call is balanced, it gets its share at once.",
        BalancingParameters(clients=12, joins_at_us=800_000),
    ),
    Preset(
        "slow",
        "One server is five times as slow",
        "Taking turns gives the slow server a third, and a queue. Least request sees the queue.",
        BalancingParameters(clients=12, slow_percent=500, gap_us=3_000),
    ),
    Preset(
        "sink",
        "A server that fails at once",
        "Nobody has fewer calls in progress than one that refuses them: least request sends it "
        "more than its share.",
        BalancingParameters(
            clients=12, work_us=30_000, at_once=8, fails_at_us=600_000, fails_for_us=800_000
        ),
    ),
    Preset(
        "ejection",
        "The same, ejected after five errors",
        "After five errors in a row nobody is sent there for a while, then some are again, and "
        "the next time is longer. Calls that were in progress when it began to fail are answered, "
        "and begin the count anew.",
        BalancingParameters(
            clients=12,
            work_us=30_000,
            at_once=8,
            fails_at_us=600_000,
            fails_for_us=800_000,
            eject_after=5,
            eject_for_us=300_000,
        ),
    ),
)

SIMULATOR = Simulator(
    name="balancing",
    title="Who gets the calls",
    parameters=BalancingParameters,
    run=run,
    presets=PRESETS,
)
