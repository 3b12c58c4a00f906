"""The four steps, each asked which constraints of REST it keeps."""

from __future__ import annotations

import pytest

from remotecalls.bindings import BINDINGS
from remotecalls.rest.constraints import STYLES, find_out
from remotecalls.shop import Shop
from remotecalls.shop.sample import stock

KEPT = {
    "pox": [],
    "resources": ["resources", "safe_methods"],
    "rest": ["resources", "safe_methods", "status_codes", "conditions", "negotiation"],
    "hypermedia": [
        "resources", "safe_methods", "status_codes", "conditions", "negotiation", "links",
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", STYLES)
async def test_each_step_keeps_more_than_the_one_before(name: str) -> None:
    async with BINDINGS[name].serve(stock(Shop())) as server:
        found = await find_out(server.address, STYLES[name])
    assert found.kept() == KEPT[name]
