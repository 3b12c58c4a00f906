"""Where the files of a lab live.

A lab has a name, which is the path of its notebook below ``labs/`` without the suffix:
``sockets``, ``sockets-2``, ``patterns/01-logits-masking``. Every other file follows from it.
Python files write ``_`` where the name has ``-``.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

_LAB_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*(/[a-z0-9]+(-[a-z0-9]+)*)*")

ROOT_VARIABLE = "REMOTECALLS_ROOT"
"""Names the directory that holds ``labs/`` and ``solutions/`` when it cannot be found."""


class PlaceError(Exception):
    """A lab's name is malformed, or the directory of the book cannot be found."""


def project_root() -> Path:
    """Find the directory that holds ``labs/``.

    Looks at the variable ``REMOTECALLS_ROOT``, then above this file (an editable install), then
    above the working directory.

    Raises:
        PlaceError: none of them is a checkout of the book.
    """
    named = os.environ.get(ROOT_VARIABLE)
    if named:
        return Path(named).resolve()
    for start in (Path(__file__).resolve(), Path.cwd().resolve() / "here"):
        for directory in start.parents:
            if (directory / "pyproject.toml").is_file() and (directory / "labs").is_dir():
                return directory
    raise PlaceError(
        "the book's directory was not found: start from a checkout of the book, "
        f"or set {ROOT_VARIABLE} to the directory that holds labs/"
    )


@dataclass(frozen=True)
class LabFiles:
    """The files of one lab.

    Attributes:
        name: the lab's name, for example ``sockets`` or ``patterns/01-logits-masking``.
    """

    name: str

    def __post_init__(self) -> None:
        """Refuse a name that could not be a path below ``labs/``."""
        if not _LAB_NAME.fullmatch(self.name):
            raise PlaceError(
                f"{self.name!r} is no name of a lab: lower-case words joined by hyphens, "
                "as in 'sockets' or 'patterns/01-logits-masking'"
            )

    @classmethod
    def of_notebook(cls, notebook: Path) -> LabFiles:
        """Return the files of the lab whose notebook is given.

        Raises:
            PlaceError: the notebook does not lie below a directory ``labs``.
        """
        parts = notebook.resolve().with_suffix("").parts
        if "labs" not in parts:
            raise PlaceError(f"{notebook.name} does not lie below labs/")
        below = len(parts) - parts[::-1].index("labs")
        return cls("/".join(parts[below:]))

    @property
    def notebook(self) -> Path:
        """The notebook."""
        return project_root() / "labs" / f"{self.name}.ipynb"

    @property
    def solutions(self) -> Path:
        """The reference solutions and known wrong answers."""
        return project_root() / "solutions" / f"{self._python_name}.py"

    @property
    def exercises_module(self) -> str:
        """The dotted name of the module that declares the exercises."""
        return "remotecalls.notebook.exercises." + self._python_name.replace("/", ".")

    @property
    def quizzes(self) -> Path:
        """The quizzes, shared by the lab and by the pages of the book."""
        return Path(__file__).parent / "quizzes" / f"{self.name}.yml"

    @property
    def _python_name(self) -> str:
        return self.name.replace("-", "_")
