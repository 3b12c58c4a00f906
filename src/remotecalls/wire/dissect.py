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

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import construct

from remotecalls.wire.dissection import (
    CoverageError,
    Dissection,
    Field,
    Kind,
    count_bytes,
    show_value,
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
    "not_understood",
    "repeated",
    "show_value",
    "sized",
    "text_with_length",
    "upto",
]

Layout: TypeAlias = Any
"""A declaration of `construct`, which has no types of its own."""

Meaning: TypeAlias = str | Mapping[Any, str] | Callable[[Any], str]
"""A sentence, or one for each value, or a function from the value to the sentence."""

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
    return _Labelled(name, layout, Kind(kind), meaning, show or show_value)


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
    return _Converted(layout, function)


def upto(*delimiters: bytes) -> Layout:
    """The bytes up to the first of these delimiters, or to the end of the surrounding message.

    The delimiter itself is left for the next field. Without delimiters: all that is left.
    """
    return _UpTo(delimiters)


def sized(length: int | Callable[[Any], int], body: Layout) -> Layout:
    """A body in a window of so many bytes: construct's `FixedSized` with labels kept.

    Whatever is wrong with the body stays inside the window, so the message after it is read from
    its true beginning. If only a part of the window has arrived, that part is labeled.

    Args:
        length: bytes, or construct's expression for them, such as `this.length`.
        body: how to read them.
    """
    return _Sized(length, body)


def line(body: Layout, end: bytes = b"\n") -> Layout:
    """A body that runs up to a delimiter, which is labeled too (`end of line`).

    Whatever is wrong with the body stays inside the line.
    """
    return _Line(body, end)


def repeated(layout: Layout, count: int | Callable[[Any], int] | None = None) -> Layout:
    """A layout again and again; its labels are numbered, as in `orders[2].item`.

    Args:
        layout: one element.
        count: how many, or construct's expression for it; without it, to the end of the
            surrounding message.
    """
    return _Repeated(layout, count)


def not_understood(reason: str) -> Layout:
    """Reads nothing and fails with this reason: for the `default` of a `Switch`."""
    return _Refused(reason)


# ---------------------------------------------------------------- dissecting


class DeclarationError(TypeError):
    """A layout is put together in a way that cannot be dissected. The bytes are not at fault."""


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
    recorder = _Recorder(data)
    stream = _Window(data, 0, len(data), complete=False)
    while (start := stream.tell()) < len(data):
        failure = _attempt(message.parse_stream, stream, recorder)
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
        recorder.message += 1
    return Dissection(data, tuple(recorder.covering()))


def dissect_datagram(data: bytes, message: Layout) -> Dissection:
    """Label one message that has arrived as a whole, such as a datagram.

    What is missing at its end is not on its way, so nothing is labeled "incomplete".

    Returns:
        A label for every byte, whatever the bytes are.

    Raises:
        DeclarationError: the layout, not the data, is at fault.
    """
    recorder = _Recorder(data)
    stream = _Window(data, 0, len(data), complete=True)
    _finish(_attempt(message.parse_stream, stream, recorder), stream, recorder)
    return Dissection(data, tuple(recorder.covering()))


def _next_message(data: bytes, start: int, resync: bytes | None) -> int:
    found = -1 if resync is None else data.find(resync, start)
    return len(data) if resync is None or found == -1 else found + len(resync)


class _Window:
    """A part of the data as a stream whose offsets count from the beginning of all the data.

    Args:
        complete: whether all bytes that belong here have arrived.
        wanted: how many bytes belong here, if that is known.
    """

    def __init__(
        self, data: bytes, start: int, end: int, *, complete: bool, wanted: int | None = None
    ) -> None:
        self.data = data
        self.start = start
        self.end = end
        self.complete = complete
        self.wanted = wanted
        self._at = start

    def read(self, size: int = -1) -> bytes:
        end = self.end if size < 0 else min(self._at + size, self.end)
        taken = self.data[self._at : end]
        self._at = end
        return taken

    def seek(self, offset: int, whence: int = 0) -> int:
        base = {0: 0, 1: self._at, 2: self.end}[whence]
        self._at = min(max(base + offset, self.start), self.end)
        return self._at

    def tell(self) -> int:
        return self._at


