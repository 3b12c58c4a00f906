"""A service whose every path is written backwards, links included.

It answers the same questions. Only who knows its paths by heart will notice.
"""

from __future__ import annotations

from remotecalls.rest.asgi import App, Message, Receive, Scope, Send

WORDS = ("customers", "orders", "balance-changes")
_BACK = {word[::-1]: word for word in WORDS}


class Moved:
    """Turns the words of paths around, on their way in and in the links on their way out."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        # A path that is written forwards leads to a word that nobody serves.
        parts = (_BACK.get(part, part[::-1]) for part in scope["path"].split("/"))
        known = (part[::-1] if part[::-1].isdecimal() else part for part in parts)
        scope["path"] = "/".join(known)
        scope["headers"] = [each for each in scope["headers"] if each[0] != b"accept-encoding"]

        async def send_moved(message: Message) -> None:
            if message["type"] == "http.response.body":
                body = message.get("body", b"")
                for word in WORDS:
                    body = body.replace(f"/{word}".encode(), f"/{word[::-1]}".encode())
                message["body"] = body
            await send(message)

        await self._app(scope, receive, send_moved)
