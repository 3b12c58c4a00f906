"""Settings of `autoscaling` worth a look; each changes little of one before."""

from __future__ import annotations

from dataclasses import replace

from remotecalls.simulators.capacity.autoscaling_parameters import DIURNAL, AutoscalingParameters
from remotecalls.simulators.parameters import Preset

_LAG_US = 30_000_000

NO_LAG = AutoscalingParameters()
"""Instances that serve as soon as they are ordered, and a window of two looks."""

LAG = replace(NO_LAG, lag_us=_LAG_US)

_DAY = replace(
    NO_LAG, pattern=DIURNAL, rate=20, peak=150, lag_us=_LAG_US, counts_starting=False
)  # fmt: skip

PRESETS = (
    Preset(
        "no-lag",
        "An instance serves at once",
        "The load triples. The controller goes too far once, since a queue that is worked off "
        "looks like load, and settles.",
        NO_LAG,
    ),
    Preset(
        "lag-oscillates",
        "An instance takes half a minute to start",
        "Nothing else has changed, and it does not settle any more. It orders again what is on "
        "its way already, up to the most that it may, stops most of it, and begins anew.",
        LAG,
    ),
    Preset(
        "counts-what-serves",
        "The same, multiplying what serves",
        "What starts is not multiplied, so nothing is ordered twice. It swings less and costs "
        "less. The overload is still there: half a minute at each step, while the queue grows.",
        replace(LAG, counts_starting=False),
    ),
    Preset(
        "cooldown",
        "The same lag with a cooldown",
        "After a change it waits for as long as the lag and the window together, until it sees "
        "what the change has done. It turns back once, and there are too few for two minutes.",
        replace(LAG, cooldown_us=50_000_000),
    ),
    Preset(
        "small-steps",
        "The same lag, two at a time",
        "It cannot go far wrong before it sees what it has done: half of the most that it "
        "ordered without the limit, and no oscillation.",
        replace(LAG, step_limit=2),
    ),
    Preset(
        "longer-window",
        "No lag, and a window of a minute",
        "A longer window is calmer only where nothing changes. Here it shows the controller what "
        "was there before its last six looks, and that is a lag, too: it oscillates.",
        replace(NO_LAG, window_us=60_000_000),
    ),
    Preset(
        "window-and-cooldown",
        "A window of a minute, and a cooldown as long",
        "Each look that counts sees only what the last change has done. It is calm, cheaper than "
        "all others with this load, and overloaded for more than two minutes.",
        replace(NO_LAG, window_us=60_000_000, cooldown_us=60_000_000),
    ),
    Preset(
        "no-tolerance",
        "A load that does not change",
        "Chance alone moves utilization by a few percent. Without a tolerance it turns five "
        "times or more, by an instance or two; with one of 10 %, less than half as often.",
        replace(NO_LAG, rate=80, peak=80, tolerance_percent=0),
    ),
    Preset(
        "day",
        "A day, and instances that are late",
        "While the load rises they are always those of half a minute ago. For more than a minute "
        "of seven no instance has a moment to spare.",
        _DAY,
    ),
    Preset(
        "day-with-headroom",
        "The same day at a target of 40 %",
        "What is spare covers the lag. There is next to no overload, and instances cost a third "
        "more, at least.",
        replace(_DAY, target_percent=40),
    ),
)
