"""The messages in the drawing of a supervision tree: arrows from row to row, and a list."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from remotecalls.figures import svg
from remotecalls.figures.svg import Markup, element, text
from remotecalls.simulators.supervision.snapshot import Flow

_LEFT = 4.0
_LANE = 11.0
_LINE = 16.0
_FIXED = "\u00a0"
"""A space at which no line ends."""
_MOST_LISTED = 8

Pair = tuple[str, str]


@dataclass(frozen=True)
class Arrow:
    """The messages of a pair: from which height to which, and what is written beside."""

    pair: Pair
    from_y: float
    to_y: float
    label: str
    count: int

    @property
    def top(self) -> float:
        """The height of the upper end."""
        return min(self.from_y, self.to_y)

    @property
    def bottom(self) -> float:
        """The height of the lower end."""
        return max(self.from_y, self.to_y)


def _pairs(flows: Sequence[Flow]) -> dict[Pair, list[Flow]]:
    found: dict[Pair, list[Flow]] = {}
    for flow in flows:
        found.setdefault((flow.sender, flow.receiver), []).append(flow)
    return found


def _arrow(pair: Pair, flows: list[Flow], rows: dict[str, float]) -> Arrow:
    """Let an arrow leave its row near the middle, and come in near the edge that is nearer."""
    sender, receiver = (rows[name] for name in pair)
    toward = 1 if receiver > sender else -1
    label = ", ".join(f"{flow.message} {flow.count:,}" for flow in flows)
    total = sum(flow.count for flow in flows)
    return Arrow(pair, sender + 2 * toward, receiver - 7 * toward, label, total)


def arrows_of(flows: Sequence[Flow], rows: dict[str, float]) -> list[Arrow]:
    """The arrows between rows, the short ones first."""
    arrows = [
        _arrow(pair, found, rows)
        for pair, found in _pairs(flows).items()
        if pair[0] != pair[1] and all(name in rows for name in pair)
    ]
    return sorted(arrows, key=lambda arrow: (arrow.bottom - arrow.top, arrow.top))


def draw_arrows(arrows: Sequence[Arrow], left: float, width: int) -> tuple[Markup, list[Pair]]:
    """Draw the arrows; return the pairs as well whose messages there is no room to name."""
    lane_of = _lanes(arrows)
    parts: list[Markup] = []
    unnamed: list[Pair] = []
    across = (max(lane_of.values(), default=0) + 1) * _LANE + 8
    longest = max((len(f"{arrow.count:,}") for arrow in arrows), default=0)
    # A count has room in any case, if need be at the cost of what stands at the left.
    left = min(left, width - 4 - across - longest * svg.LETTER_PIXELS)
    label_x = left + across
    free = width - 4 - label_x
    below = 0.0
    for arrow in sorted(arrows, key=lambda arrow: (arrow.top + arrow.bottom, arrow.pair)):
        x = left + (lane_of[arrow.pair] + 1) * _LANE
        parts.append(_path(arrow, left, x))
        y = max((arrow.top + arrow.bottom) / 2, below)
        below = y + _LINE - 2
        label = arrow.label
        if arrow.pair[::-1] in lane_of:  # which of the two is meant
            label = f"{'↓' if arrow.to_y > arrow.from_y else '↑'} {label}"
        if len(label) * svg.LETTER_PIXELS > free:
            label = f"{arrow.count:,}"
            unnamed.append(arrow.pair)
        parts.append(text(label, label_x, y + 4))
    return svg.join(parts), unnamed


def _lanes(arrows: Sequence[Arrow]) -> dict[Pair, int]:
    """Give each arrow the first lane, from the left, in which it crosses no other."""
    lanes: list[list[Arrow]] = []
    found: dict[Pair, int] = {}
    for arrow in arrows:
        free = [
            number
            for number, lane in enumerate(lanes)
            if all(arrow.bottom < other.top or other.bottom < arrow.top for other in lane)
        ]
        if not free:
            free = [len(lanes)]
            lanes.append([])
        lanes[free[0]].append(arrow)
        found[arrow.pair] = free[0]
    return found


def _path(arrow: Arrow, left: float, x: float) -> Markup:
    toward = 4 if arrow.to_y > arrow.from_y else -4
    style = f"fill:none;stroke:{svg.color('c4')};stroke-width:1.5px"
    d = (
        f"M{left:.1f} {arrow.from_y:.1f}H{x - 4:.1f}q4 0 4 {toward}"
        f"V{arrow.to_y - toward:.1f}q0 {toward} -4 {toward}H{left:.1f}"
        f"m5 -3.5l-5 3.5l5 3.5"
    )
    return element("path", d=d, style=style)


def listed(
    flows: Sequence[Flow], rows: dict[str, float], unnamed: list[Pair], y: float, width: int
) -> tuple[Markup, float]:
    """The messages that no arrow names, in sentences; and where they end below."""
    groups: dict[tuple[str, str], list[Flow]] = {}
    for flow in flows:
        pair = flow.sender, flow.receiver
        if pair in unnamed or pair[0] == pair[1] or not all(name in rows for name in pair):
            groups.setdefault((flow.sender, flow.message), []).append(flow)
    ordered = sorted(groups, key=lambda group: (rows.get(group[0], 0.0), group))
    sentences = []
    for sender, message in ordered[:_MOST_LISTED]:
        found = sorted(groups[sender, message], key=lambda flow: rows.get(flow.receiver, 0.0))
        receivers = ", ".join(
            f"{flow.receiver}{_FIXED}{flow.count:,}" for flow in found[:_MOST_LISTED]
        )
        more = f", {len(found) - _MOST_LISTED:,} more" if len(found) > _MOST_LISTED else ""
        sentences.append(f"{sender}: {message} to {receivers}{more}")
    if len(ordered) > _MOST_LISTED:
        sentences.append(f"and {len(ordered) - _MOST_LISTED:,} more")
    parts: list[Markup] = []
    for sentence in sentences:
        for row in _wrapped(sentence, width - 8):
            y += _LINE
            parts.append(text(row, _LEFT, y, tone="muted"))
    return svg.join(parts), y + (4 if parts else 0)


def _wrapped(sentence: str, width: float) -> list[str]:
    letters = int(width / svg.LETTER_PIXELS)
    rows = [""]
    for word in sentence.split(" "):
        if rows[-1] and len(rows[-1]) + 1 + len(word) > letters:
            rows.append("  " + word)
        else:
            rows[-1] = f"{rows[-1]} {word}" if rows[-1] else word
    return rows
