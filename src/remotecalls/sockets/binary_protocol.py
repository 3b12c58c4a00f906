"""The binary protocol: a length before each message, fixed-width numbers, big-endian.

The manner of TPKT (RFC 1006, 1987) and XDR: a program finds each field without searching.

    length  u32   bytes that follow
    type    u8    which request or reply
    id      u32   chosen by the client; the replies carry it back
    ...           the fields of that type

Numbers are unsigned unless they are money, a signed count of cents in 64 bits. A text is its
length in bytes (u16) and then UTF-8.
"""

from __future__ import annotations

import struct
from decimal import Decimal
from enum import IntEnum

from remotecalls.shop import Customer, InvalidArgument, Order, ShopError
from remotecalls.shop.domain import from_cents, to_cents
from remotecalls.sockets.messages import (
    AddCustomer,
    End,
    Failure,
    GetCustomer,
    ListCustomers,
    PlaceOrder,
    Reply,
    Request,
    StreamOrders,
    UpdateBalance,
)
from remotecalls.wire.errors import ProtocolError
from remotecalls.wire.framing import FrameDecoder, encode_frame

U8 = struct.Struct("!B")
U16 = struct.Struct("!H")
U32 = struct.Struct("!I")
I64 = struct.Struct("!q")
HEADER = struct.Struct("!BI")


class Type(IntEnum):
    """The first byte of a message. Replies have the high bit set."""

    ADD_CUSTOMER = 0x01
    GET_CUSTOMER = 0x02
    UPDATE_BALANCE = 0x03
    LIST_CUSTOMERS = 0x04
    PLACE_ORDER = 0x05
    STREAM_ORDERS = 0x06
    CUSTOMER = 0x81
    ORDER = 0x82
    END = 0x83
    FAILURE = 0xFF


class BinaryCodec:
    """Requests and replies as length-prefixed binary messages."""

    def decoder(self) -> FrameDecoder:
        """A fresh decoder for one direction of one connection."""
        return FrameDecoder()

    def encode_request(self, request_id: int, request: Request) -> bytes:
        """The request as a frame.

        Raises:
            InvalidArgument: a number does not fit its field, or a text is not valid Unicode.
        """
        match request:
            case AddCustomer(customer_id, name, balance):
                return _frame(
                    Type.ADD_CUSTOMER, request_id, _u32(customer_id), _money(balance), _text(name)
                )
            case GetCustomer(customer_id):
                return _frame(Type.GET_CUSTOMER, request_id, _u32(customer_id))
            case UpdateBalance(customer_id, change):
                return _frame(Type.UPDATE_BALANCE, request_id, _u32(customer_id), _money(change))
            case ListCustomers(after, limit):
                return _frame(Type.LIST_CUSTOMERS, request_id, _u32(after), _u32(limit))
            case PlaceOrder(customer_id, item, quantity, unit_price):
                return _frame(
                    Type.PLACE_ORDER,
                    request_id,
                    _u32(customer_id),
                    _u32(quantity),
                    _money(unit_price),
                    _text(item),
                )
            case StreamOrders(customer_id):
                return _frame(Type.STREAM_ORDERS, request_id, _u32(customer_id))

    def decode_request(self, message: bytes) -> tuple[int, Request]:
        """Read a message of a client.

        Raises:
            ProtocolError: the type is unknown, or the fields are not the type's.
        """
        kind, request_id, fields = _open(message)
        request: Request
        match kind:
            case Type.ADD_CUSTOMER:
                customer_id, balance, name = fields.u32(), fields.money(), fields.text()
                request = AddCustomer(customer_id, name, balance)
            case Type.GET_CUSTOMER:
                request = GetCustomer(fields.u32())
            case Type.UPDATE_BALANCE:
                request = UpdateBalance(fields.u32(), fields.money())
            case Type.LIST_CUSTOMERS:
                request = ListCustomers(fields.u32(), fields.u32())
            case Type.PLACE_ORDER:
                customer_id, quantity, price = fields.u32(), fields.u32(), fields.money()
                request = PlaceOrder(customer_id, fields.text(), quantity, price)
            case Type.STREAM_ORDERS:
                request = StreamOrders(fields.u32())
            case _:
                raise ProtocolError(f"type 0x{kind:02x} is not a request")
        fields.finish()
        return request_id, request

    def encode_reply(self, request_id: int, reply: Reply) -> bytes:
        """The reply as a frame."""
        match reply:
            case Customer(customer_id, name, balance):
                return _frame(
                    Type.CUSTOMER, request_id, _u32(customer_id), _money(balance), _text(name)
                )
            case Order(order_id, customer_id, item, quantity, unit_price):
                return _frame(
                    Type.ORDER,
                    request_id,
                    _u32(order_id),
                    _u32(customer_id),
                    _u32(quantity),
                    _money(unit_price),
                    _text(item),
                )
            case End(count):
                return _frame(Type.END, request_id, _u32(count))
            case Failure(code, text):
                return _frame(Type.FAILURE, request_id, _text(code), _text(text))

    def decode_reply(self, message: bytes) -> tuple[int, Reply]:
        """Read a message of a server.

        Raises:
            ProtocolError: the type is unknown, or the fields are not the type's.
        """
        kind, request_id, fields = _open(message)
        try:
            reply = _reply(kind, fields)
        except ShopError as error:
            raise ProtocolError(f"the server sent what no shop holds: {error}") from error
        fields.finish()
        return request_id, reply


