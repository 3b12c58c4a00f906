"""CGI from outside: what the script is told, and what becomes of one that misbehaves."""

from __future__ import annotations

import asyncio
import http.client
import json
import logging
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from remotecalls.shop import Shop
from remotecalls.shop.sample import stock
from remotecalls.shop.sqlite import SQLiteRepository
from remotecalls.sockets import cgi, cgi_server
from remotecalls.sockets.cgi_server import CGIServer
from remotecalls.wire.address import Address
from remotecalls.wire.errors import ServerFailed


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    with SQLiteRepository(tmp_path / "shop.db") as repository:
        yield stock(Shop(repository))


@asynccontextmanager
async def serving(shop: Shop, script: str) -> AsyncIterator[Address]:
    """A server whose script is these lines of Python."""
    server = CGIServer(shop, (sys.executable, "-S", "-c", script))
    await server.start("127.0.0.1", 0)
    try:
        yield server.address
    finally:
        await server.stop()


@pytest.fixture
def scripts() -> Callable[[], list[psutil.Process]]:
    """The processes that were started since: those of the scripts."""
    before = set(psutil.Process().children())
    return lambda: [each for each in psutil.Process().children() if each not in before]


async def exchange(address: Address, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(address.host, address.port)
    writer.write(request)
    async with asyncio.timeout(20):
        answer = await reader.read()
    writer.transport.abort()
    return answer


# ---------------------------------------------------------------- real clients


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
async def test_curl_asks_and_changes(shop: Shop) -> None:
    async with cgi.serve(shop) as server:
        url = f"http://{server.address}/cgi-bin/shop"
        command = ["curl", "--silent", "--include", "--http1.0", "--max-time", "20"]

        async def curl(*arguments: str) -> str:
            done = await asyncio.to_thread(
                subprocess.run,
                [*command, *arguments],
                capture_output=True,
                text=True,
                check=True,
                timeout=30,
            )
            return done.stdout

        head, _, body = (await curl(f"{url}?op=get&customer_id=42")).partition("\n\n")
        assert head.splitlines()[0] == "HTTP/1.0 200 OK"
        assert "Content-Type: text/plain; charset=utf-8" in head
        assert body == "CUSTOMER\t42\tAda Lovelace\t12.30\n"
        changed = await curl(url, "-d", "op=update", "-d", "customer_id=42", "-d", "change=-2.30")
        assert changed.endswith("CUSTOMER\t42\tAda Lovelace\t10.00\n")
        assert (await curl(f"{url}?op=get&customer_id=43")).startswith("HTTP/1.0 404 Not Found")


async def test_the_standard_librarys_client_reads_a_list(shop: Shop) -> None:
    async with cgi.serve(shop) as server:

        def ask() -> tuple[int, bytes]:
            connection = http.client.HTTPConnection(*_where(server.address), timeout=20)
            connection.request("GET", "/cgi-bin/shop?op=orders&customer_id=7")
            with connection.getresponse() as response:
                return response.status, response.read()

        status, body = await asyncio.to_thread(ask)
    assert status == 200
    assert [line.split(b"\t")[0] for line in body.splitlines()] == [b"ORDER", b"ORDER", b"END"]


def _where(address: Address) -> tuple[str, int]:
    return address.host, address.port


# ---------------------------------------------------------------- what the script is told

TELL = """
import json, os, sys
body = sys.stdin.read()
print("Content-Type: application/json\\r\\n\\r\\n", end="")
print(json.dumps({"environment": dict(os.environ), "body": body}))
"""


async def test_the_environment_is_that_of_rfc_3875_and_nothing_else(shop: Shop) -> None:
    request = (
        b"POST /cgi-bin/shop/extra/path?a=1&b=2 HTTP/1.0\r\nContent-Type: text/plain\r\n"
        b"Content-Length: 5\r\nAccept: text/html\r\nProxy: http://evil.example\r\n"
        b"Authorization: Basic c2VjcmV0\r\nX-Request-Id: 7\r\n\r\nhello, and more"
    )
    async with serving(shop, TELL) as address:
        answer = await exchange(address, request)
    told = json.loads(answer.partition(b"\r\n\r\n")[2])
    assert told["body"] == "hello"
    environment = told["environment"]
    del environment["SHOP_DATABASE"], environment["PYTHONPATH"]  # how this server is set up
    environment.pop("LC_CTYPE", None)  # Python's own, PEP 538
    assert environment == {
        "CONTENT_LENGTH": "5",
        "CONTENT_TYPE": "text/plain",
        "GATEWAY_INTERFACE": "CGI/1.1",
        "HTTP_ACCEPT": "text/html",
        "HTTP_X_REQUEST_ID": "7",
        "PATH_INFO": "/extra/path",
        "QUERY_STRING": "a=1&b=2",
        "REMOTE_ADDR": "127.0.0.1",
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "/cgi-bin/shop",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": str(address.port),
        "SERVER_PROTOCOL": "HTTP/1.0",
        "SERVER_SOFTWARE": "remotecalls",
    }


async def test_each_request_has_a_process_of_its_own(
    shop: Shop, scripts: Callable[[], list[psutil.Process]]
) -> None:
    tell = "import os; print('Content-Type: text/plain\\r\\n\\r\\n', os.getpid(), sep='')"
    async with serving(shop, tell) as address:
        answers = [await exchange(address, b"GET /cgi-bin/shop HTTP/1.0\r\n\r\n") for _ in "123"]
    assert len({answer.rpartition(b"\n\r\n")[2] for answer in answers}) == 3
    assert scripts() == []


# ---------------------------------------------------------------- scripts that misbehave

ASK = b"GET /cgi-bin/shop HTTP/1.0\r\n\r\n"


@pytest.mark.parametrize(
    ("script", "status", "text"),
    [
        ("print('hello')", b"502 Bad Gateway", b"did not write header lines"),
        ("raise SystemExit(1)", b"502 Bad Gateway", b"did not write header lines"),
        ("print('x' * 100_000)", b"502 Bad Gateway", b"did not write header lines"),
        ("import time; time.sleep(60)", b"504 Gateway Timeout", b"wrote nothing for 0.5 s"),
    ],
)
async def test_a_script_that_gives_no_answer_is_answered_for(
    monkeypatch: pytest.MonkeyPatch, shop: Shop, script: str, status: bytes, text: bytes
) -> None:
    monkeypatch.setattr(cgi_server, "SCRIPT_SECONDS", 0.5)
    async with serving(shop, script) as address:
        answer = await exchange(address, ASK)
        assert answer.startswith(b"HTTP/1.0 " + status)
        assert b"ERROR\tserver_failed\t" in answer
        assert text in answer
        async with cgi.connect(address, timeout=10) as client:
            with pytest.raises(ServerFailed):
                await client.get_customer(42)


async def test_what_a_script_says_of_its_trouble_is_in_the_log(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(shop, "import sys; print('no disk', file=sys.stderr)") as address:
        with caplog.at_level(logging.WARNING):
            await exchange(address, ASK)
    assert "script: no disk" in caplog.messages


async def test_an_endless_script_stops_when_its_reader_goes(
    shop: Shop, scripts: Callable[[], list[psutil.Process]]
) -> None:
    endless = (
        "import sys\nprint('A: b\\r\\n\\r\\n', end='')\nwhile True: sys.stdout.write('x' * 1000)"
    )
    async with serving(shop, endless) as address:
        reader, writer = await asyncio.open_connection(address.host, address.port)
        writer.write(ASK)
        await reader.readexactly(100_000)
        (script,) = scripts()
        writer.transport.abort()
        await asyncio.to_thread(script.wait, 10)


# ---------------------------------------------------------------- requests that are none


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"hello\r\n\r\n", b"400"),
        (b"GET /cgi-bin/shop\r\n\r\n", b"400"),
        (b"GET /cgi-bin/shop HTTP/1.0\r\nno colon\r\n\r\n", b"400"),
        (b"GET /cgi-bin/shop HTTP/1.0\r\nA: b\0c\r\n\r\n", b"400"),
        (b"GET /etc/passwd HTTP/1.0\r\n\r\n", b"404"),
        (b"GET /cgi-bin/shopping HTTP/1.0\r\n\r\n", b"404"),
        (b"POST /cgi-bin/shop HTTP/1.0\r\n\r\n", b"411"),
        (b"POST /cgi-bin/shop HTTP/1.0\r\nContent-Length: -1\r\n\r\n", b"400"),
        (b"POST /cgi-bin/shop HTTP/1.0\r\nContent-Length: 99999\r\n\r\n", b"413"),
        (b"GET /cgi-bin/shop HTTP/1.0\r\nA: " + b"x" * 9_000 + b"\r\n\r\n", b"431"),
        (b"BREW /cgi-bin/shop HTTP/1.0\r\n\r\n", b"501"),
        (b"GET /cgi-bin/shop HTTP/1.0\r\n\r\n", b"400"),  # here the script says so
        (b"GET /cgi-bin/shop?op=get HTTP/1.0\r\n\r\n", b"400"),
        (b"GET /cgi-bin/shop?op=get&customer_id=x HTTP/1.0\r\n\r\n", b"422"),
        (b"GET /cgi-bin/shop?op=get&customer_id=%FF HTTP/1.0\r\n\r\n", b"400"),
        (b"GET /cgi-bin/shop?op=get&customer_id=1&customer_id=2 HTTP/1.0\r\n\r\n", b"400"),
        (b"GET /cgi-bin/shop?op=update&customer_id=42&change=1.00 HTTP/1.0\r\n\r\n", b"400"),
    ],
    ids=lambda value: value[:60].decode("latin-1") if isinstance(value, bytes) else "",
)
async def test_a_bad_request_is_answered_with_its_status(
    shop: Shop, request_bytes: bytes, status: bytes
) -> None:
    async with cgi.serve(shop) as server:
        answer = await exchange(server.address, request_bytes)
    assert answer.startswith(b"HTTP/1.0 " + status)
    assert b"ERROR\t" in answer
    assert shop.get_customer(42).name == "Ada Lovelace"


