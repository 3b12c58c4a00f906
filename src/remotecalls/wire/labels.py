"""How labels are found while construct reads: the engine below `remotecalls.wire.dissect`.

construct reads from a stream and keeps no record of where. The layouts in this module do: each
`Labeled` notes the offsets before and after its bytes in a `Recorder`. `Sized` and `Line` put a
`Window` around a message, whose end is known even when what is inside cannot be read.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any, TypeAlias

import construct

from remotecalls.wire.dissection import Field, Kind, count_bytes, show_value

Layout: TypeAlias = Any
"""A declaration of `construct`, which has no types of its own."""

Meaning: TypeAlias = str | Mapping[Any, str] | Callable[[Any], str]
"""A sentence, or one for each value, or a function from the value to the sentence."""


class DeclarationError(TypeError):
    """A layout is put together in a way that cannot be dissected. The bytes are not at fault."""


class Window:
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
        """Up to so many bytes; all that are left if the size is negative."""
        end = self.end if size < 0 else min(self._at + size, self.end)
        taken = self.data[self._at : end]
        self._at = end
        return taken

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to an offset; positions outside of the window become its nearest end."""
        base = {0: 0, 1: self._at, 2: self.end}[whence]
        self._at = min(max(base + offset, self.start), self.end)
        return self._at

    def tell(self) -> int:
        """The offset of the next byte."""
        return self._at


class Failed(construct.ConstructError):  # type: ignore[misc]  # construct has no types
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


