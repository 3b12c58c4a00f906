import doctest
from decimal import Decimal

import construct
import pytest
from construct import (
    Array,
    Const,
    Enum,
    FixedSized,
    GreedyBytes,
    GreedyRange,
    Int8ub,
    Int16ub,
    Int32ub,
    Optional,
    Padding,
    Peek,
    Prefixed,
    Select,
    Struct,
    Transformed,
    this,
)
from hypothesis import given
from hypothesis import strategies as st
from protocols import ARCHIVE, COMMANDS, archive, item, order

from remotecalls.wire import dissect
from remotecalls.wire.dissect import (
    CoverageError,
    DeclarationError,
    Dissection,
    Field,
    Kind,
    Layout,
    converted,
    delimiter,
    dissect_datagram,
    dissect_messages,
    labelled,
    line,
    repeated,
    show_value,
    sized,
    upto,
)

Row = tuple[int, int, str, str]


def rows(dissection: Dissection) -> list[Row]:
    return [(field.start, field.end, field.name, field.value) for field in dissection.fields]


def test_the_examples_of_the_documentation() -> None:
    assert doctest.testmod(dissect).failed == 0
    assert doctest.testmod(dissect).attempted >= 6


# ---------------------------------------------------------------- covering


def field(start: int, end: int) -> Field:
    return Field(start, end, "f", "v")


@pytest.mark.parametrize(
    ("size", "fields", "complaint"),
    [
        (3, [field(0, 2)], "bytes 2 to 2 have no label"),
        (3, [field(1, 3)], "bytes 0 to 0 have no label"),
        (3, [field(0, 1), field(2, 3)], "bytes 1 to 1 have no label"),
        (3, [field(0, 2), field(1, 3)], "byte 1 has a second label"),
        (3, [field(2, 3), field(0, 2)], "bytes 0 to 1 have no label"),
        (3, [field(0, 4)], "the labels end at 4, the data at 3"),
        (3, [], "bytes 0 to 2 have no label"),
    ],
)
def test_labels_that_do_not_cover_are_refused(
    size: int, fields: list[Field], complaint: str
) -> None:
    with pytest.raises(CoverageError, match=complaint):
        Dissection(bytes(size), tuple(fields))


