"""The drawing of autoscaling."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings

from parameter_strategies import parameters_of, seeds
from remotecalls.figures import NARROW, WIDE, autoscaling
from remotecalls.simulators.capacity import (
    PRESETS,
    AutoscalingParameters,
    AutoscalingResult,
    run,
)
from remotecalls.simulators.capacity.autoscaling_result import SECOND_US

PRESET = {preset.name: preset.parameters for preset in PRESETS}
LATE = run(PRESET["lag-oscillates"], 1)
CALM = run(PRESET["no-lag"], 1)
DAY = run(PRESET["day"], 1)
SVG = "{http://www.w3.org/2000/svg}"
SMALL: dict[str, Any] = {"duration_us": 50_500_000, "change_at_us": 9_000_000, "least": 3}

Point = tuple[float, float]


def texts(drawing: str) -> list[str]:
    return ["".join(each.itertext()) for each in ElementTree.fromstring(drawing).iter(f"{SVG}text")]


def points_of(path: ElementTree.Element) -> list[Point]:
    """Every corner of a path of M, H, V and Z."""
    found: list[Point] = []
    x = y = 0.0
    for command, numbers in re.findall(r"([MHVZ])([^MHVZ]*)", path.get("d", "")):
        if command == "M":
            x, y = (float(each) for each in numbers.split())
        elif command == "H":
            x = float(numbers)
        elif command == "V":
            y = float(numbers)
        found.append((x, y))
    return found


def paths(drawing: str, color: str, kind: str = "") -> list[ElementTree.Element]:
    """The paths whose line is in a color; `kind` is a part of their style."""
    return [
        each
        for each in ElementTree.fromstring(drawing).iter(f"{SVG}path")
        if f"stroke:var(--rc-{color}," in (style := each.get("style", "")) and kind in style
    ]


def number(each: ElementTree.Element, name: str) -> float:
    return float(each.get(name, "0"))


def bars(drawing: str) -> list[tuple[float, float]]:
    """From where to where the heavy bars are; the first is the legend's."""
    rects = ElementTree.fromstring(drawing).iter(f"{SVG}rect")
    return [
        (number(each, "x"), number(each, "x") + number(each, "width"))
        for each in rects
        if each.get("style", "").startswith("fill:var(--rc-bad,")
    ]


def height_at(steps: list[Point], x: float) -> float:
    return next(
        one[1] for one, other in pairwise(steps) if one[1] == other[1] and one[0] <= x <= other[0]
    )


