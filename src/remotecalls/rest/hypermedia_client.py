"""A client that knows one URL, `/`, and the names of links and forms.

`Walker` is generic: it follows links and fills in forms of any service that speaks HAL with
HAL-FORMS. `HypermediaClient` adds the names that the shop uses. Neither holds a path, so the
service can move its resources without asking them.

Sources: draft-kelly-json-hal-11; HAL-FORMS 2.01; RFC 6570 (URI templates).
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Mapping
from decimal import Decimal
from typing import Any

import uritemplate

from remotecalls.rest.client import members, parsed, problem_of, read_customer, read_order
from remotecalls.rest.refusals import utf8
from remotecalls.rest.representations import HAL
from remotecalls.shop import Customer, InvalidArgument, Order
from remotecalls.shop.domain import check_change, check_customer_id, check_page, format_money
from remotecalls.wire.address import Address
from remotecalls.wire.errors import ProtocolError
from remotecalls.wire.http_client import HTTPClient

Document = dict[str, Any]
PAGE = 100


class Walker:
    """Walks a service by its links and forms.

    Args:
        http: how to reach it.
        start: the one URL that has to be known.
    """

    def __init__(self, http: HTTPClient, start: str = "/") -> None:
        self._http = http
        self._start = start
        self._root: Document | None = None

    async def root(self) -> Document:
        """The entry point; fetched once, as its links hold for all callers."""
        if self._root is None:
            self._root = await self._get(self._start)
        return self._root

    async def follow(self, document: Document, relation: str, **variables: Any) -> Document:
        """The document at the end of a link.

        Args:
            document: where the link stands.
            relation: its name.
            variables: what its template leaves open.

        Raises:
            ProtocolError: there is no such link.
        """
        link = members(members(document, "_links", dict), relation, dict)
        href = members(link, "href", str)
        return await self._get(_expanded(href, variables))

    async def submit(self, document: Document, form: str, values: Mapping[str, Any]) -> Document:
        """Fill in a form and send it.

        Raises:
            InvalidArgument: a value is one that the form says the service refuses.
            ProtocolError: there is no such form, or it asks for what the caller does not have.
        """
        template = members(members(document, "_templates", dict), form, dict)
        _check(template, values)
        body = utf8(json.dumps(values, ensure_ascii=False, separators=(",", ":"))).encode()
        return await self._send(
            members(template, "method", str),
            members(template, "target", str),
            content=body,
            headers={"content-type": members(template, "contentType", str)},
        )

    async def _get(self, url: str) -> Document:
        return await self._send("GET", url)

    async def _send(self, method: str, url: str, **options: Any) -> Document:
        if not url.startswith("/") or url.startswith("//"):
            raise ProtocolError(f"{url[:60]!r} leads to another service")
        response = await self._http.request(method, url, **options)
        if not response.is_success:
            raise problem_of(response)
        document = parsed(response.content)
        if not isinstance(document, dict):
            raise ProtocolError("the server sent no document")
        return document


def _expanded(href: str, variables: Mapping[str, Any]) -> str:
    # The library takes the number 0 for a variable without a value.
    return uritemplate.expand(href, {name: str(value) for name, value in variables.items()})


def _check(template: Document, values: Mapping[str, Any]) -> None:
    for field in members(template, "properties", list):
        name = members(field, "name", str)
        if field.get("required") and name not in values:
            raise ProtocolError(f"the form asks for {name}, which this client does not know")
        value = values.get(name)
        longest = field.get("maxLength")
        if isinstance(longest, int) and isinstance(value, str) and len(value) > longest:
            raise InvalidArgument(f"{name} has at most {longest} characters")


class HypermediaClient:
    """`ShopClient` over links and forms.

    Args:
        address: of the service.
        timeout: seconds for each request.
        token: who the caller is.
        start: the entry point.
    """

    def __init__(
        self, address: Address, timeout: float, token: str = "demo", start: str = "/"
    ) -> None:
        headers = {"authorization": f"Bearer {token}", "accept": HAL}
        self._http = HTTPClient(address, timeout, headers)
        self._walker = Walker(self._http, start)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()

    async def add_customer(self, customer_id: int, name: str, balance: Decimal) -> Customer:
        """Open an account."""
        values = {"customer_id": customer_id, "name": name, "balance": format_money(balance)}
        root = await self._walker.root()
        return read_customer(await self._walker.submit(root, "add-customer", values))

    async def get_customer(self, customer_id: int) -> Customer:
        """Look a customer up."""
        return read_customer(await self._customer(customer_id))

    async def update_balance(self, customer_id: int, change: Decimal) -> Customer:
        """Add `change` to the balance."""
        check_change(change)  # before the first request: what is wrong in itself needs no server
        values = {"change": format_money(change)}
        customer = await self._customer(customer_id)
        return read_customer(await self._walker.submit(customer, "change-balance", values))

    async def place_order(
        self, customer_id: int, item: str, quantity: int, unit_price: Decimal
    ) -> Order:
        """Order an item and pay for it."""
        Order(1, customer_id, item, quantity, unit_price)  # for its rules
        values = {"item": item, "quantity": quantity, "unit_price": format_money(unit_price)}
        customer = await self._customer(customer_id)
        return read_order(await self._walker.submit(customer, "place-order", values))

    async def list_customers(self, after: int = 0, limit: int = 50) -> list[Customer]:
        """One page of customers."""
        check_page(after, limit)
        root = await self._walker.root()
        page = await self._walker.follow(root, "customers", after=after, limit=limit)
        found = members(members(page, "_embedded", dict), "customers", list)
        return [read_customer(each) for each in found]

    async def stream_orders(self, customer_id: int) -> AsyncGenerator[Order, None]:
        """All orders of a customer, a page at a time by the link `next`."""
        customer = await self._customer(customer_id)
        page = await self._walker.follow(customer, "orders", limit=PAGE)
        while True:
            for each in members(members(page, "_embedded", dict), "orders", list):
                yield read_order(each)
            if "next" not in members(page, "_links", dict):
                return
            page = await self._walker.follow(page, "next")

    async def _customer(self, customer_id: int) -> Document:
        check_customer_id(customer_id)
        root = await self._walker.root()
        return await self._walker.follow(root, "customer", customer_id=customer_id)
