"""What a tuple space refuses, and how its waits end.

A wait that finds nothing in its time ends with `remotecalls.wire.errors.DeadlineExceeded`, in
process and from afar; what goes wrong on the connection has the other errors of that module.
"""


class TupleSpaceError(Exception):
    """A tuple space refused an operation, or could not finish it."""


class InvalidField(TupleSpaceError):
    """A value that no tuple can hold, or a tuple that no message can carry."""


class InvalidPattern(TupleSpaceError):
    """A pattern that no space, or not this one, can look for."""


class LeaseEnded(TupleSpaceError):
    """The tuple of this lease is gone: taken, expired or canceled."""


class TransactionEnded(TupleSpaceError):
    """The transaction was committed or aborted, or its time was over."""


class SpaceClosed(TupleSpaceError):
    """The space, or the client or server in front of it, was closed."""


class TooManyOperations(TupleSpaceError):
    """A connection has as many operations, or other things, open as the server allows."""


class EvaluationFailed(TupleSpaceError):
    """An active field could not be computed, so its tuple was not written."""
