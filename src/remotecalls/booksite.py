"""Serve the built web book, compressed and cacheable, from this machine.

Sphinx leaves plain files in ``_build/html``. This module makes their ``.br`` and ``.gz`` siblings
once, as the last step of the build, and serves them with WhiteNoise on waitress. Both are
production servers, so what a reader measures here is what a deployed copy of the site would send.

Sources: RFC 9110 (conditional requests, content coding), RFC 9111 and RFC 8246 (``immutable``).
"""

import argparse
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from whitenoise import WhiteNoise
from whitenoise.compress import Compressor

from remotecalls.wsgi import WSGIServer

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

REVALIDATE = "no-cache"
"""The browser keeps the file but asks first: one 304 for an unchanged file, no stale page."""

KEEP = "public, max-age=31536000, immutable"
"""For a URL that carries a digest of its content: it can never mean another file."""

DIGEST_PARAMETERS = frozenset({"v", "digest"})
"""Query parameters in which Sphinx and the theme put a checksum of the file."""

MEDIA_TYPES = {
    ".wasm": "application/wasm",
    ".mjs": "text/javascript",
    ".json": "application/json",
    ".ipynb": "application/x-ipynb+json",
    ".svg": "image/svg+xml",
    ".webmanifest": "application/manifest+json",
}
"""Types that browsers insist on and that some systems' MIME tables do not know."""

SIBLINGS = (".br", ".gz")
NOT_WORTH_IT = (*Compressor.SKIP_COMPRESS_EXTENSIONS, "whl", "inv")


def compress(directory: Path) -> list[Path]:
    """Make the ``.br`` and ``.gz`` siblings of every file that changed since the last time.

    A sibling carries its file's modification time; one that is equal is current. Siblings whose
    file is gone, or no longer worth compressing, are removed, so a stale copy is never served.

    Args:
        directory: the built site.

    Returns:
        The files that were compressed anew, sorted.
    """
    compressor = Compressor(extensions=NOT_WORTH_IT, quiet=True)
    files = [path for path in directory.rglob("*") if path.is_file()]
    for sibling in (path for path in files if path.suffix in SIBLINGS):
        if not sibling.with_suffix("").exists():
            sibling.unlink()
    changed = sorted(
        path
        for path in files
        if path.suffix not in SIBLINGS
        and compressor.should_compress(path.name)
        and not _is_current(path)
    )
    for path in changed:
        for suffix in SIBLINGS:
            _sibling(path, suffix).unlink(missing_ok=True)
    # Brotli and zlib release the interpreter lock, so threads use every core.
    with ThreadPoolExecutor() as pool:
        list(pool.map(compressor.compress, map(str, changed)))
    return changed


def _sibling(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _is_current(path: Path) -> bool:
    brotli = _sibling(path, ".br")
    # The time goes through a float on its way, which does not hold every nanosecond.
    return brotli.exists() and abs(brotli.stat().st_mtime - path.stat().st_mtime) < 0.001


def application(directory: Path) -> "WSGIApplication":
    """Return the WSGI application that serves a built site.

    Args:
        directory: the built site; its ``404.html`` answers every unknown path.

    Raises:
        FileNotFoundError: the directory holds no built site.
    """
    for needed in ("index.html", "404.html"):
        if not (directory / needed).is_file():
            raise FileNotFoundError(
                f"{directory / needed} is missing: build the book first, with `make html`."
            )
    files = WhiteNoise(
        _not_found(directory / "404.html"),
        root=str(directory),
        index_file=True,
        autorefresh=False,
        allow_all_origins=False,
        mimetypes=MEDIA_TYPES,
        add_headers_function=lambda headers, path, url: headers.__setitem__(
            "Cache-Control", REVALIDATE
        ),
    )
    return _keep_what_carries_a_digest(files)


def _not_found(page: Path) -> "WSGIApplication":
    body = page.read_bytes()

    def answer(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        headers = [
            ("Content-Type", 'text/html; charset="utf-8"'),
            ("Content-Length", str(len(body))),
            ("Cache-Control", REVALIDATE),
        ]
        start_response("404 Not Found", headers)
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]

    return answer


def _keep_what_carries_a_digest(inner: "WSGIApplication") -> "WSGIApplication":
    """WhiteNoise looks at paths alone, but the digest of a Sphinx asset stands in the query."""

    def answer(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        if not DIGEST_PARAMETERS & parse_qs(environ.get("QUERY_STRING", "")).keys():
            return inner(environ, start_response)

        def start(
            status: str, headers: list[tuple[str, str]], *rest: Any
        ) -> Callable[[bytes], object]:
            if status.startswith(("200", "304")):
                headers = [pair for pair in headers if pair[0].lower() != "cache-control"]
                headers.append(("Cache-Control", KEEP))
            return start_response(status, headers, *rest)

        return inner(environ, start)

    return answer


@contextmanager
def serve_book(directory: Path, host: str = "127.0.0.1", port: int = 0) -> Iterator[str]:
    """Serve the built book while the context is open.

    Args:
        directory: the built site, ``_build/html``.
        host: the address to listen on.
        port: the port to listen on; 0 takes a free one.

    Yields:
        The address of the landing page, such as ``http://127.0.0.1:40123/``.

    Raises:
        FileNotFoundError: the directory holds no built site.
        OSError: the port is taken.
    """
    # WhiteNoise sends a compressed copy without looking at its age.
    compress(directory)
    server = WSGIServer(application(directory), host, port, threads=8)
    try:
        yield f"http://{server.host}:{server.port}/"
    finally:
        server.stop()


def main(arguments: list[str] | None = None) -> None:
    """Make the compressed copies of a built site, as the last step of its build."""
    parser = argparse.ArgumentParser(
        prog="python -m remotecalls.booksite", description=main.__doc__
    )
    parser.add_argument("directory", type=Path, help="the built site, _build/html")
    directory = parser.parse_args(arguments).directory
    if not directory.is_dir():
        parser.error(f"{directory} is not a directory: build the book first, with `make html`")
    print(f"Compressed {len(compress(directory))} changed files in {directory}.")


if __name__ == "__main__":
    main()
