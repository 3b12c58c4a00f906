"""A service of the book as a process of its own."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO

from remotecalls.wire.address import Address

START_SECONDS = 30.0


@contextmanager
def server_process(name: str, *options: str) -> Iterator[tuple[Address, subprocess.Popen[bytes]]]:
    """Run `python -m remotecalls serve NAME` for as long as the block lasts.

    The process ends with the block, and also when the process that started it is killed: it
    watches the pipe that is its standard input.

    Args:
        name: the service, as `python -m remotecalls serve --help` lists them.
        options: further options of the command.

    Raises:
        RuntimeError: it did not listen within `START_SECONDS`; its standard error says why.
    """
    command = [sys.executable, "-m", "remotecalls", "serve", name, "--exit-with-parent", *options]
    with listening_process(name, command) as started:
        yield started


@contextmanager
def listening_process(
    name: str, command: Sequence[str]
) -> Iterator[tuple[Address, subprocess.Popen[bytes]]]:
    """Run a command whose first line is "listening on HOST:PORT", for as long as the block lasts.

    Args:
        name: what the message of an error calls it.
        command: the program and its arguments. Its standard output is read and thrown away.

    Raises:
        RuntimeError: it did not listen within `START_SECONDS`; its standard error says why.
    """
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        # A process that hangs before it listens is killed, and the line below reads its end.
        overdue = threading.Timer(START_SECONDS, process.kill)
        overdue.start()
        # It logs each request: unread, the pipe would fill and the server stop in the middle.
        drain = threading.Thread(target=_read_to_the_end, args=[process.stdout], daemon=True)
        try:
            first_line = process.stdout.readline().decode()
            overdue.cancel()
            drain.start()
            found = re.fullmatch(r"listening on (\S+)\n", first_line)
            if found is None:
                raise RuntimeError(f"{name} did not start; its first line was {first_line!r}")
            yield Address.parse(found[1]), process
        finally:
            overdue.cancel()
            process.kill()
            if drain.ident is not None:
                drain.join()


def _read_to_the_end(stream: IO[bytes]) -> None:
    for _ in stream:
        pass
