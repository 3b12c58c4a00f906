from pathlib import Path

import pytest
from building import build
from sphinx.errors import ConfigError

from site_address import parse_base_url

EXTENSIONS = ["notfound.extension", "sphinx_sitemap", "sphinxext.opengraph", "site_address"]
PAGES = {
    "index.md": "# Home\n\nText.\n\n```{toctree}\nother\n```\n",
    "other.md": "# Other\n\nMore text.\n",
}
SETTINGS = {
    "sitemap_url_scheme": "{link}",
    "language": "en",
    "ogp_social_cards": {"enable": False},
}


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("https://example.org", "https://example.org/"),
        ("https://example.org/remote-calls", "https://example.org/remote-calls/"),
        ("http://localhost:8000/", "http://localhost:8000/"),
    ],
)
def test_an_address_ends_with_one_slash(given: str, taken: str) -> None:
    assert parse_base_url(given) == taken


@pytest.mark.parametrize(
    "given", ["example.org", "/remote-calls/", "ftp://example.org/", "https://e.org/?a=b"]
)
def test_what_is_no_address_of_a_site_is_refused(given: str) -> None:
    with pytest.raises(ConfigError, match=r"BASE_URL=.* is not the address of a site"):
        parse_base_url(given)


def test_one_variable_reaches_links_sitemap_metadata_and_404_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BASE_URL", "https://example.org/book")
    built = build(tmp_path, PAGES, EXTENSIONS, **SETTINGS)
    assert built.warnings == ""
    page = built.page("other")
    address = "https://example.org/book/other.html"
    assert page.select_one("link[rel=canonical]")["href"] == address
    assert page.select_one("meta[property='og:url']")["content"] == address
    missing = built.page("404")
    assert missing.select_one("link[rel=stylesheet]")["href"].startswith("/book/_static/")


def test_the_sitemap_is_whole_after_an_incremental_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BASE_URL", "https://example.org/")
    build(tmp_path, PAGES, EXTENSIONS, **SETTINGS)
    changed = {"other.md": "# Other\n\nNew text.\n"}
    built = build(tmp_path, changed, EXTENSIONS, **SETTINGS)
    sitemap = (built.site / "sitemap.xml").read_text("utf-8")
    assert sitemap.count("<loc>") == 2
    assert "https://example.org/index.html" in sitemap
