"""What each byte of the binary protocol means, declared apart from the codec that reads it."""

from __future__ import annotations

import construct
from construct import Int8ub, Int16ub, Int32ub, Int64sb, Struct, Switch, this

from remotecalls.wire.dissect import (
    Dissection,
    Layout,
    dissect_messages,
    labelled,
    sized,
    text_with_length,
)
from remotecalls.wire.recording import Direction


def _key(name: str, meaning: str) -> Layout:
    return labelled(name, Int32ub, kind="key", meaning=meaning)


def _number(name: str, meaning: str) -> Layout:
    return labelled(name, Int32ub, meaning=meaning)


def _cents(name: str) -> Layout:
    return labelled(name, Int64sb, meaning=lambda cents: f"cents: {cents / 100:.2f}")


def _text(name: str, meaning: str) -> Layout:
    return text_with_length(name, Int16ub, meaning=meaning)


CUSTOMER_ID = _key("customer_id", "which customer")
NAME = _text("name", "the customer's name, UTF-8")
ITEM = _text("item", "what is ordered, UTF-8")
QUANTITY = _number("quantity", "how many")

REQUESTS = {
    0x01: ("add customer", [CUSTOMER_ID, _cents("balance"), NAME]),
    0x02: ("get customer", [CUSTOMER_ID]),
    0x03: ("update balance", [CUSTOMER_ID, _cents("change")]),
    0x04: (
        "list customers",
        [
            _key("after", "the page begins after this id"),
            _number("limit", "customers on the page at most"),
        ],
    ),
    0x05: ("place order", [CUSTOMER_ID, QUANTITY, _cents("unit_price"), ITEM]),
    0x06: ("stream orders", [CUSTOMER_ID]),
}
REPLIES = {
    0x81: ("a customer", [CUSTOMER_ID, _cents("balance"), NAME]),
    0x82: (
        "an order",
        [
            _key("order_id", "counted by the shop from 1"),
            CUSTOMER_ID,
            QUANTITY,
            _cents("unit_price"),
            ITEM,
        ],
    ),
    0x83: ("the end of a sequence", [_number("count", "how many replies went before")]),
    0xFF: (
        "the request failed",
        [_text("code", "which error, for the program"), _text("message", "for a person")],
    ),
}


def _message(types: dict[int, tuple[str, list[Layout]]]) -> Layout:
    return Struct(
        labelled("length", Int32ub, kind="length", meaning="bytes that follow"),
        sized(
            this.length,
            Struct(
                labelled(
                    "type",
                    Int8ub,
                    kind="type",
                    meaning={number: name for number, (name, _) in types.items()},
                    show=lambda number: f"0x{number:02x}",
                ),
                _key("request_id", "ties the reply to the request"),
                Switch(
                    this.type,
                    {number: Struct(*fields) for number, (_, fields) in types.items()},
                    default=construct.Error,
                ),
            ),
        ),
    )


MESSAGES = {
    Direction.CLIENT_TO_SERVER: _message(REQUESTS),
    Direction.SERVER_TO_CLIENT: _message(REPLIES),
}


def dissect_binary(data: bytes, direction: Direction) -> Dissection:
    """Label every byte of one direction of a connection that speaks the binary protocol."""
    return dissect_messages(data, MESSAGES[direction])
