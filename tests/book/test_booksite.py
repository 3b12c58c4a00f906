"""The server of the built book: what it sends, and how it ends."""

import gzip
import threading
import urllib.error
import urllib.request
from email.message import Message
from pathlib import Path

import pytest

from remotecalls.booksite import KEEP, REVALIDATE, compress, serve_book

LONG = "Words that a compressor can make shorter. " * 200


@pytest.fixture
def small_site(tmp_path: Path) -> Path:
    for name in ("index.html", "404.html", "a.mjs", "b.wasm", "c.json", "sub/index.html"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"{name} {LONG}")
    return tmp_path


def fetch(url: str, **headers: str) -> tuple[int, Message, bytes]:
    request = urllib.request.Request(url, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers, error.read()


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("", "text/html"),
        ("sub/", "text/html"),
        ("a.mjs", "text/javascript"),
        ("b.wasm", "application/wasm"),
        ("c.json", "application/json"),
    ],
)
def test_each_file_has_the_type_that_browsers_insist_on(
    small_site: Path, name: str, media_type: str
) -> None:
    with serve_book(small_site) as url:
        status, headers, _ = fetch(url + name)
    assert status == 200
    assert headers.get_content_type() == media_type


def test_a_browser_gets_the_compressed_copy(small_site: Path) -> None:
    with serve_book(small_site) as url:
        _, headers, body = fetch(url, **{"Accept-Encoding": "br, gzip"})
        assert headers["Content-Encoding"] == "br"
        assert len(body) < len(LONG) / 10
        _, headers, _ = fetch(url, **{"Accept-Encoding": "gzip"})
        assert headers["Content-Encoding"] == "gzip"
        _, headers, body = fetch(url, **{"Accept-Encoding": "identity"})
        assert headers["Content-Encoding"] is None
        assert body.decode() == f"index.html {LONG}"


def test_an_unchanged_file_costs_a_304_and_one_with_a_digest_costs_nothing(
    small_site: Path,
) -> None:
    with serve_book(small_site) as url:
        _, headers, _ = fetch(url + "a.mjs")
        assert headers["Cache-Control"] == REVALIDATE
        status, _, body = fetch(url + "a.mjs", **{"If-None-Match": headers["ETag"]})
        assert (status, body) == (304, b"")
        for query in ("?v=1a2b", "?digest=1a2b"):
            _, headers, _ = fetch(url + "a.mjs" + query)
            assert headers.get_all("Cache-Control") == [KEEP]
        _, headers, _ = fetch(url + "missing.js?v=1a2b")
        assert headers["Cache-Control"] == REVALIDATE


@pytest.mark.parametrize("path", ["nowhere", "deep/er/nowhere.html", "../pyproject.toml", "%2e%2e"])
def test_an_unknown_path_gets_the_404_page(small_site: Path, path: str) -> None:
    with serve_book(small_site) as url:
        status, headers, body = fetch(url + path)
    assert status == 404
    assert headers.get_content_type() == "text/html"
    assert body.decode() == f"404.html {LONG}"


def test_a_changed_file_is_never_served_from_its_old_copy(small_site: Path) -> None:
    with serve_book(small_site):
        pass
    (small_site / "index.html").write_text("new " + LONG * 2)
    with serve_book(small_site) as url:
        _, headers, body = fetch(url, **{"Accept-Encoding": "gzip"})
    assert headers["Content-Encoding"] == "gzip"
    assert int(headers["Content-Length"]) == len(body)
    assert gzip.decompress(body).decode() == "new " + LONG * 2


def test_only_changed_files_are_compressed_again(small_site: Path) -> None:
    assert len(compress(small_site)) == 6
    assert compress(small_site) == []
    (small_site / "c.json").write_text("other " + LONG)
    (small_site / "a.mjs").unlink()
    assert [path.name for path in compress(small_site)] == ["c.json"]
    assert not (small_site / "a.mjs.br").exists()
    assert not (small_site / "a.mjs.gz").exists()


def test_a_site_that_is_not_built_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="make html"), serve_book(tmp_path):
        pass


def test_a_taken_port_is_an_error(small_site: Path) -> None:
    with serve_book(small_site) as url:
        port = int(url.rstrip("/").rpartition(":")[2])
        with pytest.raises(OSError, match="in use"), serve_book(small_site, port=port):
            pass


def test_nothing_stays_behind(small_site: Path) -> None:
    before = threading.active_count()
    with serve_book(small_site) as url:
        fetch(url)
    assert threading.active_count() == before
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(url, timeout=2)
