"""Reference solutions and known wrong answers, loaded by path.

``solutions/sockets.py`` declares ``SOLUTIONS``, a dictionary from the exercise's name to the
answer, and ``WRONG``, a list of :class:`Wrong`.
"""

from __future__ import annotations

import ast
import importlib.util
import inspect
import io
import sys
import textwrap
import tokenize
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from remotecalls.notebook.places import LabFiles


@dataclass(frozen=True)
class Wrong:
    """A wrong answer that readers give, and what the check must say about it.

    Attributes:
        exercise: the exercise's name.
        name: what is wrong, in a few words; the name of its test.
        answer: the answer.
        message: a text that the failing report must contain.
    """

    exercise: str
    name: str
    answer: Any
    message: str


@dataclass(frozen=True)
class Solutions:
    """The solutions of one lab.

    Attributes:
        right: the reference solution of each exercise.
        wrong: known wrong answers.
    """

    right: Mapping[str, Any]
    wrong: Sequence[Wrong]

    def source(self, exercise: str) -> str:
        """Return the source of a reference solution.

        Raises:
            KeyError: there is no solution of that name.
        """
        answer = self.right[exercise]
        if inspect.isfunction(answer) or inspect.isclass(answer):
            return textwrap.dedent(inspect.getsource(answer))
        return f"{answer!r}\n"

    def lines(self, exercise: str) -> int:
        """Return how many lines of code a reference solution has."""
        return count_code_lines(self.source(exercise))


def load_solutions(files: LabFiles) -> Solutions:
    """Load the solutions of a lab.

    Raises:
        FileNotFoundError: the lab has no file of solutions here.
        TypeError: the file does not declare ``SOLUTIONS`` and ``WRONG``.
    """
    path = files.solutions
    if not path.is_file():
        raise FileNotFoundError(f"no solutions for the lab {files.name!r}: {path.name} is missing")
    module_name = "remotecalls_solutions_" + files.name.replace("-", "_").replace("/", "__")
    spec = importlib.util.spec_from_file_location(module_name, path)
    if spec is None or spec.loader is None:
        raise ValueError(f"{path.name} cannot be loaded as Python")
    module = importlib.util.module_from_spec(spec)
    # inspect.getsource finds the file of a class through sys.modules.
    sys.modules[module_name] = module
    spec.loader.exec_module(module)
    right = getattr(module, "SOLUTIONS", None)
    wrong = getattr(module, "WRONG", None)
    if not isinstance(right, dict):
        raise TypeError(f"{path.name} must declare SOLUTIONS, a dictionary of answers by exercise")
    if not isinstance(wrong, list) or not all(isinstance(one, Wrong) for one in wrong):
        raise TypeError(f"{path.name} must declare WRONG, a list of Wrong")
    return Solutions(right, tuple(wrong))


def count_code_lines(source: str) -> int:
    """Count the lines that hold code: no blank lines, comments or docstrings."""
    without_code = (
        tokenize.COMMENT,
        tokenize.NL,
        tokenize.NEWLINE,
        tokenize.INDENT,
        tokenize.DEDENT,
        tokenize.ENDMARKER,
    )
    code: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in without_code:
            code.update(range(token.start[0], token.end[0] + 1))
    return len(code - _docstring_lines(source))


def _docstring_lines(source: str) -> set[int]:
    lines: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Module):
            continue
        first = node.body[0] if node.body else None
        if (
            isinstance(first, ast.Expr)
            and isinstance(first.value, ast.Constant)
            and isinstance(first.value.value, str)
            and first.end_lineno is not None
        ):
            lines.update(range(first.lineno, first.end_lineno + 1))
    return lines
