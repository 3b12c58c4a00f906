"""The exercises of `labs/metastable-2.ipynb`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from remotecalls.notebook.exercises import Answer, Attempt, Exercise, attempt, matches
from remotecalls.simulators.capacity import SIMULATOR, run
from remotecalls.simulators.capacity.formulas import mmc_mean_wait, servers_for_wait

SEEDS = (1, 2, 3)

# ---------------------------------------------------------------- predict


def check_ratio(ratio: Answer) -> Iterator[Attempt]:
    """One of ten queues against the queue that ten servers share, at 80 %."""
    apart = mmc_mean_wait(arrival_rate=8, mean_service=0.1, servers=1)
    pooled = mmc_mean_wait(arrival_rate=80, mean_service=0.1, servers=10)
    true = apart / pooled
    guess = ratio()
    yield attempt(
        "ratio()",
        lambda: guess,
        matches(
            f"about {true:.0f}: {apart * 1_000:.0f} ms with ten queues, "
            f"{pooled * 1_000:.0f} ms with one",
            lambda found: true / 1.5 <= found <= true * 1.5,
        ),
        "They are as busy, and still one queue is much better: nobody stands behind a long request "
        "while another clerk is free. But now and then all ten are busy at once."
        if not isinstance(guess, (int, float)) or guess < true
        else "So much better it is not: at 80 % all ten are busy at once now and then.",
    )


# ---------------------------------------------------------------- build


def check_planner(servers_needed: Answer) -> Iterator[Attempt]:
    """Several launches, the last of them with next to no patience."""
    for arguments, message in [
        ((30, 0.1, 99, 1.0), "3 erlangs of work. Begin with the fewest that can keep up at all."),
        ((30, 0.1, 99, 0.1), "One more server makes the wait shorter: try one after the other."),
        ((300, 0.1, 99, 0.1), "Ten times the load does not need ten times the servers."),
        ((5, 0.1, 50, 0.5), "Half an erlang: one server is enough for half of them."),
        ((40, 0.1, 99.9, 0.0), "Nobody of a thousand may wait at all."),
        ((30, 0.1, 1, 10.0), "30 × 0.1 is 3 exactly: three servers would never be done."),
    ]:
        words = "servers_needed({}, {}, {}, {})".format(*arguments)
        expected = servers_for_wait(*arguments)
        yield attempt(words, partial(servers_needed, *arguments), expected, message)


# ---------------------------------------------------------------- break


def check_swing(changes: Answer) -> Iterator[Attempt]:
    """The preset without a lag, changed, on three seeds."""
    found = changes()
    yield attempt(
        '"lag_us" in changes()',
        lambda: "lag_us" in found,
        False,
        "A lag is the way that you have seen. Find one without it.",
    )
    calm = SIMULATOR.preset("no-lag").parameters
    for seed in SEEDS:
        swings = run(replace(calm, **found), seed).swings
        yield attempt(
            f"how many swings it makes with seed {seed}",
            partial(int, swings),
            matches("four or more", lambda count: count >= 4),
            "It settles. Let it see what is old, decide more often than it can see, or do too "
            "much at a time.",
        )


EXERCISES = (
    Exercise(
        name="predict-the-pool",
        kind="predict",
        title="One queue for ten",
        minutes=5,
        lines=2,
        hints=(
            "For one clerk at 80 % the table above says four times the work.",
            "Ten clerks are all busy in some four cases of ten, and then one of them is soon free.",
        ),
        check=check_ratio,
        task="Write `ratio()`: how many times as long one waits with ten separate queues as with "
        "one queue for all ten, at 80 % utilization.",
    ),
    Exercise(
        name="build-a-planner",
        title="How many servers",
        minutes=12,
        lines=7,
        hints=(
            "The work that comes is `arrival_rate * mean_service` erlangs; fewer servers than that "
            "are never enough, nor is the same number.",
            "Try servers upwards from there until the percentile is at most what it may be.",
        ),
        check=check_planner,
        task="Write `servers_needed(arrival_rate, mean_service, percent, at_most)`: the fewest "
        "servers with which so many percent of requests wait at most `at_most` seconds.",
    ),
    Exercise(
        name="make-it-swing",
        kind="break",
        title="A loop that swings",
        minutes=8,
        lines=2,
        hints=(
            "`window_us` is how long the average is over; `look_every_us` is how often it decides.",
            "A window of a minute shows what was there before the last looks.",
        ),
        check=check_swing,
        task="Write `changes()`: a dictionary of changes to the preset `no-lag`, without `lag_us`, "
        "with which the number of instances oscillates.",
    ),
)