class _Fields:
    """The fields of one message, read from left to right."""

    def __init__(self, message: bytes, start: int) -> None:
        self._message = message
        self._at = start

    def u32(self) -> int:
        (value,) = U32.unpack(self._take(U32.size))
        return int(value)

    def money(self) -> Decimal:
        (cents,) = I64.unpack(self._take(I64.size))
        return from_cents(cents)

    def text(self) -> str:
        (length,) = U16.unpack(self._take(U16.size))
        start = self._at
        try:
            return self._take(length).decode()
        except UnicodeDecodeError as error:
            raise ProtocolError(f"byte {start + error.start} is not UTF-8") from error

    def finish(self) -> None:
        if self._at != len(self._message):
            raise ProtocolError(f"{len(self._message) - self._at} bytes follow the last field")

    def _take(self, size: int) -> bytes:
        end = self._at + size
        if end > len(self._message):
            raise ProtocolError(
                f"a field needs bytes {self._at} to {end}, the message has {len(self._message)}"
            )
        taken = self._message[self._at : end]
        self._at = end
        return taken


def _reply(kind: int, fields: _Fields) -> Reply:
    match kind:
        case Type.CUSTOMER:
            customer_id, balance, name = fields.u32(), fields.money(), fields.text()
            return Customer(customer_id, name, balance)
        case Type.ORDER:
            order_id, customer_id, quantity = fields.u32(), fields.u32(), fields.u32()
            price, item = fields.money(), fields.text()
            return Order(order_id, customer_id, item, quantity, price)
        case Type.END:
            return End(fields.u32())
        case Type.FAILURE:
            return Failure(fields.text(), fields.text())
    raise ProtocolError(f"type 0x{kind:02x} is not a reply")


def _open(message: bytes) -> tuple[int, int, _Fields]:
    if len(message) < HEADER.size:
        raise ProtocolError(f"a message of {len(message)} bytes is shorter than its header")
    kind, request_id = HEADER.unpack_from(message)
    return kind, request_id, _Fields(message, HEADER.size)


def _frame(kind: Type, request_id: int, *fields: bytes) -> bytes:
    return encode_frame(HEADER.pack(kind, request_id) + b"".join(fields))


def _u32(value: int) -> bytes:
    try:
        return U32.pack(value)
    except struct.error as error:
        raise InvalidArgument(f"{value!r} is not a whole number from 0 to 2**32 - 1") from error


def _money(amount: Decimal) -> bytes:
    return I64.pack(to_cents(amount))


def _text(text: str) -> bytes:
    try:
        encoded = text.encode()
        return U16.pack(len(encoded)) + encoded
    except UnicodeEncodeError as error:
        raise InvalidArgument(f"{text!r} cannot be written as UTF-8") from error
    except struct.error as error:
        raise InvalidArgument(f"a text of {len(encoded):,} bytes is too long") from error
