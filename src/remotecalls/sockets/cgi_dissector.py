"""What each byte of HTTP/1.0 and of a form means, declared apart from the code that reads it."""

from __future__ import annotations

from construct import Bytes, IfThenElse, Peek, Struct

from remotecalls.sockets.text_dissector import MESSAGES
from remotecalls.wire.dissect import Dissection, dissect_messages, sized
from remotecalls.wire.http_layout import ANSWER_HEAD, FORM, REQUEST_HEAD, content_length
from remotecalls.wire.recording import Direction

REQUEST = Struct("head" / REQUEST_HEAD, "body" / sized(content_length, FORM))
ANSWER = Struct(
    "start" / Peek(Bytes(5)),
    IfThenElse(lambda it: it.start == b"HTTP/", ANSWER_HEAD, MESSAGES[Direction.SERVER_TO_CLIENT]),
)


def dissect_cgi(data: bytes, direction: Direction) -> Dissection:
    """Label every byte of one direction of connections that speak HTTP/1.0 with the shop."""
    return dissect_messages(data, REQUEST if direction is Direction.CLIENT_TO_SERVER else ANSWER)
