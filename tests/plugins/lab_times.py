"""A pytest plugin: how long each lab took, the slowest ten, in the summary of the run."""

from __future__ import annotations

import pytest

LAB_TIMES = pytest.StashKey[dict[str, float]]()
_SHOWN = 10


def pytest_configure(config: pytest.Config) -> None:
    config.stash[LAB_TIMES] = {}


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    times = config.stash[LAB_TIMES]
    if not times:
        return
    terminalreporter.section("slowest labs")
    slowest = sorted(times.items(), key=lambda item: -item[1])[:_SHOWN]
    for name, seconds in slowest:
        terminalreporter.write_line(f"{seconds:6.1f} s  {name}")
