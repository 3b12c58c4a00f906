"""Every protocol of the book as a binding of the same shop.

A binding joins a server, a client and a dissector under one name. The conformance suite, the wire
tap, the comparison pages and `python -m remotecalls serve` take them from here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol

from remotecalls.shop import Shop, ShopClient
from remotecalls.shop.database import open_repository, temporary_repository
from remotecalls.sockets import (
    binary,
    cgi,
    datagrams,
    eventloop,
    fork,
    mainframe,
    pool,
    prefork,
    streams,
    text,
)
from remotecalls.sockets.binary_dissector import dissect_binary
from remotecalls.sockets.cgi_dissector import dissect_cgi
from remotecalls.sockets.copybook import writable
from remotecalls.sockets.datagram_dissector import dissect_datagrams
from remotecalls.sockets.record_dissector import dissect_records
from remotecalls.sockets.text_dissector import dissect_text
from remotecalls.wire.address import Address
from remotecalls.wire.dissect import Dissection
from remotecalls.wire.http_layout import dissect_http
from remotecalls.wire.recording import Direction, Transport
from remotecalls.wire.tap import DatagramTap, Tap


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
        transport: what carries the bytes.
        bytes_of: the binding whose bytes these are; its own name, unless only the server differs.
        can_write: whether a text can be written in the protocol as it stands. A client refuses
            any other with `InvalidArgument`, and sends nothing.
        refusal_says: what the labels of a server's last bytes say to a client whose bytes are none
            of the protocol; empty where it closes without a word.
        shares_file: whether several processes answer, so that the shop has to be in a file.
    """

    name: str
    title: str
    year: int
    ancestor: str
    serve: Serve
    connect: Connect
    dissect: Callable[[bytes, Direction], Dissection]
    transport: Transport = Transport.TCP
    bytes_of: str = ""
    can_write: Callable[[str], bool] = lambda _: True
    refusal_says: str = "bad_request"
    shares_file: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "bytes_of", self.bytes_of or self.name)

    def tap(self, server: Address) -> Tap | DatagramTap:
        """A recording proxy for this binding's transport, not yet entered."""
        return DatagramTap(server) if self.transport is Transport.UDP else Tap(server)

    @contextmanager
    def shop(self, database: str | None = None) -> Iterator[Shop]:
        """An empty shop that this binding can serve, or the one that is in a database.

        Args:
            database: where it is, as `open_repository` reads it. Without it, the shop is kept in
                memory, or in a temporary file if processes have to share it.

        Raises:
            DatabaseUnavailable: it names no database, or one that cannot be used.
        """
        if database is not None:
            with open_repository(database) as repository:
                yield Shop(repository)
        elif self.shares_file:
            with temporary_repository() as temporary:
                yield Shop(temporary)
        else:
            yield Shop()


def _of(module: str, function: str) -> Any:
    """A function of a module that is imported when it is first called.

    Protocols that stand on large libraries take their time to import; whoever serves another one
    does not wait for them.
    """

    def call(*args: Any, **options: Any) -> Any:
        return getattr(import_module(module), function)(*args, **options)

    return call


