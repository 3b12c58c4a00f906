"""One page in three ways: laws that hold for every setting, and what the presets promise."""

from __future__ import annotations

import dataclasses
import json
from itertools import pairwise

import pytest
from hypothesis import given, settings

from parameter_strategies import parameters_of, seeds
from remotecalls.simulators.multiplexing import (
    FRAME_HEADER_BYTES,
    HTTP1_HEAD_BYTES,
    HTTP2_HEAD_BYTES,
    PRESETS,
    SIMULATOR,
    run,
)
from remotecalls.simulators.multiplexing_parameters import (
    HANDSHAKES,
    NO_TLS,
    SHUFFLED,
    SMALL_FIRST,
    TLS_1_2,
    TLS_1_3,
    MultiplexingParameters,
)
from remotecalls.simulators.multiplexing_result import (
    HELD_UP,
    HTTP2,
    KINDS,
    MODELS,
    POOL,
    QUEUED,
    RECEIVING,
    REPAIRING,
    SETTING_UP,
    SINGLE,
    WINDOW_CLOSED,
    ModelRun,
    MultiplexingResult,
)
from remotecalls.simulators.parameters import ParameterError

PRESET = {preset.name: preset for preset in PRESETS}
FIRST_WINDOW = 65_535


def of_preset(name: str, **changes: object) -> MultiplexingResult:
    preset = PRESET[name]
    return run(dataclasses.replace(preset.parameters, **changes), preset.seed)  # type: ignore[arg-type]


def finished(result: MultiplexingResult, model: str, indices: tuple[int, ...]) -> list[int]:
    return [result.of(model).answers[index].finished_us for index in indices]


def held_up(model_run: ModelRun) -> list[int]:
    return [answer.index for answer in model_run.answers if answer.time_us(HELD_UP)]


# ---------------------------------------------------------------- laws


@settings(max_examples=60)
@given(parameters_of(MultiplexingParameters), seeds)
def test_every_byte_of_every_answer_crosses_the_link_once_and_again_if_it_was_lost(
    parameters: MultiplexingParameters, seed: int
) -> None:
    result = run(parameters, seed)
    assert [each.model for each in result.runs] == list(MODELS)
    bodies = sum(request.size for request in result.requests)
    for each in result.runs:
        first = sum(turn.sent_bytes for turn in each.turns if not turn.again)
        lost = sum(turn.sent_bytes for turn in each.turns if turn.lost)
        assert first == bodies + each.overhead_bytes
        assert each.sent_again_bytes >= lost
        assert (each.lost_segments == 0) == (lost == 0)
        for request in result.requests:
            own = [turn for turn in each.turns if turn.answer == request.index]
            assert sum(turn.sent_bytes for turn in own if not turn.again) > request.size
            assert {turn.connection for turn in own} == {each.answers[request.index].connection}


@settings(max_examples=60)
@given(parameters_of(MultiplexingParameters), seeds)
def test_the_link_carries_one_thing_at_a_time_at_its_bandwidth(
    parameters: MultiplexingParameters, seed: int
) -> None:
    for each in run(parameters, seed).runs:
        for one, other in pairwise(each.turns):
            assert one.from_us <= one.until_us <= other.from_us
            assert one.until_us < other.from_us or (
                (one.answer, one.connection, one.lost, one.again)
                != (other.answer, other.connection, other.lost, other.again)
            )
        busy_us = sum(turn.until_us - turn.from_us for turn in each.turns)
        carried_bits = 8 * sum(turn.sent_bytes for turn in each.turns)
        assert busy_us * parameters.bandwidth_kbps >= carried_bits * 1_000


