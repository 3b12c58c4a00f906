"""Four ways to serve many clients, under the same arrivals: who computes, and who waits for whom.

One list of requests is drawn from the seed and given to each model. A request computes, waits for
something else (a database, another service), computes again, and sends its answer to a client that
may take it slowly. Each model has a machine to itself, with so many cores, on which whatever is
ready takes turns of `SLICE_US`, first come, first served.

* `process`: each request starts a process, and that costs processor time first.
* `pool`: a fixed number of processes; a request has one until its last byte is sent.
* `thread`: each request starts a thread. With the interpreter lock of CPython, one of them computes
  at a time, whatever the cores.
* `loop`: one thread does a piece of work to its end, then the next. Waiting and sending cost it
  nothing, unless a call waits in the loop itself.

The lengths of time are whole microseconds. `expovariate` calls the platform's `log`, so its value
is rounded before the model sees it.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any

import simpy

from remotecalls.simulators.parameters import (
    Parameters,
    Preset,
    Simulator,
    choice,
    integer,
    switch,
    to_json,
)

PROCESS, POOL, THREAD, LOOP = "process", "pool", "thread", "loop"
MODELS = {
    PROCESS: "a process for each request",
    POOL: "a pool of processes",
    THREAD: "a thread for each request",
    LOOP: "an event loop",
}

SLICE_US = 5_000
"""A turn on a processor; CPython's interpreter lock changes hands as often (setswitchinterval)."""

SWITCH_US = 5
"""What a turn costs besides its work."""

MEMORY_KIB = {PROCESS: 4_000, POOL: 4_000, THREAD: 30, LOOP: 5}
"""What one more request in progress takes: the order of what benchmarks/sockets.py measures."""

QUEUED, STARTING, RUNNING, WAITING, SENDING = "queued", "starting", "running", "waiting", "sending"
SimulatedProcess = Generator[simpy.Event, Any, None]


@dataclass(frozen=True)
class ServersParameters(Parameters):
    """The requests, and the machine."""

    requests: int = integer(
        16, label="Requests", help="How many requests arrive.",
        minimum=1, maximum=32, step=1, unit="requests",
    )  # fmt: skip
    gap_us: int = integer(
        2_000, label="Gap between arrivals", help="Time from one arrival to the next.",
        minimum=0, maximum=50_000, step=500, unit="µs",
    )  # fmt: skip
    compute_us: int = integer(
        1_000, label="Computing", help="Processor time of a request, half before its wait.",
        minimum=100, maximum=50_000, step=100, unit="µs",
    )  # fmt: skip
    wait_us: int = integer(
        20_000, label="Waiting",
        help="How long a request waits for something else, such as a database.",
        minimum=0, maximum=200_000, step=1_000, unit="µs",
    )  # fmt: skip
    send_us: int = integer(
        0, label="Slow clients take",
        help="How long every fourth client takes to receive its answer; the others take no time.",
        minimum=0, maximum=500_000, step=10_000, unit="µs",
    )  # fmt: skip
    cores: int = integer(
        2, label="Cores", help="How many processors compute at the same time.",
        minimum=1, maximum=16, step=1, unit="cores",
    )  # fmt: skip
    workers: int = integer(
        4, label="Processes in the pool", help="How many requests the pool serves at a time.",
        minimum=1, maximum=32, step=1, unit="processes",
    )  # fmt: skip
    blocking: bool = switch(
        False, label="A blocking call in the loop",
        help="The event loop waits in the call itself, so that everybody waits with it.",
    )  # fmt: skip
    interpreter_lock: bool = switch(
        True, label="Interpreter lock",
        help="Threads of CPython compute one at a time; threads of Java or C do not.",
    )  # fmt: skip
    gaps: str = choice(
        "random",
        label="Kind of gap",
        help="Steady: every gap is the same. Random: exponentially distributed with that mean.",
        options={"steady": "Steady", "random": "Random"},
    )
    fork_us: int = integer(
        1_500, label="Start of a process",
        help="Processor time to start a process that is a copy of its parent; 50,000 and more "
        "if it has to load an interpreter first, as with CGI.",
        minimum=100, maximum=100_000, step=100, unit="µs",
    )  # fmt: skip
    thread_us: int = integer(
        60, label="Start of a thread", help="Processor time to start a thread.",
        minimum=10, maximum=1_000, step=10, unit="µs",
    )  # fmt: skip


# ---------------------------------------------------------------- what happened


@dataclass(frozen=True)
class Request:
    """What one client asks: the same for every model."""

    index: int
    arrived_us: int
    before_us: int
    wait_us: int
    after_us: int
    send_us: int


@dataclass(frozen=True)
class Span:
    """What a request was doing from one time to another."""

    kind: str
    from_us: int
    until_us: int


@dataclass(frozen=True)
class Served:
    """A request and its life in one model: spans that follow each other without a gap."""

    index: int
    arrived_us: int
    spans: tuple[Span, ...]

    @property
    def finished_us(self) -> int:
        """When its last byte had gone."""
        return self.spans[-1].until_us

    @property
    def latency_us(self) -> int:
        """From arrival to the last byte."""
        return self.finished_us - self.arrived_us


