import asyncio
import threading
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remotecalls.wire.errors import DeadlineExceeded
from remotecalls.wire.faults import (
    Chop,
    Coalesce,
    Corrupt,
    CorruptDatagram,
    Cut,
    DatagramFault,
    Delay,
    DelayDatagram,
    Drop,
    DropDatagram,
    Duplicate,
    Hold,
    Reorder,
    StreamFault,
)
from remotecalls.wire.gate import Gate, Signal
from remotecalls.wire.recording import Direction
from remotecalls.wire.stages import (
    Action,
    DatagramPipeline,
    End,
    Forward,
    Pause,
    Pipeline,
    Sever,
    Wait,
)

pieces = st.lists(st.binary(min_size=1, max_size=20), max_size=12)


def run(faults: list[StreamFault], data: list[bytes], *, end: bool = True) -> list[Action]:
    """What a tap would be asked to do; it stops at the first `Sever`."""
    pipeline = Pipeline(fault.stage() for fault in faults)
    actions: list[Action] = []
    for piece in data:
        for action in pipeline.feed(piece):
            actions.append(action)
            if isinstance(action, Sever):
                return actions
    if end:
        actions += pipeline.end()
    return actions


def passed(actions: list[Action]) -> bytes:
    return b"".join(action.data for action in actions if isinstance(action, Forward))


def test_without_faults_everything_passes() -> None:
    assert run([], [b"a", b"b"]) == [Forward(b"a"), Forward(b"b"), End()]


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Delay(2.0, 3), [Forward(b"abc"), Pause(2.0), Forward(b"de"), Forward(b"fg"), End()]),
        (Delay(2.0, 5), [Forward(b"abcde"), Pause(2.0), Forward(b"fg"), End()]),
        (Delay(2.0), [Pause(2.0), Forward(b"abcde"), Forward(b"fg"), End()]),
        (Delay(2.0, 9), [Forward(b"abcde"), Forward(b"fg"), End()]),
        (
            Delay(2.0, None),
            [Pause(2.0), Forward(b"abcde"), Pause(2.0), Forward(b"fg"), End()],
        ),
        (
            Chop(2, pause=1.0),
            [
                Forward(b"ab"),
                Pause(1.0),
                Forward(b"cd"),
                Pause(1.0),
                Forward(b"e"),
                Pause(1.0),
                Forward(b"fg"),
                End(),
            ],
        ),
        (Coalesce(6), [Forward(b"abcdefg"), End()]),
        (Coalesce(100), [Forward(b"abcdefg"), End()]),
        (Coalesce(5), [Forward(b"abcde"), Forward(b"fg"), End()]),
        (Drop(), []),
        (Drop(6), [Forward(b"abcde"), Forward(b"f")]),
        (Drop(7), [Forward(b"abcde"), Forward(b"fg")]),
        (Drop(8), [Forward(b"abcde"), Forward(b"fg"), End()]),
        (Cut(0), [Sever(reset=True)]),
        (Cut(5, reset=False), [Forward(b"abcde"), Sever(reset=False)]),
        (Cut(6), [Forward(b"abcde"), Forward(b"f"), Sever(reset=True)]),
        (Cut(8), [Forward(b"abcde"), Forward(b"fg"), End()]),
        (Corrupt(5, 0x01), [Forward(b"abcde"), Forward(b"gg"), End()]),
        (Corrupt(9), [Forward(b"abcde"), Forward(b"fg"), End()]),
    ],
)
def test_what_each_fault_does_to_two_reads(fault: StreamFault, expected: list[Action]) -> None:
    assert run([fault], [b"abcde", b"fg"]) == expected


def test_hold_waits_at_its_offset() -> None:
    gate = Gate()
    assert run([Hold(gate, 2)], [b"abc"]) == [Forward(b"ab"), Wait(gate), Forward(b"c"), End()]


def test_coalesce_gives_up_waiting_in_a_silence() -> None:
    pipeline = Pipeline([Coalesce(100, quiet_seconds=0.5).stage(), Chop(2, pause=0).stage()])
    assert pipeline.quiet_seconds is None
    assert list(pipeline.feed(b"abc")) == []
    assert pipeline.quiet_seconds == 0.5
    assert list(pipeline.quiet()) == [Forward(b"ab"), Pause(0), Forward(b"c")]
    assert pipeline.quiet_seconds is None
    assert list(pipeline.quiet()) == []


