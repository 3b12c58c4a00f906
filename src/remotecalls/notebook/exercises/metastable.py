"""The exercises of `labs/metastable.ipynb`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

from remotecalls.notebook.exercises import Answer, Attempt, Exercise, attempt, matches
from remotecalls.simulators.metastable import STORM, run
from remotecalls.simulators.metastable.experiments import try_remedy
from remotecalls.simulators.metastable.signals import collapsed_us, first_warnings

SEEDS = (1, 2, 3)

ALONE: dict[str, tuple[dict[str, Any], str]] = {
    "backoff": (
        {"backoff": "full"},
        "Backoff alone: a request that waits before its fourth try still makes four.",
    ),
    "breaker": (
        {"breaker_failures": 5},
        "A breaker alone: while it is open its client sends nothing at all, and the queue runs "
        "empty.",
    ),
    "deadline": (
        {"deadline": "expired"},
        "The deadline alone: what has a moment left is begun, and late when it is done.",
    ),
    "no retries": (
        {"max_retries": 0},
        "No retries: 40 a second are less than 51, and the queue of the spike is worked off.",
    ),
    "queue of 20": (
        {"queue_limit": 20},
        "A queue of 20: they are done in 0.4 s. Add the time in work, and it is less than 1 s.",
    ),
    "queue of 40": (
        {"queue_limit": 40},
        "A queue of 40: they take 0.8 s. Add the time in work, up to 0.4 s for most.",
    ),
}
"""What is asked of each remedy: its change, and what is said about a wrong prediction."""


def check_prediction(remedies: Answer) -> Iterator[Attempt]:
    """Each remedy that the prediction has too many or lacks, by a run of the model."""
    found = remedies()
    yield attempt(
        "remedies()",
        lambda: found,
        matches("a set of names from the table", lambda names: set(names) <= set(ALONE)),
        f"The names are {', '.join(ALONE)}.",
    )
    for name, (changes, message) in ALONE.items():
        remedy = try_remedy(STORM, changes, SEEDS)
        yield attempt(
            f'"{name}" in remedies()',
            partial(set(found).__contains__, name),
            remedy.recovered == remedy.runs,
            message,
        )


# ---------------------------------------------------------------- complete


def limit_of(timeout_ms: int, service_ms: int, per_second: int) -> int:
    """How many may wait, so that the last of them is done in time."""
    return (timeout_ms - service_ms) * per_second // 1_000


def check_queue(longest_queue: Answer) -> Iterator[Attempt]:
    """Three servers, and then the model with that limit, and with twice as much."""
    for arguments, message in [
        ((1_000, 400, 50), "Whoever is last waits for all the others, and is then served."),
        ((2_000, 500, 200), "200 a second are one each 5 ms."),
        ((300, 400, 50), "What takes longer than the time-out is late without any queue."),
    ]:
        words = f"longest_queue({arguments[0]}, {arguments[1]}, {arguments[2]})"
        expected = max(0, limit_of(*arguments))
        yield attempt(words, partial(longest_queue, *arguments), expected, message)
    limit = longest_queue(1_000, 400, 51)
    for factor, expected in ((1, True), (2, False)):
        result = run(replace(STORM, queue_limit=factor * limit), 1)
        yield attempt(
            f"the storm with a queue of {factor * limit}: does it recover?",
            lambda result=result: result.recovered_us is not None,  # type: ignore[misc]
            expected,
            "The rule gives a limit at which the model does not do what the rule promises.",
        )


# ---------------------------------------------------------------- build


def check_budget(budget: Answer) -> Iterator[Attempt]:
    """A bucket's life: full at first, then filled by first tries, never over its brim."""
    bucket = budget(percent=10, burst=2)
    for words, action, expected, message in [
        ("a retry from a full bucket", bucket.withdraw, True, "It begins full: `burst` retries."),
        ("a second one", bucket.withdraw, True, "Two were saved."),
        ("a third one", bucket.withdraw, False, "Nothing is left, and nobody has filled it."),
    ]:
        yield attempt(words, action, expected, message)
    for _ in range(9):
        bucket.deposit()
    yield attempt(
        "a retry after nine first tries at 10 %",
        bucket.withdraw,
        False,
        "Nine tenths of a retry are none. Withdraw whole ones only.",
    )
    bucket.deposit()
    yield attempt(
        "and after a tenth",
        bucket.withdraw,
        True,
        "Ten times 10 % is a whole retry. Ten times 0.1 is a little less than 1: count hundredths.",
    )
    for _ in range(1_000):
        bucket.deposit()
    granted = sum(bucket.withdraw() for _ in range(50))
    yield attempt(
        "how many retries are granted after a thousand first tries",
        lambda: granted,
        2,
        "What is saved in quiet times must not become a storm: no more than `burst`.",
    )


# ---------------------------------------------------------------- break


def check_alarm(false_alarm: Answer) -> Iterator[Attempt]:
    """A morning with a warning and without a collapse, on three seeds."""
    changes = false_alarm()
    for seed in SEEDS:
        result = run(replace(STORM, **changes), seed)
        warned = first_warnings(result)["retries"]
        yield attempt(
            f"whether retries warn with seed {seed}",
            partial(bool, warned),
            True,
            "On that morning nobody tries again often enough: a spike, or a refusal, would do it.",
        )
        yield attempt(
            f"when it collapses with seed {seed}",
            partial(collapsed_us, result),
            None,
            "The alarm was right: that service collapses. Take a remedy that refuses early.",
        )


EXERCISES = (
    Exercise(
        name="predict-the-remedies",
        kind="predict",
        title="Which of six",
        minutes=8,
        lines=2,
        hints=(
            "Count tries: 40 a second, four of each, against a capacity of 51.",
            "For a queue, add the wait and the work, and compare with the time-out of 1 s.",
        ),
        check=check_prediction,
        task="Write `remedies()`: the set of those that bring the service back, each alone. The "
        'names are "backoff", "breaker", "deadline", "no retries", "queue of 20", "queue of 40".',
    ),
    Exercise(
        name="longest-queue",
        kind="complete",
        title="How long may the queue be",
        minutes=8,
        lines=3,
        hints=(
            "The last in a queue of n waits n / rate, and is then served.",
            "Wait and service together are at most the time-out. Solve for n, rounded down.",
        ),
        check=check_queue,
        task="Write `longest_queue(timeout_ms, service_ms, per_second)`: how many may wait so that "
        "the last of them is answered in time; never below 0.",
    ),
    Exercise(
        name="build-a-budget",
        title="A retry budget",
        minutes=12,
        lines=12,
        hints=(
            "Keep hundredths of a retry as a whole number; a retry is 100 of them.",
            "`deposit` adds `percent`, up to `100 * burst`; `withdraw` takes 100, or nothing.",
        ),
        check=check_budget,
        task="Write a class `Budget(percent, burst)`: `deposit()` counts a first try, and "
        "`withdraw()` says whether a retry may be made and takes it. It begins full.",
    ),
    Exercise(
        name="false-alarm",
        kind="break",
        title="An alarm for nothing",
        minutes=10,
        lines=2,
        hints=(
            "The warning looks at retries next to answers. Which remedy makes many retries?",
            "What is refused at once is tried again at once, and some of it is let in.",
        ),
        check=check_alarm,
        task="Write `false_alarm()`: a dictionary of changes to `STORM` with which the warning "
        "`retries` comes on and the service does not collapse.",
    ),
)
