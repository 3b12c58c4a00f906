"""A deadline that goes on with the work: what a server calls gets only the time that is left.

gRPC sends a deadline as the time that remains (`grpc-timeout`), because clocks differ.
It does not send it on by itself: a server that calls another one without a word about time lets
that one work on after everybody has left.

Source: https://grpc.io/docs/guides/deadlines/; gRPC over HTTP2, "Timeout".
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Any

import grpc.aio

from remotecalls.grpc.client_interception import before_each_call
from remotecalls.grpc.interception import Aspect, Call
from remotecalls.wire.deadline import Deadline

current_deadline: ContextVar[Deadline | None] = ContextVar("current_deadline", default=None)
"""When what this task does is of no use any more, if its caller has said so."""


class Deadlines(Aspect):
    """Notes the deadline of each call for what is called on its behalf."""

    @asynccontextmanager
    async def around(self, call: Call) -> AsyncIterator[None]:
        """See the class."""
        remaining = call.context.time_remaining()
        deadline = None
        if remaining is not None:
            deadline = Deadline(time.monotonic() + remaining, remaining)
        token = current_deadline.set(deadline)
        try:
            yield
        finally:
            current_deadline.reset(token)


def passing_deadlines_on() -> list[grpc.aio.ClientInterceptor]:
    """Client interceptors by which a call ends no later than the one that it is made for.

    A call that would begin after that raises `DeadlineExceeded`, and is not sent.
    """

    def limit(details: Any) -> Any:
        deadline = current_deadline.get()
        if deadline is None:
            return details
        remaining = deadline.remaining()
        return details._replace(timeout=min(remaining, details.timeout or remaining))

    return before_each_call(limit)
