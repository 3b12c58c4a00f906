"""Which calls a channel repeats by itself, as a service config.

The policy is data: it stands in the channel's settings, or is published by whoever runs the
service, and gRPC carries it out below the caller's code. It names only methods that change nothing:
of a call that failed with UNAVAILABLE nobody knows whether it was carried out.

Source: gRFC A6 (client retries); grpc/service_config.proto.
"""

from __future__ import annotations

from typing import Any

import grpc
from google.protobuf.descriptor import ServiceDescriptor

from remotecalls.grpc.authentication import is_without_side_effects

MOST_ATTEMPTS = 5
"""More than this, gRPC cuts down to this."""


def retry_policy(
    service: ServiceDescriptor,
    *,
    attempts: int = 4,
    first_wait: float = 0.05,
    longest_wait: float = 1.0,
    growth: float = 2.0,
    codes: tuple[grpc.StatusCode, ...] = (grpc.StatusCode.UNAVAILABLE,),
) -> dict[str, Any]:
    """A service config by which the methods of a service that change nothing are repeated.

    Args:
        service: whose methods.
        attempts: 2 to 5, the first one included.
        first_wait: seconds; each wait is drawn from around this value, so that the clients that
            failed together do not come back together.
        longest_wait: seconds that no wait is longer than.
        growth: by which each wait is longer than the one before.
        codes: after which a call is repeated.

    Raises:
        ValueError: a number is not one that gRPC takes.
    """
    if not 2 <= attempts <= MOST_ATTEMPTS:
        raise ValueError(f"{attempts} attempts: 2 to {MOST_ATTEMPTS}")
    if not (first_wait > 0 and longest_wait > 0 and growth > 0):
        raise ValueError("waits and their growth are above 0")
    safe = [
        {"service": service.full_name, "method": method.name}
        for method in service.methods
        if is_without_side_effects(f"/{service.full_name}/{method.name}")
    ]
    return {
        "methodConfig": [
            {
                "name": safe,
                "retryPolicy": {
                    "maxAttempts": attempts,
                    "initialBackoff": f"{first_wait:.3f}s",
                    "maxBackoff": f"{longest_wait:.3f}s",
                    "backoffMultiplier": growth,
                    "retryableStatusCodes": [code.name for code in codes],
                },
            }
        ],
        # When many calls fail, repeating each makes it worse: a failure takes a token of ten, a
        # success gives a tenth back, and with half of them gone nothing is repeated.
        "retryThrottling": {"maxTokens": 10, "tokenRatio": 0.1},
    }
