"""GraphQL: client-shaped queries, N+1, limits, subscriptions."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import httpx
import pytest
import websockets
from graphql import parse

from remotecalls.rest.graphql import create_app, serve
from remotecalls.rest.graphql_cost import cost_of
from remotecalls.rest.graphql_schema import WAITING, Feed
from remotecalls.rest.http_server import running
from remotecalls.shop import Order, Shop
from remotecalls.shop.sample import stock
from remotecalls.shop.sqlite import SQLiteRepository


class CountingRepository(SQLiteRepository):
    """Counts the questions to its database."""

    def __init__(self) -> None:
        super().__init__()
        self.queries = 0
        self._connection.set_trace_callback(self._count)

    def _count(self, statement: str) -> None:
        self.queries += statement.lstrip().upper().startswith("SELECT")


@asynccontextmanager
async def asking(shop: Shop, batched: bool = True) -> AsyncIterator[httpx.AsyncClient]:
    async with running(create_app(shop, batched)) as server:
        base = f"http://{server.address}"
        async with httpx.AsyncClient(base_url=base, timeout=10) as client:
            yield client


async def ask(client: httpx.AsyncClient, query: str, **variables: object) -> dict[str, Any]:
    response = await client.post("/graphql", json={"query": query, "variables": variables})
    assert response.status_code == 200
    document: dict[str, Any] = response.json()
    return document


async def test_the_answer_has_the_shape_of_the_query() -> None:
    async with asking(stock(Shop())) as client:
        document = await ask(
            client, "{ ada: customer(customerId: 42) { name } customers(limit: 2) { customerId } }"
        )
    assert document == {
        "data": {
            "ada": {"name": "Ada Lovelace"},
            "customers": [{"customerId": 7}, {"customerId": 42}],
        }
    }


def shop_with(customers: int, repository: CountingRepository) -> Shop:
    shop = Shop(repository)
    for number in range(1, customers + 1):
        shop.add_customer(number, f"customer {number}", Decimal("10.00"))
        shop.place_order(number, "cards", 1, Decimal("0.30"))
    repository.queries = 0
    return shop


@pytest.mark.parametrize(("batched", "expected"), [(True, 2), (False, 1 + 2 * 40)])
async def test_a_loader_turns_n_questions_to_the_database_into_one(
    batched: bool, expected: int
) -> None:
    repository = CountingRepository()
    async with asking(shop_with(40, repository), batched) as client:
        document = await ask(
            client, "{ customers(limit: 40) { name orders(limit: 5) { item quantity } } }"
        )
    found = document["data"]["customers"]
    assert len(found) == 40
    assert found[39] == {"name": "customer 40", "orders": [{"item": "cards", "quantity": 1}]}
    # Without the loader, each customer's orders are a question, and so is whether he is there.
    assert repository.queries == expected


async def test_with_and_without_a_loader_the_answer_is_the_same() -> None:
    query = "{ customers { customerId orders(limit: 1) { orderId unitPrice } } }"
    answers = []
    for batched in (True, False):
        async with asking(stock(Shop()), batched) as client:
            answers.append(await ask(client, query))
    assert answers[0] == answers[1]


@pytest.mark.parametrize(
    ("query", "cost"),
    [
        ("{ customer(customerId: 1) { name } }", 2),
        ("{ customers { name } }", 1 + 50),
        ("{ customers(limit: 10) { name orders(limit: 3) { item } } }", 1 + 10 * (1 + 1 + 3)),
        ("query($n: Int!) { customers(limit: $n) { name } }", 1 + 100),
        ("{ a: customers { name } b: customers { name } }", 102),
        ("{ customers { ...f } } fragment f on Customer { name balance }", 1 + 50 * 2),
        ("{ customers(limit: 999999) { name } }", 1 + 100),
    ],
)
def test_the_cost_of_a_query_is_counted_before_it_is_run(query: str, cost: int) -> None:
    document = parse(query)
    operation, *fragments = document.definitions
    by_name = {each.name.value: each for each in fragments}  # type: ignore[attr-defined]
    assert cost_of(operation.selection_set, by_name) == cost  # type: ignore[attr-defined]


DEEP = "{ customer(customerId: 42) " + "{ orders " * 8 + "{ item }" + " }" * 8 + " }"


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("{ customers { orders(limit: 100) { item quantity } } }", "may cost 10,051"),
        ("query($n: Int!) { customers(limit: $n) { orders(limit: $n) { item } } }", "may cost"),
        ("{ " + " ".join(f"a{n}: customer(customerId: 1) {{ name }}" for n in range(30)) + " }",
         "aliases"),
        ("{ customer(customerId: 42) { name " + "name " * 3_000 + "} }", "token"),
        ("{ customers { ...f } } fragment f on Customer { name ...f }", "itself"),
        ("{ customer(customerId: 42) { password } }", "Cannot query field"),
        (DEEP, ""),
        ("{", "Syntax Error"),
        ("{ customer(customerId: 99999999999) { name } }", "32"),
    ],
)  # fmt: skip
async def test_a_query_that_asks_too_much_is_refused_before_it_is_run(
    query: str, reason: str
) -> None:
    repository = CountingRepository()
    shop = shop_with(3, repository)
    async with asking(shop) as client:
        response = await client.post("/graphql", json={"query": query, "variables": {"n": 100}})
        document = response.json()
        assert not document.get("data")
        assert reason.lower() in json.dumps(document["errors"]).lower()
        assert repository.queries == 0
        assert (await ask(client, "{ customer(customerId: 1) { name } }"))["data"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"x" * 20_000, 413),
        (b"", 400),
        (b'{"query": 7}', 400),
        (b"[" * 8_000, 400),
        (b'{"query": "\xff"}', 400),
    ],
)
async def test_what_is_no_query_has_a_defined_answer(body: bytes, status: int) -> None:
    async with asking(stock(Shop())) as client:
        headers = {"content-type": "application/json"}
        assert (await client.post("/graphql", content=body, headers=headers)).status_code == status
        assert (await ask(client, "{ customer(customerId: 42) { name } }"))["data"]


async def test_errors_carry_the_shop_s_codes() -> None:
    async with asking(stock(Shop())) as client:
        document = await ask(client, "{ customer(customerId: 43) { name } }")
    error = document["errors"][0]
    assert error["message"] == "there is no customer 43"
    assert error["extensions"] == {"code": "customer_not_found"}


# ---------------------------------------------------------------- subscriptions


async def test_a_subscriber_is_told_of_orders_as_they_are_placed() -> None:
    shop = stock(Shop())
    async with serve(shop) as server:
        base = f"{server.address}/graphql"
        protocol = websockets.Subprotocol("graphql-transport-ws")
        async with (
            asyncio.timeout(20),
            websockets.connect(f"ws://{base}", subprotocols=[protocol]) as socket,
            httpx.AsyncClient(timeout=10) as client,
        ):
            await socket.send(json.dumps({"type": "connection_init"}))
            assert json.loads(await socket.recv())["type"] == "connection_ack"
            query = "subscription { placedOrders(customerId: 7) { item } }"
            await socket.send(
                json.dumps({"id": "1", "type": "subscribe", "payload": {"query": query}})
            )
            place = (
                "mutation($c: Int!, $i: String!) { placeOrder(customerId: $c, item: $i,"
                ' quantity: 1, unitPrice: "0.05") { orderId } }'
            )

            async def place_until_told() -> None:
                # The subscription begins a moment after it was asked for.
                for customer_id in (42, 7) * 50:
                    variables = {"c": customer_id, "i": f"for {customer_id}"}
                    body = {"query": place, "variables": variables}
                    await client.post(f"http://{base}", json=body)
                    await asyncio.sleep(0.02)

            placing = asyncio.create_task(place_until_told())
            told = [json.loads(await socket.recv()) for _ in range(3)]
            placing.cancel()
            await asyncio.gather(placing, return_exceptions=True)
    assert {each["payload"]["data"]["placedOrders"]["item"] for each in told} == {"for 7"}


async def test_a_subscriber_that_is_too_far_behind_is_dropped() -> None:
    feed = Feed()
    slow, quick = feed.listen(), feed.listen()
    order = Order(1, 7, "cards", 1, Decimal("0.30"))
    waiting = [asyncio.create_task(anext(each)) for each in (slow, quick)]
    await asyncio.sleep(0)  # both listen now
    feed.tell(order)
    assert await asyncio.gather(*waiting) == [order, order]
    for _ in range(WAITING + 1):
        feed.tell(order)
        assert await anext(quick) == order
    left = [each async for each in slow]
    assert len(left) < WAITING + 1
    await quick.aclose()
