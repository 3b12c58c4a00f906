"""What each byte of HTTP/2 and of gRPC in it means.

Frames are declared with `construct`. Header blocks are compressed with a table that both ends keep
for as long as the connection lasts, so the dissector keeps it, too: a header that is one byte long
says which of the earlier ones it repeats.

Sources: RFC 9113 (HTTP/2); RFC 7541 (HPACK); https://grpc.io/docs, "gRPC over HTTP2"; the encoding
of Protocol Buffers.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import construct
from construct import Bytes, IfThenElse, Int8ub, Int16ub, Int24ub, Int32ub, Peek, Struct, this
from hpack import Decoder
from hpack.exceptions import HPACKError

from remotecalls.wire.dissect import (
    Dissection,
    Layout,
    delimiter,
    dissect_messages,
    labelled,
    matching,
    repeated,
    show_value,
    sized,
)
from remotecalls.wire.recording import Direction

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
TYPES = {
    DATA: "DATA: a piece of a message",
    HEADERS: "HEADERS: begins a request or an answer, or ends one",
    2: "PRIORITY",
    RST_STREAM: "RST_STREAM: the stream ends here and now",
    SETTINGS: "SETTINGS: what an end is prepared to take",
    5: "PUSH_PROMISE",
    PING: "PING: are you there?",
    GOAWAY: "GOAWAY: no new streams, please",
    WINDOW_UPDATE: "WINDOW_UPDATE: room for more",
    9: "CONTINUATION",
}
PARAMETERS = {
    1: "HEADER_TABLE_SIZE",
    2: "ENABLE_PUSH",
    3: "MAX_CONCURRENT_STREAMS",
    4: "INITIAL_WINDOW_SIZE",
    5: "MAX_FRAME_SIZE",
    6: "MAX_HEADER_LIST_SIZE",
}
END_STREAM, ACK, END_HEADERS = 0x1, 0x1, 0x4


class _Connection:
    """The compression table of one direction of one connection."""

    def __init__(self) -> None:
        self.decoder = Decoder()
        self.ended: set[int] = set()

    def begin_anew(self) -> None:
        """Another connection begins."""
        self.decoder = Decoder()
        self.ended.clear()


def _flags(flags: int, frame_type: int) -> str:
    names: Mapping[int, str]
    if frame_type in (SETTINGS, PING):
        names = {ACK: "ACK"}
    else:
        names = {END_STREAM: "END_STREAM", END_HEADERS: "END_HEADERS", 0x8: "PADDED"}
    return ", ".join(name for bit, name in names.items() if flags & bit) or "none"


# ---------------------------------------------------------------- HPACK


def _integer_length(data: bytes, at: int, bits: int) -> tuple[int, int]:
    """The value of an integer with a prefix of so many bits, and the offset after it.

    Raises:
        IndexError: it does not end.
    """
    value = data[at] & ((1 << bits) - 1)
    at += 1
    if value < (1 << bits) - 1:
        return value, at
    shift = 0
    while True:
        byte = data[at]
        at += 1
        value += (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            return value, at
        if shift > 28:
            raise ValueError("an integer of HPACK that is too long")


def _string_end(data: bytes, at: int) -> int:
    length, at = _integer_length(data, at, 7)
    if at + length > len(data):
        raise IndexError("the string goes on")
    return at + length


def field_end(data: bytes, at: int) -> int:
    """Where the header field that begins at an offset of a block ends (RFC 7541, section 6).

    Raises:
        IndexError: it goes on beyond the block.
        ValueError: an integer is too long.
    """
    first = data[at]
    if first & 0x80:  # indexed
        return _integer_length(data, at, 7)[1]
    if first & 0x40:  # literal, and remembered
        index, at = _integer_length(data, at, 6)
    elif first & 0x20:  # the size of the table
        return _integer_length(data, at, 5)[1]
    else:  # literal, and forgotten
        index, at = _integer_length(data, at, 4)
    if index == 0:
        at = _string_end(data, at)
    return _string_end(data, at)


class _HeaderField(construct.Construct):  # type: ignore[misc]  # construct has no types
    """One field of a header block."""

    def __init__(self, connection: _Connection) -> None:
        super().__init__()
        self.connection = connection

    def _parse(self, stream: Any, context: Any, path: str) -> tuple[str, bytes]:
        start = stream.tell()
        block = stream.read()
        stream.seek(start)
        try:
            end = field_end(block, 0)
            found = list(self.connection.decoder.decode(block[:end], raw=True))
        except IndexError as error:
            raise construct.StreamError("the field goes on") from error
        except HPACKError as error:
            raise construct.ValidationError(f"HPACK: {error or type(error).__name__}") from error
        stream.read(end)
        if not found:
            return "table size", b""
        name, value = found[0]
        return bytes(name).decode("latin-1"), bytes(value)


def _header_value(pair: tuple[str, bytes]) -> str:
    name, value = pair
    text = value.decode("latin-1")
    return f"{name}: {text if text.isprintable() else show_value(value)}"


# ---------------------------------------------------------------- payloads


SETTINGS_PAYLOAD = repeated(
    Struct(
        labelled("parameter", Int16ub, kind="key", meaning=PARAMETERS),
        labelled("value", Int32ub),
    )
)
MESSAGE = repeated(
    Struct(
        labelled("compressed", Int8ub, kind="type", meaning={0: "no", 1: "yes"}),
        labelled("length", Int32ub, kind="length", meaning="bytes of the message"),
        sized(
            this.length,
            construct.Optional(labelled("message", matching(rb".+"), meaning="Protocol Buffers")),
        ),
    )
)
REST = construct.Optional(labelled("payload", matching(rb".+")))
GOAWAY_PAYLOAD = Struct(
    labelled("last stream", Int32ub, kind="key", meaning="that was looked at"),
    labelled("error", Int32ub, kind="type"),
    REST,
)


def _begins_anew(connection: _Connection) -> Layout:
    """Reads nothing; forgets the table where the bytes of another connection begin.

    What a server sends has no preface. Headers on a stream that has ended can only be those of a
    new connection, for no stream is used twice (RFC 9113, section 5.1.1).
    """

    def note(context: Any) -> None:
        if context.stream in connection.ended:
            connection.begin_anew()
        if context.bits & END_STREAM:
            connection.ended.add(context.stream)

    return construct.Computed(note)


def _frame(connection: _Connection) -> Layout:
    payloads = {
        DATA: MESSAGE,
        HEADERS: repeated(
            labelled("header", _HeaderField(connection), kind="key", show=_header_value)
        ),
        RST_STREAM: labelled("error", Int32ub, kind="type"),
        SETTINGS: SETTINGS_PAYLOAD,
        PING: labelled("opaque", Bytes(8), meaning="comes back with ACK"),
        GOAWAY: GOAWAY_PAYLOAD,
        WINDOW_UPDATE: labelled("increment", Int32ub, meaning="bytes"),
    }
    flags = {
        number: labelled("flags", Int8ub, meaning=partial(_flags, frame_type=number))
        for number in TYPES
    }
    return Struct(
        labelled("length", Int24ub, kind="length", meaning="bytes of the payload"),
        labelled("type", Int8ub, kind="type", meaning=TYPES),
        "bits" / Peek(Int8ub),
        construct.Switch(this.type, flags, default=labelled("flags", Int8ub)),
        labelled("stream", Int32ub, kind="key", meaning="0 is the connection itself"),
        construct.If(this.type == HEADERS, _begins_anew(connection)),
        sized(this.length, construct.Switch(this.type, payloads, default=REST)),
    )


def dissect_http2(data: bytes, direction: Direction) -> Dissection:
    """Label every byte of one direction of connections that speak HTTP/2.

    Several connections, one after another, are told apart by the client's preface, or by a stream
    that begins again.
    """
    connection = _Connection()
    frame = _frame(connection)
    if direction is Direction.SERVER_TO_CLIENT:
        return dissect_messages(data, frame)
    preface = Struct(
        delimiter(PREFACE, "preface", meaning="no server of HTTP/1 takes this for a request"),
        construct.Computed(lambda _: connection.begin_anew()),
    )
    either = Struct(
        "start" / Peek(Bytes(3)), IfThenElse(lambda it: it.start == b"PRI", preface, frame)
    )
    return dissect_messages(data, either)
