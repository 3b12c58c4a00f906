"""What a client would like to get: media types, preferences.

Sources: RFC 9110, sections 12.4.2 and 12.5.1 (Accept); RFC 7240 (Prefer).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from remotecalls.rest.problems import Problem

_RANGE = re.compile(
    r"\s*(?P<type>[!#$%&'*+.^_`|~0-9A-Za-z-]+/[!#$%&'*+.^_`|~0-9A-Za-z-]+)\s*(?P<parameters>(?:;[^,]*)?)$"
)
_QUALITY = re.compile(r"(?:^|;)\s*q\s*=\s*([01](?:\.[0-9]{0,3})?)\s*(?:;|$)", re.IGNORECASE)


def choose(accept: str | None, offered: Sequence[str]) -> str:
    """The media type to answer with: the one that the client likes best of those that there are.

    The first that is offered wins where the client likes several alike. A part of the header that
    cannot be read asks for nothing.

    Raises:
        Problem: the client accepts none of them (406).
    """
    if accept is None or accept.strip() in {"", "*/*", offered[0]}:
        return offered[0]
    ranges = list(filter(None, map(_range, accept.split(","))))
    best = max(offered, key=lambda media_type: _quality(media_type, ranges))
    if _quality(best, ranges) == 0:
        known = ", ".join(offered)
        raise Problem("not_acceptable", f"there is {known}, and none of them is accepted")
    return best


def _range(text: str) -> tuple[str, float] | None:
    found = _RANGE.match(text)
    if not found:
        return None
    quality = _QUALITY.search(found["parameters"])
    return found["type"].lower(), min(float(quality[1]), 1.0) if quality else 1.0


def _quality(media_type: str, ranges: Sequence[tuple[str, float]]) -> float:
    # The most specific range decides, whatever its quality (RFC 9110, section 12.5.1).
    for name in (media_type, media_type.partition("/")[0] + "/*", "*/*"):
        found = [quality for each, quality in ranges if each == name]
        if found:
            return max(found)
    return 0.0


def preferred_return(prefer: str | None) -> str | None:
    """`minimal` or `representation`, if the client prefers one of them.

    Of a preference that is there twice the first counts; unknown ones are ignored (RFC 7240).
    """
    for part in (prefer or "").split(","):
        name, _, value = part.partition(";")[0].partition("=")
        if name.strip().lower() == "return":
            wish = value.strip().strip('"').lower()
            return wish if wish in {"minimal", "representation"} else None
    return None
