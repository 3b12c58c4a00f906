"""The binding `resources`: what most people call REST.

Each customer has a URL and each operation a method of HTTP. That much can be seen from outside.
What cannot: whether it worked. Every answer is 200, with `"ok": false` in it for a failure, so a
proxy counts no error, a cache may keep a failure, and each client has to know this service's own
way of saying no. Nothing says whether an answer is still current, either.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from decimal import Decimal
from functools import partial
from typing import Any, TypeVar

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from remotecalls.rest.bodies import BodyLate, BodyTooLarge, ClientLeft, read_body
from remotecalls.rest.client import members, parsed, read_customer, read_order
from remotecalls.rest.http_server import RunningServer, running
from remotecalls.rest.refusals import refusal, utf8
from remotecalls.rest.representations import customer_document, order_document
from remotecalls.rest.strict_json import JSONError, parse_json
from remotecalls.shop import Customer, Order, Shop, ShopError
from remotecalls.shop.domain import check_customer_id, check_page, format_money, parse_money
from remotecalls.shop.offload import off_the_loop
from remotecalls.wire.address import Address
from remotecalls.wire.errors import ProtocolError
from remotecalls.wire.http_client import HTTPClient

Document = dict[str, Any]
Value = TypeVar("Value", int, str)
PAGE = 100


class BadRequest(Exception):
    """The request does not say what it has to."""


def create_app(shop: Shop) -> Starlette:
    """The service."""

    ask = partial(off_the_loop, shop)

    async def get_customer(request: Request) -> Document:
        return customer_document(await ask(shop.get_customer, _path(request)))

    async def list_customers(request: Request) -> Document:
        found = await ask(shop.list_customers, _query(request, "after"), _query(request, "limit"))
        return {"customers": [customer_document(each) for each in found]}

    async def add_customer(request: Request) -> Document:
        new = await _body(request)
        args = _field(new, "customer_id", int), _field(new, "name", str)
        balance = parse_money(_field(new, "balance", str))
        return customer_document(await ask(shop.add_customer, *args, balance))

    async def change_balance(request: Request) -> Document:
        change = parse_money(_field(await _body(request), "change", str))
        return customer_document(await ask(shop.update_balance, _path(request), change))

    async def list_orders(request: Request) -> Document:
        after = _query(request, "after")
        found = await ask(shop.list_orders, _path(request), after, PAGE)
        return {"orders": [order_document(each) for each in found], "more": len(found) == PAGE}

    async def place_order(request: Request) -> Document:
        new = await _body(request)
        args = _path(request), _field(new, "item", str), _field(new, "quantity", int)
        price = parse_money(_field(new, "unit_price", str))
        return order_document(await ask(shop.place_order, *args, price))

    customer = "/customers/{customer_id}"
    return Starlette(
        routes=[
            Route("/customers", _always_ok(list_customers), methods=["GET"]),
            Route("/customers", _always_ok(add_customer), methods=["POST"]),
            Route(customer, _always_ok(get_customer), methods=["GET"]),
            Route(f"{customer}/balance", _always_ok(change_balance), methods=["PATCH"]),
            Route(f"{customer}/orders", _always_ok(list_orders), methods=["GET"]),
            Route(f"{customer}/orders", _always_ok(place_order), methods=["POST"]),
        ]
    )


def _always_ok(
    endpoint: Callable[[Request], Awaitable[Document]],
) -> Callable[[Request], Awaitable[Response]]:
    """Answer 200, whatever happened: the mistake that this step is about."""

    async def answer(request: Request) -> Response:
        try:
            return JSONResponse({"ok": True, "result": await endpoint(request)})
        except ShopError as error:
            return _failure(error.code, str(error))
        except (BadRequest, JSONError) as error:
            return _failure("bad_request", str(error))
        except (BodyTooLarge, BodyLate) as error:
            response = _failure("bad_request", str(error))
            response.headers["connection"] = "close"
            return response
        except ClientLeft:
            return Response(status_code=400)  # nobody is there to read it

    return answer


def _failure(code: str, message: str) -> Response:
    safe = message.encode(errors="backslashreplace").decode()
    return JSONResponse({"ok": False, "code": code, "message": safe})


def _path(request: Request) -> int:
    return _whole(request.path_params["customer_id"])


def _query(request: Request, name: str) -> int:
    return _whole(request.query_params.get(name, ""))


def _whole(text: str) -> int:
    if len(text) > 20 or not text.removeprefix("-").isdecimal():
        raise BadRequest(f"{text[:30]!r} is no whole number")
    return int(text)


async def _body(request: Request) -> Document:
    document = parse_json(await read_body(request.receive))
    if not isinstance(document, dict):
        raise BadRequest("the body is no object")
    return document


def _field(document: Document, name: str, kind: type[Value]) -> Value:
    value = document.get(name)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise BadRequest(f"the body has no {name}, or it is no {kind.__name__}")
    return value


def serve(
    shop: Shop, host: str = "127.0.0.1", port: int = 0
) -> AbstractAsyncContextManager[RunningServer]:
    """Serve the shop for as long as the block lasts.

    Raises:
        OSError: the address is in use or not of this machine.
    """
    return running(create_app(shop), host, port)


class ResourcesClient:
    """`ShopClient` over resources and methods, with success and failure in the body."""

    def __init__(self, address: Address, timeout: float) -> None:
        self._http = HTTPClient(address, timeout)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()

    async def add_customer(self, customer_id: int, name: str, balance: Decimal) -> Customer:
        """Open an account."""
        new = {"customer_id": customer_id, "name": name, "balance": format_money(balance)}
        return read_customer(await self._call("POST", "/customers", new))

    async def get_customer(self, customer_id: int) -> Customer:
        """Look a customer up."""
        check_customer_id(customer_id)
        return read_customer(await self._call("GET", f"/customers/{customer_id}"))

    async def update_balance(self, customer_id: int, change: Decimal) -> Customer:
        """Add `change` to the balance."""
        check_customer_id(customer_id)
        document = {"change": format_money(change)}
        url = f"/customers/{customer_id}/balance"
        return read_customer(await self._call("PATCH", url, document))

    async def place_order(
        self, customer_id: int, item: str, quantity: int, unit_price: Decimal
    ) -> Order:
        """Order an item and pay for it."""
        check_customer_id(customer_id)
        new = {"item": item, "quantity": quantity, "unit_price": format_money(unit_price)}
        return read_order(await self._call("POST", f"/customers/{customer_id}/orders", new))

    async def list_customers(self, after: int = 0, limit: int = 50) -> list[Customer]:
        """One page of customers."""
        check_page(after, limit)
        page = await self._call("GET", f"/customers?after={after}&limit={limit}")
        return [read_customer(each) for each in members(page, "customers", list)]

    async def stream_orders(self, customer_id: int) -> AsyncGenerator[Order, None]:
        """All orders of a customer, a page at a time."""
        check_customer_id(customer_id)
        after, more = 0, True
        while more:
            page = await self._call("GET", f"/customers/{customer_id}/orders?after={after}")
            orders = [read_order(each) for each in members(page, "orders", list)]
            for order in orders:
                yield order
            more = members(page, "more", bool) and bool(orders)
            after = orders[-1].order_id if orders else 0

    async def _call(self, method: str, url: str, document: Document | None = None) -> Document:
        options: dict[str, Any] = {}
        if document is not None:
            content = utf8(json.dumps(document, ensure_ascii=False)).encode()
            options = {"content": content, "headers": {"content-type": "application/json"}}
        response = await self._http.request(method, url, **options)
        if response.status_code != 200:
            raise ProtocolError(f"status {response.status_code}")
        answer = parsed(response.content)
        if members(answer, "ok", bool):
            result: Document = members(answer, "result", dict)
            return result
        raise refusal(members(answer, "code", str), members(answer, "message", str))


@asynccontextmanager
async def connect(address: Address, timeout: float = 5.0) -> AsyncIterator[ResourcesClient]:
    """A client of the server at an address; each call takes at most `timeout` seconds."""
    client = ResourcesClient(address, timeout)
    try:
        yield client
    finally:
        await client.close()
