"""Bytes with a label on each: what a dissector finds and a view shows."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import construct

PREVIEW = 64
"""Characters of a value that are shown before it is cut."""


class Kind(StrEnum):
    """What part a field plays. Views mark kinds by pattern as well as by color."""

    LENGTH = "length"
    """How many bytes, or how many things, follow."""

    TYPE = "type"
    """Which message this is, or which variant of a field: a verb, a tag, a status."""

    KEY = "key"
    """Names something: a request id, a field name, a customer number."""

    VALUE = "value"
    """What the message is about."""

    DELIMITER = "delimiter"
    """Separates or ends."""

    PADDING = "padding"
    """Fills up, without meaning."""

    CHECKSUM = "checksum"
    """Guards other bytes."""

    OPAQUE = "opaque"
    """Not understood, or not described."""

    INCOMPLETE = "incomplete"
    """The beginning of a field whose rest has not arrived."""


@dataclass(frozen=True, slots=True)
class Field:
    """A label on the bytes from `start` up to, but not including, `end`.

    Attributes:
        start: offset of the first byte.
        end: offset after the last byte. Equal to `start` for a field that is there but empty.
        name: dotted path in the declaration, such as `order.item` or `orders[2].item`.
        value: the bytes as a person reads them.
        meaning: what the value says, or empty.
        kind: the part it plays.
        message: which message of the stream the field belongs to, from 0.
    """

    start: int
    end: int
    name: str
    value: str
    meaning: str = ""
    kind: Kind = Kind.VALUE
    message: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.start <= self.end:
            raise ValueError(f"field {self.name!r} runs from {self.start} to {self.end}")
        if not self.name:
            raise ValueError(f"the field at {self.start} has no name")
        object.__setattr__(self, "kind", Kind(self.kind))


class CoverageError(ValueError):
    """Fields do not cover the data: a byte has no label, or more than one."""


@dataclass(frozen=True, slots=True)
class Dissection:
    """Bytes and their labels.

    Attributes:
        data: the bytes.
        fields: their labels, in order.

    Raises:
        CoverageError: the fields do not cover every byte exactly once, in order.
    """

    data: bytes
    fields: tuple[Field, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "fields", tuple(self.fields))
        covered = 0
        for field in self.fields:
            if field.start > covered:
                raise CoverageError(f"bytes {covered} to {field.start - 1} have no label")
            if field.start < covered:
                raise CoverageError(f"byte {field.start} has a second label, {field.name!r}")
            covered = field.end
        if covered < len(self.data):
            raise CoverageError(f"bytes {covered} to {len(self.data) - 1} have no label")
        if covered > len(self.data):
            raise CoverageError(f"the labels end at {covered}, the data at {len(self.data)}")

    @property
    def messages(self) -> int:
        """How many messages there are, an incomplete last one included."""
        return len({field.message for field in self.fields})

    def bytes_of(self, field: Field) -> bytes:
        """The bytes under a label."""
        return self.data[field.start : field.end]


def show_value(value: Any) -> str:
    """A value as text: strings and printable bytes in quotes, other bytes in hexadecimal."""
    if isinstance(value, construct.EnumIntegerString):
        return cut(f"{int(value)} ({value!s})")
    if isinstance(value, bytes):
        if not all(0x20 <= byte < 0x7F or byte in b"\t\r\n" for byte in value):
            return cut(value[:PREVIEW].hex(" "))
        value = value.decode("ascii")
    if isinstance(value, str):
        return cut("".join(map(_printable, json.dumps(value, ensure_ascii=False))))
    if isinstance(value, list):
        return cut(f"[{', '.join(map(show_value, value))}]")
    return cut(str(value))


def _printable(character: str) -> str:
    return character if character.isprintable() else ascii(character)[1:-1]


def cut(text: str) -> str:
    """A text short enough to be shown in a list."""
    return text if len(text) <= PREVIEW else text[: PREVIEW - 1] + "…"


def count_bytes(count: int) -> str:
    """A number of bytes in words: `1 byte`, `4,096 bytes`."""
    return "1 byte" if count == 1 else f"{count:,} bytes"
