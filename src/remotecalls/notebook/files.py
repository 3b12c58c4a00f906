"""Read and write notebook files."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

import nbformat
from nbformat import NotebookNode


def node(content: Mapping[str, object]) -> NotebookNode:
    """Return a mapping as a piece of a notebook."""
    return NotebookNode(content)  # type: ignore[no-untyped-call]


def read_notebook(path: Path) -> NotebookNode:
    """Read a notebook as version 4.

    Raises:
        FileNotFoundError: there is no such file.
        nbformat.reader.NotJSONError: it is no notebook.
    """
    notebook: NotebookNode = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    return notebook


def write_notebook(notebook: NotebookNode, path: Path) -> None:
    """Write a notebook whole or not at all.

    Raises:
        nbformat.ValidationError: it does not follow the notebook format.
    """
    nbformat.validate(notebook)
    mode = path.stat().st_mode & 0o777 if path.exists() else 0o644
    handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".ipynb.new")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            nbformat.write(notebook, file)  # type: ignore[no-untyped-call]
        os.chmod(temporary, mode)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
