"""The drawing of who gets the calls."""

from __future__ import annotations

import re
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
SVG = "{http://www.w3.org/2000/svg}"


def texts(drawing: str) -> list[str]:
    return ["".join(each.itertext()) for each in ElementTree.fromstring(drawing).iter(f"{SVG}text")]


def boxes(drawing: str, color: str) -> int:
    found = ElementTree.fromstring(drawing).iter(f"{SVG}rect")
    return sum(f"--rc-{color}," in each.get("style", "") for each in found)


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
                assert float(rect.get("x", "0")) + float(rect.get("width", "0")) <= width
                assert 0 <= float(rect.get("y", "0")) <= high
            for each in root.iter(f"{SVG}line"):
                assert all(0 <= float(each.get(name, "0")) <= width for name in ("x1", "x2"))


def test_each_strategy_has_a_panel_and_each_server_its_number() -> None:
    drawing = balancing.draw(RESULT, RESULT.end_us)
    found = texts(drawing)
    assert [each for each in found if each in STRATEGIES.values()] == list(STRATEGIES.values())
    for each in RESULT.runs:
        for count in each.counts(3):
            assert str(count) in found


def test_time_hides_what_has_not_happened() -> None:
    early, late = (balancing.draw(RESULT, at_us) for at_us in (300_000, RESULT.end_us))
    assert boxes(early, "bad") == 1  # that of the legend
    assert boxes(late, "bad") > 10
    assert boxes(early, "c1") < boxes(late, "c1")
    assert any(re.fullmatch(r"\d+ of 466 calls are over", each) for each in texts(early))


def test_words_and_tables_say_what_the_picture_shows() -> None:
    words = balancing.describe_result(RESULT)
    [table] = balancing.tables(RESULT)
    for each, row in zip(RESULT.runs, table.rows, strict=True):
        assert row[0] in words
        assert row[1:4] == tuple(str(count) for count in each.counts(3))
        assert row[6] == str(each.failed)
        assert f"{each.failed} refused" in words


def test_the_times_of_events_are_in_order() -> None:
    times = balancing.event_times(RESULT)
    assert times == sorted(set(times))
    assert {0, 600_000, 1_400_000, RESULT.end_us} <= set(times)
    assert RESULT.of("round-robin").ejections[0].from_us in times


def test_a_drawing_that_is_too_narrow_is_refused() -> None:
    with pytest.raises(ValueError, match="narrowest drawing is 360"):
        balancing.draw(RESULT, 0, 300)
