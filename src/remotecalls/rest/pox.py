"""The binding `pox`: plain old XML, posted to one URL of a servlet.

HTTP carries the documents and is asked nothing else. Every answer is 200, every request is POST,
and what happened stands in the XML; no cache, no log and no proxy on the way can tell one call from
another. The program behind the URL is one object that lives as long as the server and answers on
many threads, as a servlet did; here its interface is WSGI's.

Sources: PEP 3333; the Java Servlet Specification 2.2, section 3.3.3 (threading).
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeAlias
from xml.etree.ElementTree import Element, ParseError, SubElement, XMLPullParser, tostring

from remotecalls.rest import wsgi_server, xml_documents
from remotecalls.rest.http_server import RunningServer
from remotecalls.rest.refusals import refusal
from remotecalls.rest.representations import XML, customer_document, order_document
from remotecalls.shop import Customer, InvalidArgument, Order, Shop, ShopError
from remotecalls.shop.domain import format_money, parse_money
from remotecalls.wire.address import Address
from remotecalls.wire.errors import ConnectionLost, FrameTooLarge, ProtocolError
from remotecalls.wire.http_client import HTTPClient

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

Fields: TypeAlias = Mapping[str, int | str]

Parser: TypeAlias = "XMLPullParser[Any]"

logger = logging.getLogger("remotecalls.rest")

URL = "/shop"
LARGEST_ELEMENT = 10_000


class Fault(Exception):
    """The answer is a fault: in this protocol a document like any other, with status 200."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code

    def document(self) -> bytes:
        """The fault as XML; characters that XML cannot write are escaped as Python has them."""
        message = str(self)
        text = message if xml_documents.writable(message) else ascii(message)
        return xml_documents.render("fault", {"code": self.code, "message": text})


class ShopServlet:
    """One object for all requests. It keeps nothing of any: its methods run on many threads.

    Args:
        shop: what the requests are carried out on.
    """

    def __init__(self, shop: Shop) -> None:
        self._shop = shop
        self._operations: Mapping[str, Callable[[Mapping[str, str]], Iterator[bytes]]] = {
            "addCustomer": self._add_customer,
            "getCustomer": self._get_customer,
            "updateBalance": self._update_balance,
            "listCustomers": self._list_customers,
            "placeOrder": self._place_order,
            "streamOrders": self._stream_orders,
        }

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        if environ["PATH_INFO"] != URL:
            return _plain(start_response, "404 Not Found", f"there is {URL}, and nothing else")
        if environ["REQUEST_METHOD"] != "POST":
            allow = [("Allow", "POST")]
            return _plain(start_response, "405 Method Not Allowed", "post a document", allow)
        try:
            body = environ["wsgi.input"].read()
            parts = self._carry_out(body)
            first = next(parts)
        except Fault as fault:
            logger.info("fault %s: %s", fault.code, fault)
            return _document(start_response, fault.document())
        second = next(parts, None)
        if second is None:
            return _document(start_response, first)
        start_response("200 OK", [("Content-Type", XML)])
        return _joined(first, second, parts)

    def _carry_out(self, body: bytes) -> Iterator[bytes]:
        try:
            name, fields = _request(body)
            if name not in self._operations:
                raise Fault("bad_request", f"there is no operation {name[:40]}")
            yield from self._operations[name](fields)
        except xml_documents.UnwritableText as error:
            raise Fault("server_failed", f"no XML for the answer: {error}") from error
        except ShopError as error:
            raise Fault(error.code, str(error)) from error
        except (KeyError, ValueError) as error:
            raise Fault("bad_request", f"{type(error).__name__}: {error}") from error

    def _add_customer(self, fields: Mapping[str, str]) -> Iterator[bytes]:
        balance = parse_money(fields["balance"])
        new = _whole(fields, "customer_id"), fields["name"], balance
        yield _customer(self._shop.add_customer(*new))

    def _get_customer(self, fields: Mapping[str, str]) -> Iterator[bytes]:
        yield _customer(self._shop.get_customer(_whole(fields, "customer_id")))

    def _update_balance(self, fields: Mapping[str, str]) -> Iterator[bytes]:
        change = parse_money(fields["change"])
        yield _customer(self._shop.update_balance(_whole(fields, "customer_id"), change))

    def _list_customers(self, fields: Mapping[str, str]) -> Iterator[bytes]:
        found = self._shop.list_customers(_whole(fields, "after"), _whole(fields, "limit"))
        yield xml_documents.render("customers", {"customers": list(map(customer_document, found))})

    def _place_order(self, fields: Mapping[str, str]) -> Iterator[bytes]:
        price = parse_money(fields["unit_price"])
        item, quantity = fields["item"], _whole(fields, "quantity")
        order = self._shop.place_order(_whole(fields, "customer_id"), item, quantity, price)
        yield xml_documents.render("order", order_document(order))

    def _stream_orders(self, fields: Mapping[str, str]) -> Iterator[bytes]:
        orders = self._shop.stream_orders(_whole(fields, "customer_id"))
        yield xml_documents.DECLARATION + b"<orders>"
        for order in orders:
            yield xml_documents.render("order", order_document(order)).removeprefix(
                xml_documents.DECLARATION
            )
        yield b"</orders>"


