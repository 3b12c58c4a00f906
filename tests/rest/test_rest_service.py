"""The contract's promises, asked for by a client that is not ours."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from decimal import Decimal
from functools import partial
from xml.etree import ElementTree

import httpx
import pytest
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st

from remotecalls.rest.application import CONTRACT, create_app, standard_filters
from remotecalls.rest.asgi import App
from remotecalls.rest.conditional import entity_tag, matches_strongly, matches_weakly
from remotecalls.rest.enforcement import ContractMiddleware
from remotecalls.rest.filters import (
    Authentication,
    Compression,
    Failures,
    Log,
    RateLimit,
    RequestIds,
    chain,
)
from remotecalls.rest.http_server import running
from remotecalls.rest.merge_patch import merge_patch
from remotecalls.rest.negotiation import choose, preferred_return
from remotecalls.rest.problems import KINDS, Problem
from remotecalls.rest.representations import HAL, JSON, LINES, XML
from remotecalls.shop import Shop
from remotecalls.shop.sample import stock
from remotecalls.shop.sqlite import SQLiteRepository

DEMO = {"authorization": "Bearer demo"}


@asynccontextmanager
async def talking(
    app: App | None = None, shop: Shop | None = None
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a running service."""
    app = app or create_app(shop or stock(Shop()))
    async with running(app) as server:
        headers = {**DEMO, "accept-encoding": "identity"}
        base = f"http://{server.address}"
        async with httpx.AsyncClient(base_url=base, headers=headers, timeout=10) as client:
            yield client


def problem(response: httpx.Response, status: int, code: str) -> dict[str, object]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    document: dict[str, object] = response.json()
    assert document["status"] == status
    assert document["code"] == code
    assert document["request_id"] == response.headers["x-request-id"]
    assert response.headers["cache-control"] == "no-store"
    return document


# ---------------------------------------------------------------- representations


async def test_one_customer_has_three_representations_and_each_its_own_tag() -> None:
    async with talking() as client:
        answers = [
            await client.get("/customers/42", headers={"accept": each}) for each in (JSON, XML, HAL)
        ]
    assert [each.headers["content-type"] for each in answers] == [JSON, XML, HAL]
    assert len({each.headers["etag"] for each in answers}) == 3
    assert {each.headers["vary"] for each in answers} == {"Accept, Accept-Encoding"}
    assert answers[0].json() == {"customer_id": 42, "name": "Ada Lovelace", "balance": "12.30"}
    root = ElementTree.fromstring(answers[1].content)
    assert [(each.tag, each.text) for each in root] == [
        ("customer_id", "42"),
        ("name", "Ada Lovelace"),
        ("balance", "12.30"),
    ]
    assert answers[2].json()["_links"]["self"] == {"href": "/customers/42"}


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        (None, JSON),
        ("*/*", JSON),
        ("application/xml", XML),
        ("application/xml;q=0.5, application/json;q=0.4", XML),
        ("application/*;q=0.5, application/xml", XML),
        ("application/json;q=0, application/*", XML),
        ("text/html, */*;q=0.1", JSON),
        ("application/xml;q=0.9;level=1", XML),
        ("nonsense, ;;, application/xml", XML),
        ("APPLICATION/XML", XML),
    ],
)
def test_the_best_acceptable_type_is_chosen(accept: str | None, chosen: str) -> None:
    assert choose(accept, [JSON, XML, HAL]) == chosen


@given(st.text(max_size=40))
def test_no_accept_header_breaks_the_choice(accept: str) -> None:
    with suppress(Problem):
        assert choose(accept, [JSON, XML]) in {JSON, XML}


async def test_a_client_that_accepts_nothing_is_told_what_there_is() -> None:
    async with talking() as client:
        answer = await client.get("/customers/42", headers={"accept": "text/html"})
        detail = problem(answer, 406, "not_acceptable")["detail"]
    assert JSON in str(detail)


