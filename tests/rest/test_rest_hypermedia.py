"""A client that is told nothing but where to begin."""

from __future__ import annotations

import ast
import inspect
from decimal import Decimal

import pytest

from remotecalls.rest import hypermedia_client
from remotecalls.rest.application import create_app, standard_filters
from remotecalls.rest.asgi import App, Receive, Scope, Send
from remotecalls.rest.filters import Compression
from remotecalls.rest.http_client import HTTPClient
from remotecalls.rest.http_server import running
from remotecalls.rest.hypermedia_client import HypermediaClient, Walker
from remotecalls.rest.representations import HAL
from remotecalls.shop import InvalidArgument, Shop
from remotecalls.shop.sample import stock
from remotecalls.wire.errors import ProtocolError


class Renamed:
    """The service under other paths: each is turned around, letter by letter.

    A client that builds paths of its own finds nothing here.
    """

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["path"] = renamed(scope["path"])
        await self._app(scope, receive, send)


def renamed(path: str) -> str:
    turned = {"customers": "sremotsuc", "orders": "sredro", "balance-changes": "segnahc"}
    back = {new: old for old, new in turned.items()}
    return "/".join({**turned, **back}.get(part, part) for part in path.split("/"))


class RenamedLinks(Renamed):
    """The same in what it answers."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_renamed(message: dict[str, object]) -> None:
            if message["type"] == "http.response.body":
                body = str(message["body"], "utf-8")  # type: ignore[call-overload]
                for old in ("customers", "orders", "balance-changes"):
                    body = body.replace(f"/{old}", f"/{renamed(old)}")
                message["body"] = body.encode()
            if message["type"] == "http.response.start":
                headers = message["headers"]
                assert isinstance(headers, list)
                message["headers"] = [each for each in headers if each[0] != b"content-length"]
            await send(message)

        await super().__call__(scope, receive, send_renamed)  # type: ignore[arg-type]


async def test_a_service_that_renames_every_resource_keeps_its_clients() -> None:
    *filters, compression = standard_filters()
    assert compression is Compression  # the paths could not be found in its bytes
    app = RenamedLinks(create_app(stock(Shop()), filters))
    async with running(app) as server:
        client = HypermediaClient(server.address, 10)
        assert (await client.get_customer(42)).name == "Ada Lovelace"
        assert (await client.update_balance(42, Decimal("1.00"))).balance == Decimal("13.30")
        order = await client.place_order(42, "cards", 1, Decimal("0.30"))
        assert [each async for each in client.stream_orders(42)] == [order]
        assert len(await client.list_customers()) == 3
        await client.close()


def test_the_client_holds_no_path() -> None:
    tree = ast.parse(inspect.getsource(hypermedia_client))
    docstrings = {
        ast.get_docstring(node, clean=False)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
    }
    texts = {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    assert {each for each in texts - docstrings if "/" in each} == {"/", "//"}


async def test_links_and_forms_that_are_not_there_are_named() -> None:
    async with running(create_app(stock(Shop()))) as server:
        http = HTTPClient(server.address, 10, {"authorization": "Bearer demo", "accept": HAL})
        walker = Walker(http)
        root = await walker.root()
        with pytest.raises(ProtocolError, match="has no invoices"):
            await walker.follow(root, "invoices")
        with pytest.raises(ProtocolError, match="has no close-account"):
            await walker.submit(root, "close-account", {})
        with pytest.raises(ProtocolError, match="the form asks for customer_id"):
            await walker.submit(root, "add-customer", {"name": "Ada"})
        values = {"customer_id": 1, "name": "x" * 31, "balance": "1.00"}
        with pytest.raises(InvalidArgument, match="at most 30 characters"):
            await walker.submit(root, "add-customer", values)
        for elsewhere in ("http://other.example/", "//other.example/", "customers"):
            document = {"_links": {"there": {"href": elsewhere}}}
            with pytest.raises(ProtocolError, match="leads to another service"):
                await walker.follow(document, "there")
        await http.close()
