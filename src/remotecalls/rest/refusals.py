"""What a server's refusal is to its client, and what a client cannot send."""

from __future__ import annotations

from remotecalls.shop import InvalidArgument, ShopError
from remotecalls.wire.errors import ProtocolError, ServerFailed


def refusal(code: object, message: object) -> Exception:
    """The exception for an error that a server named.

    Args:
        code: `bad_request`, `server_failed`, or the code of a `ShopError`.
        message: for a person.
    """
    if code == "server_failed":
        return ServerFailed(str(message))
    try:
        return ShopError.from_code(str(code), str(message))
    except KeyError:
        return ProtocolError(f"the server refused the request: {code}: {message}")


def utf8(text: str) -> str:
    """A text that can be sent.

    Raises:
        InvalidArgument: it holds half of a character, which UTF-8 cannot write.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidArgument(f"{text!r} cannot be written as UTF-8") from error
    return text
