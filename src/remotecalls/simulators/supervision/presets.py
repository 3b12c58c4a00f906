"""Settings of `supervision` worth a look.

`five-in-sixty` has the numbers of the supervisor in the article *Three Decades of Remote Calls*:
five restarts within 60 seconds.
"""

from __future__ import annotations

from dataclasses import replace

from remotecalls.simulators.parameters import Preset, Simulator
from remotecalls.simulators.supervision.model import run
from remotecalls.simulators.supervision.parameters import (
    CUSTOMERS,
    NORMAL,
    ORDERS,
    SHOP,
    STOCK,
    WEB_1,
    SupervisionParameters,
)
from remotecalls.simulators.supervision.result import SupervisionResult
from remotecalls.simulators.supervision.rules import Restart, Strategy

ONE_KILL = SupervisionParameters()
"""`customers` is killed once, under one-for-one, and starts again within a second."""

_LOOP = replace(ONE_KILL, strategy=Strategy.REST_FOR_ONE.value)

PRESETS = (
    Preset(
        "five-in-sixty",
        "Five restarts in sixty seconds",
        "Five kills of stock are healed, each in a second. The sixth in the same minute is one "
        "too many: shop gives up, and top starts the whole branch again.",
        replace(ONE_KILL, victim=STOCK, kills=6, first_kill_us=10_000_000),
    ),
    Preset(
        "window-moves",
        "The window moves on",
        "Seven kills, one every 13 seconds: the window never holds more than five of them, and "
        "shop does not give up.",
        replace(
            ONE_KILL, victim=STOCK, kills=7, first_kill_us=10_000_000, interval_us=13_000_000,
            duration_us=100_000_000,
        ),
    ),
    Preset(
        "stale-neighbor",
        "One for one leaves a stale neighbor",
        "customers is back after a second, and orders fails every request until the end: it holds "
        "a reference to the process that was killed.",
        ONE_KILL,
    ),
    Preset(
        "let-it-crash",
        "The stale neighbor crashes",
        "orders ends at its first call that finds nobody, and starts with a good reference; stock "
        "follows. One kill has cost three restarts of the five.",
        replace(ONE_KILL, lets_crash=True),
    ),
    Preset(
        "rest-for-one",
        "Rest for one",
        "Those that were started after customers depend on it, and are stopped and started with "
        "it. That takes four seconds, and nothing is stale afterwards.",
        replace(ONE_KILL, strategy=Strategy.REST_FOR_ONE.value),
    ),
    Preset(
        "rest-spares-the-first",
        "Rest for one spares those before",
        "orders is killed. stock is started again with it, and customers, which needs neither, "
        "keeps its mailbox and its state.",
        replace(ONE_KILL, victim=ORDERS, strategy=Strategy.REST_FOR_ONE.value),
    ),
    Preset(
        "one-for-all",
        "One for all costs healthy neighbors",
        "Nobody needs stock. It is killed three times, and each time customers and orders lose "
        "their mailboxes and all that they know.",
        replace(ONE_KILL, victim=STOCK, kills=3, interval_us=12_000_000,
                strategy=Strategy.ONE_FOR_ALL.value),
    ),
    Preset(
        "transient",
        "A transient child that ends as it should",
        "stock has done its work and ends. It is transient, so nobody starts it again; clients "
        "that still come are told at once that nobody is there.",
        replace(ONE_KILL, victim=STOCK, restart=Restart.TRANSIENT.value, end=NORMAL),
    ),
    Preset(
        "temporary",
        "A temporary child",
        "web-1 is killed and stays dead. The supervisor keeps nothing of it, and counts no "
        "restart.",
        replace(ONE_KILL, victim=WEB_1, restart=Restart.TEMPORARY.value),
    ),
    Preset(
        "crash-loop",
        "A crash loop escalates",
        "customers crashes while it starts, seven times. Each try is a restart: shop gives up "
        "after five of them, and top, which tries the whole branch, has more luck.",
        replace(_LOOP, failing_starts=7),
    ),
    Preset(
        "next-door",
        "Escalation heals what a restart cannot",
        "orders crashes whenever it asks customers for one record. It is started again five times, "
        "and the record is still there. When shop gives up, customers is started again too.",
        replace(ONE_KILL, victim=ORDERS, bad_state=True, first_kill_us=10_000_000),
    ),
    Preset(
        "supervisor-killed",
        "The supervisor is killed",
        "Its children are linked to it and end with it. top starts shop, and shop starts them "
        "all, in order.",
        replace(ONE_KILL, victim=SHOP),
    ),
    Preset(
        "top-gives-up",
        "The top gives up",
        "customers never starts again. shop gives up, top tries the branch three times and gives "
        "up too. The web sessions, which were well, end with the system.",
        replace(_LOOP, victim=CUSTOMERS, failing_starts=60),
    ),
)  # fmt: skip

SIMULATOR: Simulator[SupervisionParameters, SupervisionResult] = Simulator(
    name="supervision",
    title="Who is started again",
    parameters=SupervisionParameters,
    run=run,
    presets=PRESETS,
)
