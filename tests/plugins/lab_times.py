"""A pytest plugin: how long each lab took, the slowest ten, in the summary of the run."""

from __future__ import annotations

import pytest

PROPERTY = "lab seconds"
"""What a test that runs a lab records (`record_property`): its name and the seconds it took."""

_TIMES = pytest.StashKey[dict[str, float]]()
_SHOWN = 10


class _Listener:
    # Reports reach the process that prints the summary, whichever worker ran the test.
    def __init__(self, times: dict[str, float]) -> None:
        self._times = times

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call":
            for name, value in report.user_properties:
                if name == PROPERTY:
                    self._times[value[0]] = value[1]


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_TIMES] = {}
    config.pluginmanager.register(_Listener(config.stash[_TIMES]))


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    times = config.stash[_TIMES]
    if not times:
        return
    terminalreporter.section("slowest labs")
    slowest = sorted(times.items(), key=lambda item: -item[1])[:_SHOWN]
    for name, seconds in slowest:
        terminalreporter.write_line(f"{seconds:6.1f} s  {name}")
