"""Who gets the calls: real servers in processes of their own, and the real Envoy before them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager

import grpc
import pytest

from remotecalls.envoy import Envoy, running_envoy
from remotecalls.grpc.balancing import (
    NOBODY,
    Backend,
    Outcome,
    all_addresses,
    at_a_rate,
    latency_ms,
    one_address,
    one_after_another,
    running_backends,
    spread,
)
from remotecalls.grpc.envoy_config import (
    LISTENER,
    Config,
    OutlierDetection,
    TrafficPolicy,
    layer_4,
    layer_7,
)
from remotecalls.wire.address import Address

CONNECTIONS = "cluster.shop.upstream_cx_total"
EVENLY = {"A": 30, "B": 30, "C": 30}


@pytest.fixture(scope="module")
def backends() -> Iterator[list[Backend]]:
    with running_backends(0, 0, 0) as running:
        yield running


@pytest.fixture
def recovering(backends: list[Backend]) -> Iterator[list[Backend]]:
    yield backends
    for backend in backends:
        backend.tell("recover")
        backend.tell("serve")


@asynccontextmanager
async def through(config: Config) -> AsyncIterator[tuple[Envoy, grpc.aio.Channel]]:
    async with running_envoy(config) as envoy, one_address(envoy.address(LISTENER)) as channel:
        yield envoy, channel


def addresses(backends: list[Backend]) -> list[Address]:
    return [backend.address for backend in backends]


def codes(outcomes: list[Outcome]) -> Counter[str]:
    return Counter(outcome.code.name for outcome in outcomes)


async def test_all_calls_of_a_connection_go_where_the_connection_went(
    backends: list[Backend],
) -> None:
    async with through(layer_4(addresses(backends))) as (envoy, channel):
        outcomes = await one_after_another(channel, 90)
        connections = await envoy.statistics(CONNECTIONS)
    assert sorted(spread(outcomes).values()) == [90]
    assert connections == {CONNECTIONS: 1}


async def test_a_client_that_knows_all_servers_takes_turns(backends: list[Backend]) -> None:
    async with all_addresses(addresses(backends)) as channel:
        async with asyncio.timeout(10):  # until all three connections are there
            while len(spread(await one_after_another(channel, 3))) < 3:
                pass
        assert spread(await one_after_another(channel, 90)) == EVENLY


async def test_a_proxy_of_calls_takes_turns(backends: list[Backend]) -> None:
    async with through(layer_7(addresses(backends))) as (envoy, channel):
        assert spread(await one_after_another(channel, 90)) == EVENLY
        assert await envoy.statistics(CONNECTIONS) == {CONNECTIONS: 3}


async def test_rotation_after_ten_requests_costs_a_connection_for_ten(
    backends: list[Backend],
) -> None:
    policy = TrafficPolicy(max_requests_per_connection=10)
    async with through(layer_7(addresses(backends), policy)) as (envoy, channel):
        assert spread(await one_after_another(channel, 90)) == EVENLY
        assert await envoy.statistics(CONNECTIONS) == {CONNECTIONS: 9}


async def test_connections_with_an_end_spread_the_calls_of_layer_4() -> None:
    with running_backends(0, 0, 0, connection_age=0.2) as aging:
        async with through(layer_4(addresses(aging))) as (envoy, channel):
            outcomes = await one_after_another(channel, 200, pause=0.008)
            connections = (await envoy.statistics(CONNECTIONS))[CONNECTIONS]
    assert codes(outcomes) == {"OK": 200}
    assert len(spread(outcomes)) == 3
    assert connections >= 4


async def test_least_request_spares_a_slow_server() -> None:
    with running_backends(0.005, 0.005, 0.1) as uneven:
        counts = {}
        for policy in "ROUND_ROBIN", "LEAST_REQUEST":
            config = layer_7(addresses(uneven), TrafficPolicy(lb_policy=policy))
            async with through(config) as (_, channel):
                counts[policy] = spread(await at_a_rate(channel, 240, 150))
    assert counts["ROUND_ROBIN"] == {"A": 80, "B": 80, "C": 80}
    assert counts["LEAST_REQUEST"]["C"] < 60


async def test_a_server_that_fails_at_once_draws_the_calls_of_least_request() -> None:
    with running_backends(0.05, 0.05, 0.05) as busy:
        busy[1].tell("fail")
        counts = {}
        for policy in "ROUND_ROBIN", "LEAST_REQUEST":
            config = layer_7(addresses(busy), TrafficPolicy(lb_policy=policy))
            async with through(config) as (_, channel):
                counts[policy] = spread(await at_a_rate(channel, 240, 150))
    assert counts["ROUND_ROBIN"]["B"] == 80
    assert counts["LEAST_REQUEST"]["B"] > 100


async def test_a_server_is_ejected_after_five_failures_and_comes_back(
    recovering: list[Backend],
) -> None:
    outlier = OutlierDetection(interval=0.2, base_ejection_time=5.0, max_ejection_percent=50)
    recovering[1].tell("fail")
    config = layer_7(addresses(recovering), TrafficPolicy(outlier_detection=outlier))
    async with through(config) as (envoy, channel):
        # A pause, because Envoy's main thread ejects a moment after the fifth error.
        outcomes = await one_after_another(channel, 40, pause=0.03)
        assert codes(outcomes) == {"OK": 35, "UNAVAILABLE": 5}
        assert spread(outcomes)["B"] == 5
        flags = (await envoy.endpoints("shop"))[recovering[1].address]["health_flags"]
        assert flags == "/failed_outlier_check"
        recovering[1].tell("recover")
        async with asyncio.timeout(10):
            while "B" not in spread(await one_after_another(channel, 3, pause=0.02)):
                pass
        assert spread(await one_after_another(channel, 90)) == EVENLY


async def test_the_whole_policy_of_a_sidecar_at_once(backends: list[Backend]) -> None:
    policy = TrafficPolicy(
        lb_policy="LEAST_REQUEST",
        max_requests_per_connection=10,
        outlier_detection=OutlierDetection(interval=30, base_ejection_time=30),
    )
    # One beside the client, and one beside each server, as a mesh has them.
    async with AsyncExitStack() as stack:
        beside_servers = [
            await stack.enter_async_context(running_envoy(layer_7([backend.address])))
            for backend in backends
        ]
        behind = [envoy.address(LISTENER) for envoy in beside_servers]
        _, channel = await stack.enter_async_context(through(layer_7(behind, policy)))
        outcomes = await one_after_another(channel, 90)
    assert codes(outcomes) == {"OK": 90}
    assert set(spread(outcomes)) == {"A", "B", "C"}


async def test_without_ejection_a_third_of_the_calls_fails_for_as_long_as_it_lasts(
    recovering: list[Backend],
) -> None:
    recovering[1].tell("fail")
    async with through(layer_7(addresses(recovering))) as (_, channel):
        assert codes(await one_after_another(channel, 90)) == {"OK": 60, "UNAVAILABLE": 30}


async def test_a_server_that_says_it_is_not_serving_gets_no_calls(
    recovering: list[Backend],
) -> None:
    policy = TrafficPolicy(health_check_interval=0.1)
    async with through(layer_7(addresses(recovering), policy)) as (_, channel):
        assert spread(await one_after_another(channel, 90)) == EVENLY
        recovering[2].tell("drain")
        async with asyncio.timeout(10):
            while "C" in spread(await one_after_another(channel, 3, pause=0.02)):
                pass
        assert spread(await one_after_another(channel, 90)) == {"A": 45, "B": 45}


async def test_a_retry_on_another_server_hides_one_that_was_killed() -> None:
    with running_backends(0, 0) as two:
        policy = TrafficPolicy(num_retries=1)
        async with through(layer_7(addresses(two), policy)) as (_, channel):
            await one_after_another(channel, 10)
            two[0].kill()
            outcomes = await one_after_another(channel, 40)
        assert codes(outcomes) == {"OK": 40}
        assert spread(outcomes) == {"B": 40}
        async with through(layer_7(addresses(two))) as (_, channel):
            outcomes = await one_after_another(channel, 40)
        assert spread(outcomes) == {"B": 20, NOBODY: 20}
        assert codes(outcomes) == {"OK": 20, "UNAVAILABLE": 20}


def test_percentiles_are_by_nearest_rank() -> None:
    outcomes = [Outcome("A", grpc.StatusCode.OK, number * 1_000) for number in range(1, 11)]
    assert [latency_ms(outcomes, percent) for percent in (1, 50, 90, 91, 100)] == [1, 5, 9, 10, 10]
    with pytest.raises(ValueError, match="no call"):
        latency_ms([], 50)


def test_a_command_that_no_server_knows_is_refused(backends: list[Backend]) -> None:
    with pytest.raises(ValueError, match="'explode' is none of fail, recover, drain, serve"):
        backends[0].tell("explode")
