"""A client of the shop's contract: resources, methods, status codes, problems."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from decimal import Decimal
from typing import Any

import httpx

from remotecalls.rest.problems import MEDIA_TYPE
from remotecalls.rest.refusals import refusal, utf8
from remotecalls.rest.representations import JSON, LINES, Paths
from remotecalls.shop import Customer, InvalidArgument, Order
from remotecalls.shop.domain import check_customer_id, check_page, format_money, parse_money
from remotecalls.wire.address import Address
from remotecalls.wire.errors import ProtocolError
from remotecalls.wire.http_client import HTTPClient, lines_of

LONGEST_LINE = 10_000
PATHS = Paths()


class RestClient:
    """`ShopClient` over the paths of `openapi.yaml`.

    Args:
        address: of the service.
        timeout: seconds for each call, and from one order to the next.
        token: who the caller is.
    """

    def __init__(self, address: Address, timeout: float, token: str = "demo") -> None:
        headers = {"authorization": f"Bearer {token}", "accept": JSON}
        self._http = HTTPClient(address, timeout, headers)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()

    async def add_customer(self, customer_id: int, name: str, balance: Decimal) -> Customer:
        """Open an account."""
        new = {"customer_id": customer_id, "name": name, "balance": format_money(balance)}
        return read_customer(await self._call("POST", PATHS.customers, new))

    async def get_customer(self, customer_id: int) -> Customer:
        """Look a customer up."""
        check_customer_id(customer_id)
        return read_customer(await self._call("GET", PATHS.customer(customer_id)))

    async def update_balance(self, customer_id: int, change: Decimal) -> Customer:
        """Add `change` to the balance."""
        check_customer_id(customer_id)
        document = {"change": format_money(change)}
        return read_customer(await self._call("POST", PATHS.balance_changes(customer_id), document))

    async def place_order(
        self, customer_id: int, item: str, quantity: int, unit_price: Decimal
    ) -> Order:
        """Order an item and pay for it."""
        check_customer_id(customer_id)
        new = {"item": item, "quantity": quantity, "unit_price": format_money(unit_price)}
        return read_order(await self._call("POST", PATHS.orders(customer_id), new))

    async def list_customers(self, after: int = 0, limit: int = 50) -> list[Customer]:
        """One page of customers."""
        check_page(after, limit)
        page = await self._call("GET", f"{PATHS.customers}?after={after}&limit={limit}")
        return [read_customer(each) for each in members(page, "customers", list)]

    async def stream_orders(self, customer_id: int) -> AsyncGenerator[Order, None]:
        """All orders of a customer, as they arrive."""
        check_customer_id(customer_id)
        headers = {"accept": LINES}
        url = PATHS.orders(customer_id)
        async with self._http.stream("GET", url, headers=headers) as (response, parts):
            if not response.is_success:
                response._content = b"".join([part async for part in parts])
                raise problem_of(response)
            async for line in lines_of(parts, LONGEST_LINE):
                yield read_order(parsed(line))

    async def _call(self, method: str, url: str, document: dict[str, Any] | None = None) -> Any:
        options: dict[str, Any] = {}
        if document is not None:
            body = utf8(json.dumps(document, ensure_ascii=False, separators=(",", ":")))
            options = {"content": body.encode(), "headers": {"content-type": JSON}}
        response = await self._http.request(method, url, **options)
        if not response.is_success:
            raise problem_of(response)
        return parsed(response.content)


def problem_of(response: httpx.Response) -> Exception:
    """The exception for an answer that is none of success."""
    if response.headers.get("content-type") != MEDIA_TYPE:
        return ProtocolError(f"status {response.status_code} without problem details")
    try:
        problem = parsed(response.content)
        code, detail = members(problem, "code", str), members(problem, "detail", str)
    except ProtocolError as error:
        return error
    if code == "rule_violated":
        return InvalidArgument(detail)
    return refusal(code, detail)


def parsed(data: bytes) -> Any:
    """The document in an answer.

    Raises:
        ProtocolError: it is no JSON.
    """
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"the server sent what is no JSON: {data[:40]!r}") from error


def members(document: Any, name: str, kind: type) -> Any:
    """A member of a document.

    Raises:
        ProtocolError: it is missing or of another type.
    """
    value = document.get(name) if isinstance(document, dict) else None
    if type(value) is not kind:
        raise ProtocolError(f"the server's document has no {name} that is a {kind.__name__}")
    return value


def read_customer(document: Any) -> Customer:
    """The customer in a document, whatever else is in it.

    Raises:
        ProtocolError: there is none.
    """
    try:
        return Customer(
            members(document, "customer_id", int),
            members(document, "name", str),
            parse_money(members(document, "balance", str)),
        )
    except InvalidArgument as error:
        raise ProtocolError(f"the server sent what no shop holds: {error}") from error


def read_order(document: Any) -> Order:
    """The order in a document, whatever else is in it.

    Raises:
        ProtocolError: there is none.
    """
    try:
        return Order(
            members(document, "order_id", int),
            members(document, "customer_id", int),
            members(document, "item", str),
            members(document, "quantity", int),
            parse_money(members(document, "unit_price", str)),
        )
    except InvalidArgument as error:
        raise ProtocolError(f"the server sent what no shop holds: {error}") from error
