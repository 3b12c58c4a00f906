"""Erlang/OTP itself, called from Python: what the runtime of this book is measured against.

A node of OTP runs as a process of its own (`running_node`), and Python speaks the protocol by which
Erlang's nodes speak with each other: it calls processes, kills them, calls functions, and sends
new code. The Erlang programs that run there are in `erlang/`.
"""

from remotecalls.actors.otp.errors import (
    CookieRefused,
    NodeFailed,
    NoSuchServer,
    RemoteFailure,
    ServerDown,
    Untranslatable,
)
from remotecalls.actors.otp.node import OtpNode, running_node
from remotecalls.actors.otp.shop import (
    Report,
    heals,
    is_supervised,
    reports,
    start_shop,
    stop_shop,
)
from remotecalls.actors.otp.terms import Atom, Pid, Term, describe

__all__ = [
    "Atom",
    "CookieRefused",
    "NoSuchServer",
    "NodeFailed",
    "OtpNode",
    "Pid",
    "RemoteFailure",
    "Report",
    "ServerDown",
    "Term",
    "Untranslatable",
    "describe",
    "heals",
    "is_supervised",
    "reports",
    "running_node",
    "start_shop",
    "stop_shop",
]
