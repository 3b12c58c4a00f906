"""The event handler: one of several that are told what has happened.

All handlers of a group hear of an event that they have a method for. Each is an actor of its own,
so one that crashes does not take the event from the others; its supervisor starts it again, and it
is back in the group. Erlang's `gen_event` runs all its handlers in one process, and takes one out
that crashes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, dataclass_transform

from remotecalls.actors.definition import define, handler, handlers_in, state
from remotecalls.actors.errors import WrongDefinition
from remotecalls.actors.policies import MailboxPolicy, WhenFull

if TYPE_CHECKING:
    from remotecalls.actors.system import ActorSystem

_Class = TypeVar("_Class", bound=type)
_Method = TypeVar("_Method", bound=Callable[..., Any])


def on_event(event: str, /) -> Callable[[_Method], _Method]:
    """Let a method take the events of a name."""
    return handler(event, is_asked=False)


@dataclass_transform(field_specifiers=(state,))
def event_handler(
    group: str,
    /,
    *,
    mailbox: int = MailboxPolicy.capacity,
    when_full: WhenFull = WhenFull.DROP_OLDEST,
) -> Callable[[_Class], _Class]:
    """Make a class one of event handlers.

    Args:
        group: which it joins whenever it starts.
        mailbox: how many events wait at most.
        when_full: what happens to the next. Whoever reports an event does not wait for those who
            want to hear of it; by default a handler that falls behind misses the oldest.

    Raises:
        WrongDefinition: one of its handlers can be asked: an event is not answered.
    """
    policy = MailboxPolicy(mailbox, when_full)

    def make(cls: _Class) -> _Class:
        handlers = handlers_in(cls)
        for each in handlers.values():
            if each.is_asked:
                raise WrongDefinition(
                    f"{cls.__qualname__}: {each.name!r} can be asked, and an event is not "
                    "answered: mark it @on_event"
                )
        return define(cls, handlers, policy, joins={group: frozenset(handlers)})

    return make


def notify(system: ActorSystem, group: str, event: str, /, *arguments: Any, **named: Any) -> int:
    """Tell the handlers of a group that have a method for an event.

    Returns:
        how many have been told.
    """
    return system.groups.publish(group, event, *arguments, topic=event, **named)
