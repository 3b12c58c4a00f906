from pathlib import Path
from types import SimpleNamespace

import pytest
from bs4 import BeautifulSoup
from sphinx.errors import ExtensionError

from conftest import ROOT
from fonts import faces
from icons import ICONS, icon_styles
from theme_cleanup import drop_files, mend_body, navigation, select_assets


def _asset(name: str, **attributes: str) -> SimpleNamespace:
    return SimpleNamespace(filename=name, attributes=attributes)


def test_loaders_of_other_code_are_dropped_and_our_style_comes_last() -> None:
    context = {
        "css_files": [
            _asset("_static/remotecalls.css"),
            _asset("_static/styles/pydata-sphinx-theme.css"),
            _asset("_static/other.css"),
            _asset("_static/other.css"),
        ],
        "script_files": [
            _asset("https://cdn.example/require.min.js"),
            _asset("_static/frame.js"),
            _asset("", body="DOCUMENTATION_OPTIONS.pagename = 'x';"),
        ],
    }
    select_assets(context)
    assert [style.filename for style in context["css_files"]] == [
        "_static/other.css",
        "_static/remotecalls.css",
    ]
    assert [script.filename for script in context["script_files"]] == ["_static/frame.js"]


def test_heading_links_say_where_they_lead() -> None:
    html = '<h2>Short reads<a class="headerlink" href="#s" title="Link to this heading">#</a></h2>'
    link = BeautifulSoup(mend_body(html), "html.parser").a
    assert link is not None
    assert link["aria-label"] == "Link to: Short reads"
    assert "title" not in link.attrs


def test_a_dropdown_is_a_details_element() -> None:
    html = (
        '<div class="admonition dropdown note"><p class="admonition-title">A side road</p>'
        "<p>Text</p></div>"
    )
    details = BeautifulSoup(mend_body(html), "html.parser").details
    assert details is not None
    assert details.summary is not None
    assert details.summary.text == "A side road"


def test_folded_code_has_one_name() -> None:
    html = (
        '<details class="admonition hide above-input"><summary aria-label="Toggle hidden content">'
        '<p class="collapsed admonition-title">Show code cell source</p>'
        '<p class="expanded admonition-title">Hide code cell source</p></summary>'
        "<pre>x</pre></details>"
    )
    details = BeautifulSoup(mend_body(html), "html.parser").details
    assert details is not None
    assert details.summary is not None
    assert "aria-label" not in details.summary.attrs
    assert details.get_text() == "The code of this cellx"


def test_header_cells_get_a_scope() -> None:
    html = "<table><thead><tr><th>a</th></tr></thead><tbody><tr><th>b</th></tr></tbody></table>"
    cells = BeautifulSoup(mend_body(html), "html.parser").find_all("th")
    assert [cell["scope"] for cell in cells] == ["col", "row"]


def test_the_bibliography_is_a_list() -> None:
    html = (
        '<div class="citation-list" role="list">'
        '<div class="citation" role="doc-biblioentry">x</div></div>'
    )
    soup = BeautifulSoup(mend_body(html), "html.parser")
    assert soup.select_one("ul.citation-list > li.citation") is not None
    assert not soup.select("[role]")


def test_the_navigation_labels_its_lists_and_marks_the_page() -> None:
    tree = (
        '<p aria-level="2" class="caption" role="heading"><span>Part I</span></p>'
        '<ul class="current"><li class="current"><a class="current" href="#">Here</a></li>'
        '<li><a href="b.html">There</a></li></ul>'
    )
    soup = BeautifulSoup(navigation(lambda **_: tree, "index.html", "Start", False), "html.parser")
    assert not soup.select("[role=heading]")
    assert soup.select_one("ul[aria-labelledby=part-1]") is not None
    assert [link.text for link in soup.select("[aria-current=page]")] == ["Here"]


def test_icons_come_from_the_package_and_name_their_license() -> None:
    styles = icon_styles(ROOT / "book/node_modules/@fortawesome/fontawesome-free")
    assert "CC BY 4.0" in styles
    assert all(f".rc-icon-{name}{{" in styles for name in ICONS)
    assert styles.count("url(") == len(ICONS)
    assert len(styles) < 20_000


def test_an_icon_that_is_not_there_is_named() -> None:
    package = ROOT / "book/node_modules/@fortawesome/fontawesome-free"
    with pytest.raises(ExtensionError, match=r"icon 'no-such'.*make node"):
        icon_styles(package, ("no-such",))


def test_fonts_are_declared_with_hashed_local_addresses() -> None:
    found = list(faces(ROOT / "book/node_modules/@fontsource-variable"))
    assert {face.name for face in found} >= {
        "source-serif-4-latin-wght-normal",
        "source-serif-4-latin-wght-italic",
        "source-sans-3-latin-wght-normal",
        "source-code-pro-latin-wght-normal",
    }
    for face in found:
        assert f'url("fonts/{face.file.name}?v=' in face.rule
        assert "http" not in face.rule


def test_missing_fonts_are_named() -> None:
    with pytest.raises(ExtensionError, match=r"font 'source-serif-4'.*make node"):
        list(faces(ROOT / "book"))


def test_a_page_without_a_source_and_the_scripts_of_the_theme_go(tmp_path: Path) -> None:
    gone = ["old.html", "part/old.html", "_static/scripts/fontawesome.js"]
    kept = ["index.html", "part/page.html", "404.html", "_static/frame.js", "_downloads/a/x.html"]
    for name in gone + kept:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    drop_files(tmp_path, {"index", "part/page", "404"})
    left = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.*")}
    assert left == set(kept)
