"""The built book in a real browser, cut off from every other host."""

import functools
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    Page,
    Route,
    ViewportSize,
    sync_playwright,
)

from remotecalls.booksite import serve_book

ROOT = Path(__file__).parents[2]
SITE = ROOT / "_build" / "html"
AXE = ROOT / "book" / "node_modules" / "axe-core" / "axe.min.js"

# The extensions are loose modules, as Sphinx loads them.
sys.path.insert(0, str(ROOT / "book" / "_ext"))

CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
]
WIDE: ViewportSize = {"width": 1280, "height": 900}
NARROW: ViewportSize = {"width": 390, "height": 844}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the files with browser tests last.

    Playwright's event loop counts as running in the main thread from the first use of a browser to
    the last, and no other loop can run there meanwhile: every asyncio test would fail. Whole files
    are moved, because a worker of a parallel run takes a file at a time, in this order.
    """
    files = {item.path for item in items if "browser" in getattr(item, "fixturenames", ())}
    items.sort(key=lambda item: item.path in files)


@pytest.fixture(scope="session")
def site() -> Path:
    """The built site on disk."""
    if not (SITE / "index.html").is_file():
        pytest.fail("the book is not built: run `make html` first")
    return SITE


@pytest.fixture(scope="session")
def site_url(site: Path) -> Iterator[str]:
    """The address of the built site, served by the book's own server on a free port."""
    with serve_book(site) as url:
        yield url


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One Chromium for the whole run."""
    executable = shutil.which("chromium") or shutil.which("chromium-browser")
    if executable is None:
        pytest.fail("Chromium is not installed; Debian has it as the package `chromium`")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=executable, args=CHROMIUM_FLAGS)
        yield started
        started.close()


@dataclass
class Watched:
    """A page and what went wrong on it.

    Attributes:
        page: Playwright's page.
        foreign: the addresses on other hosts that it asked for; each request was aborted.
        errors: console errors, uncaught exceptions and failed requests to the site itself.
    """

    page: Page
    foreign: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def check(self) -> None:
        """Fail if the page asked another host or reported an error."""
        assert self.foreign == [], f"{self.page.url} asks other hosts"
        assert self.errors == [], f"{self.page.url} reports errors"


def watch(context: BrowserContext, home: str) -> Watched:
    """Open a page in a context; it reaches the host of `home` and no other."""
    page = context.new_page()
    watched = Watched(page)
    host = urlsplit(home).netloc

    def route(handler: Route) -> None:
        url = handler.request.url
        if urlsplit(url).scheme in {"data", "blob"} or urlsplit(url).netloc == host:
            handler.continue_()
        else:
            watched.foreign.append(url)
            handler.abort()

    context.route("**/*", route)
    page.on(
        "console",
        lambda message: watched.errors.append(message.text) if message.type == "error" else None,
    )
    page.on("pageerror", lambda error: watched.errors.append(str(error)))
    page.on(
        "requestfailed",
        lambda request: (
            watched.errors.append(f"{request.url}: {request.failure}")
            if urlsplit(request.url).netloc == host and request.failure != "net::ERR_ABORTED"
            else None
        ),
    )
    return watched


@pytest.fixture
def open_page(browser: Browser, site_url: str) -> Iterator[Callable[..., Watched]]:
    """Return a function that opens a page in a fresh context.

    Its arguments go to Playwright's `new_context`: `viewport`, `color_scheme`, `reduced_motion`,
    `offline` and so on. Every page it opened is checked at the end of the test.
    """
    contexts: list[BrowserContext] = []
    opened: list[Watched] = []

    def open_one(path: str = "", **options: Any) -> Watched:
        context = browser.new_context(base_url=site_url, **{"viewport": WIDE, **options})
        contexts.append(context)
        watched = watch(context, site_url)
        opened.append(watched)
        watched.page.goto(path or "index.html")
        return watched

    yield open_one
    for watched in opened:
        watched.check()
    for context in contexts:
        context.close()


@functools.cache
def axe_source() -> str:
    """The text of axe-core, from npm."""
    if not AXE.is_file():
        pytest.fail(f"{AXE} is missing: run `make node` first")
    return AXE.read_text("utf-8")


@pytest.fixture(scope="module")
def context(browser: Browser, site_url: str) -> Iterator[BrowserContext]:
    """A context of the browser that the pages of a file share, with its cache."""
    opened = browser.new_context(base_url=site_url)
    yield opened
    opened.close()


def axe_violations(page: Page, within: str = "html") -> list[str]:
    """Run axe-core with every rule it has, on what a selector names, and return what it finds.

    Rules that are off by default (experimental ones, and WCAG AAA) are on, and nothing is excluded.
    What is judged is the next picture that the browser paints, with its fonts in place.
    """
    page.evaluate(
        """async () => {
            await document.fonts.ready;
            for (let frame = 0; frame < 2; frame += 1) await new Promise(requestAnimationFrame);
        }"""
    )
    if not page.evaluate("() => 'axe' in window"):
        page.evaluate(axe_source())
    found: list[dict[str, Any]] = page.evaluate(
        """async (within) => {
            const rules = Object.fromEntries(
                axe.getRules().map((rule) => [rule.ruleId, { enabled: true }]));
            const { violations } = await axe.run(
                within === "html" ? document : within, { rules, resultTypes: ["violations"] });
            return violations.map(({ id, help, nodes }) => ({
                id, help,
                nodes: nodes.map((node) => [node.html.slice(0, 200), node.failureSummary]),
            }));
        }""",
        within,
    )
    return [
        f"{each['id']} ({each['help']}): {markup}\n    {summary}"
        for each in found
        for markup, summary in each["nodes"]
    ]


def pages_of(site: Path) -> list[str]:
    """Return the path of every page of the site, relative to it."""
    return sorted(path.relative_to(site).as_posix() for path in site.rglob("*.html"))
