"""A connection to an Erlang node, over which processes on it are called.

A call is what `gen_server:call` makes of it: a monitor on the process, then the request with a
unique reference, then whichever comes first, the answer with that reference or the news that the
process has ended. So a crash is told at once, and an answer that comes too late finds nobody.

Source: "Distribution Protocol", section "Protocol between Connected Nodes", ERTS User's Guide;
`gen:call` in OTP's stdlib.
"""

from __future__ import annotations

import asyncio
import itertools
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from remotecalls.actors.otp.errors import NoSuchServer, ServerDown, Untranslatable
from remotecalls.actors.otp.handshake import Acquaintance, shake_hands
from remotecalls.actors.otp.terms import Atom, Pid, Reference, Term, decode, describe, encode, why
from remotecalls.wire.address import Address
from remotecalls.wire.deadline import Deadline
from remotecalls.wire.errors import ConnectionLost, ProtocolError, TransportError, Unavailable

PASS_THROUGH = b"p"
"""Begins each message when the two nodes have agreed on no cache of atoms."""

PAIR = b"\x83h\x02"
"""Begins the external form of a tuple of two."""

SEND, REG_SEND, EXIT2, MONITOR, DEMONITOR, DOWN = 2, 6, 8, 19, 20, 28
NO_COOKIE = Atom("")
"""Stands where messages carried the cookie once."""


class Connection:
    """A connection that is up, or has been.

    It answers the node's ticks, so the node does not take us for dead.

    Attributes:
        peer: the node's full name.
        late: how many answers came after their call had been given up, and were dropped.
    """

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        name: str,
        met: Acquaintance,
    ) -> None:
        self.peer = met.peer
        self.late = 0
        self._reader = reader
        self._writer = writer
        self._ours = Atom(name)
        self._creation = met.our_creation
        self._pid = Pid(self._ours, 1, 0, met.our_creation)
        self._numbers = itertools.count(1)
        self._waiting: dict[Reference, tuple[str, asyncio.Future[Term]]] = {}
        self._ended: str | None = None

    async def call(self, server: str, request: Term, timeout: float) -> Term:
        """Call a registered process as `gen_server:call` does.

        Args:
            server: the name under which it is registered.
            request: what its `handle_call` is given.
            timeout: seconds.

        Raises:
            DeadlineExceeded: no answer came in time.
            ServerDown: the process ended first; `NoSuchServer` if no process had the name.
            ConnectionLost: the connection ended first; `Unavailable` if it had ended before.
            Untranslatable: the request has no term, or the answer no value here.
        """
        reference = self._next_reference()
        asked = (Atom("$gen_call"), (self._pid, reference), request)
        target = Atom(server)
        question = _frame((REG_SEND, self._pid, NO_COOKIE, target), asked)
        return await self._watched(target, reference, question, timeout)

    def cast(self, server: str, message: Term) -> None:
        """Send a message to a registered process. Nothing tells whether it arrives.

        Raises:
            Unavailable: the connection has ended.
            Untranslatable: the message has no term.
        """
        self._write(_frame((REG_SEND, self._pid, NO_COOKIE, Atom(server)), message))

    async def end(self, pid: Pid, reason: Term, timeout: float) -> Term:
        """Send an exit signal to a process and wait until it has ended.

        Args:
            pid: the process.
            reason: the atom `kill` cannot be refused; a process that traps exits takes every other
                as a message.
            timeout: seconds.

        Returns:
            Why it ended: `killed` after `kill`, and `noproc` if it had ended before.

        Raises:
            DeadlineExceeded: it has not ended.
            ConnectionLost: the connection ended first; `Unavailable` if it had ended before.
        """
        signal = _frame((EXIT2, self._pid, pid, reason))
        try:
            await self._watched(pid, self._next_reference(), signal, timeout)
        except ServerDown as down:
            return down.reason
        raise ProtocolError(f"{self.peer} answers an exit signal")

    def _next_reference(self) -> Reference:
        number = next(self._numbers)
        return Reference(self._ours, self._creation, (number & 0x3FFFF, number >> 18, 0))

    async def _watched(
        self, target: Atom | Pid, reference: Reference, frame: bytes, timeout: float
    ) -> Term:
        """Monitor a process, send it something, and wait for its answer or its end."""
        deadline = Deadline.after(timeout)
        answer: asyncio.Future[Term] = asyncio.get_running_loop().create_future()
        self._write(_frame((MONITOR, self._pid, target, reference)) + frame)
        self._waiting[reference] = describe(target), answer
        try:
            async with deadline.enforced():
                with suppress(OSError):  # the reader has it too, and tells all who wait
                    await self._writer.drain()
                return await answer
        finally:
            if self._waiting.pop(reference, None) and self._ended is None:
                self._write(_frame((DEMONITOR, self._pid, target, reference)))

    def _write(self, data: bytes) -> None:
        if self._ended is not None:
            raise Unavailable(self._ended)
        self._writer.write(data)

    async def _read_on(self) -> None:
        """Hand on what arrives until the connection ends, then tell all who wait."""
        why = f"the connection to {self.peer} was closed here"
        try:
            while True:
                (length,) = struct.unpack(">I", await self._reader.readexactly(4))
                if length:
                    self._arrived(await self._reader.readexactly(length))
                else:
                    self._writer.write(bytes(4))  # a tick, and ours
        except (asyncio.IncompleteReadError, OSError):
            why = f"{self.peer} ended the connection"
        except ProtocolError as error:
            why = f"{self.peer} sends what is no message of this protocol: {error}"
        finally:
            self._ended = why
            for server, answer in self._waiting.values():
                _settle(answer, ConnectionLost(f"{why} while {server} was being called"))
            self._waiting.clear()
            self._writer.close()

    def _arrived(self, message: bytes) -> None:
        if not message.startswith(PASS_THROUGH):
            raise ProtocolError(f"it begins with {message[:2].hex()}")
        control, after = decode(message, 1)
        match control:
            case (int(operation), _, _) if operation == SEND:
                self._answered(message, after)
            case (int(operation), _, _, Reference() as reference) if operation == DOWN:
                self._is_down(reference, message, after)
            case _:
                pass  # what a full node would do with it does not concern a client

    def _answered(self, message: bytes, start: int) -> None:
        """The message is `{Reference, Answer}`, unless it was sent by hand."""
        try:
            payload, _ = decode(message, start)
        except Untranslatable as error:
            if message[start : start + 3] != PAIR:
                return
            # The reference comes first, and is readable even if the answer is not.
            reference, _ = decode(PAIR[:1] + message[start + 3 :])
            outcome: Term = error
        else:
            if not isinstance(payload, tuple) or len(payload) != 2:
                return
            reference, outcome = payload
        if isinstance(reference, Reference) and reference in self._waiting:
            _settle(self._waiting[reference][1], outcome)
        else:
            self.late += 1

    def _is_down(self, reference: Reference, message: bytes, start: int) -> None:
        server, answer = self._waiting.pop(reference, (None, None))
        if server is None or answer is None:
            return
        try:
            reason, _ = decode(message, start)
        except Untranslatable as error:
            reason = str(error)
        if reason == Atom("noproc"):
            where = f"is not registered on {self.peer}"
            _settle(answer, NoSuchServer(server, reason, where))
        else:
            _settle(answer, ServerDown(server, reason, f"ended: {why(reason)}"))


