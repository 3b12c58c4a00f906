"""Bytes and their labels, for a page, a notebook and a terminal.

The HTML needs no script. Each field is a radio button, so one press of Tab reaches the list and
the arrow keys go through it; the field that is chosen, or under the pointer, is marked in the
list and among the bytes by a rule of the style sheet. `book/_static/wire-view.js` adds that a
click on a byte chooses its field.

The same input gives the same text, character for character: nbval compares it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from itertools import groupby

from remotecalls.wire.dissection import Dissection, Field, Kind, count_bytes
from remotecalls.wire.recording import Direction, Recording, View

DEFAULT_LIMIT = 2_048
"""Bytes that are shown of one dissection."""

TEXT_ROW = 8
"""Bytes in a line of `to_text`."""

Dissect = Callable[[bytes, Direction], Dissection]
"""A binding's dissector."""


@dataclass(frozen=True)
class WireView:
    """What a notebook shows: HTML in JupyterLab, text elsewhere."""

    html: str
    text: str

    def _repr_html_(self) -> str:
        return self.html

    def __repr__(self) -> str:
        return self.text


def view(dissection: Dissection, caption: str) -> WireView:
    """The annotated bytes of one message or stream, for the last line of a notebook cell."""
    return WireView(to_html(dissection, caption), to_text(dissection, caption))


def view_exchange(
    recording: Recording, dissect: Dissect, *, connection: int = 0, delivered: bool = False
) -> WireView:
    """Both directions of a connection, for the last line of a notebook cell."""
    return WireView(
        exchange_html(recording, dissect, connection=connection, delivered=delivered),
        exchange_text(recording, dissect, connection=connection, delivered=delivered),
    )


# ---------------------------------------------------------------- HTML


def to_html(
    dissection: Dissection,
    caption: str,
    *,
    bytes_per_row: int = 8,
    limit: int = DEFAULT_LIMIT,
    style: bool = True,
) -> str:
    """An annotated hex view: the bytes in rows, and a list of their fields.

    Args:
        dissection: the bytes and their labels.
        caption: what these bytes are, as plain text.
        bytes_per_row: 8 or 16; 8 fit on a telephone.
        limit: bytes shown; of what follows, the view gives the number.
        style: whether to put the style sheet in. A page that links `wire-view.css` does without.

    Raises:
        ValueError: `bytes_per_row` or `limit` is not one that can be drawn.
    """
    if bytes_per_row not in (8, 16):
        raise ValueError(f"bytes_per_row is {bytes_per_row}: 8 or 16")
    if limit < 1:
        raise ValueError(f"limit is {limit}: at least one byte is shown")
    fields = [field for field in dissection.fields if field.start < limit]
    data = dissection.data[:limit]
    highlight = _highlight(len(fields))
    return "\n".join(
        [
            '<figure class="rc-wire">',
            f"<style>{(_packed(stylesheet()) if style else '') + highlight}</style>",
            f"<figcaption><b>{escape(caption)}</b> {_summary(dissection)}</figcaption>",
            '<div class="rc-wire-panes">',
            *_dump(data, fields, caption, bytes_per_row),
            *_list(dissection, fields, _group(dissection, caption)),
            "</div>",
            *_rest(dissection, len(data), len(fields)),
            "</figure>",
        ]
    )


def exchange_html(
    recording: Recording,
    dissect: Dissect,
    *,
    connection: int = 0,
    delivered: bool = False,
    bytes_per_row: int = 8,
    limit: int = DEFAULT_LIMIT,
    style: bool = True,
) -> str:
    """Both directions of a connection, the client's first.

    Args:
        recording: what the tap saw.
        dissect: labels the bytes of one direction.
        connection: which connection.
        delivered: the bytes as they were delivered, faults included; otherwise as they were sent.
        bytes_per_row: as in `to_html`.
        limit: as in `to_html`, for each direction.
        style: as in `to_html`.

    Raises:
        KeyError: the recording has no such connection.
        RecordingTruncated: not all of the bytes were kept.
    """
    parts = [
        to_html(
            dissection,
            caption,
            bytes_per_row=bytes_per_row,
            limit=limit,
            style=style and direction is Direction.CLIENT_TO_SERVER,
        )
        for direction, caption, dissection in _exchange(recording, dissect, connection, delivered)
    ]
    return "\n".join(['<div class="rc-exchange">', *parts, "</div>"])


