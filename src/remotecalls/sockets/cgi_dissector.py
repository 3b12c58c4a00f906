"""What each byte of HTTP/1.0 and of a form means, declared apart from the code that reads it."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote_plus

from construct import Bytes, IfThenElse, Optional, Peek, Struct

from remotecalls.sockets.text_dissector import MESSAGES
from remotecalls.wire.dissect import (
    Dissection,
    Layout,
    converted,
    delimiter,
    dissect_messages,
    labelled,
    line,
    repeated,
    sized,
    upto,
)
from remotecalls.wire.recording import Direction

CRLF = b"\r\n"


def _word(name: str, *ends: bytes, kind: str = "value", meaning: str = "") -> Layout:
    text = converted(upto(*ends), lambda data: data.decode("latin-1"))
    return labelled(name, text, kind=kind, meaning=meaning)


HEADERS = repeated(
    Struct(
        delimiter(CRLF, "end of line"),
        "name" / _word("name", b":", CRLF, kind="key", meaning="of the header"),
        delimiter(b": ", "colon"),
        "value" / _word("value", CRLF),
    )
)
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


def _content_length(context: Any) -> int:
    # A head that is not understood has no headers.
    for header in context.head.get("headers", []):
        if header["name"].lower() == "content-length" and header["value"].isdecimal():
            return int(header["value"])
    return 0


REQUEST = Struct(
    "head"
    / line(
        Struct(
            _word("method", b" ", kind="type", meaning="GET asks, POST changes"),
            delimiter(b" ", "blank"),
            _word("target", b" ", CRLF, kind="key", meaning="which program, and the question"),
            delimiter(b" ", "blank"),
            _word("version", CRLF, kind="type"),
            "headers" / HEADERS,
        ),
        end=2 * CRLF,
    ),
    "body" / sized(_content_length, FORM),
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
ANSWER = Struct(
    "start" / Peek(Bytes(5)),
    IfThenElse(lambda it: it.start == b"HTTP/", ANSWER_HEAD, MESSAGES[Direction.SERVER_TO_CLIENT]),
)


def dissect_cgi(data: bytes, direction: Direction) -> Dissection:
    """Label every byte of one direction of connections that speak HTTP/1.0 with the shop."""
    return dissect_messages(data, REQUEST if direction is Direction.CLIENT_TO_SERVER else ANSWER)
