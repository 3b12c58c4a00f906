"""Small notebooks for tests."""

from __future__ import annotations

from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook


def make_notebook(path: Path, *cells: str) -> Path:
    """Write a notebook of code cells, not executed; a text that starts with # is Markdown."""
    notebook = new_notebook(
        cells=[
            new_markdown_cell(cell) if cell.startswith("# ") else new_code_cell(cell)
            for cell in cells
        ]
    )
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "x", "language": "python"}
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, path)
    return path


def execute_as(path: Path, **outputs: str) -> None:
    """Mark every cell as executed without running it; `cell_2="text"` is what cell 2 printed."""
    notebook = nbformat.read(path, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for number, cell in enumerate(code, start=1):
        cell.execution_count = number
        text = outputs.get(f"cell_{number}")
        if text is not None:
            cell.outputs = [nbformat.v4.new_output("stream", text=text)]
    nbformat.write(notebook, path)
