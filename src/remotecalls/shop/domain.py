"""Customers, orders, exact money, and the errors that belong to the domain."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import ClassVar

MAXIMUM_CUSTOMER_ID = 99_999_999
MAXIMUM_NAME = 30
MAXIMUM_QUANTITY = 9_999
MAXIMUM_BALANCE = Decimal("9999999.99")
CENT = Decimal("0.01")


class ShopError(Exception):
    """The shop understood the request and refused it.

    Every binding carries `code` and the message, and nothing else, so an error is the same error
    through each of them.
    """

    code: ClassVar[str]
    _by_code: ClassVar[dict[str, type[ShopError]]] = {}

    def __init_subclass__(cls) -> None:
        ShopError._by_code[cls.code] = cls

    @staticmethod
    def from_code(code: str, message: str) -> ShopError:
        """Build the error that a server named by its code.

        Raises:
            KeyError: no domain error has that code.
        """
        return ShopError._by_code[code](message)


class InvalidArgument(ShopError):
    """A value breaks a rule of the domain."""

    code = "invalid_argument"


class CustomerNotFound(ShopError):
    """No customer has this id."""

    code = "customer_not_found"


class CustomerExists(ShopError):
    """A customer with this id is there already."""

    code = "customer_exists"


class OrderNotFound(ShopError):
    """The customer has no order of this number."""

    code = "order_not_found"


class InsufficientFunds(ShopError):
    """The balance would fall below zero."""

    code = "insufficient_funds"


@dataclass(frozen=True)
class Customer:
    """A customer and what the customer may spend.

    Attributes:
        customer_id: 1 to 99,999,999 (eight decimal digits).
        name: 1 to 30 characters, none of them a control character or a lone surrogate.
        balance: 0.00 to 9,999,999.99, exact to the cent.

    Raises:
        InvalidArgument: a value breaks one of these rules.
    """

    customer_id: int
    name: str
    balance: Decimal

    def __post_init__(self) -> None:
        check_customer_id(self.customer_id)
        _check_text("name", self.name)
        _check_money("balance", self.balance, Decimal(0), MAXIMUM_BALANCE)
        object.__setattr__(self, "balance", _with_cents(self.balance))


@dataclass(frozen=True)
class Order:
    """One item, ordered once.

    Attributes:
        order_id: counted from 1 by the shop.
        customer_id: who ordered, and paid from the balance.
        item: 1 to 30 characters, under the same rules as a customer's name.
        quantity: 1 to 9,999.
        unit_price: 0.01 to 9,999,999.99.

    Raises:
        InvalidArgument: a value breaks one of these rules.
    """

    order_id: int
    customer_id: int
    item: str
    quantity: int
    unit_price: Decimal

    def __post_init__(self) -> None:
        _check_integer("order_id", self.order_id, 1, 2**32 - 1)
        check_customer_id(self.customer_id)
        _check_text("item", self.item)
        _check_integer("quantity", self.quantity, 1, MAXIMUM_QUANTITY)
        _check_money("unit_price", self.unit_price, CENT, MAXIMUM_BALANCE)
        object.__setattr__(self, "unit_price", _with_cents(self.unit_price))

    @property
    def total(self) -> Decimal:
        """What the order costs."""
        return self.quantity * self.unit_price


def parse_money(text: str) -> Decimal:
    """Read an amount such as `12.30` or `-5.00`: digits, a point, two digits.

    Raises:
        InvalidArgument: the text is written in any other way, `1e3` and `NaN` included.
    """
    whole, point, cents = text.removeprefix("-").partition(".")
    digits = whole + cents
    if not (whole and point and len(cents) == 2 and digits.isascii() and digits.isdigit()):
        raise InvalidArgument(f"{text!r} is not an amount: write 12.30, with two decimal places")
    return Decimal(text)


def format_money(amount: Decimal) -> str:
    """Write an amount as `parse_money` reads it.

    Raises:
        InvalidArgument: it is not an exact amount of cents.
    """
    return f"{from_cents(to_cents(amount)):f}"


def to_cents(amount: Decimal) -> int:
    """The amount as a whole number of cents.

    Raises:
        InvalidArgument: it is not an exact amount of cents.
    """
    _check_money("amount", amount, -MAXIMUM_BALANCE, MAXIMUM_BALANCE)
    return int(amount.scaleb(2))


def from_cents(cents: int) -> Decimal:
    """The amount that a whole number of cents stands for, with two decimal places."""
    return Decimal(cents).scaleb(-2)


def check_change(change: Decimal) -> None:
    """Refuse a change of balance that no account could see.

    Raises:
        InvalidArgument: it is not an exact amount of cents between -9,999,999.99 and 9,999,999.99.
    """
    _check_money("change", change, -MAXIMUM_BALANCE, MAXIMUM_BALANCE)


def check_customer_id(customer_id: int) -> None:
    """Refuse an id that no customer can have.

    Raises:
        InvalidArgument: it is outside 1..99,999,999.
    """
    _check_integer("customer_id", customer_id, 1, MAXIMUM_CUSTOMER_ID)


def check_page(after: int, limit: int) -> None:
    """Refuse a page that the shop does not hand out.

    Raises:
        InvalidArgument: `after` is outside 0..99,999,999 or `limit` outside 1..100.
    """
    _check_integer("after", after, 0, MAXIMUM_CUSTOMER_ID)
    _check_integer("limit", limit, 1, 100)


def _with_cents(amount: Decimal) -> Decimal:
    # One way to write each amount: 5 and -0.00 are equal to 5.00 and 0.00 but print differently.
    return (amount + 0).quantize(CENT)


def _check_integer(name: str, value: int, low: int, high: int) -> None:
    if type(value) is not int or not low <= value <= high:
        raise InvalidArgument(f"{name} must be a whole number from {low:,} to {high:,}")


def _check_text(name: str, value: str) -> None:
    if not isinstance(value, str) or not 1 <= len(value) <= MAXIMUM_NAME:
        raise InvalidArgument(f"{name} must have 1 to {MAXIMUM_NAME} characters")
    for character in value:
        if unicodedata.category(character) in {"Cc", "Cs"}:
            raise InvalidArgument(f"{name} holds U+{ord(character):04X}, a control character")


def _check_money(name: str, value: Decimal, low: Decimal, high: Decimal) -> None:
    if not isinstance(value, Decimal):
        raise InvalidArgument(f"{name} must be a Decimal; {type(value).__name__} is not exact")
    try:
        # NaN raises InvalidOperation when compared, infinity when quantized.
        in_cents = low <= value <= high and value.quantize(CENT) == value
    except InvalidOperation:
        in_cents = False
    if not in_cents:
        raise InvalidArgument(f"{name} must be from {low:,} to {high:,}, with whole cents")
