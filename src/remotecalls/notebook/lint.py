"""The rules for notebooks, each a function from a notebook to what is wrong with it.

The numbers come from what a reader can hold on one screen: short cells, prose before code, and
outputs that were produced by exactly the code above them.
"""

from __future__ import annotations

import ast
import json
import re
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from nbformat import NotebookNode

from remotecalls.notebook.execute import KEPT_CELL_METADATA, KERNELSPEC, LANGUAGE, WIDGET_VIEW
from remotecalls.notebook.files import read_notebook

MEDIAN_LINES = 5
SHORT_LINES = 15
SHORT_SHARE = 0.9
MOST_LINES = 30
WORDS_BEFORE_CODE = (20, 60)
PROSE_WITHIN = 2
"""A code cell has prose among so many cells before it."""

SET_UP = re.compile(
    r"\Afrom remotecalls\.notebook import Lab\n+lab = Lab\(\"(?P<name>[a-z0-9/-]+)\"\)\Z"
)
# The book's own example addresses (127.0.0.1) are no paths; a path starts after a blank or quote.
_MACHINE_PATH = re.compile(
    r"(?<![\w.~<-])(/home/|/root/|/work/|/Users/|/tmp/|/var/folders/|/opt/|[A-Z]:\\Users\\)[\w.+-]+"
)
_WORD = re.compile(r"\w[\w'’-]*")
_FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        rule: the name of the rule.
        cell: the number of the cell, from 1, counting all cells; None for the whole notebook.
        message: what is wrong and what to do.
    """

    rule: str
    cell: int | None
    message: str

    def __str__(self) -> str:
        """Return ``cell 3: [cell-length] ...``."""
        where = f"cell {self.cell}" if self.cell is not None else "notebook"
        return f"{where}: [{self.rule}] {self.message}"


Rule = Callable[[NotebookNode], Iterator[Finding]]


def lint(path: Path) -> list[Finding]:
    """Return everything that is wrong with a notebook."""
    notebook = read_notebook(path)
    return [finding for rule in RULES for finding in rule(notebook)]


# ---------------------------------------------------------------------------- cells


def cell_length(notebook: NotebookNode) -> Iterator[Finding]:
    """Half of the code cells have 5 lines or fewer, nine in ten under 15, none over 30."""
    lengths = [(number, _line_count(cell)) for number, cell in _code(notebook)]
    if not lengths:
        return
    for number, length in lengths:
        if length > MOST_LINES:
            yield Finding("cell-length", number, f"{length} lines; the most is {MOST_LINES}")
    counts = [length for _, length in lengths]
    median = statistics.median(counts)
    if median > MEDIAN_LINES:
        yield Finding("cell-length", None, f"the median is {median:g} lines, not {MEDIAN_LINES}")
    short = sum(length < SHORT_LINES for length in counts)
    if short < SHORT_SHARE * len(counts):
        long = len(counts) - short
        yield Finding(
            "cell-length",
            None,
            f"{long} of {len(counts)} cells have {SHORT_LINES} lines or more; "
            f"{SHORT_SHARE:.0%} must be shorter",
        )


def one_definition(notebook: NotebookNode) -> Iterator[Finding]:
    """A cell defines one function or class at most."""
    for number, cell in _code(notebook):
        defined = [
            node.name
            for node in _tree(cell).body
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        ]
        if len(defined) > 1:
            yield Finding(
                "one-definition", number, f"it defines {', '.join(defined)}: give each its own cell"
            )


def set_up_first(notebook: NotebookNode) -> Iterator[Finding]:
    """The first code cell imports the lab and makes it, and does nothing else."""
    code = list(_code(notebook))
    if not code or not SET_UP.match(code[0][1].source.strip()):
        number = code[0][0] if code else None
        yield Finding(
            "set-up-first",
            number,
            "the first code cell must be: from remotecalls.notebook import Lab, an empty line, "
            'lab = Lab("NAME")',
        )


def no_skipping(notebook: NotebookNode) -> Iterator[Finding]:
    """No cell is kept from running."""
    for number, cell in _code(notebook):
        if "nbval-skip" in _tags(cell) or "NBVAL_SKIP" in cell.source:
            yield Finding("no-skipping", number, "nbval-skip: every cell runs")
        elif "skip-execution" in _tags(cell):
            yield Finding("no-skipping", number, "skip-execution: every cell runs")


def assertion_after_ignored_output(notebook: NotebookNode) -> Iterator[Finding]:
    """What varies is followed by an assertion on what must hold."""
    code = list(_code(notebook))
    for position, (number, cell) in enumerate(code):
        if not _ignores_output(cell):
            continue
        following = code[position + 1][1] if position + 1 < len(code) else None
        if following is None or not _asserts(following):
            yield Finding(
                "assertion-after-ignored-output",
                number,
                "nbval-ignore-output: the next code cell must assert what holds in every run",
            )


# ---------------------------------------------------------------------------- prose


def prose_before_code(notebook: NotebookNode) -> Iterator[Finding]:
    """Code is announced: prose among the two cells before it, 20 to 60 words on average."""
    cells = list(notebook.cells)
    words = []
    for index, cell in enumerate(cells):
        if cell.cell_type != "code":
            continue
        before = cells[max(0, index - PROSE_WITHIN) : index]
        prose = [one for one in before if one.cell_type == "markdown" and _words(one.source)]
        if not prose:
            yield Finding(
                "prose-before-code",
                index + 1,
                f"no prose in the {PROSE_WITHIN} cells before it: say why",
            )
        if index > 0 and cells[index - 1].cell_type == "markdown":
            words.append(_words(cells[index - 1].source))
    least, most = WORDS_BEFORE_CODE
    if words and not least <= statistics.mean(words) <= most:
        yield Finding(
            "prose-before-code",
            None,
            f"{statistics.mean(words):.0f} words before a code cell on average, "
            f"not {least} to {most}",
        )


def image_alternative(notebook: NotebookNode) -> Iterator[Finding]:
    """Every picture says in words what it shows."""
    for number, cell in enumerate(notebook.cells, start=1):
        if cell.cell_type == "markdown":
            for found in re.finditer(r"!\[\s*\]\(", cell.source):
                yield Finding("image-alternative", number, f"no text in {found.group()}...)")
            yield from _html_images(number, cell.source)
            continue
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            if any(kind.startswith("image/") for kind in data) and not _alternative(cell):
                yield Finding(
                    "image-alternative", number, "no cell metadata mystnb: image: alt: TEXT"
                )
            yield from _html_images(number, _text(data.get("text/html", "")))


# ---------------------------------------------------------------------------- outputs


def executed_in_order(notebook: NotebookNode) -> Iterator[Finding]:
    """The execution counts are 1 to n: the notebook ran once, from top to bottom."""
    expected = 0
    for number, cell in _code(notebook):
        if not cell.source.strip():
            yield Finding("executed-in-order", number, "an empty code cell: remove it")
            continue
        expected += 1
        if cell.execution_count != expected:
            yield Finding(
                "executed-in-order",
                number,
                f"execution count {cell.execution_count}, not {expected}: "
                "run `python -m remotecalls execute` on the notebook",
            )
            return


def no_stray_output(notebook: NotebookNode) -> Iterator[Finding]:
    """No warnings, log lines or tracebacks, unless the cell is about its exception."""
    for number, cell in _code(notebook):
        for output in cell.get("outputs", ()):
            if output.output_type == "stream" and output.name == "stderr":
                yield Finding("no-stray-output", number, f"stderr: {_text(output.text)[:80]!r}")
            if output.output_type == "error" and "raises-exception" not in _tags(cell):
                yield Finding(
                    "no-stray-output",
                    number,
                    f"{output.ename} is raised: use lab.expect, or tag the cell raises-exception",
                )


def no_machine_path(notebook: NotebookNode) -> Iterator[Finding]:
    """No path of the machine on which the notebook was run or written."""
    for number, cell in enumerate(notebook.cells, start=1):
        text = cell.source + "\n" + json.dumps(cell.get("outputs", []), ensure_ascii=False)
        found = _MACHINE_PATH.search(text)
        if found:
            yield Finding("no-machine-path", number, f"the path {found.group()}")


# ---------------------------------------------------------------------------- the file


def stable_metadata(notebook: NotebookNode) -> Iterator[Finding]:
    """Nothing in the file varies with the machine, the time or the editor."""
    if dict(notebook.metadata) != {"kernelspec": KERNELSPEC, "language_info": LANGUAGE}:
        yield Finding(
            "stable-metadata",
            None,
            "the notebook's metadata must name the kernel python3 and nothing else: "
            "run `python -m remotecalls execute` on it",
        )
    for number, cell in enumerate(notebook.cells, start=1):
        extra = sorted(set(cell.metadata) - set(KEPT_CELL_METADATA))
        if extra:
            yield Finding("stable-metadata", number, f"metadata {', '.join(extra)}")
        for output in cell.get("outputs", ()):
            if WIDGET_VIEW in output.get("data", {}):
                yield Finding("stable-metadata", number, "a widget view, whose identifier varies")


def cell_identifiers(notebook: NotebookNode) -> Iterator[Finding]:
    """Every cell has an identifier of its own (notebook format 4.5)."""
    if (notebook.nbformat, notebook.nbformat_minor) < (4, 5):
        version = f"{notebook.nbformat}.{notebook.nbformat_minor}"
        yield Finding("cell-identifiers", None, f"the notebook format is {version}, not 4.5")
    seen: set[str] = set()
    for number, cell in enumerate(notebook.cells, start=1):
        identifier = cell.get("id", "")
        if not identifier or identifier in seen:
            yield Finding("cell-identifiers", number, f"{identifier!r} is no unique id")
        seen.add(identifier)


RULES: tuple[Rule, ...] = (
    cell_length,
    one_definition,
    set_up_first,
    no_skipping,
    assertion_after_ignored_output,
    prose_before_code,
    image_alternative,
    executed_in_order,
    no_stray_output,
    no_machine_path,
    stable_metadata,
    cell_identifiers,
)


# ---------------------------------------------------------------------------- inside


def _code(notebook: NotebookNode) -> Iterator[tuple[int, NotebookNode]]:
    for number, cell in enumerate(notebook.cells, start=1):
        if cell.cell_type == "code":
            yield number, cell


def _tags(cell: NotebookNode) -> list[str]:
    return list(cell.metadata.get("tags", []))


def _line_count(cell: NotebookNode) -> int:
    return sum(bool(line.strip()) for line in cell.source.splitlines())


def _tree(cell: NotebookNode) -> ast.Module:
    # A cell may await at top level, and lines of IPython (%, !) are no Python.
    lines = [
        "" if line.lstrip().startswith(("%", "!")) else line for line in cell.source.splitlines()
    ]
    flags = ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    tree = compile("\n".join(lines), "<cell>", "exec", flags=flags)
    return tree if isinstance(tree, ast.Module) else ast.Module([], [])


def _ignores_output(cell: NotebookNode) -> bool:
    return "nbval-ignore-output" in _tags(cell) or "NBVAL_IGNORE_OUTPUT" in cell.source


def _asserts(cell: NotebookNode) -> bool:
    return any(isinstance(node, ast.Assert) for node in ast.walk(_tree(cell)))


def _words(markdown: str) -> int:
    prose = _FENCE.sub("", markdown)
    lines = [line for line in prose.splitlines() if not line.startswith("#")]
    return len(_WORD.findall("\n".join(lines)))


def _alternative(cell: NotebookNode) -> bool:
    return bool(cell.metadata.get("mystnb", {}).get("image", {}).get("alt"))


def _html_images(number: int, html: str) -> Iterator[Finding]:
    for tag in re.findall(r"<img\b[^>]*>", html):
        if not re.search(r"\balt=[\"'][^\"']", tag):
            yield Finding("image-alternative", number, f"no alt in {tag[:60]}")
    for tag in re.findall(r"<svg\b[^>]*>", html):
        if not re.search(r"\b(aria-label|aria-labelledby|aria-hidden)=", tag):
            yield Finding("image-alternative", number, f"no aria-label in {tag[:60]}")


def _text(value: str | list[str]) -> str:
    return value if isinstance(value, str) else "".join(value)
