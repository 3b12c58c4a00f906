"""schemathesis against the running service: all its phases, all its checks, no failure."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path

import pytest

from remotecalls.rest.application import CONTRACT, create_app, standard_filters
from remotecalls.rest.asgi import App, Receive, Scope, Send
from remotecalls.rest.http_server import running
from remotecalls.rest.problems import Problem
from remotecalls.shop import Shop
from remotecalls.shop.sample import stock

HERE = Path(__file__).parent
CASES = 500


class Count:
    """Counts the requests for each operation of the contract."""

    def __init__(self, app: App, seen: Counter[str]) -> None:
        self._app = app
        self._seen = seen

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            operation, _ = CONTRACT.operation_at(scope["method"], scope["path"])
            self._seen[operation.operation_id] += 1
        except Problem:
            self._seen["of none"] += 1  # a path with a slash too many, an unknown method
        await self._app(scope, receive, send)


async def attack(*options: str) -> tuple[int, str, Counter[str]]:
    """Run schemathesis; its exit code, what it printed, and what the service saw."""
    seen: Counter[str] = Counter()
    filters = [lambda app: Count(app, seen), *standard_filters()]
    command = ["-m", "schemathesis.cli", "--config-file", str(HERE / "schemathesis.toml"), "run"]
    environment = {
        **os.environ,
        "PYTHONPATH": str(HERE),
        "SCHEMATHESIS_HOOKS": "schemathesis_hooks",
    }
    async with running(create_app(stock(Shop()), filters)) as server:
        directory = tempfile.mkdtemp(prefix="schemathesis-")  # it leaves files where it runs
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *command,
            f"http://{server.address}/openapi.yaml",
            *("--checks", "all", "--seed", "1", "--no-color", *options),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=environment,
            cwd=directory,
        )
        try:
            output, _ = await asyncio.wait_for(process.communicate(), 500)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
            shutil.rmtree(directory)
    assert process.returncode is not None
    return process.returncode, output.decode(errors="replace"), seen


@pytest.mark.timeout(540)
@pytest.mark.parametrize("tag", ["service", "customers", "orders"])
async def test_no_generated_request_breaks_the_contract(tag: str) -> None:
    phases = "examples,coverage,fuzzing"
    code, output, seen = await attack("--phases", phases, "--include-tag", tag)
    assert code == 0, output[-4_000:]
    operations = {
        name
        for name, operation in CONTRACT.operations.items()
        if tag in operation_tags(operation.template, operation.method)
    }
    assert operations
    assert min(seen[name] for name in operations) >= CASES, seen


def operation_tags(template: str, method: str) -> list[str]:
    tags: list[str] = CONTRACT.document["paths"][template][method.lower()]["tags"]
    return tags


@pytest.mark.timeout(240)
async def test_no_sequence_of_requests_along_the_links_breaks_the_contract() -> None:
    code, output, seen = await attack("--phases", "stateful", "--max-time", "15")
    assert code == 0, output[-4_000:]
    assert seen["editCustomer"] > 0
    assert seen["getOrder"] > 0
