"""The curl transcripts of the chapter, run as they stand there."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from remotecalls.process import server_process

CHAPTER = Path(__file__).parents[2] / "chapters" / "rest.md"
BLOCK = re.compile(r"```\{code-block\} console\n:class: transcript\n(.*?)```", re.DOTALL)


def transcript() -> list[tuple[str, str]]:
    """Commands and what the page says that they print."""
    steps: list[tuple[str, str]] = []
    for block in BLOCK.findall(CHAPTER.read_text()):
        for line in block.splitlines(keepends=True):
            if line.startswith("$ "):
                steps.append((line[2:], ""))
            else:
                steps[-1] = steps[-1][0], steps[-1][1] + line
    return steps


def test_the_chapter_shows_what_curl_prints() -> None:
    if shutil.which("curl") is None:
        pytest.fail("needs curl: apt-get install curl")
    steps = transcript()
    assert len(steps) >= 10
    mark = "----- next -----"
    script = "".join(f"{command}echo; echo '{mark}'\n" for command, _ in steps)
    with server_process("rest") as (address, _):
        finished = subprocess.run(
            ["bash", "-e"],
            input=f"SHOP=http://{address}\n{script}",
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
    printed = [each.strip() for each in finished.stdout.split(mark)]
    assert printed[: len(steps)] == [expected.strip() for _, expected in steps]
