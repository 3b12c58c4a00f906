"""The drawing of who gets the calls."""

from __future__ import annotations

import re
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings

from parameter_strategies import parameters_of, seeds
from remotecalls.figures import NARROW, WIDE, balancing
from remotecalls.simulators.balancing import PRESETS, run
from remotecalls.simulators.balancing_parameters import BalancingParameters
from remotecalls.simulators.balancing_result import STRATEGIES

PRESET = {preset.name: preset for preset in PRESETS}
RESULT = run(PRESET["ejection"].parameters, PRESET["ejection"].seed)
ONE_CLIENT = run(PRESET["one-client"].parameters, PRESET["one-client"].seed)
SLOW = run(PRESET["slow"].parameters, PRESET["slow"].seed)
SVG = "{http://www.w3.org/2000/svg}"


def texts(drawing: str) -> list[str]:
    return ["".join(each.itertext()) for each in ElementTree.fromstring(drawing).iter(f"{SVG}text")]


def blocks(drawing: str, color: str) -> list[ElementTree.Element]:
    """The parts of columns in a color; the first is the legend's."""
    groups = ElementTree.fromstring(drawing).iter(f"{SVG}g")
    found = [each for each in groups if f"--rc-{color}," in each.get("style", "")]
    return [rect for each in found for rect in each.iter(f"{SVG}rect")]


def number(each: ElementTree.Element, name: str) -> float:
    return float(each.get(name, "0"))


