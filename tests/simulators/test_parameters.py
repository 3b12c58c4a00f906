import dataclasses
import json
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from parameter_strategies import parameters_of, seeds
from remotecalls.simulators.catalog import SIMULATORS
from remotecalls.simulators.parameters import (
    IntegerRange,
    ParameterError,
    Parameters,
    Simulator,
    choice,
    controls,
    describe,
    format_quantity,
    from_json,
    integer,
    switch,
    to_json,
)


@dataclass(frozen=True)
class Kettle(Parameters):
    """Settings of a kettle, for the tests."""

    water_ml: int = integer(
        500, label="Water", help="How much.", minimum=100, maximum=1_000, step=50, unit="ml"
    )
    target: str = choice("tea", label="For", help="What.", options={"tea": "Tea", "egg": "Egg"})
    keep_warm: bool = switch(False, label="Keep warm", help="Afterwards.")

    def check_together(self) -> None:
        if self.target == "egg" and self.keep_warm:
            raise ParameterError("Kettle", "keep_warm", "is on for eggs", "Turn it off.")


@pytest.mark.parametrize(
    ("values", "parameter", "message"),
    [
        ({"water_ml": 99}, "water_ml", "99, below the minimum of 100 ml"),
        ({"water_ml": 1_001}, "water_ml", "1001, above the maximum of 1000 ml"),
        ({"water_ml": 100.0}, "water_ml", "100.0, which is not a whole number"),
        ({"water_ml": True}, "water_ml", "True, which is not a whole number"),
        ({"water_ml": "100"}, "water_ml", "'100', which is not a whole number"),
        ({"target": "soup"}, "target", "'soup', which is not one of its choices"),
        ({"target": ["tea"]}, "target", "which is not one of its choices"),
        ({"keep_warm": 1}, "keep_warm", "1, which is neither on nor off"),
        ({"keep_warm": None}, "keep_warm", "None, which is neither on nor off"),
        ({"target": "egg", "keep_warm": True}, "keep_warm", "is on for eggs"),
        ({"lid": 1}, "lid", "is not a parameter"),
    ],
)
def test_an_error_says_where_what_and_what_to_do(
    values: dict[str, Any], parameter: str, message: str
) -> None:
    with pytest.raises(ParameterError) as caught:
        from_json(Kettle, values)
    assert isinstance(caught.value, ValueError)
    assert caught.value.parameter == parameter
    assert str(caught.value).startswith(f"Kettle.{parameter} ")
    assert message in str(caught.value)
    assert caught.value.remedy in str(caught.value)
    assert caught.value.remedy.endswith(".")


def test_the_description_holds_everything_a_control_needs() -> None:
    assert describe(Kettle) == [
        {
            "name": "water_ml", "kind": "integer", "label": "Water", "help": "How much.",
            "default": 500, "minimum": 100, "maximum": 1_000, "step": 50, "unit": "ml",
        },
        {
            "name": "target", "kind": "choice", "label": "For", "help": "What.", "default": "tea",
            "options": [{"value": "tea", "label": "Tea"}, {"value": "egg", "label": "Egg"}],
        },
        {
            "name": "keep_warm", "kind": "switch", "label": "Keep warm", "help": "Afterwards.",
            "default": False,
        },
    ]  # fmt: skip


def test_parameters_are_frozen_and_equal_by_value() -> None:
    kettle = Kettle()
    with pytest.raises(dataclasses.FrozenInstanceError):
        kettle.water_ml = 200  # type: ignore[misc]
    assert kettle == Kettle(water_ml=500)


def test_a_field_without_a_control_is_refused() -> None:
    @dataclass(frozen=True)
    class Bare(Parameters):
        amount: int = 3

    with pytest.raises(TypeError, match=r"Bare\.amount has no control"):
        Bare()


@given(parameters_of(Kettle))
def test_parameters_survive_json(kettle: Kettle) -> None:
    assert from_json(Kettle, json.loads(json.dumps(to_json(kettle)))) == kettle


@given(st.integers())
def test_an_integer_is_accepted_exactly_in_its_range(value: int) -> None:
    if 100 <= value <= 1_000:
        assert Kettle(water_ml=value).water_ml == value
    else:
        with pytest.raises(ParameterError, match="Choose a whole number from 100 to 1000 ml"):
            Kettle(water_ml=value)


@pytest.mark.parametrize(
    ("value", "unit", "words"),
    [
        (0, "µs", "0 µs"),
        (999, "µs", "999 µs"),
        (1_000, "µs", "1 ms"),
        (12_500, "µs", "12.5 ms"),
        (999_999, "µs", "999.999 ms"),
        (1_000_001, "µs", "1.000001 s"),
        (-2_500, "µs", "-2.5 ms"),
        (10_000, "kbit/s", "10 Mbit/s"),
        (900, "kbit/s", "900 kbit/s"),
        (1, "bytes", "1 byte"),
        (65_536, "bytes", "65,536 bytes"),
        (1, "", "1"),
    ],
)
def test_quantities_in_words(value: int, unit: str, words: str) -> None:
    assert format_quantity(value, unit) == words


# ---------------------------------------------------------------- what holds for every simulator

every_simulator = pytest.mark.parametrize("simulator", SIMULATORS.values(), ids=SIMULATORS)


@every_simulator
def test_every_control_is_labelled_and_its_default_is_valid(
    simulator: Simulator[Any, Any],
) -> None:
    assert SIMULATORS[simulator.name] is simulator
    simulator.parameters()
    for name, control in controls(simulator.parameters).items():
        assert control.label, name
        assert control.help.endswith("."), name


@every_simulator
def test_presets_stand_on_the_grid_of_their_sliders(simulator: Simulator[Any, Any]) -> None:
    """A slider moves a value that is off its grid, so a page would show other settings."""
    names = [preset.name for preset in simulator.presets]
    assert len(set(names)) == len(names)
    for preset in simulator.presets:
        assert preset.sentence.endswith(".")
        for name, control in controls(simulator.parameters).items():
            if isinstance(control, IntegerRange):
                off = (getattr(preset.parameters, name) - control.minimum) % control.step
                assert off == 0, (preset.name, name)


@every_simulator
def test_an_unknown_preset_is_named_with_those_there_are(simulator: Simulator[Any, Any]) -> None:
    assert simulator.preset(simulator.presets[0].name) is simulator.presets[0]
    with pytest.raises(ParameterError, match=f"Use {simulator.presets[0].name}"):
        simulator.preset("none-such")


@every_simulator
# Each model has a law of its own for this; and many settings contradict each other.
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(data=st.data())
def test_equal_arguments_give_equal_results_of_whole_numbers(
    simulator: Simulator[Any, Any], data: st.DataObject
) -> None:
    parameters, seed = data.draw(parameters_of(simulator.parameters)), data.draw(seeds)
    first = simulator.run(parameters, seed)
    assert first == simulator.run(parameters, seed)
    text = json.dumps(first.to_json())
    assert text == json.dumps(simulator.run(parameters, seed).to_json())
    assert floats_in(json.loads(text)) == []


def floats_in(data: Any) -> list[float]:
    if isinstance(data, dict):
        return [found for value in data.values() for found in floats_in(value)]
    if isinstance(data, list):
        return [found for value in data for found in floats_in(value)]
    return [data] if isinstance(data, float) else []
