"""A supervision tree of a small shop: processes end, and somebody decides what becomes of them.

`top` supervises `front` and `shop`, and they the workers. At time 0 the tree is started, one
process after the other. From the time on when it should be up, requests come from outside, whether
or not anybody is there. A worker takes one after the other out of its mailbox. `orders` calls
`customers` for each of its requests, and `stock` calls `orders`, by a reference that it took when
it started.

What a reader should expect of Erlang and finds here: a start is waited for; children are stopped
in the reverse order of their start; a new process begins with an empty mailbox and an empty state;
a reference leads to a process and not to a name; a supervisor that has given up is one more child
that has ended.

Left out: the time that messages take, links between workers, `auto_shutdown`, and nodes.

Sources: "Supervisor Behaviour" in *OTP Design Principles*; `supervisor.erl`; Armstrong, *Making
reliable distributed systems in the presence of software errors*, 2003.
"""

from __future__ import annotations

import random

from remotecalls.simulators.agenda import Agenda
from remotecalls.simulators.arrivals import poisson
from remotecalls.simulators.supervision.parameters import (
    ALL,
    CHILDREN,
    DEPENDS_ON,
    FRONT,
    SHOP,
    TOP,
    WORKERS,
    SupervisionParameters,
)
from remotecalls.simulators.supervision.processes import Process
from remotecalls.simulators.supervision.record import Kill, Record
from remotecalls.simulators.supervision.result import SupervisionResult
from remotecalls.simulators.supervision.rules import Restart, Strategy
from remotecalls.simulators.supervision.snapshot import State
from remotecalls.simulators.supervision.supervisor import Policy, Supervisor
from remotecalls.simulators.supervision.worker import Message, Worker

CLIENTS = "clients"
"""Who sends the requests, from outside the tree."""


def run(parameters: SupervisionParameters, seed: int = 1) -> SupervisionResult:
    """Run the model; equal arguments give equal results on every machine.

    Args:
        parameters: the settings.
        seed: decides when requests come, to whom, and how much work each is.
    """
    return _Shop(parameters).result(seed)


class _Shop:
    """The tree, and what comes to it from outside: the `World` of its processes."""

    def __init__(self, parameters: SupervisionParameters) -> None:
        self.parameters = parameters
        self.agenda = Agenda()
        self.agenda.end_us = parameters.duration_us
        self.record = Record()
        self.workers: dict[str, Worker] = {}
        self.processes: dict[str, Process] = {}
        self.top = self._supervisor(TOP, None)

    def _supervisor(self, name: str, parent: Supervisor | None) -> Supervisor:
        supervisor = Supervisor(name, self, parent, self._policy(name))
        children: list[Process] = []
        for child in CHILDREN[name]:
            if child in WORKERS:
                self.workers[child] = Worker(child, self, supervisor, self.workers)
                children.append(self.workers[child])
            else:
                children.append(self._supervisor(child, supervisor))
        supervisor.children = tuple(children)
        self.processes |= {each.name: each for each in (supervisor, *children)}
        return supervisor

    def _policy(self, name: str) -> Policy:
        parameters = self.parameters
        return Policy(
            Strategy(parameters.strategy) if name == SHOP else Strategy.ONE_FOR_ONE,
            parameters.intensity if name in (FRONT, SHOP) else parameters.top_intensity,
            parameters.period_us,
            {
                child: Restart(parameters.restart)
                if child == parameters.victim
                else Restart.PERMANENT
                for child in CHILDREN[name]
            },
        )

    def result(self, seed: int) -> SupervisionResult:
        """Start the tree, and let come what comes."""
        parameters, record = self.parameters, self.record
        self.agenda.at(0, self.top.start, _nothing)
        for number in range(parameters.kills):
            at_us = parameters.first_kill_us + number * parameters.interval_us
            self.agenda.at(at_us, self._kill)
        rng = random.Random(seed)
        up_us = len(WORKERS) * parameters.start_us
        for at_us in poisson([(up_us, parameters.duration_us, parameters.rate * 1_000)], rng):
            worker = WORKERS[rng.randrange(len(WORKERS))]
            work_us = 1 + round(rng.expovariate(1 / parameters.work_us))
            self.agenda.at(at_us, self._request, self.workers[worker], work_us)
        self.agenda.run()
        return SupervisionResult(
            parameters=parameters,
            seed=seed,
            intervals={name: record.intervals(name, parameters.duration_us) for name in ALL},
            log=tuple(record.log),
            kills=tuple(record.kills),
            restarts=tuple(record.restarts),
            traffic=record.traffic,
            flows=record.flows,
            ended_us=record.ended_us,
        )

    def _kill(self) -> None:
        victim = self.processes[self.parameters.victim]
        is_there = victim.state is not State.DEAD
        is_first = not any(kill.hit for kill in self.record.kills)
        self.record.kills.append(Kill(self.agenda.now_us, is_there))
        if not is_there:
            return
        if is_first:
            victim.failing_starts = self.parameters.failing_starts
            if self.parameters.bad_state and victim.name in DEPENDS_ON:
                self.workers[DEPENDS_ON[victim.name]].is_bad = True
        victim.kill(self.parameters.end)

    def _request(self, worker: Worker, work_us: int) -> None:
        now_us = self.agenda.now_us
        worker.traffic.arrived.append(now_us)
        if worker.state is State.DEAD:
            worker.traffic.failed.append(now_us)
            return
        self.record.flow(CLIENTS, worker.name, "request", now_us)
        worker.receive(Message(work_us))


def _nothing(is_up: bool) -> None:
    """Nobody waits for the top of the tree."""
