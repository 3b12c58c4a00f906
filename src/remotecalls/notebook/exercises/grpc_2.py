"""The exercises of `labs/grpc-2.ipynb`."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from functools import partial
from typing import Any

import grpc
import grpc.aio

from remotecalls.envoy import running_envoy
from remotecalls.grpc.balancing import (
    Backend,
    one_address,
    one_after_another,
    running_backends,
    spread,
)
from remotecalls.grpc.envoy_config import LISTENER, OutlierDetection, TrafficPolicy, layer_7
from remotecalls.grpc.settings import ChannelSettings
from remotecalls.notebook.exercises import Answer, Attempt, Exercise, attempt, in_thread

CALLS = 60

# ---------------------------------------------------------------- complete


async def spread_by(config: Any, backends: list[Backend]) -> dict[str, int]:
    """Who answers the calls of a client that knows all servers and has this service config."""
    target = "ipv4:" + ",".join(str(backend.address) for backend in backends)
    options = [*ChannelSettings().options(), ("grpc.service_config", json.dumps(config))]
    async with grpc.aio.insecure_channel(target, options=options) as channel:
        await one_after_another(channel, 12, pause=0.02)  # until all connections are there
        return spread(await one_after_another(channel, CALLS))


async def check_config(service_config: Answer) -> AsyncIterator[Attempt]:
    """The config in a real channel, in front of two servers and of three."""
    config: Any = await in_thread(service_config)
    with running_backends(0, 0, 0) as backends:
        for number in (3, 2):
            counts = await spread_by(config, backends[:number])
            yield attempt(
                f"{CALLS} calls of one client that knows {number} servers: who answers them",
                partial(dict, counts),
                {backend.name: CALLS // number for backend in backends[:number]},
                "All calls went one way. Without `round_robin` a client takes the first address "
                "that answers, and stays with it.",
            )


# ---------------------------------------------------------------- predict


async def failed_calls(proxies: int, errors: int) -> int:
    """How many calls fail through so many proxies until the failing server is out everywhere."""
    outlier = OutlierDetection(
        consecutive_errors=errors, base_ejection_time=60, max_ejection_percent=50
    )
    policy = TrafficPolicy(outlier_detection=outlier)
    failed = 0
    with running_backends(0, 0) as backends:
        backends[0].tell("fail")
        for _ in range(proxies):
            config = layer_7([backend.address for backend in backends], policy)
            async with (
                running_envoy(config) as envoy,
                one_address(envoy.address(LISTENER)) as channel,
            ):
                # A pause, because Envoy's main thread ejects a moment after the last error.
                outcomes = await one_after_another(channel, 4 * errors + 10, pause=0.03)
                failed += sum(each.code is not grpc.StatusCode.OK for each in outcomes)
    return failed


async def check_failures(failures: Answer) -> AsyncIterator[Attempt]:
    """Real proxies in front of a server that fails every call."""
    await in_thread(partial(failures, 1, 1))  # what raises is told before servers are started
    for proxies, errors, message in [
        (1, 5, "One proxy ejects the server when it has failed so many times in a row."),
        (3, 4, "A sidecar stands beside each client. Each has to find out by itself."),
    ]:
        counted = await failed_calls(proxies, errors)
        call = partial(failures, proxies, errors)
        yield attempt(f"failures({proxies}, {errors})", call, counted, message)


# ---------------------------------------------------------------- build


def check_pattern(pattern: Answer) -> Iterator[Attempt]:
    """Templates of `google.api.http`, and paths that are or are not meant by them."""
    customer, change = "/v1/customers/{customer_id}", "/v1/customers/{customer_id}:changeBalance"
    order = "/v1/customers/{customer_id}/orders/{order_id}"
    for template, path, expected, message in [
        (
            customer,
            "/v1/customers/42",
            {"customer_id": "42"},
            "A field is a group.",
        ),
        (order, "/v1/customers/7/orders/2", {"customer_id": "7", "order_id": "2"}, "Each field."),
        (customer, "/v1/customers/42/orders", None, "A field is one segment: it ends at a slash."),
        (change, "/v1/customers/42:changeBalance", {"customer_id": "42"}, "The verb is text."),
        (customer, "/v1/customers/42:close", None, "A field ends at a colon, too: a verb follows."),
        ("/v1.1/customers", "/v1x1/customers", None, "A dot in a template is a dot: escape it."),
        ("/v1.1/customers", "/v1.1/customers", {}, "A template without fields matches itself."),
    ]:

        def found(template: str = template, path: str = path) -> dict[str, str] | None:
            match = pattern(template).fullmatch(path)
            return match.groupdict() if match else None

        yield attempt(f"pattern({template!r}) on {path!r}", found, expected, message)


EXERCISES = (
    Exercise(
        name="take-turns",
        kind="complete",
        title="A client that takes turns",
        minutes=8,
        lines=2,
        hints=(
            "A service config has `loadBalancingConfig`: a list of policies, the first known one "
            "is used.",
            "Each entry is a dictionary from the policy's name to its own settings, here none.",
        ),
        check=check_config,
        task="Write `service_config()`: the dictionary by which a gRPC client that knows several "
        "addresses takes turns among them.",
        seconds=20,
    ),
    Exercise(
        name="failures-before-ejection",
        kind="predict",
        title="What ejection costs",
        minutes=8,
        lines=2,
        hints=(
            "One proxy lets as many calls fail as its rule has consecutive errors.",
            "Proxies do not tell each other.",
        ),
        check=check_failures,
        task="Write `failures(proxies, errors)`: how many calls fail before every one of so many "
        "proxies has ejected a server that fails every call, by the rule of so many errors.",
        seconds=30,
    ),
    Exercise(
        name="match-a-template",
        title="From a template to an expression",
        minutes=12,
        lines=5,
        hints=(
            "`re.split(r'\\{(\\w+)\\}', template)` gives texts and names of fields in turns.",
            "`re.escape` each text; a field is `(?P<name>[^/:]+)`.",
        ),
        check=check_pattern,
        task="Write `pattern(template)`: the compiled regular expression that matches the whole of "
        "each path that a template of `google.api.http` means, with a group for each field.",
    ),
)
