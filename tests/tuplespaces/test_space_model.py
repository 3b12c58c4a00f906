"""The space beside a naive list, through any interleaving that Hypothesis can think of."""

from __future__ import annotations

import asyncio
import itertools
import math
from collections.abc import Coroutine
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from naive_space import NaiveSpace, Unit, Wait

from remotecalls.tuplespaces import (
    ANY,
    LeaseEnded,
    TransactionEnded,
    TupleSpace,
    at_least,
    one_of,
)

VALUES: list[Any] = [0, 1, 1.0, True, None, "a", ("a", 1)]
TUPLES = [*itertools.product(VALUES, repeat=1), *itertools.product(VALUES, repeat=2)]
FIELDS = st.one_of(st.sampled_from(TUPLES[: len(VALUES)]), st.sampled_from(TUPLES))
# A pattern's field, and what it means, said in another way than the space does.
ASKED: list[tuple[Any, Any]] = [
    *[(v, lambda x, v=v: type(x) is type(v) and x == v) for v in VALUES],
    *[(t, lambda x, t=t: type(x) is t) for t in (int, float, bool, str, tuple, type(None))],
    *[(ANY, lambda x: True)] * 6,
    (at_least(1), lambda x: type(x) is int and x >= 1),
    (one_of(1, "a"), lambda x: (type(x) is int and x == 1) or (type(x) is str and x == "a")),
]
PATTERNS = st.lists(st.sampled_from(ASKED), min_size=1, max_size=2)
SECONDS = st.sampled_from([1.0, 2.0, 3.5, 5.0, 8.0])
LEASES = st.one_of(st.just(math.inf), SECONDS)
WAITS = st.sampled_from([2.0, 8.0, 20.0, 30.0])
PICK = st.integers(0, 1_000)


def meaning(pattern: list[tuple[Any, Any]]) -> Any:
    tests = [test for _, test in pattern]
    return lambda fields: (
        len(fields) == len(tests)
        and all(test(value) for test, value in zip(tests, fields, strict=True))
    )


