"""SVG as text: elements with escaped content, ticks of an axis, colors that follow the theme.

Drawings are strings, built with the standard library alone, so that the same code draws at build
time, in the reader's browser and in a lab. Numbers are written with at most one decimal; equal
results therefore give equal text everywhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape

from remotecalls.simulators.parameters import format_quantity

NARROW = 360
"""The width of a drawing for a phone, in CSS pixels."""

WIDE = 640
"""The width of a drawing for the book's column or a lab, in CSS pixels."""

TEXT_PIXELS = 12
"""The size of all text: legible where the drawing is shown at its own width or more."""

LETTER_PIXELS = 6.8
"""How wide a letter of that size is, on the wide side of common fonts."""

# Each color names the book's custom property, then JupyterLab's, then a value that stands on
# its own. The categorical fallbacks keep 3:1 against white and against JupyterLab's dark paper.
_COLORS = {
    "ink": "var(--rc-ink, var(--jp-ui-font-color1, #1c2024))",
    "muted": "var(--rc-muted, var(--jp-ui-font-color2, #5a6472))",
    "paper": "var(--rc-paper, var(--jp-layout-color0, #ffffff))",
    "line": "var(--rc-edge, var(--jp-border-color0, #8a94a3))",
    "accent": "var(--rc-accent, #2f7fc1)",
    "good": "var(--rc-good, #2a8a4a)",
    "bad": "var(--rc-bad, #d0453f)",
    "c1": "var(--rc-c1, #2f7fc1)",
    "c2": "var(--rc-c2, #c2621b)",
    "c3": "var(--rc-c3, #2a8a4a)",
    "c4": "var(--rc-c4, #b0479f)",
    "c5": "var(--rc-c5, #8a7400)",
    "c6": "var(--rc-c6, #7a63d2)",
}


class Markup(str):
    """Text that is SVG already; any other string is escaped when it enters an element."""

    __slots__ = ()


