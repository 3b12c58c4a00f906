"""What the articles say of Protocol Buffers and meshes, held against the code."""

from __future__ import annotations

import json

import pytest
from grpc_calls import failure, serving

from remotecalls.grpc.balancing import ROUND_ROBIN
from remotecalls.grpc.envoy_config import OutlierDetection, TrafficPolicy, layer_7
from remotecalls.grpc.generated.shop.v1 import shop_pb2, shop_pb2_grpc
from remotecalls.wire.address import Address


def test_absence_is_seen_only_where_the_file_says_optional() -> None:
    nothing = shop_pb2.ChangeBalanceRequest()
    zero = shop_pb2.ChangeBalanceRequest(change_cents=0)
    assert not nothing.HasField("change_cents")  # optional int64
    assert zero.HasField("change_cents")
    assert zero.SerializeToString() != nothing.SerializeToString()
    # Without the keyword a zero that was said and a field that was not have the same bytes.
    assert shop_pb2.PlaceOrderRequest(quantity=0) == shop_pb2.PlaceOrderRequest()
    with pytest.raises(ValueError, match="quantity"):
        shop_pb2.PlaceOrderRequest().HasField("quantity")


async def test_no_request_gets_past_the_rules_of_the_file() -> None:
    # Unary, and through bytes that no generated code would write.
    async with serving() as (_, channel):
        stub = shop_pb2_grpc.ShopServiceStub(channel)
        raw = channel.unary_unary("/shop.v1.ShopService/PlaceOrder")
        broken = shop_pb2.PlaceOrderRequest(customer_id=42, item="", quantity=0)
        by_stub = await failure(stub.PlaceOrder(broken))
        by_bytes = await failure(raw(broken.SerializeToString()))
        late = await failure(raw(broken.SerializeToString() + b"\x18\x05"))  # the quantity again
    assert "quantity" not in (late.details() or "")  # the last one counts, for the rules as well
    assert "item" in (late.details() or "")
    for error in by_stub, by_bytes:
        assert error.code().name == "INVALID_ARGUMENT"
        assert "item" in (error.details() or "")
        assert "quantity" in (error.details() or "")


def test_a_proxy_s_policy_is_longer_than_a_client_s() -> None:
    policy = TrafficPolicy(
        "LEAST_REQUEST", 10, OutlierDetection(), health_check_interval=1, num_retries=1
    )
    servers = [Address("127.0.0.1", port) for port in (1, 2, 3)]
    proxy, client = (
        len(json.dumps(each, indent=2).splitlines())
        for each in (layer_7(servers, policy), ROUND_ROBIN)
    )
    assert client == 7
    assert 100 < proxy < 250
