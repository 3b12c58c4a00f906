"""Run a notebook from a fresh kernel, and write it so that two runs give the same file."""

from __future__ import annotations

import contextlib
import json
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode

from remotecalls.notebook.exercises import load_exercises
from remotecalls.notebook.files import node, read_notebook, write_notebook
from remotecalls.notebook.lab import REPORT_VARIABLE
from remotecalls.notebook.places import LabFiles
from remotecalls.notebook.progress import SWITCH_VARIABLE

CELL_SECONDS = 60

KERNELSPEC = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
LANGUAGE = {"name": "python", "pygments_lexer": "ipython3"}

KEPT_CELL_METADATA = ("tags", "mystnb", "editable", "deletable")
"""Cell metadata that an author writes; what editors and runners add is dropped."""

WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"

_COLOR = re.compile(r"\x1b\[[0-9;]*m")


class ExecutionError(Exception):
    """A cell of a notebook failed, took too long, or ended the kernel."""


def execute(path: Path, *, cell_seconds: int = CELL_SECONDS) -> None:
    """Run a notebook from top to bottom in a fresh kernel, and write it back with its outputs.

    The reader's progress is neither read nor written. A notebook that fails is left as it was.

    Args:
        path: the notebook.
        cell_seconds: the deadline of one cell, in whole seconds.

    Raises:
        ExecutionError: a cell failed, took too long, or ended the kernel.
    """
    notebook = read_notebook(path)
    with _environment({SWITCH_VARIABLE: "off"}):
        _run(notebook, path, cell_seconds=cell_seconds, stop_at_error=True)
    normalize(notebook)
    write_notebook(notebook, path)


def normalize(notebook: NotebookNode) -> None:
    """Take everything out of a notebook that varies from run to run or from editor to editor.

    Afterwards: execution counts are 1 to n, the metadata name the kernel and nothing else, every
    cell has an identifier, streams are joined, and widget views and states are gone (their model
    identifiers are random; the static HTML beside them stays).
    """
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    notebook.metadata = node({"kernelspec": node(KERNELSPEC), "language_info": node(LANGUAGE)})
    _give_identifiers(notebook.cells)
    count = 0
    for cell in notebook.cells:
        kept = {key: cell.metadata[key] for key in KEPT_CELL_METADATA if key in cell.metadata}
        cell.metadata = node(kept)
        if cell.cell_type != "code":
            continue
        if cell.source.strip():
            count += 1
            cell.execution_count = count
        else:
            cell.execution_count = None
        cell.outputs = _normal_outputs(cell.outputs, cell.execution_count)


# ---------------------------------------------------------------------------- a reader's lab


@dataclass(frozen=True)
class ExerciseResult:
    """How one exercise stands in a reader's notebook.

    Attributes:
        name: the exercise's name.
        title: its title.
        verdict: of its last check; "not checked" if no cell checks it.
        report: the text of that check.
    """

    name: str
    title: str
    verdict: Literal["passed", "not yet", "not written yet", "not checked"]
    report: str


@dataclass(frozen=True)
class CellFailure:
    """A cell that failed.

    Attributes:
        cell: the number of the code cell, from 1.
        error: the exception, in one line.
    """

    cell: int
    error: str


@dataclass(frozen=True)
class LabResult:
    """What a run of a reader's notebook showed.

    Attributes:
        lab: the lab's name.
        exercises: all exercises of the lab, in their order.
        failures: cells that failed.
    """

    lab: str
    exercises: tuple[ExerciseResult, ...]
    failures: tuple[CellFailure, ...]

    @property
    def passed(self) -> bool:
        """Whether every exercise passed and no cell failed."""
        return not self.failures and all(one.verdict == "passed" for one in self.exercises)

    def __str__(self) -> str:
        """Return a table of the exercises, then the failed cells."""
        width = max((len(one.name) for one in self.exercises), default=0)
        done = sum(one.verdict == "passed" for one in self.exercises)
        lines = [f"Lab {self.lab}: {done} of {len(self.exercises)} exercises passed"]
        lines += [
            f"  {one.name.ljust(width)}  {one.verdict}  ({one.title})" for one in self.exercises
        ]
        lines += [f"  code cell {one.cell} failed: {one.error}" for one in self.failures]
        return "\n".join(lines)


