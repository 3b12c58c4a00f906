"""The runner of labs finds what it is for: each kind of damage, in a notebook that has it."""

from __future__ import annotations

import os
from pathlib import Path

import nbformat
import pytest
from notebooks import execute_as, make_notebook
from psutil import process_iter

from plugins.lab_runner import run_lab

SET_UP = 'from remotecalls.notebook import Lab\n\nlab = Lab("forgetful")'
LINE = "Lab 'forgetful' is set up: 0 exercises, 0 quizzes.\n"

UNPLUGGED = """\
import socket, urllib.request
refused = 0
for host in ("192.0.2.1", "book.example", "2001:db8::1"):
    try:
        socket.create_connection((host, 80), timeout=5).close()
    except OSError:
        refused += 1
print(refused)"""

LOOPBACK = """\
with socket.create_server(("127.0.0.1", 0)) as listener:
    here = socket.create_connection(("localhost", listener.getsockname()[1]), timeout=5)
    there = listener.accept()[0]
    here.close(), there.close()
print("connected")"""


def test_a_lab_that_forgets_to_stop_leaves_nothing_behind(tmp_path: Path) -> None:
    """nbval ends the kernel with SIGKILL, so no hook of the kernel runs."""
    notebook = make_notebook(
        tmp_path / "labs" / "forgetful.ipynb",
        "# A lab that stops nothing",
        SET_UP,
        'service = await lab.spawn("text")\ndirectory = lab.temporary_directory()',
        '_ = (directory / "file").write_text("kept")',
        "print(service.alive, service.address.host, directory.is_dir())",
        UNPLUGGED,
        LOOPBACK,
    )
    execute_as(
        notebook,
        cell_1=LINE,
        cell_4="True 127.0.0.1 True\n",
        cell_5="3\n",
        cell_6="connected\n",
    )
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    run = run_lab(notebook, scratch)
    assert run.problems == ()
    assert run.unplugged in ("namespace", "audit hook")


def test_without_a_namespace_an_audit_hook_unplugs_the_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REMOTECALLS_NO_NAMESPACE", "1")
    notebook = make_notebook(tmp_path / "labs" / "unplugged.ipynb", UNPLUGGED, LOOPBACK)
    execute_as(notebook, cell_1="3\n", cell_2="connected\n")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    run = run_lab(notebook, scratch)
    assert run.problems == ()
    assert run.unplugged == "audit hook"


def test_every_kind_of_damage_is_reported(tmp_path: Path) -> None:
    notebook = make_notebook(
        tmp_path / "labs" / "damaged.ipynb",
        "import os, subprocess, sys, tempfile",
        # A process that leaves its parent, its session and its environment, and listens.
        "serve = 'import socket, time; s = socket.create_server((\"\", 0)); time.sleep(60)'\n"
        "orphan = [sys.executable, '-c', serve]\n"
        "process = subprocess.Popen(orphan, env={}, start_new_session=True)",
        "handle, _ = tempfile.mkstemp(suffix='.forgotten')",
        "_ = open('beside.txt', 'w').write('left')",
        "print('new output')",
        "1",
    )
    execute_as(notebook, cell_5="old output\n")
    unexecute_last(notebook)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    problems = "\n".join(run_lab(notebook, scratch, most=2.0).problems)
    assert "new output" in problems
    assert "old output" in problems
    assert "listening on [" in problems
    assert "socket.create_server" in problems
    assert ".forgotten in TMPDIR" in problems
    assert "left behind: beside.txt" in problems
    assert "code cell 6 was never executed" in problems
    assert "more than 2 s" in problems


def test_a_lab_that_hangs_is_ended_with_all_its_processes(tmp_path: Path) -> None:
    sleep = f"{600 + os.getpid() / 1e7:.7f}"  # names the process
    notebook = make_notebook(
        tmp_path / "labs" / "hanging.ipynb",
        "import subprocess, sys\n"
        f"subprocess.run([sys.executable, '-c', 'import time; time.sleep({sleep})'])",
    )
    execute_as(notebook)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    run = run_lab(notebook, scratch, most=1.0, cut=6.0)
    assert "ended after 6 s" in run.problems[0]
    commands = [" ".join(process.info["cmdline"] or []) for process in process_iter(["cmdline"])]
    assert not [command for command in commands if sleep in command]


def unexecute_last(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[-1].execution_count = None
    nbformat.write(notebook, path)
