from pathlib import Path
from xml.etree import ElementTree

import pytest
from building import build
from sphinx.errors import ExtensionError

from conftest import ROOT
from mathml import NAMESPACE, to_mathml

TEX = r"T = \frac{n}{\lambda} + \sum_{i=1}^{n} t_i"


def test_a_formula_keeps_its_source_for_copying_and_for_reading_aloud() -> None:
    root = ElementTree.fromstring(to_mathml(TEX, display=True))
    assert root.tag == f"{{{NAMESPACE}}}math"
    assert root.get("display") == "block"
    assert root.get("alttext") == TEX
    annotation = root.find(f".//{{{NAMESPACE}}}annotation")
    assert annotation is not None
    assert annotation.text == TEX
    assert root.find(f".//{{{NAMESPACE}}}mfrac") is not None


@pytest.mark.parametrize("tex", [r"\frac{1", r"\nosuchcommand{x}", r"a_{b"])
def test_what_is_no_formula_is_refused(tex: str) -> None:
    with pytest.raises(ExtensionError, match="formula"):
        to_mathml(tex, display=False)


def test_pages_hold_mathml_and_no_script_for_it(tmp_path: Path) -> None:
    text = "# Page\n\nInline $x^2$ and\n\n$$\nE = mc^2\n$$ (energy)\n\nSee {eq}`energy`.\n"
    built = build(tmp_path, {"index.md": text}, ["mathml"], html_math_renderer="mathml")
    assert built.warnings == ""
    page = built.page()
    assert [math.get("display") for math in page.select("math")] == ["inline", "block"]
    assert "(1)" in page.select_one("span.eqno").text
    assert not [script for script in page.select("script[src]") if "mathjax" in script["src"]]


def test_a_wrong_formula_is_reported_with_its_place(tmp_path: Path) -> None:
    text = "# Page\n\nText.\n\n$$\n\\nosuchcommand{x}\n$$\n"
    built = build(tmp_path, {"index.md": text}, ["mathml"], html_math_renderer="mathml")
    assert "latex2mathml does not know \\nosuchcommand" in built.warnings
    assert "index.md:5" in built.warnings


def test_the_book_uses_the_renderer() -> None:
    assert "html_math_renderer: mathml" in (ROOT / "_config.yml").read_text()
