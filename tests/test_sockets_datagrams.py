"""Calls over datagrams: at most once, whatever the network does to the packets."""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
import socket
from collections.abc import Sequence
from decimal import Decimal

import psutil
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from remotecalls.bindings import BINDINGS
from remotecalls.process import server_process
from remotecalls.shop import Customer, Shop
from remotecalls.shop.sample import stock
from remotecalls.sockets import datagram_server, datagrams
from remotecalls.sockets.binary_protocol import BinaryCodec
from remotecalls.sockets.datagram_protocol import CallPacket, PacketKind
from remotecalls.sockets.datagram_server import DatagramServer
from remotecalls.sockets.ipx import SERVER_SOCKET, IPXAddress, IPXPacket
from remotecalls.sockets.messages import UpdateBalance
from remotecalls.wire.address import Address
from remotecalls.wire.dissect import Kind
from remotecalls.wire.errors import (
    ConnectionLost,
    DeadlineExceeded,
    ProtocolError,
    Unavailable,
)
from remotecalls.wire.faults import (
    CorruptDatagram,
    DatagramFault,
    DelayDatagram,
    DropDatagram,
    Duplicate,
    Reorder,
)
from remotecalls.wire.recording import Direction
from remotecalls.wire.tap import DatagramTap

OUT, BACK = Direction.CLIENT_TO_SERVER, Direction.SERVER_TO_CLIENT

# ---------------------------------------------------------------- packets

addresses = st.builds(
    IPXAddress,
    st.binary(min_size=4, max_size=4),
    st.binary(min_size=6, max_size=6),
    st.integers(0, 65_535),
)
packets = st.builds(
    IPXPacket,
    addresses,
    addresses,
    st.binary(max_size=200),
    st.integers(0, 15),
    st.integers(0, 255),
)
numbers = st.integers(0, 2**32 - 1)
calls = st.builds(
    CallPacket,
    st.sampled_from(PacketKind),
    numbers,
    numbers,
    numbers,
    numbers,
    st.booleans(),
    st.binary(max_size=200),
)


@given(packets)
def test_an_ipx_packet_comes_back(packet: IPXPacket) -> None:
    assert IPXPacket.decode(packet.encode()) == packet


def test_an_ipx_header_has_the_thirty_bytes_of_novell() -> None:
    server = IPXAddress.of_host("127.0.0.1", SERVER_SOCKET)
    client = IPXAddress(bytes(4), bytes.fromhex("00001b1a2b3c"), 0x4003)
    assert IPXPacket(server, client, b"hi").encode() == bytes.fromhex(
        "ffff 0020 00 11"  # no checksum, 32 bytes, no router so far, NCP
        "00000000 00007f000001 0451"  # this network, the host of RFC 1234, the file server
        "00000000 00001b1a2b3c 4003"
        "6869"
    )
    assert str(client) == "00000000:00001b1a2b3c:4003"


@given(calls)
def test_a_call_packet_comes_back(call: CallPacket) -> None:
    assert CallPacket.decode(call.encode()) == call


@given(calls, st.integers(0), st.integers(1, 255))
def test_a_changed_byte_is_noticed(call: CallPacket, place: int, flip: int) -> None:
    data = bytearray(call.encode())
    data[place % len(data)] ^= flip
    with pytest.raises(ProtocolError, match="checksum does not match"):
        CallPacket.decode(bytes(data))


@given(st.binary(max_size=100))
def test_any_bytes_are_a_packet_or_a_defined_error(data: bytes) -> None:
    with contextlib.suppress(ProtocolError):
        CallPacket.decode(IPXPacket.decode(data).payload)
    with contextlib.suppress(ProtocolError):
        CallPacket.decode(data)


@given(packets.flatmap(lambda p: st.tuples(st.just(p), calls)), st.sampled_from(Direction))
def test_every_byte_of_a_packet_is_labelled(
    pair: tuple[IPXPacket, CallPacket], direction: Direction
) -> None:
    outer, call = pair
    # The answer to an OPEN, sequence 0, carries the number of the connection.
    assume(call.kind is not PacketKind.REPLY or call.sequence > 0 or len(call.body) >= 4)
    data = IPXPacket(outer.destination, outer.source, call.encode()).encode()
    dissection = BINDINGS["datagrams"].dissect(data, direction)
    header = [field for field in dissection.fields if field.end <= 53]
    assert {field.kind for field in header}.isdisjoint({Kind.OPAQUE, Kind.INCOMPLETE})


