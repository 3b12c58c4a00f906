"""Render mathematics as MathML at build time: no script, no font from another host.

Browsers lay MathML out themselves and screen readers read it. The TeX source stays in the page, as
an annotation and as ``alttext``, so it can be copied and so a tool without MathML has the text.

Sources: MathML Core (W3C); ``sphinx.ext.mathjax``, whose place this takes.
"""

import re
from xml.etree import ElementTree

import latex2mathml.converter
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util import logging
from sphinx.util.math import get_node_equation_number
from sphinx.util.typing import ExtensionMetadata
from sphinx.writers.html5 import HTML5Translator

LOGGER = logging.getLogger(__name__)
NAMESPACE = "http://www.w3.org/1998/Math/MathML"


def to_mathml(tex: str, *, display: bool) -> str:
    """Return a ``<math>`` element for one formula.

    Args:
        tex: the formula in TeX, without delimiters.
        display: whether it stands on a line of its own.

    Raises:
        ExtensionError: the formula does not parse, or uses a command that has no translation.
    """
    source = tex.strip()
    # latex2mathml reads an unclosed group as if it were closed.
    braces = re.sub(r"\\[\\{}]", "", source)
    if braces.count("{") != braces.count("}"):
        raise ExtensionError(f"the braces of this formula do not balance: {source!r}")
    try:
        converted = latex2mathml.converter.convert(source, display="block" if display else "inline")
    except Exception as error:
        # Besides its own errors the library raises bare KeyError and IndexError.
        raise ExtensionError(
            f"this formula is not TeX that latex2mathml reads: {source!r} ({error!r})"
        ) from error
    ElementTree.register_namespace("", NAMESPACE)
    root = ElementTree.fromstring(converted)
    unknown = [
        element.text
        for element in root.iter()
        if element.text and element.text.startswith("\\") and len(element.text) > 1
    ]
    if unknown:
        raise ExtensionError(f"latex2mathml does not know {unknown[0]} in the formula {source!r}")
    semantics = ElementTree.Element(f"{{{NAMESPACE}}}semantics")
    semantics.extend(list(root))
    for child in list(root):
        root.remove(child)
    annotation = ElementTree.SubElement(
        semantics, f"{{{NAMESPACE}}}annotation", encoding="application/x-tex"
    )
    annotation.text = source
    root.append(semantics)
    root.set("alttext", source)
    return ElementTree.tostring(root, encoding="unicode")


def _render(node: nodes.Node, tex: str, *, display: bool) -> str:
    try:
        return to_mathml(tex, display=display)
    except ExtensionError as error:
        LOGGER.warning("%s", error, location=node, type="mathml")
        return f"<code>{nodes.Text(tex).astext()}</code>"


def visit_inline(self: HTML5Translator, node: nodes.math) -> None:
    """Write one inline formula."""
    self.body.append(_render(node, node.astext(), display=False))
    raise nodes.SkipNode


def visit_block(self: HTML5Translator, node: nodes.math_block) -> None:
    """Write one displayed formula, with its number and the link to it when it has a label."""
    self.body.append(self.starttag(node, "div", CLASS="math rc-scroll"))
    if node["number"]:
        number = get_node_equation_number(self, node)
        self.body.append(f'<span class="eqno">({number})')
        self.add_permalink_ref(node, "Link to this equation")
        self.body.append("</span>")
    self.body.append(_render(node, node.astext(), display=True))
    self.body.append("</div>\n")
    raise nodes.SkipNode


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register the renderer; ``html_math_renderer: mathml`` chooses it."""
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_block, None))
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
