"""The conformance suite: what every binding of the shop must do, and do alike.

A protocol joins by its entry in `remotecalls.bindings`; nothing here knows one by name, except the
last tests, in which two of them share their bytes.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, suppress
from decimal import Decimal
from pathlib import Path

import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from generated_client import GENERATED
from remotecalls.bindings import BINDINGS, Binding
from remotecalls.process import server_process
from remotecalls.shop import (
    Customer,
    CustomerNotFound,
    InsufficientFunds,
    InvalidArgument,
    Order,
    Shop,
    ShopClient,
    ShopError,
)
from remotecalls.shop.sample import stock
from remotecalls.sockets import streams
from remotecalls.sockets.messages import (
    AddCustomer,
    GetCustomer,
    ListCustomers,
    PlaceOrder,
    Request,
    StreamOrders,
    UpdateBalance,
    carry_out,
)
from remotecalls.wire.address import Address
from remotecalls.wire.dissect import Kind
from remotecalls.wire.errors import (
    ConnectionLost,
    DeadlineExceeded,
    ProtocolError,
    TransportError,
    Unavailable,
)
from remotecalls.wire.faults import Chop, Cut
from remotecalls.wire.recording import Direction, Transport
from remotecalls.wire.tap import Tap
from serving import peer
from strategies import requests

ADA = Customer(42, "Ada Lovelace", Decimal("12.30"))


# A client that was generated from the service's document is held to the same.
ALL = {**BINDINGS, "generated": GENERATED}


@pytest.fixture(params=ALL.values(), ids=ALL.keys())
def binding(request: pytest.FixtureRequest) -> Binding:
    return request.param


STREAMS = {name: each for name, each in ALL.items() if each.transport is Transport.TCP}


@pytest.fixture(params=STREAMS.values(), ids=STREAMS.keys())
def stream_binding(request: pytest.FixtureRequest) -> Binding:
    """A binding on TCP, for what a peer can do to a stream of bytes."""
    return request.param


def empty(_: Shop) -> None:
    """Leave the shop as it is."""


@asynccontextmanager
async def connected(
    binding: Binding, prepare: Callable[[Shop], object] = stock, timeout: float = 10.0
) -> AsyncIterator[tuple[ShopClient, Address]]:
    with binding.shop() as shop:
        prepare(shop)
        async with (
            binding.serve(shop) as server,
            binding.connect(server.address, timeout=timeout) as client,
        ):
            yield client, server.address


def with_orders(count: int, item: str = "cards") -> Callable[[Shop], None]:
    """Prepare a shop in which customer 7 has so many orders besides those of the sample."""

    def prepare(shop: Shop) -> None:
        stock(shop)
        with shop.repository.transaction():
            first = shop.repository.next_order_id()
            for number in range(first, first + count):
                shop.repository.add_order(Order(number, 7, item, 1, Decimal("0.01")))

    return prepare


# ---------------------------------------------------------------- the service, through the wire


async def test_the_methods_of_the_shop(binding: Binding) -> None:
    async with connected(binding) as (client, _):
        assert await client.get_customer(42) == ADA
        ida = await client.add_customer(1, "Ida Rhodes", Decimal("9.99"))
        assert ida == Customer(1, "Ida Rhodes", Decimal("9.99"))
        assert (await client.update_balance(1, Decimal("-0.99"))).balance == Decimal("9.00")
        assert [c.customer_id for c in await client.list_customers(limit=2)] == [1, 7]
        assert [c.customer_id for c in await client.list_customers(after=42)] == [99]
        order = await client.place_order(1, "cards", 3, Decimal("1.20"))
        assert order == Order(3, 1, "cards", 3, Decimal("1.20"))
        assert [order async for order in client.stream_orders(1)] == [order]
        assert [order async for order in client.stream_orders(42)] == []


async def call(client: ShopClient, request: Request) -> list[object]:
    match request:
        case AddCustomer():
            return [await client.add_customer(request.customer_id, request.name, request.balance)]
        case GetCustomer():
            return [await client.get_customer(request.customer_id)]
        case UpdateBalance():
            return [await client.update_balance(request.customer_id, request.change)]
        case ListCustomers():
            return list(await client.list_customers(request.after, request.limit))
        case PlaceOrder(customer_id, item, quantity, unit_price):
            return [await client.place_order(customer_id, item, quantity, unit_price)]
        case StreamOrders():
            return [order async for order in client.stream_orders(request.customer_id)]


def direct(shop: Shop, request: Request) -> list[object]:
    replies: list[object] = list(carry_out(shop, request))
    sequence = isinstance(request, ListCustomers | StreamOrders)
    return replies[:-1] if sequence else replies  # the last is the protocols' `End`


PROCESS_FOR_EACH_REQUEST = {"cgi"}  # seventy milliseconds a call: fewer conversations


@pytest.mark.parametrize("name", ALL)
def test_a_conversation_through_the_wire_equals_one_without(name: str) -> None:
    @settings(
        max_examples=4 if name in PROCESS_FOR_EACH_REQUEST else 25,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(st.lists(requests, min_size=5, max_size=30))
    def compare(conversation: list[Request]) -> None:
        asyncio.run(converse(ALL[name], conversation))

    compare()


async def converse(binding: Binding, conversation: list[Request]) -> None:
    """Have a conversation twice, with a shop at hand and with one behind the wire."""
    shop = Shop()
    async with connected(binding, empty) as (client, _):
        for request in conversation:
            texts = {getattr(request, field, "") for field in ("name", "item")}
            if not all(map(binding.can_write, texts)):
                with pytest.raises(InvalidArgument):
                    await call(client, request)
                continue
            try:
                expected = direct(shop, request)
            except ShopError as error:
                # The reason is worded where it is found, by the client or by the shop.
                with pytest.raises(type(error)):
                    await call(client, request)
            else:
                assert await call(client, request) == expected


async def test_the_message_of_an_error_crosses_whole(binding: Binding) -> None:
    async with connected(binding) as (client, _):
        with pytest.raises(CustomerNotFound, match=r"^there is no customer 43$"):
            await client.get_customer(43)
        with pytest.raises(InsufficientFunds, match=r"^customer 42 has 12\.30, which does not"):
            await client.place_order(42, "Zürich", 2, Decimal("10.00"))


@pytest.mark.parametrize("name", ["😀" * 30, "Zoë", "Zoe\u0308", "\u2028", "שלום", "\\t", " "])
async def test_a_name_arrives_code_point_for_code_point(binding: Binding, name: str) -> None:
    async with connected(binding, empty) as (client, _):
        if not binding.can_write(name):
            with pytest.raises(InvalidArgument, match=re.escape(repr(name))):
                await client.add_customer(1, name, Decimal(0))
            return
        await client.add_customer(1, name, Decimal(0))
        assert (await client.get_customer(1)).name == name


@pytest.mark.parametrize("name", ["Ada Lovelace", "n" * 30, "O'Brien & Sons, 3% (est. 1843)"])
async def test_a_plain_name_can_be_written_in_every_protocol(binding: Binding, name: str) -> None:
    assert binding.can_write(name)
    async with connected(binding, empty) as (client, _):
        await client.add_customer(1, name, Decimal(0))
        assert (await client.get_customer(1)).name == name


async def test_a_long_stream_arrives_complete_and_in_order(binding: Binding) -> None:
    async with connected(binding, with_orders(3_000)) as (client, _):
        ids = [order.order_id async for order in client.stream_orders(7)]
    assert ids == list(range(1, 3_003))


async def test_a_call_can_be_made_while_a_stream_is_open(binding: Binding) -> None:
    async with connected(binding) as (client, _), aclosing(client.stream_orders(7)) as orders:
        async for _ in orders:
            assert await client.get_customer(42) == ADA


async def test_a_stream_that_is_left_early_disturbs_nothing(binding: Binding) -> None:
    async with connected(binding, with_orders(1_000)) as (client, _):
        for _ in range(3):
            async with aclosing(client.stream_orders(7)) as orders:
                async for order in orders:
                    assert order.order_id == 1
                    break
            assert await client.get_customer(42) == ADA


async def test_concurrent_clients_lose_no_update(binding: Binding) -> None:
    async with AsyncExitStack() as stack:
        shop = stock(stack.enter_context(binding.shop()))
        server = await stack.enter_async_context(binding.serve(shop))
        clients = [
            await stack.enter_async_context(binding.connect(server.address, timeout=30))
            for _ in range(20)
        ]

        async def deposit(client: ShopClient) -> None:
            for _ in range(10):
                await client.update_balance(42, Decimal("0.01"))

        await asyncio.gather(*map(deposit, clients))
        assert (await clients[0].get_customer(42)).balance == Decimal("14.30")


async def test_one_client_can_make_many_calls_at_once(binding: Binding) -> None:
    async with connected(binding, timeout=30) as (client, _):
        answers = await asyncio.gather(*(client.get_customer(42) for _ in range(100)))
    assert answers == [ADA] * 100


# ---------------------------------------------------------------- failures between the programs


async def test_nobody_listens(binding: Binding) -> None:
    with socket_of(binding) as taken:
        taken.bind(("127.0.0.1", 0))  # bound but not listening: connections are refused
        address = Address(*taken.getsockname())
        if binding.transport is Transport.UDP:
            taken.close()  # a datagram is refused where no socket is bound
        async with binding.connect(address, timeout=5) as client:
            with pytest.raises(Unavailable, match=str(address)):
                await client.get_customer(42)


async def test_a_port_in_use_is_refused_by_name(binding: Binding) -> None:
    with socket_of(binding) as other, binding.shop() as shop:
        other.bind(("127.0.0.1", 0))
        if binding.transport is Transport.TCP:
            other.listen()
        port = other.getsockname()[1]
        with pytest.raises(OSError, match="in use"):
            async with binding.serve(shop, port=port):
                pass


def socket_of(binding: Binding) -> socket.socket:
    """A socket of the binding's transport."""
    kind = socket.SOCK_DGRAM if binding.transport is Transport.UDP else socket.SOCK_STREAM
    return socket.socket(socket.AF_INET, kind)


