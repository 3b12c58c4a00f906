"""Every lab keeps the rules for notebooks, and every rule finds what it is for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import (
    new_code_cell,
    new_markdown_cell,
    new_notebook,
    new_output,
)

from remotecalls.notebook import lint as rules
from remotecalls.notebook.execute import normalize
from remotecalls.notebook.lint import RULES, SET_UP, lint
from remotecalls.notebook.places import LabFiles

LABS = Path(__file__).parents[1] / "labs"
NOTEBOOKS = sorted(path for path in LABS.rglob("*.ipynb") if ".ipynb_checkpoints" not in path.parts)
PROSE = "This sentence stands before a piece of code and says why. " * 3
SET_UP_CELL = 'from remotecalls.notebook import Lab\n\nlab = Lab("sockets")'


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: str(path.relative_to(LABS)))
def test_lab_keeps_the_rules(notebook: Path) -> None:
    findings = lint(notebook)
    assert not findings, "\n".join(map(str, findings))


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: str(path.relative_to(LABS)))
def test_lab_sets_itself_up_by_its_own_name(notebook: Path) -> None:
    cells = nbformat.read(notebook, as_version=4).cells
    first = next(cell for cell in cells if cell.cell_type == "code")
    found = SET_UP.match(first.source.strip())
    assert found is not None
    assert found["name"] == LabFiles.of_notebook(notebook).name


def good() -> nbformat.NotebookNode:
    """A notebook that keeps all rules."""
    cells = [
        new_markdown_cell("# A lab\n\n" + PROSE),
        new_code_cell(SET_UP_CELL, outputs=[new_output("stream", text="Lab set up.\n")]),
        new_markdown_cell(PROSE),
        new_code_cell("def double(x):\n    return 2 * x"),
        new_markdown_cell(PROSE),
        new_code_cell("await lab.stop_all()"),
    ]
    notebook = new_notebook(cells=cells)
    normalize(notebook)
    return notebook


def findings_of(notebook: nbformat.NotebookNode) -> dict[str, str]:
    found: dict[str, str] = {}
    for finding in (finding for rule in RULES for finding in rule(notebook)):
        found[finding.rule] = f"{found.get(finding.rule, '')}{finding} "
    return found


def test_a_good_notebook_has_no_findings() -> None:
    assert findings_of(good()) == {}


def code_cell(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    return notebook.cells[3]


def too_long(notebook: nbformat.NotebookNode) -> None:
    code_cell(notebook).source = "\n".join(f"x{n} = {n}" for n in range(31))


def long_median(notebook: nbformat.NotebookNode) -> None:
    for cell in notebook.cells[3:]:
        if cell.cell_type == "code":
            cell.source = "\n".join(f"x{n} = {n}" for n in range(6))


def many_long(notebook: nbformat.NotebookNode) -> None:
    code_cell(notebook).source = "\n".join(f"x{n} = {n}" for n in range(15))


def two_definitions(notebook: nbformat.NotebookNode) -> None:
    code_cell(notebook).source = "def one():\n    pass\n\n\nclass Two:\n    pass"


def no_set_up(notebook: nbformat.NotebookNode) -> None:
    notebook.cells[1].source = "import socket"


def busy_set_up(notebook: nbformat.NotebookNode) -> None:
    notebook.cells[1].source += "\nimport socket"


def skipped(notebook: nbformat.NotebookNode) -> None:
    code_cell(notebook).metadata["tags"] = ["nbval-skip"]


def skipped_by_comment(notebook: nbformat.NotebookNode) -> None:
    code_cell(notebook).source = "# NBVAL_SKIP\n1"


def skipped_execution(notebook: nbformat.NotebookNode) -> None:
    code_cell(notebook).metadata["tags"] = ["skip-execution"]


def ignored_without_assertion(notebook: nbformat.NotebookNode) -> None:
    code_cell(notebook).metadata["tags"] = ["nbval-ignore-output"]


def ignored_at_the_end(notebook: nbformat.NotebookNode) -> None:
    notebook.cells[5].source = "# NBVAL_IGNORE_OUTPUT\n1"


def no_prose(notebook: nbformat.NotebookNode) -> None:
    notebook.cells[2:2] = [new_code_cell("1"), new_code_cell("2")]


def little_prose(notebook: nbformat.NotebookNode) -> None:
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = "## A heading does not count as prose\n\nSee below."


def much_prose(notebook: nbformat.NotebookNode) -> None:
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = PROSE * 5


def picture_without_words(notebook: nbformat.NotebookNode) -> None:
    data = {"image/png": "iVBORw0KGgo="}
    code_cell(notebook).outputs = [new_output("display_data", data=data)]


def svg_without_words(notebook: nbformat.NotebookNode) -> None:
    data = {"text/html": "<svg viewBox='0 0 1 1'></svg>"}
    code_cell(notebook).outputs = [new_output("display_data", data=data)]


def markdown_picture_without_words(notebook: nbformat.NotebookNode) -> None:
    notebook.cells[2].source += "\n\n![](picture.svg)"


def html_picture_without_words(notebook: nbformat.NotebookNode) -> None:
    notebook.cells[2].source += '\n\n<img src="picture.svg" alt="">'


def out_of_order(notebook: nbformat.NotebookNode) -> None:
    code_cell(notebook).execution_count = 7


def never_run(notebook: nbformat.NotebookNode) -> None:
    code_cell(notebook).execution_count = None


def empty_cell(notebook: nbformat.NotebookNode) -> None:
    code_cell(notebook).source = ""


def warning(notebook: nbformat.NotebookNode) -> None:
    code_cell(notebook).outputs = [new_output("stream", name="stderr", text="Deprecated\n")]


def traceback(notebook: nbformat.NotebookNode) -> None:
    code_cell(notebook).outputs = [new_output("error", ename="E", evalue="", traceback=[])]


def path_in_source(notebook: nbformat.NotebookNode) -> None:
    code_cell(notebook).source = 'open("/home/ada/notes")'


def path_in_output(notebook: nbformat.NotebookNode) -> None:
    outputs = [new_output("stream", text="made /tmp/remotecalls-x1/log\n")]
    code_cell(notebook).outputs = outputs


def path_in_prose(notebook: nbformat.NotebookNode) -> None:
    notebook.cells[2].source += " Look into /root/book."


def foreign_kernel(notebook: nbformat.NotebookNode) -> None:
    notebook.metadata["kernelspec"]["name"] = "my-venv"


def widget_state(notebook: nbformat.NotebookNode) -> None:
    notebook.metadata["widgets"] = {}


def timestamps(notebook: nbformat.NotebookNode) -> None:
    code_cell(notebook).metadata["execution"] = {"iopub.status.busy": "12:00"}


def widget_view(notebook: nbformat.NotebookNode) -> None:
    data = {"application/vnd.jupyter.widget-view+json": {"model_id": "1"}}
    code_cell(notebook).outputs = [new_output("display_data", data=data)]


def same_identifier(notebook: nbformat.NotebookNode) -> None:
    notebook.cells[2]["id"] = notebook.cells[3]["id"]


def old_format(notebook: nbformat.NotebookNode) -> None:
    notebook.nbformat_minor = 4


BROKEN: list[tuple[Callable[[nbformat.NotebookNode], None], str, str]] = [
    (too_long, "cell-length", "31 lines"),
    (long_median, "cell-length", "median is 6 lines"),
    (many_long, "cell-length", "15 lines or more"),
    (two_definitions, "one-definition", "one, Two"),
    (no_set_up, "set-up-first", "cell 2"),
    (busy_set_up, "set-up-first", "cell 2"),
    (skipped, "no-skipping", "nbval-skip"),
    (skipped_by_comment, "no-skipping", "nbval-skip"),
    (skipped_execution, "no-skipping", "skip-execution"),
    (ignored_without_assertion, "assertion-after-ignored-output", "cell 4"),
    (ignored_at_the_end, "assertion-after-ignored-output", "cell 6"),
    (no_prose, "prose-before-code", "cell 4"),
    (little_prose, "prose-before-code", "2 words"),
    (much_prose, "prose-before-code", "words before a code cell"),
    (picture_without_words, "image-alternative", "image: alt"),
    (svg_without_words, "image-alternative", "aria-label"),
    (markdown_picture_without_words, "image-alternative", "cell 3"),
    (html_picture_without_words, "image-alternative", "no alt"),
    (out_of_order, "executed-in-order", "count 7, not 2"),
    (never_run, "executed-in-order", "count None"),
    (empty_cell, "executed-in-order", "empty"),
    (warning, "no-stray-output", "Deprecated"),
    (traceback, "no-stray-output", "lab.expect"),
    (path_in_source, "no-machine-path", "/home/ada"),
    (path_in_output, "no-machine-path", "/tmp/remotecalls-x1"),
    (path_in_prose, "no-machine-path", "/root/book"),
    (foreign_kernel, "stable-metadata", "python3"),
    (widget_state, "stable-metadata", "nothing else"),
    (timestamps, "stable-metadata", "execution"),
    (widget_view, "stable-metadata", "varies"),
    (same_identifier, "cell-identifiers", "no unique id"),
    (old_format, "cell-identifiers", "4.4"),
]


@pytest.mark.parametrize(
    ("damage", "rule", "message"), BROKEN, ids=lambda value: getattr(value, "__name__", "")
)
def test_a_rule_finds_what_it_is_for(
    damage: Callable[[nbformat.NotebookNode], None], rule: str, message: str
) -> None:
    notebook = good()
    damage(notebook)
    assert message in findings_of(notebook)[rule]


def test_every_rule_is_proven_by_a_broken_notebook() -> None:
    names = {rule.__name__.replace("_", "-") for rule in RULES}
    assert {rule for _, rule, _ in BROKEN} == names


def test_a_traceback_is_allowed_where_the_cell_is_about_it() -> None:
    notebook = good()
    traceback(notebook)
    code_cell(notebook).metadata["tags"] = ["raises-exception"]
    assert findings_of(notebook) == {}


def test_ignored_output_is_allowed_before_an_assertion() -> None:
    notebook = good()
    code_cell(notebook).metadata["tags"] = ["nbval-ignore-output"]
    notebook.cells[5].source = "assert await lab.stop_all() is None"
    assert findings_of(notebook) == {}


def test_normalizing_mends_what_a_run_leaves_in_the_file() -> None:
    notebook = good()
    for damage in (foreign_kernel, widget_state, timestamps, widget_view, out_of_order):
        damage(notebook)
    same_identifier(notebook)
    normalize(notebook)
    assert findings_of(notebook) == {}


def test_addresses_and_names_of_files_are_no_machine_paths() -> None:
    notebook = good()
    notebook.cells[2].source += " See labs/sockets.ipynb, ~/tmp/x, GET /tmp and 127.0.0.1:80/home."
    assert not list(rules.no_machine_path(notebook))
