"""The shop's own rules, over each repository."""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remotecalls.shop import (
    Customer,
    CustomerExists,
    CustomerNotFound,
    InsufficientFunds,
    InvalidArgument,
    Order,
    OrderNotFound,
    Shop,
    ShopError,
)
from remotecalls.shop.database import DatabaseUnavailable, open_repository
from remotecalls.shop.domain import format_money, from_cents, parse_money, to_cents
from remotecalls.shop.repository import MemoryRepository, Repository
from remotecalls.shop.sample import stock
from remotecalls.shop.sqlite import SQLiteRepository
from remotecalls.sockets.messages import Request, carry_out
from strategies import requests


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shop]:
    if request.param == "memory":
        yield Shop(MemoryRepository())
        return
    in_file = str(tmp_path / "shop.db")
    database = in_file if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    with open_repository(database) as repository:
        yield Shop(repository)


def test_an_order_is_paid_from_the_balance(shop: Shop) -> None:
    shop.add_customer(42, "Ada", Decimal("10.00"))
    order = shop.place_order(42, "cards", 3, Decimal("1.20"))
    assert order == Order(1, 42, "cards", 3, Decimal("1.20"))
    assert order.total == Decimal("3.60")
    assert shop.get_customer(42).balance == Decimal("6.40")
    assert list(shop.stream_orders(42)) == [order]


def test_a_refused_order_leaves_nothing_behind(shop: Shop) -> None:
    shop.add_customer(42, "Ada", Decimal("1.00"))
    with pytest.raises(InsufficientFunds, match=r"has 1\.00, which does not cover 2\.40"):
        shop.place_order(42, "cards", 2, Decimal("1.20"))
    assert shop.get_customer(42).balance == Decimal("1.00")
    assert list(shop.stream_orders(42)) == []
    assert shop.place_order(42, "cards", 1, Decimal("0.10")).order_id == 1


def test_domain_errors(shop: Shop) -> None:
    shop.add_customer(42, "Ada", Decimal("1.00"))
    with pytest.raises(CustomerExists):
        shop.add_customer(42, "Bob", Decimal("1.00"))
    with pytest.raises(CustomerNotFound):
        shop.get_customer(43)
    with pytest.raises(CustomerNotFound):
        shop.stream_orders(43)
    with pytest.raises(InvalidArgument, match="balance must be from 0"):
        shop.update_balance(42, Decimal("9999999.99"))
    assert shop.list_customers() == [Customer(42, "Ada", Decimal("1.00"))]


def test_pages_follow_one_another(shop: Shop) -> None:
    for customer_id in [5, 3, 9, 1]:
        shop.add_customer(customer_id, f"c{customer_id}", Decimal(0))
    first = shop.list_customers(limit=3)
    rest = shop.list_customers(after=first[-1].customer_id, limit=3)
    assert [customer.customer_id for customer in first + rest] == [1, 3, 5, 9]


def test_orders_placed_while_streaming_do_not_disturb_the_stream(shop: Shop) -> None:
    shop.add_customer(42, "Ada", Decimal("100.00"))
    for _ in range(120):  # more than two pages
        shop.place_order(42, "cards", 1, Decimal("0.01"))
    seen = []
    for order in shop.stream_orders(42):
        if len(seen) < 60:
            shop.place_order(42, "late", 1, Decimal("0.01"))
        seen.append(order.order_id)
    assert seen == list(range(1, 181))


