"""The body of a request: read whole, with a limit and a deadline."""

from __future__ import annotations

import asyncio

from remotecalls.rest.asgi import Receive

BODY_BYTES = 16_384
BODY_SECONDS = 10.0


class BodyTooLarge(Exception):
    """A body has more bytes than are read."""


class BodyLate(Exception):
    """A body did not arrive in its time."""


class ClientLeft(Exception):
    """The client hung up in the middle of its request; nobody waits for an answer."""


async def read_body(
    receive: Receive, limit: int = BODY_BYTES, seconds: float = BODY_SECONDS
) -> bytes:
    """Read a whole body.

    After a refusal the rest of the body may still arrive, and would be taken for the next request:
    close the connection.

    Args:
        receive: of the application.
        limit: in bytes.
        seconds: for all of it.

    Raises:
        BodyTooLarge: there are more bytes.
        BodyLate: they took longer.
        ClientLeft: the client has gone.
    """
    body = bytearray()
    try:
        async with asyncio.timeout(seconds):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ClientLeft("the client left in the middle of its request")
                body += message.get("body", b"")
                if len(body) > limit:
                    raise BodyTooLarge(f"a body has {limit:,} bytes at most")
                if not message.get("more_body", False):
                    return bytes(body)
    except TimeoutError:
        raise BodyLate(f"the body did not arrive within {seconds:g} s") from None
