"""A space on a socket: bad input, clients that die or do not read, and the server's end."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import space_programs
from hypothesis import given, settings
from hypothesis import strategies as st
from waiting_for import eventually

from remotecalls.process import server_process
from remotecalls.tuplespaces import (
    ANY,
    InvalidField,
    InvalidPattern,
    RemoteTupleSpace,
    SpaceClosed,
    TooManyOperations,
    TupleSpace,
    TupleSpaceServer,
    framed,
    satisfies,
    session,
    session_operations,
)
from remotecalls.tuplespaces.framed import FramedStream
from remotecalls.wire.address import Address
from remotecalls.wire.errors import (
    ConnectionLost,
    DeadlineExceeded,
    ProtocolError,
    ServerFailed,
    Unavailable,
)
from serving import peer

HELLO = {"protocol": "tuplespace", "version": 1}
SECONDS = 20.0


def frame(message: object) -> bytes:
    body = message if isinstance(message, bytes) else json.dumps(message).encode()
    return len(body).to_bytes(4, "big") + body


class RawClient:
    """A client that says what it likes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def say(self, *messages: object) -> None:
        for message in messages:
            self.writer.write(frame(message))
        await self.writer.drain()

    async def hear(self) -> Any:
        async with asyncio.timeout(SECONDS):
            length = int.from_bytes(await self.reader.readexactly(4), "big")
            return json.loads(await self.reader.readexactly(length))

    async def ask(self, number: int, operation: str, **content: object) -> Any:
        await self.say({"id": number, "operation": operation, **content})
        return await self.hear()

    async def is_over(self) -> bool:
        """Whether the server has closed the connection, and said nothing more."""
        async with asyncio.timeout(SECONDS):
            return await self.reader.read(1) == b""


@asynccontextmanager
async def raw_client(address: Address, *, greet: bool = True) -> AsyncIterator[RawClient]:
    reader, writer = await asyncio.open_connection(address.host, address.port)
    client = RawClient(reader, writer)
    try:
        if greet:
            await client.say(HELLO)
            assert await client.hear() == HELLO
        yield client
    finally:
        writer.transport.abort()


@asynccontextmanager
async def serving() -> AsyncIterator[TupleSpaceServer]:
    """A server, which must be of use to others at the end, and hold nothing of those who left."""
    async with TupleSpaceServer() as server:
        yield server
        async with RemoteTupleSpace(server.address) as space:
            await space.write("still", "here")
            assert await space.take("still", ANY, timeout=SECONDS) == ("still", "here")
        await eventually(lambda: not server._sessions)
        statistics = server.space.statistics()
        assert (statistics.waiting, statistics.transactions, statistics.alarms) == (0, 0, 0)


# ---------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("first", "says"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "announces 1,195,725,856 bytes"),
        (b"\xff\xff\xff\xff", "announces 4,294,967,295 bytes"),
        (b"\x00\x01\x00\x01", "announces 65,537 bytes"),
        (frame(b"\x80\x04K\x01."), "is not JSON"),
        (frame(b"[" * 50_000), "is not JSON"),
        (frame([1]), "holds list"),
        (frame({"protocol": "tuplespace", "version": 2}), "'version': 2"),
        (frame({"id": 1, "operation": "take"}), "the first message was"),
        (frame(HELLO) + frame({"operation": "take"}), "'id' is 'None'"),
        (frame(HELLO) + frame({"id": True}), "'id' is 'True'"),
        (frame(HELLO) + frame({"id": 1, "operation": "keep", "kept": 5}), "'kept' is not"),
        (frame(HELLO) + frame({"id": 1, "operation": "keep", "kept": [{}]}), "'kept' is not"),
        (frame(HELLO) + frame({"id": 1, "operation": "keep"}) * 2, "request 1 came after 1"),
    ],
)
async def test_what_cannot_be_followed_is_refused_and_the_connection_closed(
    first: bytes, says: str
) -> None:
    async with serving() as server, raw_client(server.address, greet=False) as client:
        client.writer.write(first)
        answer = await client.hear()
        if answer == HELLO:
            answer = await client.hear()
        assert answer["id"] is None
        assert answer["error"] == "ProtocolError"
        assert says in answer["detail"]
        assert await client.is_over()


