import dataclasses
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given

from parameter_strategies import parameters_of, seeds
from remotecalls.simulators.framing import (
    DELIMITER,
    FRAMINGS,
    LENGTH_PREFIX,
    NONE,
    PRESETS,
    SIMULATOR,
    FramingParameters,
    FramingResult,
    ParameterError,
    compare,
    cutter,
    encode,
    run,
)

everything = parameters_of(FramingParameters)


def settings(**changes: Any) -> FramingParameters:
    return FramingParameters(**changes)


# ---------------------------------------------------------------- what always holds


@given(everything, seeds)
def test_the_stream_is_conserved(parameters: FramingParameters, seed: int) -> None:
    result = run(parameters, seed)
    written = b"".join(encode(parameters.framing, message.payload) for message in result.messages)
    assert b"".join(read.data for read in result.reads) == written
    assert result.payload_bytes + result.framing_bytes == len(written)
    for parts in (result.writes, result.segments, result.messages):
        assert parts[0].first == 0
        assert parts[-1].last == len(written)
        assert all(before.last == after.first for before, after in pairwise(parts))
    fragments = [fragment for read in result.reads for fragment in read.fragments]
    assert fragments[0].first == 0
    assert fragments[-1].last == len(written)
    assert all(before.last == after.first for before, after in pairwise(fragments))


@given(everything, seeds)
def test_reads_return_what_was_asked_and_times_go_forward(
    parameters: FramingParameters, seed: int
) -> None:
    result = run(parameters, seed)
    for read in result.reads:
        assert 1 <= len(read.data) <= parameters.recv_bytes
        assert read.called_us <= read.returned_us
    for read, following in pairwise(result.reads):
        assert following.called_us == read.returned_us + parameters.processing_us
    for write, following_write in pairwise(result.writes):
        assert write.called_us <= write.returned_us <= following_write.called_us
    for segment, following_segment in pairwise(result.segments):
        assert segment.arrived_us < following_segment.arrived_us
    for message in result.messages:
        assert message.written_us < message.arrived_us <= message.read_us <= result.end_us
        assert parameters.smallest_bytes <= len(message.payload) <= parameters.largest_bytes


@given(everything.filter(lambda each: each.framing != NONE), seeds)
def test_framing_always_brings_every_message_back(parameters: FramingParameters, seed: int) -> None:
    result = run(parameters, seed)
    assert [delivery.data for delivery in result.deliveries] == [
        message.payload for message in result.messages
    ]
    assert [delivery.message for delivery in result.deliveries] == list(range(len(result.messages)))
    assert result.intact == len(result.messages)
    # A message is delivered by the read that holds its last byte, not a moment later.
    assert [message.delivered_us for message in result.messages] == [
        message.read_us for message in result.messages
    ]
    assert result.framing_bytes == len(result.messages) * (
        1 if parameters.framing == DELIMITER else 4
    )


@given(parameters_of(FramingParameters, framing=NONE), seeds)
def test_without_framing_a_message_survives_if_and_only_if_a_read_is_that_message(
    parameters: FramingParameters, seed: int
) -> None:
    result = run(parameters, seed)
    assert result.framing_bytes == 0
    assert [delivery.data for delivery in result.deliveries] == [read.data for read in result.reads]
    assert result.intact == result.exact_reads
    for read, delivery in zip(result.reads, result.deliveries, strict=True):
        assert (delivery.message is not None) == read.exact
        if delivery.message is not None:
            assert delivery.data == result.messages[delivery.message].payload


@given(everything, seeds)
def test_reads_are_counted_by_kind(parameters: FramingParameters, seed: int) -> None:
    result = run(parameters, seed)
    for read in result.reads:
        assert read.exact == (not read.merged and not read.split)
        assert {
            (True, False, False): "one message",
            (False, True, False): "merged",
            (False, False, True): "split",
            (False, True, True): "merged and split",
        }[read.exact, read.merged, read.split] == read.verdict
    assert result.exact_reads == sum(read.verdict == "one message" for read in result.reads)
    whole = sum(not (read.merged or read.split) for read in result.reads)
    assert whole == result.exact_reads
    assert result.header_bytes == 40 * (len(result.segments) + len(result.acknowledgments))


@given(everything, seeds)
def test_framings_are_compared_on_the_same_messages(
    parameters: FramingParameters, seed: int
) -> None:
    results = compare(parameters, seed)
    assert list(results) == list(FRAMINGS)
    assert len({tuple(m.payload for m in each.messages) for each in results.values()}) == 1
    assert results[parameters.framing] == run(parameters, seed)


def test_a_change_of_the_gaps_leaves_the_messages_as_they_are() -> None:
    steady, drawn = run(settings(), 7), run(settings(gaps="random"), 7)
    assert [m.payload for m in steady.messages] == [m.payload for m in drawn.messages]
    assert [m.payload for m in run(settings(), 8).messages] != [m.payload for m in steady.messages]


