"""A figure that moves: a simulator, drawn at build time, run again in the reader's browser.

.. code-block:: markdown

    ```{live-figure} framing
    :preset: small-buffer
    :seed: 1
    :caption: recv(64) returns at most 64 bytes.
    :show: framing, gap_us, recv_bytes
    :name: figure-small-buffer
    ```

The page holds the drawing of the preset, its text alternative, its tables, and the settings as a
form that is disabled: without JavaScript and in print it is a static figure. The button "Run the
model in your browser" loads Pyodide and the same Python model; nothing of it is loaded before.

Without ``:caption:`` the figure's caption is the preset's sentence. ``:show:`` names the parameters
that are in view; the others stand under "More settings".
"""

import html
import inspect
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.util.docutils import SphinxDirective
from sphinx.util.typing import ExtensionMetadata, OptionSpec
from sphinx.writers.html5 import HTML5Translator

import live_figure_assets
from remotecalls.figures import NARROW, WIDE
from remotecalls.figures.page import Page
from remotecalls.simulators.catalog import SIMULATORS
from remotecalls.simulators.parameters import (
    ParameterError,
    Preset,
    Simulator,
    describe,
    format_quantity,
    to_json,
)

MAXIMUM_SEED = 9_999
WORKER = "live-figure-worker.js"


class live_figure(nodes.General, nodes.Element):  # noqa: N801 - docutils names nodes this way
    """A figure; its children are the caption, its attributes the arguments of the directive."""


def names(argument: str) -> list[str]:
    """Read an option that is a list of names separated by commas."""
    return [name.strip() for name in argument.split(",") if name.strip()]


class LiveFigure(SphinxDirective):
    """The directive ``live-figure``; its argument is the name of a simulator."""

    required_arguments = 1
    option_spec: ClassVar[OptionSpec] = {
        "preset": directives.unchanged_required,
        "seed": directives.nonnegative_int,
        "caption": directives.unchanged_required,
        "show": names,
        "name": directives.unchanged,
    }

    def run(self) -> list[nodes.Node]:
        """Check the arguments and leave the drawing to the writer."""
        name = self.arguments[0]
        simulator = SIMULATORS.get(name)
        if simulator is None:
            raise self.error(f"live-figure: {name!r} is unknown; use {', '.join(SIMULATORS)}")
        try:
            preset = simulator.preset(self.options.get("preset", simulator.presets[0].name))
        except ParameterError as error:
            raise self.error(f"live-figure: {error}") from error
        seed = self.options.get("seed", preset.seed)
        if seed > MAXIMUM_SEED:
            raise self.error(f"live-figure: seed {seed} is above {MAXIMUM_SEED}")
        known = [each["name"] for each in describe(simulator.parameters)]
        show = self.options.get("show", known)
        for each in show:
            if each not in known:
                raise self.error(
                    f"live-figure: {name} has no parameter {each!r}; use {', '.join(known)}"
                )
        self.env.note_dependency(inspect.getfile(simulator.run))
        node = live_figure(simulator=name, preset=preset.name, seed=seed, show=show)
        self.set_source_info(node)
        node["figure_id"] = f"live-figure-{self.env.new_serialno('live-figure') + 1}"
        caption = self.options.get("caption", preset.sentence)
        content, messages = self.state.inline_text(caption, self.lineno)
        node += nodes.caption(caption, "", *content)
        node += messages
        self.add_name(node)
        # The figure's number hangs on its first identifier, so it has one without a name too.
        node["ids"].append(node["figure_id"])
        return [node]


def title_of(node: nodes.Node) -> str:
    """Return the caption, for references that show it."""
    return next(caption.astext() for caption in node.findall(nodes.caption))


# ---------------------------------------------------------------- HTML


def visit(translator: HTML5Translator, node: live_figure) -> None:
    """Write everything before the caption."""
    simulator = SIMULATORS[node["simulator"]]
    preset = simulator.preset(node["preset"])
    figure_id: str = node["figure_id"]
    drawings = {width: _first_picture(node, simulator, preset, width) for width in (WIDE, NARROW)}
    node["answer"] = drawings[WIDE]
    config = {
        "figure": figure_id,
        "simulator": simulator.name,
        "preset": preset.name,
        "seed": node["seed"],
        "widths": {"narrow": NARROW, "wide": WIDE},
        "presets": {
            each.name: {
                "sentence": each.sentence,
                "seed": each.seed,
                "values": to_json(each.parameters),
            }
            for each in simulator.presets
        },
        "runtime": _runtime(translator),
    }
    anchors = "".join(
        f'<span id="{html.escape(each)}"></span>' for each in node["ids"] if each != figure_id
    )
    translator.body.append(
        f'<rc-live-figure id="{figure_id}" class="rc-live-figure" '
        f'data-config="{html.escape(json.dumps(config))}">{anchors}\n'
        '<div class="rc-live-stage">'
        '<figure class="rc-live-drawing">'
        f'<div class="rc-live-wide">{drawings[WIDE]["svg"]}</div>'
        f'<div class="rc-live-narrow">{drawings[NARROW]["svg"]}</div>\n<figcaption>'
    )


