"""The table "claimed, measured here, why they differ", from ``book/claims.yml``.

.. code-block:: markdown

    ```{claims}
    ```

    ```{claims}
    :chapter: sockets
    ```

Without an option it lists every claim, a section for each article and a table for each chapter;
with ``:chapter:`` the claims of one chapter in a single table.
"""

import re
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

import yaml
from docutils import nodes
from docutils.parsers.rst import directives
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from pydantic import model_validator as validates
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.typing import ExtensionMetadata, OptionSpec

FILE = "book/claims.yml"

ARTICLES = (
    "How Not to Write a Design Document",
    "API Anti-Patterns: 50+ Mistakes That Will Break Your Production Systems",
    "Generative and Agentic AI Design Patterns",
    "Load Testing Applications That Actually Scale: A Practitioner’s Guide",
    "Building Polyglot and Serverless Applications with WebAssembly",
    "Building PlexSpaces: Decades of Distributed Systems Distilled Into One Framework",
    "50+ Languages in Three Decades",
    "Building Production-Grade AI Agents with MCP & A2A: A Complete Guide from the Trenches",
    "Testing Distributed Systems Failures with Interactive Simulators",
    "Three Decades of Remote Calls: My Journey from COBOL Mainframes to AI Agents",
)
"""The source articles; the first two digits of a claim's id count them from 1."""

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class ClaimsError(ValueError):
    """An entry of the file is wrong; the message names its line and its id."""


