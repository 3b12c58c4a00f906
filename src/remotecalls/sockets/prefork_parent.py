"""The parent process of `prefork`: keeps spare children that wait in accept().

    python -m remotecalls.sockets.prefork_parent DESCRIPTOR DATABASE [CONNECTIONS]

The manner of Apache's prefork module. Every child accepts from the same listening socket, and the
kernel gives each connection to one of them. A child writes a byte to a pipe when it becomes busy
and when it is idle again; that is how the parent knows how many are spare. With fewer than
`MINIMUM_SPARE` it forks more, with more than `MAXIMUM_SPARE` it lets some go. A child that dies is
replaced, and one that has served `CONNECTIONS` retires, which bounds what a leak can grow to.
"""

from __future__ import annotations

import os
import select
import selectors
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path

from remotecalls.sockets.children import Children, log_to_parent, logger, serve_one

MINIMUM_SPARE = 2
MAXIMUM_SPARE = 8
MAXIMUM_CHILDREN = 150
CONNECTIONS = 1_000

BUSY, IDLE = b"B", b"I"
PID_BYTES = 4


class Parent:
    """Which children there are, and which of them are busy."""

    def __init__(self, listener: socket.socket, database: Path, connections: int) -> None:
        self._listener = listener
        self._database = database
        self._connections = connections
        self._children = Children()
        self._idle: dict[int, bool] = {}
        self._reports, self._report = os.pipe()

    def run(self) -> None:
        """Keep the number of spare children until standard input ends."""
        with selectors.DefaultSelector() as selector:
            selector.register(sys.stdin.fileno(), selectors.EVENT_READ)
            selector.register(self._children.woken, selectors.EVENT_READ)
            selector.register(self._reports, selectors.EVENT_READ)
            self._keep_spare()
            print("ready", flush=True)
            while True:
                for key, _ in selector.select():
                    if key.fileobj == self._reports:
                        self._read_reports()
                    elif key.fileobj is self._children.woken:
                        for pid in self._children.reap():
                            self._idle.pop(pid, None)
                    elif not os.read(sys.stdin.fileno(), 4_096):
                        self._children.end_all()
                        return
                self._keep_spare()

    def _read_reports(self) -> None:
        # Reports are shorter than PIPE_BUF, so each arrives whole (pipe(7)).
        data = os.read(self._reports, 1_000 * (PID_BYTES + 1))
        for start in range(0, len(data), PID_BYTES + 1):
            pid = int.from_bytes(data[start : start + PID_BYTES], "big")
            if pid in self._idle:
                self._idle[pid] = data[start + PID_BYTES :][:1] == IDLE

    def _keep_spare(self) -> None:
        spare = [pid for pid, idle in self._idle.items() if idle]
        for pid in spare[MAXIMUM_SPARE:]:
            self._children.end(pid)
            self._idle[pid] = False
        for _ in range(MINIMUM_SPARE - len(spare)):
            if len(self._children) >= MAXIMUM_CHILDREN:
                return  # newcomers wait in the kernel's queue
            try:
                self._idle[self._children.fork(self._work)] = True
            except OSError as error:
                logger.warning("fork: %s", error)
                return

    # ------------------------------------------------------------ in a child

    def _work(self) -> None:
        # A signal is a byte on a socket: it cannot fall between accept() and the next line, where
        # it would cost a client its connection.
        signalled, wake = socket.socketpair()
        wake.setblocking(False)
        signal.set_wakeup_fd(wake.fileno())
        signal.signal(signal.SIGTERM, lambda *_: None)
        for _ in range(self._connections):
            connection = self._next_connection(signalled)
            if connection is None:
                return
            self._tell(BUSY)
            serve_one(self._database, connection)
            self._tell(IDLE)

    def _next_connection(self, signalled: socket.socket) -> socket.socket | None:
        while True:
            readable, _, _ = select.select([self._listener, signalled], [], [])
            if signalled in readable:
                return None
            # Every idle child wakes for each newcomer, and one of them gets it: the thundering
            # herd, for which Apache puts a lock around accept().
            with suppress(BlockingIOError):
                return self._listener.accept()[0]

    def _tell(self, state: bytes) -> None:
        os.write(self._report, os.getpid().to_bytes(PID_BYTES, "big") + state)


def main(descriptor: str, database: str, connections: str = str(CONNECTIONS)) -> None:
    """Serve until standard input ends; a child serves at most so many connections."""
    log_to_parent()
    with socket.socket(fileno=int(descriptor)) as listener:
        listener.setblocking(False)
        Parent(listener, Path(database), int(connections)).run()


if __name__ == "__main__":
    main(*sys.argv[1:])
