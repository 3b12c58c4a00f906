"""The state machine: an actor that takes an event in some of its states, and moves to another.

    @state_machine(initial="cart")
    class Order:
        cents: int = state(default=0)

        @transition("cart", "add")
        def add(self, cents: int) -> int:
            self.cents += cents
            return self.cents

        @transition("cart", "pay", to="paid")
        def pay(self) -> None: ...

        @state_timeout("paid", 3600.0, to="late")
        def complain(self) -> None: ...

An event that the state does not take is answered with `WrongState`; the machine goes on. Its state
is what `ask("current_state")` says.

Source: `gen_statem` of Erlang/OTP; there an event may also be postponed, here it may not.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar, dataclass_transform

from remotecalls.actors.definition import Handler, define, state
from remotecalls.actors.errors import WrongDefinition, WrongState
from remotecalls.actors.policies import MailboxPolicy, WhenFull

_Class = TypeVar("_Class", bound=type)
_Method = TypeVar("_Method", bound=Callable[..., Any])

_MARK = "__transitions__"
_TIMEOUT = "state-timeout"
_CURRENT = "current_state"


@dataclass(frozen=True)
class Transition:
    """What a machine does with an event in a state.

    Attributes:
        source: the state.
        event: its name; of a time-out, nothing.
        targets: the states that it may move to; none if it stays.
        function: does it.
        raises: the exceptions that are an answer, after which it stays where it is.
        seconds: of a time-out, how long the state may last.
    """

    source: str
    event: str
    targets: tuple[str, ...]
    function: Callable[..., Any]
    raises: tuple[type[Exception], ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True)
class Go:
    """A handler's decision where to move, and its answer."""

    target: str
    answer: Any = None


def go(target: str, answer: Any = None) -> Go:
    """Move to one of the states that the transition names, and answer."""
    return Go(target, answer)


def transition(
    source: str | tuple[str, ...],
    event: str,
    /,
    *,
    to: str | tuple[str, ...] = (),
    raises: type[Exception] | tuple[type[Exception], ...] = (),
) -> Callable[[_Method], _Method]:
    """Let a method take an event in a state, or in several.

    Args:
        source: the state or states.
        event: the name of the message.
        to: the state that follows. Of several the method returns one by `go`; without any the
            machine stays.
        raises: the exceptions that are an answer; the machine stays. Any other one ends it.
    """
    answers = raises if isinstance(raises, tuple) else (raises,)

    def mark(method: _Method) -> _Method:
        for each in _several(source):
            _add(method, Transition(each, event, _several(to), method, answers))
        return method

    return mark


def state_timeout(
    source: str, seconds: float, /, *, to: str | tuple[str, ...] = ()
) -> Callable[[_Method], _Method]:
    """Call a method when the machine has been in a state for a while without leaving it.

    Args:
        source: the state.
        seconds: how long.
        to: the state that follows.
    """

    def mark(method: _Method) -> _Method:
        _add(method, Transition(source, _TIMEOUT, _several(to), method, seconds=seconds))
        return method

    return mark


@dataclass_transform(field_specifiers=(state,))
def state_machine(
    *,
    initial: str,
    mailbox: int = MailboxPolicy.capacity,
    when_full: WhenFull = WhenFull.WAIT,
) -> Callable[[_Class], _Class]:
    """Make a class one of state machines.

    Args:
        initial: the state that it begins in.
        mailbox: how many events wait at most.
        when_full: what happens to the next.

    Raises:
        WrongDefinition: a state cannot be reached, an event has two meanings in one state, or
            other parameters in another.
    """
    policy = MailboxPolicy(mailbox, when_full)

    def make(cls: _Class) -> _Class:
        transitions = transitions_of(cls)
        _check(cls.__qualname__, initial, transitions)
        machine = _Machine(initial, {(each.source, each.event): each for each in transitions})
        handlers = {event: machine.handler(event) for event in machine.events()}
        handlers[_TIMEOUT] = Handler.of(_TIMEOUT, machine.timed_out(), is_asked=False)
        handlers[_CURRENT] = Handler.of(_CURRENT, lambda self: self.current_state, is_told=False)
        cls.current_state = initial  # type: ignore[attr-defined]
        cls.started = machine.starter(getattr(cls, "started", None))  # type: ignore[attr-defined]
        return define(cls, handlers, policy)

    return make


def transitions_of(cls: type) -> tuple[Transition, ...]:
    """All transitions of a class, in the order in which they are written."""
    found: list[Transition] = []
    for base in reversed(cls.__mro__):
        for value in vars(base).values():
            found.extend(getattr(value, _MARK, ()))
    return tuple(found)


def diagram(cls: type) -> str:
    """A machine as a Mermaid state diagram."""
    lines = ["stateDiagram-v2", f"  [*] --> {cls.current_state}"]  # type: ignore[attr-defined]
    for each in transitions_of(cls):
        label = f"after {each.seconds:g} s" if each.event == _TIMEOUT else each.event
        for target in each.targets or (each.source,):
            lines.append(f"  {each.source} --> {target}: {label}")
    return "\n".join(lines)


