"""Supervision as somebody would write it who has no clock and no processes: calls that nest.

An oracle for `supervision` without any load. It has the decisions of its own and asks no `rules`.
A kill that comes while somebody still starts or stops is beyond it.
"""

from __future__ import annotations

from remotecalls.simulators.supervision.parameters import SupervisionParameters

CHILDREN = {
    "top": ["front", "shop"],
    "front": ["web-1", "web-2"],
    "shop": ["customers", "orders", "stock"],
}
PARENT = {child: parent for parent, children in CHILDREN.items() for child in children}

Line = tuple[int, str, str]


class TooSoon(Exception):
    """A kill comes while the last one is still being answered."""


class NaiveTree:
    """Start the tree, kill, and write down what becomes of it, as (time, event, process)."""

    def __init__(self, parameters: SupervisionParameters) -> None:
        self.parameters = parameters
        self.log: list[Line] = []
        self.now_us = 0
        self.alive: set[str] = set()
        self.forgotten: set[str] = set()
        self.counted: dict[str, list[int]] = {name: [] for name in CHILDREN}
        self.failing = 0

    def run(self) -> list[Line]:
        """Kill as often as the parameters say.

        Raises:
            TooSoon: the tree is not at rest at a kill.
        """
        parameters = self.parameters
        self.start("top")
        killed = False
        for number in range(parameters.kills):
            at_us = parameters.first_kill_us + number * parameters.interval_us
            if at_us > parameters.duration_us:
                break
            if at_us <= self.now_us:
                raise TooSoon
            self.now_us = at_us
            if parameters.victim in self.alive:
                if not killed:
                    self.failing = parameters.failing_starts
                killed = True
                self.kill(parameters.victim)
        return [line for line in self.log if line[0] <= parameters.duration_us]

    def say(self, event: str, name: str) -> None:
        self.log.append((self.now_us, event, name))

    def kill(self, name: str) -> None:
        is_normal = self.parameters.end == "normal"
        if is_normal and name in CHILDREN:
            for child in reversed(CHILDREN[name]):
                self.stop(child)
        self.alive.remove(name)
        self.say("killed", name)
        for child in reversed(CHILDREN.get(name, [])):
            if child in self.alive:
                self.alive.remove(child)
                self.say("killed", child)
        self.ended(name, is_normal)

    def start(self, name: str) -> bool:
        if name == self.parameters.victim and self.failing:
            self.failing -= 1
            self.now_us += self.parameters.start_us
            return False
        if name in CHILDREN:
            self.counted[name] = []
            self.forgotten -= set(CHILDREN[name])
            for child in CHILDREN[name]:
                if not self.start(child):
                    for other in reversed(CHILDREN[name]):
                        self.stop(other)
                    return False
        else:
            self.now_us += self.parameters.start_us
        self.alive.add(name)
        self.say("started", name)
        return True

    def stop(self, name: str) -> None:
        if name not in self.alive:
            return
        if name in CHILDREN:
            for child in reversed(CHILDREN[name]):
                self.stop(child)
        else:
            self.now_us += min(self.parameters.stop_us, self.parameters.shutdown_us)
        self.alive.remove(name)
        self.say("stopped", name)

    def ended(self, name: str, is_normal: bool) -> None:
        """Do what the supervisor of `name` does."""
        parameters, supervisor = self.parameters, PARENT[name]
        kind = parameters.restart if name == parameters.victim else "permanent"
        if kind == "temporary":
            self.forgotten.add(name)
            return
        if kind == "transient" and is_normal:
            return
        times = [*self.counted[supervisor], self.now_us]
        times = [time for time in times if self.now_us - time <= parameters.period_us]
        self.counted[supervisor] = times
        allowed = parameters.top_intensity if supervisor == "top" else parameters.intensity
        if len(times) > allowed:
            self.give_up(supervisor)
            return
        for child in reversed(self.group(supervisor, name)):
            self.stop(child)
        for child in self.group(supervisor, name):
            if not self.start(child):
                self.ended(child, is_normal=False)
                return

    def group(self, supervisor: str, name: str) -> list[str]:
        children = [child for child in CHILDREN[supervisor] if child not in self.forgotten]
        strategy = self.parameters.strategy if supervisor == "shop" else "one-for-one"
        if strategy == "one-for-all":
            return children
        if strategy == "rest-for-one":
            while children[0] != name:
                children.pop(0)
            return children
        return [name]

    def give_up(self, supervisor: str) -> None:
        self.say("gave-up", supervisor)
        for child in reversed(CHILDREN[supervisor]):
            self.stop(child)
        self.alive.remove(supervisor)
        if supervisor != "top":
            self.ended(supervisor, is_normal=True)
