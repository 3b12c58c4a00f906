"""What HTTP/2 cuts apart is labeled as what it is, and each field by its name."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

import pytest
from hpack import Encoder
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    PriorityFrame,
    PushPromiseFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)
from hypothesis import given
from hypothesis import strategies as st
from raw_http2 import PREFACE, message, request_headers

from remotecalls.grpc.client import connect
from remotecalls.grpc.generated.shop.v1 import shop_pb2
from remotecalls.grpc.http2_dissector import dissect_http2
from remotecalls.grpc.protobuf_labels import fits
from remotecalls.grpc.server import serve
from remotecalls.shop import CustomerNotFound, Shop
from remotecalls.shop.sample import stock
from remotecalls.wire.dissect import Dissection, Field, Kind
from remotecalls.wire.recording import Direction
from remotecalls.wire.tap import Tap

OUT, BACK = Direction.CLIENT_TO_SERVER, Direction.SERVER_TO_CLIENT
ADD = "/shop.v1.ShopService/AddCustomer"
NEW = shop_pb2.AddCustomerRequest(customer_id=1, name="Zoë", balance_cents=500)
STRANGE = {Kind.OPAQUE, Kind.INCOMPLETE}


def joined(*frames: Frame) -> bytes:
    return b"".join(frame.serialize() for frame in frames)


def head(stream: int = 1, path: str = ADD, encoder: Encoder | None = None) -> HeadersFrame:
    block = (encoder or Encoder()).encode(request_headers(path))
    return HeadersFrame(stream, block, flags=["END_HEADERS"])


def named(dissection: Dissection, name: str) -> list[Field]:
    return [field for field in dissection.fields if field.name == name]


def values(dissection: Dissection, name: str) -> list[str]:
    return [field.value for field in named(dissection, name)]


def strange(dissection: Dissection) -> list[Field]:
    return [field for field in dissection.fields if field.kind in STRANGE]


# ---------------------------------------------------------------- Protocol Buffers


def test_each_field_has_its_name_its_tag_and_its_length() -> None:
    data = PREFACE + joined(
        head(), DataFrame(1, message(NEW.SerializeToString()), flags=["END_STREAM"])
    )
    dissection = dissect_http2(data, OUT)
    assert strange(dissection) == []
    labeled = {
        field.name: (field.value, data[field.start : field.end]) for field in dissection.fields[-8:]
    }
    assert labeled == {
        "customer_id.tag": ("field 1, varint", b"\x08"),
        "customer_id": ("1", b"\x01"),
        "name.tag": ("field 2, length and bytes", b"\x12"),
        "name.length": ("4", b"\x04"),
        "name": ('"Zoë"', "Zoë".encode()),
        "balance_cents.tag": ("field 3, varint", b"\x18"),
        "balance_cents": ("500", b"\xf4\x03"),
    } | {"message length": ("11", b"\0\0\0\x0b")}


def test_numbers_below_zero_and_messages_in_messages() -> None:
    change = shop_pb2.ChangeBalanceRequest(customer_id=1, change_cents=-99)
    page = shop_pb2.ListCustomersResponse(
        customers=[shop_pb2.Customer(customer_id=7), shop_pb2.Customer(name="x")]
    )
    out = dissect_http2(
        joined(
            head(path="/shop.v1.ShopService/ChangeBalance"),
            DataFrame(1, message(change.SerializeToString())),
        ),
        OUT,
    )
    assert values(out, "change_cents") == ["-99"]
    back = dissect_http2(joined(DataFrame(1, message(page.SerializeToString()))), BACK)
    assert values(back, "customers[0].customer_id") == ["7"]
    assert values(back, "customers[1].name") == ['"x"']
    assert strange(back) == []


def test_what_no_descriptor_knows_is_labeled_all_the_same() -> None:
    unknown = b"\xf8\x07\x01\xfa\x07\x02hi\xf9\x07" + 8 * b"x"
    data = joined(head(), DataFrame(1, message(unknown)), head(3, "/other.Service/Method"))
    data += joined(DataFrame(3, message(b"\x0a\x03abc")))
    dissection = dissect_http2(data, OUT)
    assert values(dissection, "field 127") == ["1", '"hi"', '"xxxxxxxx"']
    assert values(dissection, "field 1") == ['"abc"']
    assert strange(dissection) == []


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\x12\x02\xff\xfe", "UTF-8"),
        (b"\x12\x7fabc", "beyond its message"),
        (b"\x0b\x01", "wire type 3"),
        (b"\x00\x01", "number 0"),
        (b"\x08" + b"\xff" * 11, "more than ten bytes"),
    ],
)
def test_what_is_no_message_is_said_to_be_none(content: bytes, reason: str) -> None:
    after = PingFrame(0, b"12345678")
    data = joined(head(), DataFrame(1, message(content), flags=["END_STREAM"]), after)
    [found] = strange(dissect_http2(data, OUT))
    assert found.kind is Kind.OPAQUE
    assert reason in found.meaning
    assert values(dissect_http2(data, OUT), "ping") == ['"12345678"']


def test_a_compressed_message_is_not_looked_into() -> None:
    dissection = dissect_http2(
        joined(head(), DataFrame(1, message(b"\x1f\x8b", compressed=1))), OUT
    )
    assert values(dissection, "compressed message") == ["1f 8b"]
    assert strange(dissection) == []


def test_a_shape_is_taken_for_a_message_only_if_all_of_it_fits() -> None:
    customer = shop_pb2.GetCustomerResponse(customer=shop_pb2.Customer(name="x"))
    order = shop_pb2.StreamOrdersResponse(order=shop_pb2.Order(customer_id=7, item="x"))
    kinds = shop_pb2.GetCustomerResponse.DESCRIPTOR, shop_pb2.StreamOrdersResponse.DESCRIPTOR
    for data, expected in [(customer, [True, False]), (order, [False, True])]:
        assert [fits(data.SerializeToString(), kind) for kind in kinds] == expected


# ---------------------------------------------------------------- cut and interleaved


def test_a_message_in_many_frames_between_those_of_another_stream() -> None:
    whole = message(NEW.SerializeToString())
    encoder = Encoder()
    frames: list[Frame] = [head(1, encoder=encoder), head(3, encoder=encoder)]
    for at in range(len(whole)):
        frames += [DataFrame(stream, whole[at : at + 1]) for stream in (1, 3)]
    dissection = dissect_http2(joined(*frames), OUT)
    assert strange(dissection) == []
    assert values(dissection, "name") == ['"Zoë"'] * 2
    assert len(named(dissection, "name (continued)")) == 2 * (len("Zoë".encode()) - 1)
    assert values(dissection, "balance_cents") == ["500", "500"]


def test_two_messages_in_one_frame() -> None:
    frame = DataFrame(1, 2 * message(NEW.SerializeToString()))
    dissection = dissect_http2(joined(head(), frame), OUT)
    assert values(dissection, "name") == ['"Zoë"'] * 2


def test_a_header_block_cut_anywhere() -> None:
    block = Encoder().encode(request_headers(ADD))
    whole = values(dissect_http2(joined(head()), OUT), "header")
    for at in range(len(block) + 1):
        frames = (
            HeadersFrame(1, block[:at]),
            ContinuationFrame(1, block[at:], flags=["END_HEADERS"]),
        )
        dissection = dissect_http2(joined(*frames), OUT)
        assert strange(dissection) == []
        assert values(dissection, "header") == whole


def test_padding_and_priority() -> None:
    block = Encoder().encode(request_headers(ADD))
    frames = [
        HeadersFrame(
            1, block, flags=["END_HEADERS", "PADDED", "PRIORITY"],
            pad_length=3, depends_on=5, stream_weight=7,
        ),
        DataFrame(1, message(NEW.SerializeToString()), flags=["PADDED"], pad_length=9),
    ]  # fmt: skip
    data = joined(*frames)
    dissection = dissect_http2(data, OUT)
    assert strange(dissection) == []
    assert [f.end - f.start for f in named(dissection, "padding")] == [3, 9]
    assert values(dissection, "pad length") == ["3", "9"]
    assert values(dissection, "depends on stream") == ["5"]
    assert values(dissection, "weight") == ["7"]
    assert values(dissection, "name") == ['"Zoë"']


def test_every_kind_of_frame() -> None:
    block = Encoder().encode([(":path", "/")])
    data = (
        joined(
            SettingsFrame(0, settings={3: 100, 0x4242: 1}),
            SettingsFrame(0, flags=["ACK"]),
            WindowUpdateFrame(0, window_increment=5),
            PingFrame(0, b"\0" * 8, flags=["ACK"]),
            PriorityFrame(1, depends_on=3, stream_weight=1),
            PushPromiseFrame(1, 2, block, flags=["END_HEADERS"]),
            RstStreamFrame(1, 8),
            GoAwayFrame(0, 1, 11, b"too_many_pings"),
        )
        + b"\0\0\x02\xee\0\0\0\0\0hi"
    )
    dissection = dissect_http2(data, BACK)
    assert strange(dissection) == []
    assert dissection.messages == 9
    said = {(field.name, field.value, field.meaning) for field in dissection.fields}
    assert ("parameter", "3", "MAX_CONCURRENT_STREAMS") in said
    assert ("error", "8", "CANCEL") in said
    assert ("error", "11", "ENHANCE_YOUR_CALM") in said
    assert ("debug data", '"too_many_pings"', "for a person") in said
    assert ("promised stream", "2", "") in said
    assert ("payload", '"hi"', "") in said


# ---------------------------------------------------------------- recorded


async def recorded() -> tuple[bytes, bytes]:
    async with serve(stock(Shop())) as server, Tap(server.address) as tap:
        async with connect(tap.address, timeout=20) as client:
            await client.get_customer(42)
            await client.add_customer(1, "Zoë", Decimal("5.00"))
            await client.list_customers()
            assert [order async for order in client.stream_orders(7)]
            with pytest.raises(CustomerNotFound):
                await client.get_customer(43)
        out, back = (tap.recording.stream(0, way) for way in (OUT, BACK))
    return out, back


async def test_a_recording_cut_anywhere_is_incomplete_and_never_strange() -> None:
    out, back = await recorded()
    for data, way in [(out, OUT), (back, BACK)]:
        for end in range(len(data)):
            found = strange(dissect_http2(data[:end], way))
            assert [field for field in found if field.kind is Kind.OPAQUE] == []
            assert all(field.end == end for field in found[-1:])


async def test_with_the_requests_at_hand_each_answer_is_known_by_its_method() -> None:
    out, back = await recorded()
    told = [f.meaning for f in named(dissect_http2(back, BACK, requests=out), "message length")]
    assert told == [
        f"bytes of the message, a {name}"
        for name in [
            "GetCustomerResponse",
            "AddCustomerResponse",
            "ListCustomersResponse",
            "StreamOrdersResponse",
            "StreamOrdersResponse",
        ]
    ]
    guessed = [f.meaning for f in named(dissect_http2(back, BACK), "message length")]
    assert all("by its shape" in each for each in guessed)


async def test_several_connections_are_told_apart_in_both_directions() -> None:
    recordings = [await recorded() for _ in range(2)]
    for way, parts in zip((OUT, BACK), zip(*recordings, strict=True), strict=True):
        apart = [values(dissect_http2(part, way), "header") for part in parts]
        together = dissect_http2(b"".join(parts), way)
        assert strange(together) == []
        assert values(together, "header") == [each for part in apart for each in part]


async def test_each_connection_has_streams_of_its_own() -> None:
    first = await recorded()
    async with serve(stock(Shop())) as server, Tap(server.address) as tap:
        async with connect(tap.address, timeout=20) as client:
            await client.place_order(7, "cards", 1, Decimal("0.30"))  # on stream 1, as well
        second = [tap.recording.stream(0, way) for way in (OUT, BACK)]
    back = dissect_http2(first[1] + second[1], BACK, requests=first[0] + second[0])
    told = [field.meaning for field in named(back, "message length")]
    assert told[0] == "bytes of the message, a GetCustomerResponse"
    assert told[-1] == "bytes of the message, a PlaceOrderResponse"


# ---------------------------------------------------------------- any bytes

some_frames = st.one_of(
    st.builds(
        lambda kind, flags, stream, payload: (
            len(payload).to_bytes(3, "big")
            + bytes([kind, flags])
            + stream.to_bytes(4, "big")
            + payload
        ),
        st.integers(0, 11),
        st.integers(0, 255),
        st.integers(0, 4),
        st.binary(max_size=30),
    ),
    st.sampled_from([joined(head(stream)) for stream in (1, 3)]),
    st.binary(max_size=40).map(lambda content: joined(DataFrame(1, message(content)))),
    st.just(PREFACE),
    st.binary(max_size=12),
)


@given(st.lists(some_frames, max_size=10), st.sampled_from([OUT, BACK]), st.integers(0, 60))
def test_any_frames_have_one_label_for_each_byte(
    frames: Iterable[bytes], way: Direction, cut: int
) -> None:
    data = b"".join(frames)
    data = data[: len(data) - cut] if cut < len(data) else data
    dissection = dissect_http2(data, way)  # a Dissection is checked when it is made
    assert b"".join(map(dissection.bytes_of, dissection.fields)) == data
    assert not named(dissection, "unlabeled")
