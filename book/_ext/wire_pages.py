r"""Real calls through the wire tap, made while the page is built.

One call, through every binding there is:

.. code-block:: markdown

    ```{one-call}
    ```

Its bytes in two of them, which the reader chooses, beside each other; the two named are the first:

.. code-block:: markdown

    ```{two-calls} binary grpc
    ```

The annotated bytes of some calls through one binding, a call on each line:

.. code-block:: markdown

    ```{wire-view} text
    :caption: An order that the balance does not cover
    get_customer(42)
    place_order(42, "moth", 1, "19.47")
    ```

Nothing here is written by hand: a server is started on a free port of this machine, a tap is put in
front of it, a client calls through the tap, and the page shows what the tap recorded. A page is
read again when the code under ``src/`` changes.
"""

import ast
import asyncio
import inspect
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from html import escape
from pathlib import Path
from typing import Any, ClassVar, get_type_hints

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.typing import ExtensionMetadata, OptionSpec

from execution_cache import note_code
from remotecalls.bindings import BINDINGS, Binding
from remotecalls.shop import Shop, ShopClient, ShopError
from remotecalls.shop.sample import stock
from remotecalls.wire import hexview
from remotecalls.wire.dissection import Dissection, Field, count_bytes
from remotecalls.wire.recording import Direction, Recording

DEADLINE = 10.0
"""Seconds for all calls of one view; they take milliseconds."""

WORDS = {Direction.CLIENT_TO_SERVER: "out", Direction.SERVER_TO_CLIENT: "back"}


class CallError(ValueError):
    """A line that is not a call of the shop."""


@dataclass(frozen=True)
class Call:
    """One call of the shop's interface.

    Attributes:
        method: a method of `ShopClient`.
        arguments: its arguments, of the types the method declares.
        text: the call as it was written.
    """

    method: str
    arguments: tuple[Any, ...]
    text: str

    @classmethod
    def parse(cls, text: str) -> "Call":
        """Read a call such as `get_customer(42)`; amounts of money are written as strings.

        Raises:
            CallError: it is not a call of a method of the shop with literal arguments.
        """
        try:
            expression = ast.parse(text.strip(), mode="eval").body
            if not isinstance(expression, ast.Call) or not isinstance(expression.func, ast.Name):
                raise CallError(f"{text!r} is not a call such as get_customer(42)")
            values = [ast.literal_eval(argument) for argument in expression.args]
        except (SyntaxError, ValueError) as error:
            raise CallError(f"{text!r} is not a call with literal arguments: {error}") from error
        name = expression.func.id
        method = getattr(ShopClient, name, None)
        if method is None or name.startswith("_"):
            raise CallError(f"the shop has no method {name!r}")
        hints = get_type_hints(method)
        try:
            bound = inspect.signature(method).bind(None, *values)
        except TypeError as error:
            raise CallError(f"{text!r}: {error}") from error
        arguments = tuple(
            Decimal(value) if hints.get(parameter) is Decimal else value
            for parameter, value in list(bound.arguments.items())[1:]
        )
        return cls(name, arguments, text.strip())

    async def make(self, client: ShopClient) -> None:
        """Make the call; a refusal of the shop is an answer like any other."""
        try:
            result = getattr(client, self.method)(*self.arguments)
            if isinstance(result, AsyncIterator):
                async for _ in result:
                    pass
            else:
                await result
        except ShopError:
            return


async def record(binding: Binding, calls: Sequence[Call]) -> Recording:
    """Make calls through one binding, one after the other, and return what crossed the wire.

    Raises:
        TransportError: a call did not come back.
        TimeoutError: they took longer than `DEADLINE`.
    """
    with binding.shop() as shop:
        return await _record(binding, stock(shop), calls)


async def _record(binding: Binding, shop: Shop, calls: Sequence[Call]) -> Recording:
    async with (
        asyncio.timeout(DEADLINE),
        binding.serve(shop) as server,
        binding.tap(server.address) as tap,
    ):
        async with binding.connect(tap.address, timeout=DEADLINE) as client:
            for call in calls:
                await call.make(client)
        return tap.recording


