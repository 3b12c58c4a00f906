"""A lab called `trial`, with exercises, solutions and a quiz, in a directory of its own."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from remotecalls.notebook import Lab, exercises, places

TRIAL = Path(__file__).parent / "trial"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory of a small book that has the lab `trial` and nothing else."""
    (tmp_path / "labs").mkdir()
    (tmp_path / "solutions").mkdir()
    shutil.copy(TRIAL / "solutions.py", tmp_path / "solutions" / "trial.py")
    monkeypatch.setenv("REMOTECALLS_ROOT", str(tmp_path))
    monkeypatch.setenv("REMOTECALLS_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("REMOTECALLS_PROGRESS", raising=False)
    monkeypatch.setattr(exercises, "__path__", [*exercises.__path__, str(TRIAL)])
    monkeypatch.setattr(places.LabFiles, "quizzes", property(lambda _: TRIAL / "quizzes.yml"))
    monkeypatch.delitem(sys.modules, "remotecalls.notebook.exercises.trial", raising=False)
    return tmp_path


@pytest.fixture
def lab(root: Path) -> Lab:
    return Lab("trial")
