"""Errors of the shop as rich statuses, and back.

gRPC itself carries a code of sixteen and a message. Two different refusals share a code
(`customer_not_found` and `order_not_found` are both NOT_FOUND), so the shop's own code travels in
the details: a `google.rpc.Status` in the trailing metadata, with an `ErrorInfo` in it.

Sources: google/rpc/status.proto, google/rpc/error_details.proto, google/rpc/code.proto; AIP-193.
"""

from __future__ import annotations

from collections.abc import Iterable

import grpc
import grpc.aio
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from remotecalls.shop import ShopError

DOMAIN = "shop.remotecalls"
"""Whose codes the reasons are: the domain of every `ErrorInfo` of this service."""

BAD_REQUEST = "bad_request"
"""The reason for bytes that are no message."""
SERVER_FAILED = "server_failed"
"""The reason for what only the server's log explains."""
OVERLOADED = "overloaded"
"""The reason for what would be done for fewer callers."""
UNAUTHENTICATED = "unauthenticated"
"""The reason for a caller who has not said who it is."""
PERMISSION_DENIED = "permission_denied"
"""The reason for a caller who may not do this."""

CODES = {
    "invalid_argument": grpc.StatusCode.INVALID_ARGUMENT,
    "customer_not_found": grpc.StatusCode.NOT_FOUND,
    "order_not_found": grpc.StatusCode.NOT_FOUND,
    "customer_exists": grpc.StatusCode.ALREADY_EXISTS,
    "insufficient_funds": grpc.StatusCode.FAILED_PRECONDITION,
}


def rich_status(
    code: grpc.StatusCode,
    reason: str,
    message: str,
    violations: Iterable[tuple[str, str]] = (),
) -> status_pb2.Status:
    """A status with its reason, and the fields that are at fault.

    Args:
        code: one of gRPC's sixteen.
        reason: a code of this service.
        message: for a person.
        violations: a field's path and what is wrong with it, for each rule that is broken.
    """
    status = status_pb2.Status(code=code.value[0], message=message)
    status.details.add().Pack(error_details_pb2.ErrorInfo(reason=reason, domain=DOMAIN))
    broken = [
        error_details_pb2.BadRequest.FieldViolation(field=field, description=description)
        for field, description in violations
    ]
    if broken:
        status.details.add().Pack(error_details_pb2.BadRequest(field_violations=broken))
    return status


def status_of(error: ShopError) -> status_pb2.Status:
    """The status that carries an error of the shop."""
    return rich_status(CODES[error.code], error.code, str(error))


async def abort_with(context: grpc.aio.ServicerContext, status: status_pb2.Status) -> None:
    """End a call with a rich status.

    Raises:
        grpc.aio.AbortError: always.
    """
    await context.abort_with_status(rpc_status.to_status(status))


def rich_status_of(error: grpc.aio.AioRpcError) -> status_pb2.Status | None:
    """The rich status of a call that failed, if its server sent one.

    Raises:
        ValueError: it contradicts the plain status, or is no message of that type.
    """
    if not error.trailing_metadata():
        return None
    status: status_pb2.Status | None = rpc_status.from_call(error)
    return status


def reason_of(status: status_pb2.Status) -> str:
    """The reason that a rich status gives in this service's own terms, or an empty text."""
    for detail in status.details:
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info) and info.domain == DOMAIN:
            return str(info.reason)
    return ""


def violations_of(status: status_pb2.Status) -> list[tuple[str, str]]:
    """The fields at fault and what is wrong with each, as the server sent them."""
    return [
        (violation.field, violation.description)
        for detail in status.details
        for bad_request in [error_details_pb2.BadRequest()]
        if detail.Unpack(bad_request)
        for violation in bad_request.field_violations
    ]
