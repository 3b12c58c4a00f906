"""The drawing of a framing run: when each call and segment happened, and where the cuts fell.

The upper panel is time: write() calls above, recv() calls below, segments falling from one to the
other, acknowledgments rising. The lower panel is the byte stream: one column a message, all
equally wide, and below the names the cuts that write(), segments, recv() and the cutter made.
A column's name identifies a message; color only repeats it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from remotecalls.figures import svg
from remotecalls.figures.svg import Markup, box, category, dot, line, text
from remotecalls.figures.table import Table
from remotecalls.simulators.framing import DELIMITER, NONE, FramingResult, Message
from remotecalls.simulators.parameters import format_quantity

_WRITE_Y = 30.0
_RECV_Y = 110.0
_TIME_HEIGHT = 148.0
_ROW = 24.0
_BLOCK = 18.0
_GUTTER = 70.0
_BAND_HEIGHT = 32.0 + 4 * _ROW + 38.0


def draw(result: FramingResult, at_us: int, width: int = svg.WIDE) -> str:
    """Draw what had happened `at_us` microseconds into the run.

    Args:
        result: the run.
        at_us: simulated time; the end of the run or later shows all of it.
        width: the width of the drawing in pixels, from `svg.NARROW` up.

    Returns:
        An SVG element as text.

    Raises:
        ValueError: `width` is below `svg.NARROW`.
    """
    svg.check_width(width)
    at_us = min(at_us, result.end_us)
    columns = 6 if width < 560 else 12
    bands = list(_bands(result, columns, width))
    height = _TIME_HEIGHT + _BAND_HEIGHT * len(bands)
    parts = [_time_panel(result, at_us, width)]
    parts += [
        band.draw(at_us, _TIME_HEIGHT + _BAND_HEIGHT * number) for number, band in enumerate(bands)
    ]
    return svg.picture(width, round(height), describe_result(result), parts)


def event_times(result: FramingResult) -> list[int]:
    """Return the times at which the picture changes, in order, each once."""
    times = {0, result.end_us}
    times.update(write.called_us for write in result.writes)
    times.update(segment.arrived_us for segment in result.segments)
    times.update(read.returned_us for read in result.reads)
    times.update(hold.until_us for hold in result.holds)
    return sorted(times)


# ---------------------------------------------------------------- time


def _time_panel(result: FramingResult, at_us: int, width: int) -> Markup:
    left, right = _GUTTER, width - 8.0
    scale = (right - left) / max(result.end_us, 1)

    def x(us: int) -> float:
        return left + us * scale

    parts = [
        text("write()", 4, _WRITE_Y + 4, bold=True),
        text("recv()", 4, _RECV_Y + 4, bold=True),
        text("time", 4, _RECV_Y + 25, bold=True),
        line(left, _WRITE_Y, right, _WRITE_Y, tone="line"),
        line(left, _RECV_Y, right, _RECV_Y, tone="line"),
    ]
    for acknowledgment in result.acknowledgments:
        if acknowledgment.sent_us <= at_us:
            progress = _progress(acknowledgment.sent_us, acknowledgment.arrived_us, at_us)
            top = _RECV_Y + (_WRITE_Y - _RECV_Y) * progress
            end = min(at_us, acknowledgment.arrived_us)
            parts.append(line(x(acknowledgment.sent_us), _RECV_Y, x(end), top, tone="muted",
                              dashed=True))  # fmt: skip
    for segment in result.segments:
        if segment.sent_us <= at_us:
            tone = category(_message_at(result, segment.first).index)
            progress = _progress(segment.sent_us, segment.arrived_us, at_us)
            bottom = _WRITE_Y + (_RECV_Y - _WRITE_Y) * progress
            end = min(at_us, segment.arrived_us)
            parts.append(line(x(segment.sent_us), _WRITE_Y, x(end), bottom, tone=tone, thick=True))
            parts.append(dot(x(end), bottom, 3, tone=tone))
    parts.append(_holds(result, at_us, left, scale))
    parts.append(_write_marks(result, at_us, left, scale))
    parts.append(_read_marks(result, at_us, left, scale))
    cursor = x(at_us)
    parts.append(line(cursor, 16, cursor, _RECV_Y + 8, tone="accent", thick=True))
    parts.append(svg.time_axis(result.end_us, left, right, _RECV_Y + 10))
    return svg.join(parts)


def _progress(from_us: int, until_us: int, at_us: int) -> float:
    return min(1.0, (at_us - from_us) / max(until_us - from_us, 1))


def _write_marks(result: FramingResult, at_us: int, left: float, scale: float) -> Markup:
    parts = []
    free_from = left
    for write in result.writes:
        if write.called_us > at_us:
            break
        message = result.messages[write.message]
        x = left + write.called_us * scale
        tone = category(message.index)
        blocked = min(write.returned_us, at_us) - write.called_us
        if blocked > 0:
            parts.append(box(x, _WRITE_Y - 10, blocked * scale, 8, tone=tone, fill=0.2))
        parts.append(line(x, _WRITE_Y - 10, x, _WRITE_Y, tone=tone, thick=True))
        if write.first == message.first and x >= free_from:
            parts.append(text(message.name, x, _WRITE_Y - 14, anchor="middle"))
            free_from = x + 26
    return svg.join(parts)


def _read_marks(result: FramingResult, at_us: int, left: float, scale: float) -> Markup:
    """Mark each return of recv(), and the work after it as a bar up to the next call."""
    parts = []
    for read in result.reads:
        if read.returned_us > at_us:
            break
        x = left + read.returned_us * scale
        busy_until = min(read.returned_us + result.parameters.processing_us, at_us)
        if busy_until > read.returned_us:
            busy = (busy_until - read.returned_us) * scale
            parts.append(box(x, _RECV_Y + 1, busy, 6, tone="muted", fill=0.35))
        parts.append(line(x, _RECV_Y, x, _RECV_Y + 9, tone="ink", thick=True))
    return svg.join(parts)


def _holds(result: FramingResult, at_us: int, left: float, scale: float) -> Markup:
    parts = []
    for hold in result.holds:
        if hold.from_us > at_us:
            break
        x = left + hold.from_us * scale
        length = (min(hold.until_us, at_us) - hold.from_us) * scale
        parts.append(box(x, _WRITE_Y + 3, length, 15, tone="bad", fill=0.12, dashed=True))
        for label in ("held by Nagle's algorithm", "held by Nagle", "held"):
            if svg.LETTER_PIXELS * len(label) + 6 <= length:
                parts.append(text(label, x + 4, _WRITE_Y + 14))
                break
    return svg.join(parts)


# ---------------------------------------------------------------- bytes


def _bands(result: FramingResult, columns: int, width: int) -> Iterator[_Band]:
    """Break the stream into rows of columns, as text is broken into lines."""
    # As few bands as fit, all about equally long: 8 messages in rows of 6 are 4 and 4.
    bands = -(-len(result.messages) // columns)
    columns = -(-len(result.messages) // bands)
    for start in range(0, len(result.messages), columns):
        yield _Band(result, result.messages[start : start + columns], columns, width)


@dataclass(frozen=True)
class _Band:
    """Some consecutive messages: the part of the stream that is drawn in one row."""

    result: FramingResult
    messages: tuple[Message, ...]
    columns: int
    width: int

    @property
    def _column(self) -> float:
        return (self.width - 8.0 - _GUTTER) / self.columns

    def _x(self, offset: int) -> float:
        """Place a byte: columns are equally wide, bytes share their column evenly."""
        for number, message in enumerate(self.messages):
            if offset <= message.last:
                inside = max(offset - message.first, 0) / (message.last - message.first)
                return _GUTTER + (number + inside) * self._column
        return _GUTTER + len(self.messages) * self._column

    def _span(self, first: int, last: int) -> tuple[float, float] | None:
        """Return x and width of a range of bytes, or None if it lies outside of this band."""
        first, last = max(first, self.messages[0].first), min(last, self.messages[-1].last)
        if first >= last:
            return None
        # A range that starts where a message ends starts in the next column, which is the same x.
        return self._x(first), self._x(last) - self._x(first)

    def draw(self, at_us: int, top: float) -> Markup:
        """Draw names, the four rows of cuts, and what became of each message."""
        y = top + 32.0
        rows = ["write()", "segments", "recv()", "delivered"]
        parts = [self._names(at_us, top)]
        parts += [text(name, 4, y + _ROW * n + 13, bold=True) for n, name in enumerate(rows)]
        parts.append(self._writes(at_us, y))
        parts.append(self._segments(at_us, y + _ROW))
        parts.append(self._reads(at_us, y + 2 * _ROW))
        parts.append(self._deliveries(at_us, y + 3 * _ROW))
        parts.append(self._verdicts(at_us, y + 4 * _ROW + 8))
        return svg.join(parts)

    def _names(self, at_us: int, top: float) -> Markup:
        parts = []
        for number, message in enumerate(self.messages):
            x = _GUTTER + number * self._column
            middle = x + self._column / 2
            tone = "ink" if message.written_us <= at_us else "muted"
            parts.append(
                text(message.name, middle, top + 14, anchor="middle", tone=tone, bold=True)
            )
            size = f"{len(message.payload)} B"
            parts.append(text(size, middle, top + 27, anchor="middle", tone="muted"))
            bottom = top + 32 + 4 * _ROW
            parts.append(line(x, top + 30, x, bottom, tone="line", dashed=True))
        end = _GUTTER + len(self.messages) * self._column
        parts.append(line(end, top + 30, end, top + 32 + 4 * _ROW, tone="line", dashed=True))
        return svg.join(parts)

    def _writes(self, at_us: int, y: float) -> Markup:
        parts = []
        for write in self.result.writes:
            span = self._span(write.first, write.last)
            if span is not None:
                done = write.called_us <= at_us
                tone = category(write.message)
                x, width = span
                parts.append(box(x + 1, y, width - 2, _BLOCK, tone=tone if done else "line",
                                 fill=0.3 if done else 0.0, dashed=not done))  # fmt: skip
        return svg.join(parts)

    def _segments(self, at_us: int, y: float) -> Markup:
        parts = []
        for number, segment in enumerate(self.result.segments, start=1):
            span = self._span(segment.first, segment.last)
            if span is not None and segment.sent_us <= at_us:
                x, width = span
                flying = segment.arrived_us > at_us
                parts.append(box(x + 1, y, width - 2, _BLOCK, tone="muted",
                                 fill=0.0 if flying else 0.25, dashed=flying))  # fmt: skip
                labels = (f"s{number} in flight", "in flight", "→") if flying else (f"s{number}",)
                parts.append(_fitting(x, width, y, *labels))
        return svg.join(parts)

    def _reads(self, at_us: int, y: float) -> Markup:
        parts = []
        offset = 0
        for number, read in enumerate(self.result.reads, start=1):
            span = self._span(offset, offset + len(read.data))
            offset += len(read.data)
            if span is not None and read.returned_us <= at_us:
                x, width = span
                tone = "good" if read.exact else "bad"
                parts.append(box(x + 1, y, width - 2, _BLOCK, tone=tone, fill=0.1, thick=True))
                parts.append(_fitting(x, width, y, f"r{number} {read.verdict}", f"r{number}"))
        return svg.join(parts)

    def _deliveries(self, at_us: int, y: float) -> Markup:
        parts = []
        for delivery in self.result.deliveries:
            span = self._span(delivery.first, delivery.last)
            if span is not None and delivery.at_us <= at_us:
                x, width = span
                if delivery.message is None:
                    parts.append(box(x + 1, y, width - 2, _BLOCK, tone="bad", fill=0.1,
                                     dashed=True))  # fmt: skip
                    parts.append(_fitting(x, width, y, "not a message", "wrong", "✗"))
                else:
                    tone = category(delivery.message)
                    parts.append(box(x + 1, y, width - 2, _BLOCK, tone=tone, fill=0.3))
                    name = self.result.messages[delivery.message].name
                    parts.append(_fitting(x, width, y, f"{name} ✓", "✓"))
        return svg.join(parts)

    def _verdicts(self, at_us: int, y: float) -> Markup:
        """Say under each column, in words, how the message was read and whether it came out."""
        parts = []
        for number, message in enumerate(self.messages):
            if message.read_us > at_us:
                continue
            middle = _GUTTER + (number + 0.5) * self._column
            how, came_out = reading(self.result, message), message.delivered_us is not None
            parts.append(text(how, middle, y + 4, anchor="middle", tone="muted"))
            parts.append(text("intact" if came_out else "lost", middle, y + 17, anchor="middle",
                              tone="good" if came_out else "bad", bold=True))  # fmt: skip
        return svg.join(parts)


def _fitting(x: float, width: float, y: float, *labels: str) -> Markup:
    """Return the first label that fits into a block, or nothing."""
    for label in labels:
        if svg.LETTER_PIXELS * len(label) + 6 <= width:
            return text(label, x + width / 2, y + 13, anchor="middle")
    return Markup("")


def _message_at(result: FramingResult, offset: int) -> Message:
    return next(message for message in result.messages if offset < message.last)


def reading(result: FramingResult, message: Message) -> str:
    """Say how a message was read: "1 read", "3 reads", or "shared" if a read held others too."""
    reads = [
        read for read in result.reads if any(f.message == message.index for f in read.fragments)
    ]
    if any(read.merged for read in reads):
        return "shared" if len(reads) == 1 else f"{len(reads)} shared"
    return "1 read" if len(reads) == 1 else f"{len(reads)} reads"


# ---------------------------------------------------------------- words


def describe_result(result: FramingResult) -> str:
    """Say in words what the picture of the whole run shows."""
    sentences = [
        f"{_count(len(result.messages), 'message')} of {result.payload_bytes:,} bytes in total "
        f"went out in {_count(len(result.segments), 'segment')} and came back from "
        f"{_count(len(result.reads), 'recv() call')}.",
        f"Of these reads, {result.exact_reads} held exactly one message, "
        f"{result.merged_reads} merged several, {result.split_reads} held a split one.",
    ]
    how = {NONE: "Taking each read for a message", DELIMITER: "Cutting at the delimiter"}.get(
        result.parameters.framing, "Cutting by the length prefix"
    )
    sentences.append(f"{how} gave {result.intact} of {len(result.messages)} messages intact.")
    slowest_us = result.slowest_us
    if slowest_us is not None:
        took = format_quantity(slowest_us, "µs")
        sentences.append(f"The slowest of them took {took} from write() to delivery.")
    if result.holds:
        held_us = max(hold.until_us - hold.from_us for hold in result.holds)
        sentences.append(
            f"Nagle's algorithm held data back {_times(len(result.holds))}, "
            f"for up to {format_quantity(held_us, 'µs')}."
        )
    return " ".join(sentences)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number} times"


def tables(result: FramingResult) -> tuple[Table, ...]:
    """Return the run as tables: messages, then reads."""

    def time(us: int | None) -> str:
        return "never" if us is None else format_quantity(us, "µs")

    messages = Table(
        "Messages",
        ("message", "bytes", "first write()", "last byte arrived", "last byte read",
         "came out intact", "how it was read"),
        tuple(
            (message.name, str(len(message.payload)), time(message.written_us),
             time(message.arrived_us), time(message.read_us), time(message.delivered_us),
             reading(result, message))
            for message in result.messages
        ),
    )  # fmt: skip
    reads = Table(
        "recv() calls",
        ("call", "called", "returned", "bytes", "held", "verdict"),
        tuple(
            (f"r{number}", time(read.called_us), time(read.returned_us), str(len(read.data)),
             ", ".join(
                 result.messages[fragment.message].name
                 if fragment.whole
                 else f"part of {result.messages[fragment.message].name}"
                 for fragment in read.fragments
             ),
             read.verdict)
            for number, read in enumerate(result.reads, start=1)
        ),
    )  # fmt: skip
    return messages, reads
