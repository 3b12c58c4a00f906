"""The model's reads against those of this machine's own TCP, over loopback.

The kernel is steered by events, never by sleeping: the writer writes while the reader is known to
be busy, and the reader goes on when the kernel holds every byte. So the comparison is of kinds
and counts, and no test depends on how fast the machine is.
"""

import array
import fcntl
import socket
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from remotecalls.simulators.framing import FramingParameters, FramingResult, run

DEADLINE_SECONDS = 10.0


@contextmanager
def connected() -> Iterator[tuple[socket.socket, socket.socket]]:
    """A TCP connection over loopback with Nagle's algorithm off: writer and reader."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        writer = socket.create_connection(listener.getsockname(), timeout=DEADLINE_SECONDS)
        reader, _ = listener.accept()
        with writer, reader:
            reader.settimeout(DEADLINE_SECONDS)
            writer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            yield writer, reader


def wait_until_buffered(reader: socket.socket, expected: int) -> None:
    """Return when the kernel holds `expected` unread bytes (FIONREAD, tcp(7))."""
    end = time.monotonic() + DEADLINE_SECONDS
    waiting = array.array("i", [0])
    while waiting[0] < expected:
        assert time.monotonic() < end, f"{waiting[0]} of {expected} bytes arrived"
        fcntl.ioctl(reader, termios.FIONREAD, waiting)


def messages_of(result: FramingResult) -> list[bytes]:
    return [message.payload for message in result.messages]


def read_by_kernel(messages: list[bytes], recv_bytes: int, *, slow_writer: bool) -> list[bytes]:
    """Write the messages, one send() each, and return what each recv() returned.

    A slow writer waits until the reader has read a message before it sends the next. A fast one
    sends all the others while the reader is at work on the first.
    """
    reads = []
    with connected() as (writer, reader):
        if slow_writer:
            for message in messages:
                writer.sendall(message)
                wait_until_buffered(reader, len(message))
                left = len(message)
                while left:
                    reads.append(reader.recv(recv_bytes))
                    left -= len(reads[-1])
            return reads
        first, *rest = messages
        writer.sendall(first)
        wait_until_buffered(reader, len(first))
        reads.append(reader.recv(recv_bytes))
        for message in rest:
            writer.sendall(message)
        left = sum(map(len, rest))
        wait_until_buffered(reader, left)
        while left:
            reads.append(reader.recv(recv_bytes))
            left -= len(reads[-1])
    return reads


linux_only = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="FIONREAD on a TCP socket is Linux's"
)


@linux_only
@pytest.mark.parametrize("recv_bytes", [64, 4_096])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_slow_writer_s_messages_come_out_as_the_model_says(recv_bytes: int, seed: int) -> None:
    result = run(FramingParameters(recv_bytes=recv_bytes), seed)
    kernel = read_by_kernel(messages_of(result), recv_bytes, slow_writer=True)
    assert kernel == [read.data for read in result.reads]


@linux_only
@pytest.mark.parametrize("recv_bytes", [64, 100, 4_096])
def test_a_fast_writer_s_messages_coalesce_as_the_model_says(recv_bytes: int) -> None:
    parameters = FramingParameters(
        messages=20,
        smallest_bytes=10,
        largest_bytes=60,
        gap_us=0,
        recv_bytes=recv_bytes,
        processing_us=200_000,
    )
    result = run(parameters, 5)
    kernel = read_by_kernel(messages_of(result), recv_bytes, slow_writer=False)
    # TCP_NODELAY sent every message on its own, and still the reads are not the messages.
    assert len(result.segments) == 20
    assert result.merged_reads > 0
    assert [len(read) for read in kernel] == [len(read.data) for read in result.reads]
    assert kernel == [read.data for read in result.reads]
