"""Build a few pages with some of the book's extensions."""

import gc
import io
import re
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bs4 import BeautifulSoup
from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace, patch_docutils

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Built:
    """What came of a build.

    Attributes:
        site: the directory of the HTML.
        warnings: what Sphinx complained about; empty if all went well.
    """

    site: Path
    warnings: str

    def page(self, name: str = "index") -> BeautifulSoup:
        """Return a page, parsed."""
        return BeautifulSoup((self.site / f"{name}.html").read_text("utf-8"), "html.parser")


def build(
    source: Path,
    pages: dict[str, str],
    extensions: list[str],
    *,
    parser: str = "myst_parser",
    **settings: Any,
) -> Built:
    """Write pages into a directory and build them as HTML.

    Args:
        source: an empty directory, or one that holds what the pages need.
        pages: file names and texts; `index.md` is the root.
        extensions: names of modules in `book/_ext` and of installed extensions.
        parser: the extension that reads Markdown; `myst_nb` also runs its cells.
        **settings: Sphinx settings.
    """
    for name, text in pages.items():
        path = source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    complaints = io.StringIO()
    output = source / "_build" / "html"
    with warnings.catch_warnings(), patch_docutils(str(source)), docutils_namespace():
        # Sphinx 7 and docutils use each other's deprecated names; the book's own code does not run
        # any the less strictly for it, because its unit tests stand outside of this block.
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", PendingDeprecationWarning)
        # The cache of executed pages leaves its database to the garbage collector.
        warnings.filterwarnings("ignore", "unclosed database", ResourceWarning)
        app = Sphinx(
            srcdir=source,
            confdir=None,
            outdir=output,
            doctreedir=source / "_build" / ".doctrees",
            buildername="html",
            confoverrides={
                "extensions": [parser, *extensions],
                "myst_enable_extensions": ["dollarmath", "colon_fence"],
                "exclude_patterns": ["_build", "book/node_modules"],
                "nitpicky": True,
                # Sphinx adds a parser's suffixes to this dictionary, and its default is shared by
                # all builds of the process: the next one would ask for the last one's parser.
                "source_suffix": {".rst": "restructuredtext"},
                **settings,
            },
            status=None,
            warning=complaints,
        )
        app.build()
        del app
        gc.collect()
    return Built(output, re.sub(r"\x1b\[[0-9;]*m", "", complaints.getvalue()))
