"""What queueing theory says before anything is run: how long one waits, and how many servers.

Arrivals are Poisson, the queue is first in, first out, and nobody gives up. Rates are per second
and times in seconds; any other unit will do if all of them agree. Every formula holds in the long
run, for a system that is stable: one whose servers can do more work than comes.

Sources: Erlang, "Solution of some Problems in the Theory of Probabilities of Significance in
Automatic Telephone Exchanges", 1917; Kleinrock, "Queueing Systems, Volume I: Theory", 1975; Allen,
"Probability, Statistics, and Queueing Theory with Computer Science Applications", 2nd edition,
1990; Little, "A Proof for the Queuing Formula L = λW", Operations Research 9 (3), 1961.
"""

from __future__ import annotations

import math


def offered_load(arrival_rate: float, mean_service: float) -> float:
    """Return the work that comes in a unit of time, in erlangs: servers that are busy on average.

    Args:
        arrival_rate: requests a second.
        mean_service: seconds of work that a request is, on average.

    Raises:
        ValueError: one of them is not a positive number.
    """
    _check_positive("arrival_rate", arrival_rate, "requests a second")
    _check_positive("mean_service", mean_service, "seconds of work of a request")
    return arrival_rate * mean_service


def utilization(arrival_rate: float, mean_service: float, servers: int) -> float:
    """Return the share of the time for which a server is busy, on average; above 1 it cannot be.

    Raises:
        ValueError: an argument is impossible, or more work comes than the servers can do.
    """
    load = offered_load(arrival_rate, mean_service)
    _check_stable(servers, load)
    return load / servers


def erlang_b(servers: int, load: float) -> float:
    """Return the share of requests that are lost where nobody can wait (M/G/c/c).

    The recurrence in the number of servers, B(0) = 1 and B(c) = a B(c-1) / (c + a B(c-1)), has
    neither factorials nor differences; it keeps its precision for thousands of servers.

    Args:
        servers: how many requests are worked on at once; with none, each is lost.
        load: offered load in erlangs. It may be above the number of servers: what is lost is not
            worked on.

    Raises:
        ValueError: the number of servers is negative, or the load is not a positive number.

    Source: Erlang 1917; the recurrence for example in Kleinrock 1975, section 3.6.
    """
    _check_servers(servers, least=0)
    _check_positive("load", load, "erlangs")
    blocked = 1.0
    for count in range(1, servers + 1):
        blocked = load * blocked / (count + load * blocked)
    return blocked


def erlang_c(servers: int, load: float) -> float:
    """Return the share of requests that wait (M/M/c).

    Args:
        servers: how many requests are worked on at once.
        load: offered load in erlangs, below the number of servers.

    Raises:
        ValueError: an argument is impossible, or the queue would grow without end.

    Source: Erlang 1917; Kleinrock 1975, equation 3.40. Here from Erlang B, which is stable.
    """
    _check_stable(servers, load)
    return _waits(erlang_b(servers, load), load / servers)


def mmc_mean_wait(arrival_rate: float, mean_service: float, servers: int) -> float:
    """Return the mean time in the queue, in seconds, of all requests (M/M/c).

    Those that do not wait count as zero; the time at a server is not in it.

    Raises:
        ValueError: an argument is impossible, or the queue would grow without end.

    Source: Kleinrock 1975, section 3.5; C(c, a) / (c μ - λ).
    """
    load = offered_load(arrival_rate, mean_service)
    return erlang_c(servers, load) * mean_service / (servers - load)


def mmc_queue_length(arrival_rate: float, mean_service: float, servers: int) -> float:
    """Return how many requests wait, on average over time (M/M/c).

    Raises:
        ValueError: an argument is impossible, or the queue would grow without end.

    Source: Little 1961, of the mean wait.
    """
    return littles_law(arrival_rate, mmc_mean_wait(arrival_rate, mean_service, servers))


def mmc_wait_percentile(
    arrival_rate: float, mean_service: float, servers: int, percent: float
) -> float:
    """Return the time in the queue, in seconds, that so many percent of requests do not exceed.

    It is 0 where as many do not wait at all.

    Args:
        arrival_rate: requests a second.
        mean_service: seconds of work that a request is, on average.
        servers: how many requests are worked on at once.
        percent: above 0 and below 100.

    Raises:
        ValueError: an argument is impossible, or the queue would grow without end.

    Source: Kleinrock 1975, section 3.5: P(W > t) = C(c, a) exp(-(c μ - λ) t).
    """
    _check_percent(percent)
    load = offered_load(arrival_rate, mean_service)
    return _percentile(erlang_c(servers, load), servers, load, mean_service, percent)


def mg1_mean_wait(arrival_rate: float, mean_service: float, cv_squared: float) -> float:
    """Return the mean time in the queue of one server, in seconds, whatever the work is (M/G/1).

    Args:
        arrival_rate: requests a second.
        mean_service: seconds of work that a request is, on average.
        cv_squared: squared coefficient of variation of that work: its variance over the square of
            its mean. 0 where all work is equal, 1 where it is exponential.

    Raises:
        ValueError: an argument is impossible, or the queue would grow without end.

    Source: Pollaczek 1930 and Khinchine 1932; Kleinrock 1975, section 5.6:
    ρ (1 + cv²) / (2 (1 - ρ)) times the mean service time.
    """
    _check_cv_squared(cv_squared)
    busy = utilization(arrival_rate, mean_service, 1)
    return busy / (1 - busy) * (1 + cv_squared) / 2 * mean_service


