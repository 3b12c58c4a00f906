"""A client that is told nothing but where to begin."""

from __future__ import annotations

import ast
import inspect
from decimal import Decimal

import pytest

from remotecalls.rest import hypermedia_client, rest
from remotecalls.rest.application import create_app
from remotecalls.rest.http_server import running
from remotecalls.rest.hypermedia_client import HypermediaClient, Walker
from remotecalls.rest.moved import Moved
from remotecalls.rest.representations import HAL
from remotecalls.shop import InvalidArgument, Shop
from remotecalls.shop.sample import stock
from remotecalls.wire.errors import ProtocolError
from remotecalls.wire.http_client import HTTPClient


async def test_a_service_that_renames_every_resource_keeps_its_clients() -> None:
    app = Moved(create_app(stock(Shop())))
    async with running(app) as server:
        async with rest.connect(server.address) as knows_paths:
            with pytest.raises(ProtocolError, match="nothing is at"):
                await knows_paths.get_customer(42)
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