@pytest.mark.parametrize(
    ("request_", "error", "says"),
    [
        ({"operation": "eat"}, "ProtocolError", "no operation 'eat'; there is write, take"),
        ({"operation": ["take"]}, "ProtocolError", "no operation"),
        ({}, "ProtocolError", "no operation 'None'"),
        ({"operation": "write"}, "ProtocolError", "fields are a JSON array"),
        ({"operation": "write", "fields": []}, "InvalidField", "at least one"),
        ({"operation": "write", "fields": [1.5]}, "ProtocolError", "not a field: 1.5"),
        ({"operation": "write", "fields": [[1]]}, "ProtocolError", "not a field"),
        ({"operation": "write", "fields": [{"bytes": "?"}]}, "ProtocolError", "bytes of"),
        ({"operation": "write", "fields": [{"float": "nan"}]}, "ProtocolError", "float of"),
        ({"operation": "write", "fields": [1], "lease": "x"}, "ProtocolError", "'lease'"),
        ({"operation": "write", "fields": [1], "lease": -1}, "ValueError", "a lease of -1.0"),
        ({"operation": "write", "fields": [1], "lease": 10**400}, "ProtocolError", "seconds"),
        ({"operation": "take", "pattern": {}}, "ProtocolError", "a pattern is a JSON array"),
        ({"operation": "take", "pattern": []}, "InvalidPattern", "at least one"),
        ({"operation": "take", "pattern": [{"type": "list"}]}, "InvalidPattern", "no type 'list'"),
        ({"operation": "take", "pattern": [{"at_least": None}]}, "InvalidPattern", "bounds"),
        ({"operation": "take", "pattern": [1], "timeout": None}, "ValueError", "timeout of inf"),
        ({"operation": "take", "pattern": [1], "timeout": 0}, "ValueError", "timeout of 0.0"),
        ({"operation": "take", "pattern": [1], "transaction": 9}, "TransactionEnded", "no trans"),
        ({"operation": "take", "pattern": [1], "transaction": []}, "ProtocolError", "transaction"),
        ({"operation": "begin", "timeout": "soon"}, "ProtocolError", "'timeout' is 'soon'"),
        ({"operation": "commit"}, "ProtocolError", "which transaction"),
        ({"operation": "renew", "lease": [1]}, "ProtocolError", "two whole numbers"),
        ({"operation": "renew", "lease": [1, 99]}, "LeaseEnded", "this lease is over"),
        ({"operation": "notify", "pattern": [1], "buffer": 0}, "ValueError", "a buffer of 0"),
        ({"operation": "cancel", "target": "x"}, "ProtocolError", "'target'"),
    ],
)
async def test_a_request_that_makes_no_sense_is_answered_and_the_connection_goes_on(
    request_: dict[str, object], error: str, says: str
) -> None:
    async with serving() as server, raw_client(server.address) as client:
        await client.say({"id": 1, **request_})
        answer = await client.hear()
        assert (answer["id"], answer["error"]) == (1, error)
        assert says in answer["detail"]
        assert await client.ask(2, "read_if_present", pattern=[1]) == {"id": 2, "fields": None}
        assert server.space.statistics().tuples == 0


async def test_half_a_message_harms_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(framed, "FRAME_SECONDS", 0.05)
    async with serving() as server:
        async with raw_client(server.address) as leaver:
            await leaver.ask(1, "begin", timeout=60)
            leaver.writer.write(frame({"id": 2, "operation": "write", "fields": [1]})[:-1])
            await leaver.writer.drain()
        async with raw_client(server.address) as waiter:
            waiter.writer.write(b"\x00\x00")
            answer = await waiter.hear()
            assert (answer["id"], answer["error"]) == (None, "ProtocolError")
            assert "half of a message" in answer["detail"]
            assert await waiter.is_over()


async def test_who_does_not_greet_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "HELLO_SECONDS", 0.05)
    async with serving() as server, raw_client(server.address, greet=False) as client:
        assert "came for too long" in (await client.hear())["detail"]
        assert await client.is_over()


