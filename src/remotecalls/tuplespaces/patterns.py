"""What a reader asks for: a value, a type, anything, or a condition, for each field.

Linda matches by actual fields (values) and formal ones (types): Gelernter, "Generative
Communication in Linda", ACM TOPLAS 7(1), 1985, section 2. The conditions are ours.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Hashable
from typing import Any, Final, Literal, cast

from remotecalls.tuplespaces.conditions import Condition
from remotecalls.tuplespaces.errors import InvalidField, InvalidPattern
from remotecalls.tuplespaces.fields import FIELD_TYPES, Fields, check_field, key, shown
from remotecalls.tuplespaces.index import FREE, TYPE, VALUE, key_under


class _Any(enum.Enum):
    ANY = "ANY"

    def __repr__(self) -> str:
        return "ANY"


ANY: Final[Literal[_Any.ANY]] = _Any.ANY
"""Matches every value of a field."""


class Pattern:
    """A pattern, taken apart for the indexes.

    Attributes:
        fields: as the caller gave them.
        shape: how each is fixed.
        key: by what the fixed ones are.
        conditions: what remains to be asked of a tuple that the index found.

    Raises:
        InvalidPattern: there are no fields, or one is neither a field's value nor one of its types,
            nor `ANY`, nor a condition.
    """

    __slots__ = ("conditions", "fields", "key", "shape")

    def __init__(self, fields: Fields) -> None:
        if not fields:
            raise InvalidPattern("a pattern needs at least one field")
        kinds: list[str] = []
        fixed: list[Hashable] = []
        conditions: list[tuple[int, Callable[[Any], bool]]] = []
        for number, field in enumerate(fields):
            if field is ANY:
                kinds.append(FREE)
            elif isinstance(field, Condition):
                kinds.append(FREE)
                conditions.append((number, field.holds))
            elif isinstance(field, type):
                if field not in FIELD_TYPES:
                    raise InvalidPattern(
                        f"pattern[{number}] is the type {field.__qualname__}, which no field has"
                    )
                kinds.append(TYPE)
                fixed.append(cast(Hashable, field))
            else:
                _check(field, number)
                kinds.append(VALUE)
                fixed.append(key(field))
        self.fields = fields
        self.shape = "".join(kinds)
        self.key = tuple(fixed)
        self.conditions = conditions

    def accepts(self, fields: Fields) -> bool:
        """Whether the conditions hold for a tuple whose fixed fields are known to match."""
        for number, holds in self.conditions:  # noqa: SIM110 (half as fast as a generator)
            if not holds(fields[number]):
                return False
        return True

    def is_for(self, fields: Fields) -> bool:
        """Whether a tuple has this length and the fixed fields; conditions are not asked."""
        return len(fields) == len(self.shape) and key_under(self.shape, fields) == self.key

    def __str__(self) -> str:
        names = [
            field.__qualname__ if isinstance(field, type) else shown(field) for field in self.fields
        ]
        return f"({', '.join(names)})"


def _check(field: object, number: int) -> None:
    where = f"pattern[{number}]"
    if isinstance(field, float) and math.isnan(field):
        raise InvalidPattern(f"{where} is not a number (NaN), and matches nothing")
    try:
        check_field(field, where)
    except InvalidField as error:
        hint = "; in a pattern also a type, ANY, at_least(...), at_most(...), between(...), "
        raise InvalidPattern(f"{error}{hint}one_of(...) or satisfies(...)") from None
