"""A simulator with controls, made from the typed description of its parameters.

A panel shows itself twice: as ipywidgets where a kernel runs, and as static HTML, which is what
the built book and a notebook on paper show. Only the static part is committed and compared.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import ipywidgets

from remotecalls import figures
from remotecalls.figures.table import to_html
from remotecalls.notebook.showing import in_html
from remotecalls.simulators.catalog import SIMULATORS
from remotecalls.simulators.parameters import (
    ParameterError,
    Simulator,
    describe,
    format_quantity,
    from_json,
    to_json,
)

_WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
_WIDE_LABEL = {"description_width": "14em"}
_MOST_SEEDS = 1_000_000


class PanelModel:
    """The settings of a panel, and the result that belongs to them. Knows nothing of widgets.

    Args:
        simulator: the name of a simulator.
        preset: the name of one of its presets; the first by default.
        seed: the seed; that of the preset by default.

    Raises:
        KeyError: there is no such simulator.
        ParameterError: it has no such preset.
    """

    def __init__(self, simulator: str, preset: str | None = None, seed: int | None = None) -> None:
        self.simulator: Simulator[Any, Any] = SIMULATORS[simulator]
        chosen = self.simulator.presets[0] if preset is None else self.simulator.preset(preset)
        self.preset = chosen.name
        self.seed = chosen.seed if seed is None else seed
        self.values: dict[str, int | bool | str] = to_json(chosen.parameters)
        self.error = ""
        self._moment: int | None = None
        self._run()

    @property
    def times(self) -> list[int]:
        """The simulated times, in microseconds, at which the picture changes."""
        return figures.event_times(self.simulator.name, self.result)

    @property
    def at_us(self) -> int:
        """The simulated time that the picture shows, in microseconds; the end at first."""
        times = self.times
        return times[-1] if self._moment is None else times[min(self._moment, len(times) - 1)]

    def change(self, values: Mapping[str, int | bool | str], seed: int | None = None) -> None:
        """Change settings and run again; settings that contradict each other leave an error."""
        self.values.update(values)
        self.seed = self.seed if seed is None else seed
        self._moment = None
        self._run()

    def look_at(self, moment: int) -> None:
        """Show the picture at one of :attr:`times`, counted from 0."""
        self._moment = moment

    def svg(self) -> str:
        """Return the picture; it carries its own text alternative."""
        return figures.draw(self.simulator.name, self.result, self.at_us)

    def words(self) -> str:
        """Return what the result shows, in words."""
        return figures.describe_result(self.simulator.name, self.result)

    def tables(self) -> str:
        """Return the numbers behind the picture, as HTML."""
        return to_html(figures.tables(self.simulator.name, self.result))

    def _run(self) -> None:
        try:
            parameters = from_json(self.simulator.parameters, self.values)
        except ParameterError as error:
            # The last good result stays in view beside the message.
            self.error = f"{error.parameter} {error.problem}. {error.remedy}"
            return
        self.error = ""
        self.result = self.simulator.run(parameters, self.seed)


class Panel:
    """A panel as a lab shows it.

    Args:
        model: what it shows.
    """

    def __init__(self, model: PanelModel) -> None:
        self.model = model
        self._widget: PanelWidget | None = None

    @property
    def result(self) -> Any:
        """The result of the settings that are set now."""
        return self.model.result

    @property
    def widget(self) -> PanelWidget:
        """The controls and the picture, as widgets; made when first shown."""
        if self._widget is None:
            self._widget = PanelWidget(self.model)
        return self._widget

    def __repr__(self) -> str:
        """Return the result in words."""
        return f"{self.model.simulator.title}, seed {self.model.seed}: {self.model.words()}"

    def _repr_mimebundle_(self, **_: object) -> dict[str, object]:
        """Return the widgets, and beside them what is shown where no kernel runs."""
        bundle: dict[str, object] = {"text/plain": repr(self), "text/html": self._static()}
        bundle[_WIDGET_VIEW] = self.widget.view()
        return bundle

    def _static(self) -> str:
        return (
            f'<figure class="rc-panel">{self.model.svg()}'
            f"<figcaption>{in_html(self.model.words())}</figcaption></figure>"
            f"<details><summary>The numbers</summary>{self.model.tables()}</details>"
        )


class PanelWidget:
    """The widgets of a panel.

    Args:
        model: what they show and change.
    """

    def __init__(self, model: PanelModel) -> None:
        self._model = model
        self._quiet = False
        self.controls = {one["name"]: _control(one, model) for one in describe(_kind(model))}
        self.preset = ipywidgets.Dropdown(
            description="Preset",
            options=[("", ""), *((one.title, one.name) for one in model.simulator.presets)],
            value=model.preset,
            style=_WIDE_LABEL,
        )
        self.seed = ipywidgets.BoundedIntText(
            description="Seed", value=model.seed, min=0, max=_MOST_SEEDS, style=_WIDE_LABEL
        )
        self.moment = ipywidgets.IntSlider(
            description="Moment",
            readout=False,
            min=0,
            max=0,
            style=_WIDE_LABEL,
            layout=ipywidgets.Layout(width="32em"),
        )
        self.time = ipywidgets.Label()
        self.when = ipywidgets.HBox([self.moment, self.time])
        self.picture = ipywidgets.HTML()
        self.message = ipywidgets.HTML()
        self.box = ipywidgets.VBox(
            [
                ipywidgets.HBox([self.preset, self.seed]),
                ipywidgets.Accordion(
                    [ipywidgets.VBox(list(self.controls.values()))], titles=("Parameters",)
                ),
                self.when,
                self.message,
                self.picture,
            ]
        )
        self._show_run()
        for control in (*self.controls.values(), self.seed):
            control.observe(self._unless_quiet(self._changed), names="value")
        self.preset.observe(self._unless_quiet(self._preset_chosen), names="value")
        self.moment.observe(self._unless_quiet(self._moment_moved), names="value")

    def view(self) -> object:
        """Return the widget-view entry of a display bundle."""
        return self.box._repr_mimebundle_()[_WIDGET_VIEW]

    def _changed(self) -> None:
        values = {name: control.value for name, control in self.controls.items()}
        self._model.change(values, self.seed.value)
        self.preset.value = ""
        self._show_run()

    def _preset_chosen(self) -> None:
        if not self.preset.value:
            return
        preset = self._model.simulator.preset(self.preset.value)
        self._model.change(to_json(preset.parameters), preset.seed)
        for name, control in self.controls.items():
            control.value = self._model.values[name]
        self.seed.value = self._model.seed
        self._show_run()

    def _moment_moved(self) -> None:
        self._model.look_at(self.moment.value)
        self._show_moment()

    def _show_run(self) -> None:
        self.message.value = f'<p role="alert">{in_html(self._model.error)}</p>'
        self.moment.max = len(self._model.times) - 1
        self.when.layout.display = None if self.moment.max else "none"
        self.moment.value = self.moment.max
        self._show_moment()

    def _show_moment(self) -> None:
        self.time.value = format_quantity(self._model.at_us, "µs")
        self.picture.value = self._model.svg() + f"<p>{in_html(self._model.words())}</p>"

    def _unless_quiet(self, react: Callable[[], None]) -> Callable[[object], None]:
        """Keep the changes that a reaction makes to other widgets from causing further ones."""

        def observer(_: object) -> None:
            if self._quiet:
                return
            self._quiet = True
            try:
                react()
            finally:
                self._quiet = False

        return observer


def _kind(model: PanelModel) -> Any:
    return model.simulator.parameters


def _control(described: dict[str, Any], model: PanelModel) -> ipywidgets.Widget:
    value = model.values[described["name"]]
    common = {"tooltip": described["help"], "style": _WIDE_LABEL, "value": value}
    label = described["label"]
    if described["kind"] == "switch":
        return ipywidgets.Checkbox(description=label, **common)
    if described["kind"] == "choice":
        options = [(one["label"], one["value"]) for one in described["options"]]
        return ipywidgets.Dropdown(description=label, options=options, **common)
    unit = f" ({described['unit']})" if described["unit"] else ""
    return ipywidgets.IntSlider(
        description=label + unit,
        min=described["minimum"],
        max=described["maximum"],
        step=described["step"],
        # Run when the reader lets go, not for every value on the way.
        continuous_update=False,
        layout=ipywidgets.Layout(width="32em"),
        **common,
    )
