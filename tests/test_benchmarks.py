"""Benchmarks run, and say what does not depend on the machine."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from remotecalls.bindings import BINDINGS

ROOT = Path(__file__).parents[1]


def test_every_binding_is_measured_beside_its_peer(tmp_path: Path) -> None:
    output = tmp_path / "bindings.json"
    command = [sys.executable, ROOT / "benchmarks/bindings.py", "--calls", "50", "--output", output]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    servers = json.loads(output.read_text())["servers"]
    assert list(servers) == ["multiprocessing", *BINDINGS]
    assert "to peer" in done.stdout
    # GET\t42\n and CUSTOMER\t42\tAda Lovelace\t12.30\n; 13 and 35 bytes in binary.
    assert servers["text"]["bytes_per_call"] == 7 + 31
    assert servers["binary"]["bytes_per_call"] == servers["streams"]["bytes_per_call"] == 13 + 35
    for row in servers.values():
        assert 0 < row["p50_us"] <= row["p99_us"]


def test_the_kept_results_are_of_the_bindings_there_are() -> None:
    kept = json.loads((ROOT / "benchmarks/results/bindings.json").read_text())
    assert list(kept["servers"]) == ["multiprocessing", *BINDINGS]
    assert {"processor", "cores", "python"} <= kept["machine"].keys()


def test_the_command_lists_and_refuses() -> None:
    command = [sys.executable, "-m", "remotecalls", "bench"]
    listed = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert "bindings" in listed.stdout
    refused = subprocess.run(
        [*command, "nosuch"], capture_output=True, text=True, timeout=60, check=False
    )
    assert refused.returncode == 1
    assert "no benchmark 'nosuch'; there is bindings" in refused.stderr
