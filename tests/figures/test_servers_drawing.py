"""The drawing of the server models."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from hypothesis import given, settings

from parameter_strategies import parameters_of, seeds
from remotecalls.figures import NARROW, WIDE, servers
from remotecalls.simulators.servers import MODELS, PRESETS, ServersParameters, run

RESULT = run(PRESETS[0].parameters, PRESETS[0].seed)
SVG = "{http://www.w3.org/2000/svg}"


def texts(drawing: str) -> list[str]:
    return ["".join(each.itertext()) for each in ElementTree.fromstring(drawing).iter(f"{SVG}text")]


@settings(max_examples=25, deadline=None)
@given(parameters_of(ServersParameters), seeds)
def test_any_run_can_be_drawn_at_any_time_and_nothing_leaves_the_picture(
    parameters: ServersParameters, seed: int
) -> None:
    result = run(parameters, seed)
    for width in (NARROW, WIDE):
        for at_us in (0, result.end_us // 2, result.end_us):
            root = ElementTree.fromstring(servers.draw(result, at_us, width))
            _, _, wide, high = (float(part) for part in root.get("viewBox", "").split())
            assert wide == width
            for rect in root.iter(f"{SVG}rect"):
                right = float(rect.get("x", "0")) + float(rect.get("width", "0"))
                assert right <= width
                assert float(rect.get("y", "0")) <= high


def test_the_picture_fills_as_time_goes_on() -> None:
    sizes = [len(servers.draw(RESULT, at_us)) for at_us in (0, 20_000, RESULT.end_us)]
    assert sizes[0] < sizes[1] < sizes[2]
    assert "0 of 16 done" in texts(servers.draw(RESULT, 0))
    assert "0 of 16 done" not in texts(servers.draw(RESULT, RESULT.end_us))


def test_each_model_is_named_and_each_shape_explained() -> None:
    shown = texts(servers.draw(RESULT, RESULT.end_us))
    for name in MODELS.values():
        assert name[0].upper() + name[1:] in shown
    assert {"in a queue", "starting", "computing", "waiting", "sending"} <= set(shown)


def test_words_and_tables_say_what_the_picture_shows() -> None:
    words = servers.describe_result(RESULT)
    assert "An event loop: median 21 ms" in words
    models, requests = servers.tables(RESULT)
    assert [row[0] for row in models.rows] == list(MODELS.values())
    assert len(requests.rows) == 16
    assert dict(zip(models.columns, models.rows[1], strict=True))["at once"] == "4"


def test_times_are_sorted_and_end_with_the_run() -> None:
    times = servers.event_times(RESULT)
    assert times == sorted(set(times))
    assert (times[0], times[-1]) == (0, RESULT.end_us)


def test_a_picture_that_is_too_narrow_is_refused() -> None:
    with pytest.raises(ValueError, match="narrowest"):
        servers.draw(RESULT, 0, NARROW - 1)
