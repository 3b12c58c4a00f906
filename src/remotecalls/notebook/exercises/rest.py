"""The exercises of `labs/rest.ipynb`."""

from __future__ import annotations

import asyncio
import gzip
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from functools import partial

import httpx

from remotecalls.notebook.exercises import Answer, Attempt, Exercise, attempt, raises
from remotecalls.rest.application import create_app
from remotecalls.rest.asgi import App
from remotecalls.rest.http_server import running
from remotecalls.rest.moved import Moved
from remotecalls.rest.problems import Answer as HTTPAnswer
from remotecalls.rest.representations import HAL
from remotecalls.shop import Customer, Shop
from remotecalls.shop.sample import stock

WAIT = 10.0
JSON_PATCH = {"content-type": "application/merge-patch+json"}


@contextmanager
def served(app: App, accept: str = "application/json") -> Iterator[httpx.Client]:
    """A client of an application that runs in a thread of its own."""
    ready, done = threading.Event(), threading.Event()
    address: list[str] = []

    async def serve() -> None:
        async with running(app) as server:
            address.append(f"http://{server.address}")
            ready.set()
            await asyncio.to_thread(done.wait, 60)

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    try:
        if not ready.wait(WAIT):
            raise RuntimeError("the service of this check did not start")
        headers = {"authorization": "Bearer demo", "accept": accept}
        with httpx.Client(base_url=address[0], headers=headers, timeout=WAIT) as client:
            yield client
    finally:
        done.set()
        thread.join(WAIT)


# ---------------------------------------------------------------- complete


def pay_in(document: Mapping[str, str]) -> dict[str, str]:
    """A change that is computed from what there is."""
    return {"balance": f"{Decimal(document['balance']) + 1}"}


def rival(shop: Shop, rounds: int) -> Callable[[httpx.Response], None]:
    """Somebody who changes the customer right after it was read, so many times."""
    left = [rounds]

    def interfere(response: httpx.Response) -> None:
        if response.request.method == "GET" and left[0] > 0:
            left[0] -= 1
            shop.update_balance(42, Decimal("10.00"))

    return interfere


def check_edit_safely(edit: Answer) -> Iterator[Attempt]:
    """Nobody else, somebody else once, somebody else three times, and a customer who is not."""
    for rounds, words in [(0, "alone"), (1, "with one rival"), (3, "with a rival three times")]:
        shop = stock(Shop())
        with served(create_app(shop)) as client:
            client.event_hooks = {"response": [rival(shop, rounds)]}
            yield attempt(
                f"edit(client, '/customers/42', pay 1.00 in), {words}: the balance",
                partial(_balance_after, edit, client, shop),
                Decimal("13.30") + 10 * rounds,
                _what_was_lost,
            )
    with served(create_app(stock(Shop()))) as client:
        yield attempt(
            "edit(client, '/customers/43', ...), a customer who does not exist",
            lambda: edit(client, "/customers/43", pay_in),
            raises(httpx.HTTPStatusError),
            "Only 412 means: read again. Anything else is for the caller to see, and to be tried "
            "for ever is not. `response.raise_for_status()` raises for every 4xx and 5xx.",
        )


def _balance_after(edit: Answer, client: httpx.Client, shop: Shop) -> Decimal:
    edit(client, "/customers/42", pay_in)
    return shop.get_customer(42).balance


def _what_was_lost(found: object) -> str:
    if isinstance(found, httpx.HTTPStatusError) and found.response.status_code == 412:
        return (
            "412 came out. It says that the customer has changed: read it again, and compute anew."
        )
    if isinstance(found, httpx.HTTPStatusError) and found.response.status_code == 428:
        return "The service wants a condition. Send `If-Match` with the tag of what you have read."
    if isinstance(found, Decimal) and found in {Decimal("12.30"), Decimal("22.30")}:
        return "The change was not made. After a 412 it has to be computed and sent once more."
    return (
        "Somebody's payment is gone. The condition has to name what the change was computed from: "
        "the `etag` of the answer whose document `change` was given."
    )


# ---------------------------------------------------------------- predict


def measured_statuses() -> list[int]:
    """What the service answers to the five requests of the task."""
    with served(create_app(stock(Shop()))) as client:

        def tag(accept: str) -> str:
            return client.get("/customers/42", headers={"accept": accept}).headers["etag"]

        def get(accept: str, condition: str) -> int:
            headers = {"accept": accept, "if-none-match": condition}
            return client.get("/customers/42", headers=headers).status_code

        def patch(condition: str) -> int:
            headers = {**JSON_PATCH, "if-match": condition}
            return client.patch("/customers/42", content=b"{}", headers=headers).status_code

        json, xml = tag("application/json"), tag("application/xml")
        return [
            get("application/json", json),
            get("application/xml", json),
            get("application/json", f"W/{json}"),
            patch(f"W/{json}"),
            patch(xml),
        ]


