"""A controller that adds and stops instances as utilization rises and falls, and what it misses.

Requests come from outside, and do not wait for each other. They stand in one queue, first in, first
out; each instance works on one at a time. Every so often the controller takes the utilization over
a window, and wants `ceil(instances × utilization / target)`: target tracking. What it adds serves
after a lag. What it stops finishes its request first; instances that start are the first to go.

Two delays make such a loop swing: an instance that was ordered does not show yet, and the window
still shows what was before. A third fault is in what it sees: utilization ends at 100 %, however
long the queue is, and a queue that is worked off looks like load.

Left out: instances of unequal speed, instances that fail, and a metric that is itself late.

Sources: Kubernetes, "Horizontal Pod Autoscaling" (the algorithm, its tolerance, its stabilization
window); AWS, "Target tracking scaling policies for Amazon EC2 Auto Scaling" (instances that warm
up are not counted); Hellerstein and others, "Feedback Control of Computing Systems", 2004.
"""

from __future__ import annotations

import heapq
import random
from collections import deque
from itertools import pairwise

from remotecalls.simulators.arrivals import poisson
from remotecalls.simulators.capacity.autoscaling_parameters import AutoscalingParameters
from remotecalls.simulators.capacity.autoscaling_presets import PRESETS
from remotecalls.simulators.capacity.autoscaling_result import (
    SECOND_US,
    AutoscalingResult,
    AutoscalingSeconds,
    Decision,
    initial_instances,
)
from remotecalls.simulators.parameters import Simulator

_NEVER = 1 << 60


def arrivals(parameters: AutoscalingParameters, seed: int) -> tuple[list[int], list[int]]:
    """Draw the requests, in order: when each comes, and how much work it is, in microseconds."""
    rng = random.Random(seed)
    work_rate = 1 / parameters.work_us
    times_us: list[int] = []
    works_us: list[int] = []
    for came_us in poisson(parameters.spans(), rng):
        times_us.append(came_us)
        works_us.append(round(rng.expovariate(work_rate)))
    return times_us, works_us


