"""Spaces with a capacity, and time by a clock of one's own."""

from __future__ import annotations

import asyncio

import pytest
from waiting_for import eventually

from remotecalls.tuplespaces import ANY, SpaceClosed, TransactionEnded, TupleSpace
from remotecalls.wire.errors import DeadlineExceeded


async def test_a_write_waits_for_room_in_the_order_of_arrival() -> None:
    async with TupleSpace(capacity=2) as space:
        await space.write("a", 0)
        await space.write("a", 1)
        writers = [asyncio.create_task(space.write("a", number)) for number in (2, 3)]
        await asyncio.sleep(0)
        assert space.statistics().writers == 2
        assert await space.read_all("a", ANY) == (("a", 0), ("a", 1))
        assert [(await space.take("a", ANY))[1] for _ in range(4)] == [0, 1, 2, 3]
        await asyncio.gather(*writers)
        assert space.statistics().tuples == 0


async def test_a_write_that_finds_no_room_says_so_and_writes_nothing() -> None:
    async with TupleSpace(capacity=1) as space:
        await space.write("a", 0)
        with pytest.raises(DeadlineExceeded, match=r"no room within 0.02 s: .* its 1 tuples"):
            await space.write("a", 1, timeout=0.02)
        await space.take("a", 0)
        assert await space.read_all("a", ANY) == ()
        assert (space.statistics().writers, space.statistics().alarms) == (0, 0)


async def test_a_canceled_writer_writes_nothing_and_holds_up_nobody() -> None:
    async with TupleSpace(capacity=1) as space:
        await space.write("a", 0)
        first, second = (asyncio.create_task(space.write("a", number)) for number in (1, 2))
        await asyncio.sleep(0)
        first.cancel()
        assert await space.take("a", ANY) == ("a", 0)
        await second
        assert await space.read_all("a", ANY) == (("a", 2),)
        assert first.cancelled()


async def test_room_comes_from_leases_that_end_too() -> None:
    now = 0.0
    async with TupleSpace(capacity=1, clock=lambda: now) as space:
        lease = await space.write("a", 0, lease=5.0)
        writer = asyncio.create_task(space.write("a", 1, lease=9.0))
        await asyncio.sleep(0)
        now = 5.0
        assert await space.read_all("a", ANY) == (("a", 1),)
        assert (await writer).remaining() == 9.0
        assert lease.remaining() == 0.0


async def test_a_worker_turns_a_task_into_a_result_in_a_full_space() -> None:
    async with TupleSpace(capacity=1) as space:
        await space.write("task", 1)
        producer = asyncio.create_task(space.write("task", 2))
        await asyncio.sleep(0)
        async with space.transaction() as work:
            await work.take("task", ANY)
            await work.write("result", 1, timeout=1.0)
            with pytest.raises(DeadlineExceeded):
                await work.write("result", 2, timeout=0.02)
        assert await space.read_all("result", ANY) == (("result", 1),)
        assert not producer.done()  # the task was taken, and its result has its room
        await space.take("result", ANY)
        await producer


async def test_a_transaction_counts_for_the_more_of_what_it_takes_and_writes() -> None:
    async with TupleSpace(capacity=3) as space:
        for number in range(2):
            await space.write("task", number)
        async with space.transaction() as work:
            for number in range(2):
                await work.take("task", number)
                await work.write("result", number)
            await space.write("other", 1, timeout=1.0)  # two of three places are in use
            with pytest.raises(DeadlineExceeded):
                await space.write("other", 2, timeout=0.02)
        assert space.statistics().tuples == 3


async def test_a_transaction_uses_room_of_its_own_past_those_who_came_before() -> None:
    async with TupleSpace(capacity=1) as space:
        await space.write("task", 1)
        async with space.transaction() as work:
            await work.take("task", ANY)
            lease = await work.write("result", 1)
            outside = asyncio.create_task(space.write("task", 2))
            within = asyncio.create_task(work.write("result", 2))
            await asyncio.sleep(0)
            assert space.statistics().writers == 2
            await lease.cancel()
            await within
            assert not outside.done()
        assert await space.take("result", ANY) == ("result", 2)
        await outside


async def test_an_abort_needs_no_room() -> None:
    async with TupleSpace(capacity=1) as space:
        await space.write("task", 1)
        async with space.transaction() as work:
            await work.take("task", ANY)
            producer = asyncio.create_task(space.write("task", 2))
            await asyncio.sleep(0)
            assert not producer.done()
            await work.abort()
            await asyncio.sleep(0)
        assert await space.read_all("task", ANY) == (("task", 1),)
        await space.take("task", 1)
        await producer


