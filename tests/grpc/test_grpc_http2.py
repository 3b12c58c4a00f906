"""Every byte of HTTP/2 has a label, and the labels say what the other end sent."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remotecalls.grpc.client import connect
from remotecalls.grpc.http2_dissector import PREFACE, dissect_http2
from remotecalls.grpc.server import serve
from remotecalls.shop import CustomerNotFound, Shop
from remotecalls.shop.sample import stock
from remotecalls.wire.dissect import Dissection, Kind
from remotecalls.wire.recording import Direction
from remotecalls.wire.tap import Tap

WAYS = (Direction.CLIENT_TO_SERVER, Direction.SERVER_TO_CLIENT)


async def recorded(connections: int) -> tuple[Dissection, Dissection]:
    """Some calls on so many connections, one after another."""
    async with serve(stock(Shop())) as server, Tap(server.address) as tap:
        for _ in range(connections):
            async with connect(tap.address, timeout=20) as client:
                assert (await client.get_customer(42)).name == "Ada Lovelace"
                await client.place_order(7, "cards", 1, Decimal("0.30"))
                assert [order async for order in client.stream_orders(7)]
                with pytest.raises(CustomerNotFound):
                    await client.get_customer(43)
        streams = [
            b"".join(tap.recording.stream(each, way) for each in tap.recording.connections)
            for way in WAYS
        ]
    out, back = (dissect_http2(data, way) for data, way in zip(streams, WAYS, strict=True))
    return out, back


def values(dissection: Dissection, name: str) -> list[str]:
    return [field.value for field in dissection.fields if field.name.endswith(name)]


@pytest.mark.parametrize("connections", [1, 3])
async def test_every_byte_of_some_calls_is_understood(connections: int) -> None:
    for dissection in await recorded(connections):
        strange = [
            field for field in dissection.fields if field.kind in {Kind.OPAQUE, Kind.INCOMPLETE}
        ]
        assert strange == []


async def test_a_header_that_is_one_byte_says_what_it_repeats() -> None:
    out, back = await recorded(1)
    headers = [(f.value, f.end - f.start) for f in out.fields if f.name.endswith("header")]
    paths = [value for value, _ in headers if value.startswith(":path")]
    assert paths == [
        ":path: /shop.v1.ShopService/GetCustomer",
        ":path: /shop.v1.ShopService/PlaceOrder",
        ":path: /shop.v1.ShopService/StreamOrders",
        ":path: /shop.v1.ShopService/GetCustomer",
    ]
    sizes = [size for value, size in headers if value == "content-type: application/grpc"]
    assert sizes[0] > 10  # spelled out once,
    assert set(sizes[1:]) == {1}  # and from then on a place in a table
    statuses = [value for value in values(back, "header") if value.startswith("grpc-status:")]
    assert statuses == ["grpc-status: 0"] * 3 + ["grpc-status: 5"]


@given(st.binary(max_size=300), st.sampled_from(WAYS), st.booleans())
def test_any_bytes_can_be_dissected(data: bytes, way: Direction, begins: bool) -> None:
    data = PREFACE + data if begins else data
    fields = dissect_http2(data, way).fields
    assert b"".join(data[field.start : field.end] for field in fields) == data


@given(
    st.lists(
        st.tuples(
            st.integers(0, 9), st.integers(0, 255), st.integers(0, 5), st.binary(max_size=40)
        ),
        max_size=8,
    ),
    st.sampled_from(WAYS),
)
def test_any_frames_can_be_dissected(
    frames: list[tuple[int, int, int, bytes]], way: Direction
) -> None:
    data = b"".join(
        len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload
        for kind, flags, stream, payload in frames
    )
    dissection = dissect_http2(data, way)
    assert b"".join(data[field.start : field.end] for field in dissection.fields) == data
    # Whatever is wrong inside of a frame, the next one is read from its beginning.
    assert len([f for f in dissection.fields if f.name == "length"]) >= len(frames)