def _dissections(binding: Binding, recording: Recording) -> dict[Direction, Dissection]:
    # Some protocols take a connection for each call.
    return {
        direction: binding.dissect(
            b"".join(recording.stream(each, direction) for each in recording.connections), direction
        )
        for direction in Direction
    }


def _ribbon(dissection: Dissection, direction: Direction) -> str:
    """Return the bytes as a row of fields, in order, each with what it says."""
    label = f"{count_bytes(len(dissection.data))} {WORDS[direction]}"
    fields = "".join(_chip(dissection, field) for field in dissection.fields)
    side = "out" if direction is Direction.CLIENT_TO_SERVER else "back"
    return (
        f'<div class="rc-ribbon rc-ribbon-{side}">'
        f'<p class="rc-ribbon-label">{escape(label)}</p><ul>{fields}</ul></div>'
    )


def _chip(dissection: Dissection, field: Field) -> str:
    data = dissection.bytes_of(field)
    return (
        f'<li class="k-{field.kind}"><code>{data.hex(" ")}</code>'
        f"<span>{escape(field.name.rpartition('.')[2])} <b>{escape(field.value)}</b></span></li>"
    )


def _views(dissections: dict[Direction, Dissection], caption: str) -> str:
    """Return the annotated hex views; different captions keep their radio groups apart."""
    return "\n".join(
        hexview.to_html(dissection, f"{caption}: bytes {WORDS[direction]}", style=False)
        for direction, dissection in dissections.items()
    )


class _WireDirective(SphinxDirective):
    def record(self, binding: Binding, calls: Sequence[Call]) -> dict[Direction, Dissection]:
        """Make the calls; the page then depends on the code that answered them."""
        note_code(self.env, self.env.docname)
        return _dissections(binding, asyncio.run(record(binding, calls)))


def _protocols() -> list[Binding]:
    """Oldest first. Some bindings are another server for bytes that are shown already."""
    different = [each for each in BINDINGS.values() if each.bytes_of == each.name]
    return sorted(different, key=lambda binding: (binding.year, binding.name))


class OneCall(_WireDirective):
    """``one-call``: the same call through every protocol, oldest first.

    With ``:bytes:``, the name of the page with `two-calls`, its bytes are linked to; without, they
    are folded away below each.
    """

    option_spec: ClassVar[OptionSpec] = {
        "call": directives.unchanged_required,
        "bytes": directives.unchanged_required,
    }

    def run(self) -> list[nodes.Node]:
        """Return a section for each protocol."""
        try:
            call = Call.parse(self.options.get("call", "get_customer(42)"))
        except CallError as error:
            raise self.error(f"one-call: {error}") from error
        return [self._section(binding, call) for binding in _protocols()]

    def _section(self, binding: Binding, call: Call) -> nodes.section:
        dissections = self.record(binding, [call])
        ribbons = "".join(_ribbon(each, direction) for direction, each in dissections.items())
        content = f'<p class="rc-call-ancestor">After {escape(binding.ancestor)}</p>{ribbons}'
        says = f"Every byte of {escape(binding.title)}, with its label"
        if page := self.options.get("bytes"):
            uri = self.env.app.builder.get_relative_uri(self.env.docname, page)
            content += (
                f'<p class="rc-call-more"><a href="{uri}#bytes-{binding.name}">{says}</a></p>'
            )
        else:
            views = _views(dissections, f"{binding.title}, {call.text}")
            content += f'<details class="rc-call-bytes"><summary>{says}</summary>{views}</details>'
        section = nodes.section(
            "",
            nodes.title("", f"{binding.year}: {binding.title}"),
            nodes.raw("", content, format="html"),
            classes=["rc-call"],
            ids=[nodes.make_id(f"call-{binding.name}")],
            names=[f"call-{binding.name}"],
        )
        self.set_source_info(section)
        self.state.document.note_explicit_target(section, section)
        return section