async def test_a_server_killed_in_the_middle_of_a_call(stream_binding: Binding) -> None:
    with server_process(stream_binding.name) as (address, process):
        async with stream_binding.connect(address, timeout=20) as client:
            assert await client.get_customer(42) == ADA
            # Its helpers too: whichever process would read, none will read what we send now.
            parent = psutil.Process(process.pid)
            family = [parent, *parent.children(recursive=True)]
            for each in family:
                each.suspend()
            await until(lambda: all(is_stopped(each.pid) for each in family))
            waiting = asyncio.create_task(client.get_customer(42))
            await until(lambda: unread_bytes(address) > 0)
            began = time.monotonic()
            for each in family:
                each.kill()
            with pytest.raises(ConnectionLost):
                await waiting
            assert time.monotonic() - began < 10  # by the reset, not by the deadline
            await asyncio.to_thread(process.wait, 10)
            # The last of them to go closes the listening socket, and it need not be the parent.
            await until(lambda: all(map(is_gone, family)))
            with pytest.raises(Unavailable):
                await client.get_customer(42)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - what is waited for sends no event
            await asyncio.sleep(0.01)


def is_stopped(pid: int) -> bool:
    """Whether every thread of a process is stopped, as Linux tells it (proc(5))."""
    stats = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/stat")]
    return all(stat.rpartition(")")[2].split()[0] == "T" for stat in stats)