class Claim(BaseModel):
    """One checkable statement of a source article, and what came of checking it.

    Attributes:
        id: ``S`` and the article's number, a hyphen and the claim's number, such as ``S10-05``.
        article: the article's title.
        section: where in the article it stands.
        chapter: the slug of the chapter that checks it.
        kind: ``number`` or ``behavior``.
        claim: the statement, paraphrased.
        status: ``measured`` here, an ``opinion`` that no measurement decides, or ``open``.
        measured_by: a pytest node id or ``benchmark NAME``; only of a measured claim.
        measured: what came out; only of a measured claim.
        why: why the two differ or agree, or why it cannot be measured.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: Annotated[str, StringConstraints(pattern=r"^S\d\d-\d\d$")]
    article: str
    section: Text
    chapter: Annotated[str, StringConstraints(pattern=r"^[a-z]+(-[a-z]+)*$")]
    kind: Literal["number", "behavior"]
    claim: Text
    status: Literal["measured", "opinion", "open"]
    measured_by: Annotated[
        str | None, Field(pattern=r"^(tests/[\w/-]+\.py::[\w:\[\]-]+|benchmark [\w-]+)$")
    ] = None
    measured: Text | None = None
    why: Text | None = None

    @validates(mode="after")
    def _fits_its_status(self) -> Self:
        if self.article not in ARTICLES:
            raise ValueError(f"there is no article {self.article!r}")
        if ARTICLES.index(self.article) + 1 != int(self.id[1:3]):
            raise ValueError(f"the id {self.id} is not of the article {self.article!r}")
        if self.status == "measured":
            for name in ("measured_by", "measured", "why"):
                if getattr(self, name) is None:
                    raise ValueError(f"a measured claim needs {name!r}")
        elif self.measured_by is not None or self.measured is not None:
            raise ValueError(f"a claim with the status {self.status!r} has nothing measured")
        if self.status == "opinion" and self.why is None:
            raise ValueError("an opinion needs 'why': say why no measurement decides it")
        return self


def load(path: Path) -> list[Claim]:
    """Return the claims of a file, in its order.

    Raises:
        ClaimsError: the file is no list of claims, or an entry is wrong, or an id stands twice.
    """
    text = path.read_text("utf-8")
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        entries = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ClaimsError(f"{path.name} is not YAML: {error}") from error
    if not isinstance(root, yaml.SequenceNode):
        raise ClaimsError(f"{path.name} is not a list of claims")
    claims: dict[str, Claim] = {}
    for node, entry in zip(root.value, entries, strict=True):
        line = node.start_mark.line + 1
        name = entry.get("id", "without id") if isinstance(entry, dict) else "not a mapping"
        try:
            claim = Claim.model_validate(entry)
        except ValidationError as error:
            problems = "; ".join(
                f"{'.'.join(map(str, part['loc'])) or 'entry'}: {part['msg']}"
                for part in error.errors()
            )
            raise ClaimsError(f"{path.name}, line {line}, claim {name}: {problems}") from error
        if claim.id in claims:
            raise ClaimsError(f"{path.name}, line {line}, claim {name}: this id stands twice")
        claims[claim.id] = claim
    return list(claims.values())


def _cell(*content: nodes.Node) -> nodes.entry:
    return nodes.entry("", *content)


def _paragraph(text: str, *classes: str) -> nodes.paragraph:
    """Return a paragraph in which text between backquotes is code."""
    paragraph = nodes.paragraph(classes=list(classes))
    for position, part in enumerate(re.split(r"`([^`]+)`", text)):
        paragraph += nodes.literal("", part) if position % 2 else nodes.Text(part)
    return paragraph


def _row(claim: Claim) -> nodes.row:
    where = f"{claim.id}, section “{claim.section}”"
    claimed = [_paragraph(claim.claim), _paragraph(where, "rc-claim-where")]
    status = {
        "measured": _paragraph(claim.measured or ""),
        "opinion": _paragraph("An opinion: no measurement decides it.", "rc-claim-status"),
        "open": _paragraph("Not measured yet.", "rc-claim-status"),
    }[claim.status]
    measured: list[nodes.Node] = [status]
    if claim.measured_by:
        by = nodes.paragraph(classes=["rc-claim-where"])
        by += [nodes.Text("By "), nodes.literal("", claim.measured_by)]
        measured.append(by)
    why = [_paragraph(claim.why)] if claim.why else [_paragraph("–")]
    row = nodes.row("", _cell(*claimed), _cell(*measured), _cell(*why))
    row["ids"].append(f"claim-{claim.id.lower()}")
    row["classes"].append(f"rc-claim-{claim.status}")
    return row


def _table(title: str, claims: Iterable[Claim]) -> nodes.table:
    group = nodes.tgroup(cols=3)
    for width in (34, 36, 30):
        group += nodes.colspec(colwidth=width)
    headings = ("Claimed", "Measured here", "Why they differ, or agree")
    head = nodes.row("", *(_cell(nodes.paragraph("", text)) for text in headings))
    group += nodes.thead("", head)
    group += nodes.tbody("", *(_row(claim) for claim in claims))
    return nodes.table("", nodes.title("", title), group, classes=["rc-claims"])


def summary(claims: list[Claim]) -> str:
    """Return how many claims have which status, as a sentence."""
    measured, opinion, unmeasured = (
        sum(claim.status == status for claim in claims)
        for status in ("measured", "opinion", "open")
    )
    opinions = f"{opinion} opinion{'s' if opinion != 1 else ''}"
    return f"{len(claims)} claims: {measured} measured, {opinions}, {unmeasured} not measured yet."


class Claims(SphinxDirective):
    """``claims``: the tables of claims."""

    option_spec: ClassVar[OptionSpec] = {"chapter": directives.unchanged_required}

    def run(self) -> list[nodes.Node]:
        """Return the tables, or the error that the file deserves."""
        path = Path(self.env.srcdir) / FILE
        self.env.note_dependency(str(path))
        try:
            claims = load(path)
        except ClaimsError as error:
            raise self.error(f"claims: {error}") from error
        if chapter := self.options.get("chapter"):
            chosen = [claim for claim in claims if claim.chapter == chapter]
            if not chosen:
                raise self.error(f"claims: {FILE} holds no claim of the chapter {chapter!r}")
            return [_table(f"Claims checked in the chapter “{chapter}”", chosen)]
        return [nodes.paragraph("", summary(claims)), *self._articles(claims)]

    def _articles(self, claims: list[Claim]) -> list[nodes.Node]:
        ordered = sorted(claims, key=lambda claim: (claim.id[1:3], claim.chapter, claim.id))
        sections: list[nodes.Node] = []
        for article, of_article in groupby(ordered, key=lambda claim: claim.article):
            section = nodes.section("", nodes.title("", article))
            section["ids"].append(nodes.make_id(article))
            self.state.document.note_implicit_target(section, section)
            for chapter, of_chapter in groupby(of_article, key=lambda claim: claim.chapter):
                section += _table(f"Claims checked in the chapter “{chapter}”", of_chapter)
            sections.append(section)
        return sections


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register the directive."""
    app.add_directive("claims", Claims)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
