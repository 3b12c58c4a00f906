"""What came out of a run of `balancing`: where each call went, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from remotecalls.simulators.balancing_parameters import BalancingParameters
from remotecalls.simulators.parameters import to_json

PINNED, ROTATING, CLIENT = "pinned", "rotating", "client"
ROUND_ROBIN, LEAST_REQUEST = "round-robin", "least-request"
STRATEGIES = {
    PINNED: "Layer 4",
    ROTATING: "Layer 4, connections end",
    CLIENT: "The client takes turns",
    ROUND_ROBIN: "Layer 7, round robin",
    LEAST_REQUEST: "Layer 7, least request",
}


@dataclass(frozen=True)
class Served:
    """What came of one call.

    Attributes:
        index: of the call; the same call in every strategy.
        server: who got it.
        asked_us: when the client made it.
        arrived_us: when the server had it.
        begun_us: when the server began to work on it; the same if it was refused at once.
        finished_us: when the client had the answer.
        ok: whether it was answered, and not refused.
    """

    index: int
    server: int
    asked_us: int
    arrived_us: int
    begun_us: int
    finished_us: int
    ok: bool


@dataclass(frozen=True)
class Ejected:
    """A server that was left out, from one time to another."""

    server: int
    from_us: int
    until_us: int


@dataclass(frozen=True)
class StrategyRun:
    """All calls under one strategy.

    Attributes:
        strategy: a key of `STRATEGIES`.
        calls: in the order in which they were made.
        connections: how many were opened to servers.
        longest_queues: for each server, the most calls that waited there at once.
        ejections: in order.
        overflows: how often a server had errors enough and was not left out, because it would have
            been one too many.
    """

    strategy: str
    calls: tuple[Served, ...]
    connections: int
    longest_queues: tuple[int, ...]
    ejections: tuple[Ejected, ...]
    overflows: int

    @property
    def failed(self) -> int:
        """How many calls were refused."""
        return sum(not call.ok for call in self.calls)

    @property
    def failed_before_ejection(self) -> int:
        """How many calls were refused before a server was left out for the first time, or ever."""
        if not self.ejections:
            return self.failed
        first = self.ejections[0].from_us
        return sum(not call.ok and call.finished_us <= first for call in self.calls)

    def counts(self, servers: int) -> tuple[int, ...]:
        """How many calls each server got."""
        found = [0] * servers
        for call in self.calls:
            found[call.server] += 1
        return tuple(found)

    def busiest_percent(self, servers: int) -> int | None:
        """The most calls of a server next to the mean, in percent; None without any call.

        100 is even; with three servers, 300 is all calls on one.
        """
        if not self.calls:
            return None
        return 100 * max(self.counts(servers)) * servers // len(self.calls)

    def latency_us(self, percent: int) -> int | None:
        """A percentile of the calls that were answered, by nearest rank; None without any."""
        ordered = sorted(call.finished_us - call.asked_us for call in self.calls if call.ok)
        return ordered[-(-len(ordered) * percent // 100) - 1] if ordered else None


@dataclass(frozen=True)
class BalancingResult:
    """The runs of all strategies with the same calls."""

    parameters: BalancingParameters
    seed: int
    runs: tuple[StrategyRun, ...]

    @property
    def end_us(self) -> int:
        """When the last call was over, in the slowest strategy."""
        ends = [call.finished_us for run in self.runs for call in run.calls]
        return max([self.parameters.duration_us, *ends])

    def of(self, strategy: str) -> StrategyRun:
        """The run of one strategy."""
        return next(run for run in self.runs if run.strategy == strategy)

    def to_json(self) -> dict[str, Any]:
        """Return the result as JSON data."""
        return {
            "parameters": to_json(self.parameters),
            "seed": self.seed,
            "end_us": self.end_us,
            "runs": [_run_to_json(run, self.parameters.servers) for run in self.runs],
        }


def _run_to_json(run: StrategyRun, servers: int) -> dict[str, Any]:
    return {
        "strategy": run.strategy,
        "counts": list(run.counts(servers)),
        "busiest_percent": run.busiest_percent(servers),
        "p50_us": run.latency_us(50),
        "p99_us": run.latency_us(99),
        "connections": run.connections,
        "longest_queues": list(run.longest_queues),
        "failed": run.failed,
        "failed_before_ejection": run.failed_before_ejection,
        "overflows": run.overflows,
        "ejections": [[e.server, e.from_us, e.until_us] for e in run.ejections],
        "calls": [
            [c.index, c.server, c.asked_us, c.arrived_us, c.begun_us, c.finished_us, c.ok]
            for c in run.calls
        ],
    }
