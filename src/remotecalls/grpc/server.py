"""The shop behind gRPC, on this event loop.

Beside the shop a server has the two services that tools expect of any: health, which balancers and
orchestrators ask, and reflection, by which a generic client learns the interface.

Sources: https://grpc.io/docs; grpc/health/v1/health.proto; grpc/reflection/v1alpha.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

import grpc
import grpc.aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from remotecalls.grpc.failing import Failing
from remotecalls.grpc.generated.shop.v1 import shop_pb2
from remotecalls.grpc.parsing import Parsing
from remotecalls.grpc.service import ShopService
from remotecalls.grpc.settings import ServerSettings
from remotecalls.grpc.validation import Validation
from remotecalls.shop import Shop
from remotecalls.wire.address import Address

SHOP = shop_pb2.DESCRIPTOR.services_by_name["ShopService"].full_name
EVERYTHING = ""
"""The name under which the health of the whole server is asked."""
THREADS = 32

AddService = Callable[[grpc.aio.Server], None]


class GrpcServer:
    """A running server.

    Attributes:
        address: where it listens.
    """

    def __init__(
        self,
        server: grpc.aio.Server,
        address: Address,
        health_service: health.aio.HealthServicer,
        names: Sequence[str],
    ) -> None:
        self.address = address
        self._server = server
        self._health = health_service
        self._names = [EVERYTHING, *names]

    async def say_serving(self, serving: bool) -> None:
        """Say by the health protocol whether it is serving. It goes on doing so either way."""
        response = health_pb2.HealthCheckResponse
        status = response.SERVING if serving else response.NOT_SERVING
        for name in self._names:
            await self._health.set(name, status)

    async def serve_no_more(self, grace: float) -> None:
        """Say that it is not serving, take no new call, and let those in progress finish.

        Args:
            grace: seconds after which the calls still in progress are cancelled.
        """
        # First the news, then the end: a balancer that asks now sends its next call elsewhere.
        await self._health.enter_graceful_shutdown()
        await self._server.stop(grace)


@asynccontextmanager
async def running(
    services: Sequence[AddService],
    names: Sequence[str],
    host: str,
    port: int,
    settings: ServerSettings,
    *,
    interceptors: Sequence[grpc.aio.ServerInterceptor] = (),
    credentials: grpc.ServerCredentials | None = None,
) -> AsyncIterator[GrpcServer]:
    """A server of any services, with health and reflection, for as long as the block lasts.

    Args:
        services: each adds one to a server.
        names: their full names, for health and reflection.
        host: an address of this machine.
        port: 0 for any that is free.
        settings: the limits.
        interceptors: from the outermost in; the first sees a call first.
        credentials: for TLS; without them, what is sent can be read by whoever is between.

    Raises:
        OSError: the address is in use or not of this machine.
    """
    server = grpc.aio.server(
        interceptors=interceptors,
        options=settings.options(),
        maximum_concurrent_rpcs=settings.calls,
    )
    healthy = health.aio.HealthServicer()
    for add in services:
        add(server)
    health_pb2_grpc.add_HealthServicer_to_server(healthy, server)
    reflection.enable_server_reflection(
        [*names, health.SERVICE_NAME, reflection.SERVICE_NAME], server
    )
    address = Address(host, _listen(server, host, port, credentials))
    await server.start()
    started = GrpcServer(server, address, healthy, names)
    await started.say_serving(True)
    try:
        yield started
    finally:
        await started.serve_no_more(settings.grace)


def _listen(
    server: grpc.aio.Server, host: str, port: int, credentials: grpc.ServerCredentials | None
) -> int:
    try:
        if credentials is not None:
            return int(server.add_secure_port(f"{host}:{port}", credentials))
        return int(server.add_insecure_port(f"{host}:{port}"))
    except RuntimeError as error:
        # gRPC says that it could not, and not why. The same attempt by hand has the reason.
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind((host, port))
        raise OSError(errno.EADDRNOTAVAIL, f"cannot listen on {host}:{port}: {error}") from error


def outside_of_the_service() -> list[grpc.aio.ServerInterceptor]:
    """The interceptors that every service of this package has, from the outermost in."""
    return [Failing(), Parsing(), Validation()]


@asynccontextmanager
async def serve(
    shop: Shop,
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    settings: ServerSettings | None = None,
    interceptors: Sequence[grpc.aio.ServerInterceptor] = (),
    credentials: grpc.ServerCredentials | None = None,
    further: Sequence[tuple[str, AddService]] = (),
) -> AsyncIterator[GrpcServer]:
    """Serve the shop for as long as the block lasts.

    Args:
        shop: what is served. A repository that may wait is called in threads.
        host: an address of this machine.
        port: 0 for any that is free.
        settings: the limits; those of `ServerSettings()` without them.
        interceptors: that see a call before its request is parsed and validated.
        credentials: for TLS; see `running`.
        further: the names of other services, and what adds each.

    Raises:
        OSError: the address is in use or not of this machine.
    """
    with ThreadPoolExecutor(THREADS, thread_name_prefix="grpc shop") as executor:
        service = ShopService(shop, executor)
        async with running(
            [service.add_to, *(add for _, add in further)],
            [SHOP, *(name for name, _ in further)],
            host,
            port,
            settings or ServerSettings(),
            interceptors=[*interceptors, *outside_of_the_service()],
            credentials=credentials,
        ) as server:
            yield server
