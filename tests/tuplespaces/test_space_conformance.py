"""One behavior, in process and over a socket."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
from waiting_for import eventually

from remotecalls.tuplespaces import (
    ANY,
    InvalidField,
    InvalidPattern,
    LeaseEnded,
    RemoteTupleSpace,
    SpaceClosed,
    Statistics,
    TransactionEnded,
    TupleSpace,
    TupleSpaceServer,
    at_least,
    at_most,
    between,
    one_of,
)
from remotecalls.wire.errors import DeadlineExceeded


@dataclass
class Case:
    """Two programs' views of one space, and the space itself."""

    mine: Any
    theirs: Any
    inner: TupleSpace

    def statistics(self) -> Statistics:
        return self.inner.statistics()

    async def start(self, operation: Any) -> asyncio.Task[Any]:
        """Begin an operation that waits, and wait until it does."""
        before = self.statistics()
        task = asyncio.create_task(operation)
        count = before.waiting + before.writers
        await eventually(lambda: self.statistics().waiting + self.statistics().writers == count + 1)
        return task


@pytest.fixture(params=["in process", "remote"])
async def case(request: pytest.FixtureRequest) -> AsyncIterator[Case]:
    async with TupleSpace() as space:
        if request.param == "in process":
            yield Case(space, space, space)
            return
        async with (
            TupleSpaceServer(space=space) as server,
            RemoteTupleSpace(server.address) as mine,
            RemoteTupleSpace(server.address) as theirs,
        ):
            yield Case(mine, theirs, space)


# ---------------------------------------------------------------- values and patterns


async def test_every_kind_of_field_comes_back_as_what_it_was(case: Case) -> None:
    fields = (
        *(None, True, False, 0, 1, -1, 2**53, 2**53 + 1, -(2**70), 10**5_000),
        *(0.0, -0.0, 1.0, 1e308, 5e-324, math.inf, -math.inf, "", "é\x00\ud800", b"", b"\x00\xff"),
        *((), (1, 1.0, (True, (None, b"x", 2**64))), {"a": 1}.__repr__()),
    )
    await case.mine.write(*fields)
    found = await case.theirs.take(*[ANY] * len(fields))
    assert type(found) is tuple
    assert [(type(field), field) for field in found] == [(type(field), field) for field in fields]
    assert repr(found[10:12]) == "(0.0, -0.0)"
    assert [type(item) for item in found[22]] == [int, float, tuple]


@pytest.mark.parametrize("asked", [1, 1.0, True])
async def test_one_one_point_zero_and_true_are_three_values(case: Case, asked: Any) -> None:
    for value in (True, 1, 1.0):
        await case.mine.write("n", value, (value,))
    assert repr(await case.mine.read("n", asked, ANY)) == f"('n', {asked!r}, ({asked!r},))"
    assert repr(await case.mine.read("n", ANY, (asked,))) == f"('n', {asked!r}, ({asked!r},))"
    assert repr(await case.mine.read("n", type(asked), ANY)) == f"('n', {asked!r}, ({asked!r},))"
    assert repr(await case.mine.read("n", one_of(asked), ANY)) == f"('n', {asked!r}, ({asked!r},))"
    assert await case.mine.take_if_present("n", type(asked), ANY) is not None
    assert await case.mine.take_if_present("n", asked, ANY) is None
    assert len(await case.mine.read_all("n", ANY, ANY)) == 2


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        (at_least(10), [10, 11]),
        (at_most(10), [9, 10]),
        (between(9, 10), [9, 10]),
        (at_least(10.0), [10.0]),
        (at_most("m"), ["a"]),
        (at_least(b"a"), [b"a"]),
        (one_of(11, "a", None), [11, "a", None]),
        (int, [9, 10, 11]),
        (bool, [True]),
        (type(None), [None]),
        (None, [None]),
        (tuple, [(1,)]),
        (ANY, [9, 10, 11, 10.0, "a", "z", b"a", None, True, (1,)]),
    ],
)
async def test_what_a_pattern_matches(case: Case, asked: Any, found: list[Any]) -> None:
    for value in (9, 10, 11, 10.0, "a", "z", b"a", None, True, (1,)):
        await case.mine.write("v", value)
    await case.mine.write("v", 10, "longer")
    await case.mine.write("w", 10)
    answer = await case.theirs.read_all("v", asked)
    assert repr(answer) == repr(tuple(("v", value) for value in found))


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ((), "at least one field"),
        (("a", [1]), r"fields\[1\] is of type list: \[1\]"),
        (("a", 1, float("nan")), r"fields\[2\] is not a number"),
        (((1, ("x", {2})),), r"fields\[0\]\[1\]\[1\] is of type set"),
        ((type("Name", (str,), {})("x"),), r"fields\[0\] is of type Name"),
    ],
)
async def test_a_field_of_another_kind_is_refused_at_once(
    case: Case, fields: tuple[Any, ...], says: str
) -> None:
    with pytest.raises(InvalidField, match=says):
        await case.mine.write(*fields)
    assert case.statistics().tuples == 0


