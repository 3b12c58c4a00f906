"""A service of the book as a process of its own."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from remotecalls.wire.address import Address


@contextmanager
def server_process(name: str, *options: str) -> Iterator[tuple[Address, subprocess.Popen[bytes]]]:
    """Run `python -m remotecalls serve NAME` for as long as the block lasts.

    The process ends with the block, and also when the process that started it is killed: it
    watches the pipe that is its standard input.

    Args:
        name: the service, as `python -m remotecalls serve --help` lists them.
        options: further options of the command.

    Raises:
        RuntimeError: it ended without listening; its standard error says why.
    """
    command = [sys.executable, "-m", "remotecalls", "serve", name, "--exit-with-parent", *options]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            first_line = process.stdout.readline().decode()
            found = re.fullmatch(r"listening on (\S+)\n", first_line)
            if found is None:
                raise RuntimeError(f"{name} did not start; its first line was {first_line!r}")
            yield Address.parse(found[1]), process
        finally:
            process.kill()
