"""Log lines of a service, made comparable from run to run."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from pathlib import Path

_RULES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d([.,]\d+)?(Z|[+-]\d\d:?\d\d)?", "TIME"),
        (r"\b\d\d:\d\d:\d\d([.,]\d+)?\b", "TIME"),
        (r"\b(127\.0\.0\.1|localhost|\[::1\])([: ]) ?\d{2,5}\b", r"\1\2PORT"),
        (r"('127\.0\.0\.1', )\d{2,5}\b", r"\1PORT"),
        (r"\b(port[ =:]+)\d{2,5}\b", r"\1PORT"),
        (r"\b(pid[ =:]+)\d+\b", r"\1PID"),
        (r"\b\d+(\.\d+)? ?(ms|µs|us|ns)\b", r"N \2"),
        (r"\b\d+\.\d+ ?s\b", "N s"),
        (r"\b0x[0-9a-fA-F]{6,16}\b", "ADDRESS"),
        (r"(/tmp|/var/folders)(/[\w.+-]+)+", "PATH"),
    )
)


def normalized(line: str) -> str:
    """Return a log line with times, ports, process ids, durations and temporary paths named only.

    ``12:00:01 127.0.0.1:4711 get_customer 3 ms`` becomes
    ``TIME 127.0.0.1:PORT get_customer N ms``.
    """
    for pattern, replacement in _RULES:
        line = pattern.sub(replacement, line)
    return line


class Log(tuple[str, ...]):
    """Log lines; a cell that ends with one shows them as text."""

    __slots__ = ()

    def __str__(self) -> str:
        """Return the lines as one text."""
        return "\n".join(self) if self else "(no line)"

    __repr__ = __str__


class LogFile:
    """A file that a process writes its log to, read piece by piece."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._position = 0
        self._kept: bytes | None = None

    def keep(self) -> None:
        """Take the contents into memory; the file is not needed any more."""
        if self._kept is None:
            self._kept = self._path.read_bytes()

    def unread(self) -> list[str]:
        """Return the complete lines that no one has read yet, without marking them as read."""
        return self._complete()[0]

    def read(self) -> Log:
        """Return the complete lines that no one has read yet, normalized."""
        lines, length = self._complete()
        self._position += length
        return Log(normalized(line) for line in lines)

    def all(self) -> list[str]:
        """Return every line, as it was written."""
        return self._from(0).decode("utf-8", "replace").splitlines()

    def _complete(self) -> tuple[list[str], int]:
        data = self._from(self._position)
        length = data.rfind(b"\n") + 1
        return data[:length].decode("utf-8", "replace").splitlines(), length

    def _from(self, position: int) -> bytes:
        if self._kept is not None:
            return self._kept[position:]
        with self._path.open("rb") as file:
            file.seek(position)
            return file.read()


class LogListener(logging.Handler):
    """Keeps the records of a logger of this process, for a service that runs in the kernel."""

    def __init__(self) -> None:
        super().__init__()
        self._lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one record."""
        self._lines.append(record.getMessage())

    def log(self) -> Log:
        """Return the lines since the last call, normalized."""
        lines, self._lines = self._lines, []
        return Log(_each_normalized(lines))


def _each_normalized(lines: Iterable[str]) -> Iterable[str]:
    return (normalized(line) for text in lines for line in text.splitlines())