async def test_a_field_nested_too_deep_is_refused(case: Case) -> None:
    field: Any = 1
    for _ in range(32):
        field = (field,)
    await case.mine.write(field)
    assert await case.theirs.take(ANY) == (field,)
    with pytest.raises(InvalidField, match="deeper than 32"):
        await case.mine.write((field,))


@pytest.mark.parametrize(
    ("pattern", "says"),
    [
        ((), "at least one field"),
        (("a", list), r"pattern\[1\] is the type list"),
        (("a", {1}), r"pattern\[1\] is of type set.*at_least"),
        ((float("nan"),), r"pattern\[0\] is not a number"),
    ],
)
async def test_a_pattern_that_matches_nothing_is_refused_at_once(
    case: Case, pattern: tuple[Any, ...], says: str
) -> None:
    for operation in (case.mine.take, case.mine.read, case.mine.take_if_present):
        with pytest.raises(InvalidPattern, match=says):
            await operation(*pattern)
    with pytest.raises(InvalidPattern, match=says):
        await case.mine.read_all(*pattern)


@pytest.mark.parametrize("seconds", [0, -1, math.inf, math.nan])
async def test_every_wait_has_an_end(case: Case, seconds: float) -> None:
    for operation in (case.mine.take, case.mine.read, case.mine.write):
        with pytest.raises(ValueError, match="timeout of"):
            await operation("a", timeout=seconds)
    with pytest.raises(ValueError, match="timeout of"):
        async with case.mine.transaction(timeout=seconds):
            pass
    assert case.statistics().tuples == 0


# ---------------------------------------------------------------- reading, taking, waiting


async def test_the_oldest_match_comes_first_and_a_read_leaves_it(case: Case) -> None:
    for number in range(5):
        await case.mine.write("job", number)
    assert await case.theirs.read("job", ANY) == ("job", 0)
    assert [await case.theirs.take("job", int) for _ in range(5)] == [
        ("job", number) for number in range(5)
    ]
    assert await case.theirs.read_if_present("job", ANY) is None


async def test_a_wait_ends_with_a_deadline_that_says_for_what(case: Case) -> None:
    for operation in (case.mine.take, case.mine.read):
        with pytest.raises(DeadlineExceeded, match=r"no tuple matched \('a', ANY, int\) within"):
            await operation("a", ANY, int, timeout=0.02)
    assert (case.statistics().waiting, case.statistics().alarms) == (0, 0)


async def test_takers_are_served_in_the_order_of_arrival(case: Case) -> None:
    takers = [await case.start(case.theirs.take("a", ANY)) for _ in range(4)]
    for number in range(4):
        await case.mine.write("a", number)
    assert await asyncio.gather(*takers) == [("a", number) for number in range(4)]


async def test_a_write_wakes_every_reader_and_one_taker(case: Case) -> None:
    first = await case.start(case.theirs.take("a", ANY))
    readers = [await case.start(case.theirs.read("a", ANY)) for _ in range(3)]
    second = await case.start(case.theirs.take("a", ANY))
    await case.mine.write("a", 1)
    assert await asyncio.gather(*readers, first) == [("a", 1)] * 4
    assert case.statistics().waiting == 1
    assert not second.done()
    await case.mine.write("a", 2)
    assert await second == ("a", 2)
    assert case.statistics().tuples == 0


async def test_a_reader_never_takes_a_tuple_away(case: Case) -> None:
    reader = await case.start(case.theirs.read("a", ANY))
    await case.mine.write("a", 1)
    assert await reader == await case.mine.take("a", ANY, timeout=1.0)


async def test_who_waits_for_something_else_is_left_alone(case: Case) -> None:
    other = await case.start(case.theirs.take("a", 1.0))
    await case.mine.write("a", 1)
    await case.mine.write("a", True)
    await case.mine.write("a")
    await case.mine.write("a", 1.0, 2)
    assert case.statistics().waiting == 1
    await case.mine.write("a", 1.0)
    assert repr(await other) == "('a', 1.0)"


