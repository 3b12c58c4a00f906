"""Plots of measured results: every value is there, no fixed color, nothing shared between two."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from remotecalls.plots import MARKS, curves, dots, shares

RATES = {
    "event loop": {"1": 9_100.0, "100": 12_000.0},
    "threads": {"1": 8_000.0, "100": 7_000.0},
    "a process for each": {"1": 20.0},
}


def test_each_value_has_a_mark_at_its_place() -> None:
    plot = dots(RATES, x_label="calls a second", alt="Rates.", legend="connections")
    root = ElementTree.fromstring(plot.svg)
    svg = "{http://www.w3.org/2000/svg}"
    texts = ["".join(text.itertext()) for text in root.iter(f"{svg}text")]
    assert {"event loop", "threads", "a process for each", "connections", "1", "100"} <= set(texts)
    groups: dict[str, list[tuple[float, float]]] = {}
    for use in root.iter(f"{svg}use"):
        mark = re.search(r"--rc-(c\d)", use.get("style", ""))
        if mark and float(use.get("y", "0")) > 50:  # below the legend
            place = float(use.get("x", "0")), float(use.get("y", "0"))
            groups.setdefault(mark[1], []).append(place)
    assert {name: len(places) for name, places in groups.items()} == {"c1": 3, "c2": 2}
    loop, threads, processes = groups["c1"]
    assert loop[0] > threads[0] > processes[0]  # the rate, from left to right
    assert loop[1] < threads[1] < processes[1]  # the order of the rows, from top to bottom


SPREADS = {"one connection": {"A": 0, "B": 90}, "each call": {"A": 30, "B": 30, "C": 30}}


def test_each_part_of_a_bar_has_its_name_and_value_in_order() -> None:
    plot = shares(SPREADS, x_label="calls", alt="Who got ninety calls.")
    root = ElementTree.fromstring(plot.svg)
    svg = "{http://www.w3.org/2000/svg}"
    texts = {"".join(each.itertext()): each for each in root.iter(f"{svg}text")}
    assert {"one connection", "each call", "B 90", "A 30", "B 30", "C 30"} <= set(texts)
    assert "A 0" not in texts
    places = [float(texts[f"{name} 30"].get("x", "nan")) for name in "ABC"]
    assert places == sorted(places)
    colors = re.findall(r"(?:fill|stroke): ([^;\"]+)", plot.svg)
    assert {color for color in colors if not color.startswith("var(--rc-")} <= {"none"}
    with pytest.raises(ValueError, match="below 0"):
        shares({"all": {"A": -1}}, x_label="calls", alt="")


def test_every_color_comes_from_the_page() -> None:
    plot = dots(RATES, x_label="calls a second", alt="Rates.", legend="connections")
    colors = re.findall(r"(?:fill|stroke): ([^;\"]+)", plot.svg)
    assert {color for color in colors if not color.startswith("var(--rc-")} <= {"none"}
    assert "font-family" not in plot.svg


def test_two_plots_of_one_page_share_no_identifier() -> None:
    one, other = (dots(RATES, x_label="calls a second", alt=alt) for alt in ("One.", "Other."))
    ids = [set(re.findall(r' id="([^"]+)"', plot.svg)) for plot in (one, other)]
    assert ids[0]
    assert ids[0].isdisjoint(ids[1])
    assert one.svg == dots(RATES, x_label="calls a second", alt="One.").svg


def test_the_alternative_is_what_a_terminal_prints_and_what_a_screen_reader_says() -> None:
    plot = dots(RATES, x_label="calls a second", alt='Less than "all" & more.')
    assert repr(plot) == 'Less than "all" & more.'
    assert ElementTree.fromstring(plot.svg).get("aria-label") == 'Less than "all" & more.'


def test_what_cannot_be_drawn_is_refused() -> None:
    with pytest.raises(ValueError, match="not above 0"):
        dots({"threads": {"1": 0.0}}, x_label="", alt="")
    too_many = {"threads": {str(number): 1.0 for number in range(len(MARKS) + 1)}}
    with pytest.raises(ValueError, match="7 series: there are marks for 6"):
        dots(too_many, x_label="", alt="")


def test_a_curve_may_come_back_and_has_a_mark_of_its_own() -> None:
    up, down = [(1.0, 1.0), (2.0, 2.0), (3.0, 0.5)], [(3.0, 0.5), (1.0, 0.2)]
    plot = curves({"up": up, "down": down}, x_label="load", y_label="goodput", alt="A loop.")
    root = ElementTree.fromstring(plot.svg)
    assert root.get("aria-label") == "A loop."
    words = [
        "".join(each.itertext()).strip() for each in root.iter("{http://www.w3.org/2000/svg}text")
    ]
    assert {"up", "down", "load", "goodput"} <= set(words)
    assert "--rc-c1" in plot.svg
    assert "--rc-c2" in plot.svg
    with pytest.raises(ValueError, match="no points: down"):
        curves({"up": up, "down": []}, x_label="x", y_label="y", alt="a")
    with pytest.raises(ValueError, match="marks for 6"):
        curves(dict.fromkeys("abcdefg", up), x_label="x", y_label="y", alt="a")
