"""The claims of the sockets chapter that one test decides; book/claims.yml names these tests."""

import errno
import socket
import struct
import subprocess
import sys

import pytest

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