def depart(translator: HTML5Translator, node: live_figure) -> None:
    """Write everything after the caption."""
    simulator = SIMULATORS[node["simulator"]]
    preset = simulator.preset(node["preset"])
    answer = node["answer"]
    figure_id = node["figure_id"]
    megabytes = translator.builder.app.config.live_figure_megabytes
    title = html.escape(simulator.title)
    translator.body.append(
        "</figcaption></figure>\n"
        f'<p class="rc-live-summary" aria-live="polite">{html.escape(answer["summary"])}</p>\n'
        '<p class="rc-live-start" hidden>'
        '<button type="button" data-action="start">'
        f"Run the model in your browser (about {megabytes} MB)</button></p>\n"
        '<p class="rc-live-status" role="status"></p>\n'
        '<p class="rc-live-error" role="alert"></p>\n'
        f'<form class="rc-live-form" aria-label="Settings: {title}">'
        f"<fieldset disabled>{_time_controls(figure_id, answer)}"
        f"{_settings(figure_id, simulator, preset, node['seed'], node['show'])}"
        "</fieldset></form></div>\n"
        '<details class="rc-live-tables"><summary>The same in tables</summary>'
        f'<div class="rc-live-scroll" tabindex="0" role="region" '
        f'aria-label="Tables: {title}">{answer["tables"]}</div></details>\n'
        f"{_source(translator, simulator)}</rc-live-figure>\n"
    )


def _first_picture(
    node: live_figure, simulator: Simulator[Any, Any], preset: Preset[Any], width: int
) -> dict[str, Any]:
    request = {
        "figure": node["figure_id"],
        "simulator": simulator.name,
        "values": to_json(preset.parameters),
        "seed": node["seed"],
        "at_us": None,
        "width": width,
    }
    answer: dict[str, Any] = json.loads(Page().run(json.dumps(request)))
    return answer


def _runtime(translator: HTML5Translator) -> dict[str, Any]:
    """Return where the page finds the worker and what it loads, relative to the page."""
    builder = translator.builder
    assets = builder.app.config.live_figure_assets
    up = "../" * builder.get_target_uri(translator.docnames[0]).count("/")
    return {
        "worker": f"{up}_static/{WORKER}?v={assets['worker_digest']}",
        "runtime": f"{up}_static/{assets['runtime']}",
        "models": f"{up}_static/{assets['models']}",
        "lock": assets["lock"],
    }


def _time_controls(figure_id: str, answer: dict[str, Any]) -> str:
    """Return the controls of simulated time; hidden ones where the picture has no time."""
    end_us = answer["end_us"]
    hidden = "" if end_us else " hidden"
    time = format_quantity(end_us, "µs")
    return (
        '<div class="rc-live-time">'
        f'<label for="{figure_id}-time"{hidden}>Simulated time</label>'
        f'<input type="range" id="{figure_id}-time" data-time min="0" max="{end_us}" step="1" '
        f'value="{end_us}" aria-valuetext="{time}"{hidden}>'
        f"{_value_in_words(time) if end_us else '<span hidden></span>'}"
        '<div class="rc-live-buttons">'
        f'<button type="button" data-action="play" aria-pressed="false"{hidden}>Play</button>'
        f'<button type="button" data-action="step"{hidden}>Next event</button>'
        '<button type="button" data-action="reset">Reset</button>'
        '<button type="button" data-action="link">Copy link to these settings</button>'
        "</div></div>"
    )


def _settings(
    figure_id: str,
    simulator: Simulator[Any, Any],
    preset: Preset[Any],
    seed: int,
    show: Sequence[str],
) -> str:
    described = {each["name"]: each for each in describe(simulator.parameters)}
    values = to_json(preset.parameters)
    options = "".join(
        f'<option value="{each.name}"{" selected" if each is preset else ""}>'
        f"{html.escape(each.title)}</option>"
        for each in simulator.presets
    )
    first = (
        f'<div class="rc-live-control"><label for="{figure_id}-preset">Start from</label>'
        f'<select id="{figure_id}-preset" data-preset aria-describedby="{figure_id}-preset-help">'
        f'{options}<option value="" hidden>Your own settings</option></select>'
        f'<small id="{figure_id}-preset-help" data-sentence>{html.escape(preset.sentence)}</small>'
        "</div>"
    )
    shown = "".join(_control(figure_id, described[name], values[name]) for name in show)
    rest = "".join(
        _control(figure_id, entry, values[name])
        for name, entry in described.items()
        if name not in show
    )
    seed_control = (
        f'<div class="rc-live-control"><label for="{figure_id}-seed">Seed</label>'
        f'<input type="number" id="{figure_id}-seed" data-seed min="0" max="{MAXIMUM_SEED}" '
        f'step="1" value="{seed}" aria-describedby="{figure_id}-seed-help">'
        f'<small id="{figure_id}-seed-help">Decides everything that is drawn at random.</small>'
        "</div>"
    )
    more = (
        "<details><summary>More settings</summary>"
        f'<div class="rc-live-grid">{rest}{seed_control}</div></details>'
        if rest
        else f'<div class="rc-live-grid">{seed_control}</div>'
    )
    return f'<div class="rc-live-grid">{first}{shown}</div>{more}'