async def test_a_transaction_ends_the_writes_that_wait_under_it() -> None:
    async with TupleSpace(capacity=1) as space:
        await space.write("a", 0)
        async with space.transaction() as work:
            writer = asyncio.create_task(work.write("a", 1))
            await asyncio.sleep(0)
            await work.abort()
            with pytest.raises(TransactionEnded):
                await writer
        assert space.statistics().writers == 0


@pytest.mark.parametrize("options", [{"capacity": 0}, {"workers": 0}])
def test_a_space_for_nothing_is_refused(options: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        TupleSpace(**options)


# ---------------------------------------------------------------- the clock


async def test_expired_tuples_are_not_seen_while_the_timer_is_late() -> None:
    now = 0.0
    async with TupleSpace(clock=lambda: now) as space:
        lease = await space.write("a", 1, lease=3_600.0)
        reader = asyncio.create_task(space.read("b", timeout=7_200.0))
        await asyncio.sleep(0)
        now = 3_599.9
        assert lease.remaining() == pytest.approx(0.1)
        assert await space.read_if_present("a", ANY) == ("a", 1)
        now = 3_600.0
        assert await space.read_all("a", ANY) == ()
        assert not reader.done()
        now = 7_200.0
        assert space.statistics().waiting == 0
        with pytest.raises(DeadlineExceeded, match="7200 s"):
            await reader


async def test_an_abort_brings_back_the_rest_of_a_lease_and_no_more() -> None:
    now = 0.0
    async with TupleSpace(clock=lambda: now) as space:
        leases = [await space.write("a", number, lease=10.0 * number) for number in (1, 2)]
        async with space.transaction(timeout=100.0) as work:
            for number in (1, 2):
                await work.take("a", number)
            now = 15.0
            assert [lease.remaining() for lease in leases] == [0.0, 5.0]
            await leases[1].renew(7.0)
            await work.abort()
        assert await space.read_all("a", ANY) == (("a", 2),)
        assert leases[1].remaining() == 7.0


async def test_a_tuple_that_a_canceled_taker_gives_back_has_its_old_lease() -> None:
    now = 0.0
    async with TupleSpace(clock=lambda: now) as space:
        taker = asyncio.create_task(space.take("a"))
        await asyncio.sleep(0)
        lease = await space.write("a", lease=5.0)
        taker.cancel()  # it was served, and has not run since
        await asyncio.wait([taker])
        now = 4.0
        assert lease.remaining() == 1.0
        assert await space.read_if_present("a") == ("a",)
        now = 5.0
        assert await space.read_if_present("a") is None
        assert space.statistics().alarms == 0


async def test_a_tuple_that_expired_is_not_given_away_by_a_late_abort() -> None:
    """Transaction and lease are over, in this order, when somebody looks at the clock again."""
    now = 0.0
    async with TupleSpace(clock=lambda: now) as space:
        await space.write("a", 1, lease=6.0)
        block = space.transaction(timeout=5.0)
        work = await block.__aenter__()
        await work.take("a", ANY)
        taker = asyncio.create_task(space.take("a", ANY, timeout=20.0))
        await asyncio.sleep(0)
        now = 10.0
        assert await space.read_if_present("a", ANY) is None
        with pytest.raises(TransactionEnded, match="took too long"):
            await block.__aexit__(None, None, None)
        assert not taker.done()
        await space.write("a", 2)
        assert await taker == ("a", 2)


async def test_a_lease_canceled_while_a_transaction_holds_the_tuple() -> None:
    async with TupleSpace() as space:
        lease = await space.write("a", 1)
        async with space.transaction() as work:
            await work.take("a", ANY)
            await lease.cancel()
            await work.abort()
        assert await space.read_all("a", ANY) == ()


async def test_one_timer_serves_everything_by_the_real_clock() -> None:
    async with TupleSpace() as space:
        for number in range(200):
            await space.write("a", number, lease=0.001 * (200 - number))
        await eventually(lambda: not space.engine.free)  # nobody asks the space
        assert len(space.engine.agenda) == 0


# ---------------------------------------------------------------- open and closed


async def test_a_space_works_only_inside_of_its_block() -> None:
    space = TupleSpace()
    with pytest.raises(SpaceClosed, match="async with"):
        await space.write("a")
    async with space:
        lease = await space.write("a", lease=60.0)
    for operation in (space.write, space.take, space.read_all, space.eval):
        with pytest.raises(SpaceClosed, match="was closed"):
            await operation("a")
    with pytest.raises(SpaceClosed):
        await lease.cancel()
    with pytest.raises(SpaceClosed, match="one block"):
        await space.__aenter__()


async def test_closing_a_space_in_the_middle_of_a_transaction_undoes_it() -> None:
    space = TupleSpace()
    async with space:
        block = space.transaction()
        work = await block.__aenter__()
        await work.write("a")
    with pytest.raises(SpaceClosed):
        await block.__aexit__(None, None, None)
