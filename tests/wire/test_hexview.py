import re
from collections.abc import Callable

import pytest
from bs4 import BeautifulSoup
from hypothesis import given
from hypothesis import strategies as st
from protocols import ARCHIVE, COMMANDS, item, order

from remotecalls.wire.dissect import Dissection, Field, Kind, dissect_messages
from remotecalls.wire.hexview import (
    exchange_html,
    exchange_text,
    stylesheet,
    to_html,
    to_text,
    view,
    view_exchange,
)
from remotecalls.wire.recording import Chunk, Direction, Recording, RecordingTruncated, View

OUT, BACK = Direction.CLIENT_TO_SERVER, Direction.SERVER_TO_CLIENT

ORDER = dissect_messages(order(item(7, "cards")), ARCHIVE)
HOSTILE = "<script>alert(1)</script>\"'&"


def parse(html: str) -> BeautifulSoup:
    return BeautifulSoup(html, "html.parser")


def shown_bytes(soup: BeautifulSoup) -> bytes:
    for index in soup.select("td i"):
        index.extract()
    return bytes.fromhex("".join(cell.text for cell in soup.select("tbody td[class]")))


def test_every_byte_is_shown_under_its_field() -> None:
    soup = parse(to_html(ORDER, "An order"))
    cells = soup.select("tbody td[class]")
    owners = [int(cell["class"][0].removeprefix("f")) for cell in cells]
    assert owners == [
        number for number, field in enumerate(ORDER.fields) for _ in range(field.start, field.end)
    ]
    for cell, owner in zip(cells, owners, strict=True):
        assert cell["class"][1] == f"k-{ORDER.fields[owner].kind}"
    assert shown_bytes(soup) == ORDER.data
    text = "".join(cell.text for cell in soup.select("tbody td:not([class])"))
    assert text == "".join(chr(b) if 0x20 <= b < 0x7F else "·" for b in ORDER.data)


def test_every_field_is_listed_with_its_number() -> None:
    soup = parse(to_html(ORDER, "An order"))
    items = soup.select("li")
    assert len(items) == len(ORDER.fields)
    for number, (entry, field) in enumerate(zip(items, ORDER.fields, strict=True)):
        assert entry["class"] == [f"f{number}"]
        assert entry.b.text == str(number + 1)
        assert entry.code.text == field.name
        assert entry.samp.text == field.value
        assert field.meaning in entry.small.text
    assert items[0].small.text == "0000–0001 · length · bytes of type and body"
    assert items[1].small.text == "0002 · type · order"
    first_bytes = [cell.i.text for cell in soup.select("td:has(i)")]
    assert first_bytes == [str(number + 1) for number in range(len(ORDER.fields))]


def test_a_field_without_bytes_is_listed_too() -> None:
    dissection = Dissection(b"a", (Field(0, 0, "empty", '""'), Field(0, 1, "full", "97")))
    soup = parse(to_html(dissection, "x"))
    assert soup.select("li small")[0].text == "no bytes"
    assert [cell["class"][0] for cell in soup.select("td[class]")] == ["f1"]


def test_messages_are_set_apart() -> None:
    soup = parse(to_html(dissect_messages(ORDER.data * 2, ARCHIVE), "Two"))
    assert [each.text for each in soup.select(".rc-wire-message")] == ["Message 1", "Message 2"]
    assert len(soup.select("ul")) == 2
    assert "46 bytes" not in soup.figcaption.text
    assert soup.figcaption.text == f"Two {2 * len(ORDER.data)} bytes, 16 fields, 2 messages"


def test_nothing_that_a_peer_sends_becomes_markup() -> None:
    fields = (Field(0, 1, HOSTILE, HOSTILE, HOSTILE), Field(1, 2, "x", "<"), Field(2, 3, "y", "&"))
    for width in (8, 16):
        soup = parse(to_html(Dissection(b"<&\xff", fields), HOSTILE, bytes_per_row=width))
        assert soup.find("script") is None
        assert soup.code.text == soup.samp.text == HOSTILE
        assert soup.figcaption.b.text == HOSTILE
        assert soup.select_one("tbody td:last-child").text == "<&·"


def test_the_same_input_gives_the_same_text() -> None:
    assert to_html(ORDER, "a") == to_html(dissect_messages(ORDER.data, ARCHIVE), "a")
    assert to_text(ORDER, "a") == to_text(dissect_messages(ORDER.data, ARCHIVE), "a")


def test_views_of_one_page_do_not_share_a_radio_group() -> None:
    def group(html: str) -> str:
        (name,) = {button["name"] for button in parse(html).select("input")}
        return str(name)

    other = dissect_messages(order(item(8, "cards")), ARCHIVE)
    groups = {group(to_html(ORDER, "a")), group(to_html(ORDER, "b")), group(to_html(other, "a"))}
    assert len(groups) == 3


def test_the_style_sheet_is_packed_or_left_to_the_page() -> None:
    inside = parse(to_html(ORDER, "x")).style.text
    assert ".rc-wire-panes { display: flex;" in inside
    assert "/*" not in inside
    assert "\n" not in inside
    linked = parse(to_html(ORDER, "x", style=False)).style.text
    assert linked.startswith(".rc-wire:has(.f0:hover")
    assert len(linked) < len(inside) / 2


def test_every_kind_has_a_line_of_its_own() -> None:
    rules = dict(re.findall(r"td\.k-(\w+) \{([^}]*)\}", stylesheet()))
    assert set(rules) == {kind.value for kind in Kind}
    assert len(set(rules.values())) == len(Kind)


