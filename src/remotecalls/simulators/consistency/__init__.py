"""Replicas of a register: what consistency costs, and what it costs to do without.

`model.run` is the model; a `ConsistencyResult` has the history for a checker of linearizability,
and says by itself what was lost, stale, or out of order.
"""

from remotecalls.simulators.consistency.model import run
from remotecalls.simulators.consistency.parameters import ConsistencyParameters
from remotecalls.simulators.consistency.presets import PRESETS, SIMULATOR, STRONG
from remotecalls.simulators.consistency.result import ConsistencyResult

__all__ = [
    "PRESETS",
    "SIMULATOR",
    "STRONG",
    "ConsistencyParameters",
    "ConsistencyResult",
    "run",
]
