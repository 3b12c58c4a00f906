"""What every request passes before it reaches the service: a chain of filters.

Each filter is an ASGI application around another one, as a servlet filter stood around a servlet.
The service knows none of them. Their order is a decision, and most orders are wrong: see
`STANDARD_ORDER` and the lab that changes it.
"""

from __future__ import annotations

import gzip
import logging
import re
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from remotecalls.rest.asgi import (
    App,
    Message,
    Receive,
    Scope,
    Send,
    headers_of,
    request_id_of,
    send_problem,
)
from remotecalls.rest.problems import Problem

Filter: TypeAlias = Callable[[App], App]

logger = logging.getLogger("remotecalls.rest")

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


class RequestIds:
    """Gives each request a name: the client's `X-Request-Id`, or a new one.

    It is in the answer, in every problem, and in every line of the log about the request.
    """

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        offered = headers_of(scope).get("x-request-id", "")
        request_id = offered if _REQUEST_ID.fullmatch(offered) else uuid.uuid4().hex
        scope["state"]["request_id"] = request_id
        header = (b"x-request-id", request_id.encode())

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], header]
            await send(message)

        await self._app(scope, receive, send_with_id)


class Log:
    """Writes one line for each request when its answer has been sent."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        began = time.perf_counter()
        status = 0

        async def send_and_note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, send_and_note)
        finally:
            milliseconds = (time.perf_counter() - began) * 1_000
            path = scope["path"].encode("ascii", "backslashreplace").decode()
            who = scope["state"].get("caller", "?")
            line = "%s %s %s %d by %s in %.1f ms"
            logger.info(
                line, request_id_of(scope), scope["method"], path, status, who, milliseconds
            )


class Failures:
    """Turns an exception that nobody caught into a problem, and logs it with its trace."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        started = False

        async def send_and_note(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, send_and_note)
        except ConnectionError as error:
            logger.info("%s the client left: %s", request_id_of(scope), error)
        except Exception:  # the last line of defense: the fault is logged, and told as a fault
            if started:
                raise  # the server breaks the connection off: a half answer must not look whole
            logger.exception("%s a fault in the service", request_id_of(scope))
            text = "the server failed; its log says why, under this request id"
            await send_problem(scope, send, Problem("server_failed", text))


class Authentication:
    """Lets callers with a known bearer token pass, and says who they are (RFC 6750).

    Args:
        callers: the name of each caller, by token.
        public: whether a path needs no token.
    """

    def __init__(
        self,
        app: App,
        callers: Mapping[str, str],
        public: Callable[[str], bool] = lambda path: path.startswith(("/problems/", "/openapi.")),
    ) -> None:
        self._app = app
        self._callers = callers
        self._public = public

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        scheme, _, token = headers_of(scope).get("authorization", "").partition(" ")
        caller = self._callers.get(token.strip()) if scheme.lower() == "bearer" else None
        if caller is None and not self._public(scope["path"]):
            challenge = 'Bearer realm="shop"' + (', error="invalid_token"' if token else "")
            text = "the token is not known" if token else "a bearer token is needed"
            headers = {"www-authenticate": challenge}
            await send_problem(scope, send, Problem("unauthenticated", text, headers=headers))
            return
        scope["state"]["caller"] = caller or "anybody"
        await self._app(scope, receive, send)


class RateLimit:
    """A token bucket for each caller; behind `Authentication`, or it has nobody to count by.

    Args:
        rate: requests a second, in the long run.
        burst: how many may come at once.
        clock: seconds.
    """

    def __init__(
        self, app: App, rate: float, burst: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._app = app
        self._rate = rate
        self._burst = burst
        self._clock = clock
        self._buckets: dict[str, tuple[float, float]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        wait = self._take(scope["state"].get("caller", "?"))
        if wait > 0:
            headers = {"retry-after": str(max(1, round(wait + 0.5)))}
            text = f"{self._rate:g} requests a second and {self._burst} at once are allowed"
            await send_problem(scope, send, Problem("too_many_requests", text, headers=headers))
            return
        await self._app(scope, receive, send)

    def _take(self, caller: str) -> float:
        """Take a token; else, seconds until there will be one."""
        now = self._clock()
        tokens, since = self._buckets.get(caller, (float(self._burst), now))
        tokens = min(self._burst, tokens + (now - since) * self._rate)
        if tokens < 1:
            self._buckets[caller] = tokens, now
            return (1 - tokens) / self._rate
        self._buckets[caller] = tokens - 1, now
        return 0.0


class Compression:
    """Compresses what is worth it, for clients that can read it (RFC 9110, section 12.5.3).

    The compressed bytes are another representation, so they get another tag. The same tag for both
    would let a cache give gzip to a client that asked for none.

    Args:
        smallest: bytes of a body that is worth it.
    """

    SUFFIX = "-gzip"

    def __init__(self, app: App, smallest: int = 500) -> None:
        self._app = app
        self._smallest = smallest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        headers = headers_of(scope)
        accepted = _accepts_gzip(headers.get("accept-encoding", ""))
        named = headers.get("if-none-match", "") + headers.get("if-match", "")
        if accepted and self.SUFFIX in named:
            scope["headers"] = [
                (name, self._inward(name, value)) for name, value in scope["headers"]
            ]
        held: Message | None = None

        async def send_compressed(message: Message) -> None:
            nonlocal held
            if message["type"] == "http.response.start":
                held = message
                return
            if held is not None:
                start, held = held, None
                start["headers"] = [_varying(name, value) for name, value in start["headers"]]
                body = message.get("body", b"")
                whole = not message.get("more_body", False)
                worth_it = len(body) >= self._smallest and not _is_encoded(start)
                if accepted and whole and worth_it:
                    body = gzip.compress(body, compresslevel=5, mtime=0)
                    start["headers"] = self._outward(start["headers"], len(body))
                    message = {"type": "http.response.body", "body": body}
                elif start["status"] == 304 and self.SUFFIX in named:
                    start["headers"] = self._outward(start["headers"], None)
                await send(start)
            await send(message)

        await self._app(scope, receive, send_compressed)

    def _inward(self, name: bytes, value: bytes) -> bytes:
        if name in (b"if-none-match", b"if-match"):
            return value.replace(self.SUFFIX.encode() + b'"', b'"')
        return value

    def _outward(
        self, headers: Sequence[tuple[bytes, bytes]], length: int | None
    ) -> list[tuple[bytes, bytes]]:
        result = []
        for name, value in headers:
            if name == b"etag":
                value = value.removesuffix(b'"') + self.SUFFIX.encode() + b'"'
            if name == b"content-length" and length is not None:
                value = str(length).encode()
            result.append((name, value))
        return result if length is None else [*result, (b"content-encoding", b"gzip")]


def _accepts_gzip(header: str) -> bool:
    for part in header.split(","):
        coding, _, parameters = part.partition(";")
        if coding.strip().lower() in {"gzip", "*"}:
            return not re.fullmatch(r"\s*q\s*=\s*0(\.0*)?\s*", parameters)
    return False


def _varying(name: bytes, value: bytes) -> tuple[bytes, bytes]:
    # Also where nothing was compressed: the next client's wish may lead to other bytes.
    return name, value + b", Accept-Encoding" if name == b"vary" else value


def _is_encoded(start: Message) -> bool:
    return any(name == b"content-encoding" for name, _ in start["headers"])


def chain(app: App, filters: Sequence[Filter]) -> App:
    """The application behind the filters; the first of them is the outermost."""
    for each in reversed(filters):
        app = each(app)
    return app
