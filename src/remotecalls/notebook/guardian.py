"""A small process that cleans up after a lab whose kernel was killed.

``atexit`` does not run when a kernel gets SIGKILL, which is how Jupyter restarts one that does not
answer. The guardian reads commands from a pipe whose other end only the kernel holds. When the
kernel is gone, however it went, the pipe ends, and the guardian ends the processes and removes the
directories that it was told of and not told to forget.

Run as ``python -I guardian.py``; it imports the standard library only, so it starts in 20 ms.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from typing import IO, Literal

_PATIENCE = 2.0
"""Seconds that a process gets to end by itself, for it has seen the end of its own pipe."""

Kind = Literal["process", "directory"]


class Guardian:
    """The kernel's end of the pipe. The process starts with the first thing to guard."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._guarded: set[tuple[Kind, str]] = set()

    def guard(self, kind: Kind, what: str) -> None:
        """Clean this up when the kernel ends: a process id, or the path of a directory."""
        self._guarded.add((kind, what))
        self._send("guard", kind, what)

    def forget(self, kind: Kind, what: str) -> None:
        """Leave this alone from now on; with nothing left to guard, the guardian ends."""
        self._guarded.discard((kind, what))
        if self._guarded:
            self._send("forget", kind, what)
        else:
            self.close()

    def close(self) -> None:
        """End the guardian, which cleans up what it still guards, and wait for it."""
        process, self._process = self._process, None
        self._guarded.clear()
        if process is not None and process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()
            process.wait(timeout=_PATIENCE * 2 + 5)

    def _send(self, verb: str, kind: Kind, what: str) -> None:
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", __file__],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                # The kernel's process group is what Jupyter kills.
                start_new_session=True,
                text=True,
                encoding="utf-8",
            )
            for old_kind, old in self._guarded - {(kind, what)}:
                self._write("guard", old_kind, old)
        self._write(verb, kind, what)

    def _write(self, verb: str, kind: Kind, what: str) -> None:
        pipe = self._process.stdin if self._process is not None else None
        if pipe is not None:
            pipe.write(json.dumps([verb, kind, what]) + "\n")
            pipe.flush()


def main(commands: IO[str]) -> None:
    """Read commands until the pipe ends, then clean up."""
    guarded: dict[tuple[str, str], None] = {}
    for line in commands:
        verb, kind, what = json.loads(line)
        if verb == "guard":
            guarded[kind, what] = None
        else:
            guarded.pop((kind, what), None)
    processes = [int(what) for kind, what in guarded if kind == "process"]
    until = time.monotonic() + _PATIENCE
    while any(_alive(process) for process in processes) and time.monotonic() < until:
        time.sleep(0.02)
    for process in processes:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(process, signal.SIGTERM if sys.platform == "win32" else signal.SIGKILL)
    for kind, what in guarded:
        if kind == "directory":
            shutil.rmtree(what, ignore_errors=True)


def _alive(process: int) -> bool:
    if sys.platform == "win32":
        return False  # os.kill(pid, 0) would end it there
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    # Where nothing collects orphans, as in a container without an init, they stay as zombies.
    with contextlib.suppress(OSError), open(f"/proc/{process}/stat", encoding="utf-8") as stat:
        return stat.read().rpartition(")")[2].split()[0] != "Z"
    return True


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    main(sys.stdin)
