"""JSON as a service should read it: one meaning or none.

`json.loads` takes the last of two members with the same name, reads `NaN` and `Infinity`, which are
no JSON, and recurses as deep as the sender likes. Each of these has let two services of one
company read the same bytes differently.

Source: RFC 8259; RFC 7493 (I-JSON).
"""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

DEEPEST = 32
LONGEST_NUMBER = 400
"""Digits; as a 64-bit float has 309 at most before its point, no larger number is meant."""

_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_BRACKETS = re.compile(rb"[\[\]{}]")


class JSONError(ValueError):
    """The bytes are not JSON, or not JSON with one meaning."""


def parse_json(data: bytes) -> Any:
    """Read one JSON text.

    Raises:
        JSONError: it is none, or it has a duplicate member, a number such as NaN, more than
            `DEEPEST` levels, a lone surrogate, or a number of over `LONGEST_NUMBER` digits.
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise JSONError(f"byte {error.start} is not UTF-8") from error
    _check_depth(data)
    try:
        document = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise JSONError(f"{error.msg} at character {error.pos}") from error
    if "\\u" in text:
        _check_surrogates(document)
    return document


def _check_depth(data: bytes) -> None:
    if data.count(b"[") + data.count(b"{") <= DEEPEST:
        return  # the usual case, at the price of two scans
    depth = 0
    for bracket in _BRACKETS.finditer(_STRING.sub(b"", data)):
        depth += 1 if bracket[0] in b"[{" else -1
        if depth > DEEPEST:
            raise JSONError(f"more than {DEEPEST} levels of nesting")


def _check_surrogates(document: Any) -> None:
    try:
        json.dumps(document, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError as error:
        code = ord(error.object[error.start])
        raise JSONError(f"\\u{code:04x} stands alone: half of a character is none") from error


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise JSONError(f"member {twice!r} is there twice")
    return members


def _no_constant(text: str) -> NoReturn:
    raise JSONError(f"{text} is no number of JSON")


def _integer(text: str) -> int:
    if len(text) > LONGEST_NUMBER:
        raise JSONError(f"a number of {len(text):,} digits")
    return int(text)


def _float(text: str) -> float | int:
    number = float(text) if len(text) <= LONGEST_NUMBER else float("inf")
    if number in (float("inf"), float("-inf")):
        raise JSONError(f"{text[:20]} is beyond what a 64-bit float can hold")
    # JSON has one kind of number: to its schemas, 3.0 is as good an integer as 3.
    return int(number) if number.is_integer() else number


_DECODER = json.JSONDecoder(
    object_pairs_hook=_members,
    parse_constant=_no_constant,
    parse_int=_integer,
    parse_float=_float,
)
