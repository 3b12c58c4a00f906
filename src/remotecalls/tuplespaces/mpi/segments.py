"""Shared memory that killed ranks have left behind.

The ranks of one machine talk through a file in `/dev/shm`, some megabytes for a job. MPICH removes
it when the ranks end well; if one is killed it stays until the machine is started anew. Nothing
says which job a file belonged to, so a file is taken for an orphan if no process uses it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

SHARED_MEMORY = Path("/dev/shm")
PF_EXITING = 0x4
"""A flag of the kernel, include/linux/sched.h."""

_NAME = re.compile(r"mpich_\w+")


def remove_orphaned_segments(since_ns: int) -> list[str]:
    """Remove MPICH's segments of this user that no process uses; does nothing off Linux.

    Args:
        since_ns: leave those alone that are older, in nanoseconds of `time.time_ns`.

    Returns:
        Their names.
    """
    # The order matters. A process that uses a segment has first an open file and then a mapping
    # of it; files are looked at before mappings, so that it is seen on whichever side it is.
    found = {path.name: path for path in _segments(since_ns)}
    if not found:
        return []
    used = set(_open_files()) | set(_mapped_files())
    orphans = sorted(found.keys() - used)
    for name in orphans:
        found[name].unlink(missing_ok=True)
    return orphans


def _segments(since_ns: int) -> Iterator[Path]:
    if not SHARED_MEMORY.is_dir():
        return
    for path in SHARED_MEMORY.iterdir():
        try:
            status = path.stat()
        except FileNotFoundError:
            continue
        # The clock of a file system is a few milliseconds coarse.
        made = status.st_mtime_ns >= since_ns - 50_000_000
        if _NAME.fullmatch(path.name) and status.st_uid == os.getuid() and made:
            yield path


def _open_files() -> Iterator[str]:
    for path in _of_processes("fd"):
        try:
            yield from (Path(os.readlink(each)).name for each in path.iterdir())
        except (FileNotFoundError, PermissionError, ProcessLookupError):
            continue  # it has ended, or belongs to somebody else, as its segments then do


def _mapped_files() -> Iterator[str]:
    for path in _of_processes("maps"):
        try:
            text = path.read_text(errors="replace")
        except (FileNotFoundError, PermissionError, ProcessLookupError):
            continue
        yield from (Path(name).name for name in re.findall(r"/dev/shm/(\S+)", text))


def _of_processes(name: str) -> Iterator[Path]:
    for path in Path("/proc").iterdir():
        if path.name.isdigit() and not _is_ending(path):
            yield path / name


def _is_ending(process: Path) -> bool:
    """Whether a process has begun to end: its memory is gone, its files may still be open."""
    try:
        # proc_pid_stat(5): the name in parentheses may hold anything, flags are the ninth field.
        fields = (process / "stat").read_text(errors="replace").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return True
    return bool(int(fields[6]) & PF_EXITING)