async def test_a_change_is_never_denied_by_what_cannot_be_written() -> None:
    shop = Shop()
    async with talking(shop=shop) as client:
        new = {"customer_id": 1, "name": "\uffff", "balance": "1.00"}
        added = await client.post("/customers", json=new, headers={"accept": XML})
        assert added.status_code == 201
        assert added.headers["content-type"] == JSON
        assert added.json() == new
        got = await client.get("/customers/1", headers={"accept": XML})
        problem(got, 406, "not_acceptable")
        change = {"change": "1.00"}
        paid = await client.post(
            "/customers/1/balance-changes", json=change, headers={"accept": XML}
        )
        assert paid.json()["balance"] == "2.00"
    assert shop.get_customer(1).balance == Decimal("2.00")


async def test_orders_come_as_lines_as_long_as_there_are_any() -> None:
    shop = stock(Shop())
    shop.update_balance(7, Decimal("9000.00"))
    for number in range(200):
        shop.place_order(7, f"line\u2028{number}", 1, Decimal("0.01"))
    async with talking(shop=shop) as client:
        answer = await client.get("/customers/7/orders", headers={"accept": LINES})
        assert answer.headers["transfer-encoding"] == "chunked"
        lines = answer.content.split(b"\n")
        assert lines.pop() == b""
        assert [json.loads(line)["order_id"] for line in lines] == list(range(1, 203))
        problem(await client.get("/customers/8/orders", headers={"accept": LINES}), 404,
                "customer_not_found")  # fmt: skip


# ---------------------------------------------------------------- conditional requests


async def test_what_is_current_is_not_sent_again() -> None:
    async with talking() as client:
        first = await client.get("/customers/42")
        tag = first.headers["etag"]
        for condition in (tag, f'"x", {tag}', f"W/{tag}", "*"):
            again = await client.get("/customers/42", headers={"if-none-match": condition})
            assert again.status_code == 304
            assert again.content == b""
            assert again.headers["etag"] == tag
        await client.post("/customers/42/balance-changes", json={"change": "1.00"})
        changed = await client.get("/customers/42", headers={"if-none-match": tag})
        assert changed.status_code == 200
        assert changed.headers["etag"] != tag


async def test_a_patch_needs_the_tag_of_what_it_was_made_for() -> None:
    headers = {"content-type": "application/merge-patch+json"}
    async with talking() as client:
        patch = partial(client.patch, "/customers/42", content=b'{"name": "Ada King"}')
        problem(await patch(headers=headers), 428, "precondition_required")
        stale = {**headers, "if-match": '"an-older-one"'}
        problem(await patch(headers=stale), 412, "precondition_failed")
        xml = await client.get("/customers/42", headers={"accept": XML})
        tag = xml.headers["etag"]
        problem(
            await patch(headers={**headers, "if-match": f"W/{tag}"}), 412, "precondition_failed"
        )
        done = await patch(headers={**headers, "if-match": tag})
        assert done.json() == {"customer_id": 42, "name": "Ada King", "balance": "12.30"}
        problem(await patch(headers={**headers, "if-match": tag}), 412, "precondition_failed")
        new = await client.get("/customers/42")
        assert new.headers["etag"] == done.headers["etag"]


@pytest.mark.parametrize("in_file", [False, True])
async def test_of_two_editors_one_is_refused_and_nothing_is_lost(
    in_file: bool, tmp_path: object
) -> None:
    with SQLiteRepository(f"{tmp_path}/shop.db" if in_file else ":memory:") as repository:
        shop = stock(Shop(repository))

        async def deposit(client: httpx.AsyncClient) -> int:
            """Add a cent by reading, adding and writing; the number of refusals on the way."""
            for refusals in range(1_000):
                before = await client.get("/customers/42")
                balance = Decimal(before.json()["balance"]) + Decimal("0.01")
                headers = {
                    "if-match": before.headers["etag"],
                    "content-type": "application/merge-patch+json",
                }
                body = json.dumps({"balance": f"{balance}"})
                answer = await client.patch("/customers/42", content=body, headers=headers)
                if answer.status_code == 200:
                    return refusals
                problem(answer, 412, "precondition_failed")
            raise AssertionError("refused a thousand times")

        async with talking(shop=shop) as client:
            refusals = await asyncio.gather(*(deposit(client) for _ in range(20)))
        assert shop.get_customer(42).balance == Decimal("12.50")
        assert sum(refusals) > 0