class _Machine:
    """The table of a class of machines, and the handlers that look into it."""

    def __init__(self, initial: str, table: dict[tuple[str, str], Transition]) -> None:
        self._initial = initial
        self._table = table

    def events(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(event for _, event in self._table if event != _TIMEOUT))

    def handler(self, event: str) -> Handler:
        those = [each for each in self._table.values() if each.event == event]
        raises = {kind: None for each in those for kind in each.raises}
        function = self._dispatch(event, is_async=any(map(_waits, those)))
        read = Handler.of(event, those[0].function)
        return Handler(
            name=event,
            function=function,
            is_async=inspect.iscoroutinefunction(function),
            raises=(WrongState, *raises),
            is_asked=True,
            is_told=True,
            required=read.required,
            fewest=read.fewest,
            most=read.most,
            signature=read.signature,
        )

    def timed_out(self) -> Callable[..., Any]:
        those = [each for each in self._table.values() if each.event == _TIMEOUT]
        dispatch = self._dispatch(_TIMEOUT, is_async=any(map(_waits, those)))

        def handle(instance: Any, entered: int) -> Any:
            # A time-out that was already in the mailbox when the state was left is of no use.
            return dispatch(instance) if entered == instance.__dict__["_entered"] else None

        async def handle_and_wait(instance: Any, entered: int) -> Any:
            waiting = handle(instance, entered)
            return None if waiting is None else await waiting

        return handle_and_wait if inspect.iscoroutinefunction(dispatch) else handle

    def starter(self, started: Callable[[Any], Any] | None) -> Callable[[Any], Any]:
        def start(instance: Any) -> None:
            if started is not None:
                started(instance)
            self._enter(instance, self._initial)

        async def start_and_wait(instance: Any) -> None:
            assert started is not None
            await started(instance)
            self._enter(instance, self._initial)

        return start_and_wait if inspect.iscoroutinefunction(started) else start

    def _dispatch(self, event: str, *, is_async: bool) -> Callable[..., Any]:
        def handle(instance: Any, *arguments: Any, **named: Any) -> Any:
            taken = self._taken(instance, event)
            return self._move(instance, taken, taken.function(instance, *arguments, **named))

        async def handle_and_wait(instance: Any, *arguments: Any, **named: Any) -> Any:
            taken = self._taken(instance, event)
            result = taken.function(instance, *arguments, **named)
            if inspect.iscoroutine(result):
                result = await result
            return self._move(instance, taken, result)

        return handle_and_wait if is_async else handle

    def _taken(self, instance: Any, event: str) -> Transition:
        found = self._table.get((instance.current_state, event))
        if found is None:
            here = sorted(
                event
                for source, event in self._table
                if source == instance.current_state and event != _TIMEOUT
            )
            raise WrongState(
                f"{instance.actor.name} takes no {event!r} in state {instance.current_state!r}; "
                f"it takes: {', '.join(here) or 'nothing any more'}"
            )
        return found

    def _move(self, instance: Any, taken: Transition, result: Any) -> Any:
        if isinstance(result, Go):
            if result.target not in taken.targets:
                raise WrongDefinition(
                    f"{taken.event!r} in {taken.source!r} went to {result.target!r}, and names "
                    f"{', '.join(taken.targets) or 'no state'}"
                )
            self._enter(instance, result.target)
            return result.answer
        if len(taken.targets) > 1:
            raise WrongDefinition(
                f"{taken.event!r} in {taken.source!r} may go to {', '.join(taken.targets)}: "
                "return go(…) to say where"
            )
        if taken.targets:
            self._enter(instance, taken.targets[0])
        return result

    def _enter(self, instance: Any, target: str) -> None:
        kept = instance.__dict__
        timer = kept.pop("_timer", None)
        if timer is not None:
            timer.cancel()
        instance.current_state = target
        kept["_entered"] = kept.get("_entered", 0) + 1
        late = self._table.get((target, _TIMEOUT))
        if late is not None:
            kept["_timer"] = instance.actor.send_after(late.seconds, _TIMEOUT, kept["_entered"])


def _waits(each: Transition) -> bool:
    return inspect.iscoroutinefunction(each.function)


def _several(names: str | tuple[str, ...]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else names


def _add(method: Any, added: Transition) -> None:
    method.__dict__.setdefault(_MARK, []).append(added)


def _check(name: str, initial: str, transitions: Iterable[Transition]) -> None:
    seen: dict[tuple[str, str], Transition] = {}
    for each in transitions:
        if (each.source, each.event) in seen:
            raise WrongDefinition(f"{name}: {each.event!r} has two meanings in {each.source!r}")
        seen[each.source, each.event] = each
    signatures: dict[str, inspect.Signature] = {}
    for each in seen.values():
        signature = Handler.of(each.event, each.function).signature
        names = signatures.setdefault(each.event, signature)
        if names.parameters.keys() != signature.parameters.keys():
            raise WrongDefinition(
                f"{name}: {each.event!r} has other parameters in {each.source!r} than elsewhere: "
                "its sender does not know the state"
            )
    reached = [initial]
    for place in reached:
        for each in seen.values():
            if each.source == place:
                reached.extend(target for target in each.targets if target not in reached)
    lost = sorted({each.source for each in seen.values()} - set(reached))
    if lost:
        raise WrongDefinition(f"{name}: from {initial!r} no event leads to {', '.join(lost)}")
