"""What ran a benchmark: printed above its table and kept with its numbers."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import psutil


def machine() -> dict[str, str | int]:
    """The processor, its cores, the memory, the system and Python."""
    model = next(
        (
            line.split(":")[1].strip()
            for line in _lines("/proc/cpuinfo")
            if line.startswith("model name")
        ),
        platform.processor(),
    )
    return {
        "processor": model,
        "cores": os.cpu_count() or 0,
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def headline(machine: dict[str, str | int]) -> str:
    """The machine in one line."""
    words = "{processor}, {cores} cores, {memory_gib} GiB, {system}, Python {python}"
    return words.format(**machine)


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except FileNotFoundError:
        return []
