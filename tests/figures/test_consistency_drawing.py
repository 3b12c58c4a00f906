"""The drawing of what consistency costs, and of how it is violated."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings

from parameter_strategies import parameters_of, seeds
from remotecalls.figures import NARROW, WIDE, consistency
from remotecalls.simulators.consistency import SIMULATOR, ConsistencyParameters, run
from remotecalls.simulators.consistency.judgement import judge
from remotecalls.simulators.linearizability import check_registers

SVG = "{http://www.w3.org/2000/svg}"


def of_preset(name: str):  # type: ignore[no-untyped-def]
    preset = SIMULATOR.preset(name)
    return run(preset.parameters, preset.seed)


FLICKER = of_preset("flicker")
STRONG = of_preset("quorum-5-of-3")
EVENTUAL = of_preset("eventual")


@settings(max_examples=15, deadline=None)
@given(parameters_of(ConsistencyParameters, operations=40), seeds)
def test_any_run_can_be_drawn_at_any_time_and_nothing_leaves_the_picture(
    parameters: ConsistencyParameters, seed: int
) -> None:
    result = run(parameters, seed)
    for width in (NARROW, WIDE):
        for at_us in (0, result.end_us // 2, result.end_us):
            root = ElementTree.fromstring(consistency.draw(result, at_us, width))
            _, _, wide, high = (float(part) for part in root.get("viewBox", "").split())
            assert wide == width
            for each in root.iter(f"{SVG}circle"):
                assert 0 <= float(each.get("cx", "0")) <= width
                assert 0 <= float(each.get("cy", "0")) <= high
            for each in root.iter(f"{SVG}rect"):
                left, long = float(each.get("x", "0")), float(each.get("width", "0"))
                assert -0.1 <= left <= left + long <= width + 0.1
                assert float(each.get("y", "0")) + float(each.get("height", "0")) <= high


def test_each_operation_has_its_mark() -> None:
    drawing = consistency.draw(STRONG, STRONG.end_us)
    # The legend has two circles, of a read and of a stale one with its ring, and two squares.
    assert drawing.count('r="3"') == STRONG.count("ok", writes=False) + 2
    assert drawing.count('width="6" height="6"') == STRONG.count("ok", writes=True) + 2
    stale = consistency.draw(EVENTUAL, EVENTUAL.end_us)
    assert stale.count('r="6"') == len(EVENTUAL.stale_reads) + 1
    early = consistency.draw(STRONG, STRONG.end_us // 10)
    assert early.count('r="3"') < drawing.count('r="3"') / 2


def test_the_fragment_is_drawn_and_said() -> None:
    judgement = judge(FLICKER)
    assert judgement.fragment is not None
    operations = judgement.fragment.operations
    assert judgement.fragment.is_minimal
    drawing = consistency.draw(FLICKER, FLICKER.end_us)
    for each in operations:
        assert f"client {each.process}" in drawing
        verb = "w" if each.kind == "write" else "r"
        assert f">{verb} {each.value}<" in drawing
    words = consistency.describe_result(FLICKER)
    assert "Not linearizable" in words
    for each in operations:
        verb = "writes" if each.kind == "write" else "reads"
        assert re.search(f"client {each.process} {verb} {each.value}", words, re.IGNORECASE)


@pytest.mark.parametrize("preset", SIMULATOR.presets, ids=lambda preset: preset.name)
def test_the_judgement_is_the_checker_s(preset) -> None:  # type: ignore[no-untyped-def]
    result = run(preset.parameters, preset.seed)
    judgement = judge(result)
    assert judgement.answer == check_registers(result.history).answer
    assert (judgement.fragment is None) == (judgement.answer == "linearizable")
    if judgement.fragment is not None:
        assert not check_registers(judgement.fragment.operations).is_linearizable


def test_the_tables_add_up() -> None:
    operations, wrong, replicas = consistency.tables(FLICKER)
    counted = sum(int(cell) for row in operations.rows for cell in row[1:4])
    assert counted == len(FLICKER.records)
    assert dict(wrong.rows)["stale reads"] == str(len(FLICKER.stale_reads))
    assert len(replicas.rows) == FLICKER.parameters.replicas
