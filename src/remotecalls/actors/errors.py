"""What can go wrong with an actor: misuse, which is said at once, and ends, which are answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from remotecalls.actors.exits import Exit


class ActorError(Exception):
    """The base of every error of the runtime's own."""


class Misuse(ActorError):
    """The caller has to be changed: the same call will fail again."""


class WrongDefinition(Misuse, TypeError):
    """A class is not what its decorator makes an actor of."""


class UnknownHandler(Misuse, LookupError):
    """No handler of the actor takes such a message."""


class WrongArguments(Misuse, TypeError):
    """The handler takes other arguments."""


class WrongKind(Misuse):
    """The handler answers and was told, or does not and was asked."""


class Unserializable(Misuse, TypeError):
    """A value that cannot be sent: what it is made of would be shared, or cannot leave at all."""


class AskCycle(Misuse):
    """The asked actor waits, perhaps through others, for the one that asks: nobody would answer."""


class NameTaken(Misuse):
    """A running actor has this name."""


class WrongThread(Misuse, RuntimeError):
    """An actor system is used by the thread that its event loop runs in, and by no other."""


class NoSuchActor(ActorError, LookupError):
    """No running actor has this name."""


class NoSuchChild(ActorError, LookupError):
    """The supervisor has no such child."""


class MailboxFull(ActorError):
    """The mailbox has no room, and its policy or the deadline does not let the sender wait."""


class WrongState(ActorError):
    """A state machine takes no such event in the state that it is in."""


class StartFailed(ActorError):
    """An actor could not begin: `started` raised, or took longer than it may."""


class ActorStopped(ActorError):
    """The asked actor had ended, or ended before it answered.

    Whether it has done what it was asked is not known if it ended meanwhile.

    Attributes:
        reason: how it ended.
    """

    def __init__(self, name: str, reason: Exit) -> None:
        super().__init__(f"{name} {reason}")
        self.reason = reason
        self.__cause__ = reason.error


class SystemFailed(ActorError):
    """A supervisor at the top gave up, and all actors have been stopped."""