def stylesheet() -> str:
    """The style sheet of the view, without the rules that depend on the number of fields."""
    return files("remotecalls.wire").joinpath("wire-view.css").read_text(encoding="utf-8")


def _packed(css: str) -> str:
    """A style sheet without comments and indentation."""
    return re.sub(r"\s+", " ", re.sub(r"/\*.*?\*/", "", css, flags=re.DOTALL)).strip()


def _highlight(count: int) -> str:
    """One rule that marks a field, in both places, while it is chosen or pointed at."""
    if count == 0:
        return ""
    selectors = ",".join(
        f".rc-wire:has(.f{n}:hover,.f{n} :focus,.f{n} :checked) .f{n}" for n in range(count)
    )
    mark = "background:var(--wire-mark);color:var(--wire-on-mark);--wire-muted:var(--wire-on-mark)"
    return f"{selectors}{{{mark};outline:1px solid var(--wire-on-mark)}}"


def _summary(dissection: Dissection) -> str:
    counts = [count_bytes(len(dissection.data)), _count(len(dissection.fields), "field")]
    if dissection.messages > 1:
        counts.append(_count(dissection.messages, "message"))
    return ", ".join(counts)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def _group(dissection: Dissection, caption: str) -> str:
    """The name that joins the radio buttons of this view and no others."""
    content = repr((caption, dissection.data, dissection.fields))
    return "wire-" + hashlib.sha256(content.encode()).hexdigest()[:10]


def _dump(data: bytes, fields: Sequence[Field], caption: str, width: int) -> Iterator[str]:
    if not data:
        return
    # A scroll container must be reachable from the keyboard; eight bytes a row never scroll.
    label = escape(f"Bytes: {caption}", quote=True)
    focusable = f' tabindex="0" role="region" aria-label="{label}"' if width > 8 else ""
    yield f'<div class="rc-wire-dump"{focusable}>'
    yield "<table>"
    columns = "".join(f'<th scope="col">{column:x}</th>' for column in range(width))
    yield f'<thead><tr><th scope="col">offset</th>{columns}<th scope="col">text</th></tr></thead>'
    yield "<tbody>"
    owners = [number for number, field in enumerate(fields) for _ in data[field.start : field.end]]
    for start in range(0, len(data), width):
        offsets = range(start, min(start + width, len(data)))
        cells = "".join(_cell(data[at], owners[at], fields[owners[at]], at) for at in offsets)
        missing = "<td></td>" * (width - len(offsets))
        text = "".join(
            f'<span class="f{number}">{escape(_readable(data[group[0] : group[-1] + 1]))}</span>'
            for number, group in ((n, list(g)) for n, g in groupby(offsets, owners.__getitem__))
        )
        yield f'<tr><th scope="row">{start:04x}</th>{cells}{missing}<td>{text}</td></tr>'
    yield "</tbody>"
    yield "</table>"
    yield "</div>"


def _cell(byte: int, number: int, field: Field, offset: int) -> str:
    index = f'<i aria-hidden="true">{number + 1}</i>' if offset == field.start else ""
    return f'<td class="f{number} k-{field.kind}">{index}{byte:02x}</td>'


def _readable(data: bytes, substitute: str = "·") -> str:
    return "".join(chr(byte) if 0x20 <= byte < 0x7F else substitute for byte in data)


