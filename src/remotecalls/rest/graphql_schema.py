"""The shop as a graph: the client says which fields it wants, and gets those.

What a query costs is decided by whoever writes it. Three things keep that in bounds: a loader that
turns N questions to the database into one, a limit of depth, and a limit of cost.

Sources: the GraphQL specification (October 2021); DataLoader (Facebook, 2015).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, TypeVar

import strawberry
from graphql import GraphQLError
from strawberry.dataloader import DataLoader
from strawberry.extensions import (
    AddValidationRules,
    MaxAliasesLimiter,
    MaxTokensLimiter,
    QueryDepthLimiter,
)
from strawberry.types import Info

from remotecalls.rest.graphql_cost import limit_cost
from remotecalls.shop import Customer, Order, Shop, ShopError
from remotecalls.shop.domain import format_money, parse_money
from remotecalls.shop.offload import off_the_loop

Result = TypeVar("Result")

DEEPEST = 6
"""Levels of fields; the deepest question that the shop can be asked has four."""
COSTLIEST = 2_000
TOKENS = 2_000
ALIASES = 20
WAITING = 100
"""Orders that a subscriber may be behind before it is dropped."""


@dataclass
class Context:
    """What the resolvers of one request share.

    Attributes:
        shop: what is asked.
        feed: new orders, for subscriptions.
        batched: whether orders are loaded for many customers at once.
    """

    shop: Shop
    feed: Feed
    batched: bool = True
    loader: DataLoader[int, list[Order]] = field(init=False)

    def __post_init__(self) -> None:
        self.loader = DataLoader(load_fn=self._load)

    async def _load(self, customer_ids: list[int]) -> list[list[Order]]:
        found = await self.ask(self.shop.first_orders, customer_ids, 100)
        return [found[each] for each in customer_ids]

    async def ask(self, method: Callable[..., Result], *args: Any) -> Result:
        """Call the shop.

        Raises:
            GraphQLError: the shop refused; its code is in the extensions.
        """
        try:
            return await off_the_loop(self.shop, method, *args)
        except ShopError as error:
            raise GraphQLError(str(error), extensions={"code": error.code}) from error


class Feed:
    """New orders, told to whoever listens."""

    def __init__(self) -> None:
        self._listeners: list[asyncio.Queue[Order | None]] = []

    def tell(self, order: Order) -> None:
        """Tell all listeners. One that is too far behind is dropped instead of waited for."""
        for queue in list(self._listeners):
            if queue.full():
                self._listeners.remove(queue)
                queue.get_nowait()
                queue.put_nowait(None)
            else:
                queue.put_nowait(order)

    async def listen(self) -> AsyncGenerator[Order, None]:
        """Orders from now on."""
        queue: asyncio.Queue[Order | None] = asyncio.Queue(WAITING)
        self._listeners.append(queue)
        try:
            while (order := await queue.get()) is not None:
                yield order
        finally:
            if queue in self._listeners:
                self._listeners.remove(queue)


Here = Info[Context, None]


@strawberry.type(name="Order", description="One item, ordered once.")
class OrderNode:
    """An order as a node of the graph."""

    order_id: int
    customer_id: int
    item: str
    quantity: int
    unit_price: str

    @classmethod
    def of(cls, order: Order) -> OrderNode:
        """The node of an order."""
        price = format_money(order.unit_price)
        return cls(
            order_id=order.order_id,
            customer_id=order.customer_id,
            item=order.item,
            quantity=order.quantity,
            unit_price=price,
        )


@strawberry.type(name="Customer", description="A customer, and what the customer may spend.")
class CustomerNode:
    """A customer as a node of the graph."""

    customer_id: int
    name: str
    balance: str

    @classmethod
    def of(cls, customer: Customer) -> CustomerNode:
        """The node of a customer."""
        balance = format_money(customer.balance)
        return cls(customer_id=customer.customer_id, name=customer.name, balance=balance)

    @strawberry.field(description="The customer's orders, oldest first.")
    async def orders(self, info: Here, after: int = 0, limit: int = 50) -> list[OrderNode]:
        """One page of orders; the first page of many customers in one question."""
        context = info.context
        _check_limit(limit)
        if after == 0 and context.batched:
            first = await context.loader.load(self.customer_id)
            return [OrderNode.of(each) for each in first[:limit]]
        ask = context.ask(context.shop.list_orders, self.customer_id, after, limit)
        return [OrderNode.of(each) for each in await ask]


def _check_limit(limit: int) -> None:
    if not 1 <= limit <= 100:
        text = "limit must be a whole number from 1 to 100"
        raise GraphQLError(text, extensions={"code": "invalid_argument"})


@strawberry.type
class Query:
    """What can be asked."""

    @strawberry.field(description="One customer.")
    async def customer(self, info: Here, customer_id: int) -> CustomerNode:
        """Look a customer up."""
        context = info.context
        return CustomerNode.of(await context.ask(context.shop.get_customer, customer_id))

    @strawberry.field(description="One page of customers, in the order of their ids.")
    async def customers(self, info: Here, after: int = 0, limit: int = 50) -> list[CustomerNode]:
        """One page."""
        context = info.context
        found = await context.ask(context.shop.list_customers, after, limit)
        return [CustomerNode.of(each) for each in found]


@strawberry.type
class Mutation:
    """What can be changed."""

    @strawberry.mutation(description="Open an account.")
    async def add_customer(
        self, info: Here, customer_id: int, name: str, balance: str
    ) -> CustomerNode:
        """Open an account."""
        context = info.context
        args = customer_id, name, await context.ask(parse_money, balance)
        return CustomerNode.of(await context.ask(context.shop.add_customer, *args))

    @strawberry.mutation(description="Pay in, or take away. Not idempotent.")
    async def change_balance(self, info: Here, customer_id: int, change: str) -> CustomerNode:
        """Change the balance."""
        context = info.context
        args = customer_id, await context.ask(parse_money, change)
        return CustomerNode.of(await context.ask(context.shop.update_balance, *args))

    @strawberry.mutation(description="Order an item and pay for it. Not idempotent.")
    async def place_order(
        self, info: Here, customer_id: int, item: str, quantity: int, unit_price: str
    ) -> OrderNode:
        """Place an order."""
        context = info.context
        args = customer_id, item, quantity, await context.ask(parse_money, unit_price)
        order = await context.ask(context.shop.place_order, *args)
        context.feed.tell(order)
        return OrderNode.of(order)


@strawberry.type
class Subscription:
    """What can be followed."""

    @strawberry.subscription(description="Orders placed from now on, of one customer or of all.")
    async def placed_orders(
        self, info: Here, customer_id: Annotated[int | None, strawberry.argument()] = None
    ) -> AsyncGenerator[OrderNode, None]:
        """Follow new orders."""
        async for order in info.context.feed.listen():
            if customer_id in (None, order.customer_id):
                yield OrderNode.of(order)


def create_schema(deepest: int = DEEPEST, costliest: int = COSTLIEST) -> strawberry.Schema:
    """The schema with its limits.

    Args:
        deepest: levels of fields.
        costliest: what a query may cost, as `graphql_cost` counts it.
    """
    extensions: Sequence[Any] = [
        lambda: QueryDepthLimiter(max_depth=deepest),
        lambda: MaxTokensLimiter(max_token_count=TOKENS),
        lambda: MaxAliasesLimiter(max_alias_count=ALIASES),
        lambda: AddValidationRules([limit_cost(costliest)]),
    ]
    return strawberry.Schema(Query, Mutation, Subscription, extensions=list(extensions))
