"""What whoever runs the service relies on: health, reflection, keepalive, an orderly end, TLS."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager, suppress
from decimal import Decimal

import grpc
import pytest
import trustme
from google.protobuf import descriptor_pb2
from grpc_calls import failure, serving
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from remotecalls.grpc.client import connect
from remotecalls.grpc.failures import Overloaded
from remotecalls.grpc.generated.shop.v1 import shop_pb2, shop_pb2_grpc
from remotecalls.grpc.interception import Aspect, Call
from remotecalls.grpc.server import SHOP, GrpcServer, serve
from remotecalls.grpc.settings import ChannelSettings, Keepalive, ServerSettings
from remotecalls.grpc.tls import Identity, client_tls, common_names, server_tls
from remotecalls.shop import Order, Shop
from remotecalls.shop.sample import stock
from remotecalls.wire.address import Address
from remotecalls.wire.errors import ConnectionLost, TransportError, Unavailable
from serving import peer

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
ASK = shop_pb2.GetCustomerRequest(customer_id=42)


class Gate(Aspect):
    """Holds calls of the shop until it is opened."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.open = asyncio.Event()
        self.cancelled = asyncio.Event()

    @asynccontextmanager
    async def around(self, call: Call) -> AsyncIterator[None]:
        if call.method.startswith("/shop.v1."):
            self.begun.set()
            try:
                await self.open.wait()
            except asyncio.CancelledError:
                self.cancelled.set()
                raise
        yield


# ---------------------------------------------------------------- health and reflection


async def test_health_is_told_for_the_server_and_for_each_service() -> None:
    async with serving() as (_, channel):
        health = health_pb2_grpc.HealthStub(channel)
        for service in "", SHOP:
            asked = health_pb2.HealthCheckRequest(service=service)
            assert (await health.Check(asked)).status == SERVING
        error = await failure(health.Check(health_pb2.HealthCheckRequest(service="nothing")))
    assert error.code() is grpc.StatusCode.NOT_FOUND


async def test_whoever_watches_hears_of_the_end_before_it_comes() -> None:
    gate = Gate()
    async with serving(interceptors=[gate]) as (server, channel):
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        assert (await watch.read()).status == SERVING
        held = shop_pb2_grpc.ShopServiceStub(channel).GetCustomer(ASK)
        waiting = asyncio.ensure_future(held.code())
        await gate.begun.wait()
        stopping = asyncio.create_task(server.serve_no_more(grace=10))
        assert (await watch.read()).status == NOT_SERVING
        watch.cancel()
        assert not waiting.done()
        gate.open.set()
        assert await waiting is grpc.StatusCode.OK
        await stopping


async def test_reflection_tells_the_interface_to_whoever_asks() -> None:
    async with serving() as (_, channel):
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        requests = [
            reflection_pb2.ServerReflectionRequest(list_services=""),
            reflection_pb2.ServerReflectionRequest(file_containing_symbol=SHOP),
        ]
        listed, file = [each async for each in stub.ServerReflectionInfo(iter(requests))]
    names = {each.name for each in listed.list_services_response.service}
    assert {SHOP, "grpc.health.v1.Health"} <= names
    found = [
        descriptor_pb2.FileDescriptorProto.FromString(each)
        for each in file.file_descriptor_response.file_descriptor_proto
    ]
    [shop] = [each for each in found if each.name == "shop/v1/shop.proto"]
    assert [method.name for method in shop.service[0].method][:2] == ["GetCustomer", "AddCustomer"]


# ---------------------------------------------------------------- an orderly end


async def test_calls_in_progress_finish_and_new_ones_are_refused() -> None:
    gate = Gate()
    async with (
        serve(stock(Shop()), interceptors=[gate]) as server,
        connect(server.address, timeout=10) as client,
        connect(server.address, timeout=10) as late,
    ):
        waiting = asyncio.create_task(client.get_customer(42))
        await gate.begun.wait()
        stopping = asyncio.create_task(server.serve_no_more(grace=10))
        await refused(server.address)
        with pytest.raises(Unavailable):
            await late.get_customer(42)
        assert not waiting.done()
        gate.open.set()
        assert (await waiting).name == "Ada Lovelace"
        await asyncio.wait_for(stopping, 5)
        with pytest.raises(Unavailable):
            await client.get_customer(42)


async def refused(address: Address) -> None:
    """Wait until nobody listens there."""
    async with asyncio.timeout(5):
        while True:
            try:
                _, writer = await asyncio.open_connection(address.host, address.port)
            except ConnectionRefusedError:
                return
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()
            await asyncio.sleep(0.01)


