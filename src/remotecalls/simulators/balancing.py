"""Who gets the calls: five ways to spread them over servers, with the same calls for all.

* Layer 4: a proxy of connections takes turns when a connection is opened. Calls follow theirs.
* The same, and a connection ends after some calls.
* The client holds a connection to each server, and takes turns at each call.
* Layer 7: a proxy of calls takes turns; or it draws two servers, and takes the one with fewer
  calls in progress ("the power of two choices"). Either leaves a server out after some errors in a
  row, as Envoy does (`balancing_ejection.py`).

A server works on some calls at once, and the others wait in the order in which they came. The n-th
call comes at the same time and is the same work in each strategy; all draws are whole numbers. The
last server may be slow, or join late. The second one may fail: it goes on with what it has, and
refuses what comes.

Left out: the network but for the hop and the handshake, clients that give up or try again, and more
than one proxy. Two proxies would not know of each other's calls and errors.

Sources: Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing", 1996; Envoy,
"Supported load balancers" and "Outlier detection".
"""

from __future__ import annotations

import heapq
import random
from collections import deque
from dataclasses import dataclass, field

from remotecalls.simulators.balancing_choice import chooser
from remotecalls.simulators.balancing_ejection import OutlierDetection
from remotecalls.simulators.balancing_parameters import BalancingParameters
from remotecalls.simulators.balancing_result import (
    LEAST_REQUEST,
    ROUND_ROBIN,
    STRATEGIES,
    BalancingResult,
    Served,
    StrategyRun,
)
from remotecalls.simulators.parameters import Preset, Simulator

REFUSAL_US = 200
"""How long a server takes that fails: it looks at nothing."""

FAILING = 1
"""The server that may fail."""


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
    slow_percent: int
    working: int = 0
    waiting: deque[tuple[Asked, int]] = field(default_factory=deque)
    longest_queue: int = 0


class _Run:
    """One strategy, event by event: a call arrives at its server, or is over."""

    def __init__(
        self, strategy: str, parameters: BalancingParameters, calls: list[Asked], seed: int
    ) -> None:
        self.strategy = strategy
        self.parameters = parameters
        self.calls = calls
        last = parameters.servers - 1
        self.servers = [
            _Server(number, parameters.slow_percent if number == last else 100)
            for number in range(parameters.servers)
        ]
        self.chooser = chooser(strategy, parameters, seed)
        self.is_layer_7 = strategy in (ROUND_ROBIN, LEAST_REQUEST)
        self.detection = OutlierDetection(parameters)
        self.events: list[tuple[int, int, str, int, Asked, bool]] = []
        self.order = 0
        self.served: dict[int, Served] = {}

    def result(self) -> StrategyRun:
        """Run to the end."""
        for call in self.calls:
            self._drain(call.at_us)
            self._send(call)
        self._drain(None)
        return StrategyRun(
            strategy=self.strategy,
            calls=tuple(self.served[call.index] for call in self.calls),
            connections=self.chooser.opened,
            longest_queues=tuple(server.longest_queue for server in self.servers),
            ejections=tuple(self.detection.ejections),
            overflows=self.detection.overflows,
        )

    def _known(self, now_us: int) -> int:
        """How many servers whoever chooses knows of: all, or all but the last."""
        return self.parameters.servers - (now_us < self.parameters.joins_at_us)

    def _send(self, call: Asked) -> None:
        now_us = call.at_us
        servers = [n for n in range(self._known(now_us)) if not self.detection.is_out(n, now_us)]
        connection = self.chooser.choose(call.client, servers, now_us)
        self.chooser.in_progress[connection.server] += 1
        hop_us = self.parameters.hop_us if self.is_layer_7 else 0
        self._at(max(now_us, connection.ready_us) + hop_us, "arrives", connection.server, call)

    # ------------------------------------------------------------ what becomes of it

    def _at(self, at_us: int, what: str, server: int, call: Asked, ok: bool = True) -> None:
        self.order += 1
        heapq.heappush(self.events, (at_us, self.order, what, server, call, ok))

    def _drain(self, until_us: int | None) -> None:
        """Let happen what happens up to a time, or all of it."""
        while self.events and (until_us is None or self.events[0][0] <= until_us):
            now_us, _, what, number, call, ok = heapq.heappop(self.events)
            server = self.servers[number]
            if what == "arrives":
                self._arrive(server, call, now_us)
                continue
            if ok:
                server.working -= 1
                if server.waiting:
                    self._begin(server, *server.waiting.popleft(), now_us)
            self._answered(number, now_us, ok)

    def _arrive(self, server: _Server, call: Asked, now_us: int) -> None:
        start, length = self.parameters.fails_at_us, self.parameters.fails_for_us
        if server.number == FAILING and start <= now_us < start + length:
            self._ends(server, call, now_us, now_us, now_us + REFUSAL_US, ok=False)
        elif server.working < self.parameters.at_once:
            self._begin(server, call, now_us, now_us)
        else:
            server.waiting.append((call, now_us))
            server.longest_queue = max(server.longest_queue, len(server.waiting))

    def _begin(self, server: _Server, call: Asked, arrived_us: int, now_us: int) -> None:
        server.working += 1
        ends_us = now_us + call.work_us * server.slow_percent // 100
        self._ends(server, call, arrived_us, now_us, ends_us, ok=True)

    def _ends(
        self, server: _Server, call: Asked, arrived_us: int, begun_us: int, ends_us: int, ok: bool
    ) -> None:
        self.served[call.index] = Served(
            call.index, server.number, call.at_us, arrived_us, begun_us, ends_us, ok
        )
        self._at(ends_us, "ends", server.number, call, ok)

    def _answered(self, server: int, now_us: int, ok: bool) -> None:
        self.chooser.in_progress[server] -= 1
        if self.is_layer_7:
            self.detection.answered(server, now_us, ok=ok, known=self._known(now_us))


