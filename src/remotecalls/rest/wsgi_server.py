"""waitress inside of this process: one loop that reads and writes, a few threads that answer."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from waitress.server import create_server
from waitress.wasyncore import close_all

from remotecalls.rest.http_server import BACKLOG, HEAD_BYTES, RunningServer
from remotecalls.wire.address import Address

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

THREADS = 8
BODY_BYTES = 16_384
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
    connections: dict[int, Any] = {}
    with socket.create_server((host, port), backlog=BACKLOG) as listener:
        server = create_server(
            application,
            map=connections,
            sockets=[listener],
            threads=threads,
            ident=None,
            max_request_header_size=HEAD_BYTES,
            max_request_body_size=BODY_BYTES,
            channel_timeout=IDLE_SECONDS,
            connection_limit=CONNECTIONS,
            clear_untrusted_proxy_headers=True,
        )
        loop = threading.Thread(target=server.run, name="waitress", daemon=True)
        loop.start()
        try:
            yield RunningServer(Address(*listener.getsockname()[:2]))
        finally:
            # Only the loop's own thread may close what the loop is selecting on.
            # After an error of its own it has done so already, and its trigger is gone.
            with contextlib.suppress(OSError):
                server.trigger.pull_trigger(lambda: close_all(connections))
            await asyncio.to_thread(loop.join)
            await asyncio.to_thread(server.task_dispatcher.shutdown)
