"""Histories drawn at random: linearizable by construction, and with a read that went wrong.

Each operation takes effect at a random time between its call and its return. Sorted by these times
the operations are a run of the register, so there is an order.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from remotecalls.simulators.linearizability.history import Operation

NEVER_US = 1 << 60


def linearizable_history(
    seed: int,
    *,
    operations: int = 1_000,
    clients: int = 10,
    unknown: int = 50,
    failed: int = 20,
    keys: int = 1,
    values: int | None = None,
    write_percent: int = 50,
) -> list[Operation]:
    """Return a linearizable history of registers that hold None at first, in order of the calls.

    Args:
        seed: what everything is drawn from.
        operations: how many.
        clients: how many processes are at work at any time.
        unknown: how many writes have no answer, if there are so many. Half of them never take
            effect, the others at some time up to twenty usual latencies after the call. The client
            goes on under a new process number.
        failed: how many of the other operations failed, and changed nothing.
        keys: how many registers.
        values: how many values the writes draw from; None if each one writes a value of its own.
        write_percent: how many of the operations are writes.
    """
    rng = random.Random(seed)
    free = [(rng.randrange(1_000), process) for process in range(clients)]
    heapq.heapify(free)
    next_process = clients
    kinds = ["write" if rng.randrange(100) < write_percent else "read" for _ in range(operations)]
    writes = [number for number, kind in enumerate(kinds) if kind == "write"]
    lost = set(rng.sample(writes, min(unknown, len(writes))))
    others = [number for number in range(operations) if number not in lost]
    refused = set(rng.sample(others, min(failed, len(others))))
    drawn: list[tuple[int, int, Operation]] = []
    for number, kind in enumerate(kinds):
        free_us, process = heapq.heappop(free)
        called_us = free_us + rng.randrange(1, 300)
        returned_us: int | None = called_us + rng.randrange(1, 1_000)
        effect_us = rng.randint(called_us, returned_us)
        heapq.heappush(free, (returned_us, next_process if number in lost else process))
        outcome = "failed" if number in refused else "ok"
        if number in lost:
            next_process += 1
            outcome, returned_us = "unknown", None
            effect_us = NEVER_US if rng.randrange(2) else called_us + rng.randrange(20_000)
        value = (
            (number + 1 if values is None else rng.randrange(values)) if kind == "write" else None
        )
        key = "xyz"[rng.randrange(keys)]
        operation = Operation(process, key, kind, value, called_us, returned_us, outcome)
        drawn.append((effect_us, number, operation))
    register: dict[str, Any] = {}
    history = []
    for effect_us, _, operation in sorted(drawn, key=lambda each: each[:2]):
        if operation.outcome != "failed" and effect_us < NEVER_US:
            if operation.kind == "write":
                register[operation.key] = operation.value
            else:
                operation = replace(operation, value=register.get(operation.key))
        history.append(operation)
    return sorted(history, key=lambda each: each.called_us)


def with_older_read(history: Sequence[Operation], seed: int, *, among: int = 5) -> list[Operation]:
    """Let one read return an older value: of a write that was over when the right one was called.

    The history may still be linearizable, if the read and the right write overlap.

    Args:
        history: one whose values are unique.
        seed: decides which read it is, and which of the `among` newest of the older values.
        among: how many of them to draw from.
    """
    rng = random.Random(seed)
    write_of = {(w.key, w.value): w for w in history if w.kind == "write"}
    reads = [n for n, each in enumerate(history) if each.kind == "read" and each.outcome == "ok"]
    rng.shuffle(reads)
    for number in reads:
        read = history[number]
        if (right := write_of.get((read.key, read.value))) is None:
            continue
        older = [
            each
            for each in history
            if each.kind == "write"
            and each.outcome == "ok"
            and each.key == read.key
            and each.returned_us is not None
            and each.returned_us < right.called_us
        ]
        if older:
            older.sort(key=lambda each: each.called_us)
            mutated = list(history)
            mutated[number] = replace(read, value=rng.choice(older[-among:]).value)
            return mutated
    return list(history)
