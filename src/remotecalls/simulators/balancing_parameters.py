"""What can be set in `balancing`: the calls, the servers, and what is done when one fails."""

from __future__ import annotations

from dataclasses import dataclass

from remotecalls.simulators.parameters import Parameters, integer


@dataclass(frozen=True)
class BalancingParameters(Parameters):
    """Clients that call, servers that answer, and the rules of whoever stands between them."""

    clients: int = integer(
        1, label="Clients", help="Each has one connection to the proxy, or one to each server.",
        minimum=1, maximum=20, step=1, unit="clients",
    )  # fmt: skip
    servers: int = integer(
        3, label="Servers", help="All of them do the same work.",
        minimum=2, maximum=6, step=1, unit="servers",
    )  # fmt: skip
    gap_us: int = integer(
        2_000, label="Time between two calls",
        help="On average, over all clients; the calls do not wait for each other.",
        minimum=1_000, maximum=50_000, step=500, unit="µs",
    )  # fmt: skip
    duration_us: int = integer(
        2_000_000, label="Calls come for", help="How long new calls are made.",
        minimum=500_000, maximum=4_000_000, step=100_000, unit="µs",
    )  # fmt: skip
    work_us: int = integer(
        8_000, label="Work of a call", help="On average, on a server at full speed.",
        minimum=500, maximum=50_000, step=500, unit="µs",
    )  # fmt: skip
    at_once: int = integer(
        4, label="Calls at once", help="How many calls a server works on; more of them wait.",
        minimum=1, maximum=16, step=1, unit="calls",
    )  # fmt: skip
    slow_percent: int = integer(
        100, label="Work on the last server",
        help="How long a call takes on the last server, next to the others: at 300 % three times.",
        minimum=100, maximum=1_500, step=50, unit="%",
    )  # fmt: skip
    fails_at_us: int = integer(
        0, label="The second server fails at",
        help="From then on it answers each call at once, with an error.",
        minimum=0, maximum=4_000_000, step=50_000, unit="µs",
    )  # fmt: skip
    fails_for_us: int = integer(
        0, label="It fails for", help="0: it does not fail.",
        minimum=0, maximum=4_000_000, step=50_000, unit="µs",
    )  # fmt: skip
    joins_at_us: int = integer(
        0, label="The last server joins at", help="Before, nobody knows of it.",
        minimum=0, maximum=4_000_000, step=50_000, unit="µs",
    )  # fmt: skip
    calls_per_connection: int = integer(
        10, label="Calls of a connection",
        help="After so many calls the second strategy closes a connection and opens another.",
        minimum=1, maximum=200, step=1, unit="calls",
    )  # fmt: skip
    setup_us: int = integer(
        3_000, label="Set-up of a connection",
        help="Round trips of the handshake, for which the call that asks for it waits.",
        minimum=0, maximum=100_000, step=500, unit="µs",
    )  # fmt: skip
    hop_us: int = integer(
        500, label="The hop", help="What a proxy of calls adds to each call.",
        minimum=0, maximum=5_000, step=100, unit="µs",
    )  # fmt: skip
    eject_after: int = integer(
        0, label="Eject after",
        help="So many errors in a row, and a proxy of calls leaves a server out. 0: never.",
        minimum=0, maximum=20, step=1, unit="errors",
    )  # fmt: skip
    eject_for_us: int = integer(
        500_000, label="Eject for",
        help="The first time. The next time twice as long, then three times, and so on; each look "
        "that finds the server among the others takes one off.",
        minimum=50_000, maximum=2_000_000, step=50_000, unit="µs",
    )  # fmt: skip
    eject_at_most_percent: int = integer(
        50, label="Eject at most",
        help="So large a share of the servers may be left out at once. With Envoy's default of 10 "
        "nobody is, of nine servers or fewer.",
        minimum=0, maximum=100, step=5, unit="%",
    )  # fmt: skip
    look_every_us: int = integer(
        100_000, label="A look every",
        help="At these times a server comes back whose ejection is over.",
        minimum=10_000, maximum=1_000_000, step=10_000, unit="µs",
    )  # fmt: skip