def element(name: str, *children: str, **attributes: str | int | float | None) -> Markup:
    """Return one element; an underscore in an attribute's name becomes a hyphen.

    An attribute that is None is left out; one whose name ends in an underscore (`class_`) loses it.

    >>> element("text", "a < b", x=1.25, text_anchor="middle")
    '<text x="1.2" text-anchor="middle">a &lt; b</text>'
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_written(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    inside = "".join(each if isinstance(each, Markup) else escape(each) for each in children)
    return Markup(f"<{name}{written}>{inside}</{name}>" if inside else f"<{name}{written}/>")


def _written(value: str | int | float) -> str:
    if isinstance(value, float):
        return f"{value:.1f}".removesuffix(".0")
    return str(value)


def join(parts: Iterable[Markup]) -> Markup:
    """Put elements one after the other."""
    return Markup("".join(parts))


def color(name: str) -> str:
    """Return the CSS value of a color of the book: ink, muted, paper, line, good, bad, c1 to c6.

    Raises:
        KeyError: there is no color of that name.
    """
    return _COLORS[name]


def category(index: int) -> str:
    """Return the name of the categorical color for the thing number `index`, from zero."""
    return f"c{index % 6 + 1}"


def text(
    content: str,
    x: float,
    y: float,
    *,
    anchor: str = "start",
    tone: str = "ink",
    bold: bool = False,
) -> Markup:
    """Return a line of text with its baseline at `y`, with a halo of paper behind the letters."""
    weight = "font-weight:600;" if bold else ""
    style = (
        f"{weight}fill:{color(tone)};stroke:{color('paper')};stroke-width:3px;"
        "paint-order:stroke;stroke-linejoin:round"
    )
    return element("text", content, x=x, y=y, text_anchor=anchor, style=style)


def box(
    x: float, y: float, width: float, height: float, *, tone: str, fill: float = 0.0,
    dashed: bool = False, thick: bool = False,
) -> Markup:  # fmt: skip
    """Return a rectangle outlined in `tone`, filled with it to the opacity `fill`."""
    style = (
        f"fill:{color(tone)};fill-opacity:{fill:g};stroke:{color(tone)};"
        f"stroke-width:{2 if thick else 1}px"
    )
    if dashed:
        style += ";stroke-dasharray:3 2"
    return element("rect", x=x, y=y, width=max(width, 1.0), height=height, rx=2, style=style)


def line(
    x1: float, y1: float, x2: float, y2: float, *, tone: str, dashed: bool = False,
    thick: bool = False,
) -> Markup:  # fmt: skip
    """Return a straight line."""
    style = f"stroke:{color(tone)};stroke-width:{2 if thick else 1}px"
    if dashed:
        style += ";stroke-dasharray:3 3"
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, style=style)


def dot(x: float, y: float, radius: float, *, tone: str) -> Markup:
    """Return a filled circle."""
    return element("circle", cx=x, cy=y, r=radius, style=f"fill:{color(tone)}")


def check_width(width: int) -> None:
    """Refuse a drawing that is too narrow for its labels.

    Raises:
        ValueError: `width` is below `NARROW`.
    """
    if width < NARROW:
        raise ValueError(f"width is {width}; the narrowest drawing is {NARROW} pixels")


def legend(
    entries: Mapping[str, Markup], width: int, *, sample: int = 18, row: int = 18
) -> tuple[Markup, float]:
    """Return samples with their names beside them, in as many rows as they need, from the top.

    Args:
        entries: name to sample; each sample is drawn from 0 to the right and downwards.
        width: of the drawing in pixels.
        sample: how wide a sample is.
        row: how high a row is; the names stand in its middle.

    Returns:
        The legend, and where it ends below.
    """
    parts, x, y = [], 4.0, 0.0
    for name, mark in entries.items():
        long = sample + 6 + len(name) * LETTER_PIXELS
        if x + long > width and x > 4:
            x, y = 4.0, y + row
        parts.append(element("g", mark, transform=f"translate({x:g} {y:g})"))
        parts.append(text(name, x + sample + 6, y + (row + 4) / 2))
        x += long + 14
    return join(parts), y + row


def picture(width: int, height: int, label: str, parts: Iterable[Markup]) -> str:
    """Return the whole drawing: an image with a text alternative, scaled to its container."""
    style = (
        f"display:block;width:100%;max-width:{width}px;height:auto;"
        f"font:{TEXT_PIXELS}px var(--rc-sans, system-ui, sans-serif);"
        "font-variant-numeric:lining-nums tabular-nums"
    )
    return element(
        "svg",
        join(parts),
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {width} {height}",
        role="img",
        aria_label=label,
        style=style,
    )


def ticks(end: int, at_most: int) -> list[int]:
    """Return round values from 0 to `end`: steps of 1, 2 or 5 times a power of ten.

    Raises:
        ValueError: `at_most` leaves no room for zero and one more.

    >>> ticks(150_000, 5)
    [0, 50000, 100000, 150000]
    """
    if at_most < 2:
        raise ValueError(f"at_most is {at_most}; an axis has at least 2 ticks")
    magnitude = 1
    while True:
        for factor in (1, 2, 5):
            step = factor * magnitude
            if end // step + 1 <= at_most:
                return list(range(0, end + 1, step))
        magnitude *= 10


def time_axis(end_us: int, left: float, right: float, y: float) -> Markup:
    """Return an axis of simulated time from 0 to `end_us`, with its labels below `y`."""
    scale = (right - left) / max(end_us, 1)
    parts = [line(left, y, right, y, tone="line")]
    for tick_us in ticks(end_us, max(2, int((right - left) // 70))):
        x = left + tick_us * scale
        parts.append(line(x, y, x, y + 4, tone="line"))
        anchor = "end" if x > right - 20 else "middle"
        parts.append(text(format_quantity(tick_us, "µs"), x, y + 15, anchor=anchor, tone="muted"))
    return join(parts)
