"""Customers and orders as protobuf messages, and back."""

from __future__ import annotations

from decimal import Decimal

from remotecalls.grpc.generated.shop.v1 import shop_pb2
from remotecalls.shop import Customer, InvalidArgument, Order
from remotecalls.shop.domain import from_cents
from remotecalls.wire.errors import ProtocolError

INT64 = 2**63


def customer_message(customer: Customer) -> shop_pb2.Customer:
    """A customer of the shop as a message."""
    return shop_pb2.Customer(
        customer_id=customer.customer_id,
        name=customer.name,
        balance_cents=cents(customer.balance),
    )


def order_message(order: Order) -> shop_pb2.Order:
    """An order of the shop as a message."""
    return shop_pb2.Order(
        order_id=order.order_id,
        customer_id=order.customer_id,
        item=order.item,
        quantity=order.quantity,
        unit_price_cents=cents(order.unit_price),
    )


def read_customer(message: shop_pb2.Customer) -> Customer:
    """The customer in a server's message.

    Raises:
        ProtocolError: no shop holds such a customer.
    """
    try:
        return Customer(message.customer_id, message.name, from_cents(message.balance_cents))
    except InvalidArgument as error:
        raise ProtocolError(f"the server sent what no shop holds: {error}") from error


def read_order(message: shop_pb2.Order) -> Order:
    """The order in a server's message.

    Raises:
        ProtocolError: no shop holds such an order.
    """
    try:
        return Order(
            message.order_id,
            message.customer_id,
            message.item,
            message.quantity,
            from_cents(message.unit_price_cents),
        )
    except InvalidArgument as error:
        raise ProtocolError(f"the server sent what no shop holds: {error}") from error


# ---------------------------------------------------------------- what a field can hold
# Whether a value makes sense is the server's to say. What these functions refuse has no bytes.


def uint32(name: str, value: int) -> int:
    """A whole number that a field of type uint32 can hold.

    Raises:
        InvalidArgument: it cannot.
    """
    if type(value) is not int or not 0 <= value < 2**32:
        raise InvalidArgument(f"{name} {value!r} is no whole number from 0 to {2**32 - 1:,}")
    return value


def text(name: str, value: str) -> str:
    """A text that a field of type string can hold.

    Raises:
        InvalidArgument: it has no UTF-8 encoding, because a lone surrogate is in it.
    """
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise InvalidArgument(f"{name} {value!r} has no UTF-8 encoding: {error.reason}") from None
    return value


def cents(amount: Decimal) -> int:
    """An amount of money as a whole number of cents that a field of type int64 can hold.

    Raises:
        InvalidArgument: it is not an exact amount of cents, or far too large.
    """
    if isinstance(amount, Decimal) and amount.is_finite():
        scaled = amount.scaleb(2)
        if scaled == scaled.to_integral_value() and -INT64 <= scaled < INT64:
            return int(scaled)
    raise InvalidArgument(f"{amount!r} is not an exact amount of cents")
