"""The request–reply server: each of its messages is a call, which is answered, or a cast.

To tell what should be asked loses an answer, and to ask what should be told waits for none. Here
both are refused when the message is sent.

Source: `gen_server` of Erlang/OTP, with its `handle_call` and `handle_cast`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, dataclass_transform

from remotecalls.actors.definition import define, handler, handlers_in, state
from remotecalls.actors.errors import WrongDefinition
from remotecalls.actors.policies import MailboxPolicy, WhenFull

_Class = TypeVar("_Class", bound=type)
_Method = TypeVar("_Method", bound=Callable[..., Any])


def call(
    name: str, /, *, raises: type[Exception] | tuple[type[Exception], ...] = ()
) -> Callable[[_Method], _Method]:
    """Let a method answer the asks of a name; it cannot be told.

    Args:
        name: of the message.
        raises: the exceptions that are an answer; any other one ends the server.
    """
    return handler(name, raises=raises, is_told=False)


def cast(name: str, /) -> Callable[[_Method], _Method]:
    """Let a method take what is told under a name; it cannot be asked."""
    return handler(name, is_asked=False)


@dataclass_transform(field_specifiers=(state,))
def request_reply_server(
    *, mailbox: int = MailboxPolicy.capacity, when_full: WhenFull = WhenFull.WAIT
) -> Callable[[_Class], _Class]:
    """Make a class one of request–reply servers.

    Args:
        mailbox: how many messages wait at most.
        when_full: what happens to the next.

    Raises:
        WrongDefinition: one of its handlers is neither a `call` nor a `cast`.
    """
    policy = MailboxPolicy(mailbox, when_full)

    def make(cls: _Class) -> _Class:
        handlers = handlers_in(cls)
        for each in handlers.values():
            if each.is_asked and each.is_told:
                raise WrongDefinition(
                    f"{cls.__qualname__}: {each.name!r} is both asked and told; in a "
                    "request-reply server it is a @call or a @cast"
                )
        return define(cls, handlers, policy)

    return make