def test_strong_and_weak_comparison_are_those_of_the_standard() -> None:
    # The table of RFC 9110, section 8.8.3.2.
    table = [('W/"1"', 'W/"1"', False, True), ('W/"1"', 'W/"2"', False, False),
             ('W/"1"', '"1"', False, True), ('"1"', '"1"', True, True)]  # fmt: skip
    for one, other, strong, weak in table:
        assert matches_weakly(one, other) is weak
        if not other.startswith("W/"):
            assert matches_strongly(one, [other]) is strong


@given(st.binary(), st.binary())
def test_other_bytes_have_another_tag(one: bytes, other: bytes) -> None:
    assert (entity_tag(one) == entity_tag(other)) is (one == other)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=10,
)


@given(json_values, json_values)
def test_a_patch_applied_twice_is_a_patch_applied_once(target: object, patch: object) -> None:
    once = merge_patch(target, patch)
    assert merge_patch(once, patch) == once


@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [  # from RFC 7396, appendix A
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, ["c"], ["c"]),
        ({"a": "foo"}, None, None),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_merge_patch_does_what_its_standard_shows(
    target: object, patch: object, result: object
) -> None:
    assert merge_patch(target, patch) == result


# ---------------------------------------------------------------- the rest of the vocabulary


async def test_what_is_created_is_where_the_answer_says() -> None:
    async with talking() as client:
        new = {"item": "cards", "quantity": 2, "unit_price": "1.50"}
        placed = await client.post("/customers/42/orders", json=new)
        assert placed.status_code == 201
        got = await client.get(placed.headers["location"])
        assert got.json() == placed.json()
        assert got.headers["etag"] == placed.headers["etag"]
        assert "immutable" in got.headers["cache-control"]


@pytest.mark.parametrize(
    ("prefer", "wish"),
    [
        ("return=minimal", "minimal"),
        ('respond-async, Return="representation"; x=1', "representation"),
        ("return=whatever", None),
        ("handling=lenient", None),
        (None, None),
        ("return=minimal, return=representation", "minimal"),
    ],
)
def test_a_preference_is_read_or_ignored(prefer: str | None, wish: str | None) -> None:
    assert preferred_return(prefer) == wish


async def test_a_client_may_prefer_to_get_nothing_back() -> None:
    async with talking() as client:
        prefer = {"prefer": "return=minimal"}
        paid = await client.post(
            "/customers/42/balance-changes", json={"change": "1.00"}, headers=prefer
        )
        assert (paid.status_code, paid.content) == (204, b"")
        assert paid.headers["preference-applied"] == "return=minimal"
        assert paid.headers["etag"] == (await client.get("/customers/42")).headers["etag"]


async def test_the_link_to_the_next_page_leads_through_all() -> None:
    shop = Shop()
    for number in range(1, 26):
        shop.add_customer(number, f"c{number}", Decimal(0))
    seen: list[int] = []
    async with talking(shop=shop) as client:
        url: str | None = "/customers?limit=10"
        while url:
            page = await client.get(url)
            seen += [each["customer_id"] for each in page.json()["customers"]]
            url = page.links.get("next", {}).get("url")
    assert seen == list(range(1, 26))


async def test_methods_that_come_for_free_and_those_that_are_not_there() -> None:
    async with talking() as client:
        got, head = await client.get("/customers/42"), await client.head("/customers/42")
        assert head.content == b""
        assert {k: v for k, v in head.headers.items() if k not in {"x-request-id", "date"}} == {
            k: v for k, v in got.headers.items() if k not in {"x-request-id", "date"}
        }
        options = await client.options("/customers/42")
        assert (options.status_code, options.headers["allow"]) == (204, "GET, PATCH, HEAD, OPTIONS")
        deleted = await client.delete("/customers/42")
        problem(deleted, 405, "method_not_allowed")
        assert deleted.headers["allow"] == "GET, PATCH, HEAD, OPTIONS"
        problem(await client.get("/nowhere"), 404, "not_found")


