"""What a tuple may hold, and when two values are the same.

A field is `None`, a bool, an int, a float, a str, bytes, or a tuple of these. Python says that
`1 == 1.0 == True`, and hashes them alike; a space that believed it would hand a flag to somebody
who asked for a count. Two fields are the same here if their types are, and their values. `0.0` and
`-0.0` are therefore the same; not-a-number, which is not even the same as itself, is refused.
"""

from __future__ import annotations

import math
import reprlib
from collections.abc import Hashable
from typing import Any, TypeAlias

from remotecalls.tuplespaces.errors import InvalidField

Field: TypeAlias = "bool | int | float | str | bytes | tuple[Field, ...] | None"
Fields: TypeAlias = tuple[Any, ...]

FIELD_TYPES = (type(None), bool, int, float, str, bytes, tuple)
MAXIMUM_DEPTH = 32
_SAME_AS_THEIR_KEYS = frozenset({type(None), int, str, bytes})
_TAGS = {bool: "b", float: "f"}


def checked(fields: Fields) -> Fields:
    """The fields of a tuple, if a space can hold them.

    Raises:
        InvalidField: there are none, or one is of another type (subclasses count as others), is
            not a number, or is nested deeper than `MAXIMUM_DEPTH`.
    """
    if not fields:
        raise InvalidField("a tuple needs at least one field")
    for number, value in enumerate(fields):
        if type(value) not in _SAME_AS_THEIR_KEYS:  # most are, and need no name
            check_field(value, f"fields[{number}]")
    return fields


def check_field(value: object, where: str, depth: int = 0) -> None:
    """Refuse what is no field.

    Args:
        value: what may be one.
        where: its place, for the message.
        depth: in how many fields that are tuples it stands.

    Raises:
        InvalidField: it is none.
    """
    kind = type(value)
    if kind in _SAME_AS_THEIR_KEYS or kind is bool:
        return
    if isinstance(value, float) and kind is float:
        if math.isnan(value):
            raise InvalidField(f"{where} is not a number (NaN): nothing would ever match it")
        return
    if not isinstance(value, tuple) or kind is not tuple:
        raise InvalidField(
            f"{where} is of type {kind.__qualname__}: {shown(value)}; a field is None, "
            "a bool, int, float, str or bytes, or a tuple of these, and of no subclass"
        )
    if depth >= MAXIMUM_DEPTH:
        raise InvalidField(f"{where} is nested deeper than {MAXIMUM_DEPTH} tuples")
    for number, item in enumerate(value):
        check_field(item, f"{where}[{number}]", depth + 1)


class _Short(reprlib.Repr):
    def __init__(self) -> None:
        super().__init__()
        self.maxstring = self.maxother = 80

    def repr_int(self, x: int, level: int) -> str:
        """Python refuses to write an int of more than 4,300 digits."""
        return super().repr_int(x, level) if x.bit_length() < 256 else f"<{x.bit_length()} bits>"


def shown(value: object) -> str:
    """A value for a message, shortened."""
    return _Short().repr(value)


def key(value: Any) -> Hashable:
    """What is equal, and hashes equally, exactly for fields that are the same.

    A tagged tuple stands only for a bool, a float or a tuple, so that none is taken for another.
    """
    kind = type(value)
    if kind in _SAME_AS_THEIR_KEYS:
        return value  # type: ignore[no-any-return]
    if kind is tuple:
        return ("t", *map(key, value))
    return _TAGS[kind], value
