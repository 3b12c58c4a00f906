"""The binding `mainframe`: records of fixed width, one thread a connection."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager

from remotecalls.shop import Shop
from remotecalls.sockets.clients import SocketClient, connecting
from remotecalls.sockets.record_protocol import RecordCodec
from remotecalls.sockets.thread_server import ThreadServer, serving
from remotecalls.wire.address import Address


def serve(
    shop: Shop, host: str = "127.0.0.1", port: int = 0
) -> AbstractAsyncContextManager[ThreadServer]:
    """Serve the shop for as long as the block lasts.

    Raises:
        OSError: the address is in use or not of this machine.
    """
    return serving(shop, RecordCodec(), host, port)


def connect(address: Address, timeout: float = 5.0) -> AbstractAsyncContextManager[SocketClient]:
    """A client of the server at an address; each call takes at most `timeout` seconds."""
    return connecting(address, RecordCodec(), timeout)
