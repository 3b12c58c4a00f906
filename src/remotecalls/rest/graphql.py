"""The binding `graphql`: one URL again, and a language for what the client would like to have.

As with the XML of step one, HTTP carries every request as a POST and every answer as a 200; caches
and proxies in between have to be told. What is bought with it is the shape of the answer.

Sources: GraphQL over HTTP (working draft); the graphql-transport-ws protocol.
"""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from decimal import Decimal
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.websockets import WebSocket
from strawberry.asgi import GraphQL

from remotecalls.rest.asgi import App, Message, Receive, Scope, Send
from remotecalls.rest.bodies import BodyLate, BodyTooLarge, ClientLeft, read_body
from remotecalls.rest.client import members, parsed
from remotecalls.rest.graphql_schema import Context, Feed, create_schema
from remotecalls.rest.http_server import RunningServer, running
from remotecalls.rest.refusals import refusal, utf8
from remotecalls.rest.strict_json import JSONError, parse_json
from remotecalls.shop import Customer, InvalidArgument, Order, Shop
from remotecalls.shop.domain import (
    check_change,
    check_customer_id,
    check_page,
    format_money,
    parse_money,
)
from remotecalls.wire.address import Address
from remotecalls.wire.errors import ProtocolError, ServerFailed
from remotecalls.wire.http_client import HTTPClient

URL = "/graphql"
PAGE = 100

CUSTOMER = "customerId name balance"
ORDER = "orderId customerId item quantity unitPrice"

QUERIES = {
    "addCustomer": "mutation($customerId: Int!, $name: String!, $balance: String!) {"
    f" addCustomer(customerId: $customerId, name: $name, balance: $balance) {{ {CUSTOMER} }} }}",
    "customer": "query($customerId: Int!) {"
    f" customer(customerId: $customerId) {{ {CUSTOMER} }} }}",
    "changeBalance": "mutation($customerId: Int!, $change: String!) {"
    f" changeBalance(customerId: $customerId, change: $change) {{ {CUSTOMER} }} }}",
    "placeOrder": "mutation($customerId: Int!, $item: String!, $quantity: Int!,"
    " $unitPrice: String!) { placeOrder(customerId: $customerId, item: $item,"
    f" quantity: $quantity, unitPrice: $unitPrice) {{ {ORDER} }} }}",
    "customers": "query($after: Int!, $limit: Int!) {"
    f" customers(after: $after, limit: $limit) {{ {CUSTOMER} }} }}",
    "orders": "query($customerId: Int!, $after: Int!, $limit: Int!) {"
    " customer(customerId: $customerId) {"
    f" orders(after: $after, limit: $limit) {{ {ORDER} }} }} }}",
}


class _Service(GraphQL[Context, None]):
    def __init__(self, shop: Shop, batched: bool) -> None:
        super().__init__(create_schema(), graphql_ide=None, allow_queries_via_get=False)
        self._shop = shop
        self._batched = batched
        self._feed = Feed()

    async def get_context(
        self, request: Request | WebSocket, response: Response | WebSocket
    ) -> Context:
        return Context(self._shop, self._feed, self._batched)


