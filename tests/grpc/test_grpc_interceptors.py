"""Each interceptor, seen from the other end of the wire."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import grpc
import pytest
from grpc_calls import SERVICE, failure, serving
from grpc_health.v1 import health_pb2, health_pb2_grpc

from remotecalls.grpc.authentication import (
    Authentication,
    Caller,
    bearer,
    current_caller,
    is_without_side_effects,
)
from remotecalls.grpc.circuit_breaker import CircuitBreaker, CircuitOpen, State, breaking
from remotecalls.grpc.client import connect
from remotecalls.grpc.failures import NotAllowed
from remotecalls.grpc.generated.shop.v1 import shop_pb2, shop_pb2_grpc
from remotecalls.grpc.interception import Aspect, Call
from remotecalls.grpc.metrics import BOUNDS, Histogram, Measured, Metrics
from remotecalls.grpc.request_ids import (
    KEY,
    RequestIds,
    current_request_id,
    sending_request_ids,
)
from remotecalls.grpc.retry_policy import retry_policy
from remotecalls.grpc.server import serve
from remotecalls.grpc.settings import ChannelSettings
from remotecalls.shop import Customer, CustomerNotFound, Shop
from remotecalls.shop.sample import stock
from remotecalls.wire.errors import ConnectionLost, ServerFailed, Unavailable

ASK = shop_pb2.GetCustomerRequest(customer_id=42)
SHOP = shop_pb2.DESCRIPTOR.services_by_name["ShopService"]


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Notes(Shop):
    """A shop that notes for whom it works."""

    def __init__(self) -> None:
        super().__init__()
        self.request_ids: list[str] = []
        self.callers: list[Caller | None] = []

    def get_customer(self, customer_id: int) -> Customer:
        self.request_ids.append(current_request_id.get())
        self.callers.append(current_caller.get())
        return super().get_customer(customer_id)


# ---------------------------------------------------------------- request ids and the log


async def test_a_request_id_goes_all_the_way_and_back(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="remotecalls.grpc")
    shop = Notes()
    async with serving(shop, interceptors=[RequestIds()]) as (_, channel):
        call = shop_pb2_grpc.ShopServiceStub(channel).GetCustomer(ASK, metadata=[(KEY, "a-1.b_2")])
        error = await failure(call)
    assert error.code() is grpc.StatusCode.NOT_FOUND
    assert dict(error.initial_metadata() or ()) == {KEY: "a-1.b_2"}
    assert shop.request_ids == ["a-1.b_2"]
    assert re.search(rf"a-1.b_2 {SERVICE}GetCustomer NOT_FOUND \d+\.\d ms", caplog.text)


@pytest.mark.parametrize("sent", ["", "two lines%0aforged", "x" * 65, "a b"])
async def test_an_id_that_could_forge_the_log_is_replaced(
    sent: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="remotecalls.grpc")
    async with serving(interceptors=[RequestIds()]) as (_, channel):
        call = shop_pb2_grpc.ShopServiceStub(channel).GetCustomer(ASK, metadata=[(KEY, sent)])
        await call
        given = dict(await call.initial_metadata())[KEY]
    assert re.fullmatch("[0-9a-f]{32}", given)
    assert f"{given} {SERVICE}GetCustomer OK " in caplog.text


async def test_our_client_sends_the_id_of_the_work_at_hand() -> None:
    shop = stock(Notes())
    async with (
        serve(shop, interceptors=[RequestIds()]) as server,
        connect(server.address, interceptors=sending_request_ids()) as client,
    ):
        await client.get_customer(42)
        token = current_request_id.set("order-7")
        await client.get_customer(42)
        assert [order async for order in client.stream_orders(7)]
        current_request_id.reset(token)
        assert (await client.bulk_add_customers([])).added == 0
    first, second, *_ = shop.request_ids
    assert re.fullmatch("[0-9a-f]{32}", first)
    assert second == "order-7"


# ---------------------------------------------------------------- who is calling

TOKENS = {"secret-1": Caller("support"), "secret-2": Caller("till", may_change=True)}
CHANGE = shop_pb2.ChangeBalanceRequest(customer_id=42, change_cents=1)


@pytest.mark.parametrize(
    ("authorization", "method", "request_", "code"),
    [
        ("", "GetCustomer", ASK, grpc.StatusCode.UNAUTHENTICATED),
        ("Bearer guess", "GetCustomer", ASK, grpc.StatusCode.UNAUTHENTICATED),
        ("Bearer ", "GetCustomer", ASK, grpc.StatusCode.UNAUTHENTICATED),
        ("Basic secret-1", "GetCustomer", ASK, grpc.StatusCode.UNAUTHENTICATED),
        ("Bearer secret-1", "ChangeBalance", CHANGE, grpc.StatusCode.PERMISSION_DENIED),
        # Who is not known learns nothing about the request.
        ("", "ChangeBalance", shop_pb2.ChangeBalanceRequest(), grpc.StatusCode.UNAUTHENTICATED),
    ],
)
async def test_who_is_not_allowed_is_told(
    authorization: str, method: str, request_: Any, code: grpc.StatusCode
) -> None:
    shop = stock(Notes())
    async with serving(shop, interceptors=[Authentication(TOKENS)]) as (_, channel):
        stub = shop_pb2_grpc.ShopServiceStub(channel)
        call = getattr(stub, method)(request_, metadata=[("authorization", authorization)])
        assert (await failure(call)).code() is code
    assert shop.callers == []
    assert shop.repository.customer(42) == Customer(42, "Ada Lovelace", Decimal("12.30"))


async def test_a_known_caller_may_do_what_its_token_allows() -> None:
    shop = stock(Notes())
    async with (
        serve(shop, interceptors=[Authentication(TOKENS)]) as server,
        connect(server.address, metadata=[bearer("secret-1")]) as support,
        connect(server.address, metadata=[bearer("secret-2")]) as till,
        connect(server.address) as nobody,
    ):
        await support.get_customer(42)
        assert [order async for order in support.stream_orders(7)]
        assert (await till.bulk_add_customers([])).added == 0
        with pytest.raises(NotAllowed, match="support may look"):
            await support.bulk_add_customers([])
        with pytest.raises(NotAllowed, match="send a known token"):
            await nobody.get_customer(42)
        with pytest.raises(NotAllowed):
            _ = [order async for order in nobody.stream_orders(7)]
    assert shop.callers[0] == TOKENS["secret-1"]


async def test_the_health_of_the_server_needs_no_token() -> None:
    async with serving(interceptors=[Authentication(TOKENS)]) as (_, channel):
        answer = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


def test_the_interface_file_says_which_methods_change_nothing() -> None:
    harmless = {
        method.name
        for method in SHOP.methods
        if is_without_side_effects(f"/{SHOP.full_name}/{method.name}")
    }
    assert harmless == {"GetCustomer", "ListCustomers", "StreamOrders"}
    assert not is_without_side_effects("/shop.v1.ShopService/Unheard")


# ---------------------------------------------------------------- metrics


async def test_calls_are_counted_by_method_and_status() -> None:
    metrics = Metrics()
    async with serving(interceptors=[Measured(metrics)]) as (_, channel):
        stub = shop_pb2_grpc.ShopServiceStub(channel)
        for _ in range(3):
            await stub.GetCustomer(ASK)
        await failure(stub.GetCustomer(shop_pb2.GetCustomerRequest(customer_id=43)))
        await failure(stub.GetCustomer(shop_pb2.GetCustomerRequest(customer_id=0)))
        await failure(channel.unary_unary(SERVICE + "GetCustomer")(b"\xff"))
        await failure(channel.unary_unary(SERVICE + "Unheard")(b""))
        call = stub.Chat()
        await call.write(shop_pb2.ChatRequest(join=shop_pb2.ChatJoin(room="r", name="n")))
        await call.read()
        assert metrics.in_progress[SERVICE + "Chat"] == 1
        call.cancel()
        async with asyncio.timeout(5):
            while metrics.in_progress[SERVICE + "Chat"]:  # noqa: ASYNC110 - no event tells
                await asyncio.sleep(0.01)
    get = SERVICE + "GetCustomer"
    assert metrics.count(get) == 6
    assert metrics.count(get, "OK") == 3
    assert metrics.count(get, "NOT_FOUND") == 1
    assert metrics.count(get, "INVALID_ARGUMENT") == 2
    assert metrics.count(SERVICE + "Chat", "CANCELLED") == 1
    assert metrics.count(SERVICE + "Unheard") == 0  # a caller cannot make up what is counted
    assert metrics.latencies[get, "OK"].total > 0


async def test_a_latency_is_what_the_clock_says() -> None:
    clock, metrics = Clock(), Metrics()

    class Slow(Shop):
        def get_customer(self, customer_id: int) -> Customer:
            clock.now += 0.15
            return super().get_customer(customer_id)

    async with serving(stock(Slow()), interceptors=[Measured(metrics, clock)]) as (_, channel):
        await shop_pb2_grpc.ShopServiceStub(channel).GetCustomer(ASK)
    histogram = metrics.latencies[SERVICE + "GetCustomer", "OK"]
    assert histogram.total == pytest.approx(0.15)
    assert histogram.at_most(1) == 0.2


def test_a_histogram_tells_bounds_of_percentiles() -> None:
    histogram = Histogram()
    with pytest.raises(ValueError, match="nothing was counted"):
        histogram.at_most(0.5)
    for _ in range(99):
        histogram.add(0.003)
    histogram.add(60.0)
    assert histogram.count == 100
    assert histogram.at_most(0.99) == 0.005
    assert histogram.at_most(1) == float("inf")
    assert histogram.buckets[len(BOUNDS)] == 1
    with pytest.raises(ValueError, match="no share"):
        histogram.at_most(0)


# ---------------------------------------------------------------- retries by service config


class FailsAtFirst(Aspect):
    """Ends the first calls of each method with a status, and notes what it saw."""

    def __init__(self, times: int, code: grpc.StatusCode = grpc.StatusCode.UNAVAILABLE) -> None:
        self.left = times
        self.code = code
        self.seen: list[tuple[str, str]] = []

    @asynccontextmanager
    async def around(self, call: Call) -> AsyncIterator[None]:
        self.seen.append((call.method, call.metadata("grpc-previous-rpc-attempts")))
        if self.left:
            self.left -= 1
            await call.context.abort(self.code, "not now")
        yield


RETRYING = ChannelSettings(service_config=retry_policy(SHOP, attempts=3, first_wait=0.01))


async def test_a_call_that_fails_twice_is_answered_at_the_third_attempt() -> None:
    failing = FailsAtFirst(2)
    async with (
        serve(stock(Shop()), interceptors=[failing]) as server,
        connect(server.address, settings=RETRYING) as client,
    ):
        assert (await client.get_customer(42)).name == "Ada Lovelace"
    get = SERVICE + "GetCustomer"
    assert failing.seen == [(get, ""), (get, "1"), (get, "2")]


async def test_attempts_come_to_an_end() -> None:
    failing = FailsAtFirst(9)
    async with (
        serve(stock(Shop()), interceptors=[failing]) as server,
        connect(server.address, settings=RETRYING) as client,
    ):
        with pytest.raises(ConnectionLost, match="not now"):
            await client.get_customer(42)
    assert len(failing.seen) == 3


async def test_what_changes_something_is_not_repeated() -> None:
    failing = FailsAtFirst(1)
    async with (
        serve(stock(Shop()), interceptors=[failing]) as server,
        connect(server.address, settings=RETRYING) as client,
    ):
        with pytest.raises(ConnectionLost, match="not now"):
            await client.update_balance(42, Decimal("0.01"))
    assert len(failing.seen) == 1


async def test_a_status_that_the_policy_does_not_name_is_not_repeated() -> None:
    failing = FailsAtFirst(1, grpc.StatusCode.INTERNAL)
    async with (
        serve(stock(Shop()), interceptors=[failing]) as server,
        connect(server.address, settings=RETRYING) as client,
    ):
        with pytest.raises(ServerFailed, match="not now"):
            await client.get_customer(42)
    assert len(failing.seen) == 1


async def test_without_a_policy_nothing_is_repeated() -> None:
    failing = FailsAtFirst(1)
    async with (
        serve(stock(Shop()), interceptors=[failing]) as server,
        connect(server.address) as client,
    ):
        with pytest.raises(ConnectionLost):
            await client.get_customer(42)
    assert len(failing.seen) == 1


def test_a_policy_that_grpc_would_not_take_is_refused() -> None:
    with pytest.raises(ValueError, match="attempts"):
        retry_policy(SHOP, attempts=6)
    with pytest.raises(ValueError, match="above 0"):
        retry_policy(SHOP, first_wait=0)


# ---------------------------------------------------------------- the circuit breaker


async def test_a_breaker_opens_rests_tries_once_and_closes() -> None:
    clock = Clock()
    breaker = CircuitBreaker(failures=3, rest=10.0, clock=clock)
    failing = FailsAtFirst(4)
    async with (
        serve(stock(Shop()), interceptors=[failing]) as server,
        connect(server.address, interceptors=breaking(breaker)) as client,
    ):
        for _ in range(3):
            assert breaker.state is State.CLOSED
            with pytest.raises(ConnectionLost):
                await client.get_customer(42)
        assert breaker.state is State.OPEN
        with pytest.raises(CircuitOpen, match="3 calls in a row have failed"):
            await client.get_customer(42)
        with pytest.raises(CircuitOpen):
            _ = [order async for order in client.stream_orders(7)]
        assert len(failing.seen) == 3  # nothing was sent
        clock.now += 10
        assert breaker.state is State.HALF_OPEN
        with pytest.raises(ConnectionLost):
            await client.get_customer(42)  # the trial fails
        assert breaker.state is State.OPEN
        clock.now += 10
        assert [order async for order in client.stream_orders(7)]  # this one does not
        assert breaker.state is State.CLOSED
        await client.get_customer(42)
    assert issubclass(CircuitOpen, Unavailable)


async def test_refusals_of_the_shop_leave_the_breaker_closed() -> None:
    breaker = CircuitBreaker(failures=1)
    async with (
        serve(stock(Shop())) as server,
        connect(server.address, interceptors=breaking(breaker)) as client,
    ):
        with pytest.raises(CustomerNotFound):
            await client.get_customer(43)
        with pytest.raises(CustomerNotFound):
            _ = [order async for order in client.stream_orders(43)]
    assert breaker.state is State.CLOSED


async def test_half_open_lets_one_call_through_at_a_time() -> None:
    clock = Clock()
    breaker = CircuitBreaker(failures=1, rest=1.0, clock=clock)
    breaker.admit()
    breaker.ended(failed=True)
    clock.now += 1
    breaker.admit()
    with pytest.raises(CircuitOpen, match="half-open"):
        breaker.admit()
    breaker.abandoned()  # says nothing about the server, and the next may try
    breaker.admit()
    breaker.ended(failed=False)
    assert breaker.state is State.CLOSED
    with pytest.raises(ValueError, match="1 failure or more"):
        CircuitBreaker(failures=0)


async def test_a_call_that_its_caller_gives_up_does_not_open_the_breaker() -> None:
    breaker = CircuitBreaker(failures=1)
    begun, left = asyncio.Event(), asyncio.Event()

    class Sleepy(Aspect):
        @asynccontextmanager
        async def around(self, call: Call) -> AsyncIterator[None]:
            begun.set()
            try:
                await asyncio.sleep(30)
            finally:
                left.set()
            yield

    async with (
        serve(Shop(), interceptors=[Sleepy()]) as server,
        connect(server.address, interceptors=breaking(breaker)) as client,
    ):
        waiting = asyncio.create_task(client.get_customer(42))
        await begun.wait()
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        async with asyncio.timeout(5):
            await left.wait()  # the server was told
        assert breaker.state is State.CLOSED
        breaker.admit()  # it does not wait for a trial, either
