"""Solutions of a lab that exists in these tests only."""

import asyncio

from remotecalls.notebook.solutions import Wrong


def count(data: bytes) -> int:
    """Count the newlines."""
    return data.count(b"\n")


async def ask(port: int, line: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(line + b"\n")
    answer = await reader.readline()
    writer.close()
    return answer


SOLUTIONS = {"count": count, "echo": ask}
WRONG = [
    Wrong("count", "splits", lambda data: len(data.split(b"\n")), "Each newline ends one"),
    Wrong("count", "splits lines", lambda data: len(data.splitlines()), "after the last newline"),
]