def _list(dissection: Dissection, fields: Sequence[Field], group: str) -> Iterator[str]:
    if not fields:
        return
    yield "<fieldset>"
    yield "<legend>Fields</legend>"
    message = None
    for number, field in enumerate(fields):
        if field.message != message:
            if message is not None:
                yield "</ul>"
            if dissection.messages > 1:
                yield f'<p class="rc-wire-message">Message {field.message + 1}</p>'
            yield "<ul>"
            message = field.message
        yield _item(number, field, group)
    yield "</ul>"
    yield "</fieldset>"


def _item(number: int, field: Field, group: str) -> str:
    notes = [_span(field)]
    if field.kind is not Kind.VALUE:
        notes.append(field.kind.value)
    if field.meaning:
        notes.append(escape(field.meaning))
    return (
        f'<li class="f{number}"><label>'
        f'<input type="radio" name="{group}" value="{number + 1}">'
        f"<b>{number + 1}</b>"
        f"<span><code>{escape(field.name)}</code> = <samp>{escape(field.value)}</samp></span> "
        f"<small>{' · '.join(notes)}</small>"
        "</label></li>"
    )


def _span(field: Field) -> str:
    """The first and the last byte of a field, written like the offsets of the rows."""
    if field.end == field.start:
        return "no bytes"
    if field.end - field.start == 1:
        return f"{field.start:04x}"
    return f"{field.start:04x}–{field.end - 1:04x}"


def _rest(dissection: Dissection, shown: int, listed: int) -> Iterator[str]:
    hidden = len(dissection.data) - shown
    if hidden:
        fields = _count(len(dissection.fields) - listed, "field")
        yield f"<p>{count_bytes(hidden)} and {fields} more are not shown.</p>"


# ---------------------------------------------------------------- text


def to_text(dissection: Dissection, caption: str = "", *, limit: int = DEFAULT_LIMIT) -> str:
    """A line for each field, and more lines for fields of more than eight bytes.

    The columns: offset, bytes, the bytes as ASCII, and what they are.

    Args:
        dissection: the bytes and their labels.
        caption: a first line, or empty.
        limit: bytes shown; of what follows, the last line gives the number.
    """
    fields = [field for field in dissection.fields if field.start < limit]
    lines = [f"{caption} ({_summary(dissection)})"] if caption else []
    message = 0
    for field in fields:
        if field.message != message:
            lines.append("")
            message = field.message
        lines += _field_lines(field, dissection.data[field.start : min(field.end, limit)])
    hidden = len(dissection.data) - limit
    if hidden > 0:
        lines.append(f"... {count_bytes(hidden)} more")
    return "\n".join(lines)


def exchange_text(
    recording: Recording,
    dissect: Dissect,
    *,
    connection: int = 0,
    delivered: bool = False,
    limit: int = DEFAULT_LIMIT,
) -> str:
    """Both directions of a connection as text; the arguments of `exchange_html`."""
    return "\n\n".join(
        to_text(dissection, caption, limit=limit)
        for _, caption, dissection in _exchange(recording, dissect, connection, delivered)
    )


def _field_lines(field: Field, data: bytes) -> Iterator[str]:
    note = f"{field.name} = {field.value}"
    if field.meaning:
        note += f"  ({field.meaning})"
    for start in range(0, max(len(data), 1), TEXT_ROW):
        row = data[start : start + TEXT_ROW]
        text = _readable(row, ".")
        columns = f"{field.start + start:04x}  {row.hex(' '):<{3 * TEXT_ROW}} {text:<{TEXT_ROW}}"
        yield f"{columns}  {note}".rstrip()
        note = ""


def _exchange(
    recording: Recording, dissect: Dissect, connection: int, delivered: bool
) -> Iterator[tuple[Direction, str, Dissection]]:
    if connection not in recording.connections:
        raise KeyError(f"there is no connection {connection}: {recording.connections}")
    seen: View = recording.delivered if delivered else recording.sent
    for direction in Direction:
        data = seen.stream(connection, direction)
        verb = "delivered" if delivered else "sent"
        yield direction, f"{direction.value.capitalize()}, as {verb}", dissect(data, direction)
