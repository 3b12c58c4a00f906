"""Reference solutions and known wrong answers of `labs/actors.ipynb`."""

from __future__ import annotations

import asyncio

from remotecalls.actors import ActorStopped, actor, handler, state
from remotecalls.notebook.solutions import Wrong
from remotecalls.shop import InsufficientFunds
from remotecalls.wire.errors import DeadlineExceeded


def restarted(strategy, ended):
    children = ["customers", "stock", "orders"]
    if strategy == "one-for-one":
        return [ended]
    if strategy == "one-for-all":
        return children
    return children[children.index(ended) :]


@actor
class Purse:
    cents: int = state()

    @handler("pay", raises=InsufficientFunds)
    def pay(self, cents):
        if cents < 0:
            raise ValueError(f"nobody pays {cents} cents")
        if self.cents < cents:
            raise InsufficientFunds(f"{self.cents} cents are not {cents}")
        self.cents -= cents
        return self.cents


async def keep_running(work, intensity, period, clock):
    failures = []
    while True:
        try:
            return await work()
        except Exception:
            now = clock()
            failures = [time for time in failures if time >= now - period]
            failures.append(now)
            if len(failures) > intensity:
                raise


async def buy(shelf, purse, pieces, cents):
    if not await shelf.ask("hold", pieces, timeout=0.2):
        return False
    try:
        await purse.ask("pay", cents, timeout=0.2)
    except InsufficientFunds:
        await shelf.ask("release", pieces, timeout=0.2)
        return False
    return True


async def oversell(till):
    first = await till.ask("available", 1)
    second = await till.ask("available", 1)
    for is_there in (first, second):
        if is_there:
            await till.ask("take", 1)


SOLUTIONS = {
    "predict-the-restarts": restarted,
    "answer-or-crash": Purse,
    "build-a-supervisor": keep_running,
    "hold-then-pay": buy,
    "sell-one-twice": oversell,
}


def only_the_dead_one(strategy, ended):
    return [ended]


def backwards(strategy, ended):
    return restarted(strategy, ended)[::-1]


def those_before(strategy, ended):
    children = ["customers", "stock", "orders"]
    if strategy == "rest-for-one":
        return children[: children.index(ended) + 1]
    return restarted(strategy, ended)


def without_itself(strategy, ended):
    if strategy == "rest-for-one":
        return restarted(strategy, ended)[1:]
    return restarted(strategy, ended)


@actor
class PurseThatCrashes:
    cents: int = state()

    @handler("pay")
    def pay(self, cents):
        if cents < 0 or self.cents < cents:
            raise InsufficientFunds("too little")
        self.cents -= cents
        return self.cents


@actor
class PurseThatNeverCrashes:
    cents: int = state()

    @handler("pay", raises=InsufficientFunds)
    def pay(self, cents):
        if cents < 0 or self.cents < cents:
            raise InsufficientFunds("too little")
        self.cents -= cents
        return self.cents


@actor
class PurseThatTakesFirst:
    cents: int = state()

    @handler("pay", raises=InsufficientFunds)
    def pay(self, cents):
        self.cents -= cents
        if cents < 0:
            raise ValueError("less than nothing")
        if self.cents < 0:
            raise InsufficientFunds("too little")
        return self.cents


@actor
class PurseThatSaysNothing:
    cents: int = state()

    @handler("pay", raises=InsufficientFunds)
    def pay(self, cents):
        self.cents -= cents


async def keep_running_for_ever(work, intensity, period, clock):
    return await keep_running(work, float("inf"), period, clock)


async def keep_running_without_a_window(work, intensity, period, clock):
    return await keep_running(work, intensity, float("inf"), clock)


async def keep_running_once_less(work, intensity, period, clock):
    failures = []
    while True:
        try:
            return await work()
        except Exception:
            failures = [time for time in failures if time >= clock() - period] + [clock()]
            if len(failures) >= intensity:
                raise


async def keep_running_in_silence(work, intensity, period, clock):
    try:
        return await keep_running(work, intensity, period, clock)
    except ConnectionError:
        return None


async def keep_running_between_neighbors(work, intensity, period, clock):
    count, last = 0, None
    while True:
        try:
            return await work()
        except Exception:
            count = 1 if last is None or clock() - last > period else count + 1
            last = clock()
            if count > intensity:
                raise


