"""A pytest plugin: what the whole proof took, step by step, against what it may take."""

from __future__ import annotations

import os
import time

import pytest

SET_UP_SECONDS = 6 * 60
REST_SECONDS = 20 * 60
PART_SECONDS = {"labs": 12 * 60, "browser": 3 * 60}

BROWSER = (
    "tests/book/test_site.py",
    "tests/book/test_site_labs.py",
    "tests/book/test_live_figure_browser.py",
    "tests/book/test_wire_view_browser.py",
)

_BEGAN = pytest.StashKey[float]()
_PARTS = pytest.StashKey[dict[str, tuple[float, float]]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_BEGAN] = time.monotonic()
    config.stash[_PARTS] = {}
    config.pluginmanager.register(_Listener(config.stash[_PARTS]))


def part_of(nodeid: str) -> str:
    """Which part of the budget a test is charged to."""
    if nodeid.startswith("tests/test_labs.py"):
        return "labs"
    if nodeid.startswith(BROWSER):
        return "browser"
    return "other tests"


class _Listener:
    # Reports reach the process that prints the summary, whichever worker ran the test.
    def __init__(self, parts: dict[str, tuple[float, float]]) -> None:
        self._parts = parts

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        part = part_of(report.nodeid)
        first, last = self._parts.get(part, (report.start, report.stop))
        self._parts[part] = min(first, report.start), max(last, report.stop)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Print each step of `make test`, each part of this run, and the sums beside their limits.

    A part lasts from the start of its first test to the end of its last. Workers run parts side by
    side, so the whole takes less than their sum.
    """
    before = dict(step.split("=") for step in os.environ.get("REMOTECALLS_STEPS", "").split())
    steps = {name: float(seconds) for name, seconds in before.items()}
    own = time.monotonic() - config.stash[_BEGAN]
    terminalreporter.section("budget")
    write = terminalreporter.write_line
    set_up = steps.pop("set-up", None)
    if set_up is not None:
        write(f"{set_up:6.0f} s of {SET_UP_SECONDS} s  set-up")
    for name, seconds in steps.items():
        write(f"{seconds:6.0f} s             {name}")
    for name, (first, last) in sorted(config.stash[_PARTS].items()):
        seconds = last - first
        limit = f"of {PART_SECONDS[name]} s" if name in PART_SECONDS else ""
        write(f"{seconds:6.0f} s {limit:<11} {name}")
    write(f"{sum(steps.values()) + own:6.0f} s of {REST_SECONDS} s  all but set-up")
