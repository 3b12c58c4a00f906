"""The binding `transcoded`: the gRPC service behind Envoy, which turns JSON into its messages.

One interface file serves both worlds: programs that speak gRPC, and whatever can send JSON.

Source: Envoy, "gRPC-JSON transcoder"; google/api/http.proto.
"""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from remotecalls.envoy import Envoy, running_envoy
from remotecalls.grpc import server
from remotecalls.grpc.descriptors import shop_descriptors
from remotecalls.grpc.envoy_config import LISTENER, layer_7, transcoder
from remotecalls.shop import Shop
from remotecalls.wire.address import Address


@dataclass(frozen=True)
class Transcoded:
    """A running pair.

    Attributes:
        address: of the proxy, for JSON and for gRPC alike.
        behind: of the service itself.
        envoy: the proxy.
    """

    address: Address
    behind: Address
    envoy: Envoy


@asynccontextmanager
async def serve(shop: Shop, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[Transcoded]:
    """Serve the shop for as long as the block lasts.

    Raises:
        OSError: the address is in use or not of this machine.
        EnvoyError: Envoy does not start.
    """
    socket.create_server((host, port)).close()  # Envoy would end, and say so in its own words
    filters = [transcoder(shop_descriptors(), [server.SHOP])]
    async with server.serve(shop) as behind:
        config = layer_7([behind.address], listen=Address(host, port), http_filters=filters)
        async with running_envoy(config) as envoy:
            yield Transcoded(envoy.address(LISTENER), behind.address, envoy)
