"""Whether a process runs."""

from __future__ import annotations

import psutil


def alive(pid: int) -> bool:
    """Whether there is such a process; one that has ended and was not waited for counts as none."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
