"""What may be sent, and what keeps two actors from sharing it.

A message stays in the process, so nothing has to be encoded. But a list that both sides hold is
shared memory, the very thing that actors do without. Values that cannot change go as they are,
containers are copied, and everything else is refused when it is sent, with the place where it
stands.
"""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import fractions
import pathlib
import uuid
from typing import Any

from remotecalls.actors.errors import Unserializable

IMMUTABLE: set[type] = {
    *(type(None), bool, int, float, complex, str, bytes, range, type(Ellipsis)),
    *(decimal.Decimal, fractions.Fraction, uuid.UUID),
    *(datetime.date, datetime.time, datetime.datetime, datetime.timedelta, datetime.timezone),
    *(pathlib.PurePosixPath, pathlib.PureWindowsPath, pathlib.PosixPath, pathlib.WindowsPath),
}
"""The types of which a value never changes; references to actors are added by their module."""

MOST_LEVELS = 100


def isolated(value: Any, where: str, levels: int = MOST_LEVELS) -> Any:
    """The value as the receiver may have it: itself if nothing in it can change, else a copy.

    Lists, dictionaries, sets, byte arrays, tuples and frozen dataclasses may be sent, as deep as
    `MOST_LEVELS`.

    Args:
        value: what is sent.
        where: how the error calls the place, as in "argument 'items'".
        levels: how much deeper it may go.

    Raises:
        Unserializable: it, or something in it, is none of these.
    """
    kind = type(value)
    if kind in IMMUTABLE:
        return value
    if not levels:
        raise Unserializable(f"{where}: over {MOST_LEVELS} levels deep, or contains itself")
    levels -= 1
    if kind is list:
        return [isolated(item, f"{where}[{i}]", levels) for i, item in enumerate(value)]
    if kind is dict:
        return {
            isolated(key, f"a key of {where}", levels): isolated(item, f"{where}[{key!r}]", levels)
            for key, item in value.items()
        }
    if kind is tuple:
        return tuple(isolated(item, f"{where}[{i}]", levels) for i, item in enumerate(value))
    if kind is set or kind is frozenset:
        return kind(isolated(item, f"an element of {where}", levels) for item in value)
    if kind is bytearray:
        return bytearray(value)
    if isinstance(value, enum.Enum):
        return value
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return kind(*(isolated(item, f"{where}[{i}]", levels) for i, item in enumerate(value)))
    return _dataclass(value, where, levels)


def _dataclass(value: Any, where: str, levels: int) -> Any:
    kind = type(value)
    if not dataclasses.is_dataclass(kind):
        raise Unserializable(
            f"{where} is of type {kind.__qualname__}, which cannot be sent: send numbers, text, "
            "bytes, lists, dictionaries, sets, tuples, frozen dataclasses of these, or references "
            "to actors"
        )
    if not _is_frozen(kind):
        # Of a subclass of a frozen one, too: what it adds can change.
        raise Unserializable(
            f"{where} is a {kind.__qualname__}, a dataclass that can change: declare it with "
            "@dataclass(frozen=True), or send its fields"
        )
    for field in dataclasses.fields(value):
        item = getattr(value, field.name)
        if not _is_fixed(item, levels):
            raise Unserializable(
                f"{where}.{field.name} is a {type(item).__qualname__}, which can change inside a "
                f"frozen {kind.__qualname__}: make it a tuple, a frozenset or a frozen dataclass"
            )
    return value


def _is_frozen(kind: Any) -> bool:
    parameters = kind.__dict__.get("__dataclass_params__")
    return parameters is not None and bool(parameters.frozen)


def _is_fixed(value: Any, levels: int) -> bool:
    """Whether nothing in the value can change."""
    kind = type(value)
    if kind in IMMUTABLE or isinstance(value, enum.Enum):
        return True
    if isinstance(value, tuple) or kind is frozenset:
        return levels > 0 and all(_is_fixed(item, levels - 1) for item in value)
    return (
        levels > 0
        and dataclasses.is_dataclass(kind)
        and _is_frozen(kind)
        and all(
            _is_fixed(getattr(value, field.name), levels - 1) for field in dataclasses.fields(value)
        )
    )
