"""One account at several sites, and four ways to say which operations have to be in order.

Money is paid in and drawn out. Paying in commutes with everything, and can be told to the others
later. Drawing out must not go below zero, so whoever decides has to know what the others do.

* `eventual`: each site decides by what it has, answers at once, and tells the others.
* `strong`: the first site decides everything, in its order; the others ask it.
* `marked` (RedBlue): each operation is marked. Paying in is blue: it is done at once, at its own
  site. Drawing out is red: the first site puts it in order. What a client did before is known there
  when its next operation comes, since a link keeps the order of what is sent over it.
* `rebased`: a site answers at once from what the server has confirmed and its own operations that
  are not confirmed yet. The server puts all operations in one order, and decides. When its order
  comes, a site takes its own operations off, puts the confirmed ones in place, and does its own
  again on top of them. What a client was told may then turn out to be otherwise.

Sources: Li and others, "Making Geo-Replicated Systems Fast as Possible, Consistent when Necessary",
OSDI 2012 (RedBlue); Burckhardt and others, "Global Sequence Protocol: A Robust Abstraction for
Replicated Shared State", ECOOP 2015 (server order, and operations that are done again).
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from remotecalls.simulators.parameters import Parameters, choice, integer, to_json

EVENTUAL, STRONG, MARKED, REBASED = "eventual", "strong", "marked", "rebased"
SERVER = 0
"""The site that decides, where one does."""


@dataclass(frozen=True)
class AccountParameters(Parameters):
    """The account, who uses it, and how far apart its sites are."""

    order: str = choice(
        MARKED,
        label="What is in order",
        help="Who decides whether there is enough money, and when a client is answered.",
        options={
            EVENTUAL: "Nothing: each site decides and tells the others later",
            STRONG: "Everything: one site decides",
            MARKED: "What is marked: drawing out",
            REBASED: "Everything, by the server, and clients are ahead of it",
        },
    )
    sites: int = integer(
        3, label="Sites", help="Each has a copy of the account, and clients beside it.",
        minimum=1, maximum=7, step=1, unit="sites",
    )  # fmt: skip
    delay_us: int = integer(
        50_000, label="Network delay", help="One way between two sites, on average.",
        minimum=0, maximum=300_000, step=1_000, unit="µs",
    )  # fmt: skip
    operations: int = integer(
        200, label="Operations", help="Of all sites together.",
        minimum=1, maximum=2_000, step=1, unit="operations",
    )  # fmt: skip
    gap_us: int = integer(
        20_000, label="Time between two operations", help="On average, over all sites.",
        minimum=1_000, maximum=1_000_000, step=1_000, unit="µs",
    )  # fmt: skip
    out_percent: int = integer(
        50, label="Drawn out", help="Of a hundred operations; the others pay in.",
        minimum=0, maximum=100, step=5, unit="%",
    )  # fmt: skip
    most: int = integer(
        20, label="Largest amount", help="Each is from 1 to that.",
        minimum=1, maximum=1_000, step=1, unit="",
    )  # fmt: skip
    opening: int = integer(
        50, label="Opening balance", help="What is in the account at first.",
        minimum=0, maximum=10_000, step=10, unit="",
    )  # fmt: skip


@dataclass
class Movement:
    """An operation, and what became of it.

    Attributes:
        number: in the order in which they were asked for.
        site: where.
        amount: what is to be added; below zero if it is drawn out.
        asked_us: when.
        answered_us: when the client was told.
        told: whether it was told that it is done.
        is_done: whether it is done in the end; None as long as nobody has decided.
    """

    number: int
    site: int
    amount: int
    asked_us: int
    answered_us: int = -1
    told: bool = False
    is_done: bool | None = None

    @property
    def latency_us(self) -> int:
        """How long the client waited."""
        return self.answered_us - self.asked_us

    def is_covered(self, balance: int) -> bool:
        """Whether it may be done with that balance. Money that is paid in is never refused."""
        return self.amount > 0 or balance + self.amount >= 0


@dataclass(frozen=True)
class AccountResult:
    """A run.

    Attributes:
        parameters: what was set.
        seed: what everything was drawn from.
        movements: all operations.
        balances: of each site at the end.
        lowest: the lowest balance that any site ever had of what was decided.
    """

    parameters: AccountParameters
    seed: int
    movements: tuple[Movement, ...]
    balances: tuple[int, ...]
    lowest: int

    @property
    def has_converged(self) -> bool:
        """Whether all sites have the same at the end."""
        return len(set(self.balances)) == 1

    @property
    def taken_back(self) -> tuple[Movement, ...]:
        """Return what a client was told to be done, or not, and turned out to be otherwise."""
        return tuple(each for each in self.movements if each.told != each.is_done)

    def latencies_us(self, *, out: bool) -> list[int]:
        """Return how long clients waited who drew out, or who paid in, sorted."""
        return sorted(each.latency_us for each in self.movements if (each.amount < 0) == out)

    def to_json(self) -> dict[str, Any]:
        """Return all of it."""
        return {
            "parameters": to_json(self.parameters),
            "seed": self.seed,
            "movements": [
                [each.site, each.amount, each.asked_us, each.answered_us, each.told, each.is_done]
                for each in self.movements
            ],
            "balances": list(self.balances),
            "lowest": self.lowest,
        }


@dataclass
class _Site:
    balance: int
    pending: list[Movement] = field(default_factory=list)
    """Of a site that is ahead of the server: what it has done and the server has not decided."""

    def ahead(self) -> int:
        """The balance with what is pending, done again on top of what is decided."""
        balance = self.balance
        for each in self.pending:
            if each.is_covered(balance):
                balance += each.amount
        return balance


class _Run:
    def __init__(self, parameters: AccountParameters, seed: int) -> None:
        self.parameters = parameters
        self.rng = random.Random(seed)
        self.sites = [_Site(parameters.opening) for _ in range(parameters.sites)]
        self.events: list[tuple[int, int, Callable[[int], None]]] = []
        self.count = 0
        self.last_us: dict[tuple[int, int], int] = {}
        self.movements: list[Movement] = []
        self.lowest = parameters.opening
        self.ask = {
            EVENTUAL: self._decide_here,
            STRONG: self._ask_server,
            MARKED: self._ask_if_red,
            REBASED: self._go_ahead,
        }[parameters.order]

    def result(self, seed: int) -> AccountResult:
        """Run until everything has arrived."""
        now_us = 0
        for number in range(self.parameters.operations):
            now_us += round(self.rng.expovariate(1 / self.parameters.gap_us))
            amount = self.rng.randint(1, self.parameters.most)
            if self.rng.randrange(100) < self.parameters.out_percent:
                amount = -amount
            site = self.rng.randrange(self.parameters.sites)
            movement = Movement(number, site, amount, now_us)
            self.movements.append(movement)
            self._at(now_us, partial(self._asked, movement))
        while self.events:
            at_us, _, action = heapq.heappop(self.events)
            action(at_us)
        return AccountResult(
            parameters=self.parameters,
            seed=seed,
            movements=tuple(self.movements),
            balances=tuple(site.balance for site in self.sites),
            lowest=self.lowest,
        )

    # ------------------------------------------------------------ what every order needs

    def _at(self, at_us: int, action: Callable[[int], None]) -> None:
        self.count += 1
        heapq.heappush(self.events, (at_us, self.count, action))

    def _send(self, source: int, target: int, now_us: int, action: Callable[[int], None]) -> None:
        """Let something arrive; a link keeps the order of what is sent over it."""
        delay_us = 0
        if source != target:
            delay_us = int(self.parameters.delay_us * (0.8 + 0.4 * self.rng.random()))
        arrives_us = max(now_us + delay_us, self.last_us.get((source, target), 0))
        self.last_us[source, target] = arrives_us
        self._at(arrives_us, action)

    def _asked(self, movement: Movement, now_us: int) -> None:
        self.ask(movement, now_us)

    def _answer(self, movement: Movement, told: bool, now_us: int) -> None:
        movement.answered_us, movement.told = now_us, told

    def _apply(self, site: int, movement: Movement) -> None:
        self.sites[site].balance += movement.amount
        self.lowest = min(self.lowest, self.sites[site].balance)

    def _tell_the_others(self, source: int, movement: Movement, now_us: int) -> None:
        for site in range(self.parameters.sites):
            if site != source:
                self._send(source, site, now_us, partial(self._arrived, site, movement))

    def _arrived(self, site: int, movement: Movement, _: int) -> None:
        self._apply(site, movement)

    # ------------------------------------------------------------ the four orders

    def _decide_here(self, movement: Movement, now_us: int) -> None:
        """Decide by what this site has."""
        movement.is_done = movement.is_covered(self.sites[movement.site].balance)
        self._answer(movement, movement.is_done, now_us)
        if movement.is_done:
            self._apply(movement.site, movement)
            self._tell_the_others(movement.site, movement, now_us)

    def _ask_server(self, movement: Movement, now_us: int) -> None:
        """Let the first site decide, and wait for it."""
        self._send(movement.site, SERVER, now_us, partial(self._decide_there, movement))

    def _decide_there(self, movement: Movement, now_us: int) -> None:
        movement.is_done = movement.is_covered(self.sites[SERVER].balance)
        if movement.is_done:
            self._apply(SERVER, movement)
        for site in range(self.parameters.sites):
            self._send(SERVER, site, now_us, partial(self._decided, site, movement))

    def _decided(self, site: int, movement: Movement, now_us: int) -> None:
        if movement.is_done and site != SERVER:
            self._apply(site, movement)
        if site == movement.site:
            self._answer(movement, bool(movement.is_done), now_us)

    def _ask_if_red(self, movement: Movement, now_us: int) -> None:
        """Pay in here, and let the first site decide about what is drawn out."""
        if movement.amount > 0:
            self._decide_here(movement, now_us)
        else:
            self._ask_server(movement, now_us)

    def _go_ahead(self, movement: Movement, now_us: int) -> None:
        """Answer from what is confirmed and what is pending; the server decides later."""
        site = self.sites[movement.site]
        self._answer(movement, movement.is_covered(site.ahead()), now_us)
        site.pending.append(movement)
        self._send(movement.site, SERVER, now_us, partial(self._put_in_order, movement))

    def _put_in_order(self, movement: Movement, now_us: int) -> None:
        movement.is_done = movement.is_covered(self.sites[SERVER].balance)
        for site in range(self.parameters.sites):
            if site == SERVER:
                self._rebase(site, movement, now_us)
            else:
                self._send(SERVER, site, now_us, partial(self._rebase, site, movement))

    def _rebase(self, number: int, movement: Movement, _: int) -> None:
        """Put a confirmed operation in its place; what is pending is done again on top of it."""
        site = self.sites[number]
        if movement.is_done:
            self._apply(number, movement)
        if movement.site == number:
            site.pending.remove(movement)


def run(parameters: AccountParameters, seed: int = 1) -> AccountResult:
    """Run the model; equal arguments give equal results on every machine."""
    return _Run(parameters, seed).result(seed)
