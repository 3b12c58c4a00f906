"""What can be set in `supervision`: how the shop is supervised, what ends in it, and the load.

The tree is always the same: `top` supervises `front` with two web sessions, and `shop` with
`customers`, `orders` and `stock`. `orders` holds a reference to `customers`, `stock` to `orders`.
"""

from __future__ import annotations

from dataclasses import dataclass

from remotecalls.simulators.parameters import Parameters, choice, integer, switch
from remotecalls.simulators.supervision.rules import Restart, Strategy

TOP, FRONT, SHOP = "top", "front", "shop"
WEB_1, WEB_2 = "web-1", "web-2"
CUSTOMERS, ORDERS, STOCK = "customers", "orders", "stock"

CHILDREN = {
    TOP: (FRONT, SHOP),
    FRONT: (WEB_1, WEB_2),
    SHOP: (CUSTOMERS, ORDERS, STOCK),
}
"""Each supervisor's, in the order in which they are started."""

DEPENDS_ON = {ORDERS: CUSTOMERS, STOCK: ORDERS}
"""Whose reference a worker takes when it starts, and calls for each request."""

WORKERS = (WEB_1, WEB_2, CUSTOMERS, ORDERS, STOCK)
ALL = (TOP, FRONT, WEB_1, WEB_2, SHOP, CUSTOMERS, ORDERS, STOCK)
"""Each supervisor before its children, as they stand in the tree."""

KILLED, CRASHED, NORMAL = "killed", "crashed", "normal"


@dataclass(frozen=True)
class SupervisionParameters(Parameters):
    """A supervision tree of a small shop, and what goes wrong in it."""

    strategy: str = choice(
        Strategy.ONE_FOR_ONE.value,
        label="Strategy of shop",
        help="Who is started again with a child of shop that has ended. The other supervisors "
        "are one-for-one.",
        options={
            Strategy.ONE_FOR_ONE.value: "One for one: that child",
            Strategy.ONE_FOR_ALL.value: "One for all: every child",
            Strategy.REST_FOR_ONE.value: "Rest for one: that child and those started after it",
        },
    )
    intensity: int = integer(
        5, label="Intensity", help="So many restarts within the period are allowed to shop and to "
        "front. One more, and the supervisor gives up.",
        minimum=0, maximum=12, step=1, unit="restarts",
    )  # fmt: skip
    period_us: int = integer(
        60_000_000, label="Period", help="The window in which every supervisor counts restarts.",
        minimum=1_000_000, maximum=120_000_000, step=1_000_000, unit="µs",
    )  # fmt: skip
    top_intensity: int = integer(
        3, label="Intensity of top", help="The same for top, which starts whole branches again.",
        minimum=0, maximum=12, step=1, unit="restarts",
    )  # fmt: skip
    victim: str = choice(
        CUSTOMERS,
        label="What is killed",
        help="The process that the kills are aimed at. One that is not there cannot be killed. A "
        "supervisor takes its children with it.",
        options={
            CUSTOMERS: "customers",
            ORDERS: "orders, which calls customers",
            STOCK: "stock, which calls orders",
            WEB_1: "web-1, in the other branch",
            SHOP: "shop, the supervisor",
        },
    )
    restart: str = choice(
        Restart.PERMANENT.value,
        label="Its kind of child",
        help="After which ends it is started again. All other children are permanent.",
        options={
            Restart.PERMANENT.value: "Permanent: after each end",
            Restart.TRANSIENT.value: "Transient: after an abnormal end",
            Restart.TEMPORARY.value: "Temporary: never",
        },
    )
    end: str = choice(
        KILLED,
        label="How it ends",
        help="To its supervisor a crash and a kill are the same: it ended as it should not.",
        options={
            KILLED: "It is killed",
            CRASHED: "It crashes",
            NORMAL: "It ends by itself, as it should",
        },
    )
    first_kill_us: int = integer(
        12_000_000, label="First kill", help="When it ends for the first time.",
        minimum=0, maximum=120_000_000, step=500_000, unit="µs",
    )  # fmt: skip
    kills: int = integer(
        1, label="Kills", help="How often it is tried.",
        minimum=0, maximum=20, step=1, unit="kills",
    )  # fmt: skip
    interval_us: int = integer(
        4_000_000, label="Interval between kills", help="From each to the next.",
        minimum=100_000, maximum=60_000_000, step=100_000, unit="µs",
    )  # fmt: skip
    failing_starts: int = integer(
        0, label="Starts that fail", help="So many starts of the victim fail after the first kill: "
        "it crashes while it starts. A try to start it again counts as one more restart.",
        minimum=0, maximum=60, step=1, unit="starts",
    )  # fmt: skip
    bad_state: bool = switch(
        False,
        label="The cause is next door",
        help="At the first kill, the one that the victim calls gets a record that crashes the "
        "victim whenever it calls; the record is gone when that one is started again. Only for "
        "orders and stock.",
    )
    lets_crash: bool = switch(
        False,
        label="A failed call crashes the caller",
        help="Let it crash: a worker whose call finds nobody ends, and its supervisor sees it. "
        "Otherwise it answers with an error and goes on.",
    )
    start_us: int = integer(
        1_000_000, label="A start takes", help="For a worker. A supervisor has started when all "
        "its children have, one after the other.",
        minimum=100_000, maximum=5_000_000, step=100_000, unit="µs",
    )  # fmt: skip
    stop_us: int = integer(
        500_000, label="A stop takes", help="A worker that is asked to stop ends the request it "
        "works on, and then cleans up for so long.",
        minimum=0, maximum=5_000_000, step=100_000, unit="µs",
    )  # fmt: skip
    shutdown_us: int = integer(
        5_000_000, label="Shutdown", help="A worker that has not stopped by then is killed.",
        minimum=100_000, maximum=10_000_000, step=100_000, unit="µs",
    )  # fmt: skip
    rate: int = integer(
        10, label="Load", help="Requests a second, for all workers together; each goes to one.",
        minimum=0, maximum=40, step=1, unit="/s",
    )  # fmt: skip
    work_us: int = integer(
        100_000, label="Work", help="For a request, on average. A call to another worker takes it "
        "half of that.",
        minimum=10_000, maximum=1_000_000, step=10_000, unit="µs",
    )  # fmt: skip
    duration_us: int = integer(
        60_000_000, label="The run ends after", help="From the start of the first process.",
        minimum=10_000_000, maximum=180_000_000, step=5_000_000, unit="µs",
    )  # fmt: skip
