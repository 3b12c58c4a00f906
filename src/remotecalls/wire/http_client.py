"""httpx, with its failures told in the book's terms.

httpx raises one exception for a peer that closed the connection and for a peer that sends
something else than HTTP. The caller's next step differs, so the two are told apart here.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import httpx

from remotecalls.wire.address import Address
from remotecalls.wire.deadline import Deadline
from remotecalls.wire.errors import (
    ConnectionLost,
    FrameTooLarge,
    ProtocolError,
    Unavailable,
)

LARGEST_ANSWER = 1_000_000

# httpx makes one for each client, which takes longer than a call; nothing here uses TLS.
_NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
_ENDED = re.compile("Server disconnected|closed connection")


@contextmanager
def failures_named(address: Address) -> Iterator[None]:
    """Raise what went wrong in the block as a `TransportError`."""
    try:
        yield
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
        raise Unavailable(f"no connection to {address}: {error}") from error
    except (httpx.ReadError, httpx.WriteError, httpx.CloseError) as error:
        raise ConnectionLost(f"{address} broke the connection: {error!r}") from error
    except httpx.RemoteProtocolError as error:
        if _ENDED.search(str(error)):
            raise ConnectionLost(f"{address} ended the connection: {error}") from error
        raise ProtocolError(f"{address} does not speak HTTP/1.1: {error}") from error
    except (httpx.DecodingError, httpx.InvalidURL, httpx.LocalProtocolError) as error:
        raise ProtocolError(f"{address}: {error}") from error


class HTTPClient:
    """Requests to one server, each with a deadline.

    Args:
        address: of the server.
        timeout: seconds for a whole answer; in a stream, from one part to the next.
        headers: of every request.
    """

    def __init__(
        self, address: Address, timeout: float, headers: Mapping[str, str] | None = None
    ) -> None:
        self._address = address
        self._timeout = timeout
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=4)
        self._client = httpx.AsyncClient(
            base_url=f"http://{address}",
            headers={
                "user-agent": "remotecalls",
                "accept-encoding": "gzip",
                **(headers or {}),
            },
            timeout=None,  # the deadline is the call's, not each step's
            limits=limits,
            verify=_NO_TLS,
            trust_env=False,
        )

    async def close(self) -> None:
        """Close the idle connections."""
        await self._client.aclose()

    async def request(self, method: str, url: str, **options: Any) -> httpx.Response:
        """One request and its whole answer.

        Raises:
            TransportError: it failed between the two programs.
        """
        deadline = Deadline.after(self._timeout)
        with failures_named(self._address):
            async with deadline.enforced():
                return await self._read_whole(method, url, options)

    async def _read_whole(self, method: str, url: str, options: dict[str, Any]) -> httpx.Response:
        async with self._client.stream(method, url, **options) as response:
            content = bytearray()
            async for data in response.aiter_bytes():
                content += data
                if len(content) > LARGEST_ANSWER:
                    raise FrameTooLarge(f"an answer of over {LARGEST_ANSWER:,} bytes")
            response._content = bytes(content)
            return response

    @asynccontextmanager
    async def stream(
        self, method: str, url: str, **options: Any
    ) -> AsyncIterator[tuple[httpx.Response, AsyncIterator[bytes]]]:
        """One request; its answer's head, and its body as it arrives.

        Raises:
            TransportError: it failed between the two programs.
        """
        deadline = Deadline.after(self._timeout)
        request = self._client.build_request(method, url, **options)
        with failures_named(self._address):
            async with deadline.enforced():
                response = await self._client.send(request, stream=True)
            try:
                yield response, self._parts(response)
            finally:
                await response.aclose()

    async def _parts(self, response: httpx.Response) -> AsyncIterator[bytes]:
        parts = response.aiter_bytes()
        with failures_named(self._address):
            while True:
                async with Deadline.after(self._timeout).enforced():
                    data = await anext(parts, None)
                if data is None:
                    return
                yield data


async def lines_of(parts: AsyncIterator[bytes], longest: int) -> AsyncIterator[bytes]:
    """The lines of a body, without their ends, as they arrive.

    Args:
        parts: of the body.
        longest: bytes of a line.

    Raises:
        FrameTooLarge: a line is longer.
        ProtocolError: the last line does not end.
    """
    rest = b""
    async for part in parts:
        *lines, rest = (rest + part).split(b"\n")
        for line in lines:
            yield line
        if len(rest) > longest:
            raise FrameTooLarge(f"a line of over {longest:,} bytes")
    if rest:
        raise ProtocolError(f"the last line does not end: {rest[:40]!r}")
