"""What each byte of HTTP/2 and of gRPC in it means.

Frames lie one after another, and are read here one by one. What they carry is cut by them: a header
block goes on in CONTINUATION, a message in further DATA. Those parts are joined, for each stream by
itself, and labeled when they are whole.

Sources: RFC 9113 (HTTP/2); RFC 7541 (HPACK); https://grpc.io/docs, "gRPC over HTTP2".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from remotecalls.grpc.hpack_labels import HeaderTable, begins_a_response, label_headers
from remotecalls.grpc.joined import Joined, Labels
from remotecalls.grpc.protobuf_labels import label_messages
from remotecalls.wire.dissect import Dissection, Kind, show_value
from remotecalls.wire.recording import Direction

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
FRAME_HEADER = 9
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS = 0, 1, 2, 3, 4
PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 5, 6, 7, 8, 9
TYPES = {
    DATA: "DATA: a piece of a message",
    HEADERS: "HEADERS: begins a request or an answer, or ends one",
    PRIORITY: "PRIORITY: which stream goes first; not used any more",
    RST_STREAM: "RST_STREAM: the stream ends here and now",
    SETTINGS: "SETTINGS: what an end is prepared to take",
    PUSH_PROMISE: "PUSH_PROMISE: an answer before the question",
    PING: "PING: are you there?",
    GOAWAY: "GOAWAY: no new streams, please",
    WINDOW_UPDATE: "WINDOW_UPDATE: room for more",
    CONTINUATION: "CONTINUATION: more headers",
}
PARAMETERS = {
    1: "HEADER_TABLE_SIZE",
    2: "ENABLE_PUSH",
    3: "MAX_CONCURRENT_STREAMS",
    4: "INITIAL_WINDOW_SIZE",
    5: "MAX_FRAME_SIZE",
    6: "MAX_HEADER_LIST_SIZE",
    0xFE03: "GRPC_ALLOW_TRUE_BINARY_METADATA",
    0xFE04: "GRPC_PREFERRED_RECEIVE_MESSAGE_SIZE",
}
ERRORS = [
    "NO_ERROR",
    "PROTOCOL_ERROR",
    "INTERNAL_ERROR",
    "FLOW_CONTROL_ERROR",
    "SETTINGS_TIMEOUT",
    "STREAM_CLOSED",
    "FRAME_SIZE_ERROR",
    "REFUSED_STREAM",
    "CANCEL",
    "COMPRESSION_ERROR",
    "CONNECT_ERROR",
    "ENHANCE_YOUR_CALM",
    "INADEQUATE_SECURITY",
    "HTTP_1_1_REQUIRED",
]
ACK, END_STREAM, END_HEADERS, PADDED, WITH_PRIORITY = 0x1, 0x1, 0x4, 0x8, 0x20
FLAGS: dict[int, Mapping[int, str]] = {
    DATA: {END_STREAM: "END_STREAM", PADDED: "PADDED"},
    HEADERS: {
        END_STREAM: "END_STREAM",
        END_HEADERS: "END_HEADERS",
        PADDED: "PADDED",
        WITH_PRIORITY: "PRIORITY",
    },
    SETTINGS: {ACK: "ACK"},
    PUSH_PROMISE: {END_HEADERS: "END_HEADERS", PADDED: "PADDED"},
    PING: {ACK: "ACK"},
    CONTINUATION: {END_HEADERS: "END_HEADERS"},
}


@dataclass
class _Stream:
    """What one end has said on a stream."""

    path: str | None = None
    answered: bool = False
    body: Joined = field(default_factory=Joined)


@dataclass
class _Connection:
    """What one direction of one connection has said so far."""

    table: HeaderTable = field(default_factory=HeaderTable)
    streams: dict[int, _Stream] = field(default_factory=dict)
    block: Joined | None = None
    """Headers that go on in the next frame."""

    def stream(self, number: int) -> _Stream:
        return self.streams.setdefault(number, _Stream())

    def paths(self) -> dict[int, str]:
        """The method that each stream calls."""
        return {number: each.path for number, each in self.streams.items() if each.path}


@dataclass(frozen=True)
class _Frame:
    """A frame, of which the bytes up to `end` are here.

    Attributes:
        start: offset of its payload.
        end: offset after the payload, or after what has arrived of it.
        size: bytes of the whole payload.
    """

    kind: int
    flags: int
    stream: int
    start: int
    end: int
    size: int

    @property
    def complete(self) -> bool:
        return self.end - self.start == self.size


class _Dissector:
    """One direction of connections, one after another.

    Args:
        paths: for each connection, the methods that its streams call, where they are known.
    """

    def __init__(
        self, data: bytes, direction: Direction, paths: Sequence[Mapping[int, str]] = ()
    ) -> None:
        self.data = data
        self.labels = Labels(data)
        self.connections = [_Connection()]
        self._response = direction is Direction.SERVER_TO_CLIENT
        self._paths = paths
        self._begun = False

    @property
    def _connection(self) -> _Connection:
        return self.connections[-1]

    def run(self) -> Dissection:
        at = 0
        while at < len(self.data):
            self.labels.begin_frame(at)
            if not self._response and self.data[at : at + 3] == PREFACE[:3]:
                at = self._preface(at)
            else:
                at = self._frame(at)
        self._end_connection()
        return self.labels.dissection()

    def _preface(self, at: int) -> int:
        end = min(at + len(PREFACE), len(self.data))
        meaning = "no server of HTTP/1 takes this for a request"
        if not PREFACE.startswith(self.data[at:end]):
            self.labels.add_opaque(at, len(self.data), "it begins like a preface, and is none")
            return len(self.data)
        if end - at < len(PREFACE):
            self.labels.add_incomplete(at, end, "preface", len(PREFACE), meaning)
            return end
        shown = show_value(self.data[at:end])
        self.labels.add(at, end, "preface", shown, meaning, Kind.DELIMITER)
        if self._begun:
            self._begin_anew()
        return end

    def _begin_anew(self) -> None:
        """Another connection begins: nothing of the one before is remembered."""
        self._end_connection()
        self.connections.append(_Connection())

    def _end_connection(self) -> None:
        self._end_block()
        connection = self._connection
        for number, stream in connection.streams.items():
            self._label_body(number, stream, complete=True)

    def _end_block(self) -> None:
        """Label headers that should have gone on and did not."""
        connection = self._connection
        if connection.block is not None:
            label_headers(self.labels, connection.block, connection.table, complete=False)
            connection.block = None

    # ------------------------------------------------------------ frames

    def _frame(self, at: int) -> int:
        self._begun = True
        labels, end = self.labels, len(self.data)
        if end - at < FRAME_HEADER:
            labels.add_incomplete(at, end, "frame header", FRAME_HEADER)
            return end
        size = int.from_bytes(self.data[at : at + 3], "big")
        kind, flags = self.data[at + 3], self.data[at + 4]
        stream = int.from_bytes(self.data[at + 5 : at + 9], "big") & 0x7FFF_FFFF
        labels.add_number(at, end, 3, "length", "bytes of the payload", "length")
        meaning = TYPES.get(kind, "a frame that RFC 9113 does not know")
        labels.add_number(at + 3, end, 1, "type", meaning, "type")
        names = [name for bit, name in FLAGS.get(kind, {}).items() if flags & bit]
        labels.add_number(at + 4, end, 1, "flags", ", ".join(names) or "none")
        whose = "the connection itself" if stream == 0 else "a call"
        labels.add_number(at + 5, end, 4, "stream", whose, "key")
        at += FRAME_HEADER
        frame = _Frame(kind, flags, stream, at, min(at + size, end), size)
        self._payload(frame)
        return frame.end

    def _payload(self, frame: _Frame) -> None:
        match frame.kind:
            case 0:
                self._data(frame)
            case 1 | 5 | 9:
                self._headers(frame)
            case 4 if frame.size % 6 == 0:
                self._settings(frame)
            case 2 if frame.size == 5:
                self._priority(frame.start, frame.end)
            case 3 if frame.size == 4:
                self._error(frame.start, frame.end)
            case 6 if frame.size == 8:
                self._opaque_value(frame, "ping", "comes back with ACK")
            case 7 if frame.size >= 8:
                self._goaway(frame)
            case 8 if frame.size == 4:
                self.labels.add_number(
                    frame.start, frame.end, 4, "increment", "more bytes that may be sent"
                )
            case known if known in TYPES:
                self.labels.add_opaque(frame.start, frame.end, "its size is not that of its type")
            case _:
                self._opaque_value(frame, "payload", "")

    def _data(self, frame: _Frame) -> None:
        start, end = self._unpadded(frame, frame.start)
        stream = self._connection.stream(frame.stream)
        stream.body.append(self.data[start:end], start)
        ends = bool(frame.flags & END_STREAM) and frame.complete
        self._label_body(frame.stream, stream, complete=ends)

    def _label_body(self, number: int, stream: _Stream, *, complete: bool) -> None:
        path = stream.path
        place = len(self.connections) - 1
        if path is None and place < len(self._paths):
            path = self._paths[place].get(number)
        label_messages(self.labels, stream.body, path, response=self._response, complete=complete)

    def _headers(self, frame: _Frame) -> None:
        start, end = self._unpadded(frame, frame.start)
        if frame.kind == HEADERS and frame.flags & WITH_PRIORITY:
            start = self._priority(start, end)
        if frame.kind == PUSH_PROMISE:
            start = self.labels.add_number(start, end, 4, "promised stream", kind="key")
        part = self.data[start:end]
        stream = self._connection.stream(frame.stream)
        if self._response and frame.kind == HEADERS and begins_a_response(part):
            # What a server sends has no preface. No stream is answered twice, so a second answer
            # on it belongs to another connection (RFC 9113, sections 5.1.1 and 8.1).
            if stream.answered:
                self._begin_anew()
                stream = self._connection.stream(frame.stream)
            stream.answered = True
        connection = self._connection
        if frame.kind != CONTINUATION:
            self._end_block()
        block = connection.block or Joined()
        block.append(part, start)
        connection.block = block
        if frame.flags & END_HEADERS and frame.complete:
            connection.block = None
            found = label_headers(self.labels, block, connection.table, complete=True)
            stream.path = found.get(":path", stream.path)

    def _unpadded(self, frame: _Frame, start: int) -> tuple[int, int]:
        """Label the padding of a frame; what lies between its length and itself is the rest."""
        if frame.kind == CONTINUATION or not frame.flags & PADDED or start == frame.end:
            return start, frame.end
        padding = self.data[start]
        self.labels.add_number(start, frame.end, 1, "pad length", "bytes of padding", "length")
        start += 1
        content_end = frame.start + frame.size - padding
        if content_end < start:
            self.labels.add_opaque(start, frame.end, "more padding than there is room for")
            return frame.end, frame.end
        content_end = min(content_end, frame.end)
        zeros = show_value(self.data[content_end : frame.end])
        self.labels.add(content_end, frame.end, "padding", zeros, "", Kind.PADDING)
        return start, content_end

    # ------------------------------------------------------------ short payloads

    def _priority(self, start: int, end: int) -> int:
        start = self.labels.add_number(start, end, 4, "depends on stream", kind="key")
        if start < end:
            start = self.labels.add_number(start, end, 1, "weight", "less one")
        return start

    def _settings(self, frame: _Frame) -> None:
        at = frame.start
        while at < frame.end:
            number = int.from_bytes(self.data[at : at + 2], "big")
            meaning = PARAMETERS.get(number, "to be passed over by who does not know it")
            at = self.labels.add_number(at, frame.end, 2, "parameter", meaning, "key")
            if at < frame.end:
                at = self.labels.add_number(at, frame.end, 4, "value")

    def _goaway(self, frame: _Frame) -> None:
        meaning = "later ones were not looked at"
        at = self.labels.add_number(frame.start, frame.end, 4, "last stream", meaning, "key")
        at = self._error(at, frame.end) if at < frame.end else at
        text = show_value(self.data[at : frame.end])
        self.labels.add(at, frame.end, "debug data", text, "for a person")

    def _error(self, start: int, end: int) -> int:
        code = int.from_bytes(self.data[start:end][:4], "big")
        meaning = ERRORS[code] if code < len(ERRORS) else "not a known value"
        return self.labels.add_number(start, end, 4, "error", meaning, "type")

    def _opaque_value(self, frame: _Frame, name: str, meaning: str) -> None:
        if frame.complete:
            shown = show_value(self.data[frame.start : frame.end])
            self.labels.add(frame.start, frame.end, name, shown, meaning)
        else:
            self.labels.add_incomplete(frame.start, frame.end, name, frame.size, meaning)


def dissect_http2(data: bytes, direction: Direction, *, requests: bytes = b"") -> Dissection:
    """Label every byte of one direction of connections that speak HTTP/2.

    Several connections, one after another, are told apart by the client's preface, or by a second
    answer on one stream.

    Args:
        data: the bytes.
        direction: which way they went.
        requests: what the client sent on the same connections. With it, the messages of the
            server are known by the methods that were called, and not by their shape.
    """
    paths: list[dict[int, str]] = []
    if requests:
        asked = _Dissector(requests, Direction.CLIENT_TO_SERVER)
        asked.run()
        paths = [connection.paths() for connection in asked.connections]
    return _Dissector(data, direction, paths).run()
