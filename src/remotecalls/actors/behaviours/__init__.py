"""Behaviours: actors of which the pattern of messages is known beforehand.

A request–reply server is asked or told, each message one way. An event handler is told what has
happened, with others of its group. A state machine takes an event in some of its states.

Source: `gen_server`, `gen_event` and `gen_statem` of Erlang/OTP.
"""

from __future__ import annotations

from remotecalls.actors.behaviours.event_handler import event_handler, notify, on_event
from remotecalls.actors.behaviours.request_reply import call, cast, request_reply_server
from remotecalls.actors.behaviours.state_machine import (
    diagram,
    go,
    state_machine,
    state_timeout,
    transition,
)

__all__ = [
    "call",
    "cast",
    "diagram",
    "event_handler",
    "go",
    "notify",
    "on_event",
    "request_reply_server",
    "state_machine",
    "state_timeout",
    "transition",
]