class _Controller:
    """Who decides how many instances there are, from utilization over a window alone."""

    def __init__(self, parameters: AutoscalingParameters) -> None:
        self.parameters = parameters
        self.changed_us = -_NEVER
        self.decisions: list[Decision] = []

    def order(self, now_us: int, running: int, starting: int, busy_us: int, there_us: int) -> int:
        """Return how many instances there shall be.

        Args:
            now_us: the time of the look.
            running: instances that serve.
            starting: instances that were ordered and do not serve yet.
            busy_us: their work over the window.
            there_us: what they could have done in it; positive.
        """
        parameters, target = self.parameters, self.parameters.target_percent
        before = running + starting
        if now_us - self.changed_us < parameters.cooldown_us:
            return before
        # utilization / target - 1, times 100 × target × there_us, so that all is whole numbers.
        off = 100 * busy_us - target * there_us
        if abs(off) * 100 <= parameters.tolerance_percent * target * there_us:
            return before
        counted = before if parameters.counts_starting else running
        wanted = -(-counted * busy_us * 100 // (there_us * target))
        after = min(max(before + self._change(wanted - before), parameters.least), parameters.most)
        if after != before:
            self.changed_us = now_us
            self.decisions.append(Decision(now_us, before, after, 100 * busy_us // there_us))
        return after

    def _change(self, difference: int) -> int:
        """Return what of a difference is made up now: by the gain, at least 1, up to the limit."""
        if difference == 0:
            return 0
        size = max(1, abs(difference) * self.parameters.gain_percent // 100)
        if self.parameters.step_limit:
            size = min(size, self.parameters.step_limit)
        return size if difference > 0 else -size


def run(parameters: AutoscalingParameters, seed: int) -> AutoscalingResult:
    """Run the loop; equal arguments give equal results in CPython and in the browser.

    Args:
        parameters: the settings.
        seed: decides when requests come and how much work each is, whatever the controller does.
    """
    times_us, works_us = arrivals(parameters, seed)
    return _Run(parameters, times_us, works_us).result(seed)


class _Run:
    """One run, event by event: a request comes or is finished, or something happens at a mark.

    Marks are the ends of seconds, the looks, and the times at which the window of a look begins.
    """

    def __init__(
        self, parameters: AutoscalingParameters, times_us: list[int], works_us: list[int]
    ) -> None:
        self.parameters = parameters
        self.times_us, self.works_us = times_us, works_us
        end_us, every_us = parameters.duration_us, parameters.look_every_us
        seconds = -(-end_us // SECOND_US)
        looks = range(every_us, end_us, every_us)
        self.looks = frozenset(looks)
        self.ends = {
            min(number * SECOND_US, end_us): number - 1 for number in range(1, seconds + 1)
        }
        windows = (max(0, look_us - parameters.window_us) for look_us in looks)
        self.marks = sorted({0, *looks, *self.ends, *windows})
        self.seconds = AutoscalingSeconds.empty(seconds)
        self.controller = _Controller(parameters)
        self.ready: deque[int] = deque()
        """When each instance that starts will serve; the lag is constant, so they are in order."""
        self.sums: dict[int, tuple[int, int]] = {}
        """At each mark, the work done since the beginning, and what could have been done."""
        self.answers: list[tuple[int, int]] = []
        self.events = 0

    def result(self, seed: int) -> AutoscalingResult:
        """Run to the end."""
        self._loop()
        seconds = self.seconds
        for series in (seconds.offered, seconds.served, seconds.busy_us, seconds.there_us):
            series[1:] = [other - one for one, other in pairwise(series)]
        seconds.needed[:] = needed_over_time(self.parameters, len(seconds))
        return AutoscalingResult(
            parameters=self.parameters,
            seed=seed,
            seconds=seconds,
            decisions=tuple(self.controller.decisions),
            answers=tuple(self.answers),
            events=self.events,
        )

    def _loop(self) -> None:
        times_us, works_us, ready, answers = self.times_us, self.works_us, self.ready, self.answers
        push, pop = heapq.heappush, heapq.heappop
        working: list[tuple[int, int]] = []  # when each request will be finished, and when it came
        count = len(times_us)
        came = begun = active = 0
        come_us = times_us[0] if count else _NEVER
        running = initial_instances(self.parameters)
        busy_us = there_us = since_us = 0
        for mark_us in self.marks:
            stop_us = min(ready[0], mark_us) if ready else mark_us
            is_at_mark = False
            while not is_at_mark:
                done_us = working[0][0] if working else _NEVER
                # At equal times what is finished comes first, and who comes is of what follows.
                now_us = done_us if done_us < come_us else come_us
                if now_us >= stop_us and done_us > stop_us:
                    now_us = stop_us
                took_us = now_us - since_us
                since_us = now_us
                busy_us += active * took_us
                # One that is to stop is there until it has finished its request.
                there_us += (running if running > active else active) * took_us
                if now_us == done_us:
                    came_us = pop(working)[1]
                    answers.append((now_us, now_us - came_us))
                    active -= 1
                elif now_us != stop_us:
                    came += 1
                    come_us = times_us[came] if came < count else _NEVER
                elif ready and ready[0] == now_us:
                    ready.popleft()
                    running += 1
                    self.events += 1
                    stop_us = min(ready[0], mark_us) if ready else mark_us
                else:
                    is_at_mark = True
                    self.sums[now_us] = (busy_us, there_us)
                    if now_us in self.looks:
                        running = self._look(now_us, running)
                        self.events += 1
                while active < running and begun < came:
                    push(working, (now_us + works_us[begun], times_us[begun]))
                    begun += 1
                    active += 1
            if mark_us in self.ends:
                self._note(mark_us, came, begun, max(running, active))
        self.events += came + len(answers)

    def _look(self, now_us: int, running: int) -> int:
        """Let the controller decide, and return how many instances serve from now on."""
        busy_us, there_us = self.sums[now_us]
        was_busy_us, was_there_us = self.sums[max(0, now_us - self.parameters.window_us)]
        before = running + len(self.ready)
        after = self.controller.order(
            now_us, running, len(self.ready), busy_us - was_busy_us, there_us - was_there_us
        )
        if after > before:
            if self.parameters.lag_us == 0:
                return running + after - before
            self.ready.extend([now_us + self.parameters.lag_us] * (after - before))
            return running
        cancelled = min(before - after, len(self.ready))
        for _ in range(cancelled):
            self.ready.pop()
        return running - (before - after - cancelled)

    def _note(self, now_us: int, came: int, begun: int, running: int) -> None:
        """Note what there is at the end of a second; four of them are sums since the beginning."""
        seconds, second = self.seconds, self.ends[now_us]
        seconds.offered[second] = came
        seconds.served[second] = len(self.answers)
        seconds.busy_us[second], seconds.there_us[second] = self.sums[now_us]
        seconds.waiting[second] = came - begun
        seconds.running[second] = running
        seconds.starting[second] = len(self.ready)


def needed_over_time(parameters: AutoscalingParameters, seconds: int) -> list[int]:
    """Return for each second the instances that are at the target at the rate of its middle."""
    spans = parameters.spans()
    _, until_us, rate = next(spans)
    found = []
    for second in range(seconds):
        middle_us = min(second * SECOND_US + SECOND_US // 2, parameters.duration_us - 1)
        while middle_us >= until_us:
            _, until_us, rate = next(spans)
        found.append(parameters.needed(rate))
    return found


SIMULATOR = Simulator(
    name="autoscaling",
    title="As many instances as it takes",
    parameters=AutoscalingParameters,
    run=run,
    presets=PRESETS,
)
