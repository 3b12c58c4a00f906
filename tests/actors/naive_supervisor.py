"""What a supervisor should do, in the plainest way: a list of children and what becomes of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from remotecalls.actors import Restart, Strategy


@dataclass
class NaiveChild:
    """A worker, or a branch of two workers below a supervisor of its own."""

    name: str
    restart: Restart
    is_branch: bool = False
    is_running: bool = True
    restarts: int = 0
    lives: int = 1

    @property
    def workers(self) -> list[str]:
        return [f"{self.name}.1", f"{self.name}.2"] if self.is_branch else [self.name]


@dataclass
class NaiveSupervisor:
    """The children in their order; what they would have written down; how it stands with it."""

    strategy: Strategy
    intensity: int
    children: list[NaiveChild] = field(default_factory=list)
    counted: int = 0
    gave_up: bool = False
    lines: list[tuple[str, str]] = field(default_factory=list)

    def child(self, name: str) -> NaiveChild:
        [found] = [each for each in self.children if each.name == name]
        return found

    def start(self, child: NaiveChild) -> None:
        child.is_running = True
        self.lines += [("started", name) for name in child.workers]

    def stop(self, child: NaiveChild) -> None:
        if child.is_running:
            self.lines += [("stopping", name) for name in reversed(child.workers)]
        child.is_running = False

    def add(self, child: NaiveChild) -> None:
        self.children.append(child)
        self.start(child)

    def terminate(self, name: str) -> None:
        child = self.child(name)
        self.stop(child)
        if child.restart is Restart.TEMPORARY:
            self.children.remove(child)

    def ended(self, name: str, *, is_normal: bool) -> None:
        """A child has ended by itself, by a crash or by a kill."""
        child = self.child(name)
        child.is_running = False
        if child.restart is Restart.TEMPORARY:
            self.children.remove(child)
        elif child.restart is Restart.PERMANENT or not is_normal:
            self.counted += 1
            if self.counted > self.intensity:
                for each in reversed(self.children):
                    self.stop(each)
                self.gave_up = True
            else:
                self._restart(child)

    def _restart(self, ended: NaiveChild) -> None:
        where = self.children.index(ended)
        down = {
            Strategy.ONE_FOR_ONE: [ended],
            Strategy.ONE_FOR_ALL: list(self.children),
            Strategy.REST_FOR_ONE: self.children[where:],
        }[self.strategy]
        for each in reversed(down):
            self.stop(each)
        for each in down:
            if each.restart is Restart.TEMPORARY:
                self.children.remove(each)
            else:
                each.restarts += 1
                self.start(each)
