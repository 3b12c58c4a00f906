"""The JSON documents of the service as XML, and back.

An object becomes elements, a list becomes the same element again and again, and a text or number
becomes text. XML has no types of its own: the way back needs to know which elements are numbers
and which are lists, and that knowledge stands here, outside of the document.

Source: XML 1.0 (Fifth Edition).
"""

from __future__ import annotations

import re
from typing import Any
from xml.etree.ElementTree import Element, ParseError, SubElement, tostring

from defusedxml import ElementTree
from defusedxml.common import DefusedXmlException

DECLARATION = b'<?xml version="1.0" encoding="UTF-8"?>'
NUMBERS = frozenset({"customer_id", "order_id", "quantity"})
LISTS = {"customers": "customer", "orders": "order"}

# What no XML document can hold, not even escaped (XML 1.0, production 2).
_NO_CHARACTER = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class UnwritableText(ValueError):
    """A text holds a character that XML has no way to write."""


def writable(text: str) -> bool:
    """Whether XML can write a text."""
    return not _NO_CHARACTER.search(text)


def render(name: str, document: dict[str, Any]) -> bytes:
    """Write a document under a root element of this name.

    Raises:
        UnwritableText: it holds a character such as U+FFFF.
    """
    root = Element(name)
    _fill(root, document)
    body: bytes = tostring(root, encoding="utf-8")
    return DECLARATION + body


def _fill(element: Element, document: dict[str, Any]) -> None:
    for name, value in document.items():
        if isinstance(value, list):
            for each in value:
                _fill(SubElement(element, LISTS[name]), each)
        else:
            SubElement(element, name).text = _text(str(value))


def _text(text: str) -> str:
    if not writable(text):
        raise UnwritableText(f"{text!a} holds a character that XML cannot write")
    return text


def parse(data: bytes) -> dict[str, Any]:
    """Read a document back.

    Raises:
        ValueError: it is not well formed, declares entities, or holds what is no number.
    """
    return _object(element(data))


def element(data: bytes) -> Element:
    """The root element of a document without a document type.

    A document type can declare entities that grow a thousandfold, or that are files of the reader's
    own machine.

    Raises:
        ValueError: it is not well formed, or has a document type.
    """
    try:
        root: Element = ElementTree.fromstring(data, forbid_dtd=True)
    except (ParseError, DefusedXmlException) as error:
        raise ValueError(f"no XML that is read here: {error!r}") from error
    return root


def _object(element: Element) -> dict[str, Any]:
    if element.tag in LISTS:
        return {element.tag: [_object(each) for each in element]}
    return {each.tag: _value(each) for each in element}


def _value(element: Element) -> str | int:
    text = element.text or ""
    return int(text) if element.tag in NUMBERS else text
