"""An operation while it is under way."""

from __future__ import annotations

from collections.abc import Callable

from remotecalls.simulators.consistency.versions import NOTHING, Copies, Version


class Call:
    """One operation of one client, and what becomes of it.

    Attributes:
        number: operations are numbered in the order in which they are called.
        client: who called it.
        node: where its coordinator is.
        key: the number of the key.
        is_write: a write, which writes `value`; otherwise a read.
        called_us: when.
        known: the newest version of the key that the client knows of.
        is_sent: whether a write has left for a replica that may carry it out.
        is_over: whether the client has its answer or has given up.
        version: the version written or read.
        timestamp_us: of a write: what the clock showed from which its version, or its place in a
            log, has its time; None if no clock was asked.
        copies: what a read returned.
    """

    __slots__ = (
        "_on_over",
        "called_us",
        "client",
        "copies",
        "is_over",
        "is_sent",
        "is_write",
        "key",
        "known",
        "node",
        "number",
        "timestamp_us",
        "version",
    )

    def __init__(
        self,
        number: int,
        client: int,
        node: int,
        key: int,
        is_write: bool,
        called_us: int,
        known: Version,
        on_over: Callable[[Call], None],
    ) -> None:
        self.number = number
        self.client = client
        self.node = node
        self.key = key
        self.is_write = is_write
        self.called_us = called_us
        self.known = known
        self.is_sent = False
        self.is_over = False
        self.version: Version = NOTHING
        self.timestamp_us: int | None = None
        self.copies: Copies = ()
        self._on_over = on_over

    @property
    def value(self) -> int:
        """What a write writes: no other write writes the same, and none writes 0."""
        return self.number + 1

    def acknowledge(self) -> None:
        """Tell the client that its write is done, if it still waits."""
        if not self.is_over:
            self.is_over = True
            self._on_over(self)

    def answer(self, copies: Copies, version: Version) -> None:
        """Give the client what it reads, if it still waits."""
        if not self.is_over:
            self.is_over = True
            self.copies, self.version = copies, version
            self._on_over(self)
