"""The drawing of one page fetched in three ways."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings

from parameter_strategies import parameters_of, seeds
from remotecalls.figures import NARROW, WIDE, multiplexing
from remotecalls.figures.rounding import rounded_time
from remotecalls.simulators.multiplexing import PRESETS, run
from remotecalls.simulators.multiplexing_parameters import MultiplexingParameters
from remotecalls.simulators.multiplexing_result import (
    HTTP2,
    KINDS,
    MODELS,
    POOL,
    SINGLE,
    MultiplexingResult,
)

PRESET = {preset.name: preset for preset in PRESETS}
RESULT = run(PRESET["page"].parameters, PRESET["page"].seed)
LOSS = run(PRESET["one-loss"].parameters, PRESET["one-loss"].seed)
SVG = "{http://www.w3.org/2000/svg}"
PRINTED = 0.1  # coordinates are written with one decimal


def texts(drawing: str) -> list[str]:
    return ["".join(each.itertext()) for each in ElementTree.fromstring(drawing).iter(f"{SVG}text")]


def drawn(drawing: str, kind: str, color: str) -> list[ElementTree.Element]:
    """Every element of a kind with a color; the legend holds one of them."""
    found = ElementTree.fromstring(drawing).iter(f"{SVG}{kind}")
    return [each for each in found if f"--rc-{color}," in each.get("style", "")]


@settings(max_examples=25)
@given(parameters_of(MultiplexingParameters), seeds)
def test_any_run_can_be_drawn_at_any_time_and_nothing_leaves_the_picture(
    parameters: MultiplexingParameters, seed: int
) -> None:
    result = run(parameters, seed)
    for width in (NARROW, WIDE):
        for at_us in (0, result.end_us // 2, result.end_us):
            root = ElementTree.fromstring(multiplexing.draw(result, at_us, width))
            _, _, wide, high = (float(part) for part in root.get("viewBox", "").split())
            assert wide == width
            for rect in root.iter(f"{SVG}rect"):
                right = float(rect.get("x", "0")) + float(rect.get("width", "0"))
                assert right <= width
                assert float(rect.get("y", "0")) <= high
            for each in root.iter(f"{SVG}line"):
                assert all(0 <= float(each.get(name, "0")) <= width for name in ("x1", "x2"))
                assert all(0 <= float(each.get(name, "0")) <= high for name in ("y1", "y2"))


def test_the_picture_fills_as_time_goes_on() -> None:
    sizes = [len(multiplexing.draw(RESULT, at_us)) for at_us in (0, 200_000, RESULT.end_us)]
    assert sizes[0] < sizes[1] < sizes[2]
    assert texts(multiplexing.draw(RESULT, 0)).count("0 of 12 answers are there") == 3
    assert "small ones 754 ms, all 971 ms" in texts(multiplexing.draw(RESULT, RESULT.end_us))


@pytest.mark.parametrize("width", [NARROW, WIDE])
def test_each_model_and_each_answer_is_named_and_each_shape_explained(width: int) -> None:
    shown = texts(multiplexing.draw(RESULT, RESULT.end_us, width))
    for model in MODELS:
        assert RESULT.name_of(model) in shown
    for request in RESULT.requests:
        assert shown.count(request.name) == 3
    assert set(multiplexing._LEGEND.values()) <= set(shown)
    assert set(KINDS) <= set(multiplexing._LEGEND)


def test_an_answer_s_boxes_lie_where_the_link_carried_it() -> None:
    drawing = multiplexing.draw(RESULT, RESULT.end_us, WIDE)
    boxes = drawn(drawing, "rect", "c1")[1:]
    rows = sorted({float(each.get("y", "0")) for each in boxes})
    assert len(rows) == 36
    scale = (WIDE - 12 - 36) / RESULT.end_us
    for number, y in enumerate(rows):
        model_run, index = RESULT.runs[number // 12], number % 12
        turns = [turn for turn in model_run.turns if turn.answer == index]
        own = [each for each in boxes if float(each.get("y", "0")) == y]
        assert 1 <= len(own) <= len(turns)
        left = min(float(each.get("x", "0")) for each in own)
        right = max(float(each.get("x", "0")) + float(each.get("width", "0")) for each in own)
        assert left == pytest.approx(36 + turns[0].from_us * scale, abs=PRINTED)
        assert right == pytest.approx(36 + turns[-1].until_us * scale, abs=1)


def test_a_loss_has_a_cross_and_those_behind_it_a_solid_bar() -> None:
    without, with_loss = (multiplexing.draw(each, each.end_us) for each in (RESULT, LOSS))
    crosses = [len(drawn(each, "line", "bad")) // 2 - 1 for each in (without, with_loss)]
    assert crosses[0] == 0
    assert crosses[1] == sum(turn.lost for each in LOSS.runs for turn in each.turns)
    solid = [
        [each for each in drawn(one, "rect", "bad") if "fill-opacity:0.9" in each.get("style", "")]
        for one in (without, with_loss)
    ]
    assert len(solid[0]) == 1  # the legend's
    assert len(solid[1]) == 1 + LOSS.of(HTTP2).answers_held_up


def test_a_small_page_stays_small_however_fine_its_frames_are() -> None:
    fine = run(MultiplexingParameters(frame_bytes=1_024), 1)
    assert len(fine.of(HTTP2).turns) > 400
    assert len(multiplexing.draw(fine, fine.end_us, NARROW)) < 100_000


def test_words_and_tables_say_what_the_picture_shows() -> None:
    words = multiplexing.describe_result(LOSS)
    assert "12 answers of 440,000 bytes in total over a link of 10 Mbit/s" in words
    assert "40 ms there and back" in words
    assert words.count("1 was lost; no answers waited behind a loss of another.") == 2
    assert "1 was lost; 11 answers waited behind a loss of another." in words
    models, completion, *waiting = multiplexing.tables(LOSS)
    assert [row[0] for row in models.rows] == [LOSS.name_of(model) for model in MODELS]
    cells = [dict(zip(models.columns, row, strict=True)) for row in models.rows]
    assert [row["round trips of set-up"] for row in cells] == ["2", "2", "2"]
    assert [row["connections"] for row in cells] == ["1", "6", "1"]
    assert [row["answers behind another's loss"] for row in cells] == ["0", "0", "11"]
    assert [row[0] for row in completion.rows] == [request.name for request in LOSS.requests]
    assert [table.caption.split(":")[0] for table in waiting] == [
        LOSS.name_of(model) for model in MODELS
    ]
    assert all(len(table.rows) == 12 for table in waiting)


def test_a_page_without_small_answers_is_told_without_them() -> None:
    result = run(MultiplexingParameters(small_answers=0, connections=1), 1)
    assert "small" not in multiplexing.describe_result(result)
    assert "a pool of 1 connection:" in multiplexing.describe_result(result)
    models = multiplexing.tables(result)[0]
    assert dict(zip(models.columns, models.rows[0], strict=True))["small answers, median"] == "none"
    for model in (SINGLE, POOL):
        assert result.of(model).median_us(result.small) is None
    assert not any(each.startswith("small ones") for each in shown_at_end(result))


def shown_at_end(result: MultiplexingResult) -> list[str]:
    return texts(multiplexing.draw(result, result.end_us))


def test_times_are_sorted_and_end_with_the_run() -> None:
    times = multiplexing.event_times(LOSS)
    assert times == sorted(set(times))
    assert (times[0], times[-1]) == (0, LOSS.end_us)
    for each in LOSS.runs:
        assert {answer.finished_us for answer in each.answers} <= set(times)


def test_a_picture_that_is_too_narrow_is_refused() -> None:
    with pytest.raises(ValueError, match="narrowest"):
        multiplexing.draw(RESULT, 0, NARROW - 1)


@pytest.mark.parametrize(
    ("us", "written"),
    [(0, "0 µs"), (950, "950 µs"), (8_249, "8.2 ms"), (211_507, "212 ms"), (999_700, "1 s"),
     (1_884_900, "1.88 s"), (66_620_000, "66.62 s"), (123_456_789, "123.5 s")],
)  # fmt: skip
def test_a_time_is_written_without_digits_that_do_not_count(us: int, written: str) -> None:
    assert rounded_time(us) == written
    assert re.fullmatch(r"[\d,.]+ (µs|ms|s)", written)