async def test_silence_between_messages_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(framed, "FRAME_SECONDS", 0.02)
    monkeypatch.setattr(session, "HELLO_SECONDS", 5.0)
    async with serving() as server, raw_client(server.address) as client:
        await asyncio.sleep(0.2)
        assert await client.ask(1, "read_if_present", pattern=[1]) == {"id": 1, "fields": None}


async def test_good_requests_before_a_bad_frame_are_answered() -> None:
    async with serving() as server, raw_client(server.address) as client:
        client.writer.write(frame({"id": 1, "operation": "write", "fields": ["a"]}) + b"\xff" * 4)
        assert (await client.hear())["id"] == 1
        assert (await client.hear())["error"] == "ProtocolError"
        assert server.space.statistics().tuples == 1


@settings(max_examples=50)
@given(st.lists(st.binary(max_size=40), max_size=5), st.booleans(), st.booleans())
def test_no_noise_brings_the_server_down(parts: list[bytes], greet: bool, framed_: bool) -> None:
    async def main() -> None:
        async with serving() as server, raw_client(server.address, greet=greet) as client:
            for part in parts:
                client.writer.write(frame(part) if framed_ else part)
            client.writer.write_eof()
            async with asyncio.timeout(SECONDS):
                await client.reader.read()

    asyncio.run(main())


# ---------------------------------------------------------------- limits


async def test_a_tuple_that_no_frame_can_carry_is_refused_and_not_lost() -> None:
    async with serving() as server, RemoteTupleSpace(server.address) as space:
        with pytest.raises(InvalidField, match="70,015 bytes in a message"):
            await space.write("big", "x" * 70_000)
        await server.space.write("big", "x" * 70_000)
        with pytest.raises(InvalidField, match="keep large data elsewhere"):
            await space.take("big", ANY)
        with pytest.raises(InvalidField):
            await space.read_all("big", ANY)
        taker = asyncio.create_task(space.take("later", ANY))
        await eventually(lambda: server.space.statistics().waiting == 1)
        await server.space.write("later", "x" * 70_000)
        with pytest.raises(InvalidField):
            await taker
        assert server.space.statistics().tuples == 2
        with pytest.raises(ProtocolError, match="over the limit"):
            await space.take("big", "x" * 70_000)
        assert await space.write("works", 1)
        await space.take("works", 1)


async def test_a_function_does_not_leave_its_process() -> None:
    async with serving() as server, RemoteTupleSpace(server.address) as space:
        with pytest.raises(InvalidPattern, match=r"pattern\[1\] is satisfies.*cannot be sent"):
            await space.take("a", satisfies(lambda value: True))


async def test_operations_of_one_connection_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_operations, "MAXIMUM_WAITING", 3)
    monkeypatch.setattr(session_operations, "MAXIMUM_TRANSACTIONS", 1)
    monkeypatch.setattr(session_operations, "MAXIMUM_SUBSCRIPTIONS", 1)
    async with serving() as server, RemoteTupleSpace(server.address) as space:
        takers = [asyncio.create_task(space.take("a", number)) for number in range(3)]
        await eventually(lambda: server.space.statistics().waiting == 3)
        with pytest.raises(TooManyOperations, match="3 operations of this connection wait"):
            await space.take("a", 3)
        await space.write("a", 0)  # what need not wait goes on, and can free them
        assert await takers[0] == ("a", 0)
        async with space.transaction():
            second = space.transaction()
            with pytest.raises(TooManyOperations, match="1 transactions"):
                await second.__aenter__()
        async with space.transaction(), space.notify("b"):
            other = space.notify("b")
            with pytest.raises(TooManyOperations, match="1 subscriptions"):
                await other.__aenter__()
        async with space.notify("b"):
            pass
        for taker in takers[1:]:
            taker.cancel()


async def test_takes_that_are_never_confirmed_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "MAXIMUM_UNCONFIRMED", 2)
    async with serving() as server, raw_client(server.address) as client:
        for number in range(4):
            await server.space.write("a", number)
        for number in range(3):
            await client.ask(number, "take", pattern=["a", {"any": True}])
        answer = await client.ask(3, "take", pattern=["a", {"any": True}])
        assert "never confirmed" in answer["detail"]
        await eventually(lambda: server.space.statistics().tuples == 4)


