"""Every exercise works: the stub fails, our solution passes, wrong answers get their message."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest

from remotecalls.notebook.checking import Exercise, run_check
from remotecalls.notebook.exercises import load_exercises
from remotecalls.notebook.places import LabFiles
from remotecalls.notebook.quiz import load_quizzes
from remotecalls.notebook.solutions import Solutions, Wrong, load_solutions

ROOT = Path(__file__).parents[1]
LABS = [
    LabFiles.of_notebook(path)
    for path in sorted((ROOT / "labs").rglob("*.ipynb"))
    if ".ipynb_checkpoints" not in path.parts
]
LEAST_EXERCISES = 3


def exercises() -> Iterator[tuple[LabFiles, Exercise]]:
    for files in LABS:
        for exercise in load_exercises(files).values():
            yield files, exercise


def wrong_answers() -> Iterator[tuple[Exercise, Wrong]]:
    for files in LABS:
        known = load_exercises(files)
        for wrong in load_solutions(files).wrong if known else ():
            if wrong.exercise in known:
                yield known[wrong.exercise], wrong


EXERCISES = [pytest.param(*one, id=f"{one[0].name}:{one[1].name}") for one in exercises()]
WRONG = [pytest.param(*one, id=f"{one[0].name}:{one[1].name}") for one in wrong_answers()]


@pytest.mark.parametrize(("files", "exercise"), EXERCISES)
def test_the_stub_fails_and_says_that_it_is_not_written(
    files: LabFiles, exercise: Exercise
) -> None:
    report = run_check(exercise, stub_answer(files, exercise.name))
    assert not report.passed
    assert report.verdict == "not written yet", str(report)


@pytest.mark.parametrize(("files", "exercise"), EXERCISES)
def test_our_solution_passes(files: LabFiles, exercise: Exercise) -> None:
    report = run_check(exercise, solutions_of(files).right[exercise.name])
    assert report.passed, str(report)


@pytest.mark.parametrize(("exercise", "wrong"), WRONG)
def test_a_wrong_answer_fails_with_the_message_meant_for_it(
    exercise: Exercise, wrong: Wrong
) -> None:
    report = run_check(exercise, wrong.answer)
    assert not report.passed, f"the wrong answer {wrong.name!r} passed"
    assert wrong.message in str(report), str(report)


@pytest.mark.parametrize(("files", "exercise"), EXERCISES)
def test_the_card_is_honest(files: LabFiles, exercise: Exercise) -> None:
    solutions = solutions_of(files)
    assert exercise.lines == solutions.lines(exercise.name), "lines of our solution"
    assert 5 <= exercise.minutes <= 20
    assert len(exercise.hints) >= 2
    assert all(hint.strip() for hint in exercise.hints)
    assert len(set(exercise.hints)) == len(exercise.hints)
    assert any(wrong.exercise == exercise.name for wrong in solutions.wrong), "no wrong answer"


@pytest.mark.parametrize("files", LABS, ids=lambda files: files.name)
def test_lab_and_declarations_agree(files: LabFiles) -> None:
    declared = set(load_exercises(files))
    assert len(declared) >= LEAST_EXERCISES, f"{len(declared)} exercises"
    assert set(stub_cells(files)) == declared, "stub cells"
    assert set(check_calls(files)) == declared, "cells that check"
    solutions = solutions_of(files)
    assert set(solutions.right) == declared, "solutions"
    assert {wrong.exercise for wrong in solutions.wrong} <= declared, "wrong answers"


@pytest.mark.parametrize("files", LABS, ids=lambda files: files.name)
def test_quizzes_that_the_lab_shows_exist(files: LabFiles) -> None:
    assert set(calls(files, "quiz")) <= set(load_quizzes(files.quizzes))


# ---------------------------------------------------------------------------- reading notebooks


def solutions_of(files: LabFiles) -> Solutions:
    return load_solutions(files)


def code_cells(files: LabFiles) -> list[nbformat.NotebookNode]:
    notebook = nbformat.read(files.notebook, as_version=4)
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def stub_cells(files: LabFiles) -> dict[str, nbformat.NotebookNode]:
    """The cells tagged `exercise`, by the name in their tag `exercise-NAME`."""
    stubs: dict[str, nbformat.NotebookNode] = {}
    for cell in code_cells(files):
        tags = cell.metadata.get("tags", [])
        names = [tag.removeprefix("exercise-") for tag in tags if tag.startswith("exercise-")]
        assert bool(names) == ("exercise" in tags), f"tags {tags}: both, or none"
        assert len(names) <= 1, f"tags {tags}: one exercise a cell"
        for name in names:
            assert name not in stubs, f"two stubs of {name!r}"
            stubs[name] = cell
    return stubs


def parsed(cell: nbformat.NotebookNode) -> ast.Module:
    flags = ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    tree = compile(cell.source, "<cell>", "exec", flags=flags)
    assert isinstance(tree, ast.Module)
    return tree


def calls(files: LabFiles, method: str) -> dict[str, ast.Call]:
    """The calls `lab.METHOD("name", ...)` of the notebook, by name."""
    found: dict[str, ast.Call] = {}
    for cell in code_cells(files):
        for node in ast.walk(parsed(cell)):
            match node:
                case ast.Call(
                    func=ast.Attribute(value=ast.Name(id="lab"), attr=name),
                    args=[ast.Constant(value=str(first)), *_],
                ) if name == method:
                    found[first] = node
    return found


def check_calls(files: LabFiles) -> dict[str, ast.Call]:
    return calls(files, "check")


def stub_answer(files: LabFiles, name: str) -> Any:
    """Run the stub's cell and evaluate what its check cell hands in.

    The cell may use imports and definitions of earlier cells; nothing else of them is run.
    """
    stub = stub_cells(files)[name]
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for cell in code_cells(files):
        if cell is stub or cell.source == stub.source:
            break
        definitions = ast.Module([one for one in parsed(cell).body if is_definition(one)], [])
        exec(compile(definitions, "<earlier cell>", "exec"), namespace)
    exec(compile(stub.source, "<stub>", "exec"), namespace)
    handed_in = check_calls(files)[name].args[1]
    return eval(compile(ast.Expression(handed_in), "<check>", "eval"), namespace)


def is_definition(node: ast.stmt) -> bool:
    return isinstance(
        node,
        ast.Import | ast.ImportFrom | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef,
    )
