"""Which of REST's constraints a service keeps, found out by asking it.

Each question is put to the running service; none is answered from its documentation.

Sources: Fielding, "Architectural Styles and the Design of Network-based Software Architectures",
chapter 5; RFC 9110.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from remotecalls.wire.address import Address

SECONDS = 5.0
MISSING = 43
KNOWN = (42, 7)


@dataclass(frozen=True)
class Style:
    """How a client of one style looks a customer up.

    Attributes:
        look_up: the request for a customer: method, URL, and options of httpx.
        accept: the media type that it asks for.
    """

    look_up: Callable[[int], tuple[str, str, Mapping[str, Any]]]
    accept: str = "application/json"


def _pox(customer_id: int) -> tuple[str, str, Mapping[str, Any]]:
    document = f"<getCustomer><customer_id>{customer_id}</customer_id></getCustomer>"
    return "POST", "/shop", {"content": document.encode()}


def _resource(customer_id: int) -> tuple[str, str, Mapping[str, Any]]:
    return "GET", f"/customers/{customer_id}", {}


STYLES: Mapping[str, Style] = {
    "pox": Style(_pox, "application/xml"),
    "resources": Style(_resource),
    "rest": Style(_resource),
    "hypermedia": Style(_resource, "application/prs.hal-forms+json"),
}


@dataclass
class Findings:
    """What was found; each is True or False, in the order in which REST asks for it."""

    resources: bool = field(default=False)
    """Two customers have two URLs."""
    safe_methods: bool = field(default=False)
    """Looking somebody up is GET, which a cache may answer and a crawler may send."""
    status_codes: bool = field(default=False)
    """Nobody is found: the status says so, and not the body alone."""
    conditions: bool = field(default=False)
    """A client that has the current representation is not sent it again."""
    negotiation: bool = field(default=False)
    """The client chooses among media types, and is refused one that there is not."""
    links: bool = field(default=False)
    """The representation says where to go next, and that leads somewhere."""

    def kept(self) -> list[str]:
        """The names of the constraints that are kept."""
        return [name for name, value in vars(self).items() if value]


async def find_out(address: Address, style: Style, token: str = "demo") -> Findings:
    """Ask a running service.

    Raises:
        httpx.HTTPError: it does not answer.
    """
    headers = {"authorization": f"Bearer {token}", "accept": style.accept}
    base = f"http://{address}"
    async with httpx.AsyncClient(base_url=base, headers=headers, timeout=SECONDS) as client:

        async def look_up(customer_id: int, **more: str) -> httpx.Response:
            method, url, options = style.look_up(customer_id)
            return await client.request(method, url, **{**options, "headers": more})

        one, other = [await look_up(each) for each in KNOWN]
        missing = await look_up(MISSING)
        tag = one.headers.get("etag")
        again = await look_up(KNOWN[0], **{"if-none-match": tag}) if tag else None
        xml = await look_up(KNOWN[0], accept="application/xml")
        unknown = await look_up(KNOWN[0], accept="audio/midi")
        return Findings(
            resources=one.request.url != other.request.url,
            safe_methods=one.request.method == "GET",
            status_codes=missing.status_code == 404,
            conditions=again is not None and again.status_code == 304,
            negotiation=_types(one, xml) == 2 and unknown.status_code == 406,
            links=await _leads_somewhere(client, one),
        )


def _types(*responses: httpx.Response) -> int:
    return len({response.headers["content-type"].partition(";")[0] for response in responses})


async def _leads_somewhere(client: httpx.AsyncClient, response: httpx.Response) -> bool:
    if not response.headers["content-type"].startswith("application/prs.hal"):
        return False
    links = response.json()["_links"].values()
    plain = [link["href"].partition("{")[0] for link in links]
    return all([(await client.get(href)).is_success for href in plain])