async def test_a_client_that_reads_nothing_is_not_read_any_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(session_operations, "MAXIMUM_WAITING", 100)
    monkeypatch.setattr(framed, "WRITE_SECONDS", 0.4)
    async with serving() as server:
        await server.space.write("big", "x" * 50_000)
        await server.space.write("all", 1)
        request = {"operation": "read", "pattern": ["big", {"any": True}]}
        everything = {"operation": "read_all", "pattern": [{"any": True}, {"any": True}]}
        events = {"operation": "notify", "pattern": ["event", {"any": True}]}
        accepted = 0
        sizes = []
        write = FramedStream.write

        def write_and_measure(stream: FramedStream, message: dict[str, Any]) -> None:
            write(stream, message)
            sizes.append(stream._writer.transport.get_write_buffer_size())

        monkeypatch.setattr(FramedStream, "write", write_and_measure)

        async def flood(silent: socket.socket) -> None:
            nonlocal accepted
            loop = asyncio.get_running_loop()
            await loop.sock_sendall(silent, frame(HELLO) + frame({"id": 0} | events))
            for number in range(1, 1_000_000):
                about = everything if number % 2 else request
                async with asyncio.timeout(SECONDS):
                    await loop.sock_sendall(silent, frame({"id": number} | about))
                await server.space.write("event", "y" * 10_000)
                await server.space.take("event", ANY)
                accepted = number

        with socket.create_connection((server.address.host, server.address.port)) as silent:
            silent.setblocking(False)
            with pytest.raises(OSError, match=r"reset|Broken pipe"):  # after WRITE_SECONDS
                await flood(silent)
        # What there was room for, and a message each of whoever found that there was.
        assert 65_536 < max(sizes) <= 65_536 + 2 * 65_540
        assert accepted < 100_000
        await eventually(lambda: not server._sessions)


# ---------------------------------------------------------------- clients that go


@pytest.mark.parametrize("kill", [False, True])
async def test_a_client_that_dies_leaves_nothing_behind(kill: bool) -> None:
    """In process and killed: the transaction is undone, and the next one gets the task."""
    async with serving() as server:
        await server.space.write("task", 1)
        await server.space.write("price", 5)
        command = [sys.executable, space_programs.__file__, "hold", str(server.address)]
        process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.DEVNULL)
        try:
            await server.space.take("holding", process.pid, timeout=60.0)
            async with RemoteTupleSpace(server.address) as other:
                assert await other.take_if_present("task", ANY) is None
                assert await other.take_if_present("price", ANY) is None
                assert await other.read_if_present("price", ANY) == ("price", 5)
                waiting = asyncio.create_task(other.take("task", ANY, timeout=60.0))
                await eventually(lambda: server.space.statistics().waiting == 2)
                process.send_signal(signal.SIGKILL if kill else signal.SIGINT)
                assert await waiting == ("task", 1)
                assert await other.take("price", ANY, timeout=SECONDS) == ("price", 5)
                assert await other.read_if_present("result", ANY) is None
                await eventually(lambda: server.space.statistics().waiting == 0)
                await other.write("never")
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        await server.space.take("never", timeout=1.0)


async def test_a_tuple_that_was_sent_to_a_dead_client_comes_back() -> None:
    """The client dies with the answer unread: it is put back, unless the client confirmed it."""
    async with serving() as server:
        async with raw_client(server.address) as client:
            await client.say({"id": 1, "operation": "take", "pattern": ["a", {"any": True}]})
            await eventually(lambda: server.space.statistics().waiting == 1)
            await server.space.write("a", 1)
            await server.space.write("a", 2)
            assert (await client.hear())["fields"] == ["a", 1]
            assert (await client.ask(2, "take", pattern=["a", 2], kept=[1]))["fields"] == ["a", 2]
        assert await server.space.take("a", ANY, timeout=SECONDS) == ("a", 2)
        assert await server.space.read_all("a", ANY) == ()


