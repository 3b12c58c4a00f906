"""Servers for tests: as a process of their own, or as peers that misbehave."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

from remotecalls.wire.address import Address

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextmanager
def server_process(name: str, *options: str) -> Iterator[tuple[Address, subprocess.Popen[bytes]]]:
    """`python -m remotecalls serve NAME`, which ends with the block or with this process."""
    command = [sys.executable, "-m", "remotecalls", "serve", name, "--exit-with-parent", *options]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            first_line = process.stdout.readline().decode()
            found = re.fullmatch(r"listening on (\S+)\n", first_line)
            assert found, f"the server's first line was {first_line!r}"
            yield Address.parse(found[1]), process
        finally:
            process.kill()
            process.stdin.close()


@asynccontextmanager
async def peer(handler: Handler) -> AsyncIterator[Address]:
    """A server that does to each connection what the handler says."""
    connections: list[asyncio.StreamWriter] = []

    async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(writer)
        await handler(reader, writer)

    server = await asyncio.start_server(accepted, "127.0.0.1", 0)
    try:
        yield Address(*server.sockets[0].getsockname())
    finally:
        server.close()
        for writer in connections:
            writer.transport.abort()
        await server.wait_closed()
