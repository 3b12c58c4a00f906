"""The built labs and decisions in Chromium, as `test_site.py` does it with the other pages."""

from __future__ import annotations

import pytest
from playwright.sync_api import BrowserContext
from soundness import PAGES, check_page, is_apart


@pytest.mark.parametrize("path", [each for each in PAGES if is_apart(each)])
def test_a_page_is_sound_in_every_mode(context: BrowserContext, site_url: str, path: str) -> None:
    check_page(context, site_url, path)
