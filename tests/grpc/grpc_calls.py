"""Calls below our own client, for tests that look at what is on the wire."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc

from remotecalls.grpc.server import GrpcServer, serve
from remotecalls.grpc.settings import ChannelSettings
from remotecalls.shop import Shop
from remotecalls.shop.sample import stock
from remotecalls.wire.address import Address

SERVICE = "/shop.v1.ShopService/"


@asynccontextmanager
async def raw_channel(address: Address, **settings: Any) -> AsyncIterator[grpc.aio.Channel]:
    """A channel of gRPC's own."""
    options = ChannelSettings(**settings).options()
    async with grpc.aio.insecure_channel(str(address), options=options) as channel:
        yield channel


@asynccontextmanager
async def serving(
    shop: Shop | None = None, **options: Any
) -> AsyncIterator[tuple[GrpcServer, grpc.aio.Channel]]:
    """A server of the sample shop, and a channel to it."""
    async with (
        serve(shop or stock(Shop()), **options) as server,
        raw_channel(server.address) as channel,
    ):
        yield server, channel


async def failure(call: Any) -> grpc.aio.AioRpcError:
    """How a call fails that has to fail."""
    try:
        answer = await call
    except grpc.aio.AioRpcError as error:
        return error
    raise AssertionError(f"it was answered with {answer}")
