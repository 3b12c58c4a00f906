"""Labels on bytes that belong together and do not lie together.

HTTP/2 cuts what it carries: a header block may go on in another frame, and a message of gRPC may
take many, with frames of other streams between them. A `Joined` is such a sequence of pieces as one
text, that remembers where each of its bytes lies in the recording.
"""

from __future__ import annotations

from bisect import bisect_right

from remotecalls.wire.dissect import Dissection, Field, Kind, show_value
from remotecalls.wire.dissection import count_bytes

CONTINUED = " (continued)"


class Joined:
    """Bytes from several places, in their order."""

    def __init__(self) -> None:
        self.data = b""
        self._pieces: list[tuple[int, int]] = []
        """Where each piece begins: here, and in the recording."""

    def append(self, data: bytes, start: int) -> None:
        """Add bytes that lie together from an offset of the recording on."""
        if data:
            self._pieces.append((len(self.data), start))
            self.data += data

    def drop(self, count: int) -> None:
        """Forget so many bytes of the beginning."""
        if not count:
            return
        kept = []
        ends = [start for start, _ in self._pieces[1:]] + [len(self.data)]
        for (here, there), end in zip(self._pieces, ends, strict=True):
            if end > count:
                cut = max(count - here, 0)
                kept.append((here + cut - count, there + cut))
        self._pieces = kept
        self.data = self.data[count:]

    def spans(self, start: int, end: int) -> list[tuple[int, int]]:
        """Where the bytes from one offset to another lie in the recording."""
        found = []
        while start < end:
            place = bisect_right(self._pieces, start, key=lambda piece: piece[0]) - 1
            here, there = self._pieces[place]
            last = place + 1 == len(self._pieces)
            stop = end if last else min(end, self._pieces[place + 1][0])
            found.append((there + start - here, there + stop - here))
            start = stop
        return found


class Labels:
    """The labels found so far, in any order."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self._fields: list[Field] = []
        self._frames: list[int] = []

    def begin_frame(self, start: int) -> None:
        """A frame begins, which counts as a message of the dissection."""
        self._frames.append(start)

    def add(
        self,
        start: int,
        end: int,
        name: str,
        value: str,
        meaning: str = "",
        kind: Kind | str = Kind.VALUE,
    ) -> None:
        """Label bytes that lie together; none get no label."""
        if start < end:
            number = max(bisect_right(self._frames, start) - 1, 0)
            self._fields.append(Field(start, end, name, value, meaning, Kind(kind), number))

    def add_joined(
        self,
        joined: Joined,
        start: int,
        end: int,
        name: str,
        value: str,
        meaning: str = "",
        kind: Kind | str = Kind.VALUE,
    ) -> None:
        """Label bytes of a joined text; after a cut the label says that it goes on."""
        for number, (first, last) in enumerate(joined.spans(start, end)):
            self.add(first, last, name if number == 0 else name + CONTINUED, value, meaning, kind)

    def add_number(
        self, start: int, end: int, size: int, name: str, meaning: str = "", kind: str = "value"
    ) -> int:
        """Label a whole number of so many bytes, of which those up to `end` are here.

        Returns:
            The offset after it, or `end` if that comes first.
        """
        if end - start >= size:
            end = start + size
            value = str(int.from_bytes(self.data[start:end], "big"))
            self.add(start, end, name, value, meaning, kind)
        else:
            self.add_incomplete(start, end, name, size, meaning)
        return end

    def add_incomplete(
        self, start: int, end: int, name: str, wanted: int | None, meaning: str = ""
    ) -> None:
        """Label the beginning of something whose rest has not arrived."""
        here = end - start
        of = f"{here} of {count_bytes(wanted)}" if wanted else f"{count_bytes(here)} so far"
        self.add(start, end, name, f"incomplete: {of}", meaning, Kind.INCOMPLETE)

    def add_opaque(self, start: int, end: int, reason: str) -> None:
        """Label bytes that make no sense."""
        value = show_value(self.data[start:end])
        self.add(start, end, "not understood", value, reason, Kind.OPAQUE)

    def dissection(self) -> Dissection:
        """All labels in order, and what was left without one."""
        fields: list[Field] = []
        covered = 0
        for field in sorted(self._fields, key=lambda each: each.start):
            fields += self._gap(covered, field.start)
            fields.append(field)
            covered = field.end
        return Dissection(self.data, tuple(fields + self._gap(covered, len(self.data))))

    def _gap(self, start: int, end: int) -> list[Field]:
        if start >= end:
            return []
        number = max(bisect_right(self._frames, start) - 1, 0)
        value = show_value(self.data[start:end])
        reason = "nothing is known of these bytes"
        return [Field(start, end, "unlabeled", value, reason, Kind.OPAQUE, number)]
