"""The settings of any simulator, as a hypothesis strategy made from their description."""

from typing import TypeVar

from hypothesis import assume
from hypothesis import strategies as st

from remotecalls.simulators.parameters import (
    Choice,
    Control,
    IntegerRange,
    ParameterError,
    Parameters,
    controls,
)

P = TypeVar("P", bound=Parameters)


def values_of(control: Control) -> st.SearchStrategy[int | bool | str]:
    """Every value that a control allows."""
    if isinstance(control, IntegerRange):
        return st.integers(control.minimum, control.maximum)
    if isinstance(control, Choice):
        return st.sampled_from([value for value, _ in control.options])
    return st.booleans()


@st.composite
def parameters_of(draw: st.DrawFn, parameters: type[P], **fixed: int | bool | str) -> P:
    """Every valid instance of a Parameters class; `fixed` fields keep the given value."""
    values = {
        name: fixed[name] if name in fixed else draw(values_of(control), label=name)
        for name, control in controls(parameters).items()
    }
    try:
        return parameters(**values)
    except ParameterError:
        # Each value is in its range, so two of them contradict each other.
        assume(False)
        raise


seeds = st.integers(0, 9_999)
