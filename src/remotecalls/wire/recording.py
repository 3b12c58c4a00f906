"""What crossed the wire between clients and a server, and when.

A tap between two programs sees every byte twice: once as its sender wrote it, once as the tap
passed it on. Without faults the two views are equal. With faults the difference between them *is*
the fault, so a `Recording` keeps both: `sent` and `delivered`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Any

from remotecalls.wire.address import Address

DEFAULT_LIMIT = 16 * 1024 * 1024
"""Bytes that a recording keeps for each of its views before it only counts."""


class Direction(Enum):
    """Which way bytes travel."""

    CLIENT_TO_SERVER = "client to server"
    SERVER_TO_CLIENT = "server to client"

    @property
    def opposite(self) -> Direction:
        """The way back."""
        if self is Direction.CLIENT_TO_SERVER:
            return Direction.SERVER_TO_CLIENT
        return Direction.CLIENT_TO_SERVER


class Transport(StrEnum):
    """What carried the bytes: a stream (TCP) or datagrams (UDP)."""

    TCP = "tcp"
    UDP = "udp"


class EventKind(StrEnum):
    """What can happen to a connection besides bytes."""

    OPENED = "opened"
    """A client connected. For datagrams: the first one came from this client."""

    REFUSED = "refused"
    """No connection to the server could be made; `detail` says why."""

    HALF_CLOSED = "half-closed"
    """One side will send no more (FIN). It may still receive."""

    RESET = "reset"
    """One side broke the connection off (RST). Bytes on their way may be lost."""

    CLOSED = "closed"
    """The connection is over, in both directions."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Bytes that one read gave the tap, or one write of the tap passed on.

    Attributes:
        connection: counts from 0 in the order in which clients connected.
        direction: which way the bytes travel.
        time_us: microseconds since the recording began, on the monotonic clock.
        data: the bytes. For UDP: one whole datagram, which may be empty.
    """

    connection: int
    direction: Direction
    time_us: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Event:
    """A change in the state of a connection.

    Attributes:
        connection: as in `Chunk`.
        kind: what happened.
        time_us: as in `Chunk`.
        direction: the way the news travels, where it has one: a FIN of the client travels
            from client to server.
        detail: a sentence for a person, or empty.
    """

    connection: int
    kind: EventKind
    time_us: int
    direction: Direction | None = None
    detail: str = ""


class RecordingTruncated(Exception):
    """The bytes asked for were counted but not kept: the recording had reached its limit."""


class View:
    """One side's view of all connections: chunks and events in the order they were seen.

    Appending is for the tap. Readers in other threads may read at any time: the properties give
    copies.

    Args:
        limit: bytes kept. Once reached, nothing more is kept of any stream, so what is kept of a
            stream is always its beginning; the counts go on.
    """

    def __init__(self, limit: int = DEFAULT_LIMIT) -> None:
        if limit < 0:
            raise ValueError(f"a recording cannot keep {limit} bytes: 0 or more")
        self._limit = limit
        self._entries: list[Chunk | Event] = []
        self._kept = 0
        self._truncated = False
        self._counts: dict[tuple[int, Direction], int] = {}

    @property
    def entries(self) -> tuple[Chunk | Event, ...]:
        """All chunks that were kept, and all events, in the order in which they were seen."""
        return tuple(self._entries)

    @property
    def chunks(self) -> tuple[Chunk, ...]:
        """The chunks of `entries`."""
        return tuple(entry for entry in self.entries if isinstance(entry, Chunk))

    @property
    def events(self) -> tuple[Event, ...]:
        """The events of `entries`."""
        return tuple(entry for entry in self.entries if isinstance(entry, Event))

    @property
    def connections(self) -> tuple[int, ...]:
        """The numbers of the connections seen, ascending."""
        return tuple(sorted({entry.connection for entry in self.entries}))

    @property
    def truncated(self) -> bool:
        """Whether bytes were counted that are not kept."""
        return self._truncated

    def stream(self, connection: int, direction: Direction) -> bytes:
        """All bytes of one direction of one connection, joined.

        Raises:
            RecordingTruncated: not all of them were kept.
        """
        chunks = (c for c in self.chunks if (c.connection, c.direction) == (connection, direction))
        data = b"".join(chunk.data for chunk in chunks)
        counted = self._counts.get((connection, direction), 0)
        if len(data) < counted:
            raise RecordingTruncated(
                f"connection {connection}, {direction.value}: {len(data):,} of {counted:,} bytes "
                f"were kept (limit {self._limit:,}); give the tap a larger record_limit"
            )
        return data

    def bytes_sent(
        self, direction: Direction | None = None, *, connection: int | None = None
    ) -> int:
        """How many bytes crossed: in one direction or both, on one connection or all."""
        return sum(
            count
            for (number, way), count in self._counts.copy().items()
            if direction in (None, way) and connection in (None, number)
        )

    def round_trips(self, connection: int | None = None) -> int:
        """How often the server answered: turns from client-to-server to server-to-client.

        Turns are counted on each connection by itself. A request in five chunks whose reply
        comes in three is one round trip.
        """
        turns = 0
        last: dict[int, Direction] = {}
        for chunk in self.chunks:
            if connection not in (None, chunk.connection):
                continue
            before = last.get(chunk.connection)
            if (before, chunk.direction) == (
                Direction.CLIENT_TO_SERVER,
                Direction.SERVER_TO_CLIENT,
            ):
                turns += 1
            last[chunk.connection] = chunk.direction
        return turns

    def add_chunk(self, chunk: Chunk) -> None:
        """Count a chunk, and keep what the limit allows."""
        key = chunk.connection, chunk.direction
        self._counts[key] = self._counts.get(key, 0) + len(chunk.data)
        room = self._limit - self._kept
        if self._truncated or len(chunk.data) > room:
            # From here on no stream gets more, or what is kept would have holes.
            self._truncated = True
            return
        self._kept += len(chunk.data)
        self._entries.append(chunk)

    def add_event(self, event: Event) -> None:
        """Keep an event."""
        self._entries.append(event)

    def to_dict(self) -> dict[str, Any]:
        """The view as JSON values; bytes are written in hexadecimal."""
        return {
            "limit": self._limit,
            "entries": [_entry_to_dict(entry) for entry in self.entries],
            "counts": [
                {"connection": connection, "direction": direction.value, "bytes": count}
                for (connection, direction), count in self._counts.copy().items()
            ],
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> View:
        """The opposite of `to_dict`.

        Raises:
            KeyError, ValueError: the values were not written by `to_dict`.
        """
        view = cls(values["limit"])
        for entry in map(_entry_from_dict, values["entries"]):
            if isinstance(entry, Chunk):
                view.add_chunk(entry)
            else:
                view.add_event(entry)
        view._truncated = sum(entry["bytes"] for entry in values["counts"]) > view._kept
        view._counts = {
            (entry["connection"], Direction(entry["direction"])): entry["bytes"]
            for entry in values["counts"]
        }
        return view


def _entry_to_dict(entry: Chunk | Event) -> dict[str, Any]:
    values: dict[str, Any] = {"connection": entry.connection, "time_us": entry.time_us}
    if isinstance(entry, Chunk):
        return values | {"direction": entry.direction.value, "data": entry.data.hex()}
    direction = entry.direction.value if entry.direction else None
    return values | {"event": entry.kind.value, "direction": direction, "detail": entry.detail}


def _entry_from_dict(values: dict[str, Any]) -> Chunk | Event:
    connection, time_us = values["connection"], values["time_us"]
    direction = Direction(values["direction"]) if values["direction"] else None
    if "event" in values:
        kind = EventKind(values["event"])
        return Event(connection, kind, time_us, direction, values["detail"])
    if direction is None:
        raise ValueError(f"bytes without a direction: {values}")
    return Chunk(connection, direction, time_us, bytes.fromhex(values["data"]))


class Recording:
    """Everything a tap saw. What the peers sent is the default view; see also `delivered`.

    Args:
        server: where the real server listens, if known.
        transport: what carried the bytes.
        limit: bytes that each view keeps.
        clock_ns: a monotonic clock in nanoseconds; the recording begins now.
    """

    def __init__(
        self,
        server: Address | None = None,
        transport: Transport = Transport.TCP,
        limit: int = DEFAULT_LIMIT,
        clock_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self.server = server
        self.transport = transport
        self.sent = View(limit)
        self.delivered = View(limit)
        self._clock_ns = clock_ns
        self._began_ns = clock_ns()

    def now_us(self) -> int:
        """Microseconds since the recording began."""
        return (self._clock_ns() - self._began_ns) // 1_000

    @property
    def chunks(self) -> tuple[Chunk, ...]:
        """The chunks as the peers sent them."""
        return self.sent.chunks

    @property
    def events(self) -> tuple[Event, ...]:
        """The events as the peers caused them."""
        return self.sent.events

    @property
    def connections(self) -> tuple[int, ...]:
        """The numbers of all connections, ascending."""
        return self.sent.connections

    @property
    def bytes_sent(self) -> int:
        """All bytes that clients and server sent. `sent.bytes_sent(...)` counts a part of them."""
        return self.sent.bytes_sent()

    @property
    def round_trips(self) -> int:
        """How often the server answered, over all connections; see `View.round_trips`."""
        return self.sent.round_trips()

    def stream(self, connection: int, direction: Direction) -> bytes:
        """All bytes of one direction of one connection, as its sender wrote them.

        Raises:
            RecordingTruncated: not all of them were kept.
        """
        return self.sent.stream(connection, direction)

    def to_json(self, *, indent: int | None = None) -> str:
        """The recording as JSON text; bytes are written in hexadecimal."""
        values = {
            "server": str(self.server) if self.server else None,
            "transport": self.transport.value,
            "sent": self.sent.to_dict(),
            "delivered": self.delivered.to_dict(),
        }
        return json.dumps(values, indent=indent)

    @classmethod
    def from_json(cls, text: str) -> Recording:
        """The opposite of `to_json`.

        Raises:
            KeyError, ValueError: the text was not written by `to_json`.
        """
        values = json.loads(text)
        server = Address.parse(values["server"]) if values["server"] else None
        recording = cls(server, Transport(values["transport"]))
        recording.sent = View.from_dict(values["sent"])
        recording.delivered = View.from_dict(values["delivered"])
        return recording

    @classmethod
    def of(cls, exchange: Sequence[tuple[Direction, bytes]]) -> Recording:
        """A recording of one connection made by hand: one millisecond between chunks.

        For figures and tests that need bytes but no network.
        """
        recording = cls()
        for view in (recording.sent, recording.delivered):
            view.add_event(Event(0, EventKind.OPENED, 0, Direction.CLIENT_TO_SERVER))
            for number, (direction, data) in enumerate(exchange, start=1):
                view.add_chunk(Chunk(0, direction, number * 1_000, data))
        return recording