@settings(max_examples=20, deadline=None)
@given(parameters_of(BalancingParameters), seeds)
def test_any_run_can_be_drawn_at_any_time_and_nothing_leaves_the_picture(
    parameters: BalancingParameters, seed: int
) -> None:
    result = run(parameters, seed)
    for width in (NARROW, WIDE):
        for at_us in (0, result.end_us // 2, result.end_us):
            root = ElementTree.fromstring(balancing.draw(result, at_us, width))
            _, _, wide, high = (float(part) for part in root.get("viewBox", "").split())
            assert wide == width
            for rect in root.iter(f"{SVG}rect"):
                assert 0 <= number(rect, "x") <= number(rect, "x") + number(rect, "width") <= width
                assert 0 <= number(rect, "y") <= number(rect, "y") + number(rect, "height") <= high
            for each in root.iter(f"{SVG}line"):
                assert all(0 <= number(each, name) <= width for name in ("x1", "x2"))
                assert all(0 <= number(each, name) <= high for name in ("y1", "y2"))


def test_what_stands_in_one_row_does_not_reach_into_the_next() -> None:
    for result in (RESULT, ONE_CLIENT, SLOW):
        drawing = balancing.draw(result, result.end_us)
        rows = [
            float(y) for y in re.findall(r' y="([\d.]+)" text-anchor="end"[^>]*>[A-F]<', drawing)
        ]
        assert len(rows) == 3 * len(STRATEGIES)
        gap = min(other - one for one, other in pairwise(rows))
        for each in [*blocks(drawing, "c1")[1:], *blocks(drawing, "bad")[1:]]:
            base = min(row for row in rows if row >= number(each, "y"))
            assert base - number(each, "y") <= gap - balancing._DEEP - 2
        for each in blocks(drawing, "c2")[1:]:
            base = max(row for row in rows if row < number(each, "y"))
            assert number(each, "y") + number(each, "height") <= base + balancing._DEEP + 2.1


def test_each_strategy_has_a_panel_and_each_server_its_number() -> None:
    drawing = balancing.draw(RESULT, RESULT.end_us)
    found = texts(drawing)
    assert [each for each in found if each in STRATEGIES.values()] == list(STRATEGIES.values())
    for each in RESULT.runs:
        for count in each.counts(3):
            assert str(count) in found


@pytest.mark.parametrize("width", [NARROW, WIDE])
def test_each_shape_is_explained(width: int) -> None:
    found = texts(balancing.draw(RESULT, RESULT.end_us, width))
    for word in ("calls", "refused", "waiting", "fails", "left out", "not known yet"):
        assert found.count(word) == 1


def test_the_height_of_columns_is_the_number_of_calls() -> None:
    drawing = balancing.draw(ONE_CLIENT, ONE_CLIENT.end_us)
    heights = sum(number(each, "height") for each in blocks(drawing, "c1")[1:])
    calls = sum(len(each.calls) for each in ONE_CLIENT.runs)
    tallest = max(number(each, "height") for each in blocks(drawing, "c1")[1:])
    assert tallest == pytest.approx(balancing._TALL, abs=0.1)
    [scales] = {balancing._scales(ONE_CLIENT, WIDE - 12 - 40 - 26)}
    assert heights == pytest.approx(calls * balancing._TALL / scales.most_calls, rel=0.02)


def test_a_column_is_where_the_calls_came_and_the_queue_where_they_waited() -> None:
    scales = balancing._scales(SLOW, 300)
    for each in SLOW.runs:
        columns = balancing._columns(SLOW, each, scales.stretch_us, SLOW.end_us)
        for server in range(3):
            mine = [call for call in each.calls if call.server == server]
            for column in range(len(columns.came[server])):
                start, end = column * scales.stretch_us, (column + 1) * scales.stretch_us
                assert columns.came[server][column] == sum(
                    start <= call.arrived_us < end for call in mine
                )
                if end <= SLOW.end_us:
                    assert columns.waiting[server][column] == sum(
                        call.arrived_us < end <= call.begun_us for call in mine
                    )
    assert sum(map(sum, columns.waiting)) > 0


def test_the_queue_hangs_below_the_one_server_that_gets_all() -> None:
    drawing = balancing.draw(ONE_CLIENT, ONE_CLIENT.end_us)
    queue = blocks(drawing, "c2")[1:]
    first = [each for each in queue if number(each, "y") == number(queue[0], "y")]
    assert len(first) > len(queue) / 2
    assert max(number(each, "height") for each in first) == pytest.approx(balancing._DEEP, abs=0.1)
    without = balancing.draw(RESULT, RESULT.end_us // 10)
    assert blocks(without, "c2")[1:] == []


def test_time_hides_what_has_not_happened() -> None:
    early, late = (balancing.draw(RESULT, at_us) for at_us in (300_000, RESULT.end_us))
    assert len(blocks(early, "bad")) == 1  # that of the legend
    assert len(blocks(late, "bad")) > 10
    assert len(blocks(early, "c1")) < len(blocks(late, "c1"))
    assert any(re.fullmatch(r"\d+ of 466 calls are over", each) for each in texts(early))


def test_a_double_line_says_who_is_left_out_and_for_how_long() -> None:
    drawing = balancing.draw(RESULT, RESULT.end_us)
    ends = [
        (number(each, "x1"), number(each, "x2"))
        for each in ElementTree.fromstring(drawing).iter(f"{SVG}line")
        if "--rc-ink," in each.get("style", "")
    ][2:]  # those of the legend
    ejections = [ejected for each in RESULT.runs for ejected in each.ejections]
    assert len(ends) == 2 * len(ejections)
    pixels = balancing._scales(RESULT, WIDE - 12 - 40 - 26).pixels
    for (left, right), ejected in zip(ends[::2], ejections, strict=True):
        assert left == pytest.approx(26 + ejected.from_us * pixels, abs=0.1)
        assert right == pytest.approx(26 + ejected.until_us * pixels, abs=0.1)


def test_words_and_tables_say_what_the_picture_shows() -> None:
    words = balancing.describe_result(RESULT)
    strategies, left_out, *over_time = balancing.tables(RESULT)
    assert "B fails after 600 ms, for 800 ms." in words
    for each, row in zip(RESULT.runs, strategies.rows, strict=True):
        cells = dict(zip(strategies.columns, row, strict=True))
        assert row[0] in words
        assert row[1:4] == tuple(str(count) for count in each.counts(3))
        assert cells["refused"] == str(each.failed)
        assert cells["refused before an ejection"] == str(each.failed_before_ejection)
        assert cells["ejections"] == str(len(each.ejections))
        assert f"{each.failed} refused" in words
    assert len(left_out.rows) == sum(len(each.ejections) for each in RESULT.runs)
    for each, table in zip(RESULT.runs, over_time, strict=True):
        assert table.caption.startswith(STRATEGIES[each.strategy])
        for row, count in zip(table.rows, each.counts(3), strict=True):
            assert sum(int(cell.split(",")[0]) for cell in row[1:]) == count


def test_words_say_what_is_odd() -> None:
    slow = balancing.describe_result(SLOW)
    assert "On C each call takes 500 % of the time." in slow
    joins = balancing.describe_result(run(PRESET["joins"].parameters, 1))
    assert "C joins after 800 ms." in joins
    in_vain = run(PRESET["too-few-to-eject"].parameters, 1)
    assert "times errors enough to eject, and too few servers" in balancing.describe_result(in_vain)
    assert "Who was left out" not in [table.caption for table in balancing.tables(in_vain)]
    alone = balancing.describe_result(ONE_CLIENT)
    assert "calls of 1 client to 3 servers." in alone
    assert re.search(r"Layer 4: 1,006, 0 and 0 calls; .* at most \d+ waited at a server", alone)


def test_a_small_page_stays_small_however_many_calls_there_are() -> None:
    many = run(BalancingParameters(servers=6, gap_us=1_000, duration_us=4_000_000, clients=20), 1)
    assert sum(len(each.calls) for each in many.runs) > 15_000
    assert len(balancing.draw(many, many.end_us, NARROW)) < 100_000


def test_the_times_of_events_are_in_order() -> None:
    times = balancing.event_times(RESULT)
    assert times == sorted(set(times))
    assert {0, 600_000, 1_400_000, RESULT.end_us} <= set(times)
    for each in RESULT.runs:
        for ejected in each.ejections:
            assert {ejected.from_us, ejected.until_us} <= set(times)


def test_a_drawing_that_is_too_narrow_is_refused() -> None:
    with pytest.raises(ValueError, match="narrowest drawing is 360"):
        balancing.draw(RESULT, 0, 300)