async def test_a_canceled_taker_leaves_the_tuple_to_the_next(case: Case) -> None:
    first = await case.start(case.theirs.take("a", ANY))
    second = await case.start(case.theirs.take("a", ANY))
    first.cancel()
    await eventually(lambda: case.statistics().waiting == 1)
    await case.mine.write("a", 1)
    assert await second == ("a", 1)
    assert first.cancelled()


async def test_no_tuple_is_lost_however_takers_are_canceled(case: Case) -> None:
    """Each is canceled at another step of the loop after the write that serves it."""
    for steps in range(12):
        taker = await case.start(case.theirs.take("a", ANY))
        writing = asyncio.create_task(case.mine.write("a", steps))
        for _ in range(steps):
            await asyncio.sleep(0)
        taker.cancel()
        await writing
        [result] = await asyncio.gather(taker, return_exceptions=True)
        if isinstance(result, asyncio.CancelledError):
            assert await case.mine.take("a", ANY, timeout=10.0) == ("a", steps)
        else:
            assert result == ("a", steps)
        assert await case.mine.read_if_present("a", ANY) is None


async def test_no_tuple_is_lost_to_deadlines_that_end_as_it_comes(case: Case) -> None:
    taken = []

    async def taker() -> None:
        for _ in range(60):
            try:
                taken.append(await case.theirs.take("a", ANY, timeout=0.004))
            except DeadlineExceeded:
                continue

    async def writer() -> None:
        for number in range(60):
            await case.mine.write("a", number)
            await asyncio.sleep(0.003)

    async with asyncio.TaskGroup() as group:
        group.create_task(writer())
        for _ in range(2):
            group.create_task(taker())
    left = await case.mine.read_all("a", ANY)
    assert sorted([*taken, *left]) == [("a", number) for number in range(60)]


async def test_a_time_limit_around_a_take_loses_nothing(case: Case) -> None:
    taken: list[Any] = []
    for number in range(40):
        writing = asyncio.create_task(case.mine.write("a", number))
        try:
            async with asyncio.timeout(0.0005 * (number % 8)):
                taken.append(await case.theirs.take("a", ANY))
        except TimeoutError:
            pass
        await writing
    while len(taken) < 40:  # what a canceled take had is on its way back
        taken.append(await case.mine.take("a", ANY, timeout=10.0))
    assert sorted(taken) == [("a", number) for number in range(40)]


async def test_read_all_is_of_one_moment_and_of_any_size(case: Case) -> None:
    async with asyncio.TaskGroup() as group:
        for number in range(3_000):
            group.create_task(case.mine.write("big", number, "x" * 100))
    found = await case.theirs.read_all("big", ANY, ANY)
    assert [fields[1] for fields in found] == list(range(3_000))
    assert await case.theirs.read_all("big", at_least(2_998), ANY) == found[-2:]
    assert await case.theirs.read_all("none", ANY) == ()


async def test_many_operations_wait_at_a_time(case: Case) -> None:
    async with asyncio.TaskGroup() as group:
        takers = [group.create_task(case.mine.take("n", number)) for number in range(500)]
        for number in reversed(range(500)):
            group.create_task(case.theirs.write("n", number))
    assert [taker.result() for taker in takers] == [("n", number) for number in range(500)]


# ---------------------------------------------------------------- leases


async def test_a_lease_ends_and_nobody_sees_the_tuple_after_that(case: Case) -> None:
    lease = await case.mine.write("a", 1, lease=0.05)
    assert 0 < lease.remaining() <= 0.05
    with pytest.raises(DeadlineExceeded):
        await case.theirs.take("b", timeout=0.1)
    assert await case.theirs.read_if_present("a", ANY) is None
    assert lease.remaining() == 0.0
    with pytest.raises(LeaseEnded, match="taken, has expired or was canceled"):
        await lease.renew(10.0)
    with pytest.raises(LeaseEnded):
        await lease.cancel()


async def test_a_lease_is_renewed_and_canceled(case: Case) -> None:
    lease = await case.mine.write("a", 1, lease=30.0)
    assert 0 < lease.remaining() <= 30.0
    await lease.renew(100.0)
    assert 60 < lease.remaining() <= 100.0
    await lease.renew()
    assert lease.remaining() == math.inf
    await lease.cancel()
    assert lease.remaining() == 0.0
    assert await case.theirs.read_if_present("a", ANY) is None
    assert (await case.mine.write("a")).remaining() == math.inf
    assert case.statistics().alarms == 0


async def test_the_lease_of_a_tuple_that_was_taken_is_over(case: Case) -> None:
    lease = await case.mine.write("a", lease=30.0)
    await case.theirs.take("a")
    with pytest.raises(LeaseEnded):
        await lease.renew(10.0)
    assert case.statistics().alarms == 0


