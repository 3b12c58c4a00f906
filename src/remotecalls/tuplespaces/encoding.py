"""Fields and patterns as JSON, so that every value comes back as what it was.

JSON has one kind of number, no bytes and no tuples. What JSON would lose carries its type:
`{"float": 1.0}`, `{"int": "0x1000000000000000"}` beyond 53 bits (where other languages' parsers
begin to round), `{"bytes": "…"}` in base64, `{"tuple": […]}`; so do types and conditions in
patterns. Nothing in a message can name code to be run, as it could in a pickle.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Callable
from typing import Any, NoReturn

from remotecalls.tuplespaces.conditions import (
    AtLeast,
    AtMost,
    Between,
    OneOf,
    Satisfies,
    at_least,
    at_most,
    between,
    one_of,
)
from remotecalls.tuplespaces.errors import InvalidPattern
from remotecalls.tuplespaces.fields import FIELD_TYPES, MAXIMUM_DEPTH, Fields
from remotecalls.tuplespaces.patterns import ANY
from remotecalls.wire.errors import ProtocolError

EXACT_BITS = 53
_TYPE_NAMES = {kind: "None" if kind is type(None) else kind.__name__ for kind in FIELD_TYPES}
_TYPES_BY_NAME = {name: kind for kind, name in _TYPE_NAMES.items()}


def to_bytes(message: dict[str, Any]) -> bytes:
    """A message as JSON."""
    return _ENCODER.encode(message).encode()


def from_bytes(data: bytes) -> dict[str, Any]:
    """A message from JSON.

    Raises:
        ProtocolError: it is not the JSON of an object, or is nested too deep to be read.
    """
    try:
        message = _DECODER.decode(data.decode())
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"a frame of {len(data):,} bytes is not JSON: {error}") from error
    if not isinstance(message, dict):
        raise ProtocolError(f"a frame holds {type(message).__name__}, not a JSON object")
    return message


# ---------------------------------------------------------------- fields


def encode_fields(fields: Fields) -> list[Any]:
    """The fields of a tuple, which have been checked."""
    return [_encode(field) for field in fields]


def decode_fields(items: object) -> Fields:
    """The fields of a tuple; whether a space can hold them is not asked.

    Raises:
        ProtocolError: these are no fields.
    """
    if not isinstance(items, list):
        raise ProtocolError(f"fields are a JSON array, not {type(items).__name__}")
    return tuple([_decode(item) for item in items])


def _encode(field: Any) -> Any:
    kind = type(field)
    if kind is int:
        return field if field.bit_length() <= EXACT_BITS else {"int": hex(field)}
    if kind is float:
        return {"float": field if math.isfinite(field) else repr(field)}
    if kind is bytes:
        return {"bytes": base64.b64encode(field).decode()}
    if kind is tuple:
        return {"tuple": [_encode(item) for item in field]}
    return field


def _decode(item: Any, depth: int = 0) -> Any:
    if item is None or isinstance(item, bool | int | str):
        return item
    if isinstance(item, dict) and len(item) == 1:
        [(name, value)] = item.items()
        if name == "tuple" and isinstance(value, list):
            if depth == MAXIMUM_DEPTH:
                raise ProtocolError(f"a tuple is nested deeper than {MAXIMUM_DEPTH} tuples")
            return tuple([_decode(each, depth + 1) for each in value])
        if name in _DECODERS:
            try:
                return _DECODERS[name](value)
            except (ValueError, TypeError, OverflowError) as error:
                raise ProtocolError(f"{name} of {str(value)[:40]!r}: {error}") from error
    raise ProtocolError(f"not a field: {str(item)[:80]}")


def _decode_bytes(text: Any) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from error


def _decode_float(number: Any) -> float:
    if type(number) not in (int, float) and number not in ("inf", "-inf"):
        raise ValueError("neither a number nor inf nor -inf")
    return float(number)


_DECODERS: dict[str, Callable[[Any], Any]] = {
    "int": lambda text: int(text, 16),
    "float": _decode_float,
    "bytes": _decode_bytes,
}


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


# Made once: `json.dumps` and `json.loads` with options of their own make one for each call.
_ENCODER = json.JSONEncoder(separators=(",", ":"), allow_nan=False)
_DECODER = json.JSONDecoder(parse_constant=_no_constant)


# ---------------------------------------------------------------- patterns


def encode_pattern(fields: Fields) -> list[Any]:
    """A pattern, which has been checked.

    Raises:
        InvalidPattern: it has a function, which cannot leave its process.
    """
    return [_encode_pattern_field(field, number) for number, field in enumerate(fields)]


def decode_pattern(items: object) -> Fields:
    """The fields of a pattern; whether they are a valid one is not asked.

    Raises:
        ProtocolError: these are no fields of a pattern.
        InvalidPattern: a condition is not a valid one.
    """
    if not isinstance(items, list):
        raise ProtocolError(f"a pattern is a JSON array, not {type(items).__name__}")
    return tuple([_decode_pattern_field(item) for item in items])


def _encode_pattern_field(field: Any, number: int) -> Any:
    match field:
        case _ if field is ANY:
            return {"any": True}
        case type():
            return {"type": _TYPE_NAMES[field]}
        case AtLeast():
            return {"at_least": _encode(field.bound)}
        case AtMost():
            return {"at_most": _encode(field.bound)}
        case Between():
            return {"between": [_encode(field.low), _encode(field.high)]}
        case OneOf():
            return {"one_of": encode_fields(field.values)}
        case Satisfies():
            raise InvalidPattern(
                f"pattern[{number}] is {field!r}: a function cannot be sent to a server; use "
                "at_least, at_most, between or one_of, or read_all and choose here"
            )
    return _encode(field)


def _decode_pattern_field(item: Any) -> Any:
    match item:
        case {"any": True}:
            return ANY
        case {"type": str() as name}:
            if name not in _TYPES_BY_NAME:
                raise InvalidPattern(f"there is no type {name[:40]!r} of fields")
            return _TYPES_BY_NAME[name]
        case {"at_least": bound}:
            return at_least(_decode(bound))
        case {"at_most": bound}:
            return at_most(_decode(bound))
        case {"between": [low, high]}:
            return between(_decode(low), _decode(high))
        case {"one_of": list() as values}:
            return one_of(*decode_fields(values))
    return _decode(item)
