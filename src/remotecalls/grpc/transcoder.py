"""JSON into gRPC and back, from the descriptors alone: what Envoy's filter does, in a page.

It knows no method of the shop. The annotation `google.api.http` of each method says which requests
of HTTP it is meant for; the descriptors say what to make of the path, the query and the body.

What a real one does beyond it: nested fields in paths and queries, wildcards of several segments,
`additional_bindings`, streams of requests, limits, and speed. The two also differ in which texts
they take for numbers: Python's library reads "5.0" and even "5_0", Envoy neither.

Sources: google/api/http.proto; google/rpc/code.proto, for the codes of HTTP.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote

import grpc
import grpc.aio
from google.api import annotations_pb2
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.json_format import MessageToJson, ParseDict, ParseError
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.rpc import status_pb2

from remotecalls.grpc.statuses import rich_status_of

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

JSON = b"application/json"
VERBS = ("get", "put", "post", "delete", "patch")
HTTP_STATUS = {
    grpc.StatusCode.CANCELLED: 499,
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.DEADLINE_EXCEEDED: 504,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.ALREADY_EXISTS: 409,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.FAILED_PRECONDITION: 400,
    grpc.StatusCode.ABORTED: 409,
    grpc.StatusCode.OUT_OF_RANGE: 400,
    grpc.StatusCode.UNIMPLEMENTED: 501,
    grpc.StatusCode.UNAVAILABLE: 503,
    grpc.StatusCode.UNAUTHENTICATED: 401,
}
"""Every other code is a 500."""


class BadRequest(Exception):
    """What came is no request of any method; nothing is sent on."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Route:
    """Which requests of HTTP are meant for a method.

    Attributes:
        verb: of HTTP.
        path: what matches the whole path, with a group for each field in it.
        has_body: whether the body is the message; without it, the query is.
        method: what is called.
    """

    verb: str
    path: re.Pattern[str]
    has_body: bool
    method: MethodDescriptor


def routes_of(service: ServiceDescriptor) -> Iterator[Route]:
    """The routes that the annotations of a service declare."""
    for method in service.methods:
        rule = method.GetOptions().Extensions[annotations_pb2.http]
        for verb in VERBS:
            if template := getattr(rule, verb):
                yield Route(verb.upper(), _pattern(template), rule.body == "*", method)


def _pattern(template: str) -> re.Pattern[str]:
    """`/v1/customers/{customer_id}:changeBalance` as an expression; a field is one segment."""
    parts = re.split(r"\{(\w+)\}", template)
    texts = [re.escape(part) for part in parts[::2]]
    fields = [f"(?P<{name}>[^/:]*)" for name in parts[1::2]]
    return re.compile("".join(a + b for a, b in zip(texts, [*fields, ""], strict=True)))


class Transcoder:
    """An ASGI application in front of a service that speaks gRPC.

    Args:
        service: its descriptor.
        channel: to it.
    """

    def __init__(self, service: ServiceDescriptor, channel: grpc.aio.Channel) -> None:
        self._routes = list(routes_of(service))
        self._channel = channel

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        try:
            route, fields = self._route(scope["method"], scope["raw_path"].decode("latin-1"))
            request = _request(route, fields, scope["query_string"], await _body(receive))
        except BadRequest as error:
            await _answer(send, error.status, str(error).encode(), b"text/plain")
            return
        try:
            await self._call(route.method, request, send)
        except grpc.aio.AioRpcError as error:
            status = rich_status_of(error) or status_pb2.Status(
                code=error.code().value[0], message=error.details() or ""
            )
            await _answer(send, HTTP_STATUS.get(error.code(), 500), _json(status))

    def _route(self, verb: str, path: str) -> tuple[Route, dict[str, str]]:
        for route in self._routes:
            match = route.path.fullmatch(path)
            if match and route.verb == verb:
                return route, {name: unquote(text) for name, text in match.groupdict().items()}
        raise BadRequest(404, f"no method of the service is meant by {verb} {path}")

    async def _call(self, method: MethodDescriptor, request: Message, send: Send) -> None:
        path = f"/{method.containing_service.full_name}/{method.name}"
        answer = GetMessageClass(method.output_type).FromString
        if not method.server_streaming:
            call = self._channel.unary_unary(path, type(request).SerializeToString, answer)
            await _answer(send, 200, _json(await call(request)))
            return
        stream = self._channel.unary_stream(path, type(request).SerializeToString, answer)
        begun = False
        async for message in stream(request):
            if not begun:
                await send(_start(200, JSON))
                begun = True
            body = _json(message) + b"\n"
            await send({"type": "http.response.body", "body": body, "more_body": True})
        if not begun:
            await send(_start(200, JSON))
        await send({"type": "http.response.body", "body": b""})


def _request(route: Route, fields: dict[str, str], query: bytes, body: bytes) -> Message:
    """The message that a request of HTTP is."""
    message_type = GetMessageClass(route.method.input_type)
    parameters = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
    names = [name for name, _ in parameters]
    if len(set(names)) < len(names) or (route.has_body and names):
        raise BadRequest(400, "a parameter that the method does not have")
    try:
        in_url = ParseDict({**dict(parameters), **fields}, message_type())
        document = json.loads(body) if route.has_body else {}
        if not isinstance(document, dict):
            raise BadRequest(400, "the body is no object")
        message = ParseDict(document, message_type())
    except (ParseError, ValueError, RecursionError) as error:
        raise BadRequest(400, str(error)) from error
    for field in route.method.input_type.fields:
        is_in_body = any(document.get(key) is not None for key in (field.name, field.json_name))
        differs = getattr(message, field.name) != getattr(in_url, field.name)
        if field.name in fields and is_in_body and differs:
            # What the path says is what caches, logs and rules of access have seen.
            raise BadRequest(400, f"{field.name} is one in the path and another one in the body")
    message.MergeFrom(in_url)
    return message


def _json(message: Message) -> bytes:
    text: str = MessageToJson(
        message,
        preserving_proto_field_name=True,
        always_print_fields_with_no_presence=True,
        indent=None,
    )
    return text.encode()


async def _body(receive: Receive) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body", False):
            return bytes(body)


def _start(status: int, media_type: bytes) -> dict[str, Any]:
    headers = [(b"content-type", media_type)]
    return {"type": "http.response.start", "status": status, "headers": headers}


async def _answer(send: Send, status: int, body: bytes, media_type: bytes = JSON) -> None:
    await send(_start(status, media_type))
    await send({"type": "http.response.body", "body": body})
