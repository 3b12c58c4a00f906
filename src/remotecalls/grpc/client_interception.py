"""What the client's interceptors have in common: a change of a call before it is made.

gRPC Python has an interface for each of the four kinds of calls, and takes from an object that has
all four only the first. So an interceptor for every call is four objects.

Source: gRPC Python, `grpc.aio.ClientInterceptor`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc.aio

Details = grpc.aio.ClientCallDetails
Change = Callable[[Any], Any]
"""From the details of a call (method, timeout, metadata, credentials) to others."""


class _Changing:
    def __init__(self, change: Change) -> None:
        self._change = change

    async def _changed(self, continuation: Any, details: Any, request: Any) -> Any:
        return await continuation(self._change(details), request)


class _UnaryUnary(_Changing, grpc.aio.UnaryUnaryClientInterceptor):  # type: ignore[misc]
    async def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
        return await self._changed(continuation, details, request)


class _UnaryStream(_Changing, grpc.aio.UnaryStreamClientInterceptor):  # type: ignore[misc]
    async def intercept_unary_stream(self, continuation: Any, details: Any, request: Any) -> Any:
        return await self._changed(continuation, details, request)


class _StreamUnary(_Changing, grpc.aio.StreamUnaryClientInterceptor):  # type: ignore[misc]
    async def intercept_stream_unary(self, continuation: Any, details: Any, requests: Any) -> Any:
        return await self._changed(continuation, details, requests)


class _StreamStream(_Changing, grpc.aio.StreamStreamClientInterceptor):  # type: ignore[misc]
    async def intercept_stream_stream(self, continuation: Any, details: Any, requests: Any) -> Any:
        return await self._changed(continuation, details, requests)


def before_each_call(change: Change) -> list[grpc.aio.ClientInterceptor]:
    """Interceptors that change the details of every call of a channel.

    Args:
        change: gives the details to go on with. What it raises, the caller of the call gets.
    """
    return [kind(change) for kind in (_UnaryUnary, _UnaryStream, _StreamUnary, _StreamStream)]


def with_metadata(details: Any, *added: tuple[str, str]) -> Any:
    """The details of a call with more metadata."""
    metadata = grpc.aio.Metadata(*(details.metadata or ()), *added)
    return details._replace(metadata=metadata)
