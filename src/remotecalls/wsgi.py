"""waitress inside of this process: one loop that reads and writes, a few threads that answer."""

from __future__ import annotations

import socket
import threading
import time
from typing import TYPE_CHECKING, Any

from waitress.channel import HTTPChannel
from waitress.server import create_server
from waitress.wasyncore import close_all

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

LINGER_SECONDS = 1.0


class LingeringChannel(HTTPChannel):  # type: ignore[misc]  # waitress has no types
    """A connection that is closed in two steps.

    A server that closes while bytes are on their way to it makes its system answer them with a
    reset, and the client may lose the answer that came before. So it ends its own half first, and
    reads on for a moment (RFC 9112, section 9.6).
    """

    will_close: bool
    _until: float | None = None

    def handle_close(self) -> None:
        """Everything is sent, or the client has gone."""
        if self._until is None and self.will_close:
            self._until = time.monotonic() + LINGER_SECONDS
            self.will_close = False
            try:
                self.socket.shutdown(socket.SHUT_WR)
            except OSError:  # the client was first
                super().handle_close()
        else:
            super().handle_close()

    def readable(self) -> bool:
        """Whether to wait for bytes; the loop asks at least once a second."""
        if self._until is None:
            return bool(super().readable())
        if time.monotonic() < self._until:
            return True
        super().handle_close()
        return False

    def received(self, data: bytes) -> bool:
        """Take bytes; nobody is interested in those after an answer that was the last."""
        return self._until is None and bool(super().received(data))


class WSGIServer:
    """A running server; `stop` it.

    Args:
        application: called by several threads at once.
        host: an address of this machine.
        port: 0 for any that is free.
        backlog: connections that may wait to be accepted; None for what the system thinks right.
        adjustments: waitress's own settings.

    Attributes:
        host: where it listens.
        port: the same.

    Raises:
        OSError: the address is in use or not of this machine.
    """

    def __init__(
        self,
        application: WSGIApplication,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        backlog: int | None = None,
        **adjustments: Any,
    ) -> None:
        self._connections: dict[int, Any] = {}
        self._listener = socket.create_server((host, port), backlog=backlog)
        self.host, self.port = self._listener.getsockname()[:2]
        self._server = create_server(
            application,
            map=self._connections,
            sockets=[self._listener],
            clear_untrusted_proxy_headers=True,
            **adjustments,
        )
        self._server.channel_class = LingeringChannel
        self._loop = threading.Thread(target=self._server.run, name="waitress", daemon=True)
        self._loop.start()

    def stop(self) -> None:
        """Let the requests that are being answered end, for at most five seconds, and close."""
        self._server.task_dispatcher.shutdown()
        trigger = self._server.trigger
        # Only the loop's own thread may close what the loop is selecting on, its trigger included.
        # Under the lock it cannot do so between the two lines, when it is awake for another reason.
        with trigger.lock:
            trigger.thunks.append(lambda: close_all(self._connections))
            trigger.pull_trigger()
        self._loop.join()
        self._listener.close()
