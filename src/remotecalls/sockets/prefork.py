"""The binding `prefork`: processes that wait for connections.

The manner of Apache's prefork module: the processes are there before the clients come, and each
serves one connection after another. What a child costs to start is paid before anyone waits for it;
what a connection costs in memory stays, for as long as it is open.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager

from remotecalls.shop import Shop
from remotecalls.sockets.binary import connect
from remotecalls.sockets.process_server import ProcessServer
from remotecalls.sockets.running import running

__all__ = ["PARENT", "connect", "serve"]

PARENT = "remotecalls.sockets.prefork_parent"


def serve(
    shop: Shop, host: str = "127.0.0.1", port: int = 0
) -> AbstractAsyncContextManager[ProcessServer]:
    """Serve the shop for as long as the block lasts.

    Raises:
        OSError: the address is in use or not of this machine.
        ValueError: the shop is kept in memory, which other processes cannot see.
    """
    return running(lambda: ProcessServer(PARENT, shop, host, port))
