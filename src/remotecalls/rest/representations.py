"""Customers and orders as the service writes them: JSON, XML, and HAL with forms.

Sources: RFC 8259; draft-kelly-json-hal-11; the HAL-FORMS media type, version 2.01.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from remotecalls.rest import xml_documents
from remotecalls.rest.problems import Problem
from remotecalls.shop import Customer, Order
from remotecalls.shop.domain import MAXIMUM_CUSTOMER_ID, MAXIMUM_NAME, MAXIMUM_QUANTITY

JSON = "application/json"
XML = "application/xml"
HAL = "application/prs.hal-forms+json"
LINES = "application/x-ndjson"
ANY = (JSON, XML, HAL)

Document = dict[str, Any]

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def to_json(document: Document) -> bytes:
    """A document as compact JSON in UTF-8."""
    return _encode(document).encode()


def to_xml(name: str, document: Document) -> bytes:
    """A document as XML.

    Raises:
        Problem: XML cannot write a text in it (406: another media type can).
    """
    try:
        return xml_documents.render(name, document)
    except xml_documents.UnwritableText as error:
        raise Problem("not_acceptable", f"not as XML: {error}") from error


def customer_document(customer: Customer) -> Document:
    """A customer without links."""
    return {
        "customer_id": customer.customer_id,
        "name": customer.name,
        "balance": f"{customer.balance:f}",
    }


def order_document(order: Order) -> Document:
    """An order without links."""
    return {
        "order_id": order.order_id,
        "customer_id": order.customer_id,
        "item": order.item,
        "quantity": order.quantity,
        "unit_price": f"{order.unit_price:f}",
    }


class Paths:
    """Where the resources are, below a prefix. Nobody but the service needs to know."""

    def __init__(self, prefix: str = "") -> None:
        self.root = f"{prefix}/"
        self.customers = f"{prefix}/customers"

    def customer(self, customer_id: int) -> str:
        """One customer."""
        return f"{self.customers}/{customer_id}"

    def balance_changes(self, customer_id: int) -> str:
        """Changes of a customer's balance."""
        return f"{self.customer(customer_id)}/balance-changes"

    def orders(self, customer_id: int) -> str:
        """A customer's orders."""
        return f"{self.customer(customer_id)}/orders"

    def order(self, customer_id: int, order_id: int) -> str:
        """One order."""
        return f"{self.orders(customer_id)}/{order_id}"


class Representations:
    """Writes what the service answers, in the media type that the client has chosen.

    Args:
        paths: for links.
    """

    def __init__(self, paths: Paths) -> None:
        self._paths = paths

    def customer(self, media_type: str, customer: Customer) -> bytes:
        """A customer."""
        document = customer_document(customer)
        if media_type == JSON:
            return to_json(document)
        if media_type == XML:
            return to_xml("customer", document)
        return to_json(self._customer_with_links(customer))

    def order(self, media_type: str, order: Order) -> bytes:
        """An order."""
        document = order_document(order)
        if media_type == JSON:
            return to_json(document)
        if media_type == XML:
            return to_xml("order", document)
        return to_json(self._order_with_links(order))

    def customers(
        self, media_type: str, customers: Sequence[Customer], here: str, next_page: str | None
    ) -> bytes:
        """A page of customers."""
        if media_type == HAL:
            items = [self._customer_with_links(each) for each in customers]
            return to_json(_page("customers", items, here, next_page))
        document = {"customers": [customer_document(each) for each in customers]}
        return to_json(document) if media_type == JSON else to_xml("customers", document)

    def orders(
        self, media_type: str, orders: Sequence[Order], here: str, next_page: str | None
    ) -> bytes:
        """A page of orders."""
        if media_type == HAL:
            items = [self._order_with_links(each) for each in orders]
            return to_json(_page("orders", items, here, next_page))
        document = {"orders": [order_document(each) for each in orders]}
        return to_json(document) if media_type == JSON else to_xml("orders", document)

    def entry_point(self) -> bytes:
        """Links to everything: the only resource whose URL a client has to know."""
        customers = self._paths.customers
        links = {
            "self": {"href": self._paths.root},
            "customers": {"href": f"{customers}{{?after,limit}}", "templated": True},
            "customer": {"href": f"{customers}/{{customer_id}}", "templated": True},
        }
        form = _form(
            "POST",
            customers,
            _number("customer_id", 1, MAXIMUM_CUSTOMER_ID),
            _text("name", MAXIMUM_NAME),
            _money("balance", "exact to the cent, such as 12.30"),
        )
        return to_json({"_links": links, "_templates": {"add-customer": form}})

    def _customer_with_links(self, customer: Customer) -> Document:
        customer_id = customer.customer_id
        orders = self._paths.orders(customer_id)
        return {
            **customer_document(customer),
            "_links": {
                "self": {"href": self._paths.customer(customer_id)},
                "orders": {"href": f"{orders}{{?after,limit}}", "templated": True},
            },
            "_templates": {
                "change-balance": _form(
                    "POST",
                    self._paths.balance_changes(customer_id),
                    _money("change", "such as 5.00, or -5.00 to take it away"),
                ),
                "place-order": _form(
                    "POST",
                    orders,
                    _text("item", MAXIMUM_NAME),
                    _number("quantity", 1, MAXIMUM_QUANTITY),
                    _money("unit_price", "such as 0.30"),
                ),
            },
        }

    def _order_with_links(self, order: Order) -> Document:
        links = {
            "self": {"href": self._paths.order(order.customer_id, order.order_id)},
            "customer": {"href": self._paths.customer(order.customer_id)},
        }
        return {**order_document(order), "_links": links}


def _page(name: str, items: list[Document], here: str, next_page: str | None) -> Document:
    links = {"self": {"href": here}} | ({"next": {"href": next_page}} if next_page else {})
    return {"_links": links, "_embedded": {name: items}}


def _form(method: str, target: str, *properties: Document) -> Document:
    return {
        "method": method,
        "target": target,
        "contentType": JSON,
        "properties": list(properties),
    }


def _text(name: str, longest: int) -> Document:
    return {"name": name, "type": "text", "required": True, "maxLength": longest}


def _number(name: str, low: int, high: int) -> Document:
    return {"name": name, "type": "number", "required": True, "min": low, "max": high}


def _money(name: str, prompt: str) -> Document:
    return {"name": name, "type": "text", "required": True, "prompt": prompt}
