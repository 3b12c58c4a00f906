"""Configurations of Envoy for services that speak gRPC, under Envoy's own names.

Source: https://www.envoyproxy.io/docs, API v3.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from remotecalls.wire.address import Address

Config = dict[str, Any]

_TYPES = "type.googleapis.com/envoy.extensions"
_MANAGER = "envoy.filters.network.http_connection_manager"
CLUSTER = "shop"
LISTENER = "front"


@dataclass(frozen=True)
class OutlierDetection:
    """When an endpoint is taken out because of how its calls end.

    Attributes:
        consecutive_errors: of a gateway kind, one after another: 502, 503 and 504, which are
            UNAVAILABLE and DEADLINE_EXCEEDED of gRPC.
        interval: seconds between the looks at which ejections end.
        base_ejection_time: seconds of the first ejection; each further one lasts longer.
        max_ejection_percent: how many of the endpoints may be out at once; one always may.
    """

    consecutive_errors: int = 5
    interval: float = 30.0
    base_ejection_time: float = 30.0
    max_ejection_percent: int = 10


@dataclass(frozen=True)
class TrafficPolicy:
    """What a cluster does with its endpoints.

    Attributes:
        lb_policy: who gets the next call.
        max_requests_per_connection: after which a connection is closed and another one opened;
            0 for no limit.
        outlier_detection: None to eject nobody.
        health_check_interval: seconds between asking each endpoint by the health protocol of gRPC;
            None never to ask.
        num_retries: of a call that was UNAVAILABLE, on another endpoint.
    """

    lb_policy: Literal["ROUND_ROBIN", "LEAST_REQUEST", "RANDOM"] = "ROUND_ROBIN"
    max_requests_per_connection: int = 0
    outlier_detection: OutlierDetection | None = None
    health_check_interval: float | None = None
    num_retries: int = 0


def _address(address: Address) -> Config:
    return {"socket_address": {"address": address.host, "port_value": address.port}}


def cluster(
    endpoints: Sequence[Address], policy: TrafficPolicy | None = None, *, http2: bool = True
) -> Config:
    """The servers behind.

    Args:
        endpoints: their addresses.
        policy: what is done with them; round robin without more by default.
        http2: whether they are spoken to in HTTP/2; layer 4 speaks nothing.
    """
    policy = policy or TrafficPolicy()
    config: Config = {
        "name": CLUSTER,
        "type": "STATIC",
        "connect_timeout": "2s",
        "lb_policy": policy.lb_policy,
        "load_assignment": {
            "cluster_name": CLUSTER,
            "endpoints": [
                {"lb_endpoints": [{"endpoint": {"address": _address(each)}} for each in endpoints]}
            ],
        },
        # With half of the endpoints out, Envoy would by default send to all of them again.
        "common_lb_config": {"healthy_panic_threshold": {"value": 0}},
    }
    if http2:
        options: Config = {
            "@type": f"{_TYPES}.upstreams.http.v3.HttpProtocolOptions",
            "explicit_http_config": {"http2_protocol_options": {}},
        }
        if policy.max_requests_per_connection:
            options["common_http_protocol_options"] = {
                "max_requests_per_connection": policy.max_requests_per_connection
            }
        config["typed_extension_protocol_options"] = {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": options
        }
    if policy.outlier_detection is not None:
        config["outlier_detection"] = _outlier_detection(policy.outlier_detection)
    if policy.health_check_interval is not None:
        config["health_checks"] = [_health_check(policy.health_check_interval)]
    return config


def _outlier_detection(outlier: OutlierDetection) -> Config:
    return {
        "consecutive_gateway_failure": outlier.consecutive_errors,
        "enforcing_consecutive_gateway_failure": 100,
        "enforcing_consecutive_5xx": 0,
        "enforcing_success_rate": 0,
        "interval": _seconds(outlier.interval),
        "base_ejection_time": _seconds(outlier.base_ejection_time),
        "max_ejection_percent": outlier.max_ejection_percent,
    }


def _health_check(interval: float) -> Config:
    return {
        "interval": _seconds(interval),
        "timeout": "3s",
        "unhealthy_threshold": 1,
        "healthy_threshold": 1,
        "no_traffic_interval": _seconds(interval),
        "grpc_health_check": {},
    }


def _seconds(seconds: float) -> str:
    return f"{seconds:.3f}s"


ANY_PORT = Address("127.0.0.1", 0)


def _listener(listen: Address, network_filter: Config) -> Config:
    return {
        "name": LISTENER,
        "address": _address(listen),
        # Two servers on one port would each get half of the connections, and no error.
        "enable_reuse_port": False,
        "filter_chains": [{"filters": [network_filter]}],
    }


def layer_4(endpoints: Sequence[Address]) -> Config:
    """A proxy of connections: it chooses an endpoint for each, and knows nothing of calls."""
    proxy = {
        "@type": f"{_TYPES}.filters.network.tcp_proxy.v3.TcpProxy",
        "stat_prefix": LISTENER,
        "cluster": CLUSTER,
    }
    return _bootstrap(
        _listener(ANY_PORT, {"name": "envoy.filters.network.tcp_proxy", "typed_config": proxy}),
        cluster(endpoints, http2=False),
    )


def layer_7(
    endpoints: Sequence[Address],
    policy: TrafficPolicy | None = None,
    *,
    listen: Address = ANY_PORT,
    http_filters: Sequence[Config] = (),
    request_headers_to_remove: Sequence[str] = (),
) -> Config:
    """A proxy of calls: it chooses an endpoint for each.

    Args:
        endpoints: the servers behind.
        policy: what is done with them.
        listen: where; the port 0 is any that is free.
        http_filters: before the last one, which sends a call on.
        request_headers_to_remove: that no client may bring with it.
    """
    policy = policy or TrafficPolicy()
    route: Config = {"cluster": CLUSTER, "timeout": "0s", "max_stream_duration": _FROM_THE_CALLER}
    if policy.num_retries:
        route["retry_policy"] = {
            "retry_on": "unavailable,connect-failure,refused-stream",
            "num_retries": policy.num_retries,
            "retry_host_predicate": [
                {
                    "name": "envoy.retry_host_predicates.previous_hosts",
                    "typed_config": {
                        "@type": f"{_TYPES}.retry.host.previous_hosts.v3.PreviousHostsPredicate"
                    },
                }
            ],
        }
    manager = {
        "@type": f"{_TYPES}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": LISTENER,
        "codec_type": "AUTO",
        "route_config": {
            "name": "all",
            "request_headers_to_remove": list(request_headers_to_remove),
            "virtual_hosts": [
                {
                    "name": "all",
                    "domains": ["*"],
                    "routes": [{"match": {"prefix": "/"}, "route": route}],
                }
            ],
        },
        # Callers are not told how many milliseconds the inside took, so that answers that say the
        # same are the same bytes.
        "http_filters": [
            *http_filters,
            _http_filter("router", "Router", suppress_envoy_headers=True),
        ],
    }
    return _bootstrap(
        _listener(listen, {"name": _MANAGER, "typed_config": manager}),
        cluster(endpoints, policy),
    )


_FROM_THE_CALLER = {"grpc_timeout_header_max": "0s"}
"""A call lasts as long as its own `grpc-timeout` says."""


def _http_filter(name: str, message: str, **config: Any) -> Config:
    kind = f"{_TYPES}.filters.http.{name}.v3.{message}"
    return {"name": f"envoy.filters.http.{name}", "typed_config": {"@type": kind, **config}}


def transcoder(
    descriptors: bytes, services: Sequence[str], *, reject_collisions: bool = True
) -> Config:
    """The filter that turns JSON into gRPC and back, by the annotations `google.api.http`.

    Args:
        descriptors: a `FileDescriptorSet` with all that the services import, and with the messages
            that a status may carry.
        services: by their full names.
        reject_collisions: whether a body that contradicts the path is refused. Otherwise, and by
            Envoy's default, the body wins, and names another customer than the path, which is what
            rules of access, caches and logs have seen.
    """
    return _http_filter(
        "grpc_json_transcoder",
        "GrpcJsonTranscoder",
        proto_descriptor_bin=base64.b64encode(descriptors).decode(),
        services=list(services),
        convert_grpc_status=True,
        print_options={
            "always_print_primitive_fields": True,
            "preserve_proto_field_names": True,
            "stream_newline_delimited": True,
        },
        request_validation_options={
            "reject_unknown_method": True,
            "reject_unknown_query_parameters": True,
            "reject_binding_body_field_collisions": reject_collisions,
        },
    )


def _bootstrap(listener: Config, *clusters: Mapping[str, Any]) -> Config:
    return {"static_resources": {"listeners": [listener], "clusters": list(clusters)}}
