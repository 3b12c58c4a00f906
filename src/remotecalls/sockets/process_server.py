"""A server whose connections are served by processes: what `fork` and `prefork` share.

A process that runs threads must not fork: the child has a copy of every lock and none of the
threads that would release them. The program that serves (a test, a notebook kernel) has threads.
So it starts a *parent* process, `python -m remotecalls.sockets.fork_parent`, hands it the
listening socket, and that one forks.

All of them end together. The parent process reads its standard input and ends when that does. Each
child asks the kernel for a signal at its parent's death (prctl(2), on Linux); elsewhere a child
that waits for its client ends at its idle time-out.
"""

from __future__ import annotations

import logging
import select
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

from remotecalls.shop import Shop
from remotecalls.shop.sqlite import SQLiteRepository
from remotecalls.wire.address import Address

logger = logging.getLogger("remotecalls.sockets")

BACKLOG = 1_024
START_SECONDS = 20.0
STOP_SECONDS = 5.0
READY = b"ready\n"


def database_of(shop: Shop) -> Path:
    """The file that several processes can open.

    Raises:
        ValueError: the shop is kept in memory, which no other process can see.
    """
    repository = shop.repository
    if isinstance(repository, SQLiteRepository) and str(repository.path) != ":memory:":
        return Path(repository.path)
    raise ValueError(
        "processes cannot share a shop that is kept in memory: give it an SQLiteRepository with a "
        "file, as Binding.shop() does"
    )


class ProcessServer:
    """The parent process, seen from the program that started it.

    Args:
        module: what it runs, with `python -m`.
        shop: kept in a file.
        host: the address to listen on.
        port: the port, or 0 for any free one.
        options: further arguments of the module.

    Raises:
        OSError: the address is in use or not of this machine.
        ValueError: the shop is kept in memory.
        RuntimeError: the process did not start.
    """

    def __init__(self, module: str, shop: Shop, host: str, port: int, *options: str) -> None:
        database = database_of(shop)
        self._module = module
        with socket.create_server((host, port), backlog=BACKLOG) as listener:
            self.address = Address(*listener.getsockname()[:2])
            command = [sys.executable, "-m", module, str(listener.fileno()), str(database)]
            self._process = subprocess.Popen(
                [*command, *options],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                pass_fds=[listener.fileno()],
            )
        try:
            self._wait_until_ready()
        except BaseException:
            self._process.kill()
            self._close_pipes()
            raise
        # Children log to the pipe; their lines join this program's log.
        self._log = threading.Thread(target=self._pass_on_log, name="log of children", daemon=True)
        self._log.start()

    @property
    def pid(self) -> int:
        """The parent process; the processes that serve are its children."""
        return self._process.pid

    def stop(self) -> None:
        """End the parent process and its children.

        Raises:
            RuntimeError: it had to be killed, because it did not end within `STOP_SECONDS`.
        """
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise RuntimeError(f"{self._module} did not stop in {STOP_SECONDS:g} s") from None
        finally:
            self._process.wait()
            self._log.join(STOP_SECONDS)
            self._close_pipes()

    def _wait_until_ready(self) -> None:
        assert self._process.stdout is not None
        readable, _, _ = select.select([self._process.stdout], [], [], START_SECONDS)
        line = self._process.stdout.readline() if readable else b""
        if line != READY:
            raise RuntimeError(f"{self._module} did not start; its first line was {line!r}")

    def _pass_on_log(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            level, _, message = line.decode(errors="replace").rstrip("\n").partition(" ")
            logger.log(logging.getLevelNamesMapping().get(level, logging.WARNING), "%s", message)

    def _close_pipes(self) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        self._process.wait()
