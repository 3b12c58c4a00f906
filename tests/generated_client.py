"""A client that nobody wrote: `openapi-python-client` makes it from the service's own document.

It is one more client of the binding `rest` in the conformance suite, so it proves that the document
says enough to build a client from.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import subprocess
import sys
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from remotecalls.bindings import BINDINGS
from remotecalls.rest.refusals import refusal, utf8
from remotecalls.rest.specification import OPENAPI
from remotecalls.shop import Customer, InvalidArgument, Order
from remotecalls.shop.domain import check_customer_id, check_page, format_money
from remotecalls.wire.address import Address
from remotecalls.wire.deadline import Deadline
from remotecalls.wire.errors import ProtocolError
from remotecalls.wire.http_client import failures_named

PACKAGE = "generated_shop_client"
PAGE = 100


@functools.cache
def generated() -> SimpleNamespace:
    """The operations and models of the generated package, which is made when first asked for."""
    directory = tempfile.TemporaryDirectory(prefix="generated-")
    root = Path(directory.name)
    config = root / "config.yml"
    config.write_text("post_hooks: []\nliteral_enums: true\n")
    command = [sys.executable, "-m", "openapi_python_client", "generate", "--path", str(OPENAPI),
               "--config", str(config), "--output-path", str(root / PACKAGE),
               "--meta", "none", "--fail-on-warning"]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    sys.path.insert(0, str(root))
    try:
        package = importlib.import_module(PACKAGE)
        models = importlib.import_module(f"{PACKAGE}.models")
        operations = {
            name: importlib.import_module(f"{PACKAGE}.api.{tag}.{name}")
            for tag, names in {
                "customers": ["add_customer", "get_customer", "list_customers", "change_balance"],
                "orders": ["place_order", "list_orders"],
            }.items()
            for name in names
        }
    finally:
        sys.path.remove(str(root))
    return SimpleNamespace(package=package, models=models, directory=directory, **operations)


class GeneratedClient:
    """The generated functions behind the interface of the shop."""

    def __init__(self, address: Address, timeout: float) -> None:
        self._address = address
        self._timeout = timeout
        self._made = generated()
        self._client = self._made.package.AuthenticatedClient(
            base_url=f"http://{address}", token="demo", timeout=None
        )

    async def close(self) -> None:
        await self._client.get_async_httpx_client().aclose()

    async def add_customer(self, customer_id: int, name: str, balance: Decimal) -> Customer:
        body = self._made.models.Customer(customer_id, utf8(name), format_money(balance))
        return customer(await self._call(self._made.add_customer, body=body))

    async def get_customer(self, customer_id: int) -> Customer:
        check_customer_id(customer_id)
        return customer(await self._call(self._made.get_customer, customer_id))

    async def update_balance(self, customer_id: int, change: Decimal) -> Customer:
        check_customer_id(customer_id)
        body = self._made.models.BalanceChange(format_money(change))
        return customer(await self._call(self._made.change_balance, customer_id, body=body))

    async def place_order(
        self, customer_id: int, item: str, quantity: int, unit_price: Decimal
    ) -> Order:
        check_customer_id(customer_id)
        body = self._made.models.NewOrder(utf8(item), quantity, format_money(unit_price))
        return order(await self._call(self._made.place_order, customer_id, body=body))

    async def list_customers(self, after: int = 0, limit: int = 50) -> list[Customer]:
        check_page(after, limit)
        page = await self._call(self._made.list_customers, after=after, limit=limit)
        return [customer(each) for each in page.customers]

    async def stream_orders(self, customer_id: int) -> AsyncGenerator[Order, None]:
        check_customer_id(customer_id)
        orders, after = [None] * PAGE, 0
        while len(orders) == PAGE:
            call = functools.partial(self._call, self._made.list_orders, customer_id)
            orders = (await call(after=after, limit=PAGE)).orders
            for each in orders:
                yield order(each)
                after = each.order_id

    async def _call(self, operation: Any, *args: Any, **options: Any) -> Any:
        with failures_named(self._address):
            async with Deadline.after(self._timeout).enforced():
                try:
                    response = await operation.asyncio_detailed(
                        *args, client=self._client, **options
                    )
                except (KeyError, ValueError, AttributeError, TypeError) as error:
                    raise ProtocolError(f"no answer of the document: {error!r}") from error
        if isinstance(response.parsed, self._made.models.Problem):
            problem = response.parsed
            if problem.code == "rule_violated":
                raise InvalidArgument(problem.detail)
            raise refusal(problem.code, problem.detail)
        if response.parsed is None:
            raise ProtocolError(f"status {response.status_code} is not in the document")
        return response.parsed


def customer(model: Any) -> Customer:
    return Customer(model.customer_id, model.name, Decimal(model.balance))


def order(model: Any) -> Order:
    price = Decimal(model.unit_price)
    return Order(model.order_id, model.customer_id, model.item, model.quantity, price)


@asynccontextmanager
async def connect(address: Address, timeout: float = 5.0) -> AsyncIterator[GeneratedClient]:
    client = GeneratedClient(address, timeout)
    try:
        yield client
    finally:
        await client.close()


GENERATED = dataclasses.replace(
    BINDINGS["rest"], title="HTTP, with a generated client", connect=connect
)
