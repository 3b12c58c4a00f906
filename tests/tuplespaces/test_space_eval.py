"""Active tuples, computed by real processes."""

from __future__ import annotations

import logging
import multiprocessing
import os
import threading
from pathlib import Path

import pytest
from space_programs import (
    a_list,
    die,
    fail,
    leave,
    meet,
    partial_sum,
    process_number,
    sleep,
)
from waiting_for import eventually

from remotecalls.tuplespaces import (
    ANY,
    EvaluationFailed,
    InvalidField,
    SpaceClosed,
    TupleSpace,
    active,
)
from remotecalls.wire.errors import DeadlineExceeded


@pytest.fixture(autouse=True)
def nothing_is_left_behind() -> object:
    threads = set(threading.enumerate())
    yield
    assert multiprocessing.active_children() == []
    assert [thread for thread in threading.enumerate() if thread not in threads] == []


async def test_ten_active_entities_sum_up_whatever_the_order_of_their_ends() -> None:
    """JavaNOW's example: sums of i * 100 to i * 100 + 99, for i from 0 to 9."""
    async with TupleSpace() as space:
        for number in range(10):
            await space.eval("sum", number, active(partial_sum, number))
        results = [await space.take("sum", number, int, timeout=90.0) for number in range(10)]
        assert sum(result[2] for result in results) == 499_500
        assert [result[2] for result in results[:2]] == [4_950, 14_950]
        assert await space.read_all("sum", ANY, ANY) == ()


async def test_active_fields_are_computed_side_by_side_in_other_processes(tmp_path: Path) -> None:
    folder = str(tmp_path)
    async with TupleSpace(workers=2) as space:
        both = active(meet, folder, "one", "other"), active(meet, folder, "other", "one")
        handle = await space.eval(*both, active(process_number))
        fields = await handle.result(timeout=90.0)
        assert fields[:2] == ("one", "other")
        assert fields[2] != os.getpid()
        assert handle.done
        assert await space.take(str, str, int) == fields


async def test_no_more_processes_than_the_limit() -> None:
    async with TupleSpace(workers=1) as space:
        handles = [await space.eval("pid", active(process_number)) for _ in range(5)]
        assert len({(await handle.result(timeout=90.0))[1] for handle in handles}) == 1


@pytest.mark.parametrize(
    ("field", "says"),
    [
        (active(fail, "no such luck"), "ValueError: no such luck"),
        (active(die, 3), r"active\(die, 3\): its process died \(exit code 3\)"),
        (active(leave, 4), r"its process died \(exit code 4\)"),
        (active(a_list), "the result is of type list"),
        (active(threading.Lock), "the result is of type lock"),
        (active(partial_sum), "missing 1 required positional argument"),
    ],
)
async def test_what_goes_wrong_is_told_by_the_handle_and_writes_no_tuple(
    field: object, says: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with TupleSpace(workers=1) as space:
        failing = await space.eval("bad", field, active(partial_sum, 1))
        good = await space.eval("good", active(partial_sum, 0))
        with pytest.raises(EvaluationFailed, match=says):
            await failing.result(timeout=90.0)
        assert await good.result(timeout=90.0) == ("good", 4_950)  # nobody else was hurt
        assert await space.read_all("bad", ANY, ANY) == ()
        assert await space.read_all("good", ANY) == (("good", 4_950),)
    warnings = [each for each in caplog.records if each.levelno == logging.WARNING]
    assert len(warnings) == 1  # nobody may ever ask the handle
    assert "was not written" in warnings[0].message


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ((), "at least one field"),
        (("a", active(lambda: 1)), r"fields\[1\]: .* cannot be pickled"),
        (("a", active(partial_sum, threading.Lock())), r"fields\[1\]: .* cannot be pickled"),
        (("a", [1], active(partial_sum, 1)), r"fields\[1\] is of type list"),
    ],
)
async def test_what_cannot_be_sent_to_a_worker_is_refused_at_once(
    fields: tuple[object, ...], says: str
) -> None:
    async with TupleSpace() as space:
        with pytest.raises(InvalidField, match=says):
            await space.eval(*fields)
        assert multiprocessing.active_children() == []


async def test_a_function_typed_into_a_session_is_refused_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import __main__

    def typed_in() -> int:
        return 1

    typed_in.__module__ = "__main__"
    monkeypatch.delattr(__main__, "__file__", raising=False)
    async with TupleSpace() as space:
        with pytest.raises(InvalidField, match="put the function into a module"):
            await space.eval("a", active(typed_in))


async def test_who_waits_for_a_computation_waits_with_a_deadline() -> None:
    async with TupleSpace(workers=1) as space:
        handle = await space.eval("slow", active(sleep, 600.0))
        with pytest.raises(DeadlineExceeded, match=r"within 0.02 s"):
            await handle.result(timeout=0.02)
        assert not handle.done
    with pytest.raises(SpaceClosed, match="closed before all fields"):
        await handle.result()


async def test_closing_a_space_kills_what_computes() -> None:
    space = TupleSpace(workers=2)
    async with space:
        handles = [await space.eval("slow", active(sleep, 600.0)) for _ in range(4)]
        await eventually(lambda: len(multiprocessing.active_children()) == 2, seconds=60.0)
    assert all(handle.done for handle in handles)


async def test_an_active_tuple_has_a_lease_and_waits_for_room() -> None:
    async with TupleSpace(workers=1, capacity=1) as space:
        await space.write("full")
        handle = await space.eval("sum", active(partial_sum, 0), lease=1_000.0)
        assert await space.take("full") == ("full",)
        assert await handle.result(timeout=90.0) == ("sum", 4_950)
        assert space.statistics().alarms == 1
        assert await space.take("sum", 4_950) == ("sum", 4_950)


async def test_a_tuple_without_active_fields_is_written_as_well() -> None:
    async with TupleSpace() as space:
        handle = await space.eval("plain", 1)
        assert await handle.result() == ("plain", 1)
        assert await space.take("plain", 1) == ("plain", 1)
