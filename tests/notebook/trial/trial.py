"""Exercises of a lab that exists in these tests only."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

from remotecalls.notebook.exercises import Answer, Attempt, Exercise, attempt


def check_count(answer: Answer) -> Iterator[Attempt]:
    yield attempt(
        'count(b"a\\nb\\n")', lambda: answer(b"a\nb\n"), 2, "Each newline ends one message."
    )
    yield attempt(
        'count(b"a\\nb")',
        lambda: answer(b"a\nb"),
        1,
        "The bytes after the last newline are not a message yet.",
    )


async def check_echo(answer: Answer) -> AsyncIterator[Attempt]:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readline())
        await reader.read()
        writer.close()

    async with await asyncio.start_server(echo, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        yield attempt(
            'await ask(port, b"hello")',
            lambda: answer(port, b"hello"),
            b"hello\n",
            "Send the line with its newline and return what came back.",
        )


EXERCISES = (
    Exercise(
        "count",
        "Count the messages",
        minutes=10,
        lines=2,
        hints=("Which byte ends a message?", "bytes has a method count."),
        check=check_count,
        task="Write `count(data)`.",
    ),
    Exercise(
        "echo",
        "Ask an echo server",
        minutes=10,
        lines=6,
        hints=("asyncio.open_connection returns two streams.", "A line ends with a newline."),
        check=check_echo,
        seconds=0.5,
    ),
)