class SpaceBesideList(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.now = 0.0
        self.tasks: list[tuple[asyncio.Task[Any], Wait]] = []
        self.units: list[tuple[Any, Any, Unit]] = []
        self.leases: list[tuple[asyncio.Task[Any], Wait]] = []

    @initialize(capacity=st.sampled_from([None, 1, 2, 3, 4]))
    def open(self, capacity: int | None) -> None:
        self.space = TupleSpace(capacity=capacity, clock=lambda: self.now)
        self.list = NaiveSpace(capacity or math.inf)
        self.run(self.space.__aenter__())
        self.subscriptions = [self.space.notify(*[ANY] * length) for length in (1, 2)]
        self.events = [self.run(each.__aenter__()) for each in self.subscriptions]
        self.seen = [0, 0]

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(coroutine)

    async def settled(self) -> None:
        for _ in range(5):
            await asyncio.sleep(0)

    def where(self, pick: int) -> tuple[Any, Unit | None]:
        """The space itself, or one of the open transactions."""
        choices = [(self.space, None), *((work, unit) for _, work, unit in self.units)]
        return choices[pick % len(choices)]

    def started(self, operation: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = self.loop.create_task(operation)
        self.run(self.settled())
        return task

    # ---------------------------------------------------------------- rules

    @rule(fields=FIELDS, lease=LEASES, timeout=WAITS, pick=PICK)
    def write(self, fields: tuple[Any, ...], lease: float, timeout: float, pick: int) -> None:
        self.write_to(fields, lease, timeout, pick)

    def write_to(self, fields: tuple[Any, ...], lease: float, timeout: float, pick: int) -> None:
        where, unit = self.where(pick)
        wait = self.list.write(fields, lease, unit, timeout)
        task = self.started(where.write(*fields, lease=lease, timeout=timeout))
        self.tasks.append((task, wait))
        self.leases.append((task, wait))

    @rule(pattern=PATTERNS, taking=st.booleans(), timeout=WAITS, pick=PICK)
    def get(self, pattern: list[Any], taking: bool, timeout: float, pick: int) -> None:
        where, unit = self.where(pick)
        wait = self.list.get(meaning(pattern), taking, unit, timeout)
        operation = where.take if taking else where.read
        task = self.started(operation(*[asked for asked, _ in pattern], timeout=timeout))
        self.tasks.append((task, wait))

    @rule(pattern=PATTERNS, taking=st.booleans(), pick=PICK)
    def get_now(self, pattern: list[Any], taking: bool, pick: int) -> None:
        where, unit = self.where(pick)
        operation = where.take_if_present if taking else where.read_if_present
        found = self.run(operation(*[asked for asked, _ in pattern]))
        assert same(found, self.list.get_now(meaning(pattern), taking, unit))

    @rule(pattern=PATTERNS, pick=PICK)
    def read_all(self, pattern: list[Any], pick: int) -> None:
        where, unit = self.where(pick)
        found = self.run(where.read_all(*[asked for asked, _ in pattern]))
        assert same(list(found), self.list.read_all(meaning(pattern), unit))

    @precondition(lambda self: len(self.units) < 4)
    @rule(timeout=WAITS)
    def begin(self, timeout: float) -> None:
        block = self.space.transaction(timeout)
        self.units.append((block, self.run(block.__aenter__()), self.list.begin(timeout)))

    @precondition(lambda self: self.units)
    @rule(pick=PICK, commit=st.booleans())
    def end(self, pick: int, commit: bool) -> None:
        block, _, unit = self.units.pop(pick % len(self.units))
        self.list.end(unit, "committed" if commit else "aborted")
        self.leave(block, commit)

    def leave(self, block: Any, commit: bool) -> None:
        if commit:
            self.run(block.__aexit__(None, None, None))
        else:
            error = RuntimeError("of the block")
            assert not self.run(block.__aexit__(RuntimeError, error, None))
        self.run(self.settled())

    @precondition(lambda self: self.leases)
    @rule(pick=PICK, seconds=SECONDS, cancel=st.booleans())
    def use_lease(self, pick: int, seconds: float, cancel: bool) -> None:
        task, wait = self.leases[pick % len(self.leases)]
        if wait.row is None or task.cancelled():
            return
        lease = task.result()
        there = wait.row in self.list.rows
        expected = max(0.0, wait.row.expires - self.now) if there else 0.0
        assert lease.remaining() == expected
        try:
            self.run(lease.cancel() if cancel else lease.renew(seconds))
        except LeaseEnded:
            assert not there
        else:
            assert there
            if cancel:
                self.list.cancel(wait.row)
            else:
                self.list.renew(wait.row, seconds)
        self.run(self.settled())

    @precondition(lambda self: any(not task.done() for task, _ in self.tasks))
    @rule(pick=PICK)
    def cancel_one_who_waits(self, pick: int) -> None:
        waiting = [each for each in self.tasks if not each[0].done()]
        task, wait = waiting[pick % len(waiting)]
        task.cancel()
        self.run(self.settled())
        assert task.cancelled()
        self.tasks.remove((task, wait))
        self.leases = [each for each in self.leases if each[0] is not task]
        self.list.give_up(wait)

    def wanted(self, pick: int) -> tuple[Any, ...]:
        """The fields of a tuple that somebody waits for."""
        gets = [wait.matches for wait in self.list.waits if wait.matches is not None]
        matching = [fields for fields in TUPLES if gets[pick % len(gets)](fields)]
        return matching[pick % len(matching)]

    @precondition(lambda self: any(wait.matches for wait in self.list.waits))
    @rule(lease=LEASES, which=PICK, pick=PICK)
    def write_what_is_wanted(self, lease: float, which: int, pick: int) -> None:
        self.write_to(self.wanted(which), lease, 8.0, pick)

    @precondition(lambda self: any(wait.matches for wait in self.list.waits))
    @rule(lease=LEASES, which=PICK, pick=PICK)
    def cancel_one_who_was_just_served(self, lease: float, which: int, pick: int) -> None:
        fields = self.wanted(which)
        where, unit = self.where(pick)
        if not (self.list.needs_no_room(unit) or self.list.used() < self.list.capacity):
            return
        before = {id(wait) for wait in self.list.waits}
        self.list.write(fields, lease, unit, 1.0)
        served = [
            (task, wait)
            for task, wait in self.tasks
            if id(wait) in before and wait not in self.list.waits and wait.matches is not None
        ]

        async def write_and_cancel() -> None:
            await where.write(*fields, lease=lease)
            for task, _ in served:
                task.cancel()

        self.run(write_and_cancel())
        self.run(self.settled())
        for task, wait in served:
            assert task.cancelled()
            self.tasks.remove((task, wait))
            self.list.give_up(wait)

    @rule(seconds=st.sampled_from([0.5, 1.0, 2.5, 6.0]))
    def let_time_pass(self, seconds: float) -> None:
        self.list.advance(seconds)
        self.now += seconds
        self.space.statistics()  # the first look after that time
        self.run(self.settled())
        for block, work, unit in [each for each in self.units if each[2].state != "open"]:
            self.units.remove((block, work, unit))
            try:
                self.run(block.__aexit__(None, None, None))
            except TransactionEnded:
                pass
            else:
                raise AssertionError("a transaction that was over was committed")

    # ---------------------------------------------------------------- what holds

    @invariant()
    def they_agree(self) -> None:
        if not hasattr(self, "space"):
            return
        for length in 1, 2:
            found = self.run(self.space.read_all(*[ANY] * length))
            rows = [row.fields for row in self.list.visible(None) if len(row.fields) == length]
            assert same(list(found), rows)
        for task, wait in self.tasks:
            assert task.done() == (wait not in self.list.waits)
            if task.done():
                assert same(outcome(task, wait), wait.outcome)
        statistics = self.space.statistics()
        waits = self.list.waits
        assert statistics.tuples == len(self.list.visible(None))
        assert statistics.waiting == sum(wait.matches is not None for wait in waits)
        assert statistics.writers == sum(wait.matches is None for wait in waits)
        assert statistics.transactions == len(self.list.units)
        leased = sum(row.expires < math.inf for row in self.list.rows)
        assert statistics.alarms == leased + len(waits) + len(self.list.units)

    @invariant()
    def subscribers_have_seen_it(self) -> None:
        if not hasattr(self, "space"):
            return
        for length in 1, 2:
            written = [fields for fields in self.list.written if len(fields) == length]
            events = self.events[length - 1]
            for fields in written[self.seen[length - 1] :]:
                assert same(self.run(events.next(timeout=10)), fields)
            self.seen[length - 1] = len(written)
            assert not events._buffer

    def teardown(self) -> None:
        if hasattr(self, "space"):
            for block, _, _ in self.units:
                self.leave(block, commit=False)
            for length in 1, 2:
                while self.run(self.space.take_if_present(*[ANY] * length)) is not None:
                    pass
            for task, _ in self.tasks:
                task.cancel()
            self.run(self.settled())
            for length in 1, 2:
                while self.run(self.space.take_if_present(*[ANY] * length)) is not None:
                    pass
            statistics = self.space.statistics()
            assert (statistics.alarms, statistics.waiting, statistics.writers) == (0, 0, 0)
            assert statistics.indexes == {}
            assert self.space.engine.used == 0
            for each in self.subscriptions:
                self.run(each.__aexit__(None, None, None))
            self.run(self.space.__aexit__(None, None, None))
        self.loop.close()


def outcome(task: asyncio.Task[Any], wait: Wait) -> Any:
    error = task.exception()
    if error is not None:
        return type(error).__name__
    return wait.fields if wait.matches is None else task.result()


def same(one: Any, other: Any) -> bool:
    """Equal in types as well."""
    return repr(one) == repr(other)


TestSpaceBesideList = SpaceBesideList.TestCase
TestSpaceBesideList.settings = settings(stateful_step_count=60, max_examples=400)
