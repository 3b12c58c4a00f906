"""The shop as the interface file describes it: each method, over any repository."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from concurrent.futures import Executor
from typing import TypeAlias, TypeVar

import grpc.aio

from remotecalls.grpc.chat import Rooms
from remotecalls.grpc.generated.shop.v1 import shop_pb2, shop_pb2_grpc
from remotecalls.grpc.messages import customer_message, order_message
from remotecalls.grpc.validation import broken_rules, in_words
from remotecalls.shop import InvalidArgument, Shop, ShopError
from remotecalls.shop.domain import from_cents
from remotecalls.shop.offload import off_the_loop

Result = TypeVar("Result")
Context: TypeAlias = grpc.aio.ServicerContext

PAGE = 50
REFUSALS_TOLD = 100


class ShopService(shop_pb2_grpc.ShopServiceServicer):
    """The methods of the interface file. Errors of the shop are raised as they are; see `failing`.

    Args:
        shop: what they are carried out on.
        executor: the threads in which a repository that may wait is called.
    """

    def __init__(self, shop: Shop, executor: Executor) -> None:
        self._shop = shop
        self._executor = executor
        self._rooms = Rooms()

    def add_to(self, server: grpc.aio.Server) -> None:
        """Let a server offer these methods."""
        shop_pb2_grpc.add_ShopServiceServicer_to_server(self, server)  # type: ignore[no-untyped-call]

    async def _run(self, method: Callable[..., Result], *arguments: object) -> Result:
        return await off_the_loop(self._shop, method, *arguments, executor=self._executor)

    async def GetCustomer(  # noqa: N802 - the interface file's name
        self, request: shop_pb2.GetCustomerRequest, context: Context
    ) -> shop_pb2.GetCustomerResponse:
        """Look a customer up."""
        customer = await self._run(self._shop.get_customer, request.customer_id)
        return shop_pb2.GetCustomerResponse(customer=customer_message(customer))

    async def AddCustomer(  # noqa: N802
        self, request: shop_pb2.AddCustomerRequest, context: Context
    ) -> shop_pb2.AddCustomerResponse:
        """Open an account."""
        balance = from_cents(request.balance_cents)
        customer = await self._run(
            self._shop.add_customer, request.customer_id, request.name, balance
        )
        return shop_pb2.AddCustomerResponse(customer=customer_message(customer))

    async def ChangeBalance(  # noqa: N802
        self, request: shop_pb2.ChangeBalanceRequest, context: Context
    ) -> shop_pb2.ChangeBalanceResponse:
        """Add to a balance."""
        change = from_cents(request.change_cents)
        customer = await self._run(self._shop.update_balance, request.customer_id, change)
        return shop_pb2.ChangeBalanceResponse(customer=customer_message(customer))

    async def ListCustomers(  # noqa: N802
        self, request: shop_pb2.ListCustomersRequest, context: Context
    ) -> shop_pb2.ListCustomersResponse:
        """One page of customers."""
        limit = request.limit if request.HasField("limit") else PAGE
        customers = await self._run(self._shop.list_customers, request.after, limit)
        return shop_pb2.ListCustomersResponse(customers=map(customer_message, customers))

    async def PlaceOrder(  # noqa: N802
        self, request: shop_pb2.PlaceOrderRequest, context: Context
    ) -> shop_pb2.PlaceOrderResponse:
        """Order an item and pay for it."""
        order = await self._run(
            self._shop.place_order,
            request.customer_id,
            request.item,
            request.quantity,
            from_cents(request.unit_price_cents),
        )
        return shop_pb2.PlaceOrderResponse(order=order_message(order))

    async def StreamOrders(  # noqa: N802
        self, request: shop_pb2.StreamOrdersRequest, context: Context
    ) -> AsyncGenerator[shop_pb2.StreamOrdersResponse, None]:
        """All orders of a customer. A page is read when the one before has been written."""
        after = 0
        while True:
            page = await self._run(self._shop.list_orders, request.customer_id, after, PAGE)
            for order in page:
                yield shop_pb2.StreamOrdersResponse(order=order_message(order))
            if not page:
                return
            after = page[-1].order_id

    async def BulkAddCustomers(  # noqa: N802
        self, request_iterator: AsyncIterator[shop_pb2.BulkAddCustomersRequest], context: Context
    ) -> shop_pb2.BulkAddCustomersResponse:
        """Open many accounts, each by itself."""
        result = shop_pb2.BulkAddCustomersResponse()
        position = 0
        async for request in request_iterator:
            try:
                await self._add(request.customer)
                result.added += 1
            except ShopError as error:
                result.refused += 1
                if len(result.refusals) < REFUSALS_TOLD:
                    result.refusals.add(
                        position=position,
                        customer_id=request.customer.customer_id,
                        reason=error.code,
                        message=str(error),
                    )
            position += 1
        return result

    async def _add(self, new: shop_pb2.NewCustomer) -> None:
        if broken := broken_rules(new):
            raise InvalidArgument(in_words(broken))
        balance = from_cents(new.balance_cents)
        await self._run(self._shop.add_customer, new.customer_id, new.name, balance)

    async def Chat(  # noqa: N802
        self, request_iterator: AsyncIterator[shop_pb2.ChatRequest], context: Context
    ) -> None:
        """Talk in a room."""
        await self._rooms.chat(request_iterator, context)