class TwoCalls(_WireDirective):
    """``two-calls LEFT RIGHT``: the bytes of a call in two protocols, chosen by the reader.

    Without its script the page has all protocols below each other, folded away.
    """

    required_arguments = 2
    option_spec: ClassVar[OptionSpec] = {"call": directives.unchanged_required}

    def run(self) -> list[nodes.Node]:
        """Return the choice and a block for each protocol."""
        try:
            call = Call.parse(self.options.get("call", "get_customer(42)"))
        except CallError as error:
            raise self.error(f"two-calls: {error}") from error
        protocols = _protocols()
        names = [binding.name for binding in protocols]
        for chosen in self.arguments:
            if chosen not in names:
                raise self.error(f"two-calls: no binding {chosen!r}; there is {', '.join(names)}")
        left, right = self.arguments
        choice = "".join(
            f'<label>{place} <select name="{place.lower()}">'
            + "".join(_option(binding, binding.name == chosen) for binding in protocols)
            + "</select></label>"
            for place, chosen in (("Left", left), ("Right", right))
        )
        panels = "".join(self._panel(binding, call) for binding in protocols)
        content = (
            f'<div class="rc-two"><form class="rc-two-choice" hidden>{choice}'
            f'<output aria-live="polite"></output></form><div class="rc-two-panels">{panels}</div>'
            "</div>"
        )
        return [nodes.raw("", content, format="html")]

    def _panel(self, binding: Binding, call: Call) -> str:
        dissections = self.record(binding, [call])
        out, back = (len(dissections[direction].data) for direction in Direction)
        views = _views(dissections, f"{binding.title}, {call.text}")
        return (
            f'<details id="bytes-{binding.name}" data-out="{out}" data-back="{back}">'
            f"<summary>{binding.year}: {escape(binding.title)}</summary>{views}</details>"
        )


def _option(binding: Binding, selected: bool) -> str:
    mark = " selected" * selected
    return f'<option value="{binding.name}"{mark}>{binding.year}: {escape(binding.title)}</option>'


class WireView(_WireDirective):
    """``wire-view NAME``: the annotated bytes of calls through one binding."""

    required_arguments = 1
    has_content = True
    option_spec: ClassVar[OptionSpec] = {"caption": directives.unchanged_required}

    def run(self) -> list[nodes.Node]:
        """Return the two hex views, or an error that says what there is."""
        name = self.arguments[0]
        if name not in BINDINGS:
            raise self.error(f"wire-view: no binding {name!r}; there is {', '.join(BINDINGS)}")
        lines = [line for line in self.content if line.strip()]
        if not lines:
            raise self.error("wire-view: write the calls as content, such as get_customer(42)")
        try:
            calls = [Call.parse(line) for line in lines]
        except CallError as error:
            raise self.error(f"wire-view: {error}") from error
        binding = BINDINGS[name]
        made = ", ".join(call.text for call in calls)
        caption = self.options.get("caption", f"{binding.title}, {made}")
        views = _views(self.record(binding, calls), caption)
        return [nodes.raw("", f'<div class="rc-exchange">{views}</div>', format="html")]


def _add_assets(app: Sphinx) -> None:
    if app.builder.format != "html":
        return
    directory = Path(app.doctreedir).parent / "wire"
    directory.mkdir(parents=True, exist_ok=True)
    target = directory / "wire-view.css"
    if not target.is_file() or target.read_text("utf-8") != hexview.stylesheet():
        target.write_text(hexview.stylesheet(), "utf-8")
    app.config.html_static_path.append(str(directory))
    app.add_css_file("wire-view.css")
    app.add_js_file("wire-view.js", type="module")
    app.add_js_file("two-calls.js", type="module")


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register the directives."""
    app.connect("builder-inited", _add_assets)
    app.add_directive("one-call", OneCall)
    app.add_directive("two-calls", TwoCalls)
    app.add_directive("wire-view", WireView)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
