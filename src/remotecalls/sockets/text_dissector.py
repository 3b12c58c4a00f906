"""What each byte of the text protocol means, declared apart from the codec that reads it."""

from __future__ import annotations

import construct
from construct import Struct, Switch, this

from remotecalls.wire.dissect import (
    Dissection,
    Layout,
    converted,
    delimiter,
    dissect_messages,
    labelled,
    line,
    upto,
)
from remotecalls.wire.recording import Direction

TAB = b"\t"

NUMBERS = {
    "customer_id": "which customer",
    "order_id": "counted by the shop from 1",
    "quantity": "how many",
    "after": "the page begins after this id",
    "limit": "customers on the page at most",
    "count": "how many replies went before",
}
AMOUNTS = {
    "balance": "exact, to the cent",
    "change": "what to add, or with a minus to take away",
    "unit_price": "for one of them",
}
TEXTS = {
    "name": "the customer's name, UTF-8",
    "item": "what is ordered, UTF-8",
    "code": "which error, for the program",
    "message": "what happened, for a person",
}

VERBS = {
    "ADD": ["customer_id", "name", "balance"],
    "GET": ["customer_id"],
    "UPDATE": ["customer_id", "change"],
    "LIST": ["after", "limit"],
    "PLACE": ["customer_id", "item", "quantity", "unit_price"],
    "ORDERS": ["customer_id"],
}
REPLIES = {
    "CUSTOMER": ["customer_id", "name", "balance"],
    "ORDER": ["order_id", "customer_id", "item", "quantity", "unit_price"],
    "END": ["count"],
    "ERROR": ["code", "message"],
}


def _field(name: str) -> Layout:
    if name in NUMBERS:
        kind = "key" if name.endswith("_id") else "value"
        return labelled(name, converted(upto(TAB), int), kind=kind, meaning=NUMBERS[name])
    text = converted(upto(TAB), bytes.decode)
    if name in AMOUNTS:
        return labelled(name, text, meaning=AMOUNTS[name], show=str)
    return labelled(name, text, meaning=TEXTS[name])


def _message(words: dict[str, list[str]], meaning: str) -> Layout:
    fields = {
        word: Struct(*(part for name in names for part in (delimiter(TAB, "tab"), _field(name))))
        for word, names in words.items()
    }
    return line(
        Struct(
            labelled("word", converted(upto(TAB), bytes.decode), kind="type", meaning=meaning),
            Switch(this.word, fields, default=construct.Error),
        )
    )


MESSAGES = {
    Direction.CLIENT_TO_SERVER: _message(VERBS, "which operation"),
    Direction.SERVER_TO_CLIENT: _message(REPLIES, "which reply"),
}


def dissect_text(data: bytes, direction: Direction) -> Dissection:
    """Label every byte of one direction of a connection that speaks the text protocol."""
    return dissect_messages(data, MESSAGES[direction])
