"""Exercises: how one is declared, and how an answer is checked.

A check is a generator that yields attempts, one after another; the first that fails ends it::

    def check_count(answer: Answer) -> Iterator[Attempt]:
        yield attempt(
            'count(b"a\\nb\\n")',
            lambda: answer(b"a\\nb\\n"),
            2,
            "Each newline ends one message.",
        )
        yield attempt(
            'count(b"a\\nb")',
            lambda: answer(b"a\\nb"),
            1,
            "The bytes after the last newline are not a message yet.",
        )

It may open fixtures with ``with`` between the yields; they are closed when the check ends. A
check whose fixtures are asynchronous is an asynchronous generator (``async def`` with ``yield``):
it runs in an event loop of its own, in a thread of its own, so it must start its own services and
not use those of the notebook's loop. If the answer to such a check blocks, the attempt's call is
``lambda: in_thread(lambda: answer(...))``.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import inspect
import io
import re
import time
import warnings
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from remotecalls.notebook import guarded
from remotecalls.notebook.guarded import Line, Outcome, Overrun, Raised, Returned
from remotecalls.notebook.report import Report, Tried
from remotecalls.notebook.showing import shorten, show

Answer = Any
"""What a reader hands in: a function, a class, or a value. Nothing can be said about its type."""

_PRINTED_LINES: Final = 5
_PRINTED_CHARACTERS: Final = 4000


@dataclass(frozen=True)
class Expected:
    """A condition on an outcome, in words and as a function.

    Attributes:
        words: what is expected, as the report says it.
        holds: whether an outcome meets it.
    """

    words: str
    holds: Callable[[Outcome], bool]


@dataclass(frozen=True)
class Attempt:
    """One thing that a check tries.

    Attributes:
        call: what is tried, in the words of the report.
        actual: does it; an awaitable that it returns is awaited.
        expected: the condition on what comes back.
        message: what to say if the condition does not hold, or a function that finds the words
            from what came back (a value, or the exception that was raised).
    """

    call: str
    actual: Callable[[], object]
    expected: Expected
    message: str | Callable[[object], str]


class Mismatch(Exception):
    """Raised inside a check, or inside an attempt's call, to fail with these words."""

    def __init__(self, call: str, actual: object, expected: object, message: str) -> None:
        super().__init__(message)
        self.call = call
        self.actual = actual
        self.expected = expected
        self.message = message


def attempt(
    call: str,
    actual: Callable[[], object],
    expected: object,
    message: str | Callable[[object], str],
) -> Attempt:
    """Declare one attempt.

    Args:
        call: what is tried, as a reader would write it: ``'split(b"a\\n")'``.
        actual: does it.
        expected: the value that must come back, equal and of the same type; or one of
            :func:`raises`, :func:`matches`.
        message: what a difference means and where to look, or a function of what came back.
    """
    condition = expected if isinstance(expected, Expected) else _equal_to(expected)
    return Attempt(call, actual, condition, message)


def matches(words: str, holds: Callable[[Any], bool]) -> Expected:
    """Expect any value for which a function holds: ``matches("an even number", is_even)``."""

    def test(outcome: Outcome) -> bool:
        return isinstance(outcome, Returned) and bool(holds(outcome.value))

    return Expected(words, test)


def raises(error: type[BaseException], containing: str = "") -> Expected:
    """Expect an exception of a type, with a text in its message."""
    words = f"{error.__name__} is raised"
    if containing:
        words += f", with {containing!r} in its message"

    def test(outcome: Outcome) -> bool:
        return (
            isinstance(outcome, Raised)
            and isinstance(outcome.error, error)
            and containing in str(outcome.error)
        )

    return Expected(words, test)


def take(items: Iterable[object], most: int = 1000) -> list[object]:
    """Return at most ``most`` items as a list, from an iterable that may be endless."""
    taken = []
    for item in items:
        taken.append(item)
        if len(taken) == most:
            break
    return taken


Check = Callable[[Answer], Iterator[Attempt] | AsyncIterator[Attempt]]


