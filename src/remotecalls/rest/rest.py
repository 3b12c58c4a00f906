"""The bindings `rest` and `hypermedia`: one service, and two ways to be its client."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from remotecalls.rest.application import create_app
from remotecalls.rest.client import RestClient
from remotecalls.rest.http_server import RunningServer, running
from remotecalls.rest.hypermedia_client import HypermediaClient
from remotecalls.shop import Shop
from remotecalls.wire.address import Address


def serve(
    shop: Shop, host: str = "127.0.0.1", port: int = 0
) -> AbstractAsyncContextManager[RunningServer]:
    """Serve the shop for as long as the block lasts.

    Raises:
        OSError: the address is in use or not of this machine.
    """
    return running(create_app(shop), host, port)


@asynccontextmanager
async def connect(address: Address, timeout: float = 5.0) -> AsyncIterator[RestClient]:
    """A client that knows the paths; each call takes at most `timeout` seconds."""
    client = RestClient(address, timeout)
    try:
        yield client
    finally:
        await client.close()


@asynccontextmanager
async def connect_hypermedia(
    address: Address, timeout: float = 5.0
) -> AsyncIterator[HypermediaClient]:
    """A client that knows `/`; each request takes at most `timeout` seconds."""
    client = HypermediaClient(address, timeout)
    try:
        yield client
    finally:
        await client.close()
