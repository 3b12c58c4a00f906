"""Serve the book's typefaces from the book itself, and of each only the ranges it uses.

The Source family (Adobe, SIL Open Font License 1.1) comes from npm as variable fonts, split by
script. A browser fetches a range when a page holds a character of it, so a page of English costs
about 100 KB of fonts once. Each address carries a hash of the file and may be kept for ever.
"""

import hashlib
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util.typing import ExtensionMetadata

PACKAGES = Path("book/node_modules/@fontsource-variable")
STYLE_SHEETS = (
    ("source-serif-4", "wght.css"),
    ("source-serif-4", "wght-italic.css"),
    ("source-sans-3", "wght.css"),
    ("source-code-pro", "wght.css"),
)
SCRIPTS = ("latin", "latin-ext", "greek")
PRELOADED = ("source-serif-4-latin-wght-normal", "source-sans-3-latin-wght-normal")
"""What the first screen of every page is set in."""

_FACE = re.compile(r"/\* (?P<name>[\w-]+) \*/\s*(?P<rule>@font-face \{.*?\})", re.DOTALL)
_SOURCE = re.compile(r"src: url\(\./files/(?P<file>[\w-]+\.woff2)\)[^;]*;")


@dataclass(frozen=True)
class Face:
    """One font file and the rule that declares it.

    Attributes:
        name: family, script, axis and style, such as ``source-sans-3-latin-wght-normal``.
        file: the font.
        address: how a style sheet in ``_static`` names it, with the hash of its content.
        rule: the ``@font-face`` rule with that address.
    """

    name: str
    file: Path
    address: str
    rule: str


def faces(packages: Path) -> Iterator[Face]:
    """Yield every face that the book declares.

    Args:
        packages: the directory of the npm scope ``@fontsource-variable``.

    Raises:
        ExtensionError: a package is not there.
    """
    for package, sheet in STYLE_SHEETS:
        source = packages / package / sheet
        if not source.is_file():
            raise ExtensionError(f"font {package!r}: {source} is missing. Run `make node`.")
        scripts = "|".join(SCRIPTS)
        wanted = re.compile(rf"{package}-({scripts})-wght-(normal|italic)")
        for face in _FACE.finditer(source.read_text("utf-8")):
            address = _SOURCE.search(face["rule"])
            if address is None or not wanted.fullmatch(face["name"]):
                continue
            file = packages / package / "files" / address["file"]
            digest = hashlib.sha256(file.read_bytes()).hexdigest()[:8]
            local = f"fonts/{file.name}?v={digest}"
            rule = _SOURCE.sub(f'src: url("{local}") format("woff2");', face["rule"])
            yield Face(face["name"], file, local, rule)


def _write(app: Sphinx) -> None:
    if app.builder.format != "html":
        return
    packages = Path(app.srcdir) / PACKAGES
    static = Path(app.doctreedir).parent / "fonts"
    (static / "fonts").mkdir(parents=True, exist_ok=True)
    rules = ["/* Source Serif 4, Sans 3 and Code Pro by Adobe: SIL OFL 1.1, see fonts/. */"]
    preloads: list[str] = []
    for face in faces(packages):
        rules.append(face.rule)
        if face.name in PRELOADED:
            preloads.append(f"_static/{face.address}")
        target = static / "fonts" / face.file.name
        if not target.is_file() or target.read_bytes() != face.file.read_bytes():
            shutil.copyfile(face.file, target)
    for package in {package for package, _ in STYLE_SHEETS}:
        license_file = packages / package / "LICENSE"
        shutil.copyfile(license_file, static / "fonts" / f"{package}-LICENSE.txt")
    (static / "fonts.css").write_text("\n".join(rules) + "\n", "utf-8")
    app.config.html_static_path.append(str(static))
    app.add_css_file("fonts.css")

    def add_preloads(
        app: Sphinx, page: str, template: str, context: dict[str, Any], tree: nodes.document | None
    ) -> None:
        context["rc_preloaded_fonts"] = preloads

    app.connect("html-page-context", add_preloads)


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register the extension."""
    app.connect("builder-inited", _write)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