async def test_each_kind_of_problem_explains_itself() -> None:
    async with talking() as client:
        for code, kind in KINDS.items():
            answer = await client.get(f"/problems/{code}", headers={"authorization": ""})
            assert answer.json()["help"] == kind.help
        refused = await client.get("/customers/43")
        document = problem(refused, 404, "customer_not_found")
        assert document["detail"] == "there is no customer 43"
        assert (await client.get(str(document["type"]))).json()["status"] == 404


async def test_the_contract_itself_can_be_had() -> None:
    async with talking() as client:
        document = (await client.get("/openapi.json", headers={"authorization": ""})).json()
        assert document == CONTRACT.document
        problem(await client.post("/openapi.yaml"), 405, "method_not_allowed")


# ---------------------------------------------------------------- the contract, outward


def lying(answer: object, status: int = 200, headers: dict[str, str] | None = None) -> App:
    """A service behind the contract that answers every GET of a customer in this way."""
    service = FastAPI(openapi_url=None)

    async def get_customer() -> object:
        from fastapi.responses import JSONResponse

        return JSONResponse(answer, status, headers)

    service.add_api_route("/customers/{customer_id}", get_customer, response_model=None)
    return chain(ContractMiddleware(service, CONTRACT), [RequestIds, Failures])


@pytest.mark.parametrize(
    ("app", "reason"),
    [
        (lying({"customer_id": 42, "name": "Ada"}), "balance"),
        (lying({"customer_id": 42, "name": "Ada", "balance": 12.3}), "/balance"),
        (
            lying({"customer_id": 42, "name": "A", "balance": "1.00", "margin": 3}),
            "margin",
        ),
        (lying({}, 201), "never application/json"),
        (lying({"customer_id": 42, "name": "A", "balance": "1.00"}, headers={"etag": "7"}), "etag"),
    ],
)
async def test_an_answer_that_breaks_the_contract_is_not_sent(
    app: App, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR, "remotecalls.rest")
    async with talking(app) as client:
        document = problem(await client.get("/customers/42"), 500, "server_failed")
    assert reason in caplog.text
    assert str(document["request_id"]) in caplog.text
    assert "margin" not in json.dumps(document)


# ---------------------------------------------------------------- filters


async def test_callers_without_a_token_are_not_served() -> None:
    async with talking() as client:
        for header in ("", "Bearer", "Bearer no", "Basic ZGVtbw==", "demo"):
            answer = await client.get("/customers/42", headers={"authorization": header})
            problem(answer, 401, "unauthenticated")
            assert answer.headers["www-authenticate"].startswith('Bearer realm="shop"')


async def test_a_request_is_called_what_its_client_calls_it() -> None:
    async with talking() as client:
        mine = await client.get("/customers/42", headers={"x-request-id": "mine.1"})
        assert mine.headers["x-request-id"] == "mine.1"
        bad = await client.get("/customers/42", headers={"x-request-id": "a b"})
        document = problem(bad, 400, "invalid_argument")
        assert document["request_id"] != "a b"
        made = [(await client.get("/customers/42")).headers["x-request-id"] for _ in range(20)]
        assert len(set(made)) == 20


async def test_the_log_has_one_line_for_each_request(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "remotecalls.rest")
    async with talking() as client:
        await client.get("/customers/42", headers={"x-request-id": "one"})
        await client.get("/customers/43", headers={"x-request-id": "two"})
        await client.get("/customers/42", headers={"x-request-id": "three", "authorization": ""})
    lines = [record.getMessage().split(" in ")[0] for record in caplog.records]
    assert lines == [
        "one GET /customers/42 200 by demo",
        "two GET /customers/43 404 by demo",
        "three GET /customers/42 401 by ?",
    ]


