"""Every protocol of the book as a binding of the same shop.

A binding joins a server, a client and a dissector under one name. The conformance suite, the wire
tap, the comparison pages and `python -m remotecalls serve` take them from here.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from remotecalls.shop import Shop, ShopClient
from remotecalls.sockets import binary, streams, text
from remotecalls.sockets.binary_dissector import dissect_binary
from remotecalls.sockets.text_dissector import dissect_text
from remotecalls.wire.address import Address
from remotecalls.wire.dissect import Dissection
from remotecalls.wire.recording import Direction


class Server(Protocol):
    """A running server."""

    @property
    def address(self) -> Address:
        """Where it listens."""
        ...


class Serve(Protocol):
    """Serve a shop for as long as the block lasts; raises OSError if it cannot listen."""

    def __call__(
        self, shop: Shop, host: str = ..., port: int = ...
    ) -> AbstractAsyncContextManager[Server]:
        """Begin to serve."""
        ...


class Connect(Protocol):
    """A client of the server at an address, whose calls take at most `timeout` seconds."""

    def __call__(
        self, address: Address, timeout: float = ...
    ) -> AbstractAsyncContextManager[ShopClient]:
        """Begin to be a client."""
        ...


@dataclass(frozen=True)
class Binding:
    """One protocol, from both ends and from the middle.

    Attributes:
        name: what `python -m remotecalls serve` calls it.
        title: what a page calls it.
        year: when the manner of it came into use.
        ancestor: the protocol or interface that made it common, with its source.
        serve: starts a server.
        connect: starts a client.
        dissect: labels the bytes of one direction of a connection.
    """

    name: str
    title: str
    year: int
    ancestor: str
    serve: Serve
    connect: Connect
    dissect: Callable[[bytes, Direction], Dissection]


BINDINGS = {
    binding.name: binding
    for binding in [
        Binding(
            name="text",
            title="Lines of text",
            year=1982,
            ancestor="SMTP, RFC 821",
            serve=text.serve,
            connect=text.connect,
            dissect=dissect_text,
        ),
        Binding(
            name="binary",
            title="Length-prefixed binary",
            year=1987,
            ancestor="TPKT, RFC 1006",
            serve=binary.serve,
            connect=binary.connect,
            dissect=dissect_binary,
        ),
        Binding(
            name="streams",
            title="Binary on an event loop",
            year=2014,
            ancestor="asyncio streams, PEP 3156",
            serve=streams.serve,
            connect=streams.connect,
            dissect=dissect_binary,
        ),
    ]
}
