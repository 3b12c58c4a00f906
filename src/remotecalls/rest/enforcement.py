"""The contract, applied to everything that comes in and everything that goes out.

A document beside a service is a promise; this middleware keeps it. A request that the document does
not allow never reaches the service, and an answer that it does not allow never reaches the client:
the client gets a problem with status 500, and the log says what the service was about to send.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from remotecalls.rest import xml_documents
from remotecalls.rest.asgi import (
    App,
    Message,
    Receive,
    Scope,
    Send,
    headers_of,
    request_id_of,
    send_answer,
    send_problem,
)
from remotecalls.rest.bodies import (
    BODY_BYTES,
    BODY_SECONDS,
    BodyLate,
    BodyTooLarge,
    ClientLeft,
    read_body,
)
from remotecalls.rest.problems import Answer, Problem
from remotecalls.rest.specification import Content, Match, Operation, Specification
from remotecalls.rest.strict_json import JSONError, parse_json

logger = logging.getLogger("remotecalls.rest")

CLOSE = {"connection": "close"}
"""What is left of a body that was refused would be taken for the next request."""


class BrokenContract(Exception):
    """The service was about to answer in a way that its contract does not allow."""


class ContractMiddleware:
    """Checks requests and answers against an OpenAPI document.

    The endpoint finds the `Match` in `scope["state"]["match"]`, the query's parameters in
    `scope["state"]["query"]` and the parsed body in `scope["state"]["document"]`.

    Args:
        app: the service.
        specification: the document.
        body_bytes: the largest body that is read.
        body_seconds: how long the whole body may take to arrive.
    """

    def __init__(
        self,
        app: App,
        specification: Specification,
        body_bytes: int = BODY_BYTES,
        body_seconds: float = BODY_SECONDS,
    ) -> None:
        self._app = app
        self._specification = specification
        self._body_bytes = body_bytes
        self._body_seconds = body_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            if scope["method"] == "OPTIONS":
                allow = ", ".join(self._specification.methods(scope["path"]))
                await send_answer(send, Answer(204, {"allow": allow}))
                return
            match = await self._check_request(scope, receive)
        except Problem as problem:
            await send_problem(scope, send, problem)
            return
        except ClientLeft:
            return
        outgoing = _Outgoing(scope, send, match.operation)
        await self._app(scope, receive, outgoing.send)

    async def _check_request(self, scope: Scope, receive: Receive) -> Match:
        match = self._specification.match(scope["method"], scope["path"])
        operation = match.operation
        headers = headers_of(scope)
        state = scope["state"]
        state["match"] = match
        state["query"] = operation.read_query(scope["query_string"])
        operation.check_headers(headers)
        if operation.body:
            content = _content_for(operation, headers)
            state["document"] = _document(await self._body(headers, receive), content)
        return match

    async def _body(self, headers: Mapping[str, str], receive: Receive) -> bytes:
        announced = headers.get("content-length", "")
        if announced.isdecimal() and int(announced) > self._body_bytes:
            text = f"a body has {self._body_bytes:,} bytes at most"
            raise Problem("content_too_large", text, headers=CLOSE)
        try:
            return await read_body(receive, self._body_bytes, self._body_seconds)
        except BodyTooLarge as error:
            raise Problem("content_too_large", str(error), headers=CLOSE) from error
        except BodyLate as error:
            raise Problem("request_timeout", str(error), headers=CLOSE) from error


def _content_for(operation: Operation, headers: Mapping[str, str]) -> Content:
    if headers.get("content-encoding", "identity") != "identity":
        raise Problem("unsupported_media_type", "a request is read uncompressed only")
    media_type, _, rest = headers.get("content-type", "").partition(";")
    content = operation.body.get(media_type.strip().lower())
    if content is None or rest.strip().lower() not in {"", "charset=utf-8"}:
        known = ", ".join(operation.body)
        raise Problem(
            "unsupported_media_type",
            f"{operation.operation_id} reads {known}, not {media_type[:60] or 'nothing'!r}",
            headers={"accept-patch" if operation.method == "PATCH" else "accept-post": known},
        )
    return content


def _document(body: bytes, content: Content) -> Any:
    try:
        document = parse_json(body)
    except JSONError as error:
        raise Problem("bad_request", f"the body is not JSON: {error}") from error
    if errors := content.errors(document):
        where, what = errors[0]
        raise Problem("invalid_argument", f"{where}: {what}", errors=errors)
    return document


class _Outgoing:
    """Holds an answer back until it has been checked; lets checked lines pass at once."""

    def __init__(self, scope: Scope, send: Send, operation: Operation) -> None:
        self._scope = scope
        self._send = send
        self._operation = operation
        self._start: Message | None = None
        self._body = bytearray()
        self._content: Content | None = None
        self._broken = False

    async def send(self, message: Message) -> None:
        """What the service sends."""
        if self._broken:
            return  # the client has been told already
        try:
            if message["type"] == "http.response.start":
                self._start = message
                self._content = self._check_head(message)
            elif self._content is not None and self._content.by_line:
                await self._lines(message)
            else:
                await self._whole(message)
        except BrokenContract as error:
            self._broken = True
            await self._refuse(error)

    def _check_head(self, start: Message) -> Content | None:
        operation_id, status = self._operation.operation_id, start["status"]
        response = self._operation.response(status)
        if response is None:
            raise BrokenContract(f"{operation_id} has no answer {status}")
        headers = {name.decode(): value.decode("latin-1") for name, value in start["headers"]}
        for name, schema in response.headers.items():
            if name in headers and not schema.is_valid(headers[name]):
                raise BrokenContract(f"{operation_id} {status}: {name} is {headers[name]!r}")
        media_type = headers.get("content-type", "").partition(";")[0]
        if media_type and media_type not in response.content:
            raise BrokenContract(f"{operation_id} {status} is never {media_type}")
        return response.content.get(media_type)

    async def _whole(self, message: Message) -> None:
        self._body += message.get("body", b"")
        if message.get("more_body", False):
            return
        if self._content is not None and self._scope["method"] != "HEAD":
            self._check(self._content, self._parsed(bytes(self._body)))
        assert self._start is not None
        await self._send(self._start)
        await self._send({"type": "http.response.body", "body": bytes(self._body)})

    async def _lines(self, message: Message) -> None:
        assert self._content is not None
        self._body += message.get("body", b"")
        *lines, rest = bytes(self._body).split(b"\n")
        for line in lines:
            self._check(self._content, parse_json(line))
        self._body[:] = rest
        last = not message.get("more_body", False)
        if rest and last:
            raise BrokenContract(f"{self._operation.operation_id}: the last line does not end")
        if self._start is not None:
            await self._send(self._start)
            self._start = None
        body = b"".join(line + b"\n" for line in lines)
        await self._send({"type": "http.response.body", "body": body, "more_body": not last})

    def _parsed(self, body: bytes) -> Any:
        assert self._start is not None
        is_xml = (b"content-type", b"application/xml") in self._start["headers"]
        try:
            return xml_documents.parse(body) if is_xml else parse_json(body)
        except ValueError as error:
            raise BrokenContract(f"{self._operation.operation_id}: {error}") from error

    def _check(self, content: Content, document: Any) -> None:
        if errors := content.errors(document):
            raise BrokenContract(f"{self._operation.operation_id}: {errors[0][0]} {errors[0][1]}")

    async def _refuse(self, error: BrokenContract) -> None:
        logger.error("%s the answer breaks the contract: %s", request_id_of(self._scope), error)
        if self._start is None:  # a part is with the client: breaking off is all that is left
            raise error
        text = "the server was about to break its contract; its log says how"
        await send_problem(self._scope, self._send, Problem("server_failed", text))