@dataclass(frozen=True)
class Exercise:
    """One exercise of a lab.

    Attributes:
        name: lower-case words joined by hyphens, unique in its lab.
        title: as the report and the task card say it.
        minutes: how long it takes a reader, 5 to 20.
        lines: how many lines of code the reference solution has.
        hints: at least two, the second more telling than the first.
        check: yields the attempts.
        kind: what the reader does.
        task: the task in one or two sentences, for the task card.
        seconds: the deadline of one attempt.
    """

    name: str
    title: str
    minutes: int
    lines: int
    hints: tuple[str, ...]
    check: Check
    kind: Literal["predict", "complete", "build", "break"] = "build"
    task: str = ""
    seconds: float = field(default=guarded.SECONDS, kw_only=True)

    def __post_init__(self) -> None:
        """Refuse what no exercise of the book may be."""
        if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", self.name):
            raise ValueError(f"exercise {self.name!r}: a name is lower-case words with hyphens")
        if len(self.hints) < 2:
            raise ValueError(f"exercise {self.name!r}: two hints are needed, not {len(self.hints)}")
        if not 5 <= self.minutes <= 20:
            raise ValueError(f"exercise {self.name!r}: {self.minutes} minutes is not 5 to 20")


def run_check(exercise: Exercise, answer: Answer) -> Report:
    """Check an answer.

    Whatever the answer does ends in the report: nothing is raised, except a ``KeyboardInterrupt``
    of the reader.

    Args:
        exercise: the exercise.
        answer: the reader's function, class or value; ``...`` means "not written yet".
    """
    printed = _Printed()
    if answer is ...:
        finding = _Finding((), not_written=True)
    else:
        with (
            contextlib.redirect_stdout(printed),
            contextlib.redirect_stderr(printed),
            _leftovers_collected(),
        ):
            finding = _find(exercise, answer)
    return _report(exercise, finding, printed.excerpt())


# ---------------------------------------------------------------------------- running attempts


@dataclass(frozen=True)
class _Finding:
    tried: tuple[Tried, ...]
    not_written: bool = False


def _find(exercise: Exercise, answer: Answer) -> _Finding:
    started = guarded.run(lambda: _Box(exercise.check(answer)), seconds=exercise.seconds)
    if not isinstance(started, Returned) or not isinstance(started.value, _Box):
        return _judged((), _could_not_start(exercise), started)
    attempts = started.value.attempts
    if isinstance(attempts, AsyncIterator):
        return _find_async(exercise, attempts)
    return _find_sync(exercise, attempts)


@dataclass(frozen=True)
class _Box:
    """Keeps an asynchronous generator from being awaited on its way out of the guard."""

    attempts: Iterator[Attempt] | AsyncIterator[Attempt]


def _find_sync(exercise: Exercise, attempts: Iterator[Attempt]) -> _Finding:
    tried: tuple[Tried, ...] = ()
    try:
        while True:
            step = guarded.run(lambda: next(attempts, None), seconds=exercise.seconds)
            if not isinstance(step, Returned):
                return _judged(tried, _between(exercise), step)
            if not isinstance(step.value, Attempt):
                return _Finding(tried)
            outcome = guarded.run(step.value.actual, seconds=exercise.seconds)
            finding = _judged(tried, step.value, outcome)
            if finding.not_written or not finding.tried[-1].passed:
                return finding
            tried = finding.tried
    finally:
        if inspect.isgenerator(attempts):
            # Closes the fixtures. A generator whose thread was abandoned still runs and cannot be
            # closed; its fixtures end with the kernel.
            with contextlib.suppress(ValueError):
                attempts.close()


