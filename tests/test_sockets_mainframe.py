"""The record protocol: packed decimal, EBCDIC, copybooks, and a COBOL program as the peer."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import subprocess
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remotecalls.bindings import BINDINGS
from remotecalls.shop import Customer, InvalidArgument, Order, Shop, ShopError
from remotecalls.shop.domain import from_cents
from remotecalls.shop.sample import stock
from remotecalls.sockets import mainframe
from remotecalls.sockets.copybook import (
    CopybookError,
    FieldError,
    FieldLayout,
    Usage,
    parse_copybook,
    writable,
)
from remotecalls.sockets.messages import (
    AddCustomer,
    End,
    Failure,
    GetCustomer,
    Reply,
    Request,
    UpdateBalance,
)
from remotecalls.sockets.packed_decimal import PackedDecimalError, pack, packed_size, unpack
from remotecalls.sockets.record_framing import MAXIMUM_RECORD, RecordDecoder, encode_record
from remotecalls.sockets.record_protocol import RECORDS, REPLIES, REQUESTS, RecordCodec
from remotecalls.wire.dissect import Kind, show_value
from remotecalls.wire.errors import FrameTooLarge, ProtocolError, ServerFailed, TruncatedFrame
from remotecalls.wire.recording import Direction
from serving import peer
from strategies import requests

CODEC = RecordCodec()
COPYBOOKS = Path(mainframe.__file__).parent / "copybooks"
PEERS = Path(__file__).parent / "peer_programs"

# ---------------------------------------------------------------- packed decimal


@pytest.mark.parametrize(
    ("value", "digits", "data"),
    [
        (1230, 9, "00 00 01 23 0c"),
        (-500, 9, "00 00 00 50 0d"),
        (0, 9, "00 00 00 00 0c"),
        (999_999_999, 9, "99 99 99 99 9c"),
        (7, 1, "7c"),
        (12, 2, "01 2c"),
    ],
)
def test_packed_decimal_is_written_as_the_processor_does(
    value: int, digits: int, data: str
) -> None:
    assert pack(value, digits) == bytes.fromhex(data)
    assert unpack(bytes.fromhex(data)) == value


@given(
    st.integers(1, 31).flatmap(
        lambda n: st.tuples(st.integers(-(10**n) + 1, 10**n - 1), st.just(n))
    )
)
def test_a_packed_number_comes_back(pair: tuple[int, int]) -> None:
    value, digits = pair
    data = pack(value, digits)
    assert len(data) == packed_size(digits)
    assert unpack(data) == value


@pytest.mark.parametrize(
    ("sign", "value"), [("a", 5), ("b", -5), ("c", 5), ("d", -5), ("e", 5), ("f", 5)]
)
def test_every_sign_code_of_the_processor_is_read(sign: str, value: int) -> None:
    assert unpack(bytes.fromhex("5" + sign)) == value


@pytest.mark.parametrize(
    ("data", "error"),
    [
        ("00 00 0a 23 0c", "byte 2 holds A where a digit stands"),
        ("00 00 01 23 f5", "byte 4 holds F where a digit stands"),
        ("00 00 01 23 05", "byte 4 ends in 5, which is no sign"),
        ("40 40 40 40 40", "byte 4 ends in 0, which is no sign"),  # blanks: the classic S0C7
        ("", "is no sign"),
    ],
)
def test_what_is_no_packed_number_is_a_data_exception(data: str, error: str) -> None:
    with pytest.raises(PackedDecimalError, match=error):
        unpack(bytes.fromhex(data))


def test_a_number_with_too_many_digits_is_not_cut() -> None:
    with pytest.raises(PackedDecimalError, match="1000 has more than 3 digits"):
        pack(1000, 3)


# ---------------------------------------------------------------- copybooks


def test_a_copybook_says_where_each_field_stands() -> None:
    layout = RECORDS["CUSTOMER-REPLY"]
    assert [(f.name, f.usage, f.start, f.size) for f in layout.fields] == [
        ("REC-TYPE", Usage.TEXT, 0, 4),
        ("CUST-ID", Usage.DIGITS, 4, 8),
        ("CUST-NAME", Usage.TEXT, 12, 30),
        ("CUST-BALANCE", Usage.PACKED, 42, 5),
    ]
    assert layout.size == 47


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("           05  AMOUNT          PIC S9(7)V99 COMP-1.", "line 2: .*neither a record"),
        ("           05  AMOUNT          PIC X(4)", "line 2: .* does not end with a full stop"),
        ("           10  AMOUNT          PIC X(4).", "line 2: .*neither a record"),
        ("           05  AMOUNT          PIC X(0).", "line 2: AMOUNT needs at least one place"),
        ("           05  AMOUNT          PIC 9(19).", "line 2: .* at most 18 digits"),
        ("           05  FILLER          PIC 9(4).", "line 2: a FILLER holds no number"),
        ("      -    05  AMOUNT          PIC X(4).", "line 2: '-' in column 7"),
        (
            "           05  A PIC 9(1).\n           05  A PIC 9(1).",
            "line 3: .* a field A already",
        ),
        ("       01  RECORD-A.", "line 2: there is a record RECORD-A already"),
        ("      * nothing but a comment", "RECORD-A has no fields"),
    ],
)
def test_a_line_that_is_not_understood_is_named(line: str, error: str) -> None:
    with pytest.raises(CopybookError, match=error):
        parse_copybook(f"       01  RECORD-A.\n{line}\n")


def test_a_field_needs_a_record() -> None:
    with pytest.raises(CopybookError, match="line 1"):
        parse_copybook("           05  A PIC X(4).\n")


def test_what_stands_outside_columns_7_to_72_is_not_read() -> None:
    card = f"{'000100     05  A PIC X(4).':<72}SHOP0001\n"
    assert parse_copybook("       01  R.\n" + card)["R"].size == 4


def test_a_filler_takes_its_place_and_is_not_looked_into() -> None:
    fields = ["A PIC X(1).", "FILLER PIC X(2).", "B PIC 9(1).", "FILLER PIC X(1)."]
    source = "       01  R.\n" + "".join(f"           05  {field}\n" for field in fields)
    layout = parse_copybook(source)["R"]
    assert layout.size == 5
    assert layout.encode({"A": "A", "B": 7}) == bytes.fromhex("c1 4040 f7 40")
    assert layout.decode(bytes.fromhex("c1 0015 f7 ff")) == {"A": "A", "B": 7}


def test_a_digit_in_the_half_byte_that_an_even_field_leaves_over_is_refused() -> None:
    source = "       01  R.\n           05  A PIC S9(1)V9 COMP-3.\n"
    layout = parse_copybook(source)["R"]
    assert layout.decode(bytes.fromhex("022c")) == {"A": 22}
    with pytest.raises(FieldError, match="A at byte 0: 122 has more than 2 digits"):
        layout.decode(bytes.fromhex("122c"))


# ---------------------------------------------------------------- the protocol

valid_names = st.text(
    st.characters(max_codepoint=255, exclude_categories=["Cc"]), min_size=1, max_size=30
).filter(writable)
cents = st.decimals("0.01", "9999999.99", places=2)
ids = st.integers(1, 99_999_999)
replies: st.SearchStrategy[Reply] = st.one_of(
    st.builds(Customer, ids, valid_names, cents),
    st.builds(Order, st.integers(1, 2**32 - 1), ids, valid_names, st.integers(1, 9_999), cents),
    st.builds(End, st.integers(0, 2**32 - 1)),
    st.builds(Failure, st.sampled_from(["customer_not_found", "bad_request"]), valid_names),
)


def only_record(data: bytes) -> bytes:
    (record,) = CODEC.decoder().feed(data)
    return record


@given(request=requests)
def test_a_request_comes_back_as_it_was_or_is_refused_as_invalid(request: Request) -> None:
    try:
        data = CODEC.encode_request(0, request)
    except InvalidArgument:
        return
    assert CODEC.decode_request(only_record(data)) == (0, request)
    dissection = BINDINGS["mainframe"].dissect(data, Direction.CLIENT_TO_SERVER)
    assert {f.kind for f in dissection.fields}.isdisjoint({Kind.OPAQUE, Kind.INCOMPLETE})


@given(reply=replies)
def test_a_reply_comes_back_as_it_was_and_is_labelled(reply: Reply) -> None:
    data = CODEC.encode_reply(0, reply)
    assert CODEC.decode_reply(only_record(data)) == (0, reply)
    dissection = BINDINGS["mainframe"].dissect(data, Direction.SERVER_TO_CLIENT)
    assert {f.kind for f in dissection.fields}.isdisjoint({Kind.OPAQUE, Kind.INCOMPLETE})
    assert dissection.messages == 1


@given(
    st.binary(max_size=120), st.sampled_from(["", "CADD", "CINQ", "CUPD", "OADD", "CUST", "FAIL"])
)
def test_any_record_is_a_message_or_a_defined_error(data: bytes, code: str) -> None:
    record = code.encode("cp037") + data
    with contextlib.suppress(ProtocolError, ShopError):
        CODEC.decode_request(record)
    with contextlib.suppress(ProtocolError):
        CODEC.decode_reply(record)


@given(reply=replies, position=st.integers(0), flip=st.integers(1, 255))
def test_a_corrupt_record_is_another_record_or_a_defined_error(
    reply: Reply, position: int, flip: int
) -> None:
    record = bytearray(only_record(CODEC.encode_reply(0, reply)))
    record[position % len(record)] ^= flip
    with contextlib.suppress(ProtocolError):
        CODEC.decode_reply(bytes(record))


# How the dissector, which was declared apart, calls the fields of the copybook.
DISSECTED = {
    "customer_id": "CUST-ID",
    "name": "CUST-NAME",
    "balance": "CUST-BALANCE",
    "order_id": "ORDER-ID",
    "item": "ITEM",
    "quantity": "QUANTITY",
    "unit_price": "UNIT-PRICE",
    "count": "REC-COUNT",
    "code": "ERR-CODE",
    "message": "ERR-TEXT",
    "change": "CHANGE",
    "after": "AFTER-ID",
    "limit": "PAGE-LIMIT",
}
DIRECTIONS = {Direction.CLIENT_TO_SERVER: REQUESTS, Direction.SERVER_TO_CLIENT: REPLIES}


def layouts() -> list[tuple[Direction, str]]:
    return [(direction, code) for direction, kinds in DIRECTIONS.items() for code in kinds]


@given(
    kind=st.sampled_from(layouts()),
    data=st.data(),
    places=st.lists(st.integers(0, 200), max_size=2),
)
def test_the_dissector_and_the_copybook_read_the_same(
    kind: tuple[Direction, str], data: st.DataObject, places: list[int]
) -> None:
    direction, code = kind
    layout = RECORDS[DIRECTIONS[direction][code]]
    values: dict[str, str | int] = {layout.fields[0].name: code}
    for field in layout.fields[1:]:
        values[field.name] = data.draw(
            valid_names.map(lambda name, size=field.size: name[:size].rstrip())
            if field.usage is Usage.TEXT
            else st.integers(
                1 - 10**field.digits if field.usage is Usage.PACKED else 0, 10**field.digits - 1
            )
        )
    record = bytearray(layout.encode(values))
    for place in places:  # anywhere but in the code
        record[4 + place % (len(record) - 4)] ^= data.draw(st.integers(1, 255))
    fields = BINDINGS["mainframe"].dissect(encode_record(bytes(record)), direction).fields
    try:
        read = layout.decode(bytes(record))
    except FieldError:
        assert Kind.OPAQUE in {field.kind for field in fields}
        return
    assert {field.kind for field in fields}.isdisjoint({Kind.OPAQUE, Kind.INCOMPLETE})
    starts = {field.start + 4: field for field in layout.fields}  # the descriptor word is first
    for dissected in fields[3:]:
        field = starts[dissected.start]
        assert field.name == DISSECTED[dissected.name]
        assert (field.start + 4 + field.size) == dissected.end
        assert dissected.value == as_shown(field, read[field.name])


def as_shown(field: FieldLayout, value: str | int) -> str:
    """A value as the dissector writes it."""
    if isinstance(value, str):
        return show_value(value)
    return f"{from_cents(value)}" if field.usage is Usage.PACKED else str(value)


def inquiry(customer_id: bytes, code: str = "CINQ") -> bytes:
    return code.encode("cp037") + customer_id


@pytest.mark.parametrize(
    ("record", "error"),
    [
        (b"", "transaction code '' is not one of CADD, CINQ"),
        (b"CINQ00000042", "transaction code .* is not one of"),  # ASCII
        (inquiry(b"\xf0" * 7), "CINQ: INQUIRY-REQUEST has 12 bytes, not 11"),
        (inquiry(b"\xf0" * 9), "has 12 bytes, not 13"),
        (inquiry(b"\x40" * 8), "CUST-ID: byte 4 is 0x40, no EBCDIC digit"),
        (inquiry(b"\xf0" * 7 + b"\xc2"), "CUST-ID: byte 11 is 0xC2"),  # a signed zoned 2
        (
            inquiry(b"\xf0" * 8, "CUPD") + bytes.fromhex("4040404040"),
            "CUPD: CHANGE at byte 12: byte 4 ends in 0, which is no sign",
        ),
    ],
)
def test_a_record_that_is_no_request_is_refused_with_field_and_byte(
    record: bytes, error: str
) -> None:
    with pytest.raises(ProtocolError, match=error):
        CODEC.decode_request(record)


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"\0\3\0\0", "LL is 3: it counts its own 4 bytes too"),
        (b"\0\0\0\0", "LL is 0"),
        (b"\0\x0c\0\1", "ZZ is 0x0001, not zero"),
    ],
)
def test_a_false_descriptor_word_ends_the_stream(data: bytes, error: str) -> None:
    with pytest.raises(ProtocolError, match=error):
        list(RecordDecoder().feed(data))


def test_a_record_over_the_limit_is_refused_before_it_is_stored() -> None:
    with pytest.raises(FrameTooLarge, match="a record of 65,535 bytes"):
        list(RecordDecoder().feed(b"\xff\xff\0\0"))
    with pytest.raises(FrameTooLarge):
        encode_record(bytes(MAXIMUM_RECORD))
    decoder = RecordDecoder()
    assert list(decoder.feed(b"\0\x0c\0\0abc")) == []
    with pytest.raises(TruncatedFrame, match="7 bytes into a record"):
        decoder.close()


@pytest.mark.parametrize("text", ["☕", "Ada ", " "])
def test_a_text_that_would_not_come_back_is_refused(text: str) -> None:
    assert not writable(text)
    with pytest.raises(FieldError, match="cannot be written in CUST-NAME"):
        RECORDS["CUSTOMER-REPLY"].fields[2].encode(text)


async def test_a_name_that_came_another_way_is_an_error_and_not_another_name() -> None:
    shop = stock(Shop())
    shop.add_customer(50, "שלום", Decimal("1.00"))
    async with mainframe.serve(shop) as server, mainframe.connect(server.address) as client:
        with pytest.raises(ServerFailed, match="cannot be written in CUST-NAME"):
            await client.get_customer(50)
        with pytest.raises(ServerFailed, match="cannot be written in CUST-NAME"):
            await client.list_customers()  # two good ones come before it, and one after
        assert (await client.get_customer(42)).name == "Ada Lovelace"


async def test_a_change_whose_answer_cannot_be_written_is_not_told_as_refused() -> None:
    # `InvalidArgument` would say that nothing was done, and the caller would pay again.
    shop = Shop()
    shop.add_customer(1, "שלום", Decimal("1.00"))
    async with mainframe.serve(shop) as server, mainframe.connect(server.address) as client:
        with pytest.raises(ServerFailed):
            await client.update_balance(1, Decimal("5.00"))
    assert shop.get_customer(1).balance == Decimal("6.00")


def test_an_error_text_is_cut_and_its_strange_letters_replaced() -> None:
    record = CODEC.encode_reply(0, Failure("bad_request", "☕" + "x" * 200))
    _, failure = CODEC.decode_reply(only_record(record))
    assert failure == Failure("bad_request", "?" + "x" * 119)


# ---------------------------------------------------------------- a COBOL program as the peer


def compiled(directory: Path) -> Path:
    """The program of tests/peer_programs, which copies the copybook that our codec reads."""
    if shutil.which("cobc") is None:
        install = "needs GnuCOBOL: apt-get install gnucobol3"
        pytest.fail(install) if os.environ.get("CI") else pytest.skip(install)
    program = directory / "balances"
    command = ["cobc", "-x", "-I", COPYBOOKS, "-o", program, PEERS / "balances.cob"]
    subprocess.run(command, check=True, timeout=60, capture_output=True)
    return program


def run_cobol(program: Path, records: list[bytes], directory: Path) -> list[bytes]:
    """Give the program a file of records and return the records of the file it wrote.

    GnuCOBOL's files of variable records have the descriptor word of our wire, except that its
    length does not count the word itself.
    """
    (directory / "requests").write_bytes(
        b"".join(len(record).to_bytes(2, "big") + b"\0\0" + record for record in records)
    )
    environment = {
        "DD_REQUESTS": str(directory / "requests"),
        "DD_REPLIES": str(directory / "replies"),
    }
    subprocess.run([program], env=os.environ | environment, check=True, timeout=20)
    data, replies = (directory / "replies").read_bytes(), []
    while data:
        end = 4 + int.from_bytes(data[:2], "big")
        replies.append(data[4:end])
        data = data[end:]
    return replies


async def test_a_cobol_program_answers_our_client(tmp_path: Path) -> None:
    program = compiled(tmp_path)

    async def bridge(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # The program keeps nothing between two runs: it hears the whole conversation each time.
        decoder, heard = RecordDecoder(), []
        while data := await reader.read(4_096):
            for record in decoder.feed(data):
                heard.append(record)
                replies = await asyncio.to_thread(run_cobol, program, heard, tmp_path)
                writer.write(encode_record(replies[-1]))

    async with peer(bridge) as address, mainframe.connect(address, timeout=20) as client:
        ada = await client.add_customer(42, "Ada Lovelace", Decimal("12.30"))
        assert ada == Customer(42, "Ada Lovelace", Decimal("12.30"))
        for change in ("-12.29", "0.10", "9999999.00", "-0.11"):
            customer = await client.update_balance(42, Decimal(change))
        assert customer.balance == Decimal("9999999.00")  # to the cent, which a float would not be
        assert await client.get_customer(42) == customer


@pytest.mark.parametrize("change", ["0.01", "-0.01", "-12.30", "9999987.69"])
def test_cobol_and_the_shop_do_the_same_sum(change: str, tmp_path: Path) -> None:
    program = compiled(tmp_path)
    shop = Shop()
    shop.add_customer(42, "Ada Lovelace", Decimal("12.30"))
    ours = shop.update_balance(42, Decimal(change))
    conversation = [
        AddCustomer(42, "Ada Lovelace", Decimal("12.30")),
        UpdateBalance(42, Decimal(change)),
        GetCustomer(42),
    ]
    records = [only_record(CODEC.encode_request(0, request)) for request in conversation]
    *_, last = run_cobol(program, records, tmp_path)
    assert CODEC.decode_reply(last) == (0, ours)
    assert last == only_record(CODEC.encode_reply(0, ours))  # to the last bit
