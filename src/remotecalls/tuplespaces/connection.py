"""A client's connection to a server: many requests at a time, each with its answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeAlias

from remotecalls.tuplespaces.encoding import decode_fields
from remotecalls.tuplespaces.errors import SpaceClosed
from remotecalls.tuplespaces.events import Events
from remotecalls.tuplespaces.fields import Fields
from remotecalls.tuplespaces.framed import FramedStream
from remotecalls.tuplespaces.protocol import HELLO, MAXIMUM_KEPT, check_hello, error_of
from remotecalls.wire.address import Address
from remotecalls.wire.errors import (
    ConnectionLost,
    DeadlineExceeded,
    ProtocolError,
    Unavailable,
)

GRACE_SECONDS = 5.0
"""How much longer than the server we wait for an answer: it knows best whether there is one."""


Message: TypeAlias = dict[str, Any]


class Request:
    """What was asked and not answered yet."""

    __slots__ = ("future", "number", "tuples")

    def __init__(self, number: int) -> None:
        self.number = number
        self.tuples: list[Fields] = []
        self.future: asyncio.Future[Message] = asyncio.get_running_loop().create_future()


class Connection:
    """A connection on which the greetings were exchanged."""

    def __init__(self, stream: FramedStream, address: Address) -> None:
        self._stream = stream
        self._address = address
        self._requests: dict[int, Request] = {}
        self._subscriptions: dict[int, Events] = {}
        self._numbers = 0
        self._kept: list[int] = []
        self._failure: Exception | None = None
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def open(cls, address: Address, timeout: float) -> Connection:
        """Connect and greet.

        Raises:
            Unavailable: nobody listens there.
            DeadlineExceeded: no greeting came in time.
            ProtocolError: who listens there speaks something else.
            ConnectionLost: they hung up.
        """
        limit = asyncio.timeout(timeout)
        stream: FramedStream | None = None
        try:
            async with limit:
                try:
                    reader, writer = await asyncio.open_connection(address.host, address.port)
                except OSError as error:
                    raise Unavailable(f"no tuple space at {address}: {error}") from error
                stream = FramedStream(reader, writer)
                stream.write(HELLO)
                hello = await stream.receive()
                if hello is None:
                    raise ConnectionLost(f"{address} hung up instead of greeting")
                if "error" in hello:
                    raise error_of(hello)
                check_hello(hello)
                return cls(stream, address)
        except BaseException as error:
            if stream is not None:
                stream.abort()
            if isinstance(error, TimeoutError) and limit.expired():
                raise DeadlineExceeded(f"no greeting of {address} in {timeout:g} s") from error
            if isinstance(error, OSError):
                raise ConnectionLost(f"the connection to {address} broke: {error}") from error
            raise

    async def call(
        self, operation: str, patience: float, content: Message, *, keep: bool = False
    ) -> Message:
        """Send a request and wait for its answer.

        Args:
            operation: its name.
            patience: seconds that the server may take.
            content: what else the request holds.
            keep: whether the answer is a tuple that was taken. It is confirmed when the caller has
                it; if the caller is canceled or gives up before, the server puts it back.

        Raises:
            DeadlineExceeded: no answer came within the patience and `GRACE_SECONDS`.
            ConnectionLost: the connection broke.
            TupleSpaceError, TransportError: what the server answers.
        """
        loop = asyncio.get_running_loop()
        request = self._send(operation, content)
        overdue = loop.call_later(patience + GRACE_SECONDS, self._give_up, request, operation)
        try:
            await self._stream.drained()
            answer = await request.future
        except BaseException:
            self._forget(request)
            raise
        finally:
            overdue.cancel()
        if keep and answer.get("fields") is not None:
            self._kept.append(request.number)
            loop.call_soon(self._confirm)
        return answer

    async def subscribe(
        self, events: Events, patience: float, content: Message
    ) -> Callable[[], None]:
        """Let events arrive; returns what ends that.

        Raises:
            Exception: see `call`.
        """
        # Registered before the answer: events may come in the same packet.
        number = self._numbers + 1
        self._subscriptions[number] = events
        try:
            await self.call("notify", patience, content)
        except BaseException:
            del self._subscriptions[number]
            raise

        def end() -> None:
            del self._subscriptions[number]
            events.end(SpaceClosed("this subscription has ended"))
            self.post("cancel", {"target": number})

        return end

    def post(self, operation: str, content: Message) -> None:
        """Send what has no answer. If the connection is broken, the server knows without it."""
        if self._failure is None:
            self._numbers += 1
            self._stream.write({"id": self._numbers, "operation": operation, **content})

    async def close(self) -> None:
        """End what waits with `SpaceClosed`, and close the connection."""
        self._confirm()
        self._fail(SpaceClosed("this client was closed"))
        self._reading.cancel()
        await asyncio.wait([self._reading])
        try:
            await self._stream.close()
        except OSError:  # it broke before, or the server does not read: gone either way
            self._stream.abort()

    # ---------------------------------------------------------------- requests

    def _send(self, operation: str, content: Message) -> Request:
        if self._failure is not None:
            raise self._failure
        self._numbers += 1
        request = Request(self._numbers)
        message = {"id": request.number, "operation": operation, **content}
        if self._kept:
            message["kept"] = self._kept[:MAXIMUM_KEPT]
        self._stream.write(message)
        del self._kept[:MAXIMUM_KEPT]
        self._requests[request.number] = request
        return request

    def _confirm(self) -> None:
        """Say which takes have reached their callers, unless a request has done so meanwhile."""
        while self._kept and self._failure is None:
            kept, self._kept = self._kept[:MAXIMUM_KEPT], self._kept[MAXIMUM_KEPT:]
            self.post("keep", {"kept": kept})

    def _give_up(self, request: Request, operation: str) -> None:
        if not request.future.done():
            message = f"{self._address} did not answer {operation} in time; it may have done it"
            request.future.set_exception(DeadlineExceeded(message))

    def _forget(self, request: Request) -> None:
        """Nobody waits for this answer any more: have the server undo what it can."""
        done = request.future.done() and not request.future.cancelled()
        refused = done and request.future.exception() is not None
        if self._requests.pop(request.number, None) is not None or not refused:
            self.post("cancel", {"target": request.number})

    # ---------------------------------------------------------------- answers

    async def _read(self) -> None:
        try:
            while (message := await self._stream.receive()) is not None:
                self._received(message)
            self._fail(ConnectionLost(f"{self._address} closed the connection"))
        except ProtocolError as error:
            self._fail(error)
        except (KeyError, TypeError) as error:
            self._fail(ProtocolError(f"{self._address} sent what is no answer: {error!r}"))
        except OSError as error:
            self._fail(ConnectionLost(f"the connection to {self._address} broke: {error}"))
        self._stream.abort()

    def _received(self, message: Message) -> None:
        if "event" in message:
            self._event(message)
        elif message.get("id") is None:
            self._fail(error_of(message))
        elif (request := self._requests.get(message["id"])) is not None:
            if "tuples" in message:
                request.tuples += map(decode_fields, message["tuples"])
                message["tuples"] = request.tuples
            if request.future.done():
                return  # its caller has given up, and `_forget` will tell the server
            if not message.get("more"):
                del self._requests[request.number]
                if "error" in message:
                    request.future.set_exception(error_of(message))
                else:
                    request.future.set_result(message)

    def _event(self, message: Message) -> None:
        events = self._subscriptions.get(message["event"])
        if events is None:
            return  # it ended while this was on its way
        if "error" in message:
            events.end(error_of(message))
        else:
            events.missed_before = message["missed"]
            events.push(decode_fields(message["fields"]))

    def _fail(self, error: Exception) -> None:
        if self._failure is not None:
            return
        self._failure = error
        for request in self._requests.values():
            if not request.future.done():
                request.future.set_exception(error)
        self._requests.clear()
        for events in self._subscriptions.values():
            events.end(error)
