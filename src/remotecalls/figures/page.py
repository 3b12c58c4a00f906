"""What a page asks of the models: requests and answers as JSON text.

The directive calls `Page` when the book is built; the worker calls it in the reader's browser. Both
therefore show the same first picture, and the page's script holds no knowledge of any model.
"""

from __future__ import annotations

import json
from typing import Any

from remotecalls.figures.catalog import FIGURES
from remotecalls.figures.table import to_html
from remotecalls.simulators.catalog import SIMULATORS
from remotecalls.simulators.parameters import ParameterError, controls, from_json


class Page:
    """The figures of one page; it keeps each figure's last result, to draw it at other times."""

    def __init__(self) -> None:
        """Start with no figure."""
        self._results: dict[str, tuple[str, Any]] = {}

    def run(self, request: str) -> str:
        """Run a simulator and draw its result.

        Args:
            request: JSON with `figure` (an identifier of the caller's choice), `simulator`,
                `values` (parameters by name), `seed`, `at_us` (null: the end of the run) and
                `width` in pixels.

        Returns:
            JSON with `svg`, `summary`, `tables` (HTML), `events` and `end_us` (microseconds),
            `at_us`, and `result` (the result's own JSON, as text). If a parameter is out of range:
            JSON with `error` (a sentence for the reader) and `parameter` (its name).
        """
        asked = json.loads(request)
        simulator = SIMULATORS[asked["simulator"]]
        try:
            parameters = from_json(simulator.parameters, asked["values"])
        except ParameterError as error:
            control = controls(simulator.parameters).get(error.parameter)
            # A reader sees labels; a name without a control is a mistake of the caller's.
            name = error.parameter if control is None else control.label
            message = f"{name} {error.problem}. {error.remedy}"
            return json.dumps({"error": message, "parameter": error.parameter})
        result = simulator.run(parameters, asked["seed"])
        self._results[asked["figure"]] = (simulator.name, result)
        figure = FIGURES[simulator.name]
        events = figure.event_times(result)
        end_us = events[-1]
        at_us = end_us if asked["at_us"] is None else min(asked["at_us"], end_us)
        return json.dumps(
            {
                "svg": figure.draw(result, at_us, asked["width"]),
                "summary": figure.describe_result(result),
                "tables": to_html(figure.tables(result)),
                "events": events,
                "end_us": end_us,
                "at_us": at_us,
                "result": json.dumps(result.to_json(), sort_keys=True),
            }
        )

    def draw(self, request: str) -> str:
        """Draw the last result of a figure at another time.

        Args:
            request: JSON with `figure`, `at_us` and `width`.

        Returns:
            JSON with `svg` and `at_us`.
        """
        asked = json.loads(request)
        name, result = self._results[asked["figure"]]
        figure = FIGURES[name]
        svg = figure.draw(result, asked["at_us"], asked["width"])
        return json.dumps({"svg": svg, "at_us": asked["at_us"]})
