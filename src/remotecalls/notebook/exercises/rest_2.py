"""The exercises of `labs/rest-2.ipynb`."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from decimal import Decimal
from functools import partial
from typing import Any

import httpx

from remotecalls.notebook.exercises import (
    Answer,
    Attempt,
    Exercise,
    attempt,
    in_thread,
    matches,
)
from remotecalls.rest import rest
from remotecalls.rest.application import create_app
from remotecalls.rest.filters import (
    Authentication,
    Compression,
    Failures,
    Filter,
    Log,
    RateLimit,
    RequestIds,
)
from remotecalls.rest.http_server import running
from remotecalls.shop import Customer, Shop, ShopClient
from remotecalls.shop.sample import stock
from remotecalls.wire.errors import TransportError
from remotecalls.wire.faults import Drop
from remotecalls.wire.recording import Direction
from remotecalls.wire.tap import Tap

# ---------------------------------------------------------------- mend

LOOKUP_SECONDS = 0.05
CALLERS = 8


class Database:
    """Takes a while for each question, and answers several at once."""

    def __init__(self) -> None:
        self.made_for: set[str] = set()

    def name_of(self, customer_id: str) -> str:
        """A name that can be told from all others."""
        time.sleep(LOOKUP_SECONDS)
        return f"customer {customer_id}"


def check_servlet(servlet_class: Answer) -> Iterator[Attempt]:
    """One object, one caller; one object, eight at once; and not one after another."""
    servlet = servlet_class(Database())
    yield attempt(
        "servlet.answer({'customer_id': '42'})",
        lambda: servlet.answer({"customer_id": "42"}),
        "customer 42",
        "Look the parameter's customer up with `self.database.name_of`.",
    )
    took: list[float] = []

    def at_once() -> list[str]:
        barrier = threading.Barrier(CALLERS)

        def call(number: int) -> str:
            barrier.wait(5)
            said: str = servlet.answer({"customer_id": str(number)})
            return said

        with ThreadPoolExecutor(CALLERS) as pool:
            began = time.perf_counter()
            answers = list(pool.map(call, range(CALLERS)))
            took.append(time.perf_counter() - began)
        return answers

    yield attempt(
        f"{CALLERS} callers at once",
        at_once,
        [f"customer {number}" for number in range(CALLERS)],
        "Somebody got somebody else's customer. There is one object for all threads, so what "
        "belongs to one request cannot be kept in it.",
    )
    yield attempt(
        f"how long they took together; one takes {LOOKUP_SECONDS} s",
        lambda: took[-1],
        matches(f"under {CALLERS * LOOKUP_SECONDS / 2:.2f} s", _half_as_long),
        "They waited for each other. A lock makes the field safe and the service serial; nothing "
        "needs to be shared here.",
    )


def _half_as_long(seconds: float) -> bool:
    return seconds < CALLERS * LOOKUP_SECONDS / 2


# ---------------------------------------------------------------- order

NAMES: Mapping[str, Filter] = {
    "request ids": RequestIds,
    "log": Log,
    "failures": Failures,
    "authentication": partial(Authentication, callers={"ada": "Ada"}),
    "rate limit": partial(RateLimit, rate=0.001, burst=3),
    "compression": partial(Compression, smallest=10),
}


class Lines(logging.Handler):
    """Keeps what the service logs."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line."""
        self.lines.append(record.getMessage())


class BrokenShop(Shop):
    """Fails at the last customer."""

    def get_customer(self, customer_id: int) -> Customer:
        """Look a customer up."""
        if customer_id == 99:
            raise ZeroDivisionError("a fault of the service, meant to be seen")
        return super().get_customer(customer_id)


@asynccontextmanager
async def behind(order: list[str]) -> AsyncIterator[tuple[httpx.AsyncClient, list[str]]]:
    """A client of the service behind these filters, and the lines of its log."""
    app = create_app(stock(BrokenShop()), [NAMES[name] for name in order])
    log, kept = logging.getLogger("remotecalls.rest"), Lines()
    before = log.level, log.propagate
    log.addHandler(kept)
    log.setLevel(logging.INFO)
    log.propagate = False
    try:
        async with running(app) as server:
            base = f"http://{server.address}"
            async with httpx.AsyncClient(base_url=base, timeout=5) as client:
                yield client, kept.lines
    finally:
        log.removeHandler(kept)
        log.level, log.propagate = before


ADA = {"authorization": "Bearer ada"}


