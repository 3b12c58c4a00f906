"""The compiled modules say what their sources say."""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from remotecalls.actors.otp import OtpNode, running_node
from remotecalls.actors.otp.compilation import CODE, SOURCES, compile_all, pairs


async def differences(node: OtpNode, source: Path, module: Path) -> object:
    beam = await asyncio.to_thread(module.read_bytes)
    return await node.rpc("source_check", "differences", str(source), beam)


async def test_each_module_has_the_syntax_tree_of_its_source() -> None:
    async with running_node() as node:
        found = {source.name: await differences(node, source, module) for source, module in pairs()}
    assert len(found) >= 14
    assert found == {name: [] for name in found}


async def test_a_source_that_was_changed_shows(tmp_path: Path) -> None:
    source = SOURCES / "order_server.erl"
    changed = tmp_path / source.name
    changed.write_text(source.read_text().replace("Cents > 0", "Cents > 1"))
    moved = tmp_path / "moved.erl"
    moved.write_text("\n\n" + source.read_text())
    async with running_node() as node:
        module = (CODE / "order_server.beam").resolve()
        only = await differences(node, changed, module)
        assert isinstance(only, list)
        assert len(only) == 2  # the function as one has it, and as the other has it
        assert await differences(node, moved, module) == []


def test_no_module_is_without_a_source() -> None:
    assert {module for _, module in pairs()} == set(CODE.rglob("*.beam"))


def test_the_application_names_its_modules() -> None:
    named = re.search(r"{modules, \[(.*?)\]}", (CODE / "shop.app").read_text())
    assert named
    for module in named[1].split(", "):
        assert (CODE / f"{module}.beam").exists()


def compilers_version() -> str | None:
    """The version of the compiler on the search path; None if there is none."""
    erl = shutil.which("erl")
    if erl is None or shutil.which("erlc") is None:
        return None
    ask = (
        "application:load(compiler), {ok, V} = application:get_key(compiler, vsn), io:put_chars(V)"
    )
    command = [erl, "-noshell", "-eval", f"{ask}, halt()."]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


@pytest.fixture
def remade(tmp_path: Path) -> Path:
    version = compilers_version()
    made_by = re.findall(rb"\d+\.\d+(?:\.\d+)*", (CODE / "shop.beam").read_bytes())
    if version is None or version.encode() not in made_by:
        pytest.skip("the compiler that made the modules is not here")
    compile_all(tmp_path)
    return tmp_path


def test_the_compiler_makes_the_same_bytes_again(remade: Path) -> None:
    for (_, ours), (_, again) in zip(pairs(), pairs(remade), strict=True):
        assert again.read_bytes() == ours.read_bytes(), ours.name
