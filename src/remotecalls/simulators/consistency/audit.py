"""What went wrong in a run, by definitions that do not depend on the protocol.

*Before* is said of two operations when the one had returned before the other was called. Which of
two versions is the newer one is what the replicas go by, and that may be wrong; that is the point.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from remotecalls.simulators.consistency.clients import Record
from remotecalls.simulators.consistency.versions import NOTHING, Version, Versions
from remotecalls.simulators.linearizability import Operation, staleness

BURIED, GONE = "buried", "gone"


@dataclass(frozen=True)
class LostWrite:
    """An acknowledged write that has no place in the register's life.

    Attributes:
        number: which operation it is.
        reason: "buried": a write that was acknowledged before this one was called has a version
            that covers this one's. Each replica that gets both drops this one, in whatever order
            they come, and no write that knew of it took its place. (A replica that has not yet got
            the earlier one may show it for a while.)
            "gone": it had a place, and at the end of the run no member has it or any version that
            covers it; or, with a leader, no member can become the leader with it in the log.
    """

    number: int
    reason: str


def lost_writes(
    records: Sequence[Record],
    covers: Callable[[Version, Version], bool],
    is_kept: Callable[[Record], bool],
) -> tuple[LostWrite, ...]:
    """Find the acknowledged writes that are lost.

    Args:
        records: all operations.
        covers: whether the first of two versions covers the second.
        is_kept: whether a write, or one that knew of it, is there at the end.
    """
    found = []
    written = [record for record in records if record.is_write and record.is_ok]
    for number, record in enumerate(records):
        if not (record.is_write and record.is_ok):
            continue
        key, called_us = record.operation.key, record.operation.called_us
        if any(
            other.operation.key == key
            and other.over_us < called_us
            and covers(other.version, record.version)
            for other in written
        ):
            found.append(LostWrite(number, BURIED))
        elif not is_kept(record):
            found.append(LostWrite(number, GONE))
    return tuple(found)


def stale_reads(records: Sequence[Record]) -> tuple[int, ...]:
    """Find the reads that missed a write, as `linearizability.staleness` does, by their numbers.

    With siblings, all of them must be so old. Such a read is never linearizable. Not every history
    without one is.
    """
    history: list[Operation] = []
    numbers: dict[Operation, int] = {}
    for number, record in enumerate(records):
        if record.is_write or not record.is_ok:
            history.append(record.operation)
            continue
        for value in record.values or (None,):
            read = replace(record.operation, value=value)
            history.append(read)
            numbers[read] = number
    current = {numbers[each.read] for each in staleness(history) if not each.writes}
    return tuple(number for number in dict.fromkeys(numbers.values()) if number not in current)


@dataclass(frozen=True)
class SessionViolations:
    """Reads that are older than what the same client knew, by number of operation.

    By versions, which only the replicas see. Where clocks make the versions, a client's own write
    may be buried under one that is older, and no version tells that the client misses it;
    `linearizability.unread_own_writes` does.

    Attributes:
        own_writes: the client had written a newer version of the key, and that was acknowledged.
        monotonic_reads: the client had read a newer version of the key.

    Source: Terry and others, "Session Guarantees for Weakly Consistent Replicated Data", PDIS 1994.
    """

    own_writes: tuple[int, ...]
    monotonic_reads: tuple[int, ...]


def session_violations(records: Iterable[Record], versions: Versions) -> SessionViolations:
    """Find the reads that break a session guarantee; both are about versions."""
    wrote: dict[tuple[int, str], Version] = {}
    read: dict[tuple[int, str], Version] = {}
    own, monotonic = [], []
    for number, record in enumerate(records):
        if not record.is_ok:
            continue
        place = (record.client, record.operation.key)
        if record.is_write:
            wrote[place] = versions.join(wrote.get(place, NOTHING), record.version)
            continue
        if not versions.covers(record.version, wrote.get(place, NOTHING)):
            own.append(number)
        if not versions.covers(record.version, read.get(place, NOTHING)):
            monotonic.append(number)
        read[place] = versions.join(read.get(place, NOTHING), record.version)
    return SessionViolations(tuple(own), tuple(monotonic))
