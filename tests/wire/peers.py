"""Servers and clients for the tests of the taps, and a check that a tap leaves nothing behind."""

import asyncio
import gc
import socket
import struct
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

import psutil

from remotecalls.wire.address import Address

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

LOCAL = "127.0.0.1"


@asynccontextmanager
async def server(handler: Handler) -> AsyncIterator[Address]:
    """A TCP server of asyncio; its connections are closed at the end."""
    tasks: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await handler(reader, writer)
        finally:
            writer.close()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.create_task(handle(reader, writer)))

    serving = await asyncio.start_server(accept, LOCAL, 0)
    try:
        yield Address(*serving.sockets[0].getsockname())
    finally:
        serving.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await serving.wait_closed()


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send back what comes, until it ends."""
    try:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        return


@asynccontextmanager
async def connected(address: Address) -> AsyncIterator[socket.socket]:
    """A client's socket for the `sock_` methods of the loop: nothing between test and system."""
    loop = asyncio.get_running_loop()
    with socket.socket() as sock:
        sock.setblocking(False)
        await loop.sock_connect(sock, (address.host, address.port))
        yield sock


async def send(sock: socket.socket, data: bytes) -> None:
    """Send all of it."""
    await asyncio.get_running_loop().sock_sendall(sock, data)


async def receive(sock: socket.socket, size: int = 65_536, timeout: float = 5.0) -> bytes:
    """One read.

    Raises:
        TimeoutError: nothing came.
    """
    async with asyncio.timeout(timeout):
        return await asyncio.get_running_loop().sock_recv(sock, size)


async def receive_all(sock: socket.socket, timeout: float = 5.0) -> bytes:
    """Everything up to the end of the stream."""
    data = bytearray()
    while piece := await receive(sock, timeout=timeout):
        data += piece
    return bytes(data)


def abort(sock: socket.socket) -> None:
    """Close by RST."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


@contextmanager
def nothing_left() -> Iterator[None]:
    """Fail if the block leaves a task, a thread, a descriptor or an unclosed socket."""
    process = psutil.Process()
    gc.collect()
    tasks = _tasks()
    threads = set(threading.enumerate())
    descriptors = process.num_fds()
    yield
    gc.collect()  # an unclosed socket warns here, and a warning is an error
    assert _tasks() == tasks
    assert set(threading.enumerate()) == threads
    assert process.num_fds() == descriptors


def _tasks() -> set[asyncio.Task[object]]:
    try:
        return asyncio.all_tasks()
    except RuntimeError:  # no loop is running
        return set()
