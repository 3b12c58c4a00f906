"""openapi-core, which shares no code with our checks, on the traffic of the real service."""

from __future__ import annotations

import functools
import json
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import openapi_core
import pytest
from openapi_core.testing import MockRequest, MockResponse

from remotecalls.rest.application import CONTRACT, create_app
from remotecalls.rest.http_server import running
from remotecalls.rest.problems import MEDIA_TYPE
from remotecalls.rest.representations import HAL
from remotecalls.shop import Shop
from remotecalls.shop.sample import stock

HOST = "http://shop.example"


@functools.cache
def second_opinion() -> openapi_core.OpenAPI:
    # It reads application/json alone as JSON, and has to be told which other types are.
    types = [HAL, MEDIA_TYPE, "application/merge-patch+json"]
    config = openapi_core.Config(extra_media_type_deserializers=dict.fromkeys(types, json.loads))
    return openapi_core.OpenAPI.from_dict(CONTRACT.document, config=config)


def as_request(request: httpx.Request) -> MockRequest:
    body = request.read()
    headers = {name: value for name, value in request.headers.items() if name != "host"}
    return MockRequest(
        HOST,
        request.method.lower(),
        request.url.path,
        args=dict(request.url.params),
        headers=headers,
        data=body or None,
        content_type=request.headers.get("content-type", ""),
    )


def as_response(response: httpx.Response) -> MockResponse:
    return MockResponse(
        response.content or None,
        status_code=response.status_code,
        headers=dict(response.headers),
        content_type=response.headers.get("content-type", ""),
    )


Step = Callable[[httpx.AsyncClient], Awaitable[httpx.Response]]
PATCH = {"content-type": "application/merge-patch+json"}

GOOD: dict[str, Step] = {
    "the entry point": lambda c: c.get("/", headers={"accept": HAL}),
    "a customer": lambda c: c.get("/customers/42"),
    "a customer with links": lambda c: c.get("/customers/42", headers={"accept": HAL}),
    "a page": lambda c: c.get("/customers?limit=2&after=7"),
    "orders": lambda c: c.get("/customers/7/orders"),
    "orders with links": lambda c: c.get("/customers/7/orders", headers={"accept": HAL}),
    "one order": lambda c: c.get("/customers/7/orders/2"),
    "nobody": lambda c: c.get("/customers/43"),
    "a new customer": lambda c: c.post(
        "/customers", json={"customer_id": 1, "name": "Zoë", "balance": "1.00"}
    ),
    "a customer who is there": lambda c: c.post(
        "/customers", json={"customer_id": 42, "name": "Zoë", "balance": "1.00"}
    ),
    "a payment": lambda c: c.post("/customers/42/balance-changes", json={"change": "-2.30"}),
    "too large a payment": lambda c: c.post(
        "/customers/42/balance-changes", json={"change": "-99.00"}
    ),
    "an order": lambda c: c.post(
        "/customers/7/orders", json={"item": "☕", "quantity": 2, "unit_price": "2.50"}
    ),
    "a patch of something else": lambda c: c.patch(
        "/customers/42", content=b"{}", headers={**PATCH, "if-match": '"old"'}
    ),
    "a kind of problem": lambda c: c.get("/problems/not_found"),
}
BAD: dict[str, Step] = {
    "no customer at all": lambda c: c.get("/customers/0"),
    "no number": lambda c: c.get("/customers/ada"),
    "a large page": lambda c: c.get("/customers?limit=101"),
    "no name": lambda c: c.post("/customers", json={"customer_id": 1, "balance": "1.00"}),
    "money as a number": lambda c: c.post(
        "/customers", json={"customer_id": 1, "name": "Zoë", "balance": 1.5}
    ),
    "more than is asked for": lambda c: c.post(
        "/customers/42/balance-changes", json={"change": "1.00", "because": "x"}
    ),
    "a control character": lambda c: c.post(
        "/customers/7/orders", json={"item": "a\nb", "quantity": 2, "unit_price": "2.50"}
    ),
    "half an item": lambda c: c.post(
        "/customers/7/orders", json={"item": "a", "quantity": 0.5, "unit_price": "2.50"}
    ),
    "another type of body": lambda c: c.post("/customers/42/balance-changes", content=b"x=1"),
    "a patch without a condition": lambda c: c.patch("/customers/42", content=b"{}", headers=PATCH),
    "no token": lambda c: c.get("/customers/42", headers={"authorization": ""}),
    "another path": lambda c: c.get("/clients/42"),
    "another method": lambda c: c.delete("/customers/42"),
}


async def exchange(step: Step) -> httpx.Response:
    async with running(create_app(stock(Shop()))) as server:
        headers = {"authorization": "Bearer demo", "accept-encoding": "identity"}
        async with httpx.AsyncClient(
            base_url=f"http://{server.address}", headers=headers
        ) as client:
            return await step(client)


@pytest.mark.parametrize("name", GOOD)
async def test_both_accept_what_is_right(name: str) -> None:
    response = await exchange(GOOD[name])
    assert response.json().get("code") not in {"bad_request", "invalid_argument"}
    request = as_request(response.request)
    second_opinion().validate_request(request)
    second_opinion().validate_response(request, as_response(response))


@pytest.mark.parametrize("name", BAD)
async def test_both_refuse_what_is_wrong(name: str) -> None:
    response = await exchange(BAD[name])
    assert 400 <= response.status_code < 500
    with pytest.raises(openapi_core.exceptions.OpenAPIError):
        second_opinion().validate_request(as_request(response.request))


def mutilated(document: Any) -> list[Any]:
    """The document with one member missing, and with one too many."""
    missing = [{k: v for k, v in document.items() if k != name} for name in document]
    return [*missing, {**document, "secret": 1}]


async def test_both_refuse_an_answer_with_a_member_too_few_or_too_many() -> None:
    response = await exchange(GOOD["a customer"])
    request = as_request(response.request)
    content = CONTRACT.operations["getCustomer"].responses[200].content["application/json"]
    for document in mutilated(response.json()):
        assert content.errors(document)
        wrong = httpx.Response(200, json=document, headers={"content-type": "application/json"})
        with pytest.raises(openapi_core.exceptions.OpenAPIError):
            second_opinion().validate_response(request, as_response(wrong))