def test_labels_that_cover_are_accepted_also_empty_ones() -> None:
    dissection = Dissection(b"abc", (field(0, 0), field(0, 2), field(2, 2), field(2, 3)))
    assert [dissection.bytes_of(each) for each in dissection.fields] == [b"", b"ab", b"", b"c"]
    assert Dissection(b"", ()).messages == 0


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ((2, 1, "f", "v"), "runs from 2 to 1"),
        ((-1, 1, "f", "v"), "runs from -1 to 1"),
        ((0, 1, "", "v"), "has no name"),
        ((0, 1, "f", "v", "", "colour"), "'colour' is not a valid Kind"),
    ],
)
def test_a_field_is_checked(arguments: tuple[object, ...], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        Field(*arguments)  # type: ignore[arg-type]


# ---------------------------------------------------------------- whole messages


def test_nested_structures_get_dotted_numbered_names() -> None:
    data = order(item(7, "cards"), item(8, "é"))
    dissection = dissect_messages(data, ARCHIVE)
    assert (
        rows(dissection)
        == [
            (0, 2, "length", "17"),
            (2, 3, "type", "1"),
            (3, 4, "order.count", "2"),
            (4, 6, "order.items[0].sku", "7"),
            (6, 7, "order.items[0].title.length", "5"),
            (7, 12, "order.items[0].title.text", '"cards"'),
            (12, 14, "order.items[1].sku", "8"),
            (14, 15, "order.items[1].title.length", "2"),
            (15, 17, "order.items[1].title.text", '"é"'),
            (17, 19, "order.fill", "00 00"),
            (19, 23, "crc", data[19:].hex()),
        ][: len(dissection.fields)]
    )
    assert len(dissection.fields) == 11
    kinds = {each.name: each.kind for each in dissection.fields}
    assert kinds["length"] is Kind.LENGTH
    assert kinds["order.fill"] is Kind.PADDING
    assert kinds["crc"] is Kind.CHECKSUM


def test_messages_are_numbered() -> None:
    data = archive(2, b"one") + archive(2, b"two")
    dissection = dissect_messages(data, ARCHIVE)
    assert dissection.messages == 2
    notes = [(f.message, f.value) for f in dissection.fields if f.name == "note"]
    assert notes == [(0, '"one"'), (1, '"two"')]


def test_repeating_to_the_end_of_the_message() -> None:
    data = archive(3, item(1, "a") + item(2, "b"))
    names = [each.name for each in dissect_messages(data, ARCHIVE).fields]
    assert "parts[1].title.text" in names


def test_lines_and_counted_bodies() -> None:
    assert rows(dissect_messages(b"PUT 3\r\nabcGET 0\r\n", COMMANDS)) == [
        (0, 3, "head.verb", '"PUT"'),
        (3, 4, "head.space", '" "'),
        (4, 5, "head.size", "3"),
        (5, 7, "head.end of line", '"\\r\\n"'),
        (7, 10, "body.content", '"abc"'),
        (10, 13, "head.verb", '"GET"'),
        (13, 14, "head.space", '" "'),
        (14, 15, "head.size", "0"),
        (15, 17, "head.end of line", '"\\r\\n"'),
        (17, 17, "body.content", '""'),
    ]


def test_no_bytes_have_no_fields() -> None:
    assert dissect_messages(b"", ARCHIVE) == Dissection(b"", ())
    assert dissect_datagram(b"", upto()) == Dissection(b"", ())


# ---------------------------------------------------------------- meanings and values


@pytest.mark.parametrize(
    ("meaning", "expected"),
    [
        ("a sentence", "a sentence"),
        ({5: "five"}, "five"),
        ({6: "six"}, "not a known value"),
        (lambda value: f"twice that is {2 * value}", "twice that is 10"),
    ],
)
def test_ways_to_give_a_meaning(meaning: object, expected: str) -> None:
    layout = labelled("x", Int8ub, meaning=meaning)  # type: ignore[arg-type]
    assert dissect_messages(b"\5", layout).fields[0].meaning == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (5, "5"),
        (True, "True"),
        (Decimal("1.20"), "1.20"),
        ("Ada\t", '"Ada\\t"'),
        ("\u202egnp\x9b", '"\\u202egnp\\x9b"'),
        (b"text\r\n", '"text\\r\\n"'),
        (b"\x00\xff", "00 ff"),
        (b"", '""'),
        (b"x" * 100, '"' + "x" * 62 + "…"),
        (b"\x00" * 100, ("00 " * 22)[:63] + "…"),
        (Enum(Int8ub, hello=1).parse(b"\1"), "1 (hello)"),
    ],
)
def test_values_as_text(value: object, expected: str) -> None:
    assert show_value(value) == expected


def test_a_value_can_be_shown_in_its_own_way() -> None:
    layout = labelled("x", Int8ub, show=lambda value: f"0x{value:02x}")
    assert dissect_messages(b"\xfe", layout).fields[0].value == "0xfe"


def test_a_label_around_labels_lends_its_name() -> None:
    layout = labelled("outer", Struct(labelled("inner", Int8ub)))
    assert [f.name for f in dissect_messages(b"a", layout).fields] == ["outer.inner"]


# ---------------------------------------------------------------- what breaks off


@pytest.mark.parametrize(
    ("data", "name", "value", "meaning"),
    [
        (b"\0", "length", "incomplete: 1 of 2 bytes", "bytes of type and body"),
        (b"\0\x06", "type", "incomplete: 0 of 1 byte", "0 of 6 bytes of the message are here"),
        (
            b"\0\x09\x01\x01\0",
            "order.items[0].sku",
            "incomplete: 1 of 2 bytes",
            "stock-keeping unit; 3 of 9 bytes of the message are here",
        ),
        (
            b"\0\x0c\x01\x01\0\7\5ca",
            "order.items[0].title.text",
            "incomplete: 2 of 5 bytes",
            "for people; 7 of 12 bytes of the message are here",
        ),
        (
            b"\0\x0d\x02fre",
            "note",
            "incomplete: 3 of 12 bytes",
            "free text; 4 of 13 bytes of the message are here",
        ),
        (b"\0\x01\x02" + b"\1\2\3", "crc", "incomplete: 3 of 4 bytes", ""),
    ],
)
def test_a_length_prefixed_message_that_breaks_off(
    data: bytes, name: str, value: str, meaning: str
) -> None:
    last = dissect_messages(data, ARCHIVE).fields[-1]
    assert (last.name, last.value, last.meaning) == (name, value, meaning)
    assert last.kind is Kind.INCOMPLETE
    assert last.end == len(data)


