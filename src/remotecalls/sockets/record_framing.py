"""Framing by a record descriptor word: two bytes of length, its own four included, and two zeros.

z/OS puts such a word before each record of variable length (DFSMS Using Data Sets, SC23-6855), and
IMS Connect puts the same four bytes, LL and ZZ, before each message on TCP (IMS Communications and
Connections, SC19-4255).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from remotecalls.wire.errors import FrameTooLarge, ProtocolError, TruncatedFrame

WORD = struct.Struct("!HH")
MAXIMUM_RECORD = 4_096


def encode_record(record: bytes) -> bytes:
    """Put the descriptor word before a record.

    Raises:
        FrameTooLarge: the record is longer than `MAXIMUM_RECORD` with its word.
    """
    length = WORD.size + len(record)
    if length > MAXIMUM_RECORD:
        raise FrameTooLarge(f"a record of {length:,} bytes is over the limit of {MAXIMUM_RECORD:,}")
    return WORD.pack(length, 0) + record


class RecordDecoder:
    """Cuts a stream into the records that descriptor words announce."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take what has arrived; return the records that are now complete, without their words.

        Raises:
            FrameTooLarge: a word announces more than `MAXIMUM_RECORD`.
            ProtocolError: it announces less than itself, or its second half is not zero.
        """
        self._buffer += data
        return self._complete()

    def _complete(self) -> Iterator[bytes]:
        while len(self._buffer) >= WORD.size:
            length, zeros = WORD.unpack_from(self._buffer)
            if length > MAXIMUM_RECORD:
                raise FrameTooLarge(f"a record of {length:,} bytes (limit {MAXIMUM_RECORD:,})")
            if length < WORD.size:
                raise ProtocolError(f"LL is {length}: it counts its own {WORD.size} bytes too")
            if zeros:
                raise ProtocolError(f"ZZ is 0x{zeros:04X}, not zero: no record begins here")
            if len(self._buffer) < length:
                return
            record = bytes(self._buffer[WORD.size : length])
            del self._buffer[:length]
            yield record

    def close(self) -> None:
        """Say that the stream has ended.

        Raises:
            TruncatedFrame: it ended in the middle of a record or of its word.
        """
        if self._buffer:
            raise TruncatedFrame(f"the stream ended {len(self._buffer)} bytes into a record")
