"""Tuple spaces: Linda's associative memory, in process and over a socket, and MPI beside it."""

from remotecalls.tuplespaces.active_tuples import Evaluation
from remotecalls.tuplespaces.conditions import at_least, at_most, between, one_of, satisfies
from remotecalls.tuplespaces.errors import (
    EvaluationFailed,
    InvalidField,
    InvalidPattern,
    LeaseEnded,
    SpaceClosed,
    TooManyOperations,
    TransactionEnded,
    TupleSpaceError,
)
from remotecalls.tuplespaces.evaluation import active
from remotecalls.tuplespaces.events import Events
from remotecalls.tuplespaces.leases import Lease
from remotecalls.tuplespaces.patterns import ANY
from remotecalls.tuplespaces.remote import RemoteTransaction, RemoteTupleSpace
from remotecalls.tuplespaces.server import TupleSpaceServer, serve
from remotecalls.tuplespaces.space import Statistics, TupleSpace
from remotecalls.tuplespaces.transactions import Transaction

__all__ = [
    "ANY",
    "Evaluation",
    "EvaluationFailed",
    "Events",
    "InvalidField",
    "InvalidPattern",
    "Lease",
    "LeaseEnded",
    "RemoteTransaction",
    "RemoteTupleSpace",
    "SpaceClosed",
    "Statistics",
    "TooManyOperations",
    "Transaction",
    "TransactionEnded",
    "TupleSpace",
    "TupleSpaceError",
    "TupleSpaceServer",
    "active",
    "at_least",
    "at_most",
    "between",
    "one_of",
    "satisfies",
    "serve",
]
