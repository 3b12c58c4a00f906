"""Child processes that serve connections, and the parent that keeps count of them."""

from __future__ import annotations

import ctypes
import gc
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from remotecalls.shop import Shop
from remotecalls.shop.sqlite import SQLiteRepository
from remotecalls.sockets.binary_protocol import BinaryCodec
from remotecalls.sockets.thread_server import IDLE_SECONDS, serve_connection

logger = logging.getLogger("remotecalls.sockets")

PR_SET_PDEATHSIG = 1


class Children:
    """Forks, reaps and ends children. For a process without threads.

    Attributes:
        woken: becomes readable when a child has ended.
    """

    def __init__(self) -> None:
        # A child that collects garbage writes to each page it looks at, and so copies it; what is
        # there now is never garbage.
        gc.freeze()
        self._pids: set[int] = set()
        self.woken, self._wake = socket.socketpair()
        for end in (self.woken, self._wake):
            end.setblocking(False)
        signal.set_wakeup_fd(self._wake.fileno())
        signal.signal(signal.SIGCHLD, lambda *_: None)  # only the wake-up is wanted
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # standard input says when to stop

    def __len__(self) -> int:
        return len(self._pids)

    def fork(self, run: Callable[[], None]) -> int:
        """Start a child that runs a function and ends; returns its process id.

        Raises:
            OSError: the system has no room for another process.
        """
        parent = os.getpid()
        if pid := os.fork():
            self._pids.add(pid)
            return pid
        status = 1
        try:
            _end_with(parent)
            self._become_child()
            run()
            status = 0
        except Exception:  # the last line of defense: a child must not return into the parent
            logger.exception("a child failed")
        finally:
            sys.stdout.flush()
            os._exit(status)

    def reap(self) -> list[int]:
        """Take note of the children that have ended: their process ids."""
        with suppress(BlockingIOError):
            while self.woken.recv(4_096):
                pass
        ended = []
        while self._pids:
            pid, _ = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            self._pids.discard(pid)
            ended.append(pid)
        return ended

    def end(self, pid: int) -> None:
        """Ask one child to end when its present connection has."""
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)

    def end_all(self) -> None:
        """Kill every child and wait for it; a child in the middle of a transaction rolls back."""
        for pid in self._pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for pid in self._pids:
            os.waitpid(pid, 0)
        self._pids.clear()

    def _become_child(self) -> None:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self.woken.close()
        self._wake.close()


def _end_with(parent: int) -> None:
    """Have this process killed when its parent ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it ended before we asked
            os._exit(1)


def serve_one(database: Path, connection: socket.socket) -> None:
    """Serve one connection to its end, with a database connection of this process's own."""
    with connection, SQLiteRepository(database) as repository:
        connection.settimeout(IDLE_SECONDS)
        try:
            serve_connection(Shop(repository), BinaryCodec(), connection)
        except OSError as error:  # reset, or timed out
            logger.info("connection ended: %s", error)


def log_to_parent() -> None:
    """Write log lines as the program that started this process reads them."""
    # When that program is killed, the last lines have nobody to go to.
    logging.raiseExceptions = False
    logging.basicConfig(
        stream=sys.stdout, format="%(levelname)s %(message)s", level=logging.INFO, force=True
    )
