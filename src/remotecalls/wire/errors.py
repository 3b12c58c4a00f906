"""How a remote call fails when the service itself had nothing to say about it.

A caller must tell three cases apart, because each allows a different next step:

* `Unavailable`: the request never left. Retrying is safe.
* `DeadlineExceeded`, `ConnectionLost`, `ServerFailed`: the request may have been carried out.
  Retrying is safe only if the operation is idempotent.
* `ProtocolError`: the peer speaks something else. Retrying will not help.
"""


class TransportError(Exception):
    """A call failed between the two programs, not inside either."""


class Unavailable(TransportError):
    """No connection could be made, so nothing was sent."""


class DeadlineExceeded(TransportError):
    """No answer came in time. The server may still be working, or have finished."""


class ConnectionLost(TransportError):
    """The connection ended before the whole answer arrived. The outcome is unknown."""


class ServerFailed(TransportError):
    """The server failed inside, in a way that the service does not name."""


class ProtocolError(TransportError):
    """The bytes that arrived are not a message of this protocol."""


class FrameTooLarge(ProtocolError):
    """A message announces, or has already reached, more bytes than the limit allows."""


class TruncatedFrame(ProtocolError):
    """The peer closed the connection in the middle of a message."""
