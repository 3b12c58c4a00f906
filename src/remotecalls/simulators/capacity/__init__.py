"""How many servers it takes: formulas, queues that are simulated, scalability, and autoscaling.

`formulas` says it for the long run, `queue` measures it, `usl` says what is gained by more of
them, and `autoscaling` is a controller that adds and stops them while it runs.
"""

from remotecalls.simulators.capacity.autoscaling import SIMULATOR, run
from remotecalls.simulators.capacity.autoscaling_parameters import AutoscalingParameters
from remotecalls.simulators.capacity.autoscaling_presets import PRESETS
from remotecalls.simulators.capacity.autoscaling_result import (
    AutoscalingResult,
    AutoscalingSeconds,
    Decision,
    LatencyBucket,
)
from remotecalls.simulators.capacity.formulas import (
    erlang_b,
    erlang_c,
    littles_law,
    mg1_mean_wait,
    mgc_mean_wait,
    mmc_mean_wait,
    mmc_queue_length,
    mmc_wait_percentile,
    offered_load,
    servers_for_utilization,
    servers_for_wait,
    utilization,
)
from remotecalls.simulators.capacity.queue import (
    FifoServers,
    QueueResult,
    ServiceTime,
    deterministic,
    erlang,
    exponential,
    hyperexponential,
    lognormal,
    simulate,
)
from remotecalls.simulators.capacity.usl import Fit, ScalabilityModel, fit

__all__ = [
    "PRESETS",
    "SIMULATOR",
    "AutoscalingParameters",
    "AutoscalingResult",
    "AutoscalingSeconds",
    "Decision",
    "FifoServers",
    "Fit",
    "LatencyBucket",
    "QueueResult",
    "ScalabilityModel",
    "ServiceTime",
    "deterministic",
    "erlang",
    "erlang_b",
    "erlang_c",
    "exponential",
    "fit",
    "hyperexponential",
    "littles_law",
    "lognormal",
    "mg1_mean_wait",
    "mgc_mean_wait",
    "mmc_mean_wait",
    "mmc_queue_length",
    "mmc_wait_percentile",
    "offered_load",
    "run",
    "servers_for_utilization",
    "servers_for_wait",
    "simulate",
    "utilization",
]
