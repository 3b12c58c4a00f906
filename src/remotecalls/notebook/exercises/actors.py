"""The exercises of `labs/actors.ipynb`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any

from remotecalls.actors import (
    ActorRef,
    ActorStopped,
    ActorSystem,
    DeadlineExceeded,
    Strategy,
    SupervisorSpec,
    What,
    actor,
    child,
    handler,
    state,
)
from remotecalls.notebook.exercises import Answer, Attempt, Exercise, Mismatch, attempt, matches
from remotecalls.notebook.waiting import eventually
from remotecalls.shop import InsufficientFunds

WAIT_SECONDS = 2.0

# ---------------------------------------------------------------- predict

CHILDREN = ("customers", "stock", "orders")


@actor
class Idle:
    """A child of which nothing matters but its life."""

    @handler("ping")
    def ping(self) -> None:
        """Answer."""


async def started_again(strategy: Strategy, ended: str) -> list[str]:
    """Kill a child of a real supervisor, and read from the events which it starts again."""
    # The last child is started again in each of these cases, or it is the victim itself.
    last = CHILDREN[-1] if strategy is not Strategy.ONE_FOR_ONE else ended
    async with ActorSystem() as system:
        children = tuple(child(Idle, name=name) for name in CHILDREN)
        await system.supervise(SupervisorSpec("shop", children, strategy))
        victim = system.whereis(ended)
        assert victim is not None
        victim.kill()
        await eventually(WAIT_SECONDS, lambda: last in _restarted(system), f"{last} is back")
        return _restarted(system)


def _restarted(system: ActorSystem) -> list[str]:
    return [each.name for each in system.events if each.what is What.RESTARTED]


async def check_restarts(restarted: Answer) -> AsyncIterator[Attempt]:
    """Each of the strategies, with a child killed that is first, last or in the middle."""
    for strategy, ended, message in [
        (Strategy.ONE_FOR_ONE, "stock", "One for one: whoever ended, and nobody else."),
        (Strategy.ONE_FOR_ALL, "orders", "One for all: all of them, in the order of their start."),
        (Strategy.REST_FOR_ONE, "stock", "The rest: those that were started after it, with it."),
        (Strategy.REST_FOR_ONE, "customers", "All others were started after the first one."),
        (Strategy.REST_FOR_ONE, "orders", "Nobody was started after the last one."),
        (Strategy.ONE_FOR_ONE, "customers", "It makes no difference which one it is."),
    ]:
        yield attempt(
            f'restarted("{strategy}", "{ended}")',
            partial(restarted, strategy.value, ended),
            await started_again(strategy, ended),
            message,
        )


# ---------------------------------------------------------------- complete


def _written(error: ActorStopped) -> ActorStopped:
    """Let a stub that ended its actor be reported as a stub."""
    if isinstance(error.reason.error, NotImplementedError):
        raise error.reason.error from None
    return error


async def _outcome(asking: Awaitable[Any]) -> object:
    """What an ask returned, or the name of what it raised."""
    try:
        return await asking
    except ActorStopped as error:
        return type(_written(error)).__name__
    except InsufficientFunds as error:
        return type(error).__name__


async def check_purse(purse: Answer) -> AsyncIterator[Attempt]:
    """A purse of a hundred, supervised; paid from, overdrawn, and given nonsense."""
    async with ActorSystem() as system:
        spec = SupervisorSpec("bank", (child(purse, name="purse", cents=100),))
        await system.supervise(spec)
        ref = system.actor("purse")
        for words, cents, expected, message in [
            ("pay 30 of 100", 30, 70, "It answers with what is left."),
            (
                "pay 71 of 70",
                71,
                "InsufficientFunds",
                "Too little money is an answer: name the exception with `raises=` of @handler.",
            ),
            ("pay 70 of 70", 70, 0, "After an answer the purse goes on, with what it had."),
            (
                "pay -1",
                -1,
                "ActorStopped",
                "Nobody pays less than nothing: the caller has a bug, and the purse is not to go "
                "on. Raise something that `raises=` does not name.",
            ),
        ]:
            asking = partial(ref.ask, "pay", cents, timeout=WAIT_SECONDS)
            yield attempt(words, lambda asking=asking: _outcome(asking()), expected, message)  # type: ignore[misc]
        # Between the crash and the restart the name is nobody's.
        await eventually(WAIT_SECONDS, lambda: "purse" in system.names(), "the purse is back")
        yield attempt(
            "pay 100 after the crash",
            lambda: _outcome(ref.ask("pay", 100, timeout=WAIT_SECONDS)),
            0,
            "It was started again, with the 100 of its description. What it had is gone.",
        )


# ---------------------------------------------------------------- build


class Work:
    """Work that fails at given times of a clock of its own, and then is done.

    Attributes:
        now: the time that the clock shows, in seconds.
        starts: how often the work has been started.
    """

    def __init__(self, *failures: float) -> None:
        self.now = 0.0
        self.starts = 0
        self._failures = failures

    def clock(self) -> float:
        """The time in seconds."""
        return self.now

    async def __call__(self) -> str:
        """Fail, as often as it was told, and then return.

        Raises:
            ConnectionError: with the number of the failure.
        """
        self.starts += 1
        if self.starts <= len(self._failures):
            self.now = self._failures[self.starts - 1]
            raise ConnectionError(f"failure {self.starts}")
        return "done"


async def _kept(keep_running: Answer, work: Work) -> str:
    """What comes of it: the result, or the words of the error."""
    try:
        result = await keep_running(work, 5, 60.0, work.clock)
    except ConnectionError as error:
        return str(error)
    return str(result)


async def _cancelled(keep_running: Answer) -> bool:
    """Whether a supervisor that is cancelled lets itself be, and does not start again."""
    starts = 0

    async def work() -> None:
        nonlocal starts
        starts += 1
        if starts == 1:
            await asyncio.Event().wait()

    task = asyncio.ensure_future(keep_running(work, 5, 60.0, lambda: 0.0))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task], timeout=WAIT_SECONDS)
    return starts == 1 and task.cancelled()


async def check_supervisor(keep_running: Answer) -> AsyncIterator[Attempt]:
    """Failures in a row, failures with time between them, and an end from outside."""
    minute = (0.0, 10.0, 20.0, 30.0, 40.0)
    for words, failures, expected, message in [
        ("work that does not fail", (), "done", "What the work returns is returned."),
        ("work that fails once", (1.0,), "done", "After a failure it is started again."),
        ("five failures in a minute", minute, "done", "Five restarts are allowed."),
        (
            "six failures in a minute",
            (*minute, 50.0),
            "failure 6",
            "Five restarts in 60 s are allowed; the sixth failure is the supervisor's own end. "
            "Raise what the work has raised.",
        ),
        (
            "seven failures, one every 15 s",
            tuple(15.0 * number for number in range(7)),
            "done",
            "Never more than five of them are within 60 s: what is older is forgotten.",
        ),
        (
            "five failures, a quiet hour, six failures",
            (*minute, *(3_640.0 + number for number in range(6))),
            "failure 11",
            "After the quiet hour there are six within 60 s. A count that is set back at the "
            "wrong moment misses that.",
        ),
    ]:
        work = Work(*failures)
        yield attempt(words, partial(_kept, keep_running, work), expected, message)
    yield attempt(
        "cancelled while the work waits",
        partial(_cancelled, keep_running),
        True,
        "CancelledError is no failure of the work: somebody wants it to end. Catch Exception.",
    )


# ---------------------------------------------------------------- break


@actor
class Till:
    """One piece of stock, with handlers that are right, each of them."""

    pieces: int = state(default=1)
    promised: int = state(default=0)
    taken: int = state(default=0)

    @handler("available")
    def available(self, pieces: int) -> bool:
        """Whether there are so many."""
        is_there = self.pieces >= pieces
        self.promised += pieces if is_there else 0
        return is_there

    @handler("take")
    def take(self, pieces: int) -> int:
        """Take so many; what is left."""
        self.pieces -= pieces
        self.taken += pieces
        return self.pieces

    @handler("books")
    def books(self) -> tuple[int, int, int]:
        """What is left, what was said to be there, what was taken."""
        return self.pieces, self.promised, self.taken


async def _books(till: ActorRef) -> tuple[int, int, int]:
    found = await till.ask("books", timeout=WAIT_SECONDS)
    assert isinstance(found, tuple)
    return found


async def check_oversell(oversell: Answer) -> AsyncIterator[Attempt]:
    """One piece, and afterwards the books of the till."""
    async with ActorSystem() as system:
        till = await system.spawn(Till)
        try:
            await oversell(till)
        except ActorStopped as error:
            raise Mismatch(
                "await oversell(till)",
                _written(error),
                "no crash",
                "The till takes `available` and `take`, each with a number of pieces.",
            ) from None
        left, promised, taken = await _books(till)
        yield attempt(
            "pieces taken",
            lambda: taken,
            matches("two or more", lambda found: found >= 2),
            "Two customers are to have one piece each, and there is one.",
        )
        yield attempt(
            "pieces that the till had said to be there",
            lambda: promised,
            matches(f"at least {taken}", lambda found: found >= taken),
            "Each customer asks whether the piece is available, and takes it only if it is.",
        )
        yield attempt(
            "pieces left",
            lambda: left,
            matches("fewer than none", lambda found: found < 0),
            "The piece was sold once.",
        )


# ---------------------------------------------------------------- build, again


@actor
class Shelf:
    """Pieces that are held for somebody until they are released or gone."""

    pieces: int = state(default=3)

    @handler("hold")
    def hold(self, pieces: int) -> bool:
        """Set so many aside, if they are there."""
        if self.pieces < pieces:
            return False
        self.pieces -= pieces
        return True

    @handler("release")
    def release(self, pieces: int) -> None:
        """Put so many back."""
        self.pieces += pieces

    @handler("pieces")
    def left(self) -> int:
        """How many are there."""
        return self.pieces


@actor
class Receipts:
    """What was paid, also by a purse that cannot be asked any more."""

    cents: int = state(default=0)

    @handler("paid")
    def paid(self, cents: int) -> None:
        """Write it down."""
        self.cents += cents

    @handler("total")
    def total(self) -> int:
        """All of it."""
        return self.cents


@actor
class Purse:
    """Money, and whatever a purse does instead of paying."""

    receipts: ActorRef = state()
    mood: str = state(default="pays")
    cents: int = state(default=100)

    @handler("pay", raises=InsufficientFunds)
    async def pay(self, cents: int) -> int:
        """Pay, or not.

        Raises:
            InsufficientFunds: there is too little.
            RuntimeError: it breaks.
        """
        if self.mood == "breaks":
            raise RuntimeError("the purse is torn")
        if self.cents < cents:
            raise InsufficientFunds(f"{self.cents} are not {cents}")
        self.cents -= cents
        self.receipts.tell("paid", cents)
        if self.mood == "pays and hangs":
            await asyncio.Event().wait()
        return self.cents


Buy = Callable[[ActorRef, ActorRef, int, int], Awaitable[Any]]


async def _bought(buy: Buy, pieces: int, cents: int, mood: str = "pays") -> tuple[object, int, int]:
    """What the buyer was told, what is left on the shelf, and what was paid."""
    async with ActorSystem() as system:
        shelf, receipts = await system.spawn(Shelf), await system.spawn(Receipts)
        purse = await system.spawn(Purse, receipts, mood)
        told: object
        try:
            told = await buy(shelf, purse, pieces, cents)
        except (ActorStopped, InsufficientFunds, DeadlineExceeded) as error:
            told = type(error).__name__
        finally:
            purse.kill()
        left = await shelf.ask("pieces", timeout=WAIT_SECONDS)
        return told, left, await receipts.ask("total", timeout=WAIT_SECONDS)


async def check_buy(buy: Answer) -> AsyncIterator[Attempt]:
    """Told, left and paid: of a purse that pays, has too little, says nothing, or breaks."""
    for words, arguments, expected, message in [
        (
            "2 of 3 pieces, and enough money",
            (2, 90),
            (True, 1, 90),
            "It is done: True, and the pieces are gone.",
        ),
        (
            "4 of 3 pieces",
            (4, 10),
            (False, 3, 0),
            "`hold` answers False: nothing was set aside, and nobody has to pay.",
        ),
        (
            "2 pieces, and too little money",
            (2, 101),
            (False, 3, 0),
            "InsufficientFunds is an answer: nothing was paid. Put the pieces back.",
        ),
        (
            "2 pieces, and a purse that pays and then says nothing",
            (2, 90, "pays and hangs"),
            ("DeadlineExceeded", 1, 90),
            "After a deadline nobody knows whether it was paid. Whoever puts the pieces back may "
            "have been paid for them: leave them held, and let the error through.",
        ),
        (
            "2 pieces, and a purse that breaks",
            (2, 90, "breaks"),
            ("ActorStopped", 1, 0),
            "A crash does not say how far it came. Leave the pieces held, as after a deadline.",
        ),
    ]:
        yield attempt(words, partial(_bought, buy, *arguments), expected, message)  # type: ignore[arg-type]


EXERCISES = (
    Exercise(
        name="predict-the-restarts",
        kind="predict",
        title="Who is started again",
        minutes=8,
        lines=7,
        hints=(
            "One for one and one for all say it in their names.",
            "The rest are those that stand behind it in the order of the start, and itself.",
        ),
        check=check_restarts,
        task="Write `restarted(strategy, ended)`: the children that are started again, as a list "
        'in the order of their start. They were started as "customers", "stock", "orders"; the '
        'strategy is "one-for-one", "one-for-all" or "rest-for-one".',
    ),
    Exercise(
        name="answer-or-crash",
        kind="complete",
        title="An answer or a crash",
        minutes=8,
        lines=11,
        hints=(
            'Two things may go wrong. One is the customer\'s day: `@handler("pay", raises=…)`.',
            "The other is a bug of the caller. Raise ValueError, and do not name it in `raises=`.",
        ),
        check=check_purse,
        task="Complete `pay(cents)` of the purse: it answers with what is left. Too little money "
        "is the answer InsufficientFunds; less than 0 cents ends the purse.",
    ),
    Exercise(
        name="build-a-supervisor",
        title="Five in sixty seconds",
        minutes=15,
        lines=11,
        hints=(
            "Keep the times of the failures in a list. Before you count, drop those that are "
            "older than `period`.",
            "More than `intensity` of them: `raise`, inside the `except`, raises the same again.",
        ),
        check=check_supervisor,
        task="Write `async def keep_running(work, intensity, period, clock)`: await `work()`, and "
        "start it again when it raises. What it returns is returned. If more than `intensity` "
        "failures fall within `period` seconds, raise the last. `clock()` says what time it is.",
    ),
    Exercise(
        name="hold-then-pay",
        title="Two actors, one sale",
        minutes=12,
        lines=9,
        hints=(
            "Hold first. If the shelf says no, there is nothing to pay.",
            "Three things come of paying: it is paid, it is refused, or nobody knows. Only after a "
            "refusal the pieces may be put back.",
        ),
        check=check_buy,
        task="Write `async def buy(shelf, purse, pieces, cents)`: True if the pieces are held and "
        "paid, False if there are too few or InsufficientFunds came, with nothing held. The "
        'messages are "hold", "release" and "pay"; allow the purse 0.2 s.',
    ),
    Exercise(
        name="sell-one-twice",
        kind="break",
        title="Sell one piece twice",
        minutes=8,
        lines=6,
        hints=(
            "The till answers one question at a time. What was true when it answered?",
            "Let both customers ask before either of them takes.",
        ),
        check=check_oversell,
        task="Write `async def oversell(till)`: two customers, each of whom asks `available` and "
        "then, if it is, sends `take`, both with 1. There is one piece, and both are to get it.",
    ),
)