async def test_a_take_is_final_once_the_caller_has_it() -> None:
    async with serving() as server:
        space = RemoteTupleSpace(server.address)
        await space.__aenter__()
        await server.space.write("a", 1)
        assert await space.take("a", ANY) == ("a", 1)
        [(session_, _)] = server._sessions.values()
        await eventually(lambda: not session_._unconfirmed)  # without a further request
        assert space._connection is not None
        space._connection._stream.abort()
        await eventually(lambda: not server._sessions)
        assert await server.space.read_all("a", ANY) == ()
        await space.__aexit__(None, None, None)


async def test_a_take_just_before_hanging_up_is_final() -> None:
    async with serving() as server:
        await server.space.write("a", 1)
        async with RemoteTupleSpace(server.address) as space:
            assert await space.take("a", ANY) == ("a", 1)
        await eventually(lambda: not server._sessions)
        assert await server.space.read_all("a", ANY) == ()


async def test_a_tuple_that_could_not_be_sent_any_more_comes_back() -> None:
    """It was taken for a client whose connection has no room, and ends before there is any."""
    async with serving() as server:
        async with raw_client(server.address) as client:
            await client.say({"id": 1, "operation": "take", "pattern": ["a", {"any": True}]})
            await eventually(lambda: server.space.statistics().waiting == 1)
            [(_, stream)] = server._sessions.values()
            await stream._turn.acquire()
            await server.space.write("a", 1)
            await asyncio.sleep(0.01)
            assert await server.space.read_if_present("a", ANY) is None
        assert await server.space.take("a", ANY, timeout=SECONDS) == ("a", 1)
        stream._turn.release()


