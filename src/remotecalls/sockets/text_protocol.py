r"""The text protocol: one message a line, fields separated by tabs.

The manner of SMTP (RFC 821, 1982): a person with a terminal can speak it.

    GET\t42                           CUSTOMER\t42\tAda Lovelace\t12.30
    ORDERS\t42                        ORDER\t1\t42\tpunched cards\t3\t1.20
                                      END\t1
    GET\t43                           ERROR\tcustomer_not_found\tthere is no customer 43

Replies carry no request id: they come in the order of the requests. A field cannot hold a tab or
a newline, and the domain has none that does.
"""

from __future__ import annotations

from remotecalls.shop import Customer, InvalidArgument, Order, ShopError
from remotecalls.shop.domain import format_money, parse_money
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
from remotecalls.wire.framing import LineDecoder, encode_line

TAB = "\t"
NO_REQUEST_ID = 0


class TextCodec:
    """Requests and replies as lines of UTF-8 text."""

    def decoder(self) -> LineDecoder:
        """A fresh decoder for one direction of one connection."""
        return LineDecoder()

    def encode_request(self, request_id: int, request: Request) -> bytes:
        """The request as a line.

        Raises:
            InvalidArgument: a text holds a tab, a newline or a lone surrogate, or an amount is
                not in whole cents.
        """
        match request:
            case AddCustomer(customer_id, name, balance):
                return _line("ADD", str(customer_id), name, format_money(balance))
            case GetCustomer(customer_id):
                return _line("GET", str(customer_id))
            case UpdateBalance(customer_id, change):
                return _line("UPDATE", str(customer_id), format_money(change))
            case ListCustomers(after, limit):
                return _line("LIST", str(after), str(limit))
            case PlaceOrder(customer_id, item, quantity, unit_price):
                price = format_money(unit_price)
                return _line("PLACE", str(customer_id), item, str(quantity), price)
            case StreamOrders(customer_id):
                return _line("ORDERS", str(customer_id))

    def decode_request(self, message: bytes) -> tuple[int, Request]:
        """Read a line of a client.

        Raises:
            ProtocolError: the verb is unknown, or the fields are not the verb's.
            InvalidArgument: an amount is not written as one.
        """
        verb, fields = _split(message, REQUEST_FIELDS)
        match verb, fields:
            case "ADD", [customer_id, name, balance]:
                return NO_REQUEST_ID, AddCustomer(_number(customer_id), name, parse_money(balance))
            case "GET", [customer_id]:
                return NO_REQUEST_ID, GetCustomer(_number(customer_id))
            case "UPDATE", [customer_id, change]:
                return NO_REQUEST_ID, UpdateBalance(_number(customer_id), parse_money(change))
            case "LIST", [after, limit]:
                return NO_REQUEST_ID, ListCustomers(_number(after), _number(limit))
            case "PLACE", [customer_id, item, quantity, price]:
                order = PlaceOrder(
                    _number(customer_id), item, _number(quantity), parse_money(price)
                )
                return NO_REQUEST_ID, order
        return NO_REQUEST_ID, StreamOrders(_number(fields[0]))

    def encode_reply(self, request_id: int, reply: Reply) -> bytes:
        """The reply as a line."""
        match reply:
            case Customer(customer_id, name, balance):
                return _line("CUSTOMER", str(customer_id), name, format_money(balance))
            case Order(order_id, customer_id, item, quantity, unit_price):
                numbers = str(order_id), str(customer_id)
                return _line("ORDER", *numbers, item, str(quantity), format_money(unit_price))
            case End(count):
                return _line("END", str(count))
            case Failure(code, text):
                return _line("ERROR", code, text.replace(TAB, " ").replace("\n", " "))

    def decode_reply(self, message: bytes) -> tuple[int, Reply]:
        """Read a line of a server.

        Raises:
            ProtocolError: the word is unknown, or the fields are not the word's.
        """
        word, fields = _split(message, REPLY_FIELDS)
        try:
            return NO_REQUEST_ID, _reply(word, fields)
        except ShopError as error:
            raise ProtocolError(f"the server sent what no shop holds: {error}") from error


# How many fields follow each word.
REQUEST_FIELDS = {"ADD": 3, "GET": 1, "UPDATE": 2, "LIST": 2, "PLACE": 4, "ORDERS": 1}
REPLY_FIELDS = {"CUSTOMER": 3, "ORDER": 5, "END": 1, "ERROR": 2}


def _reply(word: str, fields: list[str]) -> Reply:
    match word, fields:
        case "CUSTOMER", [customer_id, name, balance]:
            return Customer(_number(customer_id), name, parse_money(balance))
        case "ORDER", [order_id, customer_id, item, quantity, price]:
            return Order(
                _number(order_id), _number(customer_id), item, _number(quantity), parse_money(price)
            )
        case "END", [count]:
            return End(_number(count))
    code, text = fields
    return Failure(code, text)


def _line(*fields: str) -> bytes:
    for field in fields:
        if TAB in field or "\n" in field:
            raise InvalidArgument(f"{field!r} holds a tab or a newline")
    try:
        return encode_line(TAB.join(fields).encode())
    except UnicodeEncodeError as error:
        raise InvalidArgument(f"{error.object!r} cannot be written as UTF-8") from error


def _split(message: bytes, expected: dict[str, int]) -> tuple[str, list[str]]:
    try:
        word, *fields = message.decode().split(TAB)
    except UnicodeDecodeError as error:
        raise ProtocolError(f"byte {error.start} of the line is not UTF-8") from error
    if word not in expected:
        raise ProtocolError(f"{word[:20]!r} is not one of {', '.join(expected)}")
    if len(fields) != expected[word]:
        raise ProtocolError(f"{word} takes {expected[word]} fields, not {len(fields)}")
    return word, fields


def _number(text: str) -> int:
    digits = text.removeprefix("-")
    # int() alone would also take "4_2", " 42", "٤٢" and, slowly, a number of a million digits.
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 20):
        raise ProtocolError(f"{text[:24]!r} is not a whole number")
    return int(text)