async def test_what_does_not_finish_within_the_grace_is_cut_off() -> None:
    gate = Gate()
    async with (
        serve(stock(Shop()), interceptors=[gate]) as server,
        connect(server.address, timeout=20) as client,
    ):
        waiting = asyncio.create_task(client.get_customer(42))
        await gate.begun.wait()
        began = time.monotonic()
        await server.serve_no_more(grace=0.3)
        assert 0.2 < time.monotonic() - began < 5
        with pytest.raises(ConnectionLost):
            await waiting
        assert gate.cancelled.is_set()


async def test_a_stream_is_finished_within_the_grace_too() -> None:
    shop = stock(Shop())
    with shop.repository.transaction():
        for number in range(3, 3_000):
            shop.repository.add_order(Order(number, 7, "cards", 1, Decimal("0.01")))
    async with serve(shop) as server, connect(server.address, timeout=10) as client:
        async with aclosing(client.stream_orders(7)) as orders:
            await anext(orders)
            stopping = asyncio.create_task(server.serve_no_more(grace=10))
            assert len([order async for order in orders]) == 2_998
        await asyncio.wait_for(stopping, 5)


async def test_more_calls_than_the_server_takes_are_refused_at_once() -> None:
    gate = Gate()
    settings = ServerSettings(calls=2)
    async with (
        serve(stock(Shop()), interceptors=[gate], settings=settings) as server,
        connect(server.address, timeout=10) as client,
    ):
        waiting = [asyncio.create_task(client.get_customer(42)) for _ in range(2)]
        await gate.begun.wait()
        await asyncio.sleep(0.1)
        with pytest.raises(Overloaded):
            await client.get_customer(42)
        gate.open.set()
        assert len(await asyncio.gather(*waiting)) == 2


# ---------------------------------------------------------------- keepalive and connection age


@asynccontextmanager
async def dead_after_a_while(server: Address, frozen: asyncio.Event) -> AsyncIterator[Address]:
    """A network between a client and a server that delivers nothing once it is frozen."""

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(10_000):
                if not frozen.is_set():
                    writer.write(data)

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        onward_reader, onward = await asyncio.open_connection(server.host, server.port)
        async with asyncio.TaskGroup() as copying:
            back = copying.create_task(copy(onward_reader, writer))
            try:
                await copy(reader, onward)
            finally:
                onward.transport.abort()
                back.cancel()

    async with peer(handler) as address:
        yield address


async def test_a_client_that_pings_finds_out_that_nobody_is_there() -> None:
    frozen = asyncio.Event()
    gate = Gate()
    keepalive = Keepalive(time=0.3, timeout=0.3)
    async with (
        serve(stock(Shop()), interceptors=[gate]) as server,
        dead_after_a_while(server.address, frozen) as address,
        connect(address, timeout=30, settings=ChannelSettings(keepalive=keepalive)) as client,
    ):
        waiting = asyncio.create_task(client.get_customer(42))
        await gate.begun.wait()
        frozen.set()
        began = time.monotonic()
        with pytest.raises(ConnectionLost):
            await waiting
        assert time.monotonic() - began < 10  # by the PING, and not by the deadline of 30 s


async def test_a_client_that_pings_too_often_is_sent_away() -> None:
    gate = Gate()
    restless = Keepalive(time=0.01, timeout=5, without_calls=True)
    settings = ServerSettings(keepalive=Keepalive(least_time=60), grace=0.2)
    async with (
        serve(stock(Shop()), interceptors=[gate], settings=settings) as server,
        connect(server.address, timeout=20, settings=ChannelSettings(keepalive=restless)) as client,
    ):
        with pytest.raises(ConnectionLost, match=r"(?i)too.many.pings"):
            await client.get_customer(42)


async def test_a_connection_that_is_old_enough_is_replaced_without_a_failure() -> None:
    peers = set()

    class Peers(Aspect):
        @asynccontextmanager
        async def around(self, call: Call) -> AsyncIterator[None]:
            peers.add(call.context.peer())
            yield

    settings = ServerSettings(longest_connection=0.2)
    async with (
        serve(stock(Shop()), interceptors=[Peers()], settings=settings) as server,
        connect(server.address, timeout=10) as client,
    ):
        for _ in range(100):
            await client.get_customer(42)
            await asyncio.sleep(0.01)
    assert len(peers) >= 3