@pytest.mark.parametrize(
    ("data", "name", "value"),
    [
        (b"PU", "head.verb", "incomplete: 2 bytes so far"),
        (b"PUT", "head.verb", "incomplete: 3 bytes so far"),
        (b"PUT ", "head.size", "incomplete: 0 bytes so far"),
        (b"PUT 1", "head.size", "incomplete: 1 byte so far"),
        (b"PUT 1\r", "head.size", "incomplete: 2 bytes so far"),
        (b"PUT 3\r\n", "body.content", "incomplete: 0 of 3 bytes"),
        (b"PUT 3\r\nab", "body.content", "incomplete: 2 of 3 bytes"),
    ],
)
def test_a_line_that_breaks_off(data: bytes, name: str, value: str) -> None:
    last = dissect_messages(data, COMMANDS).fields[-1]
    assert (last.name, last.value, last.kind) == (name, value, Kind.INCOMPLETE)


def test_every_prefix_of_a_good_message_is_understood_as_far_as_it_goes() -> None:
    for data, layout in ((order(item(7, "cards")), ARCHIVE), (b"PUT 3\r\nabc", COMMANDS)):
        whole = rows(dissect_messages(data, layout))
        for end in range(1, len(data)):
            *complete, last = dissect_messages(data[:end], layout).fields
            assert rows(Dissection(data[: last.start], tuple(complete))) == whole[: len(complete)]
            assert last.kind is Kind.INCOMPLETE or last.end == whole[len(complete)][1]
            assert all(each.kind is not Kind.OPAQUE for each in complete)


def test_an_announcement_of_four_gigabytes_costs_nothing() -> None:
    layout = Struct(labelled("length", Int32ub), sized(this.length, labelled("data", GreedyBytes)))
    last = dissect_messages(b"\xff\xff\xff\xffabc", layout).fields[-1]
    assert last.value == "incomplete: 3 of 4,294,967,295 bytes"


def test_more_than_its_fields_can_be_announced() -> None:
    layout = sized(12, labelled("only", Int8ub))
    first, last = dissect_messages(b"a", layout).fields
    assert (first.name, first.value) == ("only", "97")
    assert (last.name, last.value) == ("rest", "incomplete: 0 bytes so far")
    assert last.meaning == "1 of 12 bytes of the message are here"


def test_a_datagram_that_is_too_short_is_not_waited_for() -> None:
    *_, last = dissect_datagram(b"\0\x0d\x02fre", ARCHIVE).fields
    assert last.kind is Kind.OPAQUE
    assert last.meaning == "a length of 13 bytes, but 4 are left"
    (last,) = dissect_datagram(b"\0", ARCHIVE).fields
    assert last.meaning == "length needs 2 bytes, the message has 1 left"


def test_bytes_after_the_end_of_a_datagram() -> None:
    *_, last = dissect_datagram(archive(2, b"hi") + b"??", ARCHIVE).fields
    assert (last.name, last.value) == ("not understood", '"??"')
    assert last.meaning == "these bytes follow the last field"


# ---------------------------------------------------------------- what makes no sense


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (archive(9, b"what"), "there is no such type"),
        (archive(2, b"\xff\xfe"), "note: 'utf-8' codec can't decode byte 0xff"),
        (archive(1, b"\2" + item(1, "a") + b"\0\0"), "needs 1 byte, the message has 0 left"),
        (archive(1, b"\0\0\0extra"), "these bytes follow the last field"),
    ],
)
def test_what_is_wrong_with_one_record_stays_in_it(record: bytes, reason: str) -> None:
    data = record + archive(2, b"fine")
    dissection = dissect_messages(data, ARCHIVE)
    opaque = [each for each in dissection.fields if each.kind is Kind.OPAQUE]
    assert len(opaque) == 1
    assert reason in opaque[0].meaning
    assert [(f.message, f.value) for f in dissection.fields if f.name == "note"][-1] == (
        1,
        '"fine"',
    )


def test_what_is_wrong_with_one_line_stays_in_it() -> None:
    dissection = dissect_messages(b"PUT x\r\nGET 0\r\n", COMMANDS)
    bad = dissection.fields[2]
    assert (bad.name, bad.value) == ("not understood", '"x"')
    assert bad.meaning == "head.size: invalid literal for int() with base 10: b'x'"
    assert [f.value for f in dissection.fields if f.name == "head.verb"] == ['"PUT"', '"GET"']