@pytest.mark.parametrize("seconds", [0, -1.0, math.nan])
async def test_a_lease_is_longer_than_nothing(case: Case, seconds: float) -> None:
    with pytest.raises(ValueError, match="lease of"):
        await case.mine.write("a", lease=seconds)
    lease = await case.mine.write("a")
    with pytest.raises(ValueError, match="lease of"):
        await lease.renew(seconds)


# ---------------------------------------------------------------- events


async def test_a_subscriber_sees_what_is_written_and_nothing_else(case: Case) -> None:
    await case.mine.write("a", 0)
    async with case.theirs.notify("a", at_least(1)) as events:
        taker = await case.start(case.mine.take("a", 3))
        for number in range(1, 4):
            await case.mine.write("a", number)
            await case.mine.write("b", number)
        assert [await events.next(10.0) for _ in range(3)] == [("a", n) for n in (1, 2, 3)]
        assert await taker == ("a", 3)
        with pytest.raises(DeadlineExceeded, match="no event within"):
            await events.next(0.02)
        assert events.missed == 0
    await case.mine.write("a", 5)
    with pytest.raises(SpaceClosed, match="subscription has ended"):
        await events.next(1.0)


async def test_a_slow_subscriber_sees_the_newest_and_knows_what_it_missed(case: Case) -> None:
    async with case.theirs.notify("a", ANY, buffer=3) as events:
        for number in range(10):
            await case.mine.write("a", number)
        seen = [await events.next(10.0)]
        while seen[-1] != ("a", 9):
            seen.append(await events.next(10.0))
    assert len(seen) + events.missed == 10
    assert seen == sorted(seen)
    assert seen[-3:] == [("a", 7), ("a", 8), ("a", 9)]


async def test_iteration_over_events(case: Case) -> None:
    async with case.theirs.notify("a", ANY) as events:
        for number in range(3):
            await case.mine.write("a", number)
        seen = []
        async with asyncio.timeout(10):
            async for event in events:
                seen.append(event)
                if len(seen) == 3:
                    break
    assert seen == [("a", 0), ("a", 1), ("a", 2)]


# ---------------------------------------------------------------- transactions


async def test_what_a_transaction_does_is_seen_when_it_commits_and_all_at_once(case: Case) -> None:
    await case.mine.write("task", 1)
    waiting = await case.start(case.theirs.take("done", 2))
    async with case.theirs.notify("done", ANY) as events, case.mine.transaction() as work:
        assert await work.take("task", ANY) == ("task", 1)
        await work.write("done", 1)
        await work.write("done", 2)
        assert await work.read("done", 2) == ("done", 2)
        assert await work.read_all("done", ANY) == (("done", 1), ("done", 2))
        assert await case.theirs.read_if_present("task", ANY) is None
        assert await case.theirs.read_all("done", ANY) == ()
        with pytest.raises(DeadlineExceeded):
            await events.next(0.02)
        await work.commit()
        assert await waiting == ("done", 2)
        assert await case.theirs.read_all("done", ANY) == (("done", 1),)
        assert [await events.next(10.0) for _ in range(2)] == [("done", 1), ("done", 2)]
    assert await case.theirs.read_if_present("task", ANY) is None
    assert case.statistics().transactions == 0


async def test_an_exception_undoes_everything(case: Case) -> None:
    await case.mine.write("task", 1, lease=60.0)
    await case.mine.write("task", 2)
    block = case.mine.transaction()
    work = await block.__aenter__()
    await work.take("task", 1)
    await work.write("done", 1)
    await work.take("done", 1)
    await work.write("done", 2)
    error = ZeroDivisionError("of the block")
    assert not await block.__aexit__(ZeroDivisionError, error, None)
    assert await case.theirs.read_all("task", ANY) == (("task", 1), ("task", 2))
    assert await case.theirs.read_all("done", ANY) == ()
    assert case.statistics().alarms == 1
    with pytest.raises(TransactionEnded, match=r"begin another|no transaction"):
        await work.take("task", ANY)


async def test_who_waits_gets_the_tuple_that_an_abort_puts_back(case: Case) -> None:
    await case.mine.write("task", 1)
    async with case.mine.transaction() as work:
        await work.take("task", ANY)
        taker = await case.start(case.theirs.take("task", ANY))
        await work.abort()
        assert await taker == ("task", 1)
        for operation in (work.commit, work.abort):
            with pytest.raises(TransactionEnded):
                await operation()
        for operation in (work.take, work.read, work.write, work.take_if_present, work.read_all):
            with pytest.raises(TransactionEnded):
                await operation("task", 1)


