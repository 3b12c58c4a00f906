"""How a class becomes an actor: `@actor`, `state()` and `@handler`.

    @actor
    class Counter:
        count: int = state(default=0)

        @handler("increment")
        def increment(self, amount: int = 1) -> int:
            self.count += amount
            return self.count

The class is a dataclass of its state, made anew whenever the actor starts. A method may be named
`started`, which runs before the first message, and `stopping`, which runs after the last when the
actor is asked to stop; not when it crashes or is killed, for then its state is not to be trusted.
`self.actor` is its `Context`; a type checker learns of it by `actor: ClassVar[Context]`.
"""

from __future__ import annotations

import dataclasses
import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast, dataclass_transform, overload

from remotecalls.actors.errors import UnknownHandler, WrongArguments, WrongDefinition, WrongKind
from remotecalls.actors.policies import MailboxPolicy, WhenFull

_Class = TypeVar("_Class", bound=type)
_Method = TypeVar("_Method", bound=Callable[..., Any])

WILDCARD = "*"
"""The name of a handler that takes every message without one: its first argument is the name."""

_MARK = "__handler__"
_TYPE = "__actor_type__"
RESERVED = frozenset({"timeout"})
"""Parameters that no handler may have: `ask` has them itself."""


@dataclass(frozen=True, slots=True)
class Handler:
    """One message that an actor takes.

    Attributes:
        name: the message's.
        function: what handles it; it is given the actor's instance first.
        is_async: whether it may wait, and then has a task while it does.
        raises: the exceptions that are an answer. All others end the actor.
        is_asked: whether it may be asked.
        is_told: whether it may be told.
        required: the parameters without a default.
        fewest: how many arguments by position are enough, without any by name.
        most: how many there may be.
        signature: its parameters, without the first.
        by_position: whether some are taken by position alone.
    """

    name: str
    function: Callable[..., Any]
    is_async: bool
    raises: tuple[type[Exception], ...]
    is_asked: bool
    is_told: bool
    required: frozenset[str]
    fewest: int
    most: int
    signature: inspect.Signature
    by_position: bool = False

    @classmethod
    def of(
        cls,
        name: str,
        function: Callable[..., Any],
        *,
        raises: tuple[type[Exception], ...] = (),
        is_asked: bool = True,
        is_told: bool = True,
    ) -> Handler:
        """Read the parameters of a function.

        Raises:
            WrongDefinition: it cannot be called with an instance, or takes a name that is `ask`'s.
        """
        parameters = list(inspect.signature(function).parameters.values())
        if not parameters or parameters[0].kind is inspect.Parameter.KEYWORD_ONLY:
            raise WrongDefinition(f"handler {name!r} takes no instance: give it `self`")
        if taken := RESERVED.intersection(parameter.name for parameter in parameters):
            raise WrongDefinition(
                f"handler {name!r} has a parameter named {', '.join(taken)}, which is how long an "
                "ask may take: name it otherwise"
            )
        variable = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
        required = frozenset(
            parameter.name
            for parameter in parameters[1:]
            if parameter.default is parameter.empty and parameter.kind not in variable
        )
        by_name = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.VAR_KEYWORD)
        by_position = [each for each in parameters[1:] if each.kind not in by_name]
        is_open = any(each.kind is inspect.Parameter.VAR_POSITIONAL for each in by_position)
        return cls(
            name,
            function,
            inspect.iscoroutinefunction(function),
            raises,
            is_asked,
            is_told,
            required,
            # One that has to be named is never given by position: then the signature decides.
            sys.maxsize if required - {each.name for each in by_position} else len(required),
            sys.maxsize if is_open else len(by_position),
            inspect.Signature(parameters[1:]),
            any(each.kind is inspect.Parameter.POSITIONAL_ONLY for each in by_position),
        )

    def check(self, arguments: tuple[Any, ...], named: Mapping[str, Any]) -> None:
        """Refuse arguments that it does not take.

        Raises:
            WrongArguments: some are missing, or too many.
        """
        if named:
            if not arguments and named.keys() == self.required and not self.by_position:
                return
        elif self.fewest <= len(arguments) <= self.most:
            return
        try:
            self.signature.bind(*arguments, **named)
        except TypeError as error:
            raise WrongArguments(
                f"{self.name}{self.signature} does not take this: {error}"
            ) from None


@dataclass(frozen=True)
class ActorType:
    """What the runtime knows of a class of actors.

    Attributes:
        name: the class's.
        build: makes an instance from the arguments that `spawn` is given.
        handlers: by the name of the message; replaced while actors run by `replace_handler`.
        policy: of the mailboxes.
        traps_exits: whether exit signals of links arrive as the message "exit" and do not end it.
        started: runs before the first message, if there is such a method.
        start_waits: whether `started` is a coroutine.
        stopping: runs after the last.
        joins: the groups that it joins when it has started, each with the topics.
    """

    name: str
    build: Callable[..., Any]
    handlers: dict[str, Handler]
    policy: MailboxPolicy
    traps_exits: bool
    started: Callable[[Any], Any] | None
    start_waits: bool
    stopping: Callable[[Any], Any] | None
    joins: dict[str, frozenset[str]]


def find_handler(handlers: Mapping[str, Handler], name: str, actor_name: str) -> Handler:
    """The handler of a message.

    Raises:
        UnknownHandler: none takes it.
    """
    found = handlers.get(name) or handlers.get(WILDCARD)
    if found is None:
        raise UnknownHandler(
            f"{actor_name} has no handler {name!r}; it has: {', '.join(sorted(handlers))}"
        )
    return found