async def check_filters(order: Answer) -> AsyncIterator[Attempt]:
    """Each thing that the order decides, on the running service."""
    names: Any = await in_thread(order)
    yield attempt(
        "order(), sorted",
        lambda: sorted(names),
        sorted(NAMES),
        "All six, each once, the outermost first.",
    )
    async with behind(names) as (client, lines):
        refused = await client.get("/customers/42")
        yield attempt(
            "a caller without a token: the status, and whether the answer has a request id",
            lambda: (refused.status_code, "x-request-id" in refused.headers),
            (401, True),
            "The refusal has no name, so nobody will find it in the log. Names come first.",
        )
        yield attempt(
            "the line of the log about that caller",
            lambda: [line.split(" in ")[0].partition(" ")[2] for line in lines],
            ["GET /customers/42 401 by ?"],
            "Refused callers are what a log is read for. It has to stand outside of what refuses.",
        )
        yield attempt(
            "whether that line begins with the request's id",
            lambda: lines[0].startswith(refused.headers["x-request-id"]),
            True,
            "When the line was written the request had no name yet, or no longer.",
        )
    async with behind(names) as (client, lines):
        broken = await client.get("/customers/99", headers=ADA)
        yield attempt(
            "a fault in the service: the status, and the media type",
            lambda: (broken.status_code, broken.headers["content-type"]),
            (500, "application/problem+json"),
            "The fault went past the filter that turns faults into problems.",
        )
        yield attempt(
            "the last line of the log about the fault",
            lambda: lines[-1].split(" in ")[0].partition(" ")[2],
            "GET /customers/99 500 by Ada",
            "The log saw an exception where the client saw 500: it stands inside of the filter "
            "that makes the one from the other.",
        )
    async with behind(names) as (client, _):
        for _ in range(5):
            await client.get("/customers/42", headers={"authorization": "Bearer stolen"})
        allowed = [(await client.get("/customers/42", headers=ADA)).status_code for _ in range(4)]
        yield attempt(
            "five calls with a bad token, then four of Ada's, of whom three are allowed",
            lambda: allowed,
            [200, 200, 200, 429],
            "Strangers used up the calls of somebody who has a token. The limit counts by caller, "
            "so the caller has to be known before it.",
        )


# ---------------------------------------------------------------- break, and mend


async def check_retry(retrying: Answer) -> AsyncIterator[Attempt]:
    """Lose answers on the way back, and count what was done."""
    shop = stock(Shop())
    async with rest.serve(shop) as server:
        for lost, words in [(1, "one answer is lost"), (2, "two answers are lost")]:
            async with losing(server.address, lost) as (client, _):
                yield attempt(
                    f"retrying(client).get_customer(42), {words}: the name",
                    partial(_name_through, retrying, client),
                    "Ada Lovelace",
                    "Asking again does no harm: try up to three times.",
                )
        async with losing(server.address, 9) as (client, tap):
            yield attempt(
                "every answer is lost: what comes out",
                partial(_failure_of, retrying, client),
                "DeadlineExceeded",
                "When all attempts have failed, the last error is the caller's.",
            )
            yield attempt(
                "... after how many requests",
                lambda: len(tap.recording.connections),
                3,
                "Three attempts, and then enough.",
            )
        before = shop.get_customer(42).balance
        async with losing(server.address, 1) as (client, _):
            yield attempt(
                "retrying(client).update_balance(42, 1.00), one answer is lost: paid in",
                partial(_paid_through, retrying, client, shop, before),
                Decimal("1.00"),
                "It was paid twice. The answer was lost, not the request, and the service cannot "
                "know that both mean the same. Retry what may be done twice, and nothing else.",
            )


@asynccontextmanager
async def losing(address: Any, answers: int) -> AsyncIterator[tuple[ShopClient, Tap]]:
    """A client whose first answers disappear on the way."""
    faults = [
        Drop(direction=Direction.SERVER_TO_CLIENT, connection=number) for number in range(answers)
    ]
    async with Tap(address, faults) as tap, rest.connect(tap.address, timeout=0.3) as client:
        yield client, tap


async def _name_through(retrying: Answer, client: ShopClient) -> str:
    customer: Customer = await retrying(client).get_customer(42)
    return customer.name


async def _failure_of(retrying: Answer, client: ShopClient) -> str:
    try:
        return f"returned {await retrying(client).get_customer(42)}"
    except TransportError as error:
        return type(error).__name__


async def _paid_through(
    retrying: Answer, client: ShopClient, shop: Shop, before: Decimal
) -> Decimal:
    try:
        await retrying(client).update_balance(42, Decimal("1.00"))
    except TransportError:
        await asyncio.sleep(0)  # the caller is told that the outcome is unknown, which is true
    return shop.get_customer(42).balance - before


EXERCISES = (
    Exercise(
        name="mend-the-servlet",
        kind="break",
        title="One object for all",
        minutes=8,
        lines=5,
        hints=(
            "The field is written by one thread and read by another. Which thread needs it?",
            "A local variable belongs to one call of the method, and so to one thread.",
        ),
        check=check_servlet,
        task="Write `class Servlet`, made with a database, whose method `answer(parameters)` "
        "returns `database.name_of(...)` for the parameter `customer_id`. Eight threads will call "
        "it at once.",
    ),
    Exercise(
        name="order-the-filters",
        kind="complete",
        title="Six filters, one order",
        minutes=12,
        lines=2,
        hints=(
            "For each filter, ask which of the others has to see what it does.",
            "Names, log, failures; then who it is, how often, and how it is packed.",
        ),
        check=check_filters,
        task="Write `order()`: the six names "
        + ", ".join(f"`{name}`" for name in sorted(NAMES))
        + ", outermost first, so that refusals have names and are logged, faults are problems, and "
        "strangers cannot use up Ada's calls.",
        seconds=20.0,
    ),
    Exercise(
        name="retry-what-is-safe",
        kind="break",
        title="An aspect that pays once",
        minutes=15,
        lines=7,
        hints=(
            "`around(pointcut, advice, client)`: the pointcut decides which methods are retried.",
            "The advice is a coroutine function that awaits `join_point.proceed()` up to three "
            "times, and lets the last error out.",
        ),
        check=check_retry,
        task="Write `retrying(client)`: the client, with calls that may be made twice tried up to "
        "three times when a `TransportError` comes out, and all others once.",
        seconds=20.0,
    ),
)
