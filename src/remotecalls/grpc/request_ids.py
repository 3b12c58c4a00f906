"""One name for one piece of work, in the metadata of every call that is made for it.

A caller who has a request id sends it; the server gives one to a call that has none, writes it into
each line of its log, sends it back, and sends it on with the calls that it makes itself.
"""

from __future__ import annotations

import logging
import re
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Any

import grpc.aio

from remotecalls.grpc.client_interception import before_each_call, with_metadata
from remotecalls.grpc.interception import Aspect, Call, status_name

logger = logging.getLogger("remotecalls.grpc")

KEY = "x-request-id"
_ALLOWED = re.compile(r"[A-Za-z0-9._-]{1,64}")

current_request_id: ContextVar[str] = ContextVar("current_request_id", default="")
"""The id of the request that this task works for, or an empty text."""


def new_request_id() -> str:
    """An id that nobody else has."""
    return uuid.uuid4().hex


class RequestIds(Aspect):
    """Gives each call a request id, and the log a line when it is over.

    Args:
        clock: seconds, for the duration in the log.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock

    @asynccontextmanager
    async def around(self, call: Call) -> AsyncIterator[None]:
        """See the class."""
        sent = call.metadata(KEY)
        # What a caller sends goes into the log: a line break in it would forge a line.
        request_id = sent if _ALLOWED.fullmatch(sent) else new_request_id()
        began = self._clock()
        token = current_request_id.set(request_id)
        # Ahead of the answer: an error replaces the metadata that would follow it.
        await call.context.send_initial_metadata([(KEY, request_id)])
        failure: BaseException | None = None
        try:
            yield
        except BaseException as error:
            failure = error
            raise
        finally:
            current_request_id.reset(token)
            milliseconds = (self._clock() - began) * 1_000
            status = status_name(call, failure)
            logger.info("%s %s %s %.1f ms", request_id, call.method, status, milliseconds)


def sending_request_ids() -> list[grpc.aio.ClientInterceptor]:
    """Client interceptors that send the id of the request at work, or a new one."""

    def add(details: Any) -> Any:
        return with_metadata(details, (KEY, current_request_id.get() or new_request_id()))

    return before_each_call(add)
