"""A shop with something in it, the same on every page and in every lab."""

from __future__ import annotations

from decimal import Decimal

from remotecalls.shop.domain import CustomerExists
from remotecalls.shop.service import Shop


def stock(shop: Shop) -> Shop:
    """Add the sample customers and orders to a shop, once, and give it back."""
    try:
        shop.add_customer(42, "Ada Lovelace", Decimal("12.30"))
    except CustomerExists:
        return shop  # stocked by an earlier run on the same database
    shop.add_customer(7, "Grace Hopper", Decimal("250.00"))
    shop.add_customer(99, "Edsger W. Dijkstra", Decimal("0.05"))
    shop.place_order(7, "nanosecond of wire", 10, Decimal("0.30"))
    shop.place_order(7, "moth, preserved", 1, Decimal("19.47"))
    return shop
