"""Prove a notebook: run it by nbval as a stranger would, and look at what it leaves behind."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from plugins.lab_launcher import MARKER
from remotecalls.notebook.files import read_notebook
from remotecalls.notebook.progress import SWITCH_VARIABLE

TESTS = Path(__file__).parents[1]
LAB_SECONDS = 60.0
"""What a lab may take, from a fresh kernel."""

_DEAD_PROXY = "http://127.0.0.1:9"
_COLOR = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True)
class LabRun:
    """What the run of one notebook showed.

    Attributes:
        seconds: wall time, with the start of the kernel.
        problems: what is wrong with it; empty when it is proven.
        unplugged: how the network was taken away.
    """

    seconds: float
    problems: tuple[str, ...]
    unplugged: str


def run_lab(
    notebook: Path, scratch: Path, *, most: float = LAB_SECONDS, cut: float = 2 * LAB_SECONDS
) -> LabRun:
    """Run one notebook in a process group, temporary directory and network of its own.

    Args:
        notebook: the notebook; its directory is the working directory, as in JupyterLab.
        scratch: an empty directory for what the run writes.
        most: seconds that it may take.
        cut: seconds after which it is ended; later than `most`, so that a slow lab is reported
            with its time.
    """
    notebook = notebook.resolve()
    temporary = scratch / "tmp"
    temporary.mkdir()
    before = _files_beside(notebook)
    started = time.monotonic()
    found, output = _run(notebook, scratch, temporary, cut)
    seconds = time.monotonic() - started
    problems = [*_never_executed(notebook)]
    if found["status"] != 0:
        problems.append(f"nbval failed (status {found['status']}):\n{_excerpt(output)}")
    problems += [f"left behind: {survivor}" for survivor in found["survivors"]]
    problems += [f"left behind: {path.name} in TMPDIR" for path in temporary.iterdir()]
    problems += [f"left behind: {name}" for name in sorted(_files_beside(notebook) - before)]
    if seconds > most:
        problems.append(f"took {seconds:.1f} s, more than {most:g} s")
    return LabRun(seconds, tuple(problems), found["unplugged"])


def _run(notebook: Path, scratch: Path, temporary: Path, cut: float) -> tuple[dict[str, Any], str]:
    result = scratch / "result.json"
    command = [
        *(sys.executable, str(TESTS / "plugins" / "lab_launcher.py"), str(result)),
        *(sys.executable, "-m", "pytest", "-c", str(TESTS / "nbval.ini")),
        *(f"--rootdir={notebook.parent}", "--color=no", "-vv", "-rN", "--nbval"),
        *("--nbval-cell-timeout=60", f"--nbval-sanitize-with={TESTS / 'nbval.cfg'}"),
        str(notebook),
    ]
    environment = _environment(scratch, temporary)
    process = subprocess.Popen(
        command,
        cwd=notebook.parent,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=cut)
    except subprocess.TimeoutExpired:
        for descendant in psutil.Process(process.pid).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                descendant.kill()
        output, _ = process.communicate()
        output += f"\nended after {cut:g} s".encode()
    text = _COLOR.sub("", output.decode("utf-8", "replace"))
    if not result.exists():
        return {"status": "none", "survivors": [], "unplugged": "unknown"}, text
    found: dict[str, Any] = json.loads(result.read_text("utf-8"))
    return found, text


def _environment(scratch: Path, temporary: Path) -> dict[str, str]:
    """Return the environment of a stranger: no progress, no settings, no network."""
    proxies = {
        name: _DEAD_PROXY
        for base in ("http_proxy", "https_proxy", "all_proxy")
        for name in (base, base.upper())
    }
    return {
        **os.environ,
        **proxies,
        "no_proxy": "127.0.0.1,localhost",
        "NO_PROXY": "127.0.0.1,localhost",
        MARKER: uuid.uuid4().hex,
        SWITCH_VARIABLE: "off",
        "TMPDIR": str(temporary),
        "HOME": str(scratch / "home"),
        "IPYTHONDIR": str(scratch / "ipython"),
        "JUPYTER_CONFIG_DIR": str(scratch / "jupyter-config"),
        "JUPYTER_DATA_DIR": str(scratch / "jupyter-data"),
        "JUPYTER_RUNTIME_DIR": str(scratch / "jupyter-runtime"),
        # Loading every installed plugin takes longer than many a lab.
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    }


def _excerpt(output: str) -> str:
    """Return the failures, without the middle of long lines such as the text of a picture."""
    output = output[max(0, output.find("= FAILURES =")) :]
    lines = [line if len(line) < 600 else f"{line[:600]} ..." for line in output.splitlines()]
    if len(lines) > 120:
        lines[80:-40] = ["..."]
    return "\n".join(lines)


def _never_executed(notebook: Path) -> list[str]:
    """Find what nbval does not compare: cells that were saved without being run."""
    code = [cell for cell in read_notebook(notebook).cells if cell.cell_type == "code"]
    return [
        f"code cell {number} was never executed: run `python -m remotecalls execute`"
        for number, cell in enumerate(code, start=1)
        if cell.source.strip() and cell.execution_count is None
    ]


def _files_beside(notebook: Path) -> set[str]:
    caches = {"__pycache__", ".ipynb_checkpoints"}
    return {
        str(path.relative_to(notebook.parent))
        for path in notebook.parent.rglob("*")
        if not caches.intersection(path.parts)
    }