async def keep_running_whatever_comes(work, intensity, period, clock):
    failures = []
    while True:
        try:
            return await work()
        except BaseException:
            failures = [time for time in failures if time >= clock() - period] + [clock()]
            if len(failures) > intensity:
                raise


async def set_back_by_the_clock(work, intensity, period, clock):
    count, since = 0, clock()
    while True:
        try:
            return await work()
        except Exception:
            if clock() - since > period:
                count, since = 0, clock()
                continue
            count += 1
            if count > intensity:
                raise


async def pay_first(shelf, purse, pieces, cents):
    await purse.ask("pay", cents, timeout=0.2)
    return await shelf.ask("hold", pieces, timeout=0.2)


async def never_put_back(shelf, purse, pieces, cents):
    if not await shelf.ask("hold", pieces, timeout=0.2):
        return False
    try:
        await purse.ask("pay", cents, timeout=0.2)
    except InsufficientFunds:
        return False
    return True


async def put_back_after_a_deadline(shelf, purse, pieces, cents):
    try:
        return await buy(shelf, purse, pieces, cents)
    except DeadlineExceeded:
        await shelf.ask("release", pieces, timeout=0.2)
        raise


async def put_back_after_a_crash(shelf, purse, pieces, cents):
    try:
        return await buy(shelf, purse, pieces, cents)
    except ActorStopped:
        await shelf.ask("release", pieces, timeout=0.2)
        raise


async def hold_whatever_it_says(shelf, purse, pieces, cents):
    await shelf.ask("hold", pieces, timeout=0.2)
    await purse.ask("pay", cents, timeout=0.2)
    return True


async def one_after_the_other(till):
    for _ in range(2):
        if await till.ask("available", 1):
            await till.ask("take", 1)


async def without_asking(till):
    await asyncio.gather(till.ask("take", 1), till.ask("take", 1))


async def one_asks_for_both(till):
    if await till.ask("available", 1):
        await till.ask("take", 1)
        await till.ask("take", 1)


WRONG = [
    Wrong("predict-the-restarts", "the dead one", only_the_dead_one, "One for all: all of them"),
    Wrong("predict-the-restarts", "backwards", backwards, "in the order of their start"),
    Wrong("predict-the-restarts", "those before", those_before, "started after it"),
    Wrong("predict-the-restarts", "without itself", without_itself, "with it"),
    Wrong("answer-or-crash", "all crashes", PurseThatCrashes, "is an answer"),
    Wrong("answer-or-crash", "all answers", PurseThatNeverCrashes, "the caller has a bug"),
    Wrong("answer-or-crash", "takes first", PurseThatTakesFirst, "with what it had"),
    Wrong("answer-or-crash", "no answer", PurseThatSaysNothing, "what is left"),
    Wrong("build-a-supervisor", "for ever", keep_running_for_ever, "the supervisor's own end"),
    Wrong("build-a-supervisor", "no window", keep_running_without_a_window, "is forgotten"),
    Wrong("build-a-supervisor", "once less", keep_running_once_less, "Five restarts are allowed"),
    Wrong("build-a-supervisor", "in silence", keep_running_in_silence, "Raise what the work"),
    Wrong("build-a-supervisor", "neighbors", keep_running_between_neighbors, "is forgotten"),
    Wrong("build-a-supervisor", "whatever", keep_running_whatever_comes, "Catch Exception"),
    Wrong("build-a-supervisor", "set back", set_back_by_the_clock, "wrong moment misses"),
    Wrong("hold-then-pay", "pay first", pay_first, "nobody has to pay"),
    Wrong("hold-then-pay", "never put back", never_put_back, "Put the pieces back"),
    Wrong("hold-then-pay", "after a deadline", put_back_after_a_deadline, "may have been paid"),
    Wrong("hold-then-pay", "after a crash", put_back_after_a_crash, "how far it came"),
    Wrong("hold-then-pay", "whatever it says", hold_whatever_it_says, "nothing was set aside"),
    Wrong("sell-one-twice", "one after the other", one_after_the_other, "there is one"),
    Wrong("sell-one-twice", "without asking", without_asking, "takes it only if it is"),
    Wrong("sell-one-twice", "asks for both", one_asks_for_both, "takes it only if it is"),
]
