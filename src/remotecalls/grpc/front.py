"""A service in front of another one: every call goes on, with its metadata and its deadline.

On the wire the four kinds of calls are one: requests, half an end, responses, a status. A front
knows no method and no message; it passes bytes on as they are, unless it is to strip the answers of
what their callers may not see.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio
from google.rpc import status_pb2

from remotecalls.grpc.client import ChannelFactory
from remotecalls.grpc.deadlines import Deadlines, passing_deadlines_on
from remotecalls.grpc.failing import Failing
from remotecalls.grpc.projections import AUDIENCE_KEY, Projections, UnknownCaller
from remotecalls.grpc.server import GrpcServer, running
from remotecalls.grpc.settings import ChannelSettings, ServerSettings
from remotecalls.grpc.statuses import abort_with, rich_status_of
from remotecalls.wire.address import Address

Handler = Callable[[AsyncIterator[bytes], Any], Awaitable[None]]

STATUS_DETAILS = "grpc-status-details-bin"
_OF_ONE_HOP = ("grpc-", "user-agent", "te", "content-type")
"""Beginnings of the metadata that concern the connection they came on, and not the next."""


class Front(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpc has no types
    """A handler of every method.

    Args:
        channel: to the service behind.
        projections: who sees what of the answers; without them, everybody sees everything.
    """

    def __init__(self, channel: grpc.aio.Channel, projections: Projections | None = None) -> None:
        self._channel = channel
        self._projections = projections

    def add_to(self, server: grpc.aio.Server) -> None:
        """Let a server take every call that no other service of it takes."""
        server.add_generic_rpc_handlers([self])

    def service(self, handler_call_details: Any) -> Any:
        """The handler of a method; for gRPC to call."""
        method = handler_call_details.method
        projections = self._projections
        if projections is None:
            return grpc.stream_stream_rpc_method_handler(self._unchanged(method))
        if method not in projections.methods:
            return None  # what cannot be stripped is not shown: UNIMPLEMENTED
        return grpc.stream_stream_rpc_method_handler(self._projected(method, projections))

    def _unchanged(self, method: str) -> Handler:
        async def forward(requests: AsyncIterator[bytes], context: Any) -> None:
            call = self._call(method, requests, context.invocation_metadata())
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

        return forward

    def _projected(self, method: str, projections: Projections) -> Handler:
        async def forward(requests: AsyncIterator[bytes], context: Any) -> None:
            metadata = context.invocation_metadata() or ()
            try:
                audience = projections.audience(metadata)
            except UnknownCaller as error:
                await abort_with(context, error.status())
                return
            call = self._call(method, requests, metadata, (AUDIENCE_KEY, str(audience)))
            try:
                async for response in call:
                    await context.write(projections.answer(method, audience, response))
            except grpc.aio.AioRpcError as error:
                plain = status_pb2.Status(code=error.code().value[0], message=error.details())
                status = rich_status_of(error) or plain
                await abort_with(context, projections.status(audience, status))
            finally:
                call.cancel()

        return forward

    def _call(
        self,
        method: str,
        requests: AsyncIterator[bytes],
        metadata: Sequence[tuple[str, Any]] | None,
        *further: tuple[str, str],
    ) -> Any:
        return self._channel.stream_stream(method)(
            requests, metadata=_passed_on(metadata, *further)
        )


def _passed_on(
    metadata: Sequence[tuple[str, Any]] | None, *further: tuple[str, str]
) -> grpc.aio.Metadata:
    replaced = {key for key, _ in further}
    kept = [
        (key, value)
        for key, value in metadata or ()
        if not key.startswith(_OF_ONE_HOP) and key not in replaced
    ]
    return grpc.aio.Metadata(*kept, *further)


@asynccontextmanager
async def serve_front(
    behind: Address,
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    settings: ServerSettings | None = None,
    projections: Projections | None = None,
    interceptors: Sequence[grpc.aio.ServerInterceptor] = (),
    client_interceptors: Sequence[grpc.aio.ClientInterceptor] = (),
) -> AsyncIterator[GrpcServer]:
    """Serve what the server at an address serves, for as long as the block lasts.

    Args:
        behind: the address of the service that answers.
        host: an address of this machine.
        port: 0 for any that is free.
        settings: the limits.
        projections: who sees what of the answers.
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
            [Front(channel, projections).add_to],
            [],
            host,
            port,
            settings or ServerSettings(),
            interceptors=[Failing(), Deadlines(), *interceptors],
        ) as server,
    ):
        yield server
