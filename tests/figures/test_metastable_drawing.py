"""The drawings of a service that does not come back, and of where a service stands."""

from __future__ import annotations

import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings

from parameter_strategies import parameters_of, seeds
from remotecalls.figures import NARROW, WIDE, metastable, phases
from remotecalls.simulators.metastable import SIMULATOR, STORM, MetastableParameters, run
from remotecalls.simulators.metastable.phases import COSTS_US, RATES, PhasesParameters
from remotecalls.simulators.metastable.phases import SIMULATOR as PHASES
from remotecalls.simulators.metastable.phases import run as run_phases

SVG = "{http://www.w3.org/2000/svg}"
RESULT = run(STORM, 1)


def texts(drawing: str) -> list[str]:
    return ["".join(each.itertext()) for each in ElementTree.fromstring(drawing).iter(f"{SVG}text")]


def points(path: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in re.findall(r"[ML]([\d.-]+) ([\d.-]+)", path)]


def assert_inside(drawing: str, width: int) -> None:
    root = ElementTree.fromstring(drawing)
    _, _, wide, high = (float(part) for part in root.get("viewBox", "").split())
    assert wide == width
    for each in root.iter(f"{SVG}path"):
        for x, y in points(each.get("d", "")):
            assert 0 <= x <= width
            assert 0 <= y <= high
    for each in root.iter(f"{SVG}rect"):
        x, wide = float(each.get("x", "0")), float(each.get("width", "0"))
        assert -0.1 <= x <= x + wide <= width + 0.1
    for each in root.iter(f"{SVG}text"):
        long = len("".join(each.itertext())) * 7
        x, anchor = float(each.get("x", "0")), each.get("text-anchor")
        if anchor == "end":
            assert x - long > -20, "".join(each.itertext())


@settings(max_examples=25, deadline=None)
@given(
    parameters_of(
        MetastableParameters, rate=30, peak=90, duration_us=30_000_000,
        trigger_at_us=5_000_000, trigger_for_us=3_000_000,
    ),
    seeds,
)  # fmt: skip
def test_any_run_can_be_drawn_at_any_time_and_nothing_leaves_the_picture(
    parameters: MetastableParameters, seed: int
) -> None:
    result = run(parameters, seed)
    for width in (NARROW, WIDE):
        for at_us in (0, result.end_us // 2, result.end_us):
            assert_inside(metastable.draw(result, at_us, width), width)
    assert metastable.describe_result(result)


def test_the_drawing_grows_with_time() -> None:
    lengths = [len(metastable.draw(RESULT, at_us)) for at_us in metastable.event_times(RESULT)]
    assert lengths == sorted(lengths)
    assert lengths[-1] > 2 * lengths[0]


def test_goodput_is_an_area_that_vanishes_and_throughput_a_line_that_stays() -> None:
    root = ElementTree.fromstring(metastable.draw(RESULT, RESULT.end_us))
    paths = {each.get("style", ""): points(each.get("d", "")) for each in root.iter(f"{SVG}path")}
    goodput = next(path for style, path in paths.items() if "fill:var(--rc-good" in style)
    throughput = next(path for style, path in paths.items() if "stroke:var(--rc-ink" in style)
    base = goodput[0][1]
    late = [y for x, y in goodput if x > 400]
    early = [y for x, y in goodput if 60 < x < 150]
    assert all(y == base for y in late)
    assert max(early) < base - 15
    assert max(y for x, y in throughput if x > 400) < base - 20


def test_triggers_and_limits_are_marked() -> None:
    plain = metastable.draw(run(replace(STORM, pattern="constant"), 1), 10**9)
    spike = metastable.draw(RESULT, 10**9)
    limited = metastable.draw(run(replace(STORM, limit=20), 1), 10**9)
    assert plain.count("fill-opacity:0.18") == 0
    assert spike.count("fill-opacity:0.18") == 1
    assert "fill:none;stroke:var(--rc-c4" not in spike
    assert "fill:none;stroke:var(--rc-c4" in limited
    assert "offered up to" in spike


def test_in_words_it_says_whether_it_came_back() -> None:
    assert "did not come back" in metastable.describe_result(RESULT)
    back = run(replace(STORM, breaker_failures=5), 1)
    assert re.search(r"well again \d s after the trigger", metastable.describe_result(back))
    quiet = metastable.describe_result(run(replace(STORM, pattern="constant"), 1))
    assert "Of all of them 100.0 % were answered" in quiet


@pytest.mark.parametrize("preset", SIMULATOR.presets, ids=lambda preset: preset.name)
def test_the_table_adds_up(preset) -> None:  # type: ignore[no-untyped-def]
    result = run(preset.parameters, preset.seed)
    (table,) = metastable.tables(result)
    assert len(table.rows) <= 12
    step = -(-len(result.seconds) // 12)
    first = [float(row[1]) for row in table.rows[:-1]]
    last_start = (len(table.rows) - 1) * step
    rest = sum(result.seconds.first_tries[last_start:])
    assert sum(each * step for each in first) + rest == pytest.approx(
        result.total().first_tries, abs=0.05 * step * len(first) + 1
    )


# ---------------------------------------------------------------- the map


@settings(max_examples=10, deadline=None)
@given(parameters_of(PhasesParameters), seeds)
def test_any_service_stands_on_the_map(parameters: PhasesParameters, seed: int) -> None:
    result = run_phases(parameters, seed)
    for width in (NARROW, WIDE):
        drawing = phases.draw(result, 0, width)
        assert_inside(drawing, width)
        root = ElementTree.fromstring(drawing)
        rings = [each for each in root.iter(f"{SVG}circle") if each.get("r") == "9"]
        assert len(rings) == 1
        x, y = (float(rings[0].get(name, "0")) for name in ("cx", "cy"))
        _, _, wide, high = (float(part) for part in root.get("viewBox", "").split())
        assert 52 < x < wide
        assert 20 < y < high - 30
    assert phases.event_times(result) == [0]


def test_the_ring_lies_on_its_cell() -> None:
    for row, column in ((0, 0), (3, 7), (len(COSTS_US) - 1, len(RATES) - 1)):
        parameters = PhasesParameters(rate=RATES[column], coordination_us=COSTS_US[row])
        root = ElementTree.fromstring(phases.draw(run_phases(parameters, 1), 0))
        cells = [
            each for each in root.iter(f"{SVG}rect")
            if each.get("height") == "19" and float(each.get("x", "0")) > 50
            and float(each.get("y", "0")) > 40
        ]  # fmt: skip
        cell = cells[row * len(RATES) + column]
        ring = next(each for each in root.iter(f"{SVG}circle") if each.get("r") == "9")
        left, top = float(cell.get("x", "0")), float(cell.get("y", "0"))
        assert left < float(ring.get("cx", "0")) < left + float(cell.get("width", "0"))
        assert top < float(ring.get("cy", "0")) < top + 19


def test_each_region_has_a_shape_of_its_own() -> None:
    preset = PHASES.presets[0]
    result = run_phases(preset.parameters, preset.seed)
    letters = "".join(result.rows)
    drawing = phases.draw(result, 0)
    # Two strokes for stuck, one for overloaded, a dot for impaired; the legend has one of each.
    strokes = 2 * (letters.count("s") + 1) + letters.count("o") + 1
    assert drawing.count("<line") == strokes
    assert drawing.count('r="2"') == letters.count("i") + 1
    assert "stuck" in phases.describe_result(result)
    (table,) = phases.tables(result)
    assert len(table.rows) == len(COSTS_US)
