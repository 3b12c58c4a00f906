"""Let the outputs of a page never outlive the code that made them.

MyST-NB keeps executed pages by the text of their cells. The same cells print something else when
the package under ``src/``, a locked dependency or a result of a benchmark changes. The cache
therefore carries a hash of all of them: when it no longer fits, the cache is emptied and the pages
that show outputs are read again.

The hash is not part of the cache's path, because Sphinx takes a changed path for a changed
configuration and would read the whole book again.
"""

import hashlib
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging
from sphinx.util.typing import ExtensionMetadata

LOGGER = logging.getLogger(__name__)
WATCHED = ("requirements.txt", "src", "benchmarks/results")
KINDS = {".py", ".cpy", ".json", ".yml"}
STAMP = "code-hash"
"""The file in the cache that says for which code its outputs hold."""


def code_hash(root: Path) -> str:
    """Return a hash of everything that decides what a cell prints, besides the cell.

    Args:
        root: the project's root, with what is `WATCHED`.

    Raises:
        FileNotFoundError: a part of that is missing.
    """
    digest = hashlib.sha256()
    for name in WATCHED:
        path = root / name
        if not path.exists():
            raise FileNotFoundError(f"{path} is missing: the execution cache depends on it.")
        inside = (each for each in path.rglob("*") if each.suffix in KINDS)
        files = [path] if path.is_file() else sorted(inside)
        for file in files:
            digest.update(file.relative_to(root).as_posix().encode() + b"\0")
            digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()[:16]


def note_code(env: BuildEnvironment, docname: str) -> None:
    """Have a page read again whenever the code changes: it shows what the code does."""
    _documents(env).add(docname)


def _documents(env: BuildEnvironment) -> set[str]:
    if not hasattr(env, "remotecalls_code_documents"):
        env.remotecalls_code_documents = set()  # type: ignore[attr-defined]
    documents: set[str] = env.remotecalls_code_documents  # type: ignore[attr-defined]
    return documents


def empty_if_stale(cache: Path, current: str) -> bool:
    """Empty the cache unless its outputs were made by the current code.

    Args:
        cache: the directory in which MyST-NB keeps executed pages.
        current: the hash of the code, from :func:`code_hash`.

    Returns:
        Whether it was emptied.
    """
    stamp = cache / STAMP
    if stamp.is_file() and stamp.read_text("utf-8") == current:
        return False
    if cache.is_dir():
        shutil.rmtree(cache)
    cache.mkdir(parents=True)
    stamp.write_text(current, "utf-8")
    return True


def _check_cache(app: Sphinx) -> None:
    configured = app.config.nb_execution_cache_path
    cache = Path(configured) if configured else Path(app.outdir).parent / ".jupyter_cache"
    if empty_if_stale(cache, code_hash(Path(app.srcdir))):
        LOGGER.info("the code has changed: executed pages run again")


def _outdated(
    app: Sphinx, env: BuildEnvironment, added: set[str], changed: set[str], removed: set[str]
) -> Iterable[str]:
    current = code_hash(Path(app.srcdir))
    before = getattr(env, "remotecalls_code_hash", current)
    env.remotecalls_code_hash = current  # type: ignore[attr-defined]
    if before == current:
        return []
    executed = {name for name, data in _notebook_data(env).items() if data.get("exec_data")}
    again = ((executed | _documents(env)) & set(env.found_docs)) - added - changed
    if again:
        LOGGER.info("the code has changed: %d pages are read again", len(again))
    return sorted(again)


def _notebook_data(env: BuildEnvironment) -> dict[str, dict[str, Any]]:
    data: dict[str, dict[str, Any]] = getattr(env, "nb_metadata", {})
    return data


def _forget(app: Sphinx, env: BuildEnvironment, docname: str) -> None:
    _documents(env).discard(docname)


def _merge(app: Sphinx, env: BuildEnvironment, docs: set[str], other: BuildEnvironment) -> None:
    _documents(env).update(_documents(other) & set(docs))


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register the extension."""
    app.connect("builder-inited", _check_cache)
    app.connect("env-get-outdated", _outdated)
    app.connect("env-purge-doc", _forget)
    app.connect("env-merge-info", _merge)
    return {
        "version": "1",
        "env_version": 1,
        "parallel_read_safe": True,
        "parallel_write_safe": True,
    }