@pytest.mark.parametrize(("width", "rows"), [(8, 3), (16, 2)])
def test_rows_are_numbered_by_offset(width: int, rows: int) -> None:
    data = bytes(18)
    dissection = Dissection(data, (Field(0, 18, "all", "0"),))
    soup = parse(to_html(dissection, "x", bytes_per_row=width))
    offsets = [row.th.text for row in soup.select("tbody tr")]
    assert offsets == [f"{width * row:04x}" for row in range(rows)]
    assert all(len(row.select("td")) == width + 1 for row in soup.select("tbody tr"))
    scrolls = soup.select_one(".rc-wire-dump").has_attr("tabindex")
    assert scrolls == (width == 16)


def test_no_bytes_are_shown_as_such() -> None:
    empty = Dissection(b"", ())
    soup = parse(to_html(empty, "Nothing"))
    assert soup.figcaption.text == "Nothing 0 bytes, 0 fields"
    assert soup.table is None
    assert soup.fieldset is None
    assert to_text(empty, "Nothing") == "Nothing (0 bytes, 0 fields)"


def test_what_is_too_long_is_cut_and_counted() -> None:
    fields = tuple(Field(n, n + 1, f"b{n}", "0") for n in range(10))
    dissection = Dissection(bytes(10), fields)
    soup = parse(to_html(dissection, "Ten", limit=4))
    assert len(soup.select("li")) == 4
    assert soup.select("figure > p")[0].text == "6 bytes and 6 fields more are not shown."
    assert shown_bytes(soup) == bytes(4)
    assert to_text(dissection, limit=4).splitlines()[-1] == "... 6 bytes more"
    assert len(to_text(dissection, limit=4).splitlines()) == 5


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda: to_html(ORDER, "x", bytes_per_row=12), "bytes_per_row is 12: 8 or 16"),
        (lambda: to_html(ORDER, "x", limit=0), "at least one byte"),
    ],
)
def test_arguments_are_checked(make: Callable[[], str], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        make()


def test_text_for_a_terminal() -> None:
    assert to_text(dissect_messages(b"PUT 11\r\nhello worldGE", COMMANDS), "Commands") == (
        "Commands (21 bytes, 6 fields, 2 messages)\n"
        '0000  50 55 54                 PUT       head.verb = "PUT"\n'
        '0003  20                                 head.space = " "\n'
        "0004  31 31                    11        head.size = 11  (bytes of the body)\n"
        '0006  0d 0a                    ..        head.end of line = "\\r\\n"\n'
        '0008  68 65 6c 6c 6f 20 77 6f  hello wo  body.content = "hello world"  (anything)\n'
        "0010  72 6c 64                 rld\n"
        "\n"
        "0013  47 45                    GE        head.verb = incomplete: 2 bytes so far"
        "  (the line goes on)"
    )


# ---------------------------------------------------------------- exchanges


def dissect(data: bytes, direction: Direction) -> Dissection:
    return dissect_messages(data, ARCHIVE if direction is OUT else COMMANDS)


EXCHANGE = Recording.of([(OUT, ORDER.data), (BACK, b"OK 0\r\n")])


def test_an_exchange_shows_both_directions_the_client_first() -> None:
    soup = parse(exchange_html(EXCHANGE, dissect))
    captions = [figure.figcaption.b.text for figure in soup.select("figure")]
    assert captions == ["Client to server, as sent", "Server to client, as sent"]
    assert [shown_bytes(figure) for figure in soup.select("figure")] == [ORDER.data, b"OK 0\r\n"]
    assert ".rc-wire-panes" in soup.select("style")[0].text
    assert ".rc-wire-panes" not in soup.select("style")[1].text
    text = exchange_text(EXCHANGE, dissect)
    assert text.index("Client to server, as sent (") < text.index("Server to client, as sent (")


def test_an_exchange_as_it_was_delivered() -> None:
    recording = Recording.of([(OUT, ORDER.data), (BACK, b"OK 0\r\n")])
    recording.delivered = View()
    recording.delivered.add_chunk(Chunk(0, BACK, 1, b"OK"))
    text = exchange_text(recording, dissect, delivered=True)
    assert "Client to server, as delivered (0 bytes" in text
    assert "incomplete: 2 bytes so far" in text
    assert "as delivered" in exchange_html(recording, dissect, delivered=True)


def test_an_exchange_that_is_not_there() -> None:
    with pytest.raises(KeyError, match="no connection 3"):
        exchange_html(EXCHANGE, dissect, connection=3)
    recording = Recording(limit=1)
    recording.sent.add_chunk(Chunk(0, OUT, 1, b"too long"))
    recording.sent.add_chunk(Chunk(0, BACK, 1, b""))
    with pytest.raises((RecordingTruncated, KeyError)):
        exchange_html(recording, dissect)


def test_what_a_notebook_shows() -> None:
    shown = view(ORDER, "An order")
    assert shown._repr_html_() == to_html(ORDER, "An order")
    assert repr(shown) == to_text(ORDER, "An order")
    both = view_exchange(EXCHANGE, dissect)
    assert both._repr_html_() == exchange_html(EXCHANGE, dissect)
    assert repr(both) == exchange_text(EXCHANGE, dissect)


@given(st.binary(max_size=80), st.sampled_from([ARCHIVE, COMMANDS]), st.sampled_from([8, 16]))
def test_any_bytes_can_be_shown(data: bytes, layout: object, width: int) -> None:
    dissection = dissect_messages(data, layout)
    soup = parse(to_html(dissection, "x", bytes_per_row=width))
    assert shown_bytes(soup) == data
    assert len(soup.select("li")) == len(dissection.fields)
    lines = [line for line in to_text(dissection).split("\n") if line]
    assert bytes.fromhex("".join(line[6:29] for line in lines)) == data
