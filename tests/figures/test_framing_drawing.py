import json
import re
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parameter_strategies import parameters_of, seeds
from remotecalls import figures
from remotecalls.figures.page import Page
from remotecalls.simulators.catalog import SIMULATORS
from remotecalls.simulators.framing import (
    LENGTH_PREFIX,
    PRESETS,
    FramingParameters,
    FramingResult,
    run,
)
from remotecalls.simulators.parameters import to_json

SVG = "{http://www.w3.org/2000/svg}"
widths = st.sampled_from([figures.NARROW, 400, 600, figures.WIDE])


def drawing(result: FramingResult, at_us: int, width: int = figures.WIDE) -> ElementTree.Element:
    return ElementTree.fromstring(figures.draw("framing", result, at_us, width))


def words(picture: ElementTree.Element) -> list[str]:
    return [each.text or "" for each in picture.iter(f"{SVG}text")]


def boxes(picture: ElementTree.Element) -> list[dict[str, Any]]:
    return [dict(each.attrib) for each in picture.iter(f"{SVG}rect")]


# ---------------------------------------------------------------- what always holds


@given(parameters_of(FramingParameters), seeds, st.floats(0, 1.2), widths)
def test_any_run_at_any_time_is_a_drawing_that_stays_on_its_sheet(
    parameters: FramingParameters, seed: int, progress: float, width: int
) -> None:
    result = run(parameters, seed)
    picture = drawing(result, int(result.end_us * progress), width)
    left, top, right, bottom = map(float, picture.attrib["viewBox"].split())
    assert (left, top, right) == (0, 0, width)
    assert picture.attrib["role"] == "img"
    assert picture.attrib["aria-label"] == figures.describe_result("framing", result)
    for box in boxes(picture):
        assert float(box["x"]) >= 0
        assert float(box["x"]) + float(box["width"]) <= width + 1
        assert 0 <= float(box["y"]) <= bottom - float(box["height"])
    for line in picture.iter(f"{SVG}line"):
        for name in ("x1", "x2"):
            assert 0 <= float(line.attrib[name]) <= width
    for text in picture.iter(f"{SVG}text"):
        # A letter of 12 pixels is about 6 wide.
        half = (
            6
            * len(text.text or "")
            / {"middle": 2, "start": 1, "end": 1}[text.attrib["text-anchor"]]
        )
        x = float(text.attrib["x"])
        assert x - (0 if text.attrib["text-anchor"] == "start" else half) >= -8
        assert x + (0 if text.attrib["text-anchor"] == "end" else half) <= width + 8
        assert 0 < float(text.attrib["y"]) <= bottom


@given(parameters_of(FramingParameters), seeds, widths)
def test_every_message_is_named_and_judged_in_words(
    parameters: FramingParameters, seed: int, width: int
) -> None:
    result = run(parameters, seed)
    shown = words(drawing(result, result.end_us, width))
    for message in result.messages:
        assert message.name in shown
        assert f"{len(message.payload)} B" in shown
    assert shown.count("intact") == result.intact
    assert shown.count("lost") == len(result.messages) - result.intact


@given(parameters_of(FramingParameters), seeds)
def test_event_times_are_in_order_from_the_start_to_the_end(
    parameters: FramingParameters, seed: int
) -> None:
    result = run(parameters, seed)
    times = figures.event_times("framing", result)
    assert times == sorted(set(times))
    assert times[0] == 0
    assert times[-1] == result.end_us


# ---------------------------------------------------------------- what a reader sees


def preset(name: str) -> FramingResult:
    found = SIMULATORS["framing"].preset(name)
    return run(found.parameters, found.seed)


def test_nothing_is_drawn_before_it_happens() -> None:
    result = preset("lucky")
    before = words(drawing(result, 0))
    assert not any(re.fullmatch(r"r\d.*", word) for word in before)
    assert "intact" not in before
    third = result.messages[2]
    assert "in flight" in words(drawing(result, third.written_us + 1))
    assert words(drawing(result, third.read_us - 1)).count("intact") == 2
    assert words(drawing(result, third.read_us)).count("intact") == 3


def test_a_merged_read_is_one_block_over_its_messages_and_says_so() -> None:
    result = preset("chatty-writer")
    shown = words(drawing(result, result.end_us))
    merged = [n for n, read in enumerate(result.reads, start=1) if read.merged]
    assert merged
    for number in merged:
        assert f"r{number} merged" in shown
    assert "not a message" in shown
    assert "shared" in shown


def test_split_reads_are_counted_under_their_message() -> None:
    result = preset("small-buffer")
    shown = words(drawing(result, result.end_us))
    assert "3 reads" in shown
    assert "✗" in shown


def test_a_hold_by_nagle_is_named() -> None:
    result = preset("nagle-delayed-ack")
    assert any("held" in word for word in words(drawing(result, result.end_us)))