MAGIC = Struct(delimiter(b"RC", "magic"), labelled("x", Int8ub))


def test_without_a_way_to_resynchronize_the_rest_is_lost() -> None:
    dissection = dissect_messages(b"RC\1XX\2RC\3", MAGIC)
    assert rows(dissection)[2:] == [(3, 9, "not understood", "58 58 02 52 43 03")]
    assert "expected b'RC'" in dissection.fields[-1].meaning


def test_with_a_delimiter_the_next_message_is_found() -> None:
    layout = Struct(delimiter(b"RC", "magic"), labelled("x", upto(b"\n")), delimiter(b"\n"))
    dissection = dissect_messages(b"RC1\nXX2\nRC3\nYY", layout, resync=b"\n")
    assert [f.name for f in dissection.fields].count("magic") == 2
    assert [dissection.bytes_of(f) for f in dissection.fields if f.kind is Kind.OPAQUE] == [
        b"XX2\n",
        b"YY",
    ]


def test_a_declaration_that_reads_nothing_ends() -> None:
    (only,) = dissect_messages(b"abc", Struct()).fields
    assert (only.start, only.end, only.kind) == (0, 3, Kind.OPAQUE)


def test_lengths_that_cannot_be() -> None:
    layout = Struct(labelled("length", construct.Int8sb), sized(this.length, upto()))
    assert "a length of -1 bytes" in dissect_messages(b"\xffabc", layout).fields[-1].meaning
    nested = sized(3, Struct(labelled("length", Int8ub), sized(this.length, upto())))
    assert "a length of 9 bytes, but 2 are left" in (
        dissect_messages(b"\x09ab", nested).fields[-1].meaning
    )
    endless = sized(2, repeated(Struct()))
    assert "element 0 has no bytes" in dissect_messages(b"ab", endless).fields[-1].meaning


def test_an_unfinished_line_inside_a_whole_message() -> None:
    layout = sized(2, line(labelled("x", upto())))
    (only,) = dissect_messages(b"ab", layout).fields
    assert only.meaning == 'no "\\n" ends the line'


# ---------------------------------------------------------------- with the rest of construct


@pytest.mark.parametrize(
    ("layout", "data", "expected"),
    [
        (
            Struct("a" / Int8ub, labelled("b", Int8ub), Padding(1)),
            b"abc",
            [(0, 1, "unlabeled", '"a"'), (1, 2, "b", "98"), (2, 3, "unlabeled", '"c"')],
        ),
        (
            Struct(Peek(labelled("look", Int16ub)), labelled("x", Int8ub), labelled("y", Int8ub)),
            b"\0\1",
            [(0, 1, "x", "0"), (1, 2, "y", "1")],
        ),
        (
            Select(
                Struct(labelled("a", Int8ub), labelled("magic", Const(b"M"))),
                Struct(labelled("b", Int16ub)),
            ),
            b"\0\1",
            [(0, 2, "b", "1")],
        ),
        (
            Struct(labelled("a", Int8ub), Optional(labelled("b", Const(b"!")))),
            b"\1",
            [(0, 1, "a", "1")],
        ),
        (
            Prefixed(Int8ub, Struct(labelled("a", Int8ub), labelled("b", GreedyBytes))),
            b"\3abc",
            [(0, 1, "unlabeled", "03"), (1, 2, "a", "97"), (2, 4, "b", '"bc"')],
        ),
        (
            FixedSized(3, Struct(labelled("a", Int8ub))),
            b"abc",
            [(0, 1, "a", "97"), (1, 3, "unlabeled", '"bc"')],
        ),
        (
            sized(3, GreedyRange(labelled("each", Int8ub))),
            b"\1\2\3",
            [(0, 1, "each", "1"), (1, 2, "each", "2"), (2, 3, "each", "3")],
        ),
        (
            Struct(labelled("pair", Array(2, Int8ub))),
            b"\1\2",
            [(0, 2, "pair", "[1, 2]")],
        ),
    ],
)
def test_other_layouts_of_construct_may_stand_between(
    layout: Layout, data: bytes, expected: list[Row]
) -> None:
    assert rows(dissect_messages(data, layout)) == expected


