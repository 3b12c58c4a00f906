"""A tuple space on a socket."""

from __future__ import annotations

import asyncio
import logging
import socket
from types import TracebackType

from remotecalls.tuplespaces.errors import SpaceClosed
from remotecalls.tuplespaces.framed import FramedStream
from remotecalls.tuplespaces.session import Session
from remotecalls.tuplespaces.space import TupleSpace
from remotecalls.wire.address import Address

logger = logging.getLogger("remotecalls.tuplespaces")

STOP_SECONDS = 3.0
BACKLOG = 1_024
ANY_PORT = Address("127.0.0.1", 0)


class TupleSpaceServer:
    """Serves a space to other processes while its block lasts.

    It believes every client: whoever reaches the address can read and take everything. A client
    that goes, however it goes, leaves nothing behind: its waits end, its transactions are aborted,
    and a tuple whose take it never confirmed is put back.

    Args:
        address: where to listen; port 0 takes a free one.
        space: an open space to serve, which stays open; without one, the server has its own.
    """

    def __init__(self, address: Address = ANY_PORT, *, space: TupleSpace | None = None) -> None:
        self._wanted = address
        self._own = TupleSpace() if space is None else None
        self._space = space if self._own is None else self._own
        self._sessions: dict[asyncio.Task[None], tuple[Session, FramedStream]] = {}
        self._server: asyncio.Server | None = None

    @property
    def address(self) -> Address:
        """Where it listens.

        Raises:
            SpaceClosed: it does not.
        """
        if self._server is None or not self._server.sockets:
            raise SpaceClosed("the server does not listen: use it inside of `async with`")
        host, port = self._server.sockets[0].getsockname()[:2]
        return Address(host, port)

    @property
    def space(self) -> TupleSpace:
        """What it serves."""
        assert self._space is not None
        return self._space

    async def __aenter__(self) -> TupleSpaceServer:
        """Listen.

        Raises:
            OSError: the address is in use or not of this machine.
            SpaceClosed: this server was used before.
        """
        if self._server is not None:
            raise SpaceClosed("a server has one block: make another")
        self._server = await asyncio.start_server(
            self._accepted,
            self._wanted.host,
            self._wanted.port,
            family=socket.AF_INET,
            backlog=BACKLOG,
        )
        if self._own is not None:
            await self._own.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Tell every client that the server stops, and wait until they are gone, but not long."""
        assert self._server is not None
        self._server.close()
        try:
            for task, (session, _) in self._sessions.items():
                session.stopping = True
                task.cancel()
            if self._sessions:
                await asyncio.wait(self._sessions, timeout=STOP_SECONDS)
            for _, stream in self._sessions.values():
                stream.abort()
            if self._sessions:
                await asyncio.wait(self._sessions, timeout=STOP_SECONDS)
            await self._server.wait_closed()
        finally:
            if self._own is not None:
                await self._own.__aexit__(kind, error, traceback)

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        assert self._server is not None
        stream = FramedStream(reader, writer)
        if not self._server.is_serving():  # it came in while we were stopping
            stream.abort()
            return
        session = Session(self.space.engine, stream)
        self._sessions[task] = session, stream
        try:
            await session.run()
        except* OSError as errors:  # reset by the client, or it did not read
            logger.info("connection ended: %s", errors.exceptions[0])
        except* asyncio.CancelledError:
            if not session.stopping:
                raise
        finally:
            del self._sessions[task]
            stream.abort()


def serve(host: str = "127.0.0.1", port: int = 0) -> TupleSpaceServer:
    """A server with a space of its own, to be used in `async with`.

    Args:
        host: an address of this machine.
        port: 0 for any that is free.

    Raises:
        ValueError: there is no such port.
    """
    return TupleSpaceServer(Address(host, port))
