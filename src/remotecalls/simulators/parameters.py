"""Typed parameters: one description for the page's controls, the lab's panel and the tests.

A simulator declares its parameters once, as the fields of a frozen dataclass:

    @dataclass(frozen=True)
    class FramingParameters(Parameters):
        gap_us: int = integer(2_000, minimum=0, maximum=200_000, step=500, unit="µs",
                              label="Gap between messages", help="...")
        nagle: bool = switch(False, label="Nagle's algorithm", help="...")

Constructing an instance validates every value, so a simulator never sees one out of range.
`describe` turns the class into plain data from which a page or a notebook builds its controls.

The module uses the standard library only: the same file runs in CPython and, through Pyodide,
in the reader's browser.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, Protocol, TypeVar

_CONTROL = "remotecalls.control"

JsonScalar = int | bool | str


class ParameterError(ValueError):
    """A parameter has a value that the simulator cannot take.

    Attributes:
        parameter: the name of the offending field.
        problem: what is wrong with the value, as a clause.
        remedy: what to do about it, as a sentence.
    """

    def __init__(self, owner: str, parameter: str, problem: str, remedy: str) -> None:
        """Build the message from its three parts: where, what, and what to do."""
        super().__init__(f"{owner}.{parameter} {problem}. {remedy}")
        self.parameter = parameter
        self.problem = problem
        self.remedy = remedy


@dataclass(frozen=True)
class IntegerRange:
    """A whole number between two bounds, both allowed.

    `step` is the grid of the slider, not a constraint: a lab may pass any whole number in range.
    """

    label: str
    help: str
    minimum: int
    maximum: int
    step: int
    unit: str

    def problem(self, value: object) -> str | None:
        """Say what is wrong with `value`, or return None."""
        # bool is a subclass of int, but True is not a size.
        if isinstance(value, bool) or not isinstance(value, int):
            return f"is {value!r}, which is not a whole number"
        if value < self.minimum:
            return f"is {value}, below the minimum of {self.minimum} {self.unit}".rstrip()
        if value > self.maximum:
            return f"is {value}, above the maximum of {self.maximum} {self.unit}".rstrip()
        return None

    def remedy(self) -> str:
        """Return the sentence that says what to choose instead."""
        unit = f" {self.unit}" if self.unit else ""
        return f"Choose a whole number from {self.minimum} to {self.maximum}{unit}."


@dataclass(frozen=True)
class Choice:
    """One of several named values; `options` pairs each value with its label."""

    label: str
    help: str
    options: tuple[tuple[str, str], ...]

    def problem(self, value: object) -> str | None:
        """Say what is wrong with `value`, or return None."""
        if value in [option for option, _ in self.options]:
            return None
        return f"is {value!r}, which is not one of its choices"

    def remedy(self) -> str:
        """Return the sentence that says what to choose instead."""
        return f"Choose one of {', '.join(repr(option) for option, _ in self.options)}."


@dataclass(frozen=True)
class Switch:
    """On or off."""

    label: str
    help: str

    def problem(self, value: object) -> str | None:
        """Say what is wrong with `value`, or return None."""
        return None if isinstance(value, bool) else f"is {value!r}, which is neither on nor off"

    def remedy(self) -> str:
        """Return the sentence that says what to choose instead."""
        return "Choose True or False."


Control = IntegerRange | Choice | Switch


def integer(
    default: int, *, label: str, help: str, minimum: int, maximum: int, step: int, unit: str
) -> Any:
    """Declare a whole-number field (see `IntegerRange`); `unit` is shown behind the value.

    Returns `Any`, as `dataclasses.field` does, so that the field's own annotation decides its type.
    """
    control = IntegerRange(label, help, minimum, maximum, step, unit)
    return field(default=default, metadata={_CONTROL: control})


def choice(default: str, *, label: str, help: str, options: Mapping[str, str]) -> Any:
    """Declare a field with named values; `options` maps each value to its label."""
    return field(default=default, metadata={_CONTROL: Choice(label, help, tuple(options.items()))})


def switch(default: bool, *, label: str, help: str) -> Any:
    """Declare an on-or-off field."""
    return field(default=default, metadata={_CONTROL: Switch(label, help)})


@dataclass(frozen=True)
class Parameters:
    """Base of every simulator's parameters: validates on construction.

    A subclass is a frozen dataclass whose fields come from `integer`, `choice` and `switch`, each
    with a default. It overrides `check_together` where two fields must agree.

    Raises:
        ParameterError: on construction, for the first value that is out of its range.
    """

    def __post_init__(self) -> None:
        """Validate each field by its control, then all of them together."""
        for name, control in controls(type(self)).items():
            problem = control.problem(getattr(self, name))
            if problem is not None:
                raise ParameterError(type(self).__name__, name, problem, control.remedy())
        self.check_together()

    def check_together(self) -> None:
        """Raise ParameterError where fields that are valid alone contradict each other."""


class Result(Protocol):
    """What a simulator returns: a frozen dataclass that can say itself as JSON data."""

    def to_json(self) -> dict[str, Any]:
        """Return the result as dictionaries, lists, strings, integers and booleans."""
        ...


P = TypeVar("P", bound=Parameters)
R = TypeVar("R", bound=Result)


@dataclass(frozen=True)
class Preset(Generic[P]):
    """Settings worth a look, under a name.

    Attributes:
        name: the identifier that a page names, such as "small-buffer".
        title: the name that a reader sees.
        sentence: what the reader will see there, in one sentence.
        parameters: the settings.
        seed: the seed that goes with them.
    """

    name: str
    title: str
    sentence: str
    parameters: P
    seed: int = 1


@dataclass(frozen=True)
class Simulator(Generic[P, R]):
    """A model that can run: its name, its parameters, and the function from one to a result.

    Attributes:
        name: the identifier that a page or a lab names.
        title: the name that a reader sees.
        parameters: the class of its parameters.
        run: takes parameters and a seed; equal arguments give equal results on every machine.
        presets: settings worth a look; the first is where a figure starts.
    """

    name: str
    title: str
    parameters: type[P]
    run: Callable[[P, int], R]
    presets: tuple[Preset[P], ...]

    def preset(self, name: str) -> Preset[P]:
        """Return the preset called `name`.

        Raises:
            ParameterError: there is none; the message lists those there are.
        """
        for preset in self.presets:
            if preset.name == name:
                return preset
        names = ", ".join(preset.name for preset in self.presets)
        raise ParameterError(self.name, "preset", f"is {name!r}, which is unknown", f"Use {names}.")


def controls(parameters: type[Parameters]) -> dict[str, Control]:
    """Return the control of every field, in the order of declaration.

    Raises:
        TypeError: a field was declared without `integer`, `choice` or `switch`.
    """
    found: dict[str, Control] = {}
    for each in dataclasses.fields(parameters):
        control = each.metadata.get(_CONTROL)
        if not isinstance(control, (IntegerRange, Choice, Switch)):
            raise TypeError(
                f"{parameters.__name__}.{each.name} has no control; "
                "declare it with integer(...), choice(...) or switch(...)"
            )
        found[each.name] = control
    return found


def describe(parameters: type[Parameters]) -> list[dict[str, Any]]:
    """Return the parameters as JSON data, one dictionary a field, in the order of declaration.

    Each has `name`, `kind` ("integer", "choice" or "switch"), `label`, `help` and `default`;
    an integer adds `minimum`, `maximum`, `step` and `unit`; a choice adds `options`, a list of
    `{"value": ..., "label": ...}`.
    """
    described: list[dict[str, Any]] = []
    defaults = {each.name: each.default for each in dataclasses.fields(parameters)}
    for name, control in controls(parameters).items():
        entry: dict[str, Any] = {
            "name": name,
            "kind": _kind(control),
            "label": control.label,
            "help": control.help,
            "default": defaults[name],
        }
        if isinstance(control, IntegerRange):
            entry |= {
                "minimum": control.minimum,
                "maximum": control.maximum,
                "step": control.step,
                "unit": control.unit,
            }
        elif isinstance(control, Choice):
            entry["options"] = [
                {"value": value, "label": label} for value, label in control.options
            ]
        described.append(entry)
    return described


def _kind(control: Control) -> Literal["integer", "choice", "switch"]:
    if isinstance(control, IntegerRange):
        return "integer"
    return "choice" if isinstance(control, Choice) else "switch"


def to_json(parameters: Parameters) -> dict[str, JsonScalar]:
    """Return the values of all fields by name."""
    return {each.name: getattr(parameters, each.name) for each in dataclasses.fields(parameters)}


def from_json(parameters: type[P], values: Mapping[str, object]) -> P:
    """Build parameters from values by name; a field that is not named keeps its default.

    Raises:
        ParameterError: a name is unknown or a value is out of range.
    """
    known = controls(parameters)
    for name in values:
        if name not in known:
            raise ParameterError(
                parameters.__name__, name, "is not a parameter", f"Use {', '.join(known)}."
            )
    # The fields' own control validates each value, so their static types do not matter here.
    return parameters(**dict(values))


def format_quantity(value: int, unit: str) -> str:
    """Write a value with its unit as a reader likes it: 40,000 µs is "40 ms".

    >>> format_quantity(40_000, "µs"), format_quantity(1_500_000, "µs"), format_quantity(1, "bytes")
    ('40 ms', '1.5 s', '1 byte')
    """
    if unit == "µs" and abs(value) >= 1_000_000:
        return f"{_scaled(value, 1_000_000)} s"
    if unit == "µs" and abs(value) >= 1_000:
        return f"{_scaled(value, 1_000)} ms"
    if unit == "kbit/s" and abs(value) >= 1_000:
        return f"{_scaled(value, 1_000)} Mbit/s"
    if value == 1 and unit.endswith("s") and unit.isalpha() and unit != "µs":
        unit = unit[:-1]
    return f"{value:,} {unit}".rstrip()


def _scaled(value: int, divisor: int) -> str:
    whole, rest = divmod(abs(value), divisor)
    digits = f"{rest:0{len(str(divisor)) - 1}d}".rstrip("0")
    sign = "-" if value < 0 else ""
    return f"{sign}{whole:,}.{digits}" if digits else f"{sign}{whole:,}"
