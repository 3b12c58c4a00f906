"""A tuple space in another process."""

from __future__ import annotations

import math
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any

from remotecalls.tuplespaces.connection import Connection
from remotecalls.tuplespaces.encoding import decode_fields, encode_pattern
from remotecalls.tuplespaces.errors import SpaceClosed
from remotecalls.tuplespaces.events import DEFAULT_BUFFER, Events
from remotecalls.tuplespaces.fields import Fields, checked
from remotecalls.tuplespaces.leases import Lease
from remotecalls.tuplespaces.patterns import Pattern
from remotecalls.tuplespaces.protocol import encoded_tuple
from remotecalls.tuplespaces.timeouts import DEFAULT_TIMEOUT, checked_lease, checked_timeout
from remotecalls.wire.address import Address
from remotecalls.wire.errors import ProtocolError

CONNECT_SECONDS = 10.0
ANSWER_SECONDS = 30.0
"""For what the server answers without waiting for anything."""


class RemoteLease:
    """A lease in another process. What is left of it is known by this side's clock.

    That the tuple was taken is known only to the server: `remaining` tells when it will be gone at
    the latest.
    """

    def __init__(self, connection: Connection, name: list[int], seconds: float, at: float) -> None:
        self._connection = connection
        self._name = name
        self._ends = at + seconds

    def remaining(self) -> float:
        """Seconds that are left at most, counted from when we asked for the lease."""
        return max(0.0, self._ends - time.monotonic())

    async def renew(self, seconds: float = math.inf) -> None:
        """See `Lease.renew`."""
        asked = time.monotonic()
        wanted = _finite(checked_lease(seconds))
        content = {"lease": self._name, "seconds": wanted}
        await self._connection.call("renew", ANSWER_SECONDS, content)
        self._ends = asked + seconds

    async def cancel(self) -> None:
        """See `Lease.cancel`."""
        await self._connection.call("cancel_lease", ANSWER_SECONDS, {"lease": self._name})
        self._ends = -math.inf


class RemoteOperations:
    """What `Operations` does, on a space in another process.

    Everything raises, beside what it raises there, `ConnectionLost` if the connection breaks, and
    `DeadlineExceeded` if the server says nothing for longer than it should. Conditions made of a
    function are refused with `InvalidPattern`.
    """

    def __init__(self) -> None:
        self._transaction: int | None = None

    def _connected(self) -> Connection:
        raise NotImplementedError

    async def write(
        self, *fields: Any, lease: float = math.inf, timeout: float = DEFAULT_TIMEOUT
    ) -> Lease:
        """Write a tuple; see `Operations.write`. It must fit into a frame."""
        content = {
            "fields": encoded_tuple(checked(fields)),
            "lease": _finite(checked_lease(lease)),
            "timeout": checked_timeout(timeout),
            "transaction": self._transaction,
        }
        connection, asked = self._connected(), time.monotonic()
        answer = await connection.call("write", timeout, content)
        return RemoteLease(connection, _part(answer, "lease"), lease, asked)

    async def take(self, *pattern: Any, timeout: float = DEFAULT_TIMEOUT) -> Fields:
        """Take the oldest tuple that matches; wait for one if there is none."""
        return await self._get("take", pattern, checked_timeout(timeout))

    async def read(self, *pattern: Any, timeout: float = DEFAULT_TIMEOUT) -> Fields:
        """Read the oldest tuple that matches; wait for one if there is none."""
        return await self._get("read", pattern, checked_timeout(timeout))

    async def take_if_present(self, *pattern: Any) -> Fields | None:
        """Take the oldest tuple that matches and that nobody else holds; None if there is none."""
        return await self._get_now("take_if_present", pattern)

    async def read_if_present(self, *pattern: Any) -> Fields | None:
        """Read the oldest tuple that matches; None if there is none."""
        return await self._get_now("read_if_present", pattern)

    async def read_all(self, *pattern: Any) -> tuple[Fields, ...]:
        """All tuples that match, oldest first, as of one moment."""
        answer = await self._connected().call("read_all", ANSWER_SECONDS, self._asked(pattern))
        return tuple(_part(answer, "tuples"))

    async def _get(self, operation: str, pattern: Fields, timeout: float) -> Fields:
        content = self._asked(pattern) | {"timeout": timeout}
        answer = await self._connected().call(operation, timeout, content, keep=operation == "take")
        return decode_fields(_part(answer, "fields"))

    async def _get_now(self, operation: str, pattern: Fields) -> Fields | None:
        keep = operation == "take_if_present"
        content = self._asked(pattern)
        answer = await self._connected().call(operation, ANSWER_SECONDS, content, keep=keep)
        fields = _part(answer, "fields")
        return None if fields is None else decode_fields(fields)

    def _asked(self, pattern: Fields) -> dict[str, Any]:
        return {"pattern": _encoded(pattern), "transaction": self._transaction}


