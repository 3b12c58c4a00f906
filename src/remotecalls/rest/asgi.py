"""The few lines of ASGI that every filter of the service shares.

Source: the ASGI specification 3.0, HTTP connection scope.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

from remotecalls.rest.problems import Answer, Problem, answer

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

NO_REQUEST_ID = "-"


def headers_of(scope: Scope) -> dict[str, str]:
    """The headers of a request by lower-case name; those that came twice are joined by commas.

    Several filters ask, so the answer is kept, for as long as none of them replaces the headers.
    """
    raw, state = scope["headers"], scope["state"]
    kept: tuple[object, dict[str, str]] | None = state.get("headers")
    if kept is not None and kept[0] is raw:
        return kept[1]
    headers: dict[str, str] = {}
    for name, value in raw:
        key, text = name.decode("latin-1"), value.decode("latin-1")
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    state["headers"] = raw, headers
    return headers


def request_id_of(scope: Scope) -> str:
    """The name of the request, or a dash where no filter has given it one."""
    return str(scope["state"].get("request_id", NO_REQUEST_ID))


async def send_answer(send: Send, content: Answer) -> None:
    """Send a whole answer."""
    headers = [(name.encode(), value.encode("latin-1")) for name, value in content.headers.items()]
    if content.body or content.status not in (204, 304):
        headers.append((b"content-length", str(len(content.body)).encode()))
    await send({"type": "http.response.start", "status": content.status, "headers": headers})
    await send({"type": "http.response.body", "body": content.body})


async def send_problem(scope: Scope, send: Send, problem: Problem) -> None:
    """Send a problem as the answer."""
    await send_answer(send, answer(problem, request_id_of(scope)))