BINDINGS = {
    binding.name: binding
    for binding in [
        Binding(
            name="mainframe",
            title="A record of fixed width",
            year=1969,
            ancestor="CICS and COBOL on System/360, in EBCDIC and packed decimal",
            serve=mainframe.serve,
            connect=mainframe.connect,
            dissect=dissect_records,
            can_write=writable,
        ),
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
            name="datagrams",
            title="Datagrams with an IPX header",
            year=1983,
            ancestor="Novell NetWare and its Core Protocol; IPX in UDP, RFC 1234",
            serve=datagrams.serve,
            connect=datagrams.connect,
            dissect=dissect_datagrams,
            transport=Transport.UDP,
        ),
        Binding(
            name="cgi",
            title="A form over HTTP, a process for each request",
            year=1993,
            ancestor="CGI of NCSA httpd, RFC 3875",
            serve=cgi.serve,
            connect=cgi.connect,
            dissect=dissect_cgi,
            shares_file=True,
        ),
        Binding(
            name="fork",
            title="Binary, a process for each connection",
            year=1983,
            ancestor="the servers of 4.2BSD",
            serve=fork.serve,
            connect=fork.connect,
            dissect=dissect_binary,
            bytes_of="binary",
            shares_file=True,
        ),
        Binding(
            name="prefork",
            title="Binary, processes that wait for connections",
            year=1995,
            ancestor="Apache's prefork model",
            serve=prefork.serve,
            connect=prefork.connect,
            dissect=dissect_binary,
            bytes_of="binary",
            shares_file=True,
        ),
        Binding(
            name="pool",
            title="Binary, a pool of threads",
            year=2004,
            ancestor="java.util.concurrent, JSR 166",
            serve=pool.serve,
            connect=pool.connect,
            dissect=dissect_binary,
            bytes_of="binary",
        ),
        Binding(
            name="eventloop",
            title="Binary, an event loop of our own",
            year=1983,
            ancestor="select(2), 4.2BSD",
            serve=eventloop.serve,
            connect=eventloop.connect,
            dissect=dissect_binary,
            bytes_of="binary",
        ),
        Binding(
            name="streams",
            title="Binary on asyncio's event loop",
            year=2014,
            ancestor="asyncio streams, PEP 3156",
            serve=streams.serve,
            connect=streams.connect,
            dissect=dissect_binary,
            bytes_of="binary",
        ),
        Binding(
            name="pox",
            title="XML posted to one URL",
            year=1998,
            ancestor="XML-RPC, and Java servlets",
            serve=_of("remotecalls.rest.pox", "serve"),
            connect=_of("remotecalls.rest.pox", "connect"),
            dissect=dissect_http,
            can_write=_of("remotecalls.rest.xml_documents", "writable"),
            refusal_says="Request Header Fields Too Large",
        ),
        Binding(
            name="resources",
            title="Resources and methods, always 200",
            year=2004,
            ancestor="the first public web APIs that were called REST",
            serve=_of("remotecalls.rest.resources", "serve"),
            connect=_of("remotecalls.rest.resources", "connect"),
            dissect=dissect_http,
        ),
        Binding(
            name="rest",
            title="HTTP as it was meant",
            year=2000,
            ancestor="Fielding's dissertation; HTTP/1.1, RFC 2616",
            serve=_of("remotecalls.rest.rest", "serve"),
            connect=_of("remotecalls.rest.rest", "connect"),
            dissect=dissect_http,
        ),
        Binding(
            name="hypermedia",
            title="Links and forms",
            year=2011,
            ancestor="HAL and HAL-FORMS, after Fielding's last constraint",
            serve=_of("remotecalls.rest.rest", "serve"),
            connect=_of("remotecalls.rest.rest", "connect_hypermedia"),
            dissect=dissect_http,
        ),
        Binding(
            name="graphql",
            title="A query in the shape of its answer",
            year=2015,
            ancestor="Facebook's GraphQL",
            serve=_of("remotecalls.rest.graphql", "serve"),
            connect=_of("remotecalls.rest.graphql", "connect"),
            dissect=dissect_http,
        ),
        Binding(
            name="grpc",
            title="Protocol Buffers over HTTP/2",
            year=2016,
            ancestor="Google's Stubby; gRPC 1.0",
            serve=_of("remotecalls.grpc.server", "serve"),
            connect=_of("remotecalls.grpc.client", "connect"),
            dissect=_of("remotecalls.grpc.http2_dissector", "dissect_http2"),
            refusal_says="",
        ),
        Binding(
            name="transcoded",
            title="JSON, turned into gRPC by a proxy",
            year=2017,
            ancestor="google.api.http and Envoy's transcoder",
            serve=_of("remotecalls.grpc.transcoded", "serve"),
            connect=_of("remotecalls.grpc.json_client", "connect"),
            dissect=dissect_http,
            refusal_says="Request Header Fields Too Large",
        ),
    ]
}