def test_random_gaps_have_the_mean_that_was_asked_for() -> None:
    gaps = [
        later.called_us - earlier.returned_us
        for seed in range(200)
        for earlier, later in pairwise(run(settings(gaps="random", gap_us=10_000), seed).writes)
    ]
    assert len(set(gaps)) > 1_000
    # The standard error over 1,400 gaps is 270 µs.
    assert sum(gaps) / len(gaps) == pytest.approx(10_000, abs=1_100)


# ---------------------------------------------------------------- the phenomenon


def test_with_big_gaps_and_roomy_buffers_one_recv_is_one_message_by_luck() -> None:
    for seed in range(30):
        result = run(settings(), seed)
        assert result.exact_reads == result.intact == len(result.messages) == len(result.reads)


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"gap_us": 0, "processing_us": 10_000}, "merged"),
        ({"recv_bytes": 64, "smallest_bytes": 65}, "split"),
        ({"maximum_segment_bytes": 200, "smallest_bytes": 500, "largest_bytes": 500,
          "processing_us": 0}, "split"),
        ({"split_writes": True, "processing_us": 0, "bandwidth_kbps": 100}, "split"),
    ],
    ids=["faster writer", "smaller buffer", "smaller segments", "two writes"],
)  # fmt: skip
def test_luck_ends_when_one_setting_changes(change: dict[str, Any], kind: str) -> None:
    for seed in range(30):
        result = run(settings(**change), seed)
        assert result.intact < len(result.messages)
        assert any(kind in read.verdict for read in result.reads)
        for framing in (DELIMITER, LENGTH_PREFIX):
            assert run(settings(framing=framing, **change), seed).intact == len(result.messages)


def latencies_us(result: FramingResult) -> list[int]:
    return [message.latency_us for message in result.messages if message.latency_us is not None]


def test_nagle_with_delayed_acknowledgment_costs_forty_milliseconds_and_either_off_none() -> None:
    both = SIMULATOR.preset("nagle-delayed-ack").parameters
    round_trip_us = 2 * both.one_way_delay_us
    for seed in range(20):
        slow = latencies_us(run(both, seed))
        without_nagle = latencies_us(run(dataclasses.replace(both, nagle=False), seed))
        without_delay = latencies_us(
            run(dataclasses.replace(both, delayed_acknowledgment=False), seed)
        )
        one_write = latencies_us(run(dataclasses.replace(both, split_writes=False), seed))
        assert len(slow) == len(without_nagle) == both.messages
        # The acknowledgment's delay and one round trip come on top, to within transmission time.
        for held, free in zip(slow, without_nagle, strict=True):
            assert held - free == pytest.approx(40_000 + round_trip_us, abs=1_500)
        assert max(without_nagle) < 10_000
        assert max(one_write) < 10_000
        assert max(without_delay) < both.one_way_delay_us + round_trip_us + 2_000


def test_presets_show_what_they_say() -> None:
    results = {preset.name: run(preset.parameters, preset.seed) for preset in PRESETS}
    lucky = results["lucky"]
    assert lucky.exact_reads == len(lucky.messages)
    assert results["chatty-writer"].merged_reads > 0
    assert results["chatty-writer"].exact_reads > 0
    assert 0 < results["chatty-writer"].intact < 8
    assert results["small-buffer"].split_reads > 0
    assert results["small-buffer"].merged_reads == 0
    for name in ("chatty-writer-framed", "small-buffer-framed", "nagle-delayed-ack"):
        assert results[name].intact == len(results[name].messages)
    assert results["chatty-writer-framed"].merged_reads > 0
    assert results["small-buffer-framed"].split_reads > 0
    assert len(results["nagle-delayed-ack"].holds) == 4


# ---------------------------------------------------------------- cutters and settings


@pytest.mark.parametrize("framing", [DELIMITER, LENGTH_PREFIX])
def test_a_cutter_takes_the_stream_in_any_pieces(framing: str) -> None:
    payloads = [b"", b"a", b"b" * 300, b"", b"c" * 65_536]
    stream = b"".join(encode(framing, payload) for payload in payloads)
    for step in (1, 3, 4, 5, 301, len(stream)):
        cut = cutter(framing)
        found = []
        for start in range(0, len(stream), step):
            found += cut.feed(stream[start : start + step])
        assert found == payloads


def test_the_model_cuts_as_the_book_s_own_decoders_do() -> None:
    """The simulators import nothing of ours, so their small cutters are checked from here."""
    from remotecalls.wire.framing import FrameDecoder, LineDecoder, encode_frame, encode_line

    for payload in (b"", b"abc", b"x" * 1_000):
        assert encode(LENGTH_PREFIX, payload) == encode_frame(payload)
        assert encode(DELIMITER, payload) == encode_line(payload)
    stream = encode_frame(b"one") + encode_frame(b"two")
    assert cutter(LENGTH_PREFIX).feed(stream) == list(FrameDecoder().feed(stream))
    stream = encode_line(b"one") + encode_line(b"two")
    assert cutter(DELIMITER).feed(stream) == list(LineDecoder().feed(stream))


def test_sizes_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(ParameterError, match="is 300 bytes, above the largest, 200 bytes"):
        settings(smallest_bytes=300, largest_bytes=200)
