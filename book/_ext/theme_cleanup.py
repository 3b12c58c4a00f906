"""Keep of the theme what the book uses, drop the rest, and mend what the output lacks.

The page layout is ours (``book/_templates/layout.html``). This extension decides which style sheets
and scripts a page loads, renders the tree of pages for its navigation, and repairs the HTML of each
page where Sphinx or an extension falls short of WCAG. Every repair names its reason.
"""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bs4 import BeautifulSoup, Tag
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.typing import ExtensionMetadata

DROPPED_STYLES = ("styles/pydata-sphinx-theme.css", "pygments.css")
"""397 KB of Bootstrap and Font Awesome rules, and syntax colors below the contrast of the rest.

``remotecalls.css`` styles the same elements.
"""

DROPPED_SCRIPTS = ("require", "mathjax", "thebe", "design-tabs.js")
"""Loaders of other hosts' code, and a script for tabs, which this book does not use."""

DROPPED_FILES = (
    "_static/vendor/fontawesome",
    "_static/scripts",
    "_static/styles",
    "_static/webpack-macros.html",
    "_static/pygments.css",
)
"""Files of the theme, relative to the site, that no page loads: 9 MB."""


VIEWPORT = '<meta name="viewport" content="width=device-width, initial-scale=1" />\n'


def _name(asset: object) -> str:
    return str(getattr(asset, "filename", None) or asset)


def _is_theme_inline(script: object) -> bool:
    """Tell whether this is an inline script of the theme, which only the theme's own code reads."""
    attributes: dict[str, str] = getattr(script, "attributes", {})
    return "DOCUMENTATION_OPTIONS." in attributes.get("body", "")


def select_assets(context: dict[str, Any]) -> None:
    """Keep the style sheets and scripts that a page of this book uses, in their order."""
    seen: set[str] = set()
    styles = []
    for style in context["css_files"]:
        name = _name(style)
        if name in seen or name.endswith(DROPPED_STYLES):
            continue
        seen.add(name)
        styles.append(style)
    # Ours overrides the others', whatever the order in which extensions registered them.
    context["css_files"] = sorted(styles, key=lambda style: "remotecalls.css" in _name(style))
    context["script_files"] = [
        script
        for script in context["script_files"]
        if not any(part in _name(script) for part in DROPPED_SCRIPTS)
        and not _is_theme_inline(script)
    ]


def navigation(toctree: Callable[..., str], home: str, home_title: str, at_home: bool) -> str:
    """Return the tree of pages as lists: one per part, the current page marked for assistive tools.

    Args:
        toctree: Sphinx's template function of that name.
        home: the address of the landing page.
        home_title: what its link says.
        at_home: whether the page being rendered is the landing page.
    """
    soup = BeautifulSoup(
        toctree(maxdepth=3, collapse=True, includehidden=True, titles_only=True) or "",
        "html.parser",
    )
    # Sphinx gives captions the role of headings; a heading before the page's own <h1> would put the
    # outline of the document out of order. They label their lists instead.
    for number, caption in enumerate(soup.select("p.caption"), start=1):
        caption.attrs.clear()
        caption["class"] = "rc-nav-part"
        caption["id"] = f"part-{number}"
        caption.string = caption.get_text()
        if isinstance(part := caption.find_next_sibling("ul"), Tag):
            part["aria-labelledby"] = f"part-{number}"
    for item in soup.select("li"):
        link = item.find("a", recursive=False)
        current = isinstance(link, Tag) and "current" in link.get_attribute_list("class")
        if current and isinstance(link, Tag) and link.get("href") == "#":
            link["aria-current"] = "page"
    first = soup.new_tag("a", href=home)
    first.string = home_title
    if at_home:
        first["aria-current"] = "page"
    opening = soup.new_tag("ul")
    entry = soup.new_tag("li")
    entry.append(first)
    opening.append(entry)
    return str(opening) + str(soup)


def mend_body(html: str) -> str:
    """Repair the body of one page.

    Args:
        html: what Sphinx rendered between the layout's parts.
    """
    soup = BeautifulSoup(html, "html.parser")
    _name_heading_links(soup)
    _collapse_admonitions(soup)
    _name_hidden_code(soup)
    _name_footnotes(soup)
    _list_references(soup)
    _head_tables(soup)
    return str(soup)


