"""The exercises of `labs/consistency.ipynb`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

from remotecalls.notebook.exercises import Answer, Attempt, Exercise, attempt, matches
from remotecalls.simulators.consistency import STRONG, run
from remotecalls.simulators.consistency.judgement import judge
from remotecalls.simulators.linearizability import Operation, check_registers

# ---------------------------------------------------------------- complete


def check_latency(quorum_latency: Answer) -> Iterator[Attempt]:
    """Round trips to replicas, and how many replies are needed."""
    for round_trips, needed, message in [
        ([2, 10, 30], 1, "One reply is needed, and the first one is the quickest."),
        ([2, 10, 30], 2, "All are asked at once: nobody adds anything up."),
        ([30, 2, 10], 3, "Everybody has to answer, so it is the slowest one."),
        ([12, 300, 11, 300, 1], 3, "The two that are far away are not waited for."),
        ([7, 7, 7, 7, 7], 3, "Equal ones take as long as one of them."),
    ]:
        yield attempt(
            f"quorum_latency({round_trips}, {needed})",
            partial(quorum_latency, round_trips, needed),
            sorted(round_trips)[needed - 1],
            message,
        )


# ---------------------------------------------------------------- predict


def is_served(replicas: int, needed: int, side: int) -> bool:
    """Whether clients beside `side` replicas get answers while the others are cut off."""
    parameters = replace(
        STRONG, replicas=replicas, read_quorum=needed, write_quorum=needed, clients_at="first",
        partition=replicas - side, partition_at_us=0, partition_for_us=60_000_000,
        operations=10, timeout_us=100_000,
    )  # fmt: skip
    return run(parameters, 1).count("ok") > 0


def check_served(served: Answer) -> Iterator[Attempt]:
    """The model, with the clients on the side of so many replicas."""
    for replicas, needed, side, message in [
        (5, 3, 3, "Three can do without the other two."),
        (5, 3, 2, "Two cannot know that the other three have agreed on nothing."),
        (5, 5, 4, "One that is gone stops everybody, if all have to answer."),
        (5, 1, 1, "One answer is enough, whatever the others have been told."),
        (4, 3, 2, "Of four, two are half and no majority: neither side goes on."),
    ]:
        yield attempt(
            f"served({replicas}, {needed}, {side})",
            partial(served, replicas, needed, side),
            is_served(replicas, needed, side),
            message,
        )


# ---------------------------------------------------------------- build

Call = tuple[str, Any, int, int]

HISTORIES: tuple[tuple[str, list[Call], str], ...] = (
    ("one after the other", [("write", 1, 0, 1), ("read", 1, 2, 3)], "That is in order."),
    (
        "a stale read",
        [("write", 1, 0, 1), ("write", 2, 2, 3), ("read", 1, 4, 5)],
        "The second write was over before the read began, and may not come behind it.",
    ),
    (
        "a read while a write is under way",
        [("write", 1, 0, 9), ("read", None, 2, 3), ("read", 1, 4, 5)],
        "A write takes effect at one moment between its call and its return; nobody says when.",
    ),
    (
        "new, and then old",
        [("write", 1, 0, 9), ("read", 1, 2, 3), ("read", None, 4, 5)],
        "It may take effect early or late, and not early for the one and late for the other.",
    ),
    (
        "two writes at the same time",
        [("write", 1, 0, 9), ("write", 2, 1, 8), ("read", 1, 10, 11), ("read", 1, 12, 13)],
        "Which of two that overlap is the last one is free.",
    ),
    (
        "two readers who disagree",
        [("write", 1, 0, 9), ("write", 2, 1, 8), ("read", 1, 10, 11), ("read", 2, 12, 13)],
        "Free, and then the same for everybody.",
    ),
)


def check_order(has_order: Answer) -> Iterator[Attempt]:
    """Six small histories, each with a name."""
    for name, history, message in HISTORIES:
        operations = [
            Operation(number, "k", kind, value, called, returned)
            for number, (kind, value, called, returned) in enumerate(history)
        ]
        yield attempt(
            f"has_order(history): {name}",
            partial(has_order, history),
            check_registers(operations).is_linearizable,
            message,
        )


# ---------------------------------------------------------------- break

SEEDS = range(1, 6)


def check_changes(changes: Answer) -> Iterator[Attempt]:
    """Quorums that overlap, on five seeds."""
    found = changes()
    parameters = replace(STRONG, **found)
    yield attempt(
        "R + W - N",
        lambda: parameters.read_quorum + parameters.write_quorum - parameters.replicas,
        matches("more than 0", lambda overlap: overlap > 0),
        "Quorums that do not overlap are no surprise. Leave R + W above N.",
    )
    yield attempt(
        "how versions are made",
        lambda: parameters.versions,
        "number",
        "Clocks that differ are one way; find another, with numbers for versions.",
    )
    answers = [judge(run(parameters, seed)).answer for seed in SEEDS]
    yield attempt(
        "the answers of the checker on five seeds",
        lambda: answers,
        matches("not linearizable, once at least", lambda each: "not linearizable" in each),
        "All five have an order. What makes two quorums meet in no node that both of them know?",
    )


EXERCISES = (
    Exercise(
        name="quorum-latency",
        kind="complete",
        title="The slowest of those that are needed",
        minutes=5,
        lines=2,
        hints=(
            "Put the round trips in order.",
            "The needed-th of them in that order is the one that is waited for.",
        ),
        check=check_latency,
        task="Write `quorum_latency(round_trips, needed)`: how long an operation takes that asks "
        "all replicas at once and waits for so many replies.",
    ),
    Exercise(
        name="who-is-served",
        kind="predict",
        title="Which side goes on",
        minutes=6,
        lines=2,
        hints=(
            "A coordinator reaches the replicas of its own side only.",
            "It needs so many replies, whatever the number of replicas is.",
        ),
        check=check_served,
        task="Write `served(replicas, needed, side)`: whether clients on a side with so many "
        "replicas get answers, if an operation needs so many replies.",
    ),
    Exercise(
        name="find-an-order",
        title="A checker in a dozen lines",
        minutes=15,
        lines=13,
        hints=(
            "`itertools.permutations(history)` tries all orders; six operations have 720.",
            "An order is wrong if an operation stands behind one that was called after it had "
            "returned.",
            "And it is wrong if a read returns something else than the last write ahead of it.",
        ),
        check=check_order,
        task="Write `has_order(history)`: whether some order of the operations respects time and "
        "the register. An operation is a tuple: kind, value, when called, when returned. The "
        "register is None at first.",
    ),
    Exercise(
        name="break-a-quorum",
        kind="break",
        title="R + W > N, and still",
        minutes=8,
        lines=2,
        hints=(
            "Two quorums of N nodes overlap. Whose N nodes?",
            "Under a partition, a sloppy quorum takes other nodes; a change of members does, too.",
        ),
        check=check_changes,
        task="Write `changes()`: changes to `STRONG`, with R + W > N and numbers for versions, "
        "under which some of five runs is not linearizable.",
    ),
)