@asynccontextmanager
async def connected(
    address: Address, *, cookie: str, name: str, timeout: float = 5.0
) -> AsyncIterator[Connection]:
    """Connect to a node for as long as the block lasts.

    Args:
        address: where the node listens for other nodes.
        cookie: the node's.
        name: ours, `something@127.0.0.1`; no other node that the node knows may have it.
        timeout: seconds for it to take us.

    Raises:
        Unavailable: nothing listens there, or the node does not take us (`CookieRefused`).
        DeadlineExceeded: it did not answer in time.
        ProtocolError: no Erlang node listens there.
    """
    async with Deadline.after(timeout).enforced():
        try:
            reader, writer = await asyncio.open_connection(address.host, address.port)
        except OSError as error:
            raise Unavailable(f"no node listens on {address}: {error}") from error
        try:
            met = await shake_hands(reader, writer, name=name, cookie=cookie)
        except BaseException:
            writer.transport.abort()
            raise
    connection = Connection(reader, writer, name, met)
    reading = asyncio.create_task(connection._read_on())
    try:
        yield connection
    finally:
        reading.cancel()
        await asyncio.wait({reading})
        writer.close()  # if the block was so short that the reading never began
        with suppress(OSError):
            await writer.wait_closed()


def _frame(control: Term, *payload: Term) -> bytes:
    message = PASS_THROUGH + encode(control) + b"".join(map(encode, payload))
    return struct.pack(">I", len(message)) + message


def _settle(answer: asyncio.Future[Term], outcome: Term) -> None:
    if answer.done():
        return
    if isinstance(outcome, TransportError):
        answer.set_exception(outcome)
    else:
        answer.set_result(outcome)