def is_gone(process: psutil.Process) -> bool:
    """Whether a process has closed its files, though its new parent may not have asked for it."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def unread_bytes(server: Address) -> int:
    """Bytes that wait in the receive queues of a server's connections, as Linux counts them."""
    port = f":{server.port:04X}"
    tables = [Path("/proc/net/tcp"), Path("/proc/net/tcp6")]  # gRPC's sockets are of IPv6
    rows = [line.split() for table in tables for line in table.read_text().splitlines()[1:]]
    established = [row for row in rows if row[1].endswith(port) and row[3] == "01"]
    return sum(int(row[4].split(":")[1], 16) for row in established)


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy one direction of a connection until it ends."""
    with suppress(ConnectionError):
        while data := await reader.read(10_000):
            writer.write(data)


async def test_a_late_answer_is_not_taken_for_the_next(stream_binding: Binding) -> None:
    async with connected(stream_binding) as (_, address):
        stalled = asyncio.Event()

        async def stall_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            onward_reader, onward_writer = await asyncio.open_connection(address.host, address.port)
            answers = asyncio.create_task(pump(onward_reader, writer))
            data = await reader.read(10_000)
            if not stalled.is_set():
                await stalled.wait()
            onward_writer.write(data)
            await pump(reader, onward_writer)
            onward_writer.close()
            await answers

        async with peer(stall_once) as slow, stream_binding.connect(slow, timeout=1.0) as client:
            with pytest.raises(DeadlineExceeded):
                await client.get_customer(42)
            stalled.set()  # the answer to the first call is on its way now
            assert (await client.get_customer(7)).name == "Grace Hopper"


async def test_a_server_that_comes_back_is_found_again(binding: Binding) -> None:
    async with AsyncExitStack() as first:
        server = await first.enter_async_context(
            binding.serve(stock(first.enter_context(binding.shop())))
        )
        address = server.address
        async with binding.connect(address, timeout=5) as client:
            assert await client.get_customer(42) == ADA
            await first.aclose()
            with pytest.raises(TransportError):
                await client.get_customer(42)
            with binding.shop() as shop:
                stock(shop)
                async with binding.serve(shop, port=address.port):
                    assert await client.get_customer(42) == ADA


GARBAGE = [
    b"\xff" * 64,
    b"\0" * 64,
    b"HTTP/1.1 400 Bad Request\r\n\r\n",
    b"\n\n\n\n",
    b"\xff\xff\xff\xff",  # four gigabytes, or minus one
    b"\0\0\0\1\x81",
    b"END\t-1\n",
]


@pytest.mark.parametrize("garbage", GARBAGE)
async def test_a_server_that_sends_garbage(stream_binding: Binding, garbage: bytes) -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(garbage)
        writer.close()

    async with peer(handler) as address, stream_binding.connect(address, timeout=5) as client:
        with pytest.raises((ProtocolError, ConnectionLost)):
            await client.get_customer(42)
        with pytest.raises((ProtocolError, ConnectionLost)):
            _ = [order async for order in client.stream_orders(7)]


async def test_a_server_that_accepts_and_says_nothing(stream_binding: Binding) -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with peer(handler) as address, stream_binding.connect(address, timeout=0.3) as client:
        began = time.monotonic()
        with pytest.raises(DeadlineExceeded):
            await client.get_customer(42)
        assert 0.25 < time.monotonic() - began < 5


async def reply_bytes(binding: Binding, act: Callable[[ShopClient], Awaitable[object]]) -> bytes:
    """What the server sends in answer to one call."""
    return (await recorded(binding, act))[1]


async def recorded(
    binding: Binding, act: Callable[[ShopClient], Awaitable[object]]
) -> tuple[bytes, bytes]:
    """What crossed the wire each way, all connections joined."""
    async with AsyncExitStack() as stack:
        shop = stock(stack.enter_context(binding.shop()))
        server = await stack.enter_async_context(binding.serve(shop))
        tap = await stack.enter_async_context(binding.tap(server.address))
        async with binding.connect(tap.address) as client:
            await act(client)
        streams_of = tap.recording.stream
        request, reply = (
            b"".join(streams_of(each, direction) for each in tap.recording.connections)
            for direction in (Direction.CLIENT_TO_SERVER, Direction.SERVER_TO_CLIENT)
        )
        return request, reply


async def all_orders(client: ShopClient) -> list[Order]:
    return [order async for order in client.stream_orders(7)]


MOST_CUTS = 300


async def test_a_reply_cut_anywhere_is_never_taken_for_a_whole_one(stream_binding: Binding) -> None:
    whole = await reply_bytes(stream_binding, all_orders)
    # Where both ends settle how much they take, no two conversations are alike: the last bytes of
    # one may come after the answer, and a client that was cut off in the first has not asked yet.
    step = 1 + len(whole) // MOST_CUTS
    alike = unvarying(whole) == unvarying(await reply_bytes(stream_binding, all_orders))
    expected = (ConnectionLost,) if alike else (ConnectionLost, Unavailable)
    with stream_binding.shop() as shop:
        async with stream_binding.serve(stock(shop)) as server:
            for length in {*range(0, len(whole), step), len(whole) - 1}:
                cut = Cut(after_bytes=length, direction=Direction.SERVER_TO_CLIENT)
                async with (
                    Tap(server.address, [cut]) as tap,
                    stream_binding.connect(tap.address, timeout=5) as client,
                ):
                    try:
                        orders = await all_orders(client)
                    except expected:
                        continue
                    assert not alike, f"{orders} after {length} of {len(whole)} bytes"
                    assert len(orders) == 2


BAD_CLIENTS = [*GARBAGE, b"", b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n", b"x" * 200_000]


@pytest.mark.parametrize("data", BAD_CLIENTS, ids=lambda data: repr(data[:12]))
async def test_a_client_that_sends_garbage_disturbs_nobody(
    stream_binding: Binding, data: bytes
) -> None:
    async with connected(stream_binding) as (client, address):
        bad = socket.create_connection((address.host, address.port), timeout=5)
        with bad:
            await asyncio.to_thread(bad.sendall, data)
            assert await client.get_customer(42) == ADA
        assert await client.get_customer(42) == ADA


async def test_false_lengths_and_endless_messages_leave_the_memory_flat(
    stream_binding: Binding,
) -> None:
    with server_process(stream_binding.name) as (address, process):
        async with stream_binding.connect(address, timeout=20) as client:
            await client.get_customer(42)

            def attack(data: bytes) -> None:
                bad = socket.create_connection((address.host, address.port), timeout=5)
                with bad, suppress(OSError):  # it may be refused before all is sent
                    bad.sendall(data)
                    bad.shutdown(socket.SHUT_WR)
                    bad.recv(10_000)

            server = psutil.Process(process.pid)
            await asyncio.to_thread(attack, b"\xff" * 2_000_000)
            before = server.memory_info().rss
            for number in range(20):
                data = [b"\xff\xff\xff\xff", b"\x80\0\0\0", b"x" * 2_000_000][number % 3]
                await asyncio.to_thread(attack, data)
            assert await client.get_customer(42) == ADA
            assert server.memory_info().rss - before < 8_000_000


async def test_half_a_request_then_nothing_disturbs_nobody(stream_binding: Binding) -> None:
    request, _ = await recorded(stream_binding, lambda client: client.get_customer(42))
    async with connected(stream_binding) as (client, address):
        for length in range(len(request)):
            bad = socket.create_connection((address.host, address.port), timeout=5)
            with bad:
                bad.sendall(request[:length])
                if length % 4 == 0:
                    assert await client.get_customer(42) == ADA
        assert await client.get_customer(42) == ADA


async def test_a_request_in_single_bytes_is_answered(stream_binding: Binding) -> None:
    async with connected(stream_binding) as (_, address):
        chop = Chop(1, pause=0, direction=Direction.CLIENT_TO_SERVER)
        async with (
            Tap(address, [chop]) as tap,
            stream_binding.connect(tap.address, timeout=20) as client,
        ):
            assert await client.get_customer(42) == ADA
        sizes = {
            len(chunk.data)
            for chunk in tap.recording.delivered.chunks
            if chunk.direction is Direction.CLIENT_TO_SERVER
        }
        assert sizes == {1}


def unvarying(reply: bytes) -> bytes:
    """A reply without the two headers of HTTP that differ from one request to the next."""
    return re.sub(rb"(?i)(date|x-request-id): [^\r]*", rb"\1", reply)


async def test_a_refused_client_can_read_why(stream_binding: Binding) -> None:
    # Two megabytes without an end: the refusal must arrive although most of it is never read.
    async with connected(stream_binding) as (_, address):
        reader, writer = await asyncio.open_connection(address.host, address.port)
        writer.write(b"\xff" * 200_000)
        async with asyncio.timeout(10):
            answer = await reader.read()
        said = stream_binding.dissect(answer, Direction.SERVER_TO_CLIENT)
        words = " ".join(field.value for field in said.fields)
        assert stream_binding.refusal_says in words
        writer.transport.abort()


async def test_a_client_that_does_not_read_stops_nobody(stream_binding: Binding) -> None:
    prepare = with_orders(2_000, "nanosecond of wire, thirty ch.")
    request, _ = await recorded(stream_binding, all_orders)
    async with connected(stream_binding, prepare) as (client, address):
        deaf = socket.create_connection((address.host, address.port), timeout=5)
        with deaf:
            await asyncio.to_thread(deaf.sendall, request * 3)
            assert await client.get_customer(42) == ADA


async def test_stopping_a_server_frees_its_port_and_its_threads(stream_binding: Binding) -> None:
    process = psutil.Process()
    threads, descriptors = own_threads(), process.num_fds()
    async with connected(stream_binding) as (client, address):
        await client.get_customer(42)
        idle = socket.create_connection((address.host, address.port))
    idle.close()
    with stream_binding.shop() as shop:
        async with stream_binding.serve(shop, port=address.port):
            pass
    await until(lambda: process.num_fds() <= descriptors)
    assert own_threads() == threads


def own_threads() -> set[threading.Thread]:
    """The threads of this process, without the workers that `asyncio.to_thread` keeps."""
    return {each for each in threading.enumerate() if not each.name.startswith("asyncio_")}


async def test_a_server_process_ends_with_its_parent(binding: Binding) -> None:
    with server_process(binding.name) as (_, process):
        assert process.stdin is not None
        process.stdin.close()
        assert await asyncio.to_thread(process.wait, 10) == 0


async def test_a_server_process_ends_at_a_signal(binding: Binding) -> None:
    with server_process(binding.name) as (_, process):
        os.kill(process.pid, signal.SIGTERM)
        assert await asyncio.to_thread(process.wait, 10) == 0


# ---------------------------------------------------------------- the wire itself


async def test_every_byte_of_a_conversation_is_labelled(binding: Binding) -> None:
    async def converse(client: ShopClient) -> None:
        await client.add_customer(1, "Zoë", Decimal("5.00"))
        await client.update_balance(1, Decimal("-1.00"))
        await client.place_order(
            1, "☕" if binding.can_write("☕") else "coffee", 1, Decimal("2.50")
        )
        await all_orders(client)
        await client.list_customers()
        with pytest.raises(CustomerNotFound):
            await client.get_customer(43)
        with pytest.raises(InvalidArgument):
            await client.list_customers(limit=0)

    request, reply = await recorded(binding, converse)
    for data, direction in [
        (request, Direction.CLIENT_TO_SERVER),
        (reply, Direction.SERVER_TO_CLIENT),
    ]:
        dissection = binding.dissect(data, direction)
        kinds = {field.kind for field in dissection.fields}
        assert kinds.isdisjoint({Kind.OPAQUE, Kind.INCOMPLETE})


@pytest.mark.parametrize(("client", "server"), [("binary", "streams"), ("streams", "binary")])
async def test_two_implementations_of_one_protocol_understand_each_other(
    client: str, server: str
) -> None:
    async with (
        BINDINGS[server].serve(stock(Shop())) as running,
        BINDINGS[client].connect(running.address) as caller,
    ):
        assert await caller.get_customer(42) == ADA
        assert len(await all_orders(caller)) == 2


async def test_a_quick_answer_overtakes_a_slow_stream_on_one_connection() -> None:
    async with connected(BINDINGS["streams"], with_orders(5_000)) as (client, _):
        order_of_arrival: list[str] = []

        async def stream() -> None:
            count = len(await all_orders(client))
            order_of_arrival.append(f"{count} orders")

        streaming = asyncio.create_task(stream())
        await asyncio.sleep(0)  # the stream's request is written first
        await client.get_customer(42)
        order_of_arrival.append("customer")
        await streaming
    assert order_of_arrival == ["customer", "5002 orders"]


async def test_a_client_that_waits_for_a_long_stream_is_not_idle(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(streams, "IDLE_SECONDS", 0.02)
    async with connected(BINDINGS["streams"], with_orders(5_000)) as (client, _):
        assert len(await all_orders(client)) == 5_002