def _name_heading_links(soup: BeautifulSoup) -> None:
    """Give each heading's link a name of its own: a screen reader would list a dozen times '#'."""
    for link in soup.select("a.headerlink"):
        heading = link.parent
        link.extract()
        if heading is None:
            continue
        title = heading.get_text(" ", strip=True)
        link["aria-label"] = f"Link to: {title}" if title else "Link to this place"
        if "title" in link.attrs:
            del link["title"]
        heading.append(link)


def _collapse_admonitions(soup: BeautifulSoup) -> None:
    """Turn ``:class: dropdown`` into ``<details>``: it works without a script and prints open."""
    for box in soup.select("div.admonition.dropdown"):
        title = box.find("p", class_="admonition-title", recursive=False)
        box.name = "details"
        if "toggle-shown" in box.get_attribute_list("class"):
            box["open"] = ""
        if isinstance(title, Tag):
            title.name = "summary"


def _name_hidden_code(soup: BeautifulSoup) -> None:
    """Name a code cell that is folded away: MyST-NB gives it two titles and a label of neither."""
    for details in soup.select("details.hide"):
        details["class"] = "admonition dropdown"
        summary = details.summary
        assert summary is not None, "a details element of MyST-NB has a summary"
        summary.clear()
        summary.attrs = {"class": "admonition-title"}
        summary.string = "The code of this cell"


def _name_footnotes(soup: BeautifulSoup) -> None:
    """Say where a footnote's backlink leads: docutils leaves the bare number or an arrow."""
    for link in soup.select("a[role=doc-backlink]"):
        number = link.get_text(strip=True)
        link["aria-label"] = f"Back to where note {number} is cited" if number else "Back"


def _list_references(soup: BeautifulSoup) -> None:
    """Make the bibliography a list: docutils gives its entries a role that ARIA has deprecated."""
    for box in soup.select("div.citation-list"):
        box.name = "ul"
        del box["role"]
        for entry in box.find_all("div", class_="citation", recursive=False):
            entry.name = "li"
            del entry["role"]


def _head_tables(soup: BeautifulSoup) -> None:
    """Say which way a header cell points: docutils writes ``<th class="head">`` and no scope."""
    for cell in soup.select("thead th:not([scope])"):
        cell["scope"] = "col"
    for cell in soup.select("tbody th:not([scope])"):
        cell["scope"] = "row"


def _page(
    app: Sphinx,
    pagename: str,
    templatename: str,
    context: dict[str, Any],
    doctree: nodes.document | None,
) -> None:
    select_assets(context)
    context["author"] = app.config.author
    # Sphinx's base layout writes one already.
    context["metatags"] = context.get("metatags", "").replace(VIEWPORT, "")
    root = str(app.config.root_doc)
    context["rc_navigation"] = lambda: navigation(
        context["toctree"], context["pathto"](root), "Start", pagename == root
    )
    if context.get("body"):
        context["body"] = mend_body(context["body"])


def drop_files(site: Path, pages: set[str]) -> None:
    """Remove the theme's unused files, and the pages whose source is gone.

    Args:
        site: the built site.
        pages: names of all pages that belong to it, without their ending.
    """
    for name in DROPPED_FILES:
        path = site / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    for path in site.rglob("*.html"):
        name = path.relative_to(site).with_suffix("").as_posix()
        # Directories with an underscore hold assets and downloads, not pages.
        if name not in pages and not name.startswith("_"):
            path.unlink()


def _finish(app: Sphinx, exception: Exception | None) -> None:
    if exception is None and app.builder.format == "html":
        drop_files(Path(app.outdir), set(app.env.found_docs) | {"404", "search"})


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register the extension."""
    # Jupyter Book configures its extension for comments, also where it is not loaded.
    app.add_config_value("comments_config", {}, "")
    # After every extension that adds assets or changes the body.
    app.connect("html-page-context", _page, priority=900)
    # After the theme, which writes pygments.css at the default priority.
    app.connect("build-finished", _finish, priority=900)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