@settings(max_examples=60)
@given(parameters_of(MultiplexingParameters), seeds)
def test_an_answer_s_spans_have_no_gap_and_its_last_byte_crossed_before_it_was_there(
    parameters: MultiplexingParameters, seed: int
) -> None:
    result = run(parameters, seed)
    for each in result.runs:
        assert [answer.index for answer in each.answers] == list(range(len(result.requests)))
        for answer in each.answers:
            assert answer.spans[0].from_us == 0
            for one, other in pairwise(answer.spans):
                assert one.until_us == other.from_us
                assert one.kind != other.kind
            assert all(span.kind in KINDS for span in answer.spans)
            assert sum(answer.time_us(kind) for kind in KINDS) == answer.finished_us
            arrived = [turn for turn in each.turns if turn.answer == answer.index and not turn.lost]
            assert arrived[0].from_us >= answer.asked_us + parameters.one_way_delay_us
            delay_us = parameters.one_way_delay_us
            assert answer.first_byte_us > arrived[0].from_us + delay_us
            last_us = max((turn.until_us for turn in arrived if not turn.again), default=0)
            assert answer.finished_us >= last_us + delay_us
            assert answer.finished_us > answer.asked_us + 2 * parameters.one_way_delay_us


@settings(max_examples=60)
@given(parameters_of(MultiplexingParameters), seeds)
def test_http_1_has_one_answer_at_a_time_on_a_connection(
    parameters: MultiplexingParameters, seed: int
) -> None:
    result = run(parameters, seed)
    for model in (SINGLE, POOL):
        model_run = result.of(model)
        for connection in range(model_run.connections):
            here = [each for each in model_run.answers if each.connection == connection]
            here.sort(key=lambda answer: answer.asked_us)
            assert here, "a connection that nobody needs is not opened"
            for one, other in pairwise(here):
                assert other.asked_us == one.finished_us
                assert one.index < other.index
        assert model_run.time_us(HELD_UP) == model_run.time_us(WINDOW_CLOSED) == 0
    assert result.of(SINGLE).connections == result.of(HTTP2).connections == 1
    assert result.of(POOL).connections == min(parameters.connections, len(result.requests))


@settings(max_examples=40)
@given(parameters_of(MultiplexingParameters, loss_per_mille=50), seeds)
def test_behind_a_loss_is_where_something_that_arrived_could_not_be_read(
    parameters: MultiplexingParameters, seed: int
) -> None:
    # On one connection of HTTP/1.1 all that is held belongs to the one answer that is on its way.
    alone = run(parameters, seed).of(SINGLE)
    changes = [(held.arrived_us, 1) for held in alone.held]
    changes += [(held.delivered_us, -1) for held in alone.held]
    total_us = depth = since_us = 0
    for at_us, change in sorted(changes):
        total_us += at_us - since_us if depth else 0
        depth, since_us = depth + change, at_us
    assert depth == 0
    assert alone.time_us(REPAIRING) == total_us


@settings(max_examples=40)
@given(parameters_of(MultiplexingParameters, loss_per_mille=0, lost_segment=0), seeds)
def test_nothing_waits_for_a_repair_where_nothing_is_lost(
    parameters: MultiplexingParameters, seed: int
) -> None:
    for each in run(parameters, seed).runs:
        assert each.held == ()
        assert each.lost_segments == 0
        assert each.time_us(HELD_UP) == each.time_us(REPAIRING) == 0
        first = max(sum(turn.sent_bytes for turn in each.turns if not turn.again), 1)
        # A queue on the link may grow faster than the timer follows; it is rare and never much.
        assert each.sent_again_bytes <= first


@settings(max_examples=40)
@given(parameters_of(MultiplexingParameters), seeds)
def test_a_result_is_json_and_repeats(parameters: MultiplexingParameters, seed: int) -> None:
    one, other = run(parameters, seed), run(parameters, seed)
    assert one == other
    assert json.loads(json.dumps(one.to_json())) == one.to_json()


@settings(max_examples=40)
@given(parameters_of(MultiplexingParameters, connections=1), seeds)
def test_a_pool_of_one_is_one_connection(parameters: MultiplexingParameters, seed: int) -> None:
    result = run(parameters, seed)
    assert dataclasses.replace(result.of(POOL), model=SINGLE) == result.of(SINGLE)


# ---------------------------------------------------------------- by hand


