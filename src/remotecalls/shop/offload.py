"""A shop under an event loop: what may wait does so in a thread."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from typing import TypeVar

from remotecalls.shop.service import Shop

Result = TypeVar("Result")


async def off_the_loop(
    shop: Shop, method: Callable[..., Result], *args: object, executor: Executor | None = None
) -> Result:
    """Call a method, in a thread if the shop's repository may wait for a disk or another process.

    A method that cannot wait is called at once: a thread would cost more than the call.

    Args:
        shop: whose repository decides.
        method: usually one of the shop's.
        args: its arguments.
        executor: the threads; those of the loop by default.

    Raises:
        ShopError: the shop refused.
    """
    if not shop.repository.may_wait:
        return method(*args)
    return await asyncio.get_running_loop().run_in_executor(executor, method, *args)
