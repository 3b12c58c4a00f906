"""Colors: enough contrast in both themes, and one palette for pages and drawings."""

import re
from itertools import combinations

import pytest

from conftest import ROOT
from mermaid_svg import PALETTE

STYLES = (ROOT / "book" / "_static" / "remotecalls.css").read_text("utf-8")
TEXT = ["ink", "muted", "accent", "good", "warn", "bad", *(f"c{n}" for n in range(1, 7))]
GROUNDS = ["paper", "surface", "raised"]


def tokens(theme: str) -> dict[str, str]:
    selector = {"light": r"html", "dark": r'html\[data-theme="dark"\]'}[theme]
    block = re.search(rf"^{selector} \{{(.*?)^\}}", STYLES, re.DOTALL | re.MULTILINE)
    assert block is not None
    return dict(re.findall(r"--rc-([\w-]+): (#[0-9a-f]{6});", block[1]))


def channels(color: str) -> list[float]:
    return [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]


def luminance(color: str) -> float:
    """Relative luminance (WCAG 2.2)."""
    red, green, blue = (
        value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4
        for value in channels(color)
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(first: str, second: str) -> float:
    dark, light = sorted((luminance(first), luminance(second)))
    return (light + 0.05) / (dark + 0.05)


def test_the_measure_itself() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("ground", GROUNDS)
@pytest.mark.parametrize("name", TEXT)
def test_text_can_be_read_on_every_ground(theme: str, ground: str, name: str) -> None:
    colors = tokens(theme)
    # Categorical colors are for paper and code; everything reaches AAA there and AA everywhere.
    assert contrast(colors[name], colors[ground]) >= (4.5 if ground == "raised" else 7)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_edges_of_controls_can_be_seen(theme: str) -> None:
    colors = tokens(theme)
    assert contrast(colors["edge"], colors["paper"]) >= 3
    assert contrast(colors["on-accent"], colors["accent"]) >= 7


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_categories_differ(theme: str) -> None:
    colors = [channels(tokens(theme)[f"c{number}"]) for number in range(1, 7)]
    for first, second in combinations(colors, 2):
        assert sum(abs(a - b) for a, b in zip(first, second, strict=True)) > 0.25


def test_code_is_colored_with_tokens_alone() -> None:
    rules = re.findall(r"^\.highlight (?::is|\.)[^{]*\{(.*?)\}", STYLES, re.DOTALL | re.MULTILINE)
    used = {color for rule in rules for color in re.findall(r"(?<!-)color: ([^;]+);", rule)}
    assert used == {f"var(--rc-{name})" for name in ("muted", "bad", "c1", "c2", "c3", "c4", "c5")}


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_drawings_use_the_palette_of_the_pages(theme: str) -> None:
    names = {color.removeprefix("var(--rc-").removesuffix(")") for color in PALETTE.values()}
    assert names <= tokens(theme).keys()
