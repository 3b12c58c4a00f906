"""What the tests of the actor runtime share: waiting with a deadline, and seeing what is left."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, ClassVar, cast

from remotecalls.actors import ActorRef, ActorSystem, SupervisorSpec, actor, child, handler, state


async def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - what is waited for sets no event
            await asyncio.sleep(0.001)


async def at_once(condition: Callable[[], bool], most: int = 10_000) -> None:
    """Wait turn by turn of the loop, so that little else has happened when it is so."""
    for _ in range(most):
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError(f"not so after {most} turns of the loop")


async def turns(count: int = 5) -> None:
    """Let everything that is ready run, a few times over."""
    for _ in range(count):
        await asyncio.sleep(0)


def armed_timers() -> list[asyncio.TimerHandle]:
    """The timers of the running loop that will still fire."""
    loop: Any = asyncio.get_running_loop()
    return [handle for handle in loop._scheduled if not handle.cancelled()]


@asynccontextmanager
async def nothing_left(seconds: float = 2.0) -> AsyncIterator[None]:
    """Fail if the block leaves a task or a timer on the loop, once both have had their chance."""
    tasks, timers = asyncio.all_tasks(), len(armed_timers())
    yield
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while asyncio.all_tasks() - tasks and loop.time() < deadline:  # noqa: ASYNC110
        await asyncio.sleep(0.001)
    assert asyncio.all_tasks() - tasks == set()
    assert len(armed_timers()) <= timers, armed_timers()


@contextmanager
def loop_errors() -> Iterator[list[dict[str, Any]]]:
    """What the running loop reports to its exception handler."""
    loop = asyncio.get_running_loop()
    seen: list[dict[str, Any]] = []
    before = loop.get_exception_handler()
    loop.set_exception_handler(lambda _, context: seen.append(context))
    try:
        yield seen
    finally:
        loop.set_exception_handler(before)


class Clock:
    """The running loop's clock, which can be set forward."""

    def __init__(self) -> None:
        self._loop: Any = asyncio.get_running_loop()
        self._real = self._loop.time
        self._ahead = 0.0

    def __enter__(self) -> Clock:
        self._loop.time = lambda: self._real() + self._ahead
        return self

    def __exit__(self, *_: object) -> None:
        del self._loop.time

    def forward(self, seconds: float) -> None:
        self._ahead += seconds


def found(system: ActorSystem, name: str) -> ActorRef:
    """The actor that has a name now."""
    ref = system.whereis(name)
    assert ref is not None, f"nobody is named {name!r}"
    return ref


class Book:
    """What actors write down, in order. It is reached by a number, which can be sent."""

    _open: ClassVar[dict[int, Book]] = {}

    def __init__(self) -> None:
        self.lines: list[Any] = []
        self.number = len(Book._open)
        Book._open[self.number] = self

    @staticmethod
    def of(number: int) -> Book:
        return Book._open[number]

    def write(self, line: Any) -> None:
        self.lines.append(line)

    def taken(self) -> list[Any]:
        """The lines since they were last taken."""
        lines, self.lines = self.lines, []
        return lines


@actor
class Counter:
    count: int = state(default=0)

    @handler("add")
    def add(self, amount: int = 1) -> int:
        self.count += amount
        return self.count

    @handler("add slowly")
    async def add_slowly(self, amount: int = 1) -> int:
        """Read, let everybody else run, write: what loses updates elsewhere."""
        before = self.count
        await asyncio.sleep(0)
        self.count = before + amount
        return self.count

    @handler("read")
    def read(self) -> int:
        return self.count

    @handler("crash")
    def crash(self) -> None:
        raise ValueError("as told")


@actor
class Worker:
    """Writes down when it starts, what it is told and when it is asked to stop."""

    name: str
    book: int
    count: int = state(default=0)

    def started(self) -> None:
        Book.of(self.book).write(("started", self.name))

    def stopping(self) -> None:
        Book.of(self.book).write(("stopping", self.name))

    @handler("add")
    def add(self) -> int:
        self.count += 1
        return self.count

    @handler("crash")
    def crash(self) -> None:
        raise ValueError(f"{self.name} as told")

    @handler("end")
    def end(self) -> None:
        cast("Any", self).actor.stop()

    @handler("note")
    def note(self, what: str) -> None:
        Book.of(self.book).write(what)


def workers(names: str, book: Book, **how: Any) -> tuple[Any, ...]:
    """The specifications of one worker for each letter."""
    return tuple(child(Worker, each, book.number, name=each, **how) for each in names)


def tree(name: str, *children: Any, **how: Any) -> SupervisorSpec:
    return SupervisorSpec(name, tuple(children), **how)
