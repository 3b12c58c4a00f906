"""What each byte of a call over datagrams means, declared apart from the code that reads it."""

from __future__ import annotations

from construct import Bytes, IfThenElse, Int8ub, Int16ub, Int32ub, Struct

from remotecalls.sockets.binary_dissector import MESSAGES
from remotecalls.wire.dissect import (
    Dissection,
    Layout,
    dissect_messages,
    labelled,
    repeated,
    sized,
)
from remotecalls.wire.recording import Direction

IPX_BYTES = 30
KINDS = {
    0x1111: "open a connection",
    0x2222: "request",
    0x3333: "reply",
    0x9999: "no such connection",
}


def _hex(number: int) -> str:
    return f"0x{number:04x}"


def _ipx_address(side: str, whose: str) -> list[Layout]:
    return [
        labelled(f"{side} network", Bytes(4), kind="key", meaning="0: this one", show=bytes.hex),
        labelled(f"{side} node", Bytes(6), kind="key", meaning=f"{whose} host", show=bytes.hex),
        labelled(f"{side} socket", Int16ub, kind="key", meaning=f"{whose} program", show=_hex),
    ]


def _packet(direction: Direction) -> Layout:
    to_server = direction is Direction.CLIENT_TO_SERVER
    ends = ("the server's", "the client's") if to_server else ("the client's", "the server's")
    messages = repeated(MESSAGES[direction])
    return Struct(
        labelled("checksum", Int16ub, kind="checksum", meaning="0xffff: none", show=_hex),
        labelled("length", Int16ub, kind="length", meaning="of the packet, all of it"),
        sized(
            lambda context: max(0, context.length - 4),
            Struct(
                labelled("hops", Int8ub, meaning="routers passed"),
                labelled("packet type", Int8ub, kind="type", meaning={17: "NCP: a call"}),
                *_ipx_address("to", ends[0]),
                *_ipx_address("from", ends[1]),
                labelled("kind", Int16ub, kind="type", meaning=KINDS, show=_hex),
                labelled("boot", Int32ub, kind="key", meaning="which life of the server"),
                labelled("connection", Int32ub, kind="key", meaning="whose calls are counted"),
                labelled("sequence", Int32ub, kind="key", meaning="which call"),
                labelled("part", Int32ub, kind="key", meaning="which packet of the answer"),
                labelled("more", Int8ub, meaning="whether another part follows"),
                labelled("crc", Int32ub, kind="checksum", meaning="CRC-32", show=_hex),
                _body(messages),
            ),
        ),
    )


def _body(messages: Layout) -> Layout:
    number = labelled("number", Int32ub, kind="key", meaning="the connection's, from now on")
    return IfThenElse(lambda it: it.kind == 0x3333 and it.sequence == 0, number, messages)


PACKETS = {direction: _packet(direction) for direction in Direction}


def dissect_datagrams(data: bytes, direction: Direction) -> Dissection:
    """Label every byte of the packets of one direction, which stand one after another."""
    return dissect_messages(data, PACKETS[direction])
