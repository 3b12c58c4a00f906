"""The transcoder of a page and the real one: equal answers to equal requests."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from grpc_calls import raw_channel
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from remotecalls.envoy import running_envoy
from remotecalls.grpc import transcoded
from remotecalls.grpc.client import connect
from remotecalls.grpc.descriptors import shop_descriptors
from remotecalls.grpc.envoy_config import LISTENER, layer_7, transcoder
from remotecalls.grpc.generated.shop.v1 import shop_pb2
from remotecalls.grpc.json_client import connect as connect_json
from remotecalls.grpc.transcoder import Transcoder, routes_of
from remotecalls.rest import http_server
from remotecalls.shop import Shop
from remotecalls.shop.sample import stock
from remotecalls.wire.errors import ConnectionLost, Unavailable
from serving import peer

SERVICE = shop_pb2.DESCRIPTOR.services_by_name["ShopService"]


@asynccontextmanager
async def both() -> AsyncIterator[tuple[httpx.AsyncClient, httpx.AsyncClient]]:
    """Clients of Envoy and of our transcoder, in front of shops that are alike."""
    async with (
        transcoded.serve(stock(Shop())) as real,
        transcoded.server.serve(stock(Shop())) as behind,
        raw_channel(behind.address) as channel,
        http_server.running(Transcoder(SERVICE, channel)) as ours,  # type: ignore[arg-type]
        httpx.AsyncClient(base_url=f"http://{real.address}") as envoy,
        httpx.AsyncClient(base_url=f"http://{ours.address}") as page,
    ):
        yield envoy, page


def told(response: httpx.Response) -> tuple[int, Any]:
    """What a client can act on: the status, and what is JSON of the body."""
    if response.headers.get("content-type") != "application/json":
        return response.status_code, None
    lines = [json.loads(line) for line in response.text.splitlines()]
    return response.status_code, lines


REQUESTS: list[tuple[str, str, Any]] = [
    ("GET", "/v1/customers/42", None),
    ("GET", "/v1/customers/43", None),
    ("GET", "/v1/customers/0", None),
    ("GET", "/v1/customers/4294967295", None),
    ("GET", "/v1/customers/4294967296", None),
    ("GET", "/v1/customers/ada", None),
    ("GET", "/v1/customers/-1", None),
    ("GET", "/v1/customers/4%32", None),
    ("GET", "/v1/customers", None),
    ("GET", "/v1/customers?limit=1", None),
    ("GET", "/v1/customers?limit=1&after=7", None),
    ("GET", "/v1/customers?limit=0", None),
    ("GET", "/v1/customers?limit=many", None),
    ("GET", "/v1/customers?nonsense=1", None),
    ("GET", "/v1/customers/7/orders", None),
    ("GET", "/v1/customers/42/orders", None),
    ("GET", "/v1/customers/43/orders", None),
    ("POST", "/v1/customers", {"customer_id": 5, "name": "Zoë", "balance_cents": "500"}),
    ("POST", "/v1/customers", {"customerId": 6, "name": "Ida", "balanceCents": 500}),
    ("POST", "/v1/customers", {"customer_id": 5, "name": "Zoë", "balance_cents": "500"}),
    ("POST", "/v1/customers", {"customer_id": 8, "name": "Zoë"}),
    ("POST", "/v1/customers", {"customer_id": 9, "name": "", "balance_cents": "-1"}),
    ("POST", "/v1/customers", {"customer_id": "nine", "name": "Zoë", "balance_cents": 1}),
    ("POST", "/v1/customers", [1]),
    ("POST", "/v1/customers/42:changeBalance", {"change_cents": "-100"}),
    ("POST", "/v1/customers/42:changeBalance", {"change_cents": -99_999}),
    ("POST", "/v1/customers/42:changeBalance", {"customer_id": 7, "change_cents": 1}),
    ("POST", "/v1/customers/42:changeBalance", {}),
    (
        "POST",
        "/v1/customers/42/orders",
        {"item": "cards", "quantity": 2, "unit_price_cents": "150"},
    ),
    ("POST", "/v1/customers/42/orders", {"item": "cards", "quantity": 0}),
    ("DELETE", "/v1/customers/42", None),
    ("GET", "/v2/customers/42", None),
]


async def test_the_page_answers_as_envoy_does() -> None:
    async with both() as (envoy, page):
        for method, url, body in REQUESTS:
            answers = [told(await each.request(method, url, json=body)) for each in (envoy, page)]
            assert answers[0][0] == answers[1][0], (method, url, body, answers)
            assert answers[0][1] == answers[1][1], (method, url, body)


scalars = (
    st.integers(-(2**70), 2**70)
    | st.booleans()
    | st.none()
    | st.sampled_from(["5", "nonsense", "", " 5", "005", 5.0, 1.5, 1e300, [], {}])
)
bodies = st.fixed_dictionaries(
    {},
    optional={
        "item": st.text(max_size=31) | scalars,
        "quantity": st.integers(-1, 10_000) | scalars,
        "unit_price_cents": st.integers(-1, 10**9).map(str) | scalars,
        "customer_id": scalars,
    },
)


def test_whatever_is_ordered_the_page_answers_as_envoy_does() -> None:
    async def compare() -> None:
        async with both() as (envoy, page):
            loop = asyncio.get_running_loop()

            @settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
            @given(
                bodies,
                st.sampled_from(["42", "7", "43", "0"]) | st.text("ab:%é ", max_size=4).map(quote),
            )
            def law(body: dict[str, Any], customer: str) -> None:
                async def ask() -> list[tuple[int, Any]]:
                    url = f"/v1/customers/{customer}/orders"
                    return [told(await each.post(url, json=body)) for each in (envoy, page)]

                real, ours = asyncio.run_coroutine_threadsafe(ask(), loop).result(20)
                assert real == ours, (customer, body)

            await asyncio.to_thread(law)

    asyncio.run(compare())


async def test_grpc_goes_through_the_same_port() -> None:
    async with (
        transcoded.serve(stock(Shop())) as pair,
        connect(pair.address) as client,
        httpx.AsyncClient(base_url=f"http://{pair.address}") as browser,
    ):
        assert (await client.get_customer(42)).name == "Ada Lovelace"
        answer = await browser.get("/v1/customers/42")
    assert answer.json() == {
        "customer": {"customer_id": 42, "name": "Ada Lovelace", "balance_cents": "1230"}
    }


async def test_an_error_of_the_shop_is_a_status_in_json() -> None:
    async with (
        transcoded.serve(stock(Shop())) as pair,
        httpx.AsyncClient(base_url=f"http://{pair.address}") as browser,
    ):
        missing = await browser.get("/v1/customers/43")
        invalid = await browser.get("/v1/customers?limit=0")
    assert missing.status_code == 404
    assert missing.json()["message"] == "there is no customer 43"
    [info] = missing.json()["details"]
    assert info["reason"] == "customer_not_found"
    assert invalid.status_code == 400
    violations = [each for each in invalid.json()["details"] if "field_violations" in each]
    assert violations[0]["field_violations"][0]["field"] == "limit"


async def test_answers_do_not_say_how_long_the_inside_took() -> None:
    """By default Envoy tells every caller in milliseconds, and equal answers differ in length."""
    async with transcoded.serve(stock(Shop())) as pair, httpx.AsyncClient() as client:
        answer = await client.get(f"http://{pair.address}/v1/customers/42")
    assert answer.status_code == 200
    assert [name for name in answer.headers if name.startswith("x-envoy")] == []


def test_the_routes_are_those_of_the_annotations() -> None:
    routes = [(route.verb, route.method.name, route.has_body) for route in routes_of(SERVICE)]
    assert routes == [
        ("GET", "GetCustomer", False),
        ("POST", "AddCustomer", True),
        ("POST", "ChangeBalance", True),
        ("GET", "ListCustomers", False),
        ("POST", "PlaceOrder", True),
        ("GET", "StreamOrders", False),
    ]


async def test_a_proxy_whose_server_is_gone_says_so() -> None:
    async def hangs_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.close()

    filters = [transcoder(shop_descriptors(), [transcoded.server.SHOP])]
    async with AsyncExitStack() as stack:
        behind = await stack.enter_async_context(peer(hangs_up))
        async with (
            running_envoy(layer_7([behind], http_filters=filters)) as envoy,
            connect_json(envoy.address(LISTENER)) as client,
        ):
            with pytest.raises(ConnectionLost):
                await client.get_customer(42)
            await stack.aclose()
            with pytest.raises(Unavailable):
                await client.get_customer(42)


async def test_by_envoy_s_default_the_body_wins_over_the_path() -> None:
    filters = [transcoder(shop_descriptors(), [transcoded.server.SHOP], reject_collisions=False)]
    async with (
        transcoded.server.serve(stock(Shop())) as behind,
        running_envoy(layer_7([behind.address], http_filters=filters)) as envoy,
        httpx.AsyncClient(base_url=f"http://{envoy.address(LISTENER)}") as client,
    ):
        body = {"customer_id": 7, "change_cents": "-100"}
        answer = await client.post("/v1/customers/42:changeBalance", json=body)
    assert answer.status_code == 200
    assert answer.json()["customer"]["customer_id"] == 7


async def test_a_body_cannot_name_another_customer_than_the_path() -> None:
    async with both() as clients:
        for client in clients:
            body = {"customer_id": 7, "change_cents": "-100"}
            answer = await client.post("/v1/customers/42:changeBalance", json=body)
            assert answer.status_code == 400
            for customer, cents in ("42", "1230"), ("7", "22753"):
                found = (await client.get(f"/v1/customers/{customer}")).json()["customer"]
                assert found["balance_cents"] == cents
