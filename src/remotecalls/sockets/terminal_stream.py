"""The data stream of a 3270 terminal: what a screen is on the wire, and what comes back.

A stream is text in EBCDIC with orders in it: *set buffer address* moves to a place of the screen,
*start field* puts an attribute byte there. The terminal keeps what is typed to itself until a key
like Enter, and then sends the key and the fields that were changed: one message for many keys.

Source: IBM 3270 Data Stream Programmer's Reference (GA23-0059), chapters 3 and 4.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from remotecalls.sockets.copybook import CODE_PAGE
from remotecalls.sockets.screen import COLUMNS, ROWS, Attribute, ScreenMap
from remotecalls.wire.errors import ProtocolError

ERASE_WRITE = 0xF5
UNLOCK_KEYBOARD = 0xC3  # write control character: restore the keyboard, reset changed marks
SET_ADDRESS, START_FIELD, INSERT_CURSOR = 0x11, 0x1D, 0x13
ENTER, CLEAR, PF3 = 0x7D, 0x6D, 0xF3
PROTECTED, NUMERIC, BRIGHT = 0x20, 0x10, 0x08
SIZE = ROWS * COLUMNS

# Six bits as a character of EBCDIC that can be printed (GA23-0059, figure 3-1).
SIX_BITS = b"".join(
    bytes(range(first, last + 1))
    for first, last in [
        (0x40, 0x40),
        *((0xC1, 0xC9), (0x4A, 0x50), (0xD1, 0xD9), (0x5A, 0x61)),
        *((0xE2, 0xE9), (0x6A, 0x6F), (0xF0, 0xF9), (0x7A, 0x7F)),
    ]
)


def address_bytes(row: int, column: int) -> bytes:
    """A place of the screen, both counted from 1, as two characters of six bits."""
    place = (row - 1) * COLUMNS + column - 1
    return bytes([SIX_BITS[place >> 6], SIX_BITS[place & 0x3F]])


def place_of(data: bytes) -> int:
    """The place, counted from 0, that two address bytes name.

    Raises:
        ProtocolError: it lies beyond the screen.
    """
    high, low = data
    # Both forms are in use: six bits in each character, or fourteen bits in plain binary.
    place = (high & 0x3F) << 6 | low & 0x3F if high & 0xC0 else high << 8 | low
    if place >= SIZE:
        raise ProtocolError(f"place {place} is beyond a screen of {SIZE}")
    return place


def write_screen(screen: ScreenMap, values: Mapping[str, str]) -> bytes:
    """Erase the terminal's screen and write this one, with the cursor in its first open field.

    Raises:
        KeyError: the screen has no such field.
        ValueError: a value does not fit its field, or the code page.
    """
    unknown = set(values) - {field.name for field in screen.fields}
    if unknown:
        raise KeyError(", ".join(sorted(unknown)))
    stream = bytearray([ERASE_WRITE, UNLOCK_KEYBOARD])
    cursor = False
    for text in screen.texts:
        stream += _field(text.row, text.column, Attribute.PROTECTED)
        stream += text.content.encode(CODE_PAGE)
    for field in screen.fields:
        stream += _field(field.row, field.column, field.attributes)
        if not cursor and Attribute.PROTECTED not in field.attributes:
            stream.append(INSERT_CURSOR)
            cursor = True
        # Zeros, not blanks, where nothing stands: a terminal inserts only where it can push zeros.
        stream += field.fit(values.get(field.name, "")).rstrip().encode(CODE_PAGE)
        stream += bytes(field.length - len(values.get(field.name, "").rstrip()))
        end = screen.stop_of(field)
        if end is not None:
            stream += _field(field.row, end, Attribute.PROTECTED)
    return bytes(stream)


def _field(row: int, column: int, attributes: Attribute) -> bytes:
    bits = PROTECTED * (Attribute.PROTECTED in attributes)
    bits |= NUMERIC * (Attribute.NUMERIC in attributes)
    bits |= BRIGHT * (Attribute.BRIGHT in attributes)
    return bytes([SET_ADDRESS]) + address_bytes(row, column) + bytes([START_FIELD, SIX_BITS[bits]])


@dataclass(frozen=True)
class Input:
    """What a terminal sent.

    Attributes:
        key: the attention identifier, such as `ENTER`.
        fields: by the name of the field, what was typed into it.
    """

    key: int
    fields: Mapping[str, str]


def read_input(screen: ScreenMap, record: bytes) -> Input:
    """Read what a terminal sent after a key.

    Raises:
        ProtocolError: it is no such message, or names a place where no field of the screen is.
    """
    if not record:
        raise ProtocolError("an empty record")
    key, rest = record[0], record[3:]
    begins = {(field.row - 1) * COLUMNS + field.column: field.name for field in screen.fields}
    fields: dict[str, str] = {}
    pieces = rest.split(bytes([SET_ADDRESS]))
    if pieces[0]:
        raise ProtocolError("text before the first buffer address")
    for piece in pieces[1:]:
        if len(piece) < 2:
            raise ProtocolError("a buffer address needs two bytes")
        place = place_of(piece[:2])
        if place not in begins:
            raise ProtocolError(f"no field begins at place {place}")
        fields[begins[place]] = piece[2:].replace(b"\0", b"").decode(CODE_PAGE).strip()
    return Input(key, fields)
