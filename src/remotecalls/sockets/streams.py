"""The binding `streams`: the binary protocol on asyncio streams, many calls on one connection.

One thread serves every connection: the event loop turns to whichever has something to read. The
request id lets a slow answer be overtaken by a quick one, so a client needs one connection for
all its calls, and a call that misses its deadline costs only itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

from remotecalls.shop import Shop
from remotecalls.sockets.answering import answer, refuse
from remotecalls.sockets.binary_protocol import BinaryCodec
from remotecalls.sockets.clients import RequestClient, is_last
from remotecalls.sockets.messages import Reply, Request
from remotecalls.wire.address import Address
from remotecalls.wire.deadline import Deadline
from remotecalls.wire.errors import (
    ConnectionLost,
    ProtocolError,
    TransportError,
    TruncatedFrame,
    Unavailable,
)

logger = logging.getLogger("remotecalls.sockets")

RECEIVE_BYTES = 16_384
IDLE_SECONDS = 30.0
WRITE_SECONDS = 30.0
STOP_SECONDS = 5.0
LINGER_SECONDS = 1.0
LINGER_BYTES = 1_000_000
CALLS_IN_PROGRESS = 32
REPLIES_WAITING = 64


class StreamsServer:
    """Serves each connection with one task for the connection and one for each call on it."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop
        self._codec = BinaryCodec()
        self._connections: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._server: asyncio.Server | None = None

    @property
    def address(self) -> Address:
        """Where the server listens."""
        assert self._server is not None
        host, port = self._server.sockets[0].getsockname()[:2]
        return Address(host, port)

    async def start(self, host: str, port: int) -> None:
        """Listen.

        Raises:
            OSError: the address is in use or not of this machine.
        """
        self._server = await asyncio.start_server(self._accepted, host, port)

    async def stop(self) -> None:
        """Close the listener and every connection, and wait for their tasks."""
        assert self._server is not None
        self._server.close()
        # Cutting the transport ends each task by itself: its next read finds the end of the stream.
        for writer in self._connections.values():
            writer.transport.abort()
        if self._connections:
            await asyncio.wait(self._connections, timeout=STOP_SECONDS)
        await self._server.wait_closed()

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = asyncio.current_task()
        assert connection is not None
        self._connections[connection] = writer
        try:
            await self._serve(reader, writer)
        except* OSError as errors:  # reset by the peer, or a wait that took too long
            logger.info("connection ended: %s", errors.exceptions[0])
        finally:
            del self._connections[connection]
            # Gone at once, with whatever a peer that does not read has left in our buffer.
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        decoder = self._codec.decoder()
        slots = asyncio.Semaphore(CALLS_IN_PROGRESS)
        writing = asyncio.Lock()
        running: set[asyncio.Task[None]] = set()
        failure: ProtocolError | None = None
        async with asyncio.TaskGroup() as calls:  # waits for the calls that have begun
            try:
                while data := await _read(reader, running):
                    for message in decoder.feed(data):
                        # With every slot taken we stop reading, and TCP stops the client.
                        await slots.acquire()
                        call = calls.create_task(self._call(message, writer, writing, slots))
                        running.add(call)
                        call.add_done_callback(running.discard)
                decoder.close()
            except ProtocolError as error:
                failure = error
        if failure is None:
            await _flush(writer)
        elif isinstance(failure, TruncatedFrame):
            logger.warning("client left: %s", failure)
        else:
            writer.write(refuse(self._codec, failure))
            await _linger(reader, writer)

    async def _call(
        self,
        message: bytes,
        writer: asyncio.StreamWriter,
        writing: asyncio.Lock,
        slots: asyncio.Semaphore,
    ) -> None:
        # The shop answers in microseconds from memory or a local file. A repository on another
        # machine would have to be called from a thread, or it would stop every connection.
        try:
            for reply in answer(self._shop, self._codec, message):
                async with writing, asyncio.timeout(WRITE_SECONDS):
                    writer.write(reply)
                    await writer.drain()
                # drain() does not give way while there is room in the buffer, and a long sequence
                # would hold up every other call.
                await asyncio.sleep(0)
        finally:
            slots.release()


async def _read(reader: asyncio.StreamReader, running: set[asyncio.Task[None]]) -> bytes:
    """What comes next; a client that waits for answers may be silent for as long as they take."""
    while True:
        try:
            async with asyncio.timeout(IDLE_SECONDS):
                return await reader.read(RECEIVE_BYTES)
        except TimeoutError:
            if not running:
                raise


async def _flush(writer: asyncio.StreamWriter) -> None:
    """Close, and wait until the peer's kernel has taken what was written."""
    async with asyncio.timeout(WRITE_SECONDS):
        writer.close()
        await writer.wait_closed()


