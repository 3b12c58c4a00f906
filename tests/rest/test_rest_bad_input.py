"""What nobody should send: each has a defined answer, and none of it stays in memory."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress

import httpx
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from remotecalls.bindings import BINDINGS
from remotecalls.process import server_process
from remotecalls.rest import http_server, resources
from remotecalls.rest.application import create_app
from remotecalls.rest.strict_json import DEEPEST, JSONError, parse_json
from remotecalls.shop import CustomerNotFound, Shop
from remotecalls.shop.sample import stock
from remotecalls.wire.address import Address

ORDERS = "/customers/42/orders"
ORDER = '{"item": "cards", "quantity": 1, "unit_price": "0.01"}'


def post(body: bytes, path: str = ORDERS, headers: str = "", length: int | None = None) -> bytes:
    """A whole request."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: shop\r\nAuthorization: Bearer demo\r\n"
        f"Content-Type: application/json\r\n{headers}"
        f"Content-Length: {len(body) if length is None else length}\r\n\r\n"
    )
    return head.encode() + body


def get(path: str, headers: bytes = b"") -> bytes:
    head = f"GET {path} HTTP/1.1\r\nHost: shop\r\nAuthorization: Bearer demo\r\n".encode()
    return head + headers + b"\r\n"


def json_post(text: str) -> bytes:
    return post(text.encode(errors="surrogatepass"))


BAD: dict[str, tuple[bytes, int, str]] = {
    "an oversized body": (post(b"x" * 20_000), 413, "content_too_large"),
    "an announced giant": (post(b"", length=4_000_000_000), 413, "content_too_large"),
    "invalid UTF-8": (post(b'{"item": "\xff"}'), 400, "bad_request"),
    "a lone surrogate": (json_post(ORDER.replace("cards", "\\ud800")), 400, "bad_request"),
    "a duplicate member": (json_post('{"quantity": 1, "quantity": 2}'), 400, "bad_request"),
    "an endless number": (json_post('{"quantity": ' + "9" * 10_000 + "}"), 400, "bad_request"),
    "a number beyond any float": (json_post('{"quantity": 1e999}'), 400, "bad_request"),
    "not a number": (json_post('{"quantity": NaN}'), 400, "bad_request"),
    "deep nesting": (json_post("[" * 8_000 + "]" * 8_000), 400, "bad_request"),
    "deep nesting of objects": (json_post('{"a":' * 2_000 + "1" + "}" * 2_000), 400, "bad_request"),
    "an unknown member": (
        json_post(ORDER.replace("}", ', "price": 1}')), 400, "invalid_argument"),
    "a number as text": (json_post(ORDER.replace("1,", '"1",')), 400, "invalid_argument"),
    "half a quantity": (json_post(ORDER.replace("1,", "1.5,")), 400, "invalid_argument"),
    "nothing": (post(b""), 400, "bad_request"),
    "half of a document": (json_post(ORDER[:20]), 400, "bad_request"),
    "another media type": (
        post(ORDER.encode()).replace(b"application/json", b"text/plain"),
        415, "unsupported_media_type"),
    "a compressed body": (
        post(ORDER.encode(), headers="Content-Encoding: gzip\r\n"), 415, "unsupported_media_type"),
    "an unknown parameter": (get("/customers?sort=name"), 400, "invalid_argument"),
    "a parameter twice": (get("/customers?limit=1&limit=2"), 400, "invalid_argument"),
    "a hundred parameters": (get("/customers?" + "a=1&" * 100 + "a=1"), 400, "invalid_argument"),
    "a number with a leading zero": (get("/customers/042"), 400, "invalid_argument"),
    "a huge number in the path": (get("/customers/" + "9" * 5_000), 400, "invalid_argument"),
    "a bomb of headers": (get("/", b"a: b\r\n" * 50_000), 400, "bad_request"),
    "one endless header": (get("/", b"a: " + b"b" * 300_000 + b"\r\n"), 400, "bad_request"),
    "an endless path": (get("/" + "x" * 300_000), 400, "bad_request"),
    "two lengths": (
        post(b"x", headers="Content-Length: 7\r\n"), 400, "bad_request"),
    "a length below zero": (post(b"", length=-1), 400, "bad_request"),
    "a NUL in a header": (get("/", b"a: b\x00c\r\n"), 400, "bad_request"),
    "no HTTP": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n\n", 400, "bad_request"),
}  # fmt: skip


