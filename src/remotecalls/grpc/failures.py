"""What a failed call tells its caller, from what gRPC says about it.

UNAVAILABLE covers two cases that a caller has to tell apart: no connection could be made, so
nothing was sent, and a connection that broke with the call on it, so the outcome is unknown. gRPC
has no code for the difference; only the text of the status tells. The texts below are those of
gRPC Core, and a test makes a real server fail in each of these ways.
"""

from __future__ import annotations

import re

import grpc
import grpc.aio
from google.protobuf.message import DecodeError
from google.rpc import status_pb2

from remotecalls.grpc.statuses import (
    BAD_REQUEST,
    OVERLOADED,
    PERMISSION_DENIED,
    SERVER_FAILED,
    UNAUTHENTICATED,
    reason_of,
    rich_status_of,
)
from remotecalls.shop import ShopError
from remotecalls.wire.address import Address
from remotecalls.wire.deadline import Deadline
from remotecalls.wire.errors import (
    ConnectionLost,
    FrameTooLarge,
    ProtocolError,
    ServerFailed,
    TransportError,
    Unavailable,
)

NOT_SENT = re.compile(
    "Failed to connect to remote host|connection attempt timed out|[Hh]andshake|verification check"
    "|errors resolving|DNS resolution failed"
)
"""In the text of UNAVAILABLE: the name, TCP or TLS did not come about."""

_SERVER = {grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.DATA_LOSS}
# What gRPC itself, on this side, says about bytes that it cannot accept.
_NOT_GRPC = re.compile("Received http2 header|HTTP|http2|protocol|RST_STREAM")


class NotAllowed(TransportError):
    """The server wants to know who is calling, or does not let this caller do it."""


class Overloaded(TransportError):
    """The server has taken as many calls as it does, or a limit of this caller is reached."""


def failure_of(error: grpc.aio.AioRpcError, address: Address, deadline: Deadline) -> Exception:
    """The exception for a call that did not end with OK.

    Args:
        error: what gRPC raised.
        address: of the server.
        deadline: of the call.
    """
    code, details = error.code(), error.details() or ""
    try:
        if (status := rich_status_of(error)) and (named := named_failure(status)):
            return named
    except (ValueError, DecodeError) as contradiction:
        return ProtocolError(f"{address} sent a status that cannot be read: {contradiction}")
    return _unnamed(code, details, address, deadline)


def named_failure(status: status_pb2.Status) -> Exception | None:
    """The exception for a rich status that gives a reason of this service."""
    reason, message = reason_of(status), status.message
    if not reason:
        return None
    if reason == BAD_REQUEST:
        return ProtocolError(f"the server refused the bytes: {message}")
    if reason == SERVER_FAILED:
        return ServerFailed(message)
    if reason == OVERLOADED:
        return Overloaded(message)
    if reason in {UNAUTHENTICATED, PERMISSION_DENIED}:
        return NotAllowed(message)
    try:
        return ShopError.from_code(reason, message)
    except KeyError:
        return ProtocolError(f"unknown error code {reason!r}: {message}")


def _unnamed(
    code: grpc.StatusCode, details: str, address: Address, deadline: Deadline
) -> Exception:
    """The exception for a code of gRPC that nothing explains but its text."""
    match code:
        case grpc.StatusCode.UNAVAILABLE if NOT_SENT.search(details):
            return Unavailable(f"no connection to {address}: {details}")
        case grpc.StatusCode.UNAVAILABLE | grpc.StatusCode.CANCELLED:
            return ConnectionLost(f"the connection to {address} was lost: {details}")
        case grpc.StatusCode.DEADLINE_EXCEEDED:
            return deadline.exceeded()
        case grpc.StatusCode.RESOURCE_EXHAUSTED if "larger than max" in details:
            return FrameTooLarge(f"{address}: {details}")
        case grpc.StatusCode.RESOURCE_EXHAUSTED:
            return Overloaded(f"{address}: {details}")
        case grpc.StatusCode.UNAUTHENTICATED | grpc.StatusCode.PERMISSION_DENIED:
            return NotAllowed(f"{address}: {details}")
        case grpc.StatusCode.UNIMPLEMENTED:
            return ProtocolError(f"{address} has no such method: {details}")
        case _ if code in _SERVER and not _NOT_GRPC.search(details):
            return ServerFailed(f"{code.name}: {details}")
        case _ if code in _SERVER:
            return ProtocolError(f"{address} does not speak gRPC: {details}")
        case _:
            return ServerFailed(f"{code.name}: {details}")
