"""How long the checkers of linearizability take: 200 seeds, good histories and bad ones.

Each history has 1,000 operations of 10 clients on one register, each write a value of its own, and
50 writes of unknown outcome. Half of the histories are linearizable by construction; in the others
one read returns an older value. `sorting` is `check_registers`; `search` is what it falls back to
when values repeat.

No checker of linearizability is to be had as a Python package. The peer is therefore the plain
search of Wing and Gong, 1993, without Lowe's memory of configurations, written here. It has 100
operations and 5 unknown ones to order, and gives up after a million steps; the other two are given
the same histories beside it. Times are processor time: nothing here waits for anything.

    python -m remotecalls bench linearizability
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from _machine import headline, machine

from remotecalls.simulators.linearizability import (
    LINEARIZABLE,
    NOT_LINEARIZABLE,
    UNDECIDED,
    Operation,
    Verdict,
    check_registers,
    search_registers,
)

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "simulators"))
from random_histories import linearizable_history, with_older_read

RESULTS = Path(__file__).parent / "results"
PEER_STEPS = 1_000_000

Checker = Callable[[Sequence[Operation]], Verdict]


def main() -> None:
    """Time, print, and keep the raw numbers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=200, help="histories of each kind (200)")
    parser.add_argument("--peer-seeds", type=int, default=40, help="the same for the peer (40)")
    parser.add_argument("--output", type=Path, default=RESULTS / "linearizability.json")
    arguments = parser.parse_args()
    ours: dict[str, Checker] = {"sorting": check_registers, "search": search_registers}
    long, short = {"operations": 1_000, "unknown": 50}, {"operations": 100, "unknown": 5}
    result = {
        "machine": machine(),
        "long": long | {"checkers": measured(ours, arguments.seeds, **long)},
        "short": short
        | {"checkers": measured(ours | {"plain": plain}, arguments.peer_seeds, **short)},
    }
    arguments.output.write_text(json.dumps(result) + "\n")
    print(table(result))


# ---------------------------------------------------------------- timing


def measured(checkers: dict[str, Checker], seeds: int, operations: int, unknown: int) -> dict:
    """Seconds, steps and answers of each checker by seed; all that decide must agree."""
    runs: dict = {
        name: {
            kind: {"seconds": [], "steps": [], "answers": []}
            for kind in ("linearizable", "mutated")
        }
        for name in checkers
    }
    for seed in range(seeds):
        history = linearizable_history(
            seed, operations=operations, unknown=unknown, failed=operations // 50
        )
        mutated = with_older_read(history, seed)
        for kind, each in (("linearizable", history), ("mutated", mutated)):
            answers = []
            for name, checker in checkers.items():
                before = time.process_time()
                verdict = checker(each)
                run = runs[name][kind]
                run["seconds"].append(round(time.process_time() - before, 6))
                run["steps"].append(verdict.steps)
                run["answers"].append(verdict.answer)
                answers.append(verdict.answer)
            if len(set(answers) - {UNDECIDED}) != 1:
                raise RuntimeError(f"seed {seed}, {kind}: the checkers say {answers}")
    return runs


# ---------------------------------------------------------------- the peer


def plain(history: Sequence[Operation]) -> Verdict:
    """Wing and Gong's search: whatever may come next, tried in the order of the calls."""
    counted = sorted(
        (
            each
            for each in history
            if each.outcome == "ok" or (each.outcome == "unknown" and each.kind == "write")
        ),
        key=lambda each: each.called_us,
    )
    needed = sum(each.outcome == "ok" for each in counted)
    left = list(range(len(counted)))
    steps = 0

    def nexts(value: object) -> list[tuple[int, object]]:
        limit_us: int | None = None
        found = []
        for number in left:
            each = counted[number]
            if limit_us is not None and each.called_us > limit_us:
                break
            if each.kind == "write" or each.value == value:
                found.append((number, each.value))
            if each.returned_us is not None and (limit_us is None or each.returned_us < limit_us):
                limit_us = each.returned_us
        return found[::-1]

    branches = [nexts(None)]
    path: list[int] = []
    while branches:
        if not needed:
            return Verdict(LINEARIZABLE, witness=tuple(counted[n] for n in path), steps=steps)
        if not branches[-1]:
            branches.pop()
            if path:
                number = path.pop()
                needed += counted[number].outcome == "ok"
                left.append(number)
                left.sort()
            continue
        steps += 1
        if steps > PEER_STEPS:
            return Verdict(UNDECIDED, f"Given up after {PEER_STEPS} steps.", steps=PEER_STEPS)
        number, value = branches[-1].pop()
        path.append(number)
        left.remove(number)
        needed -= counted[number].outcome == "ok"
        branches.append(nexts(value))
    return Verdict(NOT_LINEARIZABLE, "No order is legal.", evidence=tuple(counted), steps=steps)


# ---------------------------------------------------------------- the table


def table(result: dict) -> str:
    """Median and worst time and steps, by length, checker and kind."""
    lines = [headline(result["machine"])]
    for name in ("long", "short"):
        part = result[name]
        lines.append(
            f"\n{part['operations']} operations, {part['unknown']} unknown: milliseconds, steps\n"
            f"{'':<24}{'histories':>10}{'median':>10}{'worst':>10}{'median':>10}{'worst':>10}"
        )
        for checker, kinds in part["checkers"].items():
            for kind, runs in kinds.items():
                took = [1e3 * seconds for seconds in runs["seconds"]]
                steps, answers = runs["steps"], runs["answers"]
                said = ", ".join(
                    f"{answers.count(answer)} {answer}"
                    for answer in (LINEARIZABLE, NOT_LINEARIZABLE, UNDECIDED)
                    if answer in answers
                )
                lines.append(
                    f"{checker + ', ' + kind:<24}{len(took):>10}"
                    f"{statistics.median(took):>10.2f}{max(took):>10.2f}"
                    f"{statistics.median(steps):>10.0f}{max(steps):>10}   {said}"
                )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
