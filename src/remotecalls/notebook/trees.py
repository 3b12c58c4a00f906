"""A running actor system as a lab shows it: its supervision tree, and who sends what to whom."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import ipywidgets
from IPython.display import display

from remotecalls.actors import ActorSystem
from remotecalls.actors.view import Flows
from remotecalls.figures.supervision_tree import describe_tree, draw_tree
from remotecalls.simulators.supervision.snapshot import Flow, Node

WIDTH = 480
"""Of the drawing, in CSS pixels. A page cannot ask for another one later: narrow enough that its
text is legible on a telephone, where the drawing shrinks."""


EVERY_SECONDS = 0.1
"""How often a living picture is drawn; a drawing takes some milliseconds."""

_WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"


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


class LivingTree:
    """The tree of a system as it is now, in a widget, which a running kernel shows.

    Attributes:
        widget: the picture.
    """

    def __init__(self, system: ActorSystem, flows: Flows) -> None:
        self._system = system
        self._flows = flows
        self.widget = ipywidgets.HTML()
        self.draw()

    def picture(self) -> TreePicture:
        """Return what there is to see at this moment."""
        return TreePicture(self._system.snapshot(), self._flows.seen())

    def draw(self) -> None:
        """Show what there is to see at this moment."""
        self.widget.value = self.picture()._repr_html_()

    async def draw_on(self) -> None:
        """Draw again and again, until somebody cancels it."""
        while True:
            await asyncio.sleep(EVERY_SECONDS)
            self.draw()

    def __repr__(self) -> str:
        """Return what stands in its place where no kernel runs."""
        return "While this cell runs, the tree is drawn here anew ten times a second."

    def _repr_mimebundle_(self, **_: object) -> dict[str, object]:
        """Return the widget, and a sentence for where no kernel runs."""
        view: object = self.widget._repr_mimebundle_()[_WIDGET_VIEW]
        return {"text/plain": repr(self), _WIDGET_VIEW: view}


@asynccontextmanager
async def living_tree(system: ActorSystem) -> AsyncIterator[Flows]:
    """Show a running system for as long as the block lasts, and the last picture after it.

    Yields:
        the messages that are counted meanwhile.
    """
    with system.watched() as flows:
        tree = LivingTree(system, flows)
        display(tree)  # type: ignore[no-untyped-call]
        drawing = asyncio.create_task(tree.draw_on())
        try:
            yield flows
        finally:
            drawing.cancel()
            await asyncio.wait({drawing})
            tree.widget.close()
            display(tree.picture())  # type: ignore[no-untyped-call]