# ---------------------------------------------------------------- a bad network


def bad_network(seed: int, share: float, count: int = 200) -> list[DatagramFault]:
    """Some datagrams of either direction are lost, doubled, late, overtaken or damaged."""
    chance = random.Random(seed)
    faults: list[DatagramFault] = []
    for direction in (OUT, BACK):
        for number in range(count):
            if chance.random() < share:
                kind = chance.choice([DropDatagram, Duplicate, Reorder, DelayDatagram])
                if kind is DelayDatagram:
                    delay = chance.uniform(0, 0.3)
                    faults.append(DelayDatagram(number, seconds=delay, direction=direction))
                else:
                    faults.append(kind(number, direction=direction))
            elif chance.random() < share / 4:
                faults.append(CorruptDatagram(number, chance.randrange(90), direction=direction))
    return faults


@pytest.mark.parametrize("seed", range(6))
async def test_a_payment_is_made_once_on_a_network_that_loses_a_fifth(seed: int) -> None:
    shop = stock(Shop())
    async with (
        datagrams.serve(shop) as server,
        DatagramTap(server.address, bad_network(seed, 0.2)) as tap,
        datagrams.connect(tap.address, timeout=10) as client,
    ):
        balance = Decimal("12.30")
        for _ in range(25):
            customer = await client.update_balance(42, Decimal("0.01"))
            balance += Decimal("0.01")
            assert customer.balance == balance  # this answer, not that of another call
        assert shop.get_customer(42).balance == balance


async def test_a_long_list_arrives_complete_and_in_order_on_that_network() -> None:
    shop = stock(Shop())
    for _ in range(600):
        shop.place_order(7, "cards", 1, Decimal("0.01"))
    async with (
        datagrams.serve(shop) as server,
        DatagramTap(server.address, bad_network(99, 0.2)) as tap,
        datagrams.connect(tap.address, timeout=10) as client,
    ):
        ids = [order.order_id async for order in client.stream_orders(7)]
    assert ids == list(range(1, 603))


@pytest.mark.parametrize("direction", [OUT, BACK])
async def test_a_call_that_fails_was_made_once_or_not_at_all(direction: Direction) -> None:
    shop = stock(Shop())
    # Packets 0 are those that open the connection; the call is repeated into the void.
    lost = [DropDatagram(number, direction=direction) for number in range(1, 50)]
    async with (
        datagrams.serve(shop) as server,
        DatagramTap(server.address, lost) as tap,
        datagrams.connect(tap.address, timeout=0.8) as client,
    ):
        with pytest.raises(DeadlineExceeded):
            await client.update_balance(42, Decimal("1.00"))
        sent = [chunk for chunk in tap.recording.chunks if chunk.direction is OUT]
        assert len(sent) >= 3  # it did repeat itself
        paid = Decimal("1.00") if direction is BACK else Decimal(0)
        assert shop.get_customer(42).balance == Decimal("12.30") + paid


# ---------------------------------------------------------------- a server that dies


async def test_a_killed_server_is_noticed_by_the_refusal_of_its_port() -> None:
    with server_process("datagrams") as (address, process):
        async with datagrams.connect(address, timeout=20) as client:
            await client.get_customer(42)
            process.send_signal(signal.SIGSTOP)
            waiting = asyncio.create_task(client.update_balance(42, Decimal("1.00")))
            await asyncio.sleep(0.3)  # some copies of the request lie in its queue
            process.kill()
            await asyncio.to_thread(process.wait, 10)
            with pytest.raises(ConnectionLost):  # one of the copies may have been read
                await waiting
            with pytest.raises(Unavailable):
                await client.get_customer(42)


async def test_a_server_started_again_does_not_carry_out_a_repetition() -> None:
    shop = stock(Shop())
    async with datagrams.serve(shop) as first:
        address = first.address
        connection = datagrams._Connection(address)
        await connection.open()
        connection.sequence = 1
        body = BinaryCodec().encode_request(1, UpdateBalance(42, Decimal("1.00")))
        await connection.part(0, body)
    assert shop.get_customer(42).balance == Decimal("13.30")
    async with datagrams.serve(shop, port=address.port) as second:
        assert second.boot != first.boot
        # The client never saw the answer and repeats the packet; the table of sequences is gone.
        with pytest.raises(datagrams._Stale):
            await connection.part(0, body)
    connection.close()
    assert shop.get_customer(42).balance == Decimal("13.30")


