import pytest
from hypothesis import given
from hypothesis import strategies as st

from remotecalls.wire.address import Address
from remotecalls.wire.recording import (
    Chunk,
    Direction,
    Event,
    EventKind,
    Recording,
    RecordingTruncated,
    Transport,
    View,
)

OUT, BACK = Direction.CLIENT_TO_SERVER, Direction.SERVER_TO_CLIENT

chunks = st.builds(
    Chunk,
    connection=st.integers(0, 3),
    direction=st.sampled_from(Direction),
    time_us=st.integers(0, 10**9),
    data=st.binary(max_size=40),
)
events = st.builds(
    Event,
    connection=st.integers(0, 3),
    kind=st.sampled_from(EventKind),
    time_us=st.integers(0, 10**9),
    direction=st.none() | st.sampled_from(Direction),
    detail=st.text(max_size=20),
)


def view_of(entries: list[Chunk | Event], limit: int = 10_000) -> View:
    view = View(limit)
    for entry in entries:
        if isinstance(entry, Chunk):
            view.add_chunk(entry)
        else:
            view.add_event(entry)
    return view


def test_directions_are_opposite() -> None:
    assert OUT.opposite is BACK
    assert BACK.opposite is OUT


def test_times_are_microseconds_since_the_beginning() -> None:
    clock = iter([5_000_000, 5_001_999, 1_005_000_000])
    recording = Recording(clock_ns=lambda: next(clock))
    assert recording.now_us() == 1
    assert recording.now_us() == 1_000_000


def test_a_stream_is_its_own_chunks_joined() -> None:
    view = view_of(
        [
            Chunk(0, OUT, 1, b"GE"),
            Chunk(1, OUT, 2, b"other"),
            Chunk(0, BACK, 3, b"reply"),
            Chunk(0, OUT, 4, b"T"),
        ]
    )
    assert view.stream(0, OUT) == b"GET"
    assert view.stream(0, BACK) == b"reply"
    assert view.stream(7, BACK) == b""
    assert view.connections == (0, 1)


def test_bytes_are_counted_by_direction_and_connection() -> None:
    view = view_of([Chunk(0, OUT, 1, b"12"), Chunk(0, BACK, 2, b"345"), Chunk(1, OUT, 3, b"6789")])
    assert view.bytes_sent() == 9
    assert view.bytes_sent(OUT) == 6
    assert view.bytes_sent(connection=0) == 5
    assert view.bytes_sent(OUT, connection=1) == 4


@pytest.mark.parametrize(
    ("turns", "expected"),
    [
        ([], 0),
        ([OUT], 0),
        ([BACK], 0),
        ([OUT, BACK], 1),
        ([OUT, OUT, BACK, BACK], 1),
        ([BACK, OUT, BACK, OUT], 1),
        ([OUT, BACK] * 5, 5),
    ],
)
def test_a_round_trip_is_a_turn_from_client_to_server(
    turns: list[Direction], expected: int
) -> None:
    view = view_of([Chunk(0, way, time, b"x") for time, way in enumerate(turns)])
    assert view.round_trips() == expected


def test_round_trips_of_concurrent_connections_are_not_mixed_up() -> None:
    view = view_of([Chunk(0, OUT, 1, b"a"), Chunk(1, OUT, 2, b"b"), Chunk(0, BACK, 3, b"A")])
    assert (view.round_trips(), view.round_trips(0), view.round_trips(1)) == (1, 1, 0)


def test_over_its_limit_a_view_counts_and_keeps_only_beginnings() -> None:
    view = view_of(
        [Chunk(0, OUT, 1, b"12345"), Chunk(0, OUT, 2, b"6789"), Chunk(0, BACK, 3, b"x")], limit=8
    )
    assert view.truncated
    assert view.bytes_sent(OUT) == 9
    assert view.chunks == (Chunk(0, OUT, 1, b"12345"),)
    with pytest.raises(RecordingTruncated, match="5 of 9 bytes were kept"):
        view.stream(0, OUT)
    with pytest.raises(RecordingTruncated, match="0 of 1 bytes were kept"):
        view.stream(0, BACK)


def test_a_negative_limit_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot keep -1 bytes"):
        View(-1)


@given(st.lists(chunks | events), st.integers(0, 300), st.sampled_from(Transport))
def test_json_gives_back_the_same_recording(
    entries: list[Chunk | Event], limit: int, transport: Transport
) -> None:
    recording = Recording(Address("127.0.0.1", 4711), transport)
    recording.sent = view_of(entries, limit)
    recording.delivered = view_of(entries[::2])
    copy = Recording.from_json(recording.to_json())
    assert copy.server == recording.server
    assert copy.transport is transport
    for before, after in ((recording.sent, copy.sent), (recording.delivered, copy.delivered)):
        assert after.entries == before.entries
        assert after.truncated == before.truncated
        for connection in range(4):
            for way in Direction:
                count = before.bytes_sent(way, connection=connection)
                assert after.bytes_sent(way, connection=connection) == count


def test_the_sent_view_is_the_default() -> None:
    recording = Recording.of([(OUT, b"ask"), (BACK, b"answer")])
    recording.delivered.add_chunk(Chunk(0, OUT, 9, b"!"))
    assert recording.chunks == recording.sent.chunks
    assert recording.events == recording.sent.events
    assert recording.stream(0, OUT) == b"ask"
    assert recording.delivered.stream(0, OUT) == b"ask!"
    assert recording.bytes_sent == 9
    assert recording.round_trips == 1
    assert recording.connections == (0,)