def exchange(address: Address, request: bytes) -> bytes:
    """Send a request and read what comes, until the end or for as long as it takes to be whole."""
    with socket.create_connection((address.host, address.port), timeout=10) as client:
        try:
            client.sendall(request)
            client.shutdown(socket.SHUT_WR)
        except ConnectionError:
            pass  # it may be refused before all is sent; the answer is here all the same
        answer = b""
        while data := client.recv(65_536):
            answer += data
    return answer


@pytest.fixture(scope="module")
def service() -> Iterator[tuple[Address, psutil.Process]]:
    with server_process("rest") as (address, process):
        yield address, psutil.Process(process.pid)


@pytest.mark.parametrize("name", BAD)
def test_bad_input_gets_a_defined_answer(
    service: tuple[Address, psutil.Process], name: str
) -> None:
    request, status, code = BAD[name]
    head, _, body = exchange(service[0], request).partition(b"\r\n\r\n")
    assert int(head.split()[1]) == status, body
    assert json.loads(body)["code"] == code
    assert b"application/problem+json" in head
    assert b" 200 " in exchange(service[0], get("/customers/42"))


def test_a_thousand_bad_requests_leave_the_memory_flat(
    service: tuple[Address, psutil.Process],
) -> None:
    address, server = service
    requests = [request for request, _, _ in BAD.values()]

    def attack(count: int) -> None:
        for number in range(count):
            exchange(address, requests[number % len(requests)])

    attack(2 * len(requests))
    before = server.memory_info().rss
    attack(1_000)
    assert server.memory_info().rss - before < 20_000_000
    assert b" 200 " in exchange(address, get("/customers/42"))


# ---------------------------------------------------------------- slow ones


async def silent(request: bytes, **limits: float) -> bytes:
    """What the service says to somebody who sends this and then nothing."""
    app = create_app(stock(Shop()), **limits)  # type: ignore[arg-type]
    async with http_server.running(app) as server:
        address = server.address
        reader, writer = await asyncio.open_connection(address.host, address.port)
        writer.write(request)
        async with asyncio.timeout(10):
            answer = await reader.read()
        writer.close()
    return answer


async def test_a_slow_body_is_not_waited_for() -> None:
    answer = await silent(post(ORDER.encode()[:10], length=50), body_seconds=0.2)
    assert b" 408 " in answer.split(b"\r\n")[0]
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["code"] == "request_timeout"


@pytest.mark.parametrize("start", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: sh"])
async def test_a_slow_head_is_not_waited_for(monkeypatch: pytest.MonkeyPatch, start: bytes) -> None:
    monkeypatch.setattr(http_server, "HEAD_SECONDS", 0.2)
    answer = await silent(start)
    assert b" 408 " in answer.split(b"\r\n")[0]
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["code"] == "request_timeout"


async def test_a_slow_second_request_is_not_waited_for_either(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(http_server, "HEAD_SECONDS", 0.3)
    answer = await silent(get("/customers/42") + b"GET / HTTP/1.1\r\nHo")
    assert answer.count(b"HTTP/1.1 200 ") == 1
    assert answer.count(b"HTTP/1.1 408 ") == 1


# ---------------------------------------------------------------- the parser by itself

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**300), 10**300)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(json_values, st.booleans())
def test_what_the_standard_library_writes_is_read_alike(value: object, ascii_only: bool) -> None:
    written = json.dumps(value, ensure_ascii=ascii_only)
    data = written.encode(errors="surrogatepass")
    try:
        read = parse_json(data)
    except JSONError:
        assert _depth(value) > DEEPEST or _has_surrogate(written)
    else:
        assert read == value


