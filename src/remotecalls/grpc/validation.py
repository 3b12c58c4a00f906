"""Requests held against the rules of the interface file, before the service sees them.

The rules are annotations of the fields (`buf.validate`); protovalidate compiles them once for each
type of message. What it finds is answered with INVALID_ARGUMENT and the fields at fault.

Source: https://protovalidate.com, buf/validate/validate.proto.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import grpc
import protovalidate
from google.rpc import status_pb2

from remotecalls.grpc.interception import Aspect, Call
from remotecalls.grpc.statuses import abort_with, rich_status
from remotecalls.shop import InvalidArgument


class Validation(Aspect):
    """Refuses requests that break a rule of the interface file."""

    def __init__(self) -> None:
        self._validator = protovalidate.Validator()

    async def admit(self, call: Call, request: Any) -> Any:
        """Hold a request against its type's rules.

        Raises:
            grpc.aio.AbortError: it breaks one of them.
        """
        if violations := self._validator.collect_violations(request):
            await abort_with(call.context, status_of_violations(violations))
        return request


def broken_rules(message: Any) -> list[tuple[str, str]]:
    """The path of each field of a message that breaks a rule, and how it does."""
    return [_told(each) for each in protovalidate.collect_violations(message)]


def status_of_violations(violations: Iterable[protovalidate.Violation]) -> status_pb2.Status:
    """The status that names the fields at fault."""
    told = [_told(each) for each in violations]
    return rich_status(grpc.StatusCode.INVALID_ARGUMENT, InvalidArgument.code, in_words(told), told)


def in_words(broken: Iterable[tuple[str, str]]) -> str:
    """Fields and what is wrong with them, as a sentence."""
    return "; ".join(f"{field} {description}".strip() for field, description in broken)


def _told(violation: protovalidate.Violation) -> tuple[str, str]:
    found = violation.proto
    # A rule about a whole message, such as one about a oneof, may name no field.
    elements = found.field.elements if found.field else []
    return ".".join(str(each.field_name) for each in elements), found.message or found.rule_id
