"""What nobody should send: each has a defined answer, and none of it stays in memory.

The numbers are gRPC's: 0 OK, 3 INVALID_ARGUMENT, 8 RESOURCE_EXHAUSTED, 12 UNIMPLEMENTED,
13 INTERNAL.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest
from hyperframe.frame import HeadersFrame, WindowUpdateFrame
from raw_http2 import data, exchange, headers, message, request, request_headers

from remotecalls.grpc.generated.shop.v1 import shop_pb2
from remotecalls.process import server_process
from remotecalls.wire.address import Address

GET = "/shop.v1.ShopService/GetCustomer"
ADD = "/shop.v1.ShopService/AddCustomer"
BULK = "/shop.v1.ShopService/BulkAddCustomers"
CHAT = "/shop.v1.ShopService/Chat"
GOOD = shop_pb2.GetCustomerRequest(customer_id=42).SerializeToString()


def varint(number: int) -> bytes:
    encoded = b""
    while number > 0x7F:
        encoded += bytes([number & 0x7F | 0x80])
        number >>= 7
    return encoded + bytes([number])


def many_headers(count: int) -> bytes:
    more = tuple((f"x-{number}", "v" * 100) for number in range(count))
    return headers(1, *request_headers(GET, *more)) + data(1, message(GOOD))


def large_message(size: int) -> bytes:
    """A call whose message takes several frames."""
    whole = message(b"\xfa\x07" + varint(size) + b"x" * size)
    parts = [whole[at : at + 16_384] for at in range(0, len(whole), 16_384)]
    frames = [data(1, part, end=part is parts[-1]) for part in parts]
    return headers(1, *request_headers(GET)) + b"".join(frames)


OK, INVALID, EXPIRED, EXHAUSTED, UNIMPLEMENTED, INTERNAL = "0", "3", "4", "8", "12", "13"
ASK = request(GET, message(GOOD))
WIDEST = WindowUpdateFrame(0, window_increment=2**31 - 1).serialize()
SOON = (("grpc-timeout", "200m"),)

BAD: dict[str, tuple[bytes, str]] = {
    # messages
    "nothing in the message": (request(GET, message(b"")), INVALID),
    "invalid UTF-8": (request(ADD, message(b"\x08\x01\x12\x02\xff\xfe\x18\x00")), INVALID),
    "half of a surrogate pair": (request(ADD, message(b"\x08\x01\x12\x03\xed\xa0\x80")), INVALID),
    "a field that is cut off": (request(GET, message(b"\x08")), INVALID),
    "a length beyond the end": (request(ADD, message(b"\x12\x7fabc")), INVALID),
    "a number of eleven bytes": (request(GET, message(b"\x08" + b"\xff" * 11)), INVALID),
    "a number beyond 32 bits": (request(GET, message(b"\x08" + varint(2**63))), INVALID),
    "a field of number 0": (request(GET, message(b"\x00\x01")), INVALID),
    "a text where a number is": (request(GET, message(b"\x0a\x0242")), INVALID),
    "groups in groups": (request(GET, message(b"\x13" * 5_000)), INVALID),
    "messages in messages": (
        request(BULK, message(b"\x0a\x04\x0a\x02\x0a\x00")), OK),  # a refusal in its answer
    "a thousand unknown fields": (request(GET, message(b"\xf8\x07\x01" * 1_000)), INVALID),
    "a message too large": (large_message(70_000), EXHAUSTED),
    "an announced giant": (request(GET, message(GOOD, length=2**31)), EXHAUSTED),
    "a compressed message that is none": (request(GET, message(GOOD, compressed=1)), INTERNAL),
    "an unknown compression": (
        request(GET, message(GOOD, compressed=1), more=(("grpc-encoding", "middle-out"),)),
        INTERNAL),
    "half of a message": (request(GET, message(GOOD, length=50), more=SOON), EXPIRED),
    "no message at all": (request(GET, more=SOON), EXPIRED),
    "two messages where one is": (request(GET, message(GOOD), message(GOOD)), OK),
    "a conversation that begins with words": (request(CHAT, message(b"\x12\x02hi")), INVALID),
    # calls
    "a method that there is not": (request("/shop.v1.ShopService/Nothing", b""), UNIMPLEMENTED),
    "a service that there is not": (request("/shop.v2.ShopService/GetCustomer"), UNIMPLEMENTED),
    "no path": (request(""), UNIMPLEMENTED),
    "an endless path": (request("/" + "x" * 12_000), EXHAUSTED),
    "a bomb of metadata": (many_headers(120), EXHAUSTED),
    "a binary header that is no base64": (
        request(GET, message(GOOD), more=(("x-bin", "!!!"),)), INTERNAL),
    "a deadline that is none": (
        request(GET, message(GOOD), more=(("grpc-timeout", "soon"),)), INTERNAL),
    "a deadline that is over": (
        request(GET, message(GOOD), more=(("grpc-timeout", "0n"),)), EXPIRED),
    # frames that end the call or the connection
    "a header block that is none": (
        HeadersFrame(1, b"\xff" * 40, flags=["END_HEADERS"]).serialize(), INTERNAL),
    "a frame too large": (b"\xff\xff\xff\x00\x00\x00\x00\x00\x01", "closed"),
    "a ping of the wrong size": (b"\0\0\x01\x06\0\0\0\0\0x", "closed"),
    "settings of the wrong size": (b"\0\0\x05\x04\0\0\0\0\0xxxxx", "closed"),
    # frames that are passed over: the call after them is answered
    "data on a stream that nobody opened": (data(7, message(GOOD)) + ASK, OK),
    "headers on a stream of even number": (headers(2, *request_headers(GET)) + ASK, OK),
    "a frame of an unknown type": (b"\0\0\x03\xee\0\0\0\0\0xxx" + ASK, OK),
    "a window beyond its limit": (2 * WIDEST + ASK, OK),
}  # fmt: skip


@pytest.fixture(scope="module")
def service() -> Iterator[tuple[Address, psutil.Process]]:
    with server_process("grpc") as (address, process):
        yield address, psutil.Process(process.pid)


@pytest.mark.parametrize("name", BAD)
def test_bad_input_gets_a_defined_answer(
    service: tuple[Address, psutil.Process], name: str
) -> None:
    frames, status = BAD[name]
    answer = exchange(service[0], frames)
    assert answer.status == status, answer
    assert exchange(service[0], ASK).status == OK


def test_unknown_fields_are_passed_over(service: tuple[Address, psutil.Process]) -> None:
    # What a newer client sends besides: a number, eight bytes, a text, four bytes.
    unknown = b"\xf8\x07\x01" + b"\xf9\x07" + 8 * b"x" + b"\xfa\x07\x02hi" + b"\xfd\x07" + 4 * b"x"
    assert exchange(service[0], request(GET, message(GOOD + unknown))).status == OK


def test_a_limit_of_metadata_holds_for_who_has_acknowledged_it(
    service: tuple[Address, psutil.Process],
) -> None:
    assert exchange(service[0], many_headers(120)).status == EXHAUSTED
    assert exchange(service[0], many_headers(120), acknowledge=False).status == OK


def test_a_thousand_bad_requests_leave_the_memory_flat(
    service: tuple[Address, psutil.Process],
) -> None:
    address, server = service
    # Without those that are answered at their deadline: a thousand would take minutes.
    attacks = [frames for frames, status in BAD.values() if status != EXPIRED]

    def attack(count: int) -> None:
        # gRPC takes up to a second to write some of these answers, so several ask at once.
        with ThreadPoolExecutor(10) as attackers:
            frames = itertools.islice(itertools.cycle(attacks), count)
            for answer in attackers.map(lambda each: exchange(address, each), frames):
                assert answer.status != "open"

    attack(2 * len(attacks))
    before = server.memory_info().rss
    attack(1_000)
    assert server.memory_info().rss - before < 20_000_000
    assert exchange(address, ASK).status == OK
