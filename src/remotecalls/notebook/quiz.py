"""Quizzes: questions whose every option has an explanation, the wrong ones too.

They stand in ``quizzes/SLUG.yml``, one entry a quiz, and are shown by labs (``lab.quiz``) and by
the pages of the book (the directive ``quiz``)::

    what-recv-returns:
      question: A client sends `b"hello"` and then `b"world"`. What does `recv(1024)` return?
      options:
        - text: Always `b"hello"`.
          explanation: One send is not one receive. TCP carries bytes, not messages.
        - text: Between 1 and 10 bytes of `b"helloworld"`.
          correct: true
          explanation: The stream keeps the order of the bytes and nothing else.

Texts may hold Markdown of one line: code, emphasis, links.
"""

from __future__ import annotations

import re
import string
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import yaml
from markdown_it import MarkdownIt
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    model_validator,
)


def _without_html(text: str) -> str:
    inline = MarkdownIt("commonmark").parseInline(text)[0].children or []
    found = next((token.content for token in inline if token.type == "html_inline"), None)
    if found is not None:
        raise ValueError(f"the HTML {found} would show in pages and not in labs: use Markdown")
    return text


Line = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1),
    AfterValidator(_without_html),
]
QuizName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]

_MARKDOWN = MarkdownIt("commonmark", {"html": False})


class QuizError(Exception):
    """A file of quizzes is malformed; the message names the file, the entry and the field."""


class Option(BaseModel):
    """One option of a quiz."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    text: Line
    explanation: Line
    correct: bool = False


class Quiz(BaseModel):
    """A question and its options.

    Attributes:
        question: one or two sentences.
        options: two to six; the first is called ``a``.
        multiple: whether more than one option is right.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    question: Line
    options: Annotated[tuple[Option, ...], Field(min_length=2, max_length=6)]
    multiple: bool = False

    @model_validator(mode="after")
    def _right_options(self) -> Quiz:
        right = sum(option.correct for option in self.options)
        if right == 0:
            raise ValueError("no option is correct")
        if right > 1 and not self.multiple:
            raise ValueError(f"{right} options are correct: set 'multiple: true', or mark one")
        if len({option.text for option in self.options}) != len(self.options):
            raise ValueError("two options have the same text")
        return self

    @property
    def letters(self) -> str:
        """The letters of the options, ``abc`` for three."""
        return string.ascii_lowercase[: len(self.options)]

    @property
    def right(self) -> frozenset[str]:
        """The letters of the correct options."""
        pairs = zip(self.letters, self.options, strict=True)
        return frozenset(letter for letter, option in pairs if option.correct)


def load_quizzes(path: Path) -> dict[str, Quiz]:
    """Return the quizzes of a file by name; empty when there is no such file.

    Raises:
        QuizError: the file is not YAML, or an entry is malformed.
    """
    if not path.is_file():
        return {}
    try:
        data = yaml.safe_load(path.read_text("utf-8"))
    except yaml.YAMLError as error:
        raise QuizError(f"{path.name}: not YAML: {error}") from error
    try:
        return _FILE.validate_python(data)
    except ValidationError as error:
        raise QuizError(_explained(path.name, error)) from error


_FILE = TypeAdapter(dict[QuizName, Quiz])


def _explained(file: str, error: ValidationError) -> str:
    lines = []
    for one in error.errors():
        entry, *field = [str(part) for part in one["loc"] if part != "[key]"] or ["(whole file)"]
        where = f"entry {entry!r}" + (f", field {'.'.join(field)}" if field else "")
        lines.append(f"{file}: {where}: {one['msg'].removeprefix('Value error, ')}")
    return "\n".join(lines)


@dataclass(frozen=True)
class ShownQuiz:
    """A quiz as a lab shows it, without the explanations."""

    name: str
    quiz: Quiz

    def __repr__(self) -> str:
        """Return the quiz as text."""
        lines = [plain(self.quiz.question)]
        for letter, option in zip(self.quiz.letters, self.quiz.options, strict=True):
            lines.append(f"  {letter}) {plain(option.text)}")
        return "\n".join([*lines, self._how()])

    def _repr_html_(self) -> str:
        """Return the quiz as HTML."""
        # JupyterLab numbers every list with digits, whatever its type says.
        options = "".join(
            f"<p>{letter}) {in_line(option.text)}</p>"
            for letter, option in zip(self.quiz.letters, self.quiz.options, strict=True)
        )
        return (
            f'<div class="rc-lab-quiz"><p><strong>{in_line(self.quiz.question)}</strong></p>'
            f"{options}<p><code>{_escaped(self._how())}</code></p></div>"
        )

    def _how(self) -> str:
        letters = '"a", "b"' if self.quiz.multiple else '"a"'
        return f'lab.answer("{self.name}", {letters})'


@dataclass(frozen=True)
class Verdict:
    """What a lab says to an answer."""

    right: bool
    headline: str
    explanations: tuple[tuple[str, Option], ...]

    def __bool__(self) -> bool:
        """Return whether the answer is right."""
        return self.right

    def __repr__(self) -> str:
        """Return the verdict as text."""
        lines = [self.headline]
        for letter, option in self.explanations:
            lines.append(f"  {letter}) {plain(option.explanation)}")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        """Return the verdict as HTML."""
        parts = [f"<p><strong>{_escaped(self.headline)}</strong></p>"]
        for letter, option in self.explanations:
            parts.append(
                f"<p>{letter}) {in_line(option.text)}<br>{in_line(option.explanation)}</p>"
            )
        return f'<div class="rc-lab-quiz">{"".join(parts)}</div>'


def judge(quiz: Quiz, chosen: Sequence[str]) -> Verdict:
    """Judge the chosen letters and explain each of them."""
    picked = [letter.strip().lower() for letter in chosen]
    unknown = [letter for letter in picked if letter not in quiz.letters or len(letter) != 1]
    if not picked or unknown:
        which = f"{unknown[0]!r} is not one of them" if unknown else "name at least one"
        return Verdict(False, f"The options are {', '.join(quiz.letters)}: {which}.", ())
    if len(picked) > 1 and not quiz.multiple:
        return Verdict(False, "Choose one option.", ())
    explanations = tuple(
        (letter, quiz.options[quiz.letters.index(letter)]) for letter in sorted(set(picked))
    )
    right = set(picked) == quiz.right
    if right:
        return Verdict(True, "Right.", explanations)
    if quiz.multiple and set(picked) < quiz.right:
        return Verdict(False, "Right so far, and there is more.", explanations)
    return Verdict(False, "Not this time.", explanations)


def in_line(markdown: str) -> str:
    """Return Markdown of one line as HTML; HTML in it is escaped."""
    return str(_MARKDOWN.renderInline(markdown))


def plain(markdown: str) -> str:
    """Return Markdown of one line as plain text."""
    tokens = _MARKDOWN.parseInline(markdown)[0].children or []
    parts = []
    for token in tokens:
        if token.type in ("softbreak", "hardbreak"):
            parts.append(" ")
        elif token.content:
            parts.append(token.content)
    return re.sub(r"\s+", " ", "".join(parts))


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
