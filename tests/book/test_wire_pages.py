import zlib
from decimal import Decimal
from pathlib import Path

import pytest
from building import build

from remotecalls.bindings import BINDINGS
from wire_pages import Call, CallError


def test_a_call_is_read_with_the_types_of_the_shop() -> None:
    call = Call.parse('place_order(7, "moth", 1, "19.47")')
    assert (call.method, call.arguments) == ("place_order", (7, "moth", 1, Decimal("19.47")))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("get_customer", "is not a call"),
        ("get_customer(", "is not a call"),
        ("get_customer(x)", "literal arguments"),
        ("get_customer(1, 2, 3)", "too many positional"),
        ("drop_tables()", "the shop has no method 'drop_tables'"),
        ("__init__()", "the shop has no method"),
    ],
)
def test_what_is_no_call_of_the_shop_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(CallError, match=complaint):
        Call.parse(text)


EXTENSIONS = ["wire_pages"]
name = "Ada Lovelace"


def unpacked(reply: bytes) -> bytes:
    """What is compressed by gzip in a reply."""
    begin = b"\x1f\x8b\x08"
    parts = [begin + part for part in reply.split(begin)[1:]]
    return b"".join(zlib.decompressobj(wbits=31).decompress(part) for part in parts)


def test_one_call_shows_the_real_bytes_of_every_protocol(tmp_path: Path) -> None:
    pages = {"index.md": "# Home\n\n```{one-call}\n```\n"}
    built = build(tmp_path, pages, EXTENSIONS)
    assert built.warnings == ""
    sections = built.page().select("section.rc-call")
    protocols = [binding for binding in BINDINGS.values() if binding.bytes_of == binding.name]
    assert {section["id"] for section in sections} == {f"call-{each.name}" for each in protocols}
    years = [int(section.h2.text[:4]) for section in sections]
    assert years == sorted(binding.year for binding in protocols)
    for section in sections:
        out, back = section.select(".rc-ribbon")
        assert section.select_one("details figure.rc-wire") is not None
        for ribbon in (out, back):
            data = bytes.fromhex("".join(code.text for code in ribbon.select("code")))
            assert ribbon.select_one(".rc-ribbon-label").text.startswith(f"{len(data):,} bytes")
        reply = bytes.fromhex("".join(code.text for code in back.select("code")))
        plain = reply + unpacked(reply)
        assert any(name.encode(charset) in plain for charset in ("utf-8", "cp037"))


def test_the_bytes_of_one_call_may_stand_on_another_page(tmp_path: Path) -> None:
    pages = {
        "index.md": "# Home\n\n```{one-call}\n:bytes: bytes\n```\n",
        "bytes.md": "---\norphan: true\n---\n# Bytes\n\n```{two-calls} text binary\n```\n",
    }
    built = build(tmp_path, pages, EXTENSIONS)
    assert built.warnings == ""
    assert built.page().select("details") == []
    links = [link["href"] for link in built.page().select(".rc-call-more a")]
    panels = built.page("bytes").select(".rc-two-panels > details")
    assert links == [f"bytes.html#{panel['id']}" for panel in panels]
    assert len(panels) == len({each.bytes_of for each in BINDINGS.values()})
    for panel in panels:
        out, _ = panel.select("figure.rc-wire")
        assert out.select_one("figcaption").text.startswith(panel.summary.text[6:])
        assert int(panel["data-out"]) > 0
        assert int(panel["data-back"]) > 0
    chosen = built.page("bytes").select("option[selected]")
    assert [option["value"] for option in chosen] == ["text", "binary"]


def test_radio_groups_of_one_page_are_kept_apart(tmp_path: Path) -> None:
    built = build(tmp_path, {"index.md": "# Home\n\n```{one-call}\n```\n"}, EXTENSIONS)
    groups = [
        {button["name"] for button in figure.select("input")}
        for figure in built.page().select("figure.rc-wire")
    ]
    assert len(set.union(*groups)) == len(groups)


def test_a_refusal_of_the_shop_is_shown_like_any_reply(tmp_path: Path) -> None:
    text = "# Page\n\n```{wire-view} text\nget_customer(1)\n```\n"
    built = build(tmp_path, {"index.md": text}, EXTENSIONS)
    assert built.warnings == ""
    assert len(built.page().select("figure.rc-wire")) == 2
    assert "1" in built.page().select("figure.rc-wire")[1].text


@pytest.mark.parametrize(
    ("directive", "complaint"),
    [
        (
            "{wire-view} morse\nget_customer(42)",
            "no binding 'morse'; there is mainframe, text, binary",
        ),
        ("{wire-view} text\n", "write the calls as content"),
        ("{wire-view} text\nfrobnicate(1)", "the shop has no method 'frobnicate'"),
        ("{one-call}\n:call: nonsense\n", "'nonsense' is not a call"),
        ("{two-calls} text morse\n", "no binding 'morse'; there is mainframe"),
        ("{two-calls} text binary\n:call: nonsense\n", "'nonsense' is not a call"),
    ],
)
def test_a_mistake_stops_the_build(tmp_path: Path, directive: str, complaint: str) -> None:
    built = build(tmp_path, {"index.md": f"# P\n\n```{directive}\n```\n"}, EXTENSIONS)
    assert complaint in built.warnings
    assert "index.md:3" in built.warnings
