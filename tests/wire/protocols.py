"""Two protocols for the tests of the dissector, one of each classical kind of framing.

`ARCHIVE` is length-prefixed, in the manner of a mainframe's variable-length records: nested
structures, an array, padding and a checksum. `COMMANDS` are lines with an optional counted body.
"""

import zlib

from construct import Bytes, Int8ub, Int16ub, Int32ub, Struct, Switch, this

from remotecalls.wire.dissect import (
    converted,
    delimiter,
    labelled,
    line,
    not_understood,
    repeated,
    sized,
    text_with_length,
    upto,
)

ITEM = Struct(
    labelled("sku", Int16ub, kind="key", meaning="stock-keeping unit"),
    text_with_length("title", Int8ub, meaning="for people"),
)
BODIES = {
    1: "order"
    / Struct(
        labelled("count", Int8ub, kind="length", meaning="items that follow"),
        "items" / repeated(ITEM, this.count),
        labelled("fill", Bytes(2), kind="padding"),
    ),
    2: labelled("note", converted(upto(), bytes.decode), meaning="free text"),
    3: "parts" / repeated(ITEM),
}
ARCHIVE = Struct(
    labelled("length", Int16ub, kind="length", meaning="bytes of type and body"),
    sized(
        this.length,
        Struct(
            labelled("type", Int8ub, kind="type", meaning={1: "order", 2: "note", 3: "parts"}),
            Switch(this.type, BODIES, default=not_understood("there is no such type")),
        ),
    ),
    labelled("crc", Int32ub, kind="checksum", show=lambda value: f"{value:08x}"),
)


def archive(kind: int, body: bytes) -> bytes:
    """A record of `ARCHIVE`."""
    record = bytes([kind]) + body
    return len(record).to_bytes(2, "big") + record + zlib.crc32(record).to_bytes(4, "big")


def item(sku: int, title: str) -> bytes:
    """An element of an order."""
    encoded = title.encode()
    return sku.to_bytes(2, "big") + bytes([len(encoded)]) + encoded


def order(*items: bytes) -> bytes:
    """A record of type 1."""
    return archive(1, bytes([len(items)]) + b"".join(items) + b"\0\0")


COMMANDS = Struct(
    "head"
    / line(
        Struct(
            labelled("verb", converted(upto(b" "), bytes.decode), kind="type"),
            delimiter(b" ", "space"),
            labelled("size", converted(upto(), int), kind="length", meaning="bytes of the body"),
        ),
        b"\r\n",
    ),
    "body"
    / sized(
        lambda context: getattr(context.head, "size", 0),
        Struct(labelled("content", upto(), meaning="anything")),
    ),
)