def test_only_a_black_hole_that_is_reached_swallows() -> None:
    pipeline = Pipeline([Chop(10).stage(), Drop(3).stage()])
    list(pipeline.feed(b"ab"))
    assert not pipeline.swallows
    list(pipeline.feed(b"cd"))
    assert pipeline.swallows


@given(pieces, st.integers(1, 7))
def test_chopped_pieces_join_to_what_was_sent(data: list[bytes], size: int) -> None:
    actions = run([Chop(size)], data)
    assert passed(actions) == b"".join(data)
    assert all(len(action.data) <= size for action in actions if isinstance(action, Forward))
    writes = [action for action in actions if not isinstance(action, End)]
    assert all(isinstance(action, Pause) for action in writes[1::2])


@given(pieces, st.integers(1, 50))
def test_coalesced_writes_join_to_what_was_sent(data: list[bytes], count: int) -> None:
    actions = run([Coalesce(count)], data)
    assert passed(actions) == b"".join(data)
    writes = [action.data for action in actions if isinstance(action, Forward)]
    assert all(len(write) >= count for write in writes[:-1])


@given(pieces, st.integers(0, 60), st.integers(1, 255))
def test_exactly_one_byte_is_corrupted(data: list[bytes], offset: int, xor: int) -> None:
    sent = b"".join(data)
    received = passed(run([Corrupt(offset, xor)], data))
    changed = [(a, b) for a, b in zip(sent, received, strict=True) if a != b]
    assert changed == ([(sent[offset], sent[offset] ^ xor)] if offset < len(sent) else [])


@given(pieces, st.integers(0, 60), st.sampled_from([Drop, Cut]))
def test_no_byte_after_the_offset_passes(
    data: list[bytes], offset: int, fault: Callable[[int], StreamFault]
) -> None:
    assert passed(run([fault(offset)], data)) == b"".join(data)[:offset]


streams = st.one_of(
    st.builds(Delay, st.just(0.0), st.integers(0, 40)),
    st.builds(Chop, st.integers(1, 9)),
    st.builds(Coalesce, st.integers(1, 40)),
    st.builds(Hold, after_bytes=st.integers(0, 40)),
)


@given(st.lists(streams, max_size=4), pieces)
def test_faults_that_only_regroup_lose_nothing_together(
    faults: list[StreamFault], data: list[bytes]
) -> None:
    actions = run(faults, data)
    assert passed(actions) == b"".join(data)
    assert actions[-1] == End()
    assert actions.count(End()) == 1


@given(st.lists(streams, max_size=3), pieces, st.integers(0, 40), st.integers(0, 40))
def test_offsets_hold_whatever_faults_stand_before(
    faults: list[StreamFault], data: list[bytes], corrupt: int, cut: int
) -> None:
    alone = passed(run([Corrupt(corrupt), Cut(cut)], data))
    assert passed(run([*faults, Corrupt(corrupt), Cut(cut)], data)) == alone


