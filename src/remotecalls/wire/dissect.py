r"""Labels for every byte of a conversation.

A *dissector* says what each byte of a message means. It is declared once, with the building
blocks of `construct <https://construct.readthedocs.io>`_ and the labels of this module, and then
names the bytes of any recording. Two promises make it worth trusting:

* Every byte has exactly one label, in order. `Dissection` checks it when it is made.
* Any byte string can be dissected. What breaks off is labeled "incomplete: 3 of 12 bytes", and
  what does not fit the declaration is labeled "not understood", with the reason.

A length-prefixed protocol:

    >>> from construct import Int8ub, Int16ub, Int32ub, Struct, Switch, this
    >>> GREETING = Struct(
    ...     labelled("length", Int32ub, kind="length", meaning="bytes that follow"),
    ...     sized(
    ...         this.length,
    ...         Struct(
    ...             labelled("type", Int8ub, kind="type", meaning={1: "hello", 2: "goodbye"}),
    ...             Switch(
    ...                 this.type,
    ...                 {1: text_with_length("name", Int16ub, meaning="who calls")},
    ...                 default=not_understood("there is no such type"),
    ...             ),
    ...         ),
    ...     ),
    ... )
    >>> dissection = dissect_messages(b"\0\0\0\x06\x01\0\x03Ada\0\0", GREETING)
    >>> for field in dissection.fields:
    ...     print(field.start, field.end, field.name, "=", field.value, "|", field.meaning)
    0 4 length = 6 | bytes that follow
    4 5 type = 1 | hello
    5 7 name.length = 3 | bytes of name.text
    7 10 name.text = "Ada" | who calls
    10 12 length = incomplete: 2 of 4 bytes | bytes that follow

A protocol of lines:

    >>> COMMAND = line(
    ...     Struct(
    ...         labelled("verb", converted(upto(b" "), bytes.decode), kind="type"),
    ...         delimiter(b" "),
    ...         labelled("number", converted(upto(), int), meaning="the customer"),
    ...     )
    ... )
    >>> [f"{f.name}={f.value}" for f in dissect_messages(b"GET 42\n", COMMAND).fields]
    ['verb="GET"', 'delimiter=" "', 'number=42', 'end of line="\\n"']
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import construct

from remotecalls.wire.dissection import CoverageError, Dissection, Field, Kind, show_value
from remotecalls.wire.labels import (
    Converted,
    DeclarationError,
    Labeled,
    Layout,
    Line,
    Matching,
    Meaning,
    Recorder,
    Refused,
    Repeated,
    Sized,
    UpTo,
    Window,
    attempt,
    finish,
)

__all__ = [
    "CoverageError",
    "DeclarationError",
    "Dissection",
    "Field",
    "Kind",
    "Layout",
    "Meaning",
    "converted",
    "delimiter",
    "dissect_datagram",
    "dissect_messages",
    "labelled",
    "line",
    "matching",
    "not_understood",
    "repeated",
    "show_value",
    "sized",
    "text_with_length",
    "upto",
]

# ---------------------------------------------------------------- declaring


def labelled(
    name: str,
    layout: Layout,
    *,
    kind: Kind | str = Kind.VALUE,
    meaning: Meaning = "",
    show: Callable[[Any], str] | None = None,
) -> Layout:
    """A layout whose bytes carry a label.

    Put around a layout with labels of its own it only lends its name to them: `order` around
    `item` gives `order.item`, as construct's `"order" / Struct(...)` does.

    Args:
        name: the name of the field, also in construct's context (`this.length`).
        layout: how to read the bytes.
        kind: the part that the field plays.
        meaning: a sentence, one for each value, or a function that makes one.
        show: turns the value into text; `show_value` unless told otherwise.

    Raises:
        ValueError: the name is empty, or the kind is not a `Kind`.
    """
    return Labeled(name, layout, Kind(kind), meaning, show or show_value)


def delimiter(data: bytes, name: str = "delimiter", *, meaning: Meaning = "") -> Layout:
    """Exactly these bytes, labeled as a delimiter."""
    return labelled(name, construct.Const(data), kind=Kind.DELIMITER, meaning=meaning)


def text_with_length(
    name: str,
    length: Layout,
    *,
    encoding: str = "utf-8",
    kind: Kind | str = Kind.VALUE,
    meaning: Meaning = "",
) -> Layout:
    """A length in bytes and then that much text: the fields `name.length` and `name.text`."""
    text = converted(construct.Bytes(construct.this.length), lambda data: data.decode(encoding))
    return construct.Renamed(
        construct.Struct(
            labelled("length", length, kind=Kind.LENGTH, meaning=f"bytes of {name}.text"),
            labelled("text", text, kind=kind, meaning=meaning),
        ),
        newname=name,
    )


def converted(layout: Layout, function: Callable[[Any], Any]) -> Layout:
    """A layout whose value goes through a function, such as `int` or `bytes.decode`.

    A `ValueError` or an `ArithmeticError` of the function (`decimal.InvalidOperation` is one)
    means that the bytes are not understood.
    """
    return Converted(layout, function)


def upto(*delimiters: bytes) -> Layout:
    """The bytes up to the first of these delimiters, or to the end of the surrounding message.

    The delimiter itself is left for the next field. Without delimiters: all that is left.
    """
    return UpTo(delimiters)


def matching(pattern: bytes) -> Layout:
    """The bytes that a regular expression matches, at least one.

    Raises:
        re.error: the expression is wrong.
    """
    return Matching(pattern)


def sized(length: int | Callable[[Any], int], body: Layout) -> Layout:
    """A body in a window of so many bytes: construct's `FixedSized` with labels kept.

    Whatever is wrong with the body stays inside the window, so the message after it is read from
    its true beginning. If only a part of the window has arrived, that part is labeled.

    Args:
        length: bytes, or construct's expression for them, such as `this.length`.
        body: how to read them.
    """
    return Sized(length, body)


def line(body: Layout, end: bytes = b"\n") -> Layout:
    """A body that runs up to a delimiter, which is labeled too (`end of line`).

    Whatever is wrong with the body stays inside the line.
    """
    return Line(body, end)


def repeated(layout: Layout, count: int | Callable[[Any], int] | None = None) -> Layout:
    """A layout again and again; its labels are numbered, as in `orders[2].item`.

    Args:
        layout: one element.
        count: how many, or construct's expression for it; without it, to the end of the
            surrounding message.
    """
    return Repeated(layout, count)


def not_understood(reason: str) -> Layout:
    """Reads nothing and fails with this reason: for the `default` of a `Switch`."""
    return Refused(reason)


# ---------------------------------------------------------------- dissecting


def dissect_messages(data: bytes, message: Layout, *, resync: bytes | None = None) -> Dissection:
    """Label one direction of a connection: messages one after another, the last maybe incomplete.

    Args:
        data: the bytes so far, from the beginning of the stream.
        message: how to read one message.
        resync: a delimiter after which the next message begins when one is not understood.
            Without it nothing after such a message is understood either, unless `sized` or `line`
            marks its end.

    Returns:
        A label for every byte, whatever the bytes are.

    Raises:
        DeclarationError: the layout, not the data, is at fault.
    """
    recorder = Recorder(data)
    stream = Window(data, 0, len(data), complete=False)
    while (start := stream.tell()) < len(data):
        recorder.begin_message(start)
        failure = attempt(message.parse_stream, stream, recorder)
        end = stream.tell()
        if failure is not None and failure.incomplete:
            end = len(data)
            recorder.add_incomplete(failure, end)
        elif failure is not None:
            end = _next_message(data, failure.start, resync)
            recorder.add_opaque(failure.start, end, failure.reason)
        elif end == start:
            end = len(data)
            recorder.add_opaque(start, end, "the declaration reads nothing here")
        stream.seek(end)
    return Dissection(data, tuple(recorder.covering()))


def dissect_datagram(data: bytes, message: Layout) -> Dissection:
    """Label one message that has arrived as a whole, such as a datagram.

    What is missing at its end is not on its way, so nothing is labeled "incomplete".

    Returns:
        A label for every byte, whatever the bytes are.

    Raises:
        DeclarationError: the layout, not the data, is at fault.
    """
    recorder = Recorder(data)
    recorder.begin_message(0)
    stream = Window(data, 0, len(data), complete=True)
    finish(attempt(message.parse_stream, stream, recorder), stream, recorder)
    return Dissection(data, tuple(recorder.covering()))


def _next_message(data: bytes, start: int, resync: bytes | None) -> int:
    found = -1 if resync is None else data.find(resync, start)
    return len(data) if resync is None or found == -1 else found + len(resync)