def _joined(first: bytes, second: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield second
    yield from rest


def _customer(customer: Customer) -> bytes:
    return xml_documents.render("customer", customer_document(customer))


def _request(body: bytes) -> tuple[str, Mapping[str, str]]:
    root = xml_documents.element(body)
    return root.tag, {each.tag: each.text or "" for each in root}


def _whole(fields: Mapping[str, str], name: str) -> int:
    text = fields[name]
    if len(text) > 20 or not text.removeprefix("-").isdecimal():
        raise ValueError(f"{name} is {text[:30]!r}, no whole number")
    return int(text)


def _document(start_response: StartResponse, body: bytes) -> list[bytes]:
    start_response("200 OK", [("Content-Type", XML), ("Content-Length", str(len(body)))])
    return [body]


def _plain(
    start_response: StartResponse,
    status: str,
    text: str,
    headers: list[tuple[str, str]] | None = None,
) -> list[bytes]:
    start_response(status, [("Content-Type", "text/plain"), *(headers or [])])
    return [text.encode()]


def serve(
    shop: Shop, host: str = "127.0.0.1", port: int = 0
) -> AbstractAsyncContextManager[RunningServer]:
    """Serve the shop for as long as the block lasts.

    Raises:
        OSError: the address is in use or not of this machine.
    """
    return wsgi_server.running(ShopServlet(shop), host, port)


class PoxClient:
    """`ShopClient` over XML posted to one URL."""

    def __init__(self, address: Address, timeout: float) -> None:
        self._http = HTTPClient(address, timeout, {"content-type": XML})

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()

    async def add_customer(self, customer_id: int, name: str, balance: Decimal) -> Customer:
        """Open an account."""
        fields: Fields = {
            "customer_id": customer_id,
            "name": name,
            "balance": format_money(balance),
        }
        return _read_customer(await self._call("addCustomer", fields))

    async def get_customer(self, customer_id: int) -> Customer:
        """Look a customer up."""
        return _read_customer(await self._call("getCustomer", {"customer_id": customer_id}))

    async def update_balance(self, customer_id: int, change: Decimal) -> Customer:
        """Add `change` to the balance."""
        fields: Fields = {"customer_id": customer_id, "change": format_money(change)}
        return _read_customer(await self._call("updateBalance", fields))

    async def place_order(
        self, customer_id: int, item: str, quantity: int, unit_price: Decimal
    ) -> Order:
        """Order an item and pay for it."""
        fields: Fields = {"customer_id": customer_id, "item": item, "quantity": quantity}
        price = format_money(unit_price)
        return _read_order(await self._call("placeOrder", {**fields, "unit_price": price}))

    async def list_customers(self, after: int = 0, limit: int = 50) -> list[Customer]:
        """One page of customers."""
        root = await self._call("listCustomers", {"after": after, "limit": limit})
        return [_read_customer(each) for each in root]

    async def stream_orders(self, customer_id: int) -> AsyncGenerator[Order, None]:
        """All orders of a customer, as they arrive."""
        body = _write("streamOrders", {"customer_id": customer_id})
        parser: Parser = XMLPullParser(["start", "end"])
        size, depth = 0, 0
        async with self._http.stream("POST", URL, content=body) as (response, parts):
            _check_head(response.status_code)
            async for part in parts:
                for event, element in _events(parser, part):
                    depth += 1 if event == "start" else -1
                    if event == "end" and element.tag == "order" and depth == 1:
                        yield _read_order(element)
                        size = 0
                        element.clear()
                    elif event == "end" and depth == 0:
                        _check_root(element, "orders")
                size += len(part)
                if size > LARGEST_ELEMENT + len(part):
                    raise FrameTooLarge(f"an order of over {LARGEST_ELEMENT:,} bytes")
        if depth != 0 or size == 0:
            raise ConnectionLost("the document ended before its root element did")

    async def _call(self, operation: str, fields: Fields) -> Element:
        response = await self._http.request("POST", URL, content=_write(operation, fields))
        _check_head(response.status_code)
        try:
            root = xml_documents.element(response.content)
        except ValueError as error:
            raise ProtocolError(f"the server sent what is no XML: {error}") from error
        _check_root(root)
        return root


def _write(operation: str, fields: Fields) -> bytes:
    root = Element(operation)
    for name, value in fields.items():
        text = str(value)
        if not xml_documents.writable(text):
            raise InvalidArgument(f"{text!r} holds a character that XML cannot write")
        SubElement(root, name).text = text
    body: bytes = tostring(root, encoding="utf-8")
    return body


def _events(parser: Parser, part: bytes) -> list[Any]:
    try:
        parser.feed(part)
        return list(parser.read_events())
    except ParseError as error:
        raise ProtocolError(f"the server sent what is no XML: {error}") from error


def _check_head(status: int) -> None:
    if status != 200:
        raise ProtocolError(f"status {status}: this protocol has none but 200")


def _check_root(root: Element, name: str | None = None) -> None:
    if root.tag == "fault":
        raise refusal(root.findtext("code"), root.findtext("message"))
    if name is not None and root.tag != name:
        raise ProtocolError(f"expected {name}, got {root.tag!r}")


def _read_customer(element: Element) -> Customer:
    try:
        return Customer(
            int(element.findtext("customer_id", "")),
            element.findtext("name", ""),
            parse_money(element.findtext("balance", "")),
        )
    except (ValueError, InvalidArgument) as error:
        raise ProtocolError(f"the server sent no customer: {error}") from error


def _read_order(element: Element) -> Order:
    try:
        return Order(
            int(element.findtext("order_id", "")),
            int(element.findtext("customer_id", "")),
            element.findtext("item", ""),
            int(element.findtext("quantity", "")),
            parse_money(element.findtext("unit_price", "")),
        )
    except (ValueError, InvalidArgument) as error:
        raise ProtocolError(f"the server sent no order: {error}") from error


@asynccontextmanager
async def connect(address: Address, timeout: float = 5.0) -> AsyncIterator[PoxClient]:
    """A client of the server at an address; each call takes at most `timeout` seconds."""
    client = PoxClient(address, timeout)
    try:
        yield client
    finally:
        await client.close()
