"""The WSGI server of this room, with its limits."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from remotecalls.rest.bodies import BODY_BYTES
from remotecalls.rest.http_server import BACKLOG, HEAD_BYTES, RunningServer
from remotecalls.wire.address import Address
from remotecalls.wsgi import WSGIServer

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

THREADS = 8
IDLE_SECONDS = 60
CONNECTIONS = 1_000


@asynccontextmanager
async def running(
    application: WSGIApplication, host: str = "127.0.0.1", port: int = 0, threads: int = THREADS
) -> AsyncIterator[RunningServer]:
    """Serve a WSGI application for as long as the block lasts.

    Args:
        application: called by several threads at once.
        host: an address of this machine.
        port: 0 for any that is free.
        threads: how many requests are answered at the same time.

    Raises:
        OSError: the address is in use or not of this machine.
    """
    # It warns of each request that waits for a thread, which is what its queue is for.
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    server = WSGIServer(
        application,
        host,
        port,
        backlog=BACKLOG,
        threads=threads,
        ident=None,
        max_request_header_size=HEAD_BYTES,
        max_request_body_size=BODY_BYTES,
        channel_timeout=IDLE_SECONDS,
        connection_limit=CONNECTIONS,
    )
    try:
        yield RunningServer(Address(server.host, server.port))
    finally:
        await asyncio.to_thread(server.stop)