def check_lab(lab: str, *, cell_seconds: int = CELL_SECONDS) -> LabResult:
    """Run a reader's notebook from a fresh kernel and report which exercises pass.

    The notebook is not changed. A cell that fails does not keep the later ones from running.

    Args:
        lab: the lab's name, for example ``sockets``.
        cell_seconds: the deadline of one cell, in whole seconds.

    Raises:
        FileNotFoundError: there is no such lab.
        ExecutionError: a cell ended the kernel.
    """
    files = LabFiles(lab)
    if not files.notebook.is_file():
        raise FileNotFoundError(f"there is no lab {lab!r}: labs/{lab}.ipynb is missing")
    notebook = read_notebook(files.notebook)
    with tempfile.TemporaryDirectory(prefix="remotecalls-") as directory:
        reports = Path(directory) / "reports.jsonl"
        with _environment({REPORT_VARIABLE: str(reports)}):
            _run(notebook, files.notebook, cell_seconds=cell_seconds, stop_at_error=False)
        last = _last_reports(reports)
    return LabResult(lab, _exercise_results(files, last), _failures(notebook))


def _exercise_results(
    files: LabFiles, last: Mapping[str, Mapping[str, Any]]
) -> tuple[ExerciseResult, ...]:
    results = []
    for exercise in load_exercises(files).values():
        line = last.get(exercise.name, {"verdict": "not checked", "text": ""})
        results.append(ExerciseResult(exercise.name, exercise.title, line["verdict"], line["text"]))
    return tuple(results)


def _last_reports(path: Path) -> dict[str, dict[str, Any]]:
    if not path.is_file():
        return {}
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    return {line["exercise"]: line for line in lines}


def _failures(notebook: NotebookNode) -> tuple[CellFailure, ...]:
    failures = []
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for number, cell in enumerate(code, start=1):
        if "raises-exception" in cell.metadata.get("tags", ()):
            continue
        failures += [
            CellFailure(number, f"{output.ename}: {_COLOR.sub('', output.evalue)}")
            for output in cell.outputs
            if output.output_type == "error"
        ]
    return tuple(failures)


# ---------------------------------------------------------------------------- inside


def _run(notebook: NotebookNode, path: Path, *, cell_seconds: int, stop_at_error: bool) -> None:
    client = NotebookClient(
        notebook,
        timeout=cell_seconds,
        kernel_name=KERNELSPEC["name"],
        allow_errors=not stop_at_error,
        extra_arguments=["--log-level=ERROR"],
        resources={"metadata": {"path": str(path.parent)}},
    )
    try:
        client.execute()
    except CellTimeoutError as error:
        raise ExecutionError(f"{path.name}: a cell took over {cell_seconds} s") from error
    except DeadKernelError as error:
        raise ExecutionError(f"{path.name}: a cell ended the kernel") from error
    except CellExecutionError as error:
        raise ExecutionError(f"{path.name}: {_COLOR.sub('', str(error))}") from error


@contextlib.contextmanager
def _environment(extra: Mapping[str, str]) -> Iterator[None]:
    """Set variables for the kernels that start inside, and put the old values back."""
    before = {name: os.environ.get(name) for name in extra}
    os.environ.update(extra)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _give_identifiers(cells: list[NotebookNode]) -> None:
    seen: set[str] = set()
    for number, cell in enumerate(cells, start=1):
        identifier = cell.get("id")
        if not identifier or identifier in seen:
            identifier = f"cell-{number:03}"
            while identifier in seen:
                identifier += "-x"
            cell["id"] = identifier
        seen.add(identifier)


def _normal_outputs(outputs: list[NotebookNode], count: int | None) -> list[NotebookNode]:
    normal: list[NotebookNode] = []
    streams: dict[str, NotebookNode] = {}
    for output in outputs:
        if output.output_type == "stream":
            # Where one stream is cut into messages depends on timing, and so does the order of
            # two streams of one cell.
            if output.name in streams:
                streams[output.name].text += output.text
                continue
            streams[output.name] = output
        if output.output_type == "execute_result":
            output.execution_count = count
        if "data" in output:
            output.data.pop(WIDGET_VIEW, None)
        if "metadata" in output:
            output.metadata = node({})
        normal.append(output)
    return normal
