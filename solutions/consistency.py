"""Reference solutions and known wrong answers of `labs/consistency.ipynb`."""

from __future__ import annotations

import itertools

from remotecalls.notebook.solutions import Wrong


def quorum_latency(round_trips, needed):
    return sorted(round_trips)[needed - 1]


def served(replicas, needed, side):
    return side >= needed


def has_order(history):
    for order in itertools.permutations(history):
        value, legal = None, True
        for place, (kind, given, called, _) in enumerate(order):
            if any(returned < called for _, _, _, returned in order[place + 1 :]):
                legal = False
            elif kind == "write":
                value = given
            elif value != given:
                legal = False
        if legal:
            return True
    return False


def changes():
    return {"sloppy": True, "partition": 2}


SOLUTIONS = {
    "quorum-latency": quorum_latency,
    "who-is-served": served,
    "find-an-order": has_order,
    "break-a-quorum": changes,
}


def the_sum(round_trips, needed):
    return sum(sorted(round_trips)[:needed])


def the_slowest(round_trips, needed):
    return max(round_trips)


def in_the_given_order(round_trips, needed):
    return max(round_trips[:needed])


def by_majority(replicas, needed, side):
    return side > replicas // 2


def always(replicas, needed, side):
    return True


def half_is_enough(replicas, needed, side):
    return side >= min(needed, replicas / 2)


def order_of_calls(history):
    value = None
    for kind, given, _, _ in sorted(history, key=lambda each: each[2]):
        if kind == "write":
            value = given
        elif value != given:
            return False
    return True


def without_time(history):
    for order in itertools.permutations(history):
        value = None
        for kind, given, _, _ in order:
            if kind == "write":
                value = given
            elif value != given:
                break
        else:
            return True
    return False


def too_few():
    return {"read_quorum": 1}


def clocks():
    return {"versions": "wall-clock", "skew_us": 100_000}


def losses():
    return {"loss_per_mille": 50}


WRONG = [
    Wrong("quorum-latency", "the sum", the_sum, "nobody adds anything up"),
    Wrong("quorum-latency", "the slowest of all", the_slowest, "the first one is the quickest"),
    Wrong("quorum-latency", "in the given order", in_the_given_order, "are not waited for"),
    Wrong("who-is-served", "by majority", by_majority, "One that is gone stops everybody"),
    Wrong("who-is-served", "always", always, "cannot know that the other three"),
    Wrong("who-is-served", "half is enough", half_is_enough, "One that is gone stops everybody"),
    Wrong("find-an-order", "the order of the calls", order_of_calls, "nobody says when"),
    Wrong("find-an-order", "any order", without_time, "may not come behind it"),
    Wrong("break-a-quorum", "no overlap", too_few, "are no surprise"),
    Wrong("break-a-quorum", "clocks", clocks, "find another"),
    Wrong("break-a-quorum", "losses", losses, "All five have an order"),
]
