"""COBOL copybooks: the record layouts that programs of both ends copy into their source.

A copybook is an interface definition of 1960. It says where each field stands, in bytes, and what
is in it; nothing on the wire repeats that. This module reads the part of the language that such
files need: levels 01 and 05, `PIC X(n)`, `PIC 9(n)`, `PIC S9(n)V99 COMP-3`, and `FILLER` for bytes
that nobody reads. What else it finds it refuses, with the number of the line.

Source: ISO/IEC 1989 (COBOL), the data description entry; IBM Enterprise COBOL Language Reference
(SC27-8713), "Reference format".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from remotecalls.sockets.packed_decimal import PackedDecimalError, pack, packed_size, unpack

CODE_PAGE = "cp037"
"""EBCDIC as used in the United States (CCSID 37): every Latin-1 character, none beyond."""

BLANK = " ".encode(CODE_PAGE)
ZERO = 0xF0
MOST_DIGITS = 18
"""COBOL's own limit, before its compilers offered 31."""
FILLER = "FILLER"

_RECORD = re.compile(r"01\s+([A-Z0-9-]+)")
_FIELD = re.compile(
    r"05\s+([A-Z0-9-]+)\s+PIC(?:TURE)?\s+"
    r"(?:X\((?P<text>\d+)\)|9\((?P<digits>\d+)\)|S9\((?P<whole>\d+)\)V(?P<cents>9+)\s+COMP-3)"
)


class CopybookError(ValueError):
    """A line of a copybook is not understood."""


class FieldError(ValueError):
    """A value does not fit its field, or the bytes of a field do not hold what it declares."""


class Usage(Enum):
    """How a field is written."""

    TEXT = "PIC X"
    DIGITS = "PIC 9"
    PACKED = "COMP-3"


@dataclass(frozen=True)
class FieldLayout:
    """One field of a record.

    Attributes:
        name: as in the copybook.
        usage: how it is written.
        start: its first byte, counted from the beginning of the record.
        size: its bytes.
        digits: for numbers, how many digits it has; for text 0.
    """

    name: str
    usage: Usage
    start: int
    size: int
    digits: int = 0

    def encode(self, value: str | int) -> bytes:
        """Write a text, or a whole number (for money, of cents).

        Raises:
            FieldError: it does not fit, or would not come back as it was.
        """
        if isinstance(value, str) is not (self.usage is Usage.TEXT):
            raise FieldError(f"{self.name} is {self.usage.value}, and {value!r} is not")
        if isinstance(value, str):
            return self._encode_text(value)
        if self.usage is Usage.DIGITS:
            if not 0 <= value < 10**self.digits:
                raise FieldError(f"{self.name} takes 0 to {10**self.digits - 1:,}, not {value:,}")
            return f"{value:0{self.digits}}".encode(CODE_PAGE)
        try:
            return pack(value, self.digits)
        except PackedDecimalError as error:
            raise FieldError(f"{self.name}: {error}") from error

    def decode(self, record: bytes) -> str | int:
        """Read the field out of its record.

        Raises:
            FieldError: the bytes do not hold what the field declares.
        """
        data = record[self.start : self.start + self.size]
        if self.usage is Usage.TEXT:
            return data.rstrip(BLANK).decode(CODE_PAGE)
        if self.usage is Usage.PACKED:
            return self._decode_packed(data)
        for place, byte in enumerate(data, self.start):
            if not ZERO <= byte <= ZERO + 9:
                raise FieldError(f"{self.name}: byte {place} is 0x{byte:02X}, no EBCDIC digit")
        return int(data.decode(CODE_PAGE))

    def _decode_packed(self, data: bytes) -> int:
        try:
            value = unpack(data)
        except PackedDecimalError as error:
            raise FieldError(f"{self.name} at byte {self.start}: {error}") from error
        if abs(value) >= 10**self.digits:  # an even number of digits leaves half a byte over
            raise FieldError(
                f"{self.name} at byte {self.start}: {value} has more than {self.digits} digits"
            )
        return value

    def _encode_text(self, text: str) -> bytes:
        if not writable(text):
            raise FieldError(
                f"{text!r} cannot be written in {self.name}: code page 037 has the characters of "
                "Latin-1, and blanks at the end are padding"
            )
        if len(text) > self.size:
            raise FieldError(f"{text!r} is longer than {self.name}, which has {self.size} bytes")
        return text.encode(CODE_PAGE).ljust(self.size, BLANK)


