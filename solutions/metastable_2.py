"""Reference solutions and known wrong answers of `labs/metastable-2.ipynb`."""

from __future__ import annotations

import math

from remotecalls.notebook.solutions import Wrong
from remotecalls.simulators.capacity.formulas import mmc_wait_percentile


def ratio():
    return 20


def servers_needed(arrival_rate, mean_service, percent, at_most):
    servers = math.floor(arrival_rate * mean_service) + 1
    while True:
        wait = mmc_wait_percentile(arrival_rate, mean_service, servers, percent)
        if wait <= at_most:
            return servers
        servers += 1


def changes():
    return {"window_us": 60_000_000}


SOLUTIONS = {
    "predict-the-pool": ratio,
    "build-a-planner": servers_needed,
    "make-it-swing": changes,
}


def a_lag():
    return {"lag_us": 30_000_000}


def small_steps():
    return {"step_limit": 2}


def ten_times():
    return 10


def a_hundred_times():
    return 100


def by_utilization(arrival_rate, mean_service, percent, at_most):
    return math.ceil(arrival_rate * mean_service / 0.8)


def rounded_up(arrival_rate, mean_service, percent, at_most):
    servers = math.ceil(arrival_rate * mean_service)
    while mmc_wait_percentile(arrival_rate, mean_service, servers, percent) > at_most:
        servers += 1
    return servers


def one_more(arrival_rate, mean_service, percent, at_most):
    return servers_needed(arrival_rate, mean_service, percent, at_most) + 1


WRONG = [
    Wrong("predict-the-pool", "ten times", ten_times, "one queue is much better"),
    Wrong("predict-the-pool", "a hundred times", a_hundred_times, "all ten are busy at once"),
    Wrong("build-a-planner", "by utilization", by_utilization, "One more server makes the wait"),
    Wrong("build-a-planner", "rounded up", rounded_up, "the fewest that can keep up at all"),
    Wrong("build-a-planner", "one more to be safe", one_more, "the fewest that can keep up"),
    Wrong("make-it-swing", "a lag", a_lag, "the way that you have seen"),
    Wrong("make-it-swing", "small steps", small_steps, "It settles"),
]