def _find_async(exercise: Exercise, attempts: AsyncIterator[Attempt]) -> _Finding:
    progress = _Progress(_between(exercise))

    async def drive() -> None:
        asyncio.get_running_loop().set_exception_handler(_without_cancellations)
        try:
            while True:
                progress.begin(_between(exercise))
                step = await anext(attempts, None)
                if step is None:
                    return
                progress.begin(step)
                outcome = await _attempt_async(step, exercise.seconds)
                finding = _judged(progress.tried, step, outcome)
                if finding.not_written or not finding.tried[-1].passed:
                    progress.ended = finding
                    return
                progress.tried = finding.tried
        finally:
            if inspect.isasyncgen(attempts):
                await attempts.aclose()

    worker = guarded.Worker(drive)
    worker.start()
    # Half a second more than the attempt itself gets: asyncio's own timeout comes first, and only
    # code that blocks the loop is stopped from outside.
    outcome = guarded.watch(worker, lambda: progress.deadline(exercise.seconds + 0.5))
    if progress.ended is not None:
        return progress.ended
    if isinstance(outcome, Returned):
        return _Finding(progress.tried)
    return _judged(progress.tried, progress.current, outcome)


def _without_cancellations(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    # Python 3.11 logs an error for each connection of asyncio.start_server that is still open when
    # the loop of a check ends. That is no finding about the answer.
    if not isinstance(context.get("exception"), asyncio.CancelledError):
        loop.default_exception_handler(context)


class _Progress:
    """Where an asynchronous check stands, as the watching thread sees it."""

    def __init__(self, current: Attempt) -> None:
        self.tried: tuple[Tried, ...] = ()
        self.ended: _Finding | None = None
        self.current = current
        self._started = time.monotonic()
        self._current_began = self._started

    def begin(self, current: Attempt) -> None:
        self.current = current
        self._current_began = time.monotonic()

    def deadline(self, seconds: float) -> float:
        """Return the seconds from the start of the check that the current attempt may take."""
        return self._current_began - self._started + seconds


async def _attempt_async(step: Attempt, seconds: float) -> Outcome:
    try:
        async with asyncio.timeout(seconds) as scope:
            value = step.actual()
            if inspect.isawaitable(value):
                value = await value
    except (asyncio.CancelledError, guarded.StopAnswer):
        raise
    except TimeoutError as error:
        if scope.expired():
            return Overrun("time", guarded.line_of_traceback(_deepest(error)), abandoned=False)
        return Raised(error, guarded.line_of_traceback(error.__traceback__))
    except BaseException as error:  # noqa: BLE001 - whatever the answer raises is the outcome
        return Raised(error, guarded.line_of_traceback(error.__traceback__))
    return Returned(value)


def _deepest(error: BaseException) -> Any:
    # asyncio.timeout chains its TimeoutError to the CancelledError that stopped the answer.
    return (error.__cause__ or error).__traceback__


def _between(exercise: Exercise) -> Attempt:
    return Attempt(
        "the next step of the check",
        lambda: None,
        Expected("the check goes on", lambda _: False),
        "Your answer stopped the check between two attempts. "
        f"Compare it with the task of {exercise.name!r}: names, arguments, what it returns.",
    )


def _could_not_start(exercise: Exercise) -> Attempt:
    return Attempt(
        f"starting the check of {exercise.name!r}",
        lambda: None,
        Expected("an answer of the kind that the stub shows", lambda _: False),
        "The check could not begin with this answer.",
    )


# ---------------------------------------------------------------------------- judging outcomes


def _judged(tried: tuple[Tried, ...], step: Attempt, outcome: Outcome) -> _Finding:
    if isinstance(outcome, Raised):
        if isinstance(outcome.error, Mismatch):
            return _Finding((*tried, _of_mismatch(outcome.error)))
        if isinstance(outcome.error, NotImplementedError):
            return _Finding(tried, not_written=True)
    if isinstance(outcome, Returned) and outcome.value is ...:
        return _Finding(tried, not_written=True)
    # The comparison calls __eq__ of what came back, which is the reader's code as well.
    test = guarded.run(lambda: step.expected.holds(outcome), seconds=1.0)
    if isinstance(test, Returned) and test.value is True:
        return _Finding((*tried, Tried(step.call, passed=True)))
    failed = Tried(
        step.call,
        passed=False,
        came_back=_came_back(outcome),
        expected=step.expected.words,
        message=_message(step, outcome),
    )
    return _Finding((*tried, failed))


def _of_mismatch(found: Mismatch) -> Tried:
    expected = found.expected
    words = expected.words if isinstance(expected, Expected) else show(expected)
    return Tried(found.call, False, show(found.actual), words, found.message)


def _came_back(outcome: Outcome) -> str:
    if isinstance(outcome, Returned):
        return show(outcome.value)
    if isinstance(outcome, Raised):
        text = shorten(str(outcome.error))
        what = f"{type(outcome.error).__name__}: {text}" if text else type(outcome.error).__name__
        return _with_line(what, outcome.line)
    what = "nothing within the deadline" if outcome.limit == "time" else "nothing: out of memory"
    return _with_line(what, outcome.line)


def _with_line(what: str, line: Line | None) -> str:
    return f"{what} (your {line})" if line else what


def _message(step: Attempt, outcome: Outcome) -> str:
    if isinstance(outcome, Overrun):
        return _overrun_message(outcome)
    if isinstance(step.message, str):
        return step.message
    find = step.message
    value = outcome.value if isinstance(outcome, Returned) else outcome.error
    found = guarded.run(lambda: find(value), seconds=1.0)
    if isinstance(found, Returned) and isinstance(found.value, str):
        return found.value
    return f"This is not what was expected: {step.expected.words}."


def _overrun_message(outcome: Overrun) -> str:
    if outcome.limit == "memory":
        return (
            f"Your code was stopped when it had taken {guarded.MEMORY // guarded.MEGABYTE} MB. "
            "Does a loop append without an end?"
        )
    if outcome.abandoned:
        return (
            "Your code still waits inside a call of the operating system and could not be stopped. "
            "Does it wait for bytes that nobody sends? Restart the kernel when you are done."
        )
    return "Your code was stopped at the deadline. Does a loop have no end, or wait for too much?"


def _equal_to(expected: object) -> Expected:
    words = show(expected)

    def test(outcome: Outcome) -> bool:
        if not isinstance(outcome, Returned):
            return False
        actual = outcome.value
        if isinstance(actual, bool) != isinstance(expected, bool):
            return False
        return isinstance(actual, type(expected)) and bool(actual == expected)

    return Expected(f"{words} ({_kind(expected)})", test)


def _kind(value: object) -> str:
    return "None" if value is None else type(value).__name__


# ---------------------------------------------------------------------------- the report


def _report(exercise: Exercise, finding: _Finding, printed: str) -> Report:
    hint = f'Next: lab.hint("{exercise.name}")'
    if finding.not_written:
        return Report(
            exercise.name,
            exercise.title,
            "not written yet",
            finding.tried,
            message="Replace the stub by your answer, run its cell, then run this cell again.",
            printed=printed,
            next_step=hint,
        )
    passed = bool(finding.tried) and finding.tried[-1].passed
    if not finding.tried:
        raise ValueError(f"the check of {exercise.name!r} yields no attempt")
    return Report(
        exercise.name,
        exercise.title,
        "passed" if passed else "not yet",
        finding.tried,
        printed=printed,
        next_step="" if passed else hint,
    )


@contextlib.contextmanager
def _leftovers_collected() -> Iterator[None]:
    """Close now what an answer that was stopped left open: sockets, transports, coroutines."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)
        yield
        gc.collect()


class _Printed(io.TextIOBase):
    """Standard output of an answer: keeps the beginning, drops the rest."""

    def __init__(self) -> None:
        super().__init__()
        self._kept = ""
        self._dropped = False

    def writable(self) -> bool:
        return True

    def write(self, text: str, /) -> int:
        room = _PRINTED_CHARACTERS - len(self._kept)
        self._kept += text[:room]
        self._dropped = self._dropped or len(text) > room
        return len(text)

    def excerpt(self) -> str:
        lines = self._kept.splitlines()
        if len(lines) <= _PRINTED_LINES and not self._dropped:
            return "\n".join(shorten(line) for line in lines)
        return "\n".join([*(shorten(line) for line in lines[:_PRINTED_LINES]), "..."])
