"""How a call into an Erlang node fails, besides the errors that all remote calls share."""

from __future__ import annotations

from remotecalls.wire.errors import ProtocolError, ServerFailed, Unavailable


class NodeFailed(Unavailable):
    """The node did not start, or has ended. Its last lines say why."""


class CookieRefused(Unavailable):
    """The node and its caller do not hold the same cookie, so they do not speak."""


class Untranslatable(ProtocolError, TypeError):
    """A value that has no Erlang term here, or a term that has no Python value here."""


class ServerDown(ServerFailed):
    """The process that was called ended before it had answered.

    Whether it has done what it was asked is not known.

    Attributes:
        reason: why it ended, as Erlang says it: the atom `killed`, a tuple of the error and the
            stack.
    """

    def __init__(self, server: str, reason: object, what: str) -> None:
        super().__init__(f"{server} {what}")
        self.reason = reason


class NoSuchServer(ServerDown):
    """No process had the name when the call arrived."""


class RemoteFailure(ServerFailed):
    """A function that was called on the node raised an exception.

    Attributes:
        reason: the error and the stack, as Erlang says them.
    """

    def __init__(self, function: str, reason: object, text: str) -> None:
        super().__init__(f"{function} failed on the node: {text}")
        self.reason = reason
