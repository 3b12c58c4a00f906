"""The annotated hex view in a real browser, on a page of its own."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from construct import Int8ub, Int16ub, Struct, this
from playwright.sync_api import Browser, Page

from conftest import NARROW, ROOT, WIDE, axe_violations
from remotecalls.wire.dissect import dissect_messages, labelled, sized, text_with_length
from remotecalls.wire.hexview import to_html

STATIC = ROOT / "book" / "_static"

GREETING = Struct(
    labelled("length", Int16ub, kind="length", meaning="bytes that follow"),
    sized(
        this.length,
        Struct(
            labelled("type", Int8ub, kind="type", meaning={1: "hello"}),
            text_with_length("name", Int8ub, meaning="who calls"),
        ),
    ),
)
DATA = b"\0\x0e\x01\x0cAda Lovelace" + b"\0\x03\x01\x02A" + b"\0\x05\x01\x03A"
MARK = "rgb(255, 216, 77)"

OpenView = Callable[..., Page]


@pytest.fixture
def open_view(browser: Browser) -> Iterator[OpenView]:
    """Return a function that opens a page with two views.

    Args of that function: the theme ("light", "dark", or None for a page without the book's
    colors), the bytes in a row, whether `wire-view.js` is there, and Playwright's options.
    """
    contexts = []

    def open_one(
        theme: str | None = "light", width: int = 8, script: bool = True, **options: Any
    ) -> Page:
        context = browser.new_context(**{"viewport": WIDE, **options})
        contexts.append(context)
        page = context.new_page()
        dissection = dissect_messages(DATA, GREETING)
        views = [to_html(dissection, caption, bytes_per_row=width) for caption in ("One", "Two")]
        colors = (STATIC / "remotecalls.css").read_text("utf-8") if theme else ""
        code = (STATIC / "wire-view.js").read_text("utf-8") if script else ""
        page.set_content(
            f'<!doctype html><html lang="en" data-theme="{theme}"><head><title>Bytes</title>'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<style>{colors}</style></head><body><main><h1>Bytes</h1>{''.join(views)}</main>"
            f'<script type="module">{code}</script></body></html>'
        )
        return page

    yield open_one
    for context in contexts:
        context.close()


def marked(page: Page) -> list[list[str]]:
    """Return, for each view, the classes of the elements that are marked."""
    found: list[list[str]] = page.evaluate(
        """mark => [...document.querySelectorAll(".rc-wire")].map(view =>
            [...new Set([...view.querySelectorAll("[class^=f]")]
                .filter(each => getComputedStyle(each).backgroundColor === mark)
                .map(each => each.tagName.toLowerCase() + "." + each.className.split(" ")[0]))])
        """,
        MARK,
    )
    return found


FIELD_4 = ["td.f3", "span.f3", "li.f3"]


@pytest.mark.parametrize("theme", ["light", "dark", None])
@pytest.mark.parametrize(("viewport", "width"), [(WIDE, 8), (WIDE, 16), (NARROW, 8), (NARROW, 16)])
def test_axe_finds_nothing_and_nothing_sticks_out(
    open_view: OpenView, theme: str | None, viewport: dict[str, int], width: int
) -> None:
    page = open_view(theme, width, viewport=viewport)
    page.locator("li.f3 input").first.check()
    assert axe_violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
    overflow = (
        "[...document.querySelectorAll('.rc-wire-dump')].some(e => e.scrollWidth > e.clientWidth)"
    )
    assert page.evaluate(overflow) == (width == 16 and viewport is NARROW)


def test_pointing_at_a_byte_marks_its_field(open_view: OpenView) -> None:
    page = open_view(script=False)
    assert marked(page) == [[], []]
    page.locator("td.f3").nth(4).hover()
    assert marked(page) == [FIELD_4, []]


def test_pointing_at_a_field_marks_its_bytes(open_view: OpenView) -> None:
    page = open_view(script=False)
    page.locator("li.f3").nth(1).hover()
    assert marked(page) == [[], FIELD_4]


def test_the_keyboard_goes_through_the_fields(open_view: OpenView) -> None:
    page = open_view(script=False)
    page.keyboard.press("Tab")
    assert marked(page)[0] == ["td.f0", "span.f0", "li.f0"]
    for _ in range(3):
        page.keyboard.press("ArrowDown")
    assert marked(page) == [FIELD_4, []]
    outline = "getComputedStyle(document.querySelector('li.f3')).outlineStyle"
    assert page.evaluate(outline) == "solid"
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowDown")
    assert marked(page) == [FIELD_4, ["td.f1", "span.f1", "li.f1"]]
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.tagName") == "BODY"


def test_without_scripts_all_of_it_is_there(open_view: OpenView) -> None:
    page = open_view(script=False, java_script_enabled=False)
    text = page.locator(".rc-wire").first.inner_text()
    assert '"Ada Lovelace"' in text
    assert "incomplete" in text
    assert page.locator("li.f3").first.is_visible()


def test_a_click_on_a_byte_chooses_its_field_and_escape_none(open_view: OpenView) -> None:
    page = open_view()
    page.locator("td.f3").first.click()
    page.mouse.move(0, 0)
    assert marked(page) == [FIELD_4, []]
    assert page.locator("input:checked").get_attribute("value") == "4"
    assert page.evaluate("document.activeElement.value") == "4"
    page.keyboard.press("Escape")
    assert marked(page) == [[], []]


def test_the_view_does_not_need_color(open_view: OpenView) -> None:
    """In a forced palette the chosen field is still set off, by an outline."""
    page = open_view(forced_colors="active")
    page.locator("li.f3 input").first.check()
    page.mouse.move(0, 0)
    page.evaluate("document.activeElement.blur()")
    styles = (
        "[...document.querySelectorAll('td.f2, td.f3')].map(e => getComputedStyle(e).outlineStyle)"
    )
    assert set(page.evaluate(styles)) == {"none", "solid"}
    lines = {
        kind: page.evaluate(
            f"getComputedStyle(document.querySelector('td.k-{kind}')).borderBottomStyle"
        )
        for kind in ("length", "type", "value", "incomplete")
    }
    assert lines == {"length": "solid", "type": "double", "value": "solid", "incomplete": "dashed"}