def filters_with(clock: list[float]) -> list[object]:
    callers = {"one": "Ada", "two": "Grace"}
    return [
        RequestIds,
        partial(Authentication, callers=callers),
        partial(RateLimit, rate=1.0, burst=3, clock=lambda: clock[0]),
    ]


async def test_each_caller_has_a_bucket_that_fills_with_time() -> None:
    clock = [0.0]
    app = create_app(stock(Shop()), filters_with(clock))  # type: ignore[arg-type]
    async with talking(app) as client:

        async def statuses(token: str, count: int) -> list[int]:
            headers = {"authorization": f"Bearer {token}"}
            return [
                (await client.get("/customers/42", headers=headers)).status_code
                for _ in range(count)
            ]

        assert await statuses("one", 5) == [200, 200, 200, 429, 429]
        assert await statuses("two", 1) == [200]
        clock[0] = 2.0
        assert await statuses("one", 3) == [200, 200, 429]
        late = await client.get("/customers/42", headers={"authorization": "Bearer one"})
        problem(late, 429, "too_many_requests")
        assert late.headers["retry-after"] == "2"


async def test_compressed_and_plain_bytes_have_different_tags() -> None:
    app = create_app(stock(Shop()), [RequestIds, partial(Compression, smallest=10)])
    async with talking(app) as client:
        plain = await client.get("/customers/42")
        gzip = {"accept-encoding": "gzip"}
        small = await client.get("/customers/42", headers=gzip)
        assert small.headers["content-encoding"] == "gzip"
        assert small.headers["vary"] == plain.headers["vary"] == "Accept, Accept-Encoding"
        assert small.json() == plain.json()
        tag = small.headers["etag"]
        assert tag == plain.headers["etag"][:-1] + '-gzip"'
        again = await client.get("/customers/42", headers={**gzip, "if-none-match": tag})
        assert (again.status_code, again.headers["etag"]) == (304, tag)
        headers = {**gzip, "if-match": tag, "content-type": "application/merge-patch+json"}
        patched = await client.patch(
            "/customers/42", content=b'{"name": "Ada King"}', headers=headers
        )
        assert patched.status_code == 200
        refused = {"accept-encoding": "gzip;q=0"}
        assert (
            "content-encoding" not in (await client.get("/customers/42", headers=refused)).headers
        )


async def test_compression_inside_of_the_contract_breaks_it() -> None:
    app = create_app(stock(Shop()), [])
    packed = ContractMiddleware(Compression(app, smallest=10), CONTRACT)
    async with talking(chain(packed, [RequestIds])) as client:
        assert (await client.get("/customers/42")).status_code == 200
        gzip = {"accept-encoding": "gzip"}
        problem(await client.get("/customers/42", headers=gzip), 500, "server_failed")


async def test_a_fault_is_a_problem_and_its_trace_is_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Broken(Shop):
        def get_customer(self, customer_id: int) -> object:  # type: ignore[override]
            raise ZeroDivisionError("the secret of the database")

    async with talking(shop=Broken()) as client:
        document = problem(await client.get("/customers/42"), 500, "server_failed")
        # The connection is none the worse for it.
        problem(await client.get("/customers/42"), 500, "server_failed")
    assert "secret" not in json.dumps(document)
    assert "the secret of the database" in caplog.text
    assert {record.name for record in caplog.records} == {"remotecalls.rest"}
    assert str(document["request_id"]) in caplog.text


async def test_filters_change_nothing_of_what_the_service_says() -> None:
    bare = create_app(stock(Shop()), [])
    full = create_app(stock(Shop()), [*standard_filters()])
    logged = create_app(stock(Shop()), [Log, RequestIds])
    bodies = []
    for app in (bare, full, logged):
        async with talking(app) as client:
            bodies.append([(await client.get(url)).content for url in ("/", "/customers/42")])
    assert bodies[0] == bodies[1] == bodies[2]
