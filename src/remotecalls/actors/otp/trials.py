"""What callers see of a server that is killed, or given new code, while they call it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from remotecalls.actors.otp.errors import NoSuchServer, ServerDown
from remotecalls.actors.otp.node import OtpNode
from remotecalls.actors.otp.terms import Atom, Term
from remotecalls.actors.otp.upgrade import upgrade

SERVER = "customer_server"
TRIAL_SECONDS = 60.0
RESTART_SECONDS = 5.0
ROUNDS = 2_000
"""Of the digest that a caller asks for: about a millisecond, so that calls wait for each other."""


@dataclass
class Tally:
    """What became of each call.

    Attributes:
        answered: calls that were answered.
        lost: calls whose server ended before it had answered.
        refused: calls that came while nobody had the name.
        slowest_seconds: of the calls that were answered.
        answers: every answer that differs from the one that came before it.
    """

    answered: int = 0
    lost: int = 0
    refused: int = 0
    slowest_seconds: float = 0.0
    answers: list[Term] = field(default_factory=list)

    @property
    def made(self) -> int:
        """All calls."""
        return self.answered + self.lost + self.refused


async def kill_under_load(
    node: OtpNode, *, kills: int, callers: int = 8, calls_between: int = 100
) -> Tally:
    """Kill the customers' server again and again while it is called.

    Args:
        node: where the shop runs, with an intensity of at least as many restarts.
        kills: how often.
        callers: how many call at the same time, each again as soon as it knows how its last call
            ended.
        calls_between: how many calls are answered before each kill and after the last.

    Raises:
        ExceptionGroup: of `DeadlineExceeded`, if the server did not come back.
    """
    async with _callers(node, callers, (Atom("fingerprint"), ROUNDS)) as tally:
        for _ in range(kills):
            await _further(tally, calls_between)
            killed = await node.kill(SERVER)
            await node.restarted(SERVER, killed, RESTART_SECONDS)
        await _further(tally, calls_between)
    return tally


async def upgrade_under_load(
    node: OtpNode, beam: bytes, *, callers: int = 8, calls_around: int = 100
) -> Tally:
    """Give the customers' server new code while it is called, and ask it for its version.

    Args:
        node: where the shop runs.
        beam: the new code, compiled.
        callers: how many call at the same time.
        calls_around: how many calls are answered before and after.

    Raises:
        ExceptionGroup: of `RemoteFailure`, if the server does not take the code.
    """
    async with _callers(node, callers, Atom("version")) as tally:
        await _further(tally, calls_around)
        await upgrade(node, SERVER, beam)
        await _further(tally, calls_around)
    return tally


@asynccontextmanager
async def _callers(node: OtpNode, count: int, request: Term) -> AsyncIterator[Tally]:
    """Callers that go on until the block ends; then each finishes the call that it is in."""
    tally = Tally()
    enough = asyncio.Event()

    async def call_on() -> None:
        while not enough.is_set():
            start = time.monotonic()
            try:
                answer = await node.call(SERVER, request, TRIAL_SECONDS)
            except NoSuchServer:
                tally.refused += 1
            except ServerDown:
                tally.lost += 1
            else:
                tally.answered += 1
                tally.slowest_seconds = max(tally.slowest_seconds, time.monotonic() - start)
                if not tally.answers or tally.answers[-1] != answer:
                    tally.answers.append(answer)

    async with asyncio.timeout(TRIAL_SECONDS), asyncio.TaskGroup() as group:
        for _ in range(count):
            group.create_task(call_on())
        try:
            yield tally
        finally:
            enough.set()


async def _further(tally: Tally, calls: int) -> None:
    """Wait until so many more calls have been answered."""
    until = tally.answered + calls
    while True:
        if tally.answered >= until:
            return
        await asyncio.sleep(0.001)