def test_faults_strike_where_they_are_meant_to() -> None:
    out, back = Direction
    assert Chop(1).strikes(0, out)
    assert Chop(1).strikes(5, back)
    assert not Chop(1, direction=out).strikes(5, back)
    assert not Chop(1, connection=4).strikes(5, back)
    assert Chop(1, direction=back, connection=5).strikes(5, back)


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda: Delay(-1.0), "Delay.seconds is -1.0"),
        (lambda: Delay(float("nan")), "finite time"),
        (lambda: Delay(1.0, -1), "Delay.after_bytes is -1"),
        (lambda: Hold(after_bytes=-1), "Hold.after_bytes"),
        (lambda: Chop(0), "at least one byte"),
        (lambda: Chop(1, pause=float("inf")), "finite time"),
        (lambda: Coalesce(0), "Coalesce.count_bytes is 0"),
        (lambda: Coalesce(2**40), "1 to 16,777,216"),
        (lambda: Coalesce(1, quiet_seconds=-0.1), "Coalesce.quiet_seconds"),
        (lambda: Drop(-1), "Drop.after_bytes"),
        (lambda: Cut(-1), "Cut.after_bytes"),
        (lambda: Corrupt(-1), "Corrupt.offset"),
        (lambda: Corrupt(0, 0), "0 would change nothing"),
        (lambda: Corrupt(0, 256), "1 to 255"),
        (lambda: Chop(1, connection=-1), "counted from 0"),
        (lambda: DropDatagram(-1), "DropDatagram.index"),
        (lambda: DelayDatagram(0, -1.0), "DelayDatagram.seconds"),
        (lambda: CorruptDatagram(0, -1), "CorruptDatagram.offset"),
        (lambda: CorruptDatagram(0, 0, 0), "CorruptDatagram.xor"),
        (lambda: Duplicate(0, 0), "Duplicate.copies is 0"),
        (lambda: Reorder(0, 0), "at least one datagram"),
    ],
)
def test_arguments_are_checked(make: Callable[[], object], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        make()


def test_a_direction_is_a_direction() -> None:
    with pytest.raises(TypeError, match="not a Direction"):
        Chop(1, direction="client to server")  # type: ignore[arg-type]


# ---------------------------------------------------------------- datagrams


def arrive(faults: list[DatagramFault], sent: list[bytes]) -> list[tuple[bytes, float]]:
    pipeline = DatagramPipeline(fault.stage() for fault in faults)
    return [(each.data, each.delay) for data in sent for each in pipeline.feed(data)]


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (DropDatagram(1), [b"a", b"c", b"d"]),
        (DropDatagram(9), [b"a", b"b", b"c", b"d"]),
        (Duplicate(0), [b"a", b"a", b"b", b"c", b"d"]),
        (Duplicate(2, copies=2), [b"a", b"b", b"c", b"c", b"c", b"d"]),
        (Reorder(0), [b"b", b"a", b"c", b"d"]),
        (Reorder(1, past=2), [b"a", b"c", b"d", b"b"]),
        (Reorder(2, past=2), [b"a", b"b", b"d"]),
        (CorruptDatagram(3, 0, 0x20), [b"a", b"b", b"c", b"D"]),
        (CorruptDatagram(3, 1), [b"a", b"b", b"c", b"d"]),
    ],
)
def test_what_each_fault_does_to_four_datagrams(
    fault: DatagramFault, expected: list[bytes]
) -> None:
    assert arrive([fault], [b"a", b"b", b"c", b"d"]) == [(data, 0.0) for data in expected]


def test_delays_of_a_datagram_add_up_and_its_copies_have_them_too() -> None:
    faults = [DelayDatagram(1, 0.5), DelayDatagram(1, 0.25), Duplicate(1)]
    assert arrive(faults, [b"a", b"b"]) == [(b"a", 0.0), (b"b", 0.75), (b"b", 0.75)]


def test_indexes_count_what_was_sent_not_what_is_left() -> None:
    assert arrive([DropDatagram(0), DropDatagram(1)], [b"a", b"b", b"c"]) == [(b"c", 0.0)]


# ---------------------------------------------------------------- gates


async def test_a_gate_tells_of_who_stands_before_it_and_lets_them_through() -> None:
    gate = Gate()
    through = asyncio.create_task(gate.pass_through())
    await gate.reached.wait()
    assert not through.done()
    assert not gate.is_open
    gate.open()
    await asyncio.wait_for(through, 1)
    await gate.pass_through()


async def test_a_gate_can_be_opened_by_another_thread() -> None:
    gate = Gate()

    def open_when_reached() -> None:
        gate.reached.wait_blocking(5)
        gate.open()

    thread = threading.Thread(target=open_when_reached)
    thread.start()
    async with asyncio.timeout(5):
        await gate.pass_through()
    thread.join(5)
    assert not thread.is_alive()


def test_waiting_in_a_thread_has_a_deadline() -> None:
    with pytest.raises(DeadlineExceeded, match="nothing happened"):
        Signal().wait_blocking(0.01)


async def test_a_cancelled_wait_leaves_nothing_behind() -> None:
    signal = Signal()
    waiting = asyncio.create_task(signal.wait())
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    signal.set()
    assert signal.is_set()
    await signal.wait()
