from pathlib import Path

import pytest
from building import build

GOOD = """# A chapter

```{chapter-box}
:minutes: 40
:lab: sockets
:read-first: /before
:starts: two servers on `127.0.0.1`
```
"""
PAGES = {
    "index.md": GOOD + "\n```{toctree}\nbefore\nlabs/sockets\n```\n",
    "before.md": "# What comes before\n",
    "labs/sockets.md": "# The lab of sockets\n\nText.\n",
    "labs/sockets.ipynb": "{}",
}


def test_the_box_tells_minutes_prerequisites_and_how_to_run_the_lab(tmp_path: Path) -> None:
    built = build(tmp_path, PAGES, ["chapter_box"], source_suffix={".md": "markdown"})
    assert built.warnings == ""
    box = built.page().select_one("div.rc-chapter-box")
    assert box is not None
    assert box["role"] == "note"
    assert box["aria-label"] == "About this chapter"
    facts = {term.text.strip(): term.find_next("dd") for term in box.select("dt")}
    assert facts["Time"].text.strip() == "40 minutes"
    assert facts["Read first"].a["href"] == "before.html"
    assert facts["Read first"].text.strip() == "What comes before"
    assert facts["The lab starts"].text.strip() == "two servers on 127.0.0.1"
    run = box.select_one("p.rc-run-lab")
    assert [code.text for code in run.select("code")][:2] == ["make lab", "labs/sockets.ipynb"]
    page, download = run.select("a")
    assert (page["href"], page.text) == ("labs/sockets.html", "The lab of sockets")
    assert download.text == "Download sockets.ipynb"
    assert (built.site / download["href"]).read_text() == "{}"


def test_every_page_of_a_lab_says_how_to_run_it(tmp_path: Path) -> None:
    built = build(tmp_path, PAGES, ["chapter_box"], source_suffix={".md": "markdown"})
    page = built.page("labs/sockets")
    box = page.select_one("div.rc-lab-box")
    assert box is not None
    assert box.find_previous_sibling("h1") is not None
    assert "make lab" in box.text
    assert (built.site / "labs" / box.select_one("a")["href"]).resolve().is_file()
    assert not built.page("before").select("div.rc-lab-box")


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (":minutes: 40\n", "the option :minutes: is required"),
        ((":minutes: 40", ":minutes: soon"), "soon"),
        ((":minutes: 40", ":minutes: 0"), "Invalid option value"),
        ((":lab: sockets", ":lab: sokcets"), "there is no lab 'sokcets'"),
        (":starts: two servers on `127.0.0.1`\n", "say with :starts: what the lab starts"),
        (("/before", "/befor"), "unknown document: '/befor'"),
    ],
)
def test_a_box_with_a_mistake_stops_the_build(
    tmp_path: Path, change: str | tuple[str, str], complaint: str
) -> None:
    old, new = change if isinstance(change, tuple) else (change, "")
    pages = {**PAGES, "index.md": PAGES["index.md"].replace(old, new)}
    built = build(tmp_path, pages, ["chapter_box"], source_suffix={".md": "markdown"})
    assert complaint in built.warnings
    assert "index.md" in built.warnings
