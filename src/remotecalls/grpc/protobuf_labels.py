"""Labels for the messages of gRPC: five bytes before each, and Protocol Buffers in it.

The bytes of Protocol Buffers say the number of a field and how far it reaches, and nothing of names
or types; those come from the descriptor. A response says not even which message it is. If the
request is not known, the one is taken whose fields the bytes fit.

Source: https://protobuf.dev/programming-guides/encoding/; "gRPC over HTTP2".
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from remotecalls.grpc.generated.shop.v1 import reports_pb2, shop_pb2
from remotecalls.grpc.joined import Joined, Labels
from remotecalls.wire.dissect import Kind, show_value

PREFIX = 5
DEEPEST = 20
LONGEST_VARINT = 10
VARINT, EIGHT, BYTES, FOUR = 0, 1, 2, 5
WIRE_TYPES = {VARINT: "varint", EIGHT: "8 bytes", BYTES: "length and bytes", FOUR: "4 bytes"}

_FILES = (shop_pb2, reports_pb2, health_pb2, reflection_pb2)
METHODS: dict[str, MethodDescriptor] = {
    f"/{service.full_name}/{method.name}": method
    for file in _FILES
    for service in file.DESCRIPTOR.services_by_name.values()
    for method in service.methods
}
"""The methods whose messages are known, by their paths."""

_RESPONSES: list[Descriptor] = list(
    {m.output_type.full_name: m.output_type for m in METHODS.values()}.values()
)

_FIXED = {
    FieldDescriptor.TYPE_DOUBLE: (EIGHT, "<d"),
    FieldDescriptor.TYPE_FIXED64: (EIGHT, "<Q"),
    FieldDescriptor.TYPE_SFIXED64: (EIGHT, "<q"),
    FieldDescriptor.TYPE_FLOAT: (FOUR, "<f"),
    FieldDescriptor.TYPE_FIXED32: (FOUR, "<I"),
    FieldDescriptor.TYPE_SFIXED32: (FOUR, "<i"),
}
_OF_BYTES = {
    FieldDescriptor.TYPE_STRING,
    FieldDescriptor.TYPE_BYTES,
    FieldDescriptor.TYPE_MESSAGE,
}


class NotProtobuf(ValueError):
    """The bytes are no field."""


class CutOff(Exception):
    """A field goes on beyond the bytes that are here."""


@dataclass(frozen=True)
class Element:
    """One field in the bytes of a message.

    Attributes:
        number: of the field.
        wire_type: how the end of it is found.
        start: offset of its tag.
        after_tag: offset after the tag.
        value: offset of its value; after the length, if it has one.
        end: offset after its value.
        varint: the value, if it is a varint.
    """

    number: int
    wire_type: int
    start: int
    after_tag: int
    value: int
    end: int
    varint: int = 0


def label_messages(
    labels: Labels, body: Joined, method: str | None, *, response: bool, complete: bool
) -> None:
    """Label the whole messages at the beginning of a stream's data, and drop them.

    Args:
        labels: where.
        body: the data of the stream that has no label yet.
        method: the path of the call, if it is known.
        response: whether this is what a server says.
        complete: whether no more of the stream will come, so that the rest is labeled, too.
    """
    kind, guess = _kind_of(method, response=response), response and method is None
    at = 0
    while len(body.data) - at >= PREFIX:
        length = int.from_bytes(body.data[at + 1 : at + PREFIX], "big")
        end = at + PREFIX + length
        if end > len(body.data):
            break
        _label_message(labels, body, at, end, end, kind, guess=guess)
        at = end
    body.drop(at)
    if complete and body.data:
        wanted = int.from_bytes(body.data[1:PREFIX], "big") if len(body.data) >= PREFIX else 0
        _label_message(labels, body, 0, len(body.data), PREFIX + wanted, kind, guess=guess)
        body.drop(len(body.data))


def _kind_of(method: str | None, *, response: bool) -> Descriptor | None:
    known = METHODS.get(method or "")
    if known is None:
        return None
    found: Descriptor = known.output_type if response else known.input_type
    return found


def _label_message(
    labels: Labels,
    body: Joined,
    start: int,
    end: int,
    wanted: int,
    kind: Descriptor | None,
    *,
    guess: bool,
) -> None:
    if end - start < PREFIX:
        for first, last in body.spans(start, end):
            labels.add_incomplete(first, last, "message prefix", PREFIX)
        return
    compressed = body.data[start]
    said = {0: "no", 1: "yes, as grpc-encoding says"}.get(compressed, "neither 0 nor 1")
    labels.add_joined(body, start, start + 1, "compressed", str(compressed), said, Kind.TYPE)
    length = str(wanted - start - PREFIX)
    meaning = "bytes of the message"
    content = body.data[start + PREFIX : end]
    if kind is not None:
        meaning += f", a {kind.name}"
    elif guess and end == wanted and not compressed and (kind := _guessed(content)):
        meaning += f"; by its shape a {kind.name}"
    labels.add_joined(body, start + 1, start + PREFIX, "message length", length, meaning, "length")
    if compressed:
        labels.add_joined(body, start + PREFIX, end, "compressed message", show_value(content))
        return
    labeler = _Labeler(labels, body, complete=end == wanted)
    labeler.message(start + PREFIX, end, kind, "", DEEPEST)


def _guessed(data: bytes) -> Descriptor | None:
    # Nothing can be seen in no bytes.
    return next((each for each in _RESPONSES if data and fits(data, each)), None)


class _Labeler:
    def __init__(self, labels: Labels, body: Joined, *, complete: bool) -> None:
        self._labels = labels
        self._body = body
        self._complete = complete

    def message(self, start: int, end: int, kind: Descriptor | None, path: str, depth: int) -> None:
        """Label the fields of a message from one offset to another."""
        at = start
        counts: dict[int, int] = {}
        try:
            for element in elements(self._body.data, start, end):
                number = counts[element.number] = counts.get(element.number, -1) + 1
                field = kind.fields_by_number.get(element.number) if kind else None
                name = _name(path, element, field, number)
                self._element(element, field, kind, name, depth)
                at = element.end
        except CutOff:
            self._rest(at, end, "goes on beyond its message")
        except NotProtobuf as error:
            self._rest(at, end, str(error))

    def _rest(self, start: int, end: int, reason: str) -> None:
        for first, last in self._body.spans(start, end):
            if self._complete:
                self._labels.add_opaque(first, last, reason)
            else:
                self._labels.add_incomplete(first, last, "field", None)

    def _element(
        self,
        element: Element,
        field: FieldDescriptor | None,
        kind: Descriptor | None,
        name: str,
        depth: int,
    ) -> None:
        tag = f"field {element.number}, {WIRE_TYPES[element.wire_type]}"
        if kind is None:
            meaning = "which message this is, is not known"
        elif field is None:
            meaning = f"{kind.name} has no such field"
        else:
            meaning = f"{field.name} of {kind.name}"
        self._add(element.start, element.after_tag, f"{name}.tag", tag, meaning, Kind.TYPE)
        if element.wire_type == BYTES:
            length = str(element.end - element.value)
            self._add(
                element.after_tag, element.value, f"{name}.length", length,
                f"bytes of {name}", Kind.LENGTH,
            )  # fmt: skip
        if is_message(field, element) and depth > 0:
            assert field is not None
            self.message(element.value, element.end, field.message_type, name, depth - 1)
            return
        try:
            value = shown(self._body.data, element, field)
        except NotProtobuf as error:
            for first, last in self._body.spans(element.value, element.end):
                self._labels.add_opaque(first, last, str(error))
            return
        self._add(element.value, element.end, name, value, "", Kind.VALUE)

    def _add(self, start: int, end: int, name: str, value: str, meaning: str, kind: Kind) -> None:
        self._labels.add_joined(self._body, start, end, name, value, meaning, kind)


def _name(path: str, element: Element, field: FieldDescriptor | None, number: int) -> str:
    name = f"field {element.number}" if field is None else str(field.name)
    if field is not None and field.is_repeated:
        name += f"[{number}]"
    return f"{path}.{name}" if path else name


# ---------------------------------------------------------------- reading


def elements(data: bytes, start: int, end: int) -> Iterator[Element]:
    """The fields in a part of some bytes.

    Raises:
        CutOff: the last one goes on beyond the part.
        NotProtobuf: there is something that is no field.
    """
    at = start
    while at < end:
        tag, after_tag = varint(data, at, end)
        number, wire_type = tag >> 3, tag & 7
        if number == 0 or number >= 2**29:
            raise NotProtobuf(f"no field has the number {number}")
        value, found = after_tag, 0
        match wire_type:
            case 0:
                found, stop = varint(data, after_tag, end)
            case 1:
                stop = after_tag + 8
            case 5:
                stop = after_tag + 4
            case 2:
                length, value = varint(data, after_tag, end)
                stop = value + length
            case _:
                raise NotProtobuf(f"wire type {wire_type} is not used any more")
        if stop > end:
            raise CutOff
        yield Element(number, wire_type, at, after_tag, value, stop, found)
        at = stop


def varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    """A number of seven bits a byte, and the offset after it.

    Raises:
        CutOff: it does not end.
        NotProtobuf: it has more than ten bytes.
    """
    value = 0
    for place in range(LONGEST_VARINT):
        if at >= end:
            raise CutOff
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            return value & 2**64 - 1, at
    raise NotProtobuf("a number has more than ten bytes")


def is_message(field: FieldDescriptor | None, element: Element) -> bool:
    """Whether an element is a message inside of the message."""
    return (
        field is not None
        and field.type == FieldDescriptor.TYPE_MESSAGE
        and element.wire_type == BYTES
    )


def shown(data: bytes, element: Element, field: FieldDescriptor | None) -> str:
    """The value of an element as a person reads it.

    Raises:
        NotProtobuf: a text is no UTF-8.
    """
    raw = data[element.value : element.end]
    if field is None or not _has_wire_type(field, element.wire_type):
        return str(element.varint) if element.wire_type == VARINT else show_value(raw)
    if field.type in _FIXED and element.wire_type != BYTES:
        return str(struct.unpack(_FIXED[field.type][1], raw)[0])
    if field.type == FieldDescriptor.TYPE_STRING:
        try:
            return show_value(raw.decode())
        except UnicodeDecodeError as error:
            raise NotProtobuf(f"{field.name} is no UTF-8: {error.reason}") from None
    if element.wire_type == VARINT:
        return _number(element.varint, field)
    return show_value(raw)


def _number(value: int, field: FieldDescriptor) -> str:
    signed = value - 2**64 if value >= 2**63 else value
    match field.type:
        case FieldDescriptor.TYPE_BOOL:
            return str(bool(value)).lower()
        case FieldDescriptor.TYPE_ENUM:
            known = field.enum_type.values_by_number.get(signed)
            return f"{signed} ({known.name})" if known else str(signed)
        case FieldDescriptor.TYPE_SINT32 | FieldDescriptor.TYPE_SINT64:
            return str(value >> 1 ^ -(value & 1))
        case FieldDescriptor.TYPE_UINT32 | FieldDescriptor.TYPE_UINT64:
            return str(value)
        case _:
            return str(signed)


def _has_wire_type(field: FieldDescriptor, wire_type: int) -> bool:
    if field.type in _OF_BYTES:
        return wire_type == BYTES
    own = _FIXED[field.type][0] if field.type in _FIXED else VARINT
    # Numbers that repeat may be packed into one field of bytes.
    return wire_type == own or (wire_type == BYTES and bool(field.is_repeated))


def fits(data: bytes, kind: Descriptor, depth: int = DEEPEST) -> bool:
    """Whether bytes are a message of a type, with fields of that type alone."""
    seen: set[int] = set()
    try:
        for element in elements(data, 0, len(data)):
            field: Any = kind.fields_by_number.get(element.number)
            if field is None or not _has_wire_type(field, element.wire_type):
                return False
            if element.number in seen and not field.is_repeated:
                return False
            seen.add(element.number)
            part = data[element.value : element.end]
            if is_message(field, element):
                if depth == 0 or not fits(part, field.message_type, depth - 1):
                    return False
            elif field.type == FieldDescriptor.TYPE_STRING:
                part.decode()
    except (CutOff, NotProtobuf, UnicodeDecodeError):
        return False
    return True
