"""The house: each room imports only from the floors below it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "remotecalls"

# Room: the rooms that it may import. What is not listed here does not exist.
ALLOWED: dict[str, set[str]] = {
    "shop": set(),
    "wire": set(),
    "simulators": set(),
    "wsgi": set(),
    "booksite": {"wsgi"},
    "doctor": set(),
    "process": {"wire"},
    "figures": {"simulators"},
    "plots": {"figures"},
    "sockets": {"shop", "wire"},
    "rest": {"shop", "wire", "wsgi"},
    "bindings": {"shop", "wire", "sockets", "rest", "grpc"},
    "envoy": {"wire"},
    "grpc": {"shop", "wire", "process", "envoy"},
    "tuplespaces": {"wire", "process"},
    "actors": {"wire", "simulators"},
    "notebook": {
        *("shop", "wire", "simulators", "figures", "plots", "sockets", "rest", "grpc"),
        *("envoy", "bindings", "tuplespaces", "actors"),
    },
    "cli": {"shop", "wire", "tuplespaces", "bindings", "booksite", "doctor", "notebook"},
    "__main__": {"cli"},
    "__init__": set(),
}


def rooms() -> Iterator[tuple[str, Path]]:
    for path in sorted(SOURCE.rglob("*.py")):
        yield path.relative_to(SOURCE).parts[0].removesuffix(".py"), path


def _names_a_module(value: object) -> bool:
    """Whether a constant is the name of a module, which may be imported when it is needed."""
    found = re.fullmatch(r"remotecalls\.(\w+)(\.\w+)*", value) if isinstance(value, str) else None
    return found is not None and found[1] in ALLOWED


def imported_rooms(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: write imports from remotecalls in full"
            module = node.module or ""
            names.update(f"{module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Constant) and _names_a_module(node.value):
            names.add(node.value)
    ours = [name.split(".") for name in names if name.startswith("remotecalls.")]
    return {parts[1] for parts in ours}


def test_every_room_is_on_the_plan() -> None:
    assert {room for room, _ in rooms()} == ALLOWED.keys()


@pytest.mark.parametrize("room", ALLOWED)
def test_a_room_imports_only_what_lies_below(room: str) -> None:
    for owner, path in rooms():
        if owner == room:
            strangers = imported_rooms(path) - ALLOWED[room] - {room}
            assert not strangers, f"{path.name} imports {strangers}"


def test_the_plan_has_no_circles() -> None:
    placed: set[str] = set()
    while placed != ALLOWED.keys():
        floor = {room for room in ALLOWED.keys() - placed if ALLOWED[room] <= placed}
        assert floor, f"a circle among {sorted(ALLOWED.keys() - placed)}"
        placed |= floor


def test_simulators_and_figures_need_the_standard_library_and_simpy_alone() -> None:
    # They also run in the browser, where nothing else is installed.
    import sys

    for room, path in rooms():
        if room in {"simulators", "figures"}:
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.ImportFrom):
                    top = (node.module or "").split(".")[0]
                elif isinstance(node, ast.Import):
                    top = node.names[0].name.split(".")[0]
                else:
                    continue
                known = top in sys.stdlib_module_names or top in {"simpy", "remotecalls"}
                assert known, f"{path.name} imports {top}"
