"""One interface, three projections: a proxy that strips what its caller may not see.

The interface file says of each field who may see it, and the service answers in full. The proxy
knows its caller by a token, and clears the rest: in every message, in messages within messages, and
in errors, whose texts are written for people and tell amounts.

What cannot be judged is not passed on: fields that the file does not have, and methods of which the
proxy does not know the answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
import grpc.aio
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.rpc import error_details_pb2, status_pb2

from remotecalls.grpc.generated.shop.v1 import audience_pb2
from remotecalls.grpc.statuses import UNAUTHENTICATED, reason_of, rich_status

PUBLIC = audience_pb2.AUDIENCE_UNSPECIFIED
INTERNAL = audience_pb2.AUDIENCE_INTERNAL
ADMIN = audience_pb2.AUDIENCE_ADMIN

AUDIENCE_KEY = "audience"
"""Metadata in which the proxy tells the service for whom it asks. What a caller puts there is
dropped."""


class UnknownCaller(Exception):
    """A caller showed a token that stands for nobody."""

    def status(self) -> status_pb2.Status:
        """What the caller is told."""
        message = "send a known token, or none: authorization: Bearer ..."
        return rich_status(grpc.StatusCode.UNAUTHENTICATED, UNAUTHENTICATED, message)


@dataclass(frozen=True)
class Projections:
    """Who sees what.

    Attributes:
        methods: by their paths.
        tokens: each with the audience of whom it stands for. Without a token a caller is one of
            the public.
    """

    methods: Mapping[str, MethodDescriptor]
    tokens: Mapping[str, int]

    def audience(self, metadata: Sequence[tuple[str, Any]]) -> int:
        """The audience of a caller, by the metadata of its call.

        Raises:
            UnknownCaller: there is a token, and nobody has it.
        """
        shown = [value for key, value in metadata if key == "authorization"]
        if not shown:
            return PUBLIC
        kind, _, token = str(shown[-1]).partition(" ")
        if kind.lower() != "bearer" or token not in self.tokens:
            raise UnknownCaller
        return self.tokens[token]

    def answer(self, method: str, audience: int, data: bytes) -> bytes:
        """The bytes of an answer, without what the audience may not see.

        Raises:
            KeyError: the method is not known.
            google.protobuf.message.DecodeError: the bytes are no answer of it.
        """
        message = GetMessageClass(self.methods[method].output_type).FromString(data)
        strip(message, audience)
        return bytes(message.SerializeToString())

    def status(self, audience: int, status: status_pb2.Status) -> status_pb2.Status:
        """A rich status without its text, whose reason and code say enough to a program."""
        if audience >= ADMIN:
            return status
        reason = reason_of(status) or "refused"
        stripped = status_pb2.Status(code=status.code, message=reason)
        for detail in status.details:
            if detail.Is(error_details_pb2.ErrorInfo.DESCRIPTOR):
                stripped.details.add().CopyFrom(detail)
        return stripped


def strip(message: Message, audience: int) -> None:
    """Clear every field of a message, and of those in it, that is not for an audience."""
    message.DiscardUnknownFields()
    for field, value in message.ListFields():
        if field.GetOptions().Extensions[audience_pb2.audience] > audience:
            message.ClearField(field.name)
        elif field.message_type is not None:
            for each in value if field.is_repeated else [value]:
                strip(each, audience)
