"""The program that the server of `cgi` starts for each request.

It gets the request as RFC 3875 lays down: metadata in environment variables, the body on standard
input. It writes header lines, an empty line and the body to standard output, and ends. It could be
written in any language, and has to find everything anew each time: here, the database.

    REQUEST_METHOD=GET QUERY_STRING='op=get&customer_id=42' SHOP_DATABASE=shop.db \\
        python -m remotecalls.sockets.cgi_script
"""

from __future__ import annotations

import os
import sys
from urllib.parse import parse_qsl

from remotecalls.shop import InvalidArgument, Shop, ShopError
from remotecalls.shop.domain import parse_money
from remotecalls.shop.sqlite import SQLiteRepository
from remotecalls.sockets.messages import (
    BAD_REQUEST,
    AddCustomer,
    Failure,
    GetCustomer,
    ListCustomers,
    PlaceOrder,
    Request,
    StreamOrders,
    UpdateBalance,
    carry_out,
)
from remotecalls.sockets.text_protocol import TextCodec
from remotecalls.wire.errors import ProtocolError

CHANGES = {"add", "update", "place"}
FIELDS = {
    "add": ["customer_id", "name", "balance"],
    "get": ["customer_id"],
    "update": ["customer_id", "change"],
    "list": ["after", "limit"],
    "place": ["customer_id", "item", "quantity", "unit_price"],
    "orders": ["customer_id"],
}
STATUSES = {
    BAD_REQUEST: "400 Bad Request",
    "customer_not_found": "404 Not Found",
    "customer_exists": "409 Conflict",
    "insufficient_funds": "409 Conflict",
    "invalid_argument": "422 Unprocessable Content",
}


def main() -> None:
    """Answer the one request there is."""
    codec = TextCodec()
    try:
        request = read_request()
        with SQLiteRepository(os.environ["SHOP_DATABASE"]) as repository:
            replies = carry_out(Shop(repository), request)
            first = next(replies)
            write_head("200 OK")
            write(codec.encode_reply(0, first))
            for reply in replies:
                write(codec.encode_reply(0, reply))
    except ShopError as error:
        fail(codec, Failure(error.code, str(error)))
    except ProtocolError as error:
        fail(codec, Failure(BAD_REQUEST, str(error)))


def read_request() -> Request:
    """What the environment and standard input ask for.

    Raises:
        ProtocolError: it is no request of the shop.
        InvalidArgument: an amount is not written as one.
    """
    posted = os.environ["REQUEST_METHOD"] == "POST"
    text = os.environ.get("QUERY_STRING", "")
    if posted:
        text = sys.stdin.buffer.read(int(os.environ["CONTENT_LENGTH"])).decode("ascii", "replace")
    try:
        pairs = parse_qsl(text, keep_blank_values=True, strict_parsing=True, errors="strict")
    except ValueError as error:
        raise ProtocolError(f"{text[:80]!r} is no form: {error}") from error
    fields = dict(pairs)
    operation = fields.pop("op", "")
    if operation not in FIELDS:
        raise ProtocolError(f"op is {operation[:20]!r}, not one of {', '.join(FIELDS)}")
    if sorted(fields) != sorted(FIELDS[operation]) or len(pairs) != len(fields) + 1:
        raise ProtocolError(f"op={operation} takes {', '.join(FIELDS[operation])}, each once")
    if posted is not (operation in CHANGES):
        method = "POST" if operation in CHANGES else "GET"
        raise ProtocolError(f"op={operation} is for {method}: only a POST may change something")
    return build(operation, fields)


def build(operation: str, fields: dict[str, str]) -> Request:
    """The request that an operation and its fields make."""
    if operation == "list":
        return ListCustomers(_number(fields["after"]), _number(fields["limit"]))
    customer_id = _number(fields["customer_id"])
    match operation:
        case "add":
            return AddCustomer(customer_id, fields["name"], parse_money(fields["balance"]))
        case "get":
            return GetCustomer(customer_id)
        case "update":
            return UpdateBalance(customer_id, parse_money(fields["change"]))
        case "place":
            quantity, price = _number(fields["quantity"]), parse_money(fields["unit_price"])
            return PlaceOrder(customer_id, fields["item"], quantity, price)
    return StreamOrders(customer_id)


def write_head(status: str) -> None:
    """The header lines of the answer."""
    write(f"Status: {status}\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n".encode())


def fail(codec: TextCodec, failure: Failure) -> None:
    """Answer with an error; its status says to a program of the Web what it is."""
    write_head(STATUSES[failure.code])
    write(codec.encode_reply(0, failure))


def write(data: bytes) -> None:
    """Write to standard output."""
    sys.stdout.buffer.write(data)


def _number(text: str) -> int:
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 20):
        raise InvalidArgument(f"{text[:24]!r} is not a whole number")
    return int(text)


if __name__ == "__main__":
    main()
