"""The shop as its OpenAPI document describes it, on FastAPI.

The document was first: it decides what comes in and goes out (`enforcement`), and this module says
what happens in between. FastAPI is asked neither to check nor to describe anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from fastapi import FastAPI, Request
from fastapi.responses import Response, StreamingResponse

from remotecalls.rest.conditional import entity_tag, matches_strongly, matches_weakly
from remotecalls.rest.merge_patch import merge_patch
from remotecalls.rest.negotiation import choose, preferred_return
from remotecalls.rest.problems import KINDS, Problem
from remotecalls.rest.representations import (
    ANY,
    HAL,
    JSON,
    LINES,
    Paths,
    Representations,
    customer_document,
    order_document,
    to_json,
)
from remotecalls.shop import Customer, InvalidArgument, Order, Shop, ShopError
from remotecalls.shop.domain import parse_money
from remotecalls.shop.offload import off_the_loop

Result = TypeVar("Result")

REVALIDATE = "private, no-cache"
"""A cache may keep it, and has to ask each time whether it is current."""
FOREVER = "private, max-age=31536000, immutable"

LINES_AT_ONCE = 50


class ShopService:
    """The operations of the document.

    Args:
        shop: what they are carried out on.
        prefix: a path that stands before all others.
    """

    def __init__(self, shop: Shop, prefix: str = "") -> None:
        self._shop = shop
        self._paths = Paths(prefix)
        self._representations = Representations(self._paths)

    def add_to(self, app: FastAPI) -> None:
        """Route the paths of the document to the methods of this class."""
        customer = "/customers/{customer_id}"
        routes: list[tuple[str, str, Callable[..., Any]]] = [
            ("GET", "/", self.get_entry_point),
            ("GET", "/problems/{code}", self.get_problem_type),
            ("GET", "/customers", self.list_customers),
            ("POST", "/customers", self.add_customer),
            ("GET", customer, self.get_customer),
            ("PATCH", customer, self.edit_customer),
            ("POST", f"{customer}/balance-changes", self.change_balance),
            ("GET", f"{customer}/orders", self.list_orders),
            ("POST", f"{customer}/orders", self.place_order),
            ("GET", f"{customer}/orders/{{order_id}}", self.get_order),
        ]
        for method, path, endpoint in routes:
            methods = [method, "HEAD"] if method == "GET" else [method]
            # Not `add_api_route`: it would read and check each parameter a second time.
            app.add_route(path, endpoint, methods=methods)

    # ------------------------------------------------------------ about the service

    async def get_entry_point(self, request: Request) -> Response:
        """Links to everything else."""
        media_type = choose(request.headers.get("accept"), (HAL,))
        return _fetched(request, media_type, self._representations.entry_point())

    async def get_problem_type(self, request: Request) -> Response:
        """What a kind of problem means."""
        code = request.state.match.path["code"]
        kind = KINDS.get(code)
        if kind is None:
            raise Problem("not_found", f"there is no kind of problem called {code}")
        document = {"code": code, "title": kind.title, "status": kind.status, "help": kind.help}
        return Response(to_json(document), media_type=JSON)

    # ------------------------------------------------------------ customers

    async def list_customers(self, request: Request) -> Response:
        """One page of customers."""
        media_type = choose(request.headers.get("accept"), ANY)
        after, limit = _page(request)
        found = await self._ask(self._shop.list_customers, after, limit)
        last = found[-1].customer_id if len(found) == limit else None
        here, following = _page_links(self._paths.customers, after, limit, last)
        body = self._representations.customers(media_type, found, here, following)
        return _fetched(request, media_type, body, _link(following))

    async def add_customer(self, request: Request) -> Response:
        """Open an account."""
        media_type = choose(request.headers.get("accept"), ANY)
        new = request.state.document
        args = new["customer_id"], new["name"], parse_money(new["balance"])
        customer = await self._ask(self._shop.add_customer, *args)
        location = self._paths.customer(customer.customer_id)
        return self._created(request, media_type, customer, location)

    async def get_customer(self, request: Request) -> Response:
        """Look a customer up."""
        media_type = choose(request.headers.get("accept"), ANY)
        customer = await self._ask(self._shop.get_customer, _customer_id(request))
        return _fetched(request, media_type, self._representations.customer(media_type, customer))

    async def edit_customer(self, request: Request) -> Response:
        """Change a customer whom nobody else has changed in the meantime."""
        media_type = choose(request.headers.get("accept"), ANY)
        condition = request.headers["if-match"]
        before = await self._ask(self._shop.get_customer, _customer_id(request))
        if not matches_strongly(condition, self._tags(before)):
            raise Problem("precondition_failed", "the customer is not what the request expects")
        changed = merge_patch(customer_document(before), request.state.document)
        after = Customer(before.customer_id, changed["name"], parse_money(changed["balance"]))
        if not await self._ask(self._shop.replace_customer, before, after):
            raise Problem("precondition_failed", "somebody changed the customer just now")
        return self._changed(request, media_type, after)

    async def change_balance(self, request: Request) -> Response:
        """Pay in, or take away."""
        media_type = choose(request.headers.get("accept"), ANY)
        change = parse_money(request.state.document["change"])
        customer = await self._ask(self._shop.update_balance, _customer_id(request), change)
        return self._changed(request, media_type, customer)

    # ------------------------------------------------------------ orders

    async def list_orders(self, request: Request) -> Response:
        """A customer's orders: a page of them, or all as lines."""
        media_type = choose(request.headers.get("accept"), (*ANY, LINES))
        customer_id = _customer_id(request)
        after, limit = _page(request)
        if media_type == LINES:
            first = await self._ask(self._shop.list_orders, customer_id, after, LINES_AT_ONCE)
            return StreamingResponse(
                self._lines(customer_id, first),
                media_type=LINES,
                headers={"cache-control": "no-store", "vary": "Accept"},
            )
        found = await self._ask(self._shop.list_orders, customer_id, after, limit)
        last = found[-1].order_id if len(found) == limit else None
        here, following = _page_links(self._paths.orders(customer_id), after, limit, last)
        body = self._representations.orders(media_type, found, here, following)
        return _fetched(request, media_type, body, _link(following))

    async def _lines(self, customer_id: int, page: list[Order]) -> Any:
        # The next page is fetched when the client has taken this one: memory stays flat.
        while page:
            yield b"".join(to_json(order_document(order)) + b"\n" for order in page)
            after = page[-1].order_id
            page = await self._ask(self._shop.list_orders, customer_id, after, LINES_AT_ONCE)

    async def place_order(self, request: Request) -> Response:
        """Order an item and pay for it."""
        media_type = choose(request.headers.get("accept"), ANY)
        new = request.state.document
        price = parse_money(new["unit_price"])
        args = _customer_id(request), new["item"], new["quantity"], price
        order = await self._ask(self._shop.place_order, *args)
        location = self._paths.order(order.customer_id, order.order_id)
        return self._created(request, media_type, order, location)

    async def get_order(self, request: Request) -> Response:
        """Look an order up."""
        media_type = choose(request.headers.get("accept"), ANY)
        customer_id, order_id = _customer_id(request), request.state.match.path["order_id"]
        order = await self._ask(self._shop.get_order, customer_id, order_id)
        body = self._representations.order(media_type, order)
        return _fetched(request, media_type, body, {"cache-control": FOREVER})

    # ------------------------------------------------------------ inside

    async def _ask(self, method: Callable[..., Result], *args: Any) -> Result:
        """Call the shop; what it refuses is a problem."""
        try:
            return await off_the_loop(self._shop, method, *args)
        except InvalidArgument as error:
            raise Problem("rule_violated", str(error)) from error
        except ShopError as error:
            raise Problem(error.code, str(error)) from error

    def _tags(self, customer: Customer) -> Iterator[str]:
        """The tags of all representations of a customer; a client may hold any of them."""
        for media_type in ANY:
            try:
                yield entity_tag(self._representations.customer(media_type, customer))
            except Problem:  # a name that XML cannot write has no representation there
                continue

    def _created(
        self, request: Request, media_type: str, what: Customer | Order, location: str
    ) -> Response:
        media_type, body = self._render(media_type, what)
        headers = {"location": location, "etag": entity_tag(body)}
        if wish := preferred_return(request.headers.get("prefer")):
            headers["preference-applied"] = f"return={wish}"
            if wish == "minimal":
                return Response(status_code=201, headers=headers)
        return Response(body, 201, headers, media_type)

    def _changed(self, request: Request, media_type: str, customer: Customer) -> Response:
        media_type, body = self._render(media_type, customer)
        headers = {"etag": entity_tag(body)}
        if wish := preferred_return(request.headers.get("prefer")):
            headers["preference-applied"] = f"return={wish}"
            if wish == "minimal":
                return Response(status_code=204, headers=headers)
        headers["content-location"] = self._paths.customer(customer.customer_id)
        return Response(body, 200, headers, media_type)

    def _render(self, media_type: str, what: Customer | Order) -> tuple[str, bytes]:
        """What a change has led to, and in which media type.

        The change is made already. Where XML cannot write a name, an error would say that it was
        not, so the answer is JSON although the client did not ask for it.
        """
        write: Callable[..., bytes] = (
            self._representations.customer
            if isinstance(what, Customer)
            else self._representations.order
        )
        try:
            return media_type, write(media_type, what)
        except Problem:
            return JSON, write(JSON, what)


def _customer_id(request: Request) -> int:
    customer_id: int = request.state.match.path["customer_id"]
    return customer_id


def _page(request: Request) -> tuple[int, int]:
    query = request.state.query
    return query["after"], query["limit"]


def _page_links(path: str, after: int, limit: int, last: int | None) -> tuple[str, str | None]:
    """The URL of a page and of the one after it, if it was full."""
    here = f"{path}?after={after}&limit={limit}"
    return here, None if last is None else f"{path}?after={last}&limit={limit}"


def _link(following: str | None) -> dict[str, str]:
    return {"link": f'<{following}>; rel="next"'} if following else {}


def _fetched(
    request: Request, media_type: str, body: bytes, headers: dict[str, str] | None = None
) -> Response:
    """The answer to GET: the representation, or that the client has it already."""
    tag = entity_tag(body)
    headers = {"etag": tag, "cache-control": REVALIDATE, "vary": "Accept", **(headers or {})}
    condition = request.headers.get("if-none-match")
    if condition is not None and matches_weakly(condition, tag):
        return Response(status_code=304, headers=headers)
    return Response(body, 200, headers, media_type)
