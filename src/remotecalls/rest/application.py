"""The service, its contract and its filters put together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from fastapi import FastAPI, Request
from fastapi.responses import Response
from starlette.middleware.exceptions import ExceptionMiddleware

from remotecalls.rest.asgi import App, Receive, Scope, Send, send_problem
from remotecalls.rest.bodies import BODY_BYTES, BODY_SECONDS
from remotecalls.rest.enforcement import ContractMiddleware
from remotecalls.rest.filters import (
    Authentication,
    Compression,
    Failures,
    Filter,
    Log,
    RateLimit,
    RequestIds,
    chain,
)
from remotecalls.rest.problems import Problem
from remotecalls.rest.representations import to_json
from remotecalls.rest.service import ShopService
from remotecalls.rest.specification import OPENAPI, Specification
from remotecalls.shop import Shop

DEMO_CALLERS: Mapping[str, str] = {"demo": "demo"}
"""The one caller of the book's own examples; its token is no secret."""

CONTRACT = Specification.load()


def standard_filters(
    callers: Mapping[str, str] = DEMO_CALLERS, rate: float = 100_000.0, burst: int = 100_000
) -> list[Filter]:
    """The filters in an order that holds.

    Names first, so that every line and every problem has one. Then the log, which has to see what
    the others refuse. Failures inside of it, so that it sees their status. Callers are known before
    they are counted. Compression last: everything before it may still answer with a problem.
    """
    return [
        RequestIds,
        Log,
        Failures,
        partial(Authentication, callers=callers),
        partial(RateLimit, rate=rate, burst=burst),
        Compression,
    ]


def create_app(
    shop: Shop,
    filters: Sequence[Filter] | None = None,
    body_bytes: int = BODY_BYTES,
    body_seconds: float = BODY_SECONDS,
) -> App:
    """The whole service.

    Args:
        shop: what it serves.
        filters: the chain, outermost first; `standard_filters()` unless told otherwise.
        body_bytes: the largest body of a request.
        body_seconds: how long it may take to arrive.
    """
    service = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    ShopService(shop).add_to(service)
    # Without the framework's own last line of defense, which answers a fault in plain text before
    # the filter `Failures` can make a problem of it.
    guarded = ExceptionMiddleware(service.router, handlers={Problem: _problem})
    contract = ContractMiddleware(guarded, CONTRACT, body_bytes, body_seconds)
    return chain(_Documents(contract), standard_filters() if filters is None else filters)


async def _problem(request: Request, problem: Exception) -> Response:
    assert isinstance(problem, Problem)
    request_id = str(getattr(request.state, "request_id", "-"))
    headers = {"cache-control": "no-store", **problem.headers}
    body = problem.body(request_id)
    return Response(body, problem.status, headers, "application/problem+json")


class _Documents:
    """Serves the contract itself, as it was written and as JSON."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._bodies = {
            "/openapi.yaml": (OPENAPI.read_bytes(), "application/yaml"),
            "/openapi.json": (to_json(CONTRACT.document), "application/json"),
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = self._bodies.get(scope["path"]) if scope["type"] == "http" else None
        if found is None:
            await self._app(scope, receive, send)
        elif scope["method"] in {"GET", "HEAD"}:
            body, media_type = found
            headers = {"cache-control": "public, max-age=3600"}
            await Response(body, 200, headers, media_type)(scope, receive, send)
        else:
            problem = Problem(
                "method_not_allowed", "this document is read only", headers={"allow": "GET, HEAD"}
            )
            await send_problem(scope, send, problem)
