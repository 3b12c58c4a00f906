"""What the server's interceptors have in common: a block around a call, and a look at its requests.

gRPC hands an interceptor one of four handlers, by whether the request and the response are streams.
Most interceptors treat them alike: something happens before the call, something after it whatever
its end, and perhaps something to each request. `Aspect` asks only for that.

Source: gRPC Python, `grpc.aio.ServerInterceptor`.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, aclosing, nullcontext
from dataclasses import dataclass
from typing import Any

import grpc
import grpc.aio
from grpc._cython.cygrpc import ExecuteBatchError as CallerLeft

__all__ = ["Aspect", "Call", "CallerLeft", "status_name", "write_all"]
# CallerLeft is what writing to a call that is over raises. gRPC has no public name for it.

MOST_KEPT = 256
"""Methods whose handlers are kept."""


@dataclass(frozen=True)
class Call:
    """A call that has arrived.

    Attributes:
        method: its path, such as `/shop.v1.ShopService/GetCustomer`.
        context: gRPC's side of it.
        handler: what the interceptor that asks was put around.
    """

    method: str
    context: grpc.aio.ServicerContext
    handler: grpc.RpcMethodHandler

    def metadata(self, key: str) -> str:
        """The last value of a key of the caller's metadata, or an empty text."""
        found = [value for name, value in self.context.invocation_metadata() or () if name == key]
        return str(found[-1]) if found else ""


class Aspect(grpc.aio.ServerInterceptor):  # type: ignore[misc]  # grpc has no types
    """An interceptor for all four kinds of calls."""

    def around(self, call: Call) -> AbstractAsyncContextManager[None]:
        """A block that lasts as long as the call; see `contextlib.asynccontextmanager`."""
        return nullcontext()

    async def admit(self, call: Call, request: Any) -> Any:
        """Look at a request, or at each one of a stream, and give what the service is to see."""
        return request

    def deserializer(self, handler: grpc.RpcMethodHandler) -> Callable[[bytes], Any] | None:
        """What makes a request of bytes before this aspect sees it; none leaves the bytes."""
        deserializer: Callable[[bytes], Any] | None = handler.request_deserializer
        return deserializer

    async def intercept_service(
        self,
        continuation: Callable[[Any], Awaitable[Any]],
        handler_call_details: Any,
    ) -> Any:
        """Put this aspect around the handler; for gRPC to call."""
        handler = await continuation(handler_call_details)
        if handler is None:
            return None  # no such method: gRPC answers UNIMPLEMENTED
        method = handler_call_details.method
        # A service has one handler for each method, and asks for it at each call.
        kept: dict[str, tuple[Any, Any]] = self.__dict__.setdefault("_kept", {})
        if method not in kept or kept[method][0] is not handler:
            if len(kept) >= MOST_KEPT:
                kept.clear()  # a front has as many methods as its callers think of
            kept[method] = handler, self._around_handler(handler, method)
        return kept[method][1]

    def _around_handler(self, handler: Any, method: str) -> Any:
        kind = f"{_kind(handler.request_streaming)}_{_kind(handler.response_streaming)}"
        make = getattr(grpc, f"{kind}_rpc_method_handler")
        return make(
            self._wrapped(handler, kind, method),
            request_deserializer=self.deserializer(handler),
            response_serializer=handler.response_serializer,
        )

    def _wrapped(self, handler: Any, kind: str, method: str) -> Callable[[Any, Any], Any]:
        behavior = getattr(handler, kind)

        async def admitted(request: Any, call: Call) -> Any:
            if handler.request_streaming:
                return self._each(request, call)
            return await self.admit(call, request)

        async def answer(request: Any, context: grpc.aio.ServicerContext) -> Any:
            call = Call(method, context, handler)
            async with self.around(call):
                return await behavior(await admitted(request, call), context)

        async def stream(request: Any, context: grpc.aio.ServicerContext) -> None:
            call = Call(method, context, handler)
            async with self.around(call):
                await write_all(behavior, await admitted(request, call), context)

        return stream if handler.response_streaming else answer

    async def _each(self, requests: AsyncIterator[Any], call: Call) -> AsyncGenerator[Any, None]:
        async for request in requests:
            yield await self.admit(call, request)


async def write_all(
    behavior: Callable[[Any, Any], Any], request: Any, context: grpc.aio.ServicerContext
) -> None:
    """Call a handler with a stream of responses, which writes them itself or generates them.

    A generator that is left when the call is cancelled is closed here; gRPC leaves it to the
    garbage collector.
    """
    if not inspect.isasyncgenfunction(behavior):
        await behavior(request, context)
        return
    async with aclosing(behavior(request, context)) as responses:
        async for response in responses:
            await context.write(response)


def status_name(call: Call, failure: BaseException | None) -> str:
    """The name of the status that a call ends with.

    Args:
        call: that is about to end.
        failure: what its handler raised, if it raised.
    """
    code = call.context.code()  # none, until somebody sets it
    if isinstance(failure, asyncio.CancelledError | CallerLeft):
        code = grpc.StatusCode.CANCELLED  # by the caller, or because of the caller's deadline
    elif code is None:
        code = grpc.StatusCode.OK if failure is None else grpc.StatusCode.UNKNOWN
    return str(code.name)


def _kind(streaming: bool) -> str:
    return "stream" if streaming else "unary"