def writable(text: str) -> bool:
    """Whether a text comes back from a field of fixed width as it was."""
    return not text.endswith(" ") and all(ord(character) < 256 for character in text)


@dataclass(frozen=True)
class RecordLayout:
    """One record: an 01 level and its fields."""

    name: str
    fields: tuple[FieldLayout, ...]

    @property
    def size(self) -> int:
        """Its bytes."""
        return sum(field.size for field in self.fields)

    def encode(self, values: Mapping[str, str | int]) -> bytes:
        """Write the record, with blanks for its fillers.

        Raises:
            FieldError: a value does not fit its field.
            KeyError: a field has no value.
        """
        return b"".join(
            BLANK * field.size if field.name == FILLER else field.encode(values[field.name])
            for field in self.fields
        )

    def decode(self, record: bytes) -> dict[str, str | int]:
        """Read the record, but its fillers, which may hold anything.

        Raises:
            FieldError: it has another length, or a field does not hold what it declares.
        """
        if len(record) != self.size:
            raise FieldError(f"{self.name} has {self.size} bytes, not {len(record)}")
        return {field.name: field.decode(record) for field in self.fields if field.name != FILLER}

    def with_field(self, field: FieldLayout) -> RecordLayout:
        """The record with one more field at its end.

        Raises:
            CopybookError: it has a field of that name already.
        """
        if field.name != FILLER and field.name in {each.name for each in self.fields}:
            raise CopybookError(f"{self.name} has a field {field.name} already")
        return RecordLayout(self.name, (*self.fields, field))


def parse_copybook(text: str) -> dict[str, RecordLayout]:
    """Read the records of a copybook in fixed format.

    A statement stands in columns 8 to 72 of a line, ended by a full stop; `*` or `/` in column 7
    makes the line a comment, and the columns before and after are for the numbers of punched cards.

    Returns:
        The records by name, in their order.

    Raises:
        CopybookError: a line is not understood; the message has its number.
    """
    records: dict[str, RecordLayout] = {}
    for number, line in enumerate(text.splitlines(), 1):
        try:
            statement = _statement(line)
            if statement:
                _take(statement, records)
        except CopybookError as error:
            raise CopybookError(f"line {number}: {error}") from None
    for record in records.values():
        if not record.fields:
            raise CopybookError(f"{record.name} has no fields")
    return records


def _statement(line: str) -> str:
    indicator, statement = line[6:7], line[7:72].strip()
    if indicator in {"*", "/"} or not line[6:72].strip():
        return ""
    if indicator != " ":
        raise CopybookError(f"{indicator!r} in column 7; a statement has a blank there")
    if not statement.endswith("."):
        raise CopybookError(f"{statement!r} does not end with a full stop")
    return statement[:-1]


def _take(statement: str, records: dict[str, RecordLayout]) -> None:
    if found := _RECORD.fullmatch(statement):
        if found[1] in records:
            raise CopybookError(f"there is a record {found[1]} already")
        records[found[1]] = RecordLayout(found[1], ())
    elif (found := _FIELD.fullmatch(statement)) and records:
        name = next(reversed(records))
        records[name] = records[name].with_field(_field(found, records[name].size))
    else:
        raise CopybookError(
            f"{statement!r} is neither a record (01) nor a field (05) with "
            "PIC X(n), PIC 9(n) or PIC S9(n)V99 COMP-3"
        )


def _field(found: re.Match[str], start: int) -> FieldLayout:
    name = found[1]
    if found["text"]:
        layout = FieldLayout(name, Usage.TEXT, start, int(found["text"]))
    elif found["digits"]:
        digits = int(found["digits"])
        layout = FieldLayout(name, Usage.DIGITS, start, digits, digits)
    else:
        digits = int(found["whole"]) + len(found["cents"])
        layout = FieldLayout(name, Usage.PACKED, start, packed_size(digits), digits)
    if layout.size == 0 or layout.digits > MOST_DIGITS:
        raise CopybookError(f"{name} needs at least one place, and at most {MOST_DIGITS} digits")
    if name == FILLER and layout.usage is not Usage.TEXT:
        raise CopybookError("a FILLER holds no number: write PIC X(n)")
    return layout
