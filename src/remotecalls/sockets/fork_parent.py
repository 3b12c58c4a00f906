"""The parent process of `fork`: accepts, and forks a child for each connection.

    python -m remotecalls.sockets.fork_parent DESCRIPTOR DATABASE

DESCRIPTOR is an inherited listening socket. Ends when its standard input does.
"""

from __future__ import annotations

import os
import selectors
import socket
import sys
from pathlib import Path

from remotecalls.sockets.children import Children, log_to_parent, logger, serve_one

MAXIMUM_CHILDREN = 1_024


def main(descriptor: str, database: str) -> None:
    """Accept and fork until standard input ends."""
    log_to_parent()
    with socket.socket(fileno=int(descriptor)) as listener:
        listener.setblocking(False)
        run(listener, Path(database))


def run(listener: socket.socket, database: Path) -> None:
    """The loop: newcomers, children that have ended, and the end of standard input."""
    children = Children()
    with selectors.DefaultSelector() as selector:
        selector.register(sys.stdin.fileno(), selectors.EVENT_READ)
        selector.register(children.woken, selectors.EVENT_READ)
        selector.register(listener, selectors.EVENT_READ)
        print("ready", flush=True)
        while True:
            for key, _ in selector.select():
                if key.fileobj is children.woken:
                    children.reap()
                    if listener not in selector.get_map():
                        selector.register(listener, selectors.EVENT_READ)
                elif key.fileobj is listener:
                    accept(listener, database, children)
                    if len(children) >= MAXIMUM_CHILDREN:
                        # Newcomers wait in the kernel's queue until a child has ended.
                        selector.unregister(listener)
                elif not os.read(sys.stdin.fileno(), 4_096):
                    children.end_all()
                    return


def accept(listener: socket.socket, database: Path, children: Children) -> None:
    """Give the next client a process of its own."""
    try:
        connection, _ = listener.accept()
    except BlockingIOError:
        return  # the client left the queue again

    def serve() -> None:
        listener.close()
        serve_one(database, connection)

    with connection:  # the child has a descriptor of its own
        try:
            children.fork(serve)
        except OSError as error:
            logger.warning("fork: %s", error)


if __name__ == "__main__":
    main(*sys.argv[1:])