REQUESTS = [
    ("GET JSON, If-None-Match: the tag of the JSON", "The bytes are the ones that you hold: 304."),
    (
        "GET XML, If-None-Match: the tag of the JSON",
        "A tag names bytes, and you do not hold these. A cache that took one for the other would "
        "give JSON to a client that asked for XML.",
    ),
    (
        "GET JSON, If-None-Match: W/ and the tag of the JSON",
        "Whether to transfer again is decided by weak comparison: `W/` does not count.",
    ),
    (
        "PATCH, If-Match: W/ and the tag of the JSON",
        "Whether to write is decided by strong comparison, and a weak tag says only that two "
        "representations mean the same.",
    ),
    (
        "PATCH, If-Match: the tag of the XML",
        "The state is what was read, in whichever notation. The service knows the tags of all.",
    ),
]


def check_which_tag(answers: Answer) -> Iterator[Attempt]:
    """Ask a service just now."""
    measured = measured_statuses()
    yield attempt("the number of answers", lambda: len(answers()), len(measured), "Say five.")
    for number, (request, why) in enumerate(REQUESTS):
        yield attempt(
            f"{request}, measured just now", partial(_nth, answers, number), measured[number], why
        )


def _nth(answers: Answer, number: int) -> object:
    return answers()[number]


# ---------------------------------------------------------------- build


def many_customers() -> Shop:
    """A shop whose list of customers has three pages of a hundred."""
    shop = stock(Shop())
    with shop.repository.transaction():
        for number in range(100, 350):
            shop.repository.put_customer(Customer(number, f"customer {number}", Decimal(0)))
    return shop


def check_walk(walk: Answer) -> Iterator[Attempt]:
    """One link, several, and the same where every path has another name."""
    plain: App = create_app(many_customers())
    elsewhere: App = Moved(create_app(many_customers()))
    ada = [("customer", {"customer_id": "42"})]
    grace = [("customer", {"customer_id": "7"}), ("orders", {"limit": "1"}), ("next", {})]
    third = [("customers", {"limit": "100"}), ("next", {}), ("next", {})]
    places = [(plain, ""), (elsewhere, " where every path is written backwards")]
    for app, where in places:
        with served(app, HAL) as client:
            yield attempt(
                f"walk(client, {ada!r}){where}: the name",
                partial(_name, walk, client, ada),
                "Ada Lovelace",
                "Begin at `/`, take the link of that relation, fill its template in, and follow "
                "it. No other path is yours to know.",
            )
    for app, where in places:
        with served(app, HAL) as client:
            yield attempt(
                f"walk(client, to the second page of customer 7's orders){where}: the items",
                partial(_embedded, walk, client, grace, "orders", "item"),
                ["moth, preserved"],
                "Each step begins at the document that the last one ended with.",
            )
            yield attempt(
                f"walk(client, to the third page of customers){where}: its first",
                partial(_first_customer, walk, client, third),
                297,
                "A link without a template is followed as it is.",
            )
    with served(plain, HAL) as client:
        yield attempt(
            "walk(client, [('invoices', {})])",
            lambda: walk(client, [("invoices", {})]),
            raises(KeyError),
            "A relation that is not there is an error of the caller's, not an empty document.",
        )


def _name(walk: Answer, client: httpx.Client, steps: object) -> object:
    return walk(client, steps)["name"]


def _embedded(
    walk: Answer, client: httpx.Client, steps: object, kind: str, field: str
) -> list[object]:
    return [each[field] for each in walk(client, steps)["_embedded"][kind]]


def _first_customer(walk: Answer, client: httpx.Client, steps: object) -> object:
    return _embedded(walk, client, steps, "customers", "customer_id")[0]


# ---------------------------------------------------------------- break, and mend

BODY = b'{"customer_id":42,"name":"Ada Lovelace","balance":"12.30"}'
PLAIN = HTTPAnswer(
    200,
    {
        "content-type": "application/json",
        "etag": '"9f2"',
        "vary": "Accept, Accept-Encoding",
        "cache-control": "no-cache",
    },
    BODY,
)


class Origin:
    """A service with one resource, which compresses with the reader's function."""

    def __init__(self, compressed: Answer) -> None:
        self._compressed = compressed
        self.transfers = 0

    def get(self, accepts_gzip: bool, conditions: list[str]) -> HTTPAnswer:
        """Answer a request; 304 if a condition names what would be sent."""
        plain = HTTPAnswer(PLAIN.status, dict(PLAIN.headers), PLAIN.body)
        answer: HTTPAnswer = self._compressed(plain) if accepts_gzip else plain
        if not isinstance(answer, HTTPAnswer):
            raise TypeError(f"compressed() returned {answer!r}, not an Answer")
        if answer.headers["etag"] in conditions:
            return HTTPAnswer(304, {"etag": answer.headers["etag"]})
        self.transfers += 1
        return answer


