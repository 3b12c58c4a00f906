"""Who is calling, by a bearer token in the metadata, and what the caller may do.

Which methods change something is not listed here: the interface file says it of each
(`idempotency_level`), and a method that does not say so counts as one that does.

Source: RFC 6750 (bearer tokens); google/rpc/code.proto (UNAUTHENTICATED and PERMISSION_DENIED).
"""

from __future__ import annotations

import hmac
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool

from remotecalls.grpc.interception import Aspect, Call
from remotecalls.grpc.statuses import (
    PERMISSION_DENIED,
    UNAUTHENTICATED,
    abort_with,
    rich_status,
)

HEALTH = "/grpc.health.v1.Health/"


@dataclass(frozen=True)
class Caller:
    """Somebody who has a token.

    Attributes:
        name: for the log.
        may_change: whether methods that change something are allowed.
    """

    name: str
    may_change: bool = False


current_caller: ContextVar[Caller | None] = ContextVar("current_caller", default=None)
"""Who asked for what this task does, if that is known."""


class Authentication(Aspect):
    """Lets in who shows a token.

    Args:
        tokens: each with whom it stands for.
        open_to_all: beginnings of the paths that need none; a balancer asks for the health of a
            server without being anybody.
    """

    def __init__(
        self, tokens: Mapping[str, Caller], open_to_all: Iterable[str] = (HEALTH,)
    ) -> None:
        self._tokens = {token.encode(): caller for token, caller in tokens.items()}
        self._open = tuple(open_to_all)

    @asynccontextmanager
    async def around(self, call: Call) -> AsyncIterator[None]:
        """See the class.

        Raises:
            grpc.aio.AbortError: the caller is not known, or may not do this.
        """
        caller = None
        if not call.method.startswith(self._open):
            caller = self._caller(call.metadata("authorization"))
            if caller is None:
                message = "send a known token: authorization: Bearer ..."
                await abort_with(call.context, _refused(UNAUTHENTICATED, message))
            elif not caller.may_change and not is_without_side_effects(call.method):
                message = f"{caller.name} may look, and not change anything"
                await abort_with(call.context, _refused(PERMISSION_DENIED, message))
        reset = current_caller.set(caller)
        try:
            yield
        finally:
            current_caller.reset(reset)

    def _caller(self, authorization: str) -> Caller | None:
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer":
            return None
        sent, found = token.encode(errors="replace"), None
        # Every token is compared, each in the same time: how long it takes tells nothing.
        for known, caller in self._tokens.items():
            if hmac.compare_digest(known, sent):
                found = caller
        return found


def bearer(token: str) -> tuple[str, str]:
    """The metadata by which a caller shows a token."""
    return "authorization", f"Bearer {token}"


def is_without_side_effects(method: str) -> bool:
    """Whether the interface file says of a method that it changes nothing.

    Args:
        method: its path, such as `/shop.v1.ShopService/GetCustomer`.
    """
    full_name = method.removeprefix("/").replace("/", ".")
    try:
        found = descriptor_pool.Default().FindMethodByName(full_name)
    except KeyError:
        return False
    level = found.GetOptions().idempotency_level
    return bool(level == descriptor_pb2.MethodOptions.NO_SIDE_EFFECTS)


def _refused(reason: str, message: str) -> object:
    code = {
        UNAUTHENTICATED: grpc.StatusCode.UNAUTHENTICATED,
        PERMISSION_DENIED: grpc.StatusCode.PERMISSION_DENIED,
    }[reason]
    return rich_status(code, reason, message)