def mgc_mean_wait(
    arrival_rate: float, mean_service: float, servers: int, cv_squared: float
) -> float:
    """Return about the mean time in the queue of several servers, in seconds (M/G/c).

    An approximation: the wait of M/M/c times (1 + cv²) / 2. It is exact for one server and for
    exponential work. Elsewhere it is off, the more so the more servers there are and the further
    cv² is from 1: too low below, too high above. `benchmarks/simulators.py` says by how much.

    Args:
        arrival_rate: requests a second.
        mean_service: seconds of work that a request is, on average.
        servers: how many requests are worked on at once.
        cv_squared: squared coefficient of variation of the work of a request.

    Raises:
        ValueError: an argument is impossible, or the queue would grow without end.

    Source: Allen and Cunneen, in Allen 1990, section 5.3, with Poisson arrivals.
    """
    _check_cv_squared(cv_squared)
    return mmc_mean_wait(arrival_rate, mean_service, servers) * (1 + cv_squared) / 2


def littles_law(arrival_rate: float, mean_time: float) -> float:
    """Return how many are there on average, of those who come so often and stay so long: L = λW.

    It holds for a queue, for a whole system and for anything with a border, whatever comes in
    whichever order, as long as what enters also leaves.

    Args:
        arrival_rate: how many enter a second.
        mean_time: seconds for which each stays, on average; it may be 0.

    Raises:
        ValueError: the rate is not a positive number, or the time is negative.

    Source: Little 1961.
    """
    _check_positive("arrival_rate", arrival_rate, "requests a second")
    _check_not_negative("mean_time", mean_time, "seconds")
    return arrival_rate * mean_time


def servers_for_utilization(arrival_rate: float, mean_service: float, at_most: float) -> int:
    """Return the fewest servers that are busy for no larger share of the time than `at_most`.

    Args:
        arrival_rate: requests a second.
        mean_service: seconds of work that a request is, on average.
        at_most: the highest utilization, above 0 and below 1.

    Raises:
        ValueError: an argument is impossible.
    """
    if not 0 < at_most < 1:
        raise ValueError(
            f"at_most is {at_most!r}; a utilization that leaves the queue an end is above 0 and "
            "below 1. Choose one such as 0.6."
        )
    load = offered_load(arrival_rate, mean_service)
    servers = max(1, math.ceil(load / at_most))
    # A quotient a last bit above a whole number would cost a server: 30 × 0.1 / 0.6 is 5.
    if servers > 1 and load <= at_most * (servers - 1) * (1 + 1e-12):
        servers -= 1
    return servers


def servers_for_wait(
    arrival_rate: float, mean_service: float, percent: float, at_most: float
) -> int:
    """Return the fewest servers with which so many percent of requests wait no longer (M/M/c).

    Args:
        arrival_rate: requests a second.
        mean_service: seconds of work that a request is, on average.
        percent: of requests, above 0 and below 100.
        at_most: seconds in the queue; 0 asks that so many do not wait at all.

    Raises:
        ValueError: an argument is impossible.
    """
    _check_percent(percent)
    _check_not_negative("at_most", at_most, "seconds in the queue")
    load = offered_load(arrival_rate, mean_service)
    servers = math.floor(load) + 1
    blocked = erlang_b(servers, load)
    while True:
        share = _waits(blocked, load / servers)
        if _percentile(share, servers, load, mean_service, percent) <= at_most:
            return servers
        servers += 1
        blocked = load * blocked / (servers + load * blocked)


# ---------------------------------------------------------------- the parts


def _waits(blocked: float, busy: float) -> float:
    """Erlang C from Erlang B: B / (1 - ρ (1 - B))."""
    return blocked / (1 - busy * (1 - blocked))


def _percentile(
    share: float, servers: int, load: float, mean_service: float, percent: float
) -> float:
    beyond = 1 - percent / 100
    if share <= beyond:
        return 0.0
    return math.log(share / beyond) * mean_service / (servers - load)


def _check_positive(name: str, value: float, meaning: str) -> None:
    if not (value > 0 and math.isfinite(value)):
        raise ValueError(f"{name} is {value!r}; choose a positive number of {meaning}")


def _check_not_negative(name: str, value: float, meaning: str) -> None:
    if not (value >= 0 and math.isfinite(value)):
        raise ValueError(f"{name} is {value!r}; choose 0 or a positive number of {meaning}")


def _check_cv_squared(value: float) -> None:
    if not (value >= 0 and math.isfinite(value)):
        raise ValueError(
            f"cv_squared is {value!r}; a variance over a squared mean is 0 or positive. "
            "Choose 0 for work that is always equal, 1 for exponential work."
        )


def _check_percent(percent: float) -> None:
    if not 0 < percent < 100:
        raise ValueError(f"percent is {percent!r}; choose one above 0 and below 100, such as 99")


def _check_servers(servers: int, least: int = 1) -> None:
    if isinstance(servers, bool) or not isinstance(servers, int) or servers < least:
        raise ValueError(f"servers is {servers!r}; choose a whole number from {least} up")


def _check_stable(servers: int, load: float) -> None:
    _check_servers(servers)
    _check_positive("load", load, "erlangs")
    if load >= servers:
        raise ValueError(
            f"utilization is {load / servers:.3g}: {servers} server{'s' * (servers != 1)} cannot "
            f"keep up with {load:.4g} erlangs of work, and the queue grows without end. Use at "
            f"least {math.floor(load) + 1} servers, or let fewer requests come, or each be less "
            "work."
        )