def _depth(value: object) -> int:
    if isinstance(value, dict):
        return 1 + max(map(_depth, value.values()), default=0)
    return 1 + max(map(_depth, value), default=0) if isinstance(value, list) else 0


def _has_surrogate(text: str) -> bool:
    read = json.dumps(json.loads(text), ensure_ascii=False)
    return any(0xD800 <= ord(each) < 0xE000 for each in read)


almost_json = st.text(alphabet='{}[]",:0123456789.eE+-\\untrfalsn').map(str.encode)


@given(st.binary(max_size=200) | almost_json)
def test_any_bytes_are_json_or_a_json_error(data: bytes) -> None:
    with suppress(JSONError):
        parse_json(data)


@pytest.mark.parametrize(
    ("text", "depth_ok"),
    [("[" * DEEPEST + "]" * DEEPEST, True), ("[" * (DEEPEST + 1) + "]" * (DEEPEST + 1), False)],
)
def test_nesting_is_counted_outside_of_texts(text: str, depth_ok: bool) -> None:
    check: Callable[[], object] = lambda: parse_json(text.encode())  # noqa: E731
    if depth_ok:
        check()
    else:
        with pytest.raises(JSONError, match="levels of nesting"):
            check()
    assert parse_json(json.dumps("[" * 100 + '\\"' + "{" * 100).encode())


NEW = '{"customer_id": 5, "name": "Ida", "balance": "1.00"}'
MUTATION = 'mutation { addCustomer(customerId: 5, name: "Ida", balance: "1.00") { name } }'


@pytest.mark.parametrize(
    ("name", "path", "body"),
    [
        ("resources", "/customers", NEW),
        ("rest", "/customers", NEW),
        ("graphql", "/graphql", json.dumps({"query": MUTATION})),
    ],
)
async def test_a_client_that_leaves_in_the_middle_of_its_request_has_asked_for_nothing(
    name: str, path: str, body: str, caplog: pytest.LogCaptureFixture
) -> None:
    binding = BINDINGS[name]
    request = f"POST {path} HTTP/1.1\r\nHost: shop\r\nAuthorization: Bearer demo\r\n"
    request += f"Content-Type: application/json\r\nContent-Length: 500\r\n\r\n{body}"
    async with binding.serve(stock(Shop())) as server:
        for _ in range(3):
            _, writer = await asyncio.open_connection(server.address.host, server.address.port)
            writer.write(request.encode())
            await writer.drain()
            writer.close()
            await writer.wait_closed()
        async with binding.connect(server.address, 5.0) as client:
            assert (await client.get_customer(42)).name == "Ada Lovelace"
            with pytest.raises(CustomerNotFound):
                await client.get_customer(5)
    assert [each.message for each in caplog.records if each.levelno >= logging.ERROR] == []


@pytest.mark.parametrize(
    "body",
    [
        '{"customer_id": 1, "name": "Ida"}',
        '{"customer_id": true, "name": "Ida", "balance": "1.00"}',
        '{"customer_id": "1", "name": "Ida", "balance": "1.00"}',
        '{"customer_id": 1, "name": null, "balance": "1.00"}',
        '{"customer_id": 1, "name": "Ida", "balance": 1}',
        "[1]",
    ],
)
async def test_resources_say_what_is_wrong_with_a_body(body: str) -> None:
    async with resources.serve(stock(Shop())) as server, httpx.AsyncClient() as http:
        url = f"http://{server.address.host}:{server.address.port}/customers"
        answer = await http.post(url, content=body)
    assert answer.json()["code"] == "bad_request"
    assert "body" in answer.json()["message"]


async def test_a_fault_of_the_service_is_not_blamed_on_the_request(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(self: Shop, customer_id: int) -> object:
        raise KeyError("of our own")

    monkeypatch.setattr(Shop, "get_customer", broken)
    async with resources.serve(stock(Shop())) as server, httpx.AsyncClient() as http:
        answer = await http.get(f"http://{server.address.host}:{server.address.port}/customers/42")
    assert answer.status_code == 500
    assert any("of our own" in str(each.exc_info) for each in caplog.records)
