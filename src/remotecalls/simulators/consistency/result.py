"""What happened in a run of `consistency`: what the clients saw, and what the replicas have."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from remotecalls.simulators.consistency.audit import (
    LostWrite,
    SessionViolations,
    session_violations,
    stale_reads,
)
from remotecalls.simulators.consistency.clients import Record, name_of
from remotecalls.simulators.consistency.parameters import QUORUM, VECTOR, ConsistencyParameters
from remotecalls.simulators.consistency.versions import Copies, Stamps, Vectors, Versions
from remotecalls.simulators.linearizability.history import (
    FAILED,
    OK,
    UNKNOWN,
    Operation,
)
from remotecalls.simulators.parameters import to_json
from remotecalls.simulators.percentiles import percentile


@dataclass(frozen=True)
class ReplicaState:
    """What a member has at the end.

    Attributes:
        node: its number; new members have numbers that no replica had at first.
        copies: of each key what it has, or, with a log, what a read there would see.
    """

    node: int
    copies: tuple[Copies, ...]

    @property
    def values(self) -> tuple[tuple[int, ...], ...]:
        """Return the values of each key; more than one are siblings."""
        return tuple(tuple(copy.value for copy in copies) for copies in self.copies)


@dataclass(frozen=True)
class ConsistencyResult:
    """A run.

    Attributes:
        parameters: what was set.
        seed: what everything was drawn from.
        records: all operations in the order in which they were called.
        lost_writes: see `audit.LostWrite`.
        final: the members at the end.
        messages: how many were sent between nodes, dropped ones included.
        dropped: how many of them were lost, or cut off by the partition.
        end_us: when the run was over.
        events: how many the model went through.
    """

    parameters: ConsistencyParameters
    seed: int
    records: tuple[Record, ...]
    lost_writes: tuple[LostWrite, ...]
    final: tuple[ReplicaState, ...]
    messages: int
    dropped: int
    end_us: int
    events: int

    @property
    def history(self) -> tuple[Operation, ...]:
        """Return what the clients saw."""
        return tuple(record.operation for record in self.records)

    @property
    def versions(self) -> Versions:
        """Return the order of versions in this run."""
        is_vector = self.parameters.protocol == QUORUM and self.parameters.versions == VECTOR
        return Vectors() if is_vector else Stamps()

    def count(self, outcome: str, *, writes: bool | None = None) -> int:
        """Count operations with that outcome: of writes only, of reads only, or of all."""
        return sum(
            record.operation.outcome == outcome and writes in (None, record.is_write)
            for record in self.records
        )

    @property
    def ok_percent(self) -> float:
        """Of a hundred operations, how many had an answer in time."""
        return 100 * self.count(OK) / len(self.records)

    def latencies_us(self, *, writes: bool | None = None) -> list[int]:
        """Return how long the operations with an answer took, in the order of their calls."""
        return [
            record.latency_us
            for record in self.records
            if record.is_ok and writes in (None, record.is_write)
        ]

    def latency_us(self, percent: int, *, writes: bool | None = None) -> int | None:
        """Return a percentile of the operations with an answer.

        Args:
            percent: 50, 95 or 99, say.
            writes: of writes only, of reads only, or of all.

        Returns:
            Microseconds, by nearest rank; None if fewer than `BEYOND` operations lie beyond.
        """
        return percentile(sorted(self.latencies_us(writes=writes)), percent)

    @cached_property
    def stale_reads(self) -> tuple[int, ...]:
        """Return the reads whose value had been replaced before they began."""
        return stale_reads(self.records)

    @cached_property
    def session(self) -> SessionViolations:
        """Return the reads that are older than what the same client knew."""
        return session_violations(self.records, self.versions)

    @property
    def siblings(self) -> tuple[int, ...]:
        """Return the reads that found more than one value."""
        return tuple(n for n, record in enumerate(self.records) if len(record.values) > 1)

    @property
    def has_converged(self) -> bool:
        """Whether all members have the same at the end."""
        return all(state.copies == self.final[0].copies for state in self.final)

    def to_json(self) -> dict[str, Any]:
        """Return all operations, what was counted, and the state at the end."""
        return {
            "parameters": to_json(self.parameters),
            "seed": self.seed,
            "end_us": self.end_us,
            "events": self.events,
            "messages": self.messages,
            "dropped": self.dropped,
            "operations": [_json_of(record) for record in self.records],
            "ok": self.count(OK),
            "failed": self.count(FAILED),
            "unknown": self.count(UNKNOWN),
            "latency_us": {
                name: {f"p{percent}": self.latency_us(percent, writes=writes)
                       for percent in (50, 95, 99)}
                for name, writes in (("read", False), ("write", True))
            },
            "lost_writes": [asdict(lost) for lost in self.lost_writes],
            "stale_reads": list(self.stale_reads),
            "siblings": list(self.siblings),
            "read_your_writes_violations": list(self.session.own_writes),
            "monotonic_reads_violations": list(self.session.monotonic_reads),
            "final": [
                {
                    "node": state.node,
                    "values": {name_of(key): list(each) for key, each in enumerate(state.values)},
                }
                for state in self.final
            ],
            "has_converged": self.has_converged,
        }  # fmt: skip


def _json_of(record: Record) -> dict[str, Any]:
    return asdict(record.operation) | {
        "client": record.client,
        "node": record.node,
        "over_us": record.over_us,
        "version": list(record.version),
        "timestamp_us": record.timestamp_us,
        "values": list(record.values),
    }


def summed(results: Iterable[ConsistencyResult]) -> dict[str, int]:
    """Add up what went wrong in several runs: for a question asked of many seeds."""
    total = dict.fromkeys(("failed", "unknown", "lost", "stale", "own_writes", "monotonic"), 0)
    for result in results:
        total["failed"] += result.count(FAILED)
        total["unknown"] += result.count(UNKNOWN)
        total["lost"] += len(result.lost_writes)
        total["stale"] += len(result.stale_reads)
        total["own_writes"] += len(result.session.own_writes)
        total["monotonic"] += len(result.session.monotonic_reads)
    return total
