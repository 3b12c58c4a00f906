"""Notebooks are executed, written the same twice, and a reader's copy is checked."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import nbformat
import pytest
from notebooks import make_notebook

from remotecalls.notebook.execute import ExecutionError, check_lab, execute

TRIAL = Path(__file__).parent / "trial"
# The kernel does not see this process's fixtures: the notebook itself makes the trial lab known.
KNOWN = f"""\
from remotecalls.notebook import exercises
exercises.__path__.append({str(TRIAL)!r})"""
SET_UP = 'from remotecalls.notebook import Lab\n\nlab = Lab("trial")'


def test_two_runs_write_the_same_file(root: Path) -> None:
    notebook = make_notebook(
        root / "labs" / "trial.ipynb",
        "# A lab",
        KNOWN,
        SET_UP,
        'import sys\nprint("a")\nprint("warning", file=sys.stderr)\nprint("b")',
        'lab.panel("framing")',
        "lab.progress()",
        "await lab.stop_all()",
    )
    execute(notebook)
    first = notebook.read_bytes()
    data = json.loads(first)
    code = [cell for cell in data["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == [1, 2, 3, 4, 5, 6]
    assert [output["name"] for output in code[2]["outputs"]] == ["stdout", "stderr"]
    assert set(code[3]["outputs"][0]["data"]) == {"text/plain", "text/html"}
    assert set(data["metadata"]) == {"kernelspec", "language_info"}
    assert all(cell["metadata"] == {} for cell in data["cells"])
    execute(notebook)
    assert notebook.read_bytes() == first
    assert not (root / "home").exists(), "the run wrote the reader's progress"


def test_a_failing_notebook_is_left_as_it_was(root: Path) -> None:
    notebook = make_notebook(root / "labs" / "trial.ipynb", "print(1)", "1 / 0")
    before = notebook.read_bytes()
    with pytest.raises(ExecutionError, match=r"(?s)trial\.ipynb: .*ZeroDivisionError"):
        execute(notebook)
    assert notebook.read_bytes() == before
    assert [path.name for path in notebook.parent.iterdir()] == ["trial.ipynb"]


def test_a_cell_that_takes_too_long_is_ended(root: Path) -> None:
    notebook = make_notebook(root / "labs" / "trial.ipynb", "import time; time.sleep(60)")
    with pytest.raises(ExecutionError, match="a cell took over 1 s"):
        execute(notebook, cell_seconds=1)


def test_a_readers_copy_is_checked(root: Path) -> None:
    notebook = make_notebook(
        root / "labs" / "trial.ipynb",
        KNOWN,
        SET_UP,
        'lab.check("count", ...)',
        "1 / 0",
        "def count(data):\n    return data.count(b'\\n')",
        'lab.check("count", count)',
    )
    before = notebook.read_bytes()
    result = check_lab("trial")
    assert [(one.name, one.verdict) for one in result.exercises] == [
        ("count", "passed"),
        ("echo", "not checked"),
    ]
    assert [str(one.cell) + " " + one.error for one in result.failures] == [
        "4 ZeroDivisionError: division by zero"
    ]
    assert not result.passed
    assert str(result).splitlines() == [
        "Lab trial: 1 of 2 exercises passed",
        "  count  passed  (Count the messages)",
        "  echo   not checked  (Ask an echo server)",
        "  code cell 4 failed: ZeroDivisionError: division by zero",
    ]
    assert notebook.read_bytes() == before
    progress = json.loads((root / "home" / "progress.json").read_text())
    assert progress["labs"]["trial"]["exercises"]["count"]["passed"] is True


def test_a_lab_that_does_not_exist_is_named(root: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"labs/nowhere\.ipynb is missing"):
        check_lab("nowhere")


def test_a_cell_that_ends_the_kernel_is_reported(root: Path) -> None:
    make_notebook(root / "labs" / "trial.ipynb", "import os; os._exit(3)")
    with pytest.raises(ExecutionError, match="a cell ended the kernel"):
        check_lab("trial")


def test_identifiers_and_tags_stay(root: Path) -> None:
    notebook = make_notebook(root / "labs" / "trial.ipynb", "1")
    content = nbformat.read(notebook, as_version=4)
    content.cells[0]["id"] = "kept"
    content.cells[0].metadata.update(tags=["exercise"], collapsed=True)
    nbformat.write(content, notebook)
    execute(notebook)
    cell = nbformat.read(notebook, as_version=4).cells[0]
    assert (cell["id"], cell.metadata) == ("kept", {"tags": ["exercise"]})
    shutil.rmtree(notebook.parent)
