"""The shop on an Erlang node: an OTP application whose supervisor keeps two servers running.

The servers are `customer_server` and `order_server`, started in this order by
`customer_supervisor`. Their requests stand in their sources, `erlang/*.erl`.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from remotecalls.actors.otp.errors import RemoteFailure
from remotecalls.actors.otp.node import CALL_SECONDS, POLL_SECONDS, OtpNode
from remotecalls.actors.otp.terms import Atom, describe
from remotecalls.simulators.supervision.rules import Strategy
from remotecalls.wire.deadline import Deadline

SUPERVISOR = "customer_supervisor"


@dataclass(frozen=True)
class Report:
    """What a supervisor has told OTP's logger.

    Attributes:
        what: `child_terminated`, `shutdown` when the supervisor gives up, `start_error`.
        child: the child that it is about.
        reason: as Erlang writes it.
    """

    what: str
    child: str
    reason: str


async def start_shop(
    node: OtpNode,
    strategy: Strategy = Strategy.ONE_FOR_ONE,
    *,
    intensity: int = 5,
    period_seconds: int = 60,
) -> None:
    """Start the shop.

    Args:
        node: where.
        strategy: which servers start again when one ends.
        intensity: how many restarts are allowed within the period. One more ends the supervisor,
            its children and with them the shop.
        period_seconds: how long a restart counts.

    Raises:
        RemoteFailure: it did not start, for instance because it is running.
    """
    started = await node.rpc("shop", "run", Atom(strategy.name.lower()), intensity, period_seconds)
    if started != Atom("ok"):
        raise RemoteFailure("shop:run", started, describe(started))


async def stop_shop(node: OtpNode) -> None:
    """Stop the shop, if it is running."""
    await node.rpc("application", "stop", Atom("shop"))


async def is_supervised(node: OtpNode) -> bool:
    """Whether the supervisor is there."""
    return await node.whereis(SUPERVISOR) is not None


async def heals(node: OtpNode, server: str, timeout: float = CALL_SECONDS) -> bool:
    """Kill a server of the shop, and wait for what the supervisor does.

    Returns:
        Whether the server was started again; if not, the supervisor has given up.

    Raises:
        NoSuchServer: the server does not run.
        DeadlineExceeded: neither has happened in time.
    """
    killed = await node.kill(server)
    async with Deadline.after(timeout).enforced():
        while True:
            if not await is_supervised(node):
                return False
            if await node.whereis(server) not in (None, killed):
                return True
            await asyncio.sleep(POLL_SECONDS)


async def reports(node: OtpNode) -> list[Report]:
    """What the node's supervisors have reported, in order."""
    found = await node.rpc("supervisor_reports", "all")
    assert isinstance(found, list)
    return [
        Report(describe(what), describe(child), reason.decode()) for what, child, reason in found
    ]