def test_one_small_answer_takes_its_round_trips_and_its_transmission() -> None:
    parameters = MultiplexingParameters(
        large_answers=1, large_bytes=10_000, small_answers=0, handshake=NO_TLS
    )
    result = run(parameters, 1)
    # SYN and its answer, request and answer; the link takes 10 bits a microsecond.
    syn_us = (20 + 40) * 8 // 10
    for model, head in (
        (SINGLE, HTTP1_HEAD_BYTES),
        (HTTP2, 2 * FRAME_HEADER_BYTES + HTTP2_HEAD_BYTES),
    ):
        segments = -(-(10_000 + head) // 1_460)
        bits = 8 * (10_000 + head + 40 * segments)
        expected_us = 4 * 20_000 + syn_us + bits / 10
        [answer] = result.of(model).answers
        assert expected_us <= answer.finished_us <= expected_us + segments
        assert answer.time_us(SETTING_UP) == 2 * 20_000 + syn_us
        assert result.of(model).overhead_bytes == head


@pytest.mark.parametrize(("handshake", "round_trips"), [(NO_TLS, 1), (TLS_1_3, 2), (TLS_1_2, 3)])
def test_a_set_up_takes_its_round_trips_and_a_pool_pays_its_bytes_for_each(
    handshake: str, round_trips: int
) -> None:
    result = run(MultiplexingParameters(handshake=handshake, bandwidth_kbps=100_000), 1)
    for each in result.runs:
        assert each.handshake.round_trips == round_trips
        least_us = round_trips * 40_000
        assert least_us < each.ready_us < least_us + 2_000
    assert result.of(POOL).handshake_bytes == 6 * result.of(SINGLE).handshake_bytes
    assert 0 < result.of(HTTP2).handshake_bytes - result.of(SINGLE).handshake_bytes < 100


def test_the_bytes_of_a_tls_handshake_are_about_those_of_this_machine_s_openssl() -> None:
    import ssl

    import trustme

    authority = trustme.CA()
    certificate = authority.issue_cert("localhost")
    for version, name in ((ssl.TLSVersion.TLSv1_3, TLS_1_3), (ssl.TLSVersion.TLSv1_2, TLS_1_2)):
        server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(server_context)
        client_context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        authority.configure_trust(client_context)
        client_context.maximum_version = version
        up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
        to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = client_context.wrap_bio(to_client, up, server_hostname="localhost")
        server = server_context.wrap_bio(to_server, down, server_side=True)
        counted, flights = 0, 0
        while True:
            shaken = 0
            for end, outgoing, peer in ((client, up, to_server), (server, down, to_client)):
                try:
                    end.do_handshake()
                    shaken += 1
                except ssl.SSLWantReadError:
                    pass
                data = outgoing.read()
                counted += len(data)
                peer.write(data)
                flights += bool(data) and end is server
            if shaken == 2:
                break
        handshake = HANDSHAKES[name]
        tls = handshake.total_bytes - HANDSHAKES[NO_TLS].total_bytes
        headers = 40 * (len(handshake.down_bytes) - 1) + 40 * 2
        assert abs(tls - headers - counted) < 0.25 * counted


def test_shuffling_changes_the_order_and_nothing_else() -> None:
    ordered = run(MultiplexingParameters(), 1).requests
    shuffled = run(MultiplexingParameters(order=SHUFFLED), 1).requests
    small_first = run(MultiplexingParameters(order=SMALL_FIRST), 1).requests
    names = [[each.name for each in requests] for requests in (ordered, shuffled, small_first)]
    assert sorted(names[0]) == sorted(names[1]) == sorted(names[2])
    assert names[0] != names[1]
    assert (names[0][0], names[2][0]) == ("L1", "s1")


# ---------------------------------------------------------------- what it shows


def test_a_small_answer_behind_a_large_one_waits_on_one_connection_and_not_on_http_2() -> None:
    result = of_preset("page")
    first_large = min(finished(result, SINGLE, result.large))
    assert min(finished(result, SINGLE, result.small)) > first_large
    assert max(finished(result, HTTP2, result.small)) < min(finished(result, HTTP2, result.large))
    for index in result.small:
        alone, shared = (result.of(m).answers[index].finished_us for m in (SINGLE, HTTP2))
        assert shared < alone
    assert result.of(SINGLE).time_us(QUEUED) > 10 * result.of(POOL).time_us(QUEUED)
    assert result.of(HTTP2).time_us(QUEUED) == 0


@pytest.mark.parametrize("name", [name for name in PRESET if name != "slow-reader"])
def test_six_connections_beat_one(name: str) -> None:
    result = of_preset(name)
    assert result.of(POOL).finished_us < result.of(SINGLE).finished_us
    assert max(finished(result, POOL, result.small)) < max(finished(result, SINGLE, result.small))


@pytest.mark.parametrize("number", [12, 15, 20, 25, 30, 40])
def test_one_loss_stalls_all_streams_of_a_connection_and_one_answer_of_a_pool(
    number: int,
) -> None:
    result = of_preset("one-loss", lost_segment=number)
    pool, http2 = result.of(POOL), result.of(HTTP2)
    assert pool.lost_segments == http2.lost_segments == 1
    [lost] = {turn.answer for turn in pool.turns if turn.lost}
    assert held_up(pool) == []
    assert [answer.index for answer in pool.answers if answer.time_us(REPAIRING)] in ([], [lost])
    assert len(held_up(http2)) >= 5
    for index in held_up(http2):
        assert result.requests[index].name != "L1" or http2.answers[index].time_us(REPAIRING) == 0


def test_a_stalled_stream_had_its_bytes_before_it_could_read_them() -> None:
    result = of_preset("one-loss")
    http2 = result.of(HTTP2)
    delay_us = result.parameters.one_way_delay_us
    [until_us] = {held.delivered_us for held in http2.held}
    waited = 0
    for index in result.small:
        last = [turn for turn in http2.turns if turn.answer == index][-1]
        assert last.until_us + delay_us < until_us == http2.answers[index].finished_us
        waited += 1
    assert waited == 10
    # Without the loss each of them was there when its last segment was.
    for index in result.small:
        assert of_preset("one-loss", lost_segment=0).of(HTTP2).answers[index].finished_us < until_us


def test_with_losses_the_pool_is_done_before_http_2_and_one_connection_last() -> None:
    # Nine times of ten: in the others the pool's luck is a loss that only the timer repairs.
    runs = [run(PRESET["loss"].parameters, seed) for seed in range(40)]
    sooner = sum(each.of(POOL).finished_us < each.of(HTTP2).finished_us for each in runs)
    assert sooner >= 30
    means = [sum(each.of(model).finished_us for each in runs) for model in (POOL, HTTP2, SINGLE)]
    assert 1.2 * means[0] < means[1] < means[2] / 1.2
    assert of_preset("loss").of(POOL).finished_us < of_preset("loss").of(HTTP2).finished_us


def test_many_small_answers_far_away_are_quicker_without_a_queue() -> None:
    result = of_preset("many-small")
    assert result.of(HTTP2).finished_us < result.of(POOL).finished_us
    assert result.of(POOL).time_us(QUEUED) > 0
    asked = {answer.asked_us for answer in result.of(HTTP2).answers}
    assert len(asked) == 1


def test_narrow_windows_are_the_limit_on_a_long_way() -> None:
    narrow = of_preset("first-windows").of(HTTP2)
    wide = of_preset(
        "first-windows", stream_window_bytes=262_143, connection_window_bytes=262_143
    ).of(HTTP2)
    assert narrow.finished_us > 1.5 * wide.finished_us
    assert narrow.time_us(WINDOW_CLOSED) > 0 == wide.time_us(WINDOW_CLOSED)
    # On a short way the same windows cost little.
    near = {
        window: of_preset(
            "first-windows",
            one_way_delay_us=2_000,
            stream_window_bytes=window,
            connection_window_bytes=window,
        ).of(HTTP2)
        for window in (FIRST_WINDOW, 262_143)
    }
    assert near[FIRST_WINDOW].finished_us < 1.05 * near[262_143].finished_us


def test_no_window_is_ever_overdrawn() -> None:
    # What the link had carried of an answer before its first WINDOW_UPDATE can be back.
    for window in (16_383, FIRST_WINDOW):
        result = run(MultiplexingParameters(stream_window_bytes=window, pause_us=2_000_000), 1)
        http2, [first, *_] = result.of(HTTP2), result.large
        early = [
            turn.sent_bytes
            for turn in http2.turns
            if turn.answer == first and turn.from_us < 2_000_000
        ]
        frames = -(-window // result.parameters.frame_bytes)
        head = HTTP2_HEAD_BYTES + FRAME_HEADER_BYTES * (frames + 1)
        assert sum(early) == window + head
    shared = run(
        MultiplexingParameters(connection_window_bytes=FIRST_WINDOW, pause_us=2_000_000), 1
    )
    early = [turn.sent_bytes for turn in shared.of(HTTP2).turns if turn.from_us < 2_000_000]
    bodies = sum(shared.requests[index].size for index in shared.small)
    assert sum(early) < 2 * FIRST_WINDOW + bodies


def test_a_reader_that_pauses_stalls_the_others_unless_the_streams_have_narrow_windows() -> None:
    wide, narrow = of_preset("slow-reader"), of_preset("slow-reader", stream_window_bytes=65_535)
    second = wide.large[1]
    pause_us = wide.parameters.pause_us
    assert wide.of(HTTP2).answers[second].finished_us > pause_us
    assert narrow.of(HTTP2).answers[second].finished_us < pause_us // 2
    for result in (wide, narrow):
        assert result.of(POOL).answers[second].finished_us < pause_us // 2
        assert result.of(SINGLE).answers[second].finished_us > pause_us
        for model in MODELS:
            assert result.of(model).answers[result.large[0]].finished_us >= pause_us


@pytest.mark.parametrize("frame_bytes", [1_024, 4_096, 16_384])
def test_an_answer_comes_in_as_many_frames_as_it_fills(frame_bytes: int) -> None:
    result = of_preset("page", frame_bytes=frame_bytes, large_bytes=98_310)
    assert sum(request.size for request in result.requests) < 262_143  # no window cuts a frame
    frames = [-(-request.size // frame_bytes) for request in result.requests]
    heads = len(frames) * (FRAME_HEADER_BYTES + HTTP2_HEAD_BYTES)
    assert result.of(HTTP2).overhead_bytes == heads + FRAME_HEADER_BYTES * sum(frames)


def test_smaller_frames_let_small_answers_through_sooner() -> None:
    large, small = (of_preset("page", frame_bytes=size) for size in (16_384, 4_096))
    assert small.of(HTTP2).median_us(small.small) < large.of(HTTP2).median_us(large.small)
    assert small.of(HTTP2).overhead_bytes > large.of(HTTP2).overhead_bytes
    assert small.of(POOL) == large.of(POOL)


def test_the_same_segments_are_lost_in_every_model() -> None:
    for seed in range(5):
        result = run(MultiplexingParameters(loss_per_mille=30), seed)
        segments = min(each.segments for each in result.runs)
        assert len({each.lost_segments for each in result.runs}) <= 3
        assert all(each.segments < segments + 25 for each in result.runs)


@pytest.mark.parametrize(
    "bad",
    [{"large_answers": 0}, {"connections": 7}, {"loss_per_mille": 51}, {"handshake": "ssl"},
     {"frame_bytes": 16_385}],
)  # fmt: skip
def test_impossible_settings_are_refused_with_a_remedy(bad: dict[str, object]) -> None:
    with pytest.raises(ParameterError, match="Choose"):
        MultiplexingParameters(**bad)  # type: ignore[arg-type]


def test_presets_have_their_names_and_the_first_is_the_default() -> None:
    assert SIMULATOR.presets[0].parameters == MultiplexingParameters()
    assert SIMULATOR.preset("one-loss").parameters.lost_segment == 20


def test_the_default_run_has_what_a_page_has() -> None:
    result = of_preset("page")
    for each in result.runs:
        kinds = {span.kind for answer in each.answers for span in answer.spans}
        assert {SETTING_UP, RECEIVING} <= kinds
