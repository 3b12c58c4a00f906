"""A running actor system as a lab shows it: its supervision tree, and who sends what to whom."""

from __future__ import annotations

from dataclasses import dataclass

from remotecalls.figures.supervision_tree import describe_tree, draw_tree
from remotecalls.simulators.supervision.snapshot import Flow, Node

WIDTH = 480
"""Of the drawing, in CSS pixels. A page cannot ask for another one later: narrow enough that its
text is legible on a telephone, where the drawing shrinks."""


@dataclass(frozen=True)
class TreePicture:
    """A supervision tree at the moment at which it was asked for; it does not change any more.

    Attributes:
        snapshot: the process at the top, with all below it.
        flows: how many messages went from whom to whom.
    """

    snapshot: Node
    flows: tuple[Flow, ...] = ()

    def __repr__(self) -> str:
        """Return what the picture shows, in words: a line a process, and a line a flow."""
        return describe_tree(self.snapshot, self.flows).replace(". ", ".\n")

    def _repr_html_(self) -> str:
        """Return the picture, which carries its own text alternative."""
        return f'<figure class="rc-panel">{draw_tree(self.snapshot, self.flows, WIDTH)}</figure>'
