"""Every simulator by name."""

from __future__ import annotations

from typing import Any

from remotecalls.simulators import (
    balancing,
    capacity,
    consistency,
    framing,
    metastable,
    multiplexing,
    servers,
)
from remotecalls.simulators.metastable import phases
from remotecalls.simulators.parameters import Simulator
from remotecalls.simulators.supervision import presets as supervision

SIMULATORS: dict[str, Simulator[Any, Any]] = {
    simulator.name: simulator
    for simulator in (
        framing.SIMULATOR,
        servers.SIMULATOR,
        multiplexing.SIMULATOR,
        balancing.SIMULATOR,
        metastable.SIMULATOR,
        phases.SIMULATOR,
        capacity.SIMULATOR,
        consistency.SIMULATOR,
        supervision.SIMULATOR,
    )
}
"""Add a simulator here and it has controls in the page, a panel in the lab, and the tests."""
