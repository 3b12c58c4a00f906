"""Framing, from outside: any way of cutting the stream gives the same messages."""

from __future__ import annotations

import itertools
import socket
import tracemalloc
from multiprocessing.connection import Connection

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remotecalls.wire.errors import FrameTooLarge, ProtocolError, TruncatedFrame
from remotecalls.wire.framing import (
    MAXIMUM_FRAME,
    FrameDecoder,
    LineDecoder,
    encode_frame,
    encode_line,
)


def cut(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(position % (len(data) + 1) for position in cuts)})
    return [data[start:end] for start, end in itertools.pairwise(edges)]


@given(st.lists(st.binary(max_size=200)), st.lists(st.integers(0, 10_000)))
def test_frames_survive_every_cut(messages: list[bytes], cuts: list[int]) -> None:
    decoder = FrameDecoder()
    stream = b"".join(map(encode_frame, messages))
    assert [m for piece in cut(stream, cuts) for m in decoder.feed(piece)] == messages
    decoder.close()


@given(
    st.lists(st.binary(max_size=200).filter(lambda data: b"\n" not in data)),
    st.lists(st.integers(0, 10_000)),
)
def test_lines_survive_every_cut(messages: list[bytes], cuts: list[int]) -> None:
    decoder = LineDecoder()
    stream = b"".join(map(encode_line, messages))
    assert [m for piece in cut(stream, cuts) for m in decoder.feed(piece)] == messages
    decoder.close()


@given(st.binary(), st.lists(st.integers(0, 10_000)))
@pytest.mark.parametrize("make", [FrameDecoder, LineDecoder])
def test_any_bytes_give_messages_or_a_protocol_error(
    make: type[FrameDecoder | LineDecoder], data: bytes, cuts: list[int]
) -> None:
    decoder = make(50)
    try:
        for piece in cut(data, cuts):
            for message in decoder.feed(piece):
                assert len(message) <= 50
        decoder.close()
    except ProtocolError:
        pass


def test_a_newline_inside_a_message_is_refused() -> None:
    with pytest.raises(ProtocolError, match="cannot hold a newline"):
        encode_line(b"two\nlines")


@pytest.mark.parametrize(
    ("prefix", "announced"), [(b"\xff\xff\xff\xff", "4,294,967,295"), (b"\0\1\0\1", "65,537")]
)
def test_a_length_over_the_limit_is_refused_before_anything_is_stored(
    prefix: bytes, announced: str
) -> None:
    tracemalloc.start()
    decoder = FrameDecoder()
    with pytest.raises(FrameTooLarge, match=f"announces {announced} bytes"):
        list(decoder.feed(prefix))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100_000


def test_messages_before_a_bad_one_are_handed_out_first() -> None:
    messages = FrameDecoder().feed(encode_frame(b"good") + b"\xff\xff\xff\xff")
    assert next(messages) == b"good"
    with pytest.raises(FrameTooLarge):
        next(messages)


def test_a_line_without_an_end_is_refused_at_the_limit() -> None:
    decoder = LineDecoder(10)
    assert list(decoder.feed(b"0123456789")) == []
    with pytest.raises(FrameTooLarge, match="at least 11 bytes"):
        list(decoder.feed(b"0"))


@pytest.mark.parametrize(
    ("decoder", "beginning"), [(FrameDecoder(), b"\0\0\0\5hel"), (LineDecoder(), b"hel")]
)
def test_the_end_of_the_stream_inside_a_message_is_an_error(
    decoder: FrameDecoder | LineDecoder, beginning: bytes
) -> None:
    assert list(decoder.feed(beginning)) == []
    with pytest.raises(TruncatedFrame):
        decoder.close()


def test_a_message_over_the_limit_is_not_sent() -> None:
    with pytest.raises(FrameTooLarge):
        encode_frame(bytes(MAXIMUM_FRAME + 1))


def test_the_standard_library_speaks_the_same_frames() -> None:
    # multiprocessing.connection precedes a message with "!i", its length: the same four bytes.
    ours, theirs = socket.socketpair()
    with ours, Connection(theirs.detach()) as peer:
        ours.sendall(encode_frame(b"from us") + encode_frame(b""))
        assert (peer.recv_bytes(), peer.recv_bytes()) == (b"from us", b"")
        peer.send_bytes(b"from the peer")
        assert list(FrameDecoder().feed(ours.recv(100))) == [b"from the peer"]
