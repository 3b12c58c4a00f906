"""Entity tags, and requests that depend on them.

A strong tag names one representation, byte for byte: the same customer as JSON and as XML has two.
This service makes the tag from those bytes, so it is never forgotten when a representation changes.

Source: RFC 9110, sections 8.8.3 and 13.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from hashlib import blake2b

_TAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e]*"')


def entity_tag(representation: bytes) -> str:
    """The strong tag of a representation."""
    return f'"{blake2b(representation, digest_size=9).hexdigest()}"'


def matches_weakly(condition: str, current: str) -> bool:
    """Whether `If-None-Match` names the current tag; weakness does not count here."""
    if condition.strip() == "*":
        return True
    return current.removeprefix("W/") in {tag.removeprefix("W/") for tag in _TAG.findall(condition)}


def matches_strongly(condition: str, current: Iterable[str]) -> bool:
    """Whether `If-Match` names one of the current tags; a weak tag never does."""
    if condition.strip() == "*":
        return True
    return not {tag for tag in _TAG.findall(condition) if tag[0] == '"'}.isdisjoint(current)
