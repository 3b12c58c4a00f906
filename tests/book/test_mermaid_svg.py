import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from building import build

import mermaid_svg
from conftest import ROOT
from mermaid_grammar import MermaidError, shown_words

BOOK = ROOT / "book"
FLOW = """flowchart LR
  A[write] -->|5 bytes| B[(kernel)]
  B -->|10 bytes| C{read}
"""
SEQUENCE = """sequenceDiagram
  participant C as Client
  participant S as Server
  C->>S: get_customer(42)
  Note over C,S: the deadline runs
  S-->>C: Ada Lovelace
"""
STATE = """stateDiagram-v2
  [*] --> Closed
  Closed --> Open: three failures
"""


@pytest.mark.parametrize("text", [FLOW, SEQUENCE, STATE])
def test_a_drawing_follows_the_theme_and_asks_no_other_host(text: str) -> None:
    svg = mermaid_svg.draw(text, BOOK)
    ElementTree.fromstring(svg)
    assert set(re.findall(r"https?://[^\s\"')]+", svg)) <= {"http://www.w3.org/2000/svg"}
    assert "--bg:var(--rc-paper)" in svg
    # No color of its own: what the theme does not name, it mixes from what the theme names.
    assert not re.findall(r"(?:fill|stroke)=\"#", svg)


def test_drawings_of_one_page_do_not_meddle_with_each_other() -> None:
    first, second = mermaid_svg.draw(FLOW, BOOK), mermaid_svg.draw(STATE, BOOK)
    names = [set(re.findall(r'\bid="([^"]+)"', svg)) for svg in (first, second)]
    assert names[0]
    assert not names[0] & names[1]
    for svg, own in zip((first, second), names, strict=True):
        assert set(re.findall(r"url\(#([^)]+)\)", svg)) <= own
        (styles,) = re.findall(r"<style>(.*?)</style>", svg, re.DOTALL)
        for rule in re.findall(r"^\s*([^\s{}][^{}]*) \{", styles, re.MULTILINE):
            assert rule.startswith(".rc-mermaid-"), rule


def test_labels_are_found() -> None:
    assert shown_words(FLOW) == ["write", "5 bytes", "kernel", "10 bytes", "read"]
    assert "the deadline runs" in shown_words(SEQUENCE)
    assert shown_words(STATE) == ["three failures"]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("flowchart LR\n  A[write] -->\n", 2),
        ("flowchart LR\n  A[write --> B\n", 2),
        ("flowchart LR\n  A --> B\n  this is no diagram\n", 3),
        ("flowchart LR\n\n  %% a remark\n  A -> B\n", 4),
        ("A --> B\n", 1),
        ("", 1),
        ("pie\n  a: 3\n", 1),
        ("sequenceDiagram\n  C->>S get_customer\n", 2),
        ("stateDiagram-v2\n  [*] -> Closed\n", 2),
    ],
)
def test_a_line_that_does_not_parse_is_named(text: str, line: int) -> None:
    with pytest.raises(MermaidError) as caught:
        shown_words(text)
    assert caught.value.line == line


def _source(tmp_path: Path) -> Path:
    """A project that has the book's npm packages."""
    book = tmp_path / "book"
    book.mkdir()
    for name in ("_ext", "node_modules", "package-lock.json", "package.json"):
        (book / name).symlink_to(BOOK / name)
    return tmp_path


def _page(options: str, text: str) -> str:
    return f"# Page\n\nText.\n\n```{{mermaid}}\n{options}{text}```\n"


def test_a_page_shows_the_drawing_with_its_name_and_caption(tmp_path: Path) -> None:
    source = _source(tmp_path)
    options = ':alt: Two writes, "one" read.\n:caption: What the kernel does.\n'
    page = {"index.md": _page(options, FLOW)}
    built = build(source, page, ["mermaid_svg"], exclude_patterns=["_build", "book"])
    assert built.warnings == ""
    figure = built.page().select_one("figure.rc-diagram")
    assert figure is not None
    (svg,) = figure.select("svg")
    assert (svg["role"], svg["aria-label"]) == ("img", 'Two writes, "one" read.')
    assert figure.select_one("figcaption").text.strip().startswith("What the kernel does.")


def test_a_drawing_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = mermaid_svg.cached(FLOW, BOOK, tmp_path)
    monkeypatch.setattr(mermaid_svg, "draw", lambda text, book: pytest.fail("drawn again"))
    assert mermaid_svg.cached(FLOW, BOOK, tmp_path) == first


@pytest.mark.parametrize(
    ("options", "text", "complaint", "place"),
    [
        ("", FLOW, "the option :alt: is required", "index.md:5"),
        (":alt: x\n", "flowchart LR\n  A[write] --\n", "does not parse: 'A[write] --'", "line 8"),
        (":alt: x\n", "gantt\n  title T\n", "'gantt' does not begin a diagram", "line 7"),
    ],
)
def test_a_mistake_is_reported_with_file_and_line(
    tmp_path: Path, options: str, text: str, complaint: str, place: str
) -> None:
    pages = {"index.md": _page(options, text)}
    built = build(_source(tmp_path), pages, ["mermaid_svg"], exclude_patterns=["_build", "book"])
    assert complaint in built.warnings
    assert place in built.warnings
    assert "index" in built.warnings


def test_without_the_npm_package_the_cure_is_named(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="make node"):
        mermaid_svg.draw(FLOW, tmp_path)
