"""The object that a lab works with: services, exercises, quizzes, panels, progress."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import difflib
import json
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from remotecalls.notebook import waiting
from remotecalls.notebook.cards import Note, TaskCard, Transcript
from remotecalls.notebook.checking import Answer, Exercise, run_check
from remotecalls.notebook.exercises import load_exercises
from remotecalls.notebook.guardian import Guardian
from remotecalls.notebook.held import Held
from remotecalls.notebook.logs import LogListener
from remotecalls.notebook.places import LabFiles, PlaceError
from remotecalls.notebook.process import Service
from remotecalls.notebook.progress import ProgressStore, ProgressTable
from remotecalls.notebook.quiz import Quiz, QuizError, ShownQuiz, Verdict, judge, load_quizzes
from remotecalls.notebook.report import Report
from remotecalls.notebook.showing import show
from remotecalls.notebook.solutions import load_solutions

if TYPE_CHECKING:
    from remotecalls.actors import ActorSystem
    from remotecalls.actors.view import Flows
    from remotecalls.notebook.panel import Panel
    from remotecalls.notebook.trees import TreePicture

T = TypeVar("T")

START_SECONDS = 10.0
STOP_SECONDS = 5.0

REPORT_VARIABLE = "REMOTECALLS_REPORT_FILE"
"""Names a file to which each check appends its verdict as a line of JSON."""


class Lab:
    """What the first cell of a lab makes.

    Prints one line: that the set-up is fine, or what to do.

    Args:
        name: the path of the notebook below ``labs/`` without suffix, for example ``sockets``.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._held: list[_Open] = []
        self._directories: list[Path] = []
        self._guardian = Guardian()
        self._hints_given: dict[str, int] = {}
        self._predictions: dict[str, object] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._exercises: dict[str, Exercise] = {}
        self._quizzes: dict[str, Quiz] = {}
        self._progress = ProgressStore.of_reader(name)
        print(self._set_up())
        atexit.register(self._at_exit)

    # ------------------------------------------------------------------ services

    async def start(
        self,
        manager: AbstractAsyncContextManager[T],
        name: str = "the service",
        seconds: float = START_SECONDS,
    ) -> T:
        """Start a service in this kernel and return what its context manager yields.

        Args:
            manager: for example ``text.serve(shop)``; it is entered, and left by :meth:`stop`.
            name: for the messages of errors.
            seconds: the deadline.

        Raises:
            TimeoutError: it did not start in time.
            Exception: what starting it raises.
        """
        self._loop = asyncio.get_running_loop()
        held = Held(manager, name)
        value = await held.enter(seconds)
        self._held.append(_Open(value, name, held.leave))
        return value

    def enter(self, manager: AbstractContextManager[T], name: str = "the resource") -> T:
        """Enter an ordinary context manager; :meth:`stop` leaves it."""
        stack = contextlib.ExitStack()
        value = stack.enter_context(manager)

        async def leave(_: float) -> None:
            stack.close()

        self._held.append(_Open(value, name, leave, now=lambda _: stack.close()))
        return value

    async def spawn(self, service: str, *arguments: str, seconds: float = START_SECONDS) -> Service:
        """Start ``python -m remotecalls serve SERVICE`` as a process of its own.

        Args:
            service: the service's name, as ``python -m remotecalls serve --help`` lists them.
            arguments: further arguments of the command.
            seconds: the deadline for its line "listening on 127.0.0.1:PORT".

        Raises:
            ServiceError: it ended, or did not listen in time; the message holds its log.
        """
        directory = self.temporary_directory()
        process = Service.launch(service, arguments, directory / "log")
        self._guardian.guard("process", str(process.pid))

        def ended() -> None:
            self._guardian.forget("process", str(process.pid))
            self._remove(directory)
            self._held = [one for one in self._held if one.value is not process]

        process.when_ended(ended)
        self._held.append(_Open(process, service, process.stop, now=process.stop_now))
        try:
            await process.ready(seconds)
        except BaseException:
            process.kill()
            raise
        return process

    async def stop(self, started: object, seconds: float = STOP_SECONDS) -> None:
        """Stop one thing that this lab started, within a deadline.

        Stopping what was stopped before, or killed, does nothing.

        Raises:
            ServiceError: a process had to be killed.
            TimeoutError: a service in this kernel had to be cancelled.
        """
        for one in self._held:
            if one.value is started:
                self._held.remove(one)
                await one.leave(seconds)
                return

    async def stop_all(self, seconds: float = STOP_SECONDS) -> None:
        """Stop everything that this lab started, the last first, and remove its directories.

        Raises:
            ExceptionGroup: some did not stop as they should; all were tried.
        """
        errors: list[Exception] = []
        while self._held:
            one = self._held.pop()
            try:
                await one.leave(seconds)
            except Exception as error:  # noqa: BLE001 - the others must be stopped as well
                errors.append(error)
        self._remove_directories()
        if errors:
            raise ExceptionGroup("not everything stopped as it should", errors)

    def temporary_directory(self) -> Path:
        """Make a directory that is removed at the end, also when the kernel is killed."""
        directory = Path(tempfile.mkdtemp(prefix="remotecalls-"))
        self._directories.append(directory)
        self._guardian.guard("directory", str(directory))
        return directory

    def listen(self, logger: str = "remotecalls", level: int = logging.INFO) -> LogListener:
        """Keep the log records of a service in this kernel; ``.log()`` returns the new ones.

        Args:
            logger: the logger's name.
            level: the lowest level to keep.
        """

        @contextlib.contextmanager
        def listening() -> Iterator[LogListener]:
            listener = LogListener()
            target = logging.getLogger(logger)
            before = target.level
            target.addHandler(listener)
            target.setLevel(level)
            try:
                yield listener
            finally:
                target.removeHandler(listener)
                target.setLevel(before)

        return self.enter(listening(), f"listening to {logger}")

    # ------------------------------------------------------------------ deadlines and failures

    async def within(self, seconds: float, awaitable: Awaitable[T], what: str = "an answer") -> T:
        """Await something with a deadline: ``await lab.within(1, client.get_customer(7))``.

        Raises:
            TimeoutError: it was not there in time.
        """
        return await waiting.within(seconds, awaitable, what)

    async def eventually(self, seconds: float, condition: Callable[[], bool], what: str) -> None:
        """Wait until a condition holds, never longer than the deadline.

        Raises:
            TimeoutError: it did not hold in time.
        """
        await waiting.eventually(seconds, condition, what)

    @contextlib.contextmanager
    def expect(self, *errors: type[BaseException]) -> Iterator[None]:
        """Run code that must fail, and print how: ``with lab.expect(ConnectionLost): ...``.

        Raises:
            AssertionError: the code did not fail.
            BaseException: it failed in another way.
        """
        names = " or ".join(error.__name__ for error in errors)
        try:
            yield
        except errors as error:
            print(f"{type(error).__name__}: {error}")
        else:
            raise AssertionError(f"{names} was expected, and nothing was raised")

    # ------------------------------------------------------------------ exercises

    def exercise(self, name: str) -> TaskCard | Note:
        """Return the task card of an exercise: title, minutes, lines of our solution."""
        found = self._exercises.get(name)
        return TaskCard(found) if found else self._no_exercise(name)

    def check(self, name: str, answer: Answer) -> Report:
        """Check an answer and say what was tried, what came back, and what was expected.

        Nothing that the answer does is raised here: an exception, an endless loop or a wrong type
        ends up in the report.

        Args:
            name: the exercise's name.
            answer: your function, class or value.
        """
        found = self._exercises.get(name)
        if found is None:
            note = self._no_exercise(name)
            return Report("", note.text, "not yet")
        report = run_check(found, answer)
        self._progress.checked(name, report.passed)
        _append_report(report)
        return report

    def hint(self, name: str) -> Note:
        """Return the next hint of an exercise; after the last one, how to see the solution."""
        found = self._exercises.get(name)
        if found is None:
            return self._no_exercise(name)
        given = self._hints_given.get(name, 0)
        if given >= len(found.hints):
            return Note(
                f"Those were all the hints for {name!r}. "
                f'lab.solution("{name}") shows our solution, {_lines(found.lines)} of code.'
            )
        self._hints_given[name] = given + 1
        self._progress.hinted(name)
        return Note(f"Hint {given + 1} of {len(found.hints)}: {found.hints[given]}")

    def solution(self, name: str) -> Transcript | Note:
        """Return the source of the reference solution."""
        if name not in self._exercises:
            return self._no_exercise(name)
        try:
            solutions = load_solutions(LabFiles(self.name))
            source = solutions.source(name)
        except (FileNotFoundError, PlaceError) as error:
            return Note(f"{error}. The solutions are part of a checkout of the book.")
        except KeyError:
            return Note(f"The solution of {name!r} is missing from {self.name}.")
        self._progress.solution_shown(name)
        return Transcript(f"Our solution, {_lines(solutions.lines(name))} of code:", source)

    # ------------------------------------------------------------------ quizzes and predictions

    def quiz(self, name: str) -> ShownQuiz | Note:
        """Return a quiz; ``lab.answer`` answers it."""
        found = self._quizzes.get(name)
        return ShownQuiz(name, found) if found else self._no_such("quiz", name, self._quizzes)

    def answer(self, name: str, *letters: str) -> Verdict | Note:
        """Answer a quiz and return the explanation of each letter: ``lab.answer("q", "b")``."""
        found = self._quizzes.get(name)
        if found is None:
            return self._no_such("quiz", name, self._quizzes)
        verdict = judge(found, letters)
        if verdict.explanations:
            self._progress.answered(name, verdict.right)
        return verdict

    def predict(self, name: str, value: object) -> Note:
        """Write a prediction down, to be compared with what is measured."""
        self._predictions[name] = value
        return Note(f"Your prediction of {name}: {show(value)}")

    def compare(self, name: str, measured: object) -> Note:
        """Show a prediction beside what was measured."""
        if name not in self._predictions:
            return Note(
                f"Measured {name}: {show(measured)}. There is no prediction: "
                f'lab.predict("{name}", ...) writes one down.'
            )
        predicted = self._predictions[name]
        verdict = "as predicted" if predicted == measured else "not as predicted"
        return Note(f"{name}: predicted {show(predicted)}, measured {show(measured)}, {verdict}.")

    def panel(
        self, simulator: str, preset: str | None = None, seed: int | None = None
    ) -> Panel | Note:
        """Return a simulator with controls; its ``result`` is that of the settings as they are.

        Args:
            simulator: the simulator's name.
            preset: one of its presets, the first by default.
            seed: the seed, by default that of the preset.
        """
        # Simulators, drawings and widgets take a fifth of a second to import; many labs have none.
        from remotecalls.notebook.panel import Panel, PanelModel
        from remotecalls.simulators.catalog import SIMULATORS
        from remotecalls.simulators.parameters import ParameterError

        if simulator not in SIMULATORS:
            return self._no_such("simulator", simulator, SIMULATORS, owner="The book")
        try:
            return Panel(PanelModel(simulator, preset, seed))
        except ParameterError as error:
            return Note(str(error))

    def tree(self, system: ActorSystem, flows: Flows | None = None) -> TreePicture:
        """Return the supervision tree of a running system as it is now.

        Args:
            system: the actor system.
            flows: what `system.watched()` has counted so far; without it no messages are drawn.
        """
        from remotecalls.notebook.trees import TreePicture

        return TreePicture(system.snapshot(), () if flows is None else flows.seen())

    def live_tree(self, system: ActorSystem) -> AbstractAsyncContextManager[Flows]:
        """Draw the supervision tree of a system anew while a block runs, and keep the last picture.

        Args:
            system: the actor system. What its actors send each other in the block is drawn, too.
        """
        from remotecalls.notebook.trees import living_tree

        return living_tree(system)

    # ------------------------------------------------------------------ progress

    def progress(self) -> ProgressTable:
        """Return what you did in this lab, as a table."""
        done = self._progress.of_lab()
        rows = []
        for name in self._exercises:
            entry = done.exercises.get(name)
            if entry is None:
                rows.append((name, "not begun", ""))
                continue
            state = "passed" if entry.passed else "not yet"
            checks = _counted(entry.checks, "check", "checks")
            details = f"{checks}, {_counted(entry.hints, 'hint', 'hints')}"
            rows.append((name, state, details + (", solution seen" * entry.solution_seen)))
        for name in self._quizzes:
            answered = done.quizzes.get(name)
            if answered is None:
                rows.append((name, "not answered", "quiz"))
            else:
                rows.append((name, "right" if answered.right else "not yet", "quiz"))
        return ProgressTable(rows, self._progress.warning)

    def export_progress(self, path: str | Path) -> Note:
        """Write the progress of all labs to a file, as JSON."""
        self._progress.export(Path(path))
        return Note(f"Your progress is in {Path(path).name}.")

    # ------------------------------------------------------------------ inside

    def _set_up(self) -> str:
        # gRPC's library writes what happens to connections to standard error, past Python.
        os.environ.setdefault("GRPC_VERBOSITY", "NONE")
        problem = _environment_problem()
        if problem:
            return f"Lab {self.name!r} cannot run: {problem}"
        try:
            files = LabFiles(self.name)
            self._exercises = load_exercises(files)
            self._quizzes = load_quizzes(files.quizzes)
        except (PlaceError, QuizError, ValueError) as error:
            return f"Lab {self.name!r} cannot run: {error}"
        exercises = _counted(len(self._exercises), "exercise", "exercises")
        quizzes = _counted(len(self._quizzes), "quiz", "quizzes")
        return f"Lab {self.name!r} is set up: {exercises}, {quizzes}."

    def _no_exercise(self, name: str) -> Note:
        return self._no_such("exercise", name, self._exercises)

    def _no_such(self, kind: str, name: str, names: Iterable[str], owner: str = "This lab") -> Note:
        known = list(names)
        close = difflib.get_close_matches(str(name), known, n=1)
        guess = f" Did you mean {close[0]!r}?" if close else ""
        listed = ", ".join(known) or "none"
        return Note(f"{owner} has no {kind} {name!r}.{guess} It has: {listed}.")

    def _remove(self, directory: Path) -> None:
        if directory in self._directories:
            self._directories.remove(directory)
            shutil.rmtree(directory, ignore_errors=True)
            self._guardian.forget("directory", str(directory))

    def _remove_directories(self) -> None:
        for directory in list(self._directories):
            self._remove(directory)

    def _at_exit(self) -> None:
        # Services in this kernel end with it. What outlives it are processes, ordinary context
        # managers and directories.
        loop = self._loop
        if loop is not None and not loop.is_closed() and not loop.is_running():
            with contextlib.suppress(ExceptionGroup):
                loop.run_until_complete(self.stop_all())
        while self._held:
            one = self._held.pop()
            if one.now is not None:
                try:
                    one.now(STOP_SECONDS)
                except Exception as error:  # noqa: BLE001 - the others must be stopped as well
                    print(f"{one.name}: {error}", file=sys.stderr)
        self._remove_directories()
        self._guardian.close()


@dataclass(frozen=True, eq=False)
class _Open:
    """One thing that a lab started and has to stop.

    Attributes:
        value: what the lab's cells hold.
        name: for messages.
        leave: stops it within so many seconds.
        now: the same without an event loop, where that is possible.
    """

    value: Any
    name: str
    leave: Callable[[float], Awaitable[None]]
    now: Callable[[float], None] | None = None


def _environment_problem() -> str:
    if not (3, 11) <= sys.version_info[:2] <= (3, 13):
        version = ".".join(str(part) for part in sys.version_info[:3])
        return f"it needs Python 3.11, 3.12 or 3.13, and this kernel is {version}. Run: make lab"
    return ""


def _append_report(report: Report) -> None:
    path = os.environ.get(REPORT_VARIABLE)
    if not path:
        return
    line = {"exercise": report.exercise, "verdict": report.verdict, "text": str(report)}
    with Path(path).open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def _counted(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"


def _lines(count: int) -> str:
    return _counted(count, "line", "lines")
