"""The shop as the JSON that the annotations of its interface file describe.

The paths are those of `google.api.http` in `shop.proto`; the bodies are the messages in the JSON
form of Protocol Buffers, in which a 64-bit number is a text.

Sources: google/api/http.proto; "ProtoJSON Format", https://protobuf.dev/programming-guides/json/.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import TypeVar

import httpx
from google.protobuf.json_format import MessageToJson, Parse, ParseError
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2  # noqa: F401 - details of a status need both

from remotecalls.grpc.failures import named_failure
from remotecalls.grpc.generated.shop.v1 import shop_pb2
from remotecalls.grpc.messages import cents, read_customer, read_order, text, uint32
from remotecalls.shop import Customer, Order
from remotecalls.wire.address import Address
from remotecalls.wire.errors import ConnectionLost, ProtocolError, ServerFailed, Unavailable
from remotecalls.wire.http_client import HTTPClient, lines_of

Answer = TypeVar("Answer", bound=Message)

LONGEST_LINE = 10_000
CUSTOMERS = "/v1/customers"


class JSONClient:
    """`ShopClient` over JSON.

    Args:
        address: of the proxy.
        timeout: seconds for each call, and from one order to the next.
    """

    def __init__(self, address: Address, timeout: float) -> None:
        self._http = HTTPClient(address, timeout, {"content-type": "application/json"})

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()

    async def add_customer(self, customer_id: int, name: str, balance: Decimal) -> Customer:
        """Open an account."""
        body = shop_pb2.AddCustomerRequest(
            customer_id=uint32("customer_id", customer_id),
            name=text("name", name),
            balance_cents=cents(balance),
        )
        answer = await self._call("POST", CUSTOMERS, shop_pb2.AddCustomerResponse(), body)
        return read_customer(answer.customer)

    async def get_customer(self, customer_id: int) -> Customer:
        """Look a customer up."""
        answer = await self._call("GET", _of(customer_id), shop_pb2.GetCustomerResponse())
        return read_customer(answer.customer)

    async def update_balance(self, customer_id: int, change: Decimal) -> Customer:
        """Add `change` to the balance."""
        body = shop_pb2.ChangeBalanceRequest(change_cents=cents(change))
        url = f"{_of(customer_id)}:changeBalance"
        answer = await self._call("POST", url, shop_pb2.ChangeBalanceResponse(), body)
        return read_customer(answer.customer)

    async def place_order(
        self, customer_id: int, item: str, quantity: int, unit_price: Decimal
    ) -> Order:
        """Order an item and pay for it."""
        body = shop_pb2.PlaceOrderRequest(
            item=text("item", item),
            quantity=uint32("quantity", quantity),
            unit_price_cents=cents(unit_price),
        )
        url = f"{_of(customer_id)}/orders"
        answer = await self._call("POST", url, shop_pb2.PlaceOrderResponse(), body)
        return read_order(answer.order)

    async def list_customers(self, after: int = 0, limit: int = 50) -> list[Customer]:
        """One page of customers."""
        query = f"after={uint32('after', after)}&limit={uint32('limit', limit)}"
        page = await self._call("GET", f"{CUSTOMERS}?{query}", shop_pb2.ListCustomersResponse())
        return [read_customer(each) for each in page.customers]

    async def stream_orders(self, customer_id: int) -> AsyncGenerator[Order, None]:
        """All orders of a customer, as they arrive."""
        url = f"{_of(customer_id)}/orders"
        async with self._http.stream("GET", url) as (response, parts):
            if not response.is_success:
                response._content = b"".join([part async for part in parts])
                raise failure_of(response)
            async for line in lines_of(parts, LONGEST_LINE):
                yield read_order(_parsed(line, shop_pb2.StreamOrdersResponse()).order)

    async def _call(
        self, method: str, url: str, answer: Answer, body: Message | None = None
    ) -> Answer:
        content = None
        if body is not None:
            content = MessageToJson(body, preserving_proto_field_name=True, indent=None)
        response = await self._http.request(method, url, content=content)
        if not response.is_success:
            raise failure_of(response)
        return _parsed(response.content, answer)


def _of(customer_id: int) -> str:
    return f"{CUSTOMERS}/{uint32('customer_id', customer_id)}"


def _parsed(content: bytes, answer: Answer) -> Answer:
    try:
        Parse(content, answer, ignore_unknown_fields=True)
    except (ParseError, UnicodeDecodeError, RecursionError) as error:
        name = answer.DESCRIPTOR.name
        raise ProtocolError(f"the server sent what is no {name}: {content[:40]!r}") from error
    return answer


def failure_of(response: httpx.Response) -> Exception:
    """The exception for an answer that is none of success.

    A status of gRPC comes as JSON. What the proxy has to say for itself is a text.
    """
    try:
        status = Parse(response.content, status_pb2.Status())
    except (ParseError, UnicodeDecodeError, RecursionError):
        return _of_the_proxy(response)
    named = named_failure(status)
    return named or ServerFailed(f"{response.status_code}: {status.message}")


def _of_the_proxy(response: httpx.Response) -> Exception:
    said = f"{response.status_code}: {response.text[:200]}"
    if "remote connection failure" in said or "no healthy upstream" in said:
        return Unavailable(f"the proxy reaches no server: {said}")
    if response.status_code in (502, 503, 504):
        return ConnectionLost(f"the proxy lost the server: {said}")
    if response.status_code >= 500:
        return ServerFailed(said)
    return ProtocolError(f"the proxy refused the request: {said}")


@asynccontextmanager
async def connect(address: Address, timeout: float = 5.0) -> AsyncIterator[JSONClient]:
    """A client of the proxy at an address; each call takes at most `timeout` seconds."""
    client = JSONClient(address, timeout)
    try:
        yield client
    finally:
        await client.close()
