"""Whether a page of the built book is sound, at two widths and in two themes.

Loading a page costs more than asking it questions, so one visit answers all of them.
"""

from __future__ import annotations

from typing import Literal

from playwright.sync_api import BrowserContext, ViewportSize, expect

from conftest import NARROW, SITE, WIDE, axe_violations, pages_of, watch

MODES: dict[str, tuple[ViewportSize, Literal["light", "dark"]]] = {
    "wide-light": (WIDE, "light"),
    "narrow-dark": (NARROW, "dark"),
    "wide-dark": (WIDE, "dark"),
    "narrow-light": (NARROW, "light"),
}
PAGES = pages_of(SITE) if SITE.is_dir() else ["index.html"]

# The heaviest page of the heaviest kind: a chapter with live figures.
CHAPTER = "chapters/sockets.html"

# One page of each kind: prose, lab, landing page, tables, terms.
IN_EVERY_MODE = {CHAPTER, "labs/sockets.html", "index.html", "book/claims.html", "search.html"}


def is_apart(path: str) -> bool:
    """Whether a page is checked by the second of the two files, each of which has a worker."""
    return path.startswith(("labs/", "book/adr/"))


def check_page(context: BrowserContext, site_url: str, path: str) -> None:
    """Assert that a page loads from its own host, fits its window, and has no violation.

    Every page is loaded once and then changes its width and colors under the reader's eyes: to the
    other width in the other colors, and a few pages to all four. The mode in which it is loaded
    differs from page to page, so that each mode loads a quarter.
    """
    watched = watch(context, site_url)
    page = watched.page
    first = PAGES.index(path) % len(MODES)
    modes = [*list(MODES)[first:], *list(MODES)[:first]]
    if path not in IN_EVERY_MODE:
        modes = modes[:1] + [other for other in modes if _opposite(other, modes[0])]
    for number, name in enumerate(modes):
        viewport, scheme = MODES[name]
        page.set_viewport_size(viewport)
        page.emulate_media(color_scheme=scheme)
        if number == 0:
            page.goto(path)
        expect(page.locator("html")).to_have_attribute("data-theme", scheme)
        assert page.locator("input[type=search]").count() == 1
        assert page.locator("h1").count() == 1
        overflow = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert overflow <= 0, f"{name}: the page is {overflow} px wider than the window"
        assert axe_violations(page) == [], name
    watched.check()
    page.close()


def _opposite(one: str, other: str) -> bool:
    """Whether two modes differ in width and in colors."""
    return MODES[one][0] != MODES[other][0] and MODES[one][1] != MODES[other][1]
