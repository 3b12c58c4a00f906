"""Screens compiled from a picture of themselves; a real terminal emulator shows one."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import socket
from contextlib import suppress
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remotecalls.shop import Shop
from remotecalls.shop.sample import stock
from remotecalls.sockets import tn3270
from remotecalls.sockets.bms import to_bms, to_copybook
from remotecalls.sockets.screen import (
    COLUMNS,
    ROWS,
    Attribute,
    Field,
    TemplateError,
    Text,
    compile_screen,
)
from remotecalls.sockets.terminal_stream import (
    ENTER,
    SIX_BITS,
    SIZE,
    Input,
    address_bytes,
    place_of,
    read_input,
    write_screen,
)
from remotecalls.wire.errors import ProtocolError

TEMPLATE = """
 Customer inquiry

 Number  [custid__]   Name  [custname______________________]
----
custid    unprotected numeric bright
custname  protected
"""
SCREEN = compile_screen(TEMPLATE)


def test_a_template_looks_like_its_screen() -> None:
    values = {"custid": "00000042", "custname": "Ada Lovelace"}
    screen = SCREEN.render(values)
    assert len(screen) == ROWS
    assert {len(line) for line in screen} == {COLUMNS}
    assert screen[0].rstrip() == " Customer inquiry"
    assert screen[2].rstrip() == " Number   00000042    Name   Ada Lovelace"


def test_each_piece_has_its_place() -> None:
    assert SCREEN.texts == (
        Text(1, 1, "Customer inquiry"),
        Text(3, 1, "Number"),
        Text(3, 22, "Name"),
    )
    typed = Attribute.NUMERIC | Attribute.BRIGHT
    assert SCREEN.fields == (
        Field("custid", 3, 10, 8, typed),
        Field("custname", 3, 29, 30, Attribute.PROTECTED),
    )


# The measurement of a claim: a map cannot leave the grid of 24 by 80.
@pytest.mark.parametrize(
    ("template", "where", "error"),
    [
        (" x" * 41, (1, 81), "a line has 80 columns, this one 82"),
        ("\n".join([" x"] * 25), (25, 1), "a screen has 24 lines, this one 25"),
        (" " * 73 + "[custid__]", (1, 81), "a line has 80 columns, this one 83"),
        (" [a_] [a_]", (1, 7), "line 1 has one called 'a' already"),
        (" [__]", (1, 3), "'__' is no name"),
        (" [Cust]", (1, 3), "'Cust' is no name"),
        (" [customernumber]", (1, 3), "'customernumber' has over 8 letters"),
        (" [a_", (1, 2), "'[' has no partner"),
        (" a]", (1, 3), "']' has no partner"),
        ("text", (1, 1), "text needs a blank before it"),
        (" [a_]\n----\nb protected", (3, 1), "there is no field 'b' on the screen"),
        (" [a_]\n----\na loud", (3, 3), "'loud' is not one of protected"),
    ],
)
def test_what_no_terminal_could_show_is_refused_with_its_place(
    template: str, where: tuple[int, int], error: str
) -> None:
    with pytest.raises(TemplateError, match=re.escape(error)) as raised:
        compile_screen(template)
    assert (raised.value.line, raised.value.column) == where


def test_a_value_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="longer than custid, which has 8"):
        SCREEN.render({"custid": "123456789"})
    with pytest.raises(ValueError, match="no screen shows"):
        SCREEN.render({"custname": "a\tb"})
    with pytest.raises(KeyError, match="balance"):
        write_screen(SCREEN, {"balance": "1.00"})


# ---------------------------------------------------------------- what it compiles to


def test_the_macros_keep_to_their_columns() -> None:
    source = to_bms(SCREEN, "CUST")
    lines = source.splitlines()
    for line, following in pairwise(lines):
        assert len(line) <= 72
        if line[71:] == "X":  # the statement goes on, from column 16
            assert following[:15].strip() == ""
            assert following[15] != " "
    text = re.sub(r" *X\n {15}", "", source)
    assert "CUSTID   DFHMDF POS=(3,10),LENGTH=8,ATTRB=(UNPROT,NUM,BRT)" in text
    assert "CUSTNAME DFHMDF POS=(3,29),LENGTH=30,ATTRB=(PROT)" in text
    assert "POS=(1,1),LENGTH=16,INITIAL='Customer inquiry'" in text
    assert "DFHMDI SIZE=(24,80)" in text


@given(
    st.lists(
        st.sampled_from(["[a]", "[bb_]", "[c]", "word", " ", "  "]), unique=True, max_size=6
    ).map("".join)
)
def test_no_two_macros_claim_one_place(line: str) -> None:
    screen = compile_screen(" " + line)
    places = re.findall(r"POS=\(\d+,\d+\)", to_bms(screen, "CUST"))
    assert len(places) == len(set(places))


def test_a_text_longer_than_a_line_goes_on_in_column_16() -> None:
    screen = compile_screen(" " + "it's & " * 11 + "x")
    statement = to_bms(screen, "LONG")
    assert all(len(line) <= 72 for line in statement.splitlines())
    joined = re.sub(r"X\n {15}", "", re.sub(r",? *X\n {15}", ",", statement))
    assert "''" in joined
    assert "&&" in joined


def test_the_copybook_names_each_field() -> None:
    book = to_copybook(SCREEN, "CUST")
    assert "           02  CUSTIDI PIC X(8)." in book.splitlines()
    assert "           02  CUSTNAMEL COMP PIC S9(4)." in book.splitlines()


# ---------------------------------------------------------------- the data stream


def test_six_bits_are_printable_characters_each_its_own() -> None:
    assert len(SIX_BITS) == len(set(SIX_BITS)) == 64
    assert bytes(SIX_BITS).decode("cp037").isprintable()
    # Row 1, column 1, and row 24, column 80, as the reference prints them.
    assert address_bytes(1, 1) == bytes.fromhex("4040")
    assert address_bytes(24, 80) == bytes.fromhex("5d7f")


@given(st.integers(1, ROWS), st.integers(1, COLUMNS))
def test_an_address_comes_back(row: int, column: int) -> None:
    assert place_of(address_bytes(row, column)) == (row - 1) * COLUMNS + column - 1


@given(st.binary(max_size=40))
def test_any_input_is_read_or_refused(data: bytes) -> None:
    try:
        entered = read_input(SCREEN, data)
    except ProtocolError:
        return
    assert set(entered.fields) <= {"custid", "custname"}


def test_what_a_terminal_sends_after_enter() -> None:
    begins = address_bytes(3, 11)
    record = bytes([ENTER]) + begins + b"\x11" + begins + "42".encode("cp037")
    assert read_input(SCREEN, record) == Input(ENTER, {"custid": "42"})
    with pytest.raises(ProtocolError, match="no field begins at place 0"):
        read_input(SCREEN, bytes([ENTER]) + b"\x40\x40\x11\x40\x40")
    with pytest.raises(ProtocolError, match=f"beyond a screen of {SIZE}"):
        place_of(b"\x7f\x7f")


# ---------------------------------------------------------------- a real terminal


class Emulator:
    """Debian's s3270: a 3270 terminal without a window, told what to type over a pipe."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def do(self, action: str) -> list[str]:
        """Perform an action; the lines that it printed."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{action}\n".encode())
        lines: list[str] = []
        async with asyncio.timeout(20):
            while True:
                line = (await self._process.stdout.readline()).decode().rstrip("\n")
                if line in {"ok", "error"}:
                    assert line == "ok", f"{action}: {lines}"
                    return [each.removeprefix("data: ") for each in lines if "data: " in each]
                lines.append(line)

    async def screen(self) -> str:
        """The screen as text."""
        return "\n".join(line.rstrip() for line in await self.do("Ascii()"))


async def test_a_terminal_emulator_shows_the_screen_and_asks_the_shop() -> None:
    if shutil.which("s3270") is None:
        install = "needs a 3270 emulator: apt-get install s3270"
        pytest.fail(install) if os.environ.get("CI") else pytest.skip(install)
    shop = stock(Shop())
    shop.add_customer(8, "שלום", Decimal("1.00"))
    async with tn3270.serve(shop) as address:
        process = await asyncio.create_subprocess_exec(
            "s3270", "-model", "2", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        terminal = Emulator(process)
        try:
            await terminal.do(f"Connect({address.host}:{address.port})")
            await terminal.do("Wait(10,InputField)")
            assert "CUSTOMER INQUIRY" in await terminal.screen()
            for number, expected in [
                ("42", "Balance        12.30"),
                ("7", "Grace Hopper"),
                ("43", "there is no customer 43"),
                ("8", "this name cannot be shown"),
                ("42", "Ada Lovelace"),
            ]:
                await terminal.do("EraseInput()")
                await terminal.do(f'String("{number}")')
                await terminal.do("Enter()")
                await terminal.do("Wait(10,InputField)")
                assert expected in await terminal.screen()
            await terminal.do("PF(3)")
            await terminal.do("Wait(10,Disconnect)")
        finally:
            process.kill()
            await process.wait()


async def test_a_client_that_is_no_terminal_is_shown_the_door(
    caplog: pytest.LogCaptureFixture,
) -> None:
    endless = bytes([255, 250]) + bytes(100_000)  # a subnegotiation
    letters = b"GET / HTTP/1.1\xff\xef"
    async with tn3270.serve(stock(Shop())) as address:
        for data in (bytes([255, 252, 0]), b"\x7d" * 5_000, letters, endless):
            reader, writer = await asyncio.open_connection(address.host, address.port)
            writer.write(data)
            async with asyncio.timeout(10):
                await reader.read()
            writer.transport.abort()
    assert "exception was never retrieved" not in caplog.text


async def test_a_terminal_that_takes_nothing_is_left(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(tn3270, "SEND_SECONDS", 0.2)
    caplog.set_level("INFO")
    with socket.socket() as terminal:
        terminal.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        terminal.setblocking(False)
        loop = asyncio.get_running_loop()
        async with tn3270.serve(stock(Shop())) as address, asyncio.timeout(30):
            await loop.sock_connect(terminal, (address.host, address.port))
            with suppress(ConnectionError):
                while "terminal ended" not in caplog.text:
                    await loop.sock_sendall(terminal, bytes([ENTER, 0x40, 0x40, 255, 239]) * 1_000)
