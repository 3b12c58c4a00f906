"""The drawing of a supervision tree at one moment: of the simulator's, and of a running system's.

A row a process, from top to bottom in the order of the starts, indented below its supervisor. A
supervisor has corners, a worker is round. In its box a sign says the state, as the word behind it
does. Arrows at the right are messages from row to row, with their names and counts; where there is
no room for a name, and for messages from outside the tree, a list below has it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count

from remotecalls.figures import svg
from remotecalls.figures.supervision_messages import arrows_of, draw_arrows, listed
from remotecalls.figures.svg import Markup, element, line, text
from remotecalls.simulators.supervision.snapshot import Flow, Kind, Node, State

TONES = {
    State.STARTING: "c1",
    State.RUNNING: "good",
    State.STOPPING: "c2",
    State.DEAD: "muted",
    State.STALE: "bad",
}
"""The color of each state, here and in the lanes; a sign and a texture say the same."""

_ROW = 26.0
_BOX = 20.0
_INDENT = 18.0
_LEFT = 4.0

MOST_CHILDREN = 12
"""Of a supervisor with more children the first ones are drawn, and the others counted."""

_MOST_SAID = 24


@dataclass(frozen=True)
class _Place:
    """Where a node stands; one that stands for others counts them instead."""

    node: Node
    parent: int | None
    x: float
    y: float
    others: str = ""


def draw_tree(snapshot: Node, flows: Sequence[Flow] = (), width: int = svg.WIDE) -> str:
    """Draw a supervision tree and the messages in it.

    Args:
        snapshot: the process at the top, with all below it.
        flows: how many messages went from whom to whom; several of one pair are one arrow.
        width: of the drawing in CSS pixels, from `svg.NARROW` on; at this width its text is 12 px.

    Returns:
        SVG text with a text alternative.

    Raises:
        ValueError: the width is too narrow for the labels.
    """
    svg.check_width(width)
    legend, top = svg.legend(_explained(), width)
    drawn, height = tree(snapshot, flows, width)
    parts = [legend, element("g", drawn, transform=f"translate(0 {top + 4:g})")]
    return svg.picture(width, round(top + 4 + height), describe_tree(snapshot, flows), parts)


def _explained() -> dict[str, Markup]:
    return {
        "supervisor": _outline(0, 2, 18, 14, Kind.SUPERVISOR, "ink"),
        "worker": _outline(0, 2, 18, 14, Kind.WORKER, "ink"),
        "restarts": _turn(8, 9),
        "messages that wait": _envelope(2, 4),
    }


def tree(snapshot: Node, flows: Sequence[Flow], width: int) -> tuple[Markup, float]:
    """Return the rows, the arrows and the list, from 0 downwards; and where they end."""
    places = list(_places(snapshot, width))
    rows = {place.node.name: place.y for place in places if not place.others}
    deepest = max(place.x for place in places)
    longest = max(len(place.node.name) for place in places if not place.others)
    wide = min(longest * svg.LETTER_PIXELS + 30, width * 0.36 - deepest + _LEFT)
    state_x = deepest + wide + 8
    facts_x = state_x + max(len(state) for state in State) * svg.LETTER_PIXELS + 4
    parts = [_link(place, places[place.parent]) for place in places if place.parent is not None]
    for place in places:
        if place.others:
            parts.append(text(place.others, place.x + 4, place.y + 4, tone="muted"))
            continue
        parts.append(_box(place, wide))
        tone = TONES[place.node.state]
        parts.append(text(place.node.state, state_x, place.y + 4, tone=tone))
        parts.append(_facts(place.node, facts_x, place.y))
    bottom = places[-1].y + _ROW / 2
    arrows = arrows_of(flows, rows)
    crossed = [
        place.node for place in places
        if any(arrow.top - _ROW < place.y < arrow.bottom + _ROW for arrow in arrows)
    ]  # fmt: skip
    arrows_x = facts_x + max([_facts_width(node) for node in crossed], default=0.0) + 6
    drawn, unnamed = draw_arrows(arrows, arrows_x, width)
    parts.append(drawn)
    below, bottom = listed(flows, rows, unnamed, bottom, width)
    parts.append(below)
    return svg.join(parts), bottom + 4


def _places(top: Node, width: int) -> Iterator[_Place]:
    """Yield the place of each node, a row after the other."""
    rows = count()
    deepest = max(_depths(top))
    indent = min(_INDENT, width / 6 / deepest) if deepest else 0.0

    def visit(node: Node, depth: int, parent: int | None, others: str = "") -> Iterator[_Place]:
        row = next(rows)
        yield _Place(node, parent, _LEFT + depth * indent, (row + 0.5) * _ROW, others)
        if others:
            return
        shown, rest = _shown(node)
        for child in shown:
            yield from visit(child, depth + 1, row)
        if rest:
            yield from visit(rest[0], depth + 1, row, _counted(rest))

    return visit(top, 0, None)


def _shown(node: Node) -> tuple[tuple[Node, ...], tuple[Node, ...]]:
    """The children that are drawn, and those that are counted."""
    if len(node.children) <= MOST_CHILDREN:
        return node.children, ()
    return node.children[: MOST_CHILDREN - 1], node.children[MOST_CHILDREN - 1 :]


def _counted(nodes: Sequence[Node]) -> str:
    counts = {state: sum(node.state is state for node in nodes) for state in State}
    states = ", ".join(f"{number:,} {state}" for state, number in counts.items() if number)
    return f"and {len(nodes):,} more: {states}"


def _depths(node: Node, depth: int = 0) -> Iterator[int]:
    yield depth
    for child in _shown(node)[0]:
        yield from _depths(child, depth + 1)


def _link(place: _Place, parent: _Place) -> Markup:
    x = parent.x + min(8.0, (place.x - parent.x) / 2)
    return svg.join(
        [
            line(x, parent.y + _BOX / 2, x, place.y, tone="line"),
            line(x, place.y, place.x, place.y, tone="line"),
        ]
    )


def _outline(
    x: float, y: float, width: float, height: float, kind: Kind, tone: str,
    *, fill: float = 0.0, dashed: bool = False,
) -> Markup:  # fmt: skip
    style = f"fill:{svg.color(tone)};fill-opacity:{fill:g};stroke:{svg.color(tone)}"
    if kind is Kind.SUPERVISOR:
        style += ";stroke-width:2px"
    if dashed:
        style += ";stroke-dasharray:3 2"
    radius = 0 if kind is Kind.SUPERVISOR else height / 2
    return element("rect", x=x, y=y, width=width, height=height, rx=radius, style=style)


def _box(place: _Place, width: float) -> Markup:
    node, tone = place.node, TONES[place.node.state]
    letters = int((width - 28) / svg.LETTER_PIXELS)
    name = node.name if len(node.name) <= letters else f"{node.name[: letters - 1]}…"
    is_up = node.state in (State.RUNNING, State.STALE)
    outline = _outline(
        place.x, place.y - _BOX / 2, width, _BOX, node.kind, tone,
        fill=0.12 if is_up else 0.0, dashed=not is_up,
    )  # fmt: skip
    is_bold = node.kind is Kind.SUPERVISOR
    label = text(
        name, place.x + 22, place.y + 4, bold=is_bold,
        tone="muted" if node.state is State.DEAD else "ink",
    )  # fmt: skip
    return svg.join([outline, sign(node.state, place.x + 11, place.y), label])


def sign(state: State, x: float, y: float) -> Markup:
    """Return the sign of a state, about ten pixels wide, around a point."""
    color = svg.color(TONES[state])
    stroke = f"fill:none;stroke:{color};stroke-width:2px"
    if state is State.RUNNING:
        return svg.dot(x, y, 5.0, tone=TONES[state])
    if state is State.STARTING:
        return element("path", d=f"M{x - 4:.1f} {y + 2:.1f}l4 -5l4 5", style=stroke)
    if state is State.STOPPING:
        return element("path", d=f"M{x - 4:.1f} {y - 2:.1f}l4 5l4 -5", style=stroke)
    if state is State.DEAD:
        return element(
            "path", d=f"M{x - 4:.1f} {y - 4:.1f}l8 8m0 -8l-8 8", style=stroke
        )  # fmt: skip
    ring = element("circle", cx=x, cy=y, r=4.5, style=stroke)
    slash = element("path", d=f"M{x - 5:.1f} {y + 5:.1f}l10 -10", style=stroke)
    return svg.join([ring, slash])


def _facts(node: Node, x: float, y: float) -> Markup:
    """Restarts, waiting messages and the strategy, as far as there are any."""
    parts: list[Markup] = []
    for number, icon in ((node.restarts, _turn(6, 0)), (node.mailbox, _envelope(0, -5))):
        if number:
            parts.append(element("g", icon, transform=f"translate({x:.1f} {y:.1f})"))
            parts.append(text(f"{number:,}", x + 17, y + 4))
            x += _fact_width(number)
    if node.strategy is not None:
        parts.append(text(node.strategy, x, y + 4, tone="muted"))
    return svg.join(parts)


def _facts_width(node: Node) -> float:
    """How wide they are, with room for two digits, so that nothing moves when they come."""
    width = _fact_width(max(node.restarts, 10))
    if node.strategy is None:
        return width + _fact_width(max(node.mailbox, 10))
    return width + len(node.strategy) * svg.LETTER_PIXELS


def _fact_width(number: int) -> float:
    return 17 + len(f"{number:,}") * svg.LETTER_PIXELS + 7


def _turn(x: float, y: float) -> Markup:
    """An arrow that goes round: a restart."""
    style = f"fill:none;stroke:{svg.color('ink')};stroke-width:1.5px"
    arc = f"M{x + 3.5:.1f} {y - 3.5:.1f}A5 5 0 1 0 {x + 5:.1f} {y + 0.5:.1f}"
    head = f"M{x - 0.5:.1f} {y - 3:.1f}h4.5v-4"
    return element("path", d=arc + head, style=style)


def _envelope(x: float, y: float) -> Markup:
    style = f"fill:none;stroke:{svg.color('ink')}"
    d = f"M{x:.1f} {y:.1f}h14v10h-14zl7 6l7 -6"
    return element("path", d=d, style=style)


# ---------------------------------------------------------------- words


def describe_tree(snapshot: Node, flows: Sequence[Flow] = ()) -> str:
    """Say in words what the drawing shows."""
    sentences = list(_all_said(snapshot))
    sentences.extend(
        f"{flow.sender} sent {flow.receiver} {flow.count:,} times {flow.message}."
        for flow in flows[:_MOST_SAID]
    )
    if len(flows) > _MOST_SAID:
        sentences.append(f"And {len(flows) - _MOST_SAID:,} more messages.")
    return " ".join(sentences)


def _all_said(node: Node) -> Iterator[str]:
    yield _said(node)
    shown, rest = _shown(node)
    for child in shown:
        yield from _all_said(child)
    if rest:
        yield f"Below {node.name} {_counted(rest)}."


def _said(node: Node) -> str:
    facts = [node.state.value]
    if node.strategy is not None:
        facts.append(node.strategy.value)
    if node.restarts:
        facts.append(f"restarts {node.restarts:,}")
    if node.mailbox:
        facts.append(f"waiting messages {node.mailbox:,}")
    shown, rest = _shown(node)
    names = ", ".join(child.name for child in shown)
    below = f" over {names}" if names else ""
    if rest:
        below += f" and {len(rest):,} more"
    return f"{node.kind.value.capitalize()} {node.name}{below}: {', '.join(facts)}."