class _CheckedBodies:
    """Reads a body with a limit, a deadline and one meaning before the library sees it."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            body = await read_body(receive)
            parse_json(body)
        except BodyTooLarge as error:
            await Response(str(error), 413, {"connection": "close"})(scope, receive, send)
        except BodyLate as error:
            await Response(str(error), 408, {"connection": "close"})(scope, receive, send)
        except ClientLeft:
            return
        except JSONError as error:
            await Response(f"no JSON: {error}", 400)(scope, receive, send)
        else:
            messages = iter([{"type": "http.request", "body": body}])

            async def receive_again() -> Message:
                return next(messages, None) or await receive()

            await self._app(scope, receive_again, send)


def create_app(shop: Shop, batched: bool = True) -> App:
    """The service.

    Args:
        shop: what it serves.
        batched: whether orders of many customers are asked for at once; without it, N customers
            are N more questions to the database.
    """
    logging.getLogger("strawberry.execution").setLevel(logging.CRITICAL)  # refusals are no faults
    return _CheckedBodies(_Service(shop, batched))


def serve(
    shop: Shop, host: str = "127.0.0.1", port: int = 0
) -> AbstractAsyncContextManager[RunningServer]:
    """Serve the shop for as long as the block lasts.

    Raises:
        OSError: the address is in use or not of this machine.
    """
    return running(create_app(shop), host, port, ws="websockets-sansio")


class GraphQLClient:
    """`ShopClient` over queries and mutations."""

    def __init__(self, address: Address, timeout: float) -> None:
        headers = {"content-type": "application/json", "accept": "application/json"}
        self._http = HTTPClient(address, timeout, headers)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()

    async def add_customer(self, customer_id: int, name: str, balance: Decimal) -> Customer:
        """Open an account."""
        check_customer_id(customer_id)  # an id beyond 32 bits is no Int of GraphQL
        values = {"customerId": customer_id, "name": name, "balance": format_money(balance)}
        return _customer(await self._ask("addCustomer", values))

    async def get_customer(self, customer_id: int) -> Customer:
        """Look a customer up."""
        check_customer_id(customer_id)
        return _customer(await self._ask("customer", {"customerId": customer_id}))

    async def update_balance(self, customer_id: int, change: Decimal) -> Customer:
        """Add `change` to the balance."""
        check_customer_id(customer_id)
        check_change(change)
        values = {"customerId": customer_id, "change": format_money(change)}
        return _customer(await self._ask("changeBalance", values))

    async def place_order(
        self, customer_id: int, item: str, quantity: int, unit_price: Decimal
    ) -> Order:
        """Order an item and pay for it."""
        Order(1, customer_id, item, quantity, unit_price)  # for its rules
        values = {"customerId": customer_id, "item": item, "quantity": quantity}
        price = format_money(unit_price)
        return _order(await self._ask("placeOrder", {**values, "unitPrice": price}))

    async def list_customers(self, after: int = 0, limit: int = 50) -> list[Customer]:
        """One page of customers."""
        check_page(after, limit)
        found = await self._ask("customers", {"after": after, "limit": limit})
        return [_customer(each) for each in _list(found)]

    async def stream_orders(self, customer_id: int) -> AsyncGenerator[Order, None]:
        """All orders of a customer, a page at a time."""
        check_customer_id(customer_id)
        after, full = 0, True
        while full:
            values = {"customerId": customer_id, "after": after, "limit": PAGE}
            customer = await self._ask("orders", values, field="customer")
            orders = [_order(each) for each in members(customer, "orders", list)]
            for order in orders:
                yield order
                after = order.order_id
            full = len(orders) == PAGE

    async def _ask(self, name: str, variables: Mapping[str, Any], field: str | None = None) -> Any:
        body = {"query": QUERIES[name], "variables": variables}
        content = utf8(json.dumps(body, ensure_ascii=False)).encode()
        response = await self._http.request("POST", URL, content=content)
        if response.status_code != 200:
            raise ProtocolError(f"status {response.status_code}: {response.text[:80]}")
        document = parsed(response.content)
        if not isinstance(document, dict):
            raise ProtocolError("the server's document is no object")
        if errors := document.get("errors"):
            raise _failure(errors)
        return members(document, "data", dict).get(field or name)


def _failure(errors: Any) -> Exception:
    first = errors[0] if isinstance(errors, list) and errors else None
    message = members(first, "message", str)
    extensions = first.get("extensions") if isinstance(first, dict) else None
    if isinstance(extensions, dict) and isinstance(extensions.get("code"), str):
        return refusal(extensions["code"], message)
    return ServerFailed(message)


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ProtocolError("the server sent no list")
    return value


def _customer(document: Any) -> Customer:
    try:
        return Customer(
            members(document, "customerId", int),
            members(document, "name", str),
            parse_money(members(document, "balance", str)),
        )
    except InvalidArgument as error:
        raise ProtocolError(f"the server sent what no shop holds: {error}") from error


def _order(document: Any) -> Order:
    try:
        return Order(
            members(document, "orderId", int),
            members(document, "customerId", int),
            members(document, "item", str),
            members(document, "quantity", int),
            parse_money(members(document, "unitPrice", str)),
        )
    except InvalidArgument as error:
        raise ProtocolError(f"the server sent what no shop holds: {error}") from error


@asynccontextmanager
async def connect(address: Address, timeout: float = 5.0) -> AsyncIterator[GraphQLClient]:
    """A client of the server at an address; each request takes at most `timeout` seconds."""
    client = GraphQLClient(address, timeout)
    try:
        yield client
    finally:
        await client.close()