async def test_an_idle_connection_to_a_server_started_again_is_replaced() -> None:
    shop = stock(Shop())
    async with datagrams.serve(shop) as first:
        client_of = datagrams.connect(first.address, timeout=5)
        client = await client_of.__aenter__()
        await client.get_customer(42)
    async with datagrams.serve(shop, port=first.address.port):
        customer = await client.get_customer(42)
        await client_of.__aexit__(None, None, None)
    assert customer == Customer(42, "Ada Lovelace", Decimal("12.30"))


# ---------------------------------------------------------------- a hostile sender


def packet_to_server(call: CallPacket) -> bytes:
    ours = IPXAddress.of_host("127.0.0.1", 0x4001)
    return IPXPacket(IPXAddress.of_host("127.0.0.1", SERVER_SOCKET), ours, call.encode()).encode()


def flood(address: Address, datagrams_: Sequence[bytes], times: int) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.connect((address.host, address.port))
        sock.settimeout(5)
        for _ in range(times):
            for data in datagrams_:
                sock.send(data)


async def test_a_flood_leaves_the_memory_flat_and_the_server_answering() -> None:
    with server_process("datagrams") as (address, process):
        async with datagrams.connect(address, timeout=20) as client:
            await client.get_customer(42)
            before = psutil.Process(process.pid).memory_info().rss
            garbage = [b"", b"x", b"\xff\xff" + bytes(60), packet_to_server(
                CallPacket(PacketKind.REPLY, 1, 2, 3, 4)
            )]  # fmt: skip
            await asyncio.to_thread(flood, address, garbage, 5_000)
            opens = [
                packet_to_server(CallPacket(PacketKind.OPEN, 0, number, 0, 0))
                for number in range(5_000)
            ]
            await asyncio.to_thread(flood, address, opens, 2)
            assert (await client.get_customer(42)).name == "Ada Lovelace"
            assert psutil.Process(process.pid).memory_info().rss - before < 8_000_000


async def test_connections_are_bounded_and_the_old_ones_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(datagram_server, "MAXIMUM_CONNECTIONS", 3)
    async with datagrams.serve(stock(Shop())) as server:
        held = [datagrams._Connection(server.address) for _ in range(3)]
        for connection in held:
            await connection.open()
        async with datagrams.connect(server.address, timeout=0.5) as client:
            with pytest.raises(DeadlineExceeded):
                await client.get_customer(42)
        monkeypatch.setattr(datagram_server, "LIFETIME_SECONDS", 0.0)
        async with datagrams.connect(server.address, timeout=5) as client:
            assert (await client.get_customer(42)).name == "Ada Lovelace"
        for connection in held:
            connection.close()


async def test_a_connection_answers_only_its_owner() -> None:
    async with datagrams.serve(stock(Shop())) as server:
        owner, thief = (datagrams._Connection(server.address) for _ in range(2))
        await owner.open()
        thief.number, thief.boot, thief.sequence = owner.number, owner.boot, 1
        body = BinaryCodec().encode_request(1, UpdateBalance(42, Decimal("1.00")))
        with pytest.raises(datagrams._Stale):
            await thief.part(0, body)
        owner.close()
        thief.close()


@given(st.lists(st.one_of(st.binary(max_size=80), calls.map(packet_to_server)), max_size=20))
def test_any_datagram_is_answered_or_dropped(received: list[bytes]) -> None:
    server = DatagramServer(stock(Shop()))
    sent: list[bytes] = []

    class Transport(asyncio.DatagramTransport):
        def sendto(self, data: bytes, addr: object = None) -> None:
            sent.append(data)

    server.connection_made(Transport())
    for data in received:
        server.datagram_received(data, ("127.0.0.1", 9))
    assert len(sent) + server.dropped <= len(received)
    for data in sent:
        assert CallPacket.decode(IPXPacket.decode(data).payload).boot == server.boot


async def test_a_port_that_says_nothing_ends_by_the_deadline() -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as deaf:
        deaf.bind(("127.0.0.1", 0))
        async with datagrams.connect(Address(*deaf.getsockname()), timeout=0.4) as client:
            with pytest.raises(DeadlineExceeded):
                await client.get_customer(42)
