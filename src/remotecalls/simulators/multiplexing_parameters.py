"""What can be set in `multiplexing`: the page, the path to its server, and both protocols."""

from __future__ import annotations

from dataclasses import dataclass

from remotecalls.simulators.parameters import Parameters, choice, integer
from remotecalls.simulators.tcp import HEADER_BYTES

LARGE_FIRST, SMALL_FIRST, SHUFFLED = "large-first", "small-first", "shuffled"
NO_TLS, TLS_1_3, TLS_1_2 = "tcp", "tls-1.3", "tls-1.2"


@dataclass(frozen=True)
class Handshake:
    """How a connection is set up.

    Attributes:
        round_trips: how often the client waits for the server before it can ask anything.
        up_bytes: what the client sends, headers included.
        down_bytes: the payload of each answer of the server, one a round trip.
    """

    round_trips: int
    up_bytes: int
    down_bytes: tuple[int, ...]

    @property
    def total_bytes(self) -> int:
        """All bytes of it in both directions, headers included."""
        return self.up_bytes + sum(self.down_bytes) + HEADER_BYTES * len(self.down_bytes)


_SYN_OPTIONS_BYTES = 20
_TCP_UP_BYTES = (HEADER_BYTES + _SYN_OPTIONS_BYTES) + HEADER_BYTES

HANDSHAKES = {
    NO_TLS: Handshake(1, _TCP_UP_BYTES, (_SYN_OPTIONS_BYTES,)),
    TLS_1_3: Handshake(
        2, _TCP_UP_BYTES + (517 + 80 + 2 * HEADER_BYTES), (_SYN_OPTIONS_BYTES, 931 + 510)
    ),
    TLS_1_2: Handshake(
        3, _TCP_UP_BYTES + (180 + 93 + 2 * HEADER_BYTES), (_SYN_OPTIONS_BYTES, 775, 242)
    ),
}
"""TCP's three-way handshake (RFC 9293), then TLS: its bytes as counted between two objects of
Python's `ssl` with one P-256 certificate. A chain of certificates makes it larger."""


@dataclass(frozen=True)
class MultiplexingParameters(Parameters):
    """The answers of one page, the link they come over, and the settings of the protocols."""

    large_answers: int = integer(
        2, label="Large answers", help="How many of the page's answers are large.",
        minimum=1, maximum=3, step=1, unit="answers",
    )  # fmt: skip
    large_bytes: int = integer(
        200_000, label="Size of a large answer", help="The body of each large answer.",
        minimum=10_000, maximum=300_000, step=10_000, unit="bytes",
    )  # fmt: skip
    small_answers: int = integer(
        10, label="Small answers", help="How many of the page's answers are small.",
        minimum=0, maximum=16, step=1, unit="answers",
    )  # fmt: skip
    small_bytes: int = integer(
        4_000, label="Size of a small answer", help="The body of each small answer.",
        minimum=500, maximum=20_000, step=500, unit="bytes",
    )  # fmt: skip
    order: str = choice(
        LARGE_FIRST,
        label="Order of the requests",
        help="In which order the client asks. Shuffled: the seed decides.",
        options={
            LARGE_FIRST: "Large ones first",
            SMALL_FIRST: "Small ones first",
            SHUFFLED: "Shuffled",
        },
    )
    connections: int = integer(
        6, label="Connections of the pool",
        help="How many connections the second client, with HTTP/1.1, opens at once. Browsers open "
        "up to six to a server.",
        minimum=1, maximum=6, step=1, unit="connections",
    )  # fmt: skip
    bandwidth_kbps: int = integer(
        10_000, label="Bandwidth", help="How fast the link to the client takes bits.",
        minimum=1_000, maximum=100_000, step=1_000, unit="kbit/s",
    )  # fmt: skip
    one_way_delay_us: int = integer(
        20_000, label="One-way delay", help="How long a bit travels from one host to the other.",
        minimum=500, maximum=150_000, step=500, unit="µs",
    )  # fmt: skip
    loss_per_mille: int = integer(
        0, label="Loss", help="How many of 1,000 data segments are lost; the seed decides which.",
        minimum=0, maximum=50, step=1, unit="per 1,000",
    )  # fmt: skip
    lost_segment: int = integer(
        0, label="Lose one segment",
        help="The data segment of this number is lost, counted over all connections. 0: none.",
        minimum=0, maximum=300, step=1, unit="",
    )  # fmt: skip
    handshake: str = choice(
        TLS_1_3,
        label="Set-up of a connection",
        help="What is exchanged before the first request can be sent.",
        options={
            NO_TLS: "TCP alone: one round trip",
            TLS_1_3: "TCP and TLS 1.3: two round trips",
            TLS_1_2: "TCP and TLS 1.2: three round trips",
        },
    )
    frame_bytes: int = integer(
        16_384, label="Largest frame",
        help="The most that an HTTP/2 stream sends before it is another's turn. 16,384 is what "
        "every peer accepts (RFC 9113).",
        minimum=1_024, maximum=16_384, step=1_024, unit="bytes",
    )  # fmt: skip
    stream_window_bytes: int = integer(
        262_143, label="Window of a stream",
        help="How much of one answer HTTP/2 sends before the client has read it. RFC 9113 starts "
        "with 65,535; browsers ask for more.",
        minimum=16_383, maximum=262_143, step=16_384, unit="bytes",
    )  # fmt: skip
    connection_window_bytes: int = integer(
        262_143, label="Window of the connection",
        help="The same for all answers together. RFC 9113 starts with 65,535 here too.",
        minimum=16_383, maximum=262_143, step=16_384, unit="bytes",
    )  # fmt: skip
    pause_us: int = integer(
        0, label="The first large answer is read after",
        help="Until then the application reads nothing of it, as a player does whose buffer is "
        "full. 0: it reads everything at once.",
        minimum=0, maximum=2_000_000, step=50_000, unit="µs",
    )  # fmt: skip
