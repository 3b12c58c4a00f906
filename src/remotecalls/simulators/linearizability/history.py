"""A history: what clients called, when, and what came of it. And how it is kept in a file.

Operation *a* comes *before* operation *b* if *a* had returned when *b* was called: at an earlier
microsecond, not at the same one. All other pairs *overlap*, those of one process too: whoever
wants a process's calls in their order gives them distinct times.

Source: Herlihy and Wing, "Linearizability: A Correctness Condition for Concurrent Objects", ACM
Transactions on Programming Languages and Systems, 1990.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from typing import Any

READ, WRITE, CAS = "read", "write", "cas"
ENQUEUE, DEQUEUE = "enqueue", "dequeue"
ADD, REMOVE, CONTAINS = "add", "remove", "contains"

KINDS = (READ, WRITE, CAS, ENQUEUE, DEQUEUE, ADD, REMOVE, CONTAINS)
"""Of a register the first three; of a queue the next two; of a set the last three."""

PAIRS = {CAS: "the old and the new", CONTAINS: "what was asked for and the answer"}
"""The kinds whose value is a pair."""

OK, FAILED, UNKNOWN = "ok", "failed", "unknown"

OUTCOMES = (OK, FAILED, UNKNOWN)
"""It is done; it is certain that nothing was changed; nobody knows."""


@dataclass(frozen=True)
class Operation:
    """One call of one client.

    Attributes:
        process: who called; it calls again only after the return.
        key: of which register, queue or set; each key is an object of its own.
        kind: one of `KINDS`.
        value: what was written, enqueued, added or removed; or what a read or a dequeue returned;
            for a cas the pair of what was to be there and what was to replace it; for a contains
            the pair of what was asked for and the answer. It can be hashed.
        called_us: when the call began, in microseconds.
        returned_us: when the client had the answer; None if it never had one.
        outcome: "ok"; "failed", and nothing has changed; or "unknown", and the operation may take
            effect at any time after its call, or never.

    Raises:
        ValueError: a field does not fit the others; the message says which one and what to do.
    """

    process: int
    key: str
    kind: str
    value: Any
    called_us: int
    returned_us: int | None
    outcome: str = OK

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"kind is {self.kind!r}. Use one of {', '.join(KINDS)}.")
        if self.outcome not in OUTCOMES:
            raise ValueError(f"outcome is {self.outcome!r}. Use one of {', '.join(OUTCOMES)}.")
        if self.outcome == UNKNOWN:
            if self.returned_us is not None:
                raise ValueError(
                    f"returned_us is {self.returned_us} and the outcome unknown. Leave returned_us "
                    "empty: an operation of unknown outcome may take effect after that."
                )
        elif self.returned_us is None:
            raise ValueError(
                f"returned_us is empty and the outcome {self.outcome}. Give the time of the "
                "return, or say that the outcome is unknown."
            )
        elif self.returned_us < self.called_us:
            raise ValueError(
                f"returned_us is {self.returned_us}, before called_us, {self.called_us}. "
                "Take both times from the same clock."
            )
        if self.kind in PAIRS and not (isinstance(self.value, tuple) and len(self.value) == 2):
            raise ValueError(
                f"value of a {self.kind} is {self.value!r}. Give a pair: {PAIRS[self.kind]}."
            )
        try:
            hash(self.value)
        except TypeError:
            raise ValueError(
                f"value is {self.value!r}, which cannot be hashed. Use text, a number, or a tuple."
            ) from None

    def __str__(self) -> str:
        end = "" if self.returned_us is None else self.returned_us
        outcome = "" if self.outcome == OK else f", {self.outcome}"
        value = "{} -> {}".format(*self.value) if self.kind == CAS else self.value
        when = f"{self.called_us}..{end} us"
        return f"{self.kind} {self.key} {value} by {self.process} ({when}{outcome})"


class HistoryError(ValueError):
    """A line of a file that is no part of a history.

    Attributes:
        line: its number, from 1.
        text: the line.
        problem: what is wrong.
        remedy: what to do.
    """

    def __init__(self, line: int, text: str, problem: str, remedy: str) -> None:
        self.line = line
        self.text = text
        self.problem = problem
        self.remedy = remedy
        super().__init__(f"line {line}: {problem}. {remedy} The line: {text}")


# ---------------------------------------------------------------- JSON, an operation a line

_FIELDS = tuple(field.name for field in fields(Operation))
_EXAMPLE = (
    '{"process": 0, "key": "x", "kind": "write", "value": 1, '
    '"called_us": 10, "returned_us": 25, "outcome": "ok"}'
)


def to_json_lines(history: Iterable[Operation]) -> str:
    """Return one JSON object a line, with a member for each field of `Operation`.

    `returned_us` is null if there was no return. A value that is a tuple becomes an array; so does
    the pair of a cas. Values are otherwise null, booleans, numbers and text.

    Args:
        history: the operations, in the order in which they are to stand.

    Raises:
        TypeError: JSON has nothing for a value.
        ValueError: a number is infinite, or none.
    """
    return "".join(json.dumps(asdict(each), allow_nan=False) + "\n" for each in history)


def from_json_lines(text: str) -> tuple[Operation, ...]:
    """Read what `to_json_lines` writes; an empty line is skipped.

    Args:
        text: the whole file.

    Raises:
        HistoryError: a line is no operation.
    """
    return tuple(
        _operation(number, line)
        for number, line in enumerate(text.split("\n"), start=1)
        if line.strip()
    )


def _operation(number: int, line: str) -> Operation:
    try:
        found = json.loads(line, parse_constant=_no_number)
    except ValueError as error:
        raise HistoryError(
            number, line, f"no JSON ({error})", f"Write an object a line: {_EXAMPLE}."
        ) from None
    if not isinstance(found, dict) or set(found) != set(_FIELDS):
        names = ", ".join(_FIELDS)
        raise HistoryError(
            number, line, "not the members of an operation", f"Give exactly these: {names}."
        )
    for name, types, remedy in _TYPES:
        if not isinstance(found[name], types) or isinstance(found[name], bool):
            raise HistoryError(number, line, f"{name} is {json.dumps(found[name])}", remedy)
    try:
        return Operation(**found | {"value": _value(found["value"])})
    except ValueError as error:
        problem, _, remedy = str(error).partition(". ")
        raise HistoryError(number, line, problem, remedy) from None


_TYPES: tuple[tuple[str, type | tuple[type, ...], str], ...] = (
    ("process", int, "Give a whole number."),
    ("key", str, "Give text."),
    ("kind", str, f"Give one of {', '.join(KINDS)}."),
    ("called_us", int, "Give whole microseconds."),
    ("returned_us", (int, type(None)), "Give whole microseconds, or null."),
    ("outcome", str, f"Give one of {', '.join(OUTCOMES)}."),
)


def _value(found: Any) -> Any:
    """Return what can be hashed in place of JSON's arrays."""
    return tuple(map(_value, found)) if isinstance(found, list) else found


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no number in JSON")
