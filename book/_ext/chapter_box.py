"""The boxes that tell a reader what a page asks for, and how to run its lab.

.. code-block:: markdown

    ```{chapter-box}
    :minutes: 40
    :lab: sockets
    :read-first: /book/how-to-use
    :starts: two TCP servers on 127.0.0.1, each on a free port
    ```

``:lab:`` may name several labs and ``:read-first:`` several pages, separated by commas or spaces.
Every page under ``labs/`` gets the "Run this lab" box below its title without asking for it.
"""

import re
from pathlib import Path
from typing import ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform
from sphinx.util.docutils import SphinxDirective
from sphinx.util.typing import ExtensionMetadata, OptionSpec
from sphinx.writers.html5 import HTML5Translator

LABS = "labs"


class Box(nodes.General, nodes.Element):
    """A box with a title of its own, outside of the page's outline."""


def visit_box(self: HTML5Translator, node: Box) -> None:
    """Open the box. The role ``note`` gives it a name without a heading."""
    self.body.append(
        self.starttag(node, "div", "", role="note", **{"aria-label": node["label"]}) + "\n"
    )


def depart_box(self: HTML5Translator, node: Box) -> None:
    """Close the box."""
    self.body.append("</div>\n")


def _nothing(self: nodes.NodeVisitor, node: Box) -> None:
    """Builders other than HTML show what is in the box."""


def _page_link(docname: str, document: str) -> nodes.Node:
    return addnodes.pending_xref(
        "",
        nodes.inline("", ""),
        refdoc=document,
        refdomain="std",
        reftype="doc",
        reftarget=f"/{docname.lstrip('/')}",
        refexplicit=False,
        refwarn=True,
    )


def _download(path: str, document: str) -> nodes.Node:
    name = Path(path).name
    return addnodes.download_reference(
        "", nodes.Text(f"Download {name}"), reftarget=f"/{path}", refdoc=document, refexplicit=True
    )


def _icon(name: str) -> nodes.Node:
    return nodes.raw(
        "", f'<i class="rc-icon rc-icon-{name}" aria-hidden="true"></i> ', format="html"
    )


def run_lab_paragraph(slug: str, document: str, *, link: bool) -> nodes.paragraph:
    """Return the sentence that says how to run a lab.

    Args:
        slug: the lab's name, without directory and ending.
        document: the page that holds the sentence.
        link: whether to link to the page that shows the lab.
    """
    path = f"{LABS}/{slug}.ipynb"
    parts: list[nodes.Node] = [
        _icon("play"),
        nodes.strong("", "Run this lab"),
        nodes.Text(": type "),
        nodes.literal("", "make lab"),
        nodes.Text(" in the book's directory, then open "),
        nodes.literal("", path),
        nodes.Text(". "),
    ]
    if link:
        parts += [nodes.Text("Read it here: "), _page_link(f"{LABS}/{slug}", document)]
        parts += [nodes.Text(". ")]
    download = nodes.inline("", "", _icon("download"), _download(path, document))
    download["classes"].append("rc-nowrap")
    parts += [download, nodes.Text(".")]
    return nodes.paragraph("", "", *parts, classes=["rc-run-lab"])


def _names(text: str) -> list[str]:
    return [name for name in re.split(r"[,\s]+", text.strip()) if name]


class ChapterBox(SphinxDirective):
    """``chapter-box``: minutes, what to read first, what the lab starts, how to run it."""

    option_spec: ClassVar[OptionSpec] = {
        "minutes": directives.positive_int,
        "lab": directives.unchanged_required,
        "read-first": directives.unchanged_required,
        "starts": directives.unchanged_required,
    }

    def run(self) -> list[nodes.Node]:
        """Return the box, or an error that names what is missing."""
        if "minutes" not in self.options:
            raise self.error("chapter-box: the option :minutes: is required, such as :minutes: 40")
        labs = _names(self.options.get("lab", ""))
        for slug in labs:
            path = Path(self.env.srcdir) / LABS / f"{slug}.ipynb"
            if not path.is_file():
                raise self.error(f"chapter-box: there is no lab {slug!r}: {path} does not exist")
        if labs and "starts" not in self.options:
            raise self.error("chapter-box: say with :starts: what the lab starts")
        document = self.env.docname
        items = nodes.definition_list(classes=["rc-facts"])
        items += self._item("Time", [nodes.Text(f"{self.options['minutes']} minutes")], "clock")
        if first := _names(self.options.get("read-first", "")):
            links: list[nodes.Node] = []
            for name in first:
                links += [nodes.Text(", ")] if links else []
                links.append(_page_link(name, document))
            items += self._item("Read first", links, "link")
        if labs:
            text, messages = self.state.inline_text(self.options["starts"], self.lineno)
            items += self._item("The lab starts", [*text, *messages], "flask")
        box = Box(classes=["rc-box", "rc-chapter-box"], label="About this chapter")
        self.set_source_info(box)
        box += items
        box += [run_lab_paragraph(slug, document, link=True) for slug in labs]
        return [box]

    def _item(self, term: str, content: list[nodes.Node], icon: str) -> nodes.Node:
        return nodes.definition_list_item(
            "",
            nodes.term("", "", _icon(icon), nodes.Text(term)),
            nodes.definition("", nodes.paragraph("", "", *content)),
        )


class LabBox(SphinxTransform):
    """Put the "Run this lab" box below the title of every page under ``labs/``."""

    default_priority = 500

    def apply(self, **kwargs: object) -> None:
        """Change one page, while it is read."""
        document = self.env.docname
        if not document.startswith(f"{LABS}/"):
            return
        title = next(iter(self.document.findall(nodes.title)), None)
        if title is None or title.parent is None:
            return
        slug = document.removeprefix(f"{LABS}/")
        box = Box(classes=["rc-box", "rc-lab-box"], label="Run this lab")
        box += run_lab_paragraph(slug, document, link=False)
        title.parent.insert(title.parent.index(title) + 1, box)


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register the directive and the transform."""
    app.add_node(
        Box,
        html=(visit_box, depart_box),
        latex=(_nothing, _nothing),
        text=(_nothing, _nothing),
    )
    app.add_directive("chapter-box", ChapterBox)
    app.add_transform(LabBox)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
