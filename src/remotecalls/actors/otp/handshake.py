"""How two nodes of Erlang's distribution make sure of each other.

Each proves that it knows the cookie: it answers the other's random challenge with the MD5 of the
cookie and the challenge. The cookie does not cross the wire, and nothing after it is encrypted.

Source: "Distribution Protocol", section "Distribution Handshake", ERTS User's Guide. The frames
are erldistpy's; the waiting is ours, for erldistpy blocks its thread.
"""

from __future__ import annotations

import asyncio
import hmac
import secrets
import struct
from dataclasses import dataclass

from erldistpy import flags  # type: ignore[import-untyped]
from erldistpy.handshake import (  # type: ignore[import-untyped]
    HandshakeError,
    build_challenge_reply,
    build_send_name,
    cookie_digest,
    parse_challenge_ack,
    parse_recv_challenge,
    parse_recv_status,
)

from remotecalls.actors.otp.errors import CookieRefused
from remotecalls.wire.errors import ConnectionLost, ProtocolError, Unavailable

# Without the monitors' flags a node does not say when a process has ended; with the payload's, the
# reason stands apart from what the message is about, and can be unreadable by itself.
FLAGS: int = (
    flags.DEFAULT_FLAGS
    | flags.DFLAG_DIST_MONITOR
    | flags.DFLAG_DIST_MONITOR_NAME
    | flags.DFLAG_EXIT_PAYLOAD
)


@dataclass(frozen=True)
class Acquaintance:
    """What both know of each other after the handshake.

    Attributes:
        our_creation: tells this incarnation of our name from those before it.
        peer: the node's full name.
    """

    our_creation: int
    peer: str


async def shake_hands(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, name: str, cookie: str
) -> Acquaintance:
    """Introduce ourselves to the node at the other end.

    Args:
        reader: what it sends.
        writer: what it is sent.
        name: ours, such as `python@127.0.0.1`.
        cookie: what both must know.

    Raises:
        CookieRefused: our cookie is not the node's.
        Unavailable: the node does not take us, for instance because the name is in use.
        ConnectionLost: it closed the connection in the middle.
        ProtocolError: it is no Erlang node, or one before OTP 23.
    """
    creation = secrets.randbits(31) + 1
    challenge = secrets.randbits(32)
    try:
        _write(writer, build_send_name(name, FLAGS, creation))
        status = parse_recv_status(await _read(reader))
        if status != "ok":
            raise Unavailable(f"the node does not take {name}: it says {status!r}")
        their_flags, their_challenge, _, peer = parse_recv_challenge(await _read(reader))
        if not their_flags & flags.DFLAG_HANDSHAKE_23:
            raise ProtocolError(f"{peer} is older than OTP 23")
        proof = cookie_digest(cookie, their_challenge)
        _write(writer, build_challenge_reply(challenge, proof))
        try:
            answer = parse_challenge_ack(await _read(reader))
        except ConnectionLost:
            # All that a node does when the proof is wrong is to close; its log has the rest.
            raise CookieRefused(f"{peer} hung up on {name}: the cookie is not its own") from None
        if not hmac.compare_digest(answer, cookie_digest(cookie, challenge)):
            raise CookieRefused(f"{peer} cannot prove that it knows the cookie")
    except HandshakeError as error:
        raise ProtocolError(f"this is not Erlang's handshake: {error}") from error
    return Acquaintance(creation, peer)


def _write(writer: asyncio.StreamWriter, frame: bytes) -> None:
    writer.write(struct.pack(">H", len(frame)) + frame)


async def _read(reader: asyncio.StreamReader) -> bytes:
    try:
        (length,) = struct.unpack(">H", await reader.readexactly(2))
        return await reader.readexactly(length)
    except (asyncio.IncompleteReadError, OSError) as error:
        raise ConnectionLost("the node closed the connection during the handshake") from error
