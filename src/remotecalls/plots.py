"""Plots of what was measured, drawn by Matplotlib in the colors of the page they stand on.

A drawing is one SVG element with its text as text. Each color in it names a custom property of the
book, so the same drawing serves the light theme, the dark one and paper. Series differ by the shape
of their mark; color only repeats it.

    dots({"threads": {"1": 9_100, "100": 8_700}}, x_label="calls a second", alt="...")
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from remotecalls.figures import svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PIXELS_AN_INCH = 72  # one unit of Matplotlib's SVG is one CSS pixel
MARKS = "osD^vP"

# Matplotlib wants real colors: each stands for a name, and is replaced by it in the finished text.
STAND_INS = {
    "ink": "#000001",
    "muted": "#000002",
    "line": "#000003",
    "paper": "#000004",
    **{f"c{number}": f"#00001{number}" for number in range(1, 7)},
}


@dataclass(frozen=True)
class Plot:
    """A finished drawing.

    Attributes:
        svg: one SVG element.
        alt: what it shows, in words; also what a terminal prints.
    """

    svg: str
    alt: str

    def __repr__(self) -> str:
        return self.alt

    def _repr_html_(self) -> str:
        return f'<div class="rc-scroll rc-plot">{self.svg}</div>'


def dots(
    rows: Mapping[str, Mapping[str, float]], *, x_label: str, alt: str, legend: str = ""
) -> Plot:
    """One row a subject, one mark a series, on a logarithmic scale.

    Args:
        rows: subject to series to value, above 0. Series are drawn in the order of their first
            appearance, subjects from top to bottom. A subject may lack a series.
        x_label: what the values are, with their unit.
        alt: what the plot shows, in words.
        legend: what the names of the series are, for example "connections"; a plot with one
            series needs none.

    Raises:
        ValueError: there are more series than marks, or a value is not above 0.
    """
    series = list(dict.fromkeys(name for row in rows.values() for name in row))
    if len(series) > len(MARKS):
        raise ValueError(f"{len(series)} series: there are marks for {len(MARKS)}")
    if not all(value > 0 for row in rows.values() for value in row.values()):
        raise ValueError("a logarithmic scale has no place for values that are not above 0")
    figure, axes = _axes(height=0.45 * len(rows) + (1.25 if legend else 0.75))
    subjects = list(rows)
    for number, (name, mark) in enumerate(zip(series, MARKS, strict=False)):
        places = [place for place, each in enumerate(subjects) if name in rows[each]]
        axes.plot(
            [rows[subjects[place]][name] for place in places],
            places,
            mark,
            color=STAND_INS[f"c{number + 1}"],
            markersize=8,
            markeredgecolor=STAND_INS["paper"],
            label=name,
        )
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.10g}")
    axes.set_yticks(range(len(subjects)), subjects)
    axes.set_ylim(len(subjects) - 0.5, -0.5)
    axes.set_xlabel(x_label)
    if legend:
        box = axes.legend(
            title=legend,
            ncols=len(series),
            loc="lower left",
            bbox_to_anchor=(0, 1),
            frameon=False,
            labelcolor=STAND_INS["ink"],
            fontsize=svg.TEXT_PIXELS,
            title_fontsize=svg.TEXT_PIXELS,
            alignment="left",
        )
        box.get_title().set_color(STAND_INS["ink"])
    return Plot(_themed(figure, alt), alt)


def shares(rows: Mapping[str, Mapping[str, float]], *, x_label: str, alt: str) -> Plot:
    """One bar a subject, cut into the parts of its series, each with its name and its value.

    Args:
        rows: subject to series to value, 0 or above. Parts lie in the order of their series.
        x_label: what the values are, with their unit.
        alt: what the plot shows, in words.

    Raises:
        ValueError: a value is below 0, or there are more series than colors.
    """
    series = list(dict.fromkeys(name for row in rows.values() for name in row))
    if len(series) > 6:
        raise ValueError(f"{len(series)} series: there are colors for 6")
    if not all(value >= 0 for row in rows.values() for value in row.values()):
        raise ValueError("no part of a bar is below 0")
    figure, axes = _axes(height=0.42 * len(rows) + 0.75)
    for place, row in enumerate(rows.values()):
        start = 0.0
        for number, name in enumerate(series):
            value = row.get(name, 0)
            if not value:
                continue
            axes.barh(
                place,
                value,
                left=start,
                height=0.7,
                color=STAND_INS["paper"],
                edgecolor=STAND_INS[f"c{number + 1}"],
                linewidth=2,
            )
            axes.text(
                start + value / 2,
                place,
                f"{name} {value:,.0f}",
                ha="center",
                va="center",
                color=STAND_INS["ink"],
                fontsize=svg.TEXT_PIXELS,
            )
            start += value
    axes.set_yticks(range(len(rows)), list(rows))
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlabel(x_label)
    return Plot(_themed(figure, alt), alt)


def curves(
    series: Mapping[str, Sequence[tuple[float, float]]],
    *,
    x_label: str,
    y_label: str,
    alt: str,
) -> Plot:
    """Lines through points, one a series, in the order of the points.

    A line ends in a mark of its own shape; a line may come back over values of x that it had.

    Args:
        series: name to points, x and y.
        x_label: what x is, with its unit.
        y_label: what y is, with its unit.
        alt: what the plot shows, in words.

    Raises:
        ValueError: there are more series than marks, or one has no points.
    """
    if len(series) > len(MARKS):
        raise ValueError(f"{len(series)} series: there are marks for {len(MARKS)}")
    if empty := [name for name, points in series.items() if not points]:
        raise ValueError(f"no points: {', '.join(empty)}")
    figure, axes = _axes(height=3.4)
    for number, (name, points) in enumerate(series.items()):
        axes.plot(
            [x for x, _ in points],
            [y for _, y in points],
            color=STAND_INS[f"c{number + 1}"],
            linewidth=2,
            linestyle=("-", "--", ":", "-.")[number % 4],
            marker=MARKS[number],
            markersize=6,
            markerfacecolor=STAND_INS["paper"],
            markevery=max(1, len(points) // 8),
            label=name,
        )
    axes.set_ylim(bottom=0)
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    axes.yaxis.label.set(color=STAND_INS["ink"], fontsize=svg.TEXT_PIXELS)
    axes.legend(
        loc="lower left",
        bbox_to_anchor=(0, 1),
        ncols=len(series),
        frameon=False,
        labelcolor=STAND_INS["ink"],
        fontsize=svg.TEXT_PIXELS,
    )
    return Plot(_themed(figure, alt), alt)


def _axes(height: float) -> tuple[Figure, Axes]:
    # Importing Matplotlib takes half a second, and nothing of it is needed to serve a shop.
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    figure = Figure(figsize=(svg.WIDE / PIXELS_AN_INCH, height), layout="constrained")
    FigureCanvasSVG(figure)
    figure.patch.set_alpha(0)
    axes = figure.add_subplot()
    axes.patch.set_alpha(0)
    axes.grid(axis="x", color=STAND_INS["line"], linewidth=0.5, alpha=0.5)
    axes.grid(axis="y", color=STAND_INS["line"], linewidth=0.5, alpha=0.25)
    axes.set_axisbelow(True)
    for spine in axes.spines.values():
        spine.set_color(STAND_INS["line"])
    axes.tick_params(which="both", colors=STAND_INS["ink"], labelsize=svg.TEXT_PIXELS)
    axes.xaxis.label.set(color=STAND_INS["ink"], fontsize=svg.TEXT_PIXELS)
    return figure, axes


def _themed(figure: Figure, alt: str) -> str:
    import matplotlib

    # Names inside the drawing are made from the salt; two plots of one page must not share any.
    text = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": alt}):
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None, "Format": None})
    drawing = text.getvalue()
    drawing = drawing[drawing.index("<svg") :]
    drawing = re.sub(r"<metadata>.*?</metadata>", "", drawing, flags=re.DOTALL)
    for name, stand_in in STAND_INS.items():
        drawing = drawing.replace(stand_in, svg.color(name))
    used = set(re.findall(r"#([a-z0-9]+)\b", drawing))
    drawing = re.sub(r' id="([^"]*)"', lambda found: found[0] if found[1] in used else "", drawing)
    # The page's own font; and pixels, for a point would be a third larger.
    drawing = re.sub(r" font-family: [^;\"]*;?", "", drawing)
    drawing = re.sub(r'(width|height)="([\d.]+)pt"', r'\1="\2"', drawing)
    label = f'<svg role="img" aria-label="{escape(alt)}" class="rc-plot-drawing" '
    return drawing.replace("<svg ", label, 1)
