"""Advice before, after and around; a transaction that is declared."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal

import pytest

from remotecalls.rest import rest
from remotecalls.rest.aspects import JoinPoint, after, around, before, transactional
from remotecalls.shop import CustomerNotFound, Shop
from remotecalls.shop.sample import stock
from remotecalls.wire.errors import DeadlineExceeded, TransportError
from remotecalls.wire.faults import Drop
from remotecalls.wire.recording import Direction
from remotecalls.wire.tap import Tap


def test_advice_runs_at_the_calls_that_the_pointcut_names() -> None:
    seen: list[str] = []
    shop = before("get_.*|update_.*", lambda at: seen.append(f"{at.name}{at.args}"), stock(Shop()))
    shop.get_customer(42)
    shop.list_customers()
    shop.update_balance(42, Decimal("1.00"))
    assert seen == ["get_customer(42,)", "update_balance(42, Decimal('1.00'))"]


def test_advice_afterwards_runs_also_when_the_call_failed() -> None:
    seen: list[str] = []
    shop = after("get_customer", lambda at: seen.append(at.name), stock(Shop()))
    with pytest.raises(CustomerNotFound):
        shop.get_customer(43)
    assert seen == ["get_customer"]


async def test_advice_after_a_coroutine_method_waits_for_its_end() -> None:
    seen: list[str] = []

    class Remote:
        async def get_customer(self, customer_id: int) -> int:
            seen.append("begun")
            await asyncio.sleep(0)
            seen.append("ended")
            if customer_id != 42:
                raise CustomerNotFound("nobody")
            return customer_id

    shop = after("get_customer", lambda at: seen.append(at.name), Remote())
    assert await shop.get_customer(42) == 42
    with pytest.raises(CustomerNotFound):
        await shop.get_customer(43)
    assert seen == 2 * ["begun", "ended", "get_customer"]


def test_advice_around_a_call_decides_whether_it_happens() -> None:
    shop = stock(Shop())

    def twice(at: JoinPoint) -> object:
        at.proceed()
        return at.proceed()

    around("update_balance", twice, shop).update_balance(42, Decimal("1.00"))
    assert shop.get_customer(42).balance == Decimal("14.30")
    around("update_balance", lambda _: None, shop).update_balance(42, Decimal("1.00"))
    assert shop.get_customer(42).balance == Decimal("14.30")


def test_a_pointcut_that_matches_nothing_is_a_mistake() -> None:
    with pytest.raises(ValueError, match=r"'fetch_\.\*' matches none of .*get_customer"):
        before("fetch_.*", lambda _: None, Shop())


class Transfers:
    def __init__(self, shop: Shop) -> None:
        self.shop = shop

    @transactional
    def transfer(self, source: int, target: int, amount: Decimal) -> None:
        repository = self.shop.repository
        for customer_id, change in ((target, amount), (source, -amount)):
            customer = repository.customer(customer_id)
            if customer is None:
                raise CustomerNotFound(f"there is no customer {customer_id}")
            repository.put_customer(replace(customer, balance=customer.balance + change))


def test_a_declared_transaction_is_all_or_nothing() -> None:
    shop = stock(Shop())
    transfers = Transfers(shop)
    transfers.transfer(7, 42, Decimal("100.00"))
    assert shop.get_customer(42).balance == Decimal("112.30")
    with pytest.raises(CustomerNotFound):
        transfers.transfer(43, 42, Decimal("1.00"))
    assert shop.get_customer(42).balance == Decimal("112.30")


@pytest.mark.parametrize(("pointcut", "paid"), [(".*", "2.00"), ("get_.*|list_.*", "1.00")])
async def test_advice_that_retries_a_remote_call_pays_twice(pointcut: str, paid: str) -> None:
    async def again(at: JoinPoint) -> object:
        try:
            return await at.proceed()
        except TransportError:
            return await at.proceed()

    shop = stock(Shop())
    lost = Drop(direction=Direction.SERVER_TO_CLIENT, connection=0)
    async with (
        rest.serve(shop) as server,
        Tap(server.address, [lost]) as tap,
        rest.connect(tap.address, timeout=0.5) as client,
    ):
        with suppress(DeadlineExceeded):
            await around(pointcut, again, client).update_balance(42, Decimal("1.00"))
    assert shop.get_customer(42).balance - Decimal("12.30") == Decimal(paid)
