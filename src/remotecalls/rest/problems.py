"""Errors that a program can act on: problem details for HTTP (RFC 9457)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

MEDIA_TYPE = "application/problem+json"


@dataclass(frozen=True)
class ProblemKind:
    """One kind of problem, as `GET /problems/{code}` describes it.

    Attributes:
        status: of HTTP.
        title: the same for every problem of the kind.
        help: what the caller can do about it.
    """

    status: int
    title: str
    help: str


KINDS: Mapping[str, ProblemKind] = {
    "bad_request": ProblemKind(
        400, "The request cannot be read", "Mend the program that wrote it: sent again, it fails."
    ),
    "invalid_argument": ProblemKind(
        400, "The request is not one of the contract", "Compare it with /openapi.yaml."
    ),
    "unauthenticated": ProblemKind(
        401, "The caller is not known", "Send `Authorization: Bearer` and a token that is valid."
    ),
    "not_found": ProblemKind(404, "There is nothing at this URL", "Begin at `/` and follow links."),
    "method_not_allowed": ProblemKind(
        405, "The resource has no such method", "The header `Allow` lists those that it has."
    ),
    "not_acceptable": ProblemKind(
        406, "No representation is acceptable", "Ask for one of the types in /openapi.yaml."
    ),
    "request_timeout": ProblemKind(
        408, "The request did not arrive in time", "Send it again, faster."
    ),
    "precondition_failed": ProblemKind(
        412, "The resource has changed", "Get it again, make the change again, send the new ETag."
    ),
    "content_too_large": ProblemKind(413, "The body is too large", "Send less."),
    "unsupported_media_type": ProblemKind(
        415, "The body has a type that is not read here", "See /openapi.yaml for those that are."
    ),
    "rule_violated": ProblemKind(
        422, "A rule of the shop forbids it", "The detail says which value breaks which rule."
    ),
    "precondition_required": ProblemKind(
        428, "A change needs a condition", "Send `If-Match` with the ETag of what is changed."
    ),
    "too_many_requests": ProblemKind(
        429, "Too many requests", "Wait for as many seconds as `Retry-After` says."
    ),
    "server_failed": ProblemKind(
        500, "The server failed", "Look before sending it again: it may have been done."
    ),
    "customer_not_found": ProblemKind(404, "No customer has this id", "Check the id."),
    "order_not_found": ProblemKind(
        404, "The customer has no such order", "List the customer's orders."
    ),
    "customer_exists": ProblemKind(
        409, "A customer with this id is there already", "Take another id, or edit the customer."
    ),
    "insufficient_funds": ProblemKind(
        409, "The balance would fall below zero", "Pay in first, or order less."
    ),
}


class Problem(Exception):
    """The answer is a problem.

    Args:
        code: one of `KINDS`.
        detail: what was wrong this time, for a person.
        status: instead of the kind's own.
        errors: pairs of where in the request (a JSON pointer, or the name of a parameter) and what.
        headers: of the answer.
    """

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        status: int | None = None,
        errors: Sequence[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.status = status or KINDS[code].status
        self.errors = errors
        self.headers = dict(headers or {})

    def document(self, request_id: str) -> dict[str, Any]:
        """The problem as its JSON document."""
        document: dict[str, Any] = {
            "type": f"/problems/{self.code}",
            "title": KINDS[self.code].title,
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
            "request_id": request_id,
        }
        if self.errors:
            document["errors"] = [{"where": where, "what": what} for where, what in self.errors]
        return document

    def body(self, request_id: str) -> bytes:
        """The document as bytes."""
        return json.dumps(self.document(request_id), ensure_ascii=False).encode(errors="replace")


@dataclass
class Answer:
    """A whole answer of HTTP, before it is sent."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


def answer(problem: Problem, request_id: str) -> Answer:
    """The answer that carries a problem. No cache keeps it."""
    headers = {"content-type": MEDIA_TYPE, "cache-control": "no-store", **problem.headers}
    return Answer(problem.status, headers, problem.body(request_id))
