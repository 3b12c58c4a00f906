"""Text of any value, bounded in length and equal from run to run."""

from __future__ import annotations

import html
import itertools
import re
from collections.abc import Iterable

_LONGEST = 300
"""Characters of a value that a report shows."""

_ITEMS = 12
"""Items of a collection that a report shows."""

_DEPTH = 4
_CODE = re.compile(r"`([^`]+)`")
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


def show(value: object) -> str:
    """Return the representation of a value, shortened, without memory addresses.

    A value of a hundred megabytes costs no more than a small one: text, bytes and the built-in
    collections are cut before they are turned into text. A class whose ``__repr__`` raises is
    named instead of shown.
    """
    return shorten(_show(value, _DEPTH))


def shorten(text: str, longest: int = _LONGEST) -> str:
    """Return the text, cut in the middle when it is longer than ``longest`` characters."""
    if len(text) <= longest:
        return text
    head = longest * 2 // 3
    tail = longest - head - 5
    return f"{text[:head]} ... {text[-tail:]}"


def in_html(text: str) -> str:
    """Return the text escaped for an HTML element or attribute."""
    return html.escape(text, quote=True)


def prose_in_html(text: str) -> str:
    """Return a sentence of ours escaped, with what stands between backticks as code."""
    return _CODE.sub(r"<code>\1</code>", in_html(text))


def _show(value: object, depth: int) -> str:
    kind = type(value)
    if isinstance(value, str | bytes) and kind in (str, bytes):
        return _show_text(value)
    if kind is bytearray and isinstance(value, bytearray):
        return f"bytearray({_show_text(bytes(value[:_LONGEST]), len(value))})"
    if depth == 0:
        return "..."
    if kind is dict and isinstance(value, dict):
        pairs = (
            f"{_show(key, depth - 1)}: {_show(item, depth - 1)}"
            for key, item in itertools.islice(value.items(), _ITEMS)
        )
        return "{" + _joined(pairs, len(value)) + "}"
    if kind in (list, tuple, set, frozenset) and isinstance(value, list | tuple | set | frozenset):
        return _show_collection(value, depth)
    return _show_other(value)


def _show_text(value: str | bytes, length: int | None = None) -> str:
    full = len(value) if length is None else length
    if full <= _LONGEST:
        return repr(value)
    unit = "characters" if isinstance(value, str) else "bytes"
    return f"{value[:40]!r}... ({full:,} {unit})"


def _show_collection(
    value: list[object] | tuple[object, ...] | set[object] | frozenset[object], depth: int
) -> str:
    # A set has no order of its own; sorting the texts makes two runs agree.
    items = [_show(item, depth - 1) for item in itertools.islice(value, _ITEMS)]
    if isinstance(value, set | frozenset):
        items.sort()
    inner = _joined(items, len(value))
    if isinstance(value, list):
        return f"[{inner}]"
    if isinstance(value, tuple):
        return f"({inner},)" if len(value) == 1 else f"({inner})"
    if isinstance(value, frozenset):
        return f"frozenset({{{inner}}})" if value else "frozenset()"
    return f"{{{inner}}}" if value else "set()"


def _joined(items: Iterable[str], total: int) -> str:
    text = ", ".join(items)
    return f"{text}, ... ({total:,} items)" if total > _ITEMS else text


def _show_other(value: object) -> str:
    try:
        text = repr(value)
    except Exception as error:  # noqa: BLE001 - the reader's class decides what its repr raises
        return f"<{type(value).__name__} whose __repr__ raises {type(error).__name__}>"
    return _ADDRESS.sub("", text)
