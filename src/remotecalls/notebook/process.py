"""A service of the book in a process of its own: ``python -m remotecalls serve NAME``."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from remotecalls.notebook.logs import Log, LogFile
from remotecalls.notebook.waiting import eventually
from remotecalls.wire.address import Address

_LISTENING = re.compile(r"listening on (\S+:\d+)")


class ServiceError(Exception):
    """A service did not start, or did not stop; the message holds the end of its log."""


class Service:
    """A service in its own process, listening on a port of 127.0.0.1 that the system chose.

    The process reads its standard input to the end and then stops. The other end of that pipe is
    in this process only, so the service also stops when this process is killed.

    Attributes:
        name: the service's name.
        address: where it listens.
        pid: its process id.
    """

    def __init__(self, name: str, process: subprocess.Popen[bytes], log: LogFile) -> None:
        self.name = name
        self.pid = process.pid
        self._process = process
        self._log = log
        self._address: Address | None = None
        self._on_end: list[Callable[[], object]] = []

    @classmethod
    def launch(cls, name: str, arguments: Sequence[str], log_path: Path) -> Service:
        """Start the process; :meth:`ready` waits for it."""
        command = [
            *(sys.executable, "-m", "remotecalls", "serve", name),
            *("--port", "0", "--exit-with-parent", *arguments),
        ]
        # A file, not a pipe: a service that logs more than anyone reads must not stop, and a line
        # that it wrote before it answered is there when the answer is.
        with log_path.open("wb") as log:
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                # Interrupting the kernel signals its process group; the service is not meant.
                start_new_session=True,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )
        return cls(name, process, LogFile(log_path))

    @property
    def address(self) -> Address:
        """Where the service listens."""
        if self._address is None:
            raise ServiceError(f"{self.name} does not listen yet")
        return self._address

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        if self._process.poll() is None:
            return True
        self._ended()
        return False

    def __repr__(self) -> str:
        """Return a text that is the same in every run."""
        return f"<service {self.name}: {'running' if self.alive else 'ended'}>"

    async def ready(self, seconds: float) -> None:
        """Wait until the service says where it listens.

        Raises:
            ServiceError: it ended, or said nothing in time.
        """
        try:
            await eventually(seconds, lambda: self._look() or not self.alive, "it listens")
        except TimeoutError:
            raise self._failed(f"did not listen within {seconds:g} s") from None
        if not self._look():
            raise self._failed(f"ended with exit status {self._process.returncode}")
        self._log.read()

    def log(self, lines: int = 0, seconds: float = 2.0) -> Log:
        """Return the log lines since the last call, with times and ports made comparable.

        Args:
            lines: wait until so many lines are there; for a service that logs after it answered.
            seconds: how long to wait for them.

        Raises:
            ServiceError: they were not there in time.
        """
        until = time.monotonic() + seconds
        while len(self._log.unread()) < lines:
            if time.monotonic() > until:
                raise ServiceError(
                    f"{self.name} wrote {len(self._log.unread())} of {lines} log lines "
                    f"within {seconds:g} s"
                )
            time.sleep(0.005)
        return self._log.read()

    def kill(self) -> None:
        """Kill the process (SIGKILL) and wait until it is gone; its connections break."""
        self._process.kill()
        self._process.wait(timeout=5)
        self._ended()

    async def stop(self, seconds: float) -> None:
        """Stop the service: close its standard input, and kill it at the deadline.

        Raises:
            ServiceError: it did not stop in time, and was killed.
        """
        await asyncio.to_thread(self.stop_now, seconds)

    def stop_now(self, seconds: float) -> None:
        """Do what :meth:`stop` does, without an event loop."""
        if not self.alive:
            return
        self._close_input()
        try:
            self._process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise self._failed(f"did not stop within {seconds:g} s and was killed") from None
        self._ended()

    def when_ended(self, call: Callable[[], object]) -> None:
        """Call this once when the process is known to have ended."""
        self._on_end.append(call)

    def _look(self) -> bool:
        for line in self._log.unread():
            found = _LISTENING.search(line)
            if found:
                self._address = Address.parse(found[1])
                return True
        return self._address is not None

    def _ended(self) -> None:
        self._close_input()
        self._log.keep()
        calls, self._on_end = self._on_end, []
        for call in calls:
            call()

    def _close_input(self) -> None:
        if self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()

    def _failed(self, what: str) -> ServiceError:
        tail = "\n".join(f"    {line}" for line in self._log.all()[-10:]) or "    (empty)"
        return ServiceError(f"the service {self.name!r} {what}; the end of its log:\n{tail}")
