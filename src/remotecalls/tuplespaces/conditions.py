"""Conditions on one field of a pattern: bounds, choices, and functions of one's own."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from remotecalls.tuplespaces.errors import InvalidField, InvalidPattern
from remotecalls.tuplespaces.fields import check_field, key, shown

BOUND_TYPES = (int, float, str, bytes)
Bound = TypeVar("Bound", int, float, str, bytes)


class Condition(ABC):
    """What a field's value has to fulfill."""

    @abstractmethod
    def holds(self, value: Any) -> bool:
        """Whether it does."""


@dataclass(frozen=True)
class AtLeast(Condition):
    """Values of the bound's own type that are not below it."""

    bound: Any

    def holds(self, value: Any) -> bool:
        """Whether the value is of the bound's type and not below it."""
        return type(value) is type(self.bound) and bool(value >= self.bound)

    def __repr__(self) -> str:
        return f"at_least({self.bound!r})"


@dataclass(frozen=True)
class AtMost(Condition):
    """Values of the bound's own type that are not above it."""

    bound: Any

    def holds(self, value: Any) -> bool:
        """Whether the value is of the bound's type and not above it."""
        return type(value) is type(self.bound) and bool(value <= self.bound)

    def __repr__(self) -> str:
        return f"at_most({self.bound!r})"


@dataclass(frozen=True)
class Between(Condition):
    """Values of the bounds' own type from the one to the other, both included."""

    low: Any
    high: Any

    def holds(self, value: Any) -> bool:
        """Whether the value is of the bounds' type and within them."""
        return type(value) is type(self.low) and bool(self.low <= value <= self.high)

    def __repr__(self) -> str:
        return f"between({self.low!r}, {self.high!r})"


@dataclass(frozen=True)
class OneOf(Condition):
    """One of a few values."""

    values: tuple[Any, ...]
    _keys: frozenset[Any] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_keys", frozenset(map(key, self.values)))

    def holds(self, value: Any) -> bool:
        """Whether the value is one of them."""
        return key(value) in self._keys

    def __repr__(self) -> str:
        return f"one_of({', '.join(map(repr, self.values))})"


@dataclass(frozen=True)
class Satisfies(Condition):
    """Values of which a function of the caller's says so. It cannot leave the process."""

    function: Callable[[Any], bool]

    def holds(self, value: Any) -> bool:
        """What the function says."""
        return bool(self.function(value))

    def __repr__(self) -> str:
        return f"satisfies({getattr(self.function, '__qualname__', self.function)})"


def at_least(bound: Bound) -> Condition:
    """Match values of exactly the bound's type, from the bound on. `at_least(10)` takes no 10.5.

    Raises:
        InvalidPattern: the bound is not an int, float, str or bytes, or is not a number (NaN).
    """
    return AtLeast(_bound(bound))


def at_most(bound: Bound) -> Condition:
    """Match values of exactly the bound's type, up to the bound.

    Raises:
        InvalidPattern: as for `at_least`.
    """
    return AtMost(_bound(bound))


def between(low: Bound, high: Bound) -> Condition:
    """Match values of exactly the bounds' type from `low` to `high`, both included.

    Raises:
        InvalidPattern: as for `at_least`, or the two are of different types or in the wrong order.
    """
    if type(_bound(low)) is not type(_bound(high)):
        raise InvalidPattern(
            f"between({shown(low)}, {shown(high)}): the bounds are of different types"
        )
    if low > high:
        raise InvalidPattern(
            f"between({shown(low)}, {shown(high)}): the first bound is above the second"
        )
    return Between(low, high)


def one_of(*values: Any) -> Condition:
    """Match any of these values.

    Raises:
        InvalidPattern: there is none, or one is not a value that a field can have.
    """
    if not values:
        raise InvalidPattern("one_of() without values matches nothing")
    for number, value in enumerate(values):
        try:
            check_field(value, f"value {number} of one_of")
        except InvalidField as error:
            raise InvalidPattern(str(error)) from None
    return OneOf(values)


def satisfies(function: Callable[[Any], bool]) -> Condition:
    """Match values of which `function(value)` is true; in process only.

    What the function raises ends the operation that asked, never the one that writes.

    Raises:
        InvalidPattern: it cannot be called.
    """
    if not callable(function):
        raise InvalidPattern(f"satisfies({function!r}): this is not a function")
    return Satisfies(function)


def _bound(bound: Any) -> Any:
    if type(bound) not in BOUND_TYPES:
        raise InvalidPattern(
            f"a bound of type {type(bound).__qualname__}: {shown(bound)}; "
            "bounds are int, float, str or bytes"
        )
    if isinstance(bound, float) and math.isnan(bound):
        raise InvalidPattern("a bound that is not a number (NaN): nothing is above or below it")
    return bound
