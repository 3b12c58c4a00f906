"""Where a server listens."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Address:
    """A host and a port.

    Args:
        host: an IPv4 address or a host name.
        port: 1 to 65535, or 0 for "any free port" where a server is asked to listen.

    Raises:
        ValueError: the port is outside 0..65535 or the host is empty.
    """

    host: str
    port: int

    def __post_init__(self) -> None:
        if not self.host:
            raise ValueError("the host is empty: write 127.0.0.1 for this machine")
        if not 0 <= self.port <= 65535:
            raise ValueError(f"port {self.port} is outside 0..65535")

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read `host:port`.

        Raises:
            ValueError: the text is not of that form.
        """
        host, colon, port = text.rpartition(":")
        if not colon or not port.isascii() or not port.isdigit():
            raise ValueError(f"{text!r} is not host:port, such as 127.0.0.1:4711")
        return cls(host, int(port))

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"
