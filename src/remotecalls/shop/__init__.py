"""The running example: a small shop with customers and orders.

The domain does no input or output. It is the one service behind every protocol of the book, so
that what differs between two measurements is the protocol.
"""

from remotecalls.shop.domain import (
    Customer,
    CustomerExists,
    CustomerNotFound,
    InsufficientFunds,
    InvalidArgument,
    Order,
    OrderNotFound,
    ShopError,
)
from remotecalls.shop.interface import ShopClient
from remotecalls.shop.service import Shop

__all__ = [
    "Customer",
    "CustomerExists",
    "CustomerNotFound",
    "InsufficientFunds",
    "InvalidArgument",
    "Order",
    "OrderNotFound",
    "Shop",
    "ShopClient",
    "ShopError",
]
