"""The shop's inquiry screen for a 3270 terminal over TCP.

Telnet carries the data stream: both sides agree on a terminal type, on records with an end mark,
and on eight-bit characters (RFC 1576). Any 3270 emulator can connect.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from remotecalls.shop import Shop, ShopError
from remotecalls.shop.domain import format_money
from remotecalls.sockets.screen import compile_screen
from remotecalls.sockets.terminal_stream import ENTER, PF3, Input, read_input, write_screen
from remotecalls.wire.address import Address
from remotecalls.wire.errors import ProtocolError

logger = logging.getLogger("remotecalls.sockets")

IAC, DONT, DO, WONT, WILL, SB, SE, EOR_MARK = 255, 254, 253, 252, 251, 250, 240, 239
BINARY, TERMINAL_TYPE, END_OF_RECORD = 0, 24, 25
SEND = 1
LARGEST_RECORD = 4_096
IDLE_SECONDS = 600.0
SEND_SECONDS = 10.0

INQUIRY = compile_screen("""
 CUSTOMER INQUIRY


     Number   [custid__]

     Name     [name__________________________]
     Balance  [balance___]



 [message_____________________________________________________________]
 Enter: look up   PF3: end
----
custid   unprotected numeric
balance  protected bright
""")


MESSAGE = next(field for field in INQUIRY.fields if field.name == "message")


class Terminal:
    """One connected terminal: Telnet taken off, records left."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def negotiate(self) -> None:
        """Ask for what a data stream needs; the answers come between the records."""
        ask = [(DO, TERMINAL_TYPE)]
        ask += [(verb, what) for what in (END_OF_RECORD, BINARY) for verb in (DO, WILL)]
        for verb, what in ask:
            self._writer.write(bytes([IAC, verb, what]))
        await self._sent()

    async def send(self, record: bytes) -> None:
        """Send a record.

        Raises:
            TimeoutError: the terminal takes nothing.
        """
        self._writer.write(record.replace(b"\xff", b"\xff\xff") + bytes([IAC, EOR_MARK]))
        await self._sent()

    async def _sent(self) -> None:
        async with asyncio.timeout(SEND_SECONDS):
            await self._writer.drain()

    async def receive(self) -> bytes:
        """The next record.

        Raises:
            asyncio.IncompleteReadError: the terminal has gone.
            ProtocolError: the record is too long, or the terminal refused what is needed.
        """
        record = bytearray()
        while len(record) <= LARGEST_RECORD:
            byte = (await self._reader.readexactly(1))[0]
            if byte != IAC:
                record.append(byte)
                continue
            command = (await self._reader.readexactly(1))[0]
            if command == IAC:
                record.append(IAC)
            elif command == EOR_MARK:
                return bytes(record)
            elif command == SB:
                await self._skip_subnegotiation()
            elif command in (DO, WILL, DONT, WONT):
                self._answered(command, (await self._reader.readexactly(1))[0])
        raise ProtocolError(f"a record of over {LARGEST_RECORD:,} bytes")

    async def _skip_subnegotiation(self) -> None:
        try:
            await self._reader.readuntil(bytes([IAC, SE]))
        except asyncio.LimitOverrunError as error:
            raise ProtocolError("a subnegotiation without an end") from error

    def _answered(self, verb: int, what: int) -> None:
        if verb in (DONT, WONT) and what in (BINARY, END_OF_RECORD):
            raise ProtocolError("the terminal refuses binary records: it is no 3270")
        if (verb, what) == (WILL, TERMINAL_TYPE):
            self._writer.write(bytes([IAC, SB, TERMINAL_TYPE, SEND, IAC, SE]))


def answer(shop: Shop, entered: Input) -> Mapping[str, str]:
    """What the screen shows after Enter."""
    number = entered.fields.get("custid", "")
    if not number.isdecimal():
        return {"custid": number[:8], "message": "Type the number of a customer"}
    try:
        customer = shop.get_customer(int(number))
    except ShopError as error:
        return {"custid": number, "message": str(error)[: MESSAGE.length]}
    balance = format_money(customer.balance)
    return {"custid": number, "name": customer.name, "balance": balance.rjust(10)}


async def converse(shop: Shop, terminal: Terminal) -> None:
    """Show the screen and answer until PF3."""
    await terminal.negotiate()
    values: Mapping[str, str] = {}
    while True:
        try:
            await terminal.send(write_screen(INQUIRY, values))
        except (UnicodeEncodeError, ValueError) as error:
            values = {"message": f"this name cannot be shown: {error}"[: MESSAGE.length]}
            await terminal.send(write_screen(INQUIRY, values))
        async with asyncio.timeout(IDLE_SECONDS):
            entered = read_input(INQUIRY, await terminal.receive())
        logger.info("key 0x%02X %s", entered.key, dict(entered.fields))
        if entered.key == PF3:
            return
        values = answer(shop, entered) if entered.key == ENTER else {}


@asynccontextmanager
async def serve(shop: Shop, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[Address]:
    """Serve the inquiry screen for as long as the block lasts; yields where it listens.

    Raises:
        OSError: the address is in use or not of this machine.
    """
    tasks: set[asyncio.Task[None]] = set()

    async def run(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await converse(shop, Terminal(reader, writer))
        except (OSError, asyncio.IncompleteReadError, ProtocolError) as error:
            logger.info("terminal ended: %r", error)
            writer.transport.abort()  # a close would wait until the terminal takes what was sent
        finally:
            writer.close()

    def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(run(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(accepted, host, port)
    try:
        yield Address(*server.sockets[0].getsockname()[:2])
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()