def test_bytes_without_a_label_belong_to_their_own_message() -> None:
    layout = Struct("length" / Int8ub, labelled("x", Int8ub), Padding(1))
    fields = dissect_messages(b"\1a\0\2b\0", layout).fields
    assert [(f.message, f.name, f.value) for f in fields] == [
        (0, "unlabeled", "01"),
        (0, "x", "97"),
        (0, "unlabeled", "00"),
        (1, "unlabeled", "02"),
        (1, "x", "98"),
        (1, "unlabeled", "00"),
    ]


def test_labels_inside_transformed_bytes_are_a_mistake() -> None:
    upper = Transformed(labelled("x", GreedyBytes), bytes.upper, 3, bytes.lower, 3)
    with pytest.raises(DeclarationError, match="put the label around"):
        dissect_messages(b"abc", upper)


def test_labels_outside_of_a_dissection_are_a_mistake() -> None:
    with pytest.raises(DeclarationError, match="dissect_messages"):
        labelled("x", Int8ub).parse(b"a")


def test_a_typing_error_in_a_declaration_is_not_taken_for_bad_bytes() -> None:
    layout = Struct(labelled("length", Int8ub), sized(this.lenght, upto()))
    with pytest.raises(KeyError, match="lenght"):
        dissect_messages(b"\1a", layout)


@pytest.mark.parametrize(
    "make",
    [
        lambda: labelled("", Int8ub),
        lambda: labelled("x", Int8ub, kind="colour"),
        lambda: upto(b""),
        lambda: line(upto(), b""),
    ],
)
def test_declarations_are_checked(make: object) -> None:
    with pytest.raises(ValueError, match=r"name|Kind|delimiter"):
        make()  # type: ignore[operator]


# ---------------------------------------------------------------- properties

LAYOUTS = [
    ARCHIVE,
    COMMANDS,
    MAGIC,
    Struct(
        labelled("a", converted(upto(b",", b";"), lambda data: Decimal(data.decode()))),
        labelled("b", Int8ub),
    ),
    Select(Struct(labelled("a", Const(b"\0")), labelled("b", Int32ub)), labelled("c", Int16ub)),
    Prefixed(Int8ub, GreedyRange(labelled("pair", Int16ub))),
]

# Bytes that look like messages get further than bytes that do not.
good_records = st.one_of(
    st.builds(archive, st.integers(0, 4), st.binary(max_size=12)),
    st.lists(st.builds(item, st.integers(0, 65_535), st.text(max_size=5)), max_size=3).map(
        lambda items: order(*items)
    ),
    st.builds(
        lambda verb, body: b"%s %d\r\n%s" % (verb, len(body), body),
        st.sampled_from([b"PUT", b"GET", b""]),
        st.binary(max_size=9),
    ),
    st.binary(max_size=12),
)


@st.composite
def conversations(draw: st.DrawFn) -> bytes:
    """Good records, joined, damaged and cut."""
    data = bytearray(b"".join(draw(st.lists(good_records, max_size=4))))
    for _ in range(draw(st.integers(0, 3)) if data else 0):
        data[draw(st.integers(0, len(data) - 1))] ^= draw(st.integers(1, 255))
    return bytes(data[: draw(st.integers(0, len(data)))])


@given(st.binary(max_size=60) | conversations(), st.sampled_from(LAYOUTS))
def test_every_byte_string_is_covered(data: bytes, layout: Layout) -> None:
    for dissection in (
        dissect_messages(data, layout),
        dissect_messages(data, layout, resync=b"\n"),
        dissect_datagram(data, layout),
    ):
        covered = b"".join(dissection.bytes_of(field) for field in dissection.fields)
        assert covered == data
        owners = [offset for f in dissection.fields for offset in range(f.start, f.end)]
        assert owners == list(range(len(data)))
        numbers = [field.message for field in dissection.fields]
        assert numbers == sorted(numbers)


@given(conversations(), st.sampled_from([ARCHIVE, COMMANDS]), st.data())
def test_more_bytes_never_change_what_was_understood(
    data: bytes, layout: Layout, draw: st.DataObject
) -> None:
    """A view of a running conversation does not jump: complete messages stay as they are."""
    cut = draw.draw(st.integers(0, len(data)))
    before = dissect_messages(data[:cut], layout).fields
    after = dissect_messages(data, layout).fields
    last = before[-1].message if before else 0
    stable = [field for field in before if field.message < last]
    assert list(after[: len(stable)]) == stable