def test_threads_lose_no_update(shop: Shop) -> None:
    shop.add_customer(42, "Ada", Decimal(0))

    def deposit() -> None:
        for _ in range(50):
            shop.update_balance(42, Decimal("0.01"))

    threads = [threading.Thread(target=deposit) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert shop.get_customer(42).balance == Decimal("4.00")


def _deposit_in_another_process(database: str) -> None:
    with open_repository(database) as repository:
        for _ in range(50):
            Shop(repository).update_balance(42, Decimal("0.01"))


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_processes_on_one_database_lose_no_update(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    in_file = str(tmp_path / "shop.db")
    path = in_file if kind == "sqlite" else request.getfixturevalue("postgres_url")
    with open_repository(path) as repository:
        shop = Shop(repository)
        shop.add_customer(42, "Ada", Decimal(0))
        context = multiprocessing.get_context("spawn")
        others = [context.Process(target=_deposit_in_another_process, args=[path]) for _ in "ab"]
        for process in others:
            process.start()
        for process in others:
            process.join(60)
            assert process.exitcode == 0
        assert shop.get_customer(42).balance == Decimal("1.00")


def test_a_file_keeps_what_was_committed(tmp_path: Path) -> None:
    for _ in range(2):  # the second time, the sample is there already
        with SQLiteRepository(tmp_path / "shop.db") as repository:
            shop = stock(Shop(repository))
            assert shop.get_customer(7).balance == Decimal("227.53")
            assert [order.item for order in shop.stream_orders(7)][1] == "moth, preserved"


def test_postgres_keeps_what_was_committed(postgres_url: str) -> None:
    for _ in range(2):
        with open_repository(postgres_url) as repository:
            shop = stock(Shop(repository))
            assert shop.get_customer(7).balance == Decimal("227.53")
            assert shop.get_order(7, 2).item == "moth, preserved"


@pytest.mark.parametrize(
    ("where", "reason"),
    [
        ("mysql://root@127.0.0.1/shop", "names no database: write a path, sqlite:///"),
        ("/no/such/directory/shop.db", "unable to open database file"),
        ("postgresql://postgres@127.0.0.1:1/postgres", "127.0.0.1"),
    ],
)
def test_a_database_that_cannot_be_used_is_named(where: str, reason: str) -> None:
    with pytest.raises(DatabaseUnavailable, match=reason), open_repository(where):
        pass


def test_an_order_is_found_by_its_number_and_its_customer(shop: Shop) -> None:
    stock(shop)
    assert shop.get_order(7, 2).item == "moth, preserved"
    assert [order.order_id for order in shop.list_orders(7, after=1)] == [2]
    for customer_id, order_id, error in [(7, 3, OrderNotFound), (42, 1, OrderNotFound),
                                         (8, 1, CustomerNotFound)]:  # fmt: skip
        with pytest.raises(error):
            shop.get_order(customer_id, order_id)


def test_the_first_orders_of_several_customers_come_at_once(shop: Shop) -> None:
    stock(shop)
    shop.place_order(42, "cards", 1, Decimal("0.30"))
    found = shop.first_orders([42, 7, 99, 1_000], limit=1)
    assert {key: [order.order_id for order in orders] for key, orders in found.items()} == {
        42: [3],
        7: [1],
        99: [],
        1_000: [],
    }


def test_a_customer_is_replaced_only_as_long_as_it_is_the_same(shop: Shop) -> None:
    stock(shop)
    ada = shop.get_customer(42)
    king = Customer(42, "Ada King", Decimal("1.00"))
    assert shop.replace_customer(ada, king)
    assert not shop.replace_customer(ada, Customer(42, "Ada Byron", Decimal(0)))
    assert shop.get_customer(42) == king
    with pytest.raises(ValueError, match="the same customer"):
        shop.replace_customer(king, Customer(43, "Ada", Decimal(0)))
    with pytest.raises(CustomerNotFound):
        shop.replace_customer(Customer(43, "A", Decimal(0)), Customer(43, "B", Decimal(0)))


def outcome(shop: Shop, request: Request) -> list[object]:
    try:
        return list(carry_out(shop, request))
    except ShopError as error:
        return [type(error), str(error)]


@given(st.lists(requests, max_size=20))
def test_both_repositories_answer_alike(conversation: list[Request]) -> None:
    with SQLiteRepository() as repository:
        in_memory, in_sqlite = Shop(), Shop(repository)
        for request in conversation:
            assert outcome(in_memory, request) == outcome(in_sqlite, request)


@pytest.mark.parametrize("make", [MemoryRepository, SQLiteRepository])
def test_a_transaction_that_raises_is_rolled_back(make: Callable[[], Repository]) -> None:
    repository = make()
    ada, bob = Customer(1, "Ada", Decimal(1)), Customer(2, "Bob", Decimal(2))
    with repository.transaction():
        repository.put_customer(ada)

    def fail() -> None:
        with repository.transaction():
            repository.put_customer(bob)
            repository.put_customer(Customer(1, "Ada", Decimal(9)))
            repository.add_order(Order(1, 1, "cards", 1, Decimal(1)))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    with repository.transaction():
        assert repository.customers(0, 10) == [ada]
        assert repository.orders(1, 0, 10) == []
        assert repository.next_order_id() == 1
    if isinstance(repository, SQLiteRepository):
        repository.close()


@given(st.integers(-999_999_999, 999_999_999))
def test_money_survives_text_and_cents(cents: int) -> None:
    amount = from_cents(cents)
    assert to_cents(amount) == cents
    assert parse_money(format_money(amount)) == amount


@pytest.mark.parametrize("text", ["12", "12.3", "1e3", "NaN", ".50", "1_0.00", "+1.00", "٤.٠٠", ""])
def test_amounts_written_otherwise_are_refused(text: str) -> None:
    with pytest.raises(InvalidArgument, match="is not an amount"):
        parse_money(text)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Customer(0, "Ada", Decimal(0)),
        lambda: Customer(True, "Ada", Decimal(0)),
        lambda: Customer(1, "", Decimal(0)),
        lambda: Customer(1, "x" * 31, Decimal(0)),
        lambda: Customer(1, "a\x85b", Decimal(0)),
        lambda: Customer(1, "Ada", Decimal("-0.01")),
        lambda: Customer(1, "Ada", Decimal("NaN")),
        lambda: Customer(1, "Ada", Decimal("0.005")),
        lambda: Customer(1, "Ada", 0.5),  # type: ignore[arg-type]
        lambda: Order(1, 1, "cards", 0, Decimal(1)),
        lambda: Order(1, 1, "cards", 1, Decimal(0)),
    ],
)
def test_values_outside_the_domain_are_refused(make: Callable[[], object]) -> None:
    with pytest.raises(InvalidArgument):
        make()