class RemoteTransaction(RemoteOperations):
    """Operations under one transaction, inside of its block; see `Transaction`."""

    def __init__(self, connection: Connection, number: int) -> None:
        super().__init__()
        self._connection = connection
        self._transaction = number
        self._finished = False

    async def commit(self) -> None:
        """Let all of it happen; the end of the block does the same."""
        await self._finish("commit")

    async def abort(self) -> None:
        """Let nothing of it have happened; an exception that leaves the block does the same."""
        await self._finish("abort")

    async def end_block(self) -> None:
        """Commit, unless the block has ended the transaction itself."""
        if not self._finished:
            await self.commit()

    def _connected(self) -> Connection:
        return self._connection

    async def _finish(self, operation: str) -> None:
        await self._connection.call(operation, ANSWER_SECONDS, {"transaction": self._transaction})
        self._finished = True


class RemoteTupleSpace(RemoteOperations):
    """A client of a `TupleSpaceServer`, with one connection for any number of operations at a time.

    Args:
        address: where the server listens.
        timeout: seconds to connect.
    """

    def __init__(self, address: Address, *, timeout: float = CONNECT_SECONDS) -> None:
        super().__init__()
        self._address = address
        self._timeout = checked_timeout(timeout)
        self._connection: Connection | None = None

    async def __aenter__(self) -> RemoteTupleSpace:
        """Connect.

        Raises:
            Unavailable: nobody listens there.
            ProtocolError: who listens there speaks something else.
            DeadlineExceeded, ConnectionLost: there was no greeting.
            SpaceClosed: this client was used before.
        """
        if self._connection is not None:
            raise SpaceClosed("a client has one block: make another")
        self._connection = await Connection.open(self._address, self._timeout)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Hang up: what still waits here ends with `SpaceClosed`."""
        await self._connected().close()

    @asynccontextmanager
    async def transaction(
        self, timeout: float = DEFAULT_TIMEOUT
    ) -> AsyncIterator[RemoteTransaction]:
        """Several operations that happen together or not at all; see `TupleSpace.transaction`.

        If this process dies, or the connection breaks, the server aborts it at once.
        """
        connection = self._connected()
        content = {"timeout": checked_timeout(timeout)}
        number = (await connection.call("begin", ANSWER_SECONDS, content))["id"]
        transaction = RemoteTransaction(connection, number)
        try:
            yield transaction
        except BaseException:
            connection.post("cancel", {"target": number})  # before whatever we ask next
            raise
        await transaction.end_block()

    @asynccontextmanager
    async def notify(self, *pattern: Any, buffer: int = DEFAULT_BUFFER) -> AsyncIterator[Events]:
        """The tuples that match, as they are written; see `TupleSpace.notify`.

        There is a buffer of that size on this side, and one of at most 1,024 events in the server.
        """
        events = Events(buffer)
        content = {"pattern": _encoded(pattern), "buffer": buffer}
        end = await self._connected().subscribe(events, ANSWER_SECONDS, content)
        try:
            yield events
        finally:
            end()

    def _connected(self) -> Connection:
        if self._connection is None:
            raise SpaceClosed("this client is not connected: use it inside of `async with`")
        return self._connection


def _encoded(pattern: Fields) -> list[Any]:
    return encode_pattern(Pattern(pattern).fields)


def _part(answer: dict[str, Any], name: str) -> Any:
    if name not in answer:
        raise ProtocolError(f"the server's answer has no {name!r}: {str(answer)[:80]}")
    return answer[name]


def _finite(seconds: float) -> float | None:
    return None if seconds == math.inf else seconds
