"""A node of Erlang/OTP as a process: how it starts, where it listens, and that nothing stays."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import textwrap
from pathlib import Path

import psutil
import pytest

from remotecalls.actors.otp import Atom, NodeFailed, OtpNode, program, running_node
from remotecalls.actors.otp.program import node_process
from remotecalls.wire.errors import ConnectionLost, DeadlineExceeded, Unavailable

ERLANG = {"beam.smp", "epmd", "erl_child_setup", "erlexec", "inet_gethost"}


def erlang_processes(of: int | None = None) -> set[psutil.Process]:
    """Those among the descendants of a process; of this one by default."""
    family = psutil.Process(of).children(recursive=True)
    return {each for each in family if each.name() in ERLANG}


def port_mappers() -> set[psutil.Process]:
    """The epmd of this OTP that run on this machine. A daemon is nobody's child."""
    return {
        each
        for each in psutil.process_iter()
        if each.name() == "epmd" and each.exe().startswith(str(program.erl().parents[1]))
    }


def test_it_is_the_real_one() -> None:
    assert program.erl().name == "erl"


async def test_it_listens_on_this_machine_alone_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.delattr("asyncio.subprocess.Process.kill")  # it ends when it is asked to
    before = port_mappers()
    async with running_node() as node:
        assert await node.rpc("erlang", "node") is not None
        process = psutil.Process(node.process_id)
        listening = [each for each in process.net_connections() if each.status == "LISTEN"]
        assert [each.laddr for each in listening] == [(node.address.host, node.address.port)]
        assert node.address.host == "127.0.0.1"
        ours = erlang_processes()
        assert {"beam.smp", "erl_child_setup"} <= {each.name() for each in ours}
        assert port_mappers() == before
        assert os.listdir(tmp_path) == []  # the cookie's file is gone already
    _, alive = psutil.wait_procs(ours, timeout=10)
    assert [each for each in alive if each.status() != psutil.STATUS_ZOMBIE] == []
    assert erlang_processes() == set()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((node.address.host, node.address.port), timeout=1)


async def test_nobody_can_read_the_cookie_from_the_process() -> None:
    async with running_node() as node:
        process = psutil.Process(node.process_id)
        seen = [*process.cmdline(), *process.environ().values(), *node.log, repr(node._process)]
        assert len(node.cookie) == 32
        assert not [each for each in seen if node.cookie in each]


async def test_two_nodes_differ_in_name_port_and_cookie() -> None:
    async with running_node() as one, running_node() as two:
        assert one.name != two.name
        assert one.address != two.address
        assert one.cookie != two.cookie


async def test_it_ends_when_the_block_raises() -> None:
    async def run() -> None:
        async with running_node():
            assert erlang_processes()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await run()
    assert erlang_processes() == set()


async def test_it_ends_when_the_task_that_runs_it_is_cancelled() -> None:
    up = asyncio.Event()

    async def run() -> None:
        async with running_node():
            up.set()
            await asyncio.sleep(60)

    running = asyncio.create_task(run())
    await asyncio.wait_for(up.wait(), 30)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert erlang_processes() == set()


async def test_it_ends_even_when_it_does_not_hear(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "STOP_SECONDS", 0.2)
    async with running_node() as node:
        os.kill(node.process_id, signal.SIGSTOP)
    assert erlang_processes() == set()


def test_it_ends_when_the_process_that_started_it_is_killed(tmp_path: Path) -> None:
    source = """
        import asyncio
        from remotecalls.actors.otp import running_node

        async def main():
            async with running_node():
                print("up", flush=True)
                await asyncio.sleep(60)

        asyncio.run(main())
    """
    command = [sys.executable, "-c", textwrap.dedent(source)]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"up\n"
        ours = erlang_processes(parent.pid)
        assert {"beam.smp", "erl_child_setup"} <= {each.name() for each in ours}
        os.kill(parent.pid, signal.SIGKILL)
    _, alive = psutil.wait_procs(ours, timeout=10)
    assert [each for each in alive if each.status() != psutil.STATUS_ZOMBIE] == []
    assert os.listdir(tmp_path) == []


async def test_a_node_that_does_not_start_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(program, "CODE", tmp_path / "nothing here")
    with pytest.raises(NodeFailed, match=r"node ended; it says: .*node_directory"):
        async with node_process():
            pass
    assert os.listdir(tmp_path) == []
    assert erlang_processes() == set()


async def test_a_node_that_is_too_slow_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "START_SECONDS", 0.001)
    with pytest.raises(NodeFailed, match=r"does not listen after 0.001 s"):
        async with node_process():
            pass
    assert erlang_processes() == set()


async def test_without_otp_it_says_what_to_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv("OTP_ROOT", "/nowhere")
    with pytest.raises(NodeFailed, match="OTP_ROOT has to name"):
        async with node_process():
            pass
    assert os.listdir(tmp_path) == []


async def test_settings_of_the_caller_do_not_reach_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ERL_FLAGS", "-no_such_flag -setcookie other +S 7")
    async with running_node(schedulers=1) as node:
        assert "-setcookie" not in psutil.Process(node.process_id).cmdline()
        assert await node.rpc("erlang", "system_info", Atom("schedulers")) == 1


async def test_the_node_dies_in_the_middle_of_a_call() -> None:
    async with running_node() as node:
        sleeping = ("timer", "sleep", 60_000)
        calls = [asyncio.create_task(node.rpc(*sleeping, timeout=60)) for _ in range(2)]
        await node.rpc("erlang", "node")  # both have left before
        os.kill(node.process_id, signal.SIGKILL)
        outcomes = await asyncio.wait_for(asyncio.gather(*calls, return_exceptions=True), 10)
        assert [type(each) for each in outcomes] == [ConnectionLost, ConnectionLost]
        assert str(outcomes[0]) == f"{node.name} ended the connection while rex was being called"
        with pytest.raises(Unavailable, match="ended the connection"):
            await node.rpc("erlang", "node")
        with pytest.raises(Unavailable, match="ended the connection"):
            node.cast("nobody", 1)


async def call_without_end(node: OtpNode) -> None:
    while True:
        await node.rpc("erlang", "node", timeout=0.1)


async def test_a_node_that_hangs_takes_no_longer_than_the_deadline() -> None:
    async with running_node() as node:
        os.kill(node.process_id, signal.SIGSTOP)
        with pytest.raises(DeadlineExceeded, match=r"no answer within 0\.1 s"):
            await call_without_end(node)  # it hangs soon, not at once
        os.kill(node.process_id, signal.SIGCONT)
        assert await node.rpc("erlang", "node", timeout=30) is not None
        assert node.late == 1  # the answer to the call that was given up
