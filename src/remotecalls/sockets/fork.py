"""The binding `fork`: a process for each connection.

The manner of 4.2BSD's servers: accept, fork, and let the child serve the client to its end. Nothing
is shared, so nothing has to be locked, and a child that crashes takes one client with it. The price
is a process for each connection; `benchmarks/sockets.py` measures it.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager

from remotecalls.shop import Shop
from remotecalls.sockets.binary import connect
from remotecalls.sockets.process_server import ProcessServer
from remotecalls.sockets.running import running

__all__ = ["PARENT", "connect", "serve"]

PARENT = "remotecalls.sockets.fork_parent"


def serve(
    shop: Shop, host: str = "127.0.0.1", port: int = 0
) -> AbstractAsyncContextManager[ProcessServer]:
    """Serve the shop for as long as the block lasts.

    Raises:
        OSError: the address is in use or not of this machine.
        ValueError: the shop is kept in memory, which other processes cannot see.
    """
    return running(lambda: ProcessServer(PARENT, shop, host, port))
