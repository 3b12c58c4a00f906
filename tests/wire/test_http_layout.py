"""HTTP/1.x as the dissectors read it: whatever comes, and what was written on purpose."""

from __future__ import annotations

import gzip
import json
from urllib.parse import quote_plus
from xml.sax.saxutils import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remotecalls.wire.dissect import Dissection, Kind
from remotecalls.wire.http_layout import dissect_http
from remotecalls.wire.recording import Direction

UNCLEAR = {Kind.OPAQUE, Kind.INCOMPLETE}
directions = st.sampled_from(Direction)

pieces = st.sampled_from(
    [
        b"GET / HTTP/1.1\r\n",
        b"HTTP/1.1 200 OK\r\n",
        b"Content-Length: 5\r\n",
        b"content-type: application/json\r\n",
        b"content-type: application/xml\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"content-encoding: gzip\r\n",
        b"\r\n",
        b"5\r\n",
        b"0\r\n\r\n",
        b'{"a": [1, "\\u00e9"]}',
        b"<a>&amp;</a>",
        gzip.compress(b"{}", mtime=0),
    ]
)


def joined(dissection: Dissection) -> bytes:
    return b"".join(dissection.bytes_of(field) for field in dissection.fields)


@given(st.binary(max_size=300) | st.lists(pieces | st.binary(max_size=6)).map(b"".join), directions)
def test_whatever_comes_every_byte_has_one_label(data: bytes, direction: Direction) -> None:
    assert joined(dissect_http(data, direction)) == data


text = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=10)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=8,
)
words = st.text("abcdefghijklmnopqrstuvwxyz-", min_size=1, max_size=8)
headers = st.dictionaries(
    words.map("x-{}".format), st.text("abc 123;=/", max_size=10).map(str.strip), max_size=4
)


@st.composite
def bodies(draw: st.DrawFn) -> tuple[str, bytes]:
    """A media type and a body of it."""
    kind = draw(st.sampled_from(["json", "form", "xml", "text"]))
    if kind == "json":
        value = draw(json_values)
        indent = draw(st.sampled_from([None, 2]))
        return "application/problem+json", json.dumps(value, indent=indent).encode()
    if kind == "form":
        fields = draw(st.dictionaries(words, text, max_size=3))
        body = "&".join(f"{name}={quote_plus(value)}" for name, value in fields.items())
        return "application/x-www-form-urlencoded", body.encode()
    if kind == "xml":
        return "application/xml", f"<a>{escape(draw(text))}</a>".encode()
    return "text/plain; charset=utf-8", draw(text).encode()


@st.composite
def messages(draw: st.DrawFn) -> bytes:
    """A request with a body, announced by its length or in chunks, plain or packed."""
    media_type, body = draw(bodies())
    lines = [f"POST /{draw(words)} HTTP/1.1", f"Content-Type: {media_type}"]
    lines += [f"{name}: {value}" for name, value in draw(headers).items()]
    if body and draw(st.booleans()):
        body = gzip.compress(body, mtime=0)
        lines.append("Content-Encoding: gzip")
        lines.append(f"Content-Length: {len(body)}")
    elif draw(st.booleans()):
        lines.append("Transfer-Encoding: chunked")
        body = (b"%x\r\n%b\r\n" % (len(body), body) if body else b"") + b"0\r\n\r\n"
    else:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


@given(st.lists(messages(), min_size=1, max_size=3))
def test_what_is_written_by_the_rules_is_understood(requests: list[bytes]) -> None:
    dissection = dissect_http(b"".join(requests), Direction.CLIENT_TO_SERVER)
    assert joined(dissection) == b"".join(requests)
    assert UNCLEAR.isdisjoint(field.kind for field in dissection.fields)
    assert len({field.message for field in dissection.fields}) == len(requests)


@given(messages(), messages(), st.data())
def test_a_cut_leaves_the_message_before_it_as_it_was(
    first: bytes, second: bytes, data: st.DataObject
) -> None:
    length = data.draw(st.integers(0, len(second) - 1))
    whole = dissect_http(first, Direction.CLIENT_TO_SERVER)
    cut = dissect_http(first + second[:length], Direction.CLIENT_TO_SERVER)
    assert joined(cut) == first + second[:length]
    assert cut.fields[: len(whole.fields)] == whole.fields


@given(json_values)
def test_the_members_and_values_of_json_are_those_that_were_written(value: object) -> None:
    body = json.dumps(value).encode()
    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}"
    dissection = dissect_http(f"{head}\r\n\r\n".encode() + body, Direction.SERVER_TO_CLIENT)
    in_body = [field for field in dissection.fields if field.start >= len(head) + 4]
    members = [field for field in in_body if field.kind is Kind.KEY]
    values = [field for field in in_body if field.kind is Kind.VALUE]
    leaves = list(_leaves(value))
    assert len(members) == sum(1 for kind, _ in leaves if kind == "member")
    assert [json.loads(dissection.bytes_of(field)) for field in values] == [
        leaf for kind, leaf in leaves if kind == "value"
    ]


def _leaves(value: object) -> list[tuple[str, object]]:
    if isinstance(value, dict):
        return [
            leaf for name, inner in value.items() for leaf in [("member", name), *_leaves(inner)]
        ]
    if isinstance(value, list):
        return [leaf for inner in value for leaf in _leaves(inner)]
    return [("value", value)]


@pytest.mark.parametrize("packed", [b"", b"\x1f\x8b", b"no gzip at all"])
def test_what_is_not_gzip_although_the_head_says_so_is_shown_as_it_is(packed: bytes) -> None:
    head = f"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {len(packed)}\r\n\r\n"
    dissection = dissect_http(head.encode() + packed, Direction.SERVER_TO_CLIENT)
    assert joined(dissection) == head.encode() + packed