def test_a_phone_gets_two_rows_of_messages_where_a_page_gets_one() -> None:
    result = preset("lucky")
    assert words(drawing(result, 0, figures.WIDE)).count("segments") == 1
    assert words(drawing(result, 0, figures.NARROW)).count("segments") == 2
    with pytest.raises(ValueError, match="narrowest drawing is 360 pixels"):
        figures.draw("framing", result, 0, 359)


def test_all_text_has_the_size_that_is_legible_at_full_width() -> None:
    picture = figures.draw("framing", preset("lucky"), 0, figures.NARROW)
    assert "font:12px" in picture
    assert "font-size" not in picture


# ---------------------------------------------------------------- words and tables


def test_the_description_states_the_numbers() -> None:
    result = preset("chatty-writer")
    described = figures.describe_result("framing", result)
    assert described.startswith("8 messages of 811 bytes in total went out in 8 segments")
    assert f"{result.exact_reads} held exactly one message, {result.merged_reads} merged" in (
        described
    )
    assert f"gave {result.intact} of 8 messages intact" in described
    assert "Nagle" not in described
    assert "Nagle's algorithm held data back 4 times" in figures.describe_result(
        "framing", preset("nagle-delayed-ack")
    )


def test_one_of_a_thing_is_singular() -> None:
    result = run(FramingParameters(messages=1), 1)
    described = figures.describe_result("framing", result)
    assert described.startswith("1 message of ")
    assert "in 1 segment and" in described
    assert "1 recv() call." in described


@given(parameters_of(FramingParameters), seeds)
def test_the_tables_hold_a_row_for_every_message_and_read(
    parameters: FramingParameters, seed: int
) -> None:
    result = run(parameters, seed)
    messages, reads = figures.tables("framing", result)
    assert [row[0] for row in messages.rows] == [message.name for message in result.messages]
    assert sum(int(row[1]) for row in messages.rows) == result.payload_bytes
    assert sum(int(row[3]) for row in reads.rows) == result.payload_bytes + result.framing_bytes
    assert [row[-1] for row in reads.rows] == [read.verdict for read in result.reads]
    assert sum(row[5] == "never" for row in messages.rows) == len(result.messages) - result.intact
    for table in (messages, reads):
        assert all(len(row) == len(table.columns) for row in table.rows)


# ---------------------------------------------------------------- what the page asks


def ask(page: Page, **changes: Any) -> dict[str, Any]:
    request = {
        "figure": "a",
        "simulator": "framing",
        "values": {},
        "seed": 1,
        "at_us": None,
        "width": figures.WIDE,
    }
    answer: dict[str, Any] = json.loads(page.run(json.dumps(request | changes)))
    return answer


def test_the_page_runs_and_draws_at_any_time() -> None:
    page = Page()
    answer = ask(page, values={"framing": LENGTH_PREFIX}, at_us=1_000)
    result = run(FramingParameters(framing=LENGTH_PREFIX), 1)
    assert json.loads(answer["result"]) == json.loads(json.dumps(result.to_json()))
    assert answer["svg"] == figures.draw("framing", result, 1_000)
    assert (answer["at_us"], answer["end_us"]) == (1_000, result.end_us)
    again = json.loads(page.draw(json.dumps({"figure": "a", "at_us": 9_000, "width": 360})))
    assert again == {"svg": figures.draw("framing", result, 9_000, 360), "at_us": 9_000}
    late = ask(page, values={"framing": LENGTH_PREFIX}, at_us=10**12)
    assert late["at_us"] == answer["end_us"]


def test_figures_of_one_page_keep_their_own_results() -> None:
    page = Page()
    ask(page, figure="a", seed=1)
    ask(page, figure="b", seed=2)
    drawn = json.loads(
        page.draw(json.dumps({"figure": "a", "at_us": 10**9, "width": figures.WIDE}))
    )
    assert drawn["svg"] == ask(Page(), seed=1)["svg"]


def test_the_page_says_what_is_wrong_by_the_labels_that_a_reader_sees() -> None:
    answer = ask(Page(), values={"smallest_bytes": 300})
    assert answer == {
        "error": "Smallest message is 300 bytes, above the largest, 200 bytes. "
        "Lower the smallest message or raise the largest.",
        "parameter": "smallest_bytes",
    }
    assert ask(Page(), values={"messages": 0})["error"].startswith(
        "Messages is 0, below the minimum of 1 messages. Choose"
    )
    assert "lid is not a parameter" in ask(Page(), values={"lid": 1})["error"]


def test_presets_are_what_the_page_sends() -> None:
    for each in PRESETS:
        answer = ask(Page(), values=to_json(each.parameters), seed=each.seed)
        expected = figures.draw("framing", run(each.parameters, each.seed), 10**9)
        assert answer["svg"] == expected