async def _linger(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Let the peer read the last reply before the connection goes; see `thread_server.linger`."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LINGER_SECONDS):
            await writer.drain()
            writer.write_eof()
            discarded = 0
            while discarded < LINGER_BYTES and (data := await reader.read(RECEIVE_BYTES)):
                discarded += len(data)


class StreamsClient(RequestClient):
    """A client that sends every call over one connection, and connects anew when it is lost."""

    def __init__(self, address: Address, timeout: float) -> None:
        super().__init__(timeout)
        self._address = address
        self._codec = BinaryCodec()
        self._connecting = asyncio.Lock()
        self._connection: _SharedConnection | None = None

    async def _replies(self, request: Request) -> AsyncGenerator[Reply, None]:
        deadline = Deadline.after(self._timeout)
        async with deadline.enforced():
            connection = await self._connected()
        async with connection.call(request) as replies:
            async with deadline.enforced():
                await replies.send()
            finished = False
            while not finished:
                async with deadline.enforced():
                    reply = await replies.next()
                finished = is_last(request, reply)
                yield reply
                deadline = Deadline.after(self._timeout)

    async def _connected(self) -> _SharedConnection:
        async with self._connecting:
            if self._connection is None or self._connection.is_lost():
                await self.close()
                self._connection = await _SharedConnection.open(self._address, self._codec)
            return self._connection

    async def close(self) -> None:
        """Close the connection. Calls in progress fail with `ConnectionLost`."""
        if self._connection is not None:
            await self._connection.close()
            self._connection = None


class _SharedConnection:
    """One connection, and the calls whose replies have still to come."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, codec: BinaryCodec
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._codec = codec
        self._ids = itertools.count(1)
        self._calls: dict[int, _Call] = {}
        self._receiving = asyncio.create_task(self._receive())

    @classmethod
    async def open(cls, address: Address, codec: BinaryCodec) -> _SharedConnection:
        try:
            reader, writer = await asyncio.open_connection(address.host, address.port)
        except OSError as error:
            raise Unavailable(f"no connection to {address}: {error.strerror}") from error
        return cls(reader, writer, codec)

    def is_lost(self) -> bool:
        return self._receiving.done()

    async def close(self) -> None:
        self._receiving.cancel()
        await asyncio.gather(self._receiving, return_exceptions=True)
        self._writer.transport.abort()

    @asynccontextmanager
    async def call(self, request: Request) -> AsyncIterator[_Call]:
        request_id = next(self._ids) % 2**32
        call = _Call(self._codec.encode_request(request_id, request), self._writer)
        self._calls[request_id] = call
        try:
            yield call
        finally:
            del self._calls[request_id]
            call.abandon()

    async def _receive(self) -> None:
        failure: TransportError = ConnectionLost("the client was closed")
        try:
            decoder = self._codec.decoder()
            while data := await self._reader.read(RECEIVE_BYTES):
                for message in decoder.feed(data):
                    request_id, reply = self._codec.decode_reply(message)
                    await self._deliver(request_id, reply)
            failure = ConnectionLost("the server closed the connection before the answer")
        except TransportError as error:
            failure = error
        except OSError as error:
            failure = ConnectionLost(f"while waiting for the answer: {error.strerror}")
        finally:
            for call in self._calls.values():
                call.fail(failure)
            self._writer.transport.abort()

    async def _deliver(self, request_id: int, reply: Reply) -> None:
        if request_id == 0:  # what the server says when it could not read an id
            raise ProtocolError(f"the server refused the bytes: {reply}")
        if call := self._calls.get(request_id):  # or the caller has given up, and nobody waits
            await call.deliver(reply)


class _Call:
    """The replies to one request, in a queue of bounded length.

    While a caller leaves its queue full, nothing more is read from the connection, and the other
    calls on it wait: the head-of-line blocking that HTTP/2 answers with a window per stream.
    """

    def __init__(self, data: bytes, writer: asyncio.StreamWriter) -> None:
        self._data = data
        self._writer = writer
        self._replies: deque[Reply] = deque()
        self._failure: TransportError | None = None
        self._abandoned = False
        self._arrived = asyncio.Event()
        self._room = asyncio.Event()

    async def send(self) -> None:
        self._writer.write(self._data)
        try:
            await self._writer.drain()
        except OSError as error:
            raise ConnectionLost(f"while sending: {error.strerror}") from error

    async def next(self) -> Reply:
        while not self._replies:
            if self._failure is not None:
                raise self._failure
            self._arrived.clear()
            await self._arrived.wait()
        self._room.set()
        return self._replies.popleft()

    async def deliver(self, reply: Reply) -> None:
        while len(self._replies) >= REPLIES_WAITING and not self._abandoned:
            self._room.clear()
            await self._room.wait()
        self._replies.append(reply)
        self._arrived.set()

    def fail(self, failure: TransportError) -> None:
        self._failure = failure
        self._arrived.set()

    def abandon(self) -> None:
        self._abandoned = True
        self._room.set()


@asynccontextmanager
async def serve(shop: Shop, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[StreamsServer]:
    """Serve the shop from this event loop for as long as the block lasts.

    Raises:
        OSError: the address is in use or not of this machine.
    """
    server = StreamsServer(shop)
    await server.start(host, port)
    try:
        yield server
    finally:
        await server.stop()


@asynccontextmanager
async def connect(address: Address, timeout: float = 5.0) -> AsyncIterator[StreamsClient]:
    """A client of the server at an address; each call takes at most `timeout` seconds.

    It connects at the first call, and anew at the first call after the connection was lost.
    """
    client = StreamsClient(address, timeout)
    try:
        yield client
    finally:
        await client.close()