class Recorder:
    """The labels found so far. Where construct went back and read again, the last reading wins."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.recorded = 0
        self._fields: list[Field] = []
        self._starts: list[int] = []

    def begin_message(self, start: int) -> None:
        """What follows belongs to the next message."""
        self._starts.append(start)

    def add(self, start: int, end: int, name: str, value: str, meaning: str, kind: Kind) -> None:
        """Label some bytes of the current message."""
        self.forget_from(start)
        self.recorded += 1
        message = len(self._starts) - 1
        self._fields.append(Field(start, end, name, value, meaning, kind, message))

    def add_incomplete(self, failure: Failed, end: int) -> None:
        """Label the beginning of a field."""
        here = end - failure.start
        if failure.wanted is None:
            value = f"incomplete: {count_bytes(here)} so far"
        else:
            value = f"incomplete: {here} of {count_bytes(failure.wanted)}"
        self.add(failure.start, end, failure.name, value, failure.meaning, Kind.INCOMPLETE)

    def add_opaque(self, start: int, end: int, reason: str) -> None:
        """Label bytes that make no sense."""
        value = show_value(self.data[start:end])
        self.add(start, end, "not understood", value, reason, Kind.OPAQUE)

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
        for field in self._fields:
            fields += self._undeclared(covered, field.start)
            fields.append(field)
            covered = field.end
        return fields + self._undeclared(covered, len(self.data))

    def _undeclared(self, start: int, end: int) -> list[Field]:
        inner = [offset for offset in self._starts if start < offset < end]
        reason = "the declaration has no label for these bytes"
        return [
            Field(
                first,
                last,
                "unlabeled",
                show_value(self.data[first:last]),
                reason,
                Kind.OPAQUE,
                bisect_right(self._starts, first) - 1,
            )
            for first, last in pairwise([start, *inner, end])
            if first < last
        ]


def attempt(parse: Callable[..., Any], window: Window, recorder: Recorder) -> Failed | None:
    """Read a window. What fails outside of all labels counts as a failure of the message."""
    start = window.tell()
    try:
        parse(window, _recorder=recorder)
    except Failed as failure:
        return failure
    except (construct.ConstructError, ValueError, ArithmeticError) as error:
        incomplete = isinstance(error, construct.StreamError) and not window.complete
        return Failed("message", recorder.covered(start), _reason(error), incomplete=incomplete)
    recorder.forget_from(window.tell())
    return None


def finish(failure: Failed | None, window: Window, recorder: Recorder) -> None:
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


def _recorder(context: Any) -> Recorder:
    recorder = context._params.get("_recorder")
    if not isinstance(recorder, Recorder):
        raise DeclarationError("labels are found by dissect_messages(data, layout), not by parse()")
    return recorder


def _window(stream: Any, recorder: Recorder) -> Window:
    """The window that a stream of construct's stands for, at the same position.

    Raises:
        DeclarationError: the stream holds other bytes than the data.
    """
    if isinstance(stream, Window):
        return stream
    if isinstance(stream, construct.core.BytesIOWithOffsets):
        start, content = stream.parent_stream_offset, stream.getvalue()
        end = start + len(content)
        if recorder.data[start:end] == content:
            window = Window(recorder.data, start, end, complete=True, wanted=len(content))
            window.seek(stream.tell())
            return window
    raise DeclarationError(
        "labels stand inside a layout that transforms its bytes, where offsets mean nothing: "
        "put the label around that layout"
    )


def _dotted(path: str) -> str:
    return path.removeprefix("(parsing)").removeprefix(" -> ").replace(" -> ", ".")


class Labeled(construct.Subconstruct):  # type: ignore[misc]
    """A layout whose bytes get a label."""

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
        except (Failed, construct.StopFieldError, construct.CancelParsing):
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
    ) -> Failed:
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
            return Failed(name, start, "", incomplete=True, wanted=wanted, meaning=meaning)
        if short and size is not None:
            reason = f"{name} needs {count_bytes(size)}, the message has {here} left"
        else:
            reason = f"{name}: {_reason(error) if error else 'it does not end'}"
        return Failed(name, start, reason, incomplete=False)


def _meaning(meaning: Meaning, value: Any) -> str:
    if isinstance(meaning, str):
        return meaning
    if isinstance(meaning, Mapping):
        return meaning.get(value, "not a known value")
    return meaning(value)


class Converted(construct.Adapter):  # type: ignore[misc]
    """A layout whose value goes through a function."""

    def __init__(self, layout: Layout, function: Callable[[Any], Any]) -> None:
        super().__init__(layout)
        self.function = function

    def _decode(self, obj: Any, context: Any, path: str) -> Any:
        return self.function(obj)


class Refused(construct.Construct):  # type: ignore[misc]
    """Fails."""

    def __init__(self, reason: str) -> None:
        super().__init__()
        self.reason = reason

    def _parse(self, stream: Any, context: Any, path: str) -> Any:
        raise construct.ValidationError(self.reason)


class UpTo(construct.Construct):  # type: ignore[misc]
    """The bytes before a delimiter."""

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


class Matching(construct.Construct):  # type: ignore[misc]
    """The bytes that a regular expression matches."""

    def __init__(self, pattern: bytes) -> None:
        super().__init__()
        self.pattern = re.compile(pattern, re.DOTALL)

    def _parse(self, stream: Any, context: Any, path: str) -> bytes:
        window = _window(stream, _recorder(context))
        start = stream.tell()
        found = self.pattern.match(window.data, start, window.end)
        if found is None or found.end() == start:
            if window.complete:
                raise construct.ValidationError("no token begins with these bytes")
            raise construct.StreamError("the end has not arrived")
        return bytes(stream.read(found.end() - start))


class Sized(construct.Subconstruct):  # type: ignore[misc]
    """A body of so many bytes."""

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


class Line(construct.Subconstruct):  # type: ignore[misc]
    """A body before a delimiter, and the delimiter."""

    def __init__(self, body: Layout, delimiter: bytes) -> None:
        if not delimiter:
            raise ValueError("an empty delimiter ends no line")
        super().__init__(body)
        self.delimiter = delimiter
        self._end = Labeled(
            "end of line", construct.Const(delimiter), Kind.DELIMITER, "", show_value
        )

    def _parse(self, stream: Any, context: Any, path: str) -> Any:
        outer = _window(stream, _recorder(context))
        start = stream.tell()
        end = outer.data.find(self.delimiter, start, outer.end)
        if end == -1 and outer.complete:
            raise construct.StreamError(f"no {show_value(self.delimiter)} ends the line")
        if end == -1:
            return _inside(self.subcon, stream, context, path, outer.end - start + 1, wanted=None)
        value = _inside(self.subcon, stream, context, path, end - start, wanted=end - start)
        self._end._parsereport(stream, context, path)
        return value


def _inside(
    body: Layout, stream: Any, context: Any, path: str, length: int, wanted: int | None
) -> Any:
    """Read a body in a window of its own. What is wrong with it stays in there.

    Raises:
        Failed: not all of the window has arrived, so nothing can follow it.
    """
    recorder = _recorder(context)
    outer = _window(stream, recorder)
    start = stream.tell()
    end = min(start + length, outer.end)
    complete = start + length <= outer.end
    window = Window(recorder.data, start, end, complete=complete, wanted=wanted)
    values: list[Any] = []

    def parse(stream: Window, _recorder: Recorder) -> None:
        values.append(body._parsereport(stream, context, path))

    failure = attempt(parse, window, recorder)
    if complete:
        finish(failure, window, recorder)
        stream.seek(end)
        return values[0] if values else construct.Container()
    if failure is None or not failure.incomplete:
        finish(failure, window, recorder)
        failure = Failed("rest", end, "", incomplete=True)
    here = end - start
    note = (
        f"{here} of {count_bytes(wanted)} of the message are here" if wanted else "the line goes on"
    )
    if f"; {note}" not in failure.meaning:
        failure.meaning = f"{failure.meaning}; {note}" if failure.meaning else note
    raise failure


class Repeated(construct.Subconstruct):  # type: ignore[misc]
    """A body again and again."""

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