class SharedCache:
    """Between many clients and one origin, as RFC 9111 has it: sections 4.1 and 4.3.

    It keeps what it has seen, and asks each time whether one of these is current.
    """

    def __init__(self, origin: Origin) -> None:
        self._origin = origin
        self._kept: list[tuple[str, HTTPAnswer]] = []

    def get(self, accept_encoding: str) -> bytes:
        """What a client gets, as it understands it."""
        conditions = [answer.headers["etag"] for _, answer in self._kept]
        answer = self._origin.get("gzip" in accept_encoding, conditions)
        if answer.status == 304:
            # "Select the stored response with the matching validator": the first that has it.
            answer = next(
                kept for _, kept in self._kept if kept.headers["etag"] == answer.headers["etag"]
            )
        else:
            self._kept.append((accept_encoding, answer))
        coded = answer.headers.get("content-encoding") == "gzip"
        if coded and "gzip" not in accept_encoding:
            raise ValueError(f"a client that reads no gzip got {answer.body[:8]!r}...")
        return gzip.decompress(answer.body) if coded else answer.body


def check_compress(compressed: Answer) -> Iterator[Attempt]:
    """One answer by itself, then clients of both kinds behind one cache."""
    plain = HTTPAnswer(PLAIN.status, dict(PLAIN.headers), PLAIN.body)
    yield attempt(
        "compressed(plain): the body, decompressed",
        lambda: gzip.decompress(compressed(plain).body),
        BODY,
        "The body has to be the plain one, compressed by gzip.",
    )
    yield attempt(
        "compressed(plain): its Content-Encoding",
        lambda: compressed(plain).headers.get("content-encoding"),
        "gzip",
        "Without `content-encoding: gzip` the client takes the bytes for JSON.",
    )
    yield attempt(
        "a client that reads gzip, then one that does not, behind one cache",
        lambda: _behind_a_cache(compressed, ["gzip", "identity"]),
        [BODY, BODY],
        "The cache asked whether what it holds is current, and the service said yes: two rows of "
        "bytes have the same `etag`. Give the compressed ones a tag of their own.",
    )
    origin = Origin(compressed)
    cache = SharedCache(origin)
    yield attempt(
        "two clients of each kind: how many transfers",
        lambda: ([cache.get(each) for each in ["gzip", "identity"] * 2], origin.transfers)[1],
        2,
        "Each kind of bytes has to be transferred once. A tag that differs from call to call is "
        "never current.",
    )
    yield attempt(
        "the plain answer afterwards: its etag",
        lambda: (compressed(plain), plain.headers["etag"])[1],
        '"9f2"',
        "The answer that was handed in belongs to the other client: make a new one.",
    )


def _behind_a_cache(compressed: Answer, clients: list[str]) -> list[bytes]:
    cache = SharedCache(Origin(compressed))
    return [cache.get(each) for each in clients]


EXERCISES = (
    Exercise(
        name="edit-safely",
        kind="complete",
        title="Change what nobody else has changed",
        minutes=12,
        lines=7,
        hints=(
            "Read, compute, write under the condition that what you read is still there.",
            "On 412 go back to reading. Every other error is the caller's.",
        ),
        check=check_edit_safely,
        task="Write `edit(client, url, change)`: apply the changes that `change(document)` "
        "computes to what the resource is now, whoever else is writing to it.",
    ),
    Exercise(
        name="which-tag",
        kind="predict",
        title="What a tag names",
        minutes=8,
        lines=2,
        hints=(
            "A tag names the bytes of one representation; `W/` weakens it to its meaning.",
            "If-None-Match compares weakly, If-Match strongly.",
        ),
        check=check_which_tag,
        task="One customer, unchanged. Say which status each request gets: 304, 200 or 412. "
        + "; ".join(f"({number}) {request}" for number, (request, _) in enumerate(REQUESTS, 1))
        + ".",
    ),
    Exercise(
        name="walk",
        title="A client that knows one URL",
        minutes=12,
        lines=6,
        hints=(
            "`document['_links'][relation]['href']` is the URL, or a template of one.",
            "`uritemplate.expand(href, values)` leaves a URL without braces as it is.",
        ),
        check=check_walk,
        task="Write `walk(client, steps)`: begin at `/`, follow one link a step, and return the "
        "last document. It will be sent to a service whose paths you cannot guess.",
    ),
    Exercise(
        name="compress",
        title="Compress, and poison no cache",
        minutes=12,
        lines=5,
        hints=(
            "Three headers of the answer speak about its bytes. One of them names them.",
            "Apache appends `-gzip` to the tag, inside of the quotes.",
        ),
        check=check_compress,
        task="Write `compressed(plain)`: the answer for a client that reads gzip, made from the "
        "one for a client that does not. `Answer(status, headers, body)` makes a new one. A cache "
        "stands between the service and clients of both kinds.",
    ),
)
