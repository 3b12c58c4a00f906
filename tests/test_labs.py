"""Every lab runs: from a fresh kernel, alone, unplugged, with its committed outputs, cleanly."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from plugins.lab_runner import LAB_SECONDS, run_lab
from plugins.lab_times import PROPERTY

LABS = Path(__file__).parents[1] / "labs"
NOTEBOOKS = sorted(path for path in LABS.rglob("*.ipynb") if ".ipynb_checkpoints" not in path.parts)


@pytest.mark.timeout(LAB_SECONDS * 2 + 30)
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: str(path.relative_to(LABS)))
def test_lab(
    notebook: Path, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    run = run_lab(notebook, tmp_path)
    record_property(PROPERTY, (str(notebook.relative_to(LABS)), run.seconds))
    if run.problems:
        pytest.fail("\n\n".join(run.problems), pytrace=False)


def test_there_are_labs() -> None:
    assert NOTEBOOKS, "no notebook was found below labs/"
