import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remotecalls.figures import svg
from remotecalls.figures.table import Table, to_html

STYLE = Path(__file__).parents[2] / "book" / "_static" / "remotecalls.css"


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"])))
def test_any_text_is_escaped_and_comes_back(content: str) -> None:
    drawn = svg.element("text", content, data_note=content)
    parsed = ElementTree.fromstring(f"<svg>{drawn}</svg>")
    assert (parsed[0].text or "") == content
    assert parsed[0].get("data-note") == content


def test_markup_is_not_escaped_twice_and_none_is_left_out() -> None:
    inner = svg.element("b", "a & b")
    assert svg.element("g", inner, id=None, class_="x", x=2.0) == (
        '<g class="x" x="2"><b>a &amp; b</b></g>'
    )


@given(st.integers(0, 10**10), st.integers(2, 40))
def test_ticks_are_round_evenly_spaced_and_few(end: int, at_most: int) -> None:
    found = svg.ticks(end, at_most)
    assert found[0] == 0
    assert found[-1] <= end
    assert len(found) <= at_most
    if len(found) > 1:
        step = found[1]
        assert str(step).rstrip("0") in {"1", "2", "5"}
        assert found == list(range(0, end + 1, step))
        # The next finer step, at least 2/5 of this one, would have been too many.
        assert len(found) * 2.5 + 1 >= at_most or step == 1


def test_an_axis_needs_two_ticks() -> None:
    with pytest.raises(ValueError, match="at least 2 ticks"):
        svg.ticks(100, 1)


def test_every_color_is_one_of_the_book_s_with_a_fallback() -> None:
    style = STYLE.read_text("utf-8")
    names = ["ink", "muted", "paper", "line", "accent", "good", "bad"]
    for name in names + [svg.category(index) for index in range(6)]:
        [custom] = re.findall(r"^var\((--rc-[a-z0-9]+), ", svg.color(name))
        assert f"{custom}:" in style
        assert re.search(r"#[0-9a-f]{6}\)+$", svg.color(name))
    assert svg.category(6) == svg.category(0)


def test_a_table_escapes_its_cells_and_scopes_its_headers() -> None:
    table = Table("a < b", ("x", "y"), (("1", "<2>"),))
    assert to_html([table]) == (
        '<table><caption>a &lt; b</caption><thead><tr><th scope="col">x</th>'
        '<th scope="col">y</th></tr></thead><tbody><tr><th scope="row">1</th>'
        "<td>&lt;2&gt;</td></tr></tbody></table>"
    )
