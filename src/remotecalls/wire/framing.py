"""Framing: finding messages in a stream of bytes that has no boundaries.

TCP delivers bytes, not messages: one `send` can arrive in two `recv` calls, and two can arrive in
one (RFC 9293, section 3.9.1.2: "the PSH bit is not a record marker"). The two classical remedies
are here: a *delimiter* after each message, as in SMTP (RFC 821), and a *length prefix* before it,
as in TPKT (RFC 1006).

The decoders do no input or output ("sans-I/O"). They take bytes as they come and give back the
messages that are complete, so the same code serves a blocking socket, an event loop, a dissector
and a test that feeds one byte at a time. They hold at most one incomplete message, and that no
longer than its limit.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from remotecalls.wire.errors import FrameTooLarge, ProtocolError, TruncatedFrame

NEWLINE = b"\n"
LENGTH_BYTES = 4
MAXIMUM_LINE = 4_096
MAXIMUM_FRAME = 65_536


class Decoder(Protocol):
    """Turns a stream of bytes into messages."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take what has arrived; return the messages that are now complete.

        The bytes are stored at once. The messages are cut off as they are asked for, so a bad
        message raises only after the good ones before it have been handed out.
        """
        ...

    def close(self) -> None:
        """Say that the stream has ended."""
        ...


def encode_line(message: bytes) -> bytes:
    r"""End a message with a newline.

    Raises:
        ProtocolError: the message holds a newline, which would end it early.
    """
    if NEWLINE in message:
        raise ProtocolError("a message on a line cannot hold a newline: escape it first")
    return message + NEWLINE


def encode_frame(message: bytes) -> bytes:
    """Put the length before a message: four bytes, unsigned, most significant first.

    Raises:
        FrameTooLarge: the message is longer than `MAXIMUM_FRAME`.
    """
    if len(message) > MAXIMUM_FRAME:
        raise FrameTooLarge(
            f"a message of {len(message):,} bytes is over the limit of {MAXIMUM_FRAME:,}"
        )
    return len(message).to_bytes(LENGTH_BYTES, "big") + message


class LineDecoder:
    """Cuts a stream into the messages between newlines.

    Args:
        maximum: the longest message accepted, in bytes without its newline.
    """

    def __init__(self, maximum: int = MAXIMUM_LINE) -> None:
        self._maximum = maximum
        self._buffer = bytearray()
        # Where to look for the next newline: what lies before was searched by an earlier call.
        self._searched = 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take what has arrived; return the lines that are now complete, without newlines.

        Raises:
            FrameTooLarge: a line is longer than the maximum. The stream cannot be followed
                any further, for nobody knows where the next message begins.
        """
        self._buffer += data
        return self._complete()

    def _complete(self) -> Iterator[bytes]:
        while (end := self._buffer.find(NEWLINE, self._searched)) != -1:
            self._check(end)
            line = bytes(self._buffer[:end])
            del self._buffer[: end + 1]
            self._searched = 0
            yield line
        self._searched = len(self._buffer)
        self._check(self._searched)

    def close(self) -> None:
        """Say that the stream has ended.

        Raises:
            TruncatedFrame: it ended in the middle of a line.
        """
        if self._buffer:
            raise TruncatedFrame(
                f"the stream ended after {len(self._buffer)} bytes of a line without its newline"
            )

    def _check(self, length: int) -> None:
        if length > self._maximum:
            raise FrameTooLarge(f"a line of at least {length:,} bytes (limit {self._maximum:,})")


class FrameDecoder:
    """Cuts a stream into messages that a four-byte length precedes.

    The announced length is compared with the limit before a byte of the message is stored: a
    peer that announces four gigabytes costs four bytes.

    Args:
        maximum: the longest message accepted, in bytes without its length prefix.
    """

    def __init__(self, maximum: int = MAXIMUM_FRAME) -> None:
        self._maximum = maximum
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take what has arrived; return the messages that are now complete.

        Raises:
            FrameTooLarge: a prefix announces more than the maximum. A negative number of a
                careless peer is one of these: -1 reads as 4,294,967,295.
        """
        self._buffer += data
        return self._complete()

    def _complete(self) -> Iterator[bytes]:
        while len(self._buffer) >= LENGTH_BYTES:
            length = int.from_bytes(self._buffer[:LENGTH_BYTES], "big")
            if length > self._maximum:
                raise FrameTooLarge(
                    f"a length prefix announces {length:,} bytes (limit {self._maximum:,})"
                )
            end = LENGTH_BYTES + length
            if len(self._buffer) < end:
                return
            message = bytes(self._buffer[LENGTH_BYTES:end])
            del self._buffer[:end]
            yield message

    def close(self) -> None:
        """Say that the stream has ended.

        Raises:
            TruncatedFrame: it ended in the middle of a message or of its length.
        """
        if self._buffer:
            raise TruncatedFrame(
                f"the stream ended {len(self._buffer)} bytes into an incomplete message"
            )
