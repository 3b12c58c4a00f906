"""Take the address of the deployed site from ``BASE_URL`` and complete what depends on it.

One variable feeds the canonical links, the sitemap, the OpenGraph metadata and the absolute links
of the 404 page (which is served for paths of any depth, so it cannot use relative links).
"""

import os
from typing import Any
from urllib.parse import urlsplit

from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.errors import ConfigError
from sphinx.util.typing import ExtensionMetadata

VARIABLE = "BASE_URL"
LOCAL = "http://localhost:8000/"
"""Stands in the pages of a site that nobody deploys."""


def parse_base_url(text: str) -> str:
    """Return the address with exactly one slash at its end.

    Args:
        text: an absolute ``http`` or ``https`` address without query or fragment.

    Raises:
        ConfigError: it is not such an address.
    """
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.netloc or parts.query or parts.fragment:
        raise ConfigError(
            f"{VARIABLE}={text!r} is not the address of a site. "
            f"Give an absolute one, such as {VARIABLE}=https://example.org/remote-calls/"
        )
    return text.rstrip("/") + "/"


def _configure(app: Sphinx, config: Config) -> None:
    base = parse_base_url(os.environ.get(VARIABLE) or LOCAL)
    config.html_baseurl = base
    config.ogp_site_url = base
    config.notfound_urls_prefix = urlsplit(base).path


def _list_every_page(app: Sphinx, exception: Exception | None) -> None:
    """Give sphinx-sitemap all pages, not only those that this build has written anew.

    It collects addresses while pages are rendered; after an incremental build its sitemap would
    name nothing but the pages that had changed.
    """
    links: Any = getattr(app, "sitemap_links", None)
    if exception is not None or links is None:
        return
    while not links.empty():
        links.get()
    for document in sorted(app.env.found_docs):
        links.put((f"{document}.html", None))


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register the extension."""
    app.connect("config-inited", _configure)
    # sphinx-sitemap writes at the default priority, 500.
    app.connect("build-finished", _list_every_page, priority=400)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
