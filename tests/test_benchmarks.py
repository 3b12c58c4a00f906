"""Benchmarks run, and say what does not depend on the machine."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

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


def run(name: str, output: Path, *options: str) -> dict:
    command = [sys.executable, ROOT / f"benchmarks/{name}.py", "--output", output, *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(output.read_text())


def test_server_models_are_measured_beside_asyncio_and_uvloop(tmp_path: Path) -> None:
    models = ["binary", "streams", "asyncio", "uvloop"]
    options = ["--seconds", "0.2", "--connections", "1,60", "--idle", "200"]
    result = run("sockets", tmp_path / "out.json", "--models", ",".join(models), *options)
    assert list(result["servers"]) == models
    for row in result["servers"].values():
        for connections, load in row["load"].items():
            assert load["served"] == int(connections)
            assert load["failed"] == 0
            assert 0 < load["p50_us"] <= load["p99_us"]
        assert row["memory"]["60"]["connections"] == 60
    # A thread a connection is the one of these models whose connections weigh something.
    assert result["servers"]["binary"]["memory"]["60"]["bytes"] > 4_096
    assert {row["held"] for row in result["idle"].values()} == {200}


def test_system_calls_are_counted_and_shared_memory_makes_none(tmp_path: Path) -> None:
    if shutil.which("strace") is None:
        pytest.skip("needs strace")
    options = ["--models", "binary,asyncio", "--calls", "40", "--round-trips", "500"]
    result = run("system_calls", tmp_path / "out.json", *options)
    for row in result["servers"].values():
        # One send and one receive is the least; and a connection costs more than a call.
        sent = sum(row["call"].get(name, 0) for name in ("sendto", "sendmsg", "write"))
        assert sent >= 1
        assert row["call"].get("recvfrom", 0) >= 1
        assert sum(row["connection"].values()) > sum(row["call"].values())
    assert result["servers"]["binary"]["connection"]["clone3"] == pytest.approx(1, abs=0.1)
    trips = result["round_trip"]
    assert trips["loopback"]["system_calls"] == pytest.approx(2, abs=0.1)
    assert trips["shared memory"]["system_calls"] < 0.1
    # The least, because two processes that look without rest need a core each for the others.
    assert trips["shared memory"]["least_us"] < trips["loopback"]["least_us"]


def test_the_kept_round_trips_are_shorter_without_a_kernel() -> None:
    kept = json.loads((ROOT / "benchmarks/results/system_calls.json").read_text())["round_trip"]
    assert kept["shared memory"]["p50_us"] < kept["loopback"]["p50_us"]


@pytest.mark.parametrize("name", ["sockets", "system_calls"])
def test_the_kept_results_are_of_every_server_model(name: str) -> None:
    kept = json.loads((ROOT / f"benchmarks/results/{name}.json").read_text())
    models = {each.name for each in BINDINGS.values() if each.bytes_of == "binary"} | {"cgi"}
    assert set(kept["servers"]) == models | {"asyncio", "uvloop"}
    assert {"processor", "cores", "python"} <= kept["machine"].keys()


def test_reads_over_http_are_measured_beside_a_bare_framework(tmp_path: Path) -> None:
    options = ["--seconds", "0.3", "--connections", "4", "--rounds", "1"]
    result = run("rest", tmp_path / "out.json", *options)
    assert list(result["reads"]) == [
        "fastapi", "bare route", "rest", "not modified", "hypermedia", "resources", "pox",
    ]  # fmt: skip
    for read in result["reads"].values():
        load = read["load"]["4"]
        assert load["calls"] > 0
        assert 0 < load["p50_us"] <= load["p99_us"] <= load["p999_us"]
        assert read["memory_mib"] > 0
    sizes = {name: read["load"]["4"]["answer_bytes"] for name, read in result["reads"].items()}
    assert sizes["not modified"] < sizes["rest"] < sizes["hypermedia"]


def test_the_kept_reads_are_at_least_half_as_many_as_the_bare_framework_s() -> None:
    reads = json.loads((ROOT / "benchmarks/results/rest.json").read_text())["reads"]
    for count, load in reads["rest"]["load"].items():
        bare = reads["fastapi"]["load"][count]
        assert load["calls_per_second"] > 0.5 * bare["calls_per_second"]


def test_one_call_is_taken_apart(tmp_path: Path) -> None:
    options = ["--calls", "5", "--bindings", "text,datagrams,hypermedia"]
    rows = run("one_call", tmp_path / "out.json", *options)["bindings"]
    assert rows["text"]["later_call"] == {
        "bytes_out": 7, "bytes_back": 31, "turns": 1, "connections": 0,
    }  # fmt: skip
    assert rows["datagrams"]["first_call"]["turns"] == 2  # the boot number, then the call
    assert rows["hypermedia"]["first_call"]["turns"] == 2  # the entry point, then the customer
    for row in rows.values():
        assert 20 <= row["far_ms"] < 400
        assert row["far_ms"] * 1e3 > row["p50_us"]
        assert row["lines"] > 100
        assert row["dies"]["before"] == "Unavailable"
        assert {row["dies"]["during"], row["dies"]["after"]} <= {
            "ConnectionLost",
            "DeadlineExceeded",
        }


def test_the_kept_calls_are_of_the_bindings_there_are() -> None:
    kept = json.loads((ROOT / "benchmarks/results/one_call.json").read_text())
    assert list(kept["bindings"]) == list(BINDINGS)
    assert {"processor", "cores", "python"} <= kept["machine"].keys()


def test_grpc_is_measured_beside_an_echo_json_and_a_proxy(tmp_path: Path) -> None:
    options = ["--seconds", "0.2", "--rounds", "1", "--at-once", "4", "--sizes", "1,50"]
    result = run("grpc_stack", tmp_path / "out.json", *options, "--hop-calls", "30")
    assert list(result["reads"]) == ["grpcio echo", "shop"]
    for read in result["reads"].values():
        load = read["load"]["4"]
        assert load["calls"] > 0
        assert 0 < load["p50_us"] <= load["p99_us"] <= load["p999_us"]
        assert read["memory_mib"] > 0
    sizes = {name: rows["50"]["bytes_back"] for name, rows in result["lists"].items()}
    assert sizes["protobuf over gRPC"] < sizes["JSON over HTTP/2"] / 2
    assert sizes["JSON over HTTP/2"] < sizes["JSON over HTTP/1.1"]
    assert list(result["hops"]) == ["direct", "one Envoy", "two Envoys"]


def test_the_kept_calls_of_grpc_are_at_least_half_as_many_as_those_of_an_echo() -> None:
    kept = json.loads((ROOT / "benchmarks/results/grpc_stack.json").read_text())
    assert {"processor", "cores", "python"} <= kept["machine"].keys()
    for count, load in kept["reads"]["shop"]["load"].items():
        bare = kept["reads"]["grpcio echo"]["load"][count]
        assert load["calls_per_second"] > 0.5 * bare["calls_per_second"]
    medians = [hop["p50_us"] for hop in kept["hops"].values()]
    assert medians == sorted(medians)


def test_the_command_lists_and_refuses() -> None:
    command = [sys.executable, "-m", "remotecalls", "bench"]
    listed = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert {"bindings", "sockets", "system_calls"} <= set(listed.stdout.split())
    assert "machine" not in listed.stdout  # a module of theirs, not one of them
    refused = subprocess.run(
        [*command, "nosuch"], capture_output=True, text=True, timeout=60, check=False
    )
    assert refused.returncode == 1
    assert (
        "no benchmark 'nosuch'; there is actors, bindings, grpc_stack, linearizability, "
        "one_call, rest, simulators, sockets" in refused.stderr
    )


def test_simulators_are_measured_beside_a_bare_loop(tmp_path: Path) -> None:
    rows = run("simulators", tmp_path / "out.json", "--runs", "1")["simulators"]
    for row in rows.values():
        assert row["events"] > 20_000
        assert row["to_bare_simpy"] > 0.2
        assert row["run_ms"] > row["draw_ms"]


def test_the_kept_results_meet_the_promises() -> None:
    kept = json.loads((ROOT / "benchmarks/results/simulators.json").read_text())["simulators"]
    for row in kept.values():
        assert row["run_ms"] < 150
        assert row["to_bare_simpy"] > 0.2


def test_queues_are_kept_beside_ciw_and_beside_formulas() -> None:
    queues = json.loads((ROOT / "benchmarks/results/simulators.json").read_text())["queues"]
    peer = queues["peer"]
    assert peer["to_ciw"] > 5
    assert abs(peer["ours"]["mean_wait_ms"] - peer["formula_ms"]) < peer["ours"]["half_width_ms"]
    assert abs(peer["ciw"]["mean_wait_ms"] / peer["formula_ms"] - 1) < 0.2


def test_actors_are_measured_beside_pykka(tmp_path: Path) -> None:
    options = ["--scale", "200", "--rounds", "1", "--idle", "2000", "--short"]
    result = run("actors", tmp_path / "out.json", *options)
    assert set(result["asks"]) == {"1", "500"}
    for row in (*result["asks"].values(), result["tells"], result["spawns"]):
        assert row["ours_per_second"] > 0
        assert row["pykka_per_second"] > 0
    assert result["spawns"]["to_pykka"] > 1  # an actor of Pykka's is a thread
    assert result["idle"]["bytes_each"] < 2_000
    assert 0 < result["restart"]["p50_us"] <= result["restart"]["p99_us"]


def test_the_kept_actors_meet_the_promises() -> None:
    kept = json.loads((ROOT / "benchmarks/results/actors.json").read_text())
    assert kept["asks"]["1"]["to_pykka"] >= 3
    assert kept["asks"]["500"]["to_pykka"] >= 1
    assert kept["tells"]["to_pykka"] > 1
    assert kept["spawns"]["to_pykka"] > 1
    assert kept["idle"]["actors"] == 1_000_000
    assert kept["idle"]["resident_bytes"] < 2 * 2**30
    assert {"thespian simpleSystemBase", "thespian multiprocTCPBase", "ray"} == set(kept["peers"])


def test_tuple_spaces_are_measured_beside_sqlite(tmp_path: Path) -> None:
    options = ["--sizes", "1000,3000", "--operations", "100"]
    spaces = run("tuplespaces", tmp_path / "out.json", *options)["spaces"]
    assert list(spaces) == ["sqlite", "in process", "socket", "socket, 32 at a time"]
    for by_size in spaces.values():
        assert list(by_size) == ["1000", "3000"]
        for row in by_size.values():
            assert list(row["ways"])[:2] == ["one rare field", "two frequent fields"]
            for way in row["ways"].values():
                assert way["takes_per_second"] > 0
                assert way["writes_per_second"] > 0


def test_the_kept_takes_cost_the_same_among_a_thousand_and_a_million() -> None:
    kept = json.loads((ROOT / "benchmarks/results/tuplespaces.json").read_text())
    assert {"processor", "cores", "python"} <= kept["machine"].keys()
    ways = {size: row["ways"] for size, row in kept["spaces"]["in process"].items()}
    for way in ("one rare field", "two frequent fields"):
        few, many = (ways[size][way]["takes_per_second"] for size in ("1000", "1000000"))
        assert many > few / 4  # caches of the processor, and not the number of tuples
    # Where nothing is fixed, a thousand times the tuples cost hundreds of times as much.
    few, many = (ways[size]["a bound alone"]["takes_per_second"] for size in ("1000", "1000000"))
    assert few > 100 * many
