"""Claims of the source articles about HTTP, JSON and XML, measured."""

from __future__ import annotations

import base64
import gzip
import json
import random
import statistics
import time
from decimal import Decimal

import httpx
import pytest

from remotecalls.bindings import BINDINGS
from remotecalls.process import server_process
from remotecalls.rest import xml_documents
from remotecalls.rest.application import create_app
from remotecalls.rest.http_server import running
from remotecalls.rest.representations import order_document, to_json
from remotecalls.shop import Order, Shop
from remotecalls.shop.sample import stock


def test_base64_costs_a_third_until_it_is_compressed() -> None:
    blob = random.Random(1).randbytes(30_000)
    document = json.dumps({"picture": base64.b64encode(blob).decode()}).encode()
    assert 1.33 < len(document) / len(blob) < 1.34
    assert len(gzip.compress(document)) / len(blob) < 1.02  # four characters carry 24 bits again


async def test_a_request_sent_twice_changes_the_state_once_or_twice() -> None:
    async def balance_after(method: str, path: str, **options: object) -> tuple[Decimal, list[int]]:
        shop = stock(Shop())
        async with running(create_app(shop)) as server:
            headers = {"authorization": "Bearer demo"}
            async with httpx.AsyncClient(base_url=f"http://{server.address}", headers=headers) as c:
                tag = (await c.get("/customers/42")).headers["etag"]
                if method == "PATCH":
                    patch = {"if-match": tag, "content-type": "application/merge-patch+json"}
                    options = {**options, "headers": patch}
                statuses = [
                    (await c.request(method, path, **options)).status_code  # type: ignore[arg-type]
                    for _ in range(2)
                ]
        return shop.get_customer(42).balance, statuses

    assert await balance_after("GET", "/customers/42") == (Decimal("12.30"), [200, 200])
    paid = await balance_after("POST", "/customers/42/balance-changes", json={"change": "1.00"})
    assert paid == (Decimal("14.30"), [200, 200])  # not idempotent
    patched = await balance_after("PATCH", "/customers/42", json={"balance": "13.30"})
    assert patched == (Decimal("13.30"), [200, 412])  # once, by its condition


@pytest.mark.timeout(60)
async def test_an_object_that_is_reused_beats_a_process_for_each_request() -> None:
    medians = {}
    for name in ("cgi", "pox"):
        with server_process(name) as (address, _):
            async with BINDINGS[name].connect(address, timeout=20) as client:
                times = []
                for _ in range(9):
                    began = time.perf_counter()
                    await client.get_customer(42)
                    times.append(time.perf_counter() - began)
        medians[name] = statistics.median(times)
    assert medians["cgi"] > 5 * medians["pox"]


def test_json_is_smaller_than_xml_until_both_are_compressed() -> None:
    orders = [Order(n, 7, f"wire, reel {n % 7}", n, Decimal("0.30")) for n in range(1, 101)]
    document = {"orders": [order_document(order) for order in orders]}
    as_json, as_xml = to_json(document), xml_documents.render("orders", document)
    assert 1.4 < len(as_xml) / len(as_json) < 1.8
    packed = [len(gzip.compress(each, mtime=0)) for each in (as_json, as_xml)]
    assert 1.0 < packed[1] / packed[0] < 1.25


def test_json_has_no_references() -> None:
    parent: dict[str, object] = {"name": "A"}
    parent["children"] = [{"name": "B", "parent": parent}]
    with pytest.raises(ValueError, match="Circular reference"):
        json.dumps(parent)
    shared = {"name": "C"}
    left, right = json.loads(json.dumps([shared, shared]))
    assert left == right
    assert left is not right  # what was one object has become two


def test_json_s_numbers_are_not_exact_in_every_reader() -> None:
    cents = 2**53 + 1
    assert json.loads(f"{cents}", parse_int=float) != cents
    assert sum([0.1] * 3) != 0.3
