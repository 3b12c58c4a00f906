"""HTTP/2 by hand, for frames that no library would send."""

from __future__ import annotations

import socket
from contextlib import suppress
from dataclasses import dataclass, field

from hpack import Decoder, Encoder
from hyperframe.frame import (
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    RstStreamFrame,
    SettingsFrame,
)

from remotecalls.wire.address import Address

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SECONDS = 10


def request_headers(path: str, *more: tuple[str, str]) -> list[tuple[str, str]]:
    return [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", path),
        (":authority", "shop"),
        ("te", "trailers"),
        ("content-type", "application/grpc"),
        *more,
    ]


def headers(stream: int, *fields: tuple[str, str], flags: tuple[str, ...] = ()) -> bytes:
    frame = HeadersFrame(stream, Encoder().encode(list(fields)), flags=["END_HEADERS", *flags])
    return frame.serialize()


def message(payload: bytes, *, compressed: int = 0, length: int | None = None) -> bytes:
    """A message with gRPC's prefix of five bytes."""
    announced = len(payload) if length is None else length
    return bytes([compressed]) + announced.to_bytes(4, "big") + payload


def data(stream: int, payload: bytes, *, end: bool = True) -> bytes:
    return DataFrame(stream, payload, flags=["END_STREAM"] if end else []).serialize()


def request(path: str, *payloads: bytes, more: tuple[tuple[str, str], ...] = ()) -> bytes:
    """A whole call on stream 1."""
    head = headers(1, *request_headers(path, *more))
    return head + data(1, b"".join(payloads))


@dataclass
class Answer:
    """What a server said about stream 1, and about the connection."""

    fields: dict[str, str] = field(default_factory=dict)
    reset: int | None = None
    gone: int | None = None
    closed: bool = False

    @property
    def status(self) -> str:
        """gRPC's status, or how HTTP/2 ended the stream or the connection."""
        if "grpc-status" in self.fields:
            return self.fields["grpc-status"]
        if self.reset is not None:
            return f"reset {self.reset}"
        if self.gone is not None:
            return f"gone {self.gone}"
        return "closed" if self.closed else "open"


def exchange(address: Address, frames: bytes, *, acknowledge: bool = True) -> Answer:
    """Send frames, and read until the server has ended stream 1 or the connection.

    Args:
        address: of the server.
        frames: what is sent after the preface.
        acknowledge: whether the server's settings are acknowledged first. Those that limit a
            client do not hold before (RFC 9113, section 6.5.3).

    Raises:
        TimeoutError: it did neither.
    """
    answer, decoder, received = Answer(), Decoder(), b""
    with socket.create_connection((address.host, address.port), timeout=SECONDS) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        _send(sock, PREFACE + SettingsFrame(0).serialize() + (b"" if acknowledge else frames))
        while answer.status == "open":
            try:
                part = sock.recv(65_536)
            except ConnectionResetError:
                part = b""
            answer.closed = not part
            received += part
            while len(received) >= 9:
                frame, length = Frame.parse_frame_header(memoryview(received[:9]))
                if len(received) < 9 + length:
                    break
                frame.parse_body(memoryview(received[9 : 9 + length]))
                received = received[9 + length :]
                _note(frame, decoder, answer)
                _send(sock, _reply(frame, frames if acknowledge else b""))
    return answer


def _send(sock: socket.socket, frames: bytes) -> None:
    with suppress(ConnectionError):  # it may refuse before all is sent; what it said can be read
        sock.sendall(frames)


def _reply(frame: Frame, frames: bytes) -> bytes:
    if isinstance(frame, SettingsFrame) and "ACK" not in frame.flags:
        return (SettingsFrame(0, flags=["ACK"]).serialize() + frames) if frames else b""
    if isinstance(frame, PingFrame) and "ACK" not in frame.flags:
        return bytes(PingFrame(0, frame.opaque_data, flags=["ACK"]).serialize())
    return b""


def _note(frame: Frame, decoder: Decoder, answer: Answer) -> None:
    match frame:
        case HeadersFrame():
            answer.fields |= dict(decoder.decode(frame.data))
        case RstStreamFrame():
            answer.reset = frame.error_code
        case GoAwayFrame():
            answer.gone = frame.error_code
        case _:
            pass
