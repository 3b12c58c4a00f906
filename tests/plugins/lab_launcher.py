"""Run a command without a network, then see what it left behind.

``python lab_launcher.py RESULT COMMAND...`` runs the command and writes a JSON object to the file
RESULT: ``status`` (the exit status), ``unplugged`` (how the network was taken away) and
``survivors`` (processes that still ran three seconds after the command ended, with the ports they
listened on). It ends the survivors.

On Linux the command gets a network namespace of its own, with the loopback interface only, and the
launcher adopts every orphan below it, so that no process escapes by leaving its parent. Elsewhere,
and where namespaces are forbidden, an audit hook in every Python process refuses to connect to
another machine, and processes are found by the marker in their environment.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil

MARKER = "REMOTECALLS_LAB_RUN"
GRACE_SECONDS = 3.0

_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000
_PR_SET_CHILD_SUBREAPER = 36


def main(result: Path, command: list[str]) -> None:
    environment = dict(os.environ)
    unplugged = "namespace" if enter_empty_network() else "audit hook"
    if unplugged == "audit hook":
        hooks = str(Path(__file__).parent / "unplugged")
        environment["PYTHONPATH"] = os.pathsep.join(
            [hooks, *filter(None, [environment.get("PYTHONPATH")])]
        )
    adopt_orphans()
    status = subprocess.run(command, env=environment, check=False).returncode
    survivors = wait_for_end()
    for process, _ in survivors:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    found = {
        "status": status,
        "unplugged": unplugged,
        "survivors": [description for _, description in survivors],
    }
    result.write_text(json.dumps(found), "utf-8")


def enter_empty_network() -> bool:
    """Move to a network namespace that has the loopback interface only; say whether that worked."""
    if sys.platform != "linux" or os.environ.get("REMOTECALLS_NO_NAMESPACE"):
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNET) != 0:
        user, group = os.getuid(), os.getgid()
        if libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET) != 0:
            return False
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    raise_loopback()
    return True


def raise_loopback() -> None:
    """Do what ``ip link set lo up`` does (netdevice(7))."""
    import fcntl
    import socket
    import struct

    get_flags, set_flags, up = 0x8913, 0x8914, 0x1
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sh14x", b"lo", 0)
        answer = fcntl.ioctl(any_socket, get_flags, request)
        flags = struct.unpack("16sh14x", answer)[1]
        fcntl.ioctl(any_socket, set_flags, struct.pack("16sh14x", b"lo", flags | up))


def adopt_orphans() -> None:
    """Become the parent of every process below whose own parent ends (prctl(2))."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def wait_for_end() -> list[tuple[psutil.Process, str]]:
    """Wait until no process of the run is left; return those that stay."""
    until = time.monotonic() + GRACE_SECONDS
    while (left := running()) and time.monotonic() < until:
        time.sleep(0.02)
    return [(process, describe(process)) for process in left]


def running() -> list[psutil.Process]:
    me = psutil.Process()
    found = {process.pid: process for process in me.children(recursive=True)}
    marker = os.environ[MARKER]
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.environ().get(MARKER) == marker and process.pid not in (me.pid, me.ppid()):
                found[process.pid] = process
    return [process for process in found.values() if not collected(process)]


def collected(process: psutil.Process) -> bool:
    """Take the exit status of an adopted process that has ended; say whether it has."""
    try:
        if process.status() != psutil.STATUS_ZOMBIE:
            return False
    except psutil.NoSuchProcess:
        return True
    with contextlib.suppress(ChildProcessError):
        os.waitpid(process.pid, os.WNOHANG)
    return True


def describe(process: psutil.Process) -> str:
    try:
        ports = sorted(
            connection.laddr.port
            for connection in process.net_connections("inet")
            if connection.status == psutil.CONN_LISTEN
        )
        command = " ".join(process.cmdline())
    except psutil.Error as error:
        return f"process {process.pid} ({type(error).__name__})"
    return f"process {process.pid}, listening on {ports or 'no port'}: {command}"


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
