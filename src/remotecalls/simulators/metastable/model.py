"""A service, its clients, and a load: does it come back when what was special is over?

The loop knows five kinds of event: a first try comes, work is finished, a client has waited long
enough, a client tries again, the run is over. Requests and tries are numbers, and what is known of
them stands in lists. That makes it several times as fast as a process for each request would be.

Work is slower the more of it there is: a request that is begun while k others are in work takes the
base latency and k times the coordination cost, times its own factor. A client that has given up
does not tell the server, unless the deadline is propagated; the server works for nobody then.

Left out: the network, the price of refusing, and clients that come back later because their first
request failed.

Sources: Bronson and others, "Metastable Failures in Distributed Systems", HotOS 2021; Huang and
others, "Metastable Failures in the Wild", OSDI 2022.
"""

from __future__ import annotations

import heapq
import random
from collections import deque

from remotecalls.simulators.metastable.clients import Backoff, CircuitBreaker, RetryBudget
from remotecalls.simulators.metastable.load import first_tries
from remotecalls.simulators.metastable.parameters import (
    CANCELLED,
    FEASIBLE,
    IGNORED,
    MetastableParameters,
)
from remotecalls.simulators.metastable.queues import waiting_line
from remotecalls.simulators.metastable.result import SECOND_US, MetastableResult, Seconds

_NEVER = 1 << 60

_JITTER_DRAWS = 1_000_000
"""Jitter is not drawn from the numbers from which the load is drawn: seeds end before."""


