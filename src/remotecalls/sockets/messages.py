"""Requests and replies as values, before they become bytes and after."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from remotecalls.shop import Customer, Order, Shop
from remotecalls.wire.framing import Decoder


@dataclass(frozen=True)
class AddCustomer:
    """Open an account. One `Customer` comes back."""

    customer_id: int
    name: str
    balance: Decimal


@dataclass(frozen=True)
class GetCustomer:
    """Look a customer up. One `Customer` comes back."""

    customer_id: int


@dataclass(frozen=True)
class UpdateBalance:
    """Change a balance. One `Customer` comes back."""

    customer_id: int
    change: Decimal


@dataclass(frozen=True)
class ListCustomers:
    """One page of customers. They come back one by one, then `End`."""

    after: int
    limit: int


@dataclass(frozen=True)
class PlaceOrder:
    """Order an item. One `Order` comes back."""

    customer_id: int
    item: str
    quantity: int
    unit_price: Decimal


@dataclass(frozen=True)
class StreamOrders:
    """All orders of a customer. They come back one by one, then `End`."""

    customer_id: int


Request = AddCustomer | GetCustomer | UpdateBalance | ListCustomers | PlaceOrder | StreamOrders


@dataclass(frozen=True)
class End:
    """The end of a sequence. The count keeps a cut sequence from passing for a short one."""

    count: int


@dataclass(frozen=True)
class Failure:
    """The request was not carried out.

    Attributes:
        code: the code of a `ShopError`, `BAD_REQUEST` or `SERVER_FAILED`.
        message: one sentence for a person.
    """

    code: str
    message: str


Reply = Customer | Order | End | Failure

BAD_REQUEST = "bad_request"
SERVER_FAILED = "server_failed"


class UnwritableReply(Exception):
    """The protocol has no bytes for an answer. What was asked for may have been done."""


class Codec(Protocol):
    """How one protocol writes requests and replies.

    A request id ties a reply to its request. A protocol without one answers in the order of the
    requests, and reads every id as 0.
    """

    def decoder(self) -> Decoder:
        """A fresh decoder for one direction of one connection."""
        ...

    def encode_request(self, request_id: int, request: Request) -> bytes:
        """The request as it crosses the wire, framing included.

        Raises:
            InvalidArgument: a value cannot be written in this protocol, and would be refused.
        """
        ...

    def decode_request(self, message: bytes) -> tuple[int, Request]:
        """Read a message that the decoder cut off.

        Raises:
            ProtocolError: it is not a request.
            InvalidArgument: it is one, with a value that no shop accepts.
        """
        ...

    def encode_reply(self, request_id: int, reply: Reply) -> bytes:
        """The reply as it crosses the wire, framing included.

        Raises:
            UnwritableReply: the protocol cannot write it; every `Failure` can be written.
        """
        ...

    def decode_reply(self, message: bytes) -> tuple[int, Reply]:
        """Read a message that the decoder cut off.

        Raises:
            ProtocolError: it is not a reply.
        """
        ...


def carry_out(shop: Shop, request: Request) -> Iterator[Reply]:
    """Do what a request asks and give the replies, the last one included.

    Raises:
        ShopError: the shop refused.
    """
    match request:
        case AddCustomer():
            yield shop.add_customer(request.customer_id, request.name, request.balance)
        case GetCustomer():
            yield shop.get_customer(request.customer_id)
        case UpdateBalance():
            yield shop.update_balance(request.customer_id, request.change)
        case PlaceOrder():
            yield shop.place_order(
                request.customer_id, request.item, request.quantity, request.unit_price
            )
        case ListCustomers():
            customers = shop.list_customers(request.after, request.limit)
            yield from customers
            yield End(len(customers))
        case StreamOrders():
            count = 0
            for order in shop.stream_orders(request.customer_id):
                yield order
                count += 1
            yield End(count)
