"""A client that stops asking a server that fails, and tries again after a while.

*Closed*: calls go through. So many failures in a row open it. *Open*: calls fail at once, without
being sent, for so many seconds. *Half-open*: one call is let through; its end closes the breaker or
opens it anew.

Source: M. Nygard, "Release It!", 2nd edition, 2018, section "Circuit Breaker".
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from enum import StrEnum
from typing import Any

import grpc
import grpc.aio

from remotecalls.wire.errors import Unavailable

FAILURES = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
    }
)
"""How a call ends when the server is not well. NOT_FOUND is an answer like any other."""


class CircuitOpen(Unavailable):
    """The call was not sent, because the ones before it failed."""


class State(StrEnum):
    """What a breaker does with the next call."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


class CircuitBreaker:
    """Counts failures in a row.

    Args:
        failures: that open it.
        rest: seconds until a call is tried again.
        clock: seconds.

    Raises:
        ValueError: `failures` is below 1, or `rest` not above 0.
    """

    def __init__(
        self,
        failures: int = 5,
        rest: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if failures < 1 or not rest > 0:
            raise ValueError("a breaker opens after 1 failure or more, for more than 0 s")
        self._allowed = failures
        self._rest = rest
        self._clock = clock
        self._in_a_row = 0
        self._opened_at: float | None = None
        self._trying = False

    @property
    def state(self) -> State:
        """What the next call meets."""
        if self._opened_at is None:
            return State.CLOSED
        rested = self._clock() - self._opened_at >= self._rest
        return State.HALF_OPEN if rested else State.OPEN

    def admit(self) -> None:
        """Let a call through; its end has to be told by `ended` or `abandoned`.

        Raises:
            CircuitOpen: it may not be made now.
        """
        if self.state is State.OPEN or (self.state is State.HALF_OPEN and self._trying):
            raise CircuitOpen(
                f"not sent: {self._in_a_row} calls in a row have failed; "
                f"the breaker is {self.state.value}"
            )
        self._trying = self.state is State.HALF_OPEN

    def ended(self, *, failed: bool) -> None:
        """A call that was admitted is over."""
        self._trying = False
        if not failed:
            self._in_a_row = 0
            self._opened_at = None
            return
        self._in_a_row += 1
        if self._in_a_row >= self._allowed:
            self._opened_at = self._clock()

    def abandoned(self) -> None:
        """The caller gave a call up, which says nothing about the server."""
        self._trying = False


class _Unary(grpc.aio.UnaryUnaryClientInterceptor):  # type: ignore[misc]  # grpc has no types
    def __init__(self, breaker: CircuitBreaker) -> None:
        self._breaker = breaker

    async def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
        self._breaker.admit()
        call = None
        try:
            call = await continuation(details, request)
            code = await call.code()
        except BaseException:
            self._breaker.abandoned()
            if call is not None:
                call.cancel()  # or the server would go on with it
            raise
        self._breaker.ended(failed=code in FAILURES)
        return call


class _Stream(grpc.aio.UnaryStreamClientInterceptor):  # type: ignore[misc]
    def __init__(self, breaker: CircuitBreaker) -> None:
        self._breaker = breaker

    async def intercept_unary_stream(self, continuation: Any, details: Any, request: Any) -> Any:
        self._breaker.admit()
        return self._responses(await continuation(details, request))

    async def _responses(self, call: Any) -> AsyncIterator[Any]:
        over = False
        try:
            async for response in call:
                yield response
            over, failed = True, False
        except grpc.aio.AioRpcError as error:
            over, failed = True, error.code() in FAILURES
            raise
        finally:
            if over:
                self._breaker.ended(failed=failed)
            else:
                self._breaker.abandoned()
                call.cancel()


def breaking(breaker: CircuitBreaker) -> list[grpc.aio.ClientInterceptor]:
    """Client interceptors that ask a breaker before each call with one request."""
    return [_Unary(breaker), _Stream(breaker)]