@dataclass(frozen=True)
class ModelRun:
    """How one model served all requests.

    Attributes:
        model: which one.
        served: in the order of arrival.
        overhead_us: processor time spent on starting and switching.
        peak: the most requests that held a process, a thread, or a place in the loop at once.
    """

    model: str
    served: tuple[Served, ...]
    overhead_us: int
    peak: int

    @property
    def median_us(self) -> int:
        """The latency that half of the requests do not exceed."""
        ordered = sorted(each.latency_us for each in self.served)
        return ordered[(len(ordered) - 1) // 2]

    @property
    def slowest_us(self) -> int:
        """The longest latency."""
        return max(each.latency_us for each in self.served)

    @property
    def finished_us(self) -> int:
        """When the last request was served."""
        return max(each.finished_us for each in self.served)

    @property
    def memory_kib(self) -> int:
        """What the requests in progress took at the most."""
        return self.peak * MEMORY_KIB[self.model]


@dataclass(frozen=True)
class ServersResult:
    """The runs of all models with the same requests."""

    parameters: ServersParameters
    seed: int
    requests: tuple[Request, ...]
    runs: tuple[ModelRun, ...]

    @property
    def end_us(self) -> int:
        """When the slowest model was done."""
        return max(run.finished_us for run in self.runs)

    def of(self, model: str) -> ModelRun:
        """The run of one model."""
        return next(run for run in self.runs if run.model == model)

    def to_json(self) -> dict[str, Any]:
        """Return the result as JSON data."""
        return {
            "parameters": to_json(self.parameters),
            "seed": self.seed,
            "end_us": self.end_us,
            "requests": [dataclasses.asdict(request) for request in self.requests],
            "runs": [
                {
                    "model": run.model,
                    "overhead_us": run.overhead_us,
                    "peak": run.peak,
                    "memory_kib": run.memory_kib,
                    "median_us": run.median_us,
                    "slowest_us": run.slowest_us,
                    "served": [
                        {
                            "index": served.index,
                            "spans": [
                                [span.kind, span.from_us, span.until_us] for span in served.spans
                            ],
                        }
                        for served in run.served
                    ],
                }
                for run in self.runs
            ],
        }


# ---------------------------------------------------------------- the run


def run(parameters: ServersParameters, seed: int) -> ServersResult:
    """Give the same requests to every model.

    Args:
        parameters: the settings.
        seed: decides the gaps between arrivals, if they are random.

    Returns:
        All runs. Equal arguments give equal results in CPython and in the browser.
    """
    requests = _requests(parameters, random.Random(seed))
    serve = {PROCESS: _processes, POOL: _pool, THREAD: _threads, LOOP: _loop}
    runs = tuple(_run_model(model, serve[model], parameters, requests) for model in MODELS)
    return ServersResult(parameters, seed, requests, runs)


def _requests(parameters: ServersParameters, rng: random.Random) -> tuple[Request, ...]:
    before_us = parameters.compute_us // 2
    requests, now_us = [], 0
    for index in range(parameters.requests):
        requests.append(
            Request(
                index=index,
                arrived_us=now_us,
                before_us=before_us,
                wait_us=parameters.wait_us,
                after_us=parameters.compute_us - before_us,
                send_us=parameters.send_us if index % 4 == 1 else 0,
            )
        )
        if parameters.gaps == "random" and parameters.gap_us:
            now_us += round(rng.expovariate(1 / parameters.gap_us))
        else:
            now_us += parameters.gap_us
    return tuple(requests)


@dataclass
class _Machine:
    """The machine of one model while it runs."""

    env: simpy.Environment
    parameters: ServersParameters
    spans: dict[int, list[Span]] = field(default_factory=dict)
    overhead_us: int = 0
    present: int = 0
    peak: int = 0

    def note(self, request: Request, kind: str, from_us: int) -> None:
        """The request did this until now; two spans of a kind that touch are one."""
        now_us = int(self.env.now)
        if now_us == from_us:
            return
        spans = self.spans.setdefault(request.index, [])
        if spans and spans[-1].kind == kind:
            from_us = spans.pop().from_us
        spans.append(Span(kind, from_us, now_us))

    def enter(self) -> None:
        """One more request holds something of the machine."""
        self.present += 1
        self.peak = max(self.peak, self.present)

    def leave(self) -> None:
        """It holds it no more."""
        self.present -= 1

    def compute(
        self, request: Request, processors: simpy.Resource, work_us: int, kind: str = RUNNING
    ) -> SimulatedProcess:
        """Compute in turns, and wait for each."""
        while work_us > 0:
            ready_us = int(self.env.now)
            with processors.request() as turn:
                yield turn
                self.note(request, QUEUED, ready_us)
                began_us, step_us = int(self.env.now), min(work_us, SLICE_US)
                yield self.env.timeout(step_us + SWITCH_US)
                self.note(request, kind, began_us)
            self.overhead_us += SWITCH_US + (step_us if kind == STARTING else 0)
            work_us -= step_us

    def pause(self, request: Request, length_us: int, kind: str) -> SimulatedProcess:
        """Wait or send, without a processor."""
        began_us = int(self.env.now)
        yield self.env.timeout(length_us)
        self.note(request, kind, began_us)

    def life(self, request: Request, processors: simpy.Resource) -> SimulatedProcess:
        """Compute, wait, compute, send."""
        yield from self.compute(request, processors, request.before_us)
        yield from self.pause(request, request.wait_us, WAITING)
        yield from self.compute(request, processors, request.after_us)
        yield from self.pause(request, request.send_us, SENDING)


Serve = Callable[[_Machine], Callable[[Request], SimulatedProcess]]


def _run_model(
    model: str, serve: Serve, parameters: ServersParameters, requests: tuple[Request, ...]
) -> ModelRun:
    env = simpy.Environment()
    machine = _Machine(env, parameters)
    handle = serve(machine)

    def arrive(request: Request) -> SimulatedProcess:
        yield env.timeout(request.arrived_us)
        yield from handle(request)

    for request in requests:
        env.process(arrive(request))
    env.run()
    served = tuple(
        Served(request.index, request.arrived_us, tuple(machine.spans[request.index]))
        for request in requests
    )
    return ModelRun(model, served, machine.overhead_us, machine.peak)


def _processes(machine: _Machine) -> Callable[[Request], SimulatedProcess]:
    processors = simpy.Resource(machine.env, machine.parameters.cores)

    def handle(request: Request) -> SimulatedProcess:
        machine.enter()
        yield from machine.compute(request, processors, machine.parameters.fork_us, STARTING)
        yield from machine.life(request, processors)
        machine.leave()

    return handle


def _pool(machine: _Machine) -> Callable[[Request], SimulatedProcess]:
    processors = simpy.Resource(machine.env, machine.parameters.cores)
    workers = simpy.Resource(machine.env, machine.parameters.workers)

    def handle(request: Request) -> SimulatedProcess:
        arrived_us = int(machine.env.now)
        with workers.request() as worker:
            yield worker
            machine.note(request, QUEUED, arrived_us)
            machine.enter()
            yield from machine.life(request, processors)
            machine.leave()

    return handle


def _threads(machine: _Machine) -> Callable[[Request], SimulatedProcess]:
    at_once = 1 if machine.parameters.interpreter_lock else machine.parameters.cores
    processors = simpy.Resource(machine.env, at_once)

    def handle(request: Request) -> SimulatedProcess:
        machine.enter()
        yield from machine.compute(request, processors, machine.parameters.thread_us, STARTING)
        yield from machine.life(request, processors)
        machine.leave()

    return handle


def _loop(machine: _Machine) -> Callable[[Request], SimulatedProcess]:
    thread = simpy.Resource(machine.env, 1)

    def piece(request: Request, work_us: int, wait_us: int = 0) -> SimulatedProcess:
        """One piece of work, done to its end: nobody else has the loop meanwhile."""
        ready_us = int(machine.env.now)
        with thread.request() as turn:
            yield turn
            machine.note(request, QUEUED, ready_us)
            began_us = int(machine.env.now)
            yield machine.env.timeout(work_us + SWITCH_US)
            machine.note(request, RUNNING, began_us)
            machine.overhead_us += SWITCH_US
            if wait_us:
                yield from machine.pause(request, wait_us, WAITING)

    def handle(request: Request) -> SimulatedProcess:
        machine.enter()
        if machine.parameters.blocking:
            yield from piece(request, request.before_us, request.wait_us)
        else:
            yield from piece(request, request.before_us)
            yield from machine.pause(request, request.wait_us, WAITING)
        yield from piece(request, request.after_us)
        yield from machine.pause(request, request.send_us, SENDING)
        machine.leave()

    return handle


# ---------------------------------------------------------------- settings worth a look

PRESETS = (
    Preset(
        "waiting",
        "Requests that wait",
        "Each request waits twenty times as long as it computes: the pool runs out of processes, "
        "threads and the loop do not.",
        ServersParameters(),
        seed=3,
    ),
    Preset(
        "computing",
        "Requests that compute",
        "With nothing to wait for, the cores are what matters, and one thread at a time uses one.",
        ServersParameters(compute_us=20_000, wait_us=0, cores=4, gap_us=4_000),
        seed=3,
    ),
    Preset(
        "slow-clients",
        "Slow clients",
        "Every fourth client takes 300 ms to receive its answer, and keeps a process of the pool.",
        ServersParameters(requests=24, wait_us=2_000, send_us=300_000, gap_us=5_000),
        seed=3,
    ),
    Preset(
        "blocking",
        "One blocking call",
        "The same requests as at first; the event loop now waits in the call, and all wait for it.",
        ServersParameters(blocking=True),
        seed=3,
    ),
    Preset(
        "cgi",
        "A fresh interpreter for each",
        "Starting a process costs 70 ms of processor time, as measured for CGI with Python.",
        ServersParameters(fork_us=70_000, cores=2),
        seed=3,
    ),
)

SIMULATOR = Simulator(
    name="servers",
    title="Process, thread and event loop under the same arrivals",
    parameters=ServersParameters,
    run=run,
    presets=PRESETS,
)