def _control(figure_id: str, entry: dict[str, Any], value: Any) -> str:
    """Return the input for one parameter, tied to its label, its value in words and its help."""
    name = entry["name"]
    own_id = f"{figure_id}-{name}"
    label = f'<label for="{own_id}">{html.escape(entry["label"])}</label>'
    shared = (
        f'id="{own_id}" data-parameter="{name}" data-kind="{entry["kind"]}" '
        f'aria-describedby="{own_id}-help"'
    )
    help_text = f'<small id="{own_id}-help">{html.escape(entry["help"])}</small>'
    if entry["kind"] == "integer":
        words = html.escape(format_quantity(value, entry["unit"]))
        field = (
            f'{label}<input type="range" {shared} min="{entry["minimum"]}" '
            f'max="{entry["maximum"]}" step="{entry["step"]}" value="{value}" '
            f'data-unit="{entry["unit"]}" aria-valuetext="{words}">'
            f"{_value_in_words(words)}"
        )
    elif entry["kind"] == "choice":
        options = "".join(
            f'<option value="{html.escape(option["value"])}"'
            f"{' selected' if option['value'] == value else ''}>"
            f"{html.escape(option['label'])}</option>"
            for option in entry["options"]
        )
        field = f"{label}<select {shared}>{options}</select>"
    else:
        checked = " checked" if value else ""
        box = f'<input type="checkbox" {shared}{checked}>'
        field = f'<span class="rc-live-box">{box} {label}</span>'
    return f'<div class="rc-live-control rc-live-{entry["kind"]}">{field}{help_text}</div>'


def _value_in_words(words: str) -> str:
    """Show where a slider stands. Its own `aria-valuetext` says it: an <output> would say it twice,
    at every step of a drag, since it is a live region.
    """
    return f'<span class="rc-live-value" aria-hidden="true">{words}</span>'


def _source(translator: HTML5Translator, simulator: Simulator[Any, Any]) -> str:
    source = inspect.getsource(sys.modules[simulator.run.__module__])
    highlighted = translator.highlighter.highlight_block(source, "python")
    # A block that scrolls must be reachable by the keyboard, and say what it is.
    title = html.escape(simulator.title, quote=True)
    named = f'<pre tabindex="0" role="region" aria-label="Source: {title}">'
    return (
        '<details class="rc-live-source"><summary>The model\'s source</summary>'
        f"{highlighted.replace('<pre>', named, 1)}</details>"
    )


# ---------------------------------------------------------------- the build


def _book(config: Config) -> Path:
    return Path(config.live_figure_book or Path(__file__).parents[1])


def name_assets(app: Sphinx, config: Config) -> None:
    """Put the names of what figures load into the configuration: when they change, so do pages."""
    book = _book(config)
    worker = (Path(__file__).parents[1] / "_static" / WORKER).read_bytes()
    config.live_figure_assets = {
        **asdict(live_figure_assets.locate(book)),
        "worker_digest": live_figure_assets.digest([worker]),
    }


def make_assets(app: Sphinx) -> None:
    """Make what the figures load; HTML builds only."""
    if app.builder.format != "html":
        return
    book = _book(app.config)
    cache = book / "node_modules" / ".cache" / "live-figure"
    size = live_figure_assets.make(book, Path(app.outdir) / "_static", cache)
    app.config.live_figure_megabytes = -(-size // 1_000_000)


def add_script(
    app: Sphinx, pagename: str, _template: str, _context: dict[str, Any], doctree: nodes.document
) -> None:
    """Give the script and the style to pages that hold a figure, and to no others."""
    if doctree is not None and any(doctree.findall(live_figure)):
        app.add_js_file("live-figure.js", type="module")
        app.add_css_file("live-figure.css")


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register the directive, its writer, and the files it needs."""
    app.add_config_value("live_figure_book", None, "", (str, type(None)))
    app.add_config_value("live_figure_assets", None, "html", (dict, type(None)))
    app.add_config_value("live_figure_megabytes", 0, "", int)
    app.add_enumerable_node(live_figure, "figure", title_of, html=(visit, depart))
    app.add_directive("live-figure", LiveFigure)
    app.connect("config-inited", name_assets)
    app.connect("builder-inited", make_assets)
    app.connect("html-page-context", add_script)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