def wrong_kind(handler: Handler, actor_name: str) -> WrongKind:
    """The error for having asked what does not answer, or told what has to be asked."""
    advice = "does not answer: tell it" if handler.is_told else "answers, and is to be asked"
    return WrongKind(f"{handler.name!r} of {actor_name} {advice}")


def state(*, default: Any = dataclasses.MISSING, default_factory: Any = dataclasses.MISSING) -> Any:
    """A field of the actor's state, with the value that it begins with.

    Without either it is an argument of `spawn`.

    Args:
        default: the value.
        default_factory: makes the value, for those that can change.
    """
    if default is not dataclasses.MISSING:
        return field(default=default)
    if default_factory is not dataclasses.MISSING:
        return field(default_factory=default_factory)
    return field()


def handler(
    name: str,
    /,
    *,
    raises: type[Exception] | tuple[type[Exception], ...] = (),
    is_asked: bool = True,
    is_told: bool = True,
) -> Callable[[_Method], _Method]:
    """Let a method handle the messages of a name; "*" handles those that no other does.

    Args:
        name: of the message.
        raises: the exceptions that the asker gets as an answer. Any other one ends the actor: let
            it crash, and its supervisor starts it with a state that is known.
        is_asked: whether it may be asked.
        is_told: whether it may be told.
    """
    answers = raises if isinstance(raises, tuple) else (raises,)

    def mark(method: _Method) -> _Method:
        setattr(
            method,
            _MARK,
            Handler.of(name, method, raises=answers, is_asked=is_asked, is_told=is_told),
        )
        return method

    return mark


@overload
def actor(cls: _Class, /) -> _Class: ...


@overload
def actor(
    *,
    mailbox: int = ...,
    when_full: WhenFull = ...,
    traps_exits: bool = ...,
) -> Callable[[_Class], _Class]: ...


@dataclass_transform(field_specifiers=(state,))
def actor(
    cls: Any = None,
    /,
    *,
    mailbox: int = MailboxPolicy.capacity,
    when_full: WhenFull = WhenFull.WAIT,
    traps_exits: bool = False,
) -> Any:
    """Make a class one of actors: `ActorSystem.spawn` starts them.

    Args:
        cls: the class.
        mailbox: how many messages wait at most.
        when_full: what happens to the next.
        traps_exits: whether the exit signals of links arrive as the message "exit", with the
            reference and the reason, and do not end the actor.

    Raises:
        WrongDefinition: the class has no handler, or two of one name.
    """
    policy = MailboxPolicy(mailbox, when_full)

    def make(cls: type) -> type:
        return define(cls, handlers_in(cls), policy, traps_exits=traps_exits)

    return make if cls is None else make(cls)


def handlers_in(cls: type) -> dict[str, Handler]:
    """The handlers among the methods of a class.

    Raises:
        WrongDefinition: there are none, or two of one name.
    """
    found: dict[str, Handler] = {}
    for attribute in dir(cls):
        marked: Handler | None = getattr(getattr(cls, attribute), _MARK, None)
        if marked is None:
            continue
        if marked.name in found:
            raise WrongDefinition(f"{cls.__qualname__} has two handlers of {marked.name!r}")
        found[marked.name] = marked
    if not found:
        raise WrongDefinition(f'{cls.__qualname__} handles no message: mark methods @handler("…")')
    return found


def define(
    cls: _Class,
    handlers: dict[str, Handler],
    policy: MailboxPolicy,
    *,
    traps_exits: bool = False,
    joins: dict[str, frozenset[str]] | None = None,
) -> _Class:
    """Make a class one of actors with these handlers; behaviours build on it.

    Args:
        cls: the class.
        handlers: by the name of the message.
        policy: of the mailboxes.
        traps_exits: whether exit signals of links arrive as messages.
        joins: the groups that it joins when it has started, each with the topics.

    Raises:
        WrongDefinition: it traps exits without a handler of "exit", or has an `actor` of its own.
    """
    if getattr(cls, "actor", _ACTOR) is not _ACTOR:
        raise WrongDefinition(
            f"{cls.__qualname__} has an attribute `actor`, which is what every actor has of the "
            "runtime: name it otherwise"
        )
    if traps_exits and "exit" not in handlers and WILDCARD not in handlers:
        raise WrongDefinition(
            f"{cls.__qualname__} traps exits and has no handler of them: add "
            '@handler("exit") def …(self, sender, reason)'
        )
    built: Any = dataclass(eq=False, repr=False)(cls)
    built.actor = _ACTOR
    setattr(
        built,
        _TYPE,
        ActorType(
            built.__qualname__.rpartition(".")[2],
            built,
            handlers,
            policy,
            traps_exits,
            started := getattr(built, "started", None),
            inspect.iscoroutinefunction(started),
            getattr(built, "stopping", None),
            joins or {},
        ),
    )
    return cast("_Class", built)


def type_of(cls: type) -> ActorType:
    """What the runtime knows of a class.

    Raises:
        WrongDefinition: it is not decorated.
    """
    found: ActorType | None = cls.__dict__.get(_TYPE) if isinstance(cls, type) else None
    if found is None:
        raise WrongDefinition(f"{cls!r} is not a class of actors: decorate it with @actor")
    return found


def _context_of(instance: Any) -> Any:
    process = instance.__dict__["_process"]
    return process.system.context_of(process)


_ACTOR = property(_context_of)
