"""The messages between a client and a server of a tuple space.

A frame (`wire.framing`: four bytes of length) holds one JSON object. The first in each direction
says `{"protocol": "tuplespace", "version": 1}`. Then the client sends requests:

    {"id": 7, "operation": "take", "pattern": [...], "timeout": 5.0, "transaction": 4, "kept": [5]}

and the server answers each, in any order, with the same `id` and a result or an error:

    {"id": 7, "fields": [...]}        {"id": 7, "error": "DeadlineExceeded", "detail": "..."}

An answer to `read_all` comes in several frames, all but the last with `"more": true`; a
subscription sends `{"event": 9, "fields": [...], "missed": 0}` after its answer. An error without
an `id` is the last that the server sends: it closes the connection.

`cancel` names an earlier request. It has no answer. It ends a wait, a subscription or a
transaction; and if a take has been answered already, but its answer came too late for whoever
asked, it puts the tuple back. For that the server remembers a tuple until a later request lists the
take in `kept`.
"""

from __future__ import annotations

import math
from typing import Any

from remotecalls.tuplespaces import errors
from remotecalls.tuplespaces.encoding import encode_fields, to_bytes
from remotecalls.tuplespaces.errors import InvalidField
from remotecalls.tuplespaces.fields import Fields
from remotecalls.wire import errors as transport
from remotecalls.wire.errors import ProtocolError
from remotecalls.wire.framing import encode_frame

HELLO = {"protocol": "tuplespace", "version": 1}
MAXIMUM_TUPLE_BYTES = 60_000
"""Of the `MAXIMUM_FRAME` of `wire.framing`; the rest is for what else a message says."""
MAXIMUM_KEPT = 64
RECEIVE_BYTES = 65_536

ERRORS: dict[str, type[Exception]] = {
    kind.__name__: kind
    for kind in (
        errors.InvalidField,
        errors.InvalidPattern,
        errors.LeaseEnded,
        errors.TransactionEnded,
        errors.SpaceClosed,
        errors.TooManyOperations,
        transport.DeadlineExceeded,
        transport.ServerFailed,
        transport.ProtocolError,
        ValueError,
    )
}


def frame(message: dict[str, Any]) -> bytes:
    """A message, ready to be sent.

    Raises:
        FrameTooLarge: it does not fit.
    """
    return encode_frame(to_bytes(message))


def encoded_tuple(fields: Fields) -> list[Any]:
    """The fields of a tuple for a message.

    Raises:
        InvalidField: they take more than `MAXIMUM_TUPLE_BYTES`.
    """
    items = encode_fields(fields)
    if not _surely_small(fields) and (size := len(to_bytes({"": items}))) > MAXIMUM_TUPLE_BYTES:
        raise InvalidField(
            f"this tuple takes {size:,} bytes in a message (limit {MAXIMUM_TUPLE_BYTES:,}): "
            "keep large data elsewhere, and its address in the tuple"
        )
    return items


def _surely_small(fields: Fields) -> bool:
    """Whether a tuple fits at a glance: most do, and need not be encoded twice."""
    return len(fields) <= 16 and all(
        kind is not tuple
        and (kind not in (str, bytes) or len(field) <= 500)
        and (kind is not int or field.bit_length() <= 4_000)
        for field, kind in zip(fields, map(type, fields), strict=True)
    )


def error_message(number: int | None, error: Exception) -> dict[str, Any]:
    """What the client gets to know of an error; one without a name there is the server's own."""
    for kind in type(error).__mro__:
        if ERRORS.get(kind.__name__) is kind:
            return {"id": number, "error": kind.__name__, "detail": str(error)}
    detail = f"the server failed: {type(error).__name__}"
    return {"id": number, "error": "ServerFailed", "detail": detail}


def error_of(message: dict[str, Any]) -> Exception:
    """The error that a message tells of."""
    kind = ERRORS.get(message.get("error", ""), transport.ServerFailed)
    return kind(str(message.get("detail", "")))


def check_hello(message: dict[str, Any]) -> None:
    """Refuse another protocol, or another version of this one.

    Raises:
        ProtocolError: it is one.
    """
    if message != HELLO:
        raise ProtocolError(f"expected {HELLO}, the first message was {str(message)[:80]}")


def number_in(message: dict[str, Any], name: str) -> int:
    """A whole number of a message.

    Raises:
        ProtocolError: there is none under that name.
    """
    number = message.get(name)
    if type(number) is not int:
        raise ProtocolError(f"{name!r} is {str(number)[:40]!r}, not a whole number")
    return number


def seconds_in(message: dict[str, Any], name: str, default: float) -> float:
    """A length of time of a message; JSON has no infinity, so `null` means that.

    Raises:
        ProtocolError: there is something else under that name.
    """
    seconds = message.get(name, default)
    if seconds is None:
        return math.inf
    if type(seconds) not in (int, float):
        raise ProtocolError(f"{name!r} is {str(seconds)[:40]!r}, not a number of seconds")
    try:
        return float(seconds)
    except OverflowError:
        raise ProtocolError(f"{name!r} is a number of seconds beyond all measure") from None
