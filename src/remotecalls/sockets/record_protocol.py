"""The record protocol: fields of fixed width in EBCDIC and packed decimal, as a copybook says.

The first four bytes of a request are a transaction code, as a terminal of CICS began its input
with one; the first four of a reply are its type. Everything else stands where `copybooks/shop.cpy`
puts it. A name has thirty bytes, whether it needs them or not, and no more if it does.

A customer whose name cannot be written so (it came through another protocol) is never answered
with another name. The answer is an error of the server, not of the request: a balance may have been
changed by then.
"""

from __future__ import annotations

from importlib import resources
from typing import Any

from remotecalls.shop import Customer, InvalidArgument, Order, ShopError
from remotecalls.shop.domain import from_cents, to_cents
from remotecalls.sockets.copybook import FieldError, parse_copybook
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
    UnwritableReply,
    UpdateBalance,
)
from remotecalls.sockets.record_framing import RecordDecoder, encode_record
from remotecalls.wire.errors import ProtocolError

NO_REQUEST_ID = 0
CODE_BYTES = 4
ERROR_TEXT = 120

RECORDS = parse_copybook(
    resources.files(__package__).joinpath("copybooks/shop.cpy").read_text("ascii")
)
REQUESTS = {
    "CADD": "ADD-REQUEST",
    "CINQ": "INQUIRY-REQUEST",
    "CUPD": "UPDATE-REQUEST",
    "CLST": "LIST-REQUEST",
    "OADD": "ORDER-REQUEST",
    "OLST": "INQUIRY-REQUEST",
}
REPLIES = {
    "CUST": "CUSTOMER-REPLY",
    "ORDR": "ORDER-REPLY",
    "DONE": "END-REPLY",
    "FAIL": "ERROR-REPLY",
}


class RecordCodec:
    """Requests and replies as records of fixed width."""

    def decoder(self) -> RecordDecoder:
        """A fresh decoder for one direction of one connection."""
        return RecordDecoder()

    def encode_request(self, request_id: int, request: Request) -> bytes:
        """The request as a record.

        Raises:
            InvalidArgument: a value does not fit its field, or would not come back as it was.
        """
        code, fields = _request_fields(request)
        try:
            return _record(REQUESTS, code, fields)
        except FieldError as error:
            raise InvalidArgument(str(error)) from error

    def decode_request(self, message: bytes) -> tuple[int, Request]:
        """Read a record of a client.

        Raises:
            ProtocolError: the transaction code is unknown, or a field holds something else than
                the copybook declares; the message names the field and the byte.
        """
        code, fields = _fields(message, REQUESTS, "transaction code")
        request: Request
        match code:
            case "CADD":
                balance = from_cents(fields["CUST-BALANCE"])
                request = AddCustomer(fields["CUST-ID"], fields["CUST-NAME"], balance)
            case "CINQ":
                request = GetCustomer(fields["CUST-ID"])
            case "CUPD":
                request = UpdateBalance(fields["CUST-ID"], from_cents(fields["CHANGE"]))
            case "CLST":
                request = ListCustomers(fields["AFTER-ID"], fields["PAGE-LIMIT"])
            case "OADD":
                price = from_cents(fields["UNIT-PRICE"])
                request = PlaceOrder(fields["CUST-ID"], fields["ITEM"], fields["QUANTITY"], price)
            case _:
                request = StreamOrders(fields["CUST-ID"])
        return NO_REQUEST_ID, request

    def encode_reply(self, request_id: int, reply: Reply) -> bytes:
        """The reply as a record.

        Raises:
            UnwritableReply: a name or an item cannot be written in the code page.
        """
        code, fields = _reply_fields(reply)
        try:
            return _record(REPLIES, code, fields)
        except FieldError as error:
            raise UnwritableReply(str(error)) from error

    def decode_reply(self, message: bytes) -> tuple[int, Reply]:
        """Read a record of a server.

        Raises:
            ProtocolError: the type is unknown, or a field holds something else than the copybook
                declares.
        """
        code, fields = _fields(message, REPLIES, "record type")
        try:
            return NO_REQUEST_ID, _reply(code, fields)
        except ShopError as error:
            raise ProtocolError(f"the server sent what no shop holds: {error}") from error


def _request_fields(request: Request) -> tuple[str, dict[str, Any]]:
    match request:
        case AddCustomer(customer_id, name, balance):
            fields = {"CUST-ID": customer_id, "CUST-NAME": name}
            return "CADD", {**fields, "CUST-BALANCE": to_cents(balance)}
        case GetCustomer(customer_id):
            return "CINQ", {"CUST-ID": customer_id}
        case UpdateBalance(customer_id, change):
            return "CUPD", {"CUST-ID": customer_id, "CHANGE": to_cents(change)}
        case ListCustomers(after, limit):
            return "CLST", {"AFTER-ID": after, "PAGE-LIMIT": limit}
        case PlaceOrder(customer_id, item, quantity, unit_price):
            fields = {"CUST-ID": customer_id, "ITEM": item, "QUANTITY": quantity}
            return "OADD", {**fields, "UNIT-PRICE": to_cents(unit_price)}
        case StreamOrders(customer_id):
            return "OLST", {"CUST-ID": customer_id}


def _reply_fields(reply: Reply) -> tuple[str, dict[str, Any]]:
    match reply:
        case Customer(customer_id, name, balance):
            fields = {"CUST-ID": customer_id, "CUST-NAME": name}
            return "CUST", {**fields, "CUST-BALANCE": to_cents(balance)}
        case Order(order_id, customer_id, item, quantity, unit_price):
            fields = {"ORDER-ID": order_id, "CUST-ID": customer_id, "ITEM": item}
            return "ORDR", {**fields, "QUANTITY": quantity, "UNIT-PRICE": to_cents(unit_price)}
        case End(count):
            return "DONE", {"REC-COUNT": count}
        case Failure(code, text):
            return "FAIL", {"ERR-CODE": code, "ERR-TEXT": _for_a_person(text)}


def _reply(code: str, fields: dict[str, Any]) -> Reply:
    match code:
        case "CUST":
            balance = from_cents(fields["CUST-BALANCE"])
            return Customer(fields["CUST-ID"], fields["CUST-NAME"], balance)
        case "ORDR":
            numbers = fields["QUANTITY"], from_cents(fields["UNIT-PRICE"])
            return Order(fields["ORDER-ID"], fields["CUST-ID"], fields["ITEM"], *numbers)
        case "DONE":
            return End(fields["REC-COUNT"])
    return Failure(fields["ERR-CODE"], fields["ERR-TEXT"])


def _record(kinds: dict[str, str], code: str, fields: dict[str, Any]) -> bytes:
    layout = RECORDS[kinds[code]]
    return encode_record(layout.encode({layout.fields[0].name: code, **fields}))


def _fields(message: bytes, kinds: dict[str, str], what: str) -> tuple[str, dict[str, Any]]:
    code = message[:CODE_BYTES].decode("cp037")
    if code not in kinds:
        raise ProtocolError(f"{what} {code!r} is not one of {', '.join(kinds)}")
    layout = RECORDS[kinds[code]]
    try:
        return code, layout.decode(message)
    except FieldError as error:
        raise ProtocolError(f"{code}: {error}") from error


def _for_a_person(text: str) -> str:
    """As much of a text as the field and the code page take."""
    written = text.encode("cp037", errors="replace").decode("cp037")
    return written[:ERROR_TEXT].rstrip(" ")
