"""One answer, three audiences, through a real proxy in front of the real service."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
import pytest
from grpc_calls import failure, raw_channel
from hypothesis import given
from hypothesis import strategies as st

from remotecalls.grpc.front import serve_front
from remotecalls.grpc.generated.shop.v1 import shop_pb2, shop_pb2_grpc
from remotecalls.grpc.interception import Aspect, Call
from remotecalls.grpc.projections import ADMIN, AUDIENCE_KEY, INTERNAL, PUBLIC, Projections, strip
from remotecalls.grpc.protobuf_labels import METHODS
from remotecalls.grpc.server import serve
from remotecalls.grpc.statuses import reason_of, rich_status_of
from remotecalls.shop import Shop
from remotecalls.shop.sample import stock

PROJECTIONS = Projections(METHODS, {"staff": INTERNAL, "chief": ADMIN})
ASK = shop_pb2.GetCustomerRequest(customer_id=42)
ADA = {
    PUBLIC: shop_pb2.Customer(name="Ada Lovelace"),
    INTERNAL: shop_pb2.Customer(customer_id=42, name="Ada Lovelace"),
    ADMIN: shop_pb2.Customer(customer_id=42, name="Ada Lovelace", balance_cents=1230),
}
CALLERS = {PUBLIC: [], INTERNAL: [("authorization", "Bearer staff")], ADMIN: [
    ("authorization", "Bearer chief")
]}  # fmt: skip


class Seen(Aspect):
    """Notes what the service is told about its caller."""

    def __init__(self) -> None:
        self.audiences: list[list[str]] = []

    @asynccontextmanager
    async def around(self, call: Call) -> AsyncIterator[None]:
        metadata = call.context.invocation_metadata() or ()
        self.audiences.append([value for key, value in metadata if key == AUDIENCE_KEY])
        yield


@asynccontextmanager
async def projected(
    seen: Seen | None = None,
) -> AsyncIterator[tuple[shop_pb2_grpc.ShopServiceStub, grpc.aio.Channel]]:
    async with (
        serve(stock(Shop()), interceptors=[seen] if seen else []) as shop,
        serve_front(shop.address, projections=PROJECTIONS) as front,
        raw_channel(front.address) as channel,
    ):
        yield shop_pb2_grpc.ShopServiceStub(channel), channel


@pytest.mark.parametrize("audience", ADA)
async def test_each_audience_sees_its_projection_of_one_answer(audience: int) -> None:
    async with projected() as (stub, _):
        answer = await stub.GetCustomer(ASK, metadata=CALLERS[audience])
        assert answer.customer == ADA[audience]
        page = await stub.ListCustomers(shop_pb2.ListCustomersRequest(), metadata=CALLERS[audience])
        # The field is gone from messages within messages, too.
        assert ADA[audience] in page.customers
        orders = [
            each.order
            async for each in stub.StreamOrders(
                shop_pb2.StreamOrdersRequest(customer_id=7), metadata=CALLERS[audience]
            )
        ]
    assert len(orders) == 2
    assert all(order.item for order in orders)
    assert all(bool(order.order_id) == (audience >= INTERNAL) for order in orders)
    assert all(bool(order.unit_price_cents) == (audience >= ADMIN) for order in orders)


async def test_a_caller_cannot_claim_an_audience() -> None:
    seen = Seen()
    async with projected(seen) as (stub, _):
        answer = await stub.GetCustomer(ASK, metadata=[(AUDIENCE_KEY, str(ADMIN))])
        stolen = await failure(stub.GetCustomer(ASK, metadata=[("authorization", "Bearer guess")]))
        basic = await failure(stub.GetCustomer(ASK, metadata=[("authorization", "Basic chief")]))
    assert answer.customer == ADA[PUBLIC]
    assert seen.audiences == [[str(PUBLIC)]]  # and the two others never came to the service
    for error in stolen, basic:
        assert error.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_the_text_of_an_error_tells_no_amount_to_the_public() -> None:
    yacht = shop_pb2.PlaceOrderRequest(
        customer_id=42, item="yacht", quantity=1, unit_price_cents=999_900
    )
    async with projected() as (stub, _):
        told = {
            audience: await failure(stub.PlaceOrder(yacht, metadata=metadata))
            for audience, metadata in CALLERS.items()
        }
    assert "12.30" in (told[ADMIN].details() or "")
    for audience in PUBLIC, INTERNAL:
        error = told[audience]
        assert error.details() == "insufficient_funds"
        assert "12.30" not in repr(error.trailing_metadata())
        status = rich_status_of(error)
        assert status is not None
        assert reason_of(status) == "insufficient_funds"
        assert error.code() is grpc.StatusCode.FAILED_PRECONDITION


async def test_what_cannot_be_stripped_is_not_passed_on() -> None:
    async with projected() as (_, channel):
        error = await failure(channel.unary_unary("/shop.v1.ShopService/Nothing")(b""))
    assert error.code() is grpc.StatusCode.UNIMPLEMENTED


@given(
    st.binary(max_size=20),
    st.integers(0, 2**32 - 1),
    st.integers(-(2**63), 2**63 - 1),
    st.sampled_from([PUBLIC, INTERNAL]),
)
def test_nothing_of_a_field_is_left_in_the_bytes(
    secret: bytes, number: int, cents: int, audience: int
) -> None:
    customer = shop_pb2.Customer(customer_id=number, name="Ada", balance_cents=cents)
    later = customer.SerializeToString() + b"\xfa\x06" + bytes([len(secret)]) + secret  # field 111
    page = shop_pb2.ListCustomersResponse()
    page.customers.add().ParseFromString(later)
    strip(page, audience)
    [left] = page.customers
    expected = shop_pb2.Customer(name="Ada", customer_id=number if audience >= INTERNAL else 0)
    assert left.SerializeToString() == expected.SerializeToString()
