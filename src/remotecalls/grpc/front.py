"""A service in front of another one: every call goes on, with its metadata and its deadline.

On the wire the four kinds of calls are one: requests, half an end, responses, a status. A front
knows no method and no message; it passes bytes on as they are.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio

from remotecalls.grpc.client import ChannelFactory
from remotecalls.grpc.deadlines import Deadlines, passing_deadlines_on
from remotecalls.grpc.failing import Failing
from remotecalls.grpc.server import GrpcServer, running
from remotecalls.grpc.settings import ChannelSettings, ServerSettings
from remotecalls.wire.address import Address

STATUS_DETAILS = "grpc-status-details-bin"
_OF_ONE_HOP = ("grpc-", "user-agent", "te", "content-type")
"""Beginnings of the metadata that concern the connection they came on, and not the next."""


class Front(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpc has no types
    """A handler of every method.

    Args:
        channel: to the service behind.
    """

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._channel = channel

    def add_to(self, server: grpc.aio.Server) -> None:
        """Let a server take every call that no other service of it takes."""
        server.add_generic_rpc_handlers([self])

    def service(self, handler_call_details: Any) -> Any:
        """The handler of a method; for gRPC to call."""
        onward = self._channel.stream_stream(handler_call_details.method)

        async def forward(requests: AsyncIterator[bytes], context: Any) -> None:
            call = onward(requests, metadata=_passed_on(context.invocation_metadata()))
            try:
                async for response in call:
                    await context.write(response)
            except grpc.aio.AioRpcError as error:
                rich = [
                    each for each in error.trailing_metadata() or () if each[0] == STATUS_DETAILS
                ]
                await context.abort(error.code(), error.details() or "", tuple(rich))
            finally:
                call.cancel()  # of one that is left; has no effect on one that is over

        return grpc.stream_stream_rpc_method_handler(forward)


def _passed_on(metadata: Sequence[tuple[str, Any]] | None) -> grpc.aio.Metadata:
    kept = [each for each in metadata or () if not each[0].startswith(_OF_ONE_HOP)]
    return grpc.aio.Metadata(*kept)


@asynccontextmanager
async def serve_front(
    behind: Address,
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    settings: ServerSettings | None = None,
    interceptors: Sequence[grpc.aio.ServerInterceptor] = (),
    client_interceptors: Sequence[grpc.aio.ClientInterceptor] = (),
) -> AsyncIterator[GrpcServer]:
    """Serve what the server at an address serves, for as long as the block lasts.

    Args:
        behind: the address of the service that answers.
        host: an address of this machine.
        port: 0 for any that is free.
        settings: the limits.
        interceptors: of the calls that arrive, inside of the one that notes their deadlines.
        client_interceptors: of the calls that go on.

    Raises:
        OSError: the address is in use or not of this machine.
    """
    factory = ChannelFactory(
        behind,
        ChannelSettings(),
        interceptors=[*passing_deadlines_on(), *client_interceptors],
    )
    async with (
        factory.open() as channel,
        running(
            [Front(channel).add_to],
            [],
            host,
            port,
            settings or ServerSettings(),
            interceptors=[Failing(), Deadlines(), *interceptors],
        ) as server,
    ):
        yield server