async def test_a_get_changes_nothing(shop: Shop) -> None:
    async with cgi.serve(shop) as server:
        request = b"GET /cgi-bin/shop?op=update&customer_id=42&change=1.00 HTTP/1.0\r\n\r\n"
        answer = await exchange(server.address, request)
    assert b"only a POST may change something" in answer
    assert str(shop.get_customer(42).balance) == "12.30"


async def test_no_process_is_left_when_the_server_stops(
    shop: Shop, scripts: Callable[[], list[psutil.Process]]
) -> None:
    async with serving(shop, "import time; time.sleep(60)") as address:
        writers = []
        for _ in range(3):
            _, writer = await asyncio.open_connection(address.host, address.port)
            writer.write(ASK)
            writers.append(writer)
        async with asyncio.timeout(10):
            while len(scripts()) < 3:  # noqa: ASYNC110 - it sends no event
                await asyncio.sleep(0.02)
        children = scripts()
    gone, alive = psutil.wait_procs(children, timeout=10)
    assert not alive
    assert len(gone) == 3
    for writer in writers:
        writer.transport.abort()


async def test_a_server_that_stops_while_a_script_ends_waits_for_it(
    shop: Shop, scripts: Callable[[], list[psutil.Process]], monkeypatch: pytest.MonkeyPatch
) -> None:
    # The client has its answer; the server is still waiting for the process when it is stopped.
    wait = asyncio.subprocess.Process.wait
    waiting, may_end, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def slow_wait(process: asyncio.subprocess.Process) -> int:
        waiting.set()
        await may_end.wait()
        status = await wait(process)
        ended.set()
        return status

    monkeypatch.setattr(asyncio.subprocess.Process, "wait", slow_wait)
    async with asyncio.timeout(20):
        async with cgi.serve(shop) as server, cgi.connect(server.address, timeout=20) as client:
            await client.get_customer(42)
            await waiting.wait()
            # After the cancellation that stopping is, and before anything else may happen.
            asyncio.get_running_loop().call_later(0.1, may_end.set)
        assert ended.is_set()
    assert scripts() == []
