"""The bytes of HTTP/1.x, declared for the dissectors of every protocol that uses it.

Sources: RFC 1945 (HTTP/1.0), RFC 9112 (HTTP/1.1), RFC 8259 (JSON), XML 1.0.
"""

from __future__ import annotations

import json
import zlib
from typing import Any
from urllib.parse import unquote_plus
from xml.sax.saxutils import unescape

from construct import (
    Bytes,
    Construct,
    IfThenElse,
    Optional,
    Peek,
    RepeatUntil,
    Struct,
    Switch,
    this,
)

from remotecalls.wire.dissect import (
    Dissection,
    Layout,
    converted,
    delimiter,
    dissect_messages,
    labelled,
    line,
    matching,
    not_understood,
    repeated,
    sized,
    upto,
)
from remotecalls.wire.recording import Direction

CRLF = b"\r\n"


def _word(name: str, *ends: bytes, kind: str = "value", meaning: str = "") -> Layout:
    text = converted(upto(*ends), lambda data: data.decode("latin-1"))
    return labelled(name, text, kind=kind, meaning=meaning)


def _split(line_of_head: bytes) -> tuple[str, str]:
    name, _, value = line_of_head.decode("latin-1").strip().partition(":")
    return name, value.strip()


# One label for a line and the end of the line before it: four for each would hide what they say.
HEADERS = repeated(
    labelled(
        "header",
        converted(matching(rb"\r\n[^:\r\n]+:[^\r\n]*"), _split),
        kind="key",
        show=lambda pair: f"{pair[0]}: {pair[1]}",
    )
)
REQUEST_HEAD = line(
    Struct(
        _word("method", b" ", kind="type", meaning="GET asks, POST changes"),
        delimiter(b" ", "blank"),
        _word("target", b" ", CRLF, kind="key", meaning="what is meant"),
        delimiter(b" ", "blank"),
        _word("version", CRLF, kind="type"),
        "headers" / HEADERS,
    ),
    end=2 * CRLF,
)
ANSWER_HEAD = line(
    Struct(
        _word("version", b" ", kind="type"),
        delimiter(b" ", "blank"),
        _word("status", CRLF, kind="type", meaning="for a program of the Web"),
        "headers" / HEADERS,
    ),
    end=2 * CRLF,
)

# ---------------------------------------------------------------- bodies

FORM = repeated(
    Struct(
        _word("field", b"=", kind="key", meaning="of the form"),
        delimiter(b"=", "equals"),
        labelled(
            "value",
            converted(upto(b"&"), lambda data: unquote_plus(data.decode("ascii"))),
            meaning="blanks as +, other bytes as %XX",
        ),
        Optional(delimiter(b"&", "and")),
    )
)

_STRING = rb'"(?:[^"\\]|\\.)*"'
_JSON_VALUE = labelled(
    "value",
    converted(matching(_STRING + rb"|-?[0-9][0-9.eE+-]*|true|false|null"), json.loads),
)
_JSON_STRING = Struct(
    "is_key" / Peek(matching(_STRING + rb"\s*:")),
    IfThenElse(
        lambda it: it.is_key is not None,
        labelled("member", converted(matching(_STRING), json.loads), kind="key"),
        _JSON_VALUE,
    ),
)
_JSON_MARK = labelled(
    "mark", converted(matching(rb"[\[\]{}:,\s]+"), bytes.decode), kind="delimiter"
)
JSON = repeated(
    Struct(
        "start" / Peek(Bytes(1)),
        Switch(
            this.start,
            {b'"': _JSON_STRING}
            | {bytes([byte]): _JSON_MARK for byte in b"[]{}:, \t\r\n"}
            | {bytes([byte]): _JSON_VALUE for byte in b"-0123456789tfn"},
            default=not_understood("nothing in JSON begins so"),
        ),
    )
)

_XML_MARKUP = labelled(
    "markup", converted(matching(rb"<[^>]*>"), bytes.decode), kind="key", meaning="a tag"
)
_XML_TEXT = labelled(
    "text",
    converted(
        matching(rb"[^<]+"),
        lambda data: unescape(data.decode(), {"&#13;": "\r", "&quot;": '"', "&apos;": "'"}),
    ),
)
XML = repeated(
    Struct(
        "start" / Peek(Bytes(1)),
        IfThenElse(lambda it: it.start == b"<", _XML_MARKUP, _XML_TEXT),
    )
)

TEXT = Optional(labelled("body", converted(matching(rb".+"), lambda data: data.decode("latin-1"))))

LARGEST_SHOWN = 100_000


def _unzipped(data: bytes) -> str:
    try:
        return zlib.decompressobj(wbits=31).decompress(data, LARGEST_SHOWN).decode("latin-1")
    except zlib.error as error:
        raise ValueError(f"no gzip: {error}") from error


GZIP = labelled(
    "body",
    converted(matching(rb".+"), _unzipped),
    meaning="compressed by gzip; the value is what it holds",
)

# ---------------------------------------------------------------- messages


def header(context: Any, name: str) -> str:
    """The value of a header of the message that is read, or the empty text."""
    # A head that is not understood has no headers.
    for each, value in context.head.get("headers", []):
        if each.lower() == name:
            return str(value)
    return ""


def content_length(context: Any) -> int:
    """The length of the body in bytes, as the message's own header has it."""
    length = header(context, "content-length")
    return int(length) if length.isdecimal() else 0


def body_by_type(context: Any) -> Layout:
    """The layout that a body's media type asks for."""
    if header(context, "content-encoding") == "gzip":
        return GZIP
    media_type = header(context, "content-type").partition(";")[0].strip().lower()
    if media_type.endswith(("json", "ndjson")):
        return JSON
    if media_type.endswith("xml"):
        return XML
    return FORM if media_type == "application/x-www-form-urlencoded" else TEXT


class _BodyByType(Construct):  # type: ignore[misc]  # construct has no types
    """A body in the layout of its media type."""

    def _parse(self, stream: Any, context: Any, path: str) -> Any:
        head = context if "head" in context else context._
        while "head" not in head:
            head = head._
        return body_by_type(head)._parsereport(stream, context, path)


_CHUNK_SIZE = labelled(
    "chunk size",
    converted(matching(rb"[0-9A-Fa-f]+(?=\r\n)"), lambda data: int(data, 16)),
    kind="length",
    meaning="bytes of the chunk, hexadecimal",
)
CHUNKS = RepeatUntil(
    lambda chunk, _list, _context: chunk["chunk size"] == 0,
    Struct(
        _CHUNK_SIZE,
        delimiter(CRLF, "end of line"),
        sized(lambda it: it["chunk size"], _BodyByType()),
        delimiter(CRLF, "end of chunk"),
    ),
)

BODY = IfThenElse(
    lambda it: header(it, "transfer-encoding").lower() == "chunked",
    CHUNKS,
    sized(content_length, _BodyByType()),
)

MESSAGES = {
    Direction.CLIENT_TO_SERVER: Struct("head" / REQUEST_HEAD, BODY),
    Direction.SERVER_TO_CLIENT: Struct("head" / ANSWER_HEAD, BODY),
}


def dissect_http(data: bytes, direction: Direction) -> Dissection:
    """Label every byte of one direction of connections that speak HTTP/1.1."""
    return dissect_messages(data, MESSAGES[direction])
