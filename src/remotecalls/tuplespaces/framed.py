"""Frames over one asyncio stream, for both ends."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

from remotecalls.tuplespaces.encoding import from_bytes
from remotecalls.tuplespaces.protocol import RECEIVE_BYTES, frame
from remotecalls.wire.errors import TruncatedFrame
from remotecalls.wire.framing import FrameDecoder

FRAME_SECONDS = 30.0
CLOSE_SECONDS = 2.0
WRITE_SECONDS = 30.0
HIGH_WATER = 65_536
"""Bytes in the buffer above which asyncio says that there is no room: its default."""


class FramedStream:
    """Messages out of a stream, and into it.

    What has to be written waits until the other side has read most of what was written before, so
    that one who does not read costs one buffer, and after `WRITE_SECONDS` the connection.

    Args:
        reader, writer: the stream.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._decoder = FrameDecoder()
        self._messages: Iterator[bytes] = iter(())
        self._turn = asyncio.Lock()

    async def receive(self, timeout: float | None = None) -> dict[str, Any] | None:
        """The next message, or None at the end of the stream.

        The other side may be silent between messages for as long as it likes (or for `timeout`
        seconds, if given), but not for longer than `FRAME_SECONDS` within one.

        Raises:
            ProtocolError: what came is not a message.
            TruncatedFrame: the stream ended within one.
            TimeoutError: the other side was silent for too long.
            OSError: the connection broke.
        """
        while (message := next(self._messages, None)) is None:
            async with asyncio.timeout(FRAME_SECONDS if self._within_frame() else timeout):
                data = await self._reader.read(RECEIVE_BYTES)
            if not data:
                self._decoder.close()
                return None
            self._messages = self._decoder.feed(data)
        return from_bytes(message)

    async def discard(self, seconds: float, limit: int) -> None:
        """Read on for a moment: closed at once, the connection would be reset, and what was said
        last might never be read.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while limit > 0 and (data := await self._reader.read(RECEIVE_BYTES)):
                    limit -= len(data)

    def _within_frame(self) -> bool:
        try:
            self._decoder.close()
        except TruncatedFrame:
            return True
        return False

    def write(self, message: dict[str, Any]) -> None:
        """Put a message into the buffer now; `drained` bounds the buffer.

        Raises:
            FrameTooLarge: it does not fit into a frame.
        """
        self._writer.write(frame(message))

    async def drained(self) -> None:
        """Wait until most of what was written has gone.

        Raises:
            OSError: the connection broke, or the other side did not read for `WRITE_SECONDS`.
        """
        if self._writer.transport.get_write_buffer_size() > HIGH_WATER:
            try:
                async with asyncio.timeout(WRITE_SECONDS):
                    await self._writer.drain()
            except TimeoutError:
                raise ConnectionAbortedError(f"nothing was read for {WRITE_SECONDS:g} s") from None

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait until it is this one's turn to write, and there is room.

        Raises:
            OSError: see `drained`.
        """
        async with self._turn:
            await self.drained()
            yield

    async def send(self, message: dict[str, Any]) -> None:
        """Write when it is this one's turn.

        Raises:
            FrameTooLarge, OSError: see `write` and `drained`.
        """
        async with self._turn:
            await self.drained()
            self.write(message)

    def abort(self) -> None:
        """Cut the connection, with whatever was not sent."""
        self._writer.transport.abort()

    @property
    def closing(self) -> bool:
        """Whether nothing more can be sent."""
        return self._writer.transport.is_closing()

    def end(self) -> None:
        """Send no more after this; the other side sees the end of the stream."""
        if not self.closing:
            self._writer.write_eof()

    async def close(self) -> None:
        """Send what is in the buffer, then close.

        Raises:
            TimeoutError: the other side does not read.
            OSError: the connection broke.
        """
        self._writer.close()
        async with asyncio.timeout(CLOSE_SECONDS):
            await self._writer.wait_closed()
