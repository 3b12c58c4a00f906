"""What the chapter on metastable failures shows on a real service: a storm, and coordination."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from dataclasses import dataclass, field

import pytest

from remotecalls.shop import Customer, Shop
from remotecalls.shop.sample import stock
from remotecalls.simulators.capacity.usl import fit
from remotecalls.simulators.metastable.clients import CircuitBreaker
from remotecalls.sockets import pool
from remotecalls.wire.address import Address
from remotecalls.wire.errors import DeadlineExceeded


class SlowShop(Shop):
    """Eight threads can do 160 calls a second."""

    def get_customer(self, customer_id: int) -> Customer:
        time.sleep(0.05)
        return super().get_customer(customer_id)


@dataclass
class Morning:
    """What clients saw in each second."""

    breaker: CircuitBreaker | None = None
    start: float = field(default_factory=time.monotonic)
    answered: Counter[int] = field(default_factory=Counter)
    tries: int = 0

    def now_us(self) -> int:
        return int((time.monotonic() - self.start) * 1_000_000)

    async def request(self, address: Address, retries: int) -> None:
        for _ in range(1 + retries):
            self.tries += 1
            number = self.tries
            if self.breaker and not self.breaker.lets_through(number, self.now_us()):
                return
            try:
                async with pool.connect(address, timeout=0.5) as client:
                    await client.get_customer(42)
            except DeadlineExceeded:
                if self.breaker:
                    self.breaker.failed(number, self.now_us())
            else:
                self.answered[self.now_us() // 1_000_000] += 1
                if self.breaker:
                    self.breaker.succeeded(number)
                return


async def morning(breaker: CircuitBreaker | None = None, retries: int = 3) -> Counter[int]:
    """A hundred a second, four hundred in the third second, and a hundred again."""
    async with pool.serve(stock(SlowShop())) as server, asyncio.TaskGroup() as tasks:
        day, at = Morning(breaker), 0.0
        for rate in (100, 100, 400, 100, 100, 100):
            for _ in range(rate):
                await asyncio.sleep(at - day.now_us() / 1_000_000)
                tasks.create_task(day.request(server.address, retries))
                at += 1 / rate
    return day.answered


async def test_a_spike_of_a_second_ends_a_real_service() -> None:
    answered = await morning()
    assert answered[0] + answered[1] > 150
    assert answered[4] + answered[5] < 20


async def test_a_breaker_brings_the_real_service_back() -> None:
    answered = await morning(CircuitBreaker(failures=5, open_us=1_000_000))
    assert answered[0] + answered[1] > 150
    assert answered[5] > 60


class AgreeingShop(Shop):
    """Each call does 8 ms of its own, and then agrees with the others, one call at a time."""

    def __init__(self, each_ms: float) -> None:
        super().__init__()
        self._agreeing, self._counting = threading.Lock(), threading.Lock()
        self._each_ms = each_ms
        self._active = 0

    def get_customer(self, customer_id: int) -> Customer:
        self._count(1)
        time.sleep(0.008)
        with self._agreeing:
            time.sleep((1 + self._each_ms * (self._active - 1)) / 1_000)
        self._count(-1)
        return super().get_customer(customer_id)

    def _count(self, change: int) -> None:
        with self._counting:
            self._active += change


async def throughput(address: Address, callers: int) -> float:
    async def call(end: float) -> int:
        calls = 0
        async with pool.connect(address, timeout=5) as client:
            while time.monotonic() < end:
                await client.get_customer(42)
                calls += 1
        return calls

    end = time.monotonic() + 0.4
    return sum(await asyncio.gather(*(call(end) for _ in range(callers)))) / 0.4


@pytest.mark.parametrize(("each_ms", "falls"), [(0.0, False), (0.6, True)])
async def test_agreeing_with_all_others_makes_throughput_fall(each_ms: float, falls: bool) -> None:
    """Latency that is linear in what is in work only makes it level off; a real lock does worse."""
    async with pool.serve(stock(AgreeingShop(each_ms))) as server:
        points = [(callers, await throughput(server.address, callers)) for callers in (1, 2, 4, 8)]
    rates = dict(points)
    assert (rates[8] < rates[4]) == falls
    if falls:
        model = fit(points).model
        assert model.coherency > 0.005
        assert model.peak_workers is not None
        assert model.peak_workers < 8
