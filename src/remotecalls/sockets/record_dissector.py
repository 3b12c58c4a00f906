"""What each byte of the record protocol means, declared apart from the codec's copybook."""

from __future__ import annotations

import construct
from construct import Bytes, Int16ub, Struct, Switch, this

from remotecalls.sockets.packed_decimal import unpack
from remotecalls.wire.dissect import (
    Dissection,
    Layout,
    converted,
    dissect_messages,
    labelled,
    not_understood,
    sized,
)
from remotecalls.wire.recording import Direction

WORD_BYTES = 4


def _text(name: str, size: int, meaning: str, kind: str = "value") -> Layout:
    text = converted(Bytes(size), lambda data: data.decode("cp037").rstrip(" "))
    return labelled(name, text, kind=kind, meaning=f"{meaning}, EBCDIC")


def _digits(name: str, size: int, meaning: str, kind: str = "value") -> Layout:
    number = converted(Bytes(size), _unsigned)
    return labelled(name, number, kind=kind, meaning=f"{meaning}, EBCDIC digits")


def _unsigned(data: bytes) -> int:
    text = data.decode("cp037")
    if not text.isdecimal():
        raise ValueError(f"{text!r} are not digits")
    return int(text)


def _packed(name: str, meaning: str) -> Layout:
    amount = converted(Bytes(5), lambda data: unpack(data) / 100)
    return labelled(name, amount, meaning=f"{meaning}, packed decimal", show="{:.2f}".format)


CUSTOMER_ID = _digits("customer_id", 8, "which customer", kind="key")
NAME = _text("name", 30, "the customer's name")
ITEM = _text("item", 30, "what is ordered")
QUANTITY = _digits("quantity", 4, "how many")

REQUESTS = {
    "CADD": ("add customer", [CUSTOMER_ID, NAME, _packed("balance", "exact, to the cent")]),
    "CINQ": ("get customer", [CUSTOMER_ID]),
    "CUPD": ("update balance", [CUSTOMER_ID, _packed("change", "what to add")]),
    "CLST": (
        "list customers",
        [
            _digits("after", 8, "the page begins after this id", kind="key"),
            _digits("limit", 4, "customers on the page at most"),
        ],
    ),
    "OADD": ("place order", [CUSTOMER_ID, ITEM, QUANTITY, _packed("unit_price", "for one")]),
    "OLST": ("stream orders", [CUSTOMER_ID]),
}
REPLIES = {
    "CUST": ("a customer", [CUSTOMER_ID, NAME, _packed("balance", "exact, to the cent")]),
    "ORDR": (
        "an order",
        [
            _digits("order_id", 10, "counted by the shop from 1", kind="key"),
            CUSTOMER_ID,
            ITEM,
            QUANTITY,
            _packed("unit_price", "for one"),
        ],
    ),
    "DONE": ("end of a sequence", [_digits("count", 10, "how many replies went before")]),
    "FAIL": (
        "an error",
        [
            _text("code", 24, "which error, for the program"),
            _text("message", 120, "what happened, for a person"),
        ],
    ),
}


def _record(kinds: dict[str, tuple[str, list[Layout]]], what: str) -> Layout:
    meanings = {code: meaning for code, (meaning, _) in kinds.items()}
    code = converted(Bytes(4), lambda data: data.decode("cp037"))
    return Struct(
        labelled("length", Int16ub, kind="length", meaning="LL: of the record, these 4 included"),
        labelled("zeros", construct.Const(b"\0\0"), kind="padding", meaning="ZZ"),
        sized(
            lambda context: max(0, context.length - WORD_BYTES),
            Struct(
                labelled(what, code, kind="type", meaning=meanings),
                Switch(
                    this[what],
                    {name: Struct(*fields) for name, (_, fields) in kinds.items()},
                    default=not_understood(f"there is no such {what}"),
                ),
            ),
        ),
    )


RECORDS = {
    Direction.CLIENT_TO_SERVER: _record(REQUESTS, "transaction"),
    Direction.SERVER_TO_CLIENT: _record(REPLIES, "record_type"),
}


def dissect_records(data: bytes, direction: Direction) -> Dissection:
    """Label every byte of one direction of a connection that speaks the record protocol."""
    return dissect_messages(data, RECORDS[direction])
