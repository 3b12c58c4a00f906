"""The exercises of the labs, one module a lab.

``exercises/sockets.py`` declares those of ``labs/sockets.ipynb`` as ``EXERCISES``, a tuple of
:class:`Exercise`. The building blocks of a check come from here as well.
"""

from __future__ import annotations

import importlib
import importlib.util

from remotecalls.notebook.checking import (
    Answer,
    Attempt,
    Check,
    Exercise,
    Expected,
    Mismatch,
    attempt,
    matches,
    raises,
    take,
)
from remotecalls.notebook.guarded import in_thread
from remotecalls.notebook.places import LabFiles

__all__ = [
    "Answer",
    "Attempt",
    "Check",
    "Exercise",
    "Expected",
    "Mismatch",
    "attempt",
    "in_thread",
    "load_exercises",
    "matches",
    "raises",
    "take",
]


def load_exercises(files: LabFiles) -> dict[str, Exercise]:
    """Return the exercises of a lab by name, in their order; empty if it has none.

    Raises:
        ValueError: its module has no tuple ``EXERCISES``, or two of one name.
    """
    name = files.exercises_module
    parent = name.rpartition(".")[0]
    if parent != __name__ and importlib.util.find_spec(parent) is None:
        return {}
    if importlib.util.find_spec(name) is None:
        return {}
    declared = getattr(importlib.import_module(name), "EXERCISES", None)
    if not isinstance(declared, tuple) or not all(isinstance(one, Exercise) for one in declared):
        raise ValueError(f"{name} must declare EXERCISES, a tuple of Exercise")
    exercises = {one.name: one for one in declared}
    if len(exercises) != len(declared):
        raise ValueError(f"{name}: two exercises have the same name")
    return exercises