async def test_an_answer_that_comes_as_its_caller_gives_up_is_put_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The time is over, the answer arrives, and only then does the caller run again."""
    async with serving() as server, RemoteTupleSpace(server.address) as space:
        await server.space.write("a", 1)
        connection = space._connection
        assert connection is not None
        received = connection._received

        def too_late(message: dict[str, Any]) -> None:
            for request in connection._requests.values():
                connection._give_up(request, "take")
            received(message)

        monkeypatch.setattr(connection, "_received", too_late)
        with pytest.raises(DeadlineExceeded, match="did not answer take in time"):
            await space.take("a", ANY)
        assert await server.space.take("a", ANY, timeout=SECONDS) == ("a", 1)


async def test_a_canceled_begin_leaves_no_transaction_open() -> None:
    async with serving() as server, RemoteTupleSpace(server.address) as space:
        for steps in range(8):
            block = space.transaction(timeout=60.0)
            beginning = asyncio.create_task(block.__aenter__())
            for _ in range(steps):
                await asyncio.sleep(0)
            beginning.cancel()
            await asyncio.wait([beginning])
            if not beginning.cancelled():
                await beginning.result().abort()
        await eventually(lambda: server.space.statistics().transactions == 0)


# ---------------------------------------------------------------- servers that go


async def test_a_server_that_stops_says_so_to_everybody_who_waits() -> None:
    server = TupleSpaceServer()
    async with RemoteTupleSpace((await server.__aenter__()).address) as space:
        tasks = [asyncio.create_task(each) for each in (space.take("a"), space.read("a"))]
        async with space.notify("a") as events:
            await eventually(lambda: server.space.statistics().waiting == 2)
            await server.__aexit__(None, None, None)
            for task in tasks:
                with pytest.raises(SpaceClosed, match="the server stops"):
                    await task
            with pytest.raises(SpaceClosed, match="the server stops"):
                await events.next(SECONDS)
        with pytest.raises(SpaceClosed, match="the server stops"):
            await space.write("a")
    with pytest.raises(SpaceClosed):
        _ = server.address
    with pytest.raises(SpaceClosed, match="one block"):
        await server.__aenter__()


async def test_a_server_stops_though_a_client_does_not_go(monkeypatch: pytest.MonkeyPatch) -> None:
    async with TupleSpaceServer() as server, raw_client(server.address):
        async with asyncio.timeout(SECONDS):
            await server.__aexit__(None, None, None)
        assert not server._sessions


async def test_a_server_leaves_the_space_that_it_was_given_open() -> None:
    async with TupleSpace() as space:
        async with (
            TupleSpaceServer(space=space) as server,
            RemoteTupleSpace(server.address) as remote,
        ):
            await remote.write("a", 1)
        assert await space.take("a", ANY) == ("a", 1)


async def test_a_server_that_is_killed_breaks_the_connection() -> None:
    with server_process("tuplespace") as (address, process):
        async with RemoteTupleSpace(address) as space:
            await space.write("a", 1)
            taker = asyncio.create_task(space.take("b", timeout=60.0))
            async with space.notify("a", ANY) as events:
                block = space.transaction()
                await block.__aenter__()
                process.kill()
                for wait in (taker, events.next(SECONDS), block.__aexit__(None, None, None)):
                    with pytest.raises(ConnectionLost, match=r"closed the connection|broke"):
                        await wait
            with pytest.raises(ConnectionLost):
                await space.take("a")
        process.wait(30)
        with pytest.raises(Unavailable, match=f"no tuple space at {address}"):
            await RemoteTupleSpace(address).__aenter__()


async def test_the_command_serves_a_space_and_stops_at_a_signal() -> None:
    with server_process("tuplespace") as (address, process):
        async with RemoteTupleSpace(address) as space:
            await space.write("a", 1)
            taker = asyncio.create_task(space.take("b", timeout=60.0))
            assert await space.take("a", ANY) == ("a", 1)
            process.send_signal(signal.SIGTERM)
            with pytest.raises(SpaceClosed, match="the server stops"):
                await taker
        assert process.wait(30) == 0


def test_the_command_refuses_a_database() -> None:
    command = [sys.executable, "-m", "remotecalls", "serve", "tuplespace", "--database", "x"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "tuplespace has no database" in done.stderr
    assert not Path("x").exists()


# ---------------------------------------------------------------- servers that misbehave


@pytest.mark.parametrize(
    ("says", "error", "match"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", ProtocolError, "announces"),
        (frame({"protocol": "tuplespace", "version": 9}), ProtocolError, "'version': 9"),
        (frame({"id": None, "error": "ProtocolError", "detail": "no"}), ProtocolError, "no"),
        (b"", ConnectionLost, "hung up"),
        (b"\x00\x00", ProtocolError, "incomplete message"),
    ],
)
async def test_a_client_refuses_who_does_not_greet(
    says: bytes, error: type[Exception], match: str
) -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(says)
        writer.write_eof()

    async with peer(handler) as address:
        with pytest.raises(error, match=match):
            await RemoteTupleSpace(address).__aenter__()


async def test_a_client_does_not_wait_for_ever_for_a_greeting() -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0)

    async with peer(handler) as address:
        with pytest.raises(DeadlineExceeded, match=r"no greeting of .* in 0.05 s"):
            await RemoteTupleSpace(address, timeout=0.05).__aenter__()


@pytest.mark.parametrize(
    ("answer", "error", "match"),
    [
        ({"id": 1}, ProtocolError, "no 'fields'"),
        ({"id": 1, "error": "ServerFailed", "detail": "ouch"}, ServerFailed, "ouch"),
        ({"id": 1, "error": "Strange", "detail": "ouch"}, ServerFailed, "ouch"),
        ({"id": [1]}, ProtocolError, "no answer"),
        ({"event": {}}, ProtocolError, "no answer"),
        ({"id": None, "error": "ProtocolError", "detail": "enough"}, ProtocolError, "enough"),
        (b"garbage", ProtocolError, "not JSON"),
    ],
)
async def test_answers_that_make_no_sense_end_the_wait(
    answer: object, error: type[Exception], match: str
) -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(frame(HELLO))
        await reader.read(1_000)
        writer.write(frame(answer))

    async with peer(handler) as address, RemoteTupleSpace(address) as space:
        with pytest.raises(error, match=match):
            await space.take("a", timeout=SECONDS)


async def test_a_server_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("remotecalls.tuplespaces.connection.GRACE_SECONDS", 0.05)
    heard: list[bytes] = []

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(frame(HELLO))
        while data := await reader.read(1_000):
            heard.append(data)

    async with peer(handler) as address, RemoteTupleSpace(address) as space:
        with pytest.raises(DeadlineExceeded, match="did not answer take in time"):
            await space.take("a", timeout=0.05)
        await eventually(lambda: b'"operation":"cancel"' in b"".join(heard))
