"""What a server or a channel can be told, as gRPC's channel arguments.

Source: include/grpc/impl/channel_arg_names.h of gRPC Core; gRFC A8 and A9 (keepalive, connection
age); the gRPC documentation's "Keepalive" and "Service Config".
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Options = list[tuple[str, int | str]]


@dataclass(frozen=True)
class Keepalive:
    """How an end finds out that the other one is gone although no call is in progress.

    Attributes:
        time: seconds without anything received before an end sends an HTTP/2 PING.
        timeout: seconds that it waits for the answer before it gives the connection up.
        without_calls: whether it sends PINGs while no call is in progress.
        least_time: seconds between PINGs that a server accepts; a client that sends more of them
            is sent away with GOAWAY, "too_many_pings".
    """

    time: float = 60.0
    timeout: float = 10.0
    without_calls: bool = False
    least_time: float = 30.0

    def options(self) -> Options:
        """As channel arguments."""
        return [
            ("grpc.keepalive_time_ms", int(self.time * 1_000)),
            ("grpc.keepalive_timeout_ms", int(self.timeout * 1_000)),
            # Without it gRPC Core 1.85 waits a minute for the answer, whatever the line above says.
            ("grpc.http2.ping_timeout_ms", int(self.timeout * 1_000)),
            ("grpc.keepalive_permit_without_calls", int(self.without_calls)),
            ("grpc.http2.max_pings_without_data", 0 if self.without_calls else 2),
            ("grpc.http2.min_ping_interval_without_data_ms", int(self.least_time * 1_000)),
        ]


@dataclass(frozen=True)
class ServerSettings:
    """Limits of a server.

    Attributes:
        largest_request: bytes of a message; a larger one ends its call with RESOURCE_EXHAUSTED.
        largest_metadata: bytes of a request's headers, counted as HTTP/2 does, with 32 bytes for
            each; more of them end the call with RESOURCE_EXHAUSTED.
        calls_per_connection: that may be in progress; a client holds back what would be more. At
            the limit itself a few calls fail with UNAVAILABLE, "Received RST_STREAM with error code
            7": gRPC Core answers a call before it has given its place away. So stay above what
            clients use.
        calls: in progress over all connections; more of them end with RESOURCE_EXHAUSTED.
        keepalive: see there.
        longest_connection: seconds after which a client is asked to connect anew, which gives a
            balancer another choice; None for as long as it lasts.
        grace: seconds that calls in progress get when the server stops.
    """

    largest_request: int = 65_536
    largest_metadata: int = 8_192
    calls_per_connection: int = 1_000
    calls: int = 1_000
    keepalive: Keepalive = Keepalive()
    longest_connection: float | None = None
    grace: float = 2.0

    def options(self) -> Options:
        """As channel arguments."""
        options: Options = [
            # Two servers on one port would each get half of the connections, and no error.
            ("grpc.so_reuseport", 0),
            ("grpc.max_receive_message_length", self.largest_request),
            ("grpc.max_metadata_size", self.largest_metadata),
            ("grpc.absolute_max_metadata_size", self.largest_metadata),
            ("grpc.max_concurrent_streams", self.calls_per_connection),
            *self.keepalive.options(),
        ]
        if self.longest_connection is not None:
            options += [
                ("grpc.max_connection_age_ms", int(self.longest_connection * 1_000)),
                ("grpc.max_connection_age_grace_ms", int(self.grace * 1_000)),
            ]
        return options


@dataclass(frozen=True)
class ChannelSettings:
    """What a client asks of its channel.

    Attributes:
        largest_response: bytes of a message; a larger one fails its call.
        keepalive: None to send no PINGs.
        service_config: retries and balancing; see `retry_policy`.
    """

    largest_response: int = 1_000_000
    keepalive: Keepalive | None = None
    service_config: Mapping[str, Any] | None = None

    def options(self) -> Options:
        """As channel arguments."""
        options: Options = [
            ("grpc.max_receive_message_length", self.largest_response),
            # A server of this machine is not asked for through a proxy, whatever the environment.
            ("grpc.enable_http_proxy", 0),
            # A new channel makes new connections, with no memory of when the last one failed.
            ("grpc.use_local_subchannel_pool", 1),
        ]
        if self.keepalive is not None:
            options += self.keepalive.options()
        if self.service_config is not None:
            options.append(("grpc.service_config", json.dumps(self.service_config)))
        return options
