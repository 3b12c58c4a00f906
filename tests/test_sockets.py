"""The socket protocols: codecs that agree with themselves, refuse the rest, and are labelled."""

from __future__ import annotations

import contextlib
import errno
import socket
import struct
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remotecalls.bindings import BINDINGS
from remotecalls.shop import Customer, InvalidArgument, Order, ShopError
from remotecalls.sockets.binary_protocol import BinaryCodec
from remotecalls.sockets.messages import Codec, End, Failure, Reply, Request
from remotecalls.sockets.text_protocol import TextCodec
from remotecalls.wire.dissect import Kind
from remotecalls.wire.errors import ProtocolError
from remotecalls.wire.recording import Direction
from strategies import names, requests

CODECS = [TextCodec(), BinaryCodec()]
each_codec = pytest.mark.parametrize("codec", CODECS, ids=["text", "binary"])

valid_names = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=30)
cents = st.decimals("0.01", "9999999.99", places=2)
replies: st.SearchStrategy[Reply] = st.one_of(
    st.builds(Customer, st.integers(1, 99_999_999), valid_names, cents),
    st.builds(
        Order,
        st.integers(1, 2**32 - 1),
        st.integers(1, 99_999_999),
        valid_names,
        st.integers(1, 9_999),
        cents,
    ),
    st.builds(End, st.integers(0, 2**32 - 1)),
    st.builds(Failure, st.sampled_from(["customer_not_found", "bad_request"]), valid_names),
)


def name_of(codec: Codec) -> str:
    return "text" if isinstance(codec, TextCodec) else "binary"


def only_message(codec: Codec, data: bytes) -> bytes:
    (message,) = codec.decoder().feed(data)
    return message


@each_codec
@given(request=requests)
def test_a_request_comes_back_as_it_was_or_is_refused_as_invalid(
    codec: Codec, request: Request
) -> None:
    try:
        data = codec.encode_request(7, request)
    except InvalidArgument:
        return
    _, again = codec.decode_request(only_message(codec, data))
    assert again == request


@each_codec
@given(request=requests)
def test_every_byte_of_a_request_is_labelled(codec: Codec, request: Request) -> None:
    try:
        data = codec.encode_request(7, request)
    except InvalidArgument:
        return
    dissection = BINDINGS[name_of(codec)].dissect(data, Direction.CLIENT_TO_SERVER)
    assert {f.kind for f in dissection.fields}.isdisjoint({Kind.OPAQUE, Kind.INCOMPLETE})
    assert dissection.messages == 1


@each_codec
@given(reply=replies)
def test_a_reply_comes_back_as_it_was_and_is_labelled(codec: Codec, reply: Reply) -> None:
    data = codec.encode_reply(7, reply)
    _, again = codec.decode_reply(only_message(codec, data))
    assert again == reply
    dissection = BINDINGS[name_of(codec)].dissect(data, Direction.SERVER_TO_CLIENT)
    assert {f.kind for f in dissection.fields}.isdisjoint({Kind.OPAQUE, Kind.INCOMPLETE})


@given(st.binary(max_size=300), st.sampled_from(Direction))
@pytest.mark.parametrize("name", BINDINGS)
def test_any_bytes_are_labelled_exactly_once(name: str, data: bytes, direction: Direction) -> None:
    BINDINGS[name].dissect(data, direction)  # Dissection refuses a gap or an overlap


@each_codec
@given(message=st.one_of(st.binary(max_size=100), names.map(lambda n: n.encode(errors="replace"))))
def test_any_message_is_a_request_or_a_defined_error(codec: Codec, message: bytes) -> None:
    with contextlib.suppress(ProtocolError, ShopError):
        codec.decode_request(message)
    with contextlib.suppress(ProtocolError):
        codec.decode_reply(message)


@given(reply=replies, position=st.integers(0), flip=st.integers(1, 255))
def test_a_corrupt_reply_is_another_reply_or_a_defined_error(
    reply: Reply, position: int, flip: int
) -> None:
    message = bytearray(only_message(BinaryCodec(), BinaryCodec().encode_reply(7, reply)))
    message[position % len(message)] ^= flip
    with contextlib.suppress(ProtocolError):
        BinaryCodec().decode_reply(bytes(message))


@pytest.mark.parametrize(
    ("line", "error"),
    [
        (b"HELO\tworld", "'HELO' is not one of ADD, GET"),
        (b"GET", "GET takes 1 fields, not 0"),
        (b"GET\t42\t43", "GET takes 1 fields, not 2"),
        (b"GET\t4_2", "'4_2' is not a whole number"),
        (b"GET\t" + "٤٢".encode(), "is not a whole number"),
        (b"GET\t" + b"9" * 4_000, "is not a whole number"),
        (b"GET\t\xff", "byte 4 of the line is not UTF-8"),
    ],
)
def test_text_that_is_no_request_is_refused_with_the_reason(line: bytes, error: str) -> None:
    with pytest.raises(ProtocolError, match=error):
        TextCodec().decode_request(line)


@pytest.mark.parametrize(
    ("message", "error"),
    [
        (b"", "shorter than its header"),
        (b"\x02\0\0\0\1", "a field needs bytes 5 to 9, the message has 5"),
        (b"\x02\0\0\0\1\0\0\0\x2a!", "1 bytes follow the last field"),
        (b"\x77\0\0\0\1", "type 0x77 is not a request"),
        (b"\x81\0\0\0\1", "type 0x81 is not a request"),
        (b"\x01\0\0\0\1" + bytes(12) + b"\0\1\xff", "byte 19 is not UTF-8"),
    ],
)
def test_binary_that_is_no_request_is_refused_with_the_reason(message: bytes, error: str) -> None:
    with pytest.raises(ProtocolError, match=error):
        BinaryCodec().decode_request(message)


# ---------------------------------------------------------------- claims of the articles

LEAK = """
import errno, resource, socket
LIMIT = 64
resource.setrlimit(resource.RLIMIT_NOFILE, (LIMIT, LIMIT))
for _ in range(1_000):
    with socket.socket():
        pass
print("closed 1000")
kept, error = [], None
while error is None:
    try:
        kept.append(socket.socket())
    except OSError as raised:
        error = raised
print("highest", max(each.fileno() for each in kept))
print("errno", error.errno)
for each in kept:
    each.close()
"""


def test_unclosed_sockets_use_up_the_descriptors() -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-c", LEAK], capture_output=True, text=True, timeout=30, check=True
    )
    # Descriptors count from 0: the highest that 64 of them allow is 63.
    assert done.stdout.splitlines() == ["closed 1000", "highest 63", f"errno {errno.EMFILE}"]


def test_python_refuses_to_receive_beyond_a_buffer() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(b"x" * 64)
        memory = bytearray(32)
        eight = memoryview(memory)[:8]
        with pytest.raises(ValueError, match="buffer too small"):
            ours.recv_into(eight, 64)
        assert memory == bytes(32)
        assert ours.recv(16) == b"x" * 16
        assert ours.recv(1_024) == b"x" * 48


def test_byte_order_changes_the_number_read() -> None:
    little, big, network = "<i", ">i", "!i"
    assert struct.unpack(big, struct.pack(little, 42)) == (704_643_072,)
    assert struct.unpack(network, struct.pack(network, 42)) == (42,)
    assert struct.pack(network, 42) == struct.pack(big, 42) == b"\x00\x00\x00\x2a"