@settings(max_examples=30, deadline=None)
@given(parameters_of(AutoscalingParameters, **SMALL), seeds)
def test_any_run_can_be_drawn_at_any_time_and_nothing_leaves_the_picture(
    parameters: AutoscalingParameters, seed: int
) -> None:
    result = run(parameters, seed)
    for width in (NARROW, WIDE):
        for at_us in (0, result.end_us // 2, result.end_us, 2 * result.end_us):
            root = ElementTree.fromstring(autoscaling.draw(result, at_us, width))
            _, _, wide, high = (float(part) for part in root.get("viewBox", "").split())
            assert wide == width
            for rect in root.iter(f"{SVG}rect"):
                assert 0 <= number(rect, "x") <= number(rect, "x") + number(rect, "width") <= width
                assert number(rect, "y") >= 0
                assert number(rect, "y") + number(rect, "height") <= high
                assert number(rect, "height") >= 0
            for each in root.iter(f"{SVG}line"):
                assert all(0 <= number(each, name) <= width for name in ("x1", "x2"))
                assert all(0 <= number(each, name) <= high for name in ("y1", "y2"))
            for path in root.iter(f"{SVG}path"):
                for x, y in points_of(path):
                    assert 0 <= x <= width
                    assert 0 <= y <= high


@pytest.mark.parametrize("width", [NARROW, WIDE])
@pytest.mark.parametrize("result", [LATE, CALM, DAY], ids=["late", "calm", "day"])
def test_labels_lie_in_the_picture_and_not_on_each_other(
    result: AutoscalingResult, width: int
) -> None:
    root = ElementTree.fromstring(autoscaling.draw(result, result.end_us, width))
    boxes = []
    assert not [*root.iterfind(f".//{SVG}g//{SVG}text")]  # whose place would be another
    for each in root.iter(f"{SVG}text"):
        long = len("".join(each.itertext())) * 6.4
        x, y = number(each, "x"), number(each, "y")
        left = {"start": x, "middle": x - long / 2, "end": x - long}[each.get("text-anchor", "")]
        assert left >= -2
        assert left + long <= width + 6
        boxes.append((left, left + long, y - 9, y + 1, "".join(each.itertext())))
    for index, one in enumerate(boxes):
        for other in boxes[index + 1 :]:
            apart = (
                one[1] <= other[0] or other[1] <= one[0] or one[3] <= other[2] or other[3] <= one[2]
            )
            assert apart, (one[4], other[4])


@pytest.mark.parametrize("width", [NARROW, WIDE])
def test_each_shape_and_panel_is_named(width: int) -> None:
    found = texts(autoscaling.draw(LATE, LATE.end_us, width))
    for word in (
        "serving", "starting", "needed", "overloaded", "Instances", "Requests a second",
        "Utilization", "p99",
    ):  # fmt: skip
        assert found.count(word) == 1


def test_heights_are_the_numbers_of_instances() -> None:
    drawing = autoscaling.draw(LATE, LATE.end_us)
    seconds = LATE.seconds
    serving = points_of(paths(drawing, "c1", "fill-opacity")[0])
    [needed] = [points_of(each) for each in paths(drawing, "c2", "stroke-width:2px")]
    base = serving[0][1]
    ordered = [one + other for one, other in zip(seconds.running, seconds.starting, strict=True)]
    pixels = autoscaling._INSTANCES / max(ordered)
    plot = autoscaling._Plot(LATE, LATE.end_us, autoscaling._LEFT, WIDE - autoscaling._RIGHT)
    for second in range(len(seconds)):
        x = plot.x(second * SECOND_US + SECOND_US // 2)
        assert base - height_at(serving, x) == pytest.approx(
            seconds.running[second] * pixels, abs=0.2
        )
        assert base - height_at(needed, x) == pytest.approx(
            seconds.needed[second] * pixels, abs=0.2
        )
    # What starts is an outline on top, each time that something starts.
    outlines = [points_of(each) for each in paths(drawing, "ink")]
    runs = list(autoscaling._runs(seconds.starting))
    assert len(outlines) == len(runs) > 3
    for outline, (start, until) in zip(outlines, runs, strict=True):
        assert outline[0][0] == pytest.approx(plot.end_of(start), abs=0.1)
        assert outline[-1][0] == pytest.approx(plot.end_of(until), abs=0.1)
        for second in range(start, until):
            x = plot.x(second * SECOND_US + SECOND_US // 2)
            height = base - height_at(outline, x)
            assert height == pytest.approx(ordered[second] * pixels, abs=0.2)


def test_colors_say_nothing_that_shapes_do_not() -> None:
    drawing = autoscaling.draw(LATE, LATE.end_us)
    # Filled, outlined, dashed: three ways for three numbers in one panel.
    [serving] = paths(drawing, "c1", "fill-opacity:0.35")
    assert "dasharray" not in serving.get("style", "")
    assert all("fill:none" in each.get("style", "") for each in paths(drawing, "ink"))
    assert all("dasharray" in each.get("style", "") for each in paths(drawing, "c2"))
    assert len(paths(drawing, "c2")) == 2  # needed, and what came
    [served] = paths(drawing, "good")
    assert "fill-opacity" in served.get("style", "")


def test_a_heavy_bar_is_over_each_second_of_overload() -> None:
    drawing = autoscaling.draw(LATE, LATE.end_us)
    scale = (WIDE - autoscaling._RIGHT - autoscaling._LEFT) / LATE.end_us
    total = sum(right - left for left, right in bars(drawing)[1:])
    assert total == pytest.approx(LATE.overloaded_seconds * SECOND_US * scale, abs=3)
    assert f"target 60 %, overloaded {LATE.overloaded_seconds} s" in texts(drawing)
    full = [autoscaling._is_full(LATE.seconds, second) for second in range(len(LATE.seconds))]
    assert len(bars(drawing)) - 1 == len(list(autoscaling._runs(full)))


def test_the_line_of_utilization_is_its_mean() -> None:
    drawing = autoscaling.draw(CALM, CALM.end_us)
    [line] = [points_of(each) for each in paths(drawing, "c1", "fill:none")]
    marks = [
        number(each, "y1")
        for each in ElementTree.fromstring(drawing).iter(f"{SVG}line")
        if "dasharray" in each.get("style", "") and "--rc-muted" in each.get("style", "")
    ]
    [target_y] = marks
    base = target_y + 0.6 * autoscaling._UTILIZATION
    plot = autoscaling._Plot(CALM, CALM.end_us, autoscaling._LEFT, WIDE - autoscaling._RIGHT)
    seconds = CALM.seconds
    stretches = list(plot.stretches())
    assert (stretches[0][0], stretches[-1][1]) == (0, len(seconds))
    for start, until in stretches:
        share = sum(seconds.busy_us[start:until]) / sum(seconds.there_us[start:until])
        y = height_at(line, (plot.end_of(start) + plot.end_of(until)) / 2)
        assert base - y == pytest.approx(share * autoscaling._UTILIZATION, abs=0.2)


def test_a_bar_of_p99_is_as_long_as_its_stretch_and_absent_where_answers_are_few() -> None:
    drawing = autoscaling.draw(LATE, LATE.end_us)
    found = [
        each
        for each in ElementTree.fromstring(drawing).iter(f"{SVG}rect")
        if "--rc-c6" in each.get("style", "")
    ]
    known = [each for each in LATE.latencies if each.p99_us is not None]
    assert len(found) == len(known) == len(LATE.latencies) - 1
    plot = autoscaling._Plot(LATE, LATE.end_us, autoscaling._LEFT, WIDE - autoscaling._RIGHT)
    for rect, each in zip(found, known, strict=True):
        assert number(rect, "x") == pytest.approx(plot.x(each.from_us) + 0.5, abs=0.1)
        long = plot.x(each.until_us) - plot.x(each.from_us) - 1
        assert number(rect, "width") == pytest.approx(long, abs=0.1)
    heights = [number(rect, "height") for rect in found]
    order = sorted(range(len(known)), key=lambda index: known[index].p99_us or 0)
    assert [heights[index] for index in order] == sorted(heights)
    few = run(replace(CALM.parameters, rate=1, peak=2), 1)
    assert "too few answers" in texts(autoscaling.draw(few, few.end_us))


def test_time_hides_what_has_not_happened() -> None:
    early, late = (autoscaling.draw(LATE, at_us) for at_us in (50_000_000, LATE.end_us))
    assert len(bars(early)) == 1  # that of the legend
    assert paths(early, "ink") == []
    end_x = max(x for x, _ in points_of(paths(early, "c1", "fill-opacity")[0]))
    plot = autoscaling._Plot(LATE, 50_000_000, autoscaling._LEFT, WIDE - autoscaling._RIGHT)
    assert end_x == pytest.approx(plot.x(50_000_000), abs=0.1)
    assert len(early) < len(late)
    assert paths(autoscaling.draw(LATE, 0), "c1", "fill-opacity") == []
    # The scale does not change while time passes.
    first = [each for each in texts(early) if each.isdigit()]
    assert first == [each for each in texts(late) if each.isdigit()]


def test_words_and_tables_say_what_the_picture_shows() -> None:
    words = autoscaling.describe_result(LATE)
    over_time, latencies, decisions = autoscaling.tables(LATE)
    assert f"{sum(LATE.seconds.offered):,} requests in 420 s" in words
    assert "30 a second until 60 s, and then at 100." in words
    assert "begins with 5 instances; at most 17 are needed, and at most 60 were there" in words
    assert "An order takes 30 s." in words
    assert f"after a swing that matters {LATE.swings} times: it oscillates." in words
    assert f"In {LATE.overloaded_seconds} seconds no instance had a moment to spare." in words
    assert len(over_time.rows) == 12
    assert over_time.rows[-1][0] == "420 s"
    columns = [dict(zip(over_time.columns, row, strict=True)) for row in over_time.rows]
    assert sum(int(each["seconds overloaded"]) for each in columns) == LATE.overloaded_seconds
    came = sum(float(each["came a second"]) * 35 for each in columns)
    assert came == pytest.approx(sum(LATE.seconds.offered), abs=12 * 35 * 0.05)
    for index, each in enumerate(columns):
        second = 35 * (index + 1) - 1
        assert each["serving"] == str(LATE.seconds.running[second])
        assert each["starting"] == str(LATE.seconds.starting[second])
        assert each["needed"] == str(LATE.seconds.needed[second])
    assert [row[1] for row in latencies.rows] == [f"{each.answers:,}" for each in LATE.latencies]
    assert latencies.rows[-1][2] == "too few"
    assert len(decisions.rows) == len(LATE.decisions)
    assert decisions.rows[0][2:] == (str(LATE.decisions[0].before), str(LATE.decisions[0].after))


def test_words_say_the_load_and_the_calm() -> None:
    assert "They come at 20 a second at both ends of the day, and at 150 at noon." in (
        autoscaling.describe_result(DAY)
    )
    assert "An order takes no time." in autoscaling.describe_result(CALM)
    assert "it does not oscillate." in autoscaling.describe_result(CALM)
    ramp = run(replace(CALM.parameters, pattern="ramp", most=5), 1)
    words = autoscaling.describe_result(ramp)
    assert "and then at 100, over 60 s." in words
    assert "The controller changed nothing." in words
    assert autoscaling.tables(ramp)[2].rows == ()


def test_a_long_list_of_decisions_says_that_it_is_cut() -> None:
    busy = run(
        replace(CALM.parameters, look_every_us=1_000_000, window_us=1_000_000, tolerance_percent=0),
        1,
    )
    table = autoscaling.tables(busy)[2]
    assert len(table.rows) == 40
    assert table.caption == (
        f"What the controller changed: the first 40 of {len(busy.decisions)} times"
    )


def test_a_small_page_stays_small_however_much_happens() -> None:
    many = run(
        AutoscalingParameters(
            rate=100, peak=100, duration_us=600_000_000, look_every_us=1_000_000,
            window_us=1_000_000, tolerance_percent=0, lag_us=2_000_000,
        ),
        1,
    )  # fmt: skip
    assert len(many.decisions) > 300
    assert len(autoscaling.draw(many, many.end_us, NARROW)) < 60_000


def test_the_times_of_events_are_in_order() -> None:
    for result in (LATE, CALM, DAY):
        times = autoscaling.event_times(result)
        assert times == sorted(set(times))
        assert {0, result.end_us} <= set(times)
        for each in result.decisions:
            assert each.at_us in times
    assert 60_000_000 in autoscaling.event_times(CALM)
    first = next(each for each in LATE.decisions if each.after > each.before)
    assert first.at_us + 30_000_000 in autoscaling.event_times(LATE)
    ramp = run(replace(CALM.parameters, pattern="ramp", ramp_us=77_000_000), 1)
    assert 137_000_000 in autoscaling.event_times(ramp)


def test_a_drawing_that_is_too_narrow_is_refused() -> None:
    with pytest.raises(ValueError, match="narrowest drawing is 360"):
        autoscaling.draw(LATE, 0, 300)