# ---------------------------------------------------------------- settings worth a look

_FAILS = {
    "clients": 12,
    "gap_us": 4_000,
    "work_us": 30_000,
    "at_once": 8,
    "fails_at_us": 600_000,
    "fails_for_us": 800_000,
}
_EJECTS = _FAILS | {"eject_after": 5, "eject_for_us": 300_000}

PRESETS = (
    Preset(
        "one-client",
        "One client, one connection",
        "At layer 4 all calls go where the one connection went. A queue stands there, and two "
        "servers do nothing.",
        BalancingParameters(),
    ),
    Preset(
        "as-many-connections",
        "As many connections as servers",
        "Three clients have a connection each, and layer 4 looks even. It is as even as the "
        "clients are, and only until something changes.",
        BalancingParameters(clients=3, gap_us=4_000),
    ),
    Preset(
        "joins",
        "A server that joins late",
        "Twelve clients have spread their connections over two servers when the third joins. At "
        "layer 4 it gets nothing; where each call is balanced, it gets its share at once.",
        BalancingParameters(clients=12, gap_us=4_000, joins_at_us=800_000),
    ),
    Preset(
        "equal",
        "Servers that are equal",
        "Among equal servers least request gains nothing over taking turns.",
        BalancingParameters(clients=12, gap_us=3_000),
    ),
    Preset(
        "slow",
        "One server is five times as slow",
        "Taking turns gives the slow server a third, and a queue. Least request sees the queue.",
        BalancingParameters(clients=12, gap_us=3_000, slow_percent=500),
    ),
    Preset(
        "sink",
        "A server that fails at once",
        "Nobody has fewer calls in progress than one that refuses them: least request sends it "
        "more than its share.",
        BalancingParameters(**_FAILS),
    ),
    Preset(
        "ejection",
        "The same, ejected after five errors",
        "After five errors in a row nobody is sent there for a while, then some are again, and "
        "the next time is longer. Calls that were in progress when it began to fail are answered, "
        "and begin the count anew.",
        BalancingParameters(**_EJECTS),
    ),
    Preset(
        "too-few-to-eject",
        "One of three is more than a tenth",
        "By default Envoy lets a tenth of the servers be out at once. One of three is more, so "
        "the errors are counted and nobody is left out.",
        BalancingParameters(**_EJECTS, eject_at_most_percent=10),
    ),
)

SIMULATOR = Simulator(
    name="balancing",
    title="Who gets the calls",
    parameters=BalancingParameters,
    run=run,
    presets=PRESETS,
)