async def test_a_transaction_that_takes_too_long_is_undone(case: Case) -> None:
    await case.mine.write("task", 1)
    block = case.mine.transaction(timeout=0.05)
    work = await block.__aenter__()
    await work.take("task", ANY)
    assert await case.theirs.take("task", ANY, timeout=10.0) == ("task", 1)
    with pytest.raises(TransactionEnded, match=r"took too long.*0.05 s"):
        await work.write("done", 1)
    with pytest.raises(TransactionEnded, match="took too long"):
        await block.__aexit__(None, None, None)
    assert await case.theirs.read_if_present("done", ANY) is None


async def test_a_transaction_ends_the_waits_under_it(case: Case) -> None:
    async with case.mine.transaction() as work:
        taker = await case.start(work.take("a"))
        reader = await case.start(work.read("a"))
        await work.abort()
        for task in (taker, reader):
            with pytest.raises(TransactionEnded, match="was aborted"):
                await task
    await case.mine.write("a")
    assert await case.theirs.take("a") == ("a",)


async def test_what_a_transaction_has_read_nobody_else_takes(case: Case) -> None:
    await case.mine.write("price", 1)
    await case.mine.write("price", 2)
    async with case.mine.transaction() as one, case.theirs.transaction() as other:
        assert await one.read("price", 1) == ("price", 1)
        assert await other.read("price", 1) == ("price", 1)
        assert await case.theirs.read("price", ANY) == ("price", 1)
        assert await case.theirs.take_if_present("price", 1) is None
        assert await one.take_if_present("price", 1) is None
        assert await case.theirs.take_if_present("price", ANY) == ("price", 2)
        taker = await case.start(one.take("price", 1))
        await other.commit()
        assert await taker == ("price", 1)
        outside = await case.start(case.theirs.take("price", 1))
        await one.abort()
        assert await outside == ("price", 1)


async def test_a_tuple_written_and_taken_under_one_transaction_was_never_there(case: Case) -> None:
    async with case.theirs.notify("a", ANY) as events:
        async with case.mine.transaction() as work:
            await work.write("a", 1)
            assert await work.take("a", ANY) == ("a", 1)
        await case.mine.write("a", 2)
        assert await events.next(10.0) == ("a", 2)
    assert await case.mine.read_all("a", ANY) == (("a", 2),)


async def test_who_waits_under_a_transaction_sees_its_own_writes(case: Case) -> None:
    async with case.mine.transaction() as work:
        taker = await case.start(work.take("a", ANY))
        outside = await case.start(case.theirs.take("a", ANY))
        await work.write("a", 1)
        assert await taker == ("a", 1)
        await work.write("a", 2)
        assert case.statistics().waiting == 1
    assert await outside == ("a", 2)


async def test_a_canceled_take_under_a_transaction_holds_nothing(case: Case) -> None:
    async with case.mine.transaction() as work:
        taker = await case.start(work.take("a", ANY))
        taker.cancel()
        await eventually(lambda: case.statistics().waiting == 0)
        await case.theirs.write("a", 1)
        assert await case.theirs.take("a", ANY, timeout=1.0) == ("a", 1)


async def test_two_workers_share_tasks_without_losing_or_doubling_one(case: Case) -> None:
    for number in range(40):
        await case.mine.write("task", number)

    async def worker(space: Any, fails: bool) -> None:
        for attempt in range(1_000):
            try:
                async with space.transaction(timeout=10.0) as work:
                    task = await work.take_if_present("task", ANY)
                    if task is None:
                        return
                    await work.write("result", task[1])
                    if fails and attempt % 3 == 0:
                        raise RuntimeError("a worker's own mistake")
            except RuntimeError:
                continue

    async with asyncio.TaskGroup() as group:
        group.create_task(worker(case.mine, fails=True))
        group.create_task(worker(case.theirs, fails=True))
    await worker(case.mine, fails=False)
    results = [fields[1] for fields in await case.theirs.read_all("result", ANY)]
    assert sorted(results) == list(range(40))


# ---------------------------------------------------------------- the end


async def test_a_closed_space_ends_what_waits(case: Case) -> None:
    tasks = [
        await case.start(case.theirs.take("a")),
        await case.start(case.theirs.read("a")),
    ]
    async with case.theirs.notify("a") as events:
        await case.inner.__aexit__(None, None, None)
        for task in tasks:
            with pytest.raises(SpaceClosed, match="closed"):
                await task
        with pytest.raises(SpaceClosed):
            await events.next(10.0)
    for operation in (case.mine.take, case.mine.write, case.mine.read_all):
        with pytest.raises(SpaceClosed):
            await operation("a")
