"""Requests made of bytes where a failure can be answered.

Left to gRPC, bytes that are no message of the method's type (a string that is no UTF-8, a field
that is cut off) end the call with UNKNOWN and the name of a Python exception. They are the caller's
fault, and the answer is INVALID_ARGUMENT.
"""

from __future__ import annotations

from typing import Any

import grpc
from google.protobuf.message import DecodeError

from remotecalls.grpc.interception import Aspect, Call
from remotecalls.grpc.statuses import BAD_REQUEST, abort_with, rich_status


class Parsing(Aspect):
    """Parses requests. What stands outside of this interceptor sees them as bytes."""

    def deserializer(self, handler: grpc.RpcMethodHandler) -> None:
        """None, so that `admit` gets the bytes."""

    async def admit(self, call: Call, request: Any) -> Any:
        """The message in the bytes of a request.

        Raises:
            grpc.aio.AbortError: they are none of the method's type.
        """
        try:
            return call.handler.request_deserializer(request)
        except DecodeError:
            refused = rich_status(
                grpc.StatusCode.INVALID_ARGUMENT,
                BAD_REQUEST,
                f"the {len(request):,} bytes are no message of the type that {call.method} takes",
            )
            await abort_with(call.context, refused)
