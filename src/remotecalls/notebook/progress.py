"""A reader's progress, kept on the reader's machine.

The file is ``progress.json`` in the directory that ``REMOTECALLS_HOME`` names, else in
``.remotecalls/`` of the book's directory. With ``REMOTECALLS_PROGRESS=off`` nothing is read or
written: that is how labs are tested.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from remotecalls.notebook.places import PlaceError, project_root
from remotecalls.notebook.showing import in_html

HOME_VARIABLE = "REMOTECALLS_HOME"
SWITCH_VARIABLE = "REMOTECALLS_PROGRESS"


class ExerciseProgress(BaseModel):
    """What a reader did with one exercise."""

    model_config = ConfigDict(extra="forbid")

    checks: int = 0
    passed: bool = False
    hints: int = 0
    solution_seen: bool = False


class QuizProgress(BaseModel):
    """What a reader did with one quiz."""

    model_config = ConfigDict(extra="forbid")

    answers: int = 0
    right: bool = False


class LabProgress(BaseModel):
    """What a reader did in one lab."""

    model_config = ConfigDict(extra="forbid")

    exercises: dict[str, ExerciseProgress] = Field(default_factory=dict)
    quizzes: dict[str, QuizProgress] = Field(default_factory=dict)


class Progress(BaseModel):
    """What a reader did in all labs."""

    model_config = ConfigDict(extra="forbid")

    version: Literal[1] = 1
    labs: dict[str, LabProgress] = Field(default_factory=dict)


class ProgressStore:
    """Keeps one lab's part of the progress file up to date.

    Args:
        lab: the lab's name.
        path: the file; None keeps everything in memory.
    """

    def __init__(self, lab: str, path: Path | None) -> None:
        self.warning = ""
        self._lab = lab
        self._path = path
        self._memory = Progress()

    @classmethod
    def of_reader(cls, lab: str) -> ProgressStore:
        """Return the store that the environment names."""
        if os.environ.get(SWITCH_VARIABLE) == "off":
            return cls(lab, None)
        home = os.environ.get(HOME_VARIABLE)
        if home:
            return cls(lab, Path(home) / "progress.json")
        try:
            return cls(lab, project_root() / ".remotecalls" / "progress.json")
        except PlaceError:
            return cls(lab, Path.home() / ".remotecalls" / "progress.json")

    def load(self) -> Progress:
        """Read the file; a file that cannot be understood is kept aside, and a warning is left."""
        if self._path is None:
            return self._memory
        try:
            text = self._path.read_text("utf-8")
        except FileNotFoundError:
            return Progress()
        except UnicodeDecodeError:
            return self._set_aside("it is not text")
        try:
            return Progress.model_validate_json(text)
        except ValidationError as error:
            return self._set_aside(str(error.errors()[0]["msg"]))

    def checked(self, exercise: str, passed: bool) -> None:
        """Note that an answer was checked; a pass stays a pass."""
        with self._changing() as lab:
            entry = lab.exercises.setdefault(exercise, ExerciseProgress())
            entry.checks += 1
            entry.passed = entry.passed or passed

    def hinted(self, exercise: str) -> None:
        """Note that a hint was shown."""
        with self._changing() as lab:
            lab.exercises.setdefault(exercise, ExerciseProgress()).hints += 1

    def solution_shown(self, exercise: str) -> None:
        """Note that the solution was shown."""
        with self._changing() as lab:
            lab.exercises.setdefault(exercise, ExerciseProgress()).solution_seen = True

    def answered(self, quiz: str, right: bool) -> None:
        """Note that a quiz was answered."""
        with self._changing() as lab:
            entry = lab.quizzes.setdefault(quiz, QuizProgress())
            entry.answers += 1
            entry.right = entry.right or right

    def of_lab(self) -> LabProgress:
        """Return this lab's part."""
        return self.load().labs.get(self._lab, LabProgress())

    def export(self, path: Path) -> None:
        """Write the progress of all labs as JSON, to hand in or to keep."""
        _write(path, self.load())

    @contextlib.contextmanager
    def _changing(self) -> Iterator[LabProgress]:
        progress = self.load()
        yield progress.labs.setdefault(self._lab, LabProgress())
        if self._path is not None:
            _write(self._path, progress)

    def _set_aside(self, reason: str) -> Progress:
        assert self._path is not None
        aside = self._path.with_suffix(".damaged.json")
        os.replace(self._path, aside)
        self.warning = (
            f"The file of your progress could not be read ({reason}). "
            f"It is kept as {aside.name} beside it, and a new one was begun."
        )
        return Progress()


class ProgressTable:
    """A lab's progress, as a table."""

    def __init__(self, rows: list[tuple[str, str, str]], warning: str) -> None:
        self._rows = [("name", "state", "details"), *rows]
        self._warning = warning

    def __repr__(self) -> str:
        """Return the table as text."""
        widths = [max(len(row[column]) for row in self._rows) for column in range(3)]
        lines = [
            "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
            for row in self._rows
        ]
        return "\n".join([*lines, *([self._warning] if self._warning else [])])

    def _repr_html_(self) -> str:
        """Return the table as HTML."""
        head, *body = self._rows
        parts = ["<table><thead><tr>"]
        parts += [f'<th scope="col">{in_html(text)}</th>' for text in head]
        parts.append("</tr></thead><tbody>")
        for row in body:
            parts.append("<tr>" + "".join(f"<td>{in_html(text)}</td>" for text in row) + "</tr>")
        parts.append("</tbody></table>")
        if self._warning:
            parts.append(f"<p>{in_html(self._warning)}</p>")
        return "".join(parts)


def _write(path: Path, progress: Progress) -> None:
    """Write the file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".new")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(progress.model_dump_json(indent=2) + "\n")
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