class _Failed(construct.ConstructError):  # type: ignore[misc]  # construct has no types
    """Reading stopped at `start`: more bytes are needed, or these make no sense."""

    def __init__(
        self,
        name: str,
        start: int,
        reason: str,
        *,
        incomplete: bool,
        wanted: int | None = None,
        meaning: str = "",
    ) -> None:
        super().__init__(reason)
        self.name = name
        self.start = start
        self.reason = reason
        self.incomplete = incomplete
        self.wanted = wanted
        self.meaning = meaning


class _Recorder:
    """The labels found so far. Where construct went back and read again, the last reading wins."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.message = 0
        self.recorded = 0
        self._fields: list[Field] = []

    def add(self, start: int, end: int, name: str, value: str, meaning: str, kind: Kind) -> None:
        self.forget_from(start)
        self.recorded += 1
        self._fields.append(Field(start, end, name, value, meaning, kind, self.message))

    def add_incomplete(self, failure: _Failed, end: int) -> None:
        here = end - failure.start
        if failure.wanted is None:
            value = f"incomplete: {count_bytes(here)} so far"
        else:
            value = f"incomplete: {here} of {count_bytes(failure.wanted)}"
        self.add(failure.start, end, failure.name, value, failure.meaning, Kind.INCOMPLETE)

    def add_opaque(self, start: int, end: int, reason: str, name: str = "not understood") -> None:
        self.add(start, end, name, show_value(self.data[start:end]), reason, Kind.OPAQUE)

    def forget_from(self, offset: int) -> None:
        """Drop the labels of bytes that are about to be read again."""
        while self._fields and self._fields[-1].end > offset:
            self._fields.pop()

    def covered(self, start: int) -> int:
        """The offset after the last label, or `start` if that is later."""
        return max([start, *(field.end for field in self._fields[-1:])])

    def covering(self) -> list[Field]:
        """The labels, and between them labels that say that none was declared."""
        fields: list[Field] = []
        covered = 0
        for field in [*self._fields, Field(len(self.data), len(self.data), "end", "")]:
            if field.start > covered:
                value = show_value(self.data[covered : field.start])
                reason = "the declaration has no label for these bytes"
                number = fields[-1].message if fields else field.message
                fields.append(
                    Field(covered, field.start, "unlabeled", value, reason, Kind.OPAQUE, number)
                )
            fields.append(field)
            covered = field.end
        return fields[:-1]


def _attempt(parse: Callable[..., Any], window: _Window, recorder: _Recorder) -> _Failed | None:
    """Read a window. What fails outside of all labels counts as a failure of the message."""
    start = window.tell()
    try:
        parse(window, _recorder=recorder)
    except _Failed as failure:
        return failure
    except (construct.ConstructError, ValueError, ArithmeticError) as error:
        incomplete = isinstance(error, construct.StreamError) and not window.complete
        return _Failed("message", recorder.covered(start), _reason(error), incomplete=incomplete)
    recorder.forget_from(window.tell())
    return None


def _finish(failure: _Failed | None, window: _Window, recorder: _Recorder) -> None:
    """Label what reading left over in a window whose end is known."""
    at = window.tell()
    if failure is not None and failure.incomplete:
        recorder.add_incomplete(failure, window.end)
    elif failure is not None:
        recorder.add_opaque(failure.start, window.end, failure.reason)
    elif at < window.end:
        recorder.add_opaque(at, window.end, "these bytes follow the last field")


def _reason(error: Exception) -> str:
    if isinstance(error, construct.ExplicitError):
        return "nothing is declared for this value"
    text = str(error)
    if text.startswith("Error in path"):
        text = text.partition("\n")[2]
    return text.replace("\n", " ") or type(error).__name__


# ---------------------------------------------------------------- construct's side
# construct has no types, so its classes are `Any` to the type checker, and so are the arguments
# of their methods: a stream, the context (the values parsed so far) and the path, a text such as
# "(parsing) -> order -> item".


def _recorder(context: Any) -> _Recorder:
    recorder = context._params.get("_recorder")
    if not isinstance(recorder, _Recorder):
        raise DeclarationError("labels are found by dissect_messages(data, layout), not by parse()")
    return recorder


def _window(stream: Any, recorder: _Recorder) -> _Window:
    """The window that a stream of construct's stands for, at the same position.

    Raises:
        DeclarationError: the stream holds other bytes than the data.
    """
    if isinstance(stream, _Window):
        return stream
    if isinstance(stream, construct.core.BytesIOWithOffsets):
        start, content = stream.parent_stream_offset, stream.getvalue()
        end = start + len(content)
        if recorder.data[start:end] == content:
            window = _Window(recorder.data, start, end, complete=True, wanted=len(content))
            window.seek(stream.tell())
            return window
    raise DeclarationError(
        "labels stand inside a layout that transforms its bytes, where offsets mean nothing: "
        "put the label around that layout"
    )


def _dotted(path: str) -> str:
    return path.removeprefix("(parsing)").removeprefix(" -> ").replace(" -> ", ".")


class _Labelled(construct.Subconstruct):  # type: ignore[misc]
    def __init__(
        self, name: str, layout: Layout, kind: Kind, meaning: Meaning, show: Callable[[Any], str]
    ) -> None:
        if not name:
            raise ValueError("a field without a name cannot be listed")
        super().__init__(layout)
        self.name = name
        self.kind = kind
        self.meaning = meaning
        self.show = show

    def _parse(self, stream: Any, context: Any, path: str) -> Any:
        recorder = _recorder(context)
        start, recorded = stream.tell(), recorder.recorded
        path = f"{path} -> {self.name}"
        try:
            value = self.subcon._parsereport(stream, context, path)
        except (_Failed, construct.StopFieldError, construct.CancelParsing):
            raise
        except (construct.ConstructError, ValueError, ArithmeticError) as error:
            raise self._failed(stream, context, path, start, error) from error
        if recorder.recorded != recorded:
            return value  # its parts have labels of their own
        window = _window(stream, recorder)
        if stream.tell() == window.end and not window.complete and self._size(context) is None:
            raise self._failed(stream, context, path, start, None)
        meaning = _meaning(self.meaning, value)
        recorder.add(start, stream.tell(), _dotted(path), self.show(value), meaning, self.kind)
        return value

    def _size(self, context: Any) -> int | None:
        try:
            return int(self.subcon.sizeof(**context))
        except construct.SizeofError:
            return None

    def _failed(
        self, stream: Any, context: Any, path: str, start: int, error: Exception | None
    ) -> _Failed:
        window = _window(stream, _recorder(context))
        size = self._size(context)
        here = window.end - start
        if size is None:
            short = error is None or isinstance(error, construct.StreamError)
        else:
            short = here < size
        name = _dotted(path)
        if short and not window.complete:
            wanted, meaning = size, self.meaning if isinstance(self.meaning, str) else ""
            if size is None and window.wanted is not None:
                wanted = window.start + window.wanted - start
            return _Failed(name, start, "", incomplete=True, wanted=wanted, meaning=meaning)
        if short and size is not None:
            reason = f"{name} needs {count_bytes(size)}, the message has {here} left"
        else:
            reason = f"{name}: {_reason(error) if error else 'it does not end'}"
        return _Failed(name, start, reason, incomplete=False)


def _meaning(meaning: Meaning, value: Any) -> str:
    if isinstance(meaning, str):
        return meaning
    if isinstance(meaning, Mapping):
        return meaning.get(value, "not a known value")
    return meaning(value)


class _Converted(construct.Adapter):  # type: ignore[misc]
    def __init__(self, layout: Layout, function: Callable[[Any], Any]) -> None:
        super().__init__(layout)
        self.function = function

    def _decode(self, obj: Any, context: Any, path: str) -> Any:
        return self.function(obj)


class _Refused(construct.Construct):  # type: ignore[misc]
    def __init__(self, reason: str) -> None:
        super().__init__()
        self.reason = reason

    def _parse(self, stream: Any, context: Any, path: str) -> Any:
        raise construct.ValidationError(self.reason)


class _UpTo(construct.Construct):  # type: ignore[misc]
    def __init__(self, delimiters: Sequence[bytes]) -> None:
        if not all(delimiters):
            raise ValueError("an empty delimiter is found everywhere")
        super().__init__()
        self.delimiters = tuple(delimiters)

    def _parse(self, stream: Any, context: Any, path: str) -> bytes:
        window = _window(stream, _recorder(context))
        start = stream.tell()
        found = [window.data.find(each, start, window.end) for each in self.delimiters]
        ends = [end for end in found if end != -1]
        if not ends and not window.complete:
            raise construct.StreamError("the end has not arrived")
        return bytes(stream.read(min(ends, default=window.end) - start))


class _Sized(construct.Subconstruct):  # type: ignore[misc]
    def __init__(self, length: int | Callable[[Any], int], body: Layout) -> None:
        super().__init__(body)
        self.length = length

    def _parse(self, stream: Any, context: Any, path: str) -> Any:
        length = construct.core.evaluate(self.length, context)
        outer = _window(stream, _recorder(context))
        left = outer.end - stream.tell()
        if length < 0:
            raise construct.IntegerError(f"a length of {count_bytes(length)}")
        if length > left and outer.complete:
            raise construct.IntegerError(f"a length of {count_bytes(length)}, but {left} are left")
        return _inside(self.subcon, stream, context, path, length, wanted=length)


class _Line(construct.Subconstruct):  # type: ignore[misc]
    def __init__(self, body: Layout, delimiter: bytes) -> None:
        if not delimiter:
            raise ValueError("an empty delimiter ends no line")
        super().__init__(body)
        self.delimiter = delimiter

    def _parse(self, stream: Any, context: Any, path: str) -> Any:
        outer = _window(stream, _recorder(context))
        start = stream.tell()
        end = outer.data.find(self.delimiter, start, outer.end)
        if end == -1 and outer.complete:
            raise construct.StreamError(f"no {show_value(self.delimiter)} ends the line")
        if end == -1:
            return _inside(self.subcon, stream, context, path, outer.end - start + 1, wanted=None)
        value = _inside(self.subcon, stream, context, path, end - start, wanted=end - start)
        stop = labelled("end of line", construct.Const(self.delimiter), kind=Kind.DELIMITER)
        stop._parsereport(stream, context, path)
        return value


def _inside(
    body: Layout, stream: Any, context: Any, path: str, length: int, wanted: int | None
) -> Any:
    """Read a body in a window of its own. What is wrong with it stays in there.

    Raises:
        _Failed: not all of the window has arrived, so nothing can follow it.
    """
    recorder = _recorder(context)
    outer = _window(stream, recorder)
    start = stream.tell()
    end = min(start + length, outer.end)
    complete = start + length <= outer.end
    window = _Window(recorder.data, start, end, complete=complete, wanted=wanted)
    values: list[Any] = []

    def parse(stream: _Window, _recorder: _Recorder) -> None:
        values.append(body._parsereport(stream, context, path))

    failure = _attempt(parse, window, recorder)
    if complete:
        _finish(failure, window, recorder)
        stream.seek(end)
        return values[0] if values else construct.Container()
    if failure is None or not failure.incomplete:
        _finish(failure, window, recorder)
        failure = _Failed("rest", end, "", incomplete=True)
    here = end - start
    note = (
        f"{here} of {count_bytes(wanted)} of the message are here" if wanted else "the line goes on"
    )
    if f"; {note}" not in failure.meaning:
        failure.meaning = f"{failure.meaning}; {note}" if failure.meaning else note
    raise failure


class _Repeated(construct.Subconstruct):  # type: ignore[misc]
    def __init__(self, layout: Layout, count: int | Callable[[Any], int] | None) -> None:
        super().__init__(layout)
        self.count = count

    def _parse(self, stream: Any, context: Any, path: str) -> list[Any]:
        count = construct.core.evaluate(self.count, context)
        end = _window(stream, _recorder(context)).end
        elements: list[Any] = []
        while len(elements) < count if count is not None else stream.tell() < end:
            start = stream.tell()
            element = self.subcon._parsereport(stream, context, f"{path}[{len(elements)}]")
            elements.append(element)
            if stream.tell() == start:
                raise construct.RangeError(f"element {len(elements) - 1} has no bytes")
        return elements
