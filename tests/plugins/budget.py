"""A pytest plugin: what the whole proof took, step by step, against what it may take."""

from __future__ import annotations

import os
import time
from collections import defaultdict

import pytest

SET_UP_SECONDS = 6 * 60
REST_SECONDS = 20 * 60
PART_SECONDS = {"labs": 12 * 60, "browser": 3 * 60}

_BEGAN = pytest.StashKey[float]()
_PARTS = pytest.StashKey[dict[str, float]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_BEGAN] = time.monotonic()
    config.stash[_PARTS] = defaultdict(float)


def part_of(nodeid: str) -> str:
    """Which part of the budget a test is charged to."""
    if nodeid.startswith("tests/test_labs.py"):
        return "labs"
    if nodeid.startswith(("tests/book/test_site", "tests/book/test_live_figure_browser")):
        return "browser"
    return "other tests"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item):
    began = time.monotonic()
    try:
        return (yield)
    finally:
        item.config.stash[_PARTS][part_of(item.nodeid)] += time.monotonic() - began


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Print each step of `make test`, each part of this run, and the sums beside their limits."""
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
    for name, seconds in sorted(config.stash[_PARTS].items()):
        limit = f"of {PART_SECONDS[name]} s" if name in PART_SECONDS else ""
        write(f"{seconds:6.0f} s {limit:<11} {name}")
    write(f"{sum(steps.values()) + own:6.0f} s of {REST_SECONDS} s  all but set-up")