# ---------------------------------------------------------------- TLS


class Certificates:
    """An authority, and what it has signed."""

    def __init__(self) -> None:
        self.authority = trustme.CA()
        self.server = identity(self.authority.issue_cert("127.0.0.1"))
        self.client = identity(self.authority.issue_cert("till@shop.example", common_name="till"))

    @property
    def root(self) -> bytes:
        return self.authority.cert_pem.bytes()


def identity(issued: trustme.LeafCert) -> Identity:
    return Identity(
        issued.private_key_pem.bytes(), b"".join(blob.bytes() for blob in issued.cert_chain_pems)
    )


@pytest.fixture(scope="module")
def certificates() -> Certificates:
    return Certificates()


class Names(Aspect):
    def __init__(self) -> None:
        self.seen: list[list[str]] = []

    @asynccontextmanager
    async def around(self, call: Call) -> AsyncIterator[None]:
        self.seen.append(common_names(call.context))
        yield


@asynccontextmanager
async def secure(
    certificates: Certificates, *, mutual: bool, names: Names | None = None
) -> AsyncIterator[GrpcServer]:
    credentials = server_tls(certificates.server, certificates.root if mutual else None)
    interceptors = [names] if names else []
    async with serve(stock(Shop()), credentials=credentials, interceptors=interceptors) as server:
        yield server


async def test_calls_over_tls(certificates: Certificates) -> None:
    names = Names()
    async with (
        secure(certificates, mutual=False, names=names) as server,
        connect(server.address, credentials=client_tls(certificates.root)) as client,
    ):
        assert (await client.get_customer(42)).name == "Ada Lovelace"
        assert [order async for order in client.stream_orders(7)]
    assert names.seen == [[], []]


async def test_nothing_can_be_read_on_the_way(certificates: Certificates) -> None:
    from remotecalls.wire.tap import Tap

    async with (
        secure(certificates, mutual=False) as server,
        Tap(server.address) as tap,
        connect(tap.address, credentials=client_tls(certificates.root)) as client,
    ):
        await client.get_customer(42)
        sent = b"".join(chunk.data for chunk in tap.recording.chunks)
    assert b"Ada Lovelace" not in sent
    assert b"GetCustomer" not in sent


Outsider = Callable[[Certificates], grpc.ChannelCredentials | None]


async def refusal_of(server: GrpcServer, credentials: grpc.ChannelCredentials | None) -> str:
    async with connect(server.address, credentials=credentials, timeout=10) as client:
        with pytest.raises(TransportError) as caught:
            await client.get_customer(42)
    return f"{type(caught.value).__name__}: {caught.value}"


async def test_a_server_of_another_authority_is_not_trusted(certificates: Certificates) -> None:
    other = trustme.CA().cert_pem.bytes()
    async with secure(certificates, mutual=False) as server:
        told = await refusal_of(server, client_tls(other))
    assert told.startswith("Unavailable:")
    assert "CERTIFICATE_VERIFY_FAILED" in told


async def test_a_server_with_the_name_of_another_is_not_trusted(
    certificates: Certificates,
) -> None:
    wrong = identity(certificates.authority.issue_cert("shop.example"))
    async with serve(stock(Shop()), credentials=server_tls(wrong)) as server:
        told = await refusal_of(server, client_tls(certificates.root))
    assert told.startswith("Unavailable:")


async def test_a_client_without_tls_gets_nothing(certificates: Certificates) -> None:
    async with secure(certificates, mutual=False) as server:
        told = await refusal_of(server, None)
    assert told.startswith(("ConnectionLost:", "ProtocolError:", "Unavailable:"))


async def test_mutual_tls_tells_the_server_who_calls(certificates: Certificates) -> None:
    names = Names()
    credentials = client_tls(certificates.root, certificates.client)
    async with (
        secure(certificates, mutual=True, names=names) as server,
        connect(server.address, credentials=credentials) as client,
    ):
        assert (await client.get_customer(42)).name == "Ada Lovelace"
    assert names.seen == [["till"]]


async def test_mutual_tls_refuses_who_has_no_certificate(certificates: Certificates) -> None:
    names = Names()
    async with secure(certificates, mutual=True, names=names) as server:
        await refusal_of(server, client_tls(certificates.root))
        stranger = identity(trustme.CA().issue_cert("till@shop.example", common_name="till"))
        await refusal_of(server, client_tls(certificates.root, stranger))
    assert names.seen == []