class _Run:
    """One run; everything in it happens in `loop`, `_send`, `_begin`, `_next` and `_fail`."""

    def __init__(self, parameters: MetastableParameters, seed: int) -> None:
        self.parameters = parameters
        self.first = first_tries(parameters, seed)
        self.seconds = Seconds.empty(-(-parameters.duration_us // SECOND_US))
        self.backoff = Backoff(parameters, random.Random(_JITTER_DRAWS + seed))
        clients = range(parameters.clients)
        self.budgets = (
            [RetryBudget(parameters.budget_percent, parameters.budget_burst) for _ in clients]
            if parameters.budget_percent
            else None
        )
        self.breakers = (
            [CircuitBreaker(parameters.breaker_failures, parameters.breaker_open_us)
             for _ in clients]
            if parameters.breaker_failures
            else None
        )  # fmt: skip
        # Of requests, by their number.
        self.tries_of = [0] * len(self.first)
        self.wait_of = [0] * len(self.first)
        # Of tries, by their number.
        self.request_of: list[int] = []
        self.sent_us: list[int] = []
        self.begun_us: list[int] = []
        self.is_over: list[bool] = []
        """Whether the client has its answer, or does not wait for it any more."""
        self.is_stopped: set[int] = set()

        self.queue = waiting_line(parameters)
        self.active = 0
        self.working: list[tuple[int, int]] = []
        self.patience: deque[int] = deque()
        """Tries in the order in which they were sent, hence in that in which they time out."""
        self.retries: list[tuple[int, int]] = []
        self.limit_tokens_us = 0
        self.limit_since_us = parameters.limit_at_us
        self.answers: list[tuple[int, int]] = []
        self.events = 0

    def result(self, seed: int) -> MetastableResult:
        """Run to the end."""
        self.loop()
        return MetastableResult(
            parameters=self.parameters,
            seed=seed,
            seconds=self.seconds,
            answers=tuple(self.answers),
            breaker_openings=sum(each.openings for each in self.breakers or ()),
            events=self.events,
        )

    def loop(self) -> None:
        """Let happen what is next, until the end of the run."""
        first, working, patience, retries = self.first, self.working, self.patience, self.retries
        is_over, sent_us = self.is_over, self.sent_us
        timeout_us, end_us = self.parameters.timeout_us, self.parameters.duration_us
        queued, active = self.seconds.queued, self.seconds.active
        coming, count, events = 0, len(first), 0
        tick, tick_us = 0, SECOND_US
        while True:
            while patience and is_over[patience[0]]:
                patience.popleft()
            out_us = sent_us[patience[0]] + timeout_us if patience else _NEVER
            done_us = working[0][0] if working else _NEVER
            again_us = retries[0][0] if retries else _NEVER
            come_us = first[coming][0] if coming < count else _NEVER
            # At equal times an answer is in time, and what was freed is free for who comes.
            now_us = min(done_us, out_us, again_us, come_us, end_us)
            while now_us >= tick_us:
                queued[tick] = len(self.queue)
                active[tick] = self.active
                tick, tick_us = tick + 1, tick_us + SECOND_US
            if now_us == end_us:
                break
            events += 1
            if now_us == done_us:
                self._done(heapq.heappop(working)[1], now_us)
            elif now_us == out_us:
                self._out_of_patience(patience.popleft(), now_us)
            elif now_us == again_us:
                self._send(heapq.heappop(retries)[1], now_us)
            else:
                self.seconds.first_tries[now_us // SECOND_US] += 1
                if self.budgets:
                    self.budgets[first[coming][1]].deposit()
                self._send(coming, now_us)
                coming += 1
        if tick < len(queued):  # the last second is not a whole one
            queued[tick] = len(self.queue)
            active[tick] = self.active
        self.events = events

    # ------------------------------------------------------------ the server

    def _send(self, request: int, now_us: int) -> None:
        parameters, second = self.parameters, now_us // SECOND_US
        number = len(self.request_of)
        if self.breakers and not self.breakers[self.first[request][1]].lets_through(number, now_us):
            self.seconds.not_sent[second] += 1
            self._give_up(request, now_us)
            return
        self.request_of.append(request)
        self.sent_us.append(now_us)
        self.begun_us.append(-1)
        self.is_over.append(False)
        self.patience.append(number)
        self.tries_of[request] += 1
        self.seconds.tries[second] += 1
        if parameters.limit and not self._is_admitted(now_us):
            self.seconds.refused[second] += 1
            self._fail(number, now_us)
        elif self.active < parameters.capacity:
            self._begin(number, now_us)
        elif parameters.queue_limit and len(self.queue) >= parameters.queue_limit:
            self.seconds.refused[second] += 1
            self._fail(number, now_us)
        else:
            self.queue.push(number, now_us)

    def _is_admitted(self, now_us: int) -> bool:
        """Whether the rate limit lets a try through: a bucket that holds a tenth of a second."""
        parameters = self.parameters
        if not 0 <= now_us - parameters.limit_at_us < parameters.limit_for_us:
            return True
        token = SECOND_US
        earned = (now_us - self.limit_since_us) * parameters.limit
        most = max(token, token * parameters.limit // 10)
        self.limit_tokens_us = min(most, self.limit_tokens_us + earned)
        self.limit_since_us = now_us
        if self.limit_tokens_us < token:
            return False
        self.limit_tokens_us -= token
        return True

    def _usual_us(self) -> int:
        """How long the next piece of work takes on average."""
        parameters = self.parameters
        return parameters.base_latency_us + self.active * parameters.coordination_us

    def _begin(self, number: int, now_us: int) -> None:
        parameters = self.parameters
        factor = self.first[self.request_of[number]][2]
        if parameters.trigger_at_us <= now_us < parameters.trigger_end_us:
            factor *= parameters.slow_percent / 100
        self.begun_us[number] = now_us
        heapq.heappush(self.working, (now_us + int(self._usual_us() * factor), number))
        self.active += 1

    def _done(self, number: int, now_us: int) -> None:
        if number in self.is_stopped:
            return
        self.active -= 1
        seconds, second = self.seconds, now_us // SECOND_US
        seconds.throughput[second] += 1
        seconds.worked_us[second] += now_us - self.begun_us[number]
        self.answers.append((now_us, now_us - self.sent_us[number]))
        if self.is_over[number]:
            seconds.wasted_us[second] += now_us - self.begun_us[number]
        else:
            self.is_over[number] = True
            seconds.goodput[second] += 1
            came_us, client, _ = self.first[self.request_of[number]]
            seconds.answered_of[came_us // SECOND_US] += 1
            if self.breakers:
                self.breakers[client].succeeded(number)
        self._next(now_us)

    def _next(self, now_us: int) -> None:
        """Begin with whoever is next in the queue, if there is a place."""
        parameters, rule = self.parameters, self.parameters.deadline
        dropped: list[int] = []
        while self.active < parameters.capacity:
            number = self.queue.pop(now_us, dropped)
            if number is None:
                break
            if rule != IGNORED and self.is_over[number]:
                self.seconds.dropped[now_us // SECOND_US] += 1
                continue
            left_us = self.sent_us[number] + parameters.timeout_us - now_us
            if rule == FEASIBLE and left_us < self._usual_us():
                dropped.append(number)
                continue
            self._begin(number, now_us)
        for number in dropped:
            self.seconds.dropped[now_us // SECOND_US] += 1
            if not self.is_over[number]:
                self._fail(number, now_us)

    # ------------------------------------------------------------ the clients

    def _out_of_patience(self, number: int, now_us: int) -> None:
        self.seconds.timed_out[now_us // SECOND_US] += 1
        self._fail(number, now_us)
        if self.parameters.deadline == CANCELLED and self.begun_us[number] >= 0:
            spent_us = now_us - self.begun_us[number]
            self.is_stopped.add(number)
            self.active -= 1
            self.seconds.worked_us[now_us // SECOND_US] += spent_us
            self.seconds.wasted_us[now_us // SECOND_US] += spent_us
            self._next(now_us)

    def _fail(self, number: int, now_us: int) -> None:
        """Tell the client that a try has failed, or that it does not wait for it any more."""
        self.is_over[number] = True
        request = self.request_of[number]
        client = self.first[request][1]
        if self.breakers:
            self.breakers[client].failed(number, now_us)
        retry = self.tries_of[request]
        may = retry <= self.parameters.max_retries
        if may and (self.budgets is None or self.budgets[client].withdraw()):
            wait_us = self.backoff.wait_us(retry, self.wait_of[request])
            self.wait_of[request] = wait_us
            heapq.heappush(self.retries, (now_us + wait_us, request))
        else:
            self._give_up(request, now_us)

    def _give_up(self, request: int, now_us: int) -> None:
        self.seconds.given_up[now_us // SECOND_US] += 1
        self.seconds.given_up_of[self.first[request][0] // SECOND_US] += 1


def run(parameters: MetastableParameters, seed: int = 1) -> MetastableResult:
    """Run the model; equal arguments give equal results on every machine."""
    return _Run(parameters, seed).result(seed)
