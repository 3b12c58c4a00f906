"""Settings of `metastable` worth a look, some of them named after a morning that somebody had.

Those models are small and their numbers are ours; what they have of the incident is its mechanism.

Sources: AWS, "Summary of the Amazon DynamoDB Service Disruption", September 2015
(aws.amazon.com/message/5467D2); AWS, "Summary of the Amazon Kinesis Event", November 2020
(aws.amazon.com/message/11201); Google Cloud, incident report of 12 June 2025
(status.cloud.google.com/incidents/ow5i3PPK96RduMcb1SsW).
"""

from __future__ import annotations

from dataclasses import replace

from remotecalls.simulators.metastable.model import run
from remotecalls.simulators.metastable.parameters import (
    CODEL,
    CONSTANT,
    EXPIRED,
    FULL,
    LIFO,
    MetastableParameters,
)
from remotecalls.simulators.metastable.result import MetastableResult
from remotecalls.simulators.parameters import Preset, Simulator

STORM = MetastableParameters()
"""Four tries for each request, a server that is told nothing, and a queue without a limit."""

PRESETS = (
    Preset(
        "retry-storm",
        "Five seconds, and no way back",
        "The spike lasts five seconds. A minute later the server is as busy as ever, and nobody "
        "gets an answer in time.",
        STORM,
    ),
    Preset(
        "backoff",
        "The same with backoff and full jitter",
        "Backoff moves the retries; it does not take one away. Each request still makes four "
        "tries, and the queue still grows.",
        replace(STORM, backoff=FULL),
    ),
    Preset(
        "no-retries",
        "The same without retries",
        "Nothing keeps the storm alive. What is left is the queue of the spike, which ten free "
        "places a second work off for most of a minute.",
        replace(STORM, max_retries=0),
    ),
    Preset(
        "budget",
        "A retry budget of a tenth",
        "Ten retries to a hundred first tries are load that the server can take. The queue is "
        "worked off; that takes longer than a minute.",
        replace(STORM, budget_percent=10, duration_us=150_000_000),
    ),
    Preset(
        "breaker",
        "A circuit breaker",
        "After five failures in a row a client asks nothing for five seconds. The queue runs "
        "empty, and the first probes come back in time.",
        replace(STORM, breaker_failures=5),
    ),
    Preset(
        "short-queue",
        "A queue of twenty",
        "What is let in is answered in time, since twenty are done in less than the time-out. The "
        "rest is refused at once, and some of it is let in later.",
        replace(STORM, queue_limit=20),
    ),
    Preset(
        "long-queue",
        "A queue of forty",
        "Forty in the queue and twenty in work take longer than the time-out. The queue has a "
        "limit, everything in it is too late, and the storm lives on.",
        replace(STORM, queue_limit=40),
    ),
    Preset(
        "newest-first",
        "Last come, first served",
        "Whoever comes now is served now, and does not come again. Those at the bottom of the "
        "queue are served last, when they have long gone.",
        replace(STORM, discipline=LIFO),
    ),
    Preset(
        "codel",
        "CoDel",
        "It drops one, then one more a little sooner. TCP slows down when it loses a packet; "
        "these clients try again.",
        replace(STORM, discipline=CODEL),
    ),
    Preset(
        "deadline",
        "The deadline is propagated",
        "The server begins nothing that is over, and still begins whatever has a moment left. All "
        "of it is late when it is done.",
        replace(STORM, deadline=EXPIRED),
    ),
    Preset(
        "deadline-and-budget",
        "The deadline and a budget",
        "Alone the one does nothing and the other takes more than a minute. Together they take "
        "seconds: the budget keeps the queue from filling again, the deadline empties it.",
        replace(STORM, deadline=EXPIRED, budget_percent=10),
    ),
    Preset(
        "slow-server",
        "The server is slow for five seconds",
        "No spike at all: each piece of work takes five times as long for a while, and the end is "
        "the same.",
        replace(STORM, pattern=CONSTANT, slow_percent=500),
    ),
    Preset(
        "dynamodb-2015",
        "DynamoDB's metadata, September 2015",
        "After a short disruption all storage servers ask for their membership at once, and ask "
        "again. What ends it is that they are made to pause, until the queue is empty.",
        replace(
            STORM, rate=35, peak=120, timeout_us=2_000_000,
            limit=5, limit_at_us=40_000_000, limit_for_us=110_000_000, duration_us=200_000_000,
        ),
    ),
    Preset(
        "kinesis-2020",
        "Kinesis, November 2020, as it is told",
        "A storm that a limit from outside ends. AWS's own summary has no storm in it: new servers "
        "took every other one over its limit of threads. But the fleet was let back in by and by.",
        replace(
            STORM, pattern=CONSTANT, slow_percent=1_000, trigger_for_us=10_000_000,
            limit=20, limit_at_us=50_000_000, limit_for_us=90_000_000, duration_us=190_000_000,
            deadline=EXPIRED,
        ),
    ),
    Preset(
        "google-cloud-2025",
        "Google Cloud, June 2025",
        "All tasks restart at once and ask the same database, without randomized backoff, and it "
        "takes three minutes to get through. The load leaves room for all the retries here, so "
        "backoff helps: choose one.",
        replace(
            STORM, rate=6, peak=300, trigger_for_us=2_000_000, max_retries=5,
            backoff_base_us=5_000_000, backoff_cap_us=60_000_000, duration_us=240_000_000,
        ),
    ),
)  # fmt: skip

SIMULATOR: Simulator[MetastableParameters, MetastableResult] = Simulator(
    name="metastable",
    title="A service that does not come back",
    parameters=MetastableParameters,
    run=run,
    presets=PRESETS,
)
