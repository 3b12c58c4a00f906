"""What went wrong in a run, by definitions that do not depend on the protocol.

*Before* is said of two operations when the one had returned before the other was called. Which of
two versions is the newer one is what the replicas go by, and that may be wrong; that is the point.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from remotecalls.simulators.consistency.clients import Record
from remotecalls.simulators.consistency.versions import NOTHING, Version, Versions

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
    """Find the reads whose value had been replaced before they began, by number of operation.

    That is: a write of another value was acknowledged before the read was called, and the write of
    the value that was read had been acknowledged before that other one was called. The value that
    a register has at first is older than every write. With siblings, all of them must be so old.

    Such a read is never linearizable. Not every history without one is.
    """
    over_us = {
        record.operation.value: record.over_us
        for record in records
        if record.is_write and record.is_ok
    }
    ends: dict[str, list[int]] = defaultdict(list)
    latest_call_us: dict[str, list[int]] = defaultdict(list)
    written = [record for record in records if record.is_write and record.is_ok]
    for record in sorted(written, key=lambda record: record.over_us):
        key, called_us = record.operation.key, record.operation.called_us
        ends[key].append(record.over_us)
        before_us = latest_call_us[key][-1] if latest_call_us[key] else called_us
        latest_call_us[key].append(max(before_us, called_us))
    found = []
    for number, record in enumerate(records):
        if record.is_write or not record.is_ok:
            continue
        key = record.operation.key
        over = bisect_left(ends[key], record.operation.called_us)
        if not over:
            continue
        replaced_us = latest_call_us[key][over - 1]
        # A write that was not acknowledged is never known to be over.
        if all(value in over_us and over_us[value] < replaced_us for value in record.values):
            found.append(number)
    return tuple(found)


@dataclass(frozen=True)
class SessionViolations:
    """Reads that are older than what the same client knew, by number of operation.

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
