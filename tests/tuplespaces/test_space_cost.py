"""What an operation costs: counted in tuples and waiters that were looked at, not in seconds."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc

import pytest

from remotecalls.tuplespaces import ANY, Statistics, TupleSpace, at_least, satisfies
from remotecalls.tuplespaces.store import MAXIMUM_INDEXES


def examined(before: Statistics, after: Statistics) -> int:
    return after.examined - before.examined


@pytest.mark.parametrize("count", [1_000, 30_000])
async def test_a_take_looks_at_one_tuple_however_many_there_are(count: int) -> None:
    """Either fixed field alone is frequent: of `count` tuples, 1/30 and half have it."""
    async with TupleSpace() as space:
        for number in range(count):
            lease = 1e6 if number % 3 == 0 else 1e9
            await space.write("job", number % 30, number % 2 == 1, lease=lease)
        await space.write("job", 7, False, lease=1e6)  # a rare combination: 7 is odd
        for _ in range(count // 40):
            await space.take("job", 8, ANY)
        before = space.statistics()
        assert await space.take("job", 7, False) == ("job", 7, False)
        assert await space.take_if_present("job", 7, False) is None
        assert await space.read_if_present(ANY, 7, False) is None
        assert examined(before, space.statistics()) == 1
        await space.write("job", "seven", True)
        assert await space.take(ANY, str, True) == ("job", "seven", True)  # rare with its type
        assert examined(before, space.statistics()) == 2


async def test_a_condition_is_asked_only_where_the_fixed_fields_match() -> None:
    async with TupleSpace() as space:
        for number in range(1_000):
            await space.write("job", number % 100, number)
        before = space.statistics()
        assert await space.take("job", 3, at_least(403)) == ("job", 3, 403)
        assert examined(before, space.statistics()) == 5  # 3, 103, 203, 303, 403
        before = space.statistics()
        assert await space.take(ANY, ANY, at_least(500)) == ("job", 0, 500)
        assert examined(before, space.statistics()) == 500  # it looks at one after another


async def test_ten_thousand_takers_of_other_tuples_do_not_slow_down_a_write() -> None:
    async with TupleSpace() as space:
        async with asyncio.TaskGroup() as group:
            takers = [
                group.create_task(space.take("answer", number, ANY)) for number in range(10_000)
            ]
            await asyncio.sleep(0)
            assert space.statistics().waiting == 10_000
            before = space.statistics()
            for number in range(100):
                await space.write("question", number, "x")
                await space.write("answer", -1 - number, "x")
            assert space.statistics().waiters_examined == before.waiters_examined
            await space.write("answer", 5_000, "x")
            assert await takers[5_000] == ("answer", 5_000, "x")
            assert space.statistics().waiters_examined == before.waiters_examined + 1
            for taker in takers:
                taker.cancel()
        assert (space.statistics().waiting, space.statistics().alarms) == (0, 0)
        assert not space.engine.claimants._indexes


async def test_a_write_looks_at_one_of_ten_thousand_takers_of_the_same() -> None:
    async with TupleSpace() as space:
        takers = [asyncio.create_task(space.take("a", ANY)) for _ in range(10_000)]
        await asyncio.sleep(0)
        before = space.statistics()
        for number in range(50):
            await space.write("a", number)
        assert space.statistics().waiters_examined == before.waiters_examined + 50
        assert space.statistics().waiting == 9_950
        for taker in takers:
            taker.cancel()
        await asyncio.wait(takers)


async def test_taking_from_the_front_of_many_does_not_look_at_what_was_taken() -> None:
    async with TupleSpace() as space:
        for number in range(5_000):
            await space.write("a", number)
        before = space.statistics()
        for number in range(5_000):
            assert await space.take("a", ANY) == ("a", number)
        assert examined(before, space.statistics()) == 5_000


async def test_what_was_taken_leaves_no_memory_behind() -> None:
    async def work(space: TupleSpace, first: int) -> None:
        for number in range(first, first + 500):
            await space.write("k", number, "text", lease=1e6)
            await space.write(number)
        for number in range(first, first + 500):
            await space.take(ANY, number, str)
            await space.take(number)

    async with TupleSpace() as space:
        await space.write("k", -1, "text")  # so that the index of the shape stays
        tracemalloc.start()
        await work(space, 0)  # a dict keeps the size that it once had
        assert space.statistics().indexes == {"-vt": 1}
        gc.collect()
        before, _ = tracemalloc.get_traced_memory()
        for round_ in range(1, 4):
            await work(space, round_ * 500)
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert after - before < 10_000  # 3,000 tuples came and went
        assert space.statistics().alarms == 0


async def test_no_more_indexes_are_kept_than_the_limit() -> None:
    async with TupleSpace() as space:
        await space.write(*range(6))
        for shape in range(1, 64):
            pattern = [n if shape >> n & 1 else ANY for n in range(6)]
            assert await space.read(*pattern) == tuple(range(6))
        indexes = space.statistics().indexes
        assert len(indexes) == MAXIMUM_INDEXES
        assert list(indexes)[-1] == "vvvvvv"  # the last that was used
        assert await space.take(0, *[ANY] * 5) == tuple(range(6))  # made anew
        assert space.statistics().indexes == {}


async def test_a_function_that_fails_hurts_its_reader_and_not_the_writer() -> None:
    async with TupleSpace() as space:
        failing = asyncio.create_task(space.take("a", satisfies(lambda value: 1 / value > 0)))
        other = asyncio.create_task(space.take("a", ANY))
        await asyncio.sleep(0)
        async with space.notify("a", satisfies(lambda value: 1 / value > 0)) as events:
            await space.write("a", 0)
            with pytest.raises(ZeroDivisionError):
                await failing
            with pytest.raises(ZeroDivisionError):
                await events.next(1.0)
        assert await other == ("a", 0)
        await space.write("a", 0)
        with pytest.raises(ZeroDivisionError):
            await space.take("a", satisfies(lambda value: 1 / value > 0))
        assert await space.take("a", satisfies(lambda value: value == 0)) == ("a", 0)
