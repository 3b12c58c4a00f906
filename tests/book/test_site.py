"""The built book in Chromium: every page, two widths, two themes, no other host."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urldefrag, urljoin, urlsplit
from xml.etree import ElementTree

import pytest
from bs4 import BeautifulSoup
from playwright.sync_api import Browser, BrowserContext, Page, expect
from soundness import CHAPTER, PAGES, check_page, is_apart

from conftest import (
    NARROW,
    ROOT,
    WIDE,
    Watched,
    axe_violations,
    watch,
)

FIRST_VISIT = 500_000
SECOND_PAGE = 100_000
Open = Callable[..., Watched]


@pytest.mark.parametrize("path", [each for each in PAGES if not is_apart(each)])
def test_a_page_is_sound_in_every_mode(context: BrowserContext, site_url: str, path: str) -> None:
    check_page(context, site_url, path)


def test_the_test_of_soundness_can_fail(open_page: Open) -> None:
    page = open_page("index.html").page
    page.evaluate(
        """() => {
            const image = document.createElement("img");
            image.src = "data:image/gif;base64,R0lGODlhAQABAAAAACw=";
            const faint = document.createElement("p");
            faint.textContent = "faint";
            faint.style.color = "#666";
            document.querySelector("article").append(image, faint);
        }"""
    )
    found = " ".join(axe_violations(page))
    assert "image-alt" in found
    assert "color-contrast-enhanced" in found


def test_a_request_to_another_host_is_noticed(browser: Browser, site_url: str) -> None:
    context = browser.new_context(base_url=site_url)
    watched = watch(context, site_url)
    watched.page.goto("index.html")
    watched.page.evaluate("fetch('https://cdn.example/x.js').catch(() => null)")
    watched.page.evaluate("console.error('broken')")
    assert watched.foreign == ["https://cdn.example/x.js"]
    assert "broken" in watched.errors
    context.close()


def test_a_page_that_was_visited_still_works_offline(open_page: Open) -> None:
    page = open_page(CHAPTER).page
    page.wait_for_load_state("networkidle")
    # The browser may ask for the icon once more, later; it has it then.
    page.evaluate("fetch(document.querySelector('link[rel~=icon]').href).then(() => null)")
    page.context.set_offline(True)
    page.keyboard.press("Control+k")
    expect(page.locator("#search-field")).to_be_focused()
    page.keyboard.press("Escape")
    page.locator("#color-mode").click()
    expect(page.locator("#color-mode-name")).to_have_text("light")


# ---- Keyboard ------------------------------------------------------------------------------------


def focused(page: Page) -> str:
    name: str = page.evaluate(
        "() => document.activeElement.id || document.activeElement.className"
        " || document.activeElement.tagName"
    )
    return name


def test_the_first_key_press_offers_to_skip_to_the_text(open_page: Open) -> None:
    page = open_page(CHAPTER).page
    page.keyboard.press("Tab")
    assert focused(page) == "rc-skip"
    expect(page.locator(".rc-skip")).to_be_in_viewport()
    page.keyboard.press("Enter")
    assert focused(page) == "main-content"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('main') !== null")


@pytest.mark.parametrize("path", ["index.html", "book/how-to-use.html", CHAPTER])
def test_tab_goes_through_the_page_and_out_of_it(open_page: Open, path: str) -> None:
    page = open_page(path).page
    stops = page.evaluate(
        """() => [...document.querySelectorAll(
            "a[href], button, input, select, textarea, summary, [tabindex='0']")].length"""
    )
    visited = set()
    for _ in range(stops + 5):
        page.keyboard.press("Tab")
        where = page.evaluate(
            """() => {
                const element = document.activeElement;
                if (element === document.body) return "";
                element.dataset.tabStop ??= String(Math.random());
                const style = getComputedStyle(element);
                const box = element.getBoundingClientRect();
                const marked = style.outlineStyle !== "none"
                    || element.closest(":has(> :focus-visible), li:has(:focus-visible)") !== null;
                return marked && box.width > 0 ? element.dataset.tabStop : "unmarked "
                    + element.outerHTML.slice(0, 120);
            }"""
        )
        assert not where.startswith("unmarked"), f"the focus cannot be seen on {where}"
        if where == "":
            break
        assert where not in visited, "the focus goes in a circle and never leaves the page"
        visited.add(where)
    else:
        pytest.fail("the focus never left the page")
    assert len(visited) > 5


def test_a_block_that_begins_to_scroll_can_be_reached_in_the_next_picture(open_page: Open) -> None:
    page = open_page(CHAPTER).page
    scrolling, reachable = page.evaluate(
        """async () => {
            await document.fonts.ready;
            document.querySelector("article").style.width = "200px";
            for (let frame = 0; frame < 2; frame += 1) await new Promise(requestAnimationFrame);
            const blocks = [...document.querySelectorAll("main pre")].filter(
                (block) => block.scrollWidth > block.clientWidth + 1);
            return [blocks.length, blocks.filter((block) => block.tabIndex === 0).length];
        }"""
    )
    assert scrolling > 5
    assert reachable == scrolling


@pytest.mark.parametrize("key", ["Control+k", "/"])
def test_a_key_opens_the_search_and_escape_closes_it(open_page: Open, key: str) -> None:
    page = open_page("book/glossary.html").page
    dialog = page.locator("#search-dialog")
    expect(dialog).to_be_hidden()
    page.keyboard.press(key)
    expect(dialog).to_be_visible()
    expect(page.locator("#search-field")).to_be_focused()
    assert axe_violations(page) == []
    page.keyboard.type("a/b")
    expect(page.locator("#search-field")).to_have_value("a/b")
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()


def test_the_search_finds_a_word(open_page: Open) -> None:
    page = open_page("index.html").page
    page.keyboard.press("Control+k")
    page.keyboard.type("backpressure")
    page.keyboard.press("Enter")
    page.wait_for_url("**/search.html?q=backpressure")
    result = page.locator("#search-results a", has_text="Glossary").first
    expect(result).to_be_visible()
    expect(page.locator("#search-results .context").first).to_contain_text("backpressure")
    assert page.locator("input[type=search]").count() == 1
    assert axe_violations(page) == []
    result.click()
    expect(page.locator("h1")).to_contain_text("Glossary")


def test_a_word_that_stands_nowhere_is_not_found(open_page: Open) -> None:
    page = open_page("search.html?q=xylophone").page
    expect(page.locator("#search-results")).to_contain_text("did not match any documents")
    assert page.locator("#search-results li").count() == 0


def test_on_a_narrow_screen_the_contents_open_and_close_by_keyboard(open_page: Open) -> None:
    page = open_page("book/how-to-use.html", viewport=NARROW).page
    navigation = page.locator("#site-navigation")
    expect(navigation).to_be_hidden()
    page.locator(".rc-menu").focus()
    page.keyboard.press("Enter")
    expect(navigation).to_be_visible()
    assert axe_violations(page) == []
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('#site-navigation') !== null")
    page.keyboard.press("Escape")
    expect(navigation).to_be_hidden()


def test_the_color_mode_is_chosen_and_kept(open_page: Open) -> None:
    page = open_page("index.html", color_scheme="light").page
    root = page.locator("html")
    expect(root).to_have_attribute("data-theme", "light")
    page.locator("#color-mode").click()
    page.locator("#color-mode").click()
    expect(root).to_have_attribute("data-theme", "dark")
    page.goto("book/glossary.html")
    expect(root).to_have_attribute("data-theme", "dark")
    expect(page.locator("#color-mode-name")).to_have_text("dark")


def test_reduced_motion_stops_every_animation(open_page: Open) -> None:
    moving = """() => [...document.querySelectorAll("*")].filter((element) => {
        const style = getComputedStyle(element);
        return parseFloat(style.transitionDuration) > 0 || style.animationName !== "none";
    }).length"""
    page = open_page(CHAPTER, reduced_motion="reduce").page
    assert page.evaluate(moving) == 0
    assert page.evaluate("getComputedStyle(document.documentElement).scrollBehavior") == "auto"


def test_without_scripts_the_book_can_be_read(open_page: Open) -> None:
    page = open_page(CHAPTER, java_script_enabled=False).page
    expect(page.locator("article h1")).to_be_visible()
    expect(page.locator("#site-navigation")).to_be_visible()
    expect(page.locator("#search-open")).to_be_hidden()


# ---- One call, every way -------------------------------------------------------------------------


def shown(page: Page) -> list[str]:
    """The names of the protocols whose bytes are shown, from left to right."""
    places: list[list[Any]] = page.locator(".rc-two-panels > details").evaluate_all(
        "panels => panels.map((each) => [each.offsetTop, each.offsetLeft, each.id])"
    )
    return [name.removeprefix("bytes-") for _, _, name in sorted(places)]


def test_two_protocols_are_chosen_and_stand_beside_each_other(open_page: Open) -> None:
    page = open_page("book/one-call.html").page
    assert shown(page) == ["binary", "grpc"]
    left, right = (page.get_by_role("combobox", name=name) for name in ("Left", "Right"))
    left.select_option("rest")
    assert shown(page) == ["rest", "grpc"]
    right.select_option("rest")
    assert shown(page) == ["grpc", "rest"]
    right.select_option("text")
    assert shown(page) == ["grpc", "text"]
    said = page.locator(".rc-two output").inner_text()
    panels = page.locator(".rc-two-panels > details").all()
    sizes = [
        sum(int(panel.get_attribute(f"data-{way}") or 0) for way in ("out", "back"))
        for panel in panels
    ]
    assert all(f"{size:,} bytes" in said for size in sizes)
    assert f"{sizes[0] / sizes[1]:.1f} times fewer on the right" in said
    assert axe_violations(page) == []


def test_the_landing_page_leads_to_the_bytes_of_a_protocol(open_page: Open) -> None:
    page = open_page("index.html").page
    page.locator("#call-cgi .rc-call-more a").click()
    page.wait_for_url(re.compile(r"book/one-call\.html#bytes-cgi$"))
    assert shown(page) == ["cgi", "grpc"]


def test_without_scripts_the_bytes_can_be_unfolded(open_page: Open) -> None:
    page = open_page("book/one-call.html", java_script_enabled=False).page
    expect(page.locator(".rc-two form")).to_be_hidden()
    page.locator("#bytes-text summary").click()
    expect(page.locator("#bytes-text figure.rc-wire").first).to_be_visible()


# ---- Paper ---------------------------------------------------------------------------------------


def test_on_paper_the_frame_is_gone_and_collapsed_blocks_are_open(open_page: Open) -> None:
    page = open_page("chapters/rest.html", color_scheme="dark").page
    page.emulate_media(media="print")
    for part in (".rc-bar", "#site-navigation", ".rc-contents", ".rc-turn", ".rc-footer"):
        expect(page.locator(part)).to_be_hidden()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.locator("details[open]").count() == 0
    expect(page.locator("details p").first).to_be_visible()
    page.emulate_media(media="screen")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("main details:not([open])").count() == 0
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("main details[open]").count() == 0


def test_on_paper_a_link_shows_its_address(open_page: Open) -> None:
    page = open_page("book/how-to-use.html").page
    page.emulate_media(media="print")
    shown = page.evaluate(
        """() => {
            const link = document.querySelector("article a[href^='https://creativecommons']");
            return getComputedStyle(link, "::after").content;
        }"""
    )
    assert "https://creativecommons.org" in shown


# ---- Weight --------------------------------------------------------------------------------------


def transferred(page: Page, path: str) -> dict[str, int]:
    """Visit a page and return the bytes on the wire for each address, headers included."""
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    names: dict[str, str] = {}
    sizes: dict[str, int] = {}
    session.on(
        "Network.requestWillBeSent",
        lambda event: names.__setitem__(event["requestId"], event["request"]["url"]),
    )
    session.on(
        "Network.loadingFinished",
        lambda event: sizes.__setitem__(
            names.get(event["requestId"], event["requestId"]), int(event["encodedDataLength"])
        ),
    )
    page.goto(path, wait_until="networkidle")
    session.detach()
    return sizes


def test_visits_stay_within_their_budgets(open_page: Open, browser: Browser, site_url: str) -> None:
    # A context without interception: intercepting requests switches the browser's cache off.
    context = browser.new_context(base_url=site_url, viewport=WIDE)
    page = context.new_page()
    first = transferred(page, CHAPTER)
    assert sum(first.values()) < FIRST_VISIT, first
    assert any(address.endswith(CHAPTER) for address in first)
    second = transferred(page, "book/how-to-use.html")
    assert sum(second.values()) < SECOND_PAGE, second
    assert any(address.endswith("how-to-use.html") for address in second)
    context.close()


# ---- What is on disk -----------------------------------------------------------------------------


def test_an_unknown_address_shows_the_404_page(open_page: Open, site_url: str) -> None:
    watched = open_page("index.html")
    answer = watched.page.goto("no/such/page.html")
    assert answer is not None
    assert answer.status == 404
    expect(watched.page.locator("h1")).to_have_text("This page does not exist")
    # Its style sheets and links work at any depth.
    watched.page.locator("article a").click()
    expect(watched.page.locator("h1")).to_contain_text("Remote Calls")
    watched.errors = [error for error in watched.errors if "404" not in error]


def test_the_sitemap_lists_every_page_of_the_contents(site: Path) -> None:
    root = ElementTree.parse(site / "sitemap.xml").getroot()
    places = [place.text or "" for place in root.iter() if place.tag.endswith("loc")]
    listed = {urlsplit(place).path.lstrip("/") for place in places}
    assert listed == set(PAGES) - {"404.html", "search.html"}


@pytest.mark.parametrize("path", PAGES)
def test_a_page_describes_itself_for_sharing(site: Path, path: str) -> None:
    soup = BeautifulSoup((site / path).read_text("utf-8"), "html.parser")
    assert soup.title is not None
    assert soup.title.text.strip()
    if path in {"404.html", "search.html"}:
        assert soup.select_one("meta[name=robots]")["content"] == "noindex"
        return
    assert soup.select_one("link[rel=canonical]")["href"].endswith(f"/{path}")
    for name in ("og:title", "og:url", "og:description"):
        assert soup.select_one(f"meta[property='{name}']")["content"].strip(), name


@pytest.fixture(scope="module")
def soups(site: Path) -> dict[str, BeautifulSoup]:
    return {path: BeautifulSoup((site / path).read_text("utf-8"), "html.parser") for path in PAGES}


@pytest.mark.parametrize("path", PAGES)
def test_internal_links_and_anchors_lead_somewhere(
    site: Path, soups: dict[str, BeautifulSoup], path: str
) -> None:
    base = f"http://book/{path}"
    broken = []
    for element in soups[path].select("[href], [src]"):
        reference = str(element.get("href") or element.get("src"))
        if "canonical" in element.get_attribute_list("rel") or reference.startswith("data:"):
            continue
        address, anchor = urldefrag(urljoin(base, reference))
        if urlsplit(address).netloc != "book":
            continue
        target = unquote(urlsplit(address).path.lstrip("/")) or "index.html"
        if not (site / target).is_file():
            broken.append(reference)
        elif anchor and target in soups:
            ids = [unquote(anchor)]
            if not soups[target].find(id=ids) and not soups[target].find(attrs={"name": ids}):
                broken.append(reference)
    assert broken == []


@pytest.mark.parametrize("path", PAGES)
def test_nothing_is_loaded_from_another_host(soups: dict[str, BeautifulSoup], path: str) -> None:
    loaders = "script[src], link[rel~=stylesheet], link[rel~=preload], img, iframe, video, audio"
    for element in soups[path].select(loaders):
        address = str(element.get("src") or element.get("href"))
        assert not re.match(r"(https?:)?//", address), address


def test_the_heavy_files_of_the_theme_are_not_deployed(site: Path) -> None:
    names = {path.name for path in site.rglob("*")}
    assert not names & {"fontawesome.js", "bootstrap.js", "fa-solid-900.woff2", "require.min.js"}
    assert (ROOT / "_config.yml").is_file()
