"""Screens of 24 lines and 80 columns, compiled from a picture of themselves.

A 3270 terminal shows a grid, and a program has to say for each piece of text and each field at
which row and column it begins. Here the source is the screen as it will look, and under it a word
or two about each field::

     Customer inquiry

     Number  [custid__]   Name  [custname______________________]
     Balance [balance___]
    ----
    custid    unprotected numeric
    custname  bright

A field that is not called `unprotected` is protected. A bracket is where the terminal keeps an
*attribute byte*, which takes a place on the screen and shows as a blank. A field is as long as what
stands between its brackets. Text needs a blank before it for the same reason. Four dashes at the
very beginning of a line end the picture; a ruled line on the screen begins one further, as does
all text.

Source: IBM 3270 Information Display System, Data Stream Programmer's Reference (GA23-0059).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Flag, auto

ROWS, COLUMNS = 24, 80
LONGEST_NAME = 8
"""What stands before column 10 of a macro, with its blank. COBOL itself would take 29."""

_FIELD = re.compile(r"\[([^\[\]]*)\]")
_NAME = re.compile(r"[a-z][a-z0-9]*")
_RULE = re.compile(r"-{4,}")


class TemplateError(ValueError):
    """A template cannot become a screen.

    Attributes:
        line: counted from 1.
        column: counted from 1.
    """

    def __init__(self, line: int, column: int, message: str) -> None:
        super().__init__(f"line {line}, column {column}: {message}")
        self.line = line
        self.column = column


class Attribute(Flag):
    """What a terminal lets its user do with a field."""

    PROTECTED = auto()
    """It cannot be typed into."""
    NUMERIC = auto()
    """Only digits can be typed."""
    BRIGHT = auto()
    """It is shown in high intensity."""


WORDS = {
    "protected": Attribute.PROTECTED,
    "unprotected": Attribute(0),
    "numeric": Attribute.NUMERIC,
    "bright": Attribute.BRIGHT,
}


@dataclass(frozen=True)
class Text:
    """Words that are always there.

    Attributes:
        row: of the attribute byte before it, from 1.
        column: of the attribute byte, from 1; the text begins one further.
        content: the words.
    """

    row: int
    column: int
    content: str


@dataclass(frozen=True)
class Field:
    """A place for a value.

    Attributes:
        name: as in the template.
        row: of the attribute byte before it, from 1.
        column: of the attribute byte, from 1; the field begins one further.
        length: how many characters it has.
        attributes: what a user may do.
    """

    name: str
    row: int
    column: int
    length: int
    attributes: Attribute

    def fit(self, value: str) -> str:
        """The value, filled up with blanks.

        Raises:
            ValueError: it is longer than the field, or not for a screen.
        """
        if len(value) > self.length:
            raise ValueError(f"{value!a} is longer than {self.name}, which has {self.length}")
        if not showable(value):
            raise ValueError(f"{value!a} holds a character that no screen shows")
        return value.ljust(self.length)


@dataclass(frozen=True)
class ScreenMap:
    """A compiled screen.

    Attributes:
        texts: in reading order.
        fields: in reading order.
    """

    texts: tuple[Text, ...]
    fields: tuple[Field, ...]

    def render(self, values: Mapping[str, str]) -> list[str]:
        """The screen as a user sees it: 24 lines of 80 characters.

        Args:
            values: by the name of the field; fields without a value are blank.

        Raises:
            KeyError: the screen has no such field.
            ValueError: a value does not fit.
        """
        known = {field.name: field for field in self.fields}
        grid = [[" "] * COLUMNS for _ in range(ROWS)]
        pieces = [(text.row, text.column, text.content) for text in self.texts]
        for name, value in values.items():
            field = known[name]
            pieces.append((field.row, field.column, field.fit(value)))
        for row, column, content in pieces:
            grid[row - 1][column : column + len(content)] = content
        return ["".join(line) for line in grid]

    def stop_of(self, field: Field) -> int | None:
        """The column of the attribute byte that ends a field.

        None where none is needed: at the end of a line, or where a text begins with its own.
        """
        end = field.column + field.length + 1
        taken = any((text.row, text.column) == (field.row, end) for text in self.texts)
        return None if end > COLUMNS or taken else end


def showable(text: str) -> bool:
    """Whether each character has one place on a screen of code page 037: no tab, no control."""
    return all(ord(character) < 256 and character.isprintable() for character in text)


def compile_screen(template: str) -> ScreenMap:
    """Compile a template. One line end before its first line is not part of it.

    Raises:
        TemplateError: it has too many lines or columns, or a field or a text that no terminal
            could show; the message says where and what to do.
    """
    lines = template.removeprefix("\n").rstrip("\n").split("\n")
    rule = next((n for n, line in enumerate(lines) if _RULE.fullmatch(line.rstrip())), len(lines))
    picture, legend = lines[:rule], lines[rule + 1 :]
    if len(picture) > ROWS:
        raise TemplateError(ROWS + 1, 1, f"a screen has {ROWS} lines, this one {len(picture)}")
    entries = _legend(legend, rule + 2)
    texts: list[Text] = []
    fields: dict[str, Field] = {}
    for row, line in enumerate(picture, 1):
        _check_line(row, line)
        for field in _fields(row, line, entries):
            if field.name in fields:
                where = f"line {fields[field.name].row} has one called {field.name!r} already"
                raise TemplateError(row, field.column, where)
            fields[field.name] = field
        texts.extend(_texts(row, line))
    for name, entry in entries.items():
        if name not in fields:
            raise TemplateError(entry.line, 1, f"there is no field {name!r} on the screen")
    return ScreenMap(tuple(texts), tuple(fields.values()))


def _check_line(row: int, line: str) -> None:
    if len(line) > COLUMNS:
        beyond = f"a line has {COLUMNS} columns, this one {len(line)}"
        raise TemplateError(row, COLUMNS + 1, beyond)
    for column, character in enumerate(line, 1):
        if not showable(character):
            what = f"{character!a} is no character of a terminal; write blanks for a tab"
            raise TemplateError(row, column, what)


@dataclass(frozen=True)
class _Entry:
    """One line of the legend."""

    line: int
    attributes: Attribute


def _legend(lines: list[str], first: int) -> dict[str, _Entry]:
    entries: dict[str, _Entry] = {}
    for number, line in enumerate(lines, first):
        if not line.strip():
            continue
        name, *words = re.finditer(r"\S+", line)
        if name[0] in entries:
            where = f"line {entries[name[0]].line} describes {name[0]!r} already"
            raise TemplateError(number, name.start() + 1, where)
        entries[name[0]] = _Entry(number, _attributes(number, words))
    return entries


def _attributes(number: int, words: Sequence[re.Match[str]]) -> Attribute:
    found = Attribute(0)
    said = {word[0] for word in words}
    for word in words:
        if word[0] not in WORDS:
            what = f"{word[0]!r} is not one of {', '.join(WORDS)}"
            raise TemplateError(number, word.start() + 1, what)
        if word[0] == "protected" and "unprotected" in said:
            what = "a field is protected or unprotected: take one of the words away"
            raise TemplateError(number, word.start() + 1, what)
        if word[0] == "numeric" and "unprotected" not in said:
            what = "nobody types into a protected field: add unprotected, or take numeric away"
            raise TemplateError(number, word.start() + 1, what)
        found |= WORDS[word[0]]
    return found if "unprotected" in said else found | Attribute.PROTECTED


def _fields(row: int, line: str, entries: Mapping[str, _Entry]) -> Iterator[Field]:
    for found in _FIELD.finditer(line):
        column, inside = found.start() + 1, found[1]
        name = inside.rstrip("_")
        if not _NAME.fullmatch(name):
            what = f"{inside!r} is no name: letters and digits, filled up with _"
            raise TemplateError(row, column + 1, what)
        if len(name) > LONGEST_NAME:
            raise TemplateError(row, column + 1, f"{name!r} has over {LONGEST_NAME} letters")
        attributes = entries[name].attributes if name in entries else Attribute.PROTECTED
        yield Field(name, row, column, len(inside), attributes)
    stray = _FIELD.sub(lambda found: " " * len(found[0]), line)
    for bracket in "[]":
        if bracket in stray:
            raise TemplateError(row, stray.index(bracket) + 1, f"{bracket!r} has no partner")


def _texts(row: int, line: str) -> Iterator[Text]:
    # The bracket that ends a field is the attribute byte of a text right behind it.
    blank = _FIELD.sub(lambda found: " " * len(found[0]), line)
    for found in re.finditer(r"\S+(?: \S+)*", blank):
        if found.start() == 0:
            raise TemplateError(row, 1, "text needs a blank before it, for its attribute byte")
        yield Text(row, found.start(), found[0])
