"""Who is at the other end, proved by certificates: TLS, and mutual TLS.

With TLS the client knows that it talks to the server that it means. With mutual TLS the server
knows its client, too, before the first byte of a call.

Source: RFC 8446 (TLS 1.3); https://grpc.io/docs/guides/auth/.
"""

from __future__ import annotations

from dataclasses import dataclass

import grpc


@dataclass(frozen=True)
class Identity:
    """A certificate and the key that proves that it is ours.

    Attributes:
        key: the private key, PEM.
        chain: the certificate, and those between it and an authority, PEM.
    """

    key: bytes
    chain: bytes


def server_tls(identity: Identity, authority: bytes | None = None) -> grpc.ServerCredentials:
    """Credentials of a server.

    Args:
        identity: its own.
        authority: the certificate, PEM, of whoever signs those of the clients; with it, a client
            without such a certificate is refused.
    """
    return grpc.ssl_server_credentials(
        [(identity.key, identity.chain)],
        root_certificates=authority,
        require_client_auth=authority is not None,
    )


def client_tls(authority: bytes, identity: Identity | None = None) -> grpc.ChannelCredentials:
    """Credentials of a client.

    Args:
        authority: the certificate, PEM, of whoever signed that of the server; no other is trusted,
            those that the machine has included.
        identity: its own, for a server that asks.
    """
    if identity is None:
        return grpc.ssl_channel_credentials(root_certificates=authority)
    return grpc.ssl_channel_credentials(
        root_certificates=authority,
        private_key=identity.key,
        certificate_chain=identity.chain,
    )


def common_names(context: grpc.aio.ServicerContext) -> list[str]:
    """The names in the certificate of the client that made a call; none without mutual TLS."""
    return [name.decode() for name in context.auth_context().get("x509_common_name", ())]
