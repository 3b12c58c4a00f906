"""A service that does not come back: retry storms, what ends them, and what does not.

`model.run` is the model; `experiments` and `signals` ask it questions.
"""

from remotecalls.simulators.metastable.model import run
from remotecalls.simulators.metastable.parameters import MetastableParameters
from remotecalls.simulators.metastable.presets import PRESETS, SIMULATOR, STORM
from remotecalls.simulators.metastable.result import MetastableResult

__all__ = ["PRESETS", "SIMULATOR", "STORM", "MetastableParameters", "MetastableResult", "run"]
