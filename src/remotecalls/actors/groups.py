"""Process groups: several actors behind one name, and topics among them.

Source: `pg` of Erlang/OTP, for the groups; the topics are an addition.
"""

from __future__ import annotations

from typing import Any

from remotecalls.actors.actor_process import ActorProcess
from remotecalls.actors.dead_letters import DeadLetter
from remotecalls.actors.errors import MailboxFull
from remotecalls.actors.references import ActorRef


class Groups:
    """Who belongs to which group. Who ends leaves all of them."""

    def __init__(self) -> None:
        self._groups: dict[str, dict[ActorProcess, frozenset[str]]] = {}

    def join(
        self, group: str, member: ActorRef, topics: frozenset[str] | set[str] | None = None
    ) -> None:
        """Take an actor into a group; who has joined joins again to change the topics.

        Args:
            group: its name; it exists while it has members.
            member: the actor.
            topics: what it wants to be told about; without any it is told everything.

        Raises:
            ActorStopped: it has ended.
        """
        process = member.actor_process
        process.check_alive()
        self._groups.setdefault(group, {})[process] = frozenset(topics or ())
        process.groups = {*(process.groups or ()), group}

    def leave(self, group: str, member: ActorRef) -> None:
        """Take it out; nothing happens if it was not in it."""
        process = member.actor_process
        if process.groups is not None:
            process.groups.discard(group)
        members = self._groups.get(group, {})
        if members.pop(process, None) is not None and not members:
            del self._groups[group]

    def members(self, group: str, topic: str | None = None) -> tuple[ActorRef, ...]:
        """Those who belong to a group, or are told about a topic in it, in the order of joining."""
        return tuple(
            ActorRef(process)
            for process, topics in self._groups.get(group, {}).items()
            if topic is None or not topics or topic in topics
        )

    def publish(
        self, group: str, name: str, /, *arguments: Any, topic: str | None = None, **named: Any
    ) -> int:
        """Tell all members, or those that want to be told about a topic.

        A member whose mailbox is full does not hold up the others: its message is a dead letter.

        Args:
            group: the group.
            name: of the message.
            arguments: by position.
            topic: none for everybody.
            named: by name.

        Returns:
            how many have been told.

        Raises:
            Misuse: a member has no such handler.
        """
        told = 0
        for member in self.members(group, topic):
            try:
                member.tell(name, *arguments, **named)
            except MailboxFull:
                letters = member.process.system.dead_letters
                letters.add(DeadLetter(member.name, name, "its mailbox is full"))
            else:
                told += 1
        return told

    def names(self) -> tuple[str, ...]:
        """The groups that have members, sorted."""
        return tuple(sorted(self._groups))

    def forget(self, process: ActorProcess) -> None:
        """Take an actor that has ended out of all of its groups."""
        for group in sorted(process.groups or ()):
            self.leave(group, ActorRef(process))
